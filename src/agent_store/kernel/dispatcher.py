"""Delivers events to consumers: order by partition, once in effect, retries, dead letters.

The unit is a *delivery*: one event for one consumer. Deliveries of one (consumer, partition) stand in a *lane* and are
handled one after the other; lanes run side by side. An `@on` handling is one work of a group commit, with its inbox
row; a `@process` is accepted in one (inbox row `accepted`), runs as a task, and is finished in another.

What comes from a network (`receive`) is recorded with the name of the worker that sees to it, and its body: from then
on the broker is not needed. Other workers of the same consumer take over what a dead one has left (`kernel.worker`).
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Literal

import structlog

from agent_store.kernel import cloudevents, journal
from agent_store.kernel.agent import Subscription
from agent_store.kernel.bus import Until
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Session
from agent_store.kernel.contexts import ProcessContext, TransactionContext, World, nobody
from agent_store.kernel.errors import PermanentError, StoreError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.journal import ACCEPTED, DEAD, DONE, PARKED, RETRY
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.store import Unit
from agent_store.kernel.tracing import Span, code_of, handling, within
from agent_store.kernel.worker import Worker

_log = structlog.get_logger("agent_store.dispatcher")

MAX_BACKOFF = timedelta(minutes=5)
PARKED_LOOK = timedelta(milliseconds=250)
"""How often an early event looks whether another worker has ended its predecessor."""
LANE_ROOM = 16
"""Deliveries of a network that stand in one lane before those that come are recorded while they wait."""
SLOW_ROOM = 2
"""The same behind a process, which takes its time."""
SHELF = 20_000
"""Deliveries in memory beyond which that ends: what comes then is held by the broker."""
PROCESS_LIMIT = 256
"""Processes that run at the same time: a model or a Graph call each, so memory and sockets are bounded."""


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Delivery:
    """One event for one consumer. `attempts` counts failed tries; `known` is true when its inbox row stands already."""

    consumer: Consumer
    subscription: Subscription
    event: Envelope
    recorded: Callable[[], None]
    attempts: int = 0
    known: bool = False
    resumed: bool = False
    not_before: datetime | None = None
    """A retry: when it stands first in its lane, the lane is held until then."""
    patience: datetime | None = None
    """An early one: from then on it goes on without its predecessors."""
    ending: Callable[[], Awaitable[str]] | None = None
    """What is to be written about the last try, as long as the store has not taken it."""
    arrival: _Arrival | None = None
    """From a network: who waits for what becomes of it."""
    shelving: bool = False
    parked: bool = False
    delays: int = 0
    """How often the store has refused that."""


@dataclass(slots=True, eq=False)
class _Arrival:
    """What the bus waits for. A refusal before it is recorded leaves the event to the broker."""

    recorded: asyncio.Future[None] = field(default_factory=_future)
    handled: asyncio.Future[None] = field(default_factory=_future)

    def note(self) -> None:
        if not self.recorded.done():
            self.recorded.set_result(None)

    def end(self) -> None:
        self.note()
        if not self.handled.done():
            self.handled.set_result(None)

    def refuse(self, error: TemporaryError) -> None:
        for future in (self.recorded, self.handled):
            if not future.done():
                future.set_exception(error)
                future.exception()  # looked at: nobody may be waiting for this one


@dataclass(slots=True, eq=False)
class _Lane:
    waiting: deque[Delivery] = field(default_factory=deque[Delivery])
    slow: bool = False
    """A process is being handled."""
    held: bool = False
    """Its first delivery is a retry that is not due yet, and keeps the others behind it."""


Fate = Literal["ended", "again", "parked"]
"""What becomes of a delivery after a try: it is done with, stays the first of its lane, or waits out of its lane."""
_FATES: dict[str, Fate] = {"retried": "again", "early": "again", "parked": "parked", "dead": "ended"}


class _Early(Exception):
    """Raised inside a handling whose predecessor has not come yet."""


class _Lost(Exception):
    """Raised inside a commit when another worker has taken the event over: nothing of this handling counts."""


def backoff(subscription: Subscription, attempts: int, hint: timedelta | None) -> timedelta:
    """Exponential with full jitter above half (so neighbours spread), at most `MAX_BACKOFF`; a hint is a lower bound."""
    delay = min(subscription.backoff * 2 ** min(attempts - 1, 20), MAX_BACKOFF)
    delay = delay * (0.5 + random.random() / 2)
    return max(delay, hint) if hint is not None else delay


class Dispatcher:
    def __init__(self, world: World, metrics: Metrics, worker: Worker | None = None) -> None:
        self._world = world
        self._metrics = metrics
        self._worker = worker
        self._owner = worker.id if worker is not None else None
        self._arrivals: dict[tuple[str, str, str], Delivery] = {}
        self._consumers: list[Consumer] = []
        self._routes: dict[str, list[Consumer]] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._ticket = count()
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(PROCESS_LIMIT)
        self._parked: dict[tuple[str, str, str | None], list[Delivery]] = {}
        self._published: list[tuple[str, str]] = []
        self._draining = False
        self.rescheduled: Callable[[], None] = lambda: None

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

    # --- intake ------------------------------------------------------------------------------------------------

    def hears(self, event: Envelope) -> bool:
        """Is there a local consumer for it?"""
        return any(consumer.subscription(event) is not None for consumer in self._routes.get(event.type, ()))

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
                self.deliver(Delivery(consumer, subscription, event, recorded))

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

    async def receive(self, event: Envelope, *, consumer: str | None = None, until: Until = "recorded") -> None:
        """See `kernel.bus.Intake`."""
        if self._draining:
            raise _stopping()
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
                arrival = _Arrival()
                if delivery is None:
                    delivery = Delivery(other, subscription, event, _nothing, arrival=arrival)
                    self._arrivals[key] = delivery
                    self.deliver(delivery)
                else:  # claimed from a dead worker, and now sent by the broker as well
                    delivery.arrival = arrival
                    arrival.note()
                    if delivery.parked:
                        arrival.end()
            waits.append(arrival.recorded if until == "recorded" else arrival.handled)
        for wait in waits:
            await asyncio.shield(wait)

    def knows(self, consumer: str, source: str, id: str) -> bool:
        """Whether this delivery is in this process's hands."""
        return (consumer, source, id) in self._arrivals

    async def resume(self, delivery: Delivery, state: str, due: datetime | None) -> bool:
        """Go on with what stands unfinished in the inbox. False when this process is at it already."""
        key = _key(delivery)
        if key in self._arrivals:
            return False
        self._arrivals[key] = delivery
        now = self._world.clock.now()
        if state == PARKED:
            delivery.patience = due or now
            last, _ = await self._order(self._world.store.reader, delivery)
            if last < _sequence(delivery) - 1:
                self._hold(delivery, delivery.patience)
                return True
        elif state == RETRY and due is not None and due > now:
            delivery.not_before = due  # the lane is held until then, when its turn has come
        self.deliver(delivery)
        return True

    def deliver(self, delivery: Delivery) -> None:
        """Put it at the end of its lane."""
        if not delivery.known:
            self._metrics.received(delivery.consumer.name, delivery.event.type)
        key = (delivery.consumer.name, delivery.event.partition)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.waiting.append(delivery)
            if not lane.held:
                self._count(1)
            if lane.held or len(lane.waiting) > (SLOW_ROOM if lane.slow else LANE_ROOM):
                self._shelve(delivery)
            return
        lane = self._lanes[key] = _Lane()
        lane.waiting.append(delivery)
        self._count(1)
        self._advance(key, lane)

    def _advance(self, key: tuple[str, str], lane: _Lane) -> None:
        """Begin the lane's next delivery, or hold the lane until that may be tried again."""
        if self._draining:
            return  # what waits is taken up at the next start
        if not lane.waiting:
            del self._lanes[key]
            return
        due, lane.waiting[0].not_before = lane.waiting[0].not_before, None
        if due is not None and due > self._world.clock.now():
            lane.held = True
            self._count(-len(lane.waiting))
            for waiting in lane.waiting:
                self._shelve(waiting)
            self._wait(due, lambda: self._resume(key, lane))
            return
        delivery = lane.waiting.popleft()
        lane.slow = delivery.subscription.kind == "process"
        self._begin(self._handle(key, lane, delivery))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resume(self, key: tuple[str, str], lane: _Lane) -> None:
        lane.held = False
        self._count(len(lane.waiting))
        self._advance(key, lane)

    def _shelve(self, delivery: Delivery) -> None:
        """Record what came from a network and stands far behind, or behind a retry: else it would hold up the broker's
        queue, which sends only so many at a time."""
        if delivery.arrival is None or delivery.known or delivery.shelving or len(self._arrivals) > SHELF:
            return
        delivery.shelving = True

        async def nothing(unit: Unit) -> bool:
            return unit.claimed

        async def shelve() -> None:
            try:
                new = await self._world.store.run(
                    nothing, agent=delivery.consumer.agent.name, claim=self._inbox_row(delivery, RETRY)
                )
            except (TemporaryError, TimeoutError):
                return  # it stays with the broker, unacknowledged
            finally:
                delivery.shelving = False
            if new:
                self._recorded(delivery)
                if delivery.arrival is not None:
                    delivery.arrival.end()

        self._begin(shelve())

    # --- handling ----------------------------------------------------------------------------------------------

    async def _handle(self, key: tuple[str, str], lane: _Lane, delivery: Delivery) -> None:
        """Run one delivery to its end or to its next retry, then let the lane go on."""
        fate: Fate | None = None
        try:
            fate = await self._attempt(delivery)
        finally:
            if fate == "again":
                lane.waiting.appendleft(delivery)
            else:
                self._count(-1)
                if fate is None:  # cancelled by the drain
                    self._refuse(delivery, _stopping())
                elif fate == "ended":
                    self._ended(delivery)
            self._advance(key, lane)

    def _ended(self, delivery: Delivery) -> None:
        """It is no longer this dispatcher's; whoever waits for it learns that."""
        self._forget(delivery)
        if delivery.arrival is not None:
            delivery.arrival.end()

    def _forget(self, delivery: Delivery) -> None:
        if self._arrivals:
            key = _key(delivery)
            if self._arrivals.get(key) is delivery:
                del self._arrivals[key]

    async def _attempt(self, delivery: Delivery) -> Fate:
        """One try, as a span."""
        event, name = delivery.event, delivery.consumer.name
        with handling(self._world.tracing, name, event, attempt=delivery.attempts + 1) as span:
            return await self._try(delivery, span)

    async def _try(self, delivery: Delivery, span: Span) -> Fate:
        """One try, and what is to be written about it."""
        subscription, name, event_type = delivery.subscription, delivery.consumer.name, delivery.event.type
        started = time.perf_counter()
        if delivery.ending is None:
            try:
                if subscription.kind == "on":
                    outcome = await self._run_on(delivery, span)
                else:
                    async with self._slots:
                        if self._draining:
                            return "again"
                        outcome = await self._run_process(delivery, span)
            except _Early:
                delivery.ending = partial(self._park, delivery)
            except _Lost:
                return self._lost(delivery)
            except PermanentError as error:
                span.fail(code_of(error))
                delivery.attempts += 1
                reason = "crash" if error.code == "crash" else "permanent"
                delivery.ending = partial(self._bury, delivery, reason, _say(error))
            except Exception as error:  # noqa: BLE001  # any other failure may pass: counted, retried, in the end dead
                span.fail(code_of(error))
                delivery.ending = self._failed(delivery, error)
            else:
                span.set("agent_store.outcome", outcome)
                self._metrics.handled(name, event_type, outcome, time.perf_counter() - started)
                return "ended"
        try:
            outcome = await delivery.ending()
        except _Lost:
            return self._lost(delivery)
        except Exception as error:  # noqa: BLE001  # the store does not take it now: nothing is lost, it is tried again
            if delivery.arrival is not None and not delivery.known:
                self._refuse(
                    delivery, TemporaryError(f"the inbox does not take it now: {_say(error)}", code="database")
                )
                return "ended"
            delivery.delays += 1
            delivery.not_before = self._world.clock.now() + backoff(subscription, delivery.delays, None)
            _log.error("delivery.delayed", consumer=name, event_type=event_type, event_id=delivery.event.id,
                       until=delivery.not_before.isoformat(), error=_say(error), exc_info=error)  # fmt: skip
            return "again"
        delivery.ending, delivery.delays = None, 0
        span.set("agent_store.outcome", outcome)
        self._metrics.handled(name, event_type, outcome, time.perf_counter() - started)
        return _FATES[outcome]

    def _lost(self, delivery: Delivery) -> Fate:
        """Another worker sees to it: it is in good hands, and no longer ours."""
        delivery.ending = None
        self._metrics.handled(delivery.consumer.name, delivery.event.type, "lost", 0.0)
        _log.warning("delivery.lost", consumer=delivery.consumer.name, event_type=delivery.event.type,
                     event_id=delivery.event.id)  # fmt: skip
        self._recorded(delivery)
        return "ended"

    def _refuse(self, delivery: Delivery, error: TemporaryError) -> None:
        """Leave it to the broker."""
        self._forget(delivery)
        if delivery.arrival is not None:
            delivery.arrival.refuse(error)

    def _failed(self, delivery: Delivery, error: Exception) -> Callable[[], Awaitable[str]]:
        """What is to be written after a failure that may pass: the next try, or that there was the last."""
        delivery.attempts += 1
        reason = _say(error)
        if not isinstance(error, TemporaryError):
            _log.warning("handler.failed", consumer=delivery.consumer.name, event_type=delivery.event.type,
                         event_id=delivery.event.id, attempt=delivery.attempts, error=reason, exc_info=error)  # fmt: skip
        if delivery.attempts >= delivery.subscription.attempts:
            return partial(self._bury, delivery, "timeout" if isinstance(error, TimeoutError) else "exhausted", reason)
        hint = error.retry_after if isinstance(error, TemporaryError) else None
        return partial(self._retry, delivery, backoff(delivery.subscription, delivery.attempts, hint), reason)

    async def _run_on(self, delivery: Delivery, span: Span) -> str:
        """State, emitted events and the inbox row in one savepoint."""
        event, subscription, consumer = within(delivery.event, span), delivery.subscription, delivery.consumer
        world = self._world

        async def work(unit: Unit) -> str:
            stands = delivery.known or not unit.claimed
            if stands:
                ended, delivery.attempts = await self._stands(unit, delivery)
                if ended:
                    return ended
            if subscription.ordered:
                await self._check_order(unit, delivery, ends=True)
            context = TransactionContext(world, consumer, event, nobody(), f"{consumer.name}:{event.id}", unit)
            await subscription.handler(event.read(subscription.event), context)
            if stands:
                await self._finish(unit, delivery)
            return "done"

        outcome = await world.store.run(
            work,
            agent=consumer.agent.name,
            claim=None if delivery.known else self._inbox_row(delivery, DONE),
            timeout=subscription.timeout.total_seconds(),
        )
        self._recorded(delivery)
        if subscription.ordered:
            self._unpark_next(delivery)
        return outcome

    async def _run_process(self, delivery: Delivery, span: Span) -> str:
        """Accept (committed), run the steps, finish (committed with what it emits)."""
        event, subscription, consumer = within(delivery.event, span), delivery.subscription, delivery.consumer
        world = self._world

        async def accept(unit: Unit) -> str:
            stands = delivery.known or not unit.claimed
            if stands:
                delivery.resumed = True
                ended, delivery.attempts = await self._stands(unit, delivery)
                if ended:
                    return ended
            if subscription.ordered:
                await self._check_order(unit, delivery, ends=False)
            if stands:  # a death from here on counts
                await unit.db.run(journal.ACCEPT_INBOX, {**self._inbox_key(delivery), "p_owner": self._owner})
            return ""

        claim = None if delivery.known else self._inbox_row(delivery, ACCEPTED)
        ended = await world.store.run(accept, agent=consumer.agent.name, claim=claim)
        self._recorded(delivery)
        if ended:
            return ended
        if delivery.attempts >= subscription.attempts:
            raise PermanentError("the process that handled it has died with it, each time", code="crash")
        known: dict[str, tuple[str, str, str]] = {}
        if delivery.resumed:
            rows = await world.store.reader.all(journal.STEPS_OF, self._inbox_key(delivery))
            known = {row["name"]: (row["kind"], row["digest"], row["result"]) for row in rows}
        context = ProcessContext(
            world,
            consumer,
            event,
            nobody(),
            f"{consumer.name}:{event.id}",
            journal_id=(event.source, event.id),
            known=known,
            guard=None if self._worker is None else partial(self._hold_row, delivery),
        )
        try:
            async with asyncio.timeout(subscription.timeout.total_seconds()):
                await subscription.handler(event.read(subscription.event), context)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # the drain: it resumes at the next start
            raise TemporaryError("what the handler waited for was cancelled", code="cancelled") from error

        async def finish(unit: Unit) -> None:
            await context.end(unit)
            await self._finish(unit, delivery)
            if subscription.ordered:
                await self._pass(unit, delivery, await self._order(unit.db, delivery))

        await world.store.run(finish, agent=consumer.agent.name)
        if subscription.ordered:
            self._unpark_next(delivery)
        return "done"

    def _recorded(self, delivery: Delivery) -> None:
        """This consumer's inbox has the event: it counts towards the outbox row's end, once."""
        delivery.known = True
        recorded, delivery.recorded = delivery.recorded, _nothing
        recorded()
        if delivery.arrival is not None:
            delivery.arrival.note()

    async def _stands(self, unit: Unit, delivery: Delivery) -> tuple[str, int]:
        """Of an inbox row that stands: how it ended, or "" when it is to be handled, by this worker from now on; and its
        failed tries."""
        row = await unit.db.first(journal.GET_INBOX, self._inbox_key(delivery))
        if row is None:
            raise _Lost  # forgotten by the retention, long after it was done
        attempts: int = row["attempts"]
        if row["state"] in (DONE, DEAD):
            return "duplicate", attempts
        if row["owner"] != self._owner:
            if self._worker is not None and await self._worker.lives(row["owner"]):
                return "elsewhere", attempts
            if row["state"] == ACCEPTED and row["owner"] is not None:
                attempts += 1  # it was being handled when its worker died, and may have been why
            taken = {**self._inbox_key(delivery), "p_owner": self._owner, "p_attempts": attempts}
            await unit.db.run(journal.TAKE_INBOX, taken)
        return "", attempts

    async def _hold_row(self, delivery: Delivery, unit: Unit) -> None:
        """Before a step is written: nobody takes the event over until that is committed. Raises _Lost when somebody has."""
        key = {**self._inbox_key(delivery), "p_owner": self._owner}
        if await unit.db.first(journal.HOLD_INBOX, key) is None:
            raise _Lost

    async def _finish(self, unit: Unit, delivery: Delivery) -> None:
        key = {**self._inbox_key(delivery), "p_owner": self._owner, "p_done": self._world.clock.now()}
        if await unit.db.run(journal.FINISH_INBOX, key) == 0:
            raise _Lost

    def _inbox_key(self, delivery: Delivery) -> dict[str, object]:
        return {"p_consumer": delivery.consumer.name, "p_source": delivery.event.source, "p_id": delivery.event.id}

    def _inbox_row(self, delivery: Delivery, state: str) -> dict[str, object]:
        now = self._world.clock.now()
        return {
            "consumer": delivery.consumer.name,
            "source": delivery.event.source,
            "id": delivery.event.id,
            "type": delivery.event.type,
            "state": state,
            "attempts": delivery.attempts,
            "received_at": now,
            "done_at": now if state in (DONE, DEAD) else None,
            "owner": None if state in (DONE, DEAD) else self._owner,
            "body": None if state in (DONE, DEAD) or self._owner is None else _body(delivery.event),
        }

    # --- order -------------------------------------------------------------------------------------------------

    async def _check_order(self, unit: Unit, delivery: Delivery, *, ends: bool) -> None:
        """Advance the subject's sequence, or raise _Early when an earlier one is missing and may still come, or is being
        handled by another worker now. `ends`: this handling ends with the same commit."""
        event = delivery.event
        if event.sequence is None or event.subject is None:
            return
        order = await self._order(unit.db, delivery)
        last, taken = order
        if event.sequence > last + 1:
            waited = delivery.patience is not None and delivery.patience <= self._world.clock.now()
            if not waited or last < taken < event.sequence:
                raise _Early
        if ends:
            await self._pass(unit, delivery, order)
        elif event.sequence > taken:
            await self._set_order(unit, delivery, last, event.sequence)

    async def _order(self, db: Session, delivery: Delivery) -> tuple[int, int]:
        """The highest sequences of the subject whose handling has ended, and has begun."""
        row = await db.first(
            journal.GET_ORDER,
            {
                "p_consumer": delivery.consumer.name,
                "p_type": delivery.event.type,
                "p_subject": delivery.event.subject,
            },
        )
        return (row["last"], row["taken"]) if row is not None else (0, 0)

    async def _pass(self, unit: Unit, delivery: Delivery, order: tuple[int, int]) -> None:
        """Its handling has ended."""
        sequence, (last, taken) = delivery.event.sequence, order
        if sequence is not None and delivery.event.subject is not None and sequence > last:
            await self._set_order(unit, delivery, sequence, max(taken, sequence))

    async def _set_order(self, unit: Unit, delivery: Delivery, last: int, taken: int) -> None:
        await unit.db.run(
            journal.SET_ORDER,
            {
                "consumer": delivery.consumer.name,
                "type": delivery.event.type,
                "subject": delivery.event.subject,
                "last": last,
                "taken": taken,
                "at": self._world.clock.now(),
            },
        )

    async def _park(self, delivery: Delivery) -> str:
        """Keep an early event durably, out of its lane's way, until its turn or until it has waited long enough."""
        now = self._world.clock.now()
        due = delivery.patience or now + delivery.subscription.order_wait
        if due <= now:  # its predecessor is being handled elsewhere: that ends, one way or the other
            due = now + delivery.subscription.order_wait

        async def work(unit: Unit) -> bool:
            last, _ = await self._order(unit.db, delivery)
            if last >= _sequence(delivery) - 1:
                return False  # its predecessor has been finished meanwhile
            await self._write_state(unit, delivery, PARKED, due=due, error=None)
            return True

        if not await self._world.store.run(work, agent=delivery.consumer.agent.name):
            return "early"
        self._recorded(delivery)
        self._hold(delivery, due)
        return "parked"

    def _hold(self, delivery: Delivery, due: datetime) -> None:
        delivery.patience = due
        delivery.parked = True
        self._parked.setdefault(_place(delivery), []).append(delivery)
        if self._worker is None:
            self._wait(due, lambda: self._lose_patience(delivery))
        else:
            self._look(delivery)
        if delivery.arrival is not None:
            delivery.arrival.end()  # kept, and seen to: nobody need wait

    def _look(self, delivery: Delivery) -> None:
        """Another worker may have ended its predecessor: look now and then, until patience ends."""
        due = delivery.patience or self._world.clock.now()

        def look() -> None:
            waiting = self._parked.get(_place(delivery), ())
            if delivery not in waiting:
                return
            if due <= self._world.clock.now():
                self._lose_patience(delivery)
            elif delivery is min(waiting, key=_sequence):
                self._begin(self._look_for_predecessor(delivery))
            else:  # it is released by the one before it
                self._look(delivery)

        self._wait(min(due, self._world.clock.now() + PARKED_LOOK), look)

    async def _look_for_predecessor(self, delivery: Delivery) -> None:
        try:
            last, _ = await self._order(self._world.store.reader, delivery)
        except (TemporaryError, TimeoutError):
            last = 0
        if delivery not in self._parked.get(_place(delivery), ()):
            return
        if last >= _sequence(delivery) - 1:
            self._release(delivery)
        else:
            self._look(delivery)

    def _lose_patience(self, delivery: Delivery) -> None:
        waiting = self._parked.get(_place(delivery), [])
        if delivery in waiting:
            # Those that are here and come before it go before it.
            for other in sorted(waiting, key=_sequence):
                if _sequence(other) <= _sequence(delivery):
                    other.patience = delivery.patience
                    self._release(other)

    def _release(self, delivery: Delivery) -> None:
        waiting = self._parked[_place(delivery)]
        waiting.remove(delivery)
        if not waiting:
            del self._parked[_place(delivery)]
        delivery.parked = False
        self.deliver(delivery)

    def _unpark_next(self, delivery: Delivery) -> None:
        for other in sorted(self._parked.get(_place(delivery), ()), key=_sequence):
            if _sequence(other) <= _sequence(delivery) + 1:
                self._release(other)

    # --- failure -----------------------------------------------------------------------------------------------

    async def _write_state(
        self, unit: Unit, delivery: Delivery, state: str, *, due: datetime | None, error: str | None
    ) -> None:
        """Whether its inbox row stands or was rolled back with the handler."""
        row = self._inbox_row(delivery, state)
        if not delivery.known:
            if await unit.db.run(journal.INSERT_INBOX, {**row, "due_at": due, "error": error}):
                return
            ended, _ = await self._stands(unit, delivery)
            if ended:
                raise _Lost  # a duplicate that another worker has recorded meanwhile
        changed = await unit.db.run(
            journal.SET_INBOX,
            {
                **self._inbox_key(delivery),
                "p_owner": self._owner,
                "p_state": state,
                "p_attempts": delivery.attempts,
                "p_due": due,
                "p_done": row["done_at"],
                "p_error": error,
            },
        )
        if changed == 0:
            raise _Lost

    async def _retry(self, delivery: Delivery, delay: timedelta, reason: str) -> str:
        due = self._world.clock.now() + delay

        async def work(unit: Unit) -> None:
            await self._write_state(unit, delivery, RETRY, due=due, error=reason)
            await unit.db.run(journal.FORGET_FAILED, self._inbox_key(delivery))

        await self._world.store.run(work, agent=delivery.consumer.agent.name)
        self._recorded(delivery)
        delivery.not_before = due
        if delivery.arrival is not None:
            delivery.arrival.end()
        return "retried"

    async def _bury(self, delivery: Delivery, reason: str, error: str) -> str:
        """Dead letter and inbox row in one commit; the partition goes on."""
        now = self._world.clock.now()
        ordered = delivery.subscription.ordered and delivery.event.subject is not None

        async def work(unit: Unit) -> None:
            await self._write_state(unit, delivery, DEAD, due=None, error=error)
            await journal.write_dead(
                unit.db, delivery.consumer.name, delivery.event,
                reason=reason, attempts=delivery.attempts, error=error, at=now,
            )  # fmt: skip
            if ordered:  # it counts as passed: those after it do not wait for it
                await self._pass(unit, delivery, await self._order(unit.db, delivery))

        await self._world.store.run(work, agent=delivery.consumer.agent.name)
        self._recorded(delivery)
        _log.error("event.dead", consumer=delivery.consumer.name, event_type=delivery.event.type,
                   event_id=delivery.event.id, reason=reason, error=error)  # fmt: skip
        if ordered:
            self._unpark_next(delivery)
        return "dead"

    # --- waiting -----------------------------------------------------------------------------------------------

    def _wait(self, due: datetime, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (due, next(self._ticket), action))
        self.rescheduled()

    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def run_due(self, now: datetime) -> None:
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    def _count(self, change: int) -> None:
        self._active += change
        if self._active:
            self._idle.clear()
        else:
            self._idle.set()

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def active(self) -> int:
        """Deliveries that are being handled or wait for their turn (not behind a retry that is not due yet)."""
        return self._active

    async def idle(self) -> None:
        """Wait until nothing is being handled and no lane has anything to do now."""
        await self._idle.wait()

    async def drain(self, grace: float) -> None:
        """Begin nothing new, let what runs finish for `grace` seconds, then cancel it: it resumes at the next start."""
        self._draining = True
        for lane in self._lanes.values():
            for delivery in lane.waiting:
                self._refuse(delivery, _stopping())
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for delivery in list(self._arrivals.values()):
            self._refuse(delivery, _stopping())


def _stopping() -> TemporaryError:
    return TemporaryError("this process is stopping; another one takes it", code="draining")


def _key(delivery: Delivery) -> tuple[str, str, str]:
    return delivery.consumer.name, delivery.event.source, delivery.event.id


def _body(event: Envelope) -> str:
    return cloudevents.to_structured(event).decode()


def _place(delivery: Delivery) -> tuple[str, str, str | None]:
    """What a sequence counts: one subject's events of one type, for one consumer."""
    return delivery.consumer.name, delivery.event.type, delivery.event.subject


def _sequence(delivery: Delivery) -> int:
    return delivery.event.sequence or 0


def _nothing() -> None:
    pass


def _say(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the handler took too long"
    if isinstance(error, StoreError):
        return f"{error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"
