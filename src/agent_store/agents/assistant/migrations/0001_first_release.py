"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, Integer, PrimaryKeyConstraint, String, Text, text

from agent_store.kernel.sql import UtcTime

revision = "assistant_0001"
down_revision = None
branch_labels = ("assistant",)


def upgrade() -> None:
    op.create_table(
        "assistant_escalations",
        Column("id", String(36), nullable=False),
        Column("conversation_id", String(64), nullable=False),
        Column("customer_id", String(64), nullable=False),
        Column("brand", String(32), nullable=False),
        Column("language", String(2), nullable=False),
        Column("reason", String(16), nullable=False),
        Column("summary", Text, nullable=False),
        Column("urgency", Integer, nullable=False),
        Column("state", String(8), nullable=False),
        Column("person", String(80)),
        Column("lease_token", Integer),
        Column("unread", Integer, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("opened_at", UtcTime, nullable=False),
        Column("claimed_at", UtcTime),
        Column("resolved_at", UtcTime),
        CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="assistant_escalations_resolved"),
        CheckConstraint("state <> 'claimed' OR person IS NOT NULL", name="assistant_escalations_claimed_by"),
        CheckConstraint("state IN ('waiting', 'claimed', 'resolved')", name="assistant_escalations_state"),
        CheckConstraint("unread >= 0", name="assistant_escalations_unread"),
        CheckConstraint("urgency IN (0, 1)", name="assistant_escalations_urgency"),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("assistant_escalations_of", "assistant_escalations", ["conversation_id", "opened_at"])
    op.create_index("assistant_escalations_queue", "assistant_escalations", ["state", "urgency", "opened_at"])
    op.create_index(
        "assistant_one_open_a_conversation",
        "assistant_escalations",
        ["conversation_id"],
        unique=True,
        sqlite_where=text("state <> 'resolved'"),
        postgresql_where=text("state <> 'resolved'"),
    )


def downgrade() -> None:
    op.drop_table("assistant_escalations")
