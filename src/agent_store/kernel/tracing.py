"""The `Tracing` port: spans of one trace that goes through the whole store, from a webhook to the reply.

A span is named by its W3C `traceparent`, the same string that travels in an event's envelope: what a handler emits
carries the traceparent of that handler's span, so whoever handles the event goes on in the same trace, in any process.
The default traces nothing and costs a fraction of a microsecond; `adapters.telemetry.tracing` gives spans to a collector.

No personal data in names and attributes: ids, types, counts, codes; never a text, a name or a phone number.
Names of attributes: OpenTelemetry's semantic conventions (messaging, gen_ai, http) where they have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import TracebackType
from typing import Literal, Protocol, Self

from agent_store.kernel.errors import StoreError
from agent_store.kernel.event import Envelope

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool


class Here:
    """The span that a task is in. Tasks that begin inside inherit it, and long-lived ones outlive it: `open` tells."""

    __slots__ = ("open", "traceparent")

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent
        self.open = True


here: ContextVar[Here | None] = ContextVar("agent_store_span", default=None)
"""For implementations of `Tracing`: what `current` looks at."""


class Span(Protocol):
    """A timed piece of work: `with tracing.span(…) as span:`. Spans that begin inside, in the same task, are its children.

    An exception that leaves the block marks it as failed with the error's code (its class, when it is none of ours) and
    goes on; the exception's message is never written down.
    """

    @property
    def traceparent(self) -> str | None:
        """What a message, a request or an event that comes of this work carries. None when nothing is traced."""
        ...

    def set(self, name: str, value: Value) -> None: ...

    def rename(self, name: str) -> None:
        """For work whose kind is known only afterwards (a request's route)."""
        ...

    def fail(self, code: str) -> None:
        """Mark it as failed though no exception leaves it."""
        ...

    def discard(self) -> None:
        """Forget it: it is not told to anybody."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Tracing(Protocol):
    @property
    def on(self) -> bool:
        """False: every span is nothing, so attributes need not even be gathered."""
        ...

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
        """A span that begins when its block is entered. `parent` and `links` are traceparents; without a parent it is
        a child of the task's current span, and else begins a trace. A malformed traceparent counts as none."""
        ...

    async def close(self) -> None:
        """Send what waits, for a bounded time; no span may begin after that."""
        ...


class _Nothing:
    __slots__ = ()

    @property
    def traceparent(self) -> None:
        return None

    def set(self, name: str, value: Value) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, code: str) -> None:
        pass

    def discard(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


NOTHING: Span = _Nothing()


class NoTracing:
    """The default: nobody looks."""

    on = False

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
        return NOTHING

    async def close(self) -> None:
        pass


OFF: Tracing = NoTracing()


def current() -> str | None:
    """The traceparent of the span that this task is in; None outside of any, or when nothing is traced."""
    span = here.get()
    return span.traceparent if span is not None and span.open else None


def code_of(error: BaseException) -> str:
    """What may be written down of an error: our stable code, else its class."""
    if isinstance(error, StoreError):
        return error.code
    return "timeout" if isinstance(error, TimeoutError) else type(error).__name__


def within(event: Envelope, span: Span) -> Envelope:
    """The event as a handler inside of `span` sees it: what it emits and calls is the span's child."""
    inside = span.traceparent
    return event if inside is None else replace(event, traceparent=inside)


# --- the spans that the kernel begins, in one place, so that they are named alike in every process ----------------------


def handling(tracing: Tracing, consumer: str, event: Envelope, *, attempt: int = 1) -> Span:
    """One try of one consumer at one event: a child of the span that has emitted it."""
    if not tracing.on:
        return NOTHING
    attributes: dict[str, Value] = {
        "messaging.system": "agent_store",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": event.type,
        "messaging.consumer.group.name": consumer,
        "messaging.message.id": event.id,
        "cloudevents.event_source": event.source,
        "agent_store.attempt": attempt,
    }
    if event.correlationid:
        attributes["messaging.message.conversation_id"] = event.correlationid
    if event.brand:
        attributes["agent_store.brand"] = event.brand
    if event.channel:
        attributes["agent_store.channel"] = event.channel
    return tracing.span(
        f"process {event.type}",
        kind="consumer",
        parent=event.traceparent,
        tracestate=event.tracestate,
        attributes=attributes,
    )


def creating(tracing: Tracing, event_type: str, consumer: str, *, parent: str | None = None) -> Span:
    """An event that no handling emits: an API's, a schedule's, a command line's."""
    if not tracing.on:
        return NOTHING
    attributes: dict[str, Value] = {
        "messaging.system": "agent_store",
        "messaging.operation.name": "create",
        "messaging.operation.type": "create",
        "messaging.destination.name": event_type,
        "agent_store.consumer": consumer,
    }
    return tracing.span(f"create {event_type}", kind="producer", parent=parent, attributes=attributes)


def committing(tracing: Tracing, consumer: str) -> Span:
    """A transaction that no event has begun: how a webhook puts its delivery in."""
    if not tracing.on:
        return NOTHING
    return tracing.span(f"commit {consumer}", attributes={"agent_store.consumer": consumer})


def sending(tracing: Tracing, event: Envelope, system: str) -> Span:
    """One event on its way to a broker (`rabbitmq`, `knative`): a child of the span that has emitted it."""
    if not tracing.on:
        return NOTHING
    attributes: dict[str, Value] = {
        "messaging.system": system,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": event.type,
        "messaging.message.id": event.id,
    }
    return tracing.span(
        f"send {event.type}",
        kind="producer",
        parent=event.traceparent,
        tracestate=event.tracestate,
        attributes=attributes,
    )


def stepping(tracing: Tracing, name: str, kind: Literal["step", "write"]) -> Span:
    """A journaled step of a process. Numbers in its name (`think:3`) are an attribute only: spans are grouped by name."""
    if not tracing.on:
        return NOTHING
    return tracing.span(f"{kind} {name.partition(':')[0].rstrip(' 0123456789')}", attributes={"agent_store.step": name})


def serving(tracing: Tracing, tool: str, consumer: str, mode: str, *, parent: str | None = None) -> Span:
    """A tool call where the tool is; without a parent a child of the task's current span."""
    if not tracing.on:
        return NOTHING
    return tracing.span(
        f"tool {tool}",
        parent=parent,
        attributes={"agent_store.tool": tool, "agent_store.tool.mode": mode, "agent_store.consumer": consumer},
    )


def calling(tracing: Tracing, tool: str, *, parent: str | None = None) -> Span:
    """A tool call to another process. Its traceparent goes into the request."""
    if not tracing.on:
        return NOTHING
    return tracing.span(f"call {tool}", kind="client", parent=parent, attributes={"agent_store.tool": tool})
