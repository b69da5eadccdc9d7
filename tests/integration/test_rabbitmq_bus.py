"""The bus on a real RabbitMQ: who gets what, what is confirmed, what is taken once, and what outlives the broker."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aiormq.abc import AbstractConnection

from agent_store.adapters.bus import amqp
from agent_store.adapters.bus.rabbitmq import RabbitMqBus
from agent_store.adapters.bus.rabbitmq_link import Link
from agent_store.adapters.bus.rabbitmq_topology import Topology
from agent_store.entrypoints.programs import Absent, RabbitMQ, free_port
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.ids import new_id
from agent_store.kernel.signing import Signer
from tests.support.components import missing
from tests.support.events_http import FakeIntake, Graveyard

SIGNER = Signer([("k1", b"a secret of thirty-two bytes ....")])
_prefixes = (f"test{number}" for number in itertools.count())


class Sold(Event, type="store.rmq.sold", topic="rmq", subject="id"):
    id: str


class Seen(Event, type="store.rmq.seen", topic="rmq", subject="id"):
    id: str


class Rare(Event, type="store.rmq.rare", topic="rmq", subject="id"):
    id: str


def agent(name: str, *events: type[Event]) -> Agent:
    made = Agent(name)
    for event in events:

        async def handle(event: Event, ctx: Context) -> None:
            raise AssertionError("the fake intake handles")

        made.on(event)(handle)
    return made


def event(kind: type[Event] = Sold, **changes: Any) -> Envelope:
    values: dict[str, Any] = {
        "id": new_id(), "source": "/agent-store/rmq", "type": kind.event_type, "time": datetime.now(UTC),
        "data": b'{"id":"1"}', "subject": "1", "topic": "rmq",
    }  # fmt: skip
    return Envelope(**{**values, **changes})


async def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # what is waited for happens in another program
            await asyncio.sleep(0.01)


class Shop:
    """Buses on one prefix of one broker, each with a fake intake."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix
        self._buses: list[RabbitMqBus] = []

    async def bus(
        self, *consumers: Consumer, intake: FakeIntake | None = None, ready: bool = True, **options: Any
    ) -> RabbitMqBus:
        bus = RabbitMqBus(self.url, signer=SIGNER, prefix=self.prefix, **options)
        self._buses.append(bus)
        await bus.start(intake or FakeIntake(), consumers)
        if ready:
            await eventually(lambda: bus.ready)
        return bus

    async def stop(self) -> None:
        for bus in self._buses:
            await bus.stop()
            assert bus.healthy

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncGenerator[aio_pika.abc.AbstractChannel]:
        async with await aio_pika.connect(self.url) as connection, connection.channel() as channel:
            yield channel

    async def waiting(self, consumer: str) -> tuple[int, int]:
        """How many messages are ready in a queue, and how many consumers it has."""
        async with self.channel() as channel:
            queue = await channel.declare_queue(f"{self.prefix}.{consumer}", passive=True)
            result = queue.declaration_result
            return result.message_count or 0, result.consumer_count or 0

    async def until_waiting(self, consumer: str, count: int) -> None:
        async with asyncio.timeout(30):
            while (await self.waiting(consumer))[0] != count:
                await asyncio.sleep(0.05)


@pytest.fixture
async def shop(rabbitmq: RabbitMQ) -> AsyncIterator[Shop]:
    made = Shop(rabbitmq.url, next(_prefixes))
    yield made
    await made.stop()


orders = Consumer(agent("orders", Sold, Seen))
analytics = Consumer(agent("analytics", Sold))
fashion = Consumer(agent("seller", Sold), "fashion")
tech = Consumer(fashion.agent, "tech")


# --- routing -------------------------------------------------------------------------------------------------------


async def test_an_event_reaches_every_consumer_that_hears_its_type_and_no_other(shop: Shop) -> None:
    heard: dict[str, FakeIntake] = {name: FakeIntake() for name in ("orders", "analytics")}
    await shop.bus(orders, intake=heard["orders"])
    bus = await shop.bus(analytics, intake=heard["analytics"])
    sold, seen = event(Sold), event(Seen)
    assert await bus.publish([sold, seen]) == [True, True]
    await eventually(lambda: len(heard["orders"].handled) == 2 and len(heard["analytics"].handled) == 1)
    assert sorted(heard["orders"].calls) == sorted([(sold.id, "orders", "recorded"), (seen.id, "orders", "recorded")])
    assert heard["analytics"].calls == [(sold.id, "analytics", "recorded")]


