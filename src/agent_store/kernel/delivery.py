"""A delivery: one event for one consumer, from its coming to its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from agent_store.kernel.agent import Subscription
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope

MAX_BACKOFF = timedelta(minutes=5)
MAX_AWAY = timedelta(seconds=8)
"""The longest pause while something is away: customers wait, and what keeps it from being overrun is its circuit."""

Fate = Literal["ended", "again", "parked"]
"""What becomes of a delivery after a try: it is done with, stays the first of its lane, or waits out of its lane."""


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Arrival:
    """What the bus waits for. A refusal before it is recorded leaves the event to the broker."""

    recorded: asyncio.Future[None] = field(default_factory=_future)
    handled: asyncio.Future[None] = field(default_factory=_future)

    def note(self) -> None:
        """The inbox has it."""
        if not self.recorded.done():
            self.recorded.set_result(None)

    def end(self) -> None:
        """There is nothing to do for it now."""
        self.note()
        if not self.handled.done():
            self.handled.set_result(None)

    def refuse(self, error: TemporaryError) -> None:
        for future in (self.recorded, self.handled):
            if not future.done():
                future.set_exception(error)
                future.exception()  # looked at: nobody may be waiting for this one


def nothing() -> None:
    pass


@dataclass(slots=True, eq=False)
class Delivery:
    """One event for one consumer. `attempts` counts failed tries; `known` is true when its inbox row stands already."""

    consumer: Consumer
    subscription: Subscription
    event: Envelope
    recorded: Callable[[], None] = nothing
    attempts: int = 0
    known: bool = False
    resumed: bool = False
    died: bool = False
    """Its last try ended with its process."""
    not_before: datetime | None = None
    """A retry: when it stands first in its lane, the lane is held until then."""
    patience: datetime | None = None
    """An early one: from then on it goes on without its predecessors."""
    ending: Callable[[], Awaitable[str]] | None = None
    """What is to be written about the last try, as long as the store has not taken it."""
    delays: int = 0
    """How often the store has refused that."""
    arrival: Arrival | None = None
    """From a network: who waits for what becomes of it."""
    shelving: bool = False
    """It is being recorded while it waits."""
    parked: bool = False
    """It waits out of its lane for its predecessor."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.consumer.name, self.event.source, self.event.id

    @property
    def place(self) -> tuple[str, str, str | None]:
        """What a sequence counts: one subject's events of one type, for one consumer."""
        return self.consumer.name, self.event.type, self.event.subject

    @property
    def sequence(self) -> int:
        return self.event.sequence or 0

    def note(self) -> None:
        """This consumer's inbox has the event: it counts towards the outbox row's end, once."""
        self.known = True
        recorded, self.recorded = self.recorded, nothing
        recorded()
        if self.arrival is not None:
            self.arrival.note()

    def rest(self) -> None:
        """Nobody need wait for it now: it is done with, or kept to be gone on with later."""
        if self.arrival is not None:
            self.arrival.end()


class Early(Exception):
    """Raised inside a handling whose predecessor has not come yet."""


class Lost(Exception):
    """Raised inside a commit when another worker has taken the event over: nothing of this handling counts."""


def backoff(
    subscription: Subscription, attempts: int, hint: timedelta | None, longest: timedelta = MAX_BACKOFF
) -> timedelta:
    """Exponential with full jitter above half (so neighbours spread), at most `longest`; a hint is a lower bound."""
    delay = min(subscription.backoff * 2 ** min(attempts - 1, 20), longest)
    delay = delay * (0.5 + random.random() / 2)
    return max(delay, hint) if hint is not None else delay


def patience(subscription: Subscription, wait: timedelta | None) -> timedelta:
    """What was asked for and up to a tenth more, so that those who wait for the same do not come at once."""
    return (wait if wait is not None else subscription.backoff) * (1 + random.random() / 10)


def stopping() -> TemporaryError:
    return TemporaryError("this process is stopping; another one takes it", code="draining")
