"""The store on PostgreSQL: bare asyncpg, several writers, group commit.

A statement costs a round trip here, so what can be one is one: all inbox rows of a group are claimed by one statement,
all of its events and all of its timers are written by one each. Between `BEGIN` and `COMMIT` only the works' own
statements are left. Isolation is REPEATABLE READ: of two transactions that change the same row one is tried again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import asyncpg
from pydantic_core import from_json, to_json
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from agent_store.adapters.db.jobs import (
    GROUP_LIMIT,
    Job,
    Listener,
    Listeners,
    broken,
    shutting_down,
    was_cancelled,
)
from agent_store.adapters.db.postgres_session import (
    FAILURES,
    Bulk,
    Driver,
    Link,
    Pool,
    PostgresReader,
    PostgresSession,
    Settings,
    end,
    failure,
    waited,
    why,
    with_conditions,
)
from agent_store.adapters.db.roles import role_of
from agent_store.adapters.db.schema import KERNEL, creation, quoted
from agent_store.adapters.db.statements import Cache
from agent_store.kernel import journal, tables
from agent_store.kernel.context import DatabaseKind, Row, Session
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.store import Unit, Work

R = TypeVar("R")

TRIES = 5
"""Of a transaction that others have got in the way of."""
SLOW = 0.25
"""Seconds that a work may take in company: one that takes longer is run alone, so that its neighbours don't wait for it."""
ROUNDS = 3
"""How often a group is tried before its works are run singly."""
PATIENCE = 0.25
"""Seconds after which an agent's next group no longer waits for the one before it: until then it grows, and the two don't
get in each other's way."""

_UNDO = 5.0
"""Seconds for a ROLLBACK; then the connection is cut, which is one too."""
_CREATE = 0x5354_4F52_455F_4354
"""Key of the advisory lock for creating tables."""
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE"
_BEGIN_GROUP = f"{_BEGIN}; SET LOCAL lock_timeout = '100ms'"
"""A group holds the locks of all its works while it waits for one more: it gives up soon, and goes on in halves. So there
is next to no deadlock, which the server would find after a second."""


def _json(value: Any) -> str:
    return to_json(value).decode()


_DIALECT = PGDialect_asyncpg(json_serializer=_json, json_deserializer=from_json)
_STATEMENTS = Cache(_DIALECT)
_KEYS = {
    tables.inbox.name: ("consumer", "source", "id"),
    tables.outbox.name: ("source", "id"),
    tables.timers.name: ("source", "id"),
}

Reason = Literal["work", "slow", "late", "again", "unique", "database", "lost", "unknown"]


class _Undone(Exception):
    """A group's transaction is rolled back (`unknown`: or perhaps not). `job`: whose work it was, when that is known.

    `work`: it raised, or broke a rule. `slow`: it took long in company, `late`: longer than it may. `again`, `unique`: others
    were in the way. `database`: it was refused. `lost`: the connection is gone.
    """

    def __init__(self, reason: Reason, error: BaseException, job: Job | None = None) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.error = error
        self.job = job


