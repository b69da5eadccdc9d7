"""`Tracing` by OpenTelemetry's SDK: spans go to a collector by OTLP over HTTP (protobuf).

The collector's absence costs nothing but its spans: they wait in a bounded queue, a thread sends them, what does not fit
is dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Token
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE, OTEL_TRACES_SAMPLER
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from agent_store.kernel.metrics import Metrics
from agent_store.kernel.tracing import Here, Kind, Span, Value, code_of, current, here

_log = structlog.get_logger("agent_store.tracing")

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_EMPTY = Context()
_QUEUE = 2048
FLUSH = timedelta(seconds=3)
"""Longest wait for the collector when the process ends."""

EXPORTED, DROPPED = "spans_exported", "spans_dropped"
"""Counters. Reasons of a drop: `full` (the queue), `export` (the collector did not take them)."""


class OpenTelemetryTracing:
    """`Tracing` on an own tracer provider: nothing global is set, so that two stores in one process do not mix."""

    on = True

    def __init__(
        self,
        *,
        service: str,
        version: str,
        metrics: Metrics,
        endpoint: str = "",
        ratio: float = 1.0,
        brand: str | None = None,
        instance: str | None = None,
        exporter: SpanExporter | None = None,
        queue: int | None = None,
        pause: timedelta | None = None,
        flush: timedelta = FLUSH,
    ) -> None:
        """`exporter` stands in for OTLP, `queue` (spans) and `pause` (between two sendings) for OTEL_BSP_… or the
        SDK's 2048 and 5 s."""
        if not 0 <= ratio <= 1:
            raise ValueError("the share of traces to keep is between 0 and 1")
        if exporter is None:
            url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
            exporter = OTLPSpanExporter(endpoint=url)
        attributes: dict[str, str] = {
            "service.name": service,
            "service.version": version,
            "service.namespace": "agent-store",
            "service.instance.id": instance or f"{os.uname().nodename}-{os.getpid()}",
        }
        if brand is not None:
            attributes["agent_store.brand"] = brand
        # The standard variables win over what the entrypoint says.
        resource = Resource.create(attributes).merge(OTELResourceDetector().detect())
        sampler = None if os.environ.get(OTEL_TRACES_SAMPLER) else ParentBased(TraceIdRatioBased(ratio))
        self._flush = flush
        self._pipe = _Pipe(exporter, metrics)
        self._provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
        self._provider.add_span_processor(_Bounded(self._pipe, queue, pause))
        self._tracer = self._provider.get_tracer("agent_store", version)
        self._closed = False

    def span(
        self,
        name: str,
        *,
        kind: Kind = "internal",
        parent: str | None = None,
        tracestate: str | None = None,
        attributes: Mapping[str, Value] | None = None,
        links: Iterable[str] = (),
    ) -> Span:
        return _Span(self._tracer, name, kind, parent, tracestate, attributes, links)

    async def close(self) -> None:
        """Send what waits, for `flush` at most. What the collector has not taken by then is dropped and counted."""
        if self._closed:
            return
        self._closed = True
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait for us and is closed
                loop.call_soon_threadsafe(done.set)

        # A daemon of its own: a thread of the loop's executor would keep the interpreter until it ends.
        threading.Thread(target=work, name="tracing flush", daemon=True).start()
        try:
            async with asyncio.timeout(self._flush.total_seconds()):
                await done.wait()
        except TimeoutError:
            left = self._pipe.waiting
            self._pipe.shutdown()
            _log.warning("tracing.not_flushed", spans=left)


# --- spans -----------------------------------------------------------------------------------------------------------


