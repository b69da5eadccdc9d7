"""What is promised about an event that is handled: once in effect, in order, retried, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from agent_store.kernel import tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context, Repository
from agent_store.kernel.delivery import MAX_AWAY, MAX_BACKOFF, backoff
from agent_store.kernel.errors import AWAY, Conflict, NotFound, PermanentError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.handling import CRASHES
from agent_store.kernel.runtime import Runtime
from tests.support.kernel import FaultyStore, Job, Ping, Pong, Version, metadata, note, put, texts, until
from tests.support.store import TestStore

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

in_order = pytest.mark.only(bus="local memory rabbitmq", reason="Knative brings events in any order; this needs theirs")


def ping(id: str, *, source: str = "/s", key: str | None = None, text: str = "", brand: str | None = None) -> Envelope:
    data = Ping(id=id, text=text).model_dump_json().encode()
    return Envelope(id=key or id, source=source, type="store.kt.ping", time=NOW, data=data, subject=id, brand=brand)


def listener(name: str = "kt") -> Agent:
    """Notes every Ping and answers with a Pong."""
    agent = Agent(name, tables=metadata)

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        await note(ctx, event.text or event.id)
        ctx.emit(Pong(id=event.id))

    return agent


async def inbox(store: TestStore) -> list[tuple[str, str, str, int]]:
    rows = await store.rows(select(tables.inbox))
    return sorted((row["consumer"], row["id"], row["state"], row["attempts"]) for row in rows)


async def unpublished(store: TestStore) -> list[str]:
    return [
        row["type"]
        for row in await store.rows(select(tables.outbox.c.type).where(tables.outbox.c.published.is_(False)))
    ]


# --- once ------------------------------------------------------------------------------------------------------


async def test_state_inbox_row_and_what_is_emitted_are_one_commit() -> None:
    async with TestStore([listener()]) as store:
        await put(store, ping("a"))
        await store.settle()
        assert await texts(store) == ["a"]
        assert await inbox(store) == [("kt", "a", "done", 0)]
        assert store.events(Pong) == [Pong(id="a")]
        assert await unpublished(store) == []


async def test_the_same_id_of_the_same_source_is_one_event_and_of_another_source_is_another() -> None:
    async with TestStore([listener()]) as store:
        await put(store, ping("a"), ping("a", text="again"), ping("a", source="/other", text="other"))
        await put(store, ping("a", text="once more"))
        await store.settle()
        assert sorted(await texts(store)) == ["a", "other"]
        assert len(store.events(Ping)) == 2


async def test_an_event_that_is_delivered_again_has_no_second_effect() -> None:
    async with TestStore([listener()]) as store:
        await put(store, ping("a"))
        await store.settle()
        store.runtime.dispatcher.publish([ping("a")])
        await store.settle()
        assert await texts(store) == ["a"]


async def test_an_event_that_is_delivered_again_while_a_retry_is_waiting_is_handled_once() -> None:
    agent, fail = Agent("kt", tables=metadata), [True]

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        await note(ctx, event.id)
        if fail.pop() if fail else False:
            raise TemporaryError("not now")

    async with TestStore([agent]) as store:
        await put(store, ping("a"))
        await store.settle()
        store.runtime.dispatcher.publish([replace(ping("a"), subject="else")])
        await store.settle()
        assert await inbox(store) == [("kt", "a", "done", 1)]
        await store.move(10 * SECOND)
        assert await texts(store) == ["a"]


@pytest.mark.parametrize("code", sorted(AWAY))
async def test_what_meets_something_that_is_away_is_tried_longer_than_what_fails_and_soon_after_it_is_back(
    code: str,
) -> None:
    agent, attempts, tries = Agent("kt", tables=metadata), 2, list[datetime]()

    @agent.on(Ping, attempts=attempts)
    async def hear(event: Ping, ctx: Context) -> None:
        tries.append(ctx.now())
        raise TemporaryError("it is away", code=code)

    async with TestStore([agent]) as store:
        await put(store, ping("a"))
        await store.settle()
        for _ in range(CRASHES * attempts):
            await store.move(MAX_AWAY)
        assert len(tries) == CRASHES * attempts
        assert [letter.reason for letter in await store.dead()] == ["exhausted"]


async def test_every_consumer_has_its_own_inbox() -> None:
    async with TestStore([listener("kt"), listener("ku")]) as store:
        await put(store, ping("a"))
        await store.settle()
        assert [consumer for consumer, *_ in await inbox(store)] == ["kt", "ku"]
        assert await texts(store) == ["a", "a"]


async def test_an_event_that_nobody_hears_is_published() -> None:
    async with TestStore([Agent("kt")]) as store:
        await store.publish(Ping(id="a"))
        await store.settle()
        assert await unpublished(store) == []


async def test_an_emit_with_a_given_id_is_one_event_however_often_it_is_made() -> None:
    agent = Agent("kt")

    @agent.on(Job)
    async def emit(event: Job, ctx: Context) -> None:
        assert ctx.emit(Pong(id="p"), id="the-one") == "the-one"

    async with TestStore([agent]) as store:
        await store.publish(Job(id="1"))
        await store.publish(Job(id="2"))
        await store.settle()
        assert store.events(Pong) == [Pong(id="p")]


async def test_what_is_emitted_names_its_cause_and_keeps_brand_channel_and_trace() -> None:
    async with TestStore([listener()]) as store:
        cause = await store.publish(Ping(id="a"), brand="fashion", channel="web")
        await store.settle()
        pong = next(envelope for envelope in store.envelopes if envelope.type == "store.kt.pong")
        assert (pong.source, pong.causationid, pong.correlationid) == ("/agent-store/kt", cause.id, cause.id)
        assert (pong.brand, pong.channel) == ("fashion", "web")
        assert pong.traceparent is not None
        assert cause.traceparent is not None
        assert pong.traceparent[:36] == cause.traceparent[:36] != pong.traceparent[36:52]


async def test_a_cause_without_a_trace_begins_one() -> None:
    async with TestStore([listener()]) as store:
        await put(store, ping("a"))
        await store.settle()
        assert len(store.envelopes[-1].traceparent or "") == 55


async def test_a_brands_consumer_hears_its_brand_only() -> None:
    agent = listener()
    async with TestStore([Consumer(agent, "fashion"), Consumer(agent, "tech")]) as store:
        await put(store, ping("f", brand="fashion"), ping("t", brand="tech"), ping("n"))
        await store.settle()
        assert await inbox(store) == [("kt/fashion", "f", "done", 0), ("kt/tech", "t", "done", 0)]
        assert {envelope.source for envelope in store.envelopes if envelope.type == "store.kt.pong"} == {
            "/agent-store/kt/fashion", "/agent-store/kt/tech",
        }  # fmt: skip


async def test_a_consumer_that_is_added_live_hears_what_comes_from_then_on_and_removed_no_more() -> None:
    async with TestStore([listener()]) as store:
        late = Consumer(listener("late"))
        await put(store, ping("a"))
        await store.settle()
        await store.runtime.add(late)
        await store.runtime.add(late)  # known already: not twice
        await store.listening()
        await put(store, ping("b"))
        await store.settle()
        await store.runtime.remove("late")
        await put(store, ping("c"))
        await store.settle()
        assert [id for consumer, id, *_ in await inbox(store) if consumer == "late"] == ["b"]
        assert store.runtime.dispatcher.consumer("late") is None


# --- failure ---------------------------------------------------------------------------------------------------


async def test_a_failing_handler_leaves_nothing_and_its_neighbours_in_the_commit_are_unharmed() -> None:
    agent = Agent("kt", tables=metadata)

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        await note(ctx, event.id)
        ctx.emit(Pong(id=event.id))
        if event.id == "bad":
            raise Conflict("no")

    async with TestStore([agent]) as store:
        before = store.runtime.store.works  # type: ignore[attr-defined]  # the SQLite store's counter
        await put(store, ping("a"), ping("bad"), ping("b"))
        await store.settle()
        assert store.runtime.store.works > before  # type: ignore[attr-defined]
        assert sorted(await texts(store)) == ["a", "b"]
        assert sorted(pong.id for pong in store.events(Pong)) == ["a", "b"]


async def test_a_permanent_error_is_a_dead_letter_at_once_with_its_reason() -> None:
    agent = Agent("kt")

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        raise PermanentError("this can never work", code="hopeless")

    async with TestStore([agent]) as store:
        await put(store, ping("a"))
        await store.settle()
        (letter,) = await store.dead()
        assert (letter.consumer, letter.id, letter.reason, letter.attempts) == ("kt", "a", "permanent", 1)
        assert letter.error == "hopeless: this can never work"
        assert await inbox(store) == [("kt", "a", "dead", 1)]
        assert await unpublished(store) == []


@pytest.mark.parametrize("data", [b"{broken", b'{"id":1}', b'"\\ud800"'])
async def test_data_that_breaks_its_contract_is_a_dead_letter_however_broken_it_is(data: bytes) -> None:
    async with TestStore([listener()]) as store:
        await put(store, Envelope(id="a", source="/s", type="store.kt.ping", time=NOW, data=data))
        await store.settle()
        (letter,) = await store.dead()
        assert letter.error.startswith("bad-event: store.kt.ping a: ")


async def test_a_failure_that_may_pass_is_tried_again_until_the_attempts_are_used_up() -> None:
    agent, tries = Agent("kt"), list[int]()

    @agent.on(Ping, attempts=3)
    async def hear(event: Ping, ctx: Context) -> None:
        tries.append(1)
        raise KeyError("a bug")

    async with TestStore([agent]) as store:
        await put(store, ping("a"))
        await store.settle()
        assert await inbox(store) == [("kt", "a", "retry", 1)]
        for _ in range(5):
            await store.move(10 * SECOND)
        assert len(tries) == 3
        (letter,) = await store.dead()
        assert (letter.reason, letter.attempts, letter.error) == ("exhausted", 3, "KeyError: 'a bug'")


async def test_a_handler_that_takes_too_long_is_counted() -> None:
    agent = Agent("kt")

    @agent.on(Ping, attempts=2, timeout=timedelta(milliseconds=1))
    async def hear(event: Ping, ctx: Context) -> None:
        await asyncio.sleep(30)

    @agent.process(Job, attempts=1, timeout=timedelta(milliseconds=1))
    async def work(event: Job, ctx: Context) -> None:
        await asyncio.sleep(30)

    async with TestStore([agent]) as store:
        await store.publish(Ping(id="a"))
        await store.publish(Job(id="b"))
        await store.settle()
        await store.move(10 * SECOND)
        assert sorted((letter.type, letter.reason, letter.attempts, letter.error) for letter in await store.dead()) == [
            ("store.kt.job", "timeout", 1, "the handler took too long"),
            ("store.kt.ping", "timeout", 2, "the handler took too long"),
        ]


async def test_a_handler_whose_own_inner_task_was_cancelled_has_failed_and_is_tried_again() -> None:
    agent, tries = Agent("kt", tables=metadata), list[str]()

    async def cancelled() -> None:
        task = asyncio.create_task(asyncio.sleep(30))
        task.cancel()
        await task

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        tries.append("on")
        if tries.count("on") == 1:
            await cancelled()
        await note(ctx, "on")

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        tries.append("process")
        if tries.count("process") == 1:
            await cancelled()

    async with TestStore([agent]) as store:
        await store.publish(Ping(id="a"))
        await store.publish(Job(id="b"))
        await store.settle()
        await store.move(10 * SECOND)
        assert sorted(tries) == ["on", "on", "process", "process"]
        assert await texts(store) == ["on"]
        assert [state for _, _, state, _ in await inbox(store)] == ["done", "done"]


def test_backoff_doubles_with_jitter_above_half_and_is_bounded() -> None:
    agent = Agent("kt")

    @agent.on(Ping, backoff=timedelta(seconds=1))
    async def hear(event: Ping, ctx: Context) -> None: ...

    subscription = agent.subscriptions["store.kt.ping"]
    for attempt in (1, 2, 5, 50):
        full = min(timedelta(seconds=2 ** min(attempt - 1, 20)), MAX_BACKOFF)
        delays = [backoff(subscription, attempt, None) for _ in range(200)]
        assert full / 2 <= min(delays) <= max(delays) <= full
        assert len(set(delays)) > 100
    assert backoff(subscription, 1, timedelta(minutes=9)) == timedelta(minutes=9)
    assert backoff(subscription, 50, SECOND) > SECOND


async def test_the_other_sides_hint_is_waited_for() -> None:
    agent, tries = Agent("kt"), list[datetime]()

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        tries.append(ctx.now())
        raise TemporaryError("busy", retry_after=timedelta(minutes=1))

    async with TestStore([agent]) as store:
        await put(store, ping("a"))
        await store.settle()
        await store.move(timedelta(seconds=59))
        assert len(tries) == 1
        await store.move(SECOND)
        assert len(tries) == 2


# --- lanes -----------------------------------------------------------------------------------------------------


@in_order
async def test_a_partition_is_in_order_and_partitions_run_side_by_side() -> None:
    agent, gate, seen = Agent("kt"), asyncio.Event(), list[str]()

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        seen.append(f"{event.text} begins")
        if event.text == "a1":
            await gate.wait()
        seen.append(f"{event.text} ends")

    async with TestStore([agent]) as store:
        for id, text in (("a", "a1"), ("a", "a2"), ("b", "b1")):
            await store.publish(Job(id=id, text=text))
        await until(lambda: {"a1 begins", "b1 ends"} <= set(seen))
        assert len(seen) == 3
        gate.set()
        await store.settle()
        assert seen[3:] == ["a1 ends", "a2 begins", "a2 ends"]


@in_order
async def test_a_retry_holds_its_partition_and_no_other_and_the_store_is_settled_meanwhile() -> None:
    agent, fail = Agent("kt", tables=metadata), ["a1"]

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        if event.text in fail:
            fail.remove(event.text)
            raise TemporaryError("not now")
        await note(ctx, event.text)

    async with TestStore([agent]) as store:
        await put(store, ping("a", key="1", text="a1"), ping("a", key="2", text="a2"), ping("b", key="3", text="b1"))
        await store.settle()
        await put(store, ping("a", key="4", text="a3"))
        await store.settle()
        assert await texts(store) == ["b1"]
        await store.move(10 * SECOND)
        assert await texts(store) == ["b1", "a1", "a2", "a3"]
        assert store.runtime.dispatcher.active == 0
        assert not store.runtime.dispatcher._lanes


async def test_a_dead_letter_releases_its_partition() -> None:
    agent = Agent("kt", tables=metadata)

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        if event.text == "bad":
            raise PermanentError("no")
        await note(ctx, event.text)

    async with TestStore([agent]) as store:
        await put(store, ping("a", key="1", text="bad"), ping("a", key="2", text="good"))
        await store.settle()
        assert await texts(store) == ["good"]


# --- sequence --------------------------------------------------------------------------------------------------


def ordered(kind: str = "on", fail: Callable[[Version], None] = lambda event: None) -> Agent:
    agent = Agent("kt", tables=metadata)

    async def hear(event: Version, ctx: Context) -> None:
        fail(event)
        if kind == "on":
            await note(ctx, str(event.number))
        else:
            await ctx.write("note", lambda tx: note(tx, str(event.number)))

    (agent.on if kind == "on" else agent.process)(Version, ordered=True, order_wait=5 * SECOND, attempts=2)(hear)
    return agent


async def say(store: TestStore, *numbers: int, id: str = "s") -> None:
    for number in numbers:
        await store.publish(Version(id=id, number=number))
    await store.settle()


@pytest.mark.parametrize("kind", ["on", "process"])
async def test_early_ones_wait_until_the_gap_is_filled(kind: str) -> None:
    async with TestStore([ordered(kind)]) as store:
        await say(store, 1, 4, 3)
        assert await texts(store) == ["1"]
        assert [state for _, _, state, _ in await inbox(store)].count("parked") == 2
        await say(store, 2)
        assert await texts(store) == ["1", "2", "3", "4"]
        assert not store.runtime.dispatcher._parking.places
        await store.move(10 * SECOND)
        assert await texts(store) == ["1", "2", "3", "4"]


async def test_other_subjects_do_not_wait() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 2)
        await say(store, 1, id="other")
        assert await texts(store) == ["1"]


@pytest.mark.parametrize("kind", ["on", "process"])
async def test_a_gap_that_is_never_filled_is_waited_for_as_long_as_was_said(kind: str) -> None:
    async with TestStore([ordered(kind)]) as store:
        await say(store, 1)
        await say(store, 5, 4)
        await store.move(3 * SECOND)
        await say(store, 3)
        assert await texts(store) == ["1"]
        await store.move(2 * SECOND)
        assert await texts(store) == ["1", "3", "4", "5"]
        await say(store, 2)
        await say(store, 6)
        assert await texts(store) == ["1", "3", "4", "5", "2", "6"]


async def test_what_is_parked_survives_a_kill_and_waits_on() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 1, 3)
        await store.kill_and_restart()
        await store.settle()
        assert await texts(store) == ["1"]
        await say(store, 2)
        assert await texts(store) == ["1", "2", "3"]
        await say(store, 5)
        await store.kill_and_restart()
        await store.move(5 * SECOND)
        assert await texts(store) == ["1", "2", "3", "5"]


async def test_what_was_parked_goes_on_at_once_when_its_turn_came_with_the_kill() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 1, 3)
        # As if the process had died between the commit of 2 and taking 3 out.
        for delivery in next(iter(store.runtime.dispatcher._parking.places.values())):
            delivery.event = Envelope(
                id="x", source="/s", type="store.kt.version", time=NOW, subject="none", sequence=99
            )
        await say(store, 2)
        assert await texts(store) == ["1", "2"]
        await store.kill_and_restart()
        await store.settle()
        assert await texts(store) == ["1", "2", "3"]


async def test_a_clock_that_goes_back_makes_parked_ones_wait_again_and_loses_none() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 1, 3)
        store.clock.move(5 * SECOND)
        store.monotonic.move(5)
        store.runtime.dispatcher.run_due(store.clock.now())
        store.clock.move(-SECOND)
        await store.settle()
        assert await texts(store) == ["1"]
        await store.move(SECOND)
        assert await texts(store) == ["1", "3"]


async def test_a_clock_that_jumps_forward_ends_no_patience() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 1, 3)
        store.clock.move(timedelta(hours=1))  # nothing has taken that long
        await store.runtime.steward.tick()
        await store.settle()
        assert await texts(store) == ["1"]
        await say(store, 2)
        assert await texts(store) == ["1", "2", "3"]
        await say(store, 5)
        store.clock.move(timedelta(hours=-1))
        await say(store, 4)
        assert await texts(store) == ["1", "2", "3", "4", "5"]


async def test_two_events_with_the_same_early_sequence_are_both_kept() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 2, 2)
        await say(store, 1)
        assert await texts(store) == ["1", "2", "2"]


@pytest.mark.parametrize("kind", ["on", "process"])
async def test_those_after_a_dead_letter_do_not_wait_for_it(kind: str) -> None:
    def fail(event: Version) -> None:
        if event.number == 2:
            raise PermanentError("no")

    async with TestStore([ordered(kind, fail)]) as store:
        await say(store, 1, 3, 2, 4)
        assert await texts(store) == ["1", "3", "4"]


@pytest.mark.parametrize("kind", ["on", "process"])
async def test_an_ordered_handler_that_fails_is_tried_again_in_its_place(kind: str) -> None:
    once = [1]

    def fail(event: Version) -> None:
        if event.number == 2 and once:
            once.pop()
            raise TemporaryError("not now")

    async with TestStore([ordered(kind, fail)]) as store:
        await say(store, 1, 2, 3)
        assert await texts(store) == ["1"]
        await store.move(10 * SECOND)
        assert await texts(store) == ["1", "2", "3"]


async def test_a_delivery_again_of_an_ordered_event_is_a_duplicate() -> None:
    async with TestStore([ordered("process")]) as store:
        await say(store, 1)
        store.runtime.dispatcher.publish(store.envelopes)
        await store.settle()
        assert await texts(store) == ["1"]


async def test_without_a_sequence_there_is_nothing_to_wait_for() -> None:
    async with TestStore([ordered()]) as store:
        data = Version(id="s", number=9).model_dump_json().encode()
        await put(store, Envelope(id="1", source="/s", type="store.kt.version", time=NOW, data=data, subject="s"))
        await store.settle()
        assert await texts(store) == ["9"]


async def test_a_dead_letter_without_a_subject_or_sequence_is_one_as_any() -> None:
    def fail(event: Version) -> None:
        raise PermanentError("no")

    async with TestStore([ordered("on", fail)]) as store:
        data = Version(id="s", number=9).model_dump_json().encode()
        await put(
            store,
            Envelope(id="1", source="/s", type="store.kt.version", time=NOW, data=data, subject="s"),
            Envelope(id="2", source="/s", type="store.kt.version", time=NOW, data=data, sequence=1),
        )
        await store.settle()
        assert sorted(letter.id for letter in await store.dead()) == ["1", "2"]


def version(number: int, partition: str) -> Envelope:
    data = Version(id="s", number=number).model_dump_json().encode()
    return Envelope(id=str(number), source="/s", type="store.kt.version", time=NOW, data=data, subject="s",
                    sequence=number, partitionkey=partition)  # fmt: skip


async def test_each_early_one_waits_for_its_own_time() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 1, 3)
        await store.move(3 * SECOND)
        await say(store, 5)
        await store.move(2 * SECOND)
        assert await texts(store) == ["1", "3"]
        await store.move(3 * SECOND)
        assert await texts(store) == ["1", "3", "5"]


async def test_a_predecessor_that_is_done_while_an_early_one_is_being_parked_is_not_missed() -> None:
    async with TestStore([ordered()]) as store:
        await say(store, 1)
        # Other partitions of the same subject: their lanes run side by side, so 2 and 3 share one commit.
        await put(store, version(3, "x"), version(2, "y"))
        await store.settle()
        assert await texts(store) == ["1", "2", "3"]


# --- replay ----------------------------------------------------------------------------------------------------


async def test_a_replay_reopens_the_row_of_the_consumer_that_failed_and_of_no_other() -> None:
    broken, works = Agent("broken", tables=metadata), [False]

    @broken.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        if not works[0]:
            raise PermanentError("no")
        await note(ctx, "broken heard")

    async with TestStore([broken, listener()]) as store:
        await put(store, ping("a"))
        await store.settle()
        (letter,) = await store.dead()
        await store.runtime.replay(letter.seq)
        await store.settle()
        assert len(await store.dead()) == 2  # it failed again: a letter more
        works[0] = True
        await store.runtime.replay(letter.seq)
        await store.runtime.replay(letter.seq)
        await store.settle()
        assert await texts(store) == ["a", "broken heard"]
        assert await inbox(store) == [("broken", "a", "done", 0), ("kt", "a", "done", 0)]
        assert (await store.dead())[0].replayed_at == store.clock.now()


@pytest.mark.only(bus="local", reason="on a network another process may serve a consumer that does not run here")
async def test_a_replay_that_cannot_be_is_refused_with_a_sentence() -> None:
    agent = Agent("kt")

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        raise PermanentError("no")

    async with TestStore([agent]) as store:
        with pytest.raises(NotFound, match="no dead letter 7"):
            await store.runtime.replay(7)
        await put(store, ping("a"))
        await store.settle()
        await store.runtime.remove("kt")
        with pytest.raises(NotFound, match=r"kt does not run here or no longer hears store\.kt\.ping"):
            await store.runtime.replay((await store.dead())[0].seq)


# --- when the store does not take it ----------------------------------------------------------------------------


async def _faulty(store: TestStore, agent: Agent) -> tuple[Runtime, FaultyStore]:
    """A second runtime over the first one's store, with faults."""
    faulty = FaultyStore(store.runtime.store)
    runtime = Runtime(faulty, [Consumer(agent)], clock=store.clock)
    await runtime.start(watch=False)
    return runtime, faulty


