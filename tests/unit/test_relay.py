"""What this process has committed reaches the bus: batches side by side, one that hangs or is refused holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

from agent_store.kernel.bus import Bus
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import NoMetrics
from agent_store.kernel.relay import Relay


def event(id: str) -> Envelope:
    return Envelope(id=id, source="/s", type="t", time=datetime.now(UTC))


class Broker:
    """Confirms what `takes`, when `holds` (by the first event of a batch) are let go."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.holds: dict[str, asyncio.Event] = {}
        self.takes: Callable[[str], bool] = lambda id: True

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        self.batches.append([event.id for event in events])
        if (hold := self.holds.get(events[0].id)) is not None:
            await hold.wait()
        return [self.takes(event.id) for event in events]


@asynccontextmanager
async def relaying(broker: Broker) -> AsyncGenerator[tuple[Relay, list[str]]]:
    published: list[str] = []
    relay = Relay(cast("Bus", cast("Any", broker)), NoMetrics(), lambda source, id: published.append(id))
    relay.start()
    yield relay, published
    assert relay.healthy
    await relay.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_what_is_committed_while_a_batch_waits_for_its_confirms_is_sent_at_once() -> None:
    broker = Broker()
    broker.holds["a"] = asyncio.Event()
    async with relaying(broker) as (relay, published):
        relay.offer([event("a")])
        await until(lambda: broker.batches == [["a"]])
        relay.offer([event("b"), event("c")])
        await until(lambda: published == ["b", "c"])
        idle = asyncio.create_task(relay.idle())
        relay.offer([event("d")])
        await until(lambda: "d" in published)
        assert not idle.done()  # "a" is still under way
        broker.holds["a"].set()
        await idle
        assert published == ["b", "c", "d", "a"]


async def test_nothing_is_tried_while_the_broker_is_away_and_everything_when_it_is_back() -> None:
    broker = Broker()
    broker.takes = lambda id: False
    async with relaying(broker) as (relay, published):
        relay.offer([event("a")])
        await until(lambda: len(broker.batches) == 1)
        relay.offer([event("b")])
        await until(lambda: len(broker.batches) == 2)
        assert broker.batches == [["a"], ["a", "b"]]  # one try at a time, after a pause
        broker.takes = lambda id: True
        await relay.idle()
        assert published == ["a", "b"]


async def test_one_that_is_refused_beside_others_that_are_taken_is_left_to_the_steward() -> None:
    broker = Broker()
    broker.takes = lambda id: id != "bad"
    async with relaying(broker) as (relay, published):
        relay.offer([event("bad"), event("a")])
        await until(lambda: published == ["a"])
        relay.offer([event("b")])
        relay.offer([event("c")])
        await relay.idle()
        assert set(published) == {"a", "b", "c"}
        tried = sum("bad" in batch for batch in broker.batches)
        assert 2 <= tried <= 3
        relay.offer([event("d")])
        await relay.idle()
        assert sum("bad" in batch for batch in broker.batches) == tried


async def test_what_is_not_confirmed_when_it_stops_is_what_the_steward_finds() -> None:
    broker = Broker()
    broker.holds["a"] = asyncio.Event()
    async with relaying(broker) as (relay, published):
        relay.offer([event("a")])
        await until(lambda: broker.batches == [["a"]])
        await relay.stop(0)
        assert published == []
        assert relay.waiting == 1