def _parse(traceparent: str | None, tracestate: str | None = None) -> SpanContext | None:
    """Of a remote span. Source: W3C Trace Context, "traceparent Header Field Values"."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    trace, span, flags = found.groups()
    state = TraceState.from_header([tracestate]) if tracestate else None
    context = SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)),
                          trace_state=state)  # fmt: skip
    return context if context.is_valid else None


def _format(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


class _Span:
    __slots__ = (
        "_attributes",
        "_here",
        "_kind",
        "_links",
        "_name",
        "_parent",
        "_span",
        "_token",
        "_tracer",
        "_tracestate",
    )

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        kind: Kind,
        parent: str | None,
        tracestate: str | None,
        attributes: Mapping[str, Value] | None,
        links: Iterable[str],
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._kind = kind
        self._parent = parent
        self._tracestate = tracestate
        self._attributes = attributes
        self._links = links
        self._span: OtelSpan | None = None
        self._here: Here | None = None
        self._token: Token[Here | None] | None = None

    @property
    def traceparent(self) -> str | None:
        return self._here.traceparent if self._here is not None else None

    def set(self, name: str, value: Value) -> None:
        if self._span is not None:
            self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, code: str) -> None:
        if self._span is not None:
            self._span.set_attribute("error.type", code)
            self._span.set_status(Status(StatusCode.ERROR, code))

    def discard(self) -> None:
        self._span = None  # one that never ends is never sent

    def __enter__(self) -> Self:
        above = _parse(self._parent, self._tracestate) or _parse(current())
        # Upon an empty context: what another library keeps in the global one is none of our parents.
        context = _EMPTY if above is None else set_span_in_context(NonRecordingSpan(above), _EMPTY)
        span = self._tracer.start_span(
            self._name,
            context=context,
            kind=_KINDS[self._kind],
            attributes=self._attributes,
            links=[Link(one) for text in self._links if (one := _parse(text)) is not None],
            record_exception=False,
            set_status_on_exception=False,
        )
        self._span = span
        self._here = Here(_format(span.get_span_context()))
        self._token = here.set(self._here)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None and self._here is not None:
            self._here.open = False
            here.reset(self._token)
            self._token = None
        if error is not None:
            self.fail(code_of(error))
        if self._span is not None:
            self._span.end()


# --- on the way to the collector -------------------------------------------------------------------------------------


class _Pipe(SpanExporter):
    """Between the SDK's queue and the exporter: counts what goes through and what is lost, speaks up once a loss.

    `put` is called by the loop, `export` by the SDK's thread; each counts in a number of its own, so no lock is needed.
    """

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics
        self._put = 0
        self._taken = 0
        self._failing = False
        self._down = False
        # The OTLP exporter logs every failed try; this logs that it fails, once, and counts.
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
        # Made now: a counter that two threads make at a time would be made twice.
        metrics.count(EXPORTED, 0)
        for reason in ("full", "export"):
            metrics.count(DROPPED, 0, reason=reason)

    @property
    def waiting(self) -> int:
        return self._put - self._taken

    def put(self) -> None:
        self._put += 1

    def dropped(self, reason: str, spans: int) -> None:
        self._metrics.count(DROPPED, spans, reason=reason)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._taken += len(spans)
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._metrics.count(EXPORTED, len(spans))
            if self._failing:
                self._failing = False
                _log.info("tracing.export_recovered")
        else:
            self.dropped("export", len(spans))
            if not self._failing:
                self._failing = True
                _log.warning("tracing.export_failed", spans=len(spans))
        return result

    def shutdown(self) -> None:
        if not self._down:
            self._down = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Bounded(BatchSpanProcessor):
    """The SDK's batch processor, with a limit that counts what it drops and never writes a log line for each."""

    def __init__(self, pipe: _Pipe, queue: int | None, pause: timedelta | None) -> None:
        asked = os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE, "")
        self._limit = queue or (int(asked) if asked.isdigit() and int(asked) > 0 else _QUEUE)
        self._pipe = pipe
        super().__init__(
            pipe,
            max_queue_size=self._limit,
            max_export_batch_size=min(512, queue) if queue else None,
            schedule_delay_millis=None if pause is None else max(1.0, pause.total_seconds() * 1000),
        )

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        if self._pipe.waiting >= self._limit:
            self._pipe.dropped("full", 1)
            return
        self._pipe.put()
        super().on_end(span)


__all__ = ["DROPPED", "EXPORTED", "FLUSH", "OpenTelemetryTracing"]
