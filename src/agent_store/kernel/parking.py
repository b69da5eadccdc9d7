"""Where early ones wait: recorded, out of their lane's way, until those before them have ended or patience does.

Patience is a wall clock's time in the inbox, since it outlives the process. It is not over before this process has really
waited for so long: a wall clock that jumps forward ends nobody's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from agent_store.kernel.contexts import World
from agent_store.kernel.delivery import Delivery
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.inbox import Inbox
from agent_store.kernel.waiting import Waiting

LOOK = timedelta(milliseconds=250)
"""How often an early one looks whether another worker has ended its predecessor."""


def _sequence(delivery: Delivery) -> int:
    return delivery.sequence


class Parking:
    """`deliver` puts one whose turn has come back into its lane. `shared`: predecessors may end in another process.
    `monotonic` gives seconds."""

    def __init__(
        self,
        world: World,
        inbox: Inbox,
        waiting: Waiting,
        deliver: Callable[[Delivery], None],
        *,
        shared: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._inbox = inbox
        self._waiting = waiting
        self._deliver = deliver
        self._shared = shared
        self._monotonic = monotonic
        self._ends: dict[Delivery, float] = {}
        """By the monotonic clock."""
        self.places: dict[tuple[str, str, str | None], list[Delivery]] = {}

    def hold(self, delivery: Delivery, due: datetime) -> None:
        """Keep what is recorded as parked, at most until `due`."""
        delivery.patience = due
        delivery.parked = True
        self.places.setdefault(delivery.place, []).append(delivery)
        left = min(due - self._world.clock.now(), delivery.subscription.order_wait)
        self._ends[delivery] = self._monotonic() + left.total_seconds()
        self._look_later(delivery, due)
        delivery.rest()

    def ended(self, delivery: Delivery) -> None:
        """A handling has ended here: those that come next go on."""
        if self.places:
            for other in sorted(self.places.get(delivery.place, ()), key=_sequence):
                if other.sequence <= delivery.sequence + 1:
                    self._release(other)

    def _look_later(self, delivery: Delivery, due: datetime) -> None:
        now = self._world.clock.now()
        at = due
        if due <= now and self._ends[delivery] > self._monotonic():  # by a clock that has jumped
            at = now + LOOK
        elif self._shared:
            at = min(due, now + LOOK)
        self._waiting.at(at, lambda: self._look(delivery, due))

    def _look(self, delivery: Delivery, due: datetime) -> None:
        others = self.places.get(delivery.place, ())
        if delivery not in others:
            return
        if due <= self._world.clock.now() and self._ends[delivery] <= self._monotonic():
            self._lose_patience(delivery)
        elif self._shared and delivery is min(others, key=_sequence):
            self._waiting.begin(self._look_for_predecessor(delivery, due))
        else:  # it is released by the one before it
            self._look_later(delivery, due)

    async def _look_for_predecessor(self, delivery: Delivery, due: datetime) -> None:
        try:
            goes_on = await self._inbox.is_next(self._world.store.reader, delivery)
        except (TemporaryError, TimeoutError):
            goes_on = False
        if delivery not in self.places.get(delivery.place, ()):
            return
        if goes_on:
            self._release(delivery)
        else:
            self._look_later(delivery, due)

    def _lose_patience(self, delivery: Delivery) -> None:
        others = self.places.get(delivery.place, [])
        if delivery in others:
            # Those that are here and come before it go before it.
            for other in sorted(others, key=_sequence):
                if other.sequence <= delivery.sequence:
                    other.patience = delivery.patience
                    self._release(other)

    def _release(self, delivery: Delivery) -> None:
        others = self.places[delivery.place]
        others.remove(delivery)
        if not others:
            del self.places[delivery.place]
        del self._ends[delivery]
        delivery.parked = False
        self._deliver(delivery)
