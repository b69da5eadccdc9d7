"""Saying something to the customer: numbered, written down, and sent as a command to the channel's gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import TypeAdapter

from agent_store.agents.conversations import door
from agent_store.agents.conversations.model import Conversation
from agent_store.agents.conversations.repository import Decisions, Messages, Notices
from agent_store.contracts.whatsapp import OutContent, WhatsAppMessageSend
from agent_store.kernel.context import Context
from agent_store.kernel.ids import derived_id

_CONTENTS: TypeAdapter[list[OutContent]] = TypeAdapter(list[OutContent])


def dump(contents: Sequence[OutContent]) -> list[Any]:
    return _CONTENTS.dump_python(list(contents), mode="json")


def load(value: list[Any]) -> list[OutContent]:
    return _CONTENTS.validate_python(value)


def send_id(conversation_id: str, number: int) -> str:
    """The same message of the same conversation has the same id whenever it is worked out."""
    return derived_id("send", conversation_id, number)


async def deliver(
    ctx: Context,
    conversation: Conversation,
    contents: Sequence[OutContent],
    *,
    role: Literal["seller", "person", "notice"],
    author: str = "",
) -> None:
    """The door: every message to a customer goes through here. The caller saves the conversation afterwards."""
    rows: list[dict[str, Any]] = []
    now = ctx.now()
    for content in contents:
        number = conversation.next_outbound()
        id = send_id(conversation.id, number)
        text = door.plain(content)
        rows.append(
            {
                "conversation_id": conversation.id,
                "seq": conversation.next_seq(),
                "direction": "out",
                "outbound": number,
                "turn": conversation.turn,
                "role": role,
                "author": author,
                "kind": content.kind,
                "text": text,
                "content": content.model_dump(mode="json"),
                "send_id": id,
                "status": "queued",
                "at": now,
            }
        )
        conversation.last_text, conversation.last_at = text[:200], now
        ctx.emit(
            WhatsAppMessageSend(
                send_id=id,
                conversation_id=conversation.id,
                customer_id=conversation.customer_id,
                number=number,
                phone_number_id=conversation.number,
                to=conversation.address,
                to_kind=conversation.address_kind,
                content=content,
            ),
            brand=conversation.brand,
            channel=conversation.channel,
        )
    await ctx.get(Messages).say(rows)


async def flush_held(ctx: Context, conversation: Conversation) -> None:
    """Tell what waited for the end of the bot's turn."""
    if conversation.held == 0:
        return
    conversation.held = 0
    for contents in await ctx.get(Notices).take_held(conversation.id):
        await deliver(ctx, conversation, load(contents), role="notice")


async def decide(ctx: Context, conversation: Conversation, what: str, **details: Any) -> None:
    """Write down why the conversation goes on as it does, and log it without anything personal."""
    await ctx.get(Decisions).note(ctx.new_id(), conversation.id, ctx.event.id, what, details, ctx.now())
    ctx.log.info(f"conversation.{what}", conversation=conversation.id, **details)