@pytest.mark.parametrize("error", [PermanentError("no"), TemporaryError("no")])
async def test_a_delivery_whose_mark_the_store_does_not_take_is_not_lost(error: Exception) -> None:
    agent = Agent("kt", tables=metadata)

    async with TestStore([]) as store:
        runtime, faulty = await _faulty(store, agent)

        @agent.on(Ping, attempts=2)
        async def hear(event: Ping, ctx: Context) -> None:
            faulty.broken = 2
            raise error

        await runtime.remove("kt")
        await runtime.add(Consumer(agent))
        await put(store, ping("a"))
        await runtime.settle()
        assert await inbox(store) == []
        for _ in range(2):
            store.clock.move(MAX_BACKOFF)
            runtime.dispatcher.run_due(store.clock.now())
            await runtime.settle()
        state = "dead" if isinstance(error, PermanentError) else "retry"
        assert await inbox(store) == [("kt", "a", state, 1)]


async def test_what_a_full_disk_kept_from_being_marked_published_is_marked_later() -> None:
    async with TestStore([]) as store:
        runtime, faulty = await _faulty(store, listener())
        await put(store, ping("a"))
        await runtime.dispatcher.idle()
        assert await unpublished(store) == ["store.kt.ping"]
        faulty.broken = 1
        with pytest.raises(TemporaryError, match="disk is full"):
            await runtime.steward.flush()
        await runtime.steward.flush()
        assert await unpublished(store) == []


