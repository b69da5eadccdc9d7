"""Rate limits counted in this process: for the embedded store, and for whoever runs one process only."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from agent_store.kernel.limits import ALLOWED, Verdict

SWEPT = 1024
"""New keys between two looks for buckets that are full again."""


class LocalRateLimiter:
    """See `kernel.limits.RateLimiter`. A bucket is one number, the time at which it is full again; it is forgotten then.

    `clock`: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._sweep_at = SWEPT

    async def take(self, key: str, cost: int = 1, *, limit: int, per: timedelta) -> Verdict:
        now, seconds = self._clock(), per.total_seconds()
        unit = seconds / limit
        full_at = max(self._full_at.get(key, 0.0), now)
        # Cost 0 asks for one unit and takes none. The millionth forgives what floating point loses.
        over = full_at + (cost or 1) * unit - now - seconds
        if over > seconds * 1e-6:
            return Verdict(allowed=False, retry_after=timedelta(seconds=over))
        if cost:
            self._keep(key, full_at + cost * unit, now)
        return ALLOWED

    async def spend(self, key: str, cost: int, *, limit: int, per: timedelta) -> None:
        now = self._clock()
        seconds = per.total_seconds()
        full_at = max(self._full_at.get(key, 0.0), now) + cost * seconds / limit
        self._keep(key, min(full_at, now + 2 * seconds), now)

    def _keep(self, key: str, full_at: float, now: float) -> None:
        self._full_at[key] = full_at
        if len(self._full_at) >= self._sweep_at:
            self._full_at = {key: at for key, at in self._full_at.items() if at > now}
            self._sweep_at = 2 * len(self._full_at) + SWEPT

    @property
    def buckets(self) -> int:
        """Buckets that are not known to be full."""
        return len(self._full_at)
