"""Payments and their attempts; money in minor units. Codes and provider's tokens only: a card number is never here."""

from __future__ import annotations

from sqlalchemy import (
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
    UniqueConstraint,
)

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

payments = Table(
    "payments_payments",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("order_id", String(64), nullable=False),
    Column("order_number", String(20), nullable=False),
    Column("customer_id", String(64), nullable=False),
    Column("conversation_id", String(64)),
    Column("brand", String(32), nullable=False),
    Column("channel", String(16)),
    Column("language", String(2), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("secret", String(64), nullable=False),
    Column("link", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("closing", String(12)),
    Column("attempts", Integer, nullable=False),
    Column("asked", Boolean, nullable=False),
    Column("via", String(8)),
    Column("last_failure", String(24)),
    Column("reference", Text),
    Column("txid", String(40)),
    Column("pix", Text),
    Column("expires_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("order_id", name="payments_order_once"),
    CheckConstraint("amount_minor > 0", name="payments_amount_positive"),
    CheckConstraint("attempts >= 0", name="payments_attempts_count"),
    CheckConstraint("state NOT IN ('paid', 'refunded') OR reference IS NOT NULL", name="payments_paid_has_charge"),
    CheckConstraint("closing IS NULL OR state = 'processing'", name="payments_closing_in_flight"),
    Index("payments_by_customer", "customer_id", "state", "created_at"),
    Index("payments_by_txid", "txid", unique=True),
)

attempts = Table(
    "payments_attempts",
    metadata,
    Column("payment_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("via", String(8), nullable=False),
    Column("outcome", String(24)),
    Column("reference", Text),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
)
"""`outcome` is "captured", a failure code, "not_charged" when it was given up before the provider was asked, or "surplus" when
the payment had been paid by other money meanwhile."""

receipts = Table(
    "payments_receipts",
    metadata,
    Column("reference", String(64), primary_key=True),
    Column("payment_id", String(64), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("paid_at", UtcTime, nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""Every Pix that a provider has told of, once (`reference` is its end-to-end id): "paid", or why it goes back."""

gone = Table(
    "payments_gone",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
)
"""Orders for which no link is made any more: it was made, or the cancellation came first. Both write the row, so that of a
request and a cancellation in two processes at once one sees the other."""

provider_movements = Table(
    "payments_provider_movements",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("subject", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("failure", String(24)),
    Column("reference", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("asked", Integer, nullable=False),
    CheckConstraint("kind IN ('charge', 'refund')", name="payments_provider_kind"),
    CheckConstraint("amount_minor > 0", name="payments_provider_amount_positive"),
    UniqueConstraint("reference", name="payments_provider_reference_once"),
)
"""The journal of the provider that moves no money (`adapters.payments.mock`); nothing else reads or writes it."""

provider_pix = Table(
    "payments_provider_pix",
    metadata,
    Column("txid", String(40), primary_key=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("copy_paste", Text, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("asked", Integer, nullable=False),
    Column("reference", String(64)),
    Column("paid_minor", BigInteger),
    Column("paid_at", UtcTime),
    Column("told_at", UtcTime),
    CheckConstraint("amount_minor > 0", name="payments_provider_pix_positive"),
    CheckConstraint("(reference IS NULL) = (paid_at IS NULL)", name="payments_provider_pix_paid"),
    Index("payments_provider_pix_untold", "told_at", "paid_at"),
)
"""That provider's Pix charges: made, paid by a customer's bank that is one, and told to the store (`told_at`)."""
