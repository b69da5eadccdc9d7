"""Gauges of what stands in the tables, and the filters of dead letters, on both databases."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from sqlalchemy.sql.base import Executable

from agent_store.adapters.telemetry import state
from agent_store.adapters.telemetry.state import StateMetrics
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context, DatabaseKind, Row, Session
from agent_store.kernel.dead import Filter
from agent_store.kernel.errors import Conflict, PermanentError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.store import Unit
from tests.support.backends import Backend
from tests.support.databases import Databases
from tests.support.kernel import Job, Ping, Pong, Version
from tests.support.store import TestStore


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> Generator[Backend]:
    if request.param == "sqlite":
        yield Backend()
        return
    yield Backend(database=Databases(request.getfixturevalue("postgres")).stores(), store="postgresql")


class Counting:
    """A session that counts its statements, and that is away when the test says so."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.asked = 0
        self.away = False

    @property
    def kind(self) -> DatabaseKind:
        return self.session.kind

    async def all(self, statement: Executable, params: Mapping[str, Any] | None = None) -> list[Row]:
        self.asked += 1
        if self.away:
            raise TemporaryError("the database is away", code="database")
        return await self.session.all(statement, params)

    async def first(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Row | None:
        rows = await self.all(statement, params)
        return rows[0] if rows else None

    async def run(self, statement: Executable, params: Mapping[str, Any] | None = None) -> int:
        raise AssertionError("a scrape changes nothing")

    async def many(self, statement: Executable, params: Sequence[Mapping[str, Any]]) -> None:
        raise AssertionError("a scrape changes nothing")


class Gauges:
    def __init__(self, store: TestStore, *, kept: timedelta = timedelta(0)) -> None:
        self.registry = CollectorRegistry()
        self.session = Counting(store.runtime.store.reader)
        self.metrics = StateMetrics(lambda: self.session, store.clock, self.registry, kept=kept)

    async def read(self) -> dict[str, float]:
        await self.metrics.refresh()
        lines = re.findall(r"^agent_store_(\S+) (\S+)$", generate_latest(self.registry).decode(), re.MULTILINE)
        return {name: float(value) for name, value in lines}


def choking() -> Agent:
    agent = Agent("choking")

    @agent.on(Ping)
    async def on_ping(event: Ping, ctx: Context) -> None:
        raise Conflict("no")

    @agent.on(Job, attempts=9, backoff=timedelta(minutes=1))
    async def on_job(event: Job, ctx: Context) -> None:
        raise TemporaryError("later")

    @agent.on(Version, ordered=True)
    async def on_version(event: Version, ctx: Context) -> None:
        pass

    @agent.on(Pong)
    async def on_pong(event: Pong, ctx: Context) -> None:
        raise PermanentError("never")

    return agent


async def test_an_empty_store_waits_for_nothing(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        assert await Gauges(store).read() == {
            "state_readable": 1, "outbox_unpublished": 0, "outbox_oldest_seconds": 0, "timers_overdue": 0,
            "timers_overdue_seconds": 0,
        }  # fmt: skip


async def test_what_waits_is_counted_with_its_age(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        await store.publish(Job(id="j1"))  # fails, and is tried again in a minute
        await store.publish(Version(id="v", number=2))  # early: it is parked
        await store.publish(Ping(id="p1"))  # dead
        await store.publish(Ping(id="p2"))
        await store.settle()
        store.clock.move(timedelta(seconds=30))
        figures = await Gauges(store).read()
        assert figures['inbox_open{consumer="choking",state="retry"}'] == 1
        assert figures['inbox_open{consumer="choking",state="parked"}'] == 1
        assert figures['inbox_oldest_seconds{consumer="choking"}'] == 30
        assert figures['dead_letters_waiting{consumer="choking",reason="permanent"}'] == 2
        assert figures["outbox_unpublished"] == 0


async def test_a_dead_letter_that_somebody_has_seen_to_waits_no_longer(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        for id in ("p1", "p2"):
            await store.publish(Ping(id=id))
        await store.settle()
        first, second = await store.runtime.dead()
        await store.runtime.drop(first["seq"])
        assert (await Gauges(store).read())['dead_letters_waiting{consumer="choking",reason="permanent"}'] == 1
        await store.runtime.drop(second["seq"])
        assert not any(name.startswith("dead_letters_waiting") for name in await Gauges(store).read())


async def test_the_outboxs_lag_is_the_age_of_its_oldest_row(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        await store.runtime.remove("choking")  # its events stay in the outbox
        store.runtime.store.ask_heard(lambda event: True)
        await store.publish(Pong(id="p1"))
        store.clock.move(timedelta(seconds=40))
        await store.publish(Pong(id="p2"))
        store.clock.move(timedelta(seconds=2))
        figures = await Gauges(store).read()
        assert (figures["outbox_unpublished"], figures["outbox_oldest_seconds"]) == (2, 42)


async def test_timers_that_are_late_are_counted_and_those_to_come_are_not(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        now = store.clock.now()

        async def work(unit: Unit) -> None:
            for id, wait in (("t1", timedelta(minutes=1)), ("t2", timedelta(hours=1))):
                event = Envelope(id=id, source="/agent-store/kt", type="store.kt.timer", time=now)
                unit.timers.append((event, now + wait))

        await store.runtime.store.run(work)
        store.clock.move(timedelta(minutes=1, seconds=5))
        figures = await Gauges(store).read()
        assert (figures["timers_overdue"], figures["timers_overdue_seconds"]) == (1, 5)


async def test_a_hurried_scraper_costs_one_reading(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        gauges = Gauges(store, kept=timedelta(minutes=1))
        await gauges.read()
        asked = gauges.session.asked
        assert asked == 4
        await gauges.read()
        assert gauges.session.asked == asked


async def test_a_database_that_is_away_costs_these_figures_only(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        gauges = Gauges(store)
        assert (await gauges.read())["state_readable"] == 1
        gauges.session.away = True
        assert await gauges.read() == {"state_readable": 0}
        gauges.session.away = False
        assert (await gauges.read())["state_readable"] == 1


async def test_before_the_first_reading_nothing_is_claimed(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        gauges = Gauges(store)
        assert "agent_store_state_readable 0.0" in generate_latest(gauges.registry).decode()


async def test_filters_of_dead_letters_find_the_same_everywhere(backend: Backend) -> None:
    async with TestStore([choking()], backend=backend) as store:
        for event in (Ping(id="p1"), Pong(id="q1"), Ping(id="p2")):
            await store.publish(event)
            await store.settle()
        reader = store.runtime.store.reader

        async def found(limit: int = 10, **which: Any) -> list[str]:
            return [row["id"] for row in await Filter(**which).find(reader, limit=limit)]

        every = await found()
        assert len(every) == 3
        assert await found(type="store.kt.ping") == [every[0], every[2]]
        assert await found(type="store.kt.p*") == every
        assert await found(type="%*") == []
        assert await found(consumer="choking", reason="permanent", limit=1) == every[:1]
        assert await found(consumer="other") == []
        assert await found(state="replayed") == []
        letter = (await Filter().find(reader, limit=1))[0]
        assert "body" not in letter
        await store.runtime.drop(letter["seq"])
        assert await found(state="dropped") == every[:1]
        assert await found(state="any") == every
        assert await Filter(type="store.kt.*").count(reader) == 2
        oldest = await Filter(state="any").find(reader, limit=10, after=0)
        assert [row["id"] for row in oldest] == every[::-1]


async def test_the_gauges_statements_use_indexes_on_sqlite() -> None:
    async with TestStore([choking()]) as store:
        sqlite: Any = store.runtime.store
        for statement in (state._OUTBOX, state._INBOX, state._TIMERS, state._DEAD):
            compiled = sqlite._reader._cache.get(statement, {"most": 1, "now": store.clock.now()})
            sql = "EXPLAIN QUERY PLAN " + compiled.sql
            plan = sqlite._reading.execute(sql, compiled.bind({"most": 1, "now": store.clock.now()})).fetchall()
            for row in plan:
                assert not re.match(r"SCAN kernel_\w+$", row[3]), plan
