"""A message goes out under the channel's rules: each attempt marked before the call, so that none is repeated in doubt.

Source: WhatsApp Business Platform, "Customer service windows", "Throughput", "Pair rate limits", "Error codes".
`docs/whatsapp-sending.md` tells the rules in order.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent_store.agents.whatsapp import codes, health, outbound, uploads
from agent_store.agents.whatsapp.following import advance, take_strays
from agent_store.agents.whatsapp.ports import SendInDoubt, WhatsAppApi, WhatsAppSettings
from agent_store.agents.whatsapp.repository import Gate, Gates, OptOuts, Send, Sends
from agent_store.contracts.whatsapp import MARKETING, OutContent, WhatsAppMessageSend, WhatsAppSendDoubtful
from agent_store.kernel.context import Context
from agent_store.kernel.errors import InvalidInput, Later, PermanentError, TemporaryError
from agent_store.kernel.limits import Rate, RateLimiter, allowed
from agent_store.kernel.metrics import Metrics

WINDOW = timedelta(hours=24)
MARGIN = timedelta(minutes=1)
"""So much earlier than the platform the window counts as closed: the message has a way to go, and clocks differ."""
REST = timedelta(hours=24)
"""After the platform held marketing back from a customer, none goes out to them for so long."""
AT_MOST = timedelta(days=7)
"""What could not be sent for so long has failed."""

PROBE = Rate(1, timedelta(seconds=30))
"""How often a number whose credentials are refused is tried, by whichever message comes first."""
MENDED = timedelta(minutes=1)
"""How long the other messages wait meanwhile."""
PATIENCE = 1.5
"""Seconds that a message waits for its number's throughput where it is; then it comes back later."""
_HOLD = timedelta(hours=1)
"""The longest hold that a limiter is asked about."""
_UPLOAD_AGAIN = codes.Rule("the platform takes no upload", "again", 15 * codes.SECOND)


