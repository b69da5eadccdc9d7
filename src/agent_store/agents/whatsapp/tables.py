"""The gateway's tables: what came in, what goes out, and statuses that belong to no send we know (yet)."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text

from agent_store.kernel.sql import UtcTime, partial_index

metadata = MetaData()

messages = Table(
    "whatsapp_messages",
    metadata,
    Column("wamid", Text, primary_key=True),
    Column("phone_number_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("raw", Text, nullable=False),
    Column("sent_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Index("whatsapp_messages_by_sender", "sender"),
)
"""`raw`: the message's JSON as it came, without card numbers. `sender` is empty when the delivery didn't say."""

sends = Table(
    "whatsapp_sends",
    metadata,
    Column("send_id", Text, primary_key=True),
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
    Index("whatsapp_sends_by_wamid", "wamid"),
    Index("whatsapp_sends_by_customer", "customer_id"),
)
partial_index("whatsapp_sends_uncertain", "updated_at", where="state = 'uncertain'", table=sends)

strays = Table(
    "whatsapp_strays",
    metadata,
    Column("wamid", Text, primary_key=True),
    Column("status", String(12), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("error_code", Integer),
    Column("error", Text),
    Column("received_at", UtcTime, nullable=False),
    Index("whatsapp_strays_by_time", "received_at"),
)
"""Statuses whose send is not known: it may still record its wamid, or was sent by something else than this store."""
