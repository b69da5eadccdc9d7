"""The queries of payments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from agent_store.agents.payments.model import Payment, Via
from agent_store.agents.payments.tables import attempts, gone, payments, receipts
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert

_BY_ID = select(payments).where(payments.c.id == bindparam("p_id"))
_LOCK = _BY_ID.with_for_update()
_BY_ORDER = select(payments).where(payments.c.order_id == bindparam("p_order"))
_LOCK_ORDER = _BY_ORDER.with_for_update()
_LOCK_TXID = select(payments).where(payments.c.txid == bindparam("p_txid")).with_for_update()
_PENDING = (
    select(payments)
    .where(payments.c.customer_id == bindparam("p_customer"), payments.c.state.in_(("open", "processing")))
    .order_by(payments.c.created_at.desc(), payments.c.id.desc())
    .limit(1)
)
_LOCK_PENDING = _PENDING.with_for_update()
_INSERT = insert(payments).on_conflict_do_nothing()
_CHANGING = ("state", "closing", "attempts", "asked", "via", "last_failure", "reference", "pix", "updated_at")
_UPDATE = (
    update(payments)
    .where(payments.c.id == bindparam("p_id"))
    .values({name: bindparam(f"p_{name}") for name in _CHANGING})
)
_INSERT_ATTEMPT = insert(attempts).on_conflict_do_nothing()
_END_ATTEMPT = (
    update(attempts)
    .where(
        attempts.c.payment_id == bindparam("p_id"),
        attempts.c.attempt == bindparam("p_attempt"),
        attempts.c.outcome.is_(None),
    )
    .values(outcome=bindparam("p_outcome"), reference=bindparam("p_reference"), ended_at=bindparam("p_at"))
)
_INSERT_GONE = insert(gone).on_conflict_do_nothing()
_INSERT_RECEIPT = insert(receipts).on_conflict_do_nothing()
_RECEIPT = select(receipts).where(receipts.c.reference == bindparam("p_reference"))


class Payments(Repository):
    async def find(self, payment_id: str) -> Payment | None:
        return _read(await self.db.first(_BY_ID, {"p_id": payment_id}))

    async def for_update(self, payment_id: str) -> Payment | None:
        """Locked until the transaction ends."""
        return _read(await self.db.first(_LOCK, {"p_id": payment_id}))

    async def of_order(self, order_id: OrderId) -> Payment | None:
        return _read(await self.db.first(_BY_ORDER, {"p_order": order_id}))

    async def of_order_for_update(self, order_id: OrderId) -> Payment | None:
        return _read(await self.db.first(_LOCK_ORDER, {"p_order": order_id}))

    async def of_txid_for_update(self, txid: str) -> Payment | None:
        return _read(await self.db.first(_LOCK_TXID, {"p_txid": txid}))

    async def pending(self, customer_id: CustomerId) -> Payment | None:
        """The newest that is open or processing."""
        return _read(await self.db.first(_PENDING, {"p_customer": customer_id}))

    async def pending_for_update(self, customer_id: CustomerId) -> Payment | None:
        return _read(await self.db.first(_LOCK_PENDING, {"p_customer": customer_id}))

    async def add(self, payment: Payment) -> bool:
        """False when the order has a payment; nothing is written then."""
        values = {
            "id": payment.id,
            "order_id": payment.order_id,
            "order_number": payment.order_number,
            "customer_id": payment.customer_id,
            "conversation_id": payment.conversation_id,
            "brand": payment.brand,
            "channel": payment.channel,
            "language": payment.language,
            "amount_minor": payment.amount.minor,
            "currency": payment.amount.currency,
            "secret": payment.secret,
            "link": payment.link,
            "expires_at": payment.expires_at,
            "created_at": payment.created_at,
            "txid": payment.txid,
            **_changing(payment),
        }
        return await self.db.run(_INSERT, values) == 1

    async def save(self, payment: Payment) -> None:
        values = {f"p_{name}": value for name, value in _changing(payment).items()}
        await self.db.run(_UPDATE, {"p_id": payment.id, **values})

    async def begin_attempt(self, payment_id: str, attempt: int, via: Via, at: datetime) -> None:
        values = {"payment_id": payment_id, "attempt": attempt, "via": via, "started_at": at}
        await self.db.run(_INSERT_ATTEMPT, values)

    async def end_attempt(
        self, payment_id: str, attempt: int, outcome: str, reference: str | None, at: datetime
    ) -> None:
        await self.db.run(
            _END_ATTEMPT,
            {
                "p_id": payment_id,
                "p_attempt": attempt,
                "p_outcome": outcome,
                "p_reference": reference,
                "p_at": at,
            },
        )

    async def close_question(self, order_id: OrderId, at: datetime) -> bool:
        """No link is made for this order from now on. False when that was so already."""
        return await self.db.run(_INSERT_GONE, {"order_id": order_id, "at": at}) == 1

    async def receipt(self, reference: str) -> tuple[str, int] | None:
        """Of which payment the money with this end-to-end id was, and how much, in minor units."""
        row = await self.db.first(_RECEIPT, {"p_reference": reference})
        return None if row is None else (row["payment_id"], row["amount_minor"])

    async def add_receipt(
        self, reference: str, payment_id: str, amount: Money, outcome: str, paid_at: datetime, at: datetime
    ) -> None:
        await self.db.run(
            _INSERT_RECEIPT,
            {
                "reference": reference,
                "payment_id": payment_id,
                "amount_minor": amount.minor,
                "outcome": outcome,
                "paid_at": paid_at,
                "at": at,
            },
        )


def _changing(payment: Payment) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in _CHANGING}


def _read(row: Row | None) -> Payment | None:
    if row is None:
        return None
    return Payment(
        id=row["id"],
        order_id=OrderId(row["order_id"]),
        order_number=row["order_number"],
        customer_id=CustomerId(row["customer_id"]),
        conversation_id=None if row["conversation_id"] is None else ConversationId(row["conversation_id"]),
        brand=row["brand"],
        channel=row["channel"],
        language=row["language"],
        amount=Money(minor=row["amount_minor"], currency=row["currency"]),
        secret=row["secret"],
        link=row["link"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        state=row["state"],
        closing=row["closing"],
        attempts=row["attempts"],
        asked=bool(row["asked"]),
        via=row["via"],
        last_failure=row["last_failure"],
        reference=row["reference"],
        txid=row["txid"],
        pix=row["pix"],
    )
