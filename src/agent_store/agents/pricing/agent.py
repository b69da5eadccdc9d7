"""Pricing: standing prices and their floors; every change is kept with who made it and why."""

from __future__ import annotations

from agent_store.agents.pricing import service
from agent_store.agents.pricing.tables import metadata
from agent_store.contracts.catalog import ProductImported
from agent_store.contracts.pricing import GetPrices, GetQuote, PriceView, Quote, SetPrice
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

pricing = Agent("pricing", tables=metadata)


@pricing.on(ProductImported)
async def imported(event: ProductImported, ctx: Context) -> None:
    await service.take_over(ctx, event)


@pricing.tool(GetPrices)
async def prices(call: GetPrices, ctx: Context) -> tuple[PriceView, ...]:
    return await service.prices(ctx, call.skus)


@pricing.tool(GetQuote)
async def quote(call: GetQuote, ctx: Context) -> Quote:
    return await service.quote(ctx, call.lines)


@pricing.tool(SetPrice)
async def set_price(call: SetPrice, ctx: Context) -> PriceView:
    return await service.set_by_hand(ctx, call)
