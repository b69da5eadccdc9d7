"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, PrimaryKeyConstraint, String, Text

from agent_store.kernel.sql import UtcTime

revision = "seller_0001"
down_revision = None
branch_labels = ("seller",)


def upgrade() -> None:
    op.create_table(
        "seller_conversations",
        Column("conversation_id", String(64), nullable=False),
        Column("customer_id", String(64), nullable=False),
        Column("token", BigInteger, nullable=False),
        Column("misses", Integer, nullable=False),
        Column("shown_cart", Integer),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint("misses >= 0", name="seller_misses_count"),
        PrimaryKeyConstraint("conversation_id"),
    )
    op.create_table(
        "seller_evidence",
        Column("conversation_id", String(64), nullable=False),
        Column("turn", Integer, nullable=False),
        Column("position", Integer, nullable=False),
        Column("source", String(160), nullable=False),
        Column("body", Text, nullable=False),
        Column("valid_until", UtcTime, nullable=False),
        PrimaryKeyConstraint("conversation_id", "turn", "position"),
    )
    op.create_index("seller_evidence_stale", "seller_evidence", ["valid_until"])
    op.create_index("seller_evidence_valid", "seller_evidence", ["conversation_id", "valid_until"])
    op.create_table(
        "seller_memory",
        Column("customer_id", String(64), nullable=False),
        Column("memory", Text, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("customer_id"),
    )


def downgrade() -> None:
    op.drop_table("seller_memory")
    op.drop_table("seller_evidence")
    op.drop_table("seller_conversations")
