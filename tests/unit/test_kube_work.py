"""The operator's work queue."""

from __future__ import annotations

import asyncio

from agent_store.kube.work import WorkQueue, agent_key, directory_key

A, B = agent_key("shop", "a"), agent_key("shop", "b")


async def test_a_key_is_worked_on_once_however_often_it_is_added() -> None:
    queue = WorkQueue()
    for _ in range(3):
        queue.add(A)
    queue.add(B)
    assert [await queue.take(), await queue.take()] == [A, B]
    assert len(queue) == 2


async def test_what_is_added_while_it_is_worked_on_comes_again_afterwards() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.take()
    queue.add(A)
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    assert not taking.done(), "never two workers on one key"
    queue.done(A)
    assert await taking == A


async def test_later_is_at_the_earliest_time_asked_for() -> None:
    queue = WorkQueue()
    queue.add_later(A, 60)
    queue.add_later(A, 0.01)
    queue.add_later(A, 30)
    assert await queue.take() == A
    queue.done(A)
    queue.add_later(B, 60)
    queue.add(B)
    assert await queue.take() == B


async def test_failures_come_later_and_later_until_one_succeeds() -> None:
    queue = WorkQueue(first_pause=1.0, longest_pause=10.0)
    pauses = [queue.failed(A) for _ in range(6)]
    assert 0.8 <= pauses[0] <= 1.2
    assert 1.6 <= pauses[1] <= 2.4
    assert 8 <= pauses[5] <= 12
    queue.succeeded(A)
    assert queue.failed(A) <= 1.2
    assert queue.failed(B, at_least=7) >= 7


async def test_a_closed_queue_sends_all_workers_home() -> None:
    queue = WorkQueue()
    workers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    assert await asyncio.gather(*workers) == [None, None, None]
    queue.add(directory_key("shop"))
    assert await queue.take() is None
