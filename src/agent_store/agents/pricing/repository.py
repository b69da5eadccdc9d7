from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import bindparam, select

from agent_store.agents.pricing.model import Price
from agent_store.agents.pricing.tables import history, prices
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.money import Money
from agent_store.kernel.sql import insert

_BY_SKU = select(prices).where(prices.c.sku.in_(bindparam("p_skus", expanding=True)))
_LOCK = _BY_SKU.order_by(prices.c.sku).with_for_update()
_ADD = insert(prices)
_UPSERT = _ADD.on_conflict_do_update(
    index_elements=["sku"],
    set_={
        name: _ADD.excluded[name]
        for name in (
            "product_id", "currency", "price_minor", "list_price_minor", "floor_minor", "version", "revision",
            "updated_at",
        )
    },
)  # fmt: skip
_REMEMBER = insert(history)

CHUNK = 500
"""SKUs asked for in one statement at most."""


class Prices(Repository):
    async def of(self, skus: Sequence[str]) -> dict[str, Price]:
        """The prices of these SKUs; one without a price is left out."""
        rows = await self.db.all(_BY_SKU, {"p_skus": skus})
        return {row["sku"]: _price(row) for row in rows}

    async def for_update(self, skus: Sequence[str]) -> dict[str, Price]:
        found: dict[str, Price] = {}
        for start in range(0, len(skus), CHUNK):
            rows = await self.db.all(_LOCK, {"p_skus": skus[start : start + CHUNK]})
            found.update((row["sku"], _price(row)) for row in rows)
        return found

    async def save(self, changed: Iterable[Price], at: datetime) -> None:
        await self.db.many(
            _UPSERT,
            [
                {
                    "sku": price.sku,
                    "product_id": price.product_id,
                    "currency": price.price.currency,
                    "price_minor": price.price.minor,
                    "list_price_minor": price.list_price.minor if price.list_price else None,
                    "floor_minor": price.floor.minor,
                    "version": price.version,
                    "revision": price.revision,
                    "updated_at": at,
                }
                for price in changed
            ],
        )

    async def remember(
        self, changes: Iterable[tuple[Price | None, Price]], *, reason: str, staff: str | None, at: datetime
    ) -> None:
        """Write the history of these (before, after) pairs."""
        await self.db.many(
            _REMEMBER,
            [
                {
                    "sku": after.sku,
                    "version": after.version,
                    "currency": after.price.currency,
                    "before_minor": before.price.minor if before else None,
                    "price_minor": after.price.minor,
                    "list_price_minor": after.list_price.minor if after.list_price else None,
                    "floor_minor": after.floor.minor,
                    "reason": reason,
                    "staff": staff,
                    "at": at,
                }
                for before, after in changes
            ],
        )


def _price(row: Row) -> Price:
    currency = row["currency"]
    before = row["list_price_minor"]
    return Price(
        sku=row["sku"],
        product_id=row["product_id"],
        price=Money(minor=row["price_minor"], currency=currency),
        list_price=None if before is None else Money(minor=before, currency=currency),
        floor=Money(minor=row["floor_minor"], currency=currency),
        version=row["version"],
        revision=row["revision"],
    )
