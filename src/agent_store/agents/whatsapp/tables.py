"""The gateway's tables: what came in, what goes out, and statuses that belong to no send we know (yet)."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
)

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
    Column("edited", Text),
    Column("edited_at", UtcTime),
    Column("deleted_at", UtcTime),
    Index("whatsapp_messages_heard", "phone_number_id", "sender", "sent_at"),
)
"""`raw`: the message's JSON as it came, without card numbers. `sender` is empty when the delivery didn't say.

`edited`: the JSON of the newest edit. What was taken back has an empty `raw` and `edited`.
"""

media = Table(
    "whatsapp_media",
    metadata,
    Column("wamid", Text, primary_key=True),
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
    Index("whatsapp_media_by_key", "key"),
)
"""Media of customers' messages. `key`: where the content is kept, each message's by itself: what one customer takes back
is gone at once, and nothing that another one sends meanwhile can be lost with it. `ended_at`: when it was told."""
partial_index("whatsapp_media_expiring", "expires_at", where="state = 'kept'", table=media)
partial_index("whatsapp_media_untold", "created_at", where="ended_at IS NULL", table=media)

uploads = Table(
    "whatsapp_uploads",
    metadata,
    Column("phone_number_id", Text, primary_key=True),
    Column("source", String(80), primary_key=True),
    Column("media_id", Text, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index("whatsapp_uploads_by_time", "expires_at"),
)
"""Pictures that the platform has already. `source`: the content's hash with its type."""

optouts = Table(
    "whatsapp_optouts",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("stopped", Boolean, nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""Whom nothing reaches of the store's own accord (`stopped`), and who wants it again: the last look before a send."""

news = Table(
    "whatsapp_news",
    metadata,
    Column("what", String(16), primary_key=True),
    Column("subject_id", String(600), primary_key=True),
    Column("state", String(64), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""The last that the platform said of numbers, templates and the account."""

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
    Column("purpose", String(16), nullable=False, server_default="reply"),
    Column("as_template", Boolean, nullable=False, server_default=false()),
    Column("pricing", JSON),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("fallback", JSON(none_as_null=True)),
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
"""`tries`: attempts in a row that ended with `error_code`. `fallback`: the command with its template as content, as long as
the platform may still say that the customer's window is closed."""
partial_index("whatsapp_sends_uncertain", "updated_at", where="state = 'uncertain'", table=sends)
partial_index("whatsapp_sends_with_fallback", "updated_at", where="fallback IS NOT NULL", table=sends)

strays = Table(
    "whatsapp_strays",
    metadata,
    Column("wamid", Text, primary_key=True),
    Column("status", String(12), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("error_code", Integer),
    Column("error", Text),
    Column("pricing", JSON),
    Column("received_at", UtcTime, nullable=False),
    Index("whatsapp_strays_by_time", "received_at"),
)
"""Statuses whose send is not known: it may still record its wamid, or was sent by something else than this store."""
