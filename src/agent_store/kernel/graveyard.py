"""The dead-letter agent: keeps what a broker could not deliver, or what nobody could read.

What a consumer has tried and failed at is kept by its own process, in the commit that gives it up. Here comes the rest:
deaths at the broker. One that a consumer's unreachability caused (no answer, 5xx) is replayed by itself when that is over
(`kernel.reconciler`); any other waits for a person. A dead event holds nobody up: those after it wait for it only as long
as their subscription's `order_wait`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterable

import structlog

from agent_store.kernel import journal
from agent_store.kernel.bus import DeadDelivery
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.contexts import World
from agent_store.kernel.event import Envelope
from agent_store.kernel.ids import derived_id
from agent_store.kernel.reconciler import bury
from agent_store.kernel.store import Unit

_log = structlog.get_logger("agent_store.graveyard")

_PASSING = frozenset({404, 408, 409, 425, 429})
"""Beside 5xx and no answer at all: what a subscriber says that is not there yet, or busy."""
_UNKNOWN = "unknown"


class Graveyard:
    """`consumers` are all that the store has; `expected` names those that are deployed now."""

    def __init__(
        self, world: World, consumers: Callable[[], Iterable[Consumer]], expected: Callable[[], Collection[str]]
    ) -> None:
        self._world = world
        self._consumers = consumers
        self._expected = expected

    async def keep(self, dead: DeadDelivery) -> None:
        """See `kernel.bus.KeepDead`. An event counts once for each consumer that should have had it and has no record
        of it; whose are known by the service that failed, else all that are deployed and hear it."""
        if dead.event is None:
            await self._keep_unreadable(dead)
            return
        passing = dead.code is not None and (dead.code < 0 or dead.code >= 500 or dead.code in _PASSING)
        for name in self._should_have_had(dead.event, dead.consumers):
            await bury(self._world, name, dead.event, reason="undelivered", attempts=0, error=dead.reason, auto=passing)

    def _should_have_had(self, event: Envelope, named: tuple[str, ...]) -> list[str]:
        known = {consumer.name: consumer for consumer in self._consumers()}
        hearing = [name for name, consumer in known.items() if consumer.subscription(event) is not None]
        if named:
            # A consumer of another release or package: its letter is kept under its name.
            return [name for name in named if name not in known or name in hearing]
        expected = set(self._expected())
        return [name for name in hearing if name in expected] or [_UNKNOWN]

    async def _keep_unreadable(self, dead: DeadDelivery) -> None:
        body = json.dumps(
            {"headers": dict(dead.headers), "data_base64": base64.b64encode(dead.body).decode()}, ensure_ascii=False
        )
        consumer = ", ".join(dead.consumers) or _UNKNOWN
        # The same bytes again are the same letter.
        id = derived_id("unreadable", consumer, body)
        key = {"p_consumer": consumer, "p_source": "/agent-store/unreadable", "p_id": id}
        now = self._world.clock.now()

        async def work(unit: Unit) -> bool:
            if await unit.db.first(journal.DEAD_OF, key) is not None:
                return False
            await unit.db.run(
                journal.INSERT_DEAD,
                {
                    "consumer": consumer,
                    "source": "/agent-store/unreadable",
                    "id": id,
                    "type": dead.headers.get("ce-type", _UNKNOWN)[:200],
                    "reason": "unreadable",
                    "attempts": 0,
                    "error": dead.reason,
                    "body": body,
                    "at": now,
                    "auto": False,
                },
            )
            return True

        if await self._world.store.run(work):
            _log.error("event.unreadable", consumer=consumer, reason=dead.reason, bytes=len(dead.body))
