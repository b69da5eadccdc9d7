"""The `RateLimiter` port: how much of something a caller may do in a while, counted across all processes.

A limit is a bucket of `limit` units that is full at first and fills again evenly, all of it within `per` (the generic
cell rate algorithm). So a burst of `limit` passes at once, and over time `limit` units pass in each `per`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Protocol

from agent_store.kernel.errors import TemporaryError


class TooMany(TemporaryError):
    """Over a limit; `retry_after` says when it is worth coming again, in whole seconds."""

    code = "too-many-requests"
    status = 429

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message, retry_after=timedelta(seconds=max(1, ceil(retry_after.total_seconds()))))


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units in so long. `limit` 0 is no limit at all."""

    limit: int
    per: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        if self.limit < 0 or self.per <= timedelta(0):
            raise ValueError("a rate has a limit that is not negative and a time that is longer than nothing")


UNLIMITED = Rate(0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`retry_after` is how long until the same would be allowed; nothing when it is."""

    allowed: bool
    retry_after: timedelta = timedelta(0)


ALLOWED = Verdict(allowed=True)


class RateLimiter(Protocol):
    """Both methods take at most some tens of milliseconds, and allow everything when the counts cannot be had: a limit
    protects the store, it must not take it down."""

    async def take(self, key: str, cost: int = 1, *, limit: int, per: timedelta) -> Verdict:
        """Count `cost` units to `key` if the limit allows it; what is refused is not counted.

        A cost above the limit is never allowed. Cost 0 asks whether anything is left.
        """
        ...

    async def spend(self, key: str, cost: int, *, limit: int, per: timedelta) -> None:
        """Count what has been used already, past the limit as well: that is refilled before more is allowed (a whole
        limit over is the most that is held against anybody)."""
        ...


class NoLimits:
    """Allows everything: the default where no limits are wanted."""

    async def take(self, key: str, cost: int = 1, *, limit: int, per: timedelta) -> Verdict:
        return ALLOWED

    async def spend(self, key: str, cost: int, *, limit: int, per: timedelta) -> None:
        pass


async def allowed(limiter: RateLimiter, key: str, rate: Rate, cost: int = 1) -> Verdict:
    """`take` by a `Rate`: no limit asks nobody. A cost above the limit counts as the whole limit."""
    if not rate.limit:
        return ALLOWED
    return await limiter.take(key, min(cost, rate.limit), limit=rate.limit, per=rate.per)


async def used(limiter: RateLimiter, key: str, rate: Rate, cost: int) -> None:
    """`spend` by a `Rate`."""
    if rate.limit and cost > 0:
        await limiter.spend(key, cost, limit=rate.limit, per=rate.per)
