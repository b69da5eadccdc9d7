"""The work queue: each key once, one worker a key, failures later and later."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from typing import NamedTuple


class Key(NamedTuple):
    """What is to be looked at: an agent, or the directory of a namespace (`name` is empty)."""

    what: str
    namespace: str
    name: str = ""


def agent_key(namespace: str, name: str) -> Key:
    return Key("agent", namespace, name)


def directory_key(namespace: str) -> Key:
    return Key("directory", namespace)


class WorkQueue:
    """Not thread-safe: for one event loop."""

    def __init__(self, *, first_pause: float = 0.2, longest_pause: float = 300.0) -> None:
        """Seconds: the pause after a first failure, which doubles up to the longest."""
        self._first, self._longest = first_pause, longest_pause
        self._ready: dict[Key, None] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._order = itertools.count()
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Those that are ready and those that are worked on; not those of later."""
        return len(self._ready) + len(self._working)

    def add(self, key: Key) -> None:
        """As soon as a worker is free; after the present pass, when there is one."""
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
            return
        self._ready[key] = None
        self._wake.set()

    def add_later(self, key: Key, seconds: float) -> None:
        """Once, at the earliest time that was asked for."""
        at = asyncio.get_running_loop().time() + seconds
        if key in self._ready or self._due.get(key, float("inf")) <= at:
            return
        self._due[key] = at
        heapq.heappush(self._later, (at, next(self._order), key))
        self._wake.set()

    def failed(self, key: Key, *, at_least: float = 0.0) -> float:
        """Again later. Returns in how many seconds."""
        times = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(self._longest, self._first * 2 ** min(times - 1, 20)) * random.uniform(0.8, 1.2)
        pause = max(pause, at_least)
        self.add_later(key, pause)
        return pause

    def succeeded(self, key: Key) -> None:
        self._failures.pop(key, None)

    async def take(self) -> Key | None:
        """The next one, which is then being worked on until `done`. None when the queue is closed."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            self._release(loop.time())
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._working.add(key)
                if self._ready:
                    self._wake.set()
                return key
            self._wake.clear()
            pause = self._later[0][0] - loop.time() if self._later else None
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue
        self._wake.set()
        return None

    def done(self, key: Key) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Workers get nothing more."""
        self._closed = True
        self._wake.set()

    def _release(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            at, _, key = heapq.heappop(self._later)
            if self._due.get(key) == at:  # else it was asked for earlier in between
                self.add(key)
