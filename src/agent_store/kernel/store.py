"""The `Store` port: transactions in groups, reads outside of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import MetaData

from agent_store.kernel.context import Session
from agent_store.kernel.event import Envelope

R = TypeVar("R")


@dataclass(slots=True)
class Unit:
    """One savepoint's worth of work: a session in an open transaction, and what is to be sent with its commit."""

    db: Session
    events: list[Envelope] = field(default_factory=list[Envelope])
    timers: list[tuple[Envelope, datetime]] = field(default_factory=list[tuple[Envelope, datetime]])


Work = Callable[[Unit], Awaitable[R]]


class Store(Protocol):
    """Durable state. Several works share one commit; each is atomic by itself (a savepoint)."""

    @property
    def reader(self) -> Session:
        """Reads committed state, each statement for itself, outside any transaction."""
        ...

    async def run(self, work: Work[R], *, timeout: float = 10.0) -> R:  # noqa: ASYNC109  # of the work, not of the wait
        """Run `work` in a transaction and return its result after the commit is durable.

        What `work` raises is raised here, with its savepoint rolled back and its neighbours unharmed. Raises
        TimeoutError when `work` takes over `timeout` seconds, TemporaryError when the commit fails.
        """
        ...

    def ask_heard(self, heard: Callable[[Envelope], bool]) -> None:
        """`heard(event)` says whether an event has a consumer: one that nobody hears is written as published at once.
        Until it is set, every event counts as heard."""
        ...

    def on_commit(self, listener: Callable[[Sequence[Envelope], Sequence[datetime]], None]) -> None:
        """Call `listener(events, timer times)` after every commit that sends any."""
        ...

    async def create(self, tables: Sequence[MetaData], ddl: Sequence[str] = ()) -> None:
        """Create what is missing of these tables."""
        ...

    async def close(self) -> None: ...
