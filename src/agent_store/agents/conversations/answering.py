"""A turn ends: by the speaker's answer, or because its time is over."""

from __future__ import annotations

from agent_store.agents.conversations import door
from agent_store.agents.conversations.model import (
    refusal,
)
from agent_store.agents.conversations.people import escalate
from agent_store.agents.conversations.repository import Conversations, Messages
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.speech import decide, deliver, flush_held
from agent_store.agents.conversations.turns import begin_turn, customer_of, must, set_burst_timer
from agent_store.contracts.brands import Directory
from agent_store.contracts.chat import (
    ChatResponse,
    ChatTurnDue,
    ChatTurnExpired,
)
from agent_store.contracts.whatsapp import WhatsAppStatus
from agent_store.kernel.context import Context


async def turn_due(event: ChatTurnDue, ctx: Context) -> None:
    """The burst window has passed: the burst is a turn, unless more came meanwhile."""
    conversation = await ctx.get(Conversations).for_update(event.conversation_id)
    if conversation is None or conversation.burst != event.window or (due := conversation.burst_end) is None:
        return
    if ctx.now() < due:
        set_burst_timer(ctx, conversation, due)
        return
    if conversation.speaker == "bot" and not conversation.turn_open:
        await begin_turn(ctx, conversation, await customer_of(ctx, conversation), None)
        await ctx.get(Conversations).save(conversation)


async def turn_expired(event: ChatTurnExpired, ctx: Context) -> None:
    """The lease ran out: without an answer the turn is granted anew with a new token, in the end to a person."""
    conversation = await ctx.get(Conversations).for_update(event.conversation_id)
    if conversation is None or not conversation.turn_open or conversation.lease_token != event.lease_token:
        return
    tries = conversation.tries
    await decide(ctx, conversation, "turn.expired", turn=conversation.turn, token=event.lease_token, tries=tries)
    customer = await customer_of(ctx, conversation)
    conversation.reopen(await ctx.get(Messages).release(conversation))
    await flush_held(ctx, conversation)
    if tries < ctx.use(ConversationsSettings).turn_tries:
        await begin_turn(ctx, conversation, customer, None)
    else:
        await escalate(ctx, conversation, customer, None, "failed")
    await ctx.get(Conversations).save(conversation)


async def respond(event: ChatResponse, ctx: Context) -> None:
    """What the speaker answers goes through the door, unless somebody else speaks by now."""
    conversation = await must(ctx, event.conversation_id)
    why = refusal(conversation, author=event.author, token=event.lease_token, customer_id=event.customer_id)
    if why is not None:
        await decide(
            ctx,
            conversation,
            "speaker.refused",
            author=event.author,
            token=event.lease_token,
            current=conversation.lease_token,
            why=why,
        )
        return
    brand = None
    if conversation.brand is not None and conversation.channel == "whatsapp":
        brand = ctx.use(Directory).brand(conversation.brand)  # pyright: ignore[reportAbstractUsage]
    catalog_id = "" if brand is None else brand.whatsapp_catalog_id
    contents = door.render(event.blocks, conversation.language, catalog_id=catalog_id)
    if event.author == "person":
        author = event.author_name or conversation.person or ""
        await deliver(ctx, conversation, contents, role="person", author=author)
        await ctx.get(Conversations).save(conversation)
        return
    conversation.end_turn()
    await deliver(ctx, conversation, contents, role="seller", author=event.author_name)
    await flush_held(ctx, conversation)
    if conversation.pending and not conversation.held_back(ctx.now()):
        await begin_turn(ctx, conversation, await customer_of(ctx, conversation), None)
    await ctx.get(Conversations).save(conversation)


async def status(event: WhatsAppStatus, ctx: Context) -> None:
    moved = await ctx.get(Messages).advance(event.send_id, event.status, event.wamid)
    if moved and event.status == "failed":
        conversation = await ctx.get(Conversations).find(event.conversation_id)
        if conversation is not None:
            await decide(ctx, conversation, "send.failed", send_id=event.send_id, error_code=event.error_code)
