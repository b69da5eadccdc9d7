"""The shape of a database, as a value: two databases of the same shape have the same tables, rules and indexes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import create_engine, inspect

Shape = dict[str, Any]


def shape_of_sqlite(path: Path) -> Shape:
    """Of every table but those of migrations; the order of columns and the spelling of a statement don't count."""
    engine = create_engine(f"sqlite:///{path}")
    look = inspect(engine)
    shape: Shape = {}
    with sqlite3.connect(path) as connection:
        kinds = {name: (kind, rowid) for _, name, kind, _, rowid, _ in connection.execute("PRAGMA table_list")}
        for name, (kind, without_rowid) in sorted(kinds.items()):
            if kind == "shadow" or name.startswith("sqlite_") or name.endswith("_revision"):
                continue
            (statement,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
            if kind == "virtual":
                shape[name] = re.sub(r"IF NOT EXISTS ", "", statement)
                continue
            indexes = {
                index: re.sub(r'["\s]+', " ", sql.split(" ON ", 1)[1])
                for index, sql in connection.execute(
                    "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND type = 'index' AND sql IS NOT NULL",
                    (name,),
                )
            }
            shape[name] = {
                "columns": {row[1]: tuple(row[2:]) for row in connection.execute(f"PRAGMA table_xinfo({name})")},
                "without rowid": bool(without_rowid),
                "autoincrement": "AUTOINCREMENT" in statement.upper(),
                "indexes": indexes,
                "unique": sorted(tuple(item["column_names"]) for item in look.get_unique_constraints(name)),
                "checks": {item["name"]: _spaced(item["sqltext"]) for item in look.get_check_constraints(name)},
                "references": sorted(
                    (item["referred_table"], tuple(item["constrained_columns"]), tuple(item["referred_columns"]))
                    for item in look.get_foreign_keys(name)
                ),
                "triggers": sorted(
                    connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (name,))
                ),
            }
    connection.close()
    engine.dispose()
    return shape


def _spaced(text: str) -> str:
    return " ".join(text.split())


async def shape_of_postgres(url: str, schemas: Sequence[str]) -> Shape:
    """Of these schemas; what extensions brought doesn't count, that they are there does."""
    connection = await asyncpg.connect(url)
    try:
        found: dict[str, list[tuple[Any, ...]]] = {}
        for part, question in _QUESTIONS.items():
            rows = await connection.fetch(question, list(schemas))
            found[part] = sorted((tuple(row) for row in rows if not str(row[1]).endswith("_revision")), key=str)
        return found
    finally:
        await connection.close()


_QUESTIONS = {
    "schemas": "SELECT nspname, '' FROM pg_namespace WHERE nspname = ANY($1)",
    "columns": """
        SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum), a.attcollation
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE n.nspname = ANY($1) AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped""",
    "rules": """
        SELECT n.nspname, c.relname, o.conname, pg_get_constraintdef(o.oid)
        FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY($1)""",
    "indexes": """
        SELECT n.nspname, t.relname, c.relname, pg_get_indexdef(c.oid)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1)""",
    "functions": """
        SELECT n.nspname, p.proname, pg_get_functiondef(p.oid)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY($1) AND NOT EXISTS
              (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')""",
    "triggers": """
        SELECT n.nspname, c.relname, pg_get_triggerdef(t.oid)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY($1) AND NOT t.tgisinternal""",
    "sequences": """
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY($1) AND c.relkind = 'S'""",
    "extensions": "SELECT 'extension', extname FROM pg_extension WHERE $1::text[] IS NOT NULL",
}
