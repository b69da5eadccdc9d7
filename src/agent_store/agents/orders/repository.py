"""The queries of orders."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from agent_store.agents.orders.model import Order
from agent_store.agents.orders.tables import orders
from agent_store.contracts.common import PricedLine
from agent_store.contracts.orders import Delivery, OrderState
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert

_COLUMNS = select(orders)
_BY_ID = _COLUMNS.where(orders.c.id == bindparam("p_id"))
_LOCK = _BY_ID.with_for_update()
_LOCK_NUMBER = _COLUMNS.where(orders.c.number == bindparam("p_number")).with_for_update()
_BY_EITHER = _COLUMNS.where(or_(orders.c.id == bindparam("p_number"), orders.c.number == bindparam("p_number")))
_BY_CART = _COLUMNS.where(
    orders.c.customer_id == bindparam("p_customer"), orders.c.cart_version == bindparam("p_version")
)
_NEWEST = (orders.c.created_at.desc(), orders.c.id.desc())
_MINE = (
    _COLUMNS.where(orders.c.customer_id == bindparam("p_customer"), orders.c.units > 0)
    .order_by(*_NEWEST)
    .limit(bindparam("p_limit"))
)
_INSERT = insert(orders).on_conflict_do_nothing()
_UPDATE = (
    update(orders)
    .where(orders.c.id == bindparam("p_id"))
    .values(
        {
            name: bindparam(f"p_{name}")
            for name in (
                "state", "version", "stock", "attempt", "captured", "refunding",
                "payment_link", "reason", "note", "tracking", "updated_at",
            )
        }
    )
)  # fmt: skip


class Orders(Repository):
    async def find(self, order_id: OrderId) -> Order | None:
        row = await self.db.first(_BY_ID, {"p_id": order_id})
        return None if row is None else _order(row)

    async def for_update(self, order_id: OrderId) -> Order | None:
        """Locked until the transaction ends."""
        row = await self.db.first(_LOCK, {"p_id": order_id})
        return None if row is None else _order(row)

    async def numbered_for_update(self, number: str) -> Order | None:
        row = await self.db.first(_LOCK_NUMBER, {"p_number": number})
        return None if row is None else _order(row)

    async def numbered(self, number_or_id: str) -> Order | None:
        row = await self.db.first(_BY_EITHER, {"p_number": number_or_id})
        return None if row is None else _order(row)

    async def of_cart(self, customer_id: CustomerId, cart_version: int) -> Order | None:
        """The order that was made of this version of the customer's cart."""
        row = await self.db.first(_BY_CART, {"p_customer": customer_id, "p_version": cart_version})
        return None if row is None else _order(row)

    async def of_customer(self, customer_id: CustomerId, limit: int) -> list[Order]:
        """Newest first; what was refused at the door, before it had any lines, is left out."""
        return [_order(row) for row in await self.db.all(_MINE, {"p_customer": customer_id, "p_limit": limit})]

    async def page(
        self, *, state: OrderState | None, customer_id: CustomerId | None, before: datetime | None, limit: int
    ) -> list[Order]:
        """For staff, newest first."""
        query, params = _COLUMNS, dict[str, Any](p_limit=limit)
        if state is not None:
            query, params["p_state"] = query.where(orders.c.state == bindparam("p_state")), state
        if customer_id is not None:
            query, params["p_customer"] = query.where(orders.c.customer_id == bindparam("p_customer")), customer_id
        if before is not None:
            query, params["p_before"] = query.where(orders.c.created_at < bindparam("p_before")), before
        rows = await self.db.all(query.order_by(*_NEWEST).limit(bindparam("p_limit")), params)
        return [_order(row) for row in rows]

    async def add(self, order: Order) -> bool:
        """False when its id, its number or its cart's version is taken; nothing is written then."""
        values = {
            "id": order.id,
            "number": order.number,
            "customer_id": order.customer_id,
            "conversation_id": order.conversation_id,
            "brand": order.brand,
            "channel": order.channel,
            "language": order.language,
            "cart_version": order.cart_version,
            "units": sum(line.quantity for line in order.lines),
            "lines": [line.model_dump(mode="json") for line in order.lines],
            "delivery": order.delivery.model_dump(mode="json"),
            "subtotal_minor": order.subtotal.minor,
            "delivery_minor": order.delivery.price.minor,
            "total_minor": order.total.minor,
            "currency": order.total.currency,
            "created_at": order.created_at,
            **_changing(order),
        }
        return await self.db.run(_INSERT, values) == 1

    async def save(self, order: Order) -> None:
        values = {f"p_{name}": value for name, value in _changing(order).items()}
        await self.db.run(_UPDATE, {"p_id": order.id, **values})


def _changing(order: Order) -> dict[str, Any]:
    return {
        "state": order.state,
        "version": order.version,
        "stock": order.stock,
        "attempt": order.attempt,
        "captured": order.captured,
        "refunding": order.refunding,
        "payment_link": order.payment_link,
        "reason": order.reason,
        "note": order.note,
        "tracking": order.tracking,
        "updated_at": order.updated_at,
    }


def _order(row: Row) -> Order:
    currency = row["currency"]
    return Order(
        id=OrderId(row["id"]),
        number=row["number"],
        customer_id=CustomerId(row["customer_id"]),
        conversation_id=None if row["conversation_id"] is None else ConversationId(row["conversation_id"]),
        brand=row["brand"],
        channel=row["channel"],
        language=row["language"],
        cart_version=row["cart_version"],
        lines=tuple(PricedLine.model_validate(line) for line in row["lines"]),
        delivery=Delivery.model_validate(row["delivery"]),
        subtotal=Money(minor=row["subtotal_minor"], currency=currency),
        total=Money(minor=row["total_minor"], currency=currency),
        state=row["state"],
        version=row["version"],
        stock=row["stock"],
        attempt=row["attempt"],
        captured=bool(row["captured"]),
        refunding=bool(row["refunding"]),
        payment_link=row["payment_link"],
        reason=row["reason"],
        note=row["note"],
        tracking=row["tracking"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
