from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from agent_store.agents.inventory import tables as t
from agent_store.agents.inventory.model import Cause, Change, Level, Reservation, Stock
from agent_store.contracts.inventory import Allocation, LocationView
from agent_store.kernel.context import Repository
from agent_store.kernel.ids import Sku
from agent_store.kernel.sql import insert

CHUNK = 500
"""SKUs asked for in one statement at most."""

_STOCK = (
    select(t.skus).where(t.skus.c.sku.in_(bindparam("p_skus", expanding=True))).order_by(t.skus.c.sku).with_for_update()
)
_LEVELS = select(t.levels).where(t.levels.c.sku.in_(bindparam("p_skus", expanding=True)))
_ADD_STOCK = insert(t.skus).on_conflict_do_nothing(index_elements=["sku"])
_ADD_LEVEL = insert(t.levels).on_conflict_do_nothing(index_elements=["sku", "location"])
_SET_STOCK = (
    update(t.skus)
    .where(t.skus.c.sku == bindparam("p_sku"))
    .values(version=bindparam("p_version"), available=bindparam("p_available"))
)
_SET_REVISION = update(t.skus).where(t.skus.c.sku == bindparam("p_sku")).values(revision=bindparam("p_revision"))
_SET_LEVEL = (
    update(t.levels)
    .where(t.levels.c.sku == bindparam("p_sku"), t.levels.c.location == bindparam("p_location"))
    .values(on_hand=bindparam("p_on_hand"), reserved=bindparam("p_reserved"))
)
_MOVE = insert(t.movements)

_LOCATIONS = select(t.locations).order_by(t.locations.c.kind.desc(), t.locations.c.name)
_LOCATION_IDS = select(t.locations.c.id).where(t.locations.c.id.in_(bindparam("p_ids", expanding=True)))
_ADD_LOCATION = insert(t.locations)
_PUT_LOCATION = _ADD_LOCATION.on_conflict_do_update(
    index_elements=["id"],
    set_={column.name: _ADD_LOCATION.excluded[column.name] for column in t.locations.c if column.name != "id"},
)

_ATTEMPTS = (
    select(t.reservations)
    .where(t.reservations.c.order_id == bindparam("p_order"))
    .order_by(t.reservations.c.attempt)
    .with_for_update()
)
_LINES = select(t.reserved_lines).where(t.reserved_lines.c.order_id == bindparam("p_order"))
_ADD_RESERVATION = insert(t.reservations)
_ADD_LINES = insert(t.reserved_lines)
_SET_STATE = (
    update(t.reservations)
    .where(t.reservations.c.order_id == bindparam("p_order"), t.reservations.c.attempt == bindparam("p_attempt"))
    .values(state=bindparam("p_state"), updated_at=bindparam("p_at"))
)


