"""Tools: three modes, one result a key, and errors that say what to do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.kernel import tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, Forbidden, KeyReused, NotFound, TemporaryError
from agent_store.kernel.metrics import Metrics, NoMetrics
from agent_store.kernel.tool import Principal, Tool
from tests.support.kernel import COUNT, Count, Note, Pong, metadata, note, texts
from tests.support.store import TestStore


class Both(Tool[list[int]], name="kt.both"):
    """Count twice."""


class Place(Tool[str], name="kt.place", writes=True):
    """A chain of steps."""

    text: str
    fail: bool = False


class Secret(Tool[int], name="kt.secret", staff_only=True):
    """For staff."""


def agent_with_tools(
    log: list[str], *, read: timedelta = timedelta(seconds=30), write: timedelta = timedelta(seconds=30)
) -> Agent:
    """`read` and `write` are how long the tools of a kind may take."""
    agent = Agent("kt", tables=metadata)

    @agent.tool(Count, timeout=read)
    async def count(args: Count, ctx: Context) -> int:
        log.append("count")
        if args.text == "busy" and log.count("count") == 1:
            raise TemporaryError("busy")
        if args.text == "slow":
            await asyncio.sleep(30)
        row = await ctx.db.first(COUNT, {"text": args.text})
        return row["n"] if row else 0

    @agent.tool(Both)
    async def both(args: Both, ctx: Context) -> list[int]:
        with pytest.raises(RuntimeError, match=r"the writing tool kt\.note is not possible here"):
            await ctx.call(Note(text="x"))
        with pytest.raises(RuntimeError, match="emit is not possible here"):
            ctx.emit(Pong(id="x"))
        return [await ctx.call(Count(text="a")), await ctx.call(Count(text="b"), principal=Principal(customer_id="z"))]

    @agent.tool(Note, timeout=write)
    async def make_note(args: Note, ctx: Context) -> int:
        log.append("note")
        await note(ctx, args.text)
        ctx.emit(Pong(id=args.text))
        if args.text == "refused":
            raise Conflict("no")
        if args.text == "slow":
            await asyncio.sleep(30)
        return len(log)

    @agent.tool(Place, steps=True, timeout=write)
    async def place(args: Place, ctx: Context) -> str:
        log.append("place")
        await ctx.call(Count(text=args.text))
        number = await ctx.call(Note(text="inner"), key="inner")
        await ctx.write("write", lambda tx: note(tx, args.text))
        if args.fail and log.count("place") == 1:
            raise TemporaryError("after the write")
        if args.text == "stuck":
            await asyncio.sleep(30)
        ctx.emit(Pong(id="placed"))
        return f"{args.text} {number}"

    @agent.tool(Secret)
    async def secret(args: Secret, ctx: Context) -> int:
        return 42

    return agent


async def test_a_read_tool_sees_committed_state_and_may_call_other_read_tools() -> None:
    async with TestStore([agent_with_tools([])]) as store:
        await store.call(Note(text="a"))
        assert await store.call(Both()) == [1, 0]


async def test_a_write_tool_is_a_transaction_with_what_it_emits() -> None:
    log: list[str] = []
    async with TestStore([agent_with_tools(log)]) as store:
        assert await store.call(Note(text="a"), Principal(brand="home", channel="web")) == 1
        with pytest.raises(Conflict):
            await store.call(Note(text="refused"))
        assert await texts(store) == ["a"]
        assert store.events(Pong) == [Pong(id="a")]
        (pong,) = store.envelopes
        assert (pong.brand, pong.channel, pong.source) == ("home", "web", "/agent-store/kt")
        assert pong.correlationid == pong.causationid


async def test_the_same_key_and_arguments_give_the_first_result_and_other_arguments_an_error() -> None:
    log: list[str] = []
    async with TestStore([agent_with_tools(log)]) as store:
        first = await store.call(Note(text="a"), key="k")
        await store.kill_and_restart()
        assert await store.call(Note(text="a"), key="k") == first
        with pytest.raises(KeyReused, match=r"kt\.note: this idempotency key came with other arguments"):
            await store.call(Note(text="b"), key="k")
        assert await store.call(Note(text="a")) != first
        assert await texts(store) == ["a", "a"]


async def test_one_customers_key_never_gives_another_customers_result() -> None:
    log: list[str] = []
    async with TestStore([agent_with_tools(log)]) as store:
        results = [
            await store.call(Note(text="a"), principal, key="k")
            for principal in (
                Principal(customer_id="c1"),
                Principal(customer_id="c2"),
                Principal(staff="Ana"),
                Principal(),
            )
        ]
        assert results == [1, 2, 3, 4]
        assert await store.call(Note(text="a"), Principal(customer_id="c2"), key="k") == 2


async def test_a_key_whose_call_failed_is_free() -> None:
    log: list[str] = []
    async with TestStore([agent_with_tools(log)]) as store:
        with pytest.raises(Conflict):
            await store.call(Note(text="refused"), key="k")
        assert await store.call(Note(text="a"), key="k") == 2


@pytest.mark.parametrize("tool", [Note(text="a"), Place(text="a")])
async def test_concurrent_calls_with_one_key_have_one_effect(tool: Tool[object]) -> None:
    log: list[str] = []
    async with TestStore([agent_with_tools(log)]) as store:
        results = await asyncio.gather(*[store.call(tool, key="k") for _ in range(20)])
        assert len(set(results)) == 1
        assert (await texts(store)).count("a") == 1
        assert not store.runtime.toolbox._running


async def test_a_steps_tool_calls_other_tools_and_goes_on_after_a_kill_when_it_is_asked_again() -> None:
    log: list[str] = []
    async with TestStore([agent_with_tools(log)]) as store:
        with pytest.raises(TemporaryError, match="after the write"):
            await store.call(Place(text="a", fail=True), key="k")
        await store.kill_and_restart()
        assert await store.call(Place(text="a", fail=True), key="k") == "a 3"
        assert await store.call(Place(text="a", fail=True), key="k") == "a 3"
        assert await texts(store) == ["inner", "a"]
        assert store.events(Pong) == [Pong(id="inner"), Pong(id="placed")]
        with pytest.raises(KeyReused):
            await store.call(Place(text="b"), key="k")


async def test_a_steps_tools_call_that_failed_for_now_is_made_again_with_the_same_key() -> None:
    log: list[str] = []
    inner = Agent("inner")

    class Flaky(Tool[int], name="inner.flaky", writes=True):
        """Fails once."""

    class Outer(Tool[int], name="kt.outer", writes=True):
        """Calls the flaky one."""

    @inner.tool(Flaky)
    async def flaky(args: Flaky, ctx: Context) -> int:
        log.append("flaky")
        if len(log) == 1:
            raise TemporaryError("busy")
        return 7

    agent = Agent("kt")

    @agent.tool(Outer, steps=True)
    async def outer(args: Outer, ctx: Context) -> int:
        return await ctx.call(Flaky())

    async with TestStore([inner, agent]) as store:
        with pytest.raises(TemporaryError, match="busy"):
            await store.call(Outer(), key="k")
        assert await store.rows(select(tables.steps)) == []
        assert await store.call(Outer(), key="k") == 7


async def test_a_tool_that_takes_too_long_is_a_temporary_error_and_leaves_nothing() -> None:
    slow: list[Tool[Any]] = [Count(text="slow"), Note(text="slow"), Place(text="stuck")]
    short = timedelta(milliseconds=250)
    async with TestStore([agent_with_tools([], read=short, write=short)]) as store:
        for tool in slow:
            with pytest.raises(TemporaryError, match=rf"{tool.tool_name} took over 0\.25 s") as caught:
                await store.call(tool)
            assert caught.value.code == "timeout"
        assert "slow" not in await texts(store)


async def test_a_staff_tool_is_for_staff() -> None:
    async with TestStore([agent_with_tools([])]) as store:
        with pytest.raises(Forbidden, match=r"kt\.secret is for staff"):
            await store.call(Secret(), Principal(customer_id="c"))
        assert await store.call(Secret(), Principal(staff="Ana")) == 42


async def test_an_unknown_tool_is_not_found_and_a_removed_agents_tools_too() -> None:
    class Nowhere(Tool[int], name="kt.nowhere"):
        """Offered by nobody."""

    agent = agent_with_tools([])
    async with TestStore([Consumer(agent, "fashion"), Consumer(agent, "tech")]) as store:
        with pytest.raises(NotFound, match=r"no running agent offers kt\.nowhere"):
            await store.call(Nowhere())
        assert store.runtime.toolbox.names == ["kt.both", "kt.count", "kt.note", "kt.place", "kt.secret"]
        await store.runtime.remove("kt/tech")
        assert await store.call(Count(text="a")) == 0
        await store.runtime.remove("kt/fashion")
        with pytest.raises(NotFound):
            await store.call(Count(text="a"))


async def test_every_call_is_counted_with_its_outcome() -> None:
    class Seen(NoMetrics):
        def __init__(self) -> None:
            self.calls: list[tuple[str, str]] = []

        def tool_called(self, tool: str, outcome: str, seconds: float) -> None:
            assert seconds >= 0
            self.calls.append((tool, outcome))

    seen = Seen()
    async with TestStore([agent_with_tools([], read=timedelta(milliseconds=250))]) as store:
        store.runtime.toolbox._metrics = seen
        await store.call(Secret(), Principal(staff="Ana"))
        with pytest.raises(Conflict):
            await store.call(Note(text="refused"))
        with pytest.raises(TemporaryError):
            await store.call(Count(text="slow"))
        assert seen.calls == [("kt.secret", "ok"), ("kt.note", "conflict"), ("kt.count", "timeout")]
        assert isinstance(store.runtime.world.ports[Metrics], NoMetrics)
        NoMetrics().count("x")


def test_a_tool_belongs_to_its_agent_and_stands_once() -> None:
    agent = agent_with_tools([])
    with pytest.raises(TypeError, match=r"other cannot offer kt\.count: a tool's name begins with its agent's"):
        Agent("other").tool(Count)(lambda args, ctx: asyncio.sleep(0))
    with pytest.raises(TypeError, match=r"kt offers kt\.count already"):
        agent.tool(Count)(lambda args, ctx: asyncio.sleep(0))
