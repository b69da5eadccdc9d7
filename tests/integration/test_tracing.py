"""One trace from a customer's message to the reply, as a collector sees it; and the figures beside it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette

from agent_store.adapters.bus.rabbitmq import RabbitMqBus
from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.adapters.http.tokens import Tokens
from agent_store.adapters.http.tools_client import RemoteToolbox
from agent_store.adapters.http.tools_server import tools_route
from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.adapters.telemetry.observed import ObservedBrain, ObservedBus, TracedHttp
from agent_store.adapters.telemetry.otel import OpenTelemetryTracing
from agent_store.contracts.whatsapp import WhatsAppMessageReceived, WhatsAppMessageSend
from agent_store.kernel import journal
from agent_store.kernel.agent import Agent
from agent_store.kernel.brain import BrainAnswer, BrainFailed, BrainRequest, Usage
from agent_store.kernel.bus import Bus
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.metrics import NoMetrics
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.signing import Signer
from agent_store.kernel.toolbox import LocalToolbox
from tests.support.buses import MemoryBroker
from tests.support.collector import Collector, Span
from tests.support.embedded import RunningStore
from tests.support.kernel import Note, Ping, Pong, metadata, note
from tests.support.remote import serving

TEXT = "Oi, meu nome é Zoraide Quintanilha, quero um vestido vermelho"
PHONE = "5511977776666"


def tracing_to(url: str, *, service: str = "agent-store", **options: object) -> OpenTelemetryTracing:
    return OpenTelemetryTracing(
        service=service, version="1", metrics=PrometheusMetrics(), endpoint=url,
        pause=timedelta(milliseconds=20), **options,  # type: ignore[arg-type]
    )  # fmt: skip


def ancestry(span: Span, spans: dict[str, Span]) -> list[str]:
    """Names from the span up to its root."""
    names = [span.name]
    while span.parent:
        span = spans[span.parent]
        names.append(span.name)
    return names


async def test_one_trace_goes_from_the_webhook_to_the_reply() -> None:
    async with Collector() as collector, RunningStore(tracing=tracing_to(collector.url)) as store:
        await store.shopper(PHONE, name="Zoraide").say(TEXT)
        (webhook,) = await collector.until("POST /webhooks/whatsapp")
        await collector.until("process store.whatsapp.message.send")
        await store.store.tracing.close()

        spans = {span.id: span for span in collector.spans}
        # What shows the customer that they were read is a call like the reply's, of another event.
        calls = [span for span in collector.named("POST /messages") if "step send" in ancestry(span, spans)]
        first = calls[0]
        assert (webhook.parent, webhook.kind) == ("", "SERVER")
        assert webhook.attributes["http.response.status_code"] == 200
        way = ancestry(first, spans)
        assert way[0] == "POST /messages"
        assert way[-1] == "POST /webhooks/whatsapp"
        for name in (
            "commit whatsapp",
            "process store.whatsapp.message.received",
            "process store.chat.message.new",
            "process store.chat.response",
            "process store.whatsapp.message.send",
            "step send",
        ):
            assert name in way, way
        assert {span.trace for span in (spans[first.id], webhook)} == {webhook.trace}
        # Every parent of the trace is a span that was sent: no id in an envelope is made up.
        trace = [span for span in collector.spans if span.trace == webhook.trace]
        assert all(not span.parent or span.parent in spans for span in trace)
        # The seller's thinking and its tools stand under its turn.
        thought = next(span for span in trace if span.name == "chat rules")
        assert ancestry(thought, spans)[1:3] == ["step think", "process store.chat.message.new"]
        tool = next(span for span in trace if span.name == "tool catalog.search")
        assert ancestry(tool, spans)[1] == "process store.chat.message.new"


async def test_the_trace_in_an_events_envelope_is_that_of_a_span() -> None:
    async with Collector() as collector, RunningStore(tracing=tracing_to(collector.url)) as store:
        await store.shopper(PHONE).say("Oi")
        rows = await store.store.runtime.store.reader.all(journal.EVENTS_AFTER, {"after": 0, "most": 10_000})
        await store.store.tracing.close()
        spans = {span.id: span for span in collector.spans}
        sent = [row for row in rows if row["type"] == WhatsAppMessageSend.event_type]
        came = [row for row in rows if row["type"] == WhatsAppMessageReceived.event_type]
        assert sent
        assert len(came) == 1
        for row in (*sent, *came):
            assert spans[row["traceparent"][36:52]].trace == row["traceparent"][3:35]
        # The handling of an event is a child of the span that has emitted it.
        handling = next(
            span for span in collector.spans if span.attributes.get("messaging.message.id") == came[0]["id"]
        )
        assert handling.parent == came[0]["traceparent"][36:52]
        assert handling.kind == "CONSUMER"
        assert handling.attributes["messaging.consumer.group.name"] == "conversations"
        assert handling.attributes["agent_store.outcome"] == "done"


def alpha() -> Agent:
    agent = Agent("alpha")

    @agent.on(Ping)
    async def on_ping(event: Ping, ctx: Context) -> None:
        if event.id == "p1":
            ctx.emit(Pong(id=event.id))

    return agent


def notes() -> Agent:
    agent = Agent("kt", tables=metadata)

    @agent.process(Pong)
    async def on_pong(event: Pong, ctx: Context) -> None:
        async def look() -> int:
            return 1

        await ctx.step("look:1", look, int)
        await ctx.call(Note(text=event.id))

    @agent.tool(Note)
    async def take(tool: Note, ctx: Context) -> int:
        await note(ctx, tool.text)
        ctx.emit(Ping(id="told"))
        return 1

    return agent


@dataclass(frozen=True)
class Broker:
    kind: str
    bus: Callable[[str], Bus]


@pytest.fixture(params=["memory", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "memory":
        shared = MemoryBroker()
        return Broker("memory", lambda name: shared.bus())
    url = request.getfixturevalue("rabbitmq").url
    signer = Signer([("k1", b"a secret of thirty-two bytes ....")])
    return Broker("rabbitmq", lambda name: RabbitMqBus(url, signer=signer, prefix="tracing", name=name))


async def test_one_trace_goes_through_two_processes_and_a_broker(broker: Broker, tmp_path: Path) -> None:
    kind = broker.kind
    async with Collector() as collector:
        processes: dict[str, tuple[Runtime, OpenTelemetryTracing, PrometheusMetrics]] = {}
        for agent in (alpha(), notes()):
            metrics = PrometheusMetrics()
            tracing = tracing_to(collector.url, service=agent.name)
            bus = ObservedBus(broker.bus(agent.name), tracing, metrics, system=kind)
            runtime = Runtime(
                SqliteStore(tmp_path / agent.name), [Consumer(agent)], bus=bus, tracing=tracing, metrics=metrics
            )
            await runtime.start()
            async with asyncio.timeout(30):
                while not bus.listening:  # a broker's answers to many questions
                    await asyncio.sleep(0.01)
            processes[agent.name] = runtime, tracing, metrics
        await processes["alpha"][0].publish(Ping(id="p1"))
        # What the tool emits goes back to the first process: the trace's last span.
        await collector.until("process store.kt.ping", 2)
        for runtime, tracing, metrics in processes.values():
            await runtime.stop()
            await tracing.close()
            assert (
                f'agent_store_bus_events_published_total{{bus="{kind}",outcome="confirmed"}}'
                in metrics.page()[0].decode()
            )

    spans = {span.id: span for span in collector.spans}
    last = next(
        span
        for span in collector.named("process store.kt.ping")
        if span.parent != collector.one("create store.kt.ping").id
    )
    assert ancestry(last, spans) == [
        "process store.kt.ping",
        "tool kt.note",
        "process store.kt.pong",
        "process store.kt.ping",
        "create store.kt.ping",
    ]
    assert len({span.trace for span in collector.spans}) == 1
    assert collector.one("process store.kt.pong").resource["service.name"] == "kt"
    step = collector.one("step look")
    assert (spans[step.parent].name, step.attributes["agent_store.step"]) == ("process store.kt.pong", "look:1")
    sent = collector.one("send store.kt.pong")
    assert (sent.kind, spans[sent.parent].name) == ("PRODUCER", "process store.kt.ping")
    assert sent.attributes["messaging.system"] == kind


def caller() -> Agent:
    agent = Agent("caller")

    @agent.process(Ping)
    async def on_ping(event: Ping, ctx: Context) -> None:
        await ctx.call(Note(text="from afar"))

    return agent


class At:
    """Every agent at one address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url_of_agent(self, name: str, /) -> str | None:
        return self._url


