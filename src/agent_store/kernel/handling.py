"""One try of a delivery: run its handler, and write down what comes of it: done, the next try, parked, or dead.

An `@on` handling is one work of a group commit, with its inbox row; a `@process` is accepted in one (inbox row
`accepted`), runs as a task, and is finished in another.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import structlog

from agent_store.kernel import journal
from agent_store.kernel.contexts import ProcessContext, TransactionContext, World, nobody
from agent_store.kernel.delivery import MAX_AWAY, MAX_BACKOFF, Delivery, Early, Fate, Lost, backoff, patience
from agent_store.kernel.errors import Later, PermanentError, StoreError, TemporaryError
from agent_store.kernel.inbox import Inbox
from agent_store.kernel.journal import ACCEPTED, DEAD, DONE, PARKED, RETRY
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.parking import Parking
from agent_store.kernel.store import Unit
from agent_store.kernel.tracing import Span, code_of, handling, within
from agent_store.kernel.waiting import Waiting

_log = structlog.get_logger("agent_store.dispatcher")

CRASHES = 4
"""A death of its process costs an event an attempt, and so does a failure because something that it takes is away; so many
times its attempts make it a dead letter. What merely ran beside a process's killer, or during an outage, is not given up as
soon as what fails."""

SUSPECT = 2
"""An event that a process has died with, and that has failed so often, may be what kills it: a process handles one of these
at a time. The others wait unaccepted, so the death of one costs them no attempt, and whatever was only its neighbour is
through before it could become a dead letter."""

PROCESS_LIMIT = 256
"""Processes that run at the same time: a model or a Graph call each, so memory and sockets are bounded."""

_FATES: dict[str, Fate] = {"retried": "again", "later": "again", "early": "again", "parked": "parked", "dead": "ended"}


class Handling:
    """`refuse` leaves a delivery to the broker. `shared`: other processes may take over what is handled here."""

    def __init__(
        self,
        world: World,
        metrics: Metrics,
        inbox: Inbox,
        parking: Parking,
        waiting: Waiting,
        refuse: Callable[[Delivery, TemporaryError], None],
        *,
        shared: bool,
    ) -> None:
        self._world = world
        self._metrics = metrics
        self._inbox = inbox
        self._parking = parking
        self._waiting = waiting
        self._refuse = refuse
        self._shared = shared
        self.slots = asyncio.Semaphore(PROCESS_LIMIT)
        self._suspects = asyncio.Semaphore(1)

    async def attempt(self, delivery: Delivery) -> Fate:
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
                    suspect = delivery.died and delivery.attempts >= SUSPECT
                    async with self._suspects if suspect else contextlib.nullcontext(), self.slots:
                        if self._waiting.draining:
                            return "again"
                        outcome = await self._run_process(delivery, span)
            except Early:
                delivery.ending = partial(self._park, delivery)
            except Lost:
                return self._lost(delivery)
            except PermanentError as error:
                span.fail(code_of(error))
                delivery.attempts += 1
                reason = "crash" if error.code == "crash" else "permanent"
                delivery.ending = partial(self._bury, delivery, reason, _say(error))
            except Later as error:
                delivery.ending = self._not_yet(delivery, error)
            except Exception as error:  # noqa: BLE001  # any other failure may pass: counted, retried, in the end dead
                span.fail(code_of(error))
                delivery.ending = self._failed(delivery, error)
            else:
                span.set("agent_store.outcome", outcome)
                self._metrics.handled(name, event_type, outcome, time.perf_counter() - started)
                return "ended"
        try:
            outcome = await delivery.ending()
        except Lost:
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
        delivery.note()
        return "ended"

    # --- the two kinds of handler --------------------------------------------------------------------------------

    async def _run_on(self, delivery: Delivery, span: Span) -> str:
        """State, emitted events and the inbox row in one savepoint."""
        event, subscription, consumer = within(delivery.event, span), delivery.subscription, delivery.consumer
        world, inbox = self._world, self._inbox

        async def work(unit: Unit) -> str:
            stands = delivery.known or not unit.claimed
            if stands:
                ended, delivery.attempts = await inbox.stands(unit, delivery)
                if ended:
                    return ended
            if subscription.ordered:
                await inbox.check_order(unit, delivery, ends=True)
            context = TransactionContext(world, consumer, event, nobody(), f"{consumer.name}:{event.id}", unit)
            await subscription.handler(event.read(subscription.event), context)
            if stands:
                await inbox.finish(unit, delivery)
            return "done"

        outcome = await world.store.run(
            work,
            agent=consumer.agent.name,
            claim=None if delivery.known else inbox.row(delivery, DONE),
            timeout=subscription.timeout.total_seconds(),
        )
        delivery.note()
        if subscription.ordered:
            self._parking.ended(delivery)
        return outcome

    async def _run_process(self, delivery: Delivery, span: Span) -> str:
        """Accept (committed), run the steps, finish (committed with what it emits)."""
        event, subscription, consumer = within(delivery.event, span), delivery.subscription, delivery.consumer
        world, inbox = self._world, self._inbox

        async def accept(unit: Unit) -> str:
            stands = delivery.known or not unit.claimed
            if stands:
                delivery.resumed = True
                ended, delivery.attempts = await inbox.stands(unit, delivery)
                if ended:
                    return ended
            if subscription.ordered:
                await inbox.check_order(unit, delivery, ends=False)
            if stands:
                await inbox.accept(unit, delivery)
            return ""

        claim = None if delivery.known else inbox.row(delivery, ACCEPTED)
        ended = await world.store.run(accept, agent=consumer.agent.name, claim=claim)
        delivery.note()
        if ended:
            return ended
        if delivery.attempts >= CRASHES * subscription.attempts:
            raise PermanentError("the process that handled it has died with it, each time", code="crash")
        known: dict[str, tuple[str, str, str]] = {}
        if delivery.resumed:
            rows = await world.store.reader.all(journal.STEPS_OF, inbox.key(delivery))
            known = {row["name"]: (row["kind"], row["digest"], row["result"]) for row in rows}
        context = ProcessContext(
            world,
            consumer,
            event,
            nobody(),
            f"{consumer.name}:{event.id}",
            journal_id=(event.source, event.id),
            known=known,
            guard=(lambda unit: inbox.hold(unit, delivery)) if self._shared else None,
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
            await inbox.finish(unit, delivery)
            if subscription.ordered:
                await inbox.pass_(unit, delivery)

        await world.store.run(finish, agent=consumer.agent.name)
        if subscription.ordered:
            self._parking.ended(delivery)
        return "done"

    # --- what is not done ----------------------------------------------------------------------------------------

    def _failed(self, delivery: Delivery, error: Exception) -> Callable[[], Awaitable[str]]:
        """What is to be written after a failure that may pass: the next try, or that there was the last."""
        delivery.attempts += 1
        delivery.died = False
        reason = _say(error)
        if not isinstance(error, TemporaryError):
            _log.warning("handler.failed", consumer=delivery.consumer.name, event_type=delivery.event.type,
                         event_id=delivery.event.id, attempt=delivery.attempts, error=reason, exc_info=error)  # fmt: skip
        subscription = delivery.subscription
        temporary = error if isinstance(error, TemporaryError) else None
        away = temporary is not None and temporary.away
        if delivery.attempts >= subscription.attempts * (CRASHES if away else 1):
            return partial(self._bury, delivery, "timeout" if isinstance(error, TimeoutError) else "exhausted", reason)
        longest = MAX_AWAY if away else MAX_BACKOFF
        hint = temporary.retry_after if temporary is not None else None
        return partial(self._retry, delivery, backoff(subscription, delivery.attempts, hint, longest), reason)

    def _not_yet(self, delivery: Delivery, error: Later) -> Callable[[], Awaitable[str]]:
        """What is to be written when its time has not come: it is tried again, and nothing is counted."""
        if error.counts(self._world.clock.now()):
            return self._failed(delivery, error)
        delay = patience(delivery.subscription, error.retry_after)
        return partial(self._retry, delivery, delay, _say(error), "later")

    async def _park(self, delivery: Delivery) -> str:
        """Keep an early event durably, out of its lane's way, until its turn or until it has waited long enough."""
        now = self._world.clock.now()
        due = delivery.patience or now + delivery.subscription.order_wait
        if due <= now:  # its predecessor is being handled elsewhere: that ends, one way or the other
            due = now + delivery.subscription.order_wait

        async def work(unit: Unit) -> bool:
            if await self._inbox.is_next(unit.db, delivery):
                return False  # its predecessor has been finished meanwhile
            await self._inbox.write(unit, delivery, PARKED, due=due, error=None)
            return True

        if not await self._world.store.run(work, agent=delivery.consumer.agent.name):
            return "early"
        delivery.note()
        self._parking.hold(delivery, due)
        return "parked"

    async def _retry(self, delivery: Delivery, delay: timedelta, reason: str, outcome: str = "retried") -> str:
        due = self._world.clock.now() + delay

        async def work(unit: Unit) -> None:
            await self._inbox.write(unit, delivery, RETRY, due=due, error=reason)
            await unit.db.run(journal.FORGET_FAILED, self._inbox.key(delivery))

        await self._world.store.run(work, agent=delivery.consumer.agent.name)
        delivery.note()
        delivery.rest()
        delivery.not_before = due
        return outcome

    async def _bury(self, delivery: Delivery, reason: str, error: str) -> str:
        """Dead letter and inbox row in one commit; the partition goes on."""
        now = self._world.clock.now()
        ordered = delivery.subscription.ordered and delivery.event.subject is not None

        async def work(unit: Unit) -> None:
            await self._inbox.write(unit, delivery, DEAD, due=None, error=error)
            await journal.write_dead(
                unit.db, delivery.consumer.name, delivery.event,
                reason=reason, attempts=delivery.attempts, error=error, at=now,
            )  # fmt: skip
            if ordered:
                await self._inbox.pass_(unit, delivery)

        await self._world.store.run(work, agent=delivery.consumer.agent.name)
        delivery.note()
        _log.error("event.dead", consumer=delivery.consumer.name, event_type=delivery.event.type,
                   event_id=delivery.event.id, reason=reason, error=error)  # fmt: skip
        if ordered:
            self._parking.ended(delivery)
        return "dead"

    async def shelve(self, delivery: Delivery) -> None:
        """Record what came from a network and has to wait: else it would hold up the broker's queue, which sends only so
        many at a time."""

        async def nothing(unit: Unit) -> bool:
            return unit.claimed

        try:
            new = await self._world.store.run(
                nothing, agent=delivery.consumer.agent.name, claim=self._inbox.row(delivery, RETRY)
            )
        except (TemporaryError, TimeoutError):
            return  # it stays with the broker, unacknowledged
        finally:
            delivery.shelving = False
        if new:
            delivery.note()
            delivery.rest()


def _say(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the handler took too long"
    if isinstance(error, StoreError):
        return f"{error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"