async def test_a_brands_consumer_gets_its_brand_and_one_for_all_gets_all(shop: Shop) -> None:
    heard = FakeIntake()
    bus = await shop.bus(fashion, tech, analytics, intake=heard)
    brands = ["fashion", "tech", "fa.shion", "*", "#", "-", None]
    sent = {brand: event(brand=brand) for brand in brands}
    assert all(await bus.publish(list(sent.values())))
    await eventually(lambda: len(heard.handled) == len(brands) + 2)
    by_consumer = {name: {id for id, consumer, _ in heard.calls if consumer == name} for name in
                   ("seller/fashion", "seller/tech", "analytics")}  # fmt: skip
    assert by_consumer["seller/fashion"] == {sent["fashion"].id}
    assert by_consumer["seller/tech"] == {sent["tech"].id}
    assert by_consumer["analytics"] == {made.id for made in sent.values()}


async def test_a_brand_that_looks_like_a_pattern_gets_no_more_than_its_own(shop: Shop) -> None:
    heard = FakeIntake()
    bus = await shop.bus(Consumer(fashion.agent, "*"), Consumer(fashion.agent, "a.b"), intake=heard)
    mine = [event(brand="*"), event(brand="a.b")]
    assert all(await bus.publish([event(brand="tech"), event(), *mine]))
    await eventually(lambda: len(heard.handled) == 2)
    assert sorted(heard.calls) == sorted([(mine[0].id, "seller/*", "recorded"), (mine[1].id, "seller/a.b", "recorded")])


async def test_an_event_that_nobody_hears_is_sent_all_the_same(shop: Shop) -> None:
    bus = await shop.bus()
    assert await bus.publish([event(Rare), event(type="foreign.type")]) == [True, True]


async def test_schedules_tick_at_the_agents_consumer(shop: Shop) -> None:
    clockwork = Agent("clockwork")

    @clockwork.every(timedelta(hours=1), name="hourly")
    async def hourly(ctx: Context) -> None:
        raise AssertionError("the fake intake handles")

    heard = FakeIntake()
    bus = await shop.bus(Consumer(clockwork), intake=heard)
    tick = event(type="store.schedule.clockwork.hourly")
    assert await bus.publish([tick]) == [True]
    await eventually(lambda: heard.ids == [tick.id])


async def test_an_event_arrives_as_it_was_sent(shop: Shop) -> None:
    heard = FakeIntake()
    bus = await shop.bus(orders, intake=heard)
    sent = [
        event(brand="é moda", channel="whatsapp", partitionkey="cliente ção 😀", sequence=7, correlationid="k",
              causationid="c", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", tracestate="a=1",
              dataschema="urn:agent-store:event:store.rmq.sold:1", extensions={"flag": "true"}),
        event(data=b"\x00\xff\x00", datacontenttype="image/png"),
        event(data=b"", subject=None, topic=None),
        event(data=b"x" * 3_000_000, datacontenttype="text/plain; charset=utf-8", id="x" * 300),
    ]  # fmt: skip
    assert await bus.publish(sent) == [True] * len(sent)
    await eventually(lambda: len(heard.handled) == len(sent))
    got = {read.id: read for read in heard.received}
    for one in sent:
        assert got[one.id].extensions["sig"].startswith("k1.")
        assert replace(got[one.id], extensions=one.extensions) == one


