"""Use cases of orders: placing, the saga's reactions, what customers and staff do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Literal, get_args

from agent_store.agents.orders.model import Order
from agent_store.agents.orders.repository import Orders
from agent_store.agents.orders.settings import OrdersSettings
from agent_store.contracts.cart import CartView, GetCart
from agent_store.contracts.catalog import Recommend
from agent_store.contracts.common import Item, Language, PricedLine
from agent_store.contracts.fulfillment import ListPickup, QuoteDelivery
from agent_store.contracts.inventory import InventoryRefused
from agent_store.contracts.orders import (
    CancelOrder,
    Delivery,
    GetMyOrder,
    ListOrders,
    OrderCreate,
    OrderRejected,
    OrderView,
    PlaceOrder,
    ShipOrder,
)
from agent_store.contracts.pricing import GetQuote, Quote
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, TemporaryError
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId, derived_id, short_code
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal

_SAO_PAULO = timezone(timedelta(hours=-3))
"""Brazil's clock without the time zone database: UTC-3, no summer time since 2019 (decree 9.772/2019)."""
_NUMBER_TRIES = 20


@dataclass(frozen=True, slots=True)
class _Basket:
    """What an order will be of, priced and quoted now."""

    lines: tuple[PricedLine, ...]
    subtotal: Money
    delivery: Delivery

    @property
    def total(self) -> Money:
        return self.subtotal + self.delivery.price


# --- placing ------------------------------------------------------------------------------------------------------


async def place(ctx: Context, call: PlaceOrder) -> OrderView:
    """`orders.place`. Raises Conflict with code "cart-empty", "cart-changed" (details: version), "already-ordered"
    (details: number), "total-changed" (details: total), "service-unknown" or "pickup-incomplete"."""
    customer_id = _customer(ctx)
    order_id = OrderId(derived_id("order", customer_id, ctx.key))
    return await _place(ctx, call, customer_id, order_id)


async def place_by_event(ctx: Context, event: OrderCreate) -> None:
    """`store.order.create`: as `orders.place`; what that would refuse becomes an OrderRejected."""
    ctx.acting_for(
        Principal(
            customer_id=event.customer_id,
            conversation_id=event.conversation_id,
            brand=ctx.event.brand,
            channel=ctx.event.channel,
            lease_token=event.lease_token,
            language=event.language,
        )
    )
    try:
        await _place(ctx, event.place, event.customer_id, event.order_id)
    except (Conflict, InvalidInput, NotFound) as refusal:
        reason = refusal.code

        async def refuse(tx: Context) -> None:
            await _refuse_at_the_door(tx, event, reason)

        await ctx.write("refuse", refuse)


async def _place(ctx: Context, call: PlaceOrder, customer_id: CustomerId, order_id: OrderId) -> OrderView:
    """Read the cart, price it, write the order. Done before under this id: the order as it is."""
    before = await ctx.get(Orders).find(order_id)
    if before is not None:
        return _own(before, customer_id).view()
    cart = await ctx.call(GetCart())
    if cart.version != call.cart_version:
        placed = await ctx.get(Orders).of_cart(customer_id, call.cart_version)
        if placed is not None:
            raise _already_ordered(placed)
        raise Conflict(
            f"the cart has changed since version {call.cart_version}: look at it again and ask the customer",
            code="cart-changed",
            version=cart.version,
        )
    if not cart.lines:
        raise Conflict("the cart is empty: there is nothing to order", code="cart-empty")
    items = tuple(Item(sku=line.sku, quantity=line.quantity) for line in cart.lines)
    quote = await ctx.call(GetQuote(lines=items))
    delivery = await _delivery(ctx, call, items)
    basket = _basket(cart, quote, delivery)
    if basket.total.minor <= 0:
        raise Conflict("an order costs more than nothing", code="nothing-to-pay")
    if call.expected_total is not None and call.expected_total != basket.total:
        raise Conflict(
            f"the total is {basket.total} now, not {call.expected_total}: tell the customer and ask again",
            code="total-changed",
            total=basket.total.model_dump(mode="json"),
            subtotal=basket.subtotal.model_dump(mode="json"),
            delivery=delivery.price.model_dump(mode="json"),
        )

    async def write(tx: Context) -> OrderView:
        await _fence(tx)
        return (await _write(tx, customer_id, order_id, call.cart_version, basket)).view()

    return await ctx.write("place", write, OrderView)


