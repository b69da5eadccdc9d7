"""What the kernel's own tests share: a few contracts, a table to see effects in, faults that a store can be given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Integer, MetaData, String, Table, bindparam, func, select

from agent_store.kernel.context import Context, DatabaseKind, Row, Session
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Store, Unit
from agent_store.kernel.tool import Tool
from tests.support.store import TestStore


class Ping(Event, type="store.kt.ping", topic="kt", subject="id"):
    id: str
    text: str = ""


class Pong(Event, type="store.kt.pong", topic="kt", subject="id"):
    id: str
    text: str = ""


class Version(Event, type="store.kt.version", topic="kt", subject="id", sequence="number"):
    id: str
    number: int


class Job(Event, type="store.kt.job", topic="kt", subject="id"):
    id: str
    text: str = ""


class Count(Tool[int], name="kt.count"):
    """How many notes there are with this text."""

    text: str = ""


class Note(Tool[int], name="kt.note", writes=True):
    """Write a note and say its number."""

    text: str


metadata = MetaData()
notes = Table(
    "kt_notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("text", String, nullable=False),
    Column("once", String, unique=True),
    CheckConstraint("text <> 'forbidden'"),
)
ADD = insert(notes)
COUNT = select(func.count().label("n")).where(notes.c.text == bindparam("text"))
TEXTS = select(notes.c.text).order_by(notes.c.id)


async def note(ctx: Context, text: str) -> None:
    await ctx.db.run(ADD, {"text": text})


async def texts(store: TestStore) -> list[str]:
    """All notes that are committed, oldest first."""
    return [row["text"] for row in await store.rows(TEXTS)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition of the running loop, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # what is waited for has no event
            await asyncio.sleep(0.001)


async def put(store: TestStore, *events: Envelope) -> None:
    """Commit envelopes as they are: with ids and sources of the test's choice."""

    async def work(unit: Unit) -> None:
        unit.events.extend(events)

    await store.runtime.store.run(work)


class FaultyStore:
    """A store that fails when the test says so; all else goes to the real one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.broken = 0
        """So many calls of `run` fail from now on."""

    @property
    def reader(self) -> Session:
        return self._store.reader

    def reader_of(self, agent: str) -> Session:
        return self._store.reader_of(agent)

    @property
    def kind(self) -> DatabaseKind:
        return self._store.kind

    async def run(
        self,
        work: Callable[[Unit], Awaitable[Any]],
        *,
        agent: str | None = None,
        claim: Row | None = None,
        timeout: float = 10.0,
    ) -> Any:
        if self.broken > 0:
            self.broken -= 1
            raise TemporaryError("the disk is full", code="database")
        return await self._store.run(work, agent=agent, claim=claim, timeout=timeout)

    def ask_heard(self, heard: Callable[[Envelope], bool]) -> None:
        self._store.ask_heard(heard)

    def on_commit(self, listener: Callable[[Sequence[Envelope], Sequence[datetime]], None]) -> None:
        self._store.on_commit(listener)

    async def create(self, tables: Mapping[str, MetaData], ddl: Mapping[str, Sequence[str]]) -> None:
        await self._store.create(tables, ddl)

    async def close(self) -> None:
        await self._store.close()