class Locations(Repository):
    async def all(self) -> tuple[LocationView, ...]:
        """Warehouses first, then stores, by name."""
        return tuple(LocationView.model_validate(dict(row)) for row in await self.db.all(_LOCATIONS))

    async def unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of the ids that are no location."""
        asked = sorted(set(ids))
        if not asked:
            return []
        known = {row["id"] for row in await self.db.all(_LOCATION_IDS, {"p_ids": asked})}
        return [id for id in asked if id not in known]

    async def put(self, locations: Iterable[LocationView]) -> None:
        await self.db.many(_PUT_LOCATION, [location.model_dump() for location in locations])


class Shelves(Repository):
    """Levels and their SKUs' rows."""

    async def levels(self, skus: Sequence[Sku]) -> list[Level]:
        found: list[Level] = []
        for start in range(0, len(skus), CHUNK):
            rows = await self.db.all(_LEVELS, {"p_skus": skus[start : start + CHUNK]})
            found.extend(Level(row["sku"], row["location"], row["on_hand"], row["reserved"]) for row in rows)
        return found

    async def lock(self, skus: Iterable[Sku]) -> dict[Sku, Stock]:
        """The SKUs' rows, held until the transaction ends; always in the same order, so that two orders never wait
        for each other."""
        asked = sorted(set(skus))
        found: dict[Sku, Stock] = {}
        for start in range(0, len(asked), CHUNK):
            rows = await self.db.all(_STOCK, {"p_skus": asked[start : start + CHUNK]})
            for row in rows:
                found[row["sku"]] = Stock(row["sku"], row["version"], row["available"], row["revision"])
        return found

    async def add_skus(self, skus: Iterable[Sku]) -> None:
        rows = [{"sku": sku, "version": 0, "available": 0, "revision": 0} for sku in sorted(set(skus))]
        await self.db.many(_ADD_STOCK, rows)

    async def add_levels(self, levels: Iterable[tuple[Sku, str]]) -> None:
        rows = [{"sku": sku, "location": location, "on_hand": 0, "reserved": 0} for sku, location in levels]
        await self.db.many(_ADD_LEVEL, rows)

    async def set_revision(self, skus: Iterable[Sku], revision: int) -> None:
        await self.db.many(_SET_REVISION, [{"p_sku": sku, "p_revision": revision} for sku in skus])

    async def write(
        self,
        stock: Iterable[Stock],
        levels: Iterable[Level],
        moves: Sequence[tuple[Change, int]],
        *,
        cause: Cause,
        order_id: str | None,
        reason: str | None,
        staff: str | None,
        at: datetime,
    ) -> None:
        """Save levels and SKU rows with the ledger lines (change, version) that led there."""
        await self.db.many(
            _SET_LEVEL,
            [
                {"p_sku": x.sku, "p_location": x.location, "p_on_hand": x.on_hand, "p_reserved": x.reserved}
                for x in levels
            ],
        )
        await self.db.many(
            _SET_STOCK, [{"p_sku": x.sku, "p_version": x.version, "p_available": x.available} for x in stock]
        )
        common: Mapping[str, Any] = {
            "cause": cause, "order_id": order_id, "reason": reason, "staff": staff, "at": at,
        }  # fmt: skip
        await self.db.many(
            _MOVE,
            [
                {
                    "sku": change.sku,
                    "version": version,
                    "location": change.location,
                    "on_hand_change": change.on_hand,
                    "reserved_change": change.reserved,
                    **common,
                }
                for change, version in moves
            ],
        )


class Reservations(Repository):
    async def of_order(self, order_id: str) -> list[Reservation]:
        """All attempts of an order, the oldest first, held until the transaction ends."""
        heads = await self.db.all(_ATTEMPTS, {"p_order": order_id})
        if not heads:
            return []
        lines: dict[int, list[Allocation]] = {}
        for row in await self.db.all(_LINES, {"p_order": order_id}):
            allocation = Allocation(sku=row["sku"], location=row["location"], quantity=row["quantity"])
            lines.setdefault(row["attempt"], []).append(allocation)
        return [
            Reservation(
                order_id=order_id,
                attempt=row["attempt"],
                customer_id=row["customer_id"],
                state=row["state"],
                expires_at=row["expires_at"],
                allocations=tuple(lines.get(row["attempt"], ())),
            )
            for row in heads
        ]

    async def add(self, reservation: Reservation, at: datetime) -> None:
        await self.db.run(
            _ADD_RESERVATION,
            {
                "order_id": reservation.order_id,
                "attempt": reservation.attempt,
                "customer_id": reservation.customer_id,
                "state": reservation.state,
                "expires_at": reservation.expires_at,
                "updated_at": at,
            },
        )
        await self.db.many(
            _ADD_LINES,
            [
                {
                    "order_id": reservation.order_id,
                    "attempt": reservation.attempt,
                    "sku": allocation.sku,
                    "location": allocation.location,
                    "quantity": allocation.quantity,
                }
                for allocation in reservation.allocations
            ],
        )

    async def save_state(self, reservation: Reservation, at: datetime) -> None:
        await self.db.run(
            _SET_STATE,
            {
                "p_order": reservation.order_id,
                "p_attempt": reservation.attempt,
                "p_state": reservation.state,
                "p_at": at,
            },
        )
