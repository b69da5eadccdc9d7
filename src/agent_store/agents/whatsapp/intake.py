"""A delivery comes in: stored, and what is new in it told."""

from __future__ import annotations

from datetime import datetime

from agent_store.agents.whatsapp.following import record_status
from agent_store.agents.whatsapp.model import Delivery, Inbound
from agent_store.agents.whatsapp.repository import Messages
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import WhatsAppMessageReceived
from agent_store.kernel.context import Context
from agent_store.kernel.metrics import Metrics


async def record(ctx: Context, delivery: Delivery) -> None:
    """Store a delivery and tell what is new in it; called with a transaction open, all or nothing."""
    now = ctx.now()
    directory = ctx.use(Directory)
    if delivery.messages:
        store = ctx.get(Messages)
        for message in delivery.messages:
            await _record_message(ctx, store, directory, message, now)
    for status in delivery.statuses:
        await record_status(ctx, status, now)
    for complaint in delivery.complaints:
        ctx.log.warning(
            "whatsapp.complaint", phone_number_id=complaint.phone_number_id, code=complaint.code, text=complaint.text
        )
    if delivery.oddities or delivery.other_fields:
        ctx.use(Metrics).count("whatsapp_oddities", delivery.oddities)
        ctx.log.info("whatsapp.delivery.unread", oddities=delivery.oddities, fields=delivery.other_fields[:20])


async def _record_message(ctx: Context, store: Messages, directory: Directory, message: Inbound, now: datetime) -> None:
    sent_at = message.sent_at or now
    if not await store.add(message, sent_at=sent_at, received_at=now):
        return
    if not message.sender or not message.phone_number_id:
        # Stored, but there is nobody to answer, or no number to answer from.
        ctx.log.warning("whatsapp.message.unaddressed", wamid=message.wamid, kind=message.kind)
        return
    if message.kind == "unsupported":
        ctx.log.info("whatsapp.message.unsupported", wamid=message.wamid, type=message.content.unsupported_type)
    brand = directory.by_number(message.phone_number_id)
    ctx.emit(
        WhatsAppMessageReceived(
            wamid=message.wamid,
            phone_number_id=message.phone_number_id,
            sender=message.sender,
            wa_id=message.wa_id,
            user_id=message.user_id,
            profile_name=message.profile_name,
            kind=message.kind,
            content=message.content,
            context_wamid=message.context_wamid,
            sent_at=sent_at,
            hasty=message.hasty,
        ),
        brand=None if brand is None else brand.id,
        channel="whatsapp",
    )
