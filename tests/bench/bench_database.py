"""What an event costs at the database, in CPU of our process: inbox row, one UPDATE of the handler, outbox row, mark.

On PostgreSQL through the store under load, beside one SQLAlchemy transaction (asyncio, asyncpg) an event with the same
statements, and beside the same batched by hand on bare asyncpg. In turns, so that what else the machine does hits all.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from agent_store.entrypoints.programs import Absent, Postgres
from tests.bench.common import Figure, result_of
from tests.bench.hops import TEXT

EVENTS = 1500
"""A round."""
ROUNDS = 3
TOGETHER = 64
"""Events that wait for the store at the same time: what it may put into one commit."""
CONNECTIONS = 8
ROWS = 200
_numbers = itertools.count()
_NOW = datetime.now(UTC)


def _inbox_row(number: int) -> dict[str, Any]:
    return {
        "consumer": "bench", "source": "/agent-store/other", "id": f"0199aaaa-in-{number:024d}", "type": "store.bench.in",
        "state": "done", "attempts": 0, "received_at": _NOW, "done_at": _NOW, "owner": None, "body": None,
    }  # fmt: skip


def _envelope(number: int) -> Any:
    from agent_store.kernel.event import Envelope

    return Envelope(
        id=f"0199bbbb-out-{number:023d}", source="/agent-store/bench", type="store.bench.out", time=_NOW,
        data=b'{"text":"' + TEXT.encode() + b'"}', subject=f"r{number % ROWS}", topic="bench", brand="fashion",
        correlationid="0199aaaa-0000-7000-8000-000000000000", causationid="0199aaaa-0000-7000-8000-000000000001",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        dataschema="urn:agent-store:event:store.bench.out:1",
    )  # fmt: skip


def _tables() -> tuple[Any, Any, Any]:
    """The handler's own table, its UPDATE, and its metadata."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, update

    metadata = MetaData()
    table = Table("bench_counter", metadata, Column("id", String, primary_key=True), Column("n", Integer))
    return table, update(table).where(table.c.id == bindparam("p_id")).values(n=table.c.n + 1), metadata


Load = Callable[[list[int]], Awaitable[None]]


async def _together(one: Callable[[int], Awaitable[None]], numbers: list[int]) -> None:
    """As many at a time as TOGETHER, as handlers do: each begins the next when it has ended."""
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await one(number)

    await asyncio.gather(*(worker() for _ in range(TOGETHER)))


@contextlib.asynccontextmanager
async def store(url: str) -> AsyncGenerator[Load]:
    """The store's own: works that wait share a commit, rows go in by one statement a table."""
    from agent_store.adapters.db.postgres import PostgresStore
    from agent_store.kernel import journal, tables
    from agent_store.kernel.sql import insert

    table, add, metadata = _tables()
    store = PostgresStore(url, agents=["bench"])
    await store.create({"kernel": tables.metadata, "bench": metadata}, {})

    async def fill(unit: Any) -> None:
        await unit.db.many(insert(table), [{"id": f"r{number}", "n": 0} for number in range(ROWS)])

    await store.run(fill, agent="bench")

    async def load(numbers: list[int]) -> None:
        claims = {number: _inbox_row(number) for number in numbers}
        events = {number: _envelope(number) for number in numbers}
        published: list[tuple[str, str]] = []

        async def one(number: int) -> None:
            async def work(unit: Any) -> None:
                await unit.db.run(add, {"p_id": f"r{number % ROWS}"})
                unit.events.append(events[number])

            await store.run(work, agent="bench", claim=claims[number])
            published.append((events[number].source, events[number].id))

        async def mark() -> None:
            keys = list(published)
            published.clear()

            async def work(unit: Any) -> None:
                await journal.mark_published(unit.db, keys)

            await store.run(work)

        await _together(one, numbers)
        while published:  # as the steward does, a second's worth at once
            await mark()

    yield load
    await store.close()


@contextlib.asynccontextmanager
async def sqlalchemy(url: str) -> AsyncGenerator[Load]:
    """One transaction an event on SQLAlchemy's asyncio engine, all four statements in it."""
    from sqlalchemy import and_, bindparam, update
    from sqlalchemy.dialects.postgresql import insert
    from sqlalchemy.ext.asyncio import create_async_engine

    from agent_store.kernel import journal, tables

    _, add, _ = _tables()
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=CONNECTIONS, max_overflow=0,
        connect_args={"server_settings": {"search_path": "kernel, bench, public"}},
    )  # fmt: skip
    inbox = insert(tables.inbox).on_conflict_do_nothing()
    outbox = insert(tables.outbox).on_conflict_do_nothing()
    key = and_(tables.outbox.c.source == bindparam("p_source"), tables.outbox.c.id == bindparam("p_id"))
    mark = update(tables.outbox).where(key).values(published=True)

    async def load(numbers: list[int]) -> None:
        claims = {number: _inbox_row(number) for number in numbers}
        events = {number: _envelope(number) for number in numbers}

        async def one(number: int) -> None:
            event = events[number]
            async with engine.begin() as connection:
                await connection.execute(inbox, claims[number])
                await connection.execute(add, {"p_id": f"r{number % ROWS}"})
                await connection.execute(outbox, journal.row_of(event, published=False))
                await connection.execute(mark, {"p_source": event.source, "p_id": event.id})

        await _together(one, numbers)

    yield load
    await engine.dispose()


