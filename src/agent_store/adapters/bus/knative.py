"""The Knative bus: events go to the Broker's ingress by HTTP, and come as requests of a Trigger's dispatcher.

A broker takes most 4xx answers for success and drops the event. So a 2xx says "done, or kept by us", a 503 "try
again", and a 4xx is for what is nobody's loss: a stranger's event. The requests of `redeliver` come past the broker,
to the same door.

Source: CloudEvents HTTP binding 1.0.2; Knative "Event delivery"; eventing-rabbitmq 1.21, `cmd/ingress` and `pkg/dispatcher`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, quote

import structlog

from agent_store.adapters.bus.posting import Poster, Target
from agent_store.adapters.services import Service
from agent_store.kernel import cloudevents
from agent_store.kernel.bus import DeadDelivery, Intake, KeepDead
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import BadEvent, InvalidInput, PermanentError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics, NoMetrics
from agent_store.kernel.signing import ATTRIBUTE, BadSignature, Signer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST = 10 * 1024 * 1024
"""Bytes of a request's body: what the ingress takes too."""
EVENT_PATHS = frozenset({"/", "/events"})
DEAD_PATH = "/dead-letters"

_log = structlog.get_logger("agent_store.knative")
_RETRIED = frozenset({404, 408, 425, 429})
"""Beside 5xx. 404 too: what a route says that is not there yet."""
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 1.0
_OURS = frozenset((
    "specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype", "data", "topic", "brand",
    "channel", "partitionkey", "sequence", "correlationid", "causationid", "traceparent", "tracestate", ATTRIBUTE,
))  # fmt: skip
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Addresses(Protocol):
    """Where consumers are: `adapters.services.Services`."""

    def url_of_consumer(self, name: str) -> str | None: ...


class Subscribers(Protocol):
    """Whose address it is: `adapters.services.Services`."""

    def at(self, url: str) -> Service | None: ...


def read_overrides(text: str | None) -> dict[str, str]:
    """The extensions of `K_CE_OVERRIDES`, as a SinkBinding sets it: `{"extensions": {"name": "value"}}`.

    Raises InvalidInput for what is no such thing, and for attributes that the store sets and signs itself.
    """
    if not text or not text.strip():
        return {}
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"K_CE_OVERRIDES is no JSON: {error}") from error
    extensions: object = (cast("dict[str, Any]", value).get("extensions") or {}) if isinstance(value, dict) else None
    if not isinstance(extensions, dict):
        raise InvalidInput('K_CE_OVERRIDES: {"extensions": {"name": "value"}} is expected')
    found: dict[str, str] = {}
    for name, content in cast("dict[str, object]", extensions).items():
        if name in _OURS:
            raise InvalidInput(f"K_CE_OVERRIDES: {name} is set by the store itself and cannot be overridden")
        if not (name.isascii() and name.isalnum() and name == name.lower()):
            raise InvalidInput(f"K_CE_OVERRIDES: {name!r} is no attribute name: lower-case letters and digits only")
        if not isinstance(content, str) or not content.isprintable():
            raise InvalidInput(f"K_CE_OVERRIDES: {name}: a text on one line is expected")
        found[name] = content
    return found


def read_trust(text: str | None) -> ssl.SSLContext | None:
    """What `K_CA_CERTS` says is to be trusted beside the system's own (PEM), as a SinkBinding sets it. Raises InvalidInput."""
    if not text or not text.strip():
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(f"K_CA_CERTS holds no certificates in PEM: {error}") from error
    return context


