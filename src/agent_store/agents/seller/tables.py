"""What the seller keeps: a brain's memory a customer, how a conversation goes, and the facts that tools gave in it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

memories = Table(
    "seller_memory",
    metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("memory", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
"""`memory` is the JSON object that the last answer left; it goes with the customer across brands."""

conversations = Table(
    "seller_conversations",
    metadata,
    Column("conversation_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("misses", Integer, nullable=False),
    Column("shown_cart", Integer),
    Column("updated_at", UtcTime, nullable=False),
    CheckConstraint("misses >= 0", name="seller_misses_count"),
)
"""`token`: the lease token of the last turn that was finished; `misses`: turns in a row that went wrong; `shown_cart`: the cart version whose amounts were stated last."""

evidence = Table(
    "seller_evidence",
    metadata,
    Column("conversation_id", String(64), primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("source", String(160), nullable=False),
    Column("body", Text, nullable=False),
    Column("valid_until", UtcTime, nullable=False),
    Index("seller_evidence_valid", "conversation_id", "valid_until"),
    Index("seller_evidence_stale", "valid_until"),
)
"""`body` is a `model.Finding` as JSON."""
