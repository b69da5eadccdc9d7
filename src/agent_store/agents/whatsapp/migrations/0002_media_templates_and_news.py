"""Media, edits and deletions, opt-outs, the platform's news; what a send is for and what it costs."""

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
    false,
    text,
)

from agent_store.kernel.sql import UtcTime

revision = "whatsapp_0002"
down_revision = "whatsapp_0001"
branch_labels = None


def upgrade() -> None:
    for column in (Column("edited", Text), Column("edited_at", UtcTime), Column("deleted_at", UtcTime)):
        op.add_column("whatsapp_messages", column)
    op.drop_index("whatsapp_messages_by_sender", "whatsapp_messages")
    op.create_index("whatsapp_messages_heard", "whatsapp_messages", ["phone_number_id", "sender", "sent_at"])
    op.add_column("whatsapp_sends", Column("purpose", String(16), nullable=False, server_default="reply"))
    op.add_column("whatsapp_sends", Column("as_template", Boolean, nullable=False, server_default=false()))
    op.add_column("whatsapp_sends", Column("pricing", JSON))
    op.add_column("whatsapp_sends", Column("tries", Integer, nullable=False, server_default="0"))
    op.add_column("whatsapp_sends", Column("fallback", JSON))
    kept = text("fallback IS NOT NULL")
    op.create_index(
        "whatsapp_sends_with_fallback", "whatsapp_sends", ["updated_at"], sqlite_where=kept, postgresql_where=kept
    )
    op.add_column("whatsapp_strays", Column("pricing", JSON))
    op.create_table(
        "whatsapp_media",
        Column("wamid", Text, nullable=False),
        Column("media_id", Text, nullable=False),
        Column("phone_number_id", Text, nullable=False),
        Column("kind", String(20), nullable=False),
        Column("state", String(8), nullable=False),
        Column("problem", String(16)),
        Column("key", Text),
        Column("filename", Text),
        Column("mime_type", String(80)),
        Column("sha256", String(64)),
        Column("bytes", BigInteger),
        Column("created_at", UtcTime, nullable=False),
        Column("ended_at", UtcTime),
        Column("expires_at", UtcTime),
        CheckConstraint("state IN ('waiting', 'kept', 'refused', 'deleted')", name="whatsapp_media_state"),
        CheckConstraint("state <> 'kept' OR key IS NOT NULL", name="whatsapp_media_kept_somewhere"),
        PrimaryKeyConstraint("wamid"),
    )
    op.create_index("whatsapp_media_by_key", "whatsapp_media", ["key"])
    where = text("state = 'kept'")
    op.create_index(
        "whatsapp_media_expiring", "whatsapp_media", ["expires_at"], sqlite_where=where, postgresql_where=where
    )
    where = text("ended_at IS NULL")
    op.create_index(
        "whatsapp_media_untold", "whatsapp_media", ["created_at"], sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "whatsapp_uploads",
        Column("phone_number_id", Text, nullable=False),
        Column("source", String(80), nullable=False),
        Column("media_id", Text, nullable=False),
        Column("expires_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("phone_number_id", "source"),
    )
    op.create_index("whatsapp_uploads_by_time", "whatsapp_uploads", ["expires_at"])
    op.create_table(
        "whatsapp_optouts",
        Column("customer_id", Text, nullable=False),
        Column("stopped", Boolean, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("customer_id"),
    )
    op.create_table(
        "whatsapp_news",
        Column("what", String(16), nullable=False),
        Column("subject_id", String(600), nullable=False),
        Column("state", String(64), nullable=False),
        Column("severity", String(8), nullable=False),
        Column("reason", Text, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("what", "subject_id"),
    )


def downgrade() -> None:
    for table in ("whatsapp_news", "whatsapp_optouts", "whatsapp_uploads", "whatsapp_media"):
        op.drop_table(table)
    op.drop_column("whatsapp_strays", "pricing")
    op.drop_index("whatsapp_sends_with_fallback", "whatsapp_sends")
    for column in ("fallback", "tries", "pricing", "as_template", "purpose"):
        op.drop_column("whatsapp_sends", column)
    op.drop_index("whatsapp_messages_heard", "whatsapp_messages")
    op.create_index("whatsapp_messages_by_sender", "whatsapp_messages", ["sender"])
    for column in ("deleted_at", "edited_at", "edited"):
        op.drop_column("whatsapp_messages", column)
