"""What the parts of a dispatcher share: its tasks, what is to be done at a time, and whether it drains."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from datetime import datetime
from itertools import count


class Waiting:
    """Times are those of the wall clock; who keeps it (`kernel.steward`) calls `run_due`."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self.rescheduled: Callable[[], None] = _nothing
        """Called when something is to be done at a time."""
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._ticket = count()

    def begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def at(self, due: datetime, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (due, next(self._ticket), action))
        self.rescheduled()

    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def run_due(self, now: datetime) -> None:
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    async def drain(self, grace: float) -> None:
        """Let what runs finish for `grace` seconds, then cancel it."""
        self.draining = True
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _nothing() -> None:
    pass
