"""Fan-out within this process: for the embedded store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

WAITING = 1000
"""Messages that wait for one subscriber at most: a slower one is told that it has missed some."""


class LocalFanOut:
    """See `kernel.news.FanOut`."""

    def __init__(self) -> None:
        self._subscribers: dict[str, set[asyncio.Queue[bytes | None]]] = {}

    async def publish(self, channel: str, message: bytes) -> None:
        for queue in self._subscribers.get(channel, ()):
            if queue.qsize() < WAITING:
                queue.put_nowait(message)
            elif queue.qsize() == WAITING:
                queue.put_nowait(None)

    async def subscribe(self, channel: str) -> AsyncGenerator[bytes | None]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        queue.put_nowait(None)
        subscribers = self._subscribers.setdefault(channel, set())
        subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            subscribers.discard(queue)
            if not subscribers:
                self._subscribers.pop(channel, None)


class NoFanOut:
    """For a process that has companions and no way to reach them: subscribers are told to look for themselves every
    `poll`."""

    def __init__(self, *, poll: timedelta = timedelta(seconds=3)) -> None:
        self._poll = poll.total_seconds()

    async def publish(self, channel: str, message: bytes) -> None:
        pass

    async def subscribe(self, channel: str) -> AsyncGenerator[bytes | None]:
        while True:
            yield None
            await asyncio.sleep(self._poll)
