"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from agent_store.kernel.sql import UtcTime

revision = "conversations_0001"
down_revision = None
branch_labels = ("conversations",)


def upgrade() -> None:
    op.create_table(
        "conversations_customers",
        Column("id", String(36), nullable=False),
        Column("name", Text),
        Column("profile_name", Text),
        Column("language", String(2), nullable=False),
        Column("address", JSON),
        Column("delivery", String(16)),
        Column("pickup_location", String(64)),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint("language IN ('pt', 'en', 'es')", name="conversations_customers_language"),
        PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "conversations_decisions",
        Column("id", String(36), nullable=False),
        Column("conversation_id", String(36), nullable=False),
        Column("cause", String(64), nullable=False),
        Column("what", String(40), nullable=False),
        Column("details", JSON, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("conversations_decisions_of", "conversations_decisions", ["conversation_id", "at"])
    op.create_table(
        "conversations_notices",
        Column("key", String(160), nullable=False),
        Column("order_id", String(64), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("version", Integer, nullable=False),
        Column("conversation_id", String(36), nullable=False),
        Column("position", Integer),
        Column("contents", JSON),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("key"),
    )
    op.create_index("conversations_notices_held", "conversations_notices", ["conversation_id", "position"])
    op.create_index("conversations_notices_order", "conversations_notices", ["order_id"])
    op.create_table(
        "conversations_conversations",
        Column("id", String(36), nullable=False),
        Column("customer_id", String(36), nullable=False),
        Column("channel", String(16), nullable=False),
        Column("number", String(64), nullable=False),
        Column("address", String(128), nullable=False),
        Column("address_kind", String(8), nullable=False),
        Column("brand", String(32)),
        Column("language", String(2), nullable=False),
        Column("language_heard", Boolean, nullable=False),
        Column("speaker", String(8), nullable=False),
        Column("person", String(80)),
        Column("lease_token", Integer, nullable=False),
        Column("lease_until", UtcTime),
        Column("turn", Integer, nullable=False),
        Column("turn_open", Boolean, nullable=False),
        Column("turn_from", Integer, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("answered", Integer, nullable=False),
        Column("seq", Integer, nullable=False),
        Column("given", Integer, nullable=False),
        Column("pending", Integer, nullable=False),
        Column("outbound", Integer, nullable=False),
        Column("held", Integer, nullable=False),
        Column("burst", Integer, nullable=False),
        Column("burst_since", UtcTime),
        Column("burst_due", UtcTime),
        Column("asked", Integer, nullable=False),
        Column("sentiment", Integer, nullable=False),
        Column("polite_at", UtcTime),
        Column("last_text", Text, nullable=False),
        Column("last_at", UtcTime, nullable=False),
        Column("heard_at", UtcTime, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        CheckConstraint("NOT turn_open OR speaker = 'bot'", name="conversations_turn_is_the_bots"),
        CheckConstraint("language IN ('pt', 'en', 'es')", name="conversations_language"),
        CheckConstraint("speaker IN ('bot', 'waiting', 'person')", name="conversations_speaker"),
        CheckConstraint("lease_token >= 0 AND turn >= 0 AND seq >= 0 AND outbound >= 0", name="conversations_counters"),
        ForeignKeyConstraint(
            ["customer_id"],
            ["conversations_customers.id"],
        ),
        PrimaryKeyConstraint("id"),
        UniqueConstraint("customer_id", "channel", "number", name="conversations_one_a_number"),
    )
    op.create_index("conversations_latest", "conversations_conversations", ["last_at"])
    op.create_index("conversations_of_speaker", "conversations_conversations", ["speaker", "last_at"])
    op.create_table(
        "conversations_identities",
        Column("kind", String(16), nullable=False),
        Column("value", String(128), nullable=False),
        Column("customer_id", String(36), nullable=False),
        Column("created_at", UtcTime, nullable=False),
        CheckConstraint("kind IN ('wa_id', 'user_id', 'web', 'kiosk')", name="conversations_identities_kind"),
        ForeignKeyConstraint(
            ["customer_id"],
            ["conversations_customers.id"],
        ),
        PrimaryKeyConstraint("kind", "value"),
    )
    op.create_index("conversations_identities_customer", "conversations_identities", ["customer_id"])
    op.create_table(
        "conversations_messages",
        Column("conversation_id", String(36), nullable=False),
        Column("seq", Integer, nullable=False),
        Column("direction", String(3), nullable=False),
        Column("outbound", Integer),
        Column("turn", Integer),
        Column("role", String(8), nullable=False),
        Column("author", String(80), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("text", Text, nullable=False),
        Column("payload", Text),
        Column("content", JSON),
        Column("external_id", String(160)),
        Column("send_id", String(36)),
        Column("status", String(16)),
        Column("at", UtcTime, nullable=False),
        CheckConstraint("(direction = 'out') = (outbound IS NOT NULL)", name="conversations_messages_numbered"),
        CheckConstraint("direction IN ('in', 'out')", name="conversations_messages_direction"),
        ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations_conversations.id"],
        ),
        PrimaryKeyConstraint("conversation_id", "seq"),
        UniqueConstraint("send_id"),
    )


def downgrade() -> None:
    op.drop_table("conversations_messages")
    op.drop_table("conversations_identities")
    op.drop_table("conversations_conversations")
    op.drop_table("conversations_notices")
    op.drop_table("conversations_decisions")
    op.drop_table("conversations_customers")
