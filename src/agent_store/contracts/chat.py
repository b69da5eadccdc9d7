"""Conversations: what is said, who speaks, who the customer is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_store.contracts.common import Address, Channel, DeliveryMethod, Language, Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool


class ChatLine(Shape):
    """One message of a customer within a burst."""

    message_id: str
    kind: str
    """As `contracts.whatsapp.MessageKind`."""
    text: str
    payload: str | None = None
    at: datetime


class ChatMessageNew(
    Event, type="store.chat.message.new", topic="chat",
    subject="conversation_id", partition="customer_id", sequence="number",
):  # fmt: skip
    """A turn: everything the customer wrote since the last one, for the one speaker whose lease token it carries."""

    conversation_id: ConversationId
    customer_id: CustomerId
    number: int
    """Turn number of the conversation, from 1, without gaps."""
    lease_token: int
    lease_until: datetime
    addressee: Literal["bot", "person"] = "bot"
    messages: tuple[ChatLine, ...]
    brand: str
    channel: Channel
    language: Language
    customer_name: str | None = None


class TextBlock(Shape):
    kind: Literal["text"] = "text"
    text: str


class ProductCard(Shape):
    """A product as a customer sees it in a chat. Every field comes from a tool result."""

    product_id: str
    sku: str | None = None
    title: str
    price: Money
    list_price: Money | None = None
    image: str
    """Path of the store's own: `/media/products/<product id>.png`."""
    note: str = ""
    """Honest urgency or what is special: "Últimas 2 unidades"."""


class ProductsBlock(Shape):
    kind: Literal["products"] = "products"
    text: str = ""
    cards: tuple[ProductCard, ...] = Field(min_length=1, max_length=10)


class ReplyChoice(Shape):
    id: str = Field(max_length=200)
    title: str = Field(max_length=24)
    description: str | None = Field(default=None, max_length=72)


class ButtonsBlock(Shape):
    kind: Literal["buttons"] = "buttons"
    text: str
    choices: tuple[ReplyChoice, ...] = Field(min_length=1, max_length=3)


class ListBlock(Shape):
    kind: Literal["list"] = "list"
    text: str
    button: str
    choices: tuple[ReplyChoice, ...] = Field(min_length=1, max_length=10)


ReplyBlock = Annotated[TextBlock | ProductsBlock | ButtonsBlock | ListBlock, Field(discriminator="kind")]


class Evidence(Shape):
    """A fact stated in a reply and the tool result that it stands in."""

    kind: Literal["price", "stock", "date", "discount", "order"]
    stated: str
    source: str
    """Tool name and call id."""


class ChatResponse(Event, type="store.chat.response", topic="chat", subject="conversation_id", partition="customer_id"):
    """What the speaker answers. Refused when the token is below the conversation's; an empty reply ends the turn."""

    conversation_id: ConversationId
    customer_id: CustomerId
    lease_token: int
    turn: int | None = None
    """The turn number that it answers; None for a person's own word."""
    blocks: tuple[ReplyBlock, ...] = ()
    author: Literal["bot", "person"] = "bot"
    author_name: str = ""
    brain: str = ""
    understood: bool = True
    evidence: tuple[Evidence, ...] = ()
    brand: str = ""


class ChatTurnDue(Event, type="store.chat.turn.due", topic="chat", subject="conversation_id", partition="customer_id"):
    """Timer of `conversations`: the burst window of a conversation has passed."""

    conversation_id: ConversationId
    customer_id: CustomerId
    window: int
    """The burst that it was set for: an older timer does nothing."""


class ChatTurnExpired(
    Event, type="store.chat.turn.expired", topic="chat", subject="conversation_id", partition="customer_id"
):
    """Timer of `conversations`: the lease of a turn has run out; without an answer the turn is granted anew."""

    conversation_id: ConversationId
    customer_id: CustomerId
    lease_token: int


class ChatIntentDetected(
    Event, type="store.chat.intent.detected", topic="chat", subject="conversation_id", partition="customer_id"
):
    conversation_id: ConversationId
    customer_id: CustomerId
    intent: str
    confidence: float = Field(ge=0, le=1)
    brand: str = ""


