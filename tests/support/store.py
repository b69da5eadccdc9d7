"""A store for tests: real dispatcher, real SQLite file, a clock moved by hand."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from sqlalchemy.sql.base import Executable

from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.kernel import journal
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Row
from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal, Tool

E = TypeVar("E", bound=Event)
R = TypeVar("R")


class TestStore:
    """Agents (or consumers, for a brand's instance of one) on a temporary SQLite file."""

    __test__ = False

    def __init__(
        self,
        agents: Iterable[Agent | Consumer],
        *,
        ports: Mapping[type[Any], object] | None = None,
        clock: ManualClock | None = None,
        path: Path | None = None,
    ) -> None:
        self.consumers = [agent if isinstance(agent, Consumer) else Consumer(agent) for agent in agents]
        self.ports = dict(ports or {})
        self.clock = clock or ManualClock()
        self._folder = tempfile.TemporaryDirectory(prefix="agent-store-test-") if path is None else None
        self.path = path or Path(self._folder.name) / "store.sqlite3"  # type: ignore[union-attr]
        self.envelopes: list[Envelope] = []
        self.runtime: Runtime

    async def __aenter__(self) -> TestStore:
        await self._open()
        return self

    async def _open(self) -> None:
        self.runtime = Runtime(SqliteStore(self.path), self.consumers, clock=self.clock, ports=self.ports)
        self.runtime.listeners.append(self.envelopes.extend)
        await self.runtime.start(watch=False)

    async def __aexit__(self, *exc: object) -> None:
        await self.runtime.stop(grace=1.0)
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

    async def move(self, by: timedelta) -> None:
        """Move the clock in one jump, fire what became due, settle; again while that makes more due."""
        self.clock.move(by)
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
        old = self.runtime
        old.dispatcher._draining = True
        for task in list(old.dispatcher._tasks):
            task.cancel()
        old.store.abandon()  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        await self._open()


__all__ = ["TestStore", "journal"]
