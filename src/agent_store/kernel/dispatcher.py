"""Delivers events to consumers: order by partition, once in effect, retries, dead letters.

The unit is a *delivery* (`kernel.delivery`): one event for one consumer. It comes in here, from the outbox of this process
(`publish`), from a network (`receive`), or from what lies unfinished in the inbox (`resume`); waits for its turn in its
lane (`kernel.lanes`); and is tried (`kernel.handling`) until it has ended.

What comes from a network is recorded with the name of the worker that sees to it, and its body: from then on the broker
is not needed. Other workers of the same consumer take over what a dead one has left (`kernel.worker`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from agent_store.kernel.agent import Subscription
from agent_store.kernel.bus import Until
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.contexts import World
from agent_store.kernel.delivery import Arrival, Delivery, stopping
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.handling import Handling
from agent_store.kernel.inbox import Inbox
from agent_store.kernel.journal import PARKED, RETRY
from agent_store.kernel.lanes import Lanes
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.parking import Parking
from agent_store.kernel.waiting import Waiting
from agent_store.kernel.worker import Worker

SHELF = 20_000
"""Deliveries in memory beyond which none is recorded before its turn: what comes then is held by the broker."""


class Dispatcher:
    """Without a worker: on the local bus. `monotonic` gives seconds; tests move their own."""

    def __init__(
        self,
        world: World,
        metrics: Metrics,
        worker: Worker | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._arrivals: dict[tuple[str, str, str], Delivery] = {}
        """What a network has brought, or another process left, and has not ended here."""
        self._consumers: list[Consumer] = []
        self._routes: dict[str, list[Consumer]] = {}
        self._published: list[tuple[str, str]] = []
        shared = worker is not None
        self._waiting = Waiting()
        self._inbox = Inbox(world, worker)
        self._parking = Parking(
            world, self._inbox, self._waiting, self._deliver, shared=shared, monotonic=monotonic
        )  # fmt: skip
        self._handling = Handling(
            world, metrics, self._inbox, self._parking, self._waiting, self._refuse, shared=shared
        )
        self._lanes = Lanes(world.clock, metrics, self._waiting, self, self._handling.attempt, self._shelve)

    # --- consumers ---------------------------------------------------------------------------------------------

    def add(self, consumer: Consumer) -> None:
        self._consumers.append(consumer)
        for event_type in (*consumer.agent.subscriptions, *consumer.agent.ticks):
            self._routes.setdefault(event_type, []).append(consumer)

    def remove(self, name: str) -> None:
        """What waits for it stays in the outbox and the inbox."""
        self._consumers = [consumer for consumer in self._consumers if consumer.name != name]
        for event_type, consumers in self._routes.items():
            self._routes[event_type] = [consumer for consumer in consumers if consumer.name != name]

    @property
    def consumers(self) -> Sequence[Consumer]:
        return self._consumers

    def consumer(self, name: str) -> Consumer | None:
        return next((consumer for consumer in self._consumers if consumer.name == name), None)

    def hears(self, event: Envelope) -> bool:
        """Is there a local consumer for it?"""
        return any(consumer.subscription(event) is not None for consumer in self._routes.get(event.type, ()))

    # --- from the outbox ---------------------------------------------------------------------------------------

    def publish(self, events: Sequence[Envelope], *, fresh: bool = False) -> None:
        """Deliver committed outbox events to every local consumer that hears them. `fresh`: they have just been
        written, so those that nobody hears are marked already."""
        for event in events:
            targets: list[tuple[Consumer, Subscription]] = []
            for consumer in self._routes.get(event.type, ()):
                subscription = consumer.subscription(event)
                if subscription is not None:
                    targets.append((consumer, subscription))
            if fresh and not targets:
                continue
            recorded = self._publication(event, len(targets))
            for consumer, subscription in targets:
                self._lanes.deliver(Delivery(consumer, subscription, event, recorded))

    def _publication(self, event: Envelope, targets: int) -> Callable[[], None]:
        """Returns what a consumer calls once its inbox has the event; after the last one the outbox row is published."""
        left = targets
        if left == 0:
            self._published.append((event.source, event.id))

        def recorded() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self._published.append((event.source, event.id))

        return recorded

    def published(self, source: str, id: str) -> None:
        """A broker has confirmed an event: its outbox row may be marked."""
        self._published.append((source, id))

    def take_published(self, most: int) -> list[tuple[str, str]]:
        """What may be marked published now; the caller marks it, or puts it back. Losing it only costs a redelivery."""
        taken, self._published = self._published[:most], self._published[most:]
        return taken

    def put_back(self, published: Sequence[tuple[str, str]]) -> None:
        self._published.extend(published)

    # --- from a network ----------------------------------------------------------------------------------------

    async def receive(self, event: Envelope, *, consumer: str | None = None, until: Until = "recorded") -> None:
        """See `kernel.bus.Intake`."""
        if self._waiting.draining:
            raise stopping()
        waits: list[asyncio.Future[None]] = []
        for other in self._routes.get(event.type, ()):
            if consumer is not None and other.name != consumer:
                continue
            subscription = other.subscription(event)
            if subscription is None:
                continue
            key = (other.name, event.source, event.id)
            delivery = self._arrivals.get(key)
            arrival = delivery.arrival if delivery is not None else None
            if arrival is None:
                arrival = Arrival()
                if delivery is None:
                    delivery = self._arrivals[key] = Delivery(other, subscription, event, arrival=arrival)
                    self._deliver(delivery)
                else:  # taken over from a dead worker, and now sent by the broker as well
                    delivery.arrival = arrival
                    arrival.note()
                    if delivery.parked:
                        arrival.end()
            waits.append(arrival.recorded if until == "recorded" else arrival.handled)
        for wait in waits:
            await asyncio.shield(wait)

    def _deliver(self, delivery: Delivery) -> None:
        self._lanes.deliver(delivery)

    def _shelve(self, delivery: Delivery) -> None:
        if delivery.arrival is None or delivery.known or delivery.shelving or len(self._arrivals) > SHELF:
            return
        delivery.shelving = True
        self._waiting.begin(self._handling.shelve(delivery))

    # --- from the inbox ----------------------------------------------------------------------------------------

    def knows(self, consumer: str, source: str, id: str) -> bool:
        """Whether this delivery is in this process's hands."""
        return (consumer, source, id) in self._arrivals

    async def resume(self, delivery: Delivery, state: str, due: datetime | None) -> bool:
        """Go on with what stands unfinished in the inbox. False when this process is at it already."""
        if delivery.key in self._arrivals:
            return False
        self._arrivals[delivery.key] = delivery
        now = self._world.clock.now()
        if state == PARKED:
            delivery.patience = due or now
            try:
                goes_on = await self._inbox.is_next(self._world.store.reader, delivery)
            except BaseException:
                self._forget(delivery)
                raise
            if not goes_on:
                self._parking.hold(delivery, delivery.patience)
                return True
        elif state == RETRY and due is not None and due > now:
            delivery.not_before = due  # the lane is held until then, when its turn has come
        self._deliver(delivery)
        return True

    # --- to their end ------------------------------------------------------------------------------------------

    def ended(self, delivery: Delivery) -> None:
        """It is no longer this dispatcher's; whoever waits for it learns that."""
        self._forget(delivery)
        delivery.rest()

    def broken_off(self, delivery: Delivery) -> None:
        """By the drain."""
        self._refuse(delivery, stopping())

    def _refuse(self, delivery: Delivery, error: TemporaryError) -> None:
        """Leave it to the broker."""
        self._forget(delivery)
        if delivery.arrival is not None:
            delivery.arrival.refuse(error)

    def _forget(self, delivery: Delivery) -> None:
        if self._arrivals:
            key = delivery.key
            if self._arrivals.get(key) is delivery:
                del self._arrivals[key]

    # --- time and rest -----------------------------------------------------------------------------------------

    @property
    def rescheduled(self) -> Callable[[], None]:
        """Called when `next_due` may have changed."""
        return self._waiting.rescheduled

    @rescheduled.setter
    def rescheduled(self, action: Callable[[], None]) -> None:
        self._waiting.rescheduled = action

    def next_due(self) -> datetime | None:
        return self._waiting.next_due()

    def run_due(self, now: datetime) -> None:
        self._waiting.run_due(now)

    @property
    def draining(self) -> bool:
        return self._waiting.draining

    @property
    def active(self) -> int:
        """Deliveries that are being handled or wait for their turn (not behind a retry that is not due yet)."""
        return self._lanes.active

    async def idle(self) -> None:
        """Wait until nothing is being handled and no lane has anything to do now."""
        await self._lanes.idle()

    async def drain(self, grace: float) -> None:
        """Begin nothing new, let what runs finish for `grace` seconds, then cancel it: it resumes at the next start. What
        waits for its turn goes back to the broker at once."""
        self._waiting.draining = True
        for delivery in self._lanes.standing():
            self._refuse(delivery, stopping())
        await self._waiting.drain(grace)
        for delivery in list(self._arrivals.values()):
            self._refuse(delivery, stopping())

    def abandon(self) -> None:
        """Break everything off as a killed process would. For crash tests and drills."""
        self._waiting.draining = True
        for task in self._waiting.tasks:
            task.cancel()
        for delivery in list(self._arrivals.values()):
            self._refuse(delivery, stopping())
