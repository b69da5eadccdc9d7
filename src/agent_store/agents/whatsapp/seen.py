"""The customer sees that their message was read, and that somebody is typing: a courtesy, tried once."""

from __future__ import annotations

import asyncio

from agent_store.agents.whatsapp import codes, outbound
from agent_store.agents.whatsapp.ports import WhatsAppApi
from agent_store.agents.whatsapp.repository import News
from agent_store.contracts.whatsapp import WhatsAppSeen
from agent_store.kernel.context import Context
from agent_store.kernel.errors import StoreError
from agent_store.kernel.metrics import Metrics

LONGEST = 3.0
"""Seconds: an answer that takes longer is not waited for."""


async def show(ctx: Context, seen: WhatsAppSeen) -> None:
    """Never fails: what comes of it, nobody acts on."""
    if ctx.now() >= seen.until:
        ctx.use(Metrics).count("whatsapp_seen", outcome="late")
        return
    token = await ctx.get(News).of("token", seen.phone_number_id)
    if token is not None and token.state in codes.OURS:
        ctx.use(Metrics).count("whatsapp_seen", outcome="held")
        return
    try:
        async with asyncio.timeout(LONGEST):
            await ctx.use(WhatsAppApi).show_seen(seen.phone_number_id, outbound.seen(seen.wamid, typing=seen.typing))
    except (StoreError, TimeoutError) as error:
        ctx.log.debug("whatsapp.seen.failed", wamid=seen.wamid, error=str(error))
        ctx.use(Metrics).count("whatsapp_seen", outcome="failed")
    else:
        ctx.use(Metrics).count("whatsapp_seen", outcome="ok")
