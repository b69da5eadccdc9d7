"""The queue of conversations that want a person."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text

from agent_store.kernel.sql import UtcTime, partial_index

metadata = MetaData()

escalations = Table(
    "assistant_escalations",
    metadata,
    Column("id", String(36), primary_key=True),
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
    CheckConstraint("state IN ('waiting', 'claimed', 'resolved')", name="assistant_escalations_state"),
    CheckConstraint("urgency IN (0, 1)", name="assistant_escalations_urgency"),
    CheckConstraint("unread >= 0", name="assistant_escalations_unread"),
    CheckConstraint("state <> 'claimed' OR person IS NOT NULL", name="assistant_escalations_claimed_by"),
    CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="assistant_escalations_resolved"),
    Index("assistant_escalations_queue", "state", "urgency", "opened_at"),
    Index("assistant_escalations_of", "conversation_id", "opened_at"),
)
"""`urgency`: 1 is the contract's priority "high". `lease_token`: the person's, once conversations has granted it."""

partial_index(
    "assistant_one_open_a_conversation", "conversation_id", where="state <> 'resolved'", table=escalations, unique=True
)
