"""The `Store` port: transactions in groups, reads outside of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import MetaData

from agent_store.kernel.context import DatabaseKind, Row, Session
from agent_store.kernel.event import Envelope

R = TypeVar("R")


@dataclass(slots=True)
class Unit:
    """One savepoint's worth of work: a session in an open transaction, and what is to be sent with its commit."""

    db: Session
    claimed: bool = True
    """Whether the inbox row that the work asked for is new: False when it stood there already."""
    events: list[Envelope] = field(default_factory=list[Envelope])
    timers: list[tuple[Envelope, datetime]] = field(default_factory=list[tuple[Envelope, datetime]])


Work = Callable[[Unit], Awaitable[R]]


class Store(Protocol):
    """Durable state. Several works share one commit; each is atomic by itself (a savepoint)."""

    @property
    def reader(self) -> Session:
        """Reads committed state, each statement for itself, outside any transaction, with the kernel's rights."""
        ...

    def reader_of(self, agent: str) -> Session:
        """The same with the rights of one agent: its own tables and the kernel's."""
        ...

    async def run(
        self,
        work: Work[R],
        *,
        agent: str | None = None,
        claim: Row | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109  # of the work, not of the wait
    ) -> R:
        """Run `work` in a transaction and return its result after the commit is durable.

        `agent`: with the rights of this agent; None: with the kernel's. `claim` is an inbox row that is inserted in the
        same transaction before the work, unless it stands (`unit.claimed`). A work may be run more than once before its
        one commit (a group that failed is run again singly), so it changes nothing but its session and its unit.

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

    async def create(self, tables: Mapping[str, MetaData], ddl: Mapping[str, Sequence[str]]) -> None:
        """Create what is missing of these tables, by agent (`kernel` for the kernel's), and run the further statements
        for this kind of database."""
        ...

    @property
    def kind(self) -> DatabaseKind: ...

    async def close(self) -> None: ...
