"""Answers to deliveries: whatever order they end in, each is answered once, and an ack in bulk takes no other with it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from aiormq.channel import Channel
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.bus.rabbitmq_session import Session, Verdict
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.metrics import NoMetrics


class Broker:
    """One channel of a broker that knows what is unanswered, and closes on an answer to anything else."""

    def __init__(self) -> None:
        self.unanswered: set[int] = set()
        self.acked: set[int] = set()
        self.back: set[int] = set()
        self.refused: set[int] = set()
        self.frames = 0
        self.bring: Any = None
        self.on_consumer_cancel_callbacks: set[Any] = set()
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def basic_qos(self, *, prefetch_count: int) -> None: ...

    async def basic_consume(self, queue: str, callback: Any) -> Any:
        self.bring = callback
        return SimpleNamespace(consumer_tag="tag")

    async def basic_cancel(self, tag: str) -> None: ...

    async def close(self) -> None:
        if not self.closing.done():
            self.closing.set_result(None)

    async def basic_ack(self, tag: int, *, multiple: bool = False, wait: bool = True) -> None:
        assert tag in self.unanswered, "PRECONDITION_FAILED - unknown delivery tag"
        self.frames += 1
        await asyncio.sleep(0)
        tags = {other for other in self.unanswered if other <= tag} if multiple else {tag}
        self.unanswered -= tags
        self.acked |= tags

    async def basic_nack(self, tag: int, *, requeue: bool, wait: bool = True) -> None:
        assert tag in self.unanswered, "PRECONDITION_FAILED - unknown delivery tag"
        self.frames += 1
        await asyncio.sleep(0)
        self.unanswered.discard(tag)
        (self.back if requeue else self.refused).add(tag)


def message(tag: int) -> Any:
    return SimpleNamespace(delivery_tag=tag, header=SimpleNamespace(properties=SimpleNamespace(headers=None)))


async def answer(verdicts: list[str], order: list[int], together: int) -> Broker:
    """Bring as many messages as there are verdicts, and let them end in this order, some at a time."""
    broker = Broker()
    ends = {tag: asyncio.Event() for tag in range(1, len(verdicts) + 1)}

    async def take(delivery: Any) -> Verdict:
        await ends[delivery.delivery_tag].wait()
        verdict = verdicts[delivery.delivery_tag - 1]
        if verdict == "later":
            raise TemporaryError("not now")
        return cast("Verdict", verdict)

    session = Session(cast("Channel", broker), "orders", take, set(), NoMetrics(), breakages=20)
    await session.begin("orders", 100)
    for tag in ends:
        broker.unanswered.add(tag)
        await broker.bring(message(tag))
    for count, tag in enumerate(order):
        ends[tag].set()
        if count % together == 0:
            await asyncio.sleep(0)
    await session.leave()
    await session.end()
    return broker


@given(st.data(), st.lists(st.sampled_from(["ack", "ack", "ack", "reject", "later"]), min_size=1, max_size=40))
def test_each_delivery_gets_its_own_answer_once(data: st.DataObject, verdicts: list[str]) -> None:
    order = data.draw(st.permutations(range(1, len(verdicts) + 1)))
    broker = asyncio.run(answer(verdicts, order, data.draw(st.integers(1, 8))))
    tags = {verdict: {tag for tag, said in enumerate(verdicts, 1) if said == verdict} for verdict in verdicts}
    assert broker.unanswered == set()
    assert broker.acked == tags.get("ack", set())
    assert broker.refused == tags.get("reject", set())
    assert broker.back == tags.get("later", set())


async def test_what_ends_together_is_acked_together() -> None:
    broker = await answer(["ack"] * 100, list(range(1, 101)), 100)
    assert broker.acked == set(range(1, 101))
    assert broker.frames <= 4


async def test_a_session_that_has_lost_its_channel_answers_no_more_and_lets_work_end() -> None:
    broker = Broker()
    go = asyncio.Event()
    ended: list[int] = []

    async def take(delivery: Any) -> Verdict:
        await go.wait()
        ended.append(delivery.delivery_tag)
        return "ack"

    tasks: set[asyncio.Task[None]] = set()
    session = Session(cast("Channel", broker), "orders", take, tasks, NoMetrics(), breakages=20)
    await session.begin("orders", 100)
    broker.unanswered.add(1)
    await broker.bring(message(1))
    running = asyncio.create_task(session.run())
    await broker.close()
    await running
    await session.end()
    go.set()
    await asyncio.wait(tasks)
    assert ended == [1]
    assert broker.unanswered == {1}
    await broker.bring(message(2))
    assert tasks == set()
