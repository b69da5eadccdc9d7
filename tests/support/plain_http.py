"""A server on a real port that writes whatever bytes it is told to, well-behaved or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heard:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Heard, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class PlainServer:
    """Answers each request by the first of its `routes` whose prefix fits the target."""

    routes: dict[str, Answer] = field(default_factory=dict[str, Answer])
    heard: list[Heard] = field(default_factory=list[Heard])
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def answers(body: object = b"", status: int = 200, **headers: str) -> Answer:
    """A whole answer; what is not bytes goes as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {"content-length": str(len(content)), **{name.replace("_", "-"): value for name, value in headers.items()}}

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in more.items() if value)
        writer.write(f"HTTP/1.1 {status} X\r\n{head}connection: close\r\n\r\n".encode() + content)

    return answer


async def silence(heard: Heard, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def hang_up(heard: Heard, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def trickle(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """A byte every now and then: no single read takes long, all of them do."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(400):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def without_end(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """More and more, of no told length."""
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    for _ in range(4000):
        writer.write(b"x" * 4096)
        await writer.drain()


@asynccontextmanager
async def plain_server(**routes: Answer) -> AsyncGenerator[PlainServer]:
    server = PlainServer({f"/{name}": answer for name, answer in routes.items()})
    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        try:
            heard = await _read(reader)
            server.heard.append(heard)
            found = next(
                (a for prefix, a in server.routes.items() if heard.target.startswith(prefix)), answers(status=404)
            )
            await found(heard, writer)
            if not writer.is_closing():
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has given up, as some tests want it to
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        listener.close()
        await listener.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Heard:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = bytearray()
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return Heard(method, target, headers, bytes(body))
    return Heard(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
