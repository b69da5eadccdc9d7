"""What a deployment may set for conversations."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from agent_store.agents.conversations.permission import Caps
from agent_store.agents.conversations.quiet import QuietHours


@dataclass(frozen=True, slots=True)
class ConversationsSettings:
    """`burst_window`: silence after which a burst is one turn (zero: each message is a turn at once, without a timer).

    `burst_max`: a burst that never falls silent is a turn after so long. `turn_limit`: how long the bot has for an
    answer. `turn_tries`: how often a turn is granted before a person is called. `person_limit`: what a person's turn
    says as its end (nothing expires by it). `polite_pause`: how long "I can only read text" is not said again.
    `hasty_pause`: how long a customer who writes faster than the limit waits for the next answer, to all at once.
    `media_patience`: how long what is written beside a voice note or picture waits for what it says or shows.
    `media_wait`: after so long nobody waits for it any more, and the customer is asked to write.
    `test_mode`: tell of the four test codes along with a payment link.
    `quiet`: when customers are left alone by reminders, surveys and offers; `caps`: how many of these they get.
    `contact_pause`: after how long it is looked again if a customer who is being answered can be told something else.
    """

    burst_window: timedelta = timedelta(milliseconds=700)
    burst_max: timedelta = timedelta(seconds=3)
    turn_limit: timedelta = timedelta(seconds=90)
    turn_tries: int = 2
    person_limit: timedelta = timedelta(hours=24)
    polite_pause: timedelta = timedelta(seconds=10)
    hasty_pause: timedelta = timedelta(minutes=1)
    media_patience: timedelta = timedelta(seconds=20)
    media_wait: timedelta = timedelta(minutes=2)
    test_mode: bool = False
    quiet: QuietHours = field(default_factory=QuietHours)
    caps: Caps = field(default_factory=Caps)
    contact_pause: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        zero = timedelta()
        if self.burst_window < zero or self.burst_max < self.burst_window:
            raise ValueError("burst_window must not be negative and burst_max not below it")
        if self.turn_limit <= zero or self.person_limit <= zero or self.polite_pause < zero:
            raise ValueError("turn_limit and person_limit must be positive, polite_pause not negative")
        if self.hasty_pause <= zero:
            raise ValueError("hasty_pause must be positive")
        if self.contact_pause <= zero:
            raise ValueError("contact_pause must be positive")
        if not zero < self.media_patience <= self.media_wait:
            raise ValueError("media_patience must be positive and media_wait not below it")
        if self.turn_tries < 1:
            raise ValueError("turn_tries must be at least 1")