class Outcome(BaseModel):
    """How one attempt ended. "again": not taken, may be later; "doubt": nobody knows."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["sent", "refused", "again", "doubt"]
    wamid: str | None = None
    code: int | None = None
    reason: str = ""
    retry_after: float | None = None
    """Seconds, as the platform hints."""
    why: str = ""
    """Of what is refused here, for the metric."""

    @property
    def rule(self) -> codes.Rule:
        return codes.rule_of(self.code, passing=self.kind == "again")


@dataclass(frozen=True, slots=True)
class _Way:
    """How the next attempt goes out. `attempt` counts from 1; `again` tells apart what is journaled for each payload."""

    attempt: int
    content: OutContent
    as_template: bool
    ailing: bool = False
    """Something was wrong with the number: a send that is taken ends that."""
    resumed: bool = False
    """Marked before: nothing is asked any more, it is looked up how it ended."""
    goes_on: bool = False
    """The attempt before has just ended, in this same handling."""
    again: int = 0


async def send(ctx: Context, command: WhatsAppMessageSend) -> None:
    """Send one message, at most once. Each attempt is marked in the table before the call: when the mark was set by
    a run that is gone and no outcome was journaled, the message may be out already and is not sent again.

    Raises Later when it is not the time yet: nothing of that counts as an attempt.
    """
    row = await ctx.get(Sends).get(command.send_id)
    if row is None or row.state == "queued":
        decided = await _decide(ctx, command, row)
        if isinstance(decided, Outcome):
            await ctx.write("refuse", lambda tx: _refuse(tx, command, decided))
            return
        way = decided
    elif row.state == "attempting":
        # A run that was broken off, or the same command in another event: this one's journal knows.
        way = _Way(row.attempts, _chosen(command, row.as_template), row.as_template, resumed=True)
    else:
        return  # the same command came in another event before, or a status has decided meanwhile
    while way is not None:
        way = await _attempt(ctx, command, way)


async def send_template(ctx: Context, send_id: str) -> None:
    """The platform took a message and closed the window afterwards: its template goes out as a further attempt."""
    row = await ctx.get(Sends).get(send_id)
    if row is not None and row.fallback is not None:
        await send(ctx, WhatsAppMessageSend.model_validate(row.fallback))


# --- whether, and how ------------------------------------------------------------------------------------------------


async def _decide(ctx: Context, command: WhatsAppMessageSend, row: Send | None) -> _Way | Outcome:
    """What the rules say at this moment; asked again before every attempt."""
    now = ctx.now()
    since = now - WINDOW + MARGIN
    if row is not None and row.as_template and row.attempted_at is not None:
        since = max(since, row.attempted_at)  # closed it was: only a word since then has opened it
    gate = await ctx.get(Gates).look(command.phone_number_id, command.to, command.customer_id, since)
    refused = await _refused(ctx, command, gate, now)
    if refused is not None:
        return refused
    as_template = not gate.heard and command.content.kind != "template"
    if command.content.kind == "template":
        as_template = row is not None and row.as_template
    content = _chosen(command, as_template)
    try:
        _payload(ctx, command, content)
    except InvalidInput as error:
        return Outcome(kind="refused", reason=error.message, why="limits")
    ailing = gate.token in codes.OURS or gate.account in codes.OURS
    await _wait_for_room(ctx, command, gate)
    attempt = 1 if row is None else row.attempts + 1
    return _Way(attempt, content, as_template, ailing, again=int(as_template))


async def _refused(ctx: Context, command: WhatsAppMessageSend, gate: Gate, now: datetime) -> Outcome | None:
    """Why it does not go out at all."""
    if command.expires_at is not None and now >= command.expires_at:
        return Outcome(kind="refused", reason="too late: it was to go out before", why="too_late")
    if now >= ctx.event.time + AT_MOST:
        return Outcome(kind="refused", reason="too late: it could not be sent for a week", why="too_late")
    if command.purpose in MARKETING:
        if gate.opted_out:
            return Outcome(
                kind="refused", reason="opted out: the customer wants no reminders or offers", why="opted_out"
            )
        if await ctx.get(Sends).refused_lately(command.customer_id, codes.HEALTHY_ECOSYSTEM, now - REST):
            # Without the code, which would begin the 24 hours anew.
            reason = "the platform brings this customer no marketing for 24 hours"
            return Outcome(kind="refused", reason=reason, why="rest")
    if not gate.heard and command.content.kind != "template":
        reason = "the customer has not written for 24 hours"
        if command.content.kind == "reaction":
            reason = f"{reason}: no reaction reaches them"
        elif command.template is None:
            reason = f"{reason}, and there is no template for this message"
        else:
            return None
        return Outcome(kind="refused", reason=reason, code=codes.REENGAGEMENT, why="window")
    return None


def _chosen(command: WhatsAppMessageSend, as_template: bool) -> OutContent:
    return command.template if as_template and command.template is not None else command.content


def _payload(ctx: Context, command: WhatsAppMessageSend, content: OutContent) -> outbound.Payload:
    """Raises InvalidInput."""
    return outbound.payload(command.model_copy(update={"content": content}), ctx.use(WhatsAppSettings).public_url)


# --- when ------------------------------------------------------------------------------------------------------------


def _later(ctx: Context, why: str, reason: str, wait: timedelta) -> Later:
    ctx.use(Metrics).count("whatsapp_send_waits", reason=why)
    # The kernel's own end is behind ours, so that a send fails with a status and not as a dead letter.
    return Later(reason, retry_after=wait, until=ctx.event.time + AT_MOST + timedelta(days=1))


async def _wait_for_room(ctx: Context, command: WhatsAppMessageSend, gate: Gate) -> None:
    """Raises Later when a limit says so."""
    limiter, settings, number = ctx.use(RateLimiter), ctx.use(WhatsAppSettings), command.phone_number_id
    if gate.token in codes.OURS:
        verdict = await allowed(limiter, _probe(number), PROBE)
        if not verdict.allowed:
            raise _later(ctx, "token", "this number's credentials are refused: it waits for fresh ones", MENDED)
    for key in (_held("number", number), _held("account", number)):
        verdict = await limiter.take(key, 0, limit=1, per=_HOLD)
        if not verdict.allowed:
            raise _later(ctx, "held", "the platform asked for a pause", verdict.retry_after)
    verdict = await allowed(limiter, f"whatsapp:pair:{number}:{command.customer_id}", settings.pair_rate)
    if not verdict.allowed:
        raise _later(ctx, "pair", "so many messages to one customer at a time are too many", verdict.retry_after)
    rate = settings.send_rate
    if command.purpose in MARKETING and rate.limit:
        share = Rate(max(1, int(rate.limit * settings.marketing_share)), rate.per)
        await _turn(ctx, limiter, f"whatsapp:marketing:{number}", share)
    await _turn(ctx, limiter, f"whatsapp:number:{number}", rate)


async def _turn(ctx: Context, limiter: RateLimiter, key: str, rate: Rate) -> None:
    """A number's throughput is there again within milliseconds: that is waited for, a queue is not stood in."""
    waited, pause = 0.0, 0.02
    while not (verdict := await allowed(limiter, key, rate)).allowed:
        wait = max(verdict.retry_after.total_seconds(), pause) * (1 + random.random())
        if waited + wait > PATIENCE:
            later = timedelta(seconds=1 + 2 * random.random())
            raise _later(ctx, "throughput", "the number sends as much as it may", max(later, verdict.retry_after))
        await asyncio.sleep(wait)
        waited, pause = waited + wait, 2 * pause


