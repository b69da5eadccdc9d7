"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, Integer, PrimaryKeyConstraint, String

from agent_store.kernel.sql import UtcTime

revision = "gift_wrapping_0001"
down_revision = None
branch_labels = ("gift_wrapping",)


def upgrade() -> None:
    op.create_table(
        "gift_wrapping_choices",
        Column("customer_id", String(64), nullable=False),
        Column("order_id", String(64), nullable=False),
        Column("order_number", String(16), nullable=False),
        Column("style", String(16), nullable=False),
        Column("price_minor", Integer, nullable=False),
        Column("currency", String(3), nullable=False),
        Column("at", UtcTime, nullable=False),
        CheckConstraint("style IN ('standard', 'premium', 'none')", name="gift_wrapping_style"),
        CheckConstraint("price_minor >= 0", name="gift_wrapping_price"),
        PrimaryKeyConstraint("customer_id", "order_id"),
    )
    op.create_index("gift_wrapping_by_time", "gift_wrapping_choices", ["at"])


def downgrade() -> None:
    op.drop_table("gift_wrapping_choices")