async def _write(tx: Context, customer_id: CustomerId, order_id: OrderId, cart_version: int, basket: _Basket) -> Order:
    settings = tx.use(OrdersSettings)
    orders, now, principal = tx.get(Orders), tx.now(), tx.principal
    conversation = principal.conversation_id

    def build(number: str) -> Order:
        return Order(
            id=order_id,
            number=number,
            customer_id=customer_id,
            conversation_id=None if conversation is None else ConversationId(conversation),
            brand=principal.brand or basket.lines[0].brand,
            channel=principal.channel,
            language=_language(principal),
            cart_version=cart_version,
            lines=basket.lines,
            subtotal=basket.subtotal,
            delivery=basket.delivery,
            total=basket.total,
            created_at=now,
            updated_at=now,
        )

    before = await orders.for_update(order_id)
    if before is not None:
        return _own(before, customer_id)
    placed = await orders.of_cart(customer_id, cart_version)
    if placed is not None:
        raise _already_ordered(placed)
    order = await _add(orders, build, settings.number_length)
    _emit(tx, order, order.placed(settings.hold))
    tx.log.info("order.placed", order_id=order.id, total=order.total.minor, lines=len(order.lines))
    return order


async def _add(orders: Orders, build: Callable[[str], Order], length: int) -> Order:
    """Write it under a number that nobody has yet."""
    for _ in range(_NUMBER_TRIES):
        order = build(f"AS-{short_code(length)}")
        if await orders.add(order):
            return order
        if order.cart_version is not None:
            placed = await orders.of_cart(order.customer_id, order.cart_version)
            if placed is not None:  # another request for the same cart was faster
                raise _already_ordered(placed)
    raise TemporaryError("no order number was free: try again, and look at OrdersSettings.number_length")


async def _refuse_at_the_door(tx: Context, event: OrderCreate, reason: str) -> None:
    """Write that an order by event was refused before it had lines, so that whoever sent it hears of it, once."""
    orders, now = tx.get(Orders), tx.now()
    if await orders.for_update(event.order_id) is not None:
        return
    zero = Money.zero()

    def build(number: str) -> Order:
        return Order(
            id=event.order_id,
            number=number,
            customer_id=event.customer_id,
            conversation_id=event.conversation_id,
            brand=tx.event.brand or "",
            channel=tx.event.channel,
            language=event.language,
            lines=(),
            subtotal=zero,
            delivery=Delivery(method=event.place.delivery, price=zero, location=event.place.location),
            total=zero,
            created_at=now,
            updated_at=now,
            state="rejected",
            stock="none",
            reason=reason,
        )

    order = await _add(orders, build, tx.use(OrdersSettings).number_length)
    _emit(tx, order, [OrderRejected(order_id=order.id, customer_id=order.customer_id, version=1, order=order.view())])


def _basket(cart: CartView, quote: Quote, delivery: Delivery) -> _Basket:
    """The cart's lines with the price engine's prices: what a caller says of prices never counts."""
    priced = {line.sku: line for line in quote.lines}
    lines: list[PricedLine] = []
    for line in cart.lines:
        price = priced.get(line.sku)
        if price is None or price.quantity != line.quantity:
            raise TemporaryError(f"the price engine did not price {line.quantity} of {line.sku}: try again")
        lines.append(line.model_copy(update={"unit": price.unit, "total": price.total}))
    return _Basket(tuple(lines), quote.subtotal, delivery)