# --- drain and recovery ----------------------------------------------------------------------------------------


@in_order
async def test_a_drain_lets_running_work_finish_and_what_waits_resumes_at_the_next_start() -> None:
    agent, begun, gate = Agent("kt", tables=metadata), asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        seen.append(f"{event.text} begins")
        if event.text == "quick" and not gate.is_set():
            begun.set()
            await gate.wait()
        await ctx.write("note", lambda tx: note(tx, event.text))
        seen.append(f"{event.text} is written")

    async with TestStore([agent]) as store:
        await store.publish(Job(id="a", text="quick"))
        await store.publish(Job(id="a", text="behind"))
        await begun.wait()
        stopping = asyncio.create_task(store.runtime.stop(grace=5))
        await asyncio.sleep(0)
        gate.set()
        await stopping
        assert seen == ["quick begins", "quick is written"]
        await store._open()
        await store.settle()
        assert seen[2:] == ["behind begins", "behind is written"]
        assert await texts(store) == ["quick", "behind"]


async def test_what_does_not_finish_within_the_grace_is_cancelled_and_resumes() -> None:
    agent, begun, stuck = Agent("kt", tables=metadata), asyncio.Event(), [True]

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("note", lambda tx: note(tx, "step"))
        begun.set()
        if stuck[0]:
            await asyncio.sleep(30)
        await ctx.write("end", lambda tx: note(tx, "end"))

    async with TestStore([agent]) as store:
        await store.publish(Job(id="a"))
        await begun.wait()
        await store.runtime.stop(grace=0.01)
        stuck[0] = False
        await store._open()
        await store.settle()
        assert await texts(store) == ["step", "end"]
        assert await inbox(store) == [("kt", store.envelopes[0].id, "done", 0)]