async def test_messages_are_as_the_binding_says_durable_and_traced(shop: Shop) -> None:
    bus = await shop.bus()
    async with shop.channel() as channel:
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(f"{shop.prefix}.events", "#")
        sent = event(brand="fashion", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
        assert await bus.publish([sent]) == [True]
        message = await queue.get(timeout=10)
    assert message.routing_key == "fashion.store.rmq.sold"
    assert message.body == sent.data
    assert (message.content_type, message.content_encoding, message.message_id) == (
        "application/json",
        "utf-8",
        sent.id,
    )
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.headers["cloudEvents:type"] == sent.type
    assert message.headers["cloudEvents:traceparent"] == message.headers["traceparent"] == sent.traceparent


async def test_a_structured_event_of_an_outside_producer_is_taken(shop: Shop) -> None:
    heard = FakeIntake()
    await shop.bus(orders, intake=heard)
    body, content_type = amqp.to_structured(SIGNER.sign(event(id="outside")))
    async with shop.channel() as channel:
        exchange = await channel.get_exchange(f"{shop.prefix}.events")
        await exchange.publish(aio_pika.Message(body, content_type=content_type), f"-.{Sold.event_type}")
    await eventually(lambda: heard.ids == ["outside"])


# --- publishing ----------------------------------------------------------------------------------------------------


async def test_many_events_are_under_way_at_once_and_each_is_answered(shop: Shop) -> None:
    heard = FakeIntake()
    bus = await shop.bus(orders, intake=heard)
    sent = [event() for _ in range(2500)]
    assert await bus.publish(sent) == [True] * 2500
    await eventually(lambda: len(heard.handled) == 2500)
    assert sorted(heard.ids) == sorted(one.id for one in sent)
    await shop.until_waiting("orders", 0)


async def test_nothing_is_published_of_nothing(shop: Shop) -> None:
    assert await (await shop.bus()).publish([]) == []


async def test_an_event_that_breaks_a_limit_is_refused_and_its_neighbours_go(shop: Shop) -> None:
    bus = await shop.bus()
    bad = [event(type="t" * 300), event(extensions={"big": "x" * 200_000}), event(subject="\ud800"),
           event(data=b"x" * (17 * 2**20))]  # fmt: skip
    assert await bus.publish([event(), *bad, event()]) == [True, False, False, False, False, True]


async def test_an_event_that_the_broker_refuses_is_not_sent_and_its_neighbours_are(shop: Shop) -> None:
    bus = await shop.bus()
    async with shop.channel() as channel:
        full: dict[str, Any] = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
        queue = await channel.declare_queue(f"{shop.prefix}.full", durable=True, arguments=full)
        await queue.bind(f"{shop.prefix}.events", f"-.{Rare.event_type}")
        async with asyncio.timeout(30):
            while await bus.publish([event(Rare)]) == [True]:
                await asyncio.sleep(0.01)
        assert await bus.publish([event(Seen), event(Rare), event(Seen)]) == [True, False, True]


async def test_a_broker_that_was_never_there_is_false_at_once(tmp_path: Path) -> None:
    shop = Shop(f"amqp://guest:guest@127.0.0.1:{free_port()}/", "away")
    bus = await shop.bus(orders, ready=False, confirm_timeout=timedelta(seconds=60))
    began = asyncio.get_running_loop().time()
    assert await bus.publish([event(), event()]) == [False, False]
    assert await bus.redeliver("orders", event()) is False
    assert asyncio.get_running_loop().time() - began < 20
    assert not bus.connected
    await shop.stop()


@pytest.mark.parametrize("url", ["", "http://x", "amqp://", "redis://x:1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="amqp://"):
        RabbitMqBus(url, signer=SIGNER)


async def test_a_publishing_channel_that_the_broker_closes_is_opened_again(shop: Shop) -> None:
    bus = await shop.bus()
    async with shop.channel() as channel:
        await channel.exchange_delete(f"{shop.prefix}.events")
    async with asyncio.timeout(30):  # the first one finds the exchange gone; the channel's successor makes it anew
        while await bus.publish([event()]) != [True]:
            await asyncio.sleep(0.05)


# --- taking in -----------------------------------------------------------------------------------------------------


async def test_a_message_is_acked_only_when_it_is_recorded(shop: Shop) -> None:
    recorded = asyncio.Event()

    async def handle(event: Envelope) -> None:
        await recorded.wait()

    first = FakeIntake(handle)
    bus = await shop.bus(orders, intake=first)
    sent = event()
    assert await bus.publish([sent]) == [True]
    await eventually(lambda: first.ids == [sent.id])
    second = FakeIntake()
    await shop.bus(orders, intake=second)
    assert second.received == []
    draining = asyncio.create_task(bus.drain())
    await asyncio.sleep(0)
    recorded.set()
    await draining
    await shop.until_waiting("orders", 0)
    assert second.received == []


async def test_a_process_that_dies_gives_its_messages_to_another(shop: Shop) -> None:
    async def never(event: Envelope) -> None:
        await asyncio.Event().wait()

    dying = FakeIntake(never)
    bus = await shop.bus(orders, intake=dying)
    sent = [event() for _ in range(20)]
    assert all(await bus.publish(sent))
    await eventually(lambda: len(dying.received) == 20)
    living = FakeIntake()
    other = await shop.bus(orders, intake=living)
    await kill(bus)
    await eventually(lambda: len(living.handled) == 20)
    assert sorted(living.ids) == sorted(one.id for one in sent)
    await other.drain()
    await shop.until_waiting("orders", 0)


async def kill(bus: RabbitMqBus) -> None:
    """As kill -9: the connections are gone, nothing is answered."""
    for link in (bus._in, bus._out):
        await link.stop()
    for tap in bus._taps.values():
        for task in tap.tasks:
            task.cancel()
    bus._taps.clear()


async def test_two_processes_of_one_consumer_share_the_work(shop: Shop) -> None:
    one, two = FakeIntake(), FakeIntake()
    await shop.bus(orders, intake=one, prefetch=10)
    bus = await shop.bus(orders, intake=two, prefetch=10)
    sent = [event() for _ in range(400)]
    assert all(await bus.publish(sent))
    await eventually(lambda: len(one.handled) + len(two.handled) == 400)
    assert one.handled
    assert two.handled
    assert sorted(one.ids + two.ids) == sorted(made.id for made in sent)


async def test_what_cannot_be_taken_now_is_held_back_and_comes_again(shop: Shop) -> None:
    tries: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def handle(event: Envelope) -> None:
        tries[event.id] += 1
        times.append(loop.time())
        if tries[event.id] < 4:
            raise TemporaryError("the database is away")

    heard = FakeIntake(handle)
    bus = await shop.bus(orders, intake=heard)
    sent = event()
    assert await bus.publish([sent]) == [True]
    await eventually(lambda: heard.handled == [sent.id])
    assert tries[sent.id] == 4
    assert all(later - earlier > 0.1 for earlier, later in itertools.pairwise(times)), "no spinning"
    await bus.drain()
    await shop.until_waiting("orders", 0)


async def test_neighbours_pass_one_that_is_held(shop: Shop) -> None:
    stuck = event()

    async def handle(event: Envelope) -> None:
        if event.id == stuck.id:
            raise TemporaryError("not now", retry_after=timedelta(seconds=60))

    heard = FakeIntake(handle)
    bus = await shop.bus(orders, intake=heard)
    others = [event() for _ in range(100)]
    assert all(await bus.publish([stuck, *others]))
    await eventually(lambda: len(heard.handled) == 100, seconds=10)
    await bus.drain()
    await shop.until_waiting("orders", 1)


async def test_a_poison_message_of_a_broken_program_ends_at_the_dead_letters(shop: Shop) -> None:
    poison = event()

    async def handle(event: Envelope) -> None:
        if event.id == poison.id:
            raise KeyError("a mistake in the program")

    heard, dead = FakeIntake(handle), Graveyard()
    bus = await shop.bus(orders, intake=heard, dead=dead, breakages=2)
    neighbours = [event() for _ in range(50)]
    assert all(await bus.publish([poison, *neighbours]))
    await eventually(lambda: len(dead.kept) == 1 and len(heard.handled) == 50)
    [letter] = dead.kept
    assert letter.event is not None
    assert letter.event.id == poison.id
    assert (letter.consumers, letter.code) == (("orders",), None)
    assert "rejected" in letter.reason


async def test_what_is_no_event_of_ours_goes_to_the_dead_letters_with_its_reason(shop: Shop) -> None:
    heard, dead = FakeIntake(), Graveyard()
    bus = await shop.bus(orders, intake=heard, dead=dead)
    good = SIGNER.sign(event())
    messages = {
        "no CloudEvent": aio_pika.Message(b"hello"),
        "the body is no JSON": aio_pika.Message(b"{", content_type="application/cloudevents+json"),
        "content-encoding": aio_pika.Message(b"{}", content_encoding="gzip"),
        "is not signed": message(event()),
        "does not fit": message(SIGNER.sign(event(id="forged")), b'{"id":"2"}'),
        "not known here": message(Signer([("evil", b"e" * 32)]).sign(event())),
    }  # fmt: skip
    async with shop.channel() as channel:
        for bad in messages.values():
            await channel.default_exchange.publish(bad, f"{shop.prefix}.orders")
    assert await bus.publish([good]) == [True]
    await eventually(lambda: len(dead.kept) == len(messages) and heard.handled == [good.id])
    for words in messages:
        [letter] = [letter for letter in dead.kept if words in letter.reason]
        assert letter.event is None
        assert letter.consumers == ("orders",)
    [letter] = [letter for letter in dead.kept if "does not fit" in letter.reason]
    assert (letter.headers["ce-id"], letter.headers["content-type"], letter.body) == (
        "forged", "application/json", b'{"id":"2"}')  # fmt: skip
    await bus.drain()
    await shop.until_waiting("dead", 0)


def message(one: Envelope, body: bytes | None = None) -> aio_pika.Message:
    headers, content_type = amqp.to_binary(one)
    return aio_pika.Message(one.data if body is None else body, headers=dict(headers), content_type=content_type)


async def test_dead_letters_wait_for_a_keeper_that_can_keep_them(shop: Shop) -> None:
    dead = Graveyard(TemporaryError("the database is away"))
    bus = await shop.bus(orders, dead=dead)
    async with shop.channel() as channel:
        await channel.default_exchange.publish(aio_pika.Message(b"hello"), f"{shop.prefix}.orders")
    await eventually(lambda: bus._taps[f"{shop.prefix}.dead"].tasks != set())
    dead.trouble = None
    await eventually(lambda: len(dead.kept) == 1)


# --- redelivery ----------------------------------------------------------------------------------------------------


async def test_redelivery_reaches_one_consumer_only_and_past_the_routing(shop: Shop) -> None:
    heard = FakeIntake()
    bus = await shop.bus(orders, analytics, intake=heard)
    sent = event()
    assert await bus.redeliver("orders", sent) is True
    await eventually(lambda: heard.calls == [(sent.id, "orders", "recorded")])


async def test_redelivery_to_a_consumer_that_never_ran_is_not_taken(shop: Shop) -> None:
    bus = await shop.bus(orders)
    assert await bus.redeliver("nobody", event()) is False
    results = await asyncio.gather(*[bus.redeliver(name, one) for one in [event()] for name in ("orders", "nobody")])
    assert results == [True, False]


# --- subscriptions that change -------------------------------------------------------------------------------------


async def test_a_binding_that_nobody_wants_any_more_is_taken_away(shop: Shop) -> None:
    before = await shop.bus(Consumer(agent("orders", Sold, Rare)))
    await before.stop()
    heard = FakeIntake()
    bus = await shop.bus(Consumer(agent("orders", Sold)), intake=heard)
    assert all(await bus.publish([event(Rare), event(Rare), event(Sold)]))
    await eventually(lambda: len(heard.handled) == 1)
    await bus.drain()
    await shop.until_waiting("orders", 0)
    assert all(await bus.publish([event(Rare), event(Sold)]))
    await shop.until_waiting("orders", 1)


async def test_an_old_version_leaves_what_it_does_not_know_to_the_new_one(shop: Shop) -> None:
    """Two versions of one consumer at once, as in a rolling update: none of the new events is lost."""
    old, new = FakeIntake(), FakeIntake()
    await shop.bus(Consumer(agent("orders", Sold)), intake=old, prefetch=1)
    bus = await shop.bus(Consumer(agent("orders", Sold, Rare)), intake=new, prefetch=1)
    sent = [event(Rare) for _ in range(6)]
    assert all(await bus.publish(sent))
    await eventually(lambda: len(new.handled) == 6)
    assert sorted(new.ids) == sorted(one.id for one in sent)
    assert old.received == []


# --- live changes, drain -------------------------------------------------------------------------------------------


async def test_consumers_come_and_go_while_it_runs(shop: Shop) -> None:
    heard = FakeIntake()
    bus = await shop.bus(orders, intake=heard)
    await bus.add(analytics)
    await bus.add(analytics)
    await eventually(lambda: bus.ready)
    sent = event()
    assert await bus.publish([sent]) == [True]
    await eventually(
        lambda: sorted(heard.calls) == [(sent.id, "analytics", "recorded"), (sent.id, "orders", "recorded")]
    )
    await bus.remove("analytics")
    await bus.remove("analytics")
    assert await bus.publish([event()]) == [True]
    await eventually(lambda: len(heard.handled) == 3)
    await shop.until_waiting("analytics", 1)
    assert (await shop.waiting("analytics"))[1] == 0


async def test_drain_finishes_what_was_taken_and_takes_no_more(shop: Shop) -> None:
    go = asyncio.Event()

    async def handle(event: Envelope) -> None:
        await go.wait()

    heard = FakeIntake(handle)
    bus = await shop.bus(orders, intake=heard, prefetch=5)
    assert all(await bus.publish([event() for _ in range(12)]))
    await eventually(lambda: len(heard.received) == 5)
    draining = asyncio.create_task(bus.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    go.set()
    await draining
    assert len(heard.handled) == 5
    assert await bus.publish([event()]) == [True]
    await shop.until_waiting("orders", 8)


# --- faults --------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def own_broker() -> AsyncGenerator[RabbitMQ]:
    try:
        broker = RabbitMQ()
    except Absent as error:
        missing("rabbitmq", error.message)
    async with broker:
        yield broker


async def publish_until_sent(bus: RabbitMqBus, events: Sequence[Envelope]) -> int:
    """What an outbox does. Returns how many were sent more than once."""
    left, again = list(events), 0
    while left:
        sent = await bus.publish(left)
        left = [one for one, done in zip(left, sent, strict=True) if not done]
        again += len(left)
        if left:
            await asyncio.sleep(0.1)
    return again


async def test_a_broker_that_is_killed_under_load_loses_nothing_and_all_goes_on_after() -> None:
    async with own_broker() as broker:
        shop = Shop(broker.url, "store")
        heard = FakeIntake()
        await shop.bus(orders, intake=heard, confirm_timeout=timedelta(seconds=3))
        bus = await shop.bus(confirm_timeout=timedelta(seconds=3))
        sent: list[Envelope] = []
        producing = True

        async def produce() -> None:
            while producing:
                part = [event() for _ in range(20)]
                sent.extend(part)
                await publish_until_sent(bus, part)

        producers = [asyncio.create_task(produce()) for _ in range(3)]
        # RabbitMQ 3.10 elects no leader for a quorum queue that was made less than a second before it was killed.
        old = asyncio.get_running_loop().time() + 3
        await eventually(lambda: asyncio.get_running_loop().time() > old and len(heard.handled) > 0)
        broker.kill()
        before = len(heard.handled)
        assert await bus.publish([event(Rare)]) == [False]
        await broker.start()
        await eventually(lambda: len(heard.handled) > before + 500)
        producing = False
        async with asyncio.timeout(60):
            await asyncio.gather(*producers)
        await eventually(lambda: set(heard.handled) >= {one.id for one in sent})
        assert set(heard.ids) == {one.id for one in sent}
        await shop.stop()


async def test_a_broker_that_stops_answering_is_given_up_in_time_and_taken_up_again() -> None:
    async with own_broker() as broker:
        shop = Shop(broker.url, "store")
        heard = FakeIntake()
        bus = await shop.bus(
            orders, intake=heard, confirm_timeout=timedelta(seconds=1), connect_timeout=timedelta(seconds=2)
        )
        async with asyncio.timeout(60):
            await publish_until_sent(bus, [event()])
        broker.pause()
        try:
            began = asyncio.get_running_loop().time()
            assert await bus.publish([event() for _ in range(50)]) == [False] * 50
            assert asyncio.get_running_loop().time() - began < 3
            await eventually(lambda: not bus.connected)
            assert await bus.publish([event()]) == [False]
        finally:
            broker.resume()
        last = event()
        async with asyncio.timeout(60):
            await publish_until_sent(bus, [last])
        await eventually(lambda: last.id in heard.handled)
        await shop.stop()


async def test_a_consumers_channel_that_the_broker_closes_is_opened_again(shop: Shop) -> None:
    go = asyncio.Event()

    async def handle(event: Envelope) -> None:
        await go.wait()

    heard = FakeIntake(handle)
    bus = await shop.bus(orders, intake=heard)
    sent = event()
    assert await bus.publish([sent]) == [True]
    await eventually(lambda: heard.ids == [sent.id])
    session = bus._taps["orders"].session
    assert session is not None
    await session._channel.basic_ack(999)  # an unknown tag: the broker closes the channel
    await eventually(lambda: heard.ids == [sent.id, sent.id])
    go.set()
    await eventually(lambda: len(heard.handled) == 2)
    await bus.drain()
    await shop.until_waiting("orders", 0)


async def test_what_opens_and_closes_channels_stops_when_it_is_told_to_at_whatever_moment(rabbitmq: RabbitMQ) -> None:
    """The driver forgets that it was cancelled when its channel closes in the same moment."""
    link = Link(rabbitmq.url, name="test", context=None, patience=10)
    link.start()
    topology = Topology(next(_prefixes))

    async def declare(connection: AbstractConnection) -> None:
        while True:
            await topology.declare_dead(connection)

    for moment in range(20):
        work = link.serve("declaring", declare)
        await link.driver()
        await asyncio.sleep(0.005 + moment / 4000)
        work.cancel()
        assert await asyncio.wait([work], timeout=10) == ({work}, set()), moment
        assert work.cancelled()
    await link.stop()


async def test_a_queue_that_somebody_deletes_is_made_again(shop: Shop) -> None:
    heard = FakeIntake()
    bus = await shop.bus(orders, intake=heard)
    async with shop.channel() as channel:
        await channel.queue_delete(f"{shop.prefix}.orders")
    await eventually(lambda: not bus.ready)
    await eventually(lambda: bus.ready)
    assert await bus.publish([event()]) == [True]
    await eventually(lambda: len(heard.handled) == 1)


# --- TLS -----------------------------------------------------------------------------------------------------------


class TlsRabbitMQ(RabbitMQ):
    """One that only speaks TLS, with a certificate of its own."""

    async def prepare(self) -> None:
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        key.chmod(0o644)
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{self.port}\nloopback_users = none\nlog.console = false\n"
            f"ssl_options.cacertfile = {certificate}\nssl_options.certfile = {certificate}\n"
            f"ssl_options.keyfile = {key}\nssl_options.verify = verify_none\n"
        )

    async def ready(self) -> bool:
        context = ssl._create_unverified_context()  # noqa: S323  # only whether it speaks
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        except OSError:
            return False
        writer.close()
        return True


async def test_over_tls_the_broker_proves_who_it_is() -> None:
    try:
        broker = TlsRabbitMQ()
    except Absent as error:
        missing("rabbitmq", error.message)
    async with broker:
        certificate = broker.folder / "certificate.pem"
        base = f"amqps://guest:guest@127.0.0.1:{broker.port}/"
        heard = FakeIntake()
        shop = Shop(f"{base}?cafile={certificate}", "store")
        bus = await shop.bus(orders, intake=heard)
        assert await bus.publish([event()]) == [True]
        context = ssl.create_default_context(cafile=str(certificate))
        shop.url = base
        other = await shop.bus(ssl_context=context)
        assert await other.publish([event()]) == [True]
        await eventually(lambda: len(heard.handled) == 2)
        stranger = await shop.bus(ready=False)  # trusts the system's authorities only
        assert await stranger.publish([event()]) == [False]
        assert not stranger.connected
        await shop.stop()
