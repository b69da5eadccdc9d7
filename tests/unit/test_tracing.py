"""Spans without a store: parents, what travels, what is dropped, and that nothing is paid when nobody looks."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.adapters.telemetry.otel import OpenTelemetryTracing
from agent_store.adapters.telemetry.tracing import make_tracing, wanted
from agent_store.kernel import tracing as kernel
from agent_store.kernel.errors import Conflict
from agent_store.kernel.event import Envelope
from agent_store.kernel.tracing import NOTHING, OFF, current, handling, within
from tests.support.collector import Collector

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Kept(SpanExporter):
    """An exporter that keeps what it gets, or that fails, or that hangs until it is free."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.fails = False
        self.down = False
        self.free = threading.Event()
        self.free.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.free.wait()
        if self.fails:
            return SpanExportResult.FAILURE
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.down = True


def tracing_to(
    exporter: SpanExporter | None = None, *, metrics: PrometheusMetrics | None = None, **more: Any
) -> OpenTelemetryTracing:
    options: dict[str, Any] = {"pause": timedelta(milliseconds=5), **more}
    return OpenTelemetryTracing(
        service="tested", version="1", metrics=metrics or PrometheusMetrics(), exporter=exporter, **options
    )


def figure(metrics: PrometheusMetrics, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", metrics.page()[0].decode(), re.MULTILINE)
    assert found is not None, metrics.page()[0].decode()
    return float(found.group(1))


def an_event(traceparent: str | None = REMOTE) -> Envelope:
    return Envelope(
        id="e1", source="/agent-store/cart", type="store.cart.updated", time=datetime(2026, 1, 1, tzinfo=UTC),
        correlationid="c1", brand="tech", traceparent=traceparent,
    )  # fmt: skip


async def test_a_span_is_the_child_of_the_traceparent_that_came() -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    with tracing.span("work", parent=REMOTE) as span:
        assert span.traceparent is not None
        assert span.traceparent[:35] == REMOTE[:35]
        assert span.traceparent != REMOTE
    await tracing.close()
    (told,) = kept.spans
    assert told.parent is not None
    assert f"{told.parent.span_id:016x}" == "b7ad6b7169203331"


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "nonsense",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ],
)
async def test_a_malformed_traceparent_begins_a_trace(malformed: str) -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    with tracing.span("work", parent=malformed):
        pass
    await tracing.close()
    (told,) = kept.spans
    assert told.parent is None


async def test_spans_nest_in_their_task_and_not_in_others() -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    entered = asyncio.Event()

    async def elsewhere() -> None:
        await entered.wait()
        assert current() is None
        with tracing.span("elsewhere"):
            pass

    other = asyncio.create_task(elsewhere())
    with tracing.span("outer") as outer:
        entered.set()
        await other
        with tracing.span("inner") as inner:
            assert current() == inner.traceparent
        assert current() == outer.traceparent
    assert current() is None
    await tracing.close()
    spans = {span.name: span for span in kept.spans}
    assert spans["inner"].parent is not None
    assert spans["inner"].parent.span_id == spans["outer"].get_span_context().span_id  # type: ignore[union-attr]
    assert spans["elsewhere"].parent is None


async def test_a_failure_is_told_by_its_code_and_never_by_its_message() -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    with pytest.raises(Conflict), tracing.span("work"):
        raise Conflict("Ana Souza, +55 11 90000-0001, has no cart")
    with pytest.raises(ZeroDivisionError), tracing.span("work"):
        raise ZeroDivisionError("secret")
    await tracing.close()
    assert [span.status.description for span in kept.spans] == ["conflict", "ZeroDivisionError"]
    assert all("Ana" not in span.to_json() and "secret" not in span.to_json() for span in kept.spans)


async def test_a_discarded_span_is_told_to_nobody() -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    with tracing.span("work") as span:
        span.discard()
        span.set("more", 1)
    await tracing.close()
    assert kept.spans == []
    assert current() is None


async def test_a_trace_that_is_not_kept_is_kept_nowhere_but_goes_on() -> None:
    kept = Kept()
    tracing = tracing_to(kept, ratio=0.0)
    with tracing.span("root") as root:
        assert root.traceparent is not None
        assert int(root.traceparent[53:], 16) & 1 == 0
        with tracing.span("child") as child:
            assert child.traceparent is not None
            assert child.traceparent[:35] == root.traceparent[:35]
    with tracing.span("came", parent=REMOTE):  # its beginner keeps it
        pass
    await tracing.close()
    assert [span.name for span in kept.spans] == ["came"]


async def test_tracestate_goes_on_with_the_trace() -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    with tracing.span("work", parent=REMOTE, tracestate="vendor=abc"):
        pass
    await tracing.close()
    assert kept.spans[0].get_span_context().trace_state.to_header() == "vendor=abc"  # type: ignore[union-attr]


async def test_what_a_handling_emits_carries_its_span() -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    with handling(tracing, "pricing", an_event()) as span:
        inside = within(an_event(), span)
        assert inside.traceparent == span.traceparent
    await tracing.close()
    (told,) = kept.spans
    assert told.name == "process store.cart.updated"
    assert told.attributes is not None
    assert told.attributes["messaging.consumer.group.name"] == "pricing"
    assert told.attributes["messaging.message.id"] == "e1"
    assert told.attributes["agent_store.brand"] == "tech"