async def test_a_tool_call_to_another_process_stays_in_the_trace(tmp_path: Path) -> None:
    keys = [("k1", b"a secret of thirty-two bytes ....")]
    async with Collector() as collector:
        theirs, ours = tracing_to(collector.url, service="kt"), tracing_to(collector.url, service="caller")
        offered = Runtime(SqliteStore(tmp_path / "kt"), [Consumer(notes())], tracing=theirs)
        await offered.start()
        tokens = Tokens("kt", keys, clock=offered.clock)
        app = Starlette(routes=[tools_route(offered.toolbox, tokens, clock=offered.clock, ready=lambda: True)])
        async with serving(TracedHttp(app, theirs)) as url:
            remote: list[RemoteToolbox] = []

            def toolbox(local: LocalToolbox) -> RemoteToolbox:
                mine = Tokens("caller", keys, clock=offered.clock)
                remote.append(RemoteToolbox(local, At(url), mine, metrics=NoMetrics(), tracing=ours))
                return remote[0]

            calling = Runtime(SqliteStore(tmp_path / "caller"), [Consumer(caller())], tracing=ours, toolbox=toolbox)
            await calling.start()
            await calling.publish(Ping(id="p1"))
            await calling.settle()
            await calling.stop()
            remote[0].close()
        await offered.stop()
        for tracing in (ours, theirs):
            await tracing.close()
    spans = {span.id: span for span in collector.spans}
    tool = collector.one("tool kt.note")
    assert tool.resource["service.name"] == "kt"
    assert ancestry(tool, spans) == ["tool kt.note", "call kt.note", "process store.kt.ping", "create store.kt.ping"]
    assert (collector.one("call kt.note").kind, len({span.trace for span in collector.spans})) == ("CLIENT", 1)