@pytest.mark.only(bus="local", reason="in test_kernel_network: another process goes on when the lease has run out")
async def test_it_ends_in_good_order_while_the_database_is_away() -> None:
    agent, begun, stuck = Agent("kt", tables=metadata), asyncio.Event(), [True]

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("note", lambda tx: note(tx, "step"))
        begun.set()
        if stuck[0]:
            await asyncio.sleep(30)
        await ctx.write("end", lambda tx: note(tx, "end"))

    async def away(*_: object, **__: object) -> None:
        raise TemporaryError("the database is away", code="database")

    async with TestStore([agent]) as store:
        await store.publish(Job(id="a"))
        await begun.wait()
        store.runtime.store.run = away  # type: ignore[method-assign,assignment]
        await store.runtime.stop(grace=0.01)
        stuck[0] = False
        await store._open()
        await store.settle()
        assert await texts(store) == ["step", "end"]


@pytest.mark.only(
    bus="local memory rabbitmq", reason="Knative's dispatcher brings fewer at a time than there are places"
)
async def test_a_drain_begins_no_process_that_waits_for_a_place() -> None:
    from agent_store.kernel.handling import PROCESS_LIMIT

    agent, begun, gate = Agent("kt"), list[str](), asyncio.Event()

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        begun.append(event.id)
        await gate.wait()

    async with TestStore([agent]) as store:
        for number in range(PROCESS_LIMIT + 3):
            await store.publish(Job(id=str(number)))
        await until(lambda: len(begun) == PROCESS_LIMIT)
        stopping = asyncio.create_task(store.runtime.stop(grace=30))
        await asyncio.sleep(0)
        gate.set()
        await stopping
        assert len(begun) == PROCESS_LIMIT
        await store._open()
        await store.settle()
        assert len(begun) == PROCESS_LIMIT + 3


