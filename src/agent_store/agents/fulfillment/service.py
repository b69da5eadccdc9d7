from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from agent_store.agents.fulfillment.calendar import add_business_days, dispatch_day
from agent_store.agents.fulfillment.model import ShippingTable
from agent_store.contracts.cart import GetCart
from agent_store.contracts.catalog import GetProducts
from agent_store.contracts.common import Item
from agent_store.contracts.fulfillment import DeliveryOption, DeliveryQuote, ListPickup, PickupOption, QuoteDelivery
from agent_store.contracts.inventory import GetAvailability, ListLocations, LocationView
from agent_store.contracts.places import nearness
from agent_store.contracts.pricing import GetQuote
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, NotFound
from agent_store.kernel.ids import Sku
from agent_store.kernel.money import Money

LOOKED_UP = 20
"""Products asked of the catalogue at once at most: its contract says so."""


@dataclass(frozen=True, slots=True)
class FulfillmentSettings:
    """`cutoff_hour`: orders before it (São Paulo time) leave the same business day. `ready` and `ready_by_transfer`:
    how long until an order waits at a store's counter, from its own shelves or brought there."""

    cutoff_hour: int = 14
    ready: timedelta = timedelta(hours=2)
    ready_by_transfer: timedelta = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be sent: units by SKU, their weight and what they are worth."""

    units: dict[Sku, int]
    weight_g: int
    goods: Money


async def quote(ctx: Context, call: QuoteDelivery) -> DeliveryQuote:
    rates = ctx.use(ShippingTable).rates(call.cep)
    if not rates:
        raise NotFound(f"no carrier delivers to {call.cep}: check the CEP, or fetch the order at a store", cep=call.cep)
    parcel = await _parcel(ctx, call.lines)
    start = dispatch_day(ctx.now(), ctx.use(FulfillmentSettings).cutoff_hour)
    options = [
        DeliveryOption(
            service=rate.service,
            name=rate.name,
            carrier=rate.carrier,
            price=rate.price(parcel.weight_g, parcel.goods),
            days_min=rate.zone.days_min,
            days_max=rate.zone.days_max,
            earliest=add_business_days(start, rate.zone.days_min),
            latest=add_business_days(start, rate.zone.days_max),
        )
        for rate in rates
    ]
    options.sort(key=lambda option: (option.price.minor, option.days_max))
    stores = await _stores(ctx, parcel.units)
    stores.sort(key=lambda store: _nearness(call.cep, store.location))
    return DeliveryQuote(cep=call.cep, options=tuple(options), pickup=tuple(stores))


async def pickup(ctx: Context, call: ListPickup) -> tuple[PickupOption, ...]:
    units = _units(call.lines or await _cart_lines(ctx))
    stores = await _stores(ctx, units)
    if call.near_cep is not None:
        near = call.near_cep
        stores.sort(key=lambda store: _nearness(near, store.location))
    stores.sort(key=lambda store: not store.complete)
    return tuple(stores)


async def _parcel(ctx: Context, lines: Sequence[Item]) -> Parcel:
    if not lines:
        cart = await ctx.call(GetCart())
        if not cart.lines:
            raise _empty_cart()
        weight = sum(line.weight_g * line.quantity for line in cart.lines)
        return Parcel({line.sku: line.quantity for line in cart.lines}, weight, cart.subtotal)
    units = _units(lines)
    weights: dict[Sku, int] = {}
    skus = list(units)
    for start in range(0, len(skus), LOOKED_UP):
        for product in await ctx.call(GetProducts(ids=tuple(skus[start : start + LOOKED_UP]))):
            weights.update((variant.sku, variant.weight_g) for variant in product.variants)
    unknown = [sku for sku in skus if sku not in weights]
    if unknown:
        raise NotFound(f"{', '.join(unknown)}: the catalogue has no such SKU", skus=unknown)
    priced = await ctx.call(GetQuote(lines=tuple(Item(sku=sku, quantity=count) for sku, count in units.items())))
    return Parcel(units, sum(weights[sku] * count for sku, count in units.items()), priced.subtotal)


async def _cart_lines(ctx: Context) -> tuple[Item, ...]:
    cart = await ctx.call(GetCart())
    if not cart.lines:
        raise _empty_cart()
    return tuple(Item(sku=line.sku, quantity=line.quantity) for line in cart.lines)


def _empty_cart() -> Conflict:
    return Conflict("the cart is empty: put something in, or say which lines to deliver", code="empty-cart")


def _units(lines: Sequence[Item]) -> dict[Sku, int]:
    units: dict[Sku, int] = {}
    for line in lines:
        units[line.sku] = units.get(line.sku, 0) + line.quantity
    return units


async def _stores(ctx: Context, units: dict[Sku, int]) -> list[PickupOption]:
    """All stores by name; `complete` are those that have every unit on their own shelves now."""
    settings = ctx.use(FulfillmentSettings)
    stock = {level.sku: level.by_location for level in await ctx.call(GetAvailability(skus=tuple(units)))}
    options: list[PickupOption] = []
    for location in await ctx.call(ListLocations()):
        if location.kind != "store":
            continue
        complete = all(stock[sku].get(location.id, 0) >= count for sku, count in units.items())
        wait = settings.ready if complete else settings.ready_by_transfer
        hours = -(-int(wait.total_seconds()) // 3600)
        options.append(PickupOption(location=location, ready_in_hours=hours, complete=complete))
    return options


def _nearness(cep: str, location: LocationView) -> tuple[int, float, int]:
    return nearness(cep, location.cep, location.lat, location.lon)
