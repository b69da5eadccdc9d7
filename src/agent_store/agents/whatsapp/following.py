"""What became of a send: statuses in any order, outcomes nobody knows, statuses that belong to no send (yet)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from agent_store.agents.whatsapp import codes, health
from agent_store.agents.whatsapp.model import StatusUpdate, StatusWord, advances
from agent_store.agents.whatsapp.repository import OptOuts, Send, Sends, Strays
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import Pricing, UncertainSend, WhatsAppStatus, WhatsAppTemplateDue
from agent_store.kernel.context import Context
from agent_store.kernel.ids import CustomerId
from agent_store.kernel.metrics import Metrics

KEEP_STRAYS = timedelta(days=7)
"""How long a status that belongs to no known send is kept."""
KEEP_FALLBACKS = timedelta(days=8)
"""How long a template stands by for a message that was taken or waits; nothing waits longer."""
_STRAYS_AT_ONCE = 500


async def record_status(ctx: Context, status: StatusUpdate, now: datetime) -> None:
    sends = ctx.get(Sends)
    send = await sends.get(status.send_id) if status.send_id else None
    if send is None and status.wamid:
        send = await sends.by_wamid(status.wamid)
    at = status.at or now
    if send is not None:
        await advance(
            ctx, send, status.status, status.wamid, at, status.error_code, status.error, status.pricing, by_status=True
        )
    elif status.wamid:
        await ctx.get(Strays).keep(status.wamid, status, at=at, now=now)


async def advance(
    ctx: Context,
    send: Send,
    to: StatusWord,
    wamid: str | None,
    at: datetime,
    error_code: int | None = None,
    error: str | None = None,
    pricing: Pricing | None = None,
    *,
    by_status: bool = False,
) -> None:
    """Take a send forward and tell it; news of the past changes nothing but a wamid and a price that were not known."""
    if by_status and _replaced(send, wamid):
        return
    if by_status and to == "failed" and error_code == codes.REENGAGEMENT and await _as_template(ctx, send, wamid):
        return
    forward = advances(send.state, to)
    if not forward and not (wamid is not None and send.wamid is None) and not (pricing and send.pricing is None):
        return
    if wamid is not None and (forward or send.wamid is None):
        send.wamid = wamid
    if pricing is not None:
        send.pricing = pricing.model_dump(mode="json")
    if forward:
        send.state = to
        send.error_code, send.error = error_code, error
        if to != "sent":
            send.fallback = None
    await ctx.get(Sends).save(send, ctx.now())
    if not forward:
        return
    if to == "failed" and by_status:
        await _failed_later(ctx, send)
    _tell(ctx, send, to, at)


def _replaced(send: Send, wamid: str | None) -> bool:
    """A status of the message in whose place the template goes out: what became of that is known."""
    waits = send.as_template and send.fallback is not None and send.state in ("queued", "attempting", "doubtful")
    return waits and wamid is not None and wamid == send.wamid


async def _as_template(ctx: Context, send: Send, wamid: str | None) -> bool:
    """The platform took a message and says afterwards that the window is closed: its template goes out in its place, once.

    False when there is none.
    """
    if send.as_template:
        return wamid is not None and wamid != send.wamid  # of the message before the template, once more
    if send.fallback is None or not advances(send.state, "failed"):
        return False
    send.state, send.as_template, send.wamid = "queued", True, wamid or send.wamid
    send.error_code, send.error = codes.REENGAGEMENT, "the platform says that the customer's window is closed"
    await ctx.get(Sends).save(send, ctx.now())
    ctx.log.info("whatsapp.send.as_template", send_id=send.send_id)
    ctx.emit(WhatsAppTemplateDue(send_id=send.send_id, customer_id=send.customer_id))
    return True


async def _failed_later(ctx: Context, send: Send) -> None:
    """The platform took it, and has not brought it."""
    code, reason = send.error_code, send.error or ""
    ctx.log.error("whatsapp.send.failed", send_id=send.send_id, code=code, reason=reason, purpose=send.purpose)
    ctx.use(Metrics).count("whatsapp_sends_failed", reason=str(code or "undelivered"))
    await health.complain(ctx, send.phone_number_id, code, codes.rule_of(code, passing=False), reason, None)
    if code == codes.STOPPED_MARKETING:
        await ctx.get(OptOuts).put(send.customer_id, ctx.now(), stopped=True)


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
            purpose=send.purpose,
            as_template=send.as_template,
            pricing=None if send.pricing is None else Pricing.model_validate(send.pricing),
            at=at,
        ),
        brand=None if brand is None else brand.id,
        channel="whatsapp",
    )


async def opt_out(ctx: Context, customer_id: CustomerId, at: datetime, *, stopped: bool) -> None:
    await ctx.get(OptOuts).put(customer_id, at, stopped=stopped)


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


async def take_strays(tx: Context, send: Send, wamid: str) -> None:
    """Statuses that came before it was known whose they are."""
    for stray in await tx.get(Strays).take(wamid):
        pricing = None if stray["pricing"] is None else Pricing.model_validate(stray["pricing"])
        await advance(
            tx, send, stray["status"], None, stray["at"], stray["error_code"], stray["error"], pricing, by_status=True
        )


async def tidy_strays(ctx: Context) -> None:
    """A status and its send's outcome that were written by two processes at the same moment did not see each other:
    they are brought together here. What nobody has claimed for long is forgotten."""
    sends, strays = ctx.get(Sends), ctx.get(Strays)
    for wamid in await strays.claimed(_STRAYS_AT_ONCE):
        send = await sends.by_wamid(wamid)
        if send is not None:
            await take_strays(ctx, send, wamid)
    await strays.forget(ctx.now() - KEEP_STRAYS)
    await sends.forget_fallbacks(ctx.now() - KEEP_FALLBACKS)
