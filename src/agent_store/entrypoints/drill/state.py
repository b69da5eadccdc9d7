"""The store's tables as a drill sees them afterwards: read past the store, with the drivers alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

Rows = list[dict[str, Any]]


class State(Protocol):
    async def rows(self, sql: str) -> Rows: ...


class SqliteState:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def rows(self, sql: str) -> Rows:
        with contextlib.closing(
            sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        ) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql)]


class PostgresState:
    """`schemas`: where tables are looked for."""

    def __init__(self, url: str, schemas: Sequence[str]) -> None:
        self._url = url
        self._path = ", ".join(f'"{name}"' for name in schemas)

    async def rows(self, sql: str) -> Rows:
        import asyncpg

        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(f"SET search_path TO {self._path}")
            return [dict(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()
