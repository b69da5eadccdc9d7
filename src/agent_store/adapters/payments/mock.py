"""A payment provider that moves no money: the four test cards, deterministic, with a journal that survives a restart."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent_store.agents.payments.ports import ChargeOutcome, RefundOutcome
from agent_store.contracts.payments import TEST_CARDS, FailureCode
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import KeyReused, NotFound
from agent_store.kernel.ids import derived_id
from agent_store.kernel.money import Money

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS movements (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('charge', 'refund')),
    subject TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    failure TEXT,
    reference TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    asked INTEGER NOT NULL DEFAULT 1
) STRICT
"""


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
    """`PaymentProvider` for laptops and tests. `path` is its SQLite file; None keeps the journal in memory.

    4242 is captured, 1111 has insufficient funds, 2222 is expired, 3333 meets a network error (and captures nothing);
    any other token is an invalid card. One key is one movement, whatever the number of times it is asked for.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._db = sqlite3.connect(":memory:" if path is None else str(path), isolation_level=None)
        if path is not None:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(_SCHEMA)

    async def charge(self, token: str, amount: Money, idempotency_key: str) -> ChargeOutcome:
        """See `PaymentProvider.charge`."""
        failure = TEST_CARDS.get(token, "invalid_card")
        done = self._move(idempotency_key, "charge", token, amount, failure)
        return ChargeOutcome(reference=done.reference, method="test_card", at=done.at, failure=done.failure)

    async def refund(self, reference: str, amount: Money, idempotency_key: str) -> RefundOutcome:
        """See `PaymentProvider.refund`."""
        charge = next((one for one in self.captures() if one.reference == reference), None)
        if charge is None or charge.amount != amount:
            raise NotFound(f"there is no captured charge {reference} of {amount}")
        done = self._move(idempotency_key, "refund", reference, amount, None)
        return RefundOutcome(reference=done.reference, at=done.at)

    def captures(self) -> list[Movement]:
        """Every charge that took money, oldest first."""
        return [one for one in self.journal() if one.kind == "charge" and one.failure is None]

    def refunds(self) -> list[Movement]:
        """Every refund, oldest first."""
        return [one for one in self.journal() if one.kind == "refund"]

    def journal(self) -> list[Movement]:
        """All that it was ever asked for, failures too, oldest first."""
        rows = self._db.execute(
            "SELECT key, kind, subject, amount_minor, currency, failure, reference, at, asked FROM movements ORDER BY rowid"
        )
        return [_movement(row) for row in rows]

    def close(self) -> None:
        self._db.close()

    def _move(self, key: str, kind: str, subject: str, amount: Money, failure: FailureCode | None) -> Movement:
        """Write it down, once a key, and read what stands there; a single call of microseconds to a millisecond."""
        stamp = (self._clock.now() - _EPOCH) // timedelta(microseconds=1)
        row = self._db.execute(
            "INSERT INTO movements (key, kind, subject, amount_minor, currency, failure, reference, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET asked = asked + 1"
            " RETURNING key, kind, subject, amount_minor, currency, failure, reference, at, asked",
            (key, kind, subject, amount.minor, amount.currency, failure, derived_id("mock", kind, key), stamp),
        ).fetchone()
        done = _movement(row)
        if (done.kind, done.subject, done.amount) != (kind, subject, amount):
            raise KeyReused(f"{key} was used for another {done.kind}: nothing was done")
        return done


def _movement(row: tuple[str, str, str, int, str, FailureCode | None, str, int, int]) -> Movement:
    key, kind, subject, minor, currency, failure, reference, at, asked = row
    moment = _EPOCH + timedelta(microseconds=at)
    return Movement(key, kind, subject, Money(minor=minor, currency=currency), failure, reference, moment, asked)
