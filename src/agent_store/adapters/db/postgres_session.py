"""Connections to PostgreSQL, statements on them, and the driver's errors as the kernel's. `postgres` makes a store of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import asyncpg
from sqlalchemy import Dialect, MetaData, String, Table, text
from sqlalchemy.sql.base import Executable

from agent_store.adapters.db.schema import quoted
from agent_store.adapters.db.statements import Cache, Compiled, Processor
from agent_store.kernel.context import DatabaseKind, Row, Session
from agent_store.kernel.errors import TemporaryError

if TYPE_CHECKING:
    Driver = asyncpg.Connection[asyncpg.Record]
else:
    Driver = asyncpg.Connection  # only its type stubs know that it is generic

Why = Literal["again", "unique", "rule", "database", "bug"]
"""What a failure of the database is: `again`: the same may succeed at once (serialization, deadlock); `unique`: a row is
there already; `rule`: a table's other rules; `database`: away, full, too slow; `bug`: a wrong statement."""

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

_SERIALIZATION, _DEADLOCK, _UNIQUE, _LOCK = "40001", "40P01", "23505", "55P03"
_TOO_LONG, _TOO_BIG, _NO_TEXT = "22001", "22003", "22021"
_ROOM = 0.05
"""Seconds until a full server is asked again."""
_IDLE = 60.0
"""Seconds after which a connection is not used again: a firewall or a balancer may have forgotten it, and says nothing."""


def why(error: BaseException) -> Why:
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return "again"  # somebody migrates; the driver has forgotten the statement and prepares it anew
    if isinstance(error, asyncpg.PostgresError):
        state: str = error.sqlstate or ""
        if state in (_SERIALIZATION, _DEADLOCK):
            return "again"
        if state == _UNIQUE:
            return "unique"
        if state[:2] == "23" or state in (_TOO_LONG, _TOO_BIG, _NO_TEXT):
            return "rule"
        # Connection, transaction state (ended by a timeout, read-only after a failover), login, rollback, resources,
        # operator, system, corruption.
        if state[:2] in ("08", "25", "28", "40", "53", "57", "58", "XX") or state == _LOCK:
            return "database"
        return "bug"
    if isinstance(error, asyncpg.InterfaceError) and "closed" not in str(error):
        return "bug"
    return "database"


def waited(error: BaseException) -> bool:
    """Whether a lock did not come in time."""
    return isinstance(error, asyncpg.LockNotAvailableError)


def failure(error: BaseException) -> Exception:
    """The driver's error as the kernel's; itself when it is a bug in a statement or its parameters."""
    kind = why(error)
    if kind == "bug" and isinstance(error, Exception):
        return error
    if kind in ("unique", "rule"):
        translated = TemporaryError(f"a rule of the database forbids this change: {error}", code="constraint")
    else:
        said = "it does not answer" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        translated = TemporaryError(f"the database did not take this ({said}); try again in a moment", code="database")
    translated.__cause__ = error
    return translated


# --- connections -----------------------------------------------------------------------------------------------------


class Settings:
    """How connections are made. Times that are over are the caller's TemporaryError "database"."""

    def __init__(
        self,
        url: str,
        *,
        application: str,
        connect_timeout: timedelta,
        statement_timeout: timedelta,
        lock_timeout: timedelta,
        idle_timeout: timedelta,
    ) -> None:
        self.url = "postgresql" + url[url.index("://") :] if "://" in url else url
        self.schemas: list[str] = []
        self.connect_timeout = connect_timeout.total_seconds()
        # Somewhat more than the server's: it should say first what is slow, and this is for a server that says nothing.
        self.patience = statement_timeout.total_seconds() + 2
        self._server = {
            "application_name": application,
            "statement_timeout": _milliseconds(statement_timeout),
            "lock_timeout": _milliseconds(lock_timeout),
            # A process that was paused in a transaction must not keep its locks.
            "idle_in_transaction_session_timeout": _milliseconds(idle_timeout),
            "timezone": "UTC",
            "jit": "off",  # for statements of seconds: ours take milliseconds
        }

    @property
    def search_path(self) -> str:
        return ", ".join(quoted(schema) for schema in (*self.schemas, "public"))

    async def connect(self, **more: str) -> Driver:
        """Raises OSError (TimeoutError, NoRoom …) within the connect timeout, ValueError for a wrong address."""
        try:
            async with asyncio.timeout(self.connect_timeout):
                return await asyncpg.connect(
                    self.url,
                    timeout=self.connect_timeout,
                    command_timeout=self.patience,
                    statement_cache_size=1024,
                    max_cached_statement_lifetime=0,
                    server_settings={**self._server, "search_path": self.search_path, **more},
                )
        except asyncpg.TooManyConnectionsError as error:
            raise NoRoom(str(error)) from error
        except asyncpg.PostgresError as error:
            # Starting, shutting down, no such login or database (yet): nothing that an event has done wrong.
            raise ConnectionError(str(error)) from error


