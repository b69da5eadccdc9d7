"""Ports with a span and a figure around each call: the brain, the Graph API, a bus, an ASGI application.

None of what they wrap knows of it. No text, name, phone number or path with an id goes into a span.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.kernel import tracing as spans
from agent_store.kernel.brain import Brain, BrainAnswer, BrainRequest
from agent_store.kernel.bus import Bus, Intake
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.tracing import NOTHING, Span, Tracing, Value, code_of

if TYPE_CHECKING:
    from agent_store.agents.whatsapp.ports import WhatsAppApi

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class ObservedBrain:
    """Source of the attributes' names: OpenTelemetry semantic conventions for generative AI, "Inference" spans."""

    def __init__(self, brain: Brain, tracing: Tracing, metrics: Metrics) -> None:
        self._brain = brain
        self._tracing = tracing
        self._metrics = metrics
        provider, _, model = brain.name.partition(":")
        self._attributes: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model or provider,
        }
        self._title = f"chat {model or provider}"

    @property
    def name(self) -> str:
        return self._brain.name

    @property
    def wants_history(self) -> bool:
        return self._brain.wants_history

    async def think(self, request: BrainRequest) -> BrainAnswer:
        outcome = "cancelled"  # the seller's time was over
        with self._span(request) as span:
            try:
                answer = await self._brain.think(request)
                outcome = "ok"
            except Exception as error:
                outcome = code_of(error)
                raise
            finally:
                self._metrics.count("model_calls", brain=self.name, outcome=outcome)
            tokens = answer.usage
            span.set("gen_ai.usage.input_tokens", tokens.input_tokens)
            span.set("gen_ai.usage.output_tokens", tokens.output_tokens)
            span.set("agent_store.tool_calls", len(answer.tool_calls))
            span.set("agent_store.understood", answer.understood)
            self._metrics.count("model_tokens", tokens.input_tokens, brain=self.name, kind="input")
            self._metrics.count("model_tokens", tokens.output_tokens, brain=self.name, kind="output")
            return answer

    def _span(self, request: BrainRequest) -> Span:
        if not self._tracing.on:
            return NOTHING
        attributes = {**self._attributes, "agent_store.brand": request.brand, "agent_store.round": len(request.steps)}
        return self._tracing.span(self._title, kind="client", attributes=attributes)

    async def close(self) -> None:
        await self._brain.close()


class TracedWhatsApp:
    """The Graph API. The number and the message stay out of the span; its kind (text, image, interactive) is told."""

    def __init__(self, api: WhatsAppApi, tracing: Tracing, graph_url: str) -> None:
        self._api = api
        self._tracing = tracing
        address = urlsplit(graph_url)
        self._attributes: dict[str, Value] = {
            "http.request.method": "POST",
            "server.address": address.hostname or "",
            "server.port": address.port or (443 if address.scheme == "https" else 80),
            "url.template": "/{version}/{phone_number_id}/messages",
        }

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        if not self._tracing.on:
            return await self._api.send(phone_number_id, payload)
        attributes = {**self._attributes, "agent_store.whatsapp.kind": str(payload.get("type", ""))}
        with self._tracing.span("POST /messages", kind="client", attributes=attributes) as span:
            wamid = await self._api.send(phone_number_id, payload)
            span.set("agent_store.whatsapp.accepted", True)
            return wamid

    async def show_seen(self, phone_number_id: str, payload: Mapping[str, Any]) -> None:
        attributes = {**self._attributes, "agent_store.whatsapp.kind": "read"}
        with self._tracing.span("POST /messages", kind="client", attributes=attributes):
            await self._api.show_seen(phone_number_id, payload)


