"""What became of a send: statuses in any order, outcomes nobody knows, statuses that belong to no send (yet)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from agent_store.agents.whatsapp.model import StatusUpdate, StatusWord, advances
from agent_store.agents.whatsapp.repository import Send, Sends, Strays
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import UncertainSend, WhatsAppStatus
from agent_store.kernel.context import Context
from agent_store.kernel.metrics import Metrics

KEEP_STRAYS = timedelta(days=7)
"""How long a status that belongs to no known send is kept."""
_STRAYS_AT_ONCE = 500


async def record_status(ctx: Context, status: StatusUpdate, now: datetime) -> None:
    sends = ctx.get(Sends)
    send = await sends.get(status.send_id) if status.send_id else None
    if send is None and status.wamid:
        send = await sends.by_wamid(status.wamid)
    at = status.at or now
    if send is not None:
        await advance(ctx, send, status.status, status.wamid, at, status.error_code, status.error)
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
        await advance(tx, send, stray["status"], None, stray["at"], stray["error_code"], stray["error"])


async def tidy_strays(ctx: Context) -> None:
    """A status and its send's outcome that were written by two processes at the same moment did not see each other:
    they are brought together here. What nobody has claimed for long is forgotten."""
    sends, strays = ctx.get(Sends), ctx.get(Strays)
    for wamid in await strays.claimed(_STRAYS_AT_ONCE):
        send = await sends.by_wamid(wamid)
        if send is not None:
            await take_strays(ctx, send, wamid)
    await strays.forget(ctx.now() - KEEP_STRAYS)
