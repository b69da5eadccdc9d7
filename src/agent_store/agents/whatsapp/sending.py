"""A message goes out: each attempt marked before the call, so that none is repeated in doubt."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent_store.agents.whatsapp import outbound
from agent_store.agents.whatsapp.following import advance, take_strays
from agent_store.agents.whatsapp.ports import SendInDoubt, WhatsAppApi, WhatsAppSettings
from agent_store.agents.whatsapp.repository import Sends
from agent_store.contracts.whatsapp import WhatsAppMessageSend, WhatsAppSendDoubtful
from agent_store.kernel.context import Context
from agent_store.kernel.errors import InvalidInput, PermanentError, TemporaryError


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
            await advance(tx, row, "sent", outcome.wamid, now)
            if outcome.wamid:
                await take_strays(tx, row, outcome.wamid)
        case "refused":
            tx.log.error("whatsapp.send.refused", send_id=row.send_id, code=outcome.code, reason=outcome.reason)
            await advance(tx, row, "failed", None, now, outcome.code, outcome.reason)
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