def _held(reach: Literal["number", "account"], phone_number_id: str) -> str:
    """The account is one for all numbers of this gateway."""
    return f"whatsapp:held:{phone_number_id}" if reach == "number" else "whatsapp:held"


def _probe(phone_number_id: str) -> str:
    return f"whatsapp:probe:{phone_number_id}"


async def _hold_others(ctx: Context, phone_number_id: str, rule: codes.Rule, wait: timedelta) -> None:
    """What the platform says of the number or the account, the next messages need not find out for themselves."""
    limiter = ctx.use(RateLimiter)
    if rule.action == "hold":
        await allowed(limiter, _probe(phone_number_id), PROBE)
    if rule.reach != "message":
        await limiter.take(_held(rule.reach, phone_number_id), 1, limit=1, per=min(wait, _HOLD))


# --- one attempt -----------------------------------------------------------------------------------------------------


async def _attempt(ctx: Context, command: WhatsAppMessageSend, way: _Way) -> _Way | None:
    """Make one, and write down how it ended; returns how to go on at once, if that is to be done."""
    number, payload = command.phone_number_id, _payload(ctx, command, way.content)
    if not way.resumed:
        try:
            payload = await uploads.with_media(ctx, number, payload, again=way.again)
        except TemporaryError as error:
            wait = codes.pause(_UPLOAD_AGAIN, 1, error.retry_after)
            raise _later(ctx, "upload", error.message, wait) from error
    marked_here = False

    async def mark(tx: Context) -> bool:
        nonlocal marked_here
        marked_here = True
        return await _begin(tx, command, way)

    async def ask() -> Outcome:
        if not marked_here:
            return Outcome(kind="doubt", reason="the gateway was stopped in the middle of the send")
        return await _ask(ctx.use(WhatsAppApi), number, payload)

    if not await ctx.write(f"attempt {way.attempt}", mark, bool):
        return None
    outcome = await ctx.step(f"send {way.attempt}", ask, Outcome)
    if outcome.kind == "again":
        tries = await ctx.write(f"record {way.attempt}", lambda tx: _put_back(tx, command, outcome), int)
        if tries == 0:
            return None
        hint = None if outcome.retry_after is None else timedelta(seconds=outcome.retry_after)
        wait = codes.pause(outcome.rule, tries, hint)
        await _hold_others(ctx, number, outcome.rule, wait)
        raise _later(ctx, "token" if outcome.rule.action == "hold" else "platform", outcome.reason, wait)
    if outcome.kind == "refused" and way.again < 2 and uploads.forgotten(payload, outcome.code, outcome.reason):
        await ctx.write(f"forget {way.attempt}", lambda tx: uploads.forget(tx, number, payload))
        return _Way(way.attempt + 1, way.content, way.as_template, goes_on=True, again=way.again + 2)
    if outcome.code == codes.REENGAGEMENT and not way.as_template and command.template is not None:
        return _Way(way.attempt + 1, command.template, as_template=True, goes_on=True, again=1)
    ctx.at_end(lambda tx: _settle(tx, command, outcome, way))
    return None


async def _begin(tx: Context, command: WhatsAppMessageSend, way: _Way) -> bool:
    """Mark the attempt; False when somebody else has made it, or a status has decided meanwhile."""
    sends = tx.get(Sends)
    row = await sends.get(command.send_id)
    if row is None:
        return await sends.add(command, "attempting", tx.now(), as_template=way.as_template)
    waits = row.state == "queued" or (row.state == "attempting" and way.goes_on)
    if not waits or row.attempts != way.attempt - 1:
        return False
    row.state, row.attempts, row.attempted_at = "attempting", way.attempt, tx.now()
    row.as_template = way.as_template
    await sends.save(row, tx.now())
    return True


