"""A process of journaled steps: killed anywhere it goes on after its last finished step, and asks nobody twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import BaseModel
from sqlalchemy import select

from agent_store.kernel import tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context
from agent_store.kernel.contexts import dump_error, load_error
from agent_store.kernel.errors import (
    Conflict,
    KeyReused,
    NotFound,
    PermanentError,
    StaleSpeaker,
    StoreError,
    TemporaryError,
)
from agent_store.kernel.tool import Principal
from tests.support.kernel import Count, Job, Note, Pong, metadata, note, texts
from tests.support.store import TestStore

SECOND = timedelta(seconds=1)


class Thought(BaseModel):
    text: str
    words: tuple[int, ...] = ()


async def value_of(value: object) -> object:
    return value


def toolmaker(asked: list[str]) -> Agent:
    """Offers the tools; `asked` sees every real call."""
    agent = Agent("kt", tables=metadata)

    @agent.tool(Count)
    async def count(args: Count, ctx: Context) -> int:
        asked.append(f"count {args.text}")
        return len(asked)

    @agent.tool(Note)
    async def write(args: Note, ctx: Context) -> int:
        asked.append(f"note {args.text}")
        await note(ctx, args.text)
        return len(asked)

    return agent


async def steps(store: TestStore) -> dict[str, str]:
    return {row["name"]: row["kind"] for row in await store.rows(select(tables.steps))}


@pytest.mark.parametrize("stop_at", range(7))
async def test_a_process_killed_between_any_two_steps_goes_on_and_asks_nobody_twice(stop_at: int) -> None:
    asked: list[str] = []
    kills = [stop_at]
    agent = toolmaker(asked)
    worker = Agent("worker", tables=metadata)
    seen: list[object] = []

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        at = 0

        async def boundary() -> None:
            nonlocal at
            if kills and kills[0] == at:
                reached.set()
                await asyncio.sleep(30)
            at += 1

        async def ask() -> Thought:
            asked.append("think")
            return Thought(text=f"thought {len(asked)}", words=(len(asked),))

        await boundary()
        thought = await ctx.step("think", ask, Thought)
        await boundary()
        number = await ctx.call(Count(text="a"))
        await boundary()
        await ctx.call(Note(text="b"))
        await boundary()
        written = await ctx.write("write", lambda tx: _write(tx), int)
        await boundary()
        plain = await ctx.step("plain", lambda: value_of({"a": (1, 2)}))
        await boundary()
        ctx.emit(Pong(id="p", text=thought.text))
        seen[:] = [thought, number, written, plain]
        await boundary()

    async def _write(tx: Context) -> int:
        await note(tx, "w")
        tx.emit(Pong(id="inside"))
        return 5

    reached = asyncio.Event()
    async with TestStore([agent, worker]) as store:
        await store.publish(Job(id="1"))
        async with asyncio.timeout(5):
            await reached.wait()
        assert [pong.id for pong in store.events(Pong)] == (["inside"] if stop_at >= 4 else [])
        kills.clear()
        await store.kill_and_restart()
        await store.settle()
        # A read of which nothing has come yet is journaled with the next commit: only that one may be asked again.
        reads = 2 if stop_at == 2 else 1
        assert asked == ["think", *["count a"] * reads, "note b"]
        assert await texts(store) == ["b", "w"]
        assert seen == [Thought(text="thought 1", words=(1,)), 1 + reads, 5, {"a": [1, 2]}]
        assert [pong.id for pong in store.events(Pong)] == ["inside", "p"]
        assert await store.dead() == []


async def test_a_pure_step_is_journaled_before_anything_is_changed_by_it() -> None:
    asked: list[str] = []
    agent = toolmaker(asked)
    worker = Agent("worker", tables=metadata)
    hold = asyncio.Event()

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        thought = await ctx.step("think", lambda: value_of(len(asked)), int, pure=True)
        before = await steps(store)
        await ctx.call(Note(text=f"thought {thought}"))
        asked.append("changed")
        if not hold.is_set():
            assert before == {}
            assert await steps(store) == {"think": "step"}
            hold.set()
            await asyncio.sleep(30)

    async with TestStore([agent, worker]) as store:
        await store.publish(Job(id="1"))
        async with asyncio.timeout(5):
            await hold.wait()
        await store.kill_and_restart()
        await store.settle()
        assert await texts(store) == ["thought 0"]
        assert await store.dead() == []


async def test_a_change_at_the_end_comes_with_the_end_and_is_undone_with_it() -> None:
    agent = Agent("kt", tables=metadata)
    fail = [True]

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        async def change(tx: Context) -> None:
            await note(tx, "end")
            tx.emit(Pong(id="inside"))
            if fail[0]:
                raise TemporaryError("not yet")

        ctx.at_end(change)
        ctx.emit(Pong(id="after"))

    async with TestStore([agent]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        assert await texts(store) == []
        assert store.events(Pong) == []
        fail[0] = False
        await store.move(timedelta(minutes=1))
        assert await texts(store) == ["end"]
        assert [pong.id for pong in store.events(Pong)] == ["inside", "after"]
        with pytest.raises(RuntimeError, match="at_end is not possible here"):
            await store.runtime.transact("kt", _at_end)


async def _at_end(ctx: Context) -> None:
    async def nothing(tx: Context) -> None: ...

    ctx.at_end(nothing)


async def test_what_a_process_emits_comes_with_its_end_and_not_when_it_fails() -> None:
    agent, fail = Agent("kt"), [True]

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        ctx.emit(Pong(id="now"))
        ctx.emit(Pong(id="later"), at=ctx.now() + timedelta(hours=1))
        await ctx.step("s", lambda: value_of(1))
        if fail[0]:
            raise TemporaryError("not now")

    async with TestStore([agent]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        assert store.events(Pong) == []
        fail[0] = False
        await store.move(10 * SECOND)
        assert [pong.id for pong in store.events(Pong)] == ["now"]
        await store.move(timedelta(hours=1))
        assert [pong.id for pong in store.events(Pong)] == ["now", "later"]


async def test_a_temporary_failure_of_a_call_is_forgotten_before_a_retry() -> None:
    asked: list[str] = []
    tools, worker = Agent("kt"), Agent("worker")

    @tools.tool(Count)
    async def count(args: Count, ctx: Context) -> int:
        asked.append("count")
        if len(asked) == 1:
            raise TemporaryError("busy", retry_after=timedelta(seconds=90))
        return 7

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        ctx.emit(Pong(id=str(await ctx.call(Count()))))

    async with TestStore([tools, worker]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        await store.move(89 * SECOND)
        assert asked == ["count"]
        await store.move(SECOND)
        assert store.events(Pong) == [Pong(id="7")]


async def test_a_temporary_failure_that_the_handler_lived_with_is_kept_when_it_resumes_after_a_kill() -> None:
    asked: list[str] = []
    tools, worker = Agent("kt"), Agent("worker")
    reached, stuck = asyncio.Event(), [True]

    @tools.tool(Count)
    async def count(args: Count, ctx: Context) -> int:
        asked.append("count")
        if len(asked) == 1:
            raise TemporaryError("busy", retry_after=SECOND, code="too-busy", seat=3)
        return 7

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        try:
            answer = str(await ctx.call(Count()))
        except TemporaryError as error:
            answer = f"{error.code} {error.retry_after} {error.details}"
        await ctx.step("go on with it", lambda: value_of(answer))
        reached.set()
        if stuck[0]:
            await asyncio.sleep(30)
        ctx.emit(Pong(id=answer))

    async with TestStore([tools, worker]) as store:
        await store.publish(Job(id="1"))
        async with asyncio.timeout(5):
            await reached.wait()
        stuck[0] = False
        await store.kill_and_restart()
        await store.settle()
        assert asked == ["count"]
        assert store.events(Pong) == [Pong(id="too-busy 0:00:01 {'seat': 3}")]


async def test_a_permanent_failure_of_a_step_or_call_is_journaled_and_raised_again_when_it_resumes() -> None:
    asked: list[str] = []
    tools, worker = Agent("kt"), Agent("worker")
    reached, stuck = asyncio.Event(), [True]

    @tools.tool(Count)
    async def count(args: Count, ctx: Context) -> int:
        asked.append("count")
        raise NotFound("nothing there", sku="x")

    async def refuse() -> None:
        asked.append("refuse")
        raise Conflict("no")

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        with pytest.raises(NotFound, match="nothing there"):
            await ctx.call(Count())
        with pytest.raises(Conflict):
            await ctx.step("refuse", refuse)
        reached.set()
        if stuck[0]:
            await asyncio.sleep(30)

    async with TestStore([tools, worker]) as store:
        await store.publish(Job(id="1"))
        async with asyncio.timeout(5):
            await reached.wait()
        stuck[0] = False
        await store.kill_and_restart()
        await store.settle()
        assert asked == ["count", "refuse"]
        assert await store.dead() == []


async def test_a_replayed_process_tries_again_what_failed_and_keeps_what_succeeded() -> None:
    asked: list[str] = []
    agent, works = Agent("kt", tables=metadata), [False]

    async def think() -> int:
        asked.append("think")
        return 1

    async def send() -> int:
        asked.append("send")
        if not works[0]:
            raise PermanentError("refused")
        return 2

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.step("think", think, int)
        await ctx.step("send", send, int)
        ctx.emit(Pong(id="sent"))

    async with TestStore([agent]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        works[0] = True
        await store.runtime.replay((await store.dead())[0].seq)
        await store.settle()
        assert asked == ["think", "send", "send"]
        assert store.events(Pong) == [Pong(id="sent")]


async def test_a_process_that_calls_with_other_arguments_when_it_resumes_is_a_dead_letter() -> None:
    asked: list[str] = []
    worker, run = Agent("worker"), [0]

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        run[0] += 1
        await ctx.call(Note(text=str(run[0])))
        raise TemporaryError("once more")

    async with TestStore([toolmaker(asked), worker]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        await store.move(10 * SECOND)
        (letter,) = await store.dead()
        assert letter.reason == "permanent"
        assert letter.error.startswith(
            "idempotency-key-reused: kt.note: this idempotency key came with other arguments"
        )
        assert asked == ["note 1"]


async def test_a_process_whose_journaled_call_has_other_arguments_when_it_resumes_is_a_dead_letter() -> None:
    asked: list[str] = []
    worker, run = Agent("worker"), [0]

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        run[0] += 1
        await ctx.call(Count(text=str(run[0])))
        await ctx.step("go on with it", lambda: value_of(1))
        raise TemporaryError("once more")

    async with TestStore([toolmaker(asked), worker]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        await store.move(10 * SECOND)
        (letter,) = await store.dead()
        assert letter.error.startswith("idempotency-key-reused: call:1:kt.count was called with other arguments")
        assert asked == ["count 1"]


async def test_a_step_name_that_stands_twice_is_an_error() -> None:
    agent = Agent("kt")

    @agent.process(Job, attempts=1)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.step("same", lambda: value_of(1))
        await ctx.step("same", lambda: value_of(2))

    async with TestStore([agent]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        (letter,) = await store.dead()
        assert letter.error == "RuntimeError: step 'same' stands twice in one process: names are unique"


async def test_calls_are_journaled_under_their_key_or_their_place() -> None:
    asked: list[str] = []
    worker = Agent("worker")

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.call(Count(text="a"))
        await ctx.call(Count(text="a"))
        await ctx.call(Note(text="n"), key="mine")

    async with TestStore([toolmaker(asked), worker]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        assert await steps(store) == {"call:1:kt.count": "call", "call:2:kt.count": "call", "call:mine": "call"}
        assert asked == ["count a", "count a", "note n"]


async def test_a_write_that_fails_leaves_nothing_and_is_tried_again() -> None:
    agent, fail = Agent("kt", tables=metadata), [True]

    async def write(tx: Context) -> None:
        await note(tx, "w")
        if fail.pop() if fail else False:
            raise TemporaryError("not now")

    @agent.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("w", write)

    async with TestStore([agent]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        assert await texts(store) == []
        assert await steps(store) == {}
        await store.move(10 * SECOND)
        assert await texts(store) == ["w"]


async def test_a_step_whose_result_is_not_of_its_type_fails_at_once_and_not_after_a_crash() -> None:
    agent = Agent("kt")

    @agent.process(Job, attempts=1)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.step("s", lambda: value_of("text"), int)  # type: ignore[arg-type]  # that is the point

    async with TestStore([agent]) as store:
        await store.publish(Job(id="1"))
        with pytest.warns(UserWarning, match="serializ"):
            await store.settle()
        assert (await store.dead())[0].error.startswith("ValidationError")


async def test_a_process_reads_committed_state_and_acts_for_whom_it_says() -> None:
    tools, worker, whom = Agent("kt"), Agent("worker", tables=metadata), list[str | None]()

    @tools.tool(Count)
    async def count(args: Count, ctx: Context) -> int:
        whom.append(ctx.principal.customer_id)
        assert ctx.event.type == "store.kt.job"
        return 1

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("w", lambda tx: note(tx, "w"))
        assert await ctx.db.first(select(tables.inbox.c.state)) == {"state": "accepted"}
        await ctx.call(Count())
        ctx.acting_for(Principal(customer_id="c1"))
        await ctx.call(Count())
        await ctx.call(Count(), principal=Principal(customer_id="c2"))
        assert ctx.new_id() != ctx.new_id()
        with pytest.raises(RuntimeError, match="fence is not possible here"):
            await ctx.fence("conversation", 1)

    async with TestStore([tools, worker]) as store:
        await store.publish(Job(id="1"))
        await store.settle()
        assert await store.dead() == []
        assert whom == [None, "c1", "c2"]


@pytest.mark.parametrize("kind", ["on", "write"])
async def test_a_fence_refuses_a_speaker_whose_time_is_over(kind: str) -> None:
    agent = Agent("kt")

    async def say(ctx: Context, token: int | None) -> None:
        await ctx.fence("conversation", token)

    async def hear(event: Job, ctx: Context) -> None:
        token = int(event.text) if event.text else None
        if kind == "on":
            await say(ctx, token)
        else:
            await ctx.write("say", lambda tx: say(tx, token))

    (agent.on if kind == "on" else agent.process)(Job)(hear)
    async with TestStore([agent]) as store:
        for token in ("", "3", "3", "5", "4", "", "5"):
            await store.publish(Job(id="1", text=token))
            await store.settle()
        (letter,) = await store.dead()
        assert letter.error.startswith("stale-speaker: somebody else speaks")
        assert [(row["agent"], row["token"]) for row in await store.rows(select(tables.fences))] == [("kt", 5)]


@pytest.mark.parametrize(
    "error",
    [
        StaleSpeaker("over", token=1, seen=2),
        TemporaryError("busy", retry_after=timedelta(seconds=1.5), code="x"),
        PermanentError("no", thing=Thought(text="t")),
        KeyReused("again"),
    ],
)
def test_an_error_comes_out_of_the_journal_as_it_went_in(error: StoreError) -> None:
    again = load_error(dump_error(error))
    assert type(again) is type(error)
    assert (again.message, again.code, again.status) == (error.message, error.code, error.status)
    assert getattr(again, "retry_after", None) == getattr(error, "retry_after", None)


def test_an_error_of_an_agents_own_comes_out_as_permanent_or_temporary() -> None:
    class Mine(TemporaryError):
        code = "mine"

    class Yours(PermanentError):
        code = "yours"

    assert type(load_error(dump_error(Mine("m")))) is TemporaryError
    assert type(load_error(dump_error(Yours("y", when=SECOND)))) is PermanentError
    assert load_error(dump_error(Yours("y", when=SECOND))).details == {"when": "0:00:01"}
    assert load_error(dump_error(Mine("m"))).code == "mine"
