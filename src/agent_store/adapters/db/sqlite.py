"""The embedded store: one SQLite file in WAL mode, one writer in the event loop, group commit.

Calls run in the loop, not in a thread: a statement takes microseconds and a thread hop some hundred. `synchronous=FULL`
makes every commit durable against power loss; grouping keeps that from costing a sync an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic_core import from_json, to_json
from sqlalchemy import MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable

from agent_store.adapters.db.jobs import GROUP_LIMIT, Job, Listener, Listeners, broken, shutting_down, was_cancelled
from agent_store.adapters.db.schema import creation
from agent_store.adapters.db.statements import Cache
from agent_store.kernel import journal
from agent_store.kernel.context import DatabaseKind, Row, Session
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.store import Unit, Work

R = TypeVar("R")
_DIALECT = sqlite.dialect(
    paramstyle="named", json_serializer=lambda value: to_json(value).decode(), json_deserializer=from_json
)
_STATEMENTS = Cache(_DIALECT)
_SQL_ERROR = 1
"""`SQLITE_ERROR`: the statement itself is wrong (no such column): a bug, not the database's state."""


class _TransactionLost(Exception):
    """SQLite has rolled the whole group back by itself, as it does when the disk is full."""


def _failure(error: sqlite3.Error) -> TemporaryError | None:
    """The driver's error as the kernel's; None for a bug in a statement or its parameters."""
    if isinstance(error, sqlite3.IntegrityError):
        return TemporaryError(f"a rule of the database forbids this change: {error}", code="constraint")
    if isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", _SQL_ERROR) != _SQL_ERROR:
        return TemporaryError(f"the database did not take this ({error}); is the disk full?", code="database")
    return None


def _translate(error: sqlite3.Error) -> NoReturn:
    failure = _failure(error)
    if failure is None:
        raise error
    raise failure from error


