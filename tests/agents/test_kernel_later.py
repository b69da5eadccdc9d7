"""What waits without having failed, and what is handled beside its partition's other events."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from agent_store.kernel import tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context
from agent_store.kernel.contexts import dump_error, load_error
from agent_store.kernel.errors import Later, TemporaryError
from tests.support.kernel import Job, Ping, Version, metadata, note, texts, until
from tests.support.store import TestStore

MINUTE = timedelta(minutes=1)


def waiting(tries: list[datetime], *, times: int, attempts: int = 2, until: datetime | None = None) -> Agent:
    """Says `times` times that it is not the time yet, then notes the event."""
    agent = Agent("kt", tables=metadata)

    @agent.process(Job, attempts=attempts)
    async def work(event: Job, ctx: Context) -> None:
        tries.append(ctx.now())
        if len(tries) <= times:
            raise Later("not yet", retry_after=MINUTE, until=until)
        await ctx.write("note", lambda tx: note(tx, event.id))

    return agent


async def attempts_counted(store: TestStore) -> list[int]:
    return [row["attempts"] for row in await store.rows(select(tables.inbox.c.attempts))]


async def test_what_waits_uses_up_no_attempt_however_often_it_is_tried() -> None:
    tries: list[datetime] = []
    async with TestStore([waiting(tries, times=20)]) as store:
        await store.publish(Job(id="a"))
        await store.settle()
        for _ in range(20):
            assert await attempts_counted(store) == [0]
            await store.move(1.1 * MINUTE)
        assert await texts(store) == ["a"]
        assert len(tries) == 21
        assert await store.dead() == []


async def test_what_waits_comes_back_when_it_said_and_at_most_a_tenth_later() -> None:
    tries: list[datetime] = []
    async with TestStore([waiting(tries, times=1)]) as store:
        await store.publish(Job(id="a"))
        await store.settle()
        await store.move(0.99 * MINUTE)
        assert len(tries) == 1
        await store.move(0.11 * MINUTE)
        assert len(tries) == 2


async def test_what_waits_is_waited_for_after_a_crash_as_well() -> None:
    tries: list[datetime] = []
    async with TestStore([waiting(tries, times=3)]) as store:
        await store.publish(Job(id="a"))
        await store.settle()
        await store.kill_and_restart()
        await store.settle()
        for _ in range(4):
            await store.move(1.1 * MINUTE)
        assert await texts(store) == ["a"]
        assert await store.dead() == []


async def test_from_its_end_on_waiting_is_a_failure_like_any_other() -> None:
    tries: list[datetime] = []
    async with TestStore([]) as probe:
        end = probe.clock.now() + 5 * MINUTE
    async with TestStore([waiting(tries, times=1000, attempts=3, until=end)]) as store:
        await store.publish(Job(id="a"))
        await store.settle()
        for _ in range(20):
            await store.move(1.1 * MINUTE)
        (letter,) = await store.dead()
        assert (letter.reason, letter.attempts) == ("exhausted", 3)
        assert letter.error == "later: not yet"


async def test_who_waits_keeps_the_lane_so_the_order_stays() -> None:
    agent, heard = Agent("kt", tables=metadata), list[int]()

    @agent.process(Version, ordered=True)
    async def work(event: Version, ctx: Context) -> None:
        heard.append(event.number)
        if heard == [1]:
            raise Later("not yet", retry_after=MINUTE)

    async with TestStore([agent]) as store:
        await store.publish(Version(id="a", number=1))
        await store.publish(Version(id="a", number=2))
        await store.settle()
        assert heard == [1]
        await store.move(1.1 * MINUTE)
        assert heard == [1, 1, 2]


async def test_what_is_handled_aside_neither_waits_for_its_partition_nor_keeps_it_waiting() -> None:
    agent, heard = Agent("kt", tables=metadata), list[str]()

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        heard.append("ping")
        if heard.count("ping") == 1:
            raise TemporaryError("not now", retry_after=MINUTE)

    @agent.on(Job, aside=True)
    async def work(event: Job, ctx: Context) -> None:
        heard.append("job")
        if heard.count("job") == 1:
            raise TemporaryError("not now", retry_after=3 * MINUTE)

    async with TestStore([agent]) as store:
        await store.publish(Ping(id="a"))
        await until(lambda: heard == ["ping"])
        await store.publish(Job(id="a"))
        await store.settle()
        assert heard == ["ping", "job"]
        await store.move(1.1 * MINUTE)
        assert heard == ["ping", "job", "ping"]
        await store.move(2.1 * MINUTE)
        assert heard == ["ping", "job", "ping", "job"]


@pytest.mark.only(bus="local memory rabbitmq", reason="Knative brings events in any order; this needs theirs")
async def test_what_is_handled_aside_keeps_an_order_of_its_own() -> None:
    agent, heard = Agent("kt", tables=metadata), list[str]()

    @agent.on(Job, aside=True)
    async def work(event: Job, ctx: Context) -> None:
        heard.append(event.text)
        if heard == ["one"]:
            raise TemporaryError("not now", retry_after=MINUTE)

    async with TestStore([agent]) as store:
        await store.publish(Job(id="a", text="one"))
        await store.publish(Job(id="a", text="two"))
        await store.settle()
        await store.move(1.1 * MINUTE)
        assert heard == ["one", "one", "two"]


@pytest.mark.parametrize("wait", [None, MINUTE])
def test_a_wait_survives_the_journal(wait: timedelta | None) -> None:
    error = load_error(dump_error(Later("not yet", retry_after=wait)))
    assert isinstance(error, Later)
    assert (error.message, error.retry_after, error.until) == ("not yet", wait, None)
