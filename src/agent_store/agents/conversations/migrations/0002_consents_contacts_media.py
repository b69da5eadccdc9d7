"""Consents, contacts of the store's own accord; media, quotes, edits and deletions of messages."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Text,
)

from agent_store.kernel.sql import UtcTime

revision = "conversations_0002"
down_revision = "conversations_0001"
branch_labels = None


def upgrade() -> None:
    for column in (
        Column("media", JSON), Column("quotes", String(160)), Column("edited_at", UtcTime), Column("deleted_at", UtcTime)
    ):  # fmt: skip
        op.add_column("conversations_messages", column)
    op.create_index("conversations_messages_by_external_id", "conversations_messages", ["external_id"])
    op.add_column("conversations_conversations", Column("awaiting_until", UtcTime))
    op.create_table(
        "conversations_early",
        Column("external_id", String(160), nullable=False),
        Column("event_id", String(64), nullable=False),
        Column("type", String(64), nullable=False),
        Column("body", JSON, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("external_id", "event_id"),
    )
    op.create_index("conversations_early_at", "conversations_early", ["at"])
    op.create_table(
        "conversations_consents",
        Column("customer_id", String(36), nullable=False),
        Column("granted", Boolean, nullable=False),
        Column("words", Text, nullable=False),
        Column("way", String(8), nullable=False),
        Column("channel", String(16), nullable=False),
        Column("at", UtcTime, nullable=False),
        CheckConstraint("way IN ('words', 'button', 'staff', 'import')", name="conversations_consents_way"),
        ForeignKeyConstraint(["customer_id"], ["conversations_customers.id"]),
        PrimaryKeyConstraint("customer_id"),
    )
    op.create_table(
        "conversations_contacts",
        Column("contact_id", String(120), nullable=False),
        Column("customer_id", String(36), nullable=False),
        Column("conversation_id", String(36)),
        Column("purpose", String(16), nullable=False),
        Column("state", String(8), nullable=False),
        Column("reason", String(24), nullable=False),
        Column("command", JSON, nullable=False),
        Column("due_at", UtcTime),
        Column("sent_at", UtcTime),
        Column("created_at", UtcTime, nullable=False),
        CheckConstraint("state IN ('held', 'sent', 'skipped', 'expired')", name="conversations_contacts_state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="conversations_contacts_sent_at"),
        PrimaryKeyConstraint("contact_id"),
    )
    op.create_index("conversations_contacts_of", "conversations_contacts", ["customer_id", "sent_at"])


def downgrade() -> None:
    op.drop_table("conversations_contacts")
    op.drop_table("conversations_consents")
    op.drop_table("conversations_early")
    op.drop_column("conversations_conversations", "awaiting_until")
    op.drop_index("conversations_messages_by_external_id", "conversations_messages")
    for column in ("deleted_at", "edited_at", "quotes", "media"):
        op.drop_column("conversations_messages", column)
