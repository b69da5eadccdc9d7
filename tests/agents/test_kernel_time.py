"""Durable timers, schedules and retention: by the clock, once, and over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, delete, func, insert, select

from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.kernel import journal, tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.errors import PermanentError, TemporaryError
from agent_store.kernel.event import Event
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.store import Unit
from tests.support.kernel import FaultyStore, Job, Ping, Pong, metadata, note, texts, until
from tests.support.store import TestStore

MINUTE = timedelta(minutes=1)
AGES = timedelta(days=10_000)
"""A schedule's period of which no planned time comes while a test runs by the real clock (the next one is in 2052)."""


def alarm(at: Callable[[Context], datetime], id: str | None = None) -> Agent:
    agent = Agent("kt", tables=metadata)

    @agent.on(Ping)
    async def set_timer(event: Ping, ctx: Context) -> None:
        ctx.emit(Pong(id=event.id), at=at(ctx), id=id)

    @agent.on(Pong)
    async def ring(event: Pong, ctx: Context) -> None:
        await note(ctx, event.id)

    return agent


async def test_a_timer_fires_once_when_its_time_has_come() -> None:
    async with TestStore([alarm(lambda ctx: ctx.now() + 10 * MINUTE)]) as store:
        await store.publish(Ping(id="a"))
        await store.settle()
        await store.move(9 * MINUTE)
        assert await texts(store) == []
        await store.move(MINUTE)
        await store.move(60 * MINUTE)
        assert await texts(store) == ["a"]
        assert await store.rows(select(tables.timers)) == []


async def test_a_timer_survives_a_kill_and_one_that_came_due_meanwhile_fires_late() -> None:
    async with TestStore([alarm(lambda ctx: ctx.now() + 10 * MINUTE)]) as store:
        await store.publish(Ping(id="a"))
        await store.settle()
        store.clock.move(60 * MINUTE)
        await store.kill_and_restart()
        await store.move(timedelta(0))
        assert await texts(store) == ["a"]
        await store.kill_and_restart()
        await store.move(60 * MINUTE)
        assert await texts(store) == ["a"]


