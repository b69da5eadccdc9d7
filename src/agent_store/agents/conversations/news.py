"""News of what a customer sent before: what a medium says or shows, other words, taken back, another number.

A message and the news of it may arrive in any order. News that comes first is kept (`Early`) and taken up with its
message: it could not simply be tried again, since it would hold up the very message that it waits for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent_store.agents.conversations import consents
from agent_store.agents.conversations.hearing import end_wait, go_on, hear_late
from agent_store.agents.conversations.model import AWAITED, NEVER, Conversation, Line
from agent_store.agents.conversations.reading import (
    News,
    shown_line,
    take_deletion,
    take_edit,
    take_medium,
)
from agent_store.agents.conversations.repository import Conversations, Customers, Early, IdentityKind, Messages
from agent_store.agents.conversations.speech import decide
from agent_store.agents.conversations.turns import customer_of, must
from agent_store.contracts.chat import ChatMediumOverdue, CustomerIdentityLinked
from agent_store.contracts.whatsapp import (
    WhatsAppIdentityChanged,
    WhatsAppMediaReceived,
    WhatsAppMessageDeleted,
    WhatsAppMessageEdited,
)
from agent_store.kernel.context import Context
from agent_store.kernel.ids import CustomerId

Change = Callable[[Conversation, Line], Awaitable[None]]


async def _of_message(ctx: Context, event: News, change: Change) -> None:
    """Change the stored message under its conversation's lock; keep the news when the message is not here yet."""
    if not await _change(ctx, event.wamid, change):
        await ctx.get(Early).keep(event, ctx.event.id, ctx.now())
        ctx.log.info("message.news_early", type=event.event_type)


async def _change(ctx: Context, external_id: str, change: Change) -> bool:
    messages = ctx.get(Messages)
    found = await messages.heard(external_id)
    if found is None:
        return False
    conversation = await must(ctx, found[0])
    found = await messages.heard(external_id)  # as it is now that nobody else has it
    if found is not None:
        await change(conversation, found[1])
        await messages.rewrite(conversation, found[1])
        await ctx.get(Conversations).save(conversation)
    return True


# --- what a medium says or shows


async def medium(event: WhatsAppMediaReceived, ctx: Context) -> None:
    async def change(conversation: Conversation, line: Line) -> None:
        if line.deleted_at is not None:
            return
        take_medium(line, event)
        if line.turn == AWAITED:
            await hear_late(ctx, conversation, await customer_of(ctx, conversation), line)

    await _of_message(ctx, event, change)


async def overdue(event: ChatMediumOverdue, ctx: Context) -> None:
    """Nobody waits any longer: as if it had come without words. What comes after that is for people to see."""

    async def change(conversation: Conversation, line: Line) -> None:
        if line.turn == AWAITED:
            await decide(ctx, conversation, "medium.overdue", kind=line.kind)
            await hear_late(ctx, conversation, await customer_of(ctx, conversation), line)

    await _change(ctx, event.message_id, change)


# --- other words, taken back


def _given_now(conversation: Conversation, line: Line) -> bool:
    """Is the bot about to answer it?"""
    return conversation.turn_open and line.turn == conversation.turn


async def edited(event: WhatsAppMessageEdited, ctx: Context) -> None:
    """The new words count wherever nobody has answered the old ones. A turn that is being thought about is granted anew:
    its answer, and whatever it still wanted to change, would be to words that the customer has withdrawn."""

    async def change(conversation: Conversation, line: Line) -> None:
        before = shown_line(line)
        if not take_edit(line, event):
            return
        if conversation.last_text == before[:200]:
            conversation.last_text = shown_line(line)[:200]
        if line.turn == AWAITED:
            return  # its caption: heard with the picture
        if conversation.speaker == "bot" and (line.turn is None or _given_now(conversation, line)):
            if line.turn is not None:
                conversation.reopen(await ctx.get(Messages).release(conversation))
                conversation.tries = 0
            conversation.take_back(line.seq)
            # Until it is heard anew it is nobody's: what waits beside it must not bring it along.
            line.turn = AWAITED
            await ctx.get(Messages).rewrite(conversation, line)
            await hear_late(ctx, conversation, await customer_of(ctx, conversation), line)
            return
        if line.turn != NEVER:
            await decide(ctx, conversation, "message.edited_late", seq=line.seq)

    await _of_message(ctx, event, change)