class KnativeBus:
    """See `kernel.bus.Bus`. Mount `KnativeIntake(bus)` where the Trigger's subscriber address leads."""

    def __init__(
        self,
        sink: str,
        *,
        signer: Signer,
        addresses: Addresses,
        dead: KeepDead,
        answer_within: timedelta = timedelta(seconds=50),
        publish_timeout: timedelta = timedelta(seconds=5),
        concurrency: int = 32,
        overrides: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """`sink`: K_SINK, the Broker's ingress. `dead` keeps events that cannot be read.

        `answer_within`: how long a dispatcher's request stays open for a handling; less than the `delivery.timeout`
        of the Broker, which is less than the service's own time-out. `publish_timeout` bounds a whole `publish`.
        `concurrency`: requests to the ingress at the same time. `overrides`: see `read_overrides`. `tls`: what to trust
        when `sink` is https (the Broker's CA).
        """
        self._target = Target.of(sink)
        self._signer = signer
        self._addresses = addresses
        self._publish_timeout = publish_timeout.total_seconds()
        self._concurrency = concurrency
        self._overrides = dict(overrides or {})
        self._poster = Poster(concurrency=concurrency, tls=tls)
        self._direct = Poster(concurrency=concurrency, tls=tls)
        """Apart: a consumer that hangs holds up no publishing."""
        self._away = False
        self._intake: Intake | None = None
        self._draining = False
        self._handlings: set[asyncio.Task[None]] = set()
        self.dead = dead
        self.answer_within = answer_within.total_seconds()
        self.clock = clock or SystemClock()
        self.metrics = metrics or NoMetrics()

    # --- life --------------------------------------------------------------------------------------------------

    @property
    def listening(self) -> bool:
        """Its Triggers are the operator's to look after."""
        return True

    @property
    def healthy(self) -> bool:
        """It has no tasks of its own that could end."""
        return True

    async def start(self, intake: Intake, consumers: Sequence[Consumer]) -> None:
        """Nothing to declare: Triggers are the operator's. Requests are taken from now on."""
        self._intake, self._draining = intake, False

    async def add(self, consumer: Consumer) -> None:
        """Its Trigger brings its events here; until that is ready they are nobody's (the operator waits for it)."""

    async def remove(self, name: str) -> None: ...

    async def drain(self) -> None:
        """New requests are answered 503, on connections that close, so that the dispatcher turns to another pod."""
        self._draining = True

    async def stop(self) -> None:
        self._draining, self._intake = True, None
        self._poster.close()
        self._direct.close()

    @property
    def open(self) -> int:
        """Handlings that came in by request and have not ended."""
        return len(self._handlings)

    # --- out ---------------------------------------------------------------------------------------------------

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        """One request an event, as many at a time as `concurrency`. True on a 2xx."""
        deadline = asyncio.get_running_loop().time() + self._publish_timeout
        answers = [False] * len(events)
        waiting = iter(enumerate(events))
        if len(events) <= 1:
            await self._publish_all(waiting, answers, deadline)
        else:
            workers = min(self._concurrency, len(events))
            await asyncio.gather(*(self._publish_all(waiting, answers, deadline) for _ in range(workers)))
        return answers

    async def _publish_all(self, waiting: Iterator[tuple[int, Envelope]], answers: list[bool], deadline: float) -> None:
        for index, event in waiting:
            try:
                head = self._head(event, self._overrides)
            except ValueError as error:
                self._refused(event, f"it cannot be written as HTTP headers: {error}")
                continue
            answers[index] = await self._publish_one(event, head, deadline)

    async def _publish_one(self, event: Envelope, head: bytes, deadline: float) -> bool:
        now = asyncio.get_running_loop().time
        attempt = 0
        while (begun := now()) < deadline:
            # Half of the time at most: a replica that hangs on a kept connection leaves some for a second try.
            limit = min(deadline, begun + self._publish_timeout / 2)
            hint = None
            try:
                async with asyncio.timeout_at(limit):
                    answer = await self._poster.post(self._target, head, event.data)
            except TimeoutError:
                reason = "no answer in time"
            except OSError as error:
                reason = str(error) or type(error).__name__
            else:
                if 200 <= answer.status < 300:
                    self._is_back()
                    return True
                if answer.status < 500 and answer.status not in _RETRIED:
                    self._refused(event, f"the ingress answered {answer.status}")
                    return False
                reason, hint = f"the ingress answered {answer.status}", answer.retry_after
            delay = min(_FIRST_DELAY * 2**attempt, _LONGEST_DELAY) * (0.5 + random.random() / 2)
            delay = delay if hint is None else max(delay, hint)
            attempt += 1
            if now() + delay >= deadline:
                self._is_away(reason)
                return False
            await asyncio.sleep(delay)
        self._is_away("no time was left")
        return False

    def _is_away(self, reason: str) -> None:
        self.metrics.count("knative_publish_failed")
        if not self._away:
            self._away = True
            _log.warning("knative.sink_away", sink=self._target.authority, reason=reason)

    def _is_back(self) -> None:
        if self._away:
            self._away = False
            _log.info("knative.sink_back", sink=self._target.authority)

    def _refused(self, event: Envelope, reason: str) -> None:
        """It will be no better next time: somebody has to look."""
        self.metrics.count("knative_publish_refused")
        _log.error("knative.refused", id=event.id, type=event.type, reason=reason)

    def _head(self, event: Envelope, overrides: Mapping[str, str]) -> bytes:
        """Binary mode. Trace context goes as HTTP headers too: the broker loses the attributes, and keeps these."""
        if overrides:
            event = replace(event, extensions={**event.extensions, **overrides})
        headers = cloudevents.to_headers(event)
        headers[f"ce-{ATTRIBUTE}"] = self._signer.signature(event)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        for name, value in (("traceparent", event.traceparent), ("tracestate", event.tracestate)):
            if value is not None and value.isascii() and value.isprintable():
                lines.append(f"{name}: {value}\r\n")
        return "".join(lines).encode()

    async def redeliver(self, consumer: str, event: Envelope) -> bool:
        """True when the consumer's own process has handled it. Bounded by `answer_within` and a little; one try."""
        url = self._addresses.url_of_consumer(consumer)
        if url is None:
            self.metrics.count("knative_no_address")
            _log.warning("knative.no_address", consumer=consumer, id=event.id)
            return False
        try:
            target = Target.of(f"{url}/events?consumer={quote(consumer, safe='')}")
            head = self._head(event, {})
        except (ValueError, InvalidInput) as error:
            self._refused(event, f"it cannot be sent to {consumer}: {error}")
            return False
        try:
            async with asyncio.timeout(self.answer_within + self._publish_timeout):
                answer = await self._direct.post(target, head, event.data)
        except (OSError, TimeoutError) as error:
            _log.warning("knative.redelivery_failed", consumer=consumer, id=event.id, reason=str(error))
            return False
        if not 200 <= answer.status < 300:
            _log.warning("knative.redelivery_failed", consumer=consumer, id=event.id, reason=f"HTTP {answer.status}")
            return False
        return True

    # --- in ----------------------------------------------------------------------------------------------------

    def check(self, event: Envelope) -> None:
        """Raises BadSignature."""
        try:
            self._signer.check(event)
        except BadSignature as error:
            self.metrics.count("bad_signature")
            _log.warning(
                "knative.bad_signature", id=event.id, type=event.type, source=event.source, reason=error.message
            )
            raise

    async def take(self, events: Sequence[Envelope], consumer: str | None) -> None:
        """Returns when all have been handled. What has begun goes on, even when the caller has gone or time is up.

        Raises TemporaryError when it is to be delivered again.
        """
        intake = self._intake
        if intake is None or self._draining:
            raise _closed()
        tasks: list[asyncio.Task[None]] = []
        for event in events:
            task = asyncio.create_task(intake.receive(event, consumer=consumer, until="handled"))
            self._handlings.add(task)
            task.add_done_callback(self._ended)
            tasks.append(task)
        if not tasks:
            return
        # `wait` and not `wait_for`: neither its time-out nor a cancelled request cancels the handlings.
        _, late = await asyncio.wait(tasks, timeout=self.answer_within)
        if late:
            self.metrics.count("knative_answer_late", len(late))
            for task in late:
                task.add_done_callback(_say_why)
            raise TemporaryError("the handling goes on; deliver it again to hear how it ended", code="late")
        for task in tasks:
            task.result()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._handlings.discard(task)
        if not task.cancelled():
            task.exception()  # `take` raises it

    @property
    def closed(self) -> bool:
        """Not begun yet, or draining."""
        return self._draining or self._intake is None


def _closed() -> TemporaryError:
    return TemporaryError("this process takes no events now: deliver it again", code="draining")


def _say_why(task: asyncio.Task[None]) -> None:
    """Of a handling that failed when nobody waited for it any more; the broker delivers it again."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, TemporaryError):
        _log.error("knative.handling_failed", exc_info=error)


class _TooLarge(PermanentError):
    code = "too-large"
    status = 413


class _Gone(Exception):
    """The caller went away before its request's end."""


class KnativeIntake:
    """The ASGI application behind the address that Triggers (and the steward) send events to: `POST /`, `POST /events`.

    | what comes | answer |
    |---|---|
    | handled, a duplicate, kept as a dead letter, heard by nobody | 202 without a body |
    | may work later, takes longer than `answer_within`, the process drains | 503 and Retry-After |
    | says that it is a CloudEvent and can't be read | kept by `dead`, 202 |
    | a bad signature | 403 (the broker drops it; ours are recovered by the steward's reconciliation) |
    | no CloudEvent at all | 415: no broker sends that |
    | over 10 MB | 413 |
    """

    def __init__(self, bus: KnativeBus) -> None:
        self._bus = bus

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(self._answer, self._bus, scope, receive, send)

    async def _answer(self, scope: Scope, headers: dict[str, str], body: bytes) -> None:
        bus = self._bus
        events = await _read(bus, headers, body, "an event that came in cannot be read")
        if events is None:
            return
        for event in events:
            bus.check(event)
        consumer = None
        if scope["query_string"]:
            consumer = parse_qs(scope["query_string"].decode("latin-1")).get("consumer", [None])[0]
        await bus.take(events, consumer)


class DeadLetterSink:
    """The ASGI application behind the Broker's dead-letter sink: `POST /dead-letters`.

    2xx only when `dead` has returned. The dead-letter queue's dispatcher drops what is answered otherwise for long, so
    the process behind it is always up.
    """

    def __init__(self, bus: KnativeBus, subscribers: Subscribers) -> None:
        self._bus = bus
        self._subscribers = subscribers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(self._answer, self._bus, scope, receive, send)

    async def _answer(self, scope: Scope, headers: dict[str, str], body: bytes) -> None:
        events = await _read(self._bus, headers, body, "an event that died cannot be read")
        for event in events or ():
            self._bus.check(event)
        for event in events or ():
            await self._bus.dead(self._dead(event, headers, body))

    def _dead(self, event: Envelope, headers: Mapping[str, str], body: bytes) -> DeadDelivery:
        destination = event.extensions.get("knativeerrordest")
        said = event.extensions.get("knativeerrorcode", "")
        code = int(said) if said.lstrip("-").isdecimal() and len(said) < 9 else None
        service = self._subscribers.at(destination) if destination is not None else None
        consumers = service.consumers if service is not None else ()
        if destination is not None:
            named = parse_qs(destination.partition("?")[2]).get("consumer", [])
            consumers = tuple(name for name in consumers if name in named) if named else consumers
        if code is None:
            reason = "the broker could not deliver it"
        elif code < 0:
            reason = f"{destination or 'its subscriber'} gave no answer in time, or none at all"
        else:
            reason = f"{destination or 'its subscriber'} answered {code}"
        if detail := event.extensions.get("knativeerrordata"):
            reason += f": {detail[:500]}"
        return DeadDelivery(
            event, reason, body, _kept(headers), service.name if service is not None else None, consumers, code
        )


# --- HTTP, for both ------------------------------------------------------------------------------------------------

_NO_LENGTH = (b"content-length", b"0")
_DONE: Message = {"type": "http.response.start", "status": 202, "headers": [_NO_LENGTH]}
_NO_BODY: Message = {"type": "http.response.body", "body": b""}


async def _serve(
    answer: Callable[[Scope, dict[str, str], bytes], Awaitable[None]],
    bus: KnativeBus,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    if scope["type"] != "http":
        raise RuntimeError(f"events come by HTTP, not by {scope['type']}")
    if scope["method"] != "POST":
        await _refuse(send, 405, [(b"allow", b"POST")])
        return
    try:
        if bus.closed:
            raise _closed()
        await answer(scope, _headers(scope), await _body(scope, receive))
    except _Gone:
        return
    except TemporaryError as error:
        wait = error.retry_after.total_seconds() if error.retry_after is not None else 1.0
        more = [(b"retry-after", str(max(1, ceil(wait))).encode())]
        if bus.closed:
            more.append((b"connection", b"close"))
        await _refuse(send, 503, more)
    except (BadSignature, _TooLarge, _NoEvent) as error:
        bus.metrics.count("event_refused", reason=error.code)
        await _refuse(send, error.status, [(b"connection", b"close")])
    else:
        await send(_DONE)
        await send(_NO_BODY)


async def _refuse(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [_NO_LENGTH, *headers]})
    await send(_NO_BODY)


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case name. UTF-8 where it is: a broker may pass attributes of others on as they came."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        try:
            found[name.decode("latin-1")] = value.decode()
        except UnicodeDecodeError:
            found[name.decode("latin-1")] = value.decode("latin-1")
    return found


async def _body(scope: Scope, receive: Receive) -> bytes:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > 12 or int(value) > LARGEST):
            raise _TooLarge(f"an event has at most {LARGEST} bytes")
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST:
            raise _TooLarge(f"an event has at most {LARGEST} bytes")
        more = message.get("more_body", False)
    return b"".join(parts)


