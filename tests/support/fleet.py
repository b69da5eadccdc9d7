"""Several processes of one store on one database and one broker, which a test stops, wakes and kills at any boundary."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, select
from sqlalchemy.sql.base import Executable

from agent_store.kernel import journal, tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.bus import Intake, Until
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import DatabaseKind, Row, Session
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.reconciler import Patience, Reconciler
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.store import Store, Unit, Work
from agent_store.kernel.worker import BEAT_SECONDS, LEASE_SECONDS
from tests.support.backends import Stores, current
from tests.support.buses import MemoryBroker, MemoryBus
from tests.support.store import Monotonic, TestStore, kill

LEASE = timedelta(seconds=LEASE_SECONDS + 2 * BEAT_SECONDS)
"""After which the others have taken over from a process that stands still."""


class Gate:
    """What every boundary of a process passes: one can be stopped at it, as by SIGSTOP."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.passed: list[str] = []
        self.stop_at: int | None = None
        """Stop at this boundary, counted from 0."""

    @property
    def stopped(self) -> bool:
        return not self._open.is_set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def boundary(self, name: str) -> None:
        if not self.stopped:
            if self.stop_at == len(self.passed):
                self.shut()
            self.passed.append(name)
        await self._open.wait()


class ProcessStore:
    """One process's view of a store. What it commits, only it is told of; it can be `away`, and ends with its process."""

    def __init__(self, store: Store, gate: Gate, *, owned: bool) -> None:
        self._store = store
        self._gate = gate
        self._owned = owned
        self._listeners: list[Callable[[Sequence[Envelope], Sequence[datetime]], None]] = []
        self._ended = False
        self.away = False

    @property
    def reader(self) -> Session:
        return self._store.reader

    def reader_of(self, agent: str) -> Session:
        return self._store.reader_of(agent)

    @property
    def kind(self) -> DatabaseKind:
        return self._store.kind

    def _check(self) -> None:
        if self._ended:
            raise TemporaryError("the store is shutting down", code="shutting-down")
        if self.away:
            raise TemporaryError("the database is away", code="database")

    async def run(
        self,
        work: Work[Any],
        *,
        agent: str | None = None,
        claim: Row | None = None,
        timeout: float = 10.0,
    ) -> Any:
        self._check()
        await self._gate.boundary("before a commit")
        self._check()
        units: list[Unit] = []

        async def observed(unit: Unit) -> Any:
            result = await work(unit)
            units[:] = [unit]
            return result

        result = await self._store.run(observed, agent=agent, claim=claim, timeout=timeout)
        await self._gate.boundary("after a commit")
        self._check()
        (unit,) = units
        if unit.events or unit.timers:
            for listener in self._listeners:
                listener(unit.events, [at for _, at in unit.timers])
        return result

    def ask_heard(self, heard: Callable[[Envelope], bool]) -> None:
        raise AssertionError("on a network every event goes to the broker")

    def on_commit(self, listener: Callable[[Sequence[Envelope], Sequence[datetime]], None]) -> None:
        self._listeners.append(listener)

    async def create(self, tables: Mapping[str, MetaData], ddl: Mapping[str, Sequence[str]]) -> None:
        await self._store.create(tables, ddl)

    async def close(self) -> None:
        self._ended = True
        if self._owned:
            await self._store.close()

    def abandon(self) -> None:
        self._ended = True
        if self._owned:
            self._store.abandon()  # type: ignore[attr-defined]


