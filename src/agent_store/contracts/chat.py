"""Conversations: what is said, who speaks, who the customer is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_store.contracts.common import Address, Channel, DeliveryMethod, Item, Language, Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool


class MediaRef(Shape):
    """A medium that the channel's gateway keeps, for staff: `GET /media/whatsapp/<key>`."""

    key: str
    mime_type: str
    filename: str | None = None
    expires_at: datetime | None = None


class Place(Shape):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class ChatLine(Shape):
    """One message of a customer within a burst."""

    message_id: str
    kind: str
    """As `contracts.whatsapp.MessageKind`."""
    text: str
    """Their words: also those of a voice note, once somebody has listened to it."""
    payload: str | None = None
    quoted: str = ""
    """The message that they answered, shortened."""
    items: tuple[Item, ...] = ()
    """What they put into the cart of the channel's own catalogue; prices are the store's."""
    about: Sku | None = None
    """The product that they opened the chat from."""
    seen: str | None = None
    """What a picture of theirs shows, in words."""
    place: Place | None = None
    media: MediaRef | None = None
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


class LinkBlock(Shape):
    """A button that opens a page."""

    kind: Literal["link"] = "link"
    text: str
    button: str = Field(max_length=20)
    url: str = Field(max_length=2000)


class ImageBlock(Shape):
    kind: Literal["image"] = "image"
    link: str
    """Absolute URL, or a path of the store's own (`/media/…`)."""
    text: str = ""


class PlaceRequestBlock(Shape):
    """Asks where the customer is."""

    kind: Literal["place_request"] = "place_request"
    text: str


ReplyBlock = Annotated[
    TextBlock | ProductsBlock | ButtonsBlock | ListBlock | LinkBlock | ImageBlock | PlaceRequestBlock,
    Field(discriminator="kind"),
]


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


class ChatMediumOverdue(
    Event, type="store.chat.medium.overdue", topic="chat", subject="conversation_id", partition="customer_id"
):
    """Timer of `conversations`: what was said or shown in this message has not come; the customer is asked to write."""

    conversation_id: ConversationId
    customer_id: CustomerId
    message_id: str


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


class CustomerIdentityLinked(Event, type="store.customer.identity.linked", topic="chat", subject="customer_id"):
    """Another way to know a customer by was found to be theirs (a new number, a user id, a web session)."""

    customer_id: CustomerId
    kind: str
    """"wa_id", "user_id", "web", "kiosk"; the value itself stays in one place."""


ConsentWay = Literal["words", "button", "staff", "import"]


class CustomerOptedOut(Event, type="store.customer.opted.out", topic="chat", subject="customer_id"):
    """No reminders, surveys or offers for this customer any more, on any channel, until they opt in."""

    customer_id: CustomerId
    words: str = ""
    """What they wrote or tapped."""
    way: ConsentWay = "words"
    channel: Channel
    at: datetime


class CustomerOptedIn(Event, type="store.customer.opted.in", topic="chat", subject="customer_id"):
    """The customer asked for reminders, surveys and offers."""

    customer_id: CustomerId
    words: str = ""
    way: ConsentWay = "words"
    channel: Channel
    at: datetime


class CustomerContact(
    Event, type="store.customer.contact", topic="chat", subject="contact_id", partition="customer_id"
):
    """Command: say this to a customer of the store's own accord, when and if the channel's rules allow. Once a `contact_id`.

    Consent, quiet hours, frequency caps and the 24-hour window are looked after here; `CustomerContacted` tells the end.
    """

    contact_id: str = Field(min_length=1, max_length=120)
    customer_id: CustomerId
    purpose: Literal["cart_reminder", "survey", "marketing", "service"]
    template: str
    """A name of `contracts.templates.TEMPLATES`."""
    values: dict[str, str] = Field(default_factory=dict)
    """Its variables by name."""
    brand: str
    expires_at: datetime
    """Not after this."""


class CustomerContacted(
    Event, type="store.customer.contacted", topic="chat", subject="contact_id", partition="customer_id"
):
    """What became of a `CustomerContact`. "sent": handed to the channel."""

    contact_id: str
    customer_id: CustomerId
    purpose: str
    outcome: Literal["sent", "skipped", "expired"]
    reason: Literal["", "opted_out", "no_consent", "too_often", "nowhere", "unknown_template", "too_late"] = ""
    brand: str
    at: datetime


class CustomerContactDue(
    Event, type="store.customer.contact.due", topic="chat", subject="contact_id", partition="customer_id"
):
    """Timer of `conversations`: a contact that quiet hours or a cap held back may go out now."""

    contact_id: str
    customer_id: CustomerId


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
    beside: str = ""
    """What came along with the customer's words (a picture, a place, a cart), as a reader sees it."""
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


class Consent(Shape):
    """May the store write to this customer of its own accord? Without a word of theirs it may not."""

    customer_id: CustomerId
    marketing: Literal["yes", "no", "unsaid"]
    words: str = ""
    way: ConsentWay | None = None
    at: datetime | None = None


class GetConsent(Tool[Consent], name="conversations.consent"):
    """Whether this customer wants reminders, surveys and offers."""


class SetConsent(Tool[Consent], name="conversations.set_consent", writes=True, staff_only=True):
    """Write down what a customer said to a person about reminders, surveys and offers."""

    customer_id: CustomerId
    marketing: bool
    words: str = Field(default="", max_length=200)


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
    media: MediaRef | None = None
    media_problem: str | None = None
    """Why its medium is not there: as `contracts.whatsapp.MediaProblem`."""
    edited_at: datetime | None = None
    """The customer changed it; `text` is what it says now."""
    deleted_at: datetime | None = None
    """The customer took it back; `text` is empty."""


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
