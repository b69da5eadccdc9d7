"""The kernel's tables: inbox, outbox (which is the event journal too), steps, calls, timers, dead letters.

Shared by all agents of a store; `kernel.steward` keeps them from growing without bound.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from agent_store.kernel.sql import UtcTime, partial_index

metadata = MetaData()

outbox = Table(
    "kernel_outbox",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
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
        "attributes", Text, comment="JSON of the rarer attributes: dataschema, datacontenttype, tracestate, extensions"
    ),
    Column("data", Text, nullable=False),
    Column("published", Boolean, nullable=False),
    UniqueConstraint("source", "id"),
    partial_index("kernel_outbox_pending", "seq", where="NOT published"),
    Index("kernel_outbox_correlation", "correlationid"),
    Index("kernel_outbox_subject", "subject"),
)

ACCEPTED, DONE, PARKED, RETRY, DEAD = "accepted", "done", "parked", "retry", "dead"

inbox = Table(
    "kernel_inbox",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, comment="retry: not before; parked: not after"),
    Column("done_at", UtcTime),
    Column("error", Text),
    Column("body", Text, comment="structured CloudEvent, when it came from a network and is not finished"),
    Column("owner", String, comment="the worker that sees to it, on a network bus"),
    partial_index("kernel_inbox_open", "consumer", "state", where="state NOT IN ('done', 'dead')"),
    Index("kernel_inbox_event", "source", "id"),
    Index("kernel_inbox_age", "received_at"),
    sqlite_with_rowid=False,
)

order = Table(
    "kernel_order",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("last", BigInteger, nullable=False, comment="the highest sequence whose handling has ended"),
    Column("taken", BigInteger, nullable=False, comment="the highest sequence whose handling has begun"),
    Column("at", UtcTime, nullable=False),
    Index("kernel_order_age", "at"),
    sqlite_with_rowid=False,
)

steps = Table(
    "kernel_steps",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False, comment="step, call, write, error, or failed (forgotten before a retry)"),
    Column("digest", String, nullable=False, comment="of the arguments of a call; empty otherwise"),
    Column("result", Text, nullable=False, comment="JSON"),
    Column("at", UtcTime, nullable=False),
    Column("microseconds", BigInteger, nullable=False),
    Index("kernel_steps_age", "at"),
    sqlite_with_rowid=False,
)

calls = Table(
    "kernel_calls",
    metadata,
    Column("tool", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("result", Text, nullable=False),
    Column("correlationid", String),
    Column("at", UtcTime, nullable=False),
    Index("kernel_calls_age", "at"),
    sqlite_with_rowid=False,
)

timers = Table(
    "kernel_timers",
    metadata,
    Column("source", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("due_at", UtcTime, nullable=False),
    Column("body", Text, nullable=False, comment="structured CloudEvent"),
    Index("kernel_timers_due", "due_at"),
    sqlite_with_rowid=False,
)

fences = Table(
    "kernel_fences",
    metadata,
    Column("agent", String, primary_key=True),
    Column("conversation_id", String, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("kernel_fences_age", "at"),
    sqlite_with_rowid=False,
)

dead = Table(
    "kernel_dead",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("consumer", String, nullable=False),
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("reason", String, nullable=False, comment="permanent, exhausted, timeout, crash, undelivered or unreadable"),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("body", Text, nullable=False, comment="structured CloudEvent"),
    Column("at", UtcTime, nullable=False),
    Column("replayed_at", UtcTime),
    Column("dropped_at", UtcTime),
    Column("by", String, comment="who has replayed or dropped it"),
    Column("auto", Boolean, nullable=False, comment="it never reached its consumer: replayed by itself"),
    Index("kernel_dead_event", "consumer", "source", "id"),
    partial_index("kernel_dead_waiting", "seq", where="replayed_at IS NULL AND dropped_at IS NULL"),
)

workers = Table(
    "kernel_workers",
    metadata,
    Column("id", String, primary_key=True),
    Column("consumers", Text, nullable=False, comment="JSON list of the consumers that it serves"),
    Column("beat", BigInteger, nullable=False, comment="counted up while it lives; whose stands still is dead"),
    Column("at", UtcTime, nullable=False),
    sqlite_with_rowid=False,
)

marks = Table(
    "kernel_marks",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("owner", String, comment="the worker that does this duty now"),
    sqlite_with_rowid=False,
)