@in_order
async def test_recovery_takes_up_what_was_left_in_the_order_of_the_outbox() -> None:
    agent, fail = Agent("kt", tables=metadata), [True]

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        if fail[0] and event.text == "1":
            raise TemporaryError("not now")
        await note(ctx, event.text)

    async with TestStore([agent]) as store:
        await put(store, *[ping("a", key=f"{number:03}", text=str(number)) for number in range(1, 600)])
        await store.settle()
        assert await texts(store) == []
        fail[0] = False
        await store.kill_and_restart()
        await store.settle()
        assert await texts(store) == []  # the retry is not due yet and holds its lane
        await store.move(10 * SECOND)
        assert await texts(store) == [str(number) for number in range(1, 600)]


@pytest.mark.only(bus="local", reason="it changes outbox rows, from which only the local bus recovers")
async def test_several_retries_of_one_lane_are_each_waited_for_after_a_restart() -> None:
    agent, fail, tried = Agent("kt", tables=metadata), [True], list[str]()

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        if fail[0]:
            raise TemporaryError("not now", retry_after=timedelta(seconds=int(event.text)))
        tried.append(event.text)

    async with TestStore([agent]) as store:
        # In lanes of their own at first; their common subject is only seen by the next process.
        await put(store, ping("a", key="1", text="60"), ping("b", key="2", text="10"), ping("c", key="3", text="120"))
        await store.settle()
        fail[0] = False
        from sqlalchemy import update

        async def one_lane(unit: object) -> None:
            await unit.db.run(update(tables.outbox).values(subject="same"))  # type: ignore[attr-defined]

        await store.runtime.store.run(one_lane)
        await store.kill_and_restart()
        for seconds, expected in ((59, []), (1, ["60", "10"]), (59, ["60", "10"]), (1, ["60", "10", "120"])):
            await store.move(timedelta(seconds=seconds))
            assert tried == expected


