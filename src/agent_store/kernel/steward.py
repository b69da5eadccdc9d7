"""Looks after what time and crashes leave: unpublished outbox rows, unfinished inbox rows, timers, schedules, retention.

Inside the embedded process it is one task; in a cluster it is a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.sql.base import Executable

from agent_store.kernel import cloudevents, journal
from agent_store.kernel.agent import TICK_TOPIC, Agent, Schedule
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.contexts import World, new_trace
from agent_store.kernel.delivery import Delivery
from agent_store.kernel.dispatcher import Dispatcher
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.ids import derived_id
from agent_store.kernel.journal import ACCEPTED
from agent_store.kernel.store import Unit
from agent_store.kernel.tracing import creating

_log = structlog.get_logger("agent_store.steward")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 500
_OWN_TIMERS = 10_000
_MARKS = 2000


def planned_time(schedule: Schedule, now: datetime) -> datetime:
    """The last one before now, or now: the same for everybody."""
    return _EPOCH + schedule.period * ((now - _EPOCH) // schedule.period)


def tick_of(agent: Agent, schedule: Schedule, planned: datetime) -> Envelope:
    """The event that runs a schedule at a planned time. Its id comes out the same wherever it is made, so a consumer
    handles it once, however often and from wherever it is sent."""
    return Envelope(
        id=derived_id(agent.name, schedule.name, planned.isoformat()),
        source="/agent-store/schedule",
        type=agent.tick_type(schedule),
        time=planned,
        data=b"{}",
        topic=TICK_TOPIC,
        traceparent=new_trace(),
    )


class Steward:
    """`shared`: other processes set timers too, so the table is looked at each time. `keeper`: this process runs the
    schedules and the retention; of several processes on one database, the steward is that."""

    def __init__(
        self,
        world: World,
        dispatcher: Dispatcher,
        *,
        retention: timedelta = timedelta(days=30),
        keeper: bool = True,
        shared: bool = False,
    ) -> None:
        self._world = world
        self._dispatcher = dispatcher
        self._retention = retention
        self._keeper = keeper
        self._shared = shared
        self.duties: list[Callable[[], Awaitable[None]]] = []
        """What else is done at each tick (a worker's beat, the reconciler)."""
        self._consumers: list[Consumer] = []
        self._next_timer: datetime | None = None
        self._meanwhile: datetime | None = None
        """The nearest timer that was set since the last look at the table began."""
        self._own: list[datetime] = []
        """Of a process that is not the keeper: when the timers are due that it has set itself, as a heap."""
        self._ticks: dict[tuple[str, str], datetime] = {}
        self._next_sweep: datetime | None = None
        self._wake = asyncio.Event()
        dispatcher.rescheduled = self._wake.set

    def add(self, consumer: Consumer) -> None:
        """Run this consumer's schedules (a brand's instance of an agent has none of its own)."""
        if consumer.brand is None:
            self._consumers.append(consumer)
            self._wake.set()

    def remove(self, name: str) -> None:
        self._consumers = [consumer for consumer in self._consumers if consumer.name != name]

    def notice(self, due: Sequence[datetime]) -> None:
        """A commit has set timers for these times."""
        for at in due:
            if self._shared and not self._keeper and len(self._own) < _OWN_TIMERS:
                heapq.heappush(self._own, at)
            if self._meanwhile is None or at < self._meanwhile:
                self._meanwhile = at
            if self._next_timer is None or at < self._next_timer:
                self._next_timer = at
                self._wake.set()

    async def recover(self) -> int:
        """Take up what a killed process left, oldest first. Returns how many events were taken up."""
        rows = await self._world.store.reader.all(journal.OPEN_INBOX)
        taken = 0
        deliveries: list[tuple[int, Delivery, str, datetime | None]] = []
        for row in rows:
            consumer = self._dispatcher.consumer(row["consumer"])
            event = journal.envelope_of(row)
            subscription = consumer.subscription(event) if consumer else None
            if consumer is None or subscription is None:
                continue
            attempts: int = row["attempts"]
            died = row["state"] == ACCEPTED or row["error"] == journal.DIED
            if row["state"] == ACCEPTED:  # it was being handled when the process died, and may have been why
                attempts += 1
                await self._count_crash(consumer, event)
            delivery = Delivery(consumer, subscription, event, attempts=attempts, known=True, resumed=True, died=died)
            deliveries.append((row["seq"], delivery, row["state"], row["due_at"]))
            taken += 1
        after = 0
        pending: list[tuple[int, Envelope]] = []
        while True:
            page = await self._world.store.reader.all(journal.PENDING_EVENTS, {"after": after, "most": _PAGE})
            if not page:
                break
            pending.extend((row["seq"], journal.envelope_of(row)) for row in page)
            after = page[-1]["seq"]
        # One order for both kinds, so that a lane sees its events as they were emitted.
        work: list[tuple[int, Delivery | Envelope, str, datetime | None]] = [*deliveries]
        work.extend((seq, event, "", None) for seq, event in pending)
        for _, item, state, due in sorted(work, key=lambda entry: entry[0]):
            if isinstance(item, Envelope):
                self._dispatcher.publish([item])
                taken += 1
            else:
                await self._dispatcher.resume(item, state, due)
        self._next_timer = await self._nearest_timer()
        return taken

    async def _nearest_timer(self) -> datetime | None:
        """Also of those that are set while the table is being read, which the reading may not have seen."""
        self._meanwhile = None
        row = await self._world.store.reader.first(journal.NEXT_TIMER)
        known = (row["due_at"] if row else None, self._meanwhile)
        return min((at for at in known if at is not None), default=None)

    async def _count_crash(self, consumer: Consumer, event: Envelope) -> None:
        key = {"p_consumer": consumer.name, "p_source": event.source, "p_id": event.id}

        async def work(unit: Unit) -> None:
            await unit.db.run(journal.COUNT_CRASH, key)

        await self._world.store.run(work)

    async def tick(self) -> None:
        """Do everything that is due by the clock: retries, timers, schedules, marks, retention."""
        now = self._world.clock.now()
        self._dispatcher.run_due(now)
        if self._shared and self._keeper:
            self._next_timer = await self._nearest_timer()
        await self._fire_timers(now)
        if self._keeper:
            await self._emit_ticks(now)
        await self.flush()
        for duty in self.duties:
            await duty()
        if self._keeper and (self._next_sweep is None or now >= self._next_sweep):
            await self._sweep(now)
            self._next_sweep = now + timedelta(hours=1)

    async def _fire_timers(self, now: datetime) -> None:
        while self._next_timer is not None and self._next_timer <= now:

            async def work(unit: Unit) -> int:
                rows = await unit.db.all(journal.DUE_TIMERS, {"now": now, "most": _PAGE})
                for row in rows:
                    unit.events.append(cloudevents.from_structured(row["body"].encode(), now=now))
                    await unit.db.run(journal.DELETE_TIMER, {"p_source": row["source"], "p_id": row["id"]})
                return len(rows)

            fired = await self._world.store.run(work)
            if self._own:  # the others' timers are the steward's to look for
                while self._own and self._own[0] <= now:
                    heapq.heappop(self._own)
                self._next_timer = self._own[0] if self._own else None
                continue
            nearest = await self._nearest_timer()
            if not fired and nearest is not None:  # another process fires them at this moment
                nearest = max(nearest, now + timedelta(milliseconds=200))
            self._next_timer = nearest

    async def _emit_ticks(self, now: datetime) -> None:
        """The last planned time of every schedule, as an event with an id that comes out the same wherever it is made:
        one that has been emitted before is not emitted again."""
        for consumer in self._consumers:
            for schedule in consumer.agent.schedules.values():
                key = (consumer.name, schedule.name)
                planned = planned_time(schedule, now)
                if self._ticks.get(key) == planned:
                    continue
                with creating(self._world.tracing, consumer.agent.tick_type(schedule), consumer.name):
                    tick = tick_of(consumer.agent, schedule, planned)

                    async def work(unit: Unit, tick: Envelope = tick) -> None:
                        unit.events.append(tick)

                    await self._world.store.run(work)
                self._ticks[key] = planned

    async def put_down(self) -> None:
        """This process stops in good order: what it has not finished counts as no crash at the next start."""

        async def work(unit: Unit) -> None:
            await unit.db.run(journal.PUT_DOWN, {"p_owner": None})

        await self._world.store.run(work)

    async def flush(self) -> None:
        """Mark in the outbox what every consumer has recorded."""
        while published := self._dispatcher.take_published(_MARKS):

            async def work(unit: Unit, published: list[tuple[str, str]] = published) -> None:
                await journal.mark_published(unit.db, published)

            try:
                await self._world.store.run(work)
            except BaseException:
                self._dispatcher.put_back(published)
                raise

    async def _sweep(self, now: datetime) -> None:
        """Retention, in batches of a page: between two of them the store does other work."""
        before = now - self._retention
        gone = 0
        for statement in journal.RETENTION:
            while True:
                deleted = await self._delete(statement, {"before": before, "most": _PAGE})
                gone += deleted
                if deleted < _PAGE:
                    break
        after = 0
        while True:
            page = await self._world.store.reader.first(journal.OUTBOX_PAGE, {"after": after, "most": _PAGE})
            if page is None or page["last"] is None or page["oldest"] >= before:
                break
            gone += await self._delete(journal.SWEEP_OUTBOX, {"after": after, "last": page["last"], "before": before})
            after = page["last"]
        if gone:
            _log.info("retention.swept", rows=gone)

    async def _delete(self, statement: Executable, params: dict[str, object]) -> int:
        async def work(unit: Unit) -> int:
            return await unit.db.run(statement, params)

        return await self._world.store.run(work)

    async def run(self) -> None:
        """Tick whenever something is due, at least every second; ends by cancellation."""
        while True:
            pause = 0.0
            try:
                await self.tick()
            except (TemporaryError, TimeoutError) as error:
                # What was due stays due: the store or the disk gets a second to recover.
                _log.warning("steward.delayed", error=str(error))
                pause = 1.0
            now = self._world.clock.now()
            nearest = [at for at in (self._next_timer, self._dispatcher.next_due()) if at is not None]
            wait = min(1.0, max(pause, min(((at - now).total_seconds() for at in nearest), default=1.0)))
            self._wake.clear()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
