"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, Integer, PrimaryKeyConstraint, String, Text

from agent_store.kernel.sql import UtcTime

revision = "cart_0001"
down_revision = None
branch_labels = ("cart",)


def upgrade() -> None:
    op.create_table(
        "cart_carts",
        Column("customer_id", String(64), nullable=False),
        Column("version", Integer, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint("version >= 0", name="cart_version_counts"),
        PrimaryKeyConstraint("customer_id"),
    )
    op.create_table(
        "cart_lines",
        Column("customer_id", String(64), nullable=False),
        Column("sku", String(64), nullable=False),
        Column("position", Integer, nullable=False),
        Column("product_id", String(64), nullable=False),
        Column("title", Text, nullable=False),
        Column("brand", String(32), nullable=False),
        Column("weight_g", Integer, nullable=False),
        Column("quantity", Integer, nullable=False),
        Column("unit_minor", Integer, nullable=False),
        Column("currency", String(3), nullable=False),
        CheckConstraint("quantity > 0", name="cart_line_has_units"),
        CheckConstraint("unit_minor >= 0", name="cart_line_price"),
        PrimaryKeyConstraint("customer_id", "sku"),
    )
    op.create_table(
        "cart_ordered",
        Column("customer_id", String(64), nullable=False),
        Column("order_id", String(64), nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("customer_id", "order_id"),
    )


def downgrade() -> None:
    op.drop_table("cart_ordered")
    op.drop_table("cart_lines")
    op.drop_table("cart_carts")
