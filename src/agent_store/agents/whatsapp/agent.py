"""The WhatsApp Business gateway: webhooks in (`api.py`), sends out, statuses followed."""

from __future__ import annotations

from datetime import timedelta

from agent_store.agents.whatsapp import following, sending
from agent_store.agents.whatsapp.tables import metadata
from agent_store.contracts.whatsapp import (
    GetUncertainSends,
    UncertainSend,
    WhatsAppMessageSend,
    WhatsAppSendDoubtful,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

ORDER_WAIT = timedelta(minutes=2)
"""How long a message waits for the one before it. Numbers have no gaps, so it comes: at the latest when a dead process's
work has been taken over and what it left has been published or, lost on its way, handed on again by the steward."""

whatsapp = Agent("whatsapp", tables=metadata)


# A platform that is away for long must not cost a message, so there are many attempts; a customer's messages keep
# their order, so a later one waits for an earlier one.
@whatsapp.process(WhatsAppMessageSend, ordered=True, order_wait=ORDER_WAIT, attempts=40, backoff=timedelta(seconds=1))
async def send(event: WhatsAppMessageSend, ctx: Context) -> None:
    await sending.send(ctx, event)


@whatsapp.on(WhatsAppSendDoubtful)
async def give_up(event: WhatsAppSendDoubtful, ctx: Context) -> None:
    await following.give_up(ctx, event.send_id)


@whatsapp.every(timedelta(minutes=10))
async def tidy_strays(ctx: Context) -> None:
    await following.tidy_strays(ctx)


@whatsapp.tool(GetUncertainSends)
async def uncertain(call: GetUncertainSends, ctx: Context) -> tuple[UncertainSend, ...]:
    return await following.uncertain(ctx, call.limit)
