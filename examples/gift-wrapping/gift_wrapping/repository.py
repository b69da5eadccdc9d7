"""The queries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select

from agent_store.kernel.context import Repository, Row
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert
from gift_wrapping.tables import choices

CART = ""
"""In place of an order's id: what is chosen for the cart."""
NOTHING = "none"

_INSERT = insert(choices)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=["customer_id", "order_id"],
    set_={name: _INSERT.excluded[name] for name in ("order_number", "style", "price_minor", "currency", "at")},
)
_FIND = select(choices).where(
    choices.c.customer_id == bindparam("p_customer"), choices.c.order_id == bindparam("p_order")
)
_ORDERED = (
    select(choices).where(choices.c.order_id != CART, choices.c.style != NOTHING).order_by(choices.c.at).limit(500)
)


class Choices(Repository):
    async def of(self, customer_id: str, order_id: str = CART) -> Row | None:
        return await self.db.first(_FIND, {"p_customer": customer_id, "p_order": order_id})

    async def put(
        self, customer_id: str, style: str, price: Money, at: datetime, *, order_id: str = CART, number: str = ""
    ) -> None:
        """In place of what was chosen for the same cart or order."""
        await self.db.run(
            _PUT,
            {
                "customer_id": customer_id,
                "order_id": order_id,
                "order_number": number,
                "style": style,
                "price_minor": price.minor,
                "currency": price.currency,
                "at": at,
            },
        )

    async def ordered(self) -> Sequence[Row]:
        return await self.db.all(_ORDERED)
