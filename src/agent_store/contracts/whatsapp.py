"""The WhatsApp gateway's events. Source of field meanings: WhatsApp Business Cloud API, webhooks and messages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_store.contracts.common import Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.tool import Tool

MessageKind = Literal[
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts", "reaction",
    "interactive", "button", "order", "referral", "system", "request_welcome", "unsupported",
]  # fmt: skip

# --- in --------------------------------------------------------------------------------------------------------------


class InboundMedia(Shape):
    """A medium as the webhook names it; what is in it, `WhatsAppMediaReceived` says."""

    id: str
    mime_type: str | None = None
    """As the platform says it; the gateway believes the content only."""
    filename: str | None = None
    voice: bool = False
    """An audio that was spoken into the phone, not a file."""


class InboundPlace(Shape):
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: str = ""
    address: str = ""


class InboundOrderItem(Shape):
    """A line of a cart that was filled in WhatsApp's own catalogue. There is no price: the store has its own."""

    retailer_id: str
    """The product's id in the catalogue; the store's own sync writes its SKU there."""
    quantity: int = Field(ge=1, le=999)


class InboundOrder(Shape):
    catalog_id: str = ""
    items: tuple[InboundOrderItem, ...] = ()


class InboundReferral(Shape):
    """The advertisement (or post) from which the customer came."""

    source_type: str = ""
    source_id: str = ""
    url: str = ""
    headline: str = ""
    body: str = ""
    click_id: str = ""
    """`ctwa_clid`."""


class InboundContent(Shape):
    """What a customer sent, reduced to what the store uses; the raw message stays in the gateway's table."""

    text: str = ""
    """Body of a text, caption of a medium, title of the tapped button or row, emoji of a reaction, note of an order."""
    payload: str | None = None
    """The id of the tapped button or list row."""
    media: InboundMedia | None = None
    place: InboundPlace | None = None
    people: tuple[str, ...] = ()
    """Names on the contact cards; their numbers are nobody's business here."""
    order: InboundOrder | None = None
    form: dict[str, Any] | None = None
    """The answers of a flow, as its screens named them."""
    removed: bool = False
    """A reaction was taken back."""
    about: str | None = None
    """Retailer id of the product that is asked about ("message business" on a product)."""
    referral: InboundReferral | None = None
    forwarded: bool = False
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
    """The message that is answered, reacted to or quoted."""
    sent_at: datetime
    hasty: bool = False
    """The customer has written more than their limit lately: kept like any other, answered later and together."""
    fetching: bool = False
    """The gateway fetches its medium: `WhatsAppMediaReceived` follows, whatever becomes of it."""


MediaProblem = Literal["too_large", "forbidden_type", "gone", "unsafe", "unreadable", "failed"]


class WhatsAppMediaReceived(
    Event, type="store.whatsapp.media.received", topic="whatsapp", subject="wamid", partition="sender"
):
    """What became of a message's medium: kept under `key`, or `problem` says why not. Once a message."""

    wamid: str
    phone_number_id: str
    sender: str
    kind: MessageKind
    key: str = ""
    """Where it is kept: `GET /media/whatsapp/<key>`, for staff."""
    mime_type: str = ""
    """By its content."""
    sha256: str = ""
    """Hexadecimal."""
    bytes: int = 0
    words: str | None = None
    """What was said in a voice note. None: nobody listens here (no transcriber is set up, or it failed)."""
    seen: str | None = None
    """What a picture shows. None: nobody looks here."""
    problem: MediaProblem | None = None
    expires_at: datetime | None = None
    """When it is deleted."""


class WhatsAppMediaDue(Event, type="store.whatsapp.media.due", topic="whatsapp", subject="wamid", partition="wamid"):
    """Command of `whatsapp` to itself: fetch this message's medium."""

    wamid: str
    phone_number_id: str
    sender: str
    kind: MessageKind
    media: InboundMedia


class WhatsAppMediaDrop(Event, type="store.whatsapp.media.drop", topic="whatsapp", subject="wamid", partition="wamid"):
    """Command of `whatsapp` to itself: delete what is kept under this key."""

    wamid: str
    key: str


class WhatsAppMessageEdited(
    Event, type="store.whatsapp.message.edited", topic="whatsapp", subject="wamid", partition="sender"
):
    """The customer changed the words of a message (WhatsApp lets them for 15 minutes)."""

    wamid: str
    """The message that was changed."""
    edit_wamid: str
    phone_number_id: str
    sender: str
    wa_id: str | None = None
    user_id: str | None = None
    content: InboundContent
    at: datetime