async def test_a_retry_whose_time_has_passed_is_tried_at_once_after_a_restart() -> None:
    agent, fail = Agent("kt", tables=metadata), [True]

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        if fail[0]:
            raise TemporaryError("not now")
        await note(ctx, event.id)

    async with TestStore([agent]) as store:
        await put(store, ping("a"))
        await store.settle()
        fail[0] = False
        store.clock.move(timedelta(hours=1))
        await store.kill_and_restart()
        await store.settle()
        assert await texts(store) == ["a"]


async def test_what_belongs_to_a_consumer_that_is_gone_stays_and_harms_nobody() -> None:
    agent = Agent("kt")

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        raise TemporaryError("not now")

    async with TestStore([agent]) as store:
        await put(store, ping("a"))
        await store.settle()
        store.consumers = [Consumer(listener("other"))]
        await store.kill_and_restart()
        await store.settle()
        assert await inbox(store) == [("kt", "a", "retry", 1)]


async def test_an_event_between_two_consumers_is_finished_by_the_one_that_had_not_seen_it() -> None:
    slow, gate = Agent("slow", tables=metadata), asyncio.Event()

    @slow.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        if not gate.is_set():
            raise TemporaryError("not now")
        await note(ctx, "slow")

    async with TestStore([slow, listener()], clock=ManualClock()) as store:
        await put(store, ping("a"))
        await store.settle()
        gate.set()
        await store.kill_and_restart()
        await store.move(10 * SECOND)
        assert sorted(await texts(store)) == ["a", "slow"]


