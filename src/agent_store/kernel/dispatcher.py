"""Delivers events to consumers: order by partition, once in effect, retries, dead letters.

The unit is a *delivery*: one event for one consumer. Deliveries of one (consumer, partition) stand in a *lane* and are
handled one after the other; lanes run side by side. An `@on` handling is one work of a group commit, with its inbox
row; a `@process` is accepted in one (inbox row `accepted`), runs as a task, and is finished in another.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import structlog

from agent_store.kernel import journal
from agent_store.kernel.agent import Subscription
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.contexts import ProcessContext, TransactionContext, World, nobody
from agent_store.kernel.errors import BadEvent, PermanentError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.journal import ACCEPTED, DEAD, DONE, PARKED, RETRY
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.store import Unit

_log = structlog.get_logger("agent_store.dispatcher")

MAX_BACKOFF = timedelta(minutes=5)
PROCESS_LIMIT = 256
"""Processes that run at the same time: a model or a Graph call each, so memory and sockets are bounded."""


@dataclass(slots=True)
class Delivery:
    """One event for one consumer. `attempts` counts failed tries; `known` is true when its inbox row stands already."""

    consumer: Consumer
    subscription: Subscription
    event: Envelope
    recorded: Callable[[], None]
    attempts: int = 0
    known: bool = False
    resumed: bool = False
    overdue: bool = False
    """Waited long enough for its predecessors: go on without them."""


@dataclass(slots=True)
class _Lane:
    waiting: deque[Delivery] = field(default_factory=deque[Delivery])
    busy: bool = False


class _Early(Exception):
    """Raised inside a handling whose predecessor has not come yet."""


def backoff(subscription: Subscription, attempts: int, hint: timedelta | None) -> timedelta:
    """Exponential with full jitter above half (so neighbours spread), at most `MAX_BACKOFF`; a hint is a lower bound."""
    delay = min(subscription.backoff * 2 ** min(attempts - 1, 20), MAX_BACKOFF)
    delay = delay * (0.5 + random.random() / 2)
    return max(delay, hint) if hint is not None else delay


class Dispatcher:
    def __init__(self, world: World, metrics: Metrics) -> None:
        self._world = world
        self._metrics = metrics
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
        self._parked: dict[tuple[str, str, str, str], dict[int, Delivery]] = {}
        self._published: list[tuple[str, str]] = []
        self._draining = False
        self.rescheduled: Callable[[], None] = lambda: None

    # --- consumers ---------------------------------------------------------------------------------------------

    def add(self, consumer: Consumer) -> None:
        if any(known.name == consumer.name for known in self._consumers):
            return
        self._consumers.append(consumer)
        for event_type in consumer.agent.subscriptions:
            self._routes.setdefault(event_type, []).append(consumer)

    def remove(self, name: str) -> None:
        """What waits for it stays in the outbox and the inbox."""
        self._consumers = [consumer for consumer in self._consumers if consumer.name != name]
        for event_type, consumers in self._routes.items():
            self._routes[event_type] = [consumer for consumer in consumers if consumer.name != name]

    def consumer(self, name: str) -> Consumer | None:
        return next((consumer for consumer in self._consumers if consumer.name == name), None)

    # --- intake ------------------------------------------------------------------------------------------------

    def publish(self, events: Sequence[Envelope]) -> None:
        """Deliver committed outbox events to every local consumer that hears them."""
        for event in events:
            targets: list[tuple[Consumer, Subscription]] = []
            for consumer in self._routes.get(event.type, ()):
                subscription = consumer.subscription(event)
                if subscription is not None:
                    targets.append((consumer, subscription))
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

    def take_published(self) -> list[tuple[str, str]]:
        """What may be marked published now; the caller marks it. Losing the list only costs a redelivery."""
        taken, self._published = self._published, []
        return taken

    def deliver(self, delivery: Delivery) -> None:
        self._enter()
        if not delivery.known:
            self._metrics.received(delivery.consumer.name, delivery.event.type)
        key = (delivery.consumer.name, delivery.event.partition)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        lane.waiting.append(delivery)
        if not lane.busy:
            self._advance(key, lane)

    def _advance(self, key: tuple[str, str], lane: _Lane) -> None:
        if self._draining or not lane.waiting:
            lane.busy = False
            if not lane.waiting:
                self._lanes.pop(key, None)
            return
        lane.busy = True
        delivery = lane.waiting.popleft()
        self._spawn(self._handle(key, lane, delivery))

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]  # a coroutine
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- handling ----------------------------------------------------------------------------------------------

    async def _handle(self, key: tuple[str, str], lane: _Lane, delivery: Delivery) -> None:
        """Run one delivery to its end (or to its next retry), then let the lane go on."""
        keep_lane = False
        try:
            keep_lane = await self._attempt(key, lane, delivery)
        finally:
            if not keep_lane:
                self._leave()
                self._advance(key, lane)

    async def _attempt(self, key: tuple[str, str], lane: _Lane, delivery: Delivery) -> bool:
        """One try. Returns True when the lane stays held for a retry."""
        subscription, name = delivery.subscription, delivery.consumer.name
        started = time.perf_counter()
        try:
            if subscription.kind == "on":
                outcome = await self._run_on(delivery)
            else:
                async with self._slots:
                    outcome = await self._run_process(delivery)
        except _Early:
            await self._park(delivery)
            outcome = "parked"
        except PermanentError as error:
            await self._bury(delivery, "permanent", f"{error.code}: {error.message}")
            outcome = "dead"
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # any other failure may pass: counted, retried, in the end dead
            delivery.attempts += 1
            hint = error.retry_after if isinstance(error, TemporaryError) else None
            reason = _say(error)
            if not isinstance(error, TemporaryError):
                _log.warning("handler.failed", consumer=name, event_type=delivery.event.type, event_id=delivery.event.id,
                             attempt=delivery.attempts, error=reason, exc_info=error)  # fmt: skip
            if delivery.attempts >= subscription.attempts:
                await self._bury(delivery, "timeout" if isinstance(error, TimeoutError) else "exhausted", reason)
                outcome = "dead"
            else:
                due = self._world.clock.now() + backoff(subscription, delivery.attempts, hint)
                await self._mark(delivery, RETRY, due=due, error=reason)
                self._metrics.handled(name, delivery.event.type, "retried", time.perf_counter() - started)
                self._wait(due, lambda: self._again(key, lane, delivery))
                self._leave()
                return True
        self._metrics.handled(name, delivery.event.type, outcome, time.perf_counter() - started)
        return False

    def deliver_later(self, delivery: Delivery, due: datetime) -> None:
        """Hold the delivery's lane until `due`, then try again (a retry that a killed process had planned)."""
        key = (delivery.consumer.name, delivery.event.partition)
        lane = self._lanes.setdefault(key, _Lane())
        if lane.busy:
            self.deliver(delivery)
            return
        lane.busy = True
        self._wait(due, lambda: self._again(key, lane, delivery))

    def _again(self, key: tuple[str, str], lane: _Lane, delivery: Delivery) -> None:
        self._enter()
        self._spawn(self._handle(key, lane, delivery))

    async def _run_on(self, delivery: Delivery) -> str:
        """State, emitted events and the inbox row in one savepoint."""
        event, subscription, consumer = delivery.event, delivery.subscription, delivery.consumer
        world = self._world

        async def work(unit: Unit) -> str:
            if not delivery.known:
                if await unit.db.run(journal.INSERT_INBOX, self._inbox_row(delivery, DONE)) == 0:
                    state = await self._state(unit, delivery)
                    if state in (DONE, DEAD):
                        return "duplicate"
            if subscription.ordered:
                await self._check_order(unit, delivery)
            context = TransactionContext(world, consumer, event, nobody(), f"{consumer.name}:{event.id}", unit)
            await subscription.handler(event.read(subscription.event), context)
            if delivery.known:
                await unit.db.run(journal.FINISH_INBOX, {**self._inbox_key(delivery), "p_done": world.clock.now()})
            return "done"

        outcome = await world.store.run(work, timeout=subscription.timeout.total_seconds())
        self._recorded(delivery)
        if subscription.ordered and outcome == "done":
            self._unpark_next(delivery)
        return outcome

    async def _run_process(self, delivery: Delivery) -> str:
        """Accept (committed), run the steps, finish (committed with what it emits)."""
        event, subscription, consumer = delivery.event, delivery.subscription, delivery.consumer
        world = self._world

        async def accept(unit: Unit) -> str:
            if not delivery.known and await unit.db.run(journal.INSERT_INBOX, self._inbox_row(delivery, ACCEPTED)) == 0:
                state = await self._state(unit, delivery)
                if state in (DONE, DEAD):
                    return "duplicate"
                delivery.resumed = True
            if subscription.ordered:
                await self._check_order(unit, delivery)
            return "accepted"

        if (not delivery.known or subscription.ordered) and await world.store.run(accept) == "duplicate":
            self._recorded(delivery)
            return "duplicate"
        self._recorded(delivery)
        known: dict[str, tuple[str, str, str]] = {}
        if delivery.resumed or delivery.attempts:
            rows = await world.store.reader.all(journal.STEPS_OF, self._inbox_key(delivery))
            known = {row["name"]: (row["kind"], row["digest"], row["result"]) for row in rows}
        context = ProcessContext(
            world, consumer, event, nobody(), f"{consumer.name}:{event.id}", journal_id=(event.source, event.id), known=known
        )
        delivery.known = True
        async with asyncio.timeout(subscription.timeout.total_seconds()):
            await subscription.handler(event.read(subscription.event), context)

        async def finish(unit: Unit) -> None:
            context.flush_into(unit)
            await unit.db.run(journal.FINISH_INBOX, {**self._inbox_key(delivery), "p_done": world.clock.now()})

        await world.store.run(finish)
        if subscription.ordered:
            self._unpark_next(delivery)
        return "done"

    def _recorded(self, delivery: Delivery) -> None:
        """This consumer's inbox has the event: it counts towards the outbox row's end, once."""
        delivery.known = True
        recorded, delivery.recorded = delivery.recorded, _nothing
        recorded()

    async def _state(self, unit: Unit, delivery: Delivery) -> str:
        row = await unit.db.first(journal.GET_INBOX, self._inbox_key(delivery))
        if row is None:
            raise TemporaryError("the inbox row went away while it was looked at")
        delivery.attempts = row["attempts"]
        return row["state"]

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
            "done_at": now if state == DONE else None,
        }

    # --- order -------------------------------------------------------------------------------------------------

    async def _check_order(self, unit: Unit, delivery: Delivery) -> None:
        """Advance the subject's sequence, or raise _Early when an earlier one is missing and may still come."""
        event = delivery.event
        if event.sequence is None or event.subject is None:
            return
        key = {"p_consumer": delivery.consumer.name, "p_type": event.type, "p_subject": event.subject}
        row = await unit.db.first(journal.GET_ORDER, key)
        last = row["last"] if row is not None else 0
        if event.sequence > last + 1 and not delivery.overdue:
            raise _Early
        if event.sequence > last:
            await unit.db.run(
                journal.SET_ORDER,
                {
                    "consumer": delivery.consumer.name,
                    "type": event.type,
                    "subject": event.subject,
                    "last": event.sequence,
                    "at": self._world.clock.now(),
                },
            )

    async def _park(self, delivery: Delivery) -> None:
        """Keep an early event durably, out of its lane's way, until its turn or until it has waited long enough."""
        event, consumer = delivery.event, delivery.consumer
        due = self._world.clock.now() + delivery.subscription.order_wait
        await self._mark(delivery, PARKED, due=due, error=None)
        self.hold(delivery, due)
        # Its predecessor may have been finished between the look and the mark.
        row = await self._world.store.reader.first(
            journal.GET_ORDER, {"p_consumer": consumer.name, "p_type": event.type, "p_subject": event.subject}
        )
        if row is not None and event.sequence is not None and row["last"] >= event.sequence - 1:
            self._release(delivery)

    def hold(self, delivery: Delivery, due: datetime) -> None:
        """Park in memory (the inbox row stands already)."""
        event = delivery.event
        place = (delivery.consumer.name, event.type, event.subject or "", event.partition)
        self._parked.setdefault(place, {})[event.sequence or 0] = delivery

        def overdue() -> None:
            delivery.overdue = True
            self._release(delivery)

        self._wait(due, overdue)

    def _release(self, delivery: Delivery) -> None:
        event = delivery.event
        place = (delivery.consumer.name, event.type, event.subject or "", event.partition)
        waiting = self._parked.get(place)
        if waiting is None or waiting.pop(event.sequence or 0, None) is None:
            return
        if not waiting:
            del self._parked[place]
        delivery.known = True
        self.deliver(delivery)

    def _unpark_next(self, delivery: Delivery) -> None:
        event = delivery.event
        place = (delivery.consumer.name, event.type, event.subject or "", event.partition)
        waiting = self._parked.get(place)
        if waiting and event.sequence is not None:
            following = waiting.get(event.sequence + 1)
            if following is not None:
                self._release(following)

    # --- failure -----------------------------------------------------------------------------------------------

    async def _mark(self, delivery: Delivery, state: str, *, due: datetime | None, error: str | None) -> None:
        """Write the state of an unfinished delivery, whether its inbox row stands or was rolled back with the handler."""

        async def work(unit: Unit) -> None:
            row = self._inbox_row(delivery, state)
            await unit.db.run(journal.INSERT_INBOX, row)
            await unit.db.run(
                journal.SET_INBOX,
                {
                    **self._inbox_key(delivery),
                    "p_state": state,
                    "p_attempts": delivery.attempts,
                    "p_due": due,
                    "p_done": None,
                    "p_error": error,
                },
            )
            if state == RETRY:
                await unit.db.run(journal.FORGET_FAILED, self._inbox_key(delivery))

        await self._world.store.run(work)
        self._recorded(delivery)

    async def _bury(self, delivery: Delivery, reason: str, error: str) -> None:
        """Dead letter and inbox row in one commit; the partition goes on."""
        now = self._world.clock.now()

        async def work(unit: Unit) -> None:
            await unit.db.run(journal.INSERT_INBOX, self._inbox_row(delivery, DEAD))
            await unit.db.run(
                journal.SET_INBOX,
                {
                    **self._inbox_key(delivery),
                    "p_state": DEAD,
                    "p_attempts": delivery.attempts,
                    "p_due": None,
                    "p_done": now,
                    "p_error": error,
                },
            )
            await journal.write_dead(
                unit.db, delivery.consumer.name, delivery.event,
                reason=reason, attempts=max(delivery.attempts, 1), error=error, at=now,
            )  # fmt: skip

        await self._world.store.run(work)
        self._recorded(delivery)
        _log.error("event.dead", consumer=delivery.consumer.name, event_type=delivery.event.type,
                   event_id=delivery.event.id, reason=reason, error=error)  # fmt: skip
        if delivery.subscription.ordered:
            self._unpark_next(delivery)

    # --- waiting -----------------------------------------------------------------------------------------------

    def _wait(self, due: datetime, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (due, next(self._ticket), action))
        self.rescheduled()

    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def run_due(self, now: datetime) -> None:
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    def _enter(self) -> None:
        self._active += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._active -= 1
        if self._active == 0:
            self._idle.set()

    @property
    def active(self) -> int:
        """Deliveries that wait in a lane or are being handled (not those that wait for a retry)."""
        return self._active

    async def idle(self) -> None:
        """Wait until nothing is being handled and no lane has anything to do now."""
        await self._idle.wait()

    async def drain(self, grace: float) -> None:
        """Begin nothing new, let what runs finish for `grace` seconds, then cancel it: it resumes at the next start."""
        self._draining = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _nothing() -> None:
    pass


def _say(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the handler took too long"
    if isinstance(error, BadEvent | TemporaryError):
        return f"{error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"
