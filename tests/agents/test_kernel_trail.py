"""What happened, and why: the tree of causes of a conversation."""

from __future__ import annotations

from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context
from agent_store.kernel.errors import PermanentError
from agent_store.kernel.trail import trail
from tests.support.kernel import Job, Ping, Pong, metadata, note
from tests.support.store import TestStore


def agents() -> list[Agent]:
    worker, hearer = Agent("worker", tables=metadata), Agent("hearer")

    @worker.process(Job)
    async def work(event: Job, ctx: Context) -> None:
        await ctx.write("write it down", lambda tx: note(tx, "w"))
        ctx.emit(Pong(id="p", text="said"))

    @hearer.on(Pong)
    async def hear(event: Pong, ctx: Context) -> None:
        raise PermanentError("no")

    return [worker, hearer]


async def test_a_trail_tells_events_handlings_and_steps_as_a_tree_of_causes() -> None:
    async with TestStore(agents()) as store:
        first = await store.publish(Job(id="c1"), brand="home")
        await store.publish(Ping(id="someone else"))
        second = await store.publish(Job(id="c1"))
        await store.settle()
        trees = [node.to_json() for node in await trail(store.runtime.store.reader, "c1")]
        assert [tree["id"] for tree in trees] == [first.id, second.id]
        top = trees[0]
        assert (top["type"], top["brand"], top["data"]) == ("store.kt.job", "home", {"id": "c1", "text": ""})
        assert top["trace_id"] == (first.traceparent or "")[3:35]
        (handling,) = top["handlings"]
        (step,) = handling["steps"]
        assert (handling["consumer"], handling["state"], step["step"], step["kind"], step["result"]) == (
            "worker", "done", "write it down", "write", None,
        )  # fmt: skip
        (effect,) = top["effects"]
        assert (effect["type"], effect["handlings"][0]["state"]) == ("store.kt.pong", "dead")
        assert effect["handlings"][0]["error"] == "permanent: no"


async def test_a_trail_goes_back_as_far_as_is_asked_and_has_pages() -> None:
    async with TestStore(agents()[:1]) as store:
        for _ in range(250):
            await store.publish(Job(id="c1"))
        await store.settle()
        assert len(await trail(store.runtime.store.reader, "c1", turns=210)) == 210
        assert await trail(store.runtime.store.reader, "nobody") == []
