"""POST over HTTP/1.1 with kept connections, and no more than a bus needs: little CPU beside a general client's.

One request at a time a connection, so many connections at most; a request says how long it may take. A connection that
has been idle for long, or that has grown old, is not used again: its peer may be gone without a word, and a new one
finds new replicas.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlsplit

import httptools

from agent_store.kernel.errors import InvalidInput

IDLE = 30.0
"""Seconds after which an unused connection is not trusted any more."""
AGE = 300.0
"""Seconds after which a connection is given up for a new one."""
CONNECT = 3.0
"""Seconds that connecting may take at most."""
LARGEST_ANSWER = 1 << 20
"""Bytes of an answer's body from which on the other side is taken for broken."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart once. `path` holds the query too."""

    host: str
    port: int
    tls: bool
    path: str
    authority: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Raises InvalidInput when it is no http or https address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidInput(f"{url!r} is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise InvalidInput(f"{url!r} is no address like http://broker-ingress.store.svc/")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        if parts.query:
            path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, path, parts.netloc)

    @property
    def key(self) -> tuple[str, int, bool]:
        return self.host, self.port, self.tls


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_after`: seconds, where the answer says so in seconds."""

    status: int
    retry_after: float | None
    body: bytes = field(repr=False)


class _Connection(asyncio.Protocol):
    """One request, one answer, again and again. `lost` is called when it is gone."""

    def __init__(self, lost: Callable[[_Connection], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._status = 0
        self._retry_after: float | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._headers_done = False
        self._measured = False
        self.born = self.used = time.monotonic()
        self.open = False

    # --- asyncio.Protocol --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:
            self.close()  # nobody asked: what comes now would be taken for the answer to the next request
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionResetError(f"the answer is no HTTP: {error}"))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._lost(self)
        if self._waiting is not None and self._headers_done and not self._measured and exc is None:
            self._finish()  # an answer without a length ends with its connection
        elif self._waiting is not None:
            self._fail(ConnectionResetError("the connection was closed before the answer"))

    # --- httptools ---------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"retry-after" and value.isdigit():
            self._retry_after = float(value)
        elif name in (b"content-length", b"transfer-encoding"):
            self._measured = True

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._headers_done = self._status >= 200

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > LARGEST_ANSWER:
            self._fail(ConnectionResetError("the answer is too large"))
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._headers_done:
            if not self._parser.should_keep_alive():
                self.close()
            self._finish()

    # --- use ---------------------------------------------------------------------------------------------------

    async def ask(self, request: bytes) -> Answer:
        """Raises ConnectionError; a cancelled question takes the connection with it."""
        if self._transport is None or not self.open:
            raise ConnectionResetError("the connection is closed")
        self._parser = httptools.HttpResponseParser(self)
        self._status, self._retry_after, self._size = 0, None, 0
        self._headers_done = self._measured = False
        self._body.clear()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self._waiting = None
            self.abort()
            raise

    def _finish(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(self._status, self._retry_after, b"".join(self._body)))

    def _fail(self, error: OSError) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
        self.abort()

    def close(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.abort()


class Poster:
    """A pool of connections to any number of addresses."""

    def __init__(self, *, concurrency: int = 32, tls: ssl.SSLContext | None = None) -> None:
        """`concurrency`: requests at the same time, over all addresses. `tls`: what to trust, for https."""
        self._slots = asyncio.Semaphore(concurrency)
        self._tls = tls
        self._idle: dict[tuple[str, int, bool], deque[_Connection]] = {}
        self._all: set[_Connection] = set()
        self._closed = False

    async def get(self, target: Target, head: bytes) -> Answer:
        """As `post`, without a body."""
        return await self.post(target, head, b"", method="GET")

    async def post(self, target: Target, head: bytes, body: bytes, *, method: str = "POST") -> Answer:
        """`head`: header lines, each with its CRLF, without host and content-length. Bound it by `asyncio.timeout`.

        May send it twice, when a kept connection breaks: only for what may come twice.
        Raises OSError: there is no connection, or it broke.
        """
        request = b"".join((
            f"{method} {target.path} HTTP/1.1\r\nhost: {target.authority}\r\ncontent-length: {len(body)}\r\n".encode(),
            head, b"\r\n", body,
        ))  # fmt: skip
        async with self._slots:
            while True:
                connection = self._take(target)
                fresh = connection is None
                if connection is None:
                    connection = await self._connect(target)
                try:
                    answer = await connection.ask(request)
                except ConnectionError:
                    if fresh or self._closed:
                        raise
                    continue  # a kept connection that its peer has closed meanwhile says nothing about the peer
                self._give_back(target, connection)
                return answer

    def _take(self, target: Target) -> _Connection | None:
        """The one used last, so that those beyond need grow old and go."""
        idle = self._idle.get(target.key)
        now = time.monotonic()
        while idle:
            connection = idle.pop()
            if connection.open and now - connection.used < IDLE and now - connection.born < AGE:
                return connection
            connection.close()
        return None

    async def _connect(self, target: Target) -> _Connection:
        if self._closed:
            raise ConnectionAbortedError("the client is closed")
        if target.tls and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout(CONNECT):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._all.discard),
                    target.host,
                    target.port,
                    ssl=self._tls if target.tls else None,
                )
        except TimeoutError as error:
            raise ConnectionRefusedError(f"{target.authority} does not take a connection") from error
        self._all.add(connection)
        return connection

    def _give_back(self, target: Target, connection: _Connection) -> None:
        if not connection.open:
            return
        if self._closed:
            connection.close()
            return
        connection.used = time.monotonic()
        idle = self._idle.setdefault(target.key, deque())
        while idle and (not idle[0].open or connection.used - idle[0].used > IDLE):
            idle.popleft().close()
        idle.append(connection)

    def close(self) -> None:
        """At once: requests that are under way fail."""
        self._closed = True
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()