class Model:
    """A brain that answers, fails, or is too slow."""

    name = "openai:gpt-test"
    wants_history = True

    def __init__(self) -> None:
        self.fails: Exception | None = None

    async def think(self, request: BrainRequest) -> BrainAnswer:
        if self.fails is not None:
            raise self.fails
        return BrainAnswer(usage=Usage(input_tokens=120, output_tokens=30), brain=self.name)

    async def close(self) -> None:
        pass


async def test_a_models_call_is_told_with_its_model_and_tokens_and_not_with_what_it_said() -> None:
    async with Collector() as collector:
        metrics, model = PrometheusMetrics(), Model()
        tracing = tracing_to(collector.url)
        brain = ObservedBrain(model, tracing, metrics)
        request = BrainRequest(
            brand="tech",
            seller="Max",
            language="pt",
            system="secret prompt",
            lines=(),
            now=datetime(2026, 1, 1, tzinfo=UTC),
        )
        await brain.think(request)
        model.fails = BrainFailed("openai:gpt-test: status 500: Zoraide")
        with pytest.raises(BrainFailed):
            await brain.think(request)
        await tracing.close()
        answered, failed = collector.named("chat gpt-test")
        assert answered.attributes == {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-test",
            "agent_store.brand": "tech", "agent_store.round": 0, "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.output_tokens": 30, "agent_store.tool_calls": 0, "agent_store.understood": True,
        }  # fmt: skip
        assert (answered.error, failed.error) == (None, "brain-failed")
        assert "secret" not in repr(collector.spans)
        assert "Zoraide" not in repr(collector.spans)
        page = metrics.page()[0].decode()
        assert 'agent_store_model_calls_total{brain="openai:gpt-test",outcome="brain-failed"} 1.0' in page
        assert 'agent_store_model_tokens_total{brain="openai:gpt-test",kind="input"} 120.0' in page


