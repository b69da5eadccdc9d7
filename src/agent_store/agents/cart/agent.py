"""One cart a customer, over brands and channels."""

from __future__ import annotations

from agent_store.agents.cart import service
from agent_store.agents.cart.tables import metadata
from agent_store.contracts.cart import (
    AddToCart,
    CartOrdered,
    CartView,
    ClearCart,
    GetCart,
    GetCartOf,
    RemoveFromCart,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

cart = Agent("cart", tables=metadata)


@cart.tool(GetCart)
async def view(_: GetCart, ctx: Context) -> CartView:
    return await service.view(ctx, service.customer_of(ctx))


@cart.tool(GetCartOf)
async def of_customer(call: GetCartOf, ctx: Context) -> CartView:
    return await service.view(ctx, call.customer_id)


@cart.tool(AddToCart, steps=True)
async def add(call: AddToCart, ctx: Context) -> CartView:
    return await service.add(ctx, call)


@cart.tool(RemoveFromCart, steps=True)
async def remove(call: RemoveFromCart, ctx: Context) -> CartView:
    return await service.remove(ctx, call)


@cart.tool(ClearCart)
async def clear(_: ClearCart, ctx: Context) -> CartView:
    return await service.clear(ctx)


@cart.on(CartOrdered)
async def take_ordered(event: CartOrdered, ctx: Context) -> None:
    await service.take_ordered(ctx, event)
