"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, PrimaryKeyConstraint, String, Text

from agent_store.kernel.sql import UtcTime

revision = "pricing_0001"
down_revision = None
branch_labels = ("pricing",)


def upgrade() -> None:
    op.create_table(
        "pricing_history",
        Column("sku", String(64), nullable=False),
        Column("version", Integer, nullable=False),
        Column("currency", String(3), nullable=False),
        Column("before_minor", BigInteger),
        Column("price_minor", BigInteger, nullable=False),
        Column("list_price_minor", BigInteger),
        Column("floor_minor", BigInteger, nullable=False),
        Column("reason", Text, nullable=False),
        Column("staff", Text),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("sku", "version"),
    )
    op.create_table(
        "pricing_prices",
        Column("sku", String(64), nullable=False),
        Column("product_id", String(64), nullable=False),
        Column("currency", String(3), nullable=False),
        Column("price_minor", BigInteger, nullable=False),
        Column("list_price_minor", BigInteger),
        Column("floor_minor", BigInteger, nullable=False),
        Column("version", Integer, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint("floor_minor >= 0 AND price_minor >= floor_minor", name="pricing_not_below_floor"),
        CheckConstraint(
            "list_price_minor IS NULL OR list_price_minor >= price_minor", name="pricing_list_not_below_price"
        ),
        PrimaryKeyConstraint("sku"),
    )


def downgrade() -> None:
    op.drop_table("pricing_prices")
    op.drop_table("pricing_history")