@contextlib.asynccontextmanager
async def bare(url: str) -> AsyncGenerator[Load]:
    """The least that it can cost: asyncpg by hand, every statement for all of a batch at once, one batch after the other."""
    import asyncpg
    from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

    from agent_store.adapters.db.postgres_session import Bulk
    from agent_store.kernel import journal, tables

    dialect = PGDialect_asyncpg()
    connection = await asyncpg.connect(url, server_settings={"search_path": "kernel, bench, public"})
    inbox = Bulk(tables.inbox, tuple(_inbox_row(0)), ("consumer", "source", "id"), dialect)
    outbox = Bulk(tables.outbox, tuple(journal.row_of(_envelope(0), published=False)), ("source", "id"), dialect)

    async def load(numbers: list[int]) -> None:
        claims = [inbox.processed(_inbox_row(number)) for number in numbers]
        events = [outbox.processed(journal.row_of(_envelope(number), published=False)) for number in numbers]
        for at in range(0, len(numbers), TOGETHER):
            mine, said = claims[at : at + TOGETHER], events[at : at + TOGETHER]
            async with connection.transaction():
                await connection.fetch(inbox.sql, *zip(*mine, strict=True))
                await connection.execute(
                    "UPDATE bench_counter SET n = n + 1 WHERE id = ANY($1)",
                    [f"r{number % ROWS}" for number in numbers[at : at + TOGETHER]],
                )
                await connection.fetch(outbox.sql, *zip(*said, strict=True))
        await connection.execute(
            "UPDATE kernel_outbox SET published = true FROM unnest($1::text[], $2::text[]) AS k (s, i)"
            " WHERE source = k.s AND id = k.i",
            [row[0] for row in events],
            [row[1] for row in events],
        )

    yield load
    await connection.close()


CONTENDERS: Mapping[str, Callable[[str], Any]] = {"store": store, "sqlalchemy": sqlalchemy, "bare": bare}


async def measure(url: str) -> dict[str, dict[str, float]]:
    """CPU µs and seconds an event, medians over the rounds."""
    import gc

    cpu: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    wall: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    async with contextlib.AsyncExitStack() as stack:
        loads: dict[str, Load] = {name: await stack.enter_async_context(make(url)) for name, make in CONTENDERS.items()}
        for load in loads.values():
            await load([next(_numbers) for _ in range(EVENTS // 3)])
        gc.collect()
        gc.freeze()
        for _ in range(ROUNDS):
            for name, load in loads.items():
                numbers = [next(_numbers) for _ in range(EVENTS)]
                used, began = time.process_time(), time.perf_counter()
                await load(numbers)
                cpu[name].append((time.process_time() - used) / EVENTS * 1e6)
                wall[name].append((time.perf_counter() - began) / EVENTS)
    return {
        name: {"cpu_us": statistics.median(cpu[name]), "rate": 1 / statistics.median(wall[name])} for name in CONTENDERS
    }


def _line(score: Mapping[str, float]) -> str:
    return f"{score['cpu_us']:.0f} µs, {score['rate']:,.0f}/s"


async def _measured() -> dict[str, Any]:
    async with Postgres(fsync=True) as postgres:
        code = (
            "import json, sys, uvloop\nfrom tests.bench.bench_database import measure\n"
            "print('RESULT', json.dumps(uvloop.run(measure(sys.argv[1]))))"
        )
        return await asyncio.to_thread(result_of, ("-c", code, postgres.url))


def run() -> list[Figure]:
    try:
        found = asyncio.run(_measured())
    except Absent as error:
        return [Figure("an event at the database, PostgreSQL", f"not measured: {error.message}")]
    ours, theirs, least = found["store"], found["sqlalchemy"], found["bare"]
    cheaper = theirs["cpu_us"] / ours["cpu_us"]
    return [
        Figure(
            f"an event at the database, CPU, {TOGETHER} at once", _line(ours), f"{_line(theirs)}: SQLAlchemy asyncio, one transaction each",
            f"{1 / cheaper:.2f} ×", "≥ 5 × cheaper", cheaper >= 5,
        ),
        Figure("  the same beside bare batched asyncpg", _line(ours), _line(least), f"{ours['cpu_us'] / least['cpu_us']:.1f} ×"),
    ]  # fmt: skip