class SqliteSession(Session):
    """Runs statements on one connection, at once: its coroutines never yield to the loop.

    Raises TemporaryError "constraint" when a rule of a table forbids a change, "database" when the disk is full and the
    like; the driver's own error is left for a wrong statement only.
    """

    __slots__ = ("_cache", "_connection", "_ended", "_transaction")

    def __init__(self, connection: sqlite3.Connection, cache: Cache, *, transaction: bool = False) -> None:
        self._connection = connection
        self._cache = cache
        self._transaction = transaction
        self._ended = False

    @property
    def kind(self) -> DatabaseKind:
        return "sqlite"

    def end(self) -> None:
        """Its transaction is over: whoever kept this session must not write into somebody else's."""
        self._ended = True

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction is over: nothing of a handler may go on after the handler")
        if not self._connection.in_transaction:
            raise _TransactionLost  # else this statement would be committed by itself

    async def all(self, statement: Executable, params: Mapping[str, Any] | None = None) -> list[Row]:
        if self._transaction:
            self._check()
        compiled = self._cache.get(statement, params)
        readers = compiled.readers
        try:
            cursor = self._connection.execute(compiled.sql, compiled.bind(params))
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            _translate(error)
        if not rows:
            return []
        names = [column[0] for column in cursor.description]
        if not readers:
            return [dict(zip(names, row, strict=True)) for row in rows]
        result: list[Row] = []
        for row in rows:
            values = list(row)
            for index, processor in readers:
                values[index] = processor(values[index])
            result.append(dict(zip(names, values, strict=True)))
        return result

    async def first(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Row | None:
        if self._transaction:
            self._check()
        compiled = self._cache.get(statement, params)
        try:
            cursor = self._connection.execute(compiled.sql, compiled.bind(params))
            row = cursor.fetchone()
        except sqlite3.Error as error:
            _translate(error)
        if row is None:
            return None
        names = [column[0] for column in cursor.description]
        cursor.close()
        values = list(row)
        for index, processor in compiled.readers:
            values[index] = processor(values[index])
        return dict(zip(names, values, strict=True))

    async def run(self, statement: Executable, params: Mapping[str, Any] | None = None) -> int:
        if self._transaction:
            self._check()
        compiled = self._cache.get(statement, params)
        try:
            return self._connection.execute(compiled.sql, compiled.bind(params)).rowcount
        except sqlite3.Error as error:
            _translate(error)

    async def many(self, statement: Executable, params: Sequence[Mapping[str, Any]]) -> None:
        """All of `params` have the same keys."""
        if not params:
            return
        if self._transaction:
            self._check()
        compiled = self._cache.get(statement, params[0])
        keys = params[0].keys()
        if any(row.keys() != keys for row in params):
            raise ValueError("the rows of one `many` have the same columns")
        try:
            self._connection.executemany(compiled.sql, [compiled.bind(row) for row in params])
        except sqlite3.Error as error:
            _translate(error)


class SqliteStore:
    """See `kernel.store.Store`. One process a file: the entrypoint sees to that (a second one would handle everything too)."""

    def __init__(self, path: Path | str, *, group_limit: int = GROUP_LIMIT) -> None:
        self.path = str(path)
        self._writer = self._connect()
        self._reading = self._connect()
        self._reading.execute("PRAGMA query_only = ON")
        self._reader = SqliteSession(self._reading, _STATEMENTS)
        self._jobs: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._listeners = Listeners()
        self._limit = group_limit
        self._closing = False
        self.commits = 0
        self.works = 0

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=512)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    @property
    def reader(self) -> Session:
        return self._reader

    def reader_of(self, agent: str) -> Session:
        """One file, one owner: there are no rights to part."""
        return self._reader

    def ask_heard(self, heard: Callable[[Envelope], bool]) -> None:
        self._listeners.heard = heard

    def on_commit(self, listener: Listener) -> None:
        self._listeners.add(listener)

    @property
    def kind(self) -> DatabaseKind:
        return "sqlite"

    async def create(self, tables: Mapping[str, MetaData], ddl: Mapping[str, Sequence[str]]) -> None:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        try:
            for metadata in tables.values():
                for statement in creation(metadata, _DIALECT):
                    execute(statement)
            for statements in ddl.values():
                for statement in statements:
                    execute(statement)
            execute("COMMIT")
        except sqlite3.Error:
            if self._writer.in_transaction:
                execute("ROLLBACK")
            raise

    async def run(
        self,
        work: Work[R],
        *,
        agent: str | None = None,
        claim: Row | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109  # of the work, not of the wait
    ) -> R:
        if self._closing:
            raise shutting_down()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run_groups(), name="sqlite group commit")
        elif self._pump is asyncio.current_task():
            raise RuntimeError("a transaction is open here already: use its session, or begin another one after it")
        job = Job(work, claim, timeout, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._wake.set()
        return await job.done

    async def _run_groups(self) -> None:
        """The pump: the one task that writes. However it ends, nobody is left waiting."""
        group: list[Job] = []
        try:
            while self._jobs or not self._closing:
                if not self._jobs:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                group = [self._jobs.popleft() for _ in range(min(self._limit, len(self._jobs)))]
                # A waiter that gave up (cancelled) before its turn wants nothing done.
                group = [job for job in group if not job.done.cancelled()]
                if group:
                    await self._run_group(group)
                await asyncio.sleep(0)
        except BaseException as error:
            # Cancelled (abandoned), or a bug or an interrupt that came through a handler: it must not look like success.
            for job in (*group, *self._jobs):
                job.fail(shutting_down() if isinstance(error, asyncio.CancelledError) else broken(error))
            self._jobs.clear()
            raise

    async def _run_group(self, group: list[Job]) -> None:
        try:
            await self._commit(group)
        except (sqlite3.Error, _TransactionLost) as error:
            if len(group) == 1:
                group[0].fail(self._why(error))
                return
            # Run singly, so that only the culprit fails.
            for job in group:
                job.error = None
                try:
                    await self._commit([job])
                except (sqlite3.Error, _TransactionLost) as alone:
                    job.fail(self._why(alone))

    def _why(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.Error):
            failure = _failure(error) or error
        else:
            failure = TemporaryError("the database did not take the change; is the disk full?", code="database")
        failure.__cause__ = error.__cause__ or error
        return failure

    async def _commit(self, group: list[Job]) -> None:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        try:
            for job in group:
                await self._run_job(job)
            execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.commits += 1
        self.works += len(group)
        for job in group:
            job.finish()
        self._listeners.tell(
            [event for job in group for event in job.events], [at for job in group for _, at in job.timers]
        )

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # abandoned: closing the file has rolled back already
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    async def _run_job(self, job: Job) -> None:
        execute = self._writer.execute
        session = SqliteSession(self._writer, _STATEMENTS, transaction=True)
        unit = Unit(session)
        execute("SAVEPOINT job")
        try:
            if job.claim is not None:
                unit.claimed = await session.run(journal.INSERT_INBOX, job.claim) == 1
            async with asyncio.timeout(job.timeout):
                job.result = await job.work(unit)
            job.events = await journal.write_events(session, unit.events, self._listeners.heard)
            await journal.write_timers(session, unit.timers)
            job.timers = unit.timers
        except asyncio.CancelledError as error:
            job.error = was_cancelled(error)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is its own: handed to its caller
            job.error = error
        finally:
            session.end()
        if not self._writer.in_transaction:
            raise _TransactionLost from job.error
        if job.error is not None:
            job.events, job.timers = [], []
            execute("ROLLBACK TO job")
        execute("RELEASE job")

    async def close(self) -> None:
        """Finish what is queued, then close the file."""
        self._closing = True
        self._wake.set()
        if self._pump is not None:
            await asyncio.wait([self._pump])
        self._reading.close()
        self._writer.close()

    def abandon(self) -> None:
        """Drop everything as a killed process would: no drain, no commit. For crash tests and drills."""
        self._closing = True
        if self._pump is not None:
            self._pump.cancel()
        self._reading.close()
        self._writer.close()


__all__ = ["SqliteSession", "SqliteStore"]
