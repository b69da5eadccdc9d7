"""The AI seller: one deployment a brand (`seller/fashion` …), one turn loop for every brain."""

from __future__ import annotations

from datetime import timedelta

from agent_store.agents.seller import service
from agent_store.agents.seller.tables import metadata
from agent_store.contracts.chat import ChatMessageNew
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

seller = Agent("seller", tables=metadata)


@seller.process(ChatMessageNew, timeout=timedelta(seconds=120))
async def turn(event: ChatMessageNew, ctx: Context) -> None:
    if event.addressee == "bot":
        await service.take_turn(ctx, event)
