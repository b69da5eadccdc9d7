from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, Index, Integer, MetaData, String, Table, Text

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

locations = Table(
    "inventory_locations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("cep", String(9), nullable=False),
    Column("city", Text, nullable=False),
    Column("state", String(2), nullable=False),
    Column("address", Text, nullable=False),
    Column("hours", Text, nullable=False),
    Column("lat", Float, nullable=False),
    Column("lon", Float, nullable=False),
)

skus = Table(
    "inventory_skus",
    metadata,
    Column("sku", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("available", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("available >= 0", name="inventory_available_not_negative"),
)
"""One row a SKU: what a handler locks. `version` counts its `StockUpdated`; `available` is the sum over its levels."""

levels = Table(
    "inventory_levels",
    metadata,
    Column("sku", String(64), primary_key=True),
    Column("location", String(64), primary_key=True),
    Column("on_hand", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    CheckConstraint("on_hand >= 0", name="inventory_on_hand_not_negative"),
    CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="inventory_reserved_within_on_hand"),
)

reservations = Table(
    "inventory_reservations",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("customer_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("expires_at", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    CheckConstraint(
        "state IN ('held', 'committed', 'released', 'expired', 'refused', 'returned')", name="inventory_state_known"
    ),
    Index("inventory_reservations_by_state", "state", "expires_at"),
)
"""`expires_at` is None for one that was released before it was asked for."""

reserved_lines = Table(
    "inventory_reserved_lines",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("sku", String(64), primary_key=True),
    Column("location", String(64), primary_key=True),
    Column("quantity", Integer, nullable=False),
    CheckConstraint("quantity > 0", name="inventory_reserved_some"),
)

movements = Table(
    "inventory_movements",
    metadata,
    Column("sku", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("location", String(64), nullable=False),
    Column("on_hand_change", Integer, nullable=False),
    Column("reserved_change", Integer, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("order_id", String(64)),
    Column("reason", Text),
    Column("staff", Text),
    Column("at", UtcTime, nullable=False),
    Index("inventory_movements_by_order", "order_id"),
    Index("inventory_movements_by_level", "sku", "location"),
)
"""The ledger: the sums of its changes are the levels. One row a `StockUpdated`, under the same version."""