async def test_numbers_in_a_steps_name_are_no_spans_of_their_own() -> None:
    kept = Kept()
    tracing = tracing_to(kept)
    for name in ("think:1", "think:12", "attempt 3", "send"):
        with kernel.stepping(tracing, name, "step"):
            pass
    await tracing.close()
    assert [span.name for span in kept.spans] == ["step think", "step think", "step attempt", "step send"]


async def test_a_full_queue_drops_and_counts() -> None:
    kept, metrics = Kept(), PrometheusMetrics()
    tracing = tracing_to(kept, metrics=metrics, queue=3, pause=timedelta(hours=1))
    kept.fails = True
    kept.free.clear()
    for _ in range(10):  # three fill the queue, and wake the thread that sends
        with tracing.span("work"):
            pass
    kept.free.set()
    await tracing.close()
    dropped = 'agent_store_spans_dropped_total{reason="full"}'
    lost = 'agent_store_spans_dropped_total{reason="export"}'
    assert figure(metrics, dropped) >= 1
    assert figure(metrics, dropped) + figure(metrics, lost) == 10
    assert figure(metrics, "agent_store_spans_exported_total") == 0


async def test_spans_reach_a_collector_by_otlp_with_their_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        metrics = PrometheusMetrics()
        tracing = make_tracing(
            service="order-processor", version="1.2", metrics=metrics, endpoint=collector.url, brand="tech"
        )
        with tracing.span("work", kind="server", attributes={"size": 3}):
            pass
        await tracing.close()
        span = collector.one("work")
        assert (span.kind, span.attributes) == ("SERVER", {"size": 3})
        assert span.resource["service.name"] == "order-processor"
        assert span.resource["service.version"] == "1.2"
        assert span.resource["agent_store.brand"] == "tech"
        assert span.resource["deployment.environment.name"] == "test"
        assert collector.headers["x-tenant"] == "shop"
        assert figure(metrics, "agent_store_spans_exported_total") == 1


async def test_the_standard_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "by-the-operator")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        tracing = make_tracing(service="cart", version="1")
        with tracing.span("not kept"):
            pass
        with tracing.span("nor this", parent=REMOTE):
            pass
        await tracing.close()
        assert collector.spans == []
        monkeypatch.delenv("OTEL_TRACES_SAMPLER")
        tracing = make_tracing(service="cart", version="1")
        with tracing.span("kept"):
            pass
        await tracing.close()
        assert collector.one("kept").resource["service.name"] == "by-the-operator"


async def test_a_collector_that_is_away_costs_its_spans_only_and_the_end_is_bounded() -> None:
    metrics = PrometheusMetrics()
    tracing = tracing_to(metrics=metrics, endpoint="http://127.0.0.1:9", flush=timedelta(milliseconds=200))
    with tracing.span("work"):
        pass
    async with asyncio.timeout(5):
        await tracing.close()
    async with asyncio.timeout(5):
        while figure(metrics, 'agent_store_spans_dropped_total{reason="export"}') != 1:
            await asyncio.sleep(0.005)


async def test_a_collector_that_never_answers_does_not_hold_the_end() -> None:
    async with Collector() as collector:
        collector.answers.clear()
        tracing = tracing_to(endpoint=collector.url, flush=timedelta(milliseconds=200))
        with tracing.span("work"):
            pass
        async with asyncio.timeout(5):
            await tracing.close()


async def test_a_collector_that_comes_back_gets_what_comes_then() -> None:
    kept, metrics = Kept(), PrometheusMetrics()
    tracing = tracing_to(kept, metrics=metrics)
    kept.fails = True
    with tracing.span("lost"):
        pass
    async with asyncio.timeout(5):
        while figure(metrics, 'agent_store_spans_dropped_total{reason="export"}') != 1:
            await asyncio.sleep(0.005)
    kept.fails = False
    with tracing.span("sent"):
        pass
    await tracing.close()
    assert [span.name for span in kept.spans] == ["sent"]


def test_off_is_the_default_and_takes_everything() -> None:
    assert make_tracing(service="cart", version="1") is OFF
    with handling(OFF, "cart", an_event()) as span:
        span.set("a", 1)
        span.rename("b")
        span.fail("c")
        span.discard()
        assert span is NOTHING
        assert current() is None
        event = an_event()
        assert within(event, span) is event


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_say_whether_spans_are_sent(environment: dict[str, str], on: bool) -> None:
    assert wanted(environment=environment) is on


def test_nothing_of_the_sdk_is_imported_when_nobody_looks() -> None:
    code = (
        "import sys\n"
        "import agent_store.entrypoints.embedded, agent_store.adapters.telemetry.observed\n"
        "from agent_store.adapters.telemetry.tracing import make_tracing\n"
        "make_tracing(service='cart', version='1')\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])\n"
    )
    environment = {"PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_a_share_of_traces_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        tracing_to(Kept(), ratio=1.5)
