"""Turns: what waits becomes one, for the seller of the right brand, with a new lease."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent_store.agents.conversations import door
from agent_store.agents.conversations.model import (
    Conversation,
    Customer,
    Line,
)
from agent_store.agents.conversations.reading import advert
from agent_store.agents.conversations.repository import Conversations, Customers, Messages
from agent_store.agents.conversations.routing import BRAND_PAYLOAD, route
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.speech import decide, deliver, seen
from agent_store.agents.conversations.texts import say
from agent_store.contracts.brands import Brand, Directory
from agent_store.contracts.chat import (
    ButtonsBlock,
    ChatLine,
    ChatMessageNew,
    ChatTurnDue,
    ChatTurnExpired,
    ListBlock,
    ReplyBlock,
    ReplyChoice,
    TextBlock,
)
from agent_store.kernel.context import Context
from agent_store.kernel.errors import NotFound
from agent_store.kernel.ids import ConversationId, derived_id


async def must(ctx: Context, conversation_id: ConversationId) -> Conversation:
    conversation = await ctx.get(Conversations).for_update(conversation_id)
    if conversation is None:
        raise NotFound(f"there is no conversation {conversation_id}")
    return conversation


async def customer_of(ctx: Context, conversation: Conversation) -> Customer:
    profile = await ctx.get(Customers).profile(conversation.customer_id)
    if profile is None:
        raise NotFound(f"conversation {conversation.id} has no customer")
    return Customer(profile.customer_id, profile.language, profile.name)


async def notice(ctx: Context, conversation: Conversation, *blocks: ReplyBlock) -> None:
    await deliver(ctx, conversation, door.render(blocks, conversation.language), role="notice")


def set_burst_timer(ctx: Context, conversation: Conversation, due: datetime) -> None:
    ctx.emit(
        ChatTurnDue(conversation_id=conversation.id, customer_id=conversation.customer_id, window=conversation.burst),
        at=due,
    )


async def waiting(ctx: Context, conversation: Conversation, fresh: Line | None) -> list[Line]:
    """The customer's messages that wait, oldest first; `fresh` is the one being handled, not written down yet."""
    own = [fresh] if fresh is not None and fresh.turn is None else []
    earlier = await ctx.get(Messages).waiting(conversation) if conversation.pending > len(own) else []
    # What was understood late may have been written before those that wait.
    return sorted([*earlier, *own], key=lambda line: line.seq)


async def begin_turn(ctx: Context, conversation: Conversation, customer: Customer, fresh: Line | None) -> None:
    """Give what waits to the seller of the right brand, with a new lease. Asks which shop when that is not clear."""
    conversation.close_burst()
    lines = await waiting(ctx, conversation, fresh)
    if not lines:
        conversation.tries = 0  # what a turn had been granted for was taken back
        return
    if not await _has_brand(ctx, conversation, lines):
        return
    settings = ctx.use(ConversationsSettings)
    until = conversation.grant(lines, ctx.now(), settings.turn_limit)
    await ctx.get(Messages).give(conversation, lines)
    emit_turn(ctx, conversation, customer, lines, "bot", until)
    seen(ctx, conversation, lines, typing=True)
    ctx.emit(
        ChatTurnExpired(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            lease_token=conversation.lease_token,
        ),
        at=until,
        id=derived_id("turn-expired", conversation.id, conversation.lease_token),
    )


def emit_turn(
    ctx: Context, conversation: Conversation, customer: Customer, lines: list[Line], addressee: Any, until: datetime
) -> None:
    ctx.emit(
        ChatMessageNew(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            number=conversation.turn,
            lease_token=conversation.lease_token,
            lease_until=until,
            addressee=addressee,
            messages=tuple(
                ChatLine(
                    message_id=line.external_id,
                    kind=line.kind,
                    text=line.text,
                    payload=line.payload,
                    quoted=line.quoted,
                    items=line.items,
                    about=line.about,
                    seen=line.seen,
                    place=line.place,
                    media=line.media,
                    at=line.at,
                )
                for line in lines
            ),
            brand=conversation.brand or "",
            channel=conversation.channel,
            language=conversation.language,
            customer_name=customer.called,
        )
    )
    ctx.log.info(
        "turn.granted", conversation=conversation.id, turn=conversation.turn, addressee=addressee, lines=len(lines)
    )


async def _has_brand(ctx: Context, conversation: Conversation, lines: list[Line]) -> bool:
    """On a brand's number: yes. On the shared one: find it out from what waits, or ask and let it wait on."""
    directory = ctx.use(Directory)  # pyright: ignore[reportAbstractUsage]
    if directory.by_number(conversation.number) is not None:
        return True
    brands = directory.brands()
    if not brands:
        if not conversation.asked:
            conversation.asked = conversation.seq
            await notice(ctx, conversation, TextBlock(text=say("no_shop_open", conversation.language)))
        ctx.log.error("directory.empty", conversation=conversation.id)
        return False
    current = conversation.brand
    shown_by = _by_catalog(lines, brands)
    if shown_by is not None:
        if shown_by != current:
            await decide(ctx, conversation, "brand.routed", brand=shown_by, before=current, why="catalog")
        conversation.brand, conversation.asked = shown_by, 0
        return True
    said = [line for line in lines if line.said]
    if current is not None and not said and directory.brand(current) is not None:
        return True  # only taps on what this brand's seller offered, a place, a picture …
    new = [line for line in said if line.seq > conversation.asked]
    choice = route("\n".join(line.text for line in new), brands, current)
    if choice.brand is None and len(new) < len(said):
        choice = route("\n".join(line.text for line in said), brands, current)
    if choice.brand is None and (hints := [hint for line in lines for hint in (line.seen, advert(line)) if hint]):
        # What they show, or the advertisement that they came from, tells what the customer's own words do not.
        choice = route("\n".join([*(line.text for line in said), *hints]), brands, current)
    if choice.brand is not None:
        if choice.brand != current:
            await decide(ctx, conversation, "brand.routed", brand=choice.brand, before=current, why=choice.why)
        conversation.brand, conversation.asked = choice.brand, 0
        return True
    conversation.brand = None
    await _ask_brand(ctx, conversation, brands)
    return False


def _by_catalog(lines: Sequence[Line], brands: Sequence[Brand]) -> str | None:
    """The brand in whose catalogue a cart was filled."""
    named = {line.more.get("catalog_id") for line in lines} - {None}
    found = [brand.id for brand in brands if brand.whatsapp_catalog_id in named]
    return found[0] if len(found) == 1 else None


async def _ask_brand(ctx: Context, conversation: Conversation, brands: Any) -> None:
    language = conversation.language
    key = "which_brand_again" if conversation.asked else "which_brand"
    shown: list[Brand] = list(brands)[:10]
    await decide(ctx, conversation, "brand.asked", again=bool(conversation.asked))
    block: ReplyBlock
    if len(shown) <= 3:
        block = ButtonsBlock(
            text=say(key, language),
            choices=tuple(
                ReplyChoice(id=f"{BRAND_PAYLOAD}{brand.id}", title=door.shorten(brand.name, 20)) for brand in shown
            ),
        )
    else:
        block = ListBlock(
            text=say(key, language),
            button=say("which_brand_button", language),
            choices=tuple(
                ReplyChoice(
                    id=f"{BRAND_PAYLOAD}{brand.id}",
                    title=door.shorten(f"{brand.emoji} {brand.name}", 24),
                    description=door.shorten(brand.focus, 72) or None,
                )
                for brand in shown
            ),
        )
    await notice(ctx, conversation, block)
    conversation.asked = conversation.seq
