"""Carts and their lines; money in minor units."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, MetaData, String, Table, Text

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

carts = Table(
    "cart_carts",
    metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    CheckConstraint("version >= 0", name="cart_version_counts"),
)

lines = Table(
    "cart_lines",
    metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("sku", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("product_id", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("brand", String(32), nullable=False),
    Column("weight_g", Integer, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_minor", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    CheckConstraint("quantity > 0", name="cart_line_has_units"),
    CheckConstraint("unit_minor >= 0", name="cart_line_price"),
)

ordered = Table(
    "cart_ordered",
    metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("order_id", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
)
"""The orders whose units were taken out, so that a second command for one takes nothing."""