class _NoEvent(PermanentError):
    code = "no-event"
    status = 415


def _claims_to_be_an_event(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("application/cloudevents") or any(
        name.startswith("ce-") for name in headers
    )


async def _read(bus: KnativeBus, headers: dict[str, str], body: bytes, said: str) -> list[Envelope] | None:
    """The request's events; None when it could not be read and has been kept."""
    if not _claims_to_be_an_event(headers):
        raise _NoEvent("no CloudEvent: neither ce- headers nor a content type of CloudEvents")
    try:
        events = cloudevents.from_http(headers, body, now=bus.clock.now())
    except BadEvent as error:
        bus.metrics.count("unreadable_event")
        _log.error("knative.unreadable", reason=error.message)
        await bus.dead(DeadDelivery(None, f"{said}: {error.message}", body, _kept(headers)))
        return None
    parent, state = headers.get("traceparent"), headers.get("tracestate")
    if parent is None or len(events) != 1 or events[0].traceparent is not None or not _TRACEPARENT.fullmatch(parent):
        return events
    return [replace(events[0], traceparent=parent, tracestate=state or None)]


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The event's own headers: no cookie or token of a caller is kept."""
    return {
        name: value
        for name, value in headers.items()
        if name.startswith("ce-") or name in ("content-type", "traceparent", "tracestate")
    }
