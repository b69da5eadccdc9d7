"""A worker: one process of consumers on a network bus, and who takes over what it leaves when it dies.

Open inbox rows bear their worker's id. A worker counts its beat up in the database; one whose beat stands still for the
lease, by the watcher's own monotonic clock, is dead: wall clocks have no part in it. A worker of the same consumer then
claims its rows. A worker that was only paused finds when it wakes that the rows are no longer its own
(`journal.FINISH_INBOX`), and nothing of what it did since counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

from agent_store.kernel import journal
from agent_store.kernel.clock import Clock
from agent_store.kernel.context import Row
from agent_store.kernel.ids import new_id
from agent_store.kernel.store import Store, Unit

BEAT_SECONDS = 2.0
LEASE_SECONDS = 8.0
CLAIMED = 200
"""Rows that are claimed at once."""


class Worker:
    """`alone`: no other process uses this database, so all other workers that stand in it are dead. `monotonic` gives
    seconds; tests move their own."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        lease: float = LEASE_SECONDS,
        alone: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = new_id()
        self.consumers: list[str] = []
        self._store = store
        self._clock = clock
        self._lease = lease
        self._alone = alone
        self._monotonic = monotonic
        self._looked = monotonic()
        self._seen: dict[str, tuple[int, float, list[str]]] = {}
        """Of each other worker: its beat, when that beat was first seen, what it serves."""

    async def begin(self) -> None:
        """Say that this worker is there."""

        async def work(unit: Unit) -> None:
            await unit.db.run(journal.DELETE_WORKERS)

        if self._alone:
            await self._store.run(work)
        await self.beat()

    async def beat(self) -> None:
        """Count up, and look at the others."""
        row = {"id": self.id, "consumers": json.dumps(self.consumers), "beat": 0, "at": self._clock.now()}

        async def work(unit: Unit) -> None:
            await unit.db.run(journal.BEAT, row)

        await self._store.run(work)
        await self._observe()

    async def _observe(self) -> None:
        now = self._monotonic()
        # Whoever has not looked for a while (it was paused, or the database away) has seen nobody stand still.
        blind = now - self._looked > max(self._lease / 2, 2 * BEAT_SECONDS)
        rows = await self._store.reader.all(journal.WORKERS)
        seen: dict[str, tuple[int, float, list[str]]] = {}
        for row in rows:
            known = self._seen.get(row["id"])
            since = known[1] if known is not None and known[0] == row["beat"] and not blind else now
            seen[row["id"]] = (row["beat"], since, json.loads(row["consumers"]))
        self._seen, self._looked = seen, now

    def standing_still(self, seconds: float) -> list[str]:
        """Other workers that were watched standing still for longer than this."""
        return [id for id, (_, since, _) in self._seen.items() if id != self.id and self._looked - since > seconds]

    @property
    def dead(self) -> list[str]:
        """Those that others take over from."""
        return self.standing_still(self._lease)

    @property
    def served(self) -> set[str]:
        """Consumers that some living worker serves, this one included."""
        dead = self.dead
        names = set(self.consumers)
        for id, (_, _, consumers) in self._seen.items():
            if id not in dead:
                names.update(consumers)
        return names

    async def lives(self, id: str | None) -> bool:
        """Whether an inbox row of this owner is in good hands. One that was never seen is looked for."""
        if id is None:
            return False
        if id == self.id:
            return True
        if id not in self._seen:
            await self._observe()
        return id in self._seen and id not in self.dead

    async def claim(self, consumers: Iterable[str]) -> list[Row]:
        """Take over open inbox rows of these consumers that nobody sees to, oldest first."""
        names = sorted(consumers)
        if not names:
            return []

        async def work(unit: Unit) -> list[Row]:
            return await unit.db.all(
                journal.CLAIM_ORPHANS, {"p_owner": self.id, "consumers": names, "dead": self.dead, "most": CLAIMED}
            )

        rows = await self._store.run(work)
        return sorted(rows, key=lambda row: (row["received_at"], row["id"]))

    async def owned(self) -> list[Row]:
        """The keys of all open inbox rows of this worker, oldest first."""
        return await self._store.reader.all(journal.OWNED, {"p_owner": self.id})

    async def owned_row(self, key: Row) -> Row | None:
        params = {"p_consumer": key["consumer"], "p_source": key["source"], "p_id": key["id"], "p_owner": self.id}
        return await self._store.reader.first(journal.OWNED_ROW, params)

    async def take_duty(self, name: str) -> bool:
        """True when this worker does a duty that one at a time does (it keeps it until it dies or lays it down)."""

        async def work(unit: Unit) -> int:
            return await unit.db.run(journal.TAKE_DUTY, {"name": name, "value": 0, "owner": self.id, "dead": self.dead})

        return await self._store.run(work) == 1

    async def end(self) -> None:
        """In good order: what it held is anybody's at once."""

        async def work(unit: Unit) -> None:
            await unit.db.run(journal.PUT_DOWN, {"p_owner": self.id})
            await unit.db.run(journal.DELETE_WORKER, {"p_id": self.id})

        await self._store.run(work)

    async def forget(self, ids: Iterable[str]) -> None:
        """What they have left is nobody's, as before."""
        gone = list(ids)

        async def work(unit: Unit) -> None:
            for id in gone:
                await unit.db.run(journal.DELETE_WORKER, {"p_id": id})

        if gone:
            await self._store.run(work)
