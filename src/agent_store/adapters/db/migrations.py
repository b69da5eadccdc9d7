"""Runs the agents' revisions: Alembic without an ini file or an `env.py`, on SQLite and PostgreSQL.

Each revision is one transaction, with its mark in the database: a run that is cut off goes on where it stopped. On
PostgreSQL one run at a time has an advisory lock, and no statement waits longer for a table than `LOCK_TIMEOUT`: a
migration that stands in a queue for a lock makes everybody behind it wait. Importing this costs a quarter of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationInfo, RevisionStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from agent_store.adapters.db import roles
from agent_store.adapters.db.schema import (
    Branch,
    Say,
    Standing,
    quoted,
    refuse_newer,
    standings_of_postgres,
    standings_of_sqlite,
)
from agent_store.kernel.context import DatabaseKind
from agent_store.kernel.errors import Conflict, InvalidInput, PermanentError, TemporaryError

LOCK = 0x5354_4F52_455F_4442
"""Key of the advisory lock (advisory locks are a database's own, so one key will do)."""
LOCK_TIMEOUT = timedelta(seconds=5)
"""How long a statement waits for a table that somebody else works on; then its revision is rolled back and tried again."""
TRIES, PAUSE = 5, timedelta(seconds=1)
"""Of a revision that did not get its lock; the pauses between grow by `PAUSE`."""
PATIENCE = timedelta(minutes=10)
"""How long a run waits for another one to end."""

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_LOCK_NOT_AVAILABLE = "55P03"
_STILL_IN_USE = "2BP01"


def _silent(line: str) -> None:
    pass


# --- where to --------------------------------------------------------------------------------------------------------


def targets(found: Sequence[Branch], to: str) -> list[tuple[Branch, str]]:
    """What is run, in order: to `head` of each branch, to `base` in reverse, or one branch to one revision of it."""
    if to == "head":
        return [(branch, branch.head) for branch in found]
    if to == "base":
        return [(branch, "base") for branch in reversed(found)]
    for branch in found:
        if to in branch.revisions:
            return [(branch, to)]
    known = ", ".join(revision for branch in found for revision in branch.revisions)
    raise InvalidInput(f"there is no revision {to}: head, base, or one of {known}")


def _steps(script: ScriptDirectory, branch: Branch, current: str | None, to: str) -> list[RevisionStep]:
    def place(revision: str | None) -> int:
        return 0 if revision in (None, "base") else 1 + branch.revisions.index(revision)

    if place(to) >= place(current):
        up = list(script.iterate_revisions(to, current or "base")) if place(to) > place(current) else []
        return [RevisionStep.upgrade_from_script(script.revision_map, step) for step in reversed(up)]
    down = script.iterate_revisions(current, to)
    return [RevisionStep.downgrade_from_script(script.revision_map, step) for step in down]


def _run(
    branch: Branch,
    to: str,
    say: Say,
    *,
    connection: Connection | None = None,
    schema: str | None = None,
    adopt: bool = False,
    written: tuple[DatabaseKind, io.StringIO, str | None] | None = None,
) -> None:
    """Run what lies between the database and `to`: on `connection`, or as SQL text into `written` (kind of database,
    buffer, revision to begin with). `adopt`: its tables are those of the first revision, which only lacks its mark."""
    script = ScriptDirectory(str(branch.folder), version_locations=[str(branch.folder)])

    def steps(heads: Any, context: Any) -> list[RevisionStep]:
        return _steps(script, branch, heads[0] if heads else None, to)

    def told(*, step: MigrationInfo, **rest: Any) -> None:
        first = step.up_revision
        words = f" ({first.doc.rstrip('.')})" if step.is_upgrade and isinstance(first, Script) and first.doc else ""
        say(f"{branch.name}: {_last(step.source_revision_ids)} → {_last(step.destination_revision_ids)}{words}")

    options: dict[str, Any] = {
        "script": script, "fn": steps, "on_version_apply": (told,), "transactional_ddl": True,
        "transaction_per_migration": True, "version_table": branch.version_table, "version_table_schema": schema,
    }  # fmt: skip
    if written is not None:
        kind, buffer, begin = written
        options |= {"as_sql": True, "output_buffer": buffer, "starting_rev": begin or "base"}
        context = MigrationContext.configure(dialect_name=kind, dialect_opts={"paramstyle": "named"}, opts=options)
    else:
        context = MigrationContext.configure(connection, opts=options)
    if adopt:
        with context.begin_transaction(_per_migration=True):
            context.stamp(script, branch.revisions[0])
        say(f"{branch.name}: tables from before there were revisions taken as {branch.revisions[0]}")
    with Operations.context(context), context.begin_transaction():
        context.run_migrations()


def _last(revisions: Sequence[str]) -> str:
    return revisions[-1] if revisions else "nothing"


# --- SQLite ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def sqlite_connection(path: Path) -> Generator[Connection]:
    """With real transactions around DDL (the driver by itself begins none for it)."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path, isolation_level=None), poolclass=NullPool)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", begin)
    with engine.connect() as connection:
        yield connection


def migrate_sqlite(path: Path, found: Sequence[Branch], *, to: str = "head", say: Say = _silent) -> None:
    """Migrate a file that no store has open. Tables from before there were migrations count as the first revision.

    Raises Conflict when a newer program has written it, TemporaryError when the disk is full, PermanentError for a
    revision that fails; what was done until then stands, each revision whole.
    """
    wanted = targets(found, to)
    with contextlib.closing(sqlite3.connect(path)) as plain:
        standings = {standing.branch.name: standing for standing in standings_of_sqlite(plain, found)}
    refuse_newer(standings.values(), str(path))
    try:
        with sqlite_connection(path) as connection:
            for branch, revision in wanted:
                adopt = standings[branch.name].state == "unmarked"
                _run(branch, revision, say, connection=connection, adopt=adopt)
                connection.rollback()  # ends the transaction of its last look
                if revision == "base":
                    connection.execute(text(f"DROP TABLE IF EXISTS {branch.version_table}"))
                    connection.commit()
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        kind, advice = PermanentError, "what was finished before stands, each revision whole"
        if code in _FULL:
            kind, advice = TemporaryError, "free some space on the disk, then start again"
        raise kind(f"{path} could not be migrated ({error.orig}): {advice}", code="migration") from error


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def postgres_connection(url: str) -> AsyncGenerator[AsyncConnection]:
    """`url`: postgresql://user:password@host/database. Raises TemporaryError when nobody answers there."""

    async def connect() -> asyncpg.Connection[Any]:
        return await asyncpg.connect(url, command_timeout=None)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with contextlib.AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except (OSError, asyncpg.PostgresError, DBAPIError) as error:
            raise TemporaryError(f"PostgreSQL does not take this program ({error}): see --database") from error
        yield connection


async def _alone(connection: AsyncConnection, patience: timedelta, say: Say) -> None:
    """Hold the lock of migrations until the connection ends.

    Asks again and again: a statement that waits for the lock would hold a snapshot, for which an index that the other
    run builds concurrently waits in turn.
    """
    try:
        async with asyncio.timeout(patience.total_seconds()):
            told = False
            while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
                await connection.commit()
                if not told:
                    say("another migration is running: waiting for its end")
                    told = True
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise TemporaryError(
            f"another migration has been running for {patience.total_seconds():g} s: see to it, then start again"
        ) from None
    await connection.commit()


async def driver_of(connection: AsyncConnection) -> asyncpg.Connection[Any]:
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    return driver


async def _standings(connection: AsyncConnection, found: Sequence[Branch]) -> dict[str, Standing]:
    standings = await standings_of_postgres(await driver_of(connection), found)
    return {standing.branch.name: standing for standing in standings}


async def migrate_postgres(
    url: str,
    found: Sequence[Branch],
    *,
    to: str = "head",
    say: Say = _silent,
    patience: timedelta = PATIENCE,
    lock_timeout: timedelta = LOCK_TIMEOUT,
    pause: timedelta = PAUSE,
) -> None:
    """Migrate a database, which may be in use.

    Raises Conflict when a newer program has written it, or when tables stand there that no revision has made;
    TemporaryError when another run took longer than `patience`, or a lock was not to be had in
    `TRIES` times `lock_timeout`; PermanentError for a revision that fails. What was done until then stands, each
    revision whole: running it again goes on from there.
    """
    wanted = targets(found, to)
    async with postgres_connection(url) as connection:
        await _alone(connection, patience, say)
        standings = await _standings(connection, found)
        refuse_newer(standings.values(), "the database")
        if made := [branch.name for branch, _ in wanted if standings[branch.name].state == "unmarked"]:
            raise Conflict(
                f"the tables of {', '.join(made)} were not made by `agent-store migrate`: empty the database"
            )
        # Building an index may take longer than the server lets a statement of the store take.
        await connection.execute(text("SET statement_timeout = 0"))
        await connection.execute(text(f"SET lock_timeout = {lock_timeout // timedelta(milliseconds=1)}"))
        await connection.commit()
        for branch, revision in wanted:
            await _patiently(connection, branch, revision, say, pause)
        if to != "base":
            await roles.renew(await driver_of(connection), found)


async def _patiently(connection: AsyncConnection, branch: Branch, revision: str, say: Say, pause: timedelta) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            await connection.run_sync(_run_in_schema, branch, revision, say)
        except DBAPIError as error:
            await connection.rollback()
            if _sqlstate(error) != _LOCK_NOT_AVAILABLE:
                raise PermanentError(
                    f"{branch.name}: {revision} failed: {error.orig}; what was finished before stands, each revision whole",
                    code="migration",
                ) from error
            if attempt == TRIES:
                raise TemporaryError(
                    f"{branch.name}: somebody holds its tables; not one of {TRIES} tries got them in time: "
                    "end the long transaction, then start again",
                    code="locked",
                ) from error
            say(f"{branch.name}: waiting for a lock ({attempt} of {TRIES})")
            await asyncio.sleep(pause.total_seconds() * attempt)
        else:
            return


def _run_in_schema(connection: Connection, branch: Branch, revision: str, say: Say) -> None:
    schema = branch.schema
    there = connection.scalar(text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :name"), {"name": schema})
    if not there:
        if revision == "base":
            return
        connection.execute(text(f"CREATE SCHEMA {quoted(schema)}"))
    enter(connection, schema)
    _run(branch, revision, say, connection=connection, schema=schema)
    connection.rollback()
    if revision == "base":
        connection.execute(text(f"DROP TABLE IF EXISTS {quoted(schema)}.{branch.version_table}"))
        connection.commit()
        try:
            connection.execute(text(f"DROP SCHEMA {quoted(schema)}"))
            connection.commit()
        except DBAPIError as error:
            connection.rollback()
            if _sqlstate(error) != _STILL_IN_USE:
                raise
            say(f"{branch.name}: the schema {schema} is kept, something else stands in it")


def enter(connection: Connection, schema: str) -> None:
    """Names without a schema mean this one from now on (`public` is for extensions)."""
    connection.execute(text(f"SET search_path = {quoted(schema)}, public"))
    connection.commit()
    connection.dialect.default_schema_name = schema


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


# --- as text ---------------------------------------------------------------------------------------------------------


def sql(kind: DatabaseKind, standings: Iterable[Standing], *, to: str = "head") -> str:
    """The statements that would be run on a database that stands so, for somebody else to run."""
    known = {standing.branch.name: standing for standing in standings}
    buffer = io.StringIO()
    for branch, revision in targets([standing.branch for standing in known.values()], to):
        standing = known[branch.name]
        begin = branch.revisions[0] if standing.state == "unmarked" else standing.found
        part = io.StringIO()
        schema = branch.schema if kind == "postgresql" else None
        _run(branch, revision, _silent, schema=schema, written=(kind, part, begin))
        if not part.getvalue().strip():
            continue
        if kind == "postgresql" and revision != "base":
            buffer.write(f"CREATE SCHEMA IF NOT EXISTS {quoted(branch.schema)};\n")
        if kind == "postgresql":
            buffer.write(f"SET search_path = {quoted(branch.schema)}, public;\n\n")
        buffer.write(part.getvalue())
        if revision == "base":
            version = (
                f"{quoted(branch.schema)}.{branch.version_table}" if kind == "postgresql" else branch.version_table
            )
            buffer.write(f"DROP TABLE {version};\n\n")
    return re.sub(r"\n{3,}", "\n\n", buffer.getvalue())


def as_absent(found: Iterable[Branch]) -> list[Standing]:
    """How an empty database stands."""
    return [Standing(branch, None, tables=False) for branch in found]


__all__ = [
    "LOCK", "LOCK_TIMEOUT", "as_absent", "enter", "migrate_postgres", "migrate_sqlite", "postgres_connection", "sql",
    "sqlite_connection", "targets",
]  # fmt: skip
