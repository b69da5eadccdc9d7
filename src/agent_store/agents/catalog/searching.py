"""Which index this store has."""

from __future__ import annotations

from agent_store.agents.catalog.search import SearchIndex
from agent_store.kernel.context import Context


def index_of(ctx: Context) -> SearchIndex:
    """The index of the database that the context is on; only that one's module is loaded."""
    if ctx.db.kind == "postgresql":
        from agent_store.agents.catalog.postgres_search import PostgresSearch

        return ctx.get(PostgresSearch)
    from agent_store.agents.catalog.sqlite_search import SqliteSearch

    return ctx.get(SqliteSearch)
