"""The inbox: a row for each delivery, whose it is and how it stands; and how far each subject's sequence has come.

Every method but the reading ones is a part of a transaction of the caller's.
"""

from __future__ import annotations

from datetime import datetime

from agent_store.kernel import cloudevents, journal
from agent_store.kernel.context import Session
from agent_store.kernel.contexts import World
from agent_store.kernel.delivery import Delivery, Early, Lost
from agent_store.kernel.journal import ACCEPTED, DEAD, DONE
from agent_store.kernel.store import Unit
from agent_store.kernel.worker import Worker


class Inbox:
    """Without a worker (on the local bus) rows are nobody's, and their events stand in the outbox."""

    def __init__(self, world: World, worker: Worker | None) -> None:
        self._world = world
        self._worker = worker
        self._owner = worker.id if worker is not None else None

    # --- rows --------------------------------------------------------------------------------------------------

    def key(self, delivery: Delivery) -> dict[str, object]:
        return {"p_consumer": delivery.consumer.name, "p_source": delivery.event.source, "p_id": delivery.event.id}

    def _mine(self, delivery: Delivery) -> dict[str, object]:
        return {**self.key(delivery), "p_owner": self._owner}

    def row(self, delivery: Delivery, state: str) -> dict[str, object]:
        """A new one."""
        now = self._world.clock.now()
        over = state in (DONE, DEAD)
        event = delivery.event
        return {
            "consumer": delivery.consumer.name,
            "source": event.source,
            "id": event.id,
            "type": event.type,
            "state": state,
            "attempts": delivery.attempts,
            "received_at": now,
            "done_at": now if over else None,
            "owner": None if over else self._owner,
            "body": None if over or self._owner is None else cloudevents.to_structured(event).decode(),
        }

    async def stands(self, unit: Unit, delivery: Delivery) -> tuple[str, int]:
        """Of a row that stands: how it ended, or "" when it is to be handled, by this worker from now on; and its failed
        tries. Raises Lost when it stands no longer."""
        row = await unit.db.first(journal.GET_INBOX, self.key(delivery))
        if row is None:
            raise Lost  # forgotten by the retention, long after it was done
        attempts: int = row["attempts"]
        if row["state"] in (DONE, DEAD):
            return "duplicate", attempts
        if row["owner"] != self._owner:
            if self._worker is not None and await self._worker.lives(row["owner"]):
                return "elsewhere", attempts
            if row["state"] == ACCEPTED and row["owner"] is not None:
                attempts += 1  # it was being handled when its worker died, and may have been why
            await unit.db.run(journal.TAKE_INBOX, {**self._mine(delivery), "p_attempts": attempts})
        return "", attempts

    async def accept(self, unit: Unit, delivery: Delivery) -> None:
        """Of a row that stands: it is being handled from now on, and a death of this worker counts."""
        await unit.db.run(journal.ACCEPT_INBOX, self._mine(delivery))

    async def hold(self, unit: Unit, delivery: Delivery) -> None:
        """Before something is written in a delivery's name: nobody takes it over until that is committed. Raises Lost when
        somebody has."""
        if await unit.db.first(journal.HOLD_INBOX, self._mine(delivery)) is None:
            raise Lost

    async def finish(self, unit: Unit, delivery: Delivery) -> None:
        """Raises Lost."""
        if await unit.db.run(journal.FINISH_INBOX, {**self._mine(delivery), "p_done": self._world.clock.now()}) == 0:
            raise Lost

    async def write(
        self, unit: Unit, delivery: Delivery, state: str, *, due: datetime | None, error: str | None
    ) -> None:
        """How it stands, whether its row is there or was rolled back with the handler. Raises Lost."""
        row = self.row(delivery, state)
        if not delivery.known:
            if await unit.db.run(journal.INSERT_INBOX, {**row, "due_at": due, "error": error}):
                return
            ended, _ = await self.stands(unit, delivery)
            if ended:
                raise Lost  # a duplicate that another worker has recorded meanwhile
        changed = await unit.db.run(
            journal.SET_INBOX,
            {
                **self._mine(delivery),
                "p_state": state,
                "p_attempts": delivery.attempts,
                "p_due": due,
                "p_done": row["done_at"],
                "p_error": error,
            },
        )
        if changed == 0:
            raise Lost

    # --- order -------------------------------------------------------------------------------------------------

    async def check_order(self, unit: Unit, delivery: Delivery, *, ends: bool) -> None:
        """Advance the subject's sequence, or raise Early when an earlier one is missing and may still come, or is being
        handled by another worker now. `ends`: this handling ends with the same commit."""
        event = delivery.event
        if event.sequence is None or event.subject is None:
            return
        order = await self.order(unit.db, delivery)
        last, taken = order
        if event.sequence > last + 1:
            waited = delivery.patience is not None and delivery.patience <= self._world.clock.now()
            if not waited or last < taken < event.sequence:
                raise Early
        if ends:
            await self._pass(unit, delivery, order)
        elif event.sequence > taken:
            await self._set_order(unit, delivery, last, event.sequence)

    async def pass_(self, unit: Unit, delivery: Delivery) -> None:
        """Its handling has ended: those after it do not wait for it."""
        await self._pass(unit, delivery, await self.order(unit.db, delivery))

    async def is_next(self, db: Session, delivery: Delivery) -> bool:
        """Whether all before it have ended."""
        last, _ = await self.order(db, delivery)
        return last >= delivery.sequence - 1

    async def order(self, db: Session, delivery: Delivery) -> tuple[int, int]:
        """The highest sequences of the subject whose handling has ended, and has begun."""
        consumer, type, subject = delivery.place
        row = await db.first(journal.GET_ORDER, {"p_consumer": consumer, "p_type": type, "p_subject": subject})
        return (row["last"], row["taken"]) if row is not None else (0, 0)

    async def _pass(self, unit: Unit, delivery: Delivery, order: tuple[int, int]) -> None:
        sequence, (last, taken) = delivery.event.sequence, order
        if sequence is not None and delivery.event.subject is not None and sequence > last:
            await self._set_order(unit, delivery, sequence, max(taken, sequence))

    async def _set_order(self, unit: Unit, delivery: Delivery, last: int, taken: int) -> None:
        consumer, type, subject = delivery.place
        now = self._world.clock.now()
        row = {"consumer": consumer, "type": type, "subject": subject, "last": last, "taken": taken, "at": now}
        await unit.db.run(journal.SET_ORDER, row)
