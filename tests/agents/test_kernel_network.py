"""Several processes on a network that loses, doubles and shuffles: the same end as one process on a quiet day."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from agent_store.kernel import tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, PermanentError, TemporaryError
from agent_store.kernel.event import Envelope, wrap
from agent_store.kernel.handling import CRASHES
from agent_store.kernel.ids import new_id
from agent_store.kernel.reconciler import Patience
from agent_store.kernel.store import Unit
from tests.support.buses import MemoryBroker
from tests.support.fleet import LEASE, Fleet, Gate
from tests.support.kernel import TEXTS, Job, Note, Ping, Pong, Version, metadata, note, until

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


async def texts(fleet: Fleet) -> list[str]:
    return [row["text"] for row in await fleet.rows(TEXTS)]


def envelope(fleet: Fleet, event: Ping | Job | Version, id: str) -> Envelope:
    return wrap(event, id=id, source="/s", time=fleet.clock.now())


def shop(refuse: Callable[[str], None] = lambda text: None) -> Agent:
    """One handler of each kind: an `@on`, an ordered `@on`, and a `@process` with a step, a call and a write."""
    agent = Agent("kt", tables=metadata)

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        refuse(event.text)
        await note(ctx, f"ping {event.id} {event.text}")
        ctx.emit(Pong(id=f"{event.id} {event.text}"))

    @agent.on(Version, ordered=True, order_wait=MINUTE)
    async def follow(event: Version, ctx: Context) -> None:
        await note(ctx, f"version {event.id} {event.number}")

    @agent.process(Job, ordered=False)
    async def work(event: Job, ctx: Context) -> None:
        refuse(event.text)
        thought = await ctx.step("think", lambda: _think(event.text))
        await ctx.call(Note(text=f"called {event.id} {thought}"))
        await ctx.write("write", lambda tx: note(tx, f"job {event.id} {event.text}"))
        ctx.emit(Pong(id=f"{event.id} {event.text}"))

    @agent.tool(Note)
    async def write(args: Note, ctx: Context) -> int:
        await note(ctx, args.text)
        return 1

    return agent


async def _think(text: str) -> str:
    return text


EVENTS = [
    *(Ping(id=id, text=str(number)) for id in "ab" for number in range(3)),
    *(Version(id=id, number=number) for number in (1, 2, 3, 4) for id in "xy"),
    *(Job(id=id, text=str(number)) for id in "cd" for number in range(2)),
]


async def end_state(fleet: Fleet) -> dict[str, object]:
    """What is to be the same however the events came; the order only where it is promised."""
    found = await texts(fleet)
    return {
        "notes": Counter(found),
        "orders": {id: [text for text in found if text.startswith(f"version {id} ")] for id in "xy"},
        "pongs": Counter(await fleet.emitted(Pong)),
        "states": Counter((consumer, state) for consumer, _, state, _ in await fleet.inbox()),
        "dead": len(await fleet.dead()),
        "unpublished": await fleet.unpublished(),
    }


_quiet: list[dict[str, object]] = []


async def quiet_day() -> dict[str, object]:
    """The end of a day with one process and a broker without faults."""
    if not _quiet:
        async with Fleet() as fleet:
            process = await fleet.start(shop())
            await fleet.publish(process, *EVENTS)
            await fleet.settle()
            await fleet.tick()
            _quiet.append(await end_state(fleet))
    return _quiet[0]


# --- once and in order -------------------------------------------------------------------------------------------


async def test_a_quiet_day_has_one_effect_an_event() -> None:
    state = await quiet_day()
    assert state["notes"] == Counter(
        [f"ping {id} {n}" for id in "ab" for n in range(3)]
        + [f"version {id} {n}" for id in "xy" for n in (1, 2, 3, 4)]
        + [f"{word} {id} {n}" for word in ("called", "job") for id in "cd" for n in range(2)]
    )
    assert state["orders"] == {id: [f"version {id} {n}" for n in (1, 2, 3, 4)] for id in "xy"}
    assert (state["dead"], state["unpublished"]) == (0, 0)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), twice=st.booleans(), handled=st.booleans(), drops=st.integers(0, 3))
async def test_delivered_twice_and_shuffled_to_two_processes_the_end_is_that_of_a_quiet_day(
    seed: int, twice: bool, handled: bool, drops: int
) -> None:
    rng = random.Random(seed)
    broker = MemoryBroker(twice=twice, rng=rng, until="handled" if handled else "recorded")
    async with Fleet(broker) as fleet:
        one, two = await fleet.start(shop()), await fleet.start(shop())
        broker.hold()
        events = list(EVENTS)
        rng.shuffle(events)
        for event in events:
            await fleet.publish(rng.choice([one, two]), event)
        await until(lambda: len(broker.published) >= len(EVENTS))
        broker.release()
        for _ in range(drops):
            for _ in range(rng.randrange(30)):
                await asyncio.sleep(0)
            broker.drop()
        for _ in range(12):
            await fleet.move(SECOND)
        assert await end_state(fleet) == await quiet_day()
        for process in (one, two):
            dispatcher = process.runtime.dispatcher
            assert not dispatcher._arrivals
            assert not dispatcher._lanes
            assert not dispatcher._parking.places


async def test_an_early_one_whose_turn_comes_while_it_is_being_parked_is_not_acked_before_it_is_recorded() -> None:
    async with Fleet() as fleet:
        process = await fleet.start(shop())
        early, parking, handling = asyncio.Event(), asyncio.Event(), asyncio.Event()
        handling.set()
        run = process.store.run

        async def held_up(work: Callable[..., Awaitable[object]], **options: object) -> object:
            if "._park." in work.__qualname__:
                early.set()
                await parking.wait()
            if "_run_on" in work.__qualname__:
                await handling.wait()
            return await run(work, **options)  # type: ignore[arg-type]

        process.store.run = held_up  # type: ignore[method-assign]
        await fleet.put(process, envelope(fleet, Version(id="x", number=2), "2"))
        await until(early.is_set)
        await fleet.put(process, replace(envelope(fleet, Version(id="x", number=1), "1"), partitionkey="other"))
        while ("kt", "1", "done", 0) not in await fleet.inbox():
            await asyncio.sleep(0)
        handling.clear()
        parking.set()  # it finds that its predecessor is done, and goes on
        held = fleet.broker.queues["kt"].held
        await until(lambda: len(held) < 2)  # the first one is acked
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(held) == 1
        handling.set()
        await fleet.settle()
        assert await texts(fleet) == ["version x 1", "version x 2"]


# --- killed anywhere -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("answered", ["recorded", "handled"])
async def test_a_process_killed_at_any_boundary_leaves_what_another_one_finishes_once(answered: str, part: int) -> None:
    expected = await quiet_day()
    for boundary in itertools.islice(itertools.chain([0], itertools.count(1, 5)), part, None, 4):
        async with Fleet(MemoryBroker(until=answered)) as fleet:  # type: ignore[arg-type]
            # The one that emits lives: what it has put into its outbox is what must have its effect.
            emitter = await fleet.start()
            gate = Gate()
            one = await fleet.start(shop(), gate=gate)
            await fleet.steward(shop())
            gate.stop_at = len(gate.passed) + boundary
            await fleet.publish(emitter, *EVENTS)
            await fleet.settle()
            finished = not gate.stopped
            await fleet.kill(one)
            await fleet.start(shop())
            await fleet.move(LEASE + 8 * SECOND)
            state = await end_state(fleet)
            assert state == expected, f"killed at boundary {boundary}: {gate.passed[-1]}"
        if finished:
            break


async def test_a_poison_event_that_kills_its_process_ends_as_a_dead_letter_and_its_neighbours_are_done() -> None:
    agent = Agent("kt", tables=metadata)
    reached: list[str] = []

    @agent.process(Job, attempts=1)
    async def work(event: Job, ctx: Context) -> None:
        if event.text == "poison":
            reached.append(event.text)
            await asyncio.Event().wait()  # here its process dies
        await ctx.write("write", lambda tx: note(tx, event.text))

    async with Fleet() as fleet:
        emitter = await fleet.start()
        process = await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1", text="poison"), Job(id="2", text="fine"))
        for death in range(CRASHES):
            for _ in range(int(LEASE.total_seconds()) + 8):
                fleet.clock.move(SECOND)
                fleet.monotonic.move(1)
                await emitter.tick()
                await process.tick()
                if len(reached) > death:
                    break
                await asyncio.sleep(0.01)
            await until(lambda death=death: len(reached) == death + 1)
            await fleet.kill(process)
            process = await fleet.start(agent)
        await fleet.move(LEASE + 8 * SECOND)  # counted from when it first looked at the dead one
        assert len(reached) == CRASHES
        (letter,) = await fleet.dead()
        assert (letter["reason"], letter["attempts"]) == ("crash", CRASHES + 1)
        assert await texts(fleet) == ["fine"]


async def test_those_that_run_beside_an_event_that_kills_at_once_do_not_die_with_it() -> None:
    agent = Agent("kt", tables=metadata)
    reached: list[str] = []

    @agent.process(Job, attempts=1)
    async def work(event: Job, ctx: Context) -> None:
        reached.append(event.text)
        if event.text == "poison":
            await asyncio.Event().wait()  # here its process dies
        await asyncio.sleep(0.3)  # it never gets so far beside the other one
        await ctx.write("write", lambda tx: note(tx, event.text))

    def deaths() -> int:
        return reached.count("poison")

    async with Fleet() as fleet:
        emitter = await fleet.start()
        process = await fleet.start(agent)
        neighbours = [Job(id=f"{number}", text=f"fine {number}") for number in range(5)]
        await fleet.publish(emitter, *neighbours, Job(id="poison", text="poison"))
        for death in range(CRASHES):
            for _ in range(200):
                fleet.clock.move(SECOND)
                fleet.monotonic.move(1)
                await emitter.tick()
                await process.tick()
                if deaths() > death:
                    break
                await asyncio.sleep(0.02)
            await until(lambda death=death: deaths() == death + 1)
            await fleet.kill(process)
            process = await fleet.start(agent)
        await fleet.move(LEASE + 8 * SECOND)
        (letter,) = await fleet.dead()
        assert letter["reason"] == "crash"
        assert sorted(await texts(fleet)) == [one.text for one in neighbours]


@pytest.mark.parametrize("end", ["in good order", "killed between two tries"])
async def test_what_has_failed_often_is_not_taken_for_what_kills_its_process(end: str) -> None:
    agent = Agent("kt", tables=metadata)
    tries: Counter[str] = Counter()
    inside: list[str] = []
    together = asyncio.Event()

    @agent.process(Job, attempts=5, backoff=MINUTE)
    async def work(event: Job, ctx: Context) -> None:
        tries[event.text] += 1
        if tries[event.text] < 3:
            raise TemporaryError("not now")
        inside.append(event.text)
        if len(inside) == 2:
            together.set()
        await together.wait()  # one at a time would be for ever
        await ctx.write("write", lambda tx: note(tx, event.text))

    async with Fleet() as fleet:
        process = await fleet.start(agent)
        await fleet.publish(process, Job(id="1", text="one"), Job(id="2", text="two"))
        await fleet.settle()
        while min(tries["one"], tries["two"]) < 2:
            await fleet.move(MINUTE / 2, step=30)
        if end == "killed between two tries":
            await fleet.kill(process)
        else:
            await fleet.stop(process)
        process = await fleet.start(agent)
        for _ in range(300):
            fleet.clock.move(SECOND)
            fleet.monotonic.move(1)
            await process.tick()
            if together.is_set():
                break
            await asyncio.sleep(0.01)
        await fleet.settle()
        assert sorted(await texts(fleet)) == ["one", "two"]


async def test_a_death_in_a_later_try_counts_as_well() -> None:
    agent = Agent("kt", tables=metadata)
    tries: list[int] = []

    @agent.process(Job, attempts=2)
    async def work(event: Job, ctx: Context) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise TemporaryError("not now")
        await asyncio.Event().wait()

    async with Fleet() as fleet:
        emitter = await fleet.start()
        process = await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1"))
        await fleet.settle()
        for death in range(2, 2 * CRASHES + 1):
            while len(tries) < death:
                fleet.clock.move(SECOND)
                fleet.monotonic.move(1)
                for one in fleet.living:
                    await one.tick()
                await asyncio.sleep(0.005)
            await fleet.kill(process)
            process = await fleet.start(agent)
        await fleet.move(LEASE)
        (letter,) = await fleet.dead()
        assert (letter["reason"], len(tries)) == ("crash", 2 * CRASHES)


# --- paused, lost, stopped -------------------------------------------------------------------------------------------


def slow(log: list[str], hold: asyncio.Event, *, then: str) -> Agent:
    """The first process waits in the handler for `hold`, and goes on then; others go through."""
    agent = Agent("kt", tables=metadata)

    @agent.process(Job, attempts=2)
    async def work(event: Job, ctx: Context) -> None:
        log.append("begins")
        first = len(log) == 1
        if first:
            await hold.wait()
        name = "first" if first else "second"
        if first and then == "fail":
            raise TemporaryError("after the pause")
        if first and then == "never":
            raise PermanentError("after the pause")
        if first and then == "step":
            await ctx.step("think", lambda: _think(name))
            log.append("the loser's step was journaled")
        if then != "finish" or not first:
            await ctx.write("write", lambda tx: note(tx, name))
        if first:
            log.append("the loser came to its end")
        ctx.emit(Pong(id=name))

    return agent


@pytest.mark.parametrize("then", ["finish", "write", "step", "fail", "never"])
@pytest.mark.parametrize("when", ["before the other begins", "after the other has ended"])
async def test_a_paused_process_that_lost_its_event_can_neither_write_nor_finish_nor_retry_nor_bury_it(
    then: str, when: str
) -> None:
    log: list[str] = []
    hold, other = asyncio.Event(), asyncio.Event()
    agent = slow(log, hold, then=then)
    async with Fleet() as fleet:
        emitter = await fleet.start()
        one = await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1"))
        await until(lambda: log == ["begins"])
        one.gate.shut()
        two = await fleet.start(agent)
        if when.startswith("before"):
            handler = agent.subscriptions["store.kt.job"].handler

            async def waits(event: Job, ctx: Context) -> None:
                await other.wait()
                await handler(event, ctx)

            two.runtime.dispatcher.consumers[0].agent.subscriptions["store.kt.job"] = replace(
                agent.subscriptions["store.kt.job"], handler=waits
            )
        for _ in range(int(LEASE.total_seconds())):
            fleet.clock.move(SECOND)
            fleet.monotonic.move(1)
            await emitter.tick()
            await two.tick()
        (row,) = await fleet.rows(select(tables.inbox.c.owner).where(tables.inbox.c.consumer == "kt"))
        assert row["owner"] == two.worker_id
        if when.startswith("after"):
            await fleet.settle()
        one.gate.open()
        hold.set()
        await until(lambda: not one.runtime.dispatcher._waiting.tasks)
        assert await texts(fleet) == (["second"] if when.startswith("after") else [])
        other.set()
        await fleet.move(5 * SECOND)
        assert "the loser's step was journaled" not in log
        assert await texts(fleet) == ["second"]
        assert await fleet.emitted(Pong) == ["second"]
        assert await fleet.dead() == []
        assert [state for _, _, state, _ in await fleet.inbox()] == ["done"]


async def test_a_process_that_stops_in_good_order_puts_down_what_it_holds_and_another_goes_on_with_no_crash_counted() -> (
    None
):
    agent, begun, stuck = Agent("kt", tables=metadata), list[str](), [True]

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("first", lambda tx: note(tx, "first"))
        begun.append(event.id)
        if stuck[0]:
            await asyncio.Event().wait()
        await ctx.write("second", lambda tx: note(tx, "second"))

    async with Fleet() as fleet:
        emitter = await fleet.start()
        one = await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1"), Job(id="2"))
        await until(lambda: len(begun) == 2)
        stuck[0] = False
        await fleet.stop(one, grace=0.01)
        rows = await fleet.rows(select(tables.inbox).where(tables.inbox.c.state != "done"))
        assert [(row["state"], row["owner"], row["attempts"]) for row in rows] == 2 * [("retry", None, 0)]
        assert one.worker_id not in [row["id"] for row in await fleet.rows(select(tables.workers))]
        await fleet.start(agent)
        await fleet.settle()
        assert sorted(await texts(fleet)) == ["first", "first", "second", "second"]
        assert [attempts for *_, attempts in await fleet.inbox()] == [0, 0]


@pytest.mark.parametrize("error", [TemporaryError("the database is away", code="database"), TimeoutError()])
async def test_a_process_ends_in_good_order_while_the_database_is_away_and_another_goes_on(error: Exception) -> None:
    agent, begun, stuck = Agent("kt", tables=metadata), asyncio.Event(), [True]

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("first", lambda tx: note(tx, "first"))
        begun.set()
        if stuck[0]:
            await asyncio.Event().wait()
        await ctx.write("second", lambda tx: note(tx, "second"))

    async def away(*_: object, **__: object) -> None:
        raise error

    async with Fleet() as fleet:
        emitter = await fleet.start()
        one = await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1"))
        await until(begun.is_set)
        stuck[0] = False
        one.store.run = away  # type: ignore[method-assign,assignment]
        await fleet.stop(one, grace=0.01)
        await fleet.start(agent)
        await fleet.move(LEASE + 8 * SECOND)
        await fleet.settle()
        assert await texts(fleet) == ["first", "second"]


async def test_a_stop_does_not_wait_for_what_stands_behind_something_slow_the_broker_takes_it_back() -> None:
    agent, begun, hold = Agent("kt", tables=metadata), asyncio.Event(), asyncio.Event()

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        begun.set()
        if not hold.is_set():
            await hold.wait()
        await ctx.write("write", lambda tx: note(tx, event.text))

    async with Fleet() as fleet:
        emitter = await fleet.start()
        one = await fleet.start(agent)
        await fleet.publish(emitter, *[Job(id="same", text=str(number)) for number in range(3)])
        await until(begun.is_set)
        await until(lambda: len(fleet.broker.queues["kt"].held) == 2)
        stopping = asyncio.create_task(fleet.stop(one, grace=5))
        await until(lambda: len(fleet.broker.queues["kt"].waiting) == 2)
        hold.set()
        await stopping
        assert await texts(fleet) == ["0"]
        await fleet.start(agent)
        await fleet.settle()
        assert await texts(fleet) == ["0", "1", "2"]


async def test_a_process_beats_while_it_drains() -> None:
    agent, begun, hold = Agent("kt", tables=metadata), asyncio.Event(), asyncio.Event()

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        begun.set()
        await hold.wait()
        await ctx.write("write", lambda tx: note(tx, "done"))

    async with Fleet() as fleet:
        emitter = await fleet.start()
        one, two = await fleet.start(agent), await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1"))
        await until(begun.is_set)
        holder, other = (one, two) if one.runtime.dispatcher.active else (two, one)
        stopping = asyncio.create_task(fleet.stop(holder, grace=30))
        for _ in range(15):
            fleet.clock.move(SECOND)
            fleet.monotonic.move(1)
            assert holder.runtime.network is not None
            await holder.runtime.network.tick()  # as its own task does
            await other.tick()
        (row,) = await fleet.rows(select(tables.inbox.c.owner))
        assert row["owner"] == holder.worker_id
        hold.set()
        await stopping
        assert await texts(fleet) == ["done"]
        assert other.runtime.dispatcher.active == 0


# --- the database is away ----------------------------------------------------------------------------------------------


async def test_a_database_that_is_away_makes_the_inbox_refuse_and_nothing_is_lost() -> None:
    async with Fleet() as fleet:
        emitter = await fleet.start()
        one = await fleet.start(shop())
        one.store.away = True
        await fleet.publish(emitter, *EVENTS)
        await until(lambda: len(fleet.broker.brought) > 2 * len(EVENTS))  # again and again
        with pytest.raises(TemporaryError):
            await one.runtime.dispatcher.receive(envelope(fleet, Ping(id="z"), "z"))
        assert await texts(fleet) == []
        assert not [row for row in await fleet.inbox() if row[0] == "kt"]
        one.store.away = False
        await fleet.move(5 * SECOND)
        assert await end_state(fleet) == await quiet_day()


async def test_a_process_that_stops_while_the_database_is_away_lets_its_broker_go() -> None:
    async with Fleet() as fleet:
        one = await fleet.start(shop())
        one.store.away = True
        await fleet.stop(one)
        assert fleet.broker.buses == []


async def test_an_outage_of_the_database_makes_nobody_take_over_from_the_living() -> None:
    agent, begun, hold = Agent("kt", tables=metadata), list[str](), asyncio.Event()

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        begun.append(event.id)
        await hold.wait()
        await ctx.write("write", lambda tx: note(tx, event.id))

    async with Fleet() as fleet:
        emitter = await fleet.start()
        one, two = await fleet.start(agent), await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1"), Job(id="2"))
        await until(lambda: len(begun) == 2)
        for second in range(24):
            if second == 4:  # they have seen each other
                one.store.away = two.store.away = True
            fleet.clock.move(SECOND)
            fleet.monotonic.move(1)
            await one.tick()
            await two.tick()
        one.store.away = two.store.away = False
        fleet.monotonic.move(2)
        await two.tick()  # it sees the other as it was before the outage
        await one.tick()
        hold.set()
        await fleet.move(5 * SECOND)
        assert begun == ["1", "2"] or begun == ["2", "1"]
        assert sorted(await texts(fleet)) == ["1", "2"]
        assert {attempts for *_, attempts in await fleet.inbox()} == {0}


# --- prefetch, order across processes ------------------------------------------------------------------------------------


async def test_a_partition_behind_a_retry_does_not_use_up_the_prefetch_its_neighbours_go_on() -> None:
    def refuse(text: str) -> None:
        if text == "first" and not fine[0]:
            raise TemporaryError("not now", retry_after=timedelta(seconds=30))

    fine = [False]
    async with Fleet(MemoryBroker(prefetch=4)) as fleet:
        emitter = await fleet.start()
        one = await fleet.start(shop(refuse))
        await fleet.publish(emitter, Ping(id="held", text="first"))
        await fleet.settle()
        await fleet.publish(emitter, *[Ping(id="held", text=str(number)) for number in range(12)])
        await fleet.publish(emitter, Ping(id="neighbour", text="goes on"))
        await fleet.settle()
        assert await texts(fleet) == ["ping neighbour goes on"]
        assert [state for _, _, state, _ in await fleet.inbox()].count("retry") == 13
        fine[0] = True
        await fleet.kill(one)  # what was shelved stands in the inbox
        await fleet.start(shop(refuse))
        await fleet.move(timedelta(seconds=40))
        found = await texts(fleet)
        assert found[:2] == ["ping neighbour goes on", "ping held first"]
        assert Counter(found[2:]) == Counter(f"ping held {number}" for number in range(12))


async def test_a_partition_behind_something_slow_does_not_use_up_the_prefetch() -> None:
    agent, hold = Agent("kt", tables=metadata), asyncio.Event()

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        if event.text == "slow":
            await hold.wait()
        await ctx.write("write", lambda tx: note(tx, f"{event.id} {event.text}"))

    async with Fleet(MemoryBroker(prefetch=20)) as fleet:
        emitter = await fleet.start()
        await fleet.start(agent)
        await fleet.publish(emitter, Job(id="hot", text="slow"))
        await fleet.publish(emitter, *[Job(id="hot", text=str(number)) for number in range(60)])
        await fleet.publish(emitter, Job(id="cool", text="goes on"))
        while await texts(fleet) != ["cool goes on"]:
            await asyncio.sleep(0.001)
        hold.set()
        await fleet.settle()
        assert await texts(fleet) == ["cool goes on", "hot slow", *[f"hot {number}" for number in range(60)]]


async def test_an_early_one_waits_while_its_predecessor_is_handled_in_another_process() -> None:
    agent, hold, begun = Agent("kt", tables=metadata), asyncio.Event(), list[int]()

    @agent.process(Version, ordered=True, order_wait=5 * SECOND)
    async def follow(event: Version, ctx: Context) -> None:
        begun.append(event.number)
        if event.number == 1:
            await hold.wait()
        await ctx.write("write", lambda tx: note(tx, str(event.number)))

    async with Fleet() as fleet:
        emitter = await fleet.start()
        one = await fleet.start(agent)
        await fleet.publish(emitter, Version(id="s", number=1))
        await until(lambda: begun == [1])
        assert one.runtime.network is not None
        await one.bus.remove("kt")  # what comes now goes to the other
        two = await fleet.start(agent)
        await fleet.publish(emitter, Version(id="s", number=2), Version(id="s", number=3))
        for _ in range(20):  # long past its patience
            fleet.clock.move(SECOND)
            fleet.monotonic.move(1)
            for process in (emitter, one, two):
                await process.tick()
            await asyncio.sleep(0.002)
        assert begun == [1]
        hold.set()
        await fleet.move(2 * SECOND)
        assert await texts(fleet) == ["1", "2", "3"]


# --- dead letters across processes -----------------------------------------------------------------------------------------


async def test_a_dead_letter_is_replayed_from_a_process_that_does_not_serve_its_consumer() -> None:
    fine = [False]

    def refuse(text: str) -> None:
        if not fine[0]:
            raise PermanentError("no")

    async with Fleet() as fleet:
        steward = await fleet.steward(shop())
        one = await fleet.start(shop(refuse))
        await fleet.publish(steward, Ping(id="a", text="1"), Ping(id="b", text="2"))
        await fleet.settle()
        first, second = sorted(await fleet.dead(), key=lambda letter: '"subject":"b"' in letter["body"])
        assert {row["body"] for row in await fleet.rows(select(tables.inbox.c.body))} == {None}
        await steward.runtime.drop(second["seq"])
        with pytest.raises(Conflict):
            await steward.runtime.drop(second["seq"])
        fine[0] = True
        await steward.runtime.replay(first["seq"], by="Ana")
        await fleet.move(3 * SECOND)
        assert await texts(fleet) == ["ping a 1"]
        found = {row["seq"]: (row["replayed_at"] is not None, row["by"]) for row in await fleet.dead()}
        assert found[first["seq"]] == (True, "Ana")
        await one.runtime.replay(second["seq"])  # a dropped one may be taken up again
        await fleet.settle()
        assert sorted(await texts(fleet)) == ["ping a 1", "ping b 2"]


async def test_what_never_reached_its_consumer_is_a_dead_letter_in_the_end_and_replayed_when_it_is_back() -> None:
    async with Fleet() as fleet:
        steward = await fleet.steward(shop(), patience=Patience(lost=5, again=2, tries=3))
        await fleet.start(shop())
        fleet.broker.loses = lambda event, consumer: consumer == "kt"
        fleet.broker.unreachable = {"kt"}
        await fleet.publish(steward, Ping(id="a", text="1"))
        await fleet.move(timedelta(seconds=20))
        (letter,) = await fleet.dead()
        assert (letter["consumer"], letter["reason"], letter["auto"], letter["replayed_at"]) == (
            "kt", "undelivered", True, None,
        )  # fmt: skip
        fleet.broker.unreachable = set()
        await fleet.move(timedelta(seconds=5))
        assert await texts(fleet) == ["ping a 1"]
        (letter,) = await fleet.dead()
        assert letter["by"] == "steward"
        assert len(fleet.broker.redelivered) == 1


# --- the steward -----------------------------------------------------------------------------------------------------------


async def test_what_a_dead_process_left_unpublished_the_steward_publishes() -> None:
    async with Fleet() as fleet:
        await fleet.steward(shop())
        emitter = await fleet.start()
        emitter.gate.shut()
        fleet.broker.go_away()
        emitter.gate.open()
        await fleet.publish(emitter, *EVENTS)
        await fleet.kill(emitter)
        await fleet.start(shop())
        await fleet.move(10 * SECOND)
        assert await texts(fleet) == []
        fleet.broker.come_back()
        await fleet.move(10 * SECOND)
        assert await end_state(fleet) == await quiet_day()


async def test_what_the_broker_lost_is_found_and_brought_to_the_consumer_that_misses_it() -> None:
    other = Agent("other", tables=metadata)

    @other.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        await note(ctx, f"other {event.id}")

    lost: list[str] = []

    def loses(event: Envelope, consumer: str) -> bool:
        if consumer == "kt" and event.subject == "b" and event.id not in lost:
            lost.append(event.id)
            return True
        return False

    async with Fleet() as fleet:
        steward = await fleet.steward(shop(), other, patience=Patience(lost=20))
        await fleet.start(shop(), other)
        fleet.broker.loses = loses
        await fleet.publish(steward, Ping(id="a", text="1"), Ping(id="b", text="2"))
        await fleet.move(15 * SECOND)
        assert sorted(await texts(fleet)) == ["other a", "other b", "ping a 1"]
        await fleet.move(15 * SECOND)
        assert sorted(await texts(fleet)) == ["other a", "other b", "ping a 1", "ping b 2"]
        assert fleet.broker.redelivered == [("kt", lost[0])]


async def test_a_consumer_that_sleeps_is_woken_for_what_lies_unfinished_and_not_before_it_is_due() -> None:
    fine = [False]

    def refuse(text: str) -> None:
        if not fine[0]:
            raise TemporaryError("not now", retry_after=timedelta(seconds=60))

    async with Fleet() as fleet:
        steward = await fleet.steward(shop())
        one = await fleet.start(shop(refuse))
        await fleet.publish(steward, Ping(id="a", text="1"), Ping(id="b", text="2"))
        await fleet.settle()
        await fleet.stop(one)  # scaled to zero
        await fleet.move(timedelta(seconds=50))
        assert fleet.broker.redelivered == []
        await fleet.move(timedelta(seconds=15))
        assert [consumer for consumer, _ in fleet.broker.redelivered] == ["kt"]
        fine[0] = True
        await fleet.start(shop(refuse))  # the call has started it
        await fleet.move(5 * SECOND)
        assert sorted(await texts(fleet)) == ["ping a 1", "ping b 2"]


async def test_a_consumer_that_hangs_holds_up_neither_the_others_nor_the_publishing() -> None:
    other = Agent("other", tables=metadata)

    @other.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        await note(ctx, f"other {event.id}")

    async with Fleet() as fleet:
        steward = await fleet.steward(shop(), other, patience=Patience(lost=3, again=3))
        await fleet.start(shop(), other)
        hangs = asyncio.Event()
        redeliver = steward.bus.redeliver

        async def hanging(consumer: str, event: Envelope) -> bool:
            if consumer == "kt":
                await hangs.wait()
            return await redeliver(consumer, event)

        steward.bus.redeliver = hanging  # type: ignore[method-assign]
        lost: set[str] = set()

        def loses(event: Envelope, consumer: str) -> bool:
            if (first := f"{consumer} {event.id}") in lost:
                return False
            lost.add(first)
            return True

        fleet.broker.loses = loses
        await fleet.publish(steward, Ping(id="a", text="1"))
        await fleet.settle()
        emitter = await fleet.start()
        fleet.broker.away = True
        await fleet.publish(emitter, Version(id="x", number=1))
        await fleet.kill(emitter)
        fleet.broker.come_back()
        while await texts(fleet) != ["other a"] or await fleet.unpublished():
            fleet.clock.move(SECOND)
            fleet.monotonic.move(1)
            for process in fleet.living:
                await process.tick()
            await asyncio.sleep(0.005)
        hangs.set()
        await fleet.move(5 * SECOND)
        assert "ping a 1" in await texts(fleet)


async def test_of_two_stewards_one_does_the_work_and_the_other_takes_over_with_its_mark() -> None:
    async with Fleet() as fleet:
        patience = Patience(lost=5, again=60)
        first = await fleet.steward(shop(), patience=patience)
        second = await fleet.steward(shop(), patience=patience)
        await fleet.start(shop())
        lost: set[str] = set()

        def loses(event: Envelope, consumer: str) -> bool:
            new = event.id not in lost
            lost.add(event.id)
            return new

        fleet.broker.loses = loses
        await fleet.publish(first, Ping(id="a", text="1"))
        await fleet.move(10 * SECOND)
        assert await texts(fleet) == ["ping a 1"]
        assert len(fleet.broker.redelivered) == 1
        (mark,) = await fleet.rows(select(tables.marks))
        holder, other = (first, second) if mark["owner"] == first.worker_id else (second, first)
        assert mark["value"] > 0
        fleet.broker.unreachable = {"kt"}
        await fleet.publish(first, Ping(id="b", text="2"))
        await fleet.move(10 * SECOND)
        await fleet.kill(holder)
        fleet.broker.unreachable = set()
        await fleet.move(LEASE + 10 * SECOND)
        (mark,) = await fleet.rows(select(tables.marks))
        assert mark["owner"] == other.worker_id
        assert await texts(fleet) == ["ping a 1", "ping b 2"]


@pytest.mark.parametrize("jump", [timedelta(hours=1), -timedelta(hours=1)])
async def test_a_clock_that_jumps_an_hour_makes_the_steward_neither_hasty_nor_late(jump: timedelta) -> None:
    async with Fleet() as fleet:
        steward = await fleet.steward(shop(), patience=Patience(lost=20))
        emitter = await fleet.start()
        fleet.broker.unconfirmed = 1000
        fleet.broker.loses = lambda event, consumer: True
        one = await fleet.start(shop())
        await fleet.publish(emitter, Ping(id="a", text="1"))
        await fleet.kill(emitter)
        await fleet.move(2 * SECOND)
        published = len(fleet.broker.published)
        fleet.clock.move(jump)
        await fleet.move(2 * SECOND)
        assert len(fleet.broker.published) == published
        assert fleet.broker.redelivered == []
        assert one.lives
        assert {row["id"] for row in await fleet.rows(select(tables.workers))} >= {one.worker_id, steward.worker_id}
        fleet.broker.unconfirmed = 0
        await fleet.move(6 * SECOND)
        assert len(fleet.broker.published) > published
        fleet.broker.loses = lambda event, consumer: False
        await fleet.move(20 * SECOND)
        assert await texts(fleet) == ["ping a 1"]


async def test_dead_workers_are_forgotten_after_a_while_and_one_that_was_only_paused_is_known_again() -> None:
    async with Fleet() as fleet:
        steward = await fleet.steward()
        gone, paused = await fleet.start(), await fleet.start(shop())
        await fleet.kill(gone)
        paused.gate.shut()
        await fleet.move(timedelta(seconds=80))
        assert [row["id"] for row in await fleet.rows(select(tables.workers.c.id))] == [steward.worker_id]
        paused.gate.open()
        await fleet.move(3 * SECOND)
        assert len(await fleet.rows(select(tables.workers.c.id))) == 2
        await fleet.publish(steward, Ping(id="a", text="1"))
        await fleet.settle()
        assert await texts(fleet) == ["ping a 1"]


# --- what a worker holds ---------------------------------------------------------------------------------------------------


async def test_what_a_worker_owns_and_does_not_know_of_is_taken_up() -> None:
    """As after a claim whose commit was in doubt: the rows are this worker's, and it was not told."""
    async with Fleet() as fleet:
        one = await fleet.start(shop())
        emitter = await fleet.start()
        other = await fleet.start(Agent("none"))
        event = envelope(fleet, Ping(id="a", text="1"), new_id())
        await fleet.put(emitter, event)
        await fleet.settle()
        assert await texts(fleet) == ["ping a 1"]
        second = envelope(fleet, Ping(id="b", text="2"), new_id())

        async def claim(unit: Unit) -> None:
            from agent_store.kernel import cloudevents, journal

            await unit.db.run(
                journal.INSERT_INBOX,
                {
                    "consumer": "kt", "source": second.source, "id": second.id, "type": second.type, "state": "retry",
                    "attempts": 0, "received_at": fleet.clock.now(), "done_at": None, "owner": one.worker_id,
                    "body": cloudevents.to_structured(second).decode(),
                },
            )  # fmt: skip

        await other.store.run(claim)
        await fleet.move(timedelta(seconds=35))
        assert await texts(fleet) == ["ping a 1", "ping b 2"]


