"""What others ask of conversations: history, profiles, transcripts, decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agent_store.agents.conversations.repository import NO_TURN, Conversations, Customers, Decisions, Messages
from agent_store.contracts.chat import (
    ConversationSummary,
    CustomerUpdated,
    Decision,
    GetDecisions,
    GetHistory,
    GetTranscript,
    HistoryLine,
    ListConversations,
    Profile,
    Remember,
    Transcript,
)
from agent_store.kernel.context import Context, Row
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound, StaleSpeaker
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.privacy import redact_cards

_LONG_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


def _principal(ctx: Context) -> CustomerId:
    if ctx.principal.customer_id is None:
        raise Forbidden("this needs a customer: none came with the call")
    return CustomerId(ctx.principal.customer_id)


async def history(call: GetHistory, ctx: Context) -> tuple[HistoryLine, ...]:
    customer_id, conversations = _principal(ctx), ctx.get(Conversations)
    if ctx.principal.conversation_id is None:
        conversation = await conversations.latest(customer_id)
    else:
        conversation = await conversations.find(ConversationId(ctx.principal.conversation_id))
    if conversation is None or conversation.customer_id != customer_id:
        raise NotFound("this customer has no such conversation")
    before, turn = (conversation.turn_from, conversation.turn) if conversation.turn_open else (None, NO_TURN)
    if call.before_turn is not None and not (conversation.turn_open and call.before_turn == conversation.turn):
        before, turn = await ctx.get(Messages).began(conversation.id, call.before_turn), call.before_turn
    if before is None:
        before, turn = conversation.seq + 1, NO_TURN
    return await ctx.get(Messages).history(conversation.id, before=before, turn=turn, limit=call.limit)


async def profile(ctx: Context) -> Profile:
    found = await ctx.get(Customers).profile(_principal(ctx))
    if found is None:
        raise NotFound("there is no such customer")
    return found


async def remember(call: Remember, ctx: Context) -> Profile:
    """Only the given fields change; nothing is told when nothing changed."""
    customer_id = _principal(ctx)
    people, principal = ctx.get(Customers), ctx.principal
    known = await people.profile(customer_id, lock=True)
    if known is None:
        raise NotFound("there is no such customer")
    if principal.conversation_id is not None and principal.lease_token is not None:
        await ctx.fence(principal.conversation_id, principal.lease_token)
        # The fence knows the tokens that came by here; the conversation knows the one that counts.
        conversation = await ctx.get(Conversations).for_update(ConversationId(principal.conversation_id))
        if conversation is not None and principal.lease_token < conversation.lease_token:
            raise StaleSpeaker(
                "somebody else speaks for this conversation now: this turn's time is over",
                token=principal.lease_token,
                seen=conversation.lease_token,
            )
    given: dict[str, Any] = {
        name: getattr(call, name) for name in call.model_fields_set if getattr(call, name) is not None
    }
    if call.name is not None:
        given["name"] = " ".join(redact_cards(call.name).split())
        if not given["name"]:
            raise InvalidInput("a name must not be blank", field="name")
    changed = tuple(sorted(name for name, value in given.items() if getattr(known, name) != value))
    if not changed:
        return known
    updated = known.model_copy(update=given)
    await people.remember(updated, ctx.now())
    ctx.emit(CustomerUpdated(customer_id=customer_id, changed=changed))
    return updated


def _summary(row: Row) -> ConversationSummary:
    return ConversationSummary(
        conversation_id=row["id"],
        customer_id=row["customer_id"],
        customer_name=row["customer_name"],
        brand=row["brand"],
        channel=row["channel"],
        language=row["language"],
        speaker=row["speaker"],
        person=row["person"],
        last_text=row["last_text"],
        last_at=row["last_at"],
    )


async def list_conversations(call: ListConversations, ctx: Context) -> tuple[ConversationSummary, ...]:
    rows = await ctx.get(Conversations).active(
        before=call.before or _LONG_FUTURE, speaker=call.speaker, limit=call.limit
    )
    return tuple(_summary(row) for row in rows)


async def transcript(call: GetTranscript, ctx: Context) -> Transcript:
    row = await ctx.get(Conversations).overview(call.conversation_id)
    if row is None:
        raise NotFound(f"there is no conversation {call.conversation_id}")
    lines = await ctx.get(Messages).transcript(call.conversation_id, limit=call.limit)
    return Transcript(conversation=_summary(row), lines=lines)


async def list_decisions(call: GetDecisions, ctx: Context) -> tuple[Decision, ...]:
    return await ctx.get(Decisions).of(call.conversation_id, call.limit)
