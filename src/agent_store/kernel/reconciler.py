"""What only the steward does on a network bus: it finds what processes, broker and network have lost, and mends it.

- Outbox rows that their own process has not published for a while (it died, or the broker was away) are published.
- An event that was published and that a consumer has not recorded after a while is handed to that consumer directly.
- An open inbox row that nobody sees to, of a consumer that no living worker serves (scaled to zero), wakes that consumer.
- A dead letter that never reached its consumer is handed to it again until it is reachable.

Ages are measured by watching the outbox's sequence numbers go by on this process's monotonic clock: a wall clock that
jumps neither hurries nor delays it. One steward does this at a time (`Worker.take_duty`); two would do no harm.

What waits for a broker or a consumer is an errand, a task of its own: one that hangs holds up no other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from agent_store.kernel import cloudevents, journal
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Row
from agent_store.kernel.contexts import World
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.network import Network
from agent_store.kernel.store import Unit

_log = structlog.get_logger("agent_store.reconciler")

_PAGE = 500
_ROOM = 200
"""Events that are missing at one consumer, held in memory at most: those after them are looked for when there is room."""
_LETTERS = 50
_DUTY = "reconcile"
_FIRST_LOOK_BACK = 20_000
"""Events that a steward without a mark of an earlier one looks back over."""
_FORGET = 60.0
"""Seconds for which a worker stands still before it is forgotten. It may come back: its next beat makes it known again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. `stale`: until an unpublished event is published by the steward. `lost`: until one that was published
    counts as lost at a consumer that has no record of it. `again`: between two tries. `tries`: then it is a dead letter."""

    stale: float = 5.0
    lost: float = 60.0
    again: float = 30.0
    tries: int = 20


@dataclass(slots=True)
class _Missing:
    seq: int
    event: Envelope
    next_try: float
    tries: int = 0


class Reconciler:
    """`expected` gives the names of the consumers that are deployed, scaled to zero or not."""

    def __init__(
        self,
        world: World,
        network: Network,
        consumers: Iterable[Consumer],
        metrics: Metrics,
        *,
        expected: Callable[[], Collection[str]],
        patience: Patience | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._network = network
        self.consumers = {consumer.name: consumer for consumer in consumers}
        self._metrics = metrics
        self._expected = expected
        self._patience = patience or Patience()
        self._monotonic = monotonic
        self._watched: deque[tuple[float, int]] = deque()
        self._cursors: dict[str, int] = {}
        """Up to where in the outbox each consumer has been looked after."""
        self._marked: int | None = None
        self._missing: dict[str, dict[tuple[str, str], _Missing]] = {}
        self._errands: dict[str, asyncio.Task[None]] = {}
        self._next = 0.0
        self._letters: dict[str, tuple[float, int]] = {}
        """Of each consumer's dead letters: when they are looked at next, and after which one."""
        self._woken: dict[str, float] = {}
        network.closing.append(self.stop)

    async def tick(self) -> None:
        """Everything that is due; does nothing while another steward has the duty."""
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + min(1.0, self._patience.stale / 2)
        self._collect()
        worker = self._network.worker
        if not await worker.take_duty(_DUTY):
            self._cursors.clear()
            self._missing.clear()
            self._marked = None
            return
        row = await self._world.store.reader.first(journal.LAST_SEQ)
        self._watched.append((now, (row["seq"] if row else None) or 0))
        self._errand("", self._publish_stale(self._seen_before(now - self._patience.stale)))
        await self._find_lost(self._seen_before(now - self._patience.lost), now)
        await self._find_sleepers(now)
        expected = set(self._expected()) & self.consumers.keys()
        for name in expected:
            self._errand(name, self._look_after(name, now))
        for name in self._missing.keys() - expected:  # no longer deployed: nothing is missing there
            del self._missing[name]
        await worker.forget(worker.standing_still(_FORGET))
        oldest = now - max(self._patience.lost, self._patience.stale)
        while len(self._watched) > 1 and self._watched[1][0] <= oldest:
            self._watched.popleft()

    def _seen_before(self, moment: float) -> int:
        """The highest sequence number that was there at this moment, 0 if nobody looked yet."""
        seq = 0
        for at, highest in self._watched:
            if at > moment:
                break
            seq = highest
        return seq

    # --- errands -----------------------------------------------------------------------------------------------

    def _errand(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Do it unless an earlier one of this name is still under way."""
        if name in self._errands:
            work.close()
        else:
            self._errands[name] = asyncio.create_task(_tolerant(work), name=f"reconcile {name}")

    def _collect(self) -> None:
        for name, task in list(self._errands.items()):
            if task.done():
                del self._errands[name]
                task.result()  # a bug is raised here, and ends the process that keeps time

    @property
    def busy(self) -> bool:
        return any(not task.done() for task in self._errands.values())

    async def stop(self) -> None:
        """Begin no more; what is under way is broken off, and is the next steward's."""
        self._next = float("inf")
        for task in self._errands.values():
            task.cancel()
        await asyncio.gather(*self._errands.values(), return_exceptions=True)
        self._errands.clear()

    # --- the outbox --------------------------------------------------------------------------------------------

    async def _publish_stale(self, until: int) -> None:
        after = 0
        while True:
            rows = await self._world.store.reader.all(
                journal.STALE_EVENTS, {"after": after, "until": until, "most": _PAGE}
            )
            if not rows:
                return
            after = rows[-1]["seq"]
            events = [journal.envelope_of(row) for row in rows]
            taken = await self._network.bus.publish(events)
            keys = [(event.source, event.id) for event, sent in zip(events, taken, strict=True) if sent]
            if not keys:
                return  # the broker is away: later
            await self._mark(keys)
            self._metrics.count("stale_published", len(keys))

    async def _mark(self, keys: list[tuple[str, str]]) -> None:
        async def work(unit: Unit) -> None:
            await journal.mark_published(unit.db, keys)

        await self._world.store.run(work)

    # --- what consumers have not recorded ------------------------------------------------------------------------

    async def _begin(self) -> int:
        row = await self._world.store.reader.first(journal.GET_MARK, {"p_name": _DUTY})
        mark: int = row["value"] if row else 0
        if mark == 0:
            last = await self._world.store.reader.first(journal.LAST_SEQ)
            mark = max(0, ((last["seq"] if last else None) or 0) - _FIRST_LOOK_BACK)
        return mark

    async def _find_lost(self, until: int, now: float) -> None:
        # One that is deployed later has no earlier events to miss.
        begin = max(self._cursors.values()) if self._cursors else await self._begin()
        for name in self.consumers:
            self._cursors.setdefault(name, begin)
        while behind := [name for name, cursor in self._cursors.items() if cursor < until and self._has_room(name)]:
            cursor = min(self._cursors[name] for name in behind)
            names = [name for name in behind if self._cursors[name] == cursor]
            rows = await self._world.store.reader.all(
                journal.EVENTS_UNTIL, {"after": cursor, "until": until, "most": _PAGE}
            )
            for row, name in await self._unrecorded(rows, names):
                event = journal.envelope_of(row)
                missing = _Missing(row["seq"], event, now)
                self._missing.setdefault(name, {}).setdefault((event.source, event.id), missing)
            for name in names:
                self._cursors[name] = rows[-1]["seq"] if len(rows) == _PAGE else until
        await self._remember()

    def _has_room(self, name: str) -> bool:
        return len(self._missing.get(name, ())) < _ROOM

    async def _remember(self) -> None:
        """What is missing is looked for again by whoever takes this duty over."""
        sought = [missing.seq - 1 for found in self._missing.values() for missing in found.values()]
        value = min([*self._cursors.values(), *sought], default=0)
        if value == self._marked:
            return

        async def work(unit: Unit) -> None:
            await unit.db.run(journal.SET_MARK, {"p_name": _DUTY, "p_value": value})

        await self._world.store.run(work)
        self._marked = value

    async def _unrecorded(self, rows: Sequence[Row], names: Sequence[str]) -> list[tuple[Row, str]]:
        """Rows with a consumer of these that hears the event, is deployed, and has no record of it."""
        expected = set(self._expected())
        heard: list[tuple[Row, str]] = []
        for row in rows:
            event = journal.envelope_of(row)
            heard.extend(
                (row, name)
                for name in names
                if name in expected and self.consumers[name].subscription(event) is not None
            )
        recorded = await self._recorded((row["source"], row["id"]) for row, _ in heard)
        return [(row, name) for row, name in heard if (name, row["source"], row["id"]) not in recorded]

    async def _recorded(self, keys: Iterable[tuple[str, str]], name: str | None = None) -> set[tuple[str, str, str]]:
        """By this consumer, or by whom else."""
        asked = sorted(set(keys))
        rows = await self._world.store.reader.all(journal.RECORDED, {"keys": asked}) if asked else []
        return {(row["consumer"], row["source"], row["id"]) for row in rows if name in (None, row["consumer"])}

    # --- one consumer ------------------------------------------------------------------------------------------

    async def _look_after(self, name: str, now: float) -> None:
        """Hand it what it misses, and its dead letters, until it refuses one."""
        await self._hand_over(name, now)
        await self._replay_letters(name, now)

    async def _hand_over(self, name: str, now: float) -> None:
        found = self._missing.get(name)
        if not found:
            return
        for _, *key in await self._recorded(list(found), name):
            found.pop((key[0], key[1]), None)
        served = name in self._network.worker.served
        for key, missing in list(found.items()):
            event = missing.event
            if missing.next_try > now:
                continue
            if not served and self._woken.get(name, 0.0) > now:
                return  # it sleeps, and has been called
            if served:
                missing.tries += 1
            else:
                self._woken[name] = now + self._patience.again
            missing.next_try = now + self._patience.again
            if missing.tries > self._patience.tries:
                await bury(
                    self._world, name, event, reason="undelivered", attempts=missing.tries, auto=True,
                    error=f"{name} has no record of it after {missing.tries - 1} direct deliveries",
                )  # fmt: skip
                found.pop(key, None)
                continue
            taken = await self._network.bus.redeliver(name, event)
            self._metrics.count("redelivered", consumer=name, outcome="taken" if taken else "refused")
            _log.warning("event.redelivered", consumer=name, event_type=event.type, event_id=event.id, taken=taken)
            if not taken:
                return

    async def _replay_letters(self, name: str, now: float) -> None:
        """Some each time, round and round: what is deliverable again leaves the queue of the dead."""
        due, after = self._letters.get(name, (0.0, 0))
        if now < due:
            return
        rows = await self._world.store.reader.all(
            journal.AUTO_DEAD, {"p_consumer": name, "after": after, "most": _LETTERS}
        )
        for row in rows:
            event = cloudevents.from_structured(row["body"].encode(), now=self._world.clock.now())
            if not await self._network.bus.redeliver(name, event):
                break
            await mark_replayed(self._world, row["seq"], by="steward", at=self._world.clock.now())
            self._letters[name] = (0.0, row["seq"])
        else:
            if rows:
                return
        self._letters[name] = (now + self._patience.again / 2, 0)

    # --- sleepers ----------------------------------------------------------------------------------------------

    async def _find_sleepers(self, now: float) -> None:
        """Hand one unfinished event to each consumer that nobody serves: its process starts, and claims the rest."""
        worker = self._network.worker
        params = {"dead": worker.dead, "now": self._world.clock.now()}
        rows = await self._world.store.reader.all(journal.ORPHANED, params)
        served = worker.served
        for row in rows:
            name: str = row["consumer"]
            if name not in served and name in self._expected() and self._woken.get(name, 0.0) <= now:
                self._errand(f"wake {name}", self._wake(name, params, now))

    async def _wake(self, name: str, params: dict[str, Any], now: float) -> None:
        row = await self._world.store.reader.first(journal.ORPHAN_OF, {**params, "p_consumer": name})
        if row is not None:
            self._woken[name] = now + self._patience.again
            event = cloudevents.from_structured(row["body"].encode(), now=self._world.clock.now())
            await self._network.bus.redeliver(name, event)


async def _tolerant(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except (TemporaryError, TimeoutError) as error:
        _log.warning("reconcile.delayed", error=str(error))


async def bury(
    world: World, consumer: str, event: Envelope, *, reason: str, attempts: int, error: str, auto: bool
) -> None:
    """Keep a dead letter that the broker or the steward gave up, unless the consumer has a record of the event (then its
    inbox sees to it), or it lies there already. Raises TemporaryError when the store does not take it."""
    key = {"p_consumer": consumer, "p_source": event.source, "p_id": event.id}

    async def work(unit: Unit) -> bool:
        if await unit.db.first(journal.GET_INBOX, key) is not None:
            return False
        if await unit.db.first(journal.DEAD_OF, key) is not None:
            return False
        await journal.write_dead(
            unit.db, consumer, event, reason=reason, attempts=attempts, error=error, at=world.clock.now(), auto=auto
        )
        return True

    if await world.store.run(work):
        _log.error("event.dead", consumer=consumer, event_type=event.type, event_id=event.id, reason=reason,
                   error=error)  # fmt: skip


async def mark_replayed(world: World, seq: int, *, by: str, at: datetime) -> None:
    params: dict[str, Any] = {"p_seq": seq, "p_at": at, "p_by": by}

    async def work(unit: Unit) -> None:
        await unit.db.run(journal.MARK_REPLAYED, params)

    await world.store.run(work)
