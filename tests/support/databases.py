"""Databases of one PostgreSQL for tests: each test's store has one to itself, emptied and lent out again after it.

Making a database and its tables takes a third of a second, emptying one some milliseconds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pkgutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import asyncpg

import agent_store.agents
from agent_store.adapters.db.postgres import PostgresStore
from agent_store.entrypoints.programs import Postgres
from tests.support.backends import Stores

_numbers = itertools.count(1)
_KEPT = ["kernel", *(module.name for module in pkgutil.iter_modules(agent_store.agents.__path__))]
"""Schemas whose tables are the same in every test; those of the tests' own agents are dropped."""

_EMPTY = """
DO $$
DECLARE one record; kept text[] := %s;
BEGIN
    PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';
    FOR one IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'
        AND nspname <> ALL (kept)
    LOOP
        EXECUTE format('DROP SCHEMA %%I CASCADE', one.nspname);
    END LOOP;
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY (kept) LOOP
        EXECUTE format('DELETE FROM %%I.%%I', one.schemaname, one.tablename);
    END LOOP;
    FOR one IN SELECT schemaname, sequencename FROM pg_sequences WHERE last_value IS NOT NULL LOOP
        PERFORM setval(format('%%I.%%I', one.schemaname, one.sequencename), 1, false);
    END LOOP;
END $$
"""


class Databases:
    """The databases of one server."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._free: list[str] = []

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncGenerator[str]:
        """The superuser's address of an empty database, perhaps with tables."""
        if self._free:
            name = self._free.pop()
            await self._execute(self.server.url_of(name), _EMPTY % f"array{_KEPT}")
        else:
            name = f"lent_{os.getpid()}_{next(_numbers)}"
            await self._execute(self.server.url, f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield self.server.url_of(name)
        finally:
            self._free.append(name)

    async def _execute(self, url: str, sql: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def stores(self, **options: Any) -> Callable[[Path], AbstractAsyncContextManager[Stores]]:
        """As `tests.support.backends.Backend.database`; `options` are the stores'."""

        @contextlib.asynccontextmanager
        async def database(folder: Path) -> AsyncGenerator[Stores]:
            async with self.lent() as url:
                yield lambda: PostgresStore(url, **options)

        return database
