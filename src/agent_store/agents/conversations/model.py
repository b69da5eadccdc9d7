"""The conversation: whose turn it is, who speaks, what waits. Pure; all that happens to its counters happens here.

One speaker at a time: the bot holds the lease for a turn, a person until they hand back, nobody while a person is
being waited for. Every grant and every change of speaker raises the fencing token, so an answer with an older one is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from agent_store.contracts.chat import MediaRef, Place
from agent_store.contracts.common import Channel, Item, Language
from agent_store.kernel.ids import ConversationId, CustomerId, Sku

Speaker = Literal["bot", "waiting", "person"]
TURN_KINDS = frozenset({"text", "interactive", "button", "order", "location", "request_welcome"})
"""What a seller can read as it comes. (A customer who opens the chat for the first time says nothing, and is greeted.)"""
CAPTIONED_KINDS = frozenset({"image", "video", "document"})
"""Their text is the customer's own words beside what can be seen."""
AWAITED_KINDS = frozenset({"audio", "image"})
"""Kinds that wait for what the gateway hears or sees in them, when it fetches their medium.

A picture waits with its caption: "tem igual a esse?" means nothing without it. The gateway tells the end of every fetch,
and the wait is bounded, so a caption is answered a moment later at worst, once, and in the light of its picture.
"""
SILENT_KINDS = frozenset({"reaction", "system"})
"""Kept, and never answered."""
NEVER = 0
"""The turn of a message that starts none."""
AWAITED = -1
"""The turn of a message whose medium is to come."""
FORM_PAYLOAD = "form"
"""The payload of a form's answers: their text is a list of fields, not something that the customer said."""


@dataclass(slots=True)
class Customer:
    id: CustomerId
    language: Language
    name: str | None = None
    profile_name: str | None = None
    language_heard: bool = True

    @property
    def called(self) -> str | None:
        """What they said their name is, else what their profile says."""
        return self.name or self.profile_name


@dataclass(slots=True)
class Line:
    """A message of the customer. `turn` is None while it waits to be given, `AWAITED` while its medium is to come.

    `text` is the customer's own words. `quotes` is the channel's id of the message that it answers (or reacts to),
    `quoted` that one's text, shortened. `more` is what is kept for people and for routing: an advertisement's words,
    a form's answers, names on contact cards …
    """

    seq: int
    external_id: str
    kind: str
    text: str
    payload: str | None
    at: datetime
    turn: int | None = None
    stored: bool = False
    quotes: str | None = None
    quoted: str = ""
    items: tuple[Item, ...] = ()
    about: Sku | None = None
    seen: str | None = None
    place: Place | None = None
    media: MediaRef | None = None
    problem: str | None = None
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    edited_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def said(self) -> bool:
        """Are there words of the customer in it, typed or spoken? (A tapped title is ours, a form's fields are no speech.)"""
        return self.payload is None and bool(self.text.strip())

    @property
    def readable(self) -> bool:
        """Is there anything in it that a seller can answer?"""
        match self.kind:
            case "text" | "interactive" | "button" | "request_welcome":
                return True
            case "order":
                return bool(self.items) or self.said
            case "location":
                return self.place is not None
            case "audio":
                return self.said
            case "image":
                return self.said or self.seen is not None
            case _:
                return self.kind in CAPTIONED_KINDS and self.said

    @property
    def unread(self) -> str | None:
        """The word (a key of `texts`) for what in it nobody can hear, see or open; None when all of it is understood."""
        if self.problem is not None:
            return _PROBLEMS.get(self.problem, "file_failed")
        if self.kind == "audio":
            return None if self.said else "cannot_listen"
        if self.kind == "image":
            return None if self.seen is not None else "cannot_see"
        return None if self.kind in TURN_KINDS and self.readable else "cannot_read"


_PROBLEMS = {
    "too_large": "file_too_large",
    "forbidden_type": "file_refused",
    "unsafe": "file_refused",
    "unreadable": "file_refused",
}


