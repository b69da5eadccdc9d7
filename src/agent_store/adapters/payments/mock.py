"""A payment provider that moves no money: the four test cards and Pix, with its journal in the store's database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, select, update

from agent_store.agents.payments import pix
from agent_store.agents.payments.ports import ChargeOutcome, PixCharge, PixReceived, RefundOutcome
from agent_store.agents.payments.tables import provider_movements as movements
from agent_store.agents.payments.tables import provider_pix as charges
from agent_store.contracts.payments import TEST_CARDS, FailureCode
from agent_store.kernel.clock import Clock
from agent_store.kernel.context import Row
from agent_store.kernel.errors import Conflict, InvalidInput, KeyReused, NotFound
from agent_store.kernel.ids import derived_id
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Store, Unit

_PLACE = "pix.agent-store.invalid/v2/"
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
_NEW_PIX = (
    insert(charges)
    .on_conflict_do_update(index_elements=[charges.c.txid], set_={"asked": charges.c.asked + 1})
    .returning(*charges.c)
)
_PIX = select(charges).where(charges.c.txid == bindparam("p_txid"))
_LOCK_PIX = _PIX.with_for_update()
_PAY_PIX = (
    update(charges)
    .where(charges.c.txid == bindparam("p_txid"))
    .values(reference=bindparam("p_reference"), paid_minor=bindparam("p_paid"), paid_at=bindparam("p_at"))
)
_UNTOLD = (
    select(charges)
    .where(charges.c.paid_at.is_not(None), charges.c.told_at.is_(None))
    .order_by(charges.c.paid_at, charges.c.txid)
    .limit(bindparam("p_most"))
)
_TOLD = update(charges).where(charges.c.txid == bindparam("p_txid")).values(told_at=bindparam("p_at"))


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is paid, as a BR Code says it. `key` is the receiver's Pix key, which a charge names and a dynamic code doesn't."""

    name: str = "Agent Store"
    city: str = "Sao Paulo"
    key: str = ""

    def __post_init__(self) -> None:
        if not pix.fold(self.name, pix.LONGEST_NAME) or not pix.fold(self.city, pix.LONGEST_CITY):
            raise InvalidInput("a Pix receiver's name and city are written in Latin letters or digits")


