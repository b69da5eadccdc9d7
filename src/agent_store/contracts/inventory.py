"""Stock by location: levels, reservations, movements. Partitioned by SKU, except a reservation (by order)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from agent_store.contracts.common import Item, Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import CustomerId, OrderId, Sku
from agent_store.kernel.tool import Tool


class LocationView(Shape):
    id: str
    name: str
    kind: Literal["warehouse", "store"]
    cep: str
    city: str = ""
    state: str = ""
    address: str = ""
    hours: str = ""
    lat: float = 0.0
    lon: float = 0.0


class Availability(Shape):
    """Units that can be promised now: on hand less reserved, never below zero."""

    sku: Sku
    available: int
    by_location: dict[str, int] = Field(default_factory=dict)


class GetAvailability(Tool[tuple[Availability, ...]], name="inventory.availability"):
    """Stock of this moment, in the order asked; an unknown SKU has zero."""

    skus: tuple[Sku, ...] = Field(min_length=1, max_length=500)


class ListLocations(Tool[tuple[LocationView, ...]], name="inventory.locations"):
    """Warehouses and stores."""


class AdjustStock(Tool[Availability], name="inventory.adjust", writes=True, staff_only=True):
    """Set or move a level by hand (count, breakage, delivery). Refused when it would go below what is reserved."""

    sku: Sku
    location: str
    change: int
    """Units to add (negative: take away)."""
    reason: str = Field(min_length=1, max_length=200)


class ImportLocations(Tool[int], name="inventory.import_locations", writes=True, staff_only=True):
    """Put locations in or replace them by id; returns how many."""

    locations: tuple[LocationView, ...] = Field(min_length=1)


class StockUpdated(Event, type="store.stock.updated", topic="catalog", subject="sku", sequence="version"):
    """A level changed. `available` is over all locations."""

    sku: Sku
    version: int
    location: str
    on_hand: int
    reserved: int
    available: int
    cause: Literal["import", "adjust", "reserve", "release", "commit", "return"]


class ProductStockLow(Event, type="store.product.stock.low", topic="catalog", subject="sku"):
    sku: Sku
    available: int
    threshold: int


class InventoryReserve(
    Event, type="store.inventory.reserve", topic="order", subject="order_id", partition="customer_id"
):
    """Command: hold these units for an order until `expires_at`. `location` pins it (pickup); else any, nearest first."""

    order_id: OrderId
    customer_id: CustomerId
    lines: tuple[Item, ...] = Field(min_length=1)
    location: str | None = None
    near_cep: str | None = None
    expires_at: datetime
    attempt: int = 1
    """2 for a late capture that reserves again."""


class Allocation(Shape):
    sku: Sku
    location: str
    quantity: int


class InventoryReserved(
    Event, type="store.inventory.reserved", topic="order", subject="order_id", partition="customer_id"
):
    order_id: OrderId
    customer_id: CustomerId
    allocations: tuple[Allocation, ...]
    expires_at: datetime
    attempt: int = 1


class Missing(Shape):
    sku: Sku
    wanted: int
    available: int


class InventoryRefused(
    Event, type="store.inventory.refused", topic="order", subject="order_id", partition="customer_id"
):
    """Nothing is held: `missing` says of what there was too little."""

    order_id: OrderId
    customer_id: CustomerId
    missing: tuple[Missing, ...]
    attempt: int = 1


class InventoryCommit(Event, type="store.inventory.commit", topic="order", subject="order_id", partition="customer_id"):
    """Command: the held units are sold. `attempt` names the reservation; without one, the order's newest."""

    order_id: OrderId
    customer_id: CustomerId
    attempt: int | None = None


class InventoryCommitted(
    Event, type="store.inventory.committed", topic="order", subject="order_id", partition="customer_id"
):
    order_id: OrderId
    customer_id: CustomerId


class InventoryCommitRefused(
    Event, type="store.inventory.commit.refused", topic="order", subject="order_id", partition="customer_id"
):
    """The reservation is gone (expired or released): reserve again or refund."""

    order_id: OrderId
    customer_id: CustomerId


class InventoryRelease(
    Event, type="store.inventory.release", topic="order", subject="order_id", partition="customer_id"
):
    """Command: let go of what is held (and put back what was sold, when `sold` is set: a cancelled order)."""

    order_id: OrderId
    customer_id: CustomerId
    sold: bool = False
    attempt: int | None = None
    """Every attempt up to this one, also one that has not arrived yet; without one, all that have arrived (at least
    the first)."""


class ReservationExpired(
    Event, type="store.inventory.reservation.expired", topic="order", subject="order_id", partition="customer_id"
):
    """Timer of `inventory`: let go of what is still only held when its time has passed."""

    order_id: OrderId
    customer_id: CustomerId
    attempt: int = 1
