"""What the stores share: a work that waits for its commit, and who is told of commits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent_store.kernel.context import Row
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.store import Work

Listener = Callable[[Sequence[Envelope], Sequence[datetime]], None]

GROUP_LIMIT = 64
"""Works that share one commit at most: beyond that the sync is amortised and latency would only grow."""


@dataclass(slots=True, eq=False)
class Job:
    """A work and its waiter. `result`, `error`, `events` and `timers` are of its last run."""

    work: Work[Any]
    claim: Row | None
    timeout: float
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    events: list[Envelope] = field(default_factory=list[Envelope])
    timers: list[tuple[Envelope, datetime]] = field(default_factory=list[tuple[Envelope, datetime]])

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def finish(self) -> None:
        if self.error is not None:
            self.fail(self.error)
        elif not self.done.done():
            self.done.set_result(self.result)


class Listeners:
    """Who is told of commits, and who says which events are heard."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self.heard: Callable[[Envelope], bool] = _everything

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def tell(self, events: Sequence[Envelope], due: Sequence[datetime]) -> None:
        """After the commit. A listener that fails is reported as asyncio does for a callback: the commit stands."""
        if not events and not due:
            return
        for listener in self._listeners:
            try:
                listener(events, due)
            except Exception as error:  # noqa: BLE001  # reported; the other listeners are told all the same
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a listener to commits failed", "exception": error}
                )


def _everything(event: Envelope) -> bool:
    return True


def shutting_down() -> TemporaryError:
    return TemporaryError("the store is shutting down; try again in a moment", code="shutting-down")


def broken(error: BaseException) -> TemporaryError:
    failure = TemporaryError(f"the store's writer broke off: {error!r}", code="database")
    failure.__cause__ = error
    return failure


def was_cancelled(error: asyncio.CancelledError) -> TemporaryError:
    """For a work in which something was cancelled that it awaited. Raises `error` when its own task is cancelled."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    failure = TemporaryError("what the handler waited for was cancelled", code="cancelled")
    failure.__cause__ = error
    return failure