class WhatsAppMessageDeleted(
    Event, type="store.whatsapp.message.deleted", topic="whatsapp", subject="wamid", partition="sender"
):
    """The customer took a message back (WhatsApp lets them for two days)."""

    wamid: str
    """The message that was taken back."""
    phone_number_id: str
    sender: str
    wa_id: str | None = None
    user_id: str | None = None
    at: datetime


class WhatsAppIdentityChanged(
    Event, type="store.whatsapp.identity.changed", topic="whatsapp", subject="sender", partition="sender"
):
    """A customer goes by another phone number or user id from now on; at least one of the two is known from before.

    Their conversations, cart and orders stay theirs.
    """

    sender: str
    """By which they were known."""
    phone_number_id: str
    wa_id: str | None = None
    """The new number."""
    user_id: str | None = None
    """The new user id."""
    before_wa_id: str | None = None
    before_user_id: str | None = None
    at: datetime


class WhatsAppMarketingChosen(
    Event, type="store.whatsapp.marketing.chosen", topic="whatsapp", subject="sender", partition="sender"
):
    """A customer stopped, or resumed, this business's marketing messages in WhatsApp itself.

    Source: WhatsApp Cloud API, "user_preferences webhook reference".
    """

    sender: str
    phone_number_id: str
    wa_id: str | None = None
    user_id: str | None = None
    wanted: bool
    at: datetime


class WhatsAppAccountUpdated(
    Event, type="store.whatsapp.account.updated", topic="whatsapp", subject="subject_id", partition="subject_id"
):
    """News of the business account: a number's quality or limit, a template's status, a restriction, the access token."""

    subject_id: str
    """The phone number id, the template's name and language, or the account's id."""
    what: Literal["quality", "limit", "template", "account", "name", "security", "token", "other"]
    state: str
    """The platform's word: GREEN, TIER_1K, APPROVED, DISABLED …"""
    severity: Literal["info", "warning", "alert"]
    """"alert": messages do not go out, or will not soon."""
    reason: str = ""
    at: datetime


# --- out -------------------------------------------------------------------------------------------------------------

Purpose = Literal["reply", "order", "payment", "shipping", "service", "cart_reminder", "survey", "marketing"]
"""Why a message goes out. "reply" answers the customer; "service" is a word of the shop's own accord that they need."""
MARKETING: frozenset[Purpose] = frozenset({"cart_reminder", "survey", "marketing"})
"""What a customer can opt out of, and what quiet hours and frequency caps hold back."""


class OutText(Shape):
    """`*bold*`, `_italic_`, `~struck~` and ``` `code` ``` are shown as such."""

    kind: Literal["text"] = "text"
    text: str
    preview_url: bool = False
    """Show a preview of the first link."""


class OutImage(Shape):
    kind: Literal["image"] = "image"
    link: str
    """Absolute URL, or a path of the store's own (`/media/…`) that the gateway makes absolute or uploads."""
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


class OutSection(Shape):
    title: str = Field(default="", max_length=24)
    retailer_ids: tuple[str, ...] = Field(min_length=1, max_length=30)


class OutProducts(Shape):
    """Products of the brand's WhatsApp catalogue: one is shown whole, several (at most 30) behind a button."""

    kind: Literal["products"] = "products"
    catalog_id: str = Field(min_length=1)
    text: str = Field(default="", max_length=1024)
    header: str = Field(default="", max_length=60)
    sections: tuple[OutSection, ...] = Field(min_length=1, max_length=10)


class OutLink(Shape):
    """A button that opens a URL."""

    kind: Literal["link"] = "link"
    text: str = Field(max_length=1024)
    button: str = Field(max_length=20)
    url: str = Field(max_length=2000)
    image: str | None = None
    """Header image, as `OutImage.link`."""


class OutPlaceRequest(Shape):
    """Asks where the customer is; a tap sends the phone's location."""

    kind: Literal["place_request"] = "place_request"
    text: str = Field(max_length=1024)


class OutReaction(Shape):
    """An emoji on a customer's message; an empty one takes it back."""

    kind: Literal["reaction"] = "reaction"
    wamid: str
    emoji: str = Field(default="", max_length=16)


