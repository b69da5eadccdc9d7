"""The Knative bus behind the real ingress and dispatcher: nothing is lost, whoever goes away for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from sqlalchemy import select

from agent_store.adapters.bus.knative import DeadLetterSink, KnativeBus, KnativeIntake
from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.entrypoints.programs import Absent, RabbitMQ
from agent_store.entrypoints.programs_knative import KnativeBroker, programs_folder
from agent_store.kernel import cloudevents
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.runtime import Runtime
from tests.support.events_http import PARENT, SIGNER, FakeIntake, FakeServices, Graveyard, event
from tests.support.kernel import Version, metadata, note, notes
from tests.support.programs_knative import Subscriber, eventually

MS = timedelta(milliseconds=1)


class Shop:
    """One process: a bus, its intake on a server, its dead-letter sink beside it."""

    def __init__(self, broker: KnativeBroker, intake: FakeIntake | None = None, **settings: Any) -> None:
        self.intake = intake or FakeIntake()
        self.services = FakeServices()
        self.dead = Graveyard()
        settings = {"publish_timeout": timedelta(seconds=20), **settings}
        self.bus = KnativeBus(broker.ingress_url, signer=SIGNER, addresses=self.services, dead=self.dead, **settings)
        self._intake = KnativeIntake(self.bus)
        self._sink = DeadLetterSink(self.bus, self.services)
        self.server = Subscriber(self.serve)
        self.services.urls["orders"] = self.server.url

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        await (self._sink if scope["path"] == "/dead-letters" else self._intake)(scope, receive, send)

    @property
    def url(self) -> str:
        return self.server.url + "/"

    async def __aenter__(self) -> Self:
        await self.bus.start(self.intake, [])
        await self.server.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.server.stop()
        await self.bus.stop()


def stumbling(*, often: int = 3) -> Callable[[Envelope], Awaitable[None]]:
    """Every third event is refused at its first coming."""
    seen: Counter[str] = Counter()

    async def handle(value: Envelope) -> None:
        seen[value.id] += 1
        if seen[value.id] == 1 and int(value.id) % often == 0:
            raise TemporaryError("not yet")

    return handle


def numbered(count: int, first: int = 0) -> list[Envelope]:
    return [event(str(number)) for number in range(first, first + count)]


# --- what comes through --------------------------------------------------------------------------------------------

ODD = [
    event("plain"),
    event("empty", data=b""),
    event("text without a body", data=b"", datacontenttype="text/plain"),
    event("picture", data=bytes(range(256)), datacontenttype="image/png"),
    event("broken", data=b"{broken"),
    event("null", data=b"null"),
    event("spaces", data=b'{ "a" : [1, 2.50, "\xc3\xa7"] }'),
    event("suffix", data=b'{"a":1}', datacontenttype="application/vnd.store+json; charset=utf-8"),
    event('é "%41" 100% 😀', subject='pedido nº 1 "é" \\ 50%', partitionkey="cliente ção 😀", brand="moda-ção"),
    event("full", brand="fashion", channel="whatsapp", sequence=7, correlationid="k", causationid="c",
          dataschema="urn:agent-store:event:store.order.confirmed:1", traceparent=PARENT, tracestate="a=1,b=2"),
    event("unsampled", traceparent=PARENT.replace("-01", "-00")),
    event("foreign", extensions={"xfoo": "true", "somethingmore": "a, b; c=d", "number": "-5"}),
    event("large", data=b'"' + b"x" * 1_000_000 + b'"'),
    event("time", time=event().time.replace(microsecond=1)),
    event("second", time=event().time.replace(microsecond=0)),
]  # fmt: skip


async def test_every_kind_of_event_comes_through_unchanged_and_still_signed(knative: KnativeBroker) -> None:
    async with Shop(knative) as shop:
        await knative.add_trigger("orders", {"topic": "order"}, shop.url)
        assert await shop.bus.publish(ODD) == [True] * len(ODD)
        await eventually(lambda: len(set(shop.intake.ids)) == len(ODD))
        came = {value.id: value for value in shop.intake.received}
        for sent in ODD:
            assert came[sent.id] == SIGNER.sign(sent), "and the signature was checked before it was handed in"
        assert shop.dead.kept == []


async def test_the_sinks_overrides_are_on_every_event(knative: KnativeBroker) -> None:
    async with Shop(knative, overrides={"cluster": "one"}) as shop:
        await knative.add_trigger("orders", {"cluster": "one"}, shop.url)
        assert await shop.bus.publish([event()]) == [True]
        await eventually(lambda: shop.intake.ids == ["1"])
        assert shop.intake.received[0].extensions["cluster"] == "one"


async def test_a_trigger_brings_what_its_filter_names(knative: KnativeBroker) -> None:
    async with Shop(knative) as fashion, Shop(knative) as orders:
        await knative.add_trigger("fashion", {"topic": "chat", "brand": "fashion"}, fashion.url)
        await knative.add_trigger("orders", {"topic": "order"}, orders.url)
        sent = [
            event("1", topic="chat", brand="fashion"),
            event("2", topic="chat", brand="home"),
            event("3", topic="order", brand="fashion"),
            event("4", topic="order"),
            event("5", topic="nobody's"),
        ]
        assert await fashion.bus.publish(sent) == [True] * 5, "the ingress takes what no Trigger wants, too"
        await eventually(lambda: fashion.intake.ids == ["1"] and sorted(orders.intake.ids) == ["3", "4"])


# --- faults --------------------------------------------------------------------------------------------------------


async def test_what_a_subscriber_refuses_for_now_comes_again(knative: KnativeBroker) -> None:
    async with Shop(knative, FakeIntake(stumbling())) as shop:
        await knative.add_trigger("orders", {}, shop.url, parallelism=10, backoff=20 * MS)
        assert all(await shop.bus.publish(numbered(200)))
        await eventually(lambda: len(set(shop.intake.handled)) == 200)
        assert len(shop.intake.received) >= 200 + 67


async def test_a_subscriber_that_is_away_misses_nothing(knative: KnativeBroker) -> None:
    async with Shop(knative) as shop:
        await knative.add_trigger("orders", {}, shop.url, parallelism=4, backoff=50 * MS)
        assert all(await shop.bus.publish(numbered(20)))
        await eventually(lambda: len(set(shop.intake.handled)) == 20)
        await shop.server.stop()
        assert all(await shop.bus.publish(numbered(20, 20)))
        await shop.server.start()
        await eventually(lambda: len(set(shop.intake.handled)) == 40)


async def test_an_ingress_that_is_away_is_waited_for_a_while(knative: KnativeBroker) -> None:
    async with Shop(knative) as shop, Shop(knative, publish_timeout=timedelta(milliseconds=300)) as hasty:
        await knative.add_trigger("orders", {}, shop.url)
        knative.ingress.kill()
        assert await hasty.bus.publish(numbered(5)) == [False] * 5
        publishing = asyncio.create_task(shop.bus.publish(numbered(50)))
        await knative.ingress.start()
        assert await publishing == [True] * 50
        await eventually(lambda: len(set(shop.intake.handled)) == 50)


async def test_an_ingress_that_dies_under_load_is_started_again_and_loses_nothing(knative: KnativeBroker) -> None:
    async with Shop(knative, concurrency=8) as shop:
        await knative.add_trigger("orders", {}, shop.url)

        async def publish() -> int:
            """On until it is started again."""
            count = 0
            while not knative.ingress.restarts:
                assert await shop.bus.publish(numbered(600, count)) == [True] * 600
                count += 600
            return count

        publishing = asyncio.create_task(publish())
        await eventually(lambda: len(shop.intake.received) > 50)
        knative.ingress.crash()
        count = await publishing
        assert knative.ingress.restarts == 1
        await eventually(lambda: len(set(shop.intake.handled)) == count)


async def test_an_ingress_that_stands_still_is_not_waited_for_for_ever(knative: KnativeBroker) -> None:
    async with Shop(knative) as shop, Shop(knative, publish_timeout=400 * MS) as hasty:
        await knative.add_trigger("orders", {}, shop.url)
        assert await shop.bus.publish([event("1")]) == [True]
        knative.ingress.pause()
        async with asyncio.timeout(5):
            assert await hasty.bus.publish([event("2"), event("3")]) == [False, False]
        knative.ingress.resume()
        assert await shop.bus.publish([event("4")]) == [True]
        await eventually(lambda: {"1", "4"} <= set(shop.intake.handled))


async def test_a_dispatcher_that_is_killed_brings_again_what_it_held(knative: KnativeBroker) -> None:
    gate = asyncio.Event()

    async def handle(value: Envelope) -> None:
        await gate.wait()

    async with Shop(knative, FakeIntake(handle)) as shop:
        dispatcher = await knative.add_trigger("orders", {}, shop.url, parallelism=5)
        assert all(await shop.bus.publish(numbered(50)))
        await eventually(lambda: shop.bus.open == 5)
        dispatcher.crash()
        await eventually(lambda: shop.bus.open >= 10)
        gate.set()
        await eventually(lambda: len(set(shop.intake.handled)) == 50)
        assert dispatcher.restarts == 1
        assert shop.intake.handled.count("0") >= 1, "what was begun goes on though its dispatcher is gone"


async def test_a_dispatcher_that_gives_up_waiting_does_not_stop_the_handling(knative: KnativeBroker) -> None:
    gate = asyncio.Event()
    first: list[str] = []

    async def handle(value: Envelope) -> None:
        first.append(value.id)
        if len(first) == 1:
            await gate.wait()
            first.append("done")

    async with Shop(knative, FakeIntake(handle)) as shop:
        await knative.add_trigger("orders", {}, shop.url, timeout=200 * MS, backoff=20 * MS)
        assert await shop.bus.publish([event()]) == [True]
        await eventually(lambda: len(first) >= 2)
        gate.set()
        await eventually(lambda: "done" in first and shop.intake.handled == ["1"] * len(shop.intake.received))


async def test_a_late_answer_brings_the_event_again_in_time(knative: KnativeBroker) -> None:
    gate = asyncio.Event()

    async def handle(value: Envelope) -> None:
        await gate.wait()

    async with Shop(knative, FakeIntake(handle), answer_within=100 * MS) as shop:
        await knative.add_trigger("orders", {}, shop.url, backoff=20 * MS)
        assert await shop.bus.publish([event()]) == [True]
        await eventually(lambda: len(shop.intake.received) >= 2)
        gate.set()
        await eventually(lambda: shop.bus.open == 0)


async def test_a_strangers_event_is_dropped_and_holds_nobody_up(knative: KnativeBroker) -> None:
    async with Shop(knative) as shop:
        await knative.add_trigger("orders", {}, shop.url, parallelism=1)
        forged = event("forged")
        async with httpx.AsyncClient() as http:
            answer = await http.post(knative.ingress_url, headers=cloudevents.to_headers(forged), content=forged.data)
        assert answer.status_code == 202
        assert await shop.bus.publish([event("ours")]) == [True]
        await eventually(lambda: shop.intake.ids == ["ours"])


async def test_an_event_that_we_cannot_read_is_kept(knative: KnativeBroker) -> None:
    async with Shop(knative) as shop:
        await knative.add_trigger("orders", {}, shop.url)
        headers = {**cloudevents.to_headers(event("odd")), "ce-sequence": "the first"}
        async with httpx.AsyncClient() as http:
            await http.post(knative.ingress_url, headers=headers, content=b"{}")
        await eventually(lambda: len(shop.dead.kept) == 1)
        assert "sequence: 'the first' is no whole number" in shop.dead.kept[0].reason
        assert shop.dead.kept[0].headers["ce-id"] == "odd"


# --- dead letters --------------------------------------------------------------------------------------------------


async def test_an_event_that_nobody_could_be_brought_is_kept_by_the_dead_letter_sink(knative: KnativeBroker) -> None:
    async def handle(value: Envelope) -> None:
        raise TemporaryError("never")

    async with Shop(knative, FakeIntake(handle)) as shop:
        await knative.add_trigger(
            "orders", {}, shop.url, retry=2, backoff=20 * MS, dead_letter_sink=shop.server.url + "/dead-letters"
        )
        sent = event(data=b'{ "a": 1 }', traceparent=PARENT)
        assert await shop.bus.publish([sent]) == [True]
        await eventually(lambda: len(shop.dead.kept) == 1)
        (kept,) = shop.dead.kept
        assert len(shop.intake.received) == 3
        assert (kept.consumers, kept.code) == (("orders",), 503)
        assert kept.reason == f"{shop.url} answered 503"
        assert kept.event is not None
        ours = {name: value for name, value in kept.event.extensions.items() if not name.startswith("knative")}
        assert replace(kept.event, extensions=ours) == SIGNER.sign(sent)


async def test_the_brokers_sink_takes_the_dead_of_every_trigger(rabbitmq: RabbitMQ, knative_bin: Path) -> None:
    keeper, nowhere = Subscriber(None), Subscriber(None)
    sink = keeper.url + "/dead-letters"
    async with KnativeBroker(rabbitmq.url, knative_bin, dead_letter_sink=sink) as broker, Shop(broker) as shop:
        refused: list[int] = []

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            shop.dead.trouble = TemporaryError("the database is away") if len(refused) < 2 else None
            refused.append(1)
            await shop.serve(scope, receive, send)

        keeper.app = serve
        await keeper.start()
        await broker.add_trigger("nobody", {}, nowhere.url, retry=1, backoff=20 * MS)
        assert await shop.bus.publish([event()]) == [True]
        await eventually(lambda: len(shop.dead.kept) == 1)
        assert (len(refused), shop.dead.kept[0].code, shop.dead.kept[0].consumers) == (3, -1, ())
        await keeper.stop()


# --- real runtimes -------------------------------------------------------------------------------------------------

listener = Agent("kt", tables=metadata)


@listener.on(Version, ordered=True, order_wait=timedelta(seconds=30))
async def write_down(value: Version, ctx: Context) -> None:
    await note(ctx, f"{value.id} {value.number}")


class Process:
    """A runtime with a store of its own, and its door."""

    def __init__(self, broker: KnativeBroker, folder: Path, consumers: list[Consumer]) -> None:
        self.bus = KnativeBus(
            broker.ingress_url, signer=SIGNER, addresses=FakeServices(), dead=Graveyard(), concurrency=8,
            publish_timeout=timedelta(seconds=2), answer_within=timedelta(seconds=5),
        )  # fmt: skip
        self.runtime = Runtime(SqliteStore(folder / "store.sqlite3"), consumers, bus=self.bus)
        self.server = Subscriber(KnativeIntake(self.bus))

    async def __aenter__(self) -> Self:
        await self.runtime.start()
        await self.server.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.server.stop()
        await self.runtime.stop(grace=2)

    async def notes(self) -> list[str]:
        rows = await self.runtime.store.reader.all(select(notes.c.text).order_by(notes.c.id), {})
        return [row["text"] for row in rows]


@pytest.mark.parametrize("fault", ["none", "dispatcher killed", "ingress killed", "subscriber away"])
async def test_a_conversation_stays_in_order_and_counts_once(
    knative: KnativeBroker, tmp_path: Path, fault: str
) -> None:
    folders = [tmp_path / name for name in ("speaker", "listener")]
    for folder in folders:
        folder.mkdir()
    talks, turns = 5, 30
    async with AsyncExitStack() as stack:
        speaking = await stack.enter_async_context(Process(knative, folders[0], []))
        hearing = await stack.enter_async_context(Process(knative, folders[1], [Consumer(listener)]))
        await knative.add_trigger("kt", {"topic": "kt"}, hearing.server.url, parallelism=10, backoff=20 * MS)

        async def heard(least: int) -> list[str]:
            async with asyncio.timeout(60):
                while len(found := await hearing.notes()) < least:
                    await asyncio.sleep(0.02)
            return found

        for turn in range(1, turns + 1):
            for talk in range(talks):
                await speaking.runtime.publish(Version(id=f"talk{talk}", number=turn))
            if turn == turns // 2:
                await heard(talks * 2)
                if fault == "dispatcher killed":
                    knative.dispatchers["kt"].crash()
                elif fault == "ingress killed":
                    knative.ingress.crash()
                elif fault == "subscriber away":
                    await hearing.server.stop()
                    await hearing.server.start()
        found = await heard(talks * turns)
        for talk in range(talks):
            assert [text for text in found if text.startswith(f"talk{talk} ")] == [
                f"talk{talk} {turn}" for turn in range(1, turns + 1)
            ]
        assert len(found) == talks * turns


# --- the programs --------------------------------------------------------------------------------------------------


def test_absent_programs_are_named_with_how_to_get_them(tmp_path: Path) -> None:
    for environment in ({}, {"KNATIVE_RABBITMQ_BIN": ""}, {"KNATIVE_RABBITMQ_BIN": str(tmp_path)}):
        with pytest.raises(Absent, match=r"ingress.*: build cmd/ingress and cmd/dispatcher .* KNATIVE_RABBITMQ_BIN"):
            programs_folder(environment)


async def test_a_program_that_is_sent_away_stays_away_and_one_that_crashed_comes_back(knative: KnativeBroker) -> None:
    async with Shop(knative) as shop:
        dispatcher = await knative.add_trigger("orders", {}, shop.url)
        assert await dispatcher.terminate() == 0
        assert await shop.bus.publish(numbered(3)) == [True] * 3
        assert await knative.waiting("orders") == 3
        assert (dispatcher.running, dispatcher.restarts) == (False, 0)
        await dispatcher.start()
        await eventually(lambda: len(set(shop.intake.handled)) == 3)
        dispatcher.crash()
        await eventually(lambda: dispatcher.restarts == 1 and dispatcher.running)
        assert await shop.bus.publish(numbered(3, 3)) == [True] * 3
        await eventually(lambda: len(set(shop.intake.handled)) == 6)


# --- RabbitMQ ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_rabbitmq_killed_and_restarted_under_load_loses_nothing(knative_bin: Path) -> None:
    async with RabbitMQ() as rabbit, KnativeBroker(rabbit.url, knative_bin) as broker, Shop(broker) as shop:
        await broker.add_trigger("orders", {}, shop.url)
        await broker.settled()
        confirmed: set[str] = set()

        async def publish(values: list[Envelope]) -> None:
            """As a relay does: until it is confirmed."""
            while values:
                answers = await shop.bus.publish(values)
                confirmed.update(value.id for value, done in zip(values, answers, strict=True) if done)
                values = [value for value, done in zip(values, answers, strict=True) if not done]

        publishing = asyncio.create_task(publish(numbered(800)))
        await eventually(lambda: len(shop.intake.received) > 100)
        rabbit.kill()
        await eventually(lambda: not broker.ingress.running or not broker.dispatchers["orders"].running, 60)
        await rabbit.start()
        async with asyncio.timeout(60):
            await publishing
        assert len(confirmed) == 800
        await eventually(lambda: len(set(shop.intake.handled)) == 800, 60)
