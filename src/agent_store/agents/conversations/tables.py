"""Customers, who they are on each channel, their conversations, every message, and what was told of which order."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

customers = Table(
    "conversations_customers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text),
    Column("profile_name", Text),
    Column("language", String(2), nullable=False),
    Column("address", JSON),
    Column("delivery", String(16)),
    Column("pickup_location", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    CheckConstraint("language IN ('pt', 'en', 'es')", name="conversations_customers_language"),
)

identities = Table(
    "conversations_identities",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("value", String(128), primary_key=True),
    Column("customer_id", String(36), ForeignKey(customers.c.id), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("kind IN ('wa_id', 'user_id', 'web', 'kiosk')", name="conversations_identities_kind"),
    Index("conversations_identities_customer", "customer_id"),
)
"""The value itself is kept, since one can only write to a number that one knows; it is never logged."""

conversations = Table(
    "conversations_conversations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer_id", String(36), ForeignKey(customers.c.id), nullable=False),
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
    Column("awaiting_until", UtcTime),
    Column("asked", Integer, nullable=False),
    Column("sentiment", Integer, nullable=False),
    Column("polite_at", UtcTime),
    Column("last_text", Text, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("heard_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("customer_id", "channel", "number", name="conversations_one_a_number"),
    CheckConstraint("speaker IN ('bot', 'waiting', 'person')", name="conversations_speaker"),
    CheckConstraint("language IN ('pt', 'en', 'es')", name="conversations_language"),
    CheckConstraint("lease_token >= 0 AND turn >= 0 AND seq >= 0 AND outbound >= 0", name="conversations_counters"),
    CheckConstraint("NOT turn_open OR speaker = 'bot'", name="conversations_turn_is_the_bots"),
    Index("conversations_latest", "last_at"),
    Index("conversations_of_speaker", "speaker", "last_at"),
)

messages = Table(
    "conversations_messages",
    metadata,
    Column("conversation_id", String(36), ForeignKey(conversations.c.id), primary_key=True),
    Column("seq", Integer, primary_key=True),
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
    Column("send_id", String(36), unique=True),
    Column("status", String(16)),
    Column("media", JSON),
    Column("quotes", String(160)),
    Column("edited_at", UtcTime),
    Column("deleted_at", UtcTime),
    Column("at", UtcTime, nullable=False),
    Index("conversations_messages_by_external_id", "external_id"),
    CheckConstraint("direction IN ('in', 'out')", name="conversations_messages_direction"),
    CheckConstraint("(direction = 'out') = (outbound IS NOT NULL)", name="conversations_messages_numbered"),
)
"""`seq` counts both directions. `turn`: which turn it was given in, NULL while it waits, 0 when it never starts one, -1 while
its medium is to come.

`external_id`: the channel's id of it, of both directions once it is known. `quotes`: the one that it answers.
`content` of an inbound message: what is not words (`items`, `about`, `seen`, `place` …), and the text that it quotes. What
was taken back has no text, content and media.
"""

early = Table(
    "conversations_early",
    metadata,
    Column("external_id", String(160), primary_key=True),
    Column("event_id", String(64), primary_key=True),
    Column("type", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("conversations_early_at", "at"),
)
"""News of messages that are not here yet (a medium, a change, a deletion): taken up when the message comes."""

notices = Table(
    "conversations_notices",
    metadata,
    Column("key", String(160), primary_key=True),
    Column("order_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("conversation_id", String(36), nullable=False),
    Column("position", Integer),
    Column("contents", JSON),
    Column("at", UtcTime, nullable=False),
    Index("conversations_notices_order", "order_id"),
    Index("conversations_notices_held", "conversation_id", "position"),
)
"""What a customer has been told of an order. `position` is set while it waits for the end of a turn.

Of kind "unsaid": what the closed window kept back of a person's words (`order_id` is the conversation's then), until the
customer writes.
"""

decisions = Table(
    "conversations_decisions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("conversation_id", String(36), nullable=False),
    Column("cause", String(64), nullable=False),
    Column("what", String(40), nullable=False),
    Column("details", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("conversations_decisions_of", "conversation_id", "at"),
)
"""Why a conversation went as it did: `cause` is the id of the event that was being handled."""

consents = Table(
    "conversations_consents",
    metadata,
    Column("customer_id", String(36), ForeignKey(customers.c.id), primary_key=True),
    Column("granted", Boolean, nullable=False),
    Column("words", Text, nullable=False),
    Column("way", String(8), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    CheckConstraint("way IN ('words', 'button', 'staff', 'import')", name="conversations_consents_way"),
)
"""A customer's last word on reminders, surveys and offers. Kept for good."""

contacts = Table(
    "conversations_contacts",
    metadata,
    Column("contact_id", String(120), primary_key=True),
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
    Index("conversations_contacts_of", "customer_id", "sent_at"),
)
"""What the store wanted to say to customers of its own accord, and what became of it: frequency caps count here."""