@dataclass(slots=True)
class Conversation:
    """Customer × number written to. `number` is the shop's phone number id, `address` the customer's.

    `seq` counts messages of both directions, `given` is the last one that a turn may have taken, `pending` how many of the
    customer's messages wait. `asked` is the `seq` at which "which shop?" was asked, 0 when no answer is due.
    `answered` is the token of the turn that the bot answered last.
    `heard_at` is when the customer wrote last, `last_at` when anybody did. `sentiment` is in hundredths. `burst_since` is set while a burst is open.
    `awaiting_until`: until then what was written beside a voice note or picture waits for it.
    """

    id: ConversationId
    customer_id: CustomerId
    channel: Channel
    number: str
    address: str
    address_kind: Literal["phone", "user"]
    brand: str | None
    language: Language
    created_at: datetime
    last_at: datetime
    heard_at: datetime
    language_heard: bool = False
    """False while the language is only assumed: the first words that tell decide."""
    speaker: Speaker = "bot"
    person: str | None = None
    lease_token: int = 0
    lease_until: datetime | None = None
    turn: int = 0
    turn_open: bool = False
    turn_from: int = 0
    tries: int = 0
    answered: int = 0
    seq: int = 0
    given: int = 0
    pending: int = 0
    outbound: int = 0
    held: int = 0
    burst: int = 0
    burst_since: datetime | None = None
    burst_due: datetime | None = None
    awaiting_until: datetime | None = None
    asked: int = 0
    sentiment: int = 60
    polite_at: datetime | None = None
    last_text: str = ""

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def next_outbound(self) -> int:
        self.outbound += 1
        return self.outbound

    # --- bursts

    def open_burst(self, now: datetime, window: timedelta, longest: timedelta) -> datetime | None:
        """A message came: the burst ends `window` later, `longest` after its first message at the latest.

        Returns when the timer has to be set for a burst that begins; None when one is running already.
        """
        begins = self.burst_since is None
        if self.burst_since is None:
            self.burst += 1
            self.burst_since = now
        self.burst_due = min(now + window, self.burst_since + longest)
        return self.burst_due if begins else None

    def hold_back(self, now: datetime, pause: timedelta) -> datetime | None:
        """The customer writes too fast: what waits and what comes is one turn, `pause` from now.

        Returns when the timer has to be set, None when one is running already. A pause that runs is not made longer: a
        customer who never stops is answered once a pause.
        """
        if self.paused(now):
            return None
        begins = self.burst_since is None
        if begins:
            self.burst += 1
        # A burst that begins in the future: until then nothing is its end.
        self.burst_since = self.burst_due = now + pause
        return self.burst_due if begins else None

    def await_medium(self, now: datetime, patience: timedelta) -> datetime | None:
        """A voice note or picture came that is understood in a moment: what is written beside it waits, at most so long.

        Returns when the timer has to be set, None when one is running already.
        """
        self.awaiting_until = now + patience
        begins = self.burst_since is None
        if begins:
            self.burst += 1
            self.burst_since = self.burst_due = now
        return self.awaiting_until if begins else None

    @property
    def burst_end(self) -> datetime | None:
        """When the open burst is to be a turn; None when none is open."""
        if self.burst_due is None or self.awaiting_until is None:
            return self.burst_due
        return max(self.burst_due, self.awaiting_until)

    def paused(self, now: datetime) -> bool:
        """Is a customer who writes too fast answered later?"""
        return self.burst_since is not None and now < self.burst_since

    def held_back(self, now: datetime) -> bool:
        """May no turn begin now?"""
        return self.paused(now) or (self.awaiting_until is not None and now < self.awaiting_until)

    def close_burst(self) -> None:
        self.burst_since = self.burst_due = self.awaiting_until = None

    # --- the lease

    def may_escalate(self, token: int) -> bool:
        """Does this token belong to the turn in flight, or to the one answered last (the next may have begun since)?"""
        return self.speaker == "bot" and token in (self.lease_token, self.answered)

    def _take(self, lines: list[Line]) -> None:
        self.close_burst()
        self.turn += 1
        self.turn_from = min((line.seq for line in lines), default=self.seq)
        self.given = max(self.given, *(line.seq for line in lines), self.turn_from)
        self.pending = max(0, self.pending - len(lines))
        for line in lines:
            line.turn = self.turn

    def grant(self, lines: list[Line], now: datetime, limit: timedelta) -> datetime:
        """The bot's turn begins, with a new token. Returns the end of the lease."""
        if self.speaker != "bot" or self.turn_open:
            raise ValueError("a turn is granted to the bot, and only when none is open")
        self._take(lines)
        self.turn_open = True
        self.tries += 1
        self.lease_token += 1
        self.lease_until = now + limit
        return self.lease_until

    def give_to_person(self, lines: list[Line]) -> None:
        """Messages for a person (or for the queue): a turn number, but no lease begins or ends by it."""
        if self.speaker == "bot":
            raise ValueError("the bot speaks: grant it a turn")
        self._take(lines)

    def end_turn(self) -> None:
        """The bot has answered (or is not to answer any more)."""
        self.turn_open = False
        self.lease_until = None
        self.tries = 0
        self.answered = self.lease_token

    def take_back(self, seq: int) -> None:
        """A message that waited is looked at anew; one of before what was given last is not to be missed."""
        self.pending = max(0, self.pending - 1)
        self.return_to(seq)

    def return_to(self, seq: int) -> None:
        """This message may wait from now on, although later ones have been given."""
        self.given = min(self.given, seq - 1)

    def reopen(self, released: int) -> None:
        """The turn's lease ran out: the messages that it was given wait again."""
        self.pending += released
        self.turn_open = False
        self.lease_until = None
        self.given = self.turn_from - 1

    def wait(self) -> bool:
        """The bot is silent from now on. False when it was already."""
        if self.speaker != "bot":
            return False
        self.end_turn()
        self.close_burst()
        self.speaker = "waiting"
        self.lease_token += 1
        self.asked = self.answered = 0
        return True

    def hand_to(self, person: str) -> int:
        """This person speaks from now on. Returns their token."""
        self.end_turn()
        self.close_burst()
        self.speaker, self.person = "person", person
        self.lease_token += 1
        self.asked = self.answered = 0
        return self.lease_token

    def back_to_bot(self) -> bool:
        """False when the bot speaks already."""
        if self.speaker == "bot":
            return False
        self.speaker, self.person = "bot", None
        self.lease_token += 1
        self.answered = self.tries = 0
        self.sentiment = 60
        return True


