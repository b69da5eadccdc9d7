"""The cart's use cases."""

from __future__ import annotations

from collections.abc import Mapping

from agent_store.agents.cart.model import Cart, Line, subtotal
from agent_store.agents.cart.repository import Carts
from agent_store.agents.cart.settings import CartSettings
from agent_store.contracts.cart import (
    AddToCart,
    CartItemAdded,
    CartItemRemoved,
    CartOrdered,
    CartUpdated,
    CartView,
    CartWarning,
    RemoveFromCart,
)
from agent_store.contracts.catalog import GetProducts, ProductView, Recommend, VariantView
from agent_store.contracts.common import PricedLine, Shape
from agent_store.contracts.inventory import GetAvailability
from agent_store.contracts.pricing import GetPrices
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, Forbidden, NotFound, TemporaryError
from agent_store.kernel.ids import CustomerId, Sku
from agent_store.kernel.money import Money


class Snapshot(Shape):
    """A cart as it was when a step ended, with the prices last seen. Views are made from it and not from the tables,
    so that a resumed call asks its other tools the same questions again."""

    customer_id: CustomerId
    version: int
    lines: tuple[PricedLine, ...]


class Added(Shape):
    """How putting in ended: the cart, or that only `available` units are there while `in_cart` are wanted already."""

    cart: Snapshot | None = None
    available: int = 0
    in_cart: int = 0


async def view(ctx: Context, customer_id: CustomerId) -> CartView:
    """Committed lines at the prices and with the stock of this moment."""
    return await _present(ctx, _snapshot(await ctx.get(Carts).find(customer_id)))


async def add(ctx: Context, call: AddToCart) -> CartView:
    """Check stock, price and name live, then put it in.

    Raises NotFound for a SKU that is not sold; Conflict "out-of-stock" whose details carry `available`, `in_cart` and
    `alternatives` (product ids), Conflict "cart-limit" over a cap.
    """
    customer_id = customer_of(ctx)
    product, variant = _variant(await ctx.call(GetProducts(ids=(call.sku,))), call.sku)
    prices = await ctx.call(GetPrices(skus=(call.sku,)))
    if not prices:
        raise NotFound(f"{call.sku} has no price at the moment: offer another product", sku=call.sku)
    available = (await ctx.call(GetAvailability(skus=(call.sku,))))[0].available
    line = Line(
        sku=call.sku,
        product_id=product.id,
        title=_title(product, variant),
        brand=product.brand,
        weight_g=variant.weight_g,
        quantity=call.quantity,
        unit=prices[0].price,
    )

    async def put_in(tx: Context) -> Added:
        await _fence(tx)
        carts = tx.get(Carts)
        cart = await carts.for_update(customer_id, tx.now())
        in_cart = cart.quantity(line.sku)
        if in_cart + line.quantity > available:
            return Added(available=available, in_cart=in_cart)
        settings = tx.use(CartSettings)
        cart.add(line, max_lines=settings.max_lines, max_quantity=settings.max_quantity)
        await carts.save(cart, tx.now())
        tx.emit(CartItemAdded(customer_id=customer_id, sku=line.sku, quantity=line.quantity))
        _tell(tx, cart)
        return Added(cart=_snapshot(cart))

    added = await ctx.write("put_in", put_in, Added)
    if added.cart is None:
        raise Conflict(
            f"only {added.available} of {line.title} are there ({added.in_cart} are in the cart already)",
            code="out-of-stock",
            sku=line.sku,
            available=added.available,
            in_cart=added.in_cart,
            alternatives=list(await _alternatives(ctx, line.sku)),
        )
    return await _present(ctx, added.cart, prices={line.sku: line.unit}, stock={line.sku: available})


async def remove(ctx: Context, call: RemoveFromCart) -> CartView:
    """Raises NotFound when the variant is not in the cart."""
    customer_id = customer_of(ctx)

    async def take_out(tx: Context) -> Snapshot:
        await _fence(tx)
        carts = tx.get(Carts)
        cart = await carts.for_update(customer_id, tx.now())
        taken = cart.remove(call.sku, call.quantity)
        if not taken:
            raise NotFound(f"{call.sku} is not in the cart", sku=call.sku)
        await carts.save(cart, tx.now())
        tx.emit(CartItemRemoved(customer_id=customer_id, sku=call.sku, quantity=taken))
        _tell(tx, cart)
        return _snapshot(cart)

    return await _present(ctx, await ctx.write("take_out", take_out, Snapshot))


