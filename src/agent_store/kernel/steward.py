"""Looks after what time and crashes leave: unpublished outbox rows, unfinished inbox rows, timers, schedules, retention.

Inside the embedded process it is one task; in a cluster it is a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from agent_store.kernel import cloudevents, journal
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.contexts import TransactionContext, World, new_trace, nobody
from agent_store.kernel.dispatcher import Delivery, Dispatcher
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.ids import derived_id
from agent_store.kernel.journal import DONE, PARKED, RETRY
from agent_store.kernel.store import Unit

_log = structlog.get_logger("agent_store.steward")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 500


class Steward:
    def __init__(self, world: World, dispatcher: Dispatcher, *, retention: timedelta = timedelta(days=30)) -> None:
        self._world = world
        self._dispatcher = dispatcher
        self._retention = retention
        self._consumers: list[Consumer] = []
        self._next_timer: datetime | None = None
        self._ticks: dict[tuple[str, str], datetime] = {}
        self._next_sweep: datetime | None = None
        self._wake = asyncio.Event()
        dispatcher.rescheduled = self._wake.set

    def add(self, consumer: Consumer) -> None:
        """Run this consumer's schedules (a brand's instance of an agent has none of its own)."""
        if consumer.brand is None:
            self._consumers.append(consumer)

    def notice(self, due: Sequence[datetime]) -> None:
        """A commit has set timers for these times."""
        for at in due:
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
            delivery = Delivery(
                consumer, subscription, event, _nothing, attempts=row["attempts"], known=True, resumed=True
            )
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
            elif state == PARKED:
                self._dispatcher.hold(item, due or self._world.clock.now())
            elif state == RETRY and due is not None and due > self._world.clock.now():
                self._dispatcher.deliver_later(item, due)
            else:
                self._dispatcher.deliver(item)
        row = await self._world.store.reader.first(journal.NEXT_TIMER)
        self._next_timer = row["due_at"] if row else None
        return taken

    async def tick(self) -> None:
        """Do everything that is due by the clock: retries, timers, schedules, marks, retention."""
        now = self._world.clock.now()
        self._dispatcher.run_due(now)
        await self._fire_timers(now)
        await self._run_schedules(now)
        await self.flush()
        if self._next_sweep is None or now >= self._next_sweep:
            self._next_sweep = now + timedelta(hours=1)
            await self._sweep(now)

    async def _fire_timers(self, now: datetime) -> None:
        while self._next_timer is not None and self._next_timer <= now:

            async def work(unit: Unit) -> int:
                rows = await unit.db.all(journal.DUE_TIMERS, {"now": now, "most": _PAGE})
                for row in rows:
                    unit.events.append(cloudevents.from_structured(row["body"].encode(), now=now))
                    await unit.db.run(journal.DELETE_TIMER, {"p_source": row["source"], "p_id": row["id"]})
                return len(rows)

            await self._world.store.run(work)
            row = await self._world.store.reader.first(journal.NEXT_TIMER)
            self._next_timer = row["due_at"] if row else None

    async def _run_schedules(self, now: datetime) -> None:
        for consumer in self._consumers:
            for schedule in consumer.agent.schedules.values():
                key = (consumer.name, schedule.name)
                planned = _EPOCH + schedule.period * ((now - _EPOCH) // schedule.period)
                if self._ticks.get(key) == planned:
                    continue
                event = Envelope(
                    id=derived_id(consumer.agent.name, schedule.name, planned.isoformat()),
                    source="/agent-store/schedule",
                    type=f"store.schedule.{consumer.agent.name}.{schedule.name}",
                    time=planned,
                    traceparent=new_trace(),
                )

                async def work(unit: Unit, consumer: Consumer = consumer, event: Envelope = event) -> None:
                    row = {
                        "consumer": consumer.name, "source": event.source, "id": event.id, "type": event.type,
                        "state": DONE, "attempts": 0, "received_at": now, "done_at": now,
                    }  # fmt: skip
                    if await unit.db.run(journal.INSERT_INBOX, row) == 0:
                        return
                    handler = consumer.agent.schedules[event.type.rpartition(".")[2]].handler
                    await handler(TransactionContext(self._world, consumer, event, nobody(), event.id, unit))

                try:
                    await self._world.store.run(work, timeout=schedule.timeout.total_seconds())
                except (TemporaryError, TimeoutError) as error:
                    _log.warning("schedule.failed", consumer=consumer.name, schedule=schedule.name, error=str(error))
                    continue  # tried again at the next tick: nothing was recorded
                self._ticks[key] = planned

    async def flush(self) -> None:
        """Mark in the outbox what every consumer has recorded."""
        published = self._dispatcher.take_published()
        if not published:
            return

        async def work(unit: Unit) -> None:
            await unit.db.many(journal.MARK_PUBLISHED, [{"p_source": source, "p_id": id} for source, id in published])

        await self._world.store.run(work)

    async def _sweep(self, now: datetime) -> None:
        before = now - self._retention

        async def work(unit: Unit) -> int:
            return sum([await unit.db.run(statement, {"before": before}) for statement in journal.RETENTION])

        gone = await self._world.store.run(work, timeout=60)
        if gone:
            _log.info("retention.swept", rows=gone)

    async def run(self) -> None:
        """Tick whenever something is due, at least every second; ends by cancellation."""
        while True:
            try:
                await self.tick()
            except TemporaryError as error:
                _log.warning("steward.delayed", error=error.message)
            now = self._world.clock.now()
            nearest = [at for at in (self._next_timer, self._dispatcher.next_due()) if at is not None]
            wait = min(1.0, max(0.0, min(((at - now).total_seconds() for at in nearest), default=1.0)))
            self._wake.clear()
            if wait > 0:
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    continue


def _nothing() -> None:
    pass
