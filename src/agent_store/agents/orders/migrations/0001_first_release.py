"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from agent_store.kernel.sql import UtcTime

revision = "orders_0001"
down_revision = None
branch_labels = ("orders",)


def upgrade() -> None:
    op.create_table(
        "orders_orders",
        Column("id", String(64), nullable=False),
        Column("number", String(20), nullable=False),
        Column("customer_id", String(64), nullable=False),
        Column("conversation_id", String(64)),
        Column("brand", String(32), nullable=False),
        Column("channel", String(16)),
        Column("language", String(2), nullable=False),
        Column("cart_version", Integer),
        Column("units", Integer, nullable=False),
        Column("lines", JSON, nullable=False),
        Column("delivery", JSON, nullable=False),
        Column("subtotal_minor", BigInteger, nullable=False),
        Column("delivery_minor", BigInteger, nullable=False),
        Column("total_minor", BigInteger, nullable=False),
        Column("currency", String(3), nullable=False),
        Column("state", String(20), nullable=False),
        Column("version", Integer, nullable=False),
        Column("stock", String(12), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("captured", Boolean, nullable=False),
        Column("refunding", Boolean, nullable=False),
        Column("payment_link", Text),
        Column("reason", String(40)),
        Column("note", Text, nullable=False),
        Column("tracking", Text),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint(
            "state NOT IN ('confirmed', 'picked', 'shipped', 'delivered') OR stock = 'committed'",
            name="orders_sold_is_committed",
        ),
        CheckConstraint(
            "state NOT IN ('paid', 'confirmed', 'picked', 'shipped', 'delivered') OR (captured AND NOT refunding)",
            name="orders_sold_is_paid",
        ),
        CheckConstraint("subtotal_minor >= 0 AND delivery_minor >= 0", name="orders_money_positive"),
        CheckConstraint("total_minor = subtotal_minor + delivery_minor", name="orders_money_adds_up"),
        CheckConstraint("version >= 1 AND attempt >= 1", name="orders_counts_from_one"),
        PrimaryKeyConstraint("id"),
        UniqueConstraint("customer_id", "cart_version", name="orders_cart_version_once"),
        UniqueConstraint("number", name="orders_number_once"),
    )
    op.create_index("orders_by_customer", "orders_orders", ["customer_id", "created_at"])
    op.create_index("orders_by_state", "orders_orders", ["state", "created_at"])
    op.create_index("orders_by_time", "orders_orders", ["created_at"])


def downgrade() -> None:
    op.drop_table("orders_orders")