async def _delivery(ctx: Context, call: PlaceOrder, items: tuple[Item, ...]) -> Delivery:
    if call.delivery == "pickup":
        return await _pickup(ctx, call, items)
    if call.address is None:
        raise InvalidInput("address: a delivery needs an address; ask the customer for it", field="address")
    if not call.address.street.strip():
        raise InvalidInput("address.street: a delivery needs street and number", field="address.street")
    quote = await ctx.call(QuoteDelivery(cep=call.address.cep, lines=items))
    known = [option.service for option in quote.options]
    if call.service is None:
        raise InvalidInput(f"service: choose one of {', '.join(known)}", field="service", services=known)
    for option in quote.options:
        if option.service == call.service:
            return Delivery(
                method="delivery",
                service=option.service,
                price=option.price,
                address=call.address,
                earliest=option.earliest,
                latest=option.latest,
            )
    raise Conflict(
        f"{call.service!r} does not deliver there: choose one of {', '.join(known)}",
        code="service-unknown",
        services=known,
    )


async def _pickup(ctx: Context, call: PlaceOrder, items: tuple[Item, ...]) -> Delivery:
    if call.location is None:
        raise InvalidInput("location: a pickup needs a store; offer those of fulfillment.pickup", field="location")
    options = await ctx.call(ListPickup(lines=items))
    for option in options:
        if option.location.id == call.location:
            if not option.complete:
                complete = [other.location.id for other in options if other.complete]
                raise Conflict(
                    f"{option.location.name} does not have everything on its shelves: choose another store or a delivery",
                    code="pickup-incomplete",
                    locations=complete,
                )
            ready = _day(ctx.now() + timedelta(hours=option.ready_in_hours))
            return Delivery(
                method="pickup",
                price=Money.zero(),
                location=option.location.id,
                location_name=option.location.name,
                earliest=ready,
                latest=ready,
            )
    raise NotFound(f"there is no store {call.location!r} to fetch it at", location=call.location)


# --- the saga's reactions -----------------------------------------------------------------------------------------


async def react(
    ctx: Context, order_id: OrderId, reaction: Callable[[Order, OrdersSettings, datetime], list[Event]]
) -> None:
    """Load and lock the order, let the state machine say what follows, save, emit. Raises NotFound."""
    orders = ctx.get(Orders)
    order = _known(await orders.for_update(order_id), order_id)
    before = order.state
    events = reaction(order, ctx.use(OrdersSettings), ctx.now())
    await orders.save(order)
    _emit(ctx, order, events)
    if order.state != before:
        ctx.log.info("order.moved", order_id=order.id, before=before, state=order.state, reason=order.reason)


async def refused(ctx: Context, event: InventoryRefused) -> None:
    """No stock: look for what could take its place, then let the order go."""
    alternatives = await _alternatives(ctx, event)

    async def reject(tx: Context) -> None:
        await react(
            tx,
            event.order_id,
            lambda order, _, at: order.stock_refused(event.attempt, event.missing, alternatives, at),
        )

    await ctx.write("reject", reject)


async def _alternatives(ctx: Context, event: InventoryRefused) -> tuple[str, ...]:
    """Product ids, best first, at most `max_alternatives`. When the catalogue can't say, the customer is told without."""
    limit = ctx.use(OrdersSettings).max_alternatives
    found: dict[str, None] = {}
    principal = Principal(customer_id=event.customer_id, brand=ctx.event.brand, channel=ctx.event.channel)
    for missing in event.missing:
        if len(found) >= limit:
            break
        try:
            hits = await ctx.call(Recommend(product_id=missing.sku, kind="similar", limit=limit), principal=principal)
        except (TemporaryError, NotFound) as error:
            ctx.log.warning("order.alternatives.unknown", order_id=event.order_id, sku=missing.sku, code=error.code)
            continue
        found.update(dict.fromkeys(hit.product.id for hit in hits))
    return tuple(found)[:limit]


# --- customers and staff ------------------------------------------------------------------------------------------


async def mine(ctx: Context, limit: int) -> tuple[OrderView, ...]:
    return _views(await ctx.get(Orders).of_customer(_customer(ctx), limit))


