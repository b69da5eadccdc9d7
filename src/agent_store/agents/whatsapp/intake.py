"""A delivery comes in: stored, and what is new in it told."""

from __future__ import annotations

from datetime import datetime

from agent_store.agents.whatsapp.following import record_status
from agent_store.agents.whatsapp.model import AccountNews, Delivery, IdentityChange, Inbound, MarketingChoice, Revision
from agent_store.agents.whatsapp.reading import read_again
from agent_store.agents.whatsapp.repository import Messages, News
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import (
    InboundContent,
    WhatsAppAccountUpdated,
    WhatsAppIdentityChanged,
    WhatsAppMarketingChosen,
    WhatsAppMediaDue,
    WhatsAppMessageDeleted,
    WhatsAppMessageEdited,
    WhatsAppMessageReceived,
)
from agent_store.kernel.context import Context
from agent_store.kernel.event import Event
from agent_store.kernel.metrics import Metrics


async def record(ctx: Context, delivery: Delivery) -> None:
    """Store a delivery and tell what is new in it; called with a transaction open, all or nothing."""
    now = ctx.now()
    directory = ctx.use(Directory)
    if delivery.messages:
        store = ctx.get(Messages)
        for message in delivery.messages:
            await _record_message(ctx, store, directory, message, now)
    for revision in delivery.revisions:
        await _record_revision(ctx, directory, revision, now)
    for change in delivery.identities:
        _tell_identity(ctx, directory, change, now)
    for choice in delivery.choices:
        _tell_choice(ctx, directory, choice, now)
    for status in delivery.statuses:
        await record_status(ctx, status, now)
    for news in delivery.news:
        await _record_news(ctx, directory, news, now)
    for complaint in delivery.complaints:
        ctx.log.warning(
            "whatsapp.complaint", phone_number_id=complaint.phone_number_id, code=complaint.code, text=complaint.text
        )
    if delivery.oddities or delivery.other_fields:
        ctx.use(Metrics).count("whatsapp_oddities", delivery.oddities)
        ctx.log.info("whatsapp.delivery.unread", oddities=delivery.oddities, fields=delivery.other_fields[:20])


async def _record_message(ctx: Context, store: Messages, directory: Directory, message: Inbound, now: datetime) -> None:
    sent_at = message.sent_at or now
    edited = None
    if not await store.add(message, sent_at=sent_at, received_at=now):
        fate = await store.claim(message, sent_at=sent_at, received_at=now)
        if fate is None or fate.deleted:
            return  # told before, or taken back before anybody read it
        edited = fate.edited
    if not message.sender or not message.phone_number_id:
        # Stored, but there is nobody to answer, or no number to answer from.
        ctx.log.warning("whatsapp.message.unaddressed", wamid=message.wamid, kind=message.kind)
        return
    if message.kind == "unsupported":
        ctx.log.info("whatsapp.message.unsupported", wamid=message.wamid, type=message.content.unsupported_type)
    medium = message.content.media
    _emit(
        ctx,
        directory,
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
            fetching=medium is not None,
        ),
        message.phone_number_id,
    )
    if medium is not None:
        due = WhatsAppMediaDue(
            wamid=message.wamid,
            phone_number_id=message.phone_number_id,
            sender=message.sender,
            kind=message.kind,
            media=medium,
        )
        _emit(ctx, directory, due, message.phone_number_id)
    if message.identity is not None:
        _tell_identity(ctx, directory, message.identity, now)
    if edited is not None:
        _tell_early_edit(ctx, directory, message, edited, now)


# --- changed, taken back ---------------------------------------------------------------------------------------------


async def _record_revision(ctx: Context, directory: Directory, revision: Revision, now: datetime) -> None:
    at = revision.at or now
    store = ctx.get(Messages)
    if revision.content is None:
        if await store.delete(revision, at=at, received_at=now) and _is_addressed(ctx, revision):
            _tell_deleted(ctx, directory, revision, at)
        return
    fate = await store.edit(revision, at=at, received_at=now)
    if fate is None or not _is_addressed(ctx, revision):
        return
    if fate.seen:
        _tell_edited(ctx, directory, revision, revision.content, at)
    else:
        ctx.log.info("whatsapp.edit.early", wamid=revision.wamid)  # told when what it changes has come


