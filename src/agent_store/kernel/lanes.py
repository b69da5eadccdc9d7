"""Lanes: deliveries of one (consumer, partition) are handled one after the other, lanes run side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from agent_store.kernel.clock import Clock
from agent_store.kernel.delivery import Delivery, Fate
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.waiting import Waiting

LANE_ROOM = 16
"""Deliveries of a network that stand in one lane before those that come are recorded while they wait."""
SLOW_ROOM = 2
"""The same behind a process, which takes its time."""

Key = tuple[str, str]


def _lane_of(delivery: Delivery) -> Key:
    """A partition's events stand in one lane, those of a subscription `aside` in another, which no partition's name has."""
    partition = delivery.event.partition
    if delivery.subscription.aside:
        partition = f"\n{delivery.event.type}\n{partition}"
    return delivery.consumer.name, partition


class Ends(Protocol):
    """Who is told that a delivery is out of its lane for good."""

    def ended(self, delivery: Delivery) -> None: ...

    def broken_off(self, delivery: Delivery) -> None: ...


@dataclass(slots=True, eq=False)
class _Lane:
    waiting: deque[Delivery] = field(default_factory=deque[Delivery])
    slow: bool = False
    """A process is being handled."""
    held: bool = False
    """Its first delivery is a retry that is not due yet, and keeps the others behind it."""


class Lanes:
    """`attempt` makes one try of a delivery. `shelve` records one that has to wait long."""

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        waiting: Waiting,
        ends: Ends,
        attempt: Callable[[Delivery], Awaitable[Fate]],
        shelve: Callable[[Delivery], None],
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._waiting = waiting
        self._ends = ends
        self._attempt = attempt
        self._shelve = shelve
        self._lanes: dict[Key, _Lane] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.active = 0
        """Deliveries that are being handled or wait for their turn (not behind a retry that is not due yet)."""

    def __len__(self) -> int:
        return len(self._lanes)

    def standing(self) -> list[Delivery]:
        """What waits for its turn."""
        return [delivery for lane in self._lanes.values() for delivery in lane.waiting]

    def deliver(self, delivery: Delivery) -> None:
        """Put it at the end of its lane."""
        if not delivery.known:
            self._metrics.received(delivery.consumer.name, delivery.event.type)
        key = _lane_of(delivery)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.waiting.append(delivery)
            if not lane.held:
                self._count(1)
            if delivery.arrival is not None and (
                lane.held or len(lane.waiting) > (SLOW_ROOM if lane.slow else LANE_ROOM)
            ):
                self._shelve(delivery)
            return
        lane = self._lanes[key] = _Lane()
        lane.waiting.append(delivery)
        self._count(1)
        self._advance(key, lane)

    def _advance(self, key: Key, lane: _Lane) -> None:
        """Begin the lane's next delivery, or hold the lane until that may be tried again."""
        if self._waiting.draining:
            return  # what waits is taken up at the next start
        if not lane.waiting:
            del self._lanes[key]
            return
        due, lane.waiting[0].not_before = lane.waiting[0].not_before, None
        if due is not None and due > self._clock.now():
            lane.held = True
            self._count(-len(lane.waiting))
            for waiting in lane.waiting:
                self._shelve(waiting)
            self._waiting.at(due, lambda: self._resume(key, lane))
            return
        delivery = lane.waiting.popleft()
        lane.slow = delivery.subscription.kind == "process"
        self._waiting.begin(self._handle(key, lane, delivery))

    def _resume(self, key: Key, lane: _Lane) -> None:
        lane.held = False
        self._count(len(lane.waiting))
        self._advance(key, lane)

    async def _handle(self, key: Key, lane: _Lane, delivery: Delivery) -> None:
        """Run one delivery to its end or to its next try, then let the lane go on."""
        fate: Fate | None = None
        try:
            fate = await self._attempt(delivery)
        finally:
            if fate == "again":
                lane.waiting.appendleft(delivery)
            else:
                self._count(-1)
                if fate is None:
                    self._ends.broken_off(delivery)
                elif fate == "ended":
                    self._ends.ended(delivery)
            self._advance(key, lane)

    def _count(self, change: int) -> None:
        self.active += change
        if self.active:
            self._idle.clear()
        else:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until nothing is being handled and no lane has anything to do now."""
        await self._idle.wait()