class ProcessBus:
    """One process's connection, with its boundaries."""

    def __init__(self, bus: MemoryBus, gate: Gate, store: ProcessStore) -> None:
        self.unrecorded: list[str] = []
        """What was to be acked and did not stand in the inbox: it would be lost with the process."""
        self.bus = bus
        self._store = store
        self._gate = gate
        self._intake: Intake | None = None

    async def start(self, intake: Intake, consumers: Sequence[Consumer]) -> None:
        self._intake = intake
        await self.bus.start(self, consumers)

    @property
    def listening(self) -> bool:
        return True

    @property
    def healthy(self) -> bool:
        return True

    async def receive(self, event: Envelope, *, consumer: str | None = None, until: Until = "recorded") -> None:
        assert self._intake is not None
        await self._intake.receive(event, consumer=consumer, until=until)
        heard = consumer is not None and self.bus.broker.queues[consumer].consumer.subscription(event) is not None
        key = {"p_consumer": consumer, "p_source": event.source, "p_id": event.id}
        if heard and await self._store.reader.first(journal.GET_INBOX, key) is None:
            self.unrecorded.append(event.id)
        await self._gate.boundary("before an ack")

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        await self._gate.boundary("before a publish")
        taken = await self.bus.publish(events)
        await self._gate.boundary("after a publish")
        return taken

    async def redeliver(self, consumer: str, event: Envelope) -> bool:
        return await self.bus.redeliver(consumer, event)

    async def add(self, consumer: Consumer) -> None:
        await self.bus.add(consumer)

    async def remove(self, name: str) -> None:
        await self.bus.remove(name)

    async def drain(self) -> None:
        await self.bus.drain()

    async def stop(self) -> None:
        await self.bus.stop()


class Process:
    """`served` is False for a steward, which runs no consumer."""

    def __init__(
        self, fleet: Fleet, consumers: list[Consumer], store: ProcessStore, bus: ProcessBus, gate: Gate
    ) -> None:
        self.gate = gate
        self.store = store
        self.bus = bus
        self.lives = True
        self.runtime = Runtime(
            store, consumers, clock=fleet.clock, bus=bus, ports=fleet.ports, alone=False, monotonic=fleet.monotonic
        )
        self.reconciler: Reconciler | None = None

    @property
    def worker_id(self) -> str:
        assert self.runtime.network is not None
        return self.runtime.network.worker.id

    async def tick(self) -> None:
        with contextlib.suppress(TemporaryError):  # as the task that keeps time: what was due stays due
            await self.runtime.steward.tick()


