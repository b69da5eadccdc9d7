"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    text,
)

from agent_store.kernel.sql import UtcTime

revision = "kernel_0001"
down_revision = None
branch_labels = ("kernel",)


def upgrade() -> None:
    op.create_table(
        "kernel_calls",
        Column("tool", String, nullable=False),
        Column("key", String, nullable=False),
        Column("digest", String, nullable=False),
        Column("result", Text, nullable=False),
        Column("correlationid", String),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("tool", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("kernel_calls_age", "kernel_calls", ["at"])
    op.create_table(
        "kernel_dead",
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), autoincrement=True, nullable=False),
        Column("consumer", String, nullable=False),
        Column("source", String, nullable=False),
        Column("id", String, nullable=False),
        Column("type", String, nullable=False),
        Column("reason", String, nullable=False, comment="permanent, exhausted or timeout"),
        Column("attempts", Integer, nullable=False),
        Column("error", Text, nullable=False),
        Column("body", Text, nullable=False, comment="structured CloudEvent"),
        Column("at", UtcTime, nullable=False),
        Column("replayed_at", UtcTime),
        PrimaryKeyConstraint("seq"),
    )
    op.create_index("kernel_dead_event", "kernel_dead", ["consumer", "source", "id"])
    op.create_table(
        "kernel_fences",
        Column("agent", String, nullable=False),
        Column("conversation_id", String, nullable=False),
        Column("token", BigInteger, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("agent", "conversation_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("kernel_fences_age", "kernel_fences", ["at"])
    op.create_table(
        "kernel_inbox",
        Column("consumer", String, nullable=False),
        Column("source", String, nullable=False),
        Column("id", String, nullable=False),
        Column("type", String, nullable=False),
        Column("state", String, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("received_at", UtcTime, nullable=False),
        Column("due_at", UtcTime, comment="retry: not before; parked: not after"),
        Column("done_at", UtcTime),
        Column("error", Text),
        Column("body", Text, comment="structured CloudEvent, when it came from a network and is not finished"),
        PrimaryKeyConstraint("consumer", "source", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("kernel_inbox_age", "kernel_inbox", ["received_at"])
    op.create_index("kernel_inbox_event", "kernel_inbox", ["source", "id"])
    op.create_index(
        "kernel_inbox_open",
        "kernel_inbox",
        ["consumer", "state"],
        sqlite_where=text("state <> 'done'"),
        postgresql_where=text("state <> 'done'"),
    )
    op.create_table(
        "kernel_order",
        Column("consumer", String, nullable=False),
        Column("type", String, nullable=False),
        Column("subject", String, nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("consumer", "type", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_index("kernel_order_age", "kernel_order", ["at"])
    op.create_table(
        "kernel_outbox",
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), autoincrement=True, nullable=False),
        Column("source", String, nullable=False),
        Column("id", String, nullable=False),
        Column("type", String, nullable=False),
        Column("time", UtcTime, nullable=False),
        Column("subject", String),
        Column("partitionkey", String),
        Column("sequence", BigInteger),
        Column("topic", String),
        Column("brand", String),
        Column("channel", String),
        Column("correlationid", String),
        Column("causationid", String),
        Column("traceparent", String),
        Column(
            "attributes",
            Text,
            comment="JSON of the rarer attributes: dataschema, datacontenttype, tracestate, extensions",
        ),
        Column("data", Text, nullable=False),
        Column("published", Boolean, nullable=False),
        PrimaryKeyConstraint("seq"),
        UniqueConstraint("source", "id"),
    )
    op.create_index("kernel_outbox_correlation", "kernel_outbox", ["correlationid"])
    op.create_index(
        "kernel_outbox_pending",
        "kernel_outbox",
        ["seq"],
        sqlite_where=text("NOT published"),
        postgresql_where=text("NOT published"),
    )
    op.create_index("kernel_outbox_subject", "kernel_outbox", ["subject"])
    op.create_table(
        "kernel_steps",
        Column("consumer", String, nullable=False),
        Column("source", String, nullable=False),
        Column("id", String, nullable=False),
        Column("name", String, nullable=False),
        Column(
            "kind", String, nullable=False, comment="step, call, write, error, or failed (forgotten before a retry)"
        ),
        Column("digest", String, nullable=False, comment="of the arguments of a call; empty otherwise"),
        Column("result", Text, nullable=False, comment="JSON"),
        Column("at", UtcTime, nullable=False),
        Column("microseconds", BigInteger, nullable=False),
        PrimaryKeyConstraint("consumer", "source", "id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index("kernel_steps_age", "kernel_steps", ["at"])
    op.create_table(
        "kernel_timers",
        Column("source", String, nullable=False),
        Column("id", String, nullable=False),
        Column("due_at", UtcTime, nullable=False),
        Column("body", Text, nullable=False, comment="structured CloudEvent"),
        PrimaryKeyConstraint("source", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("kernel_timers_due", "kernel_timers", ["due_at"])


def downgrade() -> None:
    op.drop_table("kernel_timers")
    op.drop_table("kernel_steps")
    op.drop_table("kernel_outbox")
    op.drop_table("kernel_order")
    op.drop_table("kernel_inbox")
    op.drop_table("kernel_fences")
    op.drop_table("kernel_dead")
    op.drop_table("kernel_calls")
