"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
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

revision = "payments_0001"
down_revision = None
branch_labels = ("payments",)


def upgrade() -> None:
    op.create_table(
        "payments_attempts",
        Column("payment_id", String(64), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("via", String(8), nullable=False),
        Column("outcome", String(24)),
        Column("reference", Text),
        Column("started_at", UtcTime, nullable=False),
        Column("ended_at", UtcTime),
        PrimaryKeyConstraint("payment_id", "attempt"),
    )
    op.create_table(
        "payments_gone",
        Column("order_id", String(64), nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("order_id"),
    )
    op.create_table(
        "payments_payments",
        Column("id", String(64), nullable=False),
        Column("order_id", String(64), nullable=False),
        Column("order_number", String(20), nullable=False),
        Column("customer_id", String(64), nullable=False),
        Column("conversation_id", String(64)),
        Column("brand", String(32), nullable=False),
        Column("channel", String(16)),
        Column("language", String(2), nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("currency", String(3), nullable=False),
        Column("secret", String(64), nullable=False),
        Column("link", Text, nullable=False),
        Column("state", String(12), nullable=False),
        Column("closing", String(12)),
        Column("attempts", Integer, nullable=False),
        Column("asked", Boolean, nullable=False),
        Column("via", String(8)),
        Column("last_failure", String(24)),
        Column("reference", Text),
        Column("expires_at", UtcTime, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint("closing IS NULL OR state = 'processing'", name="payments_closing_in_flight"),
        CheckConstraint("state NOT IN ('paid', 'refunded') OR reference IS NOT NULL", name="payments_paid_has_charge"),
        CheckConstraint("amount_minor > 0", name="payments_amount_positive"),
        CheckConstraint("attempts >= 0", name="payments_attempts_count"),
        PrimaryKeyConstraint("id"),
        UniqueConstraint("order_id", name="payments_order_once"),
    )
    op.create_index("payments_by_customer", "payments_payments", ["customer_id", "state", "created_at"])


def downgrade() -> None:
    op.drop_table("payments_payments")
    op.drop_table("payments_gone")
    op.drop_table("payments_attempts")
