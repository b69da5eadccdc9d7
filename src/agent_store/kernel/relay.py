"""The relay: sends what this process has just committed to the bus, and marks what the broker has confirmed.

It only knows what it was told since it began; what a dead process left unpublished, the steward sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Sequence

from agent_store.kernel.bus import Bus
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics

ROOM = 20_000
"""Events that wait in memory at most while the broker is away; the steward sends the rest from the outbox."""
SENDERS = 4
"""Batches under way at once: what is committed while one waits for its confirms need not wait for them as well."""
_BATCH = 500
_LONGEST_PAUSE = 5.0


class Relay:
    """`published(source, id)` is called for each event that the broker has confirmed."""

    def __init__(self, bus: Bus, metrics: Metrics, published: Callable[[str, str], None]) -> None:
        self._bus = bus
        self._metrics = metrics
        self._published = published
        self._waiting: deque[Envelope] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._trying = asyncio.Event()
        """Not set while the broker is known to be away."""
        self._trying.set()
        self._pause = 0.0
        self._under_way = self._confirms = 0
        self._suspects: set[tuple[str, str]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:  # a start that failed behind this is made again
            self._task = asyncio.create_task(self._run(), name="relay")

    @property
    def healthy(self) -> bool:
        return self._task is None or not self._task.done()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def offer(self, events: Sequence[Envelope]) -> None:
        """Committed events, in the order of their commit."""
        room = ROOM - len(self._waiting)
        if room < len(events):
            self._metrics.count("relay_overflow", len(events) - max(room, 0))
            events = events[: max(room, 0)]
        if events:
            self._waiting.extend(events)
            self._idle.clear()
            self._wake.set()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as senders:
            for _ in range(SENDERS):
                senders.create_task(self._send())

    async def _send(self) -> None:
        while True:
            if not self._trying.is_set():
                await self._trying.wait()
                continue
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            confirms = self._confirms
            self._under_way += 1
            try:
                taken = await self._bus.publish(batch)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                raise
            finally:
                self._under_way -= 1
            left: list[Envelope] = []
            for event, confirmed in zip(batch, taken, strict=True):
                if confirmed:
                    self._published(event.source, event.id)
                else:
                    left.append(event)
            self._confirms += len(batch) - len(left)
            if self._confirms > confirms:  # of this batch, or of one beside it
                self._pause = 0.0
                self._waiting.extendleft(reversed(self._set_aside(left, batch)))
            else:
                self._waiting.extendleft(reversed(left))
                self._metrics.count("relay_retry", len(left))
                await self._rest()
            if not self._waiting and not self._under_way:
                self._idle.set()

    async def _rest(self) -> None:
        """The broker is away: nobody tries for a while."""
        if not self._trying.is_set():
            return
        self._trying.clear()
        self._pause = min(_LONGEST_PAUSE, max(0.1, self._pause * 2)) * (0.5 + random.random() / 2)
        try:
            await asyncio.sleep(self._pause)
        finally:
            self._trying.set()

    def _set_aside(self, left: Sequence[Envelope], batch: Sequence[Envelope]) -> list[Envelope]:
        """What to try again of what was left while others were taken. One that is left so twice is itself the trouble: it
        shall hold up nobody here, and the steward tries it again."""
        if not left and not self._suspects:
            return []
        again: list[Envelope] = []
        known, self._suspects = self._suspects, self._suspects - {(event.source, event.id) for event in batch}
        for event in left:
            key = (event.source, event.id)
            if key in known:
                self._metrics.count("relay_refused")
            else:
                self._suspects.add(key)
                again.append(event)
        return again

    async def idle(self) -> None:
        """Until everything that was offered is confirmed."""
        await self._idle.wait()

    async def stop(self, grace: float) -> None:
        """Send what is left for `grace` seconds; the steward sends the rest."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
