"""One event through inbox, handler and outbox, beside plain sqlite3 doing the same, and a bare aio-pika echo."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from agent_store.entrypoints.programs import Absent
from tests.bench.common import Figure, rabbitmq

EVENTS = 4000
BATCH = 50


async def ours(folder: Path) -> float:
    """CPU µs an event: inbox row, one UPDATE in the handler, one emitted event in the outbox, marks."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, update

    from agent_store.adapters.db.sqlite import SqliteStore
    from agent_store.kernel.agent import Agent
    from agent_store.kernel.consumer import Consumer
    from agent_store.kernel.context import Context
    from agent_store.kernel.event import Event
    from agent_store.kernel.runtime import Runtime
    from agent_store.kernel.sql import insert

    class BenchStep(Event, type="store.bench.step", topic="bench", subject="name"):
        name: str
        left: int

    metadata = MetaData()
    table = Table("bench_counter", metadata, Column("id", String, primary_key=True), Column("n", Integer))
    add = update(table).where(table.c.id == bindparam("p_id")).values(n=table.c.n + 1)
    agent = Agent("bench", tables=metadata)

    @agent.on(BenchStep)
    async def step(event: BenchStep, ctx: Context) -> None:
        await ctx.db.run(add, {"p_id": "one"})
        if event.left:
            ctx.emit(BenchStep(name=event.name, left=event.left - 1))

    runtime = Runtime(SqliteStore(folder / "bench.sqlite3"), [Consumer(agent)])
    await runtime.start()

    async def seed(ctx: Context) -> None:
        await ctx.db.run(insert(table), {"id": "one", "n": 0})

    await runtime.transact("bench", seed)

    async def chains(label: str, length: int) -> None:
        await asyncio.gather(*(runtime.publish(BenchStep(name=f"{label}{n}", left=length - 1)) for n in range(BATCH)))
        await runtime.settle()

    await chains("warm", 5)
    length = EVENTS // BATCH
    before = time.process_time()
    await chains("x", length)
    used = time.process_time() - before
    await runtime.stop()
    return used / EVENTS * 1e6


def plain(folder: Path) -> float:
    """CPU µs an event of the same statements on sqlite3, in batches of the same size, nothing else."""
    db = sqlite3.connect(folder / "plain.sqlite3", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from agent_store.kernel.tables import inbox, outbox

    dialect = sqlite.dialect()
    for table in (inbox, outbox):
        db.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            db.execute(str(CreateIndex(index).compile(dialect=dialect)))
    db.execute("CREATE TABLE counter (id TEXT PRIMARY KEY, n INTEGER)")
    db.execute("INSERT INTO counter VALUES ('one', 0)")
    before = time.process_time()
    number = 0
    for _ in range(EVENTS // BATCH):
        db.execute("BEGIN IMMEDIATE")
        rows: list[tuple[Any, ...]] = []
        for _ in range(BATCH):
            number += 1
            db.execute("SAVEPOINT job")
            db.execute(
                "INSERT INTO kernel_inbox (consumer, source, id, type, state, attempts, received_at) VALUES (?,?,?,?,?,?,?)"
                " ON CONFLICT DO NOTHING",
                ("bench", "/agent-store/bench", f"0199-{number:020d}", "store.bench.step", "done", 0, 1),
            )
            db.execute("UPDATE counter SET n = n + 1 WHERE id = ?", ("one",))
            db.execute("RELEASE job")
            rows.append(
                (
                    "/agent-store/bench",
                    f"0199-{number:020d}",
                    "store.bench.step",
                    1,
                    "x",
                    "x",
                    f"c{number % 50}",
                    '{"name":"x","left":1}',
                    0,
                )
            )
        db.executemany(
            "INSERT INTO kernel_outbox (source, id, type, time, subject, partitionkey, correlationid, data, published)"
            " VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (source, id) DO NOTHING",
            rows,
        )
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "UPDATE kernel_outbox SET published = 1 WHERE source = ? AND id = ?", [(row[0], row[1]) for row in rows]
        )
        db.execute("COMMIT")
    used = time.process_time() - before
    db.close()
    return used / EVENTS * 1e6


async def echo(url: str, messages: int = 2000) -> float:
    """CPU µs of this process for one hop of a bare aio-pika echo: quorum queue, confirms, manual acks, prefetch 100."""
    import aio_pika

    connection = await aio_pika.connect(url)
    channel = await connection.channel(publisher_confirms=True)
    await channel.set_qos(prefetch_count=100)
    queue = await channel.declare_queue("bench", durable=True, arguments={"x-queue-type": "quorum"})
    done = asyncio.Event()
    seen = 0
    body = json.dumps({"name": "x" * 200, "left": 1}).encode()

    async def on_message(message: Any) -> None:
        nonlocal seen
        json.loads(message.body)
        await message.ack()
        seen += 1
        if seen >= messages:
            done.set()

    await queue.consume(on_message)

    async def publish(count: int) -> None:
        for _ in range(count):
            await channel.default_exchange.publish(
                aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, headers={"type": "bench"}),
                "bench",
            )

    seen = -200
    await asyncio.gather(*(publish(4) for _ in range(50)))
    while seen < 0:
        await asyncio.sleep(0.01)
    before = time.process_time()
    await asyncio.gather(*(publish(messages // 50) for _ in range(50)))
    await done.wait()
    used = time.process_time() - before
    await connection.close()
    return used / messages * 1e6


async def measure_echo() -> float:
    async with rabbitmq() as url:
        return await echo(url)


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(ours(Path(folder)))
        reference = plain(Path(folder))
    figures = [
        Figure(
            "event: inbox, handler, outbox, CPU", f"{measured:.0f} µs", f"{reference:.0f} µs plain sqlite3, same statements",
            f"{measured / reference:.2f} ×",
        )
    ]  # fmt: skip
    try:
        hop = asyncio.run(measure_echo())
    except Absent as error:
        return [*figures, Figure("bare aio-pika echo, one hop", f"not measured: {error.message}")]
    figures.append(
        Figure(
            "event, CPU beside a bare aio-pika echo",
            f"{measured:.0f} µs",
            f"{hop:.0f} µs a hop",
            f"{measured / hop:.2f} ×",
        )
    )
    return figures
