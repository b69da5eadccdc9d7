"""Puts agents, store, toolbox, dispatcher and steward together: one process of the store, on the local bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from sqlalchemy import MetaData

from agent_store.kernel import cloudevents, journal, tables
from agent_store.kernel.added import ToolContracts
from agent_store.kernel.bus import Bus
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context, Row
from agent_store.kernel.contexts import TransactionContext, World, new_trace
from agent_store.kernel.delivery import Delivery
from agent_store.kernel.dispatcher import Dispatcher
from agent_store.kernel.errors import Conflict, NotFound, TemporaryError
from agent_store.kernel.event import Envelope, Event, wrap
from agent_store.kernel.ids import new_id
from agent_store.kernel.limits import NoLimits, RateLimiter
from agent_store.kernel.metrics import Metrics, NoMetrics
from agent_store.kernel.network import Network
from agent_store.kernel.reconciler import mark_replayed
from agent_store.kernel.steward import Steward
from agent_store.kernel.store import Store, Unit
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.toolbox import LocalToolbox, Toolbox
from agent_store.kernel.tracing import OFF, Tracing, committing, creating
from agent_store.kernel.worker import LEASE_SECONDS, Worker

_log = structlog.get_logger("agent_store.runtime")

R = TypeVar("R")


class Runtime:
    """Consumers made live. `start` recovers what a killed process left; `stop` drains."""

    def __init__(
        self,
        store: Store,
        consumers: Iterable[Consumer],
        *,
        clock: Clock | None = None,
        ports: Mapping[type[Any], object] | None = None,
        metrics: Metrics | None = None,
        tracing: Tracing = OFF,
        retention: timedelta = timedelta(days=30),
        bus: Bus | None = None,
        toolbox: Callable[[LocalToolbox], Toolbox] | None = None,
        keeper: bool | None = None,
        lease: float = LEASE_SECONDS,
        alone: bool | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bus`: what carries events to other processes; None: this process is the whole store. `toolbox` wraps the local
        tools with those of other processes. `keeper`: run schedules and retention here (by default where there is no
        bus). `lease` in seconds: after that another process takes over what a dead one left. `alone`: no other process
        uses this database (by default on SQLite). `monotonic` gives seconds; tests move their own."""
        self.store = store
        self.clock = clock or SystemClock()
        self.metrics = metrics or NoMetrics()
        self.toolbox = LocalToolbox(self.metrics)
        tools = toolbox(self.toolbox) if toolbox is not None else self.toolbox
        given = {Metrics: self.metrics, RateLimiter: NoLimits(), ToolContracts: tools, **(ports or {})}
        self.world = World(store, self.clock, tools, given, tracing)
        self.toolbox.bind(self.world)
        worker = None
        if bus is not None:
            alone = store.kind == "sqlite" if alone is None else alone
            worker = Worker(store, self.clock, lease=lease, alone=alone, monotonic=monotonic)
        self.dispatcher = Dispatcher(self.world, self.metrics, worker, monotonic=monotonic)
        self.network: Network | None = None
        if bus is not None and worker is not None:
            self.network = Network(bus, worker, self.dispatcher, store, self.clock, self.metrics, monotonic=monotonic)
        self.steward = Steward(
            self.world,
            self.dispatcher,
            retention=retention,
            keeper=bus is None if keeper is None else keeper,
            shared=bus is not None,
        )
        self._consumers = list(consumers)
        self._watch: asyncio.Task[None] | None = None
        if self.network is None:
            store.ask_heard(self.dispatcher.hears)
        else:
            self.steward.duties.append(self.network.tick)
        store.on_commit(self._committed)
        self.listeners: list[Callable[[Sequence[Envelope]], None]] = []
        """Called with every committed batch of events (`events tail`, live screens)."""

    def _committed(self, events: Sequence[Envelope], due: Sequence[datetime]) -> None:
        if self.network is None:
            self.dispatcher.publish(events, fresh=True)
        else:
            self.network.offer(events)
        self.steward.notice(due)
        if events:
            for listener in self.listeners:
                listener(events)

    async def start(self, *, watch: bool = True) -> int:
        """Create missing tables, take up unfinished work, begin to keep time. Returns how many events were taken up.

        `watch=False` leaves the clock to the caller (tests call `steward.tick`).
        """
        metadata: dict[str, MetaData] = {"kernel": tables.metadata}
        ddl: dict[str, Sequence[str]] = {}
        for consumer in self._consumers:
            if consumer.agent.tables is not None and consumer.agent.name not in metadata:
                metadata[consumer.agent.name] = consumer.agent.tables
                ddl[consumer.agent.name] = consumer.agent.ddl.get(self.store.kind, ())
        await self.store.create(metadata, ddl)
        for consumer in self._consumers:
            self._add(consumer)
        if self.network is None:
            taken = await self.steward.recover()
        else:
            taken = await self.network.start(self._consumers)
        if watch:
            if self.network is not None:
                self.network.watch()
            self._watch = asyncio.create_task(self.steward.run(), name="steward")
        return taken

    @property
    def healthy(self) -> bool:
        """False when the task that keeps time, or the one that publishes, has broken off: a restart takes all up."""
        return (self._watch is None or not self._watch.done()) and (self.network is None or self.network.healthy)

    async def add(self, consumer: Consumer) -> None:
        """A consumer more, live (a brand that is added while the store runs)."""
        if self._add(consumer) and self.network is not None:
            await self.network.add(consumer)

    def _add(self, consumer: Consumer) -> bool:
        if self.dispatcher.consumer(consumer.name) is not None:
            return False
        self.dispatcher.add(consumer)
        self.toolbox.add(consumer)
        self.steward.add(consumer)
        return True

    async def remove(self, name: str) -> None:
        """No new events for it, none of its tools and schedules; what waits for it stays in the outbox and the inbox."""
        self.dispatcher.remove(name)
        self.toolbox.remove(name)
        self.steward.remove(name)
        if self.network is not None:
            await self.network.remove(name)

    async def call(self, tool: Tool[R], principal: Principal | None = None, key: str | None = None) -> R:
        """Call a tool from the edge (an API, a page, the command line)."""
        return await self.world.toolbox.call(tool, principal or Principal(), key=key)

    async def transact(
        self, consumer_name: str, change: Callable[[Context], Awaitable[R]], *, principal: Principal | None = None
    ) -> R:
        """Run `change` in a transaction of one consumer: how a webhook puts its delivery in."""
        consumer = self.dispatcher.consumer(consumer_name)
        if consumer is None:
            raise NotFound(f"no consumer {consumer_name} runs here")
        with committing(self.world.tracing, consumer_name):
            cause = Envelope(
                id=new_id(), source="/agent-store/edge", type=f"edge.{consumer_name}", time=self.clock.now(),
                traceparent=new_trace(),
            )  # fmt: skip

            async def work(unit: Unit) -> R:
                return await change(
                    TransactionContext(self.world, consumer, cause, principal or Principal(), cause.id, unit)
                )

            return await self.store.run(work, agent=consumer.agent.name)

    async def publish(
        self, event: Event, *, source: str = "/agent-store/edge", brand: str | None = None, channel: str | None = None
    ) -> Envelope:
        """Put an event into the outbox as `source` would."""
        with creating(self.world.tracing, event.event_type, source):
            envelope = wrap(
                event,
                id=new_id(),
                source=source,
                time=self.clock.now(),
                brand=brand,
                channel=channel,
                traceparent=new_trace(),
            )

            async def work(unit: Unit) -> None:
                unit.events.append(envelope)

            await self.store.run(work)
        return envelope

    # --- dead letters ------------------------------------------------------------------------------------------

    async def dead(self, limit: int = 100) -> list[Row]:
        """The latest dead letters, newest first."""
        return await self.store.reader.all(journal.LIST_DEAD, {"most": limit})

    async def dead_letter(self, seq: int) -> Row:
        """Raises NotFound."""
        row = await self.store.reader.first(journal.GET_DEAD, {"p_seq": seq})
        if row is None:
            raise NotFound(f"there is no dead letter {seq}")
        return row

    async def replay(self, seq: int, *, by: str = "staff") -> None:
        """Reopen the inbox row of the consumer that failed, and of no other, and try again: here when it runs here, else
        by whichever process serves it. One that never reached its consumer is handed to it now.

        Raises NotFound; Conflict when it cannot be read; TemporaryError when its consumer cannot be reached.
        """
        row = await self.dead_letter(seq)
        if row["reason"] == "unreadable":
            raise Conflict(f"dead letter {seq} is no event that could be handled: look at it, then drop it")
        consumer = self.dispatcher.consumer(row["consumer"])
        event = cloudevents.from_structured(row["body"].encode(), now=self.clock.now())
        subscription = consumer.subscription(event) if consumer else None
        if subscription is None and (consumer is not None or self.network is None):
            raise NotFound(f"{row['consumer']} does not run here or no longer hears {event.type}")
        key = {"p_consumer": row["consumer"], "p_source": event.source, "p_id": event.id}
        owner = self.network.worker.id if self.network is not None and consumer is not None else None

        async def work(unit: Unit) -> str:
            body = row["body"] if self.network is not None else None
            if await unit.db.first(journal.GET_INBOX, key) is None:
                return "absent"
            opened = await unit.db.run(journal.REOPEN_INBOX, {**key, "p_owner": owner, "p_body": body})
            if opened:
                await unit.db.run(journal.FORGET_FAILURES, key)  # what failed is tried again, what succeeded is not
            await unit.db.run(journal.MARK_REPLAYED, {"p_seq": seq, "p_at": self.clock.now(), "p_by": by})
            return "opened" if opened else "stands"  # it stands open or done: an earlier replay has seen to that

        found = await self.store.run(work)
        if found != "absent":
            if found == "opened" and consumer is not None and subscription is not None:
                delivery = Delivery(consumer, subscription, event, known=True, resumed=True)
                await self.dispatcher.resume(delivery, journal.RETRY, None)
            return
        if self.network is None or not await self.network.bus.redeliver(row["consumer"], event):
            raise TemporaryError(f"{row['consumer']} cannot be reached now; try again when it runs", code="unreachable")
        await mark_replayed(self.world, seq, by=by, at=self.clock.now())

    async def drop(self, seq: int, *, by: str = "staff") -> None:
        """Give a dead letter up: it stays on record, and is not waited for. Raises NotFound, Conflict."""
        await self.dead_letter(seq)

        async def work(unit: Unit) -> int:
            return await unit.db.run(journal.MARK_DROPPED, {"p_seq": seq, "p_at": self.clock.now(), "p_by": by})

        if await self.store.run(work) == 0:
            raise Conflict(f"dead letter {seq} has been replayed or dropped before")

    async def settle(self) -> None:
        """Wait until nothing is being handled and nothing is due now (retries and timers in the future stay)."""
        while True:
            await self.dispatcher.idle()
            if self.network is not None:
                await self.network.relay.idle()
            await self.steward.flush()
            await asyncio.sleep(0)
            if self.dispatcher.active == 0:
                return

    async def stop(self, *, grace: float = 10.0) -> None:
        """Drain: begin nothing, let what runs finish for `grace` seconds; the rest resumes at the next start.

        Also while the database is away: what cannot be written down then is found by whoever goes on.
        """
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        try:
            if self.network is None:
                await self.dispatcher.drain(grace)
            else:
                await self.network.drain(grace)
            await self.steward.flush()
            await (self.steward.put_down() if self.network is None else self.network.worker.end())
        except (TemporaryError, TimeoutError) as error:
            # Marks are made again, and this worker's rows are taken over when its lease has run out.
            _log.warning("stop.not_written_down", error=str(error) or "no answer in time")
        finally:
            if self.network is not None:
                await self.network.stop()
            await self.store.close()
