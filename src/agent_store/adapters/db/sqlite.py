"""The embedded store: one SQLite file in WAL mode, one writer in the event loop, group commit.

Calls run in the loop, not in a thread: a statement takes microseconds and a thread hop some hundred. `synchronous=FULL`
makes every commit durable against power loss; grouping keeps that from costing a sync an event.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.base import Executable

from agent_store.adapters.db.statements import Cache
from agent_store.kernel import journal
from agent_store.kernel.context import Row, Session
from agent_store.kernel.errors import StoreError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.store import Unit, Work

R = TypeVar("R")
Listener = Callable[[Sequence[Envelope], Sequence[datetime]], None]

GROUP_LIMIT = 64
"""Works that share one commit at most: beyond that the sync is amortised and latency would only grow."""


class SqliteSession(Session):
    """Runs statements on one connection, at once: its coroutines never yield to the loop."""

    def __init__(self, connection: sqlite3.Connection, cache: Cache) -> None:
        self._connection = connection
        self._cache = cache

    async def all(self, statement: Executable, params: Mapping[str, Any] | None = None) -> list[Row]:
        compiled = self._cache.get(statement, params)
        cursor = self._connection.execute(compiled.sql, compiled.bind(params))
        rows = cursor.fetchall()
        if not rows:
            return []
        names = [column[0] for column in cursor.description]
        if not compiled.readers:
            return [dict(zip(names, row, strict=True)) for row in rows]
        result: list[Row] = []
        for row in rows:
            values = list(row)
            for index, processor in compiled.readers:
                values[index] = processor(values[index])
            result.append(dict(zip(names, values, strict=True)))
        return result

    async def first(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Row | None:
        compiled = self._cache.get(statement, params)
        cursor = self._connection.execute(compiled.sql, compiled.bind(params))
        row = cursor.fetchone()
        if row is None:
            return None
        names = [column[0] for column in cursor.description]
        cursor.close()
        values = list(row)
        for index, processor in compiled.readers:
            values[index] = processor(values[index])
        return dict(zip(names, values, strict=True))

    async def run(self, statement: Executable, params: Mapping[str, Any] | None = None) -> int:
        compiled = self._cache.get(statement, params)
        return self._connection.execute(compiled.sql, compiled.bind(params)).rowcount

    async def many(self, statement: Executable, params: Sequence[Mapping[str, Any]]) -> None:
        if params:
            compiled = self._cache.get(statement, params[0])
            self._connection.executemany(compiled.sql, [compiled.bind(row) for row in params])


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    timeout: float
    done: asyncio.Future[Any]
    unit: Unit
    result: Any = None
    error: BaseException | None = None


class SqliteStore:
    """See `kernel.store.Store`. One process a file: a second one is refused with a sentence."""

    def __init__(self, path: Path | str, *, group_limit: int = GROUP_LIMIT) -> None:
        self.path = str(path)
        self._dialect = sqlite.dialect(paramstyle="named")
        self._cache = Cache(self._dialect)
        self._writer = self._connect()
        self._reading = self._connect()
        self._reading.execute("PRAGMA query_only = ON")
        self.session = SqliteSession(self._writer, self._cache)
        self._reader = SqliteSession(self._reading, self._cache)
        self._jobs: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []
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

    def on_commit(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def create(self, tables: Sequence[MetaData], ddl: Sequence[str] = ()) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        for metadata in tables:
            for table in metadata.sorted_tables:
                self._writer.execute(str(CreateTable(table, if_not_exists=True).compile(dialect=self._dialect)))
                for index in table.indexes:
                    self._writer.execute(str(CreateIndex(index, if_not_exists=True).compile(dialect=self._dialect)))
        for statement in ddl:
            self._writer.execute(statement)
        self._writer.execute("COMMIT")

    async def run(self, work: Work[R], *, timeout: float = 10.0) -> R:
        if self._closing:
            raise TemporaryError("the store is shutting down; try again in a moment", code="shutting-down")
        if self._pump is None:
            self._pump = asyncio.create_task(self._run_groups(), name="sqlite group commit")
        job = _Job(work, timeout, asyncio.get_running_loop().create_future(), Unit(self.session))
        self._jobs.append(job)
        self._wake.set()
        return await job.done

    async def _run_groups(self) -> None:
        while True:
            if not self._jobs:
                self._wake.clear()
                await self._wake.wait()
            group = [self._jobs.popleft() for _ in range(min(self._limit, len(self._jobs)))]
            # A waiter that gave up (cancelled) before its turn wants nothing done.
            group = [job for job in group if not job.done.cancelled()]
            if not group:
                continue
            try:
                await self._commit(group)
            except sqlite3.Error as error:
                if len(group) > 1:
                    await self._one_by_one(group)
                else:
                    self._fail(group[0], error)
            await asyncio.sleep(0)

    async def _one_by_one(self, group: list[_Job]) -> None:
        """A group whose commit failed is run again singly, so that only the culprit fails."""
        for job in group:
            job.unit = Unit(self.session)
            job.error = None
            try:
                await self._commit([job])
            except sqlite3.Error as error:
                self._fail(job, error)

    def _fail(self, job: _Job, error: sqlite3.Error) -> None:
        if not job.done.done():
            job.done.set_exception(
                TemporaryError(f"the database did not take the change ({error}); is the disk full?", code="database")
            )

    async def _commit(self, group: list[_Job]) -> None:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        try:
            for job in group:
                await self._run_job(job)
            events = [event for job in group if job.error is None for event in job.unit.events]
            timers = [timer for job in group if job.error is None for timer in job.unit.timers]
            await journal.write_events(self.session, events)
            await journal.write_timers(self.session, timers)
            execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                execute("ROLLBACK")
            raise
        self.commits += 1
        self.works += len(group)
        if events or timers:
            due = [at for _, at in timers]
            for listener in self._listeners:
                listener(events, due)
        for job in group:
            if job.done.done():
                continue
            if job.error is None:
                job.done.set_result(job.result)
            else:
                job.done.set_exception(job.error)

    async def _run_job(self, job: _Job) -> None:
        execute = self._writer.execute
        execute("SAVEPOINT job")
        try:
            async with asyncio.timeout(job.timeout):
                job.result = await job.work(job.unit)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            if not isinstance(error, sqlite3.IntegrityError) and not self._writer.in_transaction:
                raise  # disk full and the like: SQLite has rolled the whole group back already
            job.error = error
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is its own: handed to its caller
            job.error = error
        if job.error is not None:
            job.unit.events.clear()
            job.unit.timers.clear()
            execute("ROLLBACK TO job")
        execute("RELEASE job")

    async def close(self) -> None:
        """Finish what is queued, then close the file."""
        self._closing = True
        while self._jobs or (self._pump is not None and not self._wake_is_idle()):
            await asyncio.sleep(0.001)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        self._reading.close()
        self._writer.close()

    def _wake_is_idle(self) -> bool:
        return not self._wake.is_set() and not self._jobs

    def abandon(self) -> None:
        """Drop everything as a killed process would: no drain, no commit. For crash tests and drills."""
        self._closing = True
        if self._pump is not None:
            self._pump.cancel()
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        self._reading.close()
        self._writer.close()


__all__ = ["SqliteSession", "SqliteStore", "StoreError"]
