"""An agent behind a real port, and a link to it that a test can cut, stop, and fill with rubbish."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from agent_store.entrypoints.up import bind


@asynccontextmanager
async def serving(app: Any) -> AsyncGenerator[str]:
    """The ASGI application on a free loopback port; gives its address."""
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", interface="asgi3", timeout_graceful_shutdown=1
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


class Link:
    """A TCP proxy. Each request takes the next of `faults`; without one it goes through.

    `refuse`: the connection is cut before the request is read. `swallow`: the agent gets the request, its answer is
    lost with the connection. `half`: the answer breaks off in the middle. `hang`: nothing is passed on, nothing comes.
    Bytes: they are the answer.
    """

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self.faults: deque[str | bytes] = deque()
        self.always: str | bytes | None = None
        self.requests: list[bytes] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Link:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _message(reader):
                self.requests.append(request)
                fault = self.faults.popleft() if self.faults else self.always
                if fault == "refuse":
                    return
                if fault == "hang":
                    await reader.read()
                    return
                if isinstance(fault, bytes):
                    writer.write(fault)
                    return
                answer = await self._ask(request)
                if fault == "swallow":
                    return
                writer.write(answer[: len(answer) - 3] if fault == "half" else answer)
                await writer.drain()
                if fault == "half":
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has gone: so does this one
        finally:
            writer.close()

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(request)
            return await _message(reader)
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message with a content-length; nothing at the end of the stream."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = next(
        (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    return head + await reader.readexactly(length)


def canned(status: int, *headers: str, body: bytes = b"") -> bytes:
    """A whole HTTP answer as bytes."""
    lines = [f"HTTP/1.1 {status} X", *headers, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


class MovedTime:
    """`time.monotonic`, moved on by hand."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self.ahead = 0.0

    def __call__(self) -> float:
        return self._real() + self.ahead
