"""The WhatsApp gateway's events. Source of field meanings: WhatsApp Business Cloud API, webhooks and messages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from agent_store.contracts.common import Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.tool import Tool

MessageKind = Literal[
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts", "reaction",
    "interactive", "button", "order", "referral", "system", "unsupported",
]  # fmt: skip


class InboundContent(Shape):
    """What a customer sent, reduced to what the store uses; the raw message stays in the gateway's table."""

    text: str = ""
    """Body of a text, caption of a medium, title of the tapped button or row, emoji of a reaction."""
    payload: str | None = None
    """The id of the tapped button or list row."""
    media_id: str | None = None
    mime_type: str | None = None
    unsupported_type: str | None = None
    """The type as WhatsApp named it, when the kind is "unsupported"."""


class WhatsAppMessageReceived(
    Event, type="store.whatsapp.message.received", topic="whatsapp", subject="wamid", partition="sender"
):
    """A customer's message, exactly once a wamid. A customer may have a business-scoped user id and no phone number."""

    wamid: str
    phone_number_id: str
    """The shop's number that was written to."""
    sender: str
    """`wa_id` when there is one, else `user_id`: the key by which one sender's messages stay in order."""
    wa_id: str | None = None
    user_id: str | None = None
    profile_name: str | None = None
    kind: MessageKind
    content: InboundContent
    context_wamid: str | None = None
    sent_at: datetime
    hasty: bool = False
    """The customer has written more than their limit lately: kept like any other, answered later and together."""


class OutText(Shape):
    kind: Literal["text"] = "text"
    text: str
    preview_url: bool = False


class OutImage(Shape):
    kind: Literal["image"] = "image"
    link: str
    """Absolute URL, or a path of the store's own (`/media/…`) that the gateway makes absolute."""
    caption: str = ""


class OutChoice(Shape):
    id: str = Field(max_length=256)
    title: str = Field(max_length=24)
    description: str | None = Field(default=None, max_length=72)


class OutButtons(Shape):
    """Up to three reply buttons; titles of at most 20 characters."""

    kind: Literal["buttons"] = "buttons"
    text: str = Field(max_length=1024)
    choices: tuple[OutChoice, ...] = Field(min_length=1, max_length=3)
    image: str | None = None
    """Header image, as `OutImage.link`."""


class OutList(Shape):
    """Up to ten rows behind one button."""

    kind: Literal["list"] = "list"
    text: str = Field(max_length=4096)
    button: str = Field(max_length=20)
    choices: tuple[OutChoice, ...] = Field(min_length=1, max_length=10)


OutContent = Annotated[OutText | OutImage | OutButtons | OutList, Field(discriminator="kind")]


class WhatsAppMessageSend(
    Event, type="store.whatsapp.message.send", topic="whatsapp",
    subject="conversation_id", partition="customer_id", sequence="number",
):  # fmt: skip
    """Command: send one message. `send_id` is the idempotency key and travels as `biz_opaque_callback_data`."""

    send_id: str
    conversation_id: ConversationId
    customer_id: CustomerId
    number: int
    """Outbound message number of the conversation, from 1, without gaps."""
    phone_number_id: str
    to: str
    """The customer's wa_id, or the business-scoped user id when `to_kind` is "user"."""
    to_kind: Literal["phone", "user"] = "phone"
    content: OutContent
    reply_to: str | None = None


class WhatsAppStatus(Event, type="store.whatsapp.status", topic="whatsapp", subject="send_id", partition="customer_id"):
    """A send got further: forward only (uncertain → sent → delivered → read; failed ends it)."""

    send_id: str
    customer_id: CustomerId
    conversation_id: ConversationId
    wamid: str | None = None
    status: Literal["sent", "delivered", "read", "failed", "uncertain"]
    error_code: int | None = None
    error: str | None = None
    at: datetime


class WhatsAppSendDoubtful(
    Event, type="store.whatsapp.send.doubtful", topic="whatsapp", subject="send_id", partition="customer_id"
):
    """Timer of `whatsapp`: nobody knows if this send went out. A status that came meanwhile has decided it; without
    one it is uncertain from now on."""

    send_id: str
    customer_id: CustomerId


class UncertainSend(Shape):
    """A message of which nobody knows if the customer got it; it is never sent again."""

    send_id: str
    conversation_id: ConversationId
    customer_id: CustomerId
    phone_number_id: str
    attempted_at: datetime
    reason: str = ""


class GetUncertainSends(Tool[tuple[UncertainSend, ...]], name="whatsapp.uncertain", staff_only=True):
    """The sends that stayed uncertain after a crash or a lost answer, newest first."""

    limit: int = Field(default=50, ge=1, le=200)
