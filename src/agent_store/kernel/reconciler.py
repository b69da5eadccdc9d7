"""What only the steward does on a network bus: it finds what processes, broker and network have lost, and mends it.

- Outbox rows that their own process has not published for a while (it died, or the broker was away) are published.
- An event that was published and that a consumer has not recorded after a while is handed to that consumer directly.
- An open inbox row that nobody sees to, of a consumer that no living worker serves (scaled to zero), wakes that consumer.
- A dead letter that never reached its consumer is handed to it again until it is reachable.

Ages are measured by watching the outbox's sequence numbers go by on this process's monotonic clock: a wall clock that
jumps neither hurries nor delays it. One steward does this at a time (`Worker.take_duty`); two would do no harm.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from agent_store.kernel import cloudevents, journal
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Row
from agent_store.kernel.contexts import World
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.network import Network
from agent_store.kernel.store import Unit

_log = structlog.get_logger("agent_store.reconciler")

_PAGE = 500
_DUTY = "reconcile"
_FIRST_LOOK_BACK = 20_000
"""Events that a steward without a mark of an earlier one looks back over."""


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
    consumer: str
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
        self._cursor: int | None = None
        self._missing: dict[tuple[str, str, str], _Missing] = {}
        self._next = 0.0
        self._dead_after = 0
        self._woken: dict[str, float] = {}

    async def tick(self) -> None:
        """Everything that is due; does nothing while another steward has the duty."""
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + min(1.0, self._patience.stale / 2)
        if not await self._network.worker.take_duty(_DUTY):
            self._cursor = None
            self._missing.clear()
            return
        row = await self._world.store.reader.first(journal.LAST_SEQ)
        self._watched.append((now, (row["seq"] if row else None) or 0))
        await self._publish_stale(self._seen_before(now - self._patience.stale))
        await self._find_lost(self._seen_before(now - self._patience.lost), now)
        await self._hand_over(now)
        await self._wake(now)
        await self._replay_undelivered(now)
        while len(self._watched) > 1 and self._watched[1][0] <= now - self._patience.lost:
            self._watched.popleft()

    def _seen_before(self, moment: float) -> int:
        """The highest sequence number that was there at this moment, 0 if nobody looked yet."""
        seq = 0
        for at, highest in self._watched:
            if at > moment:
                break
            seq = highest
        return seq

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
            if keys:
                await self._mark(keys)
                self._metrics.count("stale_published", len(keys))
            if len(keys) < len(events):
                return  # the broker is away: later

    async def _mark(self, keys: list[tuple[str, str]]) -> None:
        async def work(unit: Unit) -> None:
            await unit.db.run(journal.MARK_PUBLISHED, {"keys": keys})

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
        begun = cursor = await self._begin() if self._cursor is None else self._cursor
        while cursor < until and len(self._missing) < _PAGE:
            rows = await self._world.store.reader.all(
                journal.EVENTS_UNTIL, {"after": cursor, "until": until, "most": _PAGE}
            )
            if not rows:
                cursor = until
                break
            for row, consumers in await self._unrecorded(rows):
                event = journal.envelope_of(row)
                for consumer in consumers:
                    self._missing.setdefault(
                        (consumer, event.source, event.id), _Missing(row["seq"], event, consumer, now)
                    )
            cursor = rows[-1]["seq"]
        self._cursor = cursor
        if cursor != begun:
            # What is missing is looked for again by whoever takes this duty over.
            oldest = min((missing.seq for missing in self._missing.values()), default=cursor + 1)
            value = min(cursor, oldest - 1)

            async def work(unit: Unit) -> None:
                await unit.db.run(journal.SET_MARK, {"p_name": _DUTY, "p_value": value})

            await self._world.store.run(work)

    async def _unrecorded(self, rows: list[Row]) -> list[tuple[Row, list[str]]]:
        """Rows with the consumers that hear the event, are deployed, and have no record of it."""
        expected = set(self._expected())
        recorded = await self._world.store.reader.all(
            journal.RECORDED, {"keys": [(row["source"], row["id"]) for row in rows]}
        )
        have = {(row["consumer"], row["source"], row["id"]) for row in recorded}
        result: list[tuple[Row, list[str]]] = []
        for row in rows:
            event = journal.envelope_of(row)
            missing = [
                name
                for name, consumer in self.consumers.items()
                if name in expected
                and consumer.subscription(event) is not None
                and (name, event.source, event.id) not in have
            ]
            if missing:
                result.append((row, missing))
        return result

    async def _hand_over(self, now: float) -> None:
        due = [missing for missing in self._missing.values() if missing.next_try <= now][:_PAGE]
        if not due:
            return
        keys = [(missing.event.source, missing.event.id) for missing in due]
        rows = await self._world.store.reader.all(journal.RECORDED, {"keys": keys})
        recorded = {(row["consumer"], row["source"], row["id"]) for row in rows}
        for missing in due:
            key = (missing.consumer, missing.event.source, missing.event.id)
            if key in recorded:
                del self._missing[key]
                continue
            missing.tries += 1
            missing.next_try = now + self._patience.again
            if missing.tries > self._patience.tries:
                await self._give_up(missing)
                del self._missing[key]
                continue
            taken = await self._network.bus.redeliver(missing.consumer, missing.event)
            self._metrics.count("redelivered", consumer=missing.consumer, outcome="taken" if taken else "refused")
            _log.warning("event.redelivered", consumer=missing.consumer, event_type=missing.event.type,
                         event_id=missing.event.id, taken=taken)  # fmt: skip

    async def _give_up(self, missing: _Missing) -> None:
        await bury(
            self._world, missing.consumer, missing.event, reason="undelivered", attempts=missing.tries, auto=True,
            error=f"{missing.consumer} has no record of it after {missing.tries} direct deliveries",
        )  # fmt: skip

    # --- dead letters ------------------------------------------------------------------------------------------

    async def _replay_undelivered(self, now: float) -> None:
        """A page each time, round and round: what is deliverable again leaves the queue of the dead."""
        if now < self._woken.get("", 0.0):
            return
        rows = await self._world.store.reader.all(journal.AUTO_DEAD, {"after": self._dead_after, "most": 50})
        if not rows:
            self._dead_after = 0
            self._woken[""] = now + self._patience.again / 2
            return
        for row in rows:
            event = cloudevents.from_structured(row["body"].encode(), now=self._world.clock.now())
            if await self._network.bus.redeliver(row["consumer"], event):
                await mark_replayed(self._world, row["seq"], by="steward", at=self._world.clock.now())
            self._dead_after = row["seq"]

    # --- sleepers ----------------------------------------------------------------------------------------------

    async def _wake(self, now: float) -> None:
        """Hand one unfinished event to each consumer that nobody serves: its process starts, and claims the rest."""
        worker = self._network.worker
        rows = await self._world.store.reader.all(journal.ORPHANS, {"dead": worker.dead, "most": _PAGE})
        served = worker.served
        for row in rows:
            name: str = row["consumer"]
            if name in served or row["body"] is None or self._woken.get(name, 0.0) > now:
                continue
            self._woken[name] = now + self._patience.again
            event = cloudevents.from_structured(row["body"].encode(), now=self._world.clock.now())
            await self._network.bus.redeliver(name, event)


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