def _now() -> float:
    return asyncio.get_running_loop().time()


def _milliseconds(time: timedelta) -> str:
    return str(max(1, time // timedelta(milliseconds=1)))


class NoRoom(ConnectionError):
    """The server has no connection left for us."""


class Link:
    """A connection, with the role that it has, and since when (the loop's time) it is idle."""

    __slots__ = ("connection", "idle_since", "role")

    def __init__(self, connection: Driver) -> None:
        self.connection = connection
        self.role: str | None = None
        self.idle_since = 0.0


class Pool:
    """At most `size` connections, made when they are needed; the one that was used last is taken first."""

    def __init__(self, size: int, connect: Callable[[], Awaitable[Driver]]) -> None:
        self._connect = connect
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Link] = []
        self._all: set[Link] = set()
        self._opening = 0
        self._closed = False

    @property
    def open(self) -> int:
        return len(self._all)

    async def take(self, *, fresh: bool = False) -> tuple[Link, bool]:
        """A connection, and whether it has been used before: then the server may have forgotten it meanwhile.

        Waits for one to be free, so the caller bounds it. Raises as `Settings.connect` does."""
        await self._slots.acquire()
        try:
            while not self._closed:
                while self._idle and not fresh:
                    link = self._idle.pop()
                    if not link.connection.is_closed() and _now() - link.idle_since < _IDLE:
                        return link, True
                    self._all.discard(link)
                    link.connection.terminate()
                if (made := await self._make()) is not None:
                    return made, False
                fresh = False
                await asyncio.sleep(_ROOM)  # with fewer connections than we might have: ours or others' come free
            raise ConnectionError("the store is closed")
        except BaseException:
            self._slots.release()
            raise

    async def _make(self) -> Link | None:
        """None when the server has no room for more than the connections that we have."""
        self._opening += 1
        try:
            link = Link(await self._connect())
        except NoRoom:
            if not self._all and self._opening == 1:
                raise
            return None
        finally:
            self._opening -= 1
        self._all.add(link)
        return link

    def give_back(self, link: Link) -> None:
        if link.connection.is_closed() or link not in self._all:
            self.drop(link)
            return
        link.idle_since = _now()
        self._idle.append(link)
        self._slots.release()

    def drop(self, link: Link) -> None:
        """Cut it at once: nobody knows what is still going on there. The server rolls back."""
        self._all.discard(link)
        link.connection.terminate()
        self._slots.release()

    def renew(self) -> None:
        """What is idle is not used again."""
        for link in self._idle:
            self._all.discard(link)
            link.connection.terminate()
        self._idle.clear()

    async def close(self) -> None:
        self._closed = True
        links, self._idle = self._idle, []
        for link in links:
            self._all.discard(link)
            await end(link.connection)

    def abandon(self) -> None:
        self._closed = True
        self._idle.clear()
        for link in self._all:
            link.connection.terminate()
        self._all.clear()


async def end(connection: Driver) -> None:
    """In good order: the server has room for another one when this returns. One that does not answer is cut."""
    try:
        await connection.close(timeout=2)
    except FAILURES:
        connection.terminate()


# --- sessions --------------------------------------------------------------------------------------------------------


def _dicts(rows: Sequence[asyncpg.Record], compiled: Compiled) -> list[Row]:
    if not compiled.readers:
        return [dict(row.items()) for row in rows]
    result: list[Row] = []
    for row in rows:
        values = list(row.values())
        for index, processor in compiled.readers:
            values[index] = processor(values[index])
        result.append(dict(zip(row.keys(), values, strict=True)))
    return result


def _touched(status: str) -> int:
    """`UPDATE 3`, `INSERT 0 1`; 0 for a statement that counts nothing."""
    number = status.rpartition(" ")[2]
    return int(number) if number.isdigit() else 0


def _same_columns(params: Sequence[Mapping[str, Any]]) -> None:
    keys = params[0].keys()
    if any(row.keys() != keys for row in params):
        raise ValueError("the rows of one `many` have the same columns")


class PostgresSession(Session):
    """Statements in an open transaction, one after the other.

    Raises TemporaryError "constraint" when a rule of a table forbids a change, "database" when the database is away, full
    or too slow; the driver's own error is left for a wrong statement only. After any of these the transaction is lost,
    whoever catches it: `failed` holds the driver's error.
    """

    __slots__ = ("_cache", "_connection", "_ended", "_lock", "failed")

    def __init__(self, connection: Driver, cache: Cache) -> None:
        self._connection = connection
        self._cache = cache
        self._lock = asyncio.Lock()
        self._ended = False
        self.failed: BaseException | None = None

    @property
    def kind(self) -> DatabaseKind:
        return "postgresql"

    def end(self) -> None:
        """Its transaction is over: whoever kept this session must not write into somebody else's."""
        self._ended = True

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction is over: nothing of a handler may go on after the handler")
        if self.failed is not None:
            raise failure(self.failed)

    def _fail(self, error: BaseException) -> NoReturn:
        self.failed = error
        raise failure(error)

    async def all(self, statement: Executable, params: Mapping[str, Any] | None = None) -> list[Row]:
        compiled = self._cache.get(statement, params)
        arguments = compiled.arguments(params)
        async with self._lock:
            self._check()
            try:
                rows = await self._connection.fetch(compiled.sql, *arguments)
            except FAILURES as error:
                self._fail(error)
        return _dicts(rows, compiled)

    async def first(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Row | None:
        compiled = self._cache.get(statement, params)
        arguments = compiled.arguments(params)
        async with self._lock:
            self._check()
            try:
                row = await self._connection.fetchrow(compiled.sql, *arguments)
            except FAILURES as error:
                self._fail(error)
        return None if row is None else _dicts([row], compiled)[0]

    async def run(self, statement: Executable, params: Mapping[str, Any] | None = None) -> int:
        compiled = self._cache.get(statement, params)
        arguments = compiled.arguments(params)
        async with self._lock:
            self._check()
            try:
                return _touched(await self._connection.execute(compiled.sql, *arguments))
            except FAILURES as error:
                self._fail(error)

    async def many(self, statement: Executable, params: Sequence[Mapping[str, Any]]) -> None:
        """All of `params` have the same keys. One round trip, whatever their number."""
        if not params:
            return
        _same_columns(params)
        compiled = self._cache.get(statement, params[0])
        rows = [compiled.arguments(row) for row in params]
        async with self._lock:
            self._check()
            try:
                await self._connection.executemany(compiled.sql, rows)
            except FAILURES as error:
                self._fail(error)


class PostgresReader(Session):
    """Each statement for itself, on a connection that can only read. Raises as `PostgresSession` does."""

    __slots__ = ("_cache", "_patience", "_pool", "_role")

    def __init__(self, pool: Pool, cache: Cache, role: str | None, patience: float) -> None:
        self._pool = pool
        self._cache = cache
        self._role = role
        self._patience = patience

    @property
    def kind(self) -> DatabaseKind:
        return "postgresql"

    async def all(self, statement: Executable, params: Mapping[str, Any] | None = None) -> list[Row]:
        compiled = self._cache.get(statement, params)
        arguments = compiled.arguments(params)
        return _dicts(await self._do(lambda connection: connection.fetch(compiled.sql, *arguments)), compiled)

    async def first(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Row | None:
        compiled = self._cache.get(statement, params)
        arguments = compiled.arguments(params)
        row = await self._do(lambda connection: connection.fetchrow(compiled.sql, *arguments))
        return None if row is None else _dicts([row], compiled)[0]

    async def run(self, statement: Executable, params: Mapping[str, Any] | None = None) -> int:
        compiled = self._cache.get(statement, params)
        arguments = compiled.arguments(params)
        return _touched(await self._do(lambda connection: connection.execute(compiled.sql, *arguments)))

    async def many(self, statement: Executable, params: Sequence[Mapping[str, Any]]) -> None:
        for row in params:
            await self.run(statement, row)

    async def _do(self, statement: Callable[[Driver], Awaitable[Any]]) -> Any:
        fresh = False
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    link, used = await self._pool.take(fresh=fresh)
            except FAILURES as error:
                raise failure(error) from error
            try:
                if link.role != self._role:
                    await link.connection.execute(f"SET ROLE {quoted(self._role) if self._role else 'NONE'}")
                    link.role = self._role
                result = await statement(link.connection)
            except BaseException as error:
                if not isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError) or link.connection.is_closed():
                    self._pool.drop(link)
                else:
                    self._pool.give_back(link)
                if not isinstance(error, FAILURES):
                    raise
                if used and link.connection.is_closed() and not isinstance(error, TimeoutError):
                    fresh = True  # the server has been away meanwhile: a statement that only reads may be sent again
                    continue
                raise failure(error) from error
            self._pool.give_back(link)
            return result


# --- many rows in one statement --------------------------------------------------------------------------------------


class Bulk:
    """INSERT of any number of rows in one statement: an array a column. What stands there already stays as it is."""

    def __init__(self, table: Table, columns: Sequence[str], key: Sequence[str], dialect: Dialect) -> None:
        self._columns: list[tuple[str, Processor | None]] = []
        arrays: list[str] = []
        for number, name in enumerate(columns, 1):
            kind = table.c[name].type
            # A cast to VARCHAR(n) would cut what is too long in silence; the assignment to the column refuses it.
            sql = "TEXT" if isinstance(kind, String) else kind.compile(dialect=dialect)
            arrays.append(f"${number}::{sql}[]")
            self._columns.append((name, kind.dialect_impl(dialect).bind_processor(dialect)))
        places = [list(columns).index(name) for name in key]
        self.order: Callable[[Sequence[Any]], Any] = itemgetter(*places)
        """Of the values of a row: its key."""
        names = ", ".join(quoted(name) for name in columns)
        self.sql = (
            f"INSERT INTO {quoted(table.name)} ({names}) SELECT * FROM unnest({', '.join(arrays)}) "  # noqa: S608
            f"ON CONFLICT DO NOTHING RETURNING {', '.join(quoted(name) for name in key)}"
        )

    def processed(self, row: Row) -> list[Any]:
        """A row's values in the order of the columns, as the driver takes them. Raises ValueError for a naive time."""
        return [row[name] if processor is None else processor(row[name]) for name, processor in self._columns]

    async def insert(self, connection: Driver, rows: Iterable[Sequence[Any]]) -> set[tuple[Any, ...]]:
        """The keys of those that are new. Two of the same key count as one."""
        new = await connection.fetch(self.sql, *(list(values) for values in zip(*rows, strict=True)))
        return {tuple(row.values()) for row in new}


# --- tables ----------------------------------------------------------------------------------------------------------


def with_conditions(metadata: MetaData) -> None:
    """Give partial indexes their conditions for PostgreSQL, which `kernel.sql.partial_index` keeps in `info`."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if (where := index.info.get("where")) is not None:
                index.dialect_options["postgresql"]["where"] = text(where)