class PostgresStore:
    """See `kernel.store.Store`. Any number of processes share a database.

    `url` is libpq's (`postgresql://user:password@host/database?sslmode=…`, several hosts for a standby). At most `writers`
    transactions and `readers` reading statements at a time, on a connection each, made when needed. With `roles` the
    statements of an agent run as the database role `agent_store_<agent>`. With `create=False` tables are left to
    `agent-store migrate`.

    Whatever the database does, a caller is answered: within the connect timeout while it is away, within the statement
    timeout (and 2 s) while it hangs. It is connected to again at the next statement.
    """

    def __init__(
        self,
        url: str,
        *,
        agents: Iterable[str] = (),
        writers: int = 4,
        readers: int = 4,
        roles: bool = False,
        create: bool = True,
        group_limit: int = GROUP_LIMIT,
        application: str = "agent-store",
        connect_timeout: timedelta = timedelta(seconds=5),
        statement_timeout: timedelta = timedelta(seconds=10),
        lock_timeout: timedelta = timedelta(seconds=5),
        idle_timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        """`agents` are those whose tables are used (`create` adds those that it is given). `idle_timeout` ends a
        transaction in which nothing has been said for so long, as in a process that was stopped."""
        self._settings = Settings(
            url,
            application=application,
            connect_timeout=connect_timeout,
            statement_timeout=statement_timeout,
            lock_timeout=lock_timeout,
            idle_timeout=idle_timeout,
        )
        self._bulks: dict[tuple[str, tuple[str, ...]], Bulk] = {}
        some = Envelope(id="", source="", type="", time=datetime.now(UTC), data=b"")  # for the names of its columns
        self._outbox = self._bulk(tables.outbox, tuple(journal.row_of(some, published=False)))
        self._timers = self._bulk(tables.timers, tuple(journal.timer_row(some, some.time)))
        self._roles = roles
        self._creates = create
        self._writers = writers
        self._writing = Pool(writers, self._settings.connect)
        self._reading = Pool(readers, lambda: self._settings.connect(default_transaction_read_only="on"))
        self._readers: dict[str | None, PostgresReader] = {}
        self._queues: dict[str | None, deque[tuple[float, Job]]] = {}
        self._running: Counter[str | None] = Counter()
        self._sizes: dict[str | None, int] = {}
        """How large an agent's groups may be, while others get in its way."""
        self._workers: set[asyncio.Task[None]] = set()
        self._starting = False
        self._alarm: asyncio.TimerHandle | None = None
        self._listeners = Listeners()
        self._limit = group_limit
        self._closing = False
        self.commits = 0
        self.works = 0
        self.retries = 0
        """Transactions that were tried again because others were in the way."""
        self._know((KERNEL, *agents))

    # --- the port ----------------------------------------------------------------------------------------------

    @property
    def kind(self) -> DatabaseKind:
        return "postgresql"

    @property
    def reader(self) -> Session:
        return self._reader_as(None)

    def reader_of(self, agent: str) -> Session:
        return self._reader_as(self._role(agent))

    def _reader_as(self, role: str | None) -> PostgresReader:
        reader = self._readers.get(role)
        if reader is None:
            patience = self._settings.connect_timeout + self._settings.patience
            reader = self._readers[role] = PostgresReader(self._reading, _STATEMENTS, role, patience)
        return reader

    def ask_heard(self, heard: Callable[[Envelope], bool]) -> None:
        self._listeners.heard = heard

    def on_commit(self, listener: Listener) -> None:
        self._listeners.add(listener)

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
        if asyncio.current_task() in self._workers:
            raise RuntimeError("a transaction is open here already: use its session, or begin another one after it")
        loop = asyncio.get_running_loop()
        job = Job(work, claim, timeout, loop.create_future())
        queue = self._queues.get(agent)
        if queue is None:
            queue = self._queues[agent] = deque()
        queue.append((loop.time(), job))
        self._start()
        return await job.done

    async def create(self, tables: Mapping[str, MetaData], ddl: Mapping[str, Sequence[str]]) -> None:
        self._know(tables)
        if not self._creates:
            return
        try:
            connection = await self._settings.connect(statement_timeout="0", lock_timeout="0")
        except OSError as error:
            raise failure(error) from error
        try:
            async with connection.transaction():
                # Two that start together would both find nothing, and one of them fail at it.
                await connection.execute(f"SELECT pg_advisory_xact_lock({_CREATE})")
                for agent, metadata in tables.items():
                    schema = quoted(_schema(agent))
                    with_conditions(metadata)
                    script = [
                        f"CREATE SCHEMA IF NOT EXISTS {schema}",
                        f"SET LOCAL search_path TO {schema}, {self._settings.search_path}",
                        *creation(metadata, _DIALECT),
                        *ddl.get(agent, ()),
                    ]
                    await connection.execute(";\n".join(script))
        except FAILURES as error:
            raise failure(error) from error
        finally:
            await end(connection)

    async def close(self) -> None:
        """Finish what is queued, then close the connections."""
        self._closing = True
        while self._workers:
            await asyncio.wait(set(self._workers))
        if self._alarm is not None:
            self._alarm.cancel()
        await self._writing.close()
        await self._reading.close()

    def abandon(self) -> None:
        """Drop everything as a killed process would: no drain, no commit. For crash tests and drills."""
        self._closing = True
        if self._alarm is not None:
            self._alarm.cancel()
        for queue in self._queues.values():
            for _, job in queue:
                job.fail(shutting_down())
            queue.clear()
        for worker in self._workers:
            worker.cancel()
        self._writing.abandon()
        self._reading.abandon()

    def _know(self, agents: Iterable[str]) -> None:
        """Have the tables of these agents found by name, on connections to come."""
        for schema in map(_schema, agents):
            if schema not in self._settings.schemas:
                self._settings.schemas.append(schema)
                self._writing.renew()
                self._reading.renew()

    def _role(self, agent: str | None) -> str | None:
        return role_of(agent) if self._roles and agent is not None else None

    # --- who goes when -----------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Set a worker to what waits. One at a time: it takes its group in its first step, when all those that have
        come with the first one are there, and calls this again."""
        if self._starting or len(self._workers) >= self._writers or self._next() is None:
            return
        self._starting = True
        worker = asyncio.get_running_loop().create_task(self._work(), name="postgresql group commit")
        self._workers.add(worker)
        worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._start()

    def _next(self) -> deque[tuple[float, Job]] | None:
        """The queue whose turn it is: it has waited longest, and no group of its agent runs, or has run for long."""
        loop = asyncio.get_running_loop()
        late = loop.time() - PATIENCE
        best: deque[tuple[float, Job]] | None = None
        hindered: float | None = None
        for agent, queue in self._queues.items():
            if not queue:
                continue
            since = queue[0][0]
            if self._running[agent] and since > late:
                hindered = since if hindered is None else min(hindered, since)
            elif best is None or since < best[0][0]:
                best = queue
        if best is None and hindered is not None and len(self._workers) < self._writers and self._alarm is None:
            self._alarm = loop.call_at(hindered + PATIENCE, self._wake)
        return best

    def _wake(self) -> None:
        self._alarm = None
        self._start()

    def _take(self) -> tuple[str | None, list[Job]] | None:
        while (queue := self._next()) is not None:
            agent = next(agent for agent, one in self._queues.items() if one is queue)
            # A waiter that gave up (cancelled) before its turn wants nothing done.
            group: list[Job] = []
            limit = min(self._limit, self._sizes.get(agent, self._limit))
            while queue and len(group) < limit:
                _, job = queue.popleft()
                if not job.done.cancelled():
                    group.append(job)
            if group:
                return agent, group
        return None

    async def _work(self) -> None:
        """Run groups until nothing waits. However it ends, nobody of its group is left waiting."""
        self._starting = False
        while (taken := self._take()) is not None:
            agent, group = taken
            self._running[agent] += 1
            self._start()
            try:
                try:
                    slow = await self._together(agent, group)
                finally:
                    self._running[agent] -= 1
                for job in slow:  # they no longer hold up the agent's next group
                    await self._alone(agent, job)
            except BaseException as error:
                # Cancelled (abandoned), or a bug or an interrupt that came through a handler: no success.
                for job in group:
                    job.fail(shutting_down() if isinstance(error, asyncio.CancelledError) else broken(error))
                raise

    # --- a group -----------------------------------------------------------------------------------------------

    async def _together(self, agent: str | None, group: list[Job]) -> list[Job]:
        """One transaction for all; whose work fails stands aside until the others are through, then has one to itself.
        When others are in the way, each half for itself, and smaller groups for a while: what is short is overtaken less
        often. Returns the slow ones, which are left to be run alone."""
        slow: list[Job] = []
        aside: list[Job] = []
        for _ in range(ROUNDS):
            if len(group) < 2:
                break
            try:
                await self._transact(agent, group)
            except _Undone as undone:
                culprit = undone.job
                if undone.reason in ("lost", "unknown"):
                    self._give_up(group, undone)
                    group = []
                elif undone.reason in ("again", "unique"):
                    self.retries += 1
                    half = len(group) // 2
                    self._sizes[agent] = half
                    await _pause(1)
                    return [
                        *slow,
                        *await self._together(agent, group[:half]),
                        *await self._together(agent, [*group[half:], *aside]),
                    ]
                elif culprit is None:
                    break  # a rule that is checked at the end: whose work broke it is seen when each is alone
                else:
                    first = group[0] is culprit
                    group = [job for job in group if job is not culprit]
                    if undone.reason == "slow":
                        slow.append(culprit)
                    elif first or undone.reason == "late":
                        culprit.fail(undone.error)
                    else:
                        aside.append(culprit)
            else:
                self._grow(agent, len(group))
                group = []
        # What the ones aside raised they may have raised because of what was rolled back with them: it is asked again.
        for job in (*group, *aside):
            await self._alone(agent, job)
        return slow

    def _grow(self, agent: str | None, size: int) -> None:
        """A group as large as allowed has gone through: the next one may be larger."""
        allowed = self._sizes.get(agent)
        if allowed is not None and size >= allowed:
            if allowed >= self._limit:
                del self._sizes[agent]
            else:
                self._sizes[agent] = allowed + 1 + allowed // 8

    async def _alone(self, agent: str | None, job: Job) -> None:
        """One work in a transaction of its own, tried again when others were in the way."""
        stood = False
        for attempt in range(1, TRIES + 1):
            try:
                await self._transact(agent, [job])
            except _Undone as undone:
                if undone.reason in ("lost", "unknown"):
                    self._give_up([job], undone)
                    return
                # A row that stands already may have been written since this transaction began: once more it is seen.
                again = undone.reason == "again" or (undone.reason == "unique" and not stood)
                if not again or attempt == TRIES:
                    job.fail(undone.error)
                    return
                stood = stood or undone.reason == "unique"
                self.retries += 1
                await _pause(attempt)
            else:
                self._grow(agent, 1)
                return

    def _give_up(self, group: Sequence[Job], undone: _Undone) -> None:
        """Nothing can be done now. When the database is away, for nobody: those that wait are told so as well."""
        for job in group:
            job.fail(undone.error)
        if undone.reason == "lost" and not self._writing.open:
            for queue in self._queues.values():
                for _, job in queue:
                    job.fail(undone.error)
                queue.clear()

    async def _transact(self, agent: str | None, group: Sequence[Job]) -> None:
        """All works in one transaction. Raises _Undone."""
        link = await self._begin(agent, company=len(group) > 1)
        connection = link.connection
        try:
            await self._fill(connection, group)
            try:
                said = await connection.execute("COMMIT")
            except FAILURES as error:
                if not isinstance(error, asyncpg.PostgresError) or connection.is_closed():
                    raise _Undone("unknown", _in_doubt(error)) from error
                # A rule that is checked at the end.
                reason = _reason(error, connection, company=len(group) > 1)
                raise _Undone(reason, failure(error)) from error
            if said != "COMMIT":
                lost = TemporaryError(
                    "a statement has failed and its handler went on: nothing was changed", code="database"
                )
                raise _Undone("database", lost)
        except _Undone as undone:
            await self._undo(link, gone=undone.reason in ("lost", "unknown"))
            raise
        except BaseException:
            self._writing.drop(link)
            raise
        self._writing.give_back(link)
        self.commits += 1
        self.works += len(group)
        for job in group:
            job.finish()
        self._listeners.tell(
            [event for job in group for event in job.events], [at for job in group for _, at in job.timers]
        )

    async def _begin(self, agent: str | None, *, company: bool) -> Link:
        """A connection with an open transaction of the agent's rights, in one round trip."""
        role = self._role(agent)
        statement = _BEGIN_GROUP if company else _BEGIN
        if role is not None:
            statement = f"{statement}; SET LOCAL ROLE {quoted(role)}"
        fresh = False
        while True:
            try:
                async with asyncio.timeout(self._settings.connect_timeout):
                    link, used = await self._writing.take(fresh=fresh)
            except OSError as error:
                raise _Undone("lost", failure(error)) from error
            try:
                await link.connection.execute(statement)
            except FAILURES as error:
                if not link.connection.is_closed() and isinstance(error, asyncpg.PostgresError):
                    await self._undo(link, gone=False)
                    refused = TemporaryError(f"the database refuses a transaction of {role}: {error}", code="database")
                    raise _Undone("database", refused) from error
                stale = used and link.connection.is_closed()
                self._writing.drop(link)
                if not stale:
                    raise _Undone("lost", failure(error)) from error
                fresh = True  # the server has been away meanwhile
            except BaseException:
                self._writing.drop(link)
                raise
            else:
                return link

    async def _undo(self, link: Link, *, gone: bool) -> None:
        if not gone and not link.connection.is_closed():
            try:
                await link.connection.execute("ROLLBACK", timeout=_UNDO)
            except FAILURES:
                pass  # cutting the connection rolls back too
            except BaseException:
                self._writing.drop(link)
                raise
            else:
                self._writing.give_back(link)
                return
        self._writing.drop(link)

    async def _fill(self, connection: Driver, group: Sequence[Job]) -> None:
        company = len(group) > 1
        claimed = await self._claim(connection, group)
        events: list[Sequence[Any]] = []
        timers: list[Sequence[Any]] = []
        for job in group:
            await self._run_job(connection, job, claimed, events, timers, company=company)
        if events:
            new = await self._insert(self._outbox, connection, events, company=company)
            for job in group:
                job.events = [event for event in job.events if _taken(new, (event.source, event.id))]
        if timers:
            await self._insert(self._timers, connection, timers, company=company)

    async def _claim(self, connection: Driver, group: Sequence[Job]) -> set[tuple[Any, ...]]:
        """Insert the inbox rows that the works ask for. Returns the keys of those that are new.

        In the order of their keys: two groups that want the same rows wait for each other, but not in a circle."""
        asked: dict[Bulk, list[Sequence[Any]]] = {}
        for job in group:
            if job.claim is not None:
                bulk = self._bulk(tables.inbox, tuple(job.claim))
                try:
                    asked.setdefault(bulk, []).append(bulk.processed(job.claim))
                except ValueError as error:
                    raise _Undone("work", error, job) from error
        new: set[tuple[Any, ...]] = set()
        for bulk, rows in asked.items():
            new |= await self._insert(bulk, connection, sorted(rows, key=bulk.order), company=len(group) > 1)
        return new

    async def _insert(
        self, bulk: Bulk, connection: Driver, rows: Sequence[Sequence[Any]], *, company: bool
    ) -> set[tuple[Any, ...]]:
        try:
            return await bulk.insert(connection, rows)
        except FAILURES as error:
            raise _Undone(_reason(error, connection, company=company), failure(error)) from error

    async def _run_job(
        self,
        connection: Driver,
        job: Job,
        claimed: set[tuple[Any, ...]],
        events: list[Sequence[Any]],
        timers: list[Sequence[Any]],
        *,
        company: bool,
    ) -> None:
        """One work; what it sends is added to `events` and `timers`. Raises _Undone."""
        session = PostgresSession(connection, _STATEMENTS)
        unit = Unit(session, claimed=job.claim is None or _taken(claimed, _key(job.claim)))
        limit = min(SLOW, job.timeout) if company else job.timeout
        error: BaseException | None = None
        clock = asyncio.timeout(limit)
        try:
            async with clock:
                job.result = await job.work(unit)
            events += [self._outbox.processed(self._row(event)) for event in unit.events]
            timers += [self._timers.processed(journal.timer_row(event, at)) for event, at in unit.timers]
        except asyncio.CancelledError as cancelled:
            error = was_cancelled(cancelled)
        except Exception as raised:  # noqa: BLE001  # whatever a handler raises is its own: handed to its caller
            error = raised
        finally:
            session.end()
        if clock.expired() and error is not None:
            raise _Undone("late" if limit == job.timeout else "slow", error, job) from error
        if session.failed is not None:
            error = error or failure(session.failed)
            raise _Undone(_reason(session.failed, connection, company=company), error, job) from session.failed
        if error is not None:
            raise _Undone("work", error, job) from error
        job.events, job.timers = unit.events, unit.timers

    def _row(self, event: Envelope) -> dict[str, Any]:
        return journal.row_of(event, published=not self._listeners.heard(event))

    def _bulk(self, table: Table, columns: tuple[str, ...]) -> Bulk:
        bulk = self._bulks.get((table.name, columns))
        if bulk is None:
            bulk = self._bulks[table.name, columns] = Bulk(table, columns, _KEYS[table.name], _DIALECT)
        return bulk


def _reason(error: BaseException, connection: Driver, *, company: bool) -> Reason:
    if company and waited(error):
        return "again"
    match why(error):
        case "again":
            return "again"
        case "unique":
            return "unique"
        case "database":
            return "lost" if connection.is_closed() or not isinstance(error, asyncpg.PostgresError) else "database"
        case "rule" | "bug":
            return "work"


def _key(claim: Row) -> tuple[Any, ...]:
    return claim["consumer"], claim["source"], claim["id"]


def _taken(keys: set[tuple[Any, ...]], key: tuple[Any, ...]) -> bool:
    """Whether it is among them; the next one who asks for the same is told no."""
    if key in keys:
        keys.remove(key)
        return True
    return False


async def _pause(attempt: int) -> None:
    """Long enough for the other transaction to end, and not the same for both."""
    await asyncio.sleep(random.uniform(0.001, 0.008) * 2**attempt)


def _in_doubt(error: BaseException) -> TemporaryError:
    said = "it does not answer" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return TemporaryError(
        f"the database went away during the commit ({said}): whether it took the change is not known; try again, what is "
        "done already is not done twice",
        code="database",
    )


def _schema(agent: str) -> str:
    return agent.replace("-", "_")


__all__ = ["PostgresStore"]