class ChatSentimentChanged(
    Event, type="store.chat.sentiment.changed", topic="chat", subject="conversation_id", partition="customer_id"
):
    """Score 0 (furious) … 1 (delighted); under 0.3 brings a person."""

    conversation_id: ConversationId
    customer_id: CustomerId
    score: float = Field(ge=0, le=1)
    before: float = Field(ge=0, le=1)
    brand: str = ""


class CustomerNew(Event, type="store.customer.new", topic="chat", subject="customer_id"):
    customer_id: CustomerId
    language: Language
    channel: Channel


class CustomerUpdated(Event, type="store.customer.updated", topic="chat", subject="customer_id"):
    customer_id: CustomerId
    changed: tuple[str, ...]
    """Names of the fields, never their values: personal data stays in one place."""


class SessionStarted(
    Event, type="store.session.started", topic="chat", subject="conversation_id", partition="customer_id"
):
    conversation_id: ConversationId
    customer_id: CustomerId
    channel: Channel
    brand: str = ""


# --- tools ---------------------------------------------------------------------------------------------------------


class HistoryLine(Shape):
    role: Literal["customer", "seller", "person", "notice"]
    text: str
    payload: str | None = None
    at: datetime


class GetHistory(Tool[tuple[HistoryLine, ...]], name="conversations.history"):
    """The latest lines of this conversation before the turn being answered, oldest first."""

    limit: int = Field(default=20, ge=1, le=100)
    before_turn: int | None = None


class Profile(Shape):
    """What the store remembers of a customer, so that it asks only once."""

    customer_id: CustomerId
    name: str | None = None
    address: Address | None = None
    delivery: DeliveryMethod | None = None
    pickup_location: str | None = None
    language: Language = "pt"


class GetProfile(Tool[Profile], name="conversations.profile"):
    """What the store remembers of this customer: name, address, delivery or pickup."""


class Remember(Tool[Profile], name="conversations.remember", writes=True):
    """Remember what the customer said of themselves; only the given fields change."""

    name: str | None = Field(default=None, max_length=80)
    address: Address | None = None
    delivery: DeliveryMethod | None = None
    pickup_location: str | None = None


class ConversationSummary(Shape):
    conversation_id: ConversationId
    customer_id: CustomerId
    customer_name: str | None = None
    brand: str | None = None
    channel: Channel
    language: Language
    speaker: Literal["bot", "waiting", "person"]
    person: str | None = None
    last_text: str = ""
    last_at: datetime | None = None


class ListConversations(Tool[tuple[ConversationSummary, ...]], name="conversations.list", staff_only=True):
    """The conversations that were active last, newest first."""

    limit: int = Field(default=50, ge=1, le=200)
    before: datetime | None = None
    speaker: Literal["bot", "waiting", "person"] | None = None


class TranscriptLine(Shape):
    direction: Literal["in", "out"]
    role: Literal["customer", "seller", "person", "notice"]
    author: str = ""
    kind: str = "text"
    text: str
    at: datetime
    status: str | None = None
    """For sent messages: queued, sent, delivered, read, failed, uncertain."""


class Transcript(Shape):
    conversation: ConversationSummary
    lines: tuple[TranscriptLine, ...]


class GetTranscript(Tool[Transcript], name="conversations.transcript", staff_only=True):
    """What was said in a conversation, oldest first, at most the last `limit` lines."""

    conversation_id: ConversationId
    limit: int = Field(default=100, ge=1, le=500)


class Decision(Shape):
    """Why a conversation went on as it did; `cause` is the id of the event that was being handled."""

    cause: str
    what: str
    """Stable: "brand.routed", "brand.asked", "speaker.refused", "turn.expired", "escalated", "notice.skipped" …"""
    details: dict[str, Any] = Field(default_factory=dict)
    at: datetime


class GetDecisions(Tool[tuple[Decision, ...]], name="conversations.decisions", staff_only=True):
    """What was decided in a conversation and why (routing, refusals, hand-overs, notices not told), oldest first, at
    most the last `limit`."""

    conversation_id: ConversationId
    limit: int = Field(default=200, ge=1, le=1000)