async def _ask(api: WhatsAppApi, phone_number_id: str, payload: outbound.Payload) -> Outcome:
    try:
        return Outcome(kind="sent", wamid=await api.send(phone_number_id, payload))
    except TemporaryError as error:
        seconds = None if error.retry_after is None else error.retry_after.total_seconds()
        return Outcome(kind="again", reason=error.message, code=_code(error), retry_after=seconds)
    except SendInDoubt as error:
        return Outcome(kind="doubt", reason=error.message)
    except PermanentError as error:
        return Outcome(kind="refused", reason=error.message, code=_code(error))


def _code(error: PermanentError | TemporaryError) -> int | None:
    code = error.details.get("platform_code")
    return code if isinstance(code, int) else None


# --- how it ended ----------------------------------------------------------------------------------------------------


async def _refuse(tx: Context, command: WhatsAppMessageSend, outcome: Outcome) -> None:
    """It is not even asked for."""
    sends = tx.get(Sends)
    await sends.add(command, "queued", tx.now())
    row = await sends.get(command.send_id)
    if row is not None and row.state == "queued":
        await _settle(tx, command, outcome)


async def _put_back(tx: Context, command: WhatsAppMessageSend, outcome: Outcome) -> int:
    """It waits for its next attempt. Returns how often it has ended like this in a row; 0 when it does not go on."""
    sends, rule = tx.get(Sends), outcome.rule
    row = await sends.get(command.send_id)
    if row is None or row.state != "attempting":
        return 0
    tries = row.tries + 1 if row.error_code == outcome.code else 1
    template = command.template if row.as_template else None
    await health.complain(tx, row.phone_number_id, outcome.code, rule, outcome.reason, template)
    if rule.tries is not None and tries >= rule.tries:
        given_up = outcome.model_copy(update={"kind": "refused", "reason": f"after {tries} tries: {outcome.reason}"})
        await _settle(tx, command, given_up)
        return 0
    row.state, row.tries, row.error_code, row.error = "queued", tries, outcome.code, outcome.reason
    await sends.save(row, tx.now())
    tx.log.info("whatsapp.send.waits", send_id=row.send_id, code=outcome.code, tries=tries, reason=outcome.reason)
    return tries


async def _settle(tx: Context, command: WhatsAppMessageSend, outcome: Outcome, way: _Way | None = None) -> None:
    """Write down how an attempt ended; a status that was faster keeps its word."""
    sends = tx.get(Sends)
    row = await sends.get(command.send_id)
    if row is None:
        return
    if way is not None and row.as_template and not way.as_template and command.content.kind != "template":
        return  # the platform took it, and has said meanwhile that the window is closed: the template is on its way
    now = tx.now()
    match outcome.kind:
        case "sent":
            if way is not None and way.ailing:
                await health.recover(tx, row.phone_number_id)
            await advance(tx, row, "sent", outcome.wamid, now)
            if outcome.wamid:
                await take_strays(tx, row, outcome.wamid)
        case "refused":
            await _refused_by(tx, command, row, outcome)
            await advance(tx, row, "failed", None, now, outcome.code, outcome.reason)
        case "doubt":
            if row.state == "attempting":
                row.state, row.error = "doubtful", outcome.reason
                await sends.save(row, now)
                due = now + tx.use(WhatsAppSettings).doubt_wait
                tx.log.warning("whatsapp.send.doubtful", send_id=row.send_id, reason=outcome.reason)
                tx.emit(WhatsAppSendDoubtful(send_id=row.send_id, customer_id=row.customer_id), at=due)
        case "again":
            raise AssertionError("what is tried again is put back")


async def _refused_by(tx: Context, command: WhatsAppMessageSend, row: Send, outcome: Outcome) -> None:
    """`why`: we did; else the platform."""
    tx.log.error("whatsapp.send.refused", send_id=row.send_id, code=outcome.code, reason=outcome.reason,
                 purpose=row.purpose)  # fmt: skip
    tx.use(Metrics).count("whatsapp_sends_failed", reason=outcome.why or str(outcome.code or "refused"))
    if outcome.why:
        return
    content = _chosen(command, row.as_template)
    template = content if content.kind == "template" else None
    await health.complain(tx, row.phone_number_id, outcome.code, outcome.rule, outcome.reason, template)
    if outcome.code == codes.STOPPED_MARKETING:
        await tx.get(OptOuts).put(row.customer_id, tx.now(), stopped=True)
