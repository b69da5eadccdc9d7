"""The cart's queries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, select, update

from agent_store.agents.cart.model import Cart, Line
from agent_store.agents.cart.tables import carts, lines, ordered
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.ids import CustomerId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert

_FIND = select(carts.c.version).where(carts.c.customer_id == bindparam("p_customer"))
_LOCK = _FIND.with_for_update()
_LINES = select(lines).where(lines.c.customer_id == bindparam("p_customer")).order_by(lines.c.position, lines.c.sku)
_OPEN = insert(carts).on_conflict_do_nothing()
_VERSION = (
    update(carts)
    .where(carts.c.customer_id == bindparam("p_customer"))
    .values(version=bindparam("p_version"), updated_at=bindparam("p_at"))
)
_INSERT_LINE = insert(lines)
_PUT_LINE = _INSERT_LINE.on_conflict_do_update(
    index_elements=["customer_id", "sku"],
    set_={
        "quantity": _INSERT_LINE.excluded.quantity,
        "unit_minor": _INSERT_LINE.excluded.unit_minor,
        "currency": _INSERT_LINE.excluded.currency,
        "title": _INSERT_LINE.excluded.title,
        "weight_g": _INSERT_LINE.excluded.weight_g,
    },
)
_DROP_LINE = delete(lines).where(lines.c.customer_id == bindparam("p_customer"), lines.c.sku == bindparam("p_sku"))
_MARK_ORDERED = insert(ordered).on_conflict_do_nothing()


class Carts(Repository):
    async def find(self, customer_id: CustomerId) -> Cart:
        """As committed; an empty cart of version 0 for a customer that has none."""
        row = await self.db.first(_FIND, {"p_customer": customer_id})
        return await self._load(customer_id, row)

    async def for_update(self, customer_id: CustomerId, at: datetime) -> Cart:
        """Locked until the transaction ends; opened when there is none."""
        row = await self.db.first(_LOCK, {"p_customer": customer_id})
        if row is None:
            await self.db.run(_OPEN, {"customer_id": customer_id, "version": 0, "updated_at": at})
            row = await self.db.first(_LOCK, {"p_customer": customer_id})
        return await self._load(customer_id, row)

    async def _load(self, customer_id: CustomerId, row: Row | None) -> Cart:
        if row is None:
            return Cart(customer_id)
        found = await self.db.all(_LINES, {"p_customer": customer_id})
        return Cart(customer_id, row["version"], {line["sku"]: _line(line) for line in found})

    async def save(self, cart: Cart, at: datetime) -> None:
        """Write what changed since it was loaded."""
        customer = {"p_customer": cart.customer_id}
        await self.db.run(_VERSION, {**customer, "p_version": cart.version, "p_at": at})
        for sku in sorted(cart.gone):
            await self.db.run(_DROP_LINE, {**customer, "p_sku": sku})
        for sku in sorted(cart.touched):
            line = cart.lines[sku]
            await self.db.run(
                _PUT_LINE,
                {
                    "customer_id": cart.customer_id,
                    "sku": sku,
                    "position": cart.version,  # kept by the upsert: a line stays where it came in
                    "product_id": line.product_id,
                    "title": line.title,
                    "brand": line.brand,
                    "weight_g": line.weight_g,
                    "quantity": line.quantity,
                    "unit_minor": line.unit.minor,
                    "currency": line.unit.currency,
                },
            )
        cart.gone.clear()
        cart.touched.clear()

    async def mark_ordered(self, customer_id: CustomerId, order_id: str, at: datetime) -> bool:
        """False when this order's units have been taken out before."""
        values = {"customer_id": customer_id, "order_id": order_id, "at": at}
        return await self.db.run(_MARK_ORDERED, values) == 1


def _line(row: Row) -> Line:
    return Line(
        sku=Sku(row["sku"]),
        product_id=row["product_id"],
        title=row["title"],
        brand=row["brand"],
        weight_g=row["weight_g"],
        quantity=row["quantity"],
        unit=Money(minor=row["unit_minor"], currency=row["currency"]),
    )