Refusal = Literal["stale token", "the bot is silent", "no turn is open", "no person speaks", "another customer"]


def refusal(
    conversation: Conversation, *, author: Literal["bot", "person"], token: int, customer_id: CustomerId
) -> Refusal | None:
    """Why an answer must not reach the customer; None when it may."""
    if customer_id != conversation.customer_id:
        return "another customer"
    if token < conversation.lease_token:
        return "stale token"
    if author == "bot":
        if conversation.speaker != "bot":
            return "the bot is silent"
        return None if conversation.turn_open else "no turn is open"
    return None if conversation.speaker == "person" else "no person speaks"


_RANK = {"queued": 0, "uncertain": 1, "sent": 2, "delivered": 3, "read": 4}


def statuses_before(status: str) -> list[str]:
    """The statuses from which a send may move on to this one: forward only; what failed or was read stays."""
    if status == "failed":
        return ["queued", "uncertain", "sent"]
    return [earlier for earlier, rank in _RANK.items() if rank < _RANK.get(status, 0)]


# --- what is told of an order -----------------------------------------------------------------------------------------

OrderNotice = Literal[
    "rejected", "confirmed", "picked", "shipped", "delivered", "cancelled", "link", "failed", "refunded", "surplus"
]
_ORDER_FACTS = frozenset({"rejected", "confirmed", "picked", "shipped", "delivered", "cancelled"})


@dataclass(frozen=True, slots=True)
class Told:
    key: str
    kind: str
    version: int


def why_not_tell(kind: OrderNotice, key: str, version: int, told: list[Told]) -> str | None:
    """None when the customer should hear of it; else why not: it was told, or something newer was.

    Order facts count by the order's version, failed payments by their attempt. Once an order is paid or closed, nothing more is
    said of paying it.
    """
    if any(one.key == key for one in told):
        return "told"
    if kind in ("refunded", "surplus"):
        return None
    facts = [one for one in told if one.kind in _ORDER_FACTS]
    if kind in _ORDER_FACTS:
        return "newer told" if any(one.version >= version for one in facts) else None
    if facts:
        return "newer told"
    failures = [one for one in told if one.kind == "failed"]
    if kind == "link" and failures:
        return "newer told"
    if kind == "failed" and any(one.version >= version for one in failures):
        return "newer told"
    return None