class ObservedBus:
    """A span for each event that a broker has confirmed, in the trace of what has emitted it, and the seconds of every publishing.

    `system`: rabbitmq or knative, as in `messaging.system`.
    """

    def __init__(self, bus: Bus, tracing: Tracing, metrics: PrometheusMetrics, *, system: str) -> None:
        self._bus = bus
        self._tracing = tracing
        self._metrics = metrics
        self._system = system

    async def start(self, intake: Intake, consumers: Sequence[Consumer]) -> None:
        await self._bus.start(intake, consumers)

    @property
    def listening(self) -> bool:
        return self._bus.listening

    @property
    def healthy(self) -> bool:
        return self._bus.healthy

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        sending = [spans.sending(self._tracing, event, self._system) for event in events] if self._tracing.on else ()
        started = time.perf_counter()
        for span in sending:
            span.__enter__()
        confirmed: list[bool] = []
        try:
            confirmed = await self._bus.publish(events)
        finally:
            # The last that was entered ends first: each gives back what was current before it.
            for position, span in reversed(list(enumerate(sending))):
                if position >= len(confirmed) or not confirmed[position]:
                    span.discard()  # it is sent again, every few seconds while the broker is away
                span.__exit__(None, None, None)
            taken = sum(confirmed)
            self._metrics.published(self._system, taken, len(events) - taken, time.perf_counter() - started)
        return confirmed

    async def redeliver(self, consumer: str, event: Envelope) -> bool:
        with spans.sending(self._tracing, event, self._system) as span:
            span.set("messaging.consumer.group.name", consumer)
            taken = await self._bus.redeliver(consumer, event)
            if not taken:
                span.fail("refused")
            return taken

    async def add(self, consumer: Consumer) -> None:
        await self._bus.add(consumer)

    async def remove(self, name: str) -> None:
        await self._bus.remove(name)

    async def drain(self) -> None:
        await self._bus.drain()

    async def stop(self) -> None:
        await self._bus.stop()


_QUIET = ("/healthz", "/readyz", "/metrics", "/_nicegui", "/favicon.ico", "/tools/", "/mcp")
"""What begins so has no span of its own: nobody's work, or (a tool call) a span that is made where its caller is known."""
_INTAKE = frozenset({"/", "/events"})
"""Where a broker brings events: the handling of an event is a span, in the trace that the event carries."""


class TracedHttp:
    """A span a request, named by its route. Around the outermost application.

    `inherits(scope)` says whose `traceparent` is believed: of callers that are the store's own processes or its staff.
    Anybody else begins a trace: a stranger can neither join one nor force one to be kept.
    Source of the names: OpenTelemetry semantic conventions for HTTP, "HTTP server" spans.
    """

    def __init__(self, app: AsgiApp, tracing: Tracing, *, inherits: Callable[[Scope], bool] | None = None) -> None:
        self._app = app
        self._tracing = tracing
        self._inherits = inherits or _nobody

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._tracing.on or _is_quiet(scope):
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        parent, state = _context(scope) if self._inherits(scope) else (None, None)
        attributes: dict[str, Value] = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        with self._tracing.span(method, kind="server", parent=parent, tracestate=state, attributes=attributes) as span:

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status: int = message["status"]
                    span.set("http.response.status_code", status)
                    if status >= 500:
                        span.fail(str(status))
                await send(message)

            try:
                await self._app(scope, receive, answer)
            finally:
                route = _route(scope)
                if route is not None:
                    span.rename(f"{method} {route}")
                    span.set("http.route", route)


def _is_quiet(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith(_QUIET) or (path in _INTAKE and scope["method"] == "POST")


def _nobody(scope: Scope) -> bool:
    return False


def _context(scope: Scope) -> tuple[str | None, str | None]:
    parent = state = None
    for name, value in scope["headers"]:
        if name == b"traceparent":
            parent = value.decode("latin-1")
        elif name == b"tracestate":
            state = value.decode("latin-1")
    return parent, state


def _route(scope: Scope) -> str | None:
    """The route's pattern (`/api/orders/{number}`), never the path with its ids."""
    route = scope.get("route")
    pattern = getattr(route, "path", None)
    if isinstance(pattern, str) and pattern:
        return pattern
    return scope["path"] if scope["path"] in _PLAIN else None


_PLAIN = frozenset({"/webhooks/whatsapp", "/"})
"""Paths that are their own patterns, served before any router looks."""


__all__ = ["AsgiApp", "ObservedBrain", "ObservedBus", "TracedHttp", "TracedWhatsApp"]
