"""A collector of traces on loopback: takes OTLP over HTTP (protobuf) and keeps the spans that it was sent."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """Ids in hex; `parent` is empty for the first of a trace; `kind` like "CONSUMER"; `error` the status's code."""

    trace: str
    id: str
    parent: str
    name: str
    kind: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    error: str | None
    links: tuple[str, ...] = ()


@dataclass
class Collector:
    """`async with Collector() as collector:`; `status` is what it answers; `answer` cleared holds every request open."""

    status: int = 200
    spans: list[Span] = field(default_factory=list)
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self._more = asyncio.Condition()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Collector:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.answers.set()
        self._server.close()
        for writer in self._connections.values():
            writer.close()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._connections[task] = writer
        try:
            while head := await _head(reader):
                line, headers = head
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests += 1
                self.headers = headers
                await self.answers.wait()
                status = self.status if line.startswith("POST /v1/traces ") else 404
                if status == 200:
                    self._take(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
                writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
                async with self._more:
                    self._more.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the exporter has gone
        finally:
            writer.close()
            self._connections.pop(task, None)

    def _take(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {item.key: _value(item.value) for item in group.resource.attributes}
            for scope in group.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Span(
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.name,
                            type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                            {item.key: _value(item.value) for item in span.attributes},
                            resource,
                            span.status.message or "error" if span.status.code == 2 else None,
                            tuple(link.trace_id.hex() for link in span.links),
                        )
                    )

    async def until(self, name: str, count: int = 1) -> list[Span]:
        """Wait until so many spans of this name have come."""
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: len(self.named(name)) >= count)
        return self.named(name)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        (span,) = self.named(name)
        return span


async def _head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *rest = head.decode("latin-1").strip().split("\r\n")
    return line, {name.lower(): value for name, value in (item.split(": ", 1) for item in rest)}


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
