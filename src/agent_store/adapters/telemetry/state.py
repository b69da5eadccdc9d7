"""What stands in the kernel's tables, as gauges: what waits, for how long, and what has died. Read when somebody scrapes.

Every query is bounded and finds its rows by an index; the answers are kept for some seconds, so that a scraper that
hurries costs nothing. Reading fails quietly: the scrape goes on without these figures and says so by
`agent_store_state_readable 0`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import Select, Subquery, bindparam, func, select, text

from agent_store.kernel.clock import Clock
from agent_store.kernel.context import Row, Session
from agent_store.kernel.errors import StoreError
from agent_store.kernel.tables import dead, inbox, outbox, timers
from agent_store.kernel.tracing import code_of

_log = structlog.get_logger("agent_store.metrics")

MOST = 10_000
"""Rows that a query counts at most: a gauge that shows so many means "so many or more"."""
_TIMEOUT = 2.0


def _counted(rows: Any, age: str, *labels: str) -> Select[Any]:
    found: Subquery = rows.limit(bindparam("most")).subquery()
    columns = [found.c[label] for label in labels]
    return select(*columns, func.count().label("rows"), func.min(found.c[age]).label("oldest")).group_by(*columns)


# The conditions stand as their partial indexes do, or SQLite would not use them.
_OUTBOX = _counted(select(outbox.c.time).where(text("NOT kernel_outbox.published")).order_by(outbox.c.seq), "time")
_INBOX = _counted(
    select(inbox.c.consumer, inbox.c.state, inbox.c.received_at).where(
        text("kernel_inbox.state NOT IN ('done', 'dead')")
    ),
    "received_at",
    "consumer",
    "state",
)
_TIMERS = _counted(
    select(timers.c.due_at).where(timers.c.due_at <= bindparam("now")).order_by(timers.c.due_at), "due_at"
)
_DEAD = _counted(
    select(dead.c.consumer, dead.c.reason, dead.c.at).where(
        text("kernel_dead.replayed_at IS NULL AND kernel_dead.dropped_at IS NULL")
    ),
    "at",
    "consumer",
    "reason",
)


class StateMetrics(Collector):
    """Gauges of what stands in the tables. Several processes of one store see the same: take the maximum, not the sum."""

    def __init__(
        self,
        reader: Callable[[], Session],
        clock: Clock,
        registry: CollectorRegistry,
        *,
        kept: timedelta = timedelta(seconds=5),
    ) -> None:
        """`reader` gives a session with the kernel's rights; `kept` is how long an answer is good for."""
        self._reader = reader
        self._clock = clock
        self._kept = kept.total_seconds()
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        self._families: list[GaugeMetricFamily] = [_readable(False)]
        registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families

    async def refresh(self) -> None:
        """Read again, unless it has been read just now. Takes two seconds at most; never raises for a store that is away."""
        loop = asyncio.get_running_loop()
        async with self._reading:
            if self._read_at is not None and loop.time() - self._read_at < self._kept:
                return
            try:
                async with asyncio.timeout(_TIMEOUT):
                    self._families = [_readable(True), *await self._read()]
            except (StoreError, TimeoutError, OSError) as error:
                self._families = [_readable(False)]
                _log.warning("metrics.state_unreadable", error=code_of(error))
            self._read_at = loop.time()

    async def _read(self) -> list[GaugeMetricFamily]:
        reader, now, most = self._reader(), self._clock.now(), {"most": MOST}
        sent = await reader.first(_OUTBOX, most)
        late = await reader.first(_TIMERS, {"now": now, **most})
        opened = await reader.all(_INBOX, most)
        died = await reader.all(_DEAD, most)
        oldest: dict[str, datetime] = {}
        for row in opened:
            known = oldest.get(row["consumer"])
            oldest[row["consumer"]] = row["oldest"] if known is None else min(known, row["oldest"])
        return [
            _gauge("outbox_unpublished", "Committed events that the bus has not taken yet", [], [([], _rows(sent))]),
            _gauge("outbox_oldest_seconds", "Age of the oldest of them", [], [([], _age(sent, now))]),
            _gauge(
                "inbox_open",
                "Events that a consumer has recorded and not finished",
                ["consumer", "state"],
                [([row["consumer"], row["state"]], row["rows"]) for row in opened],
            ),
            _gauge(
                "inbox_oldest_seconds",
                "Age of the oldest of them, since it was received",
                ["consumer"],
                [([consumer], _seconds(now, at)) for consumer, at in oldest.items()],
            ),
            _gauge("timers_overdue", "Timers whose time has come and that have not fired", [], [([], _rows(late))]),
            _gauge("timers_overdue_seconds", "How late the latest of them is", [], [([], _age(late, now))]),
            _gauge(
                "dead_letters_waiting",
                "Dead letters that nobody has replayed or dropped",
                ["consumer", "reason"],
                [([row["consumer"], row["reason"]], row["rows"]) for row in died],
            ),
        ]


def _readable(fit: bool) -> GaugeMetricFamily:
    return _gauge(
        "state_readable", "Whether the figures of the state could be read from the database", [], [([], int(fit))]
    )


def _gauge(
    name: str, help: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"agent_store_{name}", help, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _rows(row: Row | None) -> int:
    return row["rows"] if row is not None else 0


def _age(row: Row | None, now: datetime) -> float:
    return 0.0 if row is None or row["oldest"] is None else _seconds(now, row["oldest"])


def _seconds(now: datetime, since: datetime) -> float:
    return max(0.0, (now - since).total_seconds())


__all__ = ["MOST", "StateMetrics"]
