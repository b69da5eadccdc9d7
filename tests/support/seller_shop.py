"""Small fake agents behind the seller's tools: two products, a cart and orders in real tables (they survive a kill)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, delete, func, select

from agent_store.contracts.brands import Brand, SharedNumber
from agent_store.contracts.cart import AddToCart, CartView, ClearCart, GetCart, RemoveFromCart
from agent_store.contracts.catalog import (
    Category,
    GetProducts,
    Hit,
    ListCategories,
    ProductView,
    Recommend,
    SearchProducts,
    SearchResult,
    VariantView,
)
from agent_store.contracts.chat import ChatLine, ChatMessageNew, GetHistory, GetProfile, HistoryLine, Profile, Remember
from agent_store.contracts.common import PricedLine
from agent_store.contracts.fulfillment import DeliveryOption, DeliveryQuote, ListPickup, PickupOption, QuoteDelivery
from agent_store.contracts.inventory import LocationView
from agent_store.contracts.orders import CancelOrder, Delivery, GetMyOrder, ListMyOrders, OrderView, PlaceOrder
from agent_store.contracts.payments import GetPendingPayment, PaymentView, SubmitTestCard
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, NotFound, TemporaryError
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId, ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert

_tables = MetaData()
cart_lines = Table(
    "cart_fake_lines",
    _tables,
    Column("customer_id", String(64), primary_key=True),
    Column("sku", String(64), primary_key=True),
    Column("quantity", Integer, nullable=False),
)
cart_changes = Table(
    "cart_fake_changes",
    _tables,
    Column("seq", Integer, primary_key=True),
    Column("customer_id", String(64), nullable=False),
    Column("what", String(64), nullable=False),
)
_order_tables = MetaData()
placed = Table(
    "orders_fake",
    _order_tables,
    Column("number", String(16), primary_key=True),
    Column("customer_id", String(64), nullable=False),
    Column("total", Integer, nullable=False),
    Column("state", String(16), nullable=False),
)


def _product(key: str, name: str, *variants: VariantView) -> ProductView:
    image = f"/media/products/{key}.png"
    return ProductView(id=ProductId(key), brand="fashion", name=name, category="roupas", image=image, variants=variants)


def _variant(sku: str, color: str, size: str, price: str, available: int, before: str | None = None) -> VariantView:
    return VariantView(
        sku=Sku(sku),
        color=color,
        size=size,
        price=Money.parse(price),
        list_price=Money.parse(before) if before else None,
        available=available,
    )


DRESS = _product(
    "vestido-aurora",
    "Vestido Aurora",
    _variant("VES-P", "vermelho", "P", "199.90", 3, "249.90"),
    _variant("VES-M", "vermelho", "M", "199.90", 0),
)
BELT = _product("cinto-sol", "Cinto Sol", _variant("CIN-U", "dourado", "U", "59.90", 10))
PRODUCTS = (DRESS, BELT)
_VARIANTS = {variant.sku: (product, variant) for product in PRODUCTS for variant in product.variants}
DELIVERY = Money.parse("15.00")
STORE = LocationView(id="loja-centro", name="Loja Centro", kind="store", cep="01310-100")

catalog = Agent("catalog")
cart = Agent("cart", tables=_tables)
orders = Agent("orders", tables=_order_tables)
fulfillment = Agent("fulfillment")
payments = Agent("payments")
conversations = Agent("conversations")
SHOP = (catalog, cart, orders, fulfillment, payments, conversations)


@catalog.tool(SearchProducts)
async def search(call: SearchProducts, ctx: Context) -> SearchResult:
    words = call.text.casefold().split()
    found = [product for product in PRODUCTS if not words or any(word in product.name.casefold() for word in words)]
    return SearchResult(hits=tuple(Hit(product=product) for product in found[: call.limit]), total=len(found))


@catalog.tool(GetProducts)
async def products(call: GetProducts, ctx: Context) -> tuple[ProductView, ...]:
    return tuple(
        one for one in PRODUCTS if one.id in call.ids or any(variant.sku in call.ids for variant in one.variants)
    )


@catalog.tool(Recommend)
async def recommend(call: Recommend, ctx: Context) -> tuple[Hit, ...]:
    return (Hit(product=BELT, reason="complementary"),)


@catalog.tool(ListCategories)
async def categories(call: ListCategories, ctx: Context) -> tuple[Category, ...]:
    return (Category(category="roupas", products=2),)


# --- cart ----------------------------------------------------------------------------------------------------------

_LINES = select(cart_lines.c.sku, cart_lines.c.quantity).where(cart_lines.c.customer_id == bindparam("p_customer"))
_CHANGES = (
    select(func.count().label("n"))
    .select_from(cart_changes)
    .where(cart_changes.c.customer_id == bindparam("p_customer"))
)
_NOTE = insert(cart_changes)
_put = insert(cart_lines)
_PUT = _put.on_conflict_do_update(
    index_elements=[cart_lines.c.customer_id, cart_lines.c.sku], set_={"quantity": _put.excluded["quantity"]}
)
_DROP_ALL = delete(cart_lines).where(cart_lines.c.customer_id == bindparam("p_customer"))
_DROP = _DROP_ALL.where(cart_lines.c.sku == bindparam("p_sku"))


async def _quantities(ctx: Context) -> dict[str, int]:
    rows = await ctx.db.all(_LINES, {"p_customer": ctx.principal.customer_id})
    return {row["sku"]: row["quantity"] for row in rows}


async def _view(ctx: Context) -> CartView:
    changes = await ctx.db.first(_CHANGES, {"p_customer": ctx.principal.customer_id})
    lines: list[PricedLine] = []
    for sku, quantity in (await _quantities(ctx)).items():
        product, variant = _VARIANTS[Sku(sku)]
        lines.append(
            PricedLine(
                sku=variant.sku,
                product_id=product.id,
                title=f"{product.name}, {variant.color}, {variant.size}",
                quantity=quantity,
                unit=variant.price,
                total=variant.price * quantity,
                brand=product.brand,
            )
        )
    return CartView(
        customer_id=CustomerId(ctx.principal.customer_id or ""),
        version=changes["n"] if changes else 0,
        lines=tuple(lines),
        subtotal=Money(minor=sum(line.total.minor for line in lines)),
    )


async def _change(ctx: Context, what: str) -> None:
    await ctx.fence(ctx.principal.conversation_id or "", ctx.principal.lease_token)
    await ctx.db.run(_NOTE, {"customer_id": ctx.principal.customer_id, "what": what})


@cart.tool(GetCart)
async def view(call: GetCart, ctx: Context) -> CartView:
    return await _view(ctx)


@cart.tool(AddToCart)
async def add(call: AddToCart, ctx: Context) -> CartView:
    if call.sku not in _VARIANTS:
        raise NotFound(f"there is no {call.sku}")
    available = _VARIANTS[call.sku][1].available
    wanted = (await _quantities(ctx)).get(call.sku, 0) + call.quantity
    if wanted > available:
        raise Conflict(f"only {available} of {call.sku}", available=available, alternatives=[BELT.id])
    await _change(ctx, f"add {call.sku} {call.quantity}")
    await ctx.db.run(_PUT, {"customer_id": ctx.principal.customer_id, "sku": call.sku, "quantity": wanted})
    return await _view(ctx)


@cart.tool(RemoveFromCart)
async def remove(call: RemoveFromCart, ctx: Context) -> CartView:
    before = await _quantities(ctx)
    if call.sku not in before:
        raise NotFound(f"{call.sku} is not in the cart")
    left = before[call.sku] - (call.quantity or before[call.sku])
    await _change(ctx, f"remove {call.sku}")
    if left > 0:
        await ctx.db.run(_PUT, {"customer_id": ctx.principal.customer_id, "sku": call.sku, "quantity": left})
    else:
        await ctx.db.run(_DROP, {"p_customer": ctx.principal.customer_id, "p_sku": call.sku})
    return await _view(ctx)


@cart.tool(ClearCart)
async def clear(call: ClearCart, ctx: Context) -> CartView:
    await _change(ctx, "clear")
    await ctx.db.run(_DROP_ALL, {"p_customer": ctx.principal.customer_id})
    return await _view(ctx)


def out_of_order(failures: int = 1_000_000) -> Agent:
    """A cart agent whose tools cannot be reached the first `failures` times."""
    broken = Agent("cart", tables=_tables)
    left = failures

    def fail() -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise TemporaryError("out of order")

    @broken.tool(GetCart)
    async def broken_view(call: GetCart, ctx: Context) -> CartView:
        fail()
        return await _view(ctx)

    @broken.tool(AddToCart)
    async def broken_add(call: AddToCart, ctx: Context) -> CartView:
        fail()
        return await add(call, ctx)

    return broken


# --- orders, delivery, payment ---------------------------------------------------------------------------------------

_ORDERS = select(placed).where(placed.c.customer_id == bindparam("p_customer")).order_by(placed.c.number.desc())
_COUNT = select(func.count().label("n")).select_from(placed)
_PLACE = insert(placed)


def _order(row: Any, ctx: Context) -> OrderView:
    total = Money(minor=row["total"])
    return OrderView(
        id=OrderId(row["number"]),
        number=row["number"],
        customer_id=CustomerId(row["customer_id"]),
        brand="fashion",
        state=row["state"],
        version=1,
        lines=(),
        subtotal=total - DELIVERY,
        delivery=Delivery(method="delivery", price=DELIVERY),
        total=total,
        payment_link="http://shop.test/pay/abc",
        created_at=ctx.now(),
        updated_at=ctx.now(),
    )


@orders.tool(PlaceOrder, steps=True)
async def place(call: PlaceOrder, ctx: Context) -> OrderView:
    seen = await ctx.call(GetCart())
    if not seen.lines or seen.version != call.cart_version:
        raise Conflict("the cart is empty or has changed", version=seen.version)

    async def write(tx: Context) -> dict[str, Any]:
        await tx.fence(tx.principal.conversation_id or "", tx.principal.lease_token)
        count = await tx.db.first(_COUNT)
        row = {
            "number": f"AS-AAAA{2 + (count['n'] if count else 0)}A",
            "customer_id": tx.principal.customer_id,
            "total": (seen.subtotal + DELIVERY).minor,
            "state": "reserved",
        }
        await tx.db.run(_PLACE, row)
        return row

    return _order(await ctx.write("place", write), ctx)


@orders.tool(ListMyOrders)
async def mine(call: ListMyOrders, ctx: Context) -> tuple[OrderView, ...]:
    rows = await ctx.db.all(_ORDERS, {"p_customer": ctx.principal.customer_id})
    return tuple(_order(row, ctx) for row in rows[: call.limit])


@orders.tool(GetMyOrder)
async def status(call: GetMyOrder, ctx: Context) -> OrderView:
    for row in await ctx.db.all(_ORDERS, {"p_customer": ctx.principal.customer_id}):
        if call.number in (None, row["number"]):
            return _order(row, ctx)
    raise NotFound("there is no such order")


@orders.tool(CancelOrder)
async def cancel(call: CancelOrder, ctx: Context) -> OrderView:
    raise Conflict("the order is on its way already")


@fulfillment.tool(QuoteDelivery)
async def quote(call: QuoteDelivery, ctx: Context) -> DeliveryQuote:
    first = date(2026, 1, 8)
    option = DeliveryOption(
        service="economico", name="Econômico", carrier="Correios", price=DELIVERY, days_min=3, days_max=5,
        earliest=first, latest=first + timedelta(days=4),
    )  # fmt: skip
    at_the_store = PickupOption(location=STORE, ready_in_hours=2, complete=True)
    return DeliveryQuote(cep=call.cep, options=(option,), pickup=(at_the_store,))


@fulfillment.tool(ListPickup)
async def pickup(call: ListPickup, ctx: Context) -> tuple[PickupOption, ...]:
    return (PickupOption(location=STORE, ready_in_hours=2, complete=True),)


@payments.tool(GetPendingPayment)
async def pending(call: GetPendingPayment, ctx: Context) -> PaymentView | None:
    return None


@payments.tool(SubmitTestCard)
async def submit(call: SubmitTestCard, ctx: Context) -> PaymentView:
    raise Conflict("nothing is open to be paid")


# --- conversations ---------------------------------------------------------------------------------------------------


@conversations.tool(GetHistory)
async def history(call: GetHistory, ctx: Context) -> tuple[HistoryLine, ...]:
    return (HistoryLine(role="seller", text="Oi! Sou a Luna.", at=ctx.now()),)


@conversations.tool(GetProfile)
async def profile(call: GetProfile, ctx: Context) -> Profile:
    return Profile(customer_id=CustomerId(ctx.principal.customer_id or ""))


@conversations.tool(Remember)
async def remember(call: Remember, ctx: Context) -> Profile:
    return Profile(customer_id=CustomerId(ctx.principal.customer_id or ""), name=call.name, address=call.address)


class FixedDirectory:
    """One brand, Luna's."""

    LUNA = Brand(
        id="fashion",
        name="Moda",
        seller="Luna",
        prompt="You are Luna.",
        greeting={"pt": "Oi! Eu sou a Luna.", "en": "Hi! I'm Luna.", "es": "¡Hola! Soy Luna."},
    )

    def brands(self) -> tuple[Brand, ...]:
        return (self.LUNA,)

    def brand(self, brand_id: str) -> Brand | None:
        return self.LUNA if brand_id == "fashion" else None

    def by_number(self, phone_number_id: str) -> Brand | None:
        return None

    def is_known(self, phone_number_id: str) -> bool:
        return False

    def house_prompt(self) -> str:
        return "House rules. Search with catalog.search."

    @property
    def shared(self) -> SharedNumber:
        return SharedNumber()


def turn_of(
    text: str,
    clock: ManualClock,
    *,
    number: int = 1,
    token: int | None = None,
    payload: str | None = None,
    language: str = "pt",
    customer: str = "c1",
    conversation: str = "k1",
) -> ChatMessageNew:
    """A customer's turn as `conversations` grants it; the token grows with the turn."""
    return ChatMessageNew(
        conversation_id=ConversationId(conversation),
        customer_id=CustomerId(customer),
        number=number,
        lease_token=number if token is None else token,
        lease_until=clock.now() + timedelta(minutes=2),
        messages=(ChatLine(message_id=f"m{number}", kind="text", text=text, payload=payload, at=clock.now()),),
        brand="fashion",
        channel="whatsapp",
        language=language,  # type: ignore[arg-type]
    )
