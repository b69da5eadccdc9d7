"""How much time a piece of work has left: kept by the task, so that a call to another process can take it along.

A tool that runs for a caller who waits two seconds more need not wait ten for a tool that it calls itself. The one who
gives work a bound says so with `within`; whoever waits for something asks `remaining`.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float | None] = ContextVar("agent_store_until", default=None)


def remaining() -> float | None:
    """Seconds until the nearest bound of this task, not below 0; None when it has none."""
    until = _until.get()
    return None if until is None else max(0.0, until - time.monotonic())


@contextmanager
def within(seconds: float) -> Generator[None]:
    """The block has so many seconds, or fewer when it stands in a block that has fewer. It is not ended by this: the
    one who says it also keeps it (`asyncio.timeout`)."""
    until, outer = time.monotonic() + seconds, _until.get()
    token = _until.set(until if outer is None else min(until, outer))
    try:
        yield
    finally:
        _until.reset(token)
