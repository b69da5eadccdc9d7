"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, PrimaryKeyConstraint, String, Text, text

from agent_store.kernel.sql import UtcTime

revision = "whatsapp_0001"
down_revision = None
branch_labels = ("whatsapp",)


def upgrade() -> None:
    op.create_table(
        "whatsapp_messages",
        Column("wamid", Text, nullable=False),
        Column("phone_number_id", Text, nullable=False),
        Column("sender", Text, nullable=False),
        Column("kind", String(20), nullable=False),
        Column("raw", Text, nullable=False),
        Column("sent_at", UtcTime, nullable=False),
        Column("received_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("wamid"),
    )
    op.create_index("whatsapp_messages_by_sender", "whatsapp_messages", ["sender"])
    op.create_table(
        "whatsapp_sends",
        Column("send_id", Text, nullable=False),
        Column("conversation_id", Text, nullable=False),
        Column("customer_id", Text, nullable=False),
        Column("phone_number_id", Text, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("kind", String(20), nullable=False),
        Column("state", String(12), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("attempted_at", UtcTime),
        Column("wamid", Text),
        Column("error_code", Integer),
        Column("error", Text),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint(
            "state IN ('queued','attempting','doubtful','uncertain','sent','delivered','read','failed')",
            name="whatsapp_sends_state",
        ),
        CheckConstraint("attempts >= 0", name="whatsapp_sends_attempts"),
        PrimaryKeyConstraint("send_id"),
    )
    op.create_index("whatsapp_sends_by_customer", "whatsapp_sends", ["customer_id"])
    op.create_index("whatsapp_sends_by_wamid", "whatsapp_sends", ["wamid"])
    op.create_index(
        "whatsapp_sends_uncertain",
        "whatsapp_sends",
        ["updated_at"],
        sqlite_where=text("state = 'uncertain'"),
        postgresql_where=text("state = 'uncertain'"),
    )
    op.create_table(
        "whatsapp_strays",
        Column("wamid", Text, nullable=False),
        Column("status", String(12), nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("error_code", Integer),
        Column("error", Text),
        Column("received_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("wamid", "status"),
    )
    op.create_index("whatsapp_strays_by_time", "whatsapp_strays", ["received_at"])


def downgrade() -> None:
    op.drop_table("whatsapp_strays")
    op.drop_table("whatsapp_sends")
    op.drop_table("whatsapp_messages")
