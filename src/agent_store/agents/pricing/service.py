from __future__ import annotations

from collections.abc import Sequence

from agent_store.agents.pricing.model import Price
from agent_store.agents.pricing.repository import Prices
from agent_store.contracts.catalog import ImportVariant, ProductImported
from agent_store.contracts.common import Item
from agent_store.contracts.pricing import PriceChanged, PriceView, Quote, QuoteLine, SetPrice
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound
from agent_store.kernel.money import Money


async def prices(ctx: Context, skus: Sequence[str]) -> tuple[PriceView, ...]:
    known = await ctx.get(Prices).of(tuple(dict.fromkeys(skus)))
    return tuple(_view(known[sku]) for sku in skus if sku in known)


async def quote(ctx: Context, lines: Sequence[Item]) -> Quote:
    known = await ctx.get(Prices).of(tuple(dict.fromkeys(line.sku for line in lines)))
    missing = [line.sku for line in lines if line.sku not in known]
    if missing:
        raise NotFound(
            f"{', '.join(missing)}: there is no price; ask the catalogue for SKUs that are sold", skus=missing
        )
    priced: list[QuoteLine] = []
    for line in lines:
        unit = known[line.sku].price
        priced.append(QuoteLine(sku=line.sku, quantity=line.quantity, unit=unit, total=unit * line.quantity))
    subtotal = Money.zero(priced[0].unit.currency)
    for line in priced:
        subtotal = subtotal + line.total
    return Quote(lines=tuple(priced), subtotal=subtotal)


async def set_by_hand(ctx: Context, wish: SetPrice) -> PriceView:
    if not ctx.principal.staff:
        raise Forbidden("a price is set by a person of the staff: sign in with the staff token")
    repository = ctx.get(Prices)
    before = (await repository.for_update((wish.sku,))).get(wish.sku)
    if before is None:
        raise NotFound(f"{wish.sku} has no price: import its product first", sku=wish.sku)
    after = before.set_by_hand(wish.price, wish.list_price)
    if not after.looks_like(before):
        await repository.save((after,), ctx.now())
        await repository.remember(((before, after),), reason=wish.reason, staff=ctx.principal.staff, at=ctx.now())
        _tell(ctx, before, after, wish.reason)
    return _view(after)


async def take_over(ctx: Context, event: ProductImported) -> None:
    """Take over what a catalogue file says; only what changed is told. An older import than the last one is ignored."""
    repository = ctx.get(Prices)
    known = await repository.for_update(tuple(variant.sku for variant in event.variants))
    saved: list[Price] = []
    changes: list[tuple[Price | None, Price]] = []
    for variant in event.variants:
        before = known.get(variant.sku)
        if before is not None and 0 < event.revision < before.revision:
            continue
        after = _imported(event, variant, before)
        if after == before:
            continue
        saved.append(after)
        if before is None or not after.looks_like(before):
            changes.append((before, after))
    await repository.save(saved, ctx.now())
    await repository.remember(changes, reason="import", staff=None, at=ctx.now())
    for before, after in changes:
        _tell(ctx, before, after, "import")


def _imported(event: ProductImported, variant: ImportVariant, before: Price | None) -> Price:
    if before is not None and before.price.currency != variant.price.currency:
        raise InvalidInput(f"{variant.sku} is sold in {before.price.currency}: a SKU keeps its currency", field="price")
    version = 1
    if before is not None:
        same = before.price == variant.price and before.list_price == variant.list_price
        version = before.version if same else before.version + 1
    return Price(
        sku=variant.sku,
        product_id=event.product_id,
        price=variant.price,
        list_price=variant.list_price,
        floor=variant.price if variant.floor is None else variant.floor,
        version=version,
        revision=max(event.revision, before.revision if before else 0),
    )


def _tell(ctx: Context, before: Price | None, after: Price, reason: str) -> None:
    ctx.emit(
        PriceChanged(
            sku=after.sku,
            version=after.version,
            before=before.price if before else None,
            price=after.price,
            list_price=after.list_price,
            reason=reason,
        )
    )


def _view(price: Price) -> PriceView:
    return PriceView(sku=price.sku, price=price.price, list_price=price.list_price)