def _is_addressed(ctx: Context, revision: Revision) -> bool:
    if revision.sender and revision.phone_number_id:
        return True
    ctx.log.warning("whatsapp.revision.unaddressed", wamid=revision.wamid)
    return False


def _tell_early_edit(ctx: Context, directory: Directory, message: Inbound, edited: str, now: datetime) -> None:
    """The edit of a message came before it: told after it, of the same customer."""
    revision = read_again(edited, message.phone_number_id)
    if revision.content is not None:
        revision.sender, revision.wa_id, revision.user_id = message.sender, message.wa_id, message.user_id
        _tell_edited(ctx, directory, revision, revision.content, revision.at or now)


def _tell_edited(ctx: Context, directory: Directory, revision: Revision, content: InboundContent, at: datetime) -> None:
    event = WhatsAppMessageEdited(
        wamid=revision.wamid,
        edit_wamid=revision.revision_wamid,
        phone_number_id=revision.phone_number_id,
        sender=revision.sender,
        wa_id=revision.wa_id,
        user_id=revision.user_id,
        content=content,
        at=at,
    )
    _emit(ctx, directory, event, revision.phone_number_id)


def _tell_deleted(ctx: Context, directory: Directory, revision: Revision, at: datetime) -> None:
    event = WhatsAppMessageDeleted(
        wamid=revision.wamid,
        phone_number_id=revision.phone_number_id,
        sender=revision.sender,
        wa_id=revision.wa_id,
        user_id=revision.user_id,
        at=at,
    )
    _emit(ctx, directory, event, revision.phone_number_id)


# --- people, the account ---------------------------------------------------------------------------------------------


def _tell_identity(ctx: Context, directory: Directory, change: IdentityChange, now: datetime) -> None:
    """Telling it twice does no harm: whoever hears it finds the customer changed already."""
    event = WhatsAppIdentityChanged(
        sender=change.before_wa_id or change.before_user_id or "",
        phone_number_id=change.phone_number_id,
        wa_id=change.wa_id,
        user_id=change.user_id,
        before_wa_id=change.before_wa_id,
        before_user_id=change.before_user_id,
        at=change.at or now,
    )
    _emit(ctx, directory, event, change.phone_number_id)


def _tell_choice(ctx: Context, directory: Directory, choice: MarketingChoice, now: datetime) -> None:
    event = WhatsAppMarketingChosen(
        sender=choice.wa_id or choice.user_id or "",
        phone_number_id=choice.phone_number_id,
        wa_id=choice.wa_id,
        user_id=choice.user_id,
        wanted=choice.wanted,
        at=choice.at or now,
    )
    _emit(ctx, directory, event, choice.phone_number_id)


async def _record_news(ctx: Context, directory: Directory, news: AccountNews, now: datetime) -> None:
    subject = news.subject_id
    if news.is_number:
        subject = _id_of_number(directory, subject) or subject
    event = WhatsAppAccountUpdated(
        subject_id=subject,
        what=news.what,
        state=news.state,
        severity=news.severity,
        reason=news.reason,
        at=min(news.at or now, now),  # a time to come would keep all later news out
    )
    if not await ctx.get(News).put(event):
        return
    log = ctx.log.warning if news.severity == "alert" else ctx.log.info
    log("whatsapp.account.news", what=news.what, state=news.state, severity=news.severity, subject=subject)
    _emit(ctx, directory, event, subject)


def _id_of_number(directory: Directory, digits: str) -> str | None:
    """The id of the number that customers dial so, if the directory leaves no doubt."""
    windows = (*directory.brands(), directory.shared)
    found = [
        window.phone_number_ids
        for window in windows
        if "".join(char for char in window.display_phone if char.isdecimal()) == digits
    ]
    ids = {number for numbers in found for number in numbers}
    return ids.pop() if len(ids) == 1 else None


def _emit(ctx: Context, directory: Directory, event: Event, phone_number_id: str) -> None:
    brand = directory.by_number(phone_number_id)
    ctx.emit(event, brand=None if brand is None else brand.id, channel="whatsapp")