async def test_what_a_consumer_no_longer_hears_is_a_dead_letter_when_it_is_taken_over() -> None:
    def refuse(text: str) -> None:
        raise TemporaryError("not now")

    async with Fleet() as fleet:
        emitter = await fleet.start()
        old = await fleet.start(shop(refuse))
        await fleet.publish(emitter, Ping(id="a", text="1"))
        await fleet.settle()
        await fleet.stop(old)
        await fleet.start(Agent("kt", tables=metadata))
        (letter,) = await fleet.dead()
        assert (letter["reason"], letter["error"]) == ("permanent", "kt no longer hears store.kt.ping")
        assert [state for _, _, state, _ in await fleet.inbox()] == ["dead"]


async def test_what_the_local_bus_recorded_is_finished_when_the_store_goes_on_on_a_network() -> None:
    async with Fleet() as fleet:
        emitter = await fleet.start()
        event = envelope(fleet, Ping(id="a", text="1"), "1")
        fleet.broker.loses = lambda event, consumer: True
        await fleet.put(emitter, event)

        async def as_local(unit: Unit) -> None:
            from agent_store.kernel import journal

            await unit.db.run(
                journal.INSERT_INBOX,
                {
                    "consumer": "kt", "source": event.source, "id": event.id, "type": event.type, "state": "retry",
                    "attempts": 1, "received_at": fleet.clock.now(), "done_at": None, "owner": None, "body": None,
                },
            )  # fmt: skip

        await emitter.store.run(as_local)
        await fleet.start(shop())
        await fleet.settle()
        assert await texts(fleet) == ["ping a 1"]