async def clear(ctx: Context) -> CartView:
    """Empty it; an empty cart stays as it is, version and all."""
    customer_id = customer_of(ctx)
    await _fence(ctx)
    carts = ctx.get(Carts)
    cart = await carts.for_update(customer_id, ctx.now())
    went = cart.clear()
    if went:
        await carts.save(cart, ctx.now())
        for item in went:
            ctx.emit(CartItemRemoved(customer_id=customer_id, sku=item.sku, quantity=item.quantity))
        _tell(ctx, cart)
    return CartView(customer_id=customer_id, version=cart.version, lines=(), subtotal=Money.zero())


async def take_ordered(ctx: Context, event: CartOrdered) -> None:
    """Units that are in an order leave the cart, once an order; what the customer added since stays."""
    carts = ctx.get(Carts)
    cart = await carts.for_update(event.customer_id, ctx.now())
    if not await carts.mark_ordered(event.customer_id, event.order_id, ctx.now()):
        return
    if cart.take_ordered(event.lines):
        await carts.save(cart, ctx.now())
        _tell(ctx, cart)


def customer_of(ctx: Context) -> CustomerId:
    """Whose cart it is. Raises Forbidden for a call on behalf of nobody."""
    if ctx.principal.customer_id is None:
        raise Forbidden("a cart belongs to a customer: call this on behalf of one")
    return CustomerId(ctx.principal.customer_id)


async def _fence(ctx: Context) -> None:
    if ctx.principal.conversation_id is not None:
        await ctx.fence(ctx.principal.conversation_id, ctx.principal.lease_token)


async def _present(
    ctx: Context,
    cart: Snapshot,
    *,
    prices: Mapping[Sku, Money] | None = None,
    stock: Mapping[Sku, int] | None = None,
) -> CartView:
    """Add what changes by the minute: prices, stock, warnings. What is given is not asked for again."""
    settings = ctx.use(CartSettings)
    skus = tuple(line.sku for line in cart.lines)
    if prices is None or not set(skus) <= set(prices):
        prices = {view.sku: view.price for view in await ctx.call(GetPrices(skus=skus))} if skus else {}
    if stock is None or not set(skus) <= set(stock):
        stock = {view.sku: view.available for view in await ctx.call(GetAvailability(skus=skus))} if skus else {}
    lines: list[PricedLine] = []
    warnings: list[CartWarning] = []
    for line in cart.lines:
        unit = prices.get(line.sku)
        # Without a price it is not sold any more: shown at the price last seen, and as sold out.
        available = stock.get(line.sku, 0) if unit is not None else 0
        if available <= 0:
            alternatives = await _alternatives(ctx, line.sku)
            warnings.append(CartWarning(kind="out_of_stock", sku=line.sku, available=0, alternatives=alternatives))
        elif available < line.quantity or available <= settings.low_stock:
            warnings.append(CartWarning(kind="low_stock", sku=line.sku, available=available))
        if unit is not None and unit != line.unit:
            warnings.append(CartWarning(kind="price_changed", sku=line.sku, available=available, before=line.unit))
            line = line.model_copy(update={"unit": unit, "total": unit * line.quantity})
        lines.append(line)
    return CartView(
        customer_id=cart.customer_id,
        version=cart.version,
        lines=tuple(lines),
        subtotal=subtotal(lines),
        warnings=tuple(warnings),
    )


async def _alternatives(ctx: Context, sku: Sku) -> tuple[str, ...]:
    """Product ids that could take its place. A courtesy: when the catalogue can't say, the cart goes on without."""
    limit = ctx.use(CartSettings).max_alternatives
    if not limit:
        return ()
    try:
        hits = await ctx.call(Recommend(product_id=sku, kind="similar", limit=limit))
    except (TemporaryError, NotFound) as error:
        ctx.log.warning("cart.alternatives.unknown", sku=sku, code=error.code)
        return ()
    return tuple(hit.product.id for hit in hits)


def _snapshot(cart: Cart) -> Snapshot:
    return Snapshot(customer_id=cart.customer_id, version=cart.version, lines=cart.priced())


def _tell(ctx: Context, cart: Cart) -> None:
    lines = cart.priced()
    ctx.emit(CartUpdated(customer_id=cart.customer_id, version=cart.version, lines=lines, subtotal=subtotal(lines)))


def _variant(products: tuple[ProductView, ...], sku: Sku) -> tuple[ProductView, VariantView]:
    for product in products:
        for variant in product.variants:
            if variant.sku == sku:
                return product, variant
    raise NotFound(f"{sku} is not in the catalogue: search for the product and take a SKU from the result", sku=sku)


def _title(product: ProductView, variant: VariantView) -> str:
    """ "Vestido Midi Aurora, vermelho, P"."""
    parts = (product.name, variant.color, variant.size, *variant.options.values())
    return ", ".join(part for part in parts if part)
