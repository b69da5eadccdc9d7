"""One process on a network bus: its worker, its relay, and what it takes over from workers that died."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from agent_store.kernel import cloudevents, journal
from agent_store.kernel.bus import Bus
from agent_store.kernel.clock import Clock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Row
from agent_store.kernel.delivery import Delivery
from agent_store.kernel.dispatcher import Dispatcher
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.relay import Relay
from agent_store.kernel.store import Store, Unit
from agent_store.kernel.worker import BEAT_SECONDS, CLAIMED, Worker

_log = structlog.get_logger("agent_store.network")


_PAGES = 10
_AUDIT = 15
"""Beats between two audits."""


class Network:
    def __init__(
        self,
        bus: Bus,
        worker: Worker,
        dispatcher: Dispatcher,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bus = bus
        self.worker = worker
        self.relay = Relay(bus, metrics, dispatcher.published)
        self._dispatcher = dispatcher
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._monotonic = monotonic
        self.closing: list[Callable[[], Awaitable[None]]] = []
        """What else ends with it (the reconciler's errands)."""
        self._next_beat = 0.0
        self._beats = 0
        self._beating: asyncio.Task[None] | None = None

    async def start(self, consumers: Sequence[Consumer]) -> int:
        """Returns how many unfinished events were taken over."""
        self.worker.consumers = [consumer.name for consumer in consumers]
        await self.worker.begin()
        self.relay.start()
        taken = await self.claim()
        await self.bus.start(self._dispatcher, consumers)
        self._next_beat = self._monotonic() + BEAT_SECONDS
        return taken

    def watch(self) -> None:
        """Beat in a task of its own: nothing else that this process does may hold it up."""
        self._beating = asyncio.create_task(self._beat(), name="worker's beat")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS / 2)
            try:
                await self.tick()
            except (TemporaryError, TimeoutError) as error:
                _log.warning("worker.beat_missed", error=str(error))

    @property
    def healthy(self) -> bool:
        return self.relay.healthy and self.bus.healthy and (self._beating is None or not self._beating.done())

    async def tick(self) -> None:
        """Beat, and take over what nobody sees to, when the time has come."""
        if self._monotonic() < self._next_beat:
            return
        self._next_beat = self._monotonic() + BEAT_SECONDS
        await self.worker.beat()
        if self._dispatcher.draining:
            return
        await self.claim()
        self._beats += 1
        if self._beats % _AUDIT == 0:
            await self._audit()

    async def claim(self) -> int:
        """Take over what nobody sees to; not all at once, so that other workers have their share."""
        taken = 0
        for _ in range(_PAGES):
            rows = await self.worker.claim(self.worker.consumers)
            for row in rows:
                taken += await self._take_up(row)
            if len(rows) < CLAIMED:
                break
        if taken:
            self._metrics.count("taken_over", taken)
        return taken

    async def _audit(self) -> None:
        """Take up what this worker owns and does not know of: a claim whose commit was in doubt, say."""
        for key in await self.worker.owned():
            if self._dispatcher.knows(key["consumer"], key["source"], key["id"]):
                continue
            row = await self.worker.owned_row(key)
            if row is not None and await self._take_up(row):
                self._metrics.count("found_again")

    async def _take_up(self, row: Row) -> bool:
        consumer = self._dispatcher.consumer(row["consumer"])
        event = await self._event_of(row)
        if consumer is None or event is None:
            return False
        subscription = consumer.subscription(event)
        if subscription is None:
            await self._bury_unheard(consumer, event, row["attempts"])
            return False
        died = row["error"] == journal.DIED
        delivery = Delivery(
            consumer, subscription, event, attempts=row["attempts"], known=True, resumed=True, died=died
        )
        return await self._dispatcher.resume(delivery, row["state"], row["due_at"])

    async def _event_of(self, row: Row) -> Envelope | None:
        """From its inbox row; one that was recorded on the local bus stands in the outbox only."""
        if row["body"] is not None:
            return cloudevents.from_structured(row["body"].encode(), now=self._clock.now())
        found = await self._store.reader.first(journal.GET_EVENT, {"p_source": row["source"], "p_id": row["id"]})
        return journal.envelope_of(found) if found is not None else None

    async def _bury_unheard(self, consumer: Consumer, event: Envelope, attempts: int) -> None:
        """It was recorded by a version of the consumer that heard it."""
        error, now = f"{consumer.name} no longer hears {event.type}", self._clock.now()

        async def work(unit: Unit) -> None:
            changed = await unit.db.run(
                journal.SET_INBOX,
                {
                    "p_consumer": consumer.name, "p_source": event.source, "p_id": event.id, "p_owner": self.worker.id,
                    "p_state": journal.DEAD, "p_attempts": attempts, "p_due": None, "p_done": now, "p_error": error,
                },
            )  # fmt: skip
            if changed:
                await journal.write_dead(
                    unit.db, consumer.name, event, reason="permanent", attempts=attempts, error=error, at=now
                )

        await self._store.run(work)
        _log.error("event.dead", consumer=consumer.name, event_type=event.type, event_id=event.id, reason="permanent",
                   error=error)  # fmt: skip

    def offer(self, events: Sequence[Envelope]) -> None:
        self.relay.offer(events)

    async def add(self, consumer: Consumer) -> None:
        self.worker.consumers = [*self.worker.consumers, consumer.name]
        await self.bus.add(consumer)

    async def remove(self, name: str) -> None:
        self.worker.consumers = [consumer for consumer in self.worker.consumers if consumer != name]
        await self.bus.remove(name)

    async def drain(self, grace: float) -> None:
        """Take in no more, let what runs finish for `grace` seconds, and send what it has emitted. What waits is refused
        meanwhile, so that the bus can answer for it; and the beat goes on, so that nobody takes over what still runs."""
        leaving = asyncio.create_task(self.bus.drain())
        await asyncio.sleep(0)
        await self._dispatcher.drain(grace)
        try:
            await leaving
        except TemporaryError as error:  # its connections are cut below: the broker takes back what is unanswered
            _log.warning("bus.drain_failed", error=str(error))
        await self.relay.stop(min(grace, 5.0))

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        for close in self.closing:
            await close()
        await self.relay.stop(0)
        await self.bus.stop()
