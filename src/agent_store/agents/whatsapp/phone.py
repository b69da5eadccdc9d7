"""What a simulated phone shows: shared by the simulator, which fills it, and the page, which draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

BubbleKind = Literal["text", "image", "buttons", "list", "reply", "other"]
BubbleStatus = Literal["sent", "delivered", "read", "failed"]


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


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated customer. `wa_id` (phone number, digits only) is None for one who shows only a scoped id."""

    id: str
    name: str
    wa_id: str | None
    user_id: str


@dataclass(frozen=True, slots=True)
class Option:
    """A reply button or a list row."""

    id: str
    title: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message in a chat. `mine`: written by the customer whose phone it is.

    `status` of a customer's message: sent (on its way), delivered (the store has it), read (the store has answered);
    of the store's message: as reported to it. `button` opens a list.
    """

    seq: int
    wamid: str
    person_id: str
    phone_number_id: str
    mine: bool
    kind: BubbleKind
    text: str
    at: datetime
    status: BubbleStatus
    image: str | None = None
    options: tuple[Option, ...] = ()
    button: str | None = None
    reply_to: str | None = None
    error: str | None = None


class Phone(Protocol):
    """What the page needs of the simulator."""

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

    def bubbles(self, person_id: str, phone_number_id: str, *, limit: int = 100, after: int = 0) -> Sequence[Bubble]:
        """The newest `limit` messages of a chat with a `seq` above `after`, oldest first."""
        ...

    def latest(self, person_id: str) -> dict[str, Bubble]:
        """The newest message of each of a customer's chats, by phone number id."""
        ...

    async def say(self, person_id: str, phone_number_id: str, text: str, *, reply_to: str | None = None) -> Bubble: ...

    async def tap(self, wamid: str, option_id: str) -> Bubble:
        """Tap a reply button or a list row of the store's message."""
        ...
