"""What a simulated phone shows: shared by the simulator, which fills it, and the page, which draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

BubbleKind = Literal[
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts",
    "buttons", "list", "products", "link", "place_request", "flow", "template",
    "reply", "form", "order", "system", "other",
]  # fmt: skip
"""Of the store: buttons … template. Of the customer: a tap (reply), the answers of a flow (form), a filled cart (order), a
new number (system, drawn between the bubbles), and what the store's API has no kind for (other)."""
BubbleStatus = Literal["sent", "delivered", "read", "failed"]
MediumKind = Literal["image", "audio", "video", "document", "sticker"]


@dataclass(frozen=True, slots=True)
class ShopNumber:
    """A number of the shop that can be written to."""

    phone_number_id: str
    name: str
    seller: str = ""
    display_phone: str = ""
    brand: str | None = None
    emoji: str = "🛍️"
    color: str = "#444444"
    catalog_id: str = ""
    """The number's catalogue in WhatsApp; empty: it has none."""


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated customer. `wa_id` (phone number, digits only) is None for one who shows only a scoped id."""

    id: str
    name: str
    wa_id: str | None
    user_id: str


@dataclass(frozen=True, slots=True)
class Option:
    """A reply button, a list row, or a quick reply of a template."""

    id: str
    title: str
    description: str | None = None
    section: str = ""
    """Title of the list's section."""


@dataclass(frozen=True, slots=True)
class LinkButton:
    """A button that opens something: `url` is an address, `tel:…` for a call, or "" when `copy` is copied."""

    title: str
    url: str = ""
    copy: str = ""


@dataclass(frozen=True, slots=True)
class Medium:
    """A file in the simulator's folder, or one that the store sent as a link. `url` is where a browser of staff gets it."""

    id: str
    kind: MediumKind
    url: str
    mime_type: str = ""
    filename: str = ""
    bytes: int = 0
    voice: bool = False
    """Spoken into the phone, not a file."""


@dataclass(frozen=True, slots=True)
class Spot:
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class ContactCard:
    name: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the number's catalogue shows it. `price` in minor units (centavos), None when it has none."""

    retailer_id: str
    title: str
    price: int | None = None
    currency: str = "BRL"
    image: str = ""
    description: str = ""
    available: bool = True
    section: str = ""
    """In a message of several products: the title of its section."""


@dataclass(frozen=True, slots=True)
class OrderLine:
    retailer_id: str
    quantity: int
    title: str = ""
    price: int | None = None
    """Of one, in minor units, as the phone told it: it may be wrong on purpose."""
    currency: str = "BRL"


@dataclass(frozen=True, slots=True)
class Ad:
    """The advertisement or post from which a message came."""

    headline: str = ""
    body: str = ""
    url: str = ""
    source_type: Literal["ad", "post"] = "ad"
    source_id: str = ""
    click_id: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    emoji: str
    mine: bool
    """By the customer whose phone it is."""


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message in a chat. `mine`: written by the customer whose phone it is.

    `status` of a customer's message: sent (on its way), delivered (the store has it), read (the store has read or answered it);
    of the store's message: as reported to it. A bubble can change after it was drawn (status, text, reactions, deleted).
    """

    seq: int
    wamid: str
    person_id: str
    phone_number_id: str
    mine: bool
    kind: BubbleKind
    text: str
    at: datetime
    """By the simulator's clock, which can be moved."""
    status: BubbleStatus
    image: str | None = None
    """URL of a picture to draw: of an image message, or a header."""
    options: tuple[Option, ...] = ()
    button: str | None = None
    """What opens a list, products, a flow or the sharing of a location."""
    reply_to: str | None = None
    error: str | None = None
    header: str = ""
    footer: str = ""
    medium: Medium | None = None
    """Of image, audio, video, document and sticker; of a template, the video or document of its header."""
    spot: Spot | None = None
    cards: tuple[ContactCard, ...] = ()
    products: tuple[Product, ...] = ()
    """Of kind products."""
    lines: tuple[OrderLine, ...] = ()
    """Of kind order."""
    links: tuple[LinkButton, ...] = ()
    form: Mapping[str, Any] | None = None
    """Of kind form: what was filled in."""
    about: Product | None = None
    """The product that a customer's text asks about."""
    ad: Ad | None = None
    template: str | None = None
    """Name of the template, when it is one."""
    reactions: tuple[Reaction, ...] = ()
    forwarded: bool = False
    edited: bool = False
    deleted: bool = False
    """Taken back: `text` is empty and there is nothing else to draw."""
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class ChatState:
    """What a chat's head shows."""

    typing: bool
    """The store is typing."""
    window_until: datetime | None
    """Until then the store may answer freely; None or past: only templates reach this customer."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong on purpose, from now on until it is set anew; the default is that nothing does. What the page's
    laboratory offers of the simulator's behaviour, of which the REST API has more."""

    delay: float = 0.0
    """Seconds by which each webhook (messages and statuses) comes later."""
    twice: bool = False
    """Each webhook is delivered twice."""
    reorder: bool = False
    """Half of the webhooks are held back, so that later ones overtake them."""
    lost: bool = False
    """The first try of half of the webhooks never arrives; they come again."""
    refuse: int | None = None
    """The Graph API refuses every send of the store with this error code."""
    fail: int | None = None
    """Each send is taken, and then reported as failed with this error code."""
    outage: Literal["none", "busy", "lost", "garbage"] = "none"
    """Sends are answered 503 (busy); taken and answered 504 (lost); taken and answered with no JSON (garbage)."""
    token_expired: bool = False
    """The store's access token is refused (error 190)."""