async def status(ctx: Context, call: GetMyOrder) -> OrderView:
    """Raises NotFound, for another customer's order as well."""
    customer_id = _customer(ctx)
    if call.number is None:
        newest = await ctx.get(Orders).of_customer(customer_id, 1)
        if not newest:
            raise NotFound("the customer has no order yet")
        return newest[0].view()
    order = await ctx.get(Orders).numbered(_number(ctx, call.number))
    return _own(_known(order, call.number), customer_id).view()


async def cancel(ctx: Context, call: CancelOrder) -> OrderView:
    """By the customer (their own orders only) or by staff. Raises NotFound, Conflict when it is on its way."""
    await _fence(ctx)
    orders = ctx.get(Orders)
    order = _known(await orders.numbered_for_update(_number(ctx, call.number)), call.number)
    by: Literal["customer", "staff"] = "staff"
    if ctx.principal.staff is None:
        by = "customer"
        _own(order, _customer(ctx))
    _emit(ctx, order, order.cancel(by, call.reason, ctx.now()))
    await orders.save(order)
    return order.view()


async def listing(ctx: Context, call: ListOrders) -> tuple[OrderView, ...]:
    return _views(
        await ctx.get(Orders).page(state=call.state, customer_id=call.customer_id, before=call.before, limit=call.limit)
    )


async def get(ctx: Context, number_or_id: str) -> OrderView:
    orders = ctx.get(Orders)
    order = await orders.numbered(number_or_id) or await orders.numbered(_number(ctx, number_or_id))
    return _known(order, number_or_id).view()


async def advance(ctx: Context, number: str, step: Callable[[Order, datetime], list[Event]]) -> OrderView:
    """Pick, ship, deliver. Raises NotFound, Conflict when it isn't its turn."""
    orders = ctx.get(Orders)
    order = _known(await orders.numbered_for_update(_number(ctx, number)), number)
    _emit(ctx, order, step(order, ctx.now()))
    await orders.save(order)
    return order.view()


async def ship(ctx: Context, call: ShipOrder) -> OrderView:
    tracking = " ".join(part for part in (call.carrier.strip(), call.tracking.strip()) if part)
    return await advance(ctx, call.number, lambda order, at: order.ship(tracking, at))


# --- the pieces ---------------------------------------------------------------------------------------------------


def _emit(ctx: Context, order: Order, events: Iterable[Event]) -> None:
    """The order's own brand and channel: what causes a fact (a page, a timer, staff) may have none."""
    for event in events:
        ctx.emit(event, brand=order.brand or None, channel=order.channel)


def _customer(ctx: Context) -> CustomerId:
    if ctx.principal.customer_id is None:
        raise Forbidden("an order belongs to a customer: call this on behalf of one")
    return CustomerId(ctx.principal.customer_id)


async def _fence(ctx: Context) -> None:
    if ctx.principal.conversation_id is not None:
        await ctx.fence(ctx.principal.conversation_id, ctx.principal.lease_token)


def _known(order: Order | None, name: str) -> Order:
    if order is None:
        raise NotFound(f"there is no order {name}")
    return order


def _own(order: Order, customer_id: CustomerId) -> Order:
    """Another customer's order is as good as none: its number tells nothing."""
    if order.customer_id != customer_id:
        raise NotFound(f"there is no order {order.number}")
    return order


def _already_ordered(order: Order) -> Conflict:
    return Conflict(
        f"this cart was ordered already: it is order {order.number}", code="already-ordered", number=order.number
    )


def _number(ctx: Context, text: str) -> str:
    """As people write it: "as-7k3f9q", "#7K3F9Q", " AS 7K3F9Q"."""
    code = "".join(char for char in text.upper() if char.isalnum())
    if len(code) > ctx.use(OrdersSettings).number_length:
        code = code.removeprefix("AS")
    return f"AS-{code}"


def _language(principal: Principal) -> Language:
    for language in get_args(Language):
        if language == principal.language:
            return language
    return "pt"


def _views(orders: Iterable[Order]) -> tuple[OrderView, ...]:
    return tuple(order.view() for order in orders)


def _day(at: datetime) -> date:
    return at.astimezone(_SAO_PAULO).date()
