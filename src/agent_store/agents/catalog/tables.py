from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text

from agent_store.kernel.sql import UtcTime

metadata = MetaData()

_RowId = BigInteger().with_variant(Integer(), "sqlite")
"""On SQLite an INTEGER primary key is the row itself: the index finds a product without a second look-up."""

BRAND_SHIFT = 40
"""A product's number is its brand's number shifted by this, plus a counter: a brand is a range of the index."""

brands = Table(
    "catalog_brands",
    metadata,
    Column("brand", String(64), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("last", BigInteger, nullable=False),
)
"""`last`: the highest product number given out in this brand; a number is never used again."""

state = Table(
    "catalog_state",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("generation", String(64), nullable=False),
    Column("revision", BigInteger, nullable=False),
)
"""One row, "catalog". `generation` names this catalogue for caches in memory, `revision` counts its imports."""

products = Table(
    "catalog_products",
    metadata,
    Column("number", _RowId, primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False, unique=True),
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
    Index("catalog_products_by_category", "brand", "category", "price_minor"),
    Index("catalog_products_by_price", "brand", "price_minor"),
    Index("catalog_products_by_any_price", "price_minor"),
)
"""`price_minor` is the lowest price of its variants in stock (of all when none is), None before the first price came;
`colors` and `sizes` are those in stock, joined by "|". All four follow from the variants. `terms` is what a search ranks
by: the stems of the name, category, tags, colours, maker and attributes (see `search.RANKED_FIELDS`)."""

details = Table(
    "catalog_details",
    metadata,
    Column("number", _RowId, primary_key=True, autoincrement=False),
    Column("attributes", JSON, nullable=False),
    Column("picture", JSON, nullable=False),
    Column("description", Text, nullable=False),
)
"""What is read of the few products that are shown: a search looks at hundreds, whose rows should be short."""

variants = Table(
    "catalog_variants",
    metadata,
    Column("sku", String(64), primary_key=True),
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
    Column("price_version", Integer, nullable=False, server_default="0"),
    Column("available", Integer, nullable=False, server_default="0"),
    Column("stock_version", Integer, nullable=False, server_default="0"),
    CheckConstraint("available >= 0", name="catalog_variant_available_not_negative"),
    Index("catalog_variants_by_product", "product_id", "position"),
)
"""A variant that a new import leaves out becomes inactive: its price and stock stay true for when it comes back.

`color_key` is the colour's stems between spaces (" azul marinh "). Prices and stock are projections: good for filters
and ranking, never shown."""

complements = Table(
    "catalog_complements",
    metadata,
    Column("product_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("complement_id", String(64), nullable=False),
)

categories = Table(
    "catalog_categories",
    metadata,
    Column("brand", String(64), primary_key=True),
    Column("category", String(64), primary_key=True),
    Column("products", Integer, nullable=False),
)

words = Table(
    "catalog_words",
    metadata,
    Column("brand", String(64), primary_key=True),
    Column("word", String(128), primary_key=True),
    Column("products", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("catalog_words_by_revision", "revision"),
)
"""The vocabulary: how many products of a brand have the (folded) word. `revision`: the import that last changed it."""

FIELDS: tuple[str, ...] = ("name", "category", "tags", "maker", "color", "attributes", "description", "size")
"""Columns of the full-text index, in its order."""

SQLITE_DDL: tuple[str, ...] = (
    f"CREATE VIRTUAL TABLE IF NOT EXISTS catalog_index USING fts5({', '.join(FIELDS)}, detail='column', "
    'tokenize="unicode61 remove_diacritics 2")',
)
"""Full-text search on SQLite: rowid is the product's number, the text is stems (see `words`)."""

POSTGRES_DDL: tuple[str, ...] = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE TABLE IF NOT EXISTS catalog_index (number bigint PRIMARY KEY, document tsvector NOT NULL)",
    # Without a list of pending entries: every search would read through it until the next vacuum.
    "CREATE INDEX IF NOT EXISTS catalog_index_by_document ON catalog_index USING gin (document) WITH (fastupdate = off)",
    'CREATE TABLE IF NOT EXISTS catalog_spelling (word text COLLATE "C" PRIMARY KEY, stem text NOT NULL, sound text NOT NULL)',
    "CREATE INDEX IF NOT EXISTS catalog_spelling_by_stem ON catalog_spelling (stem)",
    "CREATE INDEX IF NOT EXISTS catalog_spelling_by_sound ON catalog_spelling (sound)",
    "CREATE INDEX IF NOT EXISTS catalog_spelling_by_letters ON catalog_spelling USING gin (word gin_trgm_ops)"
    " WITH (fastupdate = off)",
    # A function, so that the threshold holds for this question only.
    "CREATE OR REPLACE FUNCTION catalog_alike(said text) RETURNS TABLE (word text) LANGUAGE sql STABLE"
    " SET pg_trgm.similarity_threshold = 0.2 AS $$ SELECT s.word FROM catalog_spelling s WHERE s.word % said"
    " AND abs(length(s.word) - length(said)) <= 3 ORDER BY similarity(s.word, said) DESC, s.word LIMIT 400 $$",
)
"""Full-text search on PostgreSQL: a product's stems as a tsvector, the words of all products as they are spelled, with
their trigrams. pg_trgm is a trusted extension: whoever may create in the database may create it."""

__all__ = [
    "BRAND_SHIFT", "FIELDS", "POSTGRES_DDL", "SQLITE_DDL", "brands", "categories", "complements", "details", "metadata",
    "products", "state", "variants", "words",
]  # fmt: skip
