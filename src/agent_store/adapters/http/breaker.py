"""What keeps one slow or broken agent from taking this process with it: a circuit breaker and a bulkhead.

Both live in the process: what one replica sees of an agent (a cut link, a pod that hangs) others need not see.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from agent_store.kernel.errors import TemporaryError

State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When it opens, and for how long.

    It opens after `in_a_row` failures one after the other, or when `share` of the last `window` calls have failed. It
    then stays open for `rest`, and twice as long after every probe that fails, up to `longest_rest`: short, so that the
    store is whole again within seconds once the agent is.
    """

    in_a_row: int = 5
    window: int = 20
    share: float = 0.5
    rest: timedelta = timedelta(seconds=2)
    longest_rest: timedelta = timedelta(seconds=8)


class Breaker:
    """Closed: calls go through. Open: they are refused at once. Half-open: one probe goes through, and decides.

    `now` gives seconds that only go forward (`time.monotonic`): wall time may jump, and an hour back would keep it open
    for an hour.
    """

    def __init__(
        self,
        name: str,
        limits: BreakerLimits | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        changed: Callable[[State], None] | None = None,
    ) -> None:
        self._name = name
        self._limits = limits or BreakerLimits()
        self._now = now
        self._changed = changed
        self._state: State = "closed"
        self._round = 0
        """Counts changes of state: what began before the last one says nothing about now."""
        self._row = 0
        self._last: deque[bool] = deque(maxlen=self._limits.window)
        self._until = 0.0
        self._rest = self._limits.rest.total_seconds()
        self._probing = False

    @property
    def state(self) -> State:
        """An open one whose rest is over counts as half-open."""
        return "half-open" if self._state == "open" and self._now() >= self._until else self._state

    def enter(self) -> int:
        """Permission for a call, to be given back by `succeeded`, `failed` or `abandoned`.

        Raises TemporaryError (`circuit-open`) while it is open or a probe is under way.
        """
        if self._state == "open" and self._now() >= self._until:
            self._turn("half-open")
        if self._state == "open" or (self._state == "half-open" and self._probing):
            left = max(self._until - self._now(), 0.1)
            raise TemporaryError(
                f"{self._name} has failed several times just now: it is left alone for a moment",
                code="circuit-open",
                retry_after=timedelta(seconds=left),
                agent=self._name,
            )
        self._probing = self._state == "half-open"
        return self._round

    def succeeded(self, permit: int) -> None:
        """The agent has answered."""
        if permit != self._round:
            return
        if self._state == "half-open":
            self._rest = self._limits.rest.total_seconds()
            self._turn("closed")
        else:
            self._row = 0
            self._last.append(True)

    def failed(self, permit: int) -> None:
        """It could not be reached, did not answer in time, or what answered was not it."""
        if permit != self._round:
            return
        if self._state == "half-open":
            self._rest = min(self._rest * 2, self._limits.longest_rest.total_seconds())
            self._open()
            return
        self._row += 1
        self._last.append(False)
        window = self._limits.window
        if self._row >= self._limits.in_a_row or (
            len(self._last) == window and self._last.count(False) >= window * self._limits.share
        ):
            self._open()

    def abandoned(self, permit: int) -> None:
        """The call ended without telling anything (its caller went away): another probe may go."""
        if permit == self._round:
            self._probing = False

    def _open(self) -> None:
        self._until = self._now() + self._rest
        self._turn("open")

    def _turn(self, state: State) -> None:
        self._state = state
        self._round += 1
        self._probing = False
        self._row = 0
        self._last.clear()
        if self._changed is not None:
            self._changed(state)


class Bulkhead:
    """So many calls at a time, so many that wait; the next is refused. A slow agent fills its own, and no other's."""

    def __init__(self, name: str, *, most: int = 32, queue: int = 64) -> None:
        self._name = name
        self._slots = asyncio.Semaphore(most)
        self._queue = queue
        self.waiting = 0

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncGenerator[None]:
        """A place for the block. Raises TemporaryError (`busy`) when too many wait, or none is free in time."""
        if not self._slots.locked():
            await self._slots.acquire()
        elif self.waiting >= self._queue:
            raise self._busy()
        else:
            self.waiting += 1
            try:
                async with asyncio.timeout(seconds):
                    await self._slots.acquire()
            except TimeoutError:
                raise self._busy() from None
            finally:
                self.waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    def _busy(self) -> TemporaryError:
        return TemporaryError(
            f"too many calls wait for {self._name} already: try again in a moment",
            code="busy",
            retry_after=timedelta(seconds=1),
            agent=self._name,
        )
