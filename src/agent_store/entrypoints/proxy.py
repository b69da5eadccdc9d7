"""A TCP proxy on loopback that does to connections what networks do: cuts them, slows them, lets nothing through.

For the fault drill and the tests; it understands no protocol and keeps nothing.
"""

from __future__ import annotations

import asyncio
from typing import Self, cast

_CHUNK = 65_536
_ROOM = 64  # chunks under way in one direction; what is more waits with its sender


class FaultProxy:
    """Passes connections to `port` on to a target, until it is told otherwise. All faults are for those that are open
    and for new ones, until `heal` ends them."""

    def __init__(self, target_host: str, target_port: int, *, port: int = 0) -> None:
        """`port`: where to listen, 0 for a free one."""
        self._target = (target_host, target_port)
        self.port = port
        """Where it listens; known when it has started."""
        self.accepted = 0
        """Connections that were taken since the start."""
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._delay = 0.0
        self._through = asyncio.Event()
        self._through.set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.cut()

    @property
    def open(self) -> int:
        """Connections that are open through it."""
        return len(self._connections)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self.drop()

    async def drop(self) -> None:
        """Reset all connections, once; what was under way on them is lost. New ones are taken."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def slow(self, delay_seconds: float) -> None:
        """Let what is sent arrive so much later, in each direction."""
        self._delay = delay_seconds

    def black_hole(self) -> None:
        """Take connections and what is sent, and let nothing through; nobody is told. What was swallowed arrives when it
        is healed, as TCP would send it again, unless the connection is given up before."""
        self._through.clear()

    async def heal(self) -> None:
        """Pass everything on at once, and take new connections."""
        self._delay = 0.0
        self._through.set()
        await self._listen()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = cast("asyncio.Task[None]", asyncio.current_task())
        writers = self._connections[task] = [writer]
        try:
            await self._through.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(reader, far_writer))
                ways.create_task(self._pass(far_reader, writer))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # the target is away, a side was reset, or `drop`: both sides are reset below
        finally:
            del self._connections[task]
            for end in writers:
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction until its end, which is passed on too. Many chunks may be under way at once: a delay makes the
        way long, not narrow."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_ROOM)

        async def read() -> None:
            chunk = b"first"
            while chunk:
                chunk = await reader.read(_CHUNK)
                await chunks.put((loop.time() + self._delay, chunk))

        async def write() -> None:
            while True:
                due, chunk = await chunks.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._through.wait()
                if not chunk:
                    writer.write_eof()
                    return
                writer.write(chunk)
                await writer.drain()

        async with asyncio.TaskGroup() as both:
            both.create_task(read())
            both.create_task(write())
