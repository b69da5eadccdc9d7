"""What the gateway does: record a delivery, send a message, follow its statuses."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent_store.agents.whatsapp import outbound
from agent_store.agents.whatsapp.model import Delivery, Inbound, StatusUpdate, StatusWord, advances
from agent_store.agents.whatsapp.ports import SendInDoubt, WhatsAppApi, WhatsAppSettings
from agent_store.agents.whatsapp.repository import Messages, Send, Sends, Strays
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import (
    UncertainSend,
    WhatsAppMessageReceived,
    WhatsAppMessageSend,
    WhatsAppSendDoubtful,
    WhatsAppStatus,
)
from agent_store.kernel.context import Context
from agent_store.kernel.errors import InvalidInput, PermanentError, TemporaryError
from agent_store.kernel.metrics import Metrics

KEEP_STRAYS = timedelta(days=7)
"""How long a status that belongs to no known send is kept."""
_STRAYS_AT_ONCE = 500


# --- in --------------------------------------------------------------------------------------------------------------


async def record(ctx: Context, delivery: Delivery) -> None:
    """Store a delivery and tell what is new in it; called with a transaction open, all or nothing."""
    now = ctx.now()
    directory = ctx.use(Directory)
    if delivery.messages:
        store = ctx.get(Messages)
        for message in delivery.messages:
            await _record_message(ctx, store, directory, message, now)
    for status in delivery.statuses:
        await _record_status(ctx, status, now)
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


async def _record_status(ctx: Context, status: StatusUpdate, now: datetime) -> None:
    sends = ctx.get(Sends)
    send = await sends.get(status.send_id) if status.send_id else None
    if send is None and status.wamid:
        send = await sends.by_wamid(status.wamid)
    at = status.at or now
    if send is not None:
        await _advance(ctx, send, status.status, status.wamid, at, status.error_code, status.error)
    elif status.wamid:
        await ctx.get(Strays).keep(status.wamid, status, at=at, now=now)


async def _advance(
    ctx: Context,
    send: Send,
    to: StatusWord,
    wamid: str | None,
    at: datetime,
    error_code: int | None = None,
    error: str | None = None,
) -> None:
    """Take a send forward and tell it; news of the past changes nothing but a wamid that was not known."""
    forward = advances(send.state, to)
    if not forward and (wamid is None or send.wamid is not None):
        return
    send.wamid = send.wamid or wamid
    if forward:
        send.state = to
        send.error_code, send.error = error_code, error
    await ctx.get(Sends).save(send, ctx.now())
    if forward:
        _tell(ctx, send, to, at)


def _tell(ctx: Context, send: Send, status: Literal["sent", "delivered", "read", "failed", "uncertain"],
          at: datetime) -> None:  # fmt: skip
    brand = ctx.use(Directory).by_number(send.phone_number_id)
    ctx.emit(
        WhatsAppStatus(
            send_id=send.send_id,
            customer_id=send.customer_id,
            conversation_id=send.conversation_id,
            wamid=send.wamid,
            status=status,
            error_code=send.error_code,
            error=send.error,
            at=at,
        ),
        brand=None if brand is None else brand.id,
        channel="whatsapp",
    )


# --- out -------------------------------------------------------------------------------------------------------------


class Outcome(BaseModel):
    """How one attempt ended. "again": not taken, may be later; "doubt": nobody knows."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["sent", "refused", "again", "doubt"]
    wamid: str | None = None
    code: int | None = None
    reason: str = ""
    retry_after: float | None = None
    """Seconds."""


async def send(ctx: Context, command: WhatsAppMessageSend) -> None:
    """Send one message, at most once. Each attempt is marked in the table before the call: when the mark was set by
    a run that is gone and no outcome was journaled, the message may be out already and is not sent again."""
    try:
        payload = outbound.payload(command, ctx.use(WhatsAppSettings).public_url)
    except InvalidInput as error:
        await ctx.write("refuse", lambda tx, reason=error.message: _refuse(tx, command, reason))
        return
    api = ctx.use(WhatsAppApi)
    for attempt in count(1):
        marked_here = False
        asked_here = False

        async def mark(tx: Context) -> bool:
            nonlocal marked_here
            marked_here = True
            if attempt == 1:  # noqa: B023 (awaited within this turn of the loop)
                return await tx.get(Sends).add(command, "attempting", tx.now())
            return await _begin_again(tx, command.send_id)

        async def ask() -> Outcome:
            nonlocal asked_here
            asked_here = True
            if not marked_here:  # noqa: B023 (awaited within this turn of the loop)
                return Outcome(kind="doubt", reason="the gateway was stopped in the middle of the send")
            return await _ask(api, command.phone_number_id, payload)

        if not await ctx.write(f"attempt {attempt}", mark, bool):
            return  # the same command came in another event before, or a status has decided meanwhile
        outcome = await ctx.step(f"send {attempt}", ask, Outcome)
        if outcome.kind != "again":
            ctx.at_end(lambda tx, outcome=outcome: _settle(tx, command, outcome))
            return
        await ctx.write(f"record {attempt}", lambda tx, outcome=outcome: _settle(tx, command, outcome))
        if asked_here:
            wait = None if outcome.retry_after is None else timedelta(seconds=outcome.retry_after)
            raise TemporaryError(outcome.reason, retry_after=wait)


