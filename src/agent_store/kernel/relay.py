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
        pause = 0.0
        while True:
            if not self._waiting:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                taken = await self._bus.publish(batch)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                raise
            left: list[Envelope] = []
            for event, confirmed in zip(batch, taken, strict=True):
                if confirmed:
                    self._published(event.source, event.id)
                else:
                    left.append(event)
            if len(left) < len(batch):
                pause = 0.0
                self._waiting.extendleft(reversed(self._set_aside(left)))
                continue
            self._waiting.extendleft(reversed(left))
            self._metrics.count("relay_retry", len(left))
            pause = min(_LONGEST_PAUSE, max(0.1, pause * 2)) * (0.5 + random.random() / 2)
            await asyncio.sleep(pause)

    def _set_aside(self, left: Sequence[Envelope]) -> list[Envelope]:
        """What to try again of what was left while others were taken. One that is left so twice is itself the trouble: it
        shall hold up nobody here, and the steward tries it again."""
        again: list[Envelope] = []
        suspects: set[tuple[str, str]] = set()
        for event in left:
            key = (event.source, event.id)
            if key in self._suspects:
                self._metrics.count("relay_refused")
            else:
                suspects.add(key)
                again.append(event)
        self._suspects = suspects
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
