"""People: somebody is wanted, takes over, hands back."""

from __future__ import annotations

from agent_store.agents.conversations import door
from agent_store.agents.conversations.model import (
    Conversation,
    Customer,
    Line,
)
from agent_store.agents.conversations.reading import shown_line
from agent_store.agents.conversations.repository import Conversations, Messages
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.speech import decide, flush_held, seen
from agent_store.agents.conversations.texts import say
from agent_store.agents.conversations.turns import customer_of, emit_turn, must, notice, waiting
from agent_store.agents.conversations.wishes import BOT_PAYLOAD
from agent_store.contracts.brands import Directory
from agent_store.contracts.chat import (
    ButtonsBlock,
    ReplyChoice,
    TextBlock,
)
from agent_store.contracts.people import EscalationAccepted, LeaseGranted, Reason, SalesEscalate, SalesHandoff
from agent_store.kernel.context import Context

_SUMMARY = 300


async def to_person(ctx: Context, conversation: Conversation, customer: Customer, lines: list[Line]) -> None:
    """A person (or the queue) reads along at once: no burst, no lease."""
    conversation.give_to_person(lines)
    await ctx.get(Messages).give(conversation, lines)
    until = ctx.now() + ctx.use(ConversationsSettings).person_limit
    emit_turn(ctx, conversation, customer, lines, "person", until)
    seen(ctx, conversation, lines, typing=False)


async def escalate(
    ctx: Context, conversation: Conversation, customer: Customer, fresh: Line | None, reason: Reason
) -> None:
    """This agent itself wants a person: into the queue, the bot silent, the customer told."""
    if fresh is not None:
        conversation.pending += 1
    lines = await waiting(ctx, conversation, fresh)
    if not conversation.wait():
        return
    words = " / ".join(told for line in lines if (told := shown_line(line))) or conversation.last_text
    await decide(ctx, conversation, "escalated", reason=reason, token=conversation.lease_token)
    ctx.emit(
        SalesEscalate(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            lease_token=conversation.lease_token,
            reason=reason,
            summary=door.shorten(words, _SUMMARY),
            priority="high" if reason == "sentiment" else "normal",
            brand=conversation.brand or "",
            language=conversation.language,
        )
    )
    if lines:
        await to_person(ctx, conversation, customer, lines)
    await _say_waiting(ctx, conversation, reason)


async def _say_waiting(ctx: Context, conversation: Conversation, reason: Reason) -> None:
    key = {"asked": "waiting_asked", "sentiment": "waiting_sentiment", "failed": "waiting_failed",
           "not_understood": "waiting_failed"}.get(reason, "waiting_other")  # fmt: skip
    language = conversation.language
    await notice(
        ctx,
        conversation,
        ButtonsBlock(
            text=say(key, language), choices=(ReplyChoice(id=BOT_PAYLOAD, title=say("waiting_back", language)),)
        ),
    )
    await flush_held(ctx, conversation)


async def escalated(event: SalesEscalate, ctx: Context) -> None:
    """The seller wants a person. (What this agent escalated itself comes by here too: the bot is silent by then.)"""
    conversation = await must(ctx, event.conversation_id)
    if conversation.speaker != "bot":
        return
    if not conversation.may_escalate(event.lease_token):
        await decide(
            ctx,
            conversation,
            "escalation.refused",
            token=event.lease_token,
            current=conversation.lease_token,
            why="stale token",
        )
        _tell_bot_speaks(ctx, conversation, "the turn that wanted a person was over")
        return
    lines = await waiting(ctx, conversation, None)
    conversation.wait()
    await decide(ctx, conversation, "escalated", reason=event.reason, token=conversation.lease_token)
    if lines:
        await to_person(ctx, conversation, await customer_of(ctx, conversation), lines)
    await _say_waiting(ctx, conversation, event.reason)
    await ctx.get(Conversations).save(conversation)


async def accepted(event: EscalationAccepted, ctx: Context) -> None:
    """A person has claimed it: they get the lease, and the customer hears who is there. A claim always counts, also
    when the customer went back to the assistant meanwhile: the person sees that and can hand back."""
    conversation = await must(ctx, event.conversation_id)
    if conversation.speaker == "person" and conversation.person == event.person:
        return
    lines = await waiting(ctx, conversation, None)
    token = conversation.hand_to(event.person)
    await decide(ctx, conversation, "person.speaks", token=token)
    if lines:
        await to_person(ctx, conversation, await customer_of(ctx, conversation), lines)
    ctx.emit(
        LeaseGranted(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            person=event.person,
            lease_token=token,
        ),
        brand=conversation.brand,
    )
    await notice(ctx, conversation, TextBlock(text=say("person_here", conversation.language, person=event.person)))
    await flush_held(ctx, conversation)
    await ctx.get(Conversations).save(conversation)


async def handed_off(event: SalesHandoff, ctx: Context) -> None:
    """A person gives the conversation back to the bot. (This agent's own word of it finds the bot speaking.)"""
    if event.to != "bot":
        return
    conversation = await must(ctx, event.conversation_id)
    if conversation.speaker == "bot":
        return
    if event.lease_token is not None and event.lease_token < conversation.lease_token:
        await decide(
            ctx,
            conversation,
            "handoff.refused",
            token=event.lease_token,
            current=conversation.lease_token,
            why="stale token",
        )
        return
    await back_to_bot(ctx, conversation, why="person")
    await ctx.get(Conversations).save(conversation)


def _tell_bot_speaks(ctx: Context, conversation: Conversation, note: str) -> None:
    """So that nobody waits in the queue for a conversation that the bot has."""
    ctx.emit(
        SalesHandoff(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            to="bot",
            lease_token=conversation.lease_token,
            note=note,
        ),
        brand=conversation.brand,
    )


async def back_to_bot(ctx: Context, conversation: Conversation, *, why: str) -> None:
    conversation.back_to_bot()
    await decide(ctx, conversation, "bot.speaks", token=conversation.lease_token, why=why)
    if why == "customer":
        _tell_bot_speaks(ctx, conversation, "the customer went on with the assistant")
    brand = None
    if conversation.brand is not None:
        brand = ctx.use(Directory).brand(conversation.brand)  # pyright: ignore[reportAbstractUsage]
    text = (
        say("bot_again", conversation.language)
        if brand is None
        else say("bot_again_seller", conversation.language, seller=brand.seller)
    )
    await notice(ctx, conversation, TextBlock(text=text))