async def test_an_events_rarer_attributes_survive_the_outbox() -> None:
    agent, seen = Agent("kt"), list[Envelope]()

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        # A network adds its own.
        seen.append(replace(ctx.event, extensions={"custom": ctx.event.extensions["custom"]}))
        raise TemporaryError("not now")

    rare = Envelope(id="a", source="/s", type="store.kt.ping", time=NOW, data=b'{"id":"a"}', dataschema="urn:x",
                    datacontenttype="application/vnd.x+json", traceparent=f"00-{7:032x}-{7:016x}-01", tracestate="a=1",
                    extensions={"custom": "x"})  # fmt: skip
    async with TestStore([agent]) as store:
        await put(store, rare)
        await store.settle()
        await store.kill_and_restart()
        await store.move(10 * SECOND)
        assert seen == [rare, rare]


async def test_settling_waits_for_what_comes_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, done = Agent("kt"), list[str]()

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        done.append(event.id)

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None: ...

    async with TestStore([agent]) as store:
        flush = store.runtime.steward.flush

        async def meanwhile() -> None:
            monkeypatch.undo()
            await store.publish(Job(id="1"))
            await flush()

        monkeypatch.setattr(store.runtime.steward, "flush", meanwhile)
        await store.publish(Ping(id="a"))
        await store.settle()
        assert done == ["1"]


