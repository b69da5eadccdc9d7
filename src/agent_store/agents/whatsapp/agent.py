"""The WhatsApp Business gateway: webhooks in (`api.py`), sends out, statuses followed."""

from __future__ import annotations

from datetime import timedelta

from agent_store.agents.whatsapp import following, health, media, seen, sending, uploads
from agent_store.agents.whatsapp.tables import metadata
from agent_store.contracts.whatsapp import (
    ChannelNews,
    GetChannelHealth,
    GetMedium,
    GetUncertainSends,
    KeptMedium,
    UncertainSend,
    WhatsAppMediaDrop,
    WhatsAppMediaDue,
    WhatsAppMessageDeleted,
    WhatsAppMessageSend,
    WhatsAppOptOut,
    WhatsAppSeen,
    WhatsAppSendDoubtful,
    WhatsAppTemplateDue,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

ORDER_WAIT = timedelta(minutes=2)
"""How long a message waits for the one before it. Numbers have no gaps, so it comes: at the latest when a dead process's
work has been taken over and what it left has been published or, lost on its way, handed on again by the steward."""
SENDING = timedelta(minutes=3)
"""For one attempt with all that it takes: a picture's upload, the wait for the number's throughput, the answer."""

whatsapp = Agent("whatsapp", tables=metadata)


# What the platform does not take now, and what a limit holds back, waits without using up an attempt (`sending`); these
# attempts are for what it does not foresee. A customer's messages keep their order: a later one waits for an earlier one.
@whatsapp.process(
    WhatsAppMessageSend, ordered=True, order_wait=ORDER_WAIT, timeout=SENDING, attempts=40, backoff=timedelta(seconds=1)
)
async def send(event: WhatsAppMessageSend, ctx: Context) -> None:
    await sending.send(ctx, event)


@whatsapp.process(WhatsAppTemplateDue, timeout=SENDING, attempts=40, backoff=timedelta(seconds=1))
async def send_template(event: WhatsAppTemplateDue, ctx: Context) -> None:
    await sending.send_template(ctx, event.send_id)


@whatsapp.process(WhatsAppSeen, aside=True)
async def show_seen(event: WhatsAppSeen, ctx: Context) -> None:
    await seen.show(ctx, event)


# Aside: they must not wait behind a message that waits itself, and that they are about.
@whatsapp.on(WhatsAppOptOut, aside=True)
async def opt_out(event: WhatsAppOptOut, ctx: Context) -> None:
    await following.opt_out(ctx, event.customer_id, event.at, stopped=event.stopped)


@whatsapp.on(WhatsAppSendDoubtful, aside=True)
async def give_up(event: WhatsAppSendDoubtful, ctx: Context) -> None:
    await following.give_up(ctx, event.send_id)


@whatsapp.every(timedelta(minutes=10))
async def tidy_strays(ctx: Context) -> None:
    await following.tidy_strays(ctx)


@whatsapp.tool(GetUncertainSends)
async def uncertain(call: GetUncertainSends, ctx: Context) -> tuple[UncertainSend, ...]:
    return await following.uncertain(ctx, call.limit)


@whatsapp.tool(GetChannelHealth)
async def channel_health(call: GetChannelHealth, ctx: Context) -> tuple[ChannelNews, ...]:
    return await health.channel_health(ctx)


# --- media -----------------------------------------------------------------------------------------------------------


# What fails by itself is given up by `media`, which tells so; these attempts are for what it does not foresee.
@whatsapp.process(WhatsAppMediaDue, timeout=timedelta(minutes=5), attempts=20, backoff=timedelta(seconds=1))
async def receive_medium(event: WhatsAppMediaDue, ctx: Context) -> None:
    await media.receive(ctx, event)


@whatsapp.on(WhatsAppMessageDeleted)
async def take_back(event: WhatsAppMessageDeleted, ctx: Context) -> None:
    await media.take_back(ctx, event.wamid)


@whatsapp.process(WhatsAppMediaDrop, attempts=16, backoff=timedelta(seconds=1))
async def drop_medium(event: WhatsAppMediaDrop, ctx: Context) -> None:
    await media.drop(ctx, event)


@whatsapp.every(timedelta(minutes=10))
async def tidy_media(ctx: Context) -> None:
    await media.expire(ctx)
    await media.tell_overdue(ctx)
    await uploads.tidy(ctx)


@whatsapp.tool(GetMedium)
async def medium(call: GetMedium, ctx: Context) -> KeptMedium:
    return await media.find(ctx, call.key)