async def test_a_duplicate_that_takes_over_from_a_dead_worker_keeps_the_count_of_tries_and_its_death() -> None:
    agent, fails = Agent("kt", tables=metadata), list[int]()

    @agent.process(Job, attempts=4)
    async def work(event: Job, ctx: Context) -> None:
        fails.append(1)
        raise TemporaryError("not now")

    async with Fleet() as fleet:
        emitter = await fleet.start()
        one = await fleet.start(agent)
        await fleet.publish(emitter, Job(id="1"))
        await fleet.settle()
        await fleet.kill(one)

        async def dies(unit: Unit) -> None:
            await unit.db.run(update(tables.inbox).values(state="accepted", due_at=None))

        await emitter.store.run(dies)
        two = await fleet.start(Agent("none"))  # a consumer that is added below, when the other is known to be dead
        await fleet.move(LEASE)
        (row,) = await fleet.rows(select(tables.outbox).where(tables.outbox.c.type == Job.event_type))
        assert await fleet.inbox() == [("kt", row["id"], "accepted", 1)]
        two.runtime.dispatcher.add(Consumer(agent))
        from agent_store.kernel import journal

        await two.runtime.dispatcher.receive(journal.envelope_of(row))
        await fleet.settle()
        assert await fleet.inbox() == [("kt", row["id"], "retry", 3)]


