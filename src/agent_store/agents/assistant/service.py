"""Use cases of the people who help out: what comes into the queue, who takes it, what they write, how it ends."""

from __future__ import annotations

from agent_store.agents.assistant.model import Escalation
from agent_store.agents.assistant.repository import Escalations
from agent_store.contracts.chat import ChatMessageNew, ChatResponse, TextBlock
from agent_store.contracts.people import (
    ClaimEscalation,
    EscalationAccepted,
    EscalationResolved,
    EscalationView,
    HandBack,
    LeaseGranted,
    ListEscalations,
    ReplyAsPerson,
    SalesEscalate,
    SalesHandoff,
)
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound

_URGENCY = {"normal": 0, "high": 1}


async def escalate(event: SalesEscalate, ctx: Context) -> None:
    """Into the queue: one open escalation a conversation; a second wish for a person only makes it more urgent."""
    queue = ctx.get(Escalations)
    if event.lease_token < await queue.highest_token(event.conversation_id):
        # Whoever wanted a person spoke before the last one took over: that wish is long fulfilled.
        ctx.log.info("escalation.stale", conversation=event.conversation_id, token=event.lease_token)
        return
    urgency = _URGENCY[event.priority]
    open_one = await queue.open_of(event.conversation_id)
    if open_one is not None:
        if open_one.urgency < urgency:
            open_one.urgency = urgency
            await queue.save(open_one)
        return
    await queue.add(
        Escalation(
            id=ctx.new_id(),
            conversation_id=event.conversation_id,
            customer_id=event.customer_id,
            brand=event.brand,
            language=event.language,
            reason=event.reason,
            summary=event.summary,
            urgency=urgency,
            opened_at=ctx.now(),
        )
    )
    ctx.log.info("escalation.opened", conversation=event.conversation_id, reason=event.reason, priority=event.priority)


async def granted(event: LeaseGranted, ctx: Context) -> None:
    """The person who claimed it may speak now."""
    queue = ctx.get(Escalations)
    escalation = await queue.open_of(event.conversation_id)
    if escalation is None or escalation.state != "claimed" or escalation.person != event.person:
        ctx.log.warning("lease.without_claim", conversation=event.conversation_id, token=event.lease_token)
        return
    if escalation.lease_token is None or escalation.lease_token < event.lease_token:
        escalation.lease_token = event.lease_token
        await queue.save(escalation)


async def heard(event: ChatMessageNew, ctx: Context) -> None:
    """The customer wrote while a person is wanted or speaks."""
    if event.addressee != "person":
        return
    queue = ctx.get(Escalations)
    escalation = await queue.open_of(event.conversation_id)
    if escalation is not None:
        escalation.unread += len(event.messages)
        await queue.save(escalation)


async def handed_off(event: SalesHandoff, ctx: Context) -> None:
    """The customer went back to the assistant before anybody came: nobody needs to. (What a person has claimed stays
    theirs until they hand it back.)"""
    if event.to != "bot":
        return
    queue = ctx.get(Escalations)
    escalation = await queue.open_of(event.conversation_id)
    if escalation is None or escalation.state != "waiting":
        return
    escalation.resolve(event.note, ctx.now())
    await queue.save(escalation)
    _emit_resolved(ctx, escalation, "")


def _emit_resolved(ctx: Context, escalation: Escalation, person: str) -> None:
    ctx.emit(
        EscalationResolved(
            escalation_id=escalation.id,
            conversation_id=escalation.conversation_id,
            customer_id=escalation.customer_id,
            person=person,
            outcome=escalation.outcome,
        ),
        brand=escalation.brand or None,
    )


# --- tools


def _person(ctx: Context) -> str:
    person = (ctx.principal.staff or "").strip()
    if not person:
        raise Forbidden("only a person of the staff may do this: say who you are")
    return person


async def _must(ctx: Context, escalation_id: str) -> Escalation:
    found = await ctx.get(Escalations).for_update(escalation_id)
    if found is None:
        raise NotFound(f"there is no escalation {escalation_id}")
    return found


async def list_escalations(call: ListEscalations, ctx: Context) -> tuple[EscalationView, ...]:
    queue = ctx.get(Escalations)
    if call.state == "resolved":
        found = await queue.resolved(call.limit)
    else:
        found = await queue.queue(("waiting", "claimed") if call.state == "open" else (call.state,), call.limit)
    return tuple(escalation.view() for escalation in found)


async def claim(call: ClaimEscalation, ctx: Context) -> EscalationView:
    person = _person(ctx)
    escalation = await _must(ctx, call.escalation_id)
    if escalation.claim(person, ctx.now()):
        await ctx.get(Escalations).save(escalation)
        ctx.emit(
            EscalationAccepted(
                escalation_id=escalation.id,
                conversation_id=escalation.conversation_id,
                customer_id=escalation.customer_id,
                person=person,
            ),
            brand=escalation.brand or None,
        )
        ctx.log.info("escalation.claimed", escalation=escalation.id)
    return escalation.view()


async def reply(call: ReplyAsPerson, ctx: Context) -> EscalationView:
    person, text = _person(ctx), call.text.strip()
    if not text:
        raise InvalidInput("write something: the text is blank", field="text")
    escalation = await _must(ctx, call.escalation_id)
    token = escalation.token_of(person)
    escalation.unread = 0
    await ctx.get(Escalations).save(escalation)
    ctx.emit(
        ChatResponse(
            conversation_id=escalation.conversation_id,
            customer_id=escalation.customer_id,
            lease_token=token,
            blocks=(TextBlock(text=text),),
            author="person",
            author_name=person,
            brand=escalation.brand,
        )
    )
    return escalation.view()


async def hand_back(call: HandBack, ctx: Context) -> EscalationView:
    person = _person(ctx)
    escalation = await _must(ctx, call.escalation_id)
    token = escalation.token_of(person)
    escalation.resolve(call.outcome.strip(), ctx.now())
    await ctx.get(Escalations).save(escalation)
    ctx.emit(
        SalesHandoff(
            conversation_id=escalation.conversation_id,
            customer_id=escalation.customer_id,
            to="bot",
            person=person,
            lease_token=token,
            note=escalation.outcome,
        ),
        brand=escalation.brand or None,
    )
    _emit_resolved(ctx, escalation, person)
    ctx.log.info("escalation.handed_back", escalation=escalation.id)
    return escalation.view()
