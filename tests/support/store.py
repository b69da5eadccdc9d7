"""A store for tests: real dispatcher, real database and bus (see `tests.support.backends`), clocks moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.sql.base import Executable

from agent_store.kernel import journal, tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Row
from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.reconciler import Reconciler
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.worker import BEAT_SECONDS, LEASE_SECONDS
from tests.support.backends import Backend, Buses, Stores, current

E = TypeVar("E", bound=Event)
R = TypeVar("R")


class Monotonic:
    """Seconds that tests move by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.seconds += seconds


class TestStore:
    """Agents (or consumers, for a brand's instance of one) as one process on a database and a bus of its own."""

    __test__ = False

    def __init__(
        self,
        agents: Iterable[Agent | Consumer],
        *,
        ports: Mapping[type[Any], object] | None = None,
        clock: ManualClock | None = None,
        path: Path | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.consumers = [agent if isinstance(agent, Consumer) else Consumer(agent) for agent in agents]
        self.ports = dict(ports or {})
        self.clock = clock or ManualClock()
        self.monotonic = Monotonic()
        self.backend = backend or current.backend
        self._folder = tempfile.TemporaryDirectory(prefix="agent-store-test-") if path is None else None
        self.path = path or Path(self._folder.name) / "store.sqlite3"  # type: ignore[union-attr]
        self.envelopes: list[Envelope] = []
        self.runtime: Runtime
        self.reconciler: Reconciler
        self._expected: set[tuple[str, str, str]] = set()
        """What the consumers have to record that were there when it was committed."""
        self._parts = contextlib.AsyncExitStack()
        self._stores: Stores
        self._buses: Buses
        self.neighbours: list[TestStore] = []
        """Other processes on the same database and bus, which settle with this one."""

    async def __aenter__(self) -> TestStore:
        self._stores = await self._parts.enter_async_context(self.backend.database(self.path.parent))
        self._buses = await self._parts.enter_async_context(self.backend.broker())
        await self._open()
        return self

    async def _open(self) -> None:
        self.runtime = Runtime(
            self._stores(), self.consumers, clock=self.clock, ports=self.ports, bus=self._buses(), keeper=True,
            monotonic=self.monotonic,
        )  # fmt: skip
        if self.runtime.network is not None:  # this process is the steward too
            served = {consumer.name for consumer in self.consumers}
            self.reconciler = Reconciler(
                self.runtime.world, self.runtime.network, self.consumers, self.runtime.metrics,
                expected=lambda: served, monotonic=self.monotonic,
            )  # fmt: skip
            self.runtime.steward.duties.append(self.reconciler.tick)
        self.runtime.listeners.append(self._committed)
        await self.runtime.start(watch=False)
        await self.listening()

    async def listening(self) -> None:
        """Until what this process's consumers need stands at the broker."""
        while self.runtime.network is not None and not self.runtime.network.bus.listening:
            await asyncio.sleep(0.002)  # its answers to many questions

    def _committed(self, events: Sequence[Envelope]) -> None:
        self.envelopes.extend(events)
        for event in events:
            for consumer in self.runtime.dispatcher.consumers:
                if consumer.subscription(event) is not None:
                    self._expected.add((consumer.name, event.source, event.id))

    async def __aexit__(self, *exc: object) -> None:
        await self.runtime.stop(grace=1.0)
        await self._parts.aclose()
        if self._folder is not None:
            self._folder.cleanup()

    async def publish(self, event: Event, *, brand: str | None = None, channel: str | None = None) -> Envelope:
        return await self.runtime.publish(event, brand=brand, channel=channel)

    async def call(self, tool: Tool[R], principal: Principal | None = None, key: str | None = None) -> R:
        return await self.runtime.call(tool, principal, key=key)

    async def settle(self, timeout: float = 30.0) -> None:
        """Until nothing is pending now; timers and retries of the future stay."""
        async with asyncio.timeout(timeout):
            await self.runtime.settle()
            quiet = 0
            while self.runtime.network is not None and quiet < 2:
                # What is on its way in a broker tells nobody when it comes; and a row may be read by another connection
                # before its writer has heard of its commit, and goes on.
                quiet = quiet + 1 if await self._has_arrived() else 0
                await asyncio.sleep(0.002)
                for one in (self, *self.neighbours):
                    await one.runtime.settle()

    async def _has_arrived(self) -> bool:
        """On a network: all that was committed is with the broker, and every consumer that runs here has recorded what
        it hears of it."""
        rows = await self.rows(select(tables.inbox.c.consumer, tables.inbox.c.source, tables.inbox.c.id))
        self._expected -= {(row["consumer"], row["source"], row["id"]) for row in rows}
        running = {consumer.name for consumer in self.runtime.dispatcher.consumers}
        if self.runtime.dispatcher.active or any(key[0] in running for key in self._expected):
            return False
        if getattr(self.runtime.store, "_workers", None):  # something is being committed
            return False
        return not await self.rows(select(tables.outbox.c.seq).where(tables.outbox.c.published.is_(False)).limit(1))

    async def move(self, by: timedelta) -> None:
        """Move the clock in one jump, fire what became due, settle; again while that makes more due."""
        self.clock.move(by)
        self.monotonic.move(max(0.0, by.total_seconds()))
        for _ in range(100):
            before = len(self.envelopes)
            await self.runtime.steward.tick()
            await self.settle()
            due = self.runtime.dispatcher.next_due()
            if len(self.envelopes) == before and (due is None or due > self.clock.now()):
                return

    def events(self, contract: type[E]) -> list[E]:
        """Everything of this type that was emitted since the start, oldest first (also before a restart)."""
        return [envelope.read(contract) for envelope in self.envelopes if envelope.type == contract.event_type]

    async def dead(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(**row) for row in reversed(await self.runtime.dead())]

    async def rows(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Sequence[Row]:
        return await self.runtime.store.reader.all(statement, params)

    async def kill_and_restart(self) -> None:
        """As kill -9 and a new start: no drain, no commit, all memory gone; recovery runs."""
        await kill(self.runtime)
        await self._open()
        if self.runtime.network is not None:  # it takes over when it has watched the other one stand still
            for _ in range(int(LEASE_SECONDS / BEAT_SECONDS) + 2):
                self.monotonic.move(BEAT_SECONDS)
                await self.runtime.network.tick()
                await self.reconciler.tick()


async def kill(runtime: Runtime) -> None:
    """As kill -9: nothing is drained or committed any more, and the broker takes back what was unanswered."""
    runtime.dispatcher.abandon()
    runtime.store.abandon()  # type: ignore[attr-defined]
    network = runtime.network
    if network is not None:
        if network.relay._task is not None:
            network.relay._task.cancel()
        for close in network.closing:
            await close()
        await network.bus.stop()
    await asyncio.sleep(0)


__all__ = ["Monotonic", "TestStore", "journal", "kill"]