NewsKind = Literal["quality", "limit", "template", "account"]
"""What the platform tells a business: a number's quality and messaging limit, a template's or the account's status."""


class Phone(Protocol):
    """What the page needs of the simulator. What a method refuses is a StoreError with a sentence for the user."""

    @property
    def revision(self) -> int:
        """Grows with every change of anything that is shown."""
        ...

    @property
    def elsewhere(self) -> str | None:
        """The Graph URL that the store really sends to, when that is not the simulator: then nothing works here."""
        ...

    def numbers(self) -> Sequence[ShopNumber]: ...

    def people(self) -> Sequence[Person]: ...

    def add_person(self, name: str, *, with_phone: bool = True) -> Person: ...

    def change_number(self, person_id: str) -> Person:
        """The customer takes a new (made-up) phone number; each shop that they wrote to is told."""
        ...

    def bubbles(self, person_id: str, phone_number_id: str, *, limit: int = 100, after: int = 0) -> Sequence[Bubble]:
        """The newest `limit` messages of a chat with a `seq` above `after`, oldest first."""
        ...

    def latest(self, person_id: str) -> dict[str, Bubble]:
        """The newest message of each of a customer's chats, by phone number id."""
        ...

    def state(self, person_id: str, phone_number_id: str) -> ChatState: ...

    def now(self) -> datetime:
        """The simulator's clock: moved, it is ahead of the real one."""
        ...

    def move_clock(self, by: timedelta) -> datetime:
        """Forward only; returns the new time."""
        ...

    def reset_clock(self) -> datetime: ...

    async def products(self, phone_number_id: str, *, words: str = "") -> Sequence[Product]:
        """What the number's catalogue shows, at most 60; empty when it has none."""
        ...

    async def say(self, person_id: str, phone_number_id: str, text: str, *, reply_to: str | None = None) -> Bubble: ...

    async def send_file(
        self,
        person_id: str,
        phone_number_id: str,
        content: bytes,
        *,
        filename: str = "",
        mime_type: str = "",
        kind: MediumKind | None = None,
        caption: str = "",
        voice: bool = False,
        reply_to: str | None = None,
    ) -> Bubble:
        """`kind` None: by `mime_type`, else by the file's name; what is no picture, sound or film is a document."""
        ...

    async def send_spot(
        self, person_id: str, phone_number_id: str, spot: Spot, *, reply_to: str | None = None
    ) -> Bubble:
        """Share a place; with `reply_to` in answer to a location request."""
        ...

    async def send_cards(
        self, person_id: str, phone_number_id: str, cards: Sequence[ContactCard], *, reply_to: str | None = None
    ) -> Bubble: ...

    async def order(self, person_id: str, phone_number_id: str, wanted: Mapping[str, int], *, text: str = "") -> Bubble:
        """Send a cart that was filled in the number's catalogue: quantity by retailer id."""
        ...

    async def ask_about(self, person_id: str, phone_number_id: str, retailer_id: str, text: str) -> Bubble:
        """Message the business from a product's page."""
        ...

    async def come_from_ad(self, person_id: str, phone_number_id: str, ad: Ad, text: str) -> Bubble:
        """The first message after a tap on an advertisement."""
        ...

    async def send_unsupported(self, person_id: str, phone_number_id: str) -> Bubble:
        """A message of a kind that the Cloud API does not hand on (a poll, for example)."""
        ...

    async def tap(self, wamid: str, option_id: str) -> Bubble:
        """Tap a reply button, a list row, or a template's quick reply, of the store's message."""
        ...

    async def fill_in(self, wamid: str, answers: Mapping[str, Any]) -> Bubble:
        """Send a flow's form off."""
        ...

    async def react(self, wamid: str, emoji: str) -> Bubble:
        """React to any message of the chat, or take it back with an empty emoji; returns the message reacted to."""
        ...

    async def edit(self, wamid: str, text: str) -> Bubble:
        """Change the words of one's own message (for 15 minutes)."""
        ...

    async def delete(self, wamid: str) -> Bubble:
        """Take one's own message back, for everyone (for two days)."""
        ...

    async def deliver_again(self, wamid: str, copies: int = 1) -> None:
        """The same webhook once more, as the platform does too."""
        ...

    # --- on purpose ------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> Trouble: ...

    def make_trouble(self, trouble: Trouble) -> None:
        """For every chat, at once."""
        ...

    async def tell_news(self, phone_number_id: str, what: NewsKind, state: str, *, name: str = "") -> None:
        """The platform's news of a number or of the account, as a webhook. `state` is its word (GREEN, TIER_1K, APPROVED,
        RESTRICTED …), `name` a template's name."""
        ...
