"""One table. Its name begins with the agent's, as all of an agent's tables do."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, MetaData, String, Table

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

choices = Table(
    "gift_wrapping_choices",
    metadata,
    Column("customer_id", String(64), primary_key=True),
    # "" for the cart; an order that is confirmed takes the choice with it.
    Column("order_id", String(64), primary_key=True),
    Column("order_number", String(16), nullable=False),
    Column("style", String(16), nullable=False),
    Column("price_minor", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("at", UtcTime, nullable=False),
    CheckConstraint("style IN ('standard', 'premium', 'none')", name="gift_wrapping_style"),
    CheckConstraint("price_minor >= 0", name="gift_wrapping_price"),
    Index("gift_wrapping_by_time", "at"),
)
