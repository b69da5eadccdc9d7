"""Saying something to the customer: numbered, written down, and sent as a command to the channel's gateway."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from agent_store.agents.conversations import door
from agent_store.agents.conversations.model import Conversation, Line
from agent_store.agents.conversations.repository import Decisions, Messages, Notices
from agent_store.contracts import templates
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import OutContent, OutTemplate, Purpose, WhatsAppMessageSend, WhatsAppSeen
from agent_store.kernel.context import Context
from agent_store.kernel.ids import derived_id

WINDOW = timedelta(hours=24)
"""After the customer's last message, what is not a template reaches them.

Source: WhatsApp Cloud API, "Send messages" (customer service windows)."""
_MAY_CLOSE = timedelta(hours=12)
"""From so long after the customer's last message on an answer is sent with its template: it may go out late."""
_TYPING = timedelta(seconds=25)
_READ = timedelta(minutes=5)


class Saying(BaseModel):
    """Messages that wait to be told, with what they are for and what stands for them outside the window."""

    model_config = ConfigDict(frozen=True)

    contents: tuple[OutContent, ...]
    purpose: Purpose = "service"
    template: OutTemplate | None = None
    expires_at: datetime | None = None
    role: Literal["notice", "person"] = "notice"
    author: str = ""


_SAYING: TypeAdapter[Saying] = TypeAdapter(Saying)


def dump(saying: Saying) -> dict[str, Any]:
    return _SAYING.dump_python(saying, mode="json")


def load(value: dict[str, Any] | list[Any]) -> Saying:
    """A list: the messages alone, as releases before 0.2 wrote them."""
    return _SAYING.validate_python({"contents": value} if isinstance(value, list) else value)


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
    purpose: Purpose = "reply",
    template: OutTemplate | None = None,
    expires_at: datetime | None = None,
) -> None:
    """The door: every message to a customer goes through here. The caller saves the conversation afterwards.

    `template` goes out in place of the first message when the window has closed. What follows it has none: once it is sure
    that the window is closed it is not sent, since the template says that there is more. (A person's is: it fails, where they
    see it, and is said when the customer writes; see `unsaid`.)
    """
    now = ctx.now()
    if role != "notice" and template is None and now - conversation.heard_at > _MAY_CLOSE:
        template = await _news(ctx, conversation, now)
    if role != "person" and template is not None and len(contents) > 1 and now - conversation.heard_at >= WINDOW:
        await decide(ctx, conversation, "window.closed", template=template.name, unsaid=len(contents) - 1)
        contents = contents[:1]
    rows: list[dict[str, Any]] = []
    for place, content in enumerate(contents):
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
                "content": content.model_dump(mode="json") | _beside(template if place == 0 else None),
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
                purpose=purpose,
                template=template if place == 0 else None,
                expires_at=expires_at,
            ),
            brand=conversation.brand,
            channel=conversation.channel,
        )
    await ctx.get(Messages).say(rows)


def _beside(template: OutTemplate | None) -> dict[str, Any]:
    """What is kept with a message, for when its template goes out in its place."""
    return {} if template is None else {"template": template.text}


async def _news(ctx: Context, conversation: Conversation, now: datetime) -> OutTemplate | None:
    """ "There is an answer for you": once, until the customer writes; every template is a message of its own to them."""
    closed = conversation.heard_at + WINDOW
    if now >= closed and await ctx.get(Messages).answered_since(conversation.id, closed):
        return None
    directory = ctx.use(Directory)  # pyright: ignore[reportAbstractUsage]
    brand = None if conversation.brand is None else directory.brand(conversation.brand)
    shop = directory.shared.name if brand is None else brand.name
    return templates.out("conversation_news", conversation.language, {"shop": shop})


async def tell(ctx: Context, conversation: Conversation, saying: Saying) -> None:
    await deliver(
        ctx,
        conversation,
        saying.contents,
        role=saying.role,
        author=saying.author,
        purpose=saying.purpose,
        template=saying.template,
        expires_at=saying.expires_at,
    )


async def flush_held(ctx: Context, conversation: Conversation) -> None:
    """Tell what waited for the end of the bot's turn."""
    if conversation.held == 0:
        return
    conversation.held = 0
    for held in await ctx.get(Notices).take_held(conversation.id):
        await tell(ctx, conversation, load(held))


def seen(ctx: Context, conversation: Conversation, lines: Sequence[Line], *, typing: bool) -> None:
    """Show the customer that what they wrote was read, once for all of these messages: the channel marks earlier ones too.

    Source: WhatsApp Cloud API, "Mark messages as read", "Typing indicators".
    """
    last = next((line.external_id for line in reversed(lines) if line.external_id), None)
    if conversation.channel != "whatsapp" or last is None:
        return
    ctx.emit(
        WhatsAppSeen(
            wamid=last,
            customer_id=conversation.customer_id,
            phone_number_id=conversation.number,
            typing=typing,
            until=ctx.now() + (_TYPING if typing else _READ),
        ),
        brand=conversation.brand,
        channel=conversation.channel,
    )


async def decide(ctx: Context, conversation: Conversation, what: str, **details: Any) -> None:
    """Write down why the conversation goes on as it does, and log it without anything personal."""
    await ctx.get(Decisions).note(ctx.new_id(), conversation.id, ctx.event.id, what, details, ctx.now())
    ctx.log.info(f"conversation.{what}", conversation=conversation.id, **details)