class Fleet:
    """`async with Fleet() as fleet`: then `start` processes."""

    def __init__(self, broker: MemoryBroker | None = None, *, ports: Mapping[type[Any], object] | None = None) -> None:
        self.clock = ManualClock()
        self.monotonic = Monotonic()
        self.broker = broker or MemoryBroker(clock=self.clock)
        self.ports = dict(ports or {})
        self.processes: list[Process] = []
        self._parts = contextlib.AsyncExitStack()
        self._stores: Stores
        self._first: Store

    async def __aenter__(self) -> Fleet:
        folder = self._parts.enter_context(tempfile.TemporaryDirectory(prefix="agent-store-fleet-"))
        self._stores = await self._parts.enter_async_context(current.backend.database(Path(folder)))
        self._first = self._stores()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for process in self.living:
            await self.kill(process)
        assert not [id for process in self.processes for id in process.bus.unrecorded]
        await self._first.close()
        await self._parts.aclose()

    # --- processes ---------------------------------------------------------------------------------------------

    async def start(self, *agents: Agent | Consumer, gate: Gate | None = None) -> Process:
        """A process that serves these."""
        gate = gate or Gate()
        owned = self._first.kind != "sqlite"  # one file has one writer: the processes of a test share it
        store = ProcessStore(self._stores() if owned else self._first, gate, owned=owned)
        consumers = [agent if isinstance(agent, Consumer) else Consumer(agent) for agent in agents]
        process = Process(self, consumers, store, ProcessBus(self.broker.bus(), gate, store), gate)
        self.processes.append(process)
        await process.runtime.start(watch=False)
        if owned:  # the store that this looks with finds the tables too
            await self._first.create({one.agent.name: one.agent.tables for one in consumers if one.agent.tables}, {})
        return process

    async def steward(
        self, *agents: Agent | Consumer, patience: Patience | None = None, monotonic: Callable[[], float] | None = None
    ) -> Process:
        """A process that serves nothing and looks after the consumers of these."""
        process = await self.start()
        consumers = [agent if isinstance(agent, Consumer) else Consumer(agent) for agent in agents]
        assert process.runtime.network is not None
        process.reconciler = Reconciler(
            process.runtime.world, process.runtime.network, consumers, process.runtime.metrics,
            expected=lambda: [consumer.name for consumer in consumers], patience=patience,
            monotonic=monotonic or self.monotonic,
        )  # fmt: skip
        process.runtime.steward.duties.append(process.reconciler.tick)
        return process

    @property
    def living(self) -> list[Process]:
        return [process for process in self.processes if process.lives]

    async def kill(self, process: Process) -> None:
        process.lives = False
        await kill(process.runtime)
        process.gate.open()

    async def stop(self, process: Process, grace: float = 1.0) -> None:
        process.lives = False
        await process.runtime.stop(grace=grace)

    # --- time --------------------------------------------------------------------------------------------------

    async def settle(self, seconds: float = 10.0) -> None:
        """Until no process that runs has anything to do now."""
        try:
            async with asyncio.timeout(seconds):
                quiet = 0
                for turn in itertools.count():
                    quiet = quiet + 1 if self._quiet() else 0
                    if quiet == 3:
                        return
                    await asyncio.sleep(0.001 if turn % 4 == 3 else 0)
        except TimeoutError:
            raise AssertionError(f"the processes do not come to rest: {self._state()}") from None

    def _state(self) -> str:
        return "; ".join(
            f"active {process.runtime.dispatcher.active}, tasks {len(process.runtime.dispatcher._waiting.tasks)}"
            for process in self.living
        )

    def _quiet(self) -> bool:
        running = [process for process in self.living if not process.gate.stopped]
        for process in running:
            dispatcher, network = process.runtime.dispatcher, process.runtime.network
            assert network is not None
            if dispatcher.active or dispatcher._waiting.tasks or (process.reconciler and process.reconciler.busy):
                return False
            if not self.broker.away and not process.store.away and not network.relay._idle.is_set():
                return False
        buses = {process.bus.bus for process in running if not process.store.away}
        return not self.broker.pending(buses)

    async def tick(self) -> None:
        for process in self.living:
            if not process.gate.stopped:
                await process.tick()
        await self.settle()

    async def move(self, by: timedelta, step: float = 1.0) -> None:
        """All clocks go by this much, and each process looks at its own each second."""
        left = by.total_seconds()
        while left > 0:
            some = min(step, left)
            left -= some
            self.clock.move(timedelta(seconds=some))
            self.monotonic.move(some)
            await self.tick()

    # --- what is seen ------------------------------------------------------------------------------------------

    async def publish(self, process: Process, *events: Event) -> list[Envelope]:
        return [await process.runtime.publish(event) for event in events]

    async def put(self, process: Process, *events: Envelope) -> None:
        """Commit envelopes as they are, in a process's name."""

        async def work(unit: Unit) -> None:
            unit.events.extend(events)

        await process.store.run(work)

    async def rows(self, statement: Executable) -> list[Row]:
        return await self._first.reader.all(statement)

    async def inbox(self) -> list[tuple[str, str, str, int]]:
        rows = await self.rows(select(tables.inbox))
        return sorted((row["consumer"], row["id"], row["state"], row["attempts"]) for row in rows)

    async def dead(self) -> list[Row]:
        return await self.rows(select(tables.dead).order_by(tables.dead.c.seq))

    async def emitted(self, contract: type[Event]) -> list[str]:
        """Subjects of all events of this type, in the outbox's order."""
        found = await self.rows(
            select(tables.outbox.c.subject)
            .where(tables.outbox.c.type == contract.event_type)
            .order_by(tables.outbox.c.seq)
        )
        return [row["subject"] for row in found]

    async def unpublished(self) -> int:
        return len(await self.rows(select(tables.outbox.c.id).where(tables.outbox.c.published.is_(False))))


def on(agents: Iterable[Agent]) -> list[Consumer]:
    return [Consumer(agent) for agent in agents]


__all__ = ["LEASE", "Fleet", "Gate", "Process", "TestStore"]
