"""Time comes from a `Clock` port, so that tests move it and nothing sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

_log = structlog.get_logger("agent_store.clock")

STEP = 1.0
"""Seconds by which a clock may be put right at once."""
DISTRUST = 900.0
"""Seconds for which a clock that has jumped further must stay where it is before it is believed."""


class Clock(Protocol):
    """The only source of "now". Always aware UTC."""

    def now(self) -> datetime: ...


def _running() -> float:
    """Seconds that go on while the machine sleeps, and that nobody sets."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class SystemClock:
    """The machine's time, without its jumps.

    A wall clock that is an hour off for a moment would let payments and reservations expire at once, or an hour late. So
    after the start time goes on by a clock that nobody sets, corrected by what the wall clock says as long as that is
    within `STEP`; of a longer jump there is a warning in the log, and it counts when it has lasted for `DISTRUST`.
    """

    def __init__(self, wall: Callable[[], float] = time.time, running: Callable[[], float] = _running) -> None:
        """`wall` gives the seconds since 1970, `running` seconds since any moment."""
        self._wall = wall
        self._running = running
        self._offset = wall() - running()
        self._other = self._offset
        """What the wall clock says instead since `_since`, while it is not believed."""
        self._since: float | None = None

    def now(self) -> datetime:
        running = self._running()
        offset = self._wall() - running
        if abs(offset - self._offset) <= STEP:
            self._offset, self._since = offset, None
        elif self._since is None or abs(offset - self._other) > STEP:
            self._other, self._since = offset, running
            _log.warning("clock.jumped", seconds=round(offset - self._offset, 1), believed_after=DISTRUST)
        elif running - self._since >= DISTRUST:
            _log.warning("clock.followed", seconds=round(offset - self._offset, 1))
            self._offset, self._since = offset, None
        return datetime.fromtimestamp(self._offset + running, UTC)


class ManualClock:
    """A clock that tests and drills move by hand; it starts at a fixed instant and never moves by itself."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
        if self._now.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        """Move by any duration, backward too (a drill does that)."""
        self._now += by
