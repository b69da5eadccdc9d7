"""Fulfillment: quotes a delivery, and says where an order can be fetched. It keeps nothing yet."""

from __future__ import annotations

from agent_store.agents.fulfillment import service
from agent_store.contracts.fulfillment import DeliveryQuote, ListPickup, PickupOption, QuoteDelivery
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

fulfillment = Agent("fulfillment")


@fulfillment.tool(QuoteDelivery)
async def quote(call: QuoteDelivery, ctx: Context) -> DeliveryQuote:
    return await service.quote(ctx, call)


@fulfillment.tool(ListPickup)
async def pickup(call: ListPickup, ctx: Context) -> tuple[PickupOption, ...]:
    return await service.pickup(ctx, call)
