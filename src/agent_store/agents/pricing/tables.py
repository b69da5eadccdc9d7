from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, MetaData, String, Table, Text

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

prices = Table(
    "pricing_prices",
    metadata,
    Column("sku", String(64), primary_key=True),
    Column("product_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("list_price_minor", BigInteger),
    Column("floor_minor", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    CheckConstraint("floor_minor >= 0 AND price_minor >= floor_minor", name="pricing_not_below_floor"),
    CheckConstraint("list_price_minor IS NULL OR list_price_minor >= price_minor", name="pricing_list_not_below_price"),
)

history = Table(
    "pricing_history",
    metadata,
    Column("sku", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("before_minor", BigInteger),
    Column("price_minor", BigInteger, nullable=False),
    Column("list_price_minor", BigInteger),
    Column("floor_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("staff", Text),
    Column("at", UtcTime, nullable=False),
)
"""Every price that a SKU ever had, with who set it and why; `staff` is None for an import."""
