"""Gift wrapping: what it offers, what it listens to."""

from __future__ import annotations

from datetime import timedelta

from agent_store.contracts.cart import GetCart
from agent_store.contracts.orders import OrderCancelled, OrderConfirmed
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, Forbidden
from agent_store.kernel.money import Money
from gift_wrapping.contract import ChooseWrapping, GetWrappings, ListToWrap, ToWrap, Wrapping, Wrappings
from gift_wrapping.repository import NOTHING, Choices
from gift_wrapping.tables import metadata

gift_wrapping = Agent("gift-wrapping", tables=metadata)

PRICES = {"standard": Money.parse(50), "premium": Money.parse(150), NOTHING: Money.zero()}
TITLES = {
    "pt": {"standard": "Embrulho simples", "premium": "Embrulho premium", NOTHING: "Sem embrulho"},
    "en": {"standard": "Standard wrapping", "premium": "Premium wrapping", NOTHING: "No wrapping"},
    "es": {"standard": "Envoltorio simple", "premium": "Envoltorio premium", NOTHING: "Sin envoltorio"},
}
KEPT = timedelta(days=1)
"""How long a choice waits for its order: nobody is to be charged for a wish of last month."""


@gift_wrapping.tool(GetWrappings)
async def options(_: GetWrappings, ctx: Context) -> Wrappings:
    cart = await ctx.call(GetCart())
    if not cart.lines:
        return Wrappings(available=False)
    chosen = await ctx.get(Choices).of(_customer(ctx))
    style = chosen["style"] if chosen is not None and ctx.now() - chosen["at"] < KEPT else NOTHING
    offered = [one for one in PRICES if one != NOTHING or style != NOTHING]
    return Wrappings(
        available=True,
        items=tuple(line.title for line in cart.lines),
        options=tuple(_wrapping(ctx, one) for one in offered),
        chosen=style if style != NOTHING else None,
    )


@gift_wrapping.tool(ChooseWrapping, steps=True)
async def choose(call: ChooseWrapping, ctx: Context) -> Wrapping:
    # Another agent's tool is asked outside of a transaction; what is changed, is changed in one, and once.
    customer, cart = _customer(ctx), await ctx.call(GetCart())
    if not cart.lines and call.style != NOTHING:
        raise Conflict("the cart is empty: the customer must choose a gift first")

    async def keep(tx: Context) -> None:
        if tx.principal.conversation_id is not None:
            await tx.fence(tx.principal.conversation_id, tx.principal.lease_token)
        await tx.get(Choices).put(customer, call.style, PRICES[call.style], tx.now())

    await ctx.write("keep", keep)
    return _wrapping(ctx, call.style)


@gift_wrapping.on(OrderConfirmed)
async def take_along(event: OrderConfirmed, ctx: Context) -> None:
    """The cart's choice becomes the order's."""
    choices = ctx.get(Choices)
    chosen = await choices.of(event.customer_id)
    if chosen is None or chosen["style"] == NOTHING or ctx.now() - chosen["at"] >= KEPT:
        return
    if await choices.of(event.customer_id, event.order_id) is not None:
        return  # it was cancelled before this was heard: events may come in any order
    price = Money(minor=chosen["price_minor"], currency=chosen["currency"])
    await choices.put(
        event.customer_id, chosen["style"], price, ctx.now(), order_id=event.order_id, number=event.order.number
    )
    await choices.put(event.customer_id, NOTHING, PRICES[NOTHING], ctx.now())


@gift_wrapping.on(OrderCancelled)
async def drop(event: OrderCancelled, ctx: Context) -> None:
    """Nothing is to be wrapped for this order, now or when its confirmation comes late."""
    choices = ctx.get(Choices)
    if await choices.of(event.customer_id) is not None:
        await choices.put(
            event.customer_id, NOTHING, PRICES[NOTHING], ctx.now(), order_id=event.order_id, number=event.order.number
        )


@gift_wrapping.tool(ListToWrap)
async def to_wrap(_: ListToWrap, ctx: Context) -> tuple[ToWrap, ...]:
    return tuple(
        ToWrap(
            order_number=row["order_number"],
            style=row["style"],
            price=Money(minor=row["price_minor"], currency=row["currency"]),
        )
        for row in await ctx.get(Choices).ordered()
    )


def _customer(ctx: Context) -> str:
    customer = ctx.principal.customer_id
    if customer is None:
        raise Forbidden("a cart belongs to a customer: say on whose behalf this is asked")
    return customer


def _wrapping(ctx: Context, style: str) -> Wrapping:
    titles = TITLES.get(ctx.principal.language, TITLES["pt"])
    return Wrapping.model_validate({"id": style, "title": titles[style], "price": PRICES[style]})
