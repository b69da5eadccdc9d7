"""The tables of release 0.1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from agent_store.kernel.sql import UtcTime

revision = "catalog_0001"
down_revision = None
branch_labels = ("catalog",)


def upgrade() -> None:
    op.create_table(
        "catalog_brands",
        Column("brand", String(64), nullable=False),
        Column("number", Integer, nullable=False),
        Column("last", BigInteger, nullable=False),
        PrimaryKeyConstraint("brand"),
        UniqueConstraint("number"),
    )
    op.create_table(
        "catalog_categories",
        Column("brand", String(64), nullable=False),
        Column("category", String(64), nullable=False),
        Column("products", Integer, nullable=False),
        PrimaryKeyConstraint("brand", "category"),
    )
    op.create_table(
        "catalog_complements",
        Column("product_id", String(64), nullable=False),
        Column("position", Integer, nullable=False),
        Column("complement_id", String(64), nullable=False),
        PrimaryKeyConstraint("product_id", "position"),
    )
    op.create_table(
        "catalog_details",
        Column("number", BigInteger().with_variant(Integer, "sqlite"), autoincrement=False, nullable=False),
        Column("attributes", JSON, nullable=False),
        Column("picture", JSON, nullable=False),
        Column("description", Text, nullable=False),
        PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "catalog_products",
        Column("number", BigInteger().with_variant(Integer, "sqlite"), autoincrement=False, nullable=False),
        Column("id", String(64), nullable=False),
        Column("brand", String(64), nullable=False),
        Column("category", String(64), nullable=False),
        Column("price_minor", BigInteger),
        Column("available", Integer, nullable=False),
        Column("colors", Text, nullable=False),
        Column("sizes", Text, nullable=False),
        Column("terms", Text, nullable=False),
        Column("maker", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("tags", JSON, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        CheckConstraint("available >= 0", name="catalog_available_not_negative"),
        PrimaryKeyConstraint("number"),
        UniqueConstraint("id"),
    )
    op.create_index("catalog_products_by_any_price", "catalog_products", ["price_minor"])
    op.create_index("catalog_products_by_category", "catalog_products", ["brand", "category", "price_minor"])
    op.create_index("catalog_products_by_price", "catalog_products", ["brand", "price_minor"])
    op.create_table(
        "catalog_state",
        Column("name", String(16), nullable=False),
        Column("generation", String(64), nullable=False),
        Column("revision", BigInteger, nullable=False),
        PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "catalog_variants",
        Column("sku", String(64), nullable=False),
        Column("product_id", String(64), nullable=False),
        Column("position", Integer, nullable=False),
        Column("active", Boolean, nullable=False),
        Column("color", Text),
        Column("size", Text),
        Column("color_key", Text, nullable=False),
        Column("size_key", Text, nullable=False),
        Column("options", JSON, nullable=False),
        Column("weight_g", Integer, nullable=False),
        Column("price_minor", BigInteger),
        Column("list_price_minor", BigInteger),
        Column("price_version", Integer, server_default="0", nullable=False),
        Column("available", Integer, server_default="0", nullable=False),
        Column("stock_version", Integer, server_default="0", nullable=False),
        CheckConstraint("available >= 0", name="catalog_variant_available_not_negative"),
        PrimaryKeyConstraint("sku"),
    )
    op.create_index("catalog_variants_by_product", "catalog_variants", ["product_id", "position"])
    op.create_table(
        "catalog_words",
        Column("brand", String(64), nullable=False),
        Column("word", String(128), nullable=False),
        Column("products", Integer, nullable=False),
        Column("revision", BigInteger, nullable=False),
        PrimaryKeyConstraint("brand", "word"),
    )
    op.create_index("catalog_words_by_revision", "catalog_words", ["revision"])
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE catalog_index USING fts5(name, category, tags, maker, color, attributes, description, "
            "size, detail='column', tokenize=\"unicode61 remove_diacritics 2\")"
        )


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.drop_table("catalog_index")
    op.drop_table("catalog_words")
    op.drop_table("catalog_variants")
    op.drop_table("catalog_state")
    op.drop_table("catalog_products")
    op.drop_table("catalog_details")
    op.drop_table("catalog_complements")
    op.drop_table("catalog_categories")
    op.drop_table("catalog_brands")