async def deleted(event: WhatsAppMessageDeleted, ctx: Context) -> None:
    """Its words are gone from here as well, also where another message quotes them. What waited is not answered."""

    async def change(conversation: Conversation, line: Line) -> None:
        before, waited, awaited = shown_line(line), line.turn is None, line.turn == AWAITED
        if not take_deletion(line, event):
            return
        if conversation.last_text == before[:200]:
            conversation.last_text = f"[{line.kind}]"
        messages = ctx.get(Messages)
        for quoting in await messages.quoting(conversation.id, event.wamid):
            quoting.quoted = ""
            await messages.rewrite(conversation, quoting)
        if not (waited or awaited or _given_now(conversation, line)):
            return
        # Of a turn that is being thought about too: when that is granted anew, it is without this message.
        line.turn = NEVER
        if waited:
            conversation.take_back(line.seq)
        if awaited:
            await end_wait(ctx, conversation, line)
            await messages.rewrite(conversation, line)
            await go_on(ctx, conversation, await customer_of(ctx, conversation))

    await _of_message(ctx, event, change)


# --- another number


async def identity_changed(event: WhatsAppIdentityChanged, ctx: Context) -> None:
    """The customer goes by other ids from now on; those of before find them too, and what is open is answered at the new ones.

    A new id that another customer went by so far becomes this one's: the platform says whose it is. Most often that
    other one is the same person, who wrote from the new number before the news came. What the other one had
    ordered stays theirs, and is told where it was told before.
    """
    people, now = ctx.get(Customers), ctx.now()
    customer_id = await _known_before(people, event)
    if customer_id is None:
        ctx.log.info("identity.unknown_changed")
        return
    new: list[tuple[IdentityKind, str]] = []
    if event.wa_id:
        new.append(("wa_id", event.wa_id))
    if event.user_id:
        new.append(("user_id", event.user_id))
    known = await people.known_as(new) if new else {}
    for kind, value in new:
        owner = known.get(kind)
        if owner is not None and owner.id == customer_id:
            continue
        await people.link(customer_id, kind, value, now)
        ctx.emit(CustomerIdentityLinked(customer_id=customer_id, kind=kind), channel="whatsapp")
        if owner is not None:
            await consents.follow(ctx, owner.id, customer_id)
            await _note_moved(ctx, customer_id, owner.id, kind)
    conversations = ctx.get(Conversations)
    for old in {event.before_wa_id, event.sender} - {None, event.wa_id}:
        if event.wa_id and old:
            await conversations.move(customer_id, "phone", old, event.wa_id)
    for old in {event.before_user_id, event.sender} - {None, event.user_id}:
        if event.user_id and old:
            await conversations.move(customer_id, "user", old, event.user_id)


async def _known_before(people: Customers, event: WhatsAppIdentityChanged) -> CustomerId | None:
    asked: list[tuple[IdentityKind, str | None]] = [
        ("wa_id", event.before_wa_id),
        ("user_id", event.before_user_id),
        ("wa_id", event.sender),
        ("user_id", event.sender),
    ]
    for kind, value in asked:
        if value and (found := (await people.known_as([(kind, value)])).get(kind)) is not None:
            return found.id
    return None


async def _note_moved(ctx: Context, customer_id: CustomerId, before: CustomerId, kind: str) -> None:
    ctx.log.warning("identity.moved", kind=kind, customer=customer_id, before=before)
    await consents.follow(ctx, before, customer_id)
    for whose in (customer_id, before):
        conversation = await ctx.get(Conversations).latest(whose)
        if conversation is not None:
            await decide(ctx, conversation, "identity.moved", kind=kind, to=customer_id, before=before)
