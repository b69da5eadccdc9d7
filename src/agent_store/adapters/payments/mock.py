"""A payment provider that moves no money: the four test cards, deterministic, with its journal in the store's database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, select

from agent_store.agents.payments.ports import ChargeOutcome, RefundOutcome
from agent_store.agents.payments.tables import provider_movements as movements
from agent_store.contracts.payments import TEST_CARDS, FailureCode
from agent_store.kernel.clock import Clock
from agent_store.kernel.context import Row
from agent_store.kernel.errors import KeyReused, NotFound
from agent_store.kernel.ids import derived_id
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Store, Unit

AGENT = "payments"
"""With whose rights it reads and writes."""

_JOURNAL = select(movements).order_by(movements.c.at, movements.c.key)
_CAPTURED = (movements.c.kind == "charge", movements.c.failure.is_(None))
_CAPTURES = _JOURNAL.where(*_CAPTURED)
_REFUNDS = _JOURNAL.where(movements.c.kind == "refund")
_CAPTURE = select(movements).where(movements.c.reference == bindparam("p_reference"), *_CAPTURED)
_MOVE = (
    insert(movements)
    .on_conflict_do_update(index_elements=[movements.c.key], set_={"asked": movements.c.asked + 1})
    .returning(*movements.c)
)


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of the provider's journal. `subject` is a charge's card code or a refund's charge reference; `asked` counts
    how often its key came."""

    key: str
    kind: str
    subject: str
    amount: Money
    failure: FailureCode | None
    reference: str
    at: datetime
    asked: int


class MockPaymentProvider:
    """`PaymentProvider` for laptops, tests and clusters. Its movements are in a table of `payments`, each committed by
    itself before it is answered: all processes of a store share them.

    4242 is captured, 1111 has insufficient funds, 2222 is expired, 3333 meets a network error (and captures nothing);
    any other token is an invalid card. One key is one movement, whatever the number of times it is asked for.
    """

    def __init__(self, clock: Clock, store: Callable[[], Store]) -> None:
        """`store` gives the process's store, which may be made after its ports."""
        self._clock = clock
        self._store = store

    async def charge(self, token: str, amount: Money, idempotency_key: str) -> ChargeOutcome:
        """See `PaymentProvider.charge`. Raises TemporaryError too when the store does."""
        failure = TEST_CARDS.get(token, "invalid_card")
        done = await self._move(idempotency_key, "charge", token, amount, failure)
        return ChargeOutcome(reference=done.reference, method="test_card", at=done.at, failure=done.failure)

    async def refund(self, reference: str, amount: Money, idempotency_key: str) -> RefundOutcome:
        """See `PaymentProvider.refund`. Raises TemporaryError too when the store does."""
        charge = await self._store().reader_of(AGENT).first(_CAPTURE, {"p_reference": reference})
        if charge is None or _movement(charge).amount != amount:
            raise NotFound(f"there is no captured charge {reference} of {amount}")
        done = await self._move(idempotency_key, "refund", reference, amount, None)
        return RefundOutcome(reference=done.reference, at=done.at)

    async def captures(self) -> list[Movement]:
        """Every charge that took money, oldest first."""
        return await self._read(_CAPTURES)

    async def refunds(self) -> list[Movement]:
        """Every refund, oldest first."""
        return await self._read(_REFUNDS)

    async def journal(self) -> list[Movement]:
        """All that it was ever asked for, failures too, oldest first."""
        return await self._read(_JOURNAL)

    async def _read(self, statement: Select[Any]) -> list[Movement]:
        return [_movement(row) for row in await self._store().reader_of(AGENT).all(statement)]

    async def _move(self, key: str, kind: str, subject: str, amount: Money, failure: FailureCode | None) -> Movement:
        """Write it down, once a key, and read what stands there."""
        values = {
            "key": key,
            "kind": kind,
            "subject": subject,
            "amount_minor": amount.minor,
            "currency": amount.currency,
            "failure": failure,
            "reference": derived_id("mock", kind, key),
            "at": self._clock.now(),
            "asked": 1,
        }

        async def work(unit: Unit) -> Movement:
            (row,) = await unit.db.all(_MOVE, values)
            return _movement(row)

        done = await self._store().run(work, agent=AGENT)
        if (done.kind, done.subject, done.amount) != (kind, subject, amount):
            raise KeyReused(f"{key} was used for another {done.kind}: nothing was done")
        return done


def _movement(row: Row) -> Movement:
    return Movement(
        key=row["key"],
        kind=row["kind"],
        subject=row["subject"],
        amount=Money(minor=row["amount_minor"], currency=row["currency"]),
        failure=row["failure"],
        reference=row["reference"],
        at=row["at"],
        asked=row["asked"],
    )
