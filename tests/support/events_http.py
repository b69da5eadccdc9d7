"""What the tests of the Knative bus share: events, a fake intake, an ASGI call without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from agent_store.adapters.services import Service
from agent_store.kernel import cloudevents
from agent_store.kernel.bus import DeadDelivery, Until
from agent_store.kernel.event import Envelope
from agent_store.kernel.signing import Signer

NOW = datetime(2026, 1, 5, 12, 0, 0, 250000, tzinfo=UTC)
SIGNER = Signer([("k1", b"a secret of thirty-two bytes ....")])
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def event(id: str = "1", **changes: Any) -> Envelope:
    values: dict[str, Any] = {
        "source": "/agent-store/orders", "type": "store.order.confirmed", "time": NOW, "data": b'{"order_id":"o1"}',
        "subject": "o1", "topic": "order", "partitionkey": "c1",
    }  # fmt: skip
    return Envelope(id=id, **{**values, **changes})


class FakeIntake:
    """Takes what comes; `handle` is called for each event."""

    def __init__(self, handle: Callable[[Envelope], Awaitable[None]] | None = None) -> None:
        self.received: list[Envelope] = []
        self.calls: list[tuple[str, str | None, Until]] = []
        self.handled: list[str] = []
        self._handle = handle

    async def receive(self, event: Envelope, *, consumer: str | None = None, until: Until = "recorded") -> None:
        self.received.append(event)
        self.calls.append((event.id, consumer, until))
        if self._handle is not None:
            await self._handle(event)
        self.handled.append(event.id)

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.received]


class FakeServices:
    def __init__(self, urls: Mapping[str, str] | None = None) -> None:
        self.urls = dict(urls or {})

    def url_of_consumer(self, name: str) -> str | None:
        return self.urls.get(name)

    def at(self, url: str) -> Service | None:
        found = tuple(name for name, base in self.urls.items() if url.startswith(base))
        return Service("shop", self.urls[found[0]], found, self.urls[found[0]]) if found else None


class Graveyard:
    """A `dead` callback that keeps what it is given; `trouble` is raised instead."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.kept: list[DeadDelivery] = []
        self.trouble = trouble

    async def __call__(self, delivery: DeadDelivery) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.kept.append(delivery)


class CountedMetrics:
    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    def received(self, consumer: str, type: str) -> None: ...

    def handled(self, consumer: str, type: str, outcome: str, seconds: float) -> None: ...

    def tool_called(self, tool: str, outcome: str, seconds: float) -> None: ...

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        key = " ".join((name, *(f"{label}={labels[label]}" for label in sorted(labels))))
        self.counted[key] = self.counted.get(key, 0) + amount


class Answered:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""


def signed(value: Envelope) -> tuple[dict[str, str], bytes]:
    """Headers and body of the binary mode."""
    value = SIGNER.sign(value)
    return cloudevents.to_headers(value), value.data


async def call(
    app: Callable[..., Awaitable[None]],
    headers: Mapping[str, str],
    body: bytes | list[bytes],
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    breaks_off: bool = False,
    encoding: str = "utf-8",
) -> Answered:
    """One request. A list is a body in pieces; `breaks_off`: the caller goes away after them."""
    pieces = [body] if isinstance(body, bytes) else body
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": breaks_off or index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    ]
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode(encoding)) for name, value in headers.items()],
    }  # fmt: skip
    answer = Answered()

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message["body"]

    await app(scope, receive, send)
    return answer


class Script:
    """A server on loopback that answers each request with the next of its raw answers.

    An answer: bytes; None to close without a word; an Event to wait for before a 202.
    """

    def __init__(self, *answers: bytes | asyncio.Event | None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Script:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def say(self, words: bytes) -> None:
        """Write to all that are connected."""
        for writer in self._writers:
            writer.write(words)

    def drop(self) -> None:
        """Close what is open."""
        for writer in self._writers:
            writer.close()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks.add(asyncio.create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")
                )
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if self.answers else ACCEPTED
                if isinstance(answer, asyncio.Event):
                    await answer.wait()
                    answer = ACCEPTED
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer or b"content-length" not in answer.replace(
                    b"chunked", b"content-length"
                ):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