# --- the runtime's own doors -------------------------------------------------------------------------------------


async def test_an_edge_may_change_state_in_a_consumers_name() -> None:
    async with TestStore([listener()]) as store:

        async def change(ctx: Context) -> str:
            await note(ctx, "from the edge")
            ctx.emit(Pong(id="x"))
            return ctx.key

        assert await store.runtime.transact("kt", change)
        assert store.envelopes[-1].source == "/agent-store/kt"
        assert await texts(store) == ["from the edge"]
        with pytest.raises(NotFound, match="no consumer nobody runs here"):
            await store.runtime.transact("nobody", change)


async def test_a_handler_may_do_only_what_its_kind_can_and_is_told_otherwise() -> None:
    agent, told = Agent("kt"), list[str]()

    class Settings:
        pass

    @agent.on(Ping)
    async def hear(event: Ping, ctx: Context) -> None:
        for attempt in (
            lambda: ctx.step("s", lambda: asyncio.sleep(0)),
            lambda: ctx.call(None),  # type: ignore[arg-type]  # refused before it is looked at
            lambda: ctx.write("w", lambda tx: asyncio.sleep(0)),
        ):
            with pytest.raises(
                RuntimeError, match=r"not possible here: see the docstring of kernel\.context"
            ) as caught:
                await attempt()
            told.append(str(caught.value).split()[0])
        with pytest.raises(LookupError, match="kt needs a Settings: the entrypoint gave none"):
            ctx.use(Settings)
        assert ctx.get(Repository).db is ctx.db
        assert (ctx.principal.customer_id, ctx.event.subject) == (None, "a")
        ctx.log.info("seen")

    async with TestStore([agent]) as store:
        await store.publish(Ping(id="a"))
        await store.settle()
        assert told == ["step", "call", "write"]
        assert await store.dead() == []


def test_an_agents_table_of_contents_has_no_entry_twice() -> None:
    agent = listener()
    with pytest.raises(TypeError, match=r"kt handles store\.kt\.ping already"):
        agent.on(Ping)(lambda event, ctx: asyncio.sleep(0))