async def test_no_text_name_or_phone_number_is_told_to_the_collector() -> None:
    async with Collector() as collector, RunningStore(tracing=tracing_to(collector.url)) as store:
        await store.shopper(PHONE, name="Zoraide Quintanilha").say(TEXT)
        await store.api("GET", "/api/orders", customer_id="somebody")
        await store.store.tracing.close()
        assert collector.named("GET /api/orders")
        told = repr(collector.spans)
        for secret in ("Zoraide", "vestido", "977776666", "somebody", store.store.staff_token):
            assert secret not in told


async def test_staff_goes_on_in_a_trace_of_its_own_and_a_stranger_does_not() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with Collector() as collector, RunningStore(tracing=tracing_to(collector.url)) as store:
        for headers in (store.staff, {}):
            answer = await store.http.get("/api/products", headers={**headers, "traceparent": parent})
            assert answer.status_code == 200
        assert (await store.http.get("/api/orders/nothing-like-this", headers=store.staff)).status_code == 404
        await store.store.tracing.close()
        staff, stranger = collector.named("GET /api/products")
        assert (staff.trace, staff.parent) == (parent[3:35], parent[36:52])
        assert stranger.trace != parent[3:35]
        assert stranger.parent == ""
        lost = collector.one("GET /api/orders/{number}")
        assert (lost.attributes["http.response.status_code"], lost.error) == (404, None)
        tool = next(span for span in collector.named("tool orders.get") if span.trace == lost.trace)
        assert tool.parent == lost.id


async def test_a_store_whose_collector_is_away_answers_as_ever() -> None:
    tracing = tracing_to("http://127.0.0.1:9", flush=timedelta(milliseconds=100), queue=8)
    async with RunningStore(tracing=tracing) as store:
        assert await store.shopper(PHONE).say("Oi")


async def test_without_a_collector_the_envelopes_still_share_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    async with RunningStore() as store:
        assert store.store.tracing.on is False
        await store.shopper(PHONE).say("Oi")
        rows = await store.store.runtime.store.reader.all(journal.EVENTS_AFTER, {"after": 0, "most": 10_000})
        of = {row["id"]: row for row in rows}
        sent = next(row for row in rows if row["type"] == WhatsAppMessageSend.event_type)
        trace = sent["traceparent"][3:35]
        assert of[sent["causationid"]]["traceparent"][3:35] == trace


async def test_the_scrape_tells_what_the_handlers_did_and_what_waits() -> None:
    async with RunningStore() as store:
        await store.shopper(PHONE).say("Oi")
        page = (await store.http.get("/metrics")).text

        def figure(line: str) -> float:
            found = re.search(rf"^{re.escape(line)} (\S+)$", page, re.MULTILINE)
            assert found is not None, page
            return float(found.group(1))

        received = WhatsAppMessageReceived.event_type
        assert figure(f'agent_store_events_received_total{{consumer="conversations",type="{received}"}}') == 1
        done = f'{{consumer="conversations",outcome="done",type="{received}"}}'
        assert figure(f"agent_store_handling_seconds_count{done}") == 1
        assert figure("agent_store_state_readable") == 1
        assert figure("agent_store_timers_overdue") == 0
        assert figure("agent_store_outbox_unpublished") >= 0
        assert 'agent_store_model_calls_total{brain="rules",outcome="ok"}' in page
