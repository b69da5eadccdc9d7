"""The conversation: whose turn it is, who speaks, what waits. Pure; all that happens to its counters happens here.

One speaker at a time: the bot holds the lease for a turn, a person until they hand back, nobody while a person is
being waited for. Every grant and every change of speaker raises the fencing token, so an answer with an older one is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from agent_store.contracts.common import Channel, Language
from agent_store.kernel.ids import ConversationId, CustomerId

Speaker = Literal["bot", "waiting", "person"]
TURN_KINDS = frozenset({"text", "interactive", "button"})
"""What a seller can read."""
CAPTIONED_KINDS = frozenset({"image", "video", "document", "referral"})
"""Their text is the customer's own words; what comes with it cannot be read yet."""
SILENT_KINDS = frozenset({"reaction", "system"})
"""Kept, and never answered."""
NEVER = 0
"""The turn of a message that starts none."""


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
    """A message of the customer. `turn` is None while it waits to be given."""

    seq: int
    external_id: str
    kind: str
    text: str
    payload: str | None
    at: datetime
    turn: int | None = None
    stored: bool = False


@dataclass(slots=True)
class Conversation:
    """Customer × number written to. `number` is the shop's phone number id, `address` the customer's.

    `seq` counts messages of both directions, `given` is the last one that a turn may have taken, `pending` how many of the
    customer's messages wait. `asked` is the `seq` at which "which shop?" was asked, 0 when no answer is due.
    `answered` is the token of the turn that the bot answered last.
    `heard_at` is when the customer wrote last, `last_at` when anybody did. `sentiment` is in hundredths. `burst_since` is set while a burst is open.
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
        if self.held_back(now):
            return None
        begins = self.burst_since is None
        if begins:
            self.burst += 1
        # A burst that begins in the future: until then nothing is its end.
        self.burst_since = self.burst_due = now + pause
        return self.burst_due if begins else None

    def held_back(self, now: datetime) -> bool:
        return self.burst_since is not None and now < self.burst_since

    def close_burst(self) -> None:
        self.burst_since = self.burst_due = None

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
    "rejected", "confirmed", "picked", "shipped", "delivered", "cancelled", "link", "failed", "refunded"
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
    if kind == "refunded":
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