class SlowLook:
    """A reader whose answer about the nearest timer takes until `meanwhile` has ended."""

    def __init__(self, inner: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._inner, self._meanwhile = inner, meanwhile

    async def first(self, statement: Any, params: Any = None) -> Any:
        row = await self._inner.first(statement, params)
        if statement is journal.NEXT_TIMER:
            await self._meanwhile()
        return row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class SlowLooking:
    """A store with such a reader."""

    def __init__(self, inner: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self.reader = SlowLook(inner.reader, meanwhile)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def test_a_timer_that_is_set_while_the_steward_looks_for_the_next_one_fires() -> None:
    agent = Agent("kt", tables=metadata)

    @agent.on(Ping)
    async def first(event: Ping, ctx: Context) -> None:
        ctx.emit(Pong(id=event.id), at=ctx.now() + MINUTE)

    @agent.on(Pong)
    async def second(event: Pong, ctx: Context) -> None:
        ctx.emit(Job(id=event.id, text="second"), at=ctx.now() + MINUTE)

    @agent.on(Job)
    async def third(event: Job, ctx: Context) -> None:
        await note(ctx, event.text)

    async with TestStore([agent]) as store:
        await store.publish(Ping(id="a"))
        await store.settle()
        inner = store.runtime.world.store
        store.runtime.world.store = SlowLooking(inner, store.runtime.dispatcher.idle)  # type: ignore[assignment]
        await store.move(MINUTE)
        store.runtime.world.store = inner
        await store.move(MINUTE)
        assert await texts(store) == ["second"]


async def test_timers_fire_in_the_order_of_their_times_and_any_number_of_them() -> None:
    delays = {"late": 20, "soon": 5, "next": 10}
    async with TestStore([alarm(lambda ctx: ctx.now() + delays[ctx.event.subject or ""] * MINUTE)]) as store:
        for id in delays:
            await store.publish(Ping(id=id))
        await store.settle()
        await store.move(5 * MINUTE)
        assert await texts(store) == ["soon"]
        await store.move(15 * MINUTE)
        assert [pong.id for pong in store.events(Pong)] == ["soon", "next", "late"]
    async with TestStore([alarm(lambda ctx: ctx.now() + MINUTE)]) as store:
        await asyncio.gather(*[store.publish(Ping(id=str(number))) for number in range(1100)])
        await store.settle()
        await store.move(MINUTE)
        assert len(await texts(store)) == 1100


async def test_a_clock_that_goes_back_and_forward_fires_no_timer_twice() -> None:
    async with TestStore([alarm(lambda ctx: ctx.now() + 10 * MINUTE)]) as store:
        await store.publish(Ping(id="a"))
        await store.settle()
        await store.move(-60 * MINUTE)
        assert await texts(store) == []
        await store.move(71 * MINUTE)
        await store.move(-60 * MINUTE)
        await store.move(60 * MINUTE)
        assert await texts(store) == ["a"]


async def test_a_timer_with_a_given_id_is_set_once() -> None:
    async with TestStore([alarm(lambda ctx: ctx.now() + MINUTE, id="the-one")]) as store:
        for id in ("a", "b"):
            await store.publish(Ping(id=id))
            await store.settle()
        await store.move(MINUTE)
        assert await texts(store) == ["a"]
        await store.publish(Ping(id="c"))  # set again after it has fired: the event with this id stands already
        await store.settle()
        await store.move(MINUTE)
        assert await texts(store) == ["a"]


async def test_a_timer_at_a_naive_time_is_the_handlers_own_error() -> None:
    async with TestStore([alarm(lambda ctx: datetime(2026, 1, 5))]) as store:  # noqa: DTZ001  # that is the point
        await store.publish(Ping(id="a"))
        await store.publish(Job(id="b"))
        await store.settle()
        (row,) = await store.rows(select(tables.inbox.c.state, tables.inbox.c.error))
        assert row["state"] == "retry"
        assert "naive" in row["error"]


# --- schedules -------------------------------------------------------------------------------------------------


def ticking(
    fail: Callable[[], None] = lambda: None,
    name: str = "kt",
    period: timedelta = 10 * MINUTE,
    timeout: timedelta = MINUTE,
) -> Agent:
    agent = Agent(name, tables=metadata)

    @agent.every(period, timeout=timeout)
    async def tidy(ctx: Context) -> None:
        fail()
        await note(ctx, ctx.event.time.strftime("%H:%M"))
        ctx.emit(Pong(id="tick"))

    return agent


async def test_a_schedule_runs_once_for_every_planned_time() -> None:
    async with TestStore([ticking()]) as store:
        for _ in range(8):
            await store.move(5 * MINUTE)
        assert await texts(store) == ["12:00", "12:10", "12:20", "12:30", "12:40"]
        assert len(store.events(Pong)) == 5


async def test_a_schedule_runs_once_over_restarts_and_what_was_missed_runs_once() -> None:
    async with TestStore([ticking()]) as store:
        await store.move(MINUTE)
        await store.kill_and_restart()
        await store.move(MINUTE)
        assert await texts(store) == ["12:00"]
        store.clock.move(60 * MINUTE)
        await store.kill_and_restart()
        await store.move(timedelta(0))
        assert await texts(store) == ["12:00", "13:00"]


async def test_a_clock_that_goes_back_runs_no_planned_time_twice() -> None:
    async with TestStore([ticking()]) as store:
        await store.move(10 * MINUTE)
        await store.move(-10 * MINUTE)
        await store.move(10 * MINUTE)
        assert sorted(await texts(store)) == ["12:00", "12:10"]


async def test_instances_of_a_brand_run_no_schedule_and_a_removed_consumer_none_any_more() -> None:
    agent = ticking()
    async with TestStore([Consumer(agent, "fashion"), Consumer(agent)]) as store:
        await store.move(timedelta(0))
        assert await texts(store) == ["12:00"]
        await store.runtime.remove("kt")
        await store.move(10 * MINUTE)
        assert await texts(store) == ["12:00"]


async def test_a_schedule_that_fails_is_tried_again_and_in_the_end_a_dead_letter_and_the_others_run_on() -> None:
    fails: list[Exception] = [KeyError("bug"), TemporaryError("busy"), PermanentError("never")]

    def fail() -> None:
        if fails:
            raise fails.pop(0)

    async with TestStore([ticking(fail), ticking(name="other")]) as store:
        await store.move(timedelta(0))
        assert await texts(store) == ["12:00"]  # the other one's
        await store.move(2 * timedelta(seconds=1))
        await store.move(4 * timedelta(seconds=1))
        (letter,) = await store.dead()
        assert (letter.type, letter.reason, letter.attempts) == ("store.schedule.kt.tidy", "permanent", 3)
        await store.runtime.replay(letter.seq)
        await store.settle()
        assert await texts(store) == ["12:00", "12:00"]


def test_a_schedule_has_one_name() -> None:
    agent = ticking()
    with pytest.raises(TypeError, match="kt has a schedule tidy already"):
        agent.every(MINUTE, name="tidy")(lambda ctx: asyncio.sleep(0))


# --- retention -------------------------------------------------------------------------------------------------


async def count(store: TestStore, table: Table) -> int:
    return (await store.rows(select(func.count().label("n")).select_from(table)))[0]["n"]


def busy_agent() -> Agent:
    agent = Agent("kt", tables=metadata)

    @agent.on(Ping, ordered=True)
    async def hear(event: Ping, ctx: Context) -> None:
        await ctx.fence(event.id, 1)
        if event.text == "dead":
            raise PermanentError("no")
        if event.text == "waits":
            raise TemporaryError("not now", retry_after=timedelta(days=100))

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("w", lambda tx: note(tx, "w"))
        if event.text == "waits":
            raise TemporaryError("not now", retry_after=timedelta(days=100))

    return agent


async def test_retention_forgets_what_is_finished_and_old_and_nothing_else() -> None:
    async with TestStore([busy_agent()]) as store:
        await store.publish(Job(id="done"))
        await store.publish(Job(id="waits", text="waits"))
        await store.publish(Ping(id="done"))
        await store.publish(Ping(id="dead", text="dead"))
        await store.publish(Ping(id="pends", text="waits"))  # not behind the job, nor before it where no order is kept
        await store.settle()
        await store.move(timedelta(days=20))
        await store.publish(Ping(id="young"))
        await store.settle()
        assert await count(store, tables.outbox) == 6
        await store.move(timedelta(days=11))
        left = {row["subject"]: row["state"] for row in await store.rows(
            select(tables.outbox.c.subject, tables.inbox.c.state).join(tables.inbox, tables.inbox.c.id == tables.outbox.c.id)
        )}  # fmt: skip
        assert left == {"waits": "retry", "pends": "retry", "dead": "dead", "young": "done"}
        assert [row["kind"] for row in await store.rows(select(tables.steps))] == ["write"]
        assert [row["conversation_id"] for row in await store.rows(select(tables.fences))] == ["young"]
        (letter,) = await store.dead()
        await store.runtime.replay(letter.seq)  # fails again
        await store.settle()
        await store.move(timedelta(days=31))
        assert [letter.replayed_at for letter in await store.dead()] == [None]


async def test_a_dead_letter_that_was_given_up_is_forgotten_with_all_that_belongs_to_it() -> None:
    async with TestStore([busy_agent()]) as store:
        await store.publish(Ping(id="dead", text="dead"))
        await store.settle()
        (letter,) = await store.dead()
        await store.move(timedelta(days=100))
        await store.runtime.drop(letter.seq)
        for table in (tables.dead, tables.inbox, tables.outbox):
            assert await count(store, table) == 1
        await store.move(timedelta(days=31))
        for table in (tables.dead, tables.inbox, tables.outbox):
            assert await count(store, table) == 0


async def test_retention_goes_in_batches_so_that_the_store_does_other_work_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with TestStore([]) as store:
        old = store.clock.now() - timedelta(days=40)

        async def fill(unit: Unit) -> None:
            await unit.db.many(
                insert(tables.calls),
                [
                    {"tool": "t", "key": str(n), "digest": "", "result": "1", "correlationid": None, "at": old}
                    for n in range(1700)
                ],
            )
            await unit.db.many(
                insert(tables.outbox),
                [
                    {"source": "/s", "id": str(n), "type": "t", "time": old if n < 1200 else store.clock.now(), "data": "{}", "published": True}
                    for n in range(1300)
                ],
            )  # fmt: skip

        await store.runtime.store.run(fill)
        run, between = store.runtime.store.run, list[int]()

        async def and_then_another(work: Callable[[Unit], Awaitable[Any]], **settings: Any) -> Any:
            done = await run(work, **settings)
            await run(look)
            return done

        async def look(unit: Unit) -> None:
            row = await unit.db.first(select(func.count().label("n")).select_from(tables.calls))
            assert row is not None
            between.append(row["n"])

        monkeypatch.setattr(store.runtime.store, "run", and_then_another)
        await store.runtime.steward.tick()
        monkeypatch.undo()
        assert [left for left in dict.fromkeys(between) if left < 1700] == [1200, 700, 200, 0]
        assert await count(store, tables.outbox) == 100
        await store.move(timedelta(minutes=30))


@pytest.mark.only(bus="local", reason="on a network the broker keeps an event for each consumer, not the outbox")
async def test_an_event_that_a_consumer_has_not_seen_keeps_the_other_consumers_inbox_row() -> None:
    agent, heard = Agent("slow", tables=metadata), list[str]()

    @agent.process(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        raise AssertionError("never begun")

    other = Agent("quick", tables=metadata)

    @other.on(Ping)
    async def quick(event: Ping, ctx: Context) -> None:
        await note(ctx, event.id)
        heard.append(event.id)

    async with TestStore([other, agent]) as store:
        store.runtime.dispatcher._handling.slots = asyncio.Semaphore(0)  # no place for a process
        await store.publish(Ping(id="a"))
        await until(lambda: store.runtime.dispatcher.active == 1)  # the quick one has ended, its row is committed
        assert heard == ["a"]
        store.clock.move(timedelta(days=40))
        await store.runtime.steward.tick()
        assert await count(store, tables.inbox) == 1
        assert await count(store, tables.outbox) == 1
        store.consumers = [Consumer(other)]
        await store.kill_and_restart()
        await store.settle()
        assert await texts(store) == ["a"]


# --- the task that keeps time ------------------------------------------------------------------------------------


async def test_the_steward_wakes_for_timers_and_retries_by_itself(tmp_path: object) -> None:
    agent, fails, rung = Agent("kt", tables=metadata), [True], list[str]()

    @agent.on(Ping, backoff=timedelta(milliseconds=2))
    async def hear(event: Ping, ctx: Context) -> None:
        if fails:
            fails.pop()
            raise TemporaryError("not now")
        ctx.emit(Pong(id="a"), at=ctx.now() + timedelta(milliseconds=3))

    @agent.on(Pong)
    async def ring(event: Event, ctx: Context) -> None:
        rung.append("rung")

    @agent.every(AGES)
    async def once(ctx: Context) -> None:
        rung.append("once")

    runtime = Runtime(SqliteStore(f"{tmp_path}/s.sqlite3"), [Consumer(agent)], clock=SystemClock())
    assert runtime.healthy
    await runtime.start()
    await runtime.publish(Ping(id="a"))
    await until(lambda: sorted(rung) == ["once", "rung"])
    assert runtime.healthy
    await runtime.stop()


async def test_a_full_disk_delays_the_steward_and_does_not_end_it(tmp_path: object) -> None:
    agent, ticks = Agent("kt"), list[str]()

    @agent.every(AGES)
    async def once(ctx: Context) -> None:
        ticks.append("tick")

    faulty = FaultyStore(SqliteStore(f"{tmp_path}/s.sqlite3"))
    runtime = Runtime(faulty, [Consumer(agent)])
    await runtime.start(watch=False)
    faulty.broken = 1
    steward = asyncio.create_task(runtime.steward.run())
    await until(lambda: faulty.broken == 0)
    runtime.steward.notice([runtime.clock.now() + timedelta(days=1)])  # what wakes it ends the pause
    await until(lambda: ticks == ["tick"])
    steward.cancel()
    await asyncio.gather(steward, return_exceptions=True)
    faulty.broken = 99
    runtime.dispatcher.put_back([("/s", "x")])
    await runtime.stop()  # in good order: marks are made again
    faulty.broken = 0
    with pytest.raises(TemporaryError, match="shutting down"):  # closed all the same
        await faulty.run(lambda unit: asyncio.sleep(0))


async def test_what_is_marked_published_is_what_was_named_also_where_two_sources_use_the_same_ids() -> None:
    async with TestStore([]) as store:
        rows = [
            {"source": source, "id": str(n), "type": "t", "time": store.clock.now(), "data": "{}", "published": False}
            for source in ("/a", "/b")
            for n in range(3)
        ]

        async def mark(unit: Unit) -> set[tuple[str, str]]:
            await unit.db.many(insert(tables.outbox), rows)
            await journal.mark_published(unit.db, [("/b", "2"), ("/a", "0"), ("/a", "2"), ("/c", "1")])
            marked = await unit.db.all(select(tables.outbox).where(tables.outbox.c.published))
            await unit.db.run(delete(tables.outbox))
            return {(row["source"], row["id"]) for row in marked}

        assert await store.runtime.store.run(mark) == {("/a", "0"), ("/a", "2"), ("/b", "2")}
