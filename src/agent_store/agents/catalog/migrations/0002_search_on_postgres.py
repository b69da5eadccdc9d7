"""Text search on PostgreSQL: stems as a tsvector, spellings with their trigrams."""

from __future__ import annotations

from alembic import op

revision = "catalog_0002"
down_revision = "catalog_0001"
branch_labels = None

UP = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE TABLE catalog_index (number bigint PRIMARY KEY, document tsvector NOT NULL)",
    "CREATE INDEX catalog_index_by_document ON catalog_index USING gin (document) WITH (fastupdate = off)",
    'CREATE TABLE catalog_spelling (word text COLLATE "C" PRIMARY KEY, stem text NOT NULL, sound text NOT NULL)',
    "CREATE INDEX catalog_spelling_by_stem ON catalog_spelling (stem)",
    "CREATE INDEX catalog_spelling_by_sound ON catalog_spelling (sound)",
    "CREATE INDEX catalog_spelling_by_letters ON catalog_spelling USING gin (word gin_trgm_ops)"
    " WITH (fastupdate = off)",
    "CREATE FUNCTION catalog_alike(said text) RETURNS TABLE (word text) LANGUAGE sql STABLE"
    " SET pg_trgm.similarity_threshold = 0.2 AS $$ SELECT s.word FROM catalog_spelling s WHERE s.word % said"
    " AND abs(length(s.word) - length(said)) <= 3 ORDER BY similarity(s.word, said) DESC, s.word LIMIT 400 $$",
)
DOWN = (
    "DROP FUNCTION catalog_alike(text)",
    "DROP TABLE catalog_spelling",
    "DROP TABLE catalog_index",
    # Ours when it stands in our schema; in another one somebody else has put it there.
    "DO $$ BEGIN IF EXISTS (SELECT FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
    " WHERE e.extname = 'pg_trgm' AND n.nspname = current_schema()) THEN DROP EXTENSION pg_trgm; END IF; END $$",
)


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for statement in UP:
            op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for statement in DOWN:
            op.execute(statement)