@dataclass(frozen=True, slots=True)
class MockPix:
    """A charge as its provider keeps it."""

    txid: str
    amount: Money
    copy_paste: str
    key: str
    created_at: datetime
    expires_at: datetime
    paid: PixReceived | None
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of the provider's journal. `subject` is a charge's card code ("pix:" and the txid of a Pix) or a refund's charge
    reference; `asked` counts how often its key came."""

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

    A Pix charge waits until `pay_pix` (a customer's bank, see `MockBank`) pays it. Its code is a true one whose place is
    under `.invalid`, which no name server knows (RFC 2606): a bank's app that reads it finds nothing to pay.
    """

    def __init__(self, clock: Clock, store: Callable[[], Store], receiver: Receiver | None = None) -> None:
        """`store` gives the process's store, which may be made after its ports."""
        self._clock = clock
        self._store = store
        self._receiver = receiver or Receiver()

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

    async def pix(self, txid: str, amount: Money, expires_at: datetime) -> PixCharge | None:
        """See `PaymentProvider.pix`. None for anything but reais."""
        if amount.currency != "BRL":
            return None
        if not pix.is_txid(txid):
            raise InvalidInput("txid: 26 to 35 letters and digits", field="txid")
        place = f"{_PLACE}{txid}"
        values = {
            "txid": txid,
            "amount_minor": amount.minor,
            "copy_paste": pix.dynamic(url=place, amount=amount, name=self._receiver.name, city=self._receiver.city),
            "expires_at": expires_at,
            "created_at": self._clock.now(),
            "asked": 1,
        }

        async def work(unit: Unit) -> MockPix:
            (row,) = await unit.db.all(_NEW_PIX, values)
            return self._charge(row)

        made = await self._store().run(work, agent=AGENT)
        if (made.amount, made.expires_at) != (amount, expires_at):
            raise KeyReused(f"{txid} was used for another charge: nothing was done")
        return PixCharge(txid=txid, copy_paste=made.copy_paste)

    async def pay_pix(self, txid: str, amount: Money | None = None) -> PixReceived:
        """A customer's bank pays the charge, once; `amount` for one that pays another sum than the code's.

        Raises NotFound, or Conflict when it is paid or its time is over.
        """
        now = self._clock.now()

        async def work(unit: Unit) -> PixReceived:
            row = await unit.db.first(_LOCK_PIX, {"p_txid": txid})
            if row is None:
                raise NotFound(f"there is no Pix charge {txid}")
            charge = self._charge(row)
            if charge.paid is not None:
                raise Conflict("this Pix is paid already", code="already-paid")
            if now >= charge.expires_at:
                raise Conflict("the time of this Pix is over: order again", code="payment-expired")
            moved = amount or charge.amount
            reference = f"E00000000{now:%Y%m%d%H%M}{derived_id('e2e', txid).replace('-', '')[:11]}"
            await unit.db.run(_PAY_PIX, {"p_txid": txid, "p_reference": reference, "p_paid": moved.minor, "p_at": now})
            await unit.db.run(_MOVE, self._values(f"pix:{txid}", "charge", f"pix:{txid}", moved, None, reference))
            return PixReceived(txid=txid, reference=reference, amount=moved, paid_at=now)

        return await self._store().run(work, agent=AGENT)

    async def txid_of(self, url: str) -> str:
        """Which charge stands at the place that a code names. Raises NotFound when it is none of this provider's."""
        if not url.startswith(_PLACE):
            raise NotFound("this code is not for a charge of this provider")
        return (await self.pix_charge(url.removeprefix(_PLACE))).txid

    async def pix_charge(self, txid: str) -> MockPix:
        """Raises NotFound."""
        row = await self._store().reader_of(AGENT).first(_PIX, {"p_txid": txid})
        if row is None:
            raise NotFound(f"there is no Pix charge {txid}")
        return self._charge(row)

    async def untold(self, most: int = 100) -> list[PixReceived]:
        """What was paid and the store has not acknowledged yet, oldest first."""
        rows = await self._store().reader_of(AGENT).all(_UNTOLD, {"p_most": most})
        return [paid for row in rows if (paid := self._charge(row).paid) is not None]

    async def told(self, txid: str) -> None:
        """The store has acknowledged it."""

        async def work(unit: Unit) -> None:
            await unit.db.run(_TOLD, {"p_txid": txid, "p_at": self._clock.now()})

        await self._store().run(work, agent=AGENT)

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
        values = self._values(key, kind, subject, amount, failure, derived_id("mock", kind, key))

        async def work(unit: Unit) -> Movement:
            (row,) = await unit.db.all(_MOVE, values)
            return _movement(row)

        done = await self._store().run(work, agent=AGENT)
        if (done.kind, done.subject, done.amount) != (kind, subject, amount):
            raise KeyReused(f"{key} was used for another {done.kind}: nothing was done")
        return done

    def _values(
        self, key: str, kind: str, subject: str, amount: Money, failure: FailureCode | None, reference: str
    ) -> dict[str, Any]:
        return {
            "key": key,
            "kind": kind,
            "subject": subject,
            "amount_minor": amount.minor,
            "currency": amount.currency,
            "failure": failure,
            "reference": reference,
            "at": self._clock.now(),
            "asked": 1,
        }

    def _charge(self, row: Row) -> MockPix:
        paid = None
        if row["reference"] is not None:
            paid = PixReceived(
                txid=row["txid"],
                reference=row["reference"],
                amount=Money(minor=row["paid_minor"]),
                paid_at=row["paid_at"],
            )
        return MockPix(
            txid=row["txid"],
            amount=Money(minor=row["amount_minor"]),
            copy_paste=row["copy_paste"],
            key=self._receiver.key,
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            paid=paid,
            told_at=row["told_at"],
        )


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