async def test_who_asks_for_the_handling_of_a_parked_event_is_answered_at_once() -> None:
    async with Fleet(MemoryBroker(until="handled")) as fleet:
        emitter = await fleet.start()
        one = await fleet.start(shop())
        event = envelope(fleet, Version(id="x", number=2), "2")
        await fleet.put(emitter, event)
        await fleet.settle()
        await fleet.kill(one)
        two = await fleet.start(shop())
        await fleet.move(LEASE)
        assert ("kt", "2", "parked", 0) in await fleet.inbox()
        async with asyncio.timeout(2):
            await two.runtime.dispatcher.receive(event, consumer="kt", until="handled")


async def test_an_event_that_nobody_here_hears_is_taken_and_forgotten() -> None:
    async with Fleet() as fleet:
        one = await fleet.start(shop())
        for consumer in (None, "kt", "elsewhere"):
            await one.runtime.dispatcher.receive(envelope(fleet, Ping(id="a"), "a"), consumer="elsewhere")
            await one.runtime.dispatcher.receive(
                replace(envelope(fleet, Ping(id="a"), "a"), type="store.kt.unheard"), consumer=consumer
            )
        assert await fleet.inbox() == []


# --- the relay -------------------------------------------------------------------------------------------------------------


async def test_an_event_that_the_broker_refuses_holds_up_no_other() -> None:
    async with Fleet() as fleet:
        emitter = await fleet.start()
        await fleet.start(shop())
        publish = emitter.bus.bus.publish

        async def refusing(events: list[Envelope]) -> list[bool]:
            fine = [event for event in events if event.subject != "bad"]
            await publish(fine)
            return [event in fine for event in events]

        emitter.bus.bus.publish = refusing  # type: ignore[method-assign, assignment]
        await fleet.publish(emitter, Ping(id="bad", text="never"))
        async with asyncio.timeout(30):  # on a busy machine; pauses that grow would take over a minute
            for number in range(20):
                await fleet.publish(emitter, Ping(id="good", text=str(number)))
                while len(await texts(fleet)) <= number:
                    await asyncio.sleep(0.001)