async def _refuse(tx: Context, command: WhatsAppMessageSend, reason: str) -> None:
    """A message over WhatsApp's limits: it is not even asked for."""
    if await tx.get(Sends).add(command, "queued", tx.now()):
        await _settle(tx, command, Outcome(kind="refused", reason=reason))


async def _begin_again(tx: Context, send_id: str) -> bool:
    sends = tx.get(Sends)
    row = await sends.get(send_id)
    if row is None or row.state != "queued":
        return False
    row.state = "attempting"
    row.attempts += 1
    row.attempted_at = tx.now()
    await sends.save(row, tx.now())
    return True


async def _ask(api: WhatsAppApi, phone_number_id: str, payload: outbound.Payload) -> Outcome:
    try:
        return Outcome(kind="sent", wamid=await api.send(phone_number_id, payload))
    except TemporaryError as error:
        seconds = None if error.retry_after is None else error.retry_after.total_seconds()
        return Outcome(kind="again", reason=error.message, retry_after=seconds)
    except SendInDoubt as error:
        return Outcome(kind="doubt", reason=error.message)
    except PermanentError as error:
        code = error.details.get("platform_code")
        return Outcome(kind="refused", reason=error.message, code=code if isinstance(code, int) else None)


async def _settle(tx: Context, command: WhatsAppMessageSend, outcome: Outcome) -> None:
    """Write down how an attempt ended; a status that was faster keeps its word."""
    sends = tx.get(Sends)
    row = await sends.get(command.send_id)
    if row is None:
        return
    now = tx.now()
    match outcome.kind:
        case "sent":
            await _advance(tx, row, "sent", outcome.wamid, now)
            if outcome.wamid:
                await _take_strays(tx, row, outcome.wamid)
        case "refused":
            tx.log.error("whatsapp.send.refused", send_id=row.send_id, code=outcome.code, reason=outcome.reason)
            await _advance(tx, row, "failed", None, now, outcome.code, outcome.reason)
        case "again":
            if row.state == "attempting":
                row.state, row.error = "queued", outcome.reason
                await sends.save(row, now)
        case "doubt":
            if row.state == "attempting":
                row.state, row.error = "doubtful", outcome.reason
                await sends.save(row, now)
                due = now + tx.use(WhatsAppSettings).doubt_wait
                tx.log.warning("whatsapp.send.doubtful", send_id=row.send_id, reason=outcome.reason)
                tx.emit(WhatsAppSendDoubtful(send_id=row.send_id, customer_id=row.customer_id), at=due)


async def give_up(ctx: Context, send_id: str) -> None:
    """The status of a doubtful send did not come in time: it stays uncertain, counted and told, never repeated."""
    sends = ctx.get(Sends)
    row = await sends.get(send_id)
    if row is None or row.state != "doubtful":
        return
    row.state = "uncertain"
    await sends.save(row, ctx.now())
    ctx.use(Metrics).count("uncertain_send")
    ctx.log.error("whatsapp.send.uncertain", send_id=send_id, reason=row.error)
    _tell(ctx, row, "uncertain", ctx.now())


async def uncertain(ctx: Context, limit: int) -> tuple[UncertainSend, ...]:
    return await ctx.get(Sends).uncertain(limit)


async def _take_strays(tx: Context, send: Send, wamid: str) -> None:
    """Statuses that came before it was known whose they are."""
    for stray in await tx.get(Strays).take(wamid):
        await _advance(tx, send, stray["status"], None, stray["at"], stray["error_code"], stray["error"])


async def tidy_strays(ctx: Context) -> None:
    """A status and its send's outcome that were written by two processes at the same moment did not see each other:
    they are brought together here. What nobody has claimed for long is forgotten."""
    sends, strays = ctx.get(Sends), ctx.get(Strays)
    for wamid in await strays.claimed(_STRAYS_AT_ONCE):
        send = await sends.by_wamid(wamid)
        if send is not None:
            await _take_strays(ctx, send, wamid)
    await strays.forget(ctx.now() - KEEP_STRAYS)
