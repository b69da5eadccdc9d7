"""The store's processes in a drill, kept running as Kubernetes keeps pods: started again with back-off when they end, and
reached through a balancer that knows which of them are ready."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from agent_store.entrypoints.programs import Program, free_port

_FIRST_RESTART, _LONGEST_RESTART, _STEADY = 0.1, 5.0, 10.0
"""Seconds before a restart: doubled each time, from the first again when it ran for long enough. Kubernetes: 10 s up."""
_PROBE_STARTING, _PROBE_READY = 0.1, 1.0
"""Seconds between two looks at a process that is not ready, and at one that is."""
_FOREIGN = ("AGENT_STORE_", "K_", "OTEL_")
"""Variables that would lead a process to the caller's own store, broker or collector."""

MAIN = (sys.executable, "-c", "from agent_store.entrypoints.cli import main; main()")


def own_environment() -> dict[str, str]:
    """The caller's variables without those that say where a store is. AGENT_STORE_TEST_… is the test suite's own."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AGENT_STORE_TEST_") or not name.startswith(_FOREIGN)
    }


class StoreProcess(Program):
    """One process of the store. `name` is its service's."""

    patience = 90.0

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        super().__init__()
        self._command = command
        self.settings: Mapping[str, str] = {}
        self.wanted = False
        self.is_ready = False
        """As it was seen last."""
        self.starts = self.kills = 0
        self.ended: list[str] = []
        """Ends that nobody asked for, each with its exit status and the last it said."""
        self._asked = False
        self._paused = False
        self._tasks: list[asyncio.Task[None]] = []
        self._http = httpx.AsyncClient(trust_env=False, timeout=1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def command(self) -> Sequence[str]:
        return [*self._command, "--port", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        return self.settings

    def inherited(self) -> Mapping[str, str]:
        return own_environment()

    # --- as Kubernetes sees it -----------------------------------------------------------------------------------

    def keep(self) -> None:
        """Start it, and start it again whenever it has ended and is wanted."""
        self.wanted = True
        self._tasks = [
            asyncio.create_task(self._supervise(), name=f"supervise {self.name}"),
            asyncio.create_task(self._probe(), name=f"probe {self.name}"),
        ]

    async def _supervise(self) -> None:
        delay = _FIRST_RESTART
        while True:
            if not self.wanted:
                await asyncio.sleep(0.05)
                continue
            self._process = self._spawn(self.command())
            self.starts += 1
            self._asked = self._paused = False
            since = time.monotonic()
            while self.lives:  # noqa: ASYNC110  # a process that ends sets no event
                await asyncio.sleep(0.05)
            self.is_ready = False
            if not self._asked:
                self.ended.append(f"{self.name} ended by itself ({self._process.returncode}): {self.last_words()}")
            if time.monotonic() - since > _STEADY:
                delay = _FIRST_RESTART
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_RESTART)

    async def _probe(self) -> None:
        while True:
            self.is_ready = self.lives and await self.ready()
            await asyncio.sleep(_PROBE_READY if self.is_ready else _PROBE_STARTING)

    async def ready(self) -> bool:
        try:
            return (await self._http.get(f"{self.url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def until_ready(self) -> None:
        """Raises TimeoutError with its log's end when it takes too long."""
        deadline = time.monotonic() + self.patience
        while not self.is_ready:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not ready after {self.patience:g} s: {self.last_words()}")
            await asyncio.sleep(0.05)

    def last_words(self, characters: int = 1500) -> str:
        try:
            return self.log[-characters:]
        except FileNotFoundError:
            return ""

    # --- harm ----------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL; it is started again."""
        self._asked = True
        self.is_ready = False
        self.kills += 1
        super().kill()

    def take_away(self) -> None:
        """SIGKILL, and gone until it is brought back."""
        self.wanted = False
        self.kill()

    def bring_back(self) -> None:
        self.wanted = True

    async def terminate(self, seconds: float = 20.0) -> int:
        """SIGTERM and a grace period, then SIGKILL. It is started again. Returns its exit status."""
        process = self._process
        if process is None:
            return 0
        self._asked = True
        self.is_ready = False
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while process.poll() is None:  # not of the one that is started after it
            if time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            await asyncio.sleep(0.02)
        return process.returncode

    def pause(self) -> None:
        self._paused = True
        super().pause()

    def resume(self) -> None:
        self._paused = False
        super().resume()

    def signal(self, number: signal.Signals) -> None:
        self._signal(number)

    @property
    def stands(self) -> bool:
        """Whether it has been stopped (by `pause`, or by itself) and not been woken."""
        if not self.lives:
            return False
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "T"
        return self._paused

    async def close(self) -> None:
        self.wanted = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()
        self.resume()
        self.clean()


class Balancer:
    """Connections to one port go to the replicas that are ready in turn; to any that takes them while none is. As a
    Kubernetes Service does, and like it, it understands no protocol."""

    def __init__(self, replicas: Sequence[StoreProcess]) -> None:
        self.port = free_port()
        self._replicas = list(replicas)
        self._turn = itertools.count()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _candidates(self) -> list[StoreProcess]:
        first = next(self._turn)
        ring = [self._replicas[(first + step) % len(self._replicas)] for step in range(len(self._replicas))]
        return sorted(ring, key=lambda replica: not replica.is_ready)  # stable: those that are ready in their turn

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
        ends = [writer]
        try:
            for replica in self._candidates():
                try:
                    onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", replica.port)
                except OSError:
                    continue
                ends.append(onward_writer)
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(_pipe(reader, onward_writer))
                    ways.create_task(_pipe(onward_reader, writer))
                return
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # a side was reset, or `stop`: both are closed below
        finally:
            if task is not None:
                self._open.discard(task)
            for end in ends:
                end.transport.abort() if end.transport.is_closing() else end.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side closes: then the other one is closed too."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
