"""Two processes' stores over a real RabbitMQ: each event that one commits has its effect once in the other."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from agent_store.adapters.bus.rabbitmq import RabbitMqBus
from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.entrypoints.programs import Absent, RabbitMQ
from agent_store.entrypoints.proxy import FaultProxy
from agent_store.kernel import tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.reconciler import Reconciler
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.signing import Signer
from tests.support.components import missing
from tests.support.kernel import TEXTS, Ping, Pong, metadata, note

SIGNER = Signer([("k1", b"a secret of thirty-two bytes ....")])
BACKLOG = 500
"""Pings that may be without their pong: with more, the last of them would come the later, the longer the fault takes."""
_prefixes = (f"stores{number}" for number in itertools.count())


def answering() -> Agent:
    """Writes a note of each ping, in a commit with the pong that it emits."""
    agent = Agent("kt", tables=metadata)

    @agent.on(Ping)
    async def ping(event: Ping, ctx: Context) -> None:
        await note(ctx, event.text)
        ctx.emit(Pong(id=event.id, text=event.text))

    return agent


def asking(heard: list[str]) -> Agent:
    agent = Agent("asking")

    @agent.on(Pong)
    async def pong(event: Pong, ctx: Context) -> None:
        heard.append(event.text)

    return agent


@contextlib.asynccontextmanager
async def process(
    url: str, prefix: str, path: Path, agent: Agent, *, patience: float = 3.0
) -> AsyncGenerator[tuple[Runtime, RabbitMqBus]]:
    bus = RabbitMqBus(url, signer=SIGNER, prefix=prefix, confirm_timeout=timedelta(seconds=patience),
                      connect_timeout=timedelta(seconds=patience))  # fmt: skip
    runtime = Runtime(SqliteStore(path), [Consumer(agent)], bus=bus)
    await runtime.start()
    try:
        yield runtime, bus
    finally:
        await runtime.stop()
        assert bus.healthy


async def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def unpublished(runtime: Runtime) -> int:
    row = await runtime.store.reader.first(
        select(func.count().label("n")).select_from(tables.outbox).where(tables.outbox.c.published.is_(False))
    )
    assert row is not None
    return row["n"]


async def effects(runtime: Runtime) -> Counter[str]:
    return Counter(row["text"] for row in await runtime.store.reader.all(TEXTS))


async def run_through(url: str, folder: Path, fault: Callable[[], Awaitable[None]]) -> None:
    """Ping under load while `fault()` happens; then nothing may be missing, and nothing may be there twice."""
    heard: list[str] = []
    prefix = next(_prefixes)
    async with (
        process(url, prefix, folder / "answering.sqlite3", answering()) as (answerer, its_bus),
        process(url, prefix, folder / "asking.sqlite3", asking(heard)) as (asker, bus),
    ):
        await eventually(lambda: bus.ready and its_bus.ready)
        sent: list[str] = []
        going = True

        async def ask() -> None:
            while going:
                if len(sent) - len(heard) < BACKLOG:
                    text = f"ping {len(sent)}"
                    sent.append(text)
                    await asker.publish(Ping(id=text, text=text))
                await asyncio.sleep(0.002)

        askers = [asyncio.create_task(ask()) for _ in range(4)]
        await eventually(lambda: len(heard) > 50)
        await fault()
        before = len(set(heard))
        await eventually(lambda: len(set(heard)) > before + 200)
        going = False
        await asyncio.gather(*askers)
        await eventually(lambda: set(heard) == set(sent))
        assert await effects(answerer) == Counter(sent)
        for runtime in (asker, answerer):
            assert runtime.network is not None
            # What a relay has tried twice beside others that were taken, it leaves to the steward.
            steward = Reconciler(runtime.world, runtime.network, (), runtime.metrics, expected=tuple)
            async with asyncio.timeout(90):
                while await unpublished(runtime):
                    await steward.tick()
                    await asyncio.sleep(0.05)
        assert await answerer.dead() == []


async def test_every_event_has_its_effect_once(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    async def no_fault() -> None:
        pass

    await run_through(rabbitmq.url, tmp_path, no_fault)


@pytest.mark.slow
async def test_a_killed_broker_costs_no_event_and_doubles_none(tmp_path: Path) -> None:
    try:
        broker = RabbitMQ()
    except Absent as error:
        missing("rabbitmq", error.message)
    async with broker:

        async def kill() -> None:
            old = asyncio.get_running_loop().time() + 3  # younger quorum queues do not survive a kill on RabbitMQ 3.10
            await eventually(lambda: asyncio.get_running_loop().time() > old)
            broker.kill()
            await broker.start()

        await run_through(broker.url, tmp_path, kill)


@pytest.mark.parametrize("fault", ["cut", "drop", "slow", "black hole"])
async def test_a_link_that_is_cut_slowed_or_swallows_costs_no_event_and_doubles_none(
    rabbitmq: RabbitMQ, tmp_path: Path, fault: str
) -> None:
    async with FaultProxy("127.0.0.1", rabbitmq.port) as proxy:

        async def break_link() -> None:
            loop = asyncio.get_running_loop()
            if fault == "cut":
                await proxy.cut()
            elif fault == "drop":
                await proxy.drop()
            elif fault == "slow":
                proxy.slow(0.2)
            else:
                proxy.black_hole()
            until = loop.time() + (5 if fault == "black hole" else 1)
            await eventually(lambda: loop.time() > until)
            await proxy.heal()

        await run_through(f"amqp://guest:guest@127.0.0.1:{proxy.port}/", tmp_path, break_link)
