"""Orders; money in minor units. Lines and delivery never change once an order is written, so they are one value each."""

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
    UniqueConstraint,
)

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

orders = Table(
    "orders_orders",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("number", String(20), nullable=False),
    Column("customer_id", String(64), nullable=False),
    Column("conversation_id", String(64)),
    Column("brand", String(32), nullable=False),
    Column("channel", String(16)),
    Column("language", String(2), nullable=False),
    Column("cart_version", Integer),
    Column("units", Integer, nullable=False),
    Column("lines", JSON, nullable=False),
    Column("delivery", JSON, nullable=False),
    Column("subtotal_minor", BigInteger, nullable=False),
    Column("delivery_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stock", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("captured", Boolean, nullable=False),
    Column("refunding", Boolean, nullable=False),
    Column("payment_link", Text),
    Column("reason", String(40)),
    Column("note", Text, nullable=False),
    Column("tracking", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("number", name="orders_number_once"),
    # A cart's version grows when its units are ordered: one version is one order, whatever the number of requests.
    UniqueConstraint("customer_id", "cart_version", name="orders_cart_version_once"),
    CheckConstraint("total_minor = subtotal_minor + delivery_minor", name="orders_money_adds_up"),
    CheckConstraint("subtotal_minor >= 0 AND delivery_minor >= 0", name="orders_money_positive"),
    CheckConstraint("version >= 1 AND attempt >= 1", name="orders_counts_from_one"),
    CheckConstraint(
        "state NOT IN ('paid', 'confirmed', 'picked', 'shipped', 'delivered') OR (captured AND NOT refunding)",
        name="orders_sold_is_paid",
    ),
    CheckConstraint(
        "state NOT IN ('confirmed', 'picked', 'shipped', 'delivered') OR stock = 'committed'",
        name="orders_sold_is_committed",
    ),
    Index("orders_by_customer", "customer_id", "created_at"),
    Index("orders_by_state", "state", "created_at"),
    Index("orders_by_time", "created_at"),
)
