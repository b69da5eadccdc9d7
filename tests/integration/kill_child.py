"""The process that `test_kill` kills: a small store with every kind of handler, and a store wrapper that dies on command."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, func, select

from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context, DatabaseKind, Row, Session
from agent_store.kernel.event import Envelope, Event, wrap
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Unit
from agent_store.kernel.tool import Tool

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Order(Event, type="store.kill.order", topic="kill", subject="id"):
    """Comes from outside: it is acknowledged, and from then on it is the store's."""

    id: int


class Thought(Event, type="store.kill.thought", topic="kill", subject="id"):
    id: int
    value: str


class Reminder(Event, type="store.kill.reminder", topic="kill", subject="id"):
    id: int


class Version(Event, type="store.kill.version", topic="kill", subject="id", sequence="number"):
    id: int
    number: int


class Write(Tool[int], name="tooler.write", writes=True):
    """Note something down."""

    text: str


metadata = MetaData()
effects = Table(
    "kill_effects",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=True),
    Column("text", String, nullable=False),
)
ADD = insert(effects)
ALL = select(effects.c.text).order_by(effects.c.n)
HOW_MANY = select(func.count().label("n")).where(effects.c.text.like(bindparam("like")))
KINDS = ("on", "process", "tool", "thought", "reminder", "version 1", "version 2")
"""Every order has one effect of each kind."""


async def note(ctx: Context, text: str) -> None:
    await ctx.db.run(ADD, {"text": text})


def agents(asked: Path) -> list[Agent]:
    """`asked` gets a line for every real answer of the "model"; it is the outside world, no transaction of ours."""
    first, thinker, tooler, last = (Agent(name, tables=metadata) for name in ("first", "thinker", "tooler", "last"))

    @first.on(Order)
    async def take(event: Order, ctx: Context) -> None:
        await note(ctx, f"on {event.id}")
        for number in (2, 1):  # out of order
            ctx.emit(Version(id=event.id, number=number))
        ctx.emit(Reminder(id=event.id), at=ctx.now() + timedelta(milliseconds=1))

    @thinker.process(Order)
    async def think(event: Order, ctx: Context) -> None:
        async def answer() -> str:
            value = f"{random.getrandbits(64):x}"
            append(asked, f"{event.id} {value}")
            return value

        value = await ctx.step("think", answer, str)
        await ctx.call(Write(text=f"tool {event.id} {value}"))
        await ctx.write("write", lambda tx: note(tx, f"process {event.id} {value}"))
        ctx.emit(Thought(id=event.id, value=value))

    @tooler.tool(Write)
    async def write(args: Write, ctx: Context) -> int:
        await note(ctx, args.text)
        return 1

    @last.on(Thought)
    async def hear(event: Thought, ctx: Context) -> None:
        await note(ctx, f"thought {event.id} {event.value}")

    @last.on(Reminder)
    async def remind(event: Reminder, ctx: Context) -> None:
        await note(ctx, f"reminder {event.id}")

    @last.on(Version, ordered=True, order_wait=timedelta(minutes=5))
    async def follow(event: Version, ctx: Context) -> None:
        await note(ctx, f"version {event.number} {event.id}")

    return [first, thinker, tooler, last]


def append(path: Path, line: str) -> None:
    """One write call: a kill finds the line whole or not at all."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore:
    """Dies at the n-th passing of a boundary: `begin` of a transaction, its `end` before the commit, `commit` when it is
    durable and nobody knows yet, `deliver` when its events are on their way, `answer` before the waiter goes on."""

    def __init__(self, store: SqliteStore, boundary: str, passing: int) -> None:
        self._store = store
        self._boundary = boundary
        self._left = passing

    def _pass(self, boundary: str) -> None:
        if boundary == self._boundary:
            self._left -= 1
            if self._left == 0:
                die()

    def ask_heard(self, heard: Callable[[Envelope], bool]) -> None:
        self._store.ask_heard(heard)

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
        async def watched(unit: Unit) -> Any:
            self._pass("begin")
            result = await work(unit)
            self._pass("end")
            return result

        result = await self._store.run(watched, agent=agent, claim=claim, timeout=timeout)
        self._pass("answer")
        return result

    def on_commit(self, listener: Callable[[Sequence[Envelope], Sequence[datetime]], None]) -> None:
        def watched(events: Sequence[Envelope], due: Sequence[datetime]) -> None:
            self._pass("commit")
            listener(events, due)
            self._pass("deliver")

        self._store.on_commit(watched)

    async def create(self, tables: Mapping[str, MetaData], ddl: Mapping[str, Sequence[str]]) -> None:
        await self._store.create(tables, ddl)

    async def close(self) -> None:
        await self._store.close()


async def _live(folder: Path, orders: int, boundary: str, passing: int, begun: Any) -> None:
    store = DyingStore(SqliteStore(folder / "store.sqlite3"), boundary, passing)
    runtime = Runtime(store, [Consumer(agent) for agent in agents(folder / "asked")])
    await runtime.start()
    begun.set()
    acknowledged = folder / "acknowledged"
    known = set(acknowledged.read_text().split()) if acknowledged.exists() else set[str]()

    async def publish(id: int) -> None:
        # As a webhook would: the sender comes again with the same id until it has heard that we have it.
        envelope = wrap(Order(id=id), id=f"order-{id}", source="/outside", time=NOW)

        async def work(unit: Unit) -> None:
            unit.events.append(envelope)

        await store.run(work)
        append(acknowledged, str(id))

    for start in range(0, orders, 5):
        await asyncio.gather(*[publish(id) for id in range(start, min(start + 5, orders)) if str(id) not in known])
    async with asyncio.timeout(30):
        while (await store.reader.all(HOW_MANY, {"like": "%"}))[0]["n"] < orders * len(KINDS):
            await asyncio.sleep(0.001)
        await runtime.settle()
    await runtime.stop()


def live(folder: str, orders: int, boundary: str, passing: int, begun: Any) -> None:
    """Run until every order has had its effects, or until death."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(_live(Path(folder), orders, boundary, passing, begun))
