"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Float, Integer, PrimaryKeyConstraint, String, Text

from agent_store.kernel.sql import UtcTime

revision = "inventory_0001"
down_revision = None
branch_labels = ("inventory",)


def upgrade() -> None:
    op.create_table(
        "inventory_levels",
        Column("sku", String(64), nullable=False),
        Column("location", String(64), nullable=False),
        Column("on_hand", Integer, nullable=False),
        Column("reserved", Integer, nullable=False),
        CheckConstraint("on_hand >= 0", name="inventory_on_hand_not_negative"),
        CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="inventory_reserved_within_on_hand"),
        PrimaryKeyConstraint("sku", "location"),
    )
    op.create_table(
        "inventory_locations",
        Column("id", String(64), nullable=False),
        Column("name", Text, nullable=False),
        Column("kind", String(16), nullable=False),
        Column("cep", String(9), nullable=False),
        Column("city", Text, nullable=False),
        Column("state", String(2), nullable=False),
        Column("address", Text, nullable=False),
        Column("hours", Text, nullable=False),
        Column("lat", Float, nullable=False),
        Column("lon", Float, nullable=False),
        PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "inventory_movements",
        Column("sku", String(64), nullable=False),
        Column("version", Integer, nullable=False),
        Column("location", String(64), nullable=False),
        Column("on_hand_change", Integer, nullable=False),
        Column("reserved_change", Integer, nullable=False),
        Column("cause", String(16), nullable=False),
        Column("order_id", String(64)),
        Column("reason", Text),
        Column("staff", Text),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("sku", "version"),
    )
    op.create_index("inventory_movements_by_level", "inventory_movements", ["sku", "location"])
    op.create_index("inventory_movements_by_order", "inventory_movements", ["order_id"])
    op.create_table(
        "inventory_reservations",
        Column("order_id", String(64), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("customer_id", String(64), nullable=False),
        Column("state", String(16), nullable=False),
        Column("expires_at", UtcTime),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint(
            "state IN ('held', 'committed', 'released', 'expired', 'refused', 'returned')", name="inventory_state_known"
        ),
        PrimaryKeyConstraint("order_id", "attempt"),
    )
    op.create_index("inventory_reservations_by_state", "inventory_reservations", ["state", "expires_at"])
    op.create_table(
        "inventory_reserved_lines",
        Column("order_id", String(64), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("sku", String(64), nullable=False),
        Column("location", String(64), nullable=False),
        Column("quantity", Integer, nullable=False),
        CheckConstraint("quantity > 0", name="inventory_reserved_some"),
        PrimaryKeyConstraint("order_id", "attempt", "sku", "location"),
    )
    op.create_table(
        "inventory_skus",
        Column("sku", String(64), nullable=False),
        Column("version", Integer, nullable=False),
        Column("available", Integer, nullable=False),
        Column("revision", BigInteger, nullable=False),
        CheckConstraint("available >= 0", name="inventory_available_not_negative"),
        PrimaryKeyConstraint("sku"),
    )


def downgrade() -> None:
    op.drop_table("inventory_skus")
    op.drop_table("inventory_reserved_lines")
    op.drop_table("inventory_reservations")
    op.drop_table("inventory_movements")
    op.drop_table("inventory_locations")
    op.drop_table("inventory_levels")