class OutTemplate(Shape):
    """An approved template: the only thing that reaches a customer who has not written for 24 hours."""

    kind: Literal["template"] = "template"
    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$")
    language: str = Field(pattern=r"^[a-z]{2}(_[A-Z]{2})?$")
    """The platform's code: pt_BR, en_US, es."""
    values: tuple[str, ...] = ()
    """What stands for {{1}}, {{2}} … of the body."""
    buttons: tuple[str, ...] = ()
    """The payload of each quick-reply button, in their order."""
    image: str | None = None
    """Header image, as `OutImage.link`."""
    text: str = ""
    """The whole body as the customer reads it, for the transcript."""


OutContent = Annotated[
    OutText | OutImage | OutButtons | OutList | OutProducts | OutLink | OutPlaceRequest | OutReaction | OutTemplate,
    Field(discriminator="kind"),
]


class WhatsAppMessageSend(
    Event, type="store.whatsapp.message.send", topic="whatsapp",
    subject="conversation_id", partition="customer_id", sequence="number",
):  # fmt: skip
    """Command: send one message. `send_id` is the idempotency key and travels as `biz_opaque_callback_data`.

    Inside the customer's 24 hours `content` goes out as it is, outside of them `template` in its place; without one the
    send fails (131047) and staff see it.
    """

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
    purpose: Purpose = "reply"
    template: OutTemplate | None = None
    expires_at: datetime | None = None
    """From then on it is better not said: it fails instead of going out late."""


class WhatsAppSeen(
    Event, type="store.whatsapp.message.seen", topic="whatsapp", subject="wamid", partition="customer_id"
):
    """Command: show the customer that their message was read, and (for at most 25 seconds) that somebody is typing.

    A courtesy: tried once, and not any more when it is late.
    """

    wamid: str
    customer_id: CustomerId
    phone_number_id: str
    typing: bool = True
    until: datetime


class WhatsAppOptOut(
    Event, type="store.whatsapp.optout", topic="whatsapp", subject="customer_id", partition="customer_id"
):
    """Command: from now on nothing goes out to this customer of the store's own accord (`stopped`), or again it may.

    `CustomerOptedOut` and `CustomerOptedIn` tell the same to everybody; this spares the gateway their topic.
    """

    customer_id: CustomerId
    stopped: bool
    at: datetime


class Pricing(Shape):
    """What the platform says that a message costs."""

    category: str = ""
    """service, utility, marketing, authentication, referral_conversion …"""
    billable: bool | None = None
    type: str = ""
    """regular, free_customer_service, free_entry_point."""


class WhatsAppStatus(Event, type="store.whatsapp.status", topic="whatsapp", subject="send_id", partition="customer_id"):
    """A send got further: forward only (uncertain → sent → delivered → read; failed ends it)."""

    send_id: str
    customer_id: CustomerId
    conversation_id: ConversationId
    wamid: str | None = None
    status: Literal["sent", "delivered", "read", "failed", "uncertain"]
    error_code: int | None = None
    error: str | None = None
    purpose: Purpose = "reply"
    as_template: bool = False
    """The template went out, not the content."""
    pricing: Pricing | None = None
    at: datetime


class WhatsAppSendDoubtful(
    Event, type="store.whatsapp.send.doubtful", topic="whatsapp", subject="send_id", partition="customer_id"
):
    """Timer of `whatsapp`: nobody knows if this send went out. A status that came meanwhile has decided it; without
    one it is uncertain from now on."""

    send_id: str
    customer_id: CustomerId


class WhatsAppTemplateDue(
    Event, type="store.whatsapp.template.due", topic="whatsapp", subject="send_id", partition="customer_id"
):
    """Command of `whatsapp` to itself: the platform took a message and said afterwards that the customer's 24 hours are
    over, so its template goes out in its place."""

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


class KeptMedium(Shape):
    """What a customer sent, as it is kept: its content is where media are kept, under the same key."""

    key: str
    mime_type: str
    filename: str | None = None
    """As the customer's phone named it: any text."""
    expires_at: datetime


class GetMedium(Tool[KeptMedium], name="whatsapp.medium", staff_only=True):
    """What is kept under a key; not found when it is none, has expired or was taken back."""

    key: str = Field(max_length=200)


class ChannelNews(Shape):
    """The last that is known of a number, a template or the account; see `WhatsAppAccountUpdated`."""

    subject_id: str
    what: str
    state: str
    severity: Literal["info", "warning", "alert"]
    reason: str = ""
    at: datetime


class GetChannelHealth(Tool[tuple[ChannelNews, ...]], name="whatsapp.health", staff_only=True):
    """How the platform sees the store's numbers and templates, and if the access token works: alerts first, then newest."""

    limit: int = Field(default=100, ge=1, le=500)
