"""Which schema a database has and which one this program needs: cheap to ask, at every start, without Alembic.

Every agent has a history of revisions of its own (a branch), and so has the kernel: files `0001_words.py`, `0002_words.py` …
in its folder `migrations`, whose revisions are named `<agent>_0001` and so on. A database keeps, in a table
`<agent>_revision` beside the agent's tables, which one it has. So agents that are deployed apart are migrated apart.
`adapters.db.migrations` runs the revisions.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import structlog
from sqlalchemy import Dialect, MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

import agent_store.kernel.tables
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import DatabaseKind
from agent_store.kernel.errors import Conflict, Forbidden

if TYPE_CHECKING:
    import asyncpg

_log = structlog.get_logger("agent_store.schema")

KERNEL = "kernel"
Say = Callable[[str], None]
State = Literal["absent", "unmarked", "behind", "current", "ahead"]

_FILE = re.compile(r"(\d{4})_\w+\.py")


@dataclass(frozen=True, slots=True)
class Branch:
    """The tables of one agent, or of the kernel, and the revisions that lead to them, oldest first."""

    name: str
    tables: MetaData
    ddl: Mapping[DatabaseKind, Sequence[str]]
    folder: Path
    revisions: tuple[str, ...] = field(default=())

    @property
    def head(self) -> str:
        return self.revisions[-1]

    @property
    def schema(self) -> str:
        """Its schema on PostgreSQL, and what its revisions and tables begin with."""
        return self.name.replace("-", "_")

    @property
    def version_table(self) -> str:
        return f"{self.schema}_revision"


def branches(agents: Iterable[Agent]) -> list[Branch]:
    """The kernel's, then one for each of these agents that has tables and revisions."""
    kernel = Path(agent_store.kernel.tables.__file__).parent / "migrations"
    found = {KERNEL: _branch(KERNEL, agent_store.kernel.tables.metadata, {}, kernel)}
    for agent in agents:
        if agent.tables is not None and agent.name not in found and agent.migrations.is_dir():
            found[agent.name] = _branch(agent.name, agent.tables, agent.ddl, agent.migrations)
    return [branch for branch in found.values() if branch.revisions]


def _branch(name: str, tables: MetaData, ddl: Mapping[DatabaseKind, Sequence[str]], folder: Path) -> Branch:
    numbers = sorted(match[1] for path in folder.iterdir() if (match := _FILE.fullmatch(path.name)))
    key = name.replace("-", "_")
    return Branch(name, tables, ddl, folder, tuple(f"{key}_{number}" for number in numbers))


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a database is with one branch. `found` is its revision there, None when there is none."""

    branch: Branch
    found: str | None
    tables: bool
    """Whether any table of the branch is there."""

    @property
    def state(self) -> State:
        """`unmarked`: tables without a revision, as made before there were migrations; `ahead`: by a newer program."""
        if self.found is None:
            return "unmarked" if self.tables else "absent"
        if self.found == self.branch.head:
            return "current"
        return "behind" if self.found in self.branch.revisions else "ahead"

    def __str__(self) -> str:
        name, head = self.branch.name, self.branch.head
        match self.state:
            case "absent":
                return f"{name} has no tables, this program needs {head}"
            case "unmarked":
                return f"{name} has tables without a revision, this program needs {head}"
            case "behind":
                return f"{name} is at {self.found}, this program needs {head}"
            case "ahead":
                return f"{name} is at {self.found}, this program knows {head}"
            case "current":
                return f"{name} is at {self.found}"


def _standings(found: Sequence[Branch], tables: set[tuple[str, str]], read: Mapping[str, str | None]) -> list[Standing]:
    return [
        Standing(branch, read.get(branch.name), any((branch.schema, name) in tables for name in branch.tables.tables))
        for branch in found
    ]


# --- SQLite ----------------------------------------------------------------------------------------------------------


def standings_of_sqlite(connection: sqlite3.Connection, found: Sequence[Branch]) -> list[Standing]:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    read: dict[str, str | None] = {}
    for branch in found:
        if branch.version_table in names:
            row = connection.execute(f"SELECT version_num FROM {branch.version_table}").fetchone()  # noqa: S608
            read[branch.name] = row[0] if row else None
    return _standings(found, {(branch.schema, name) for branch in found for name in names}, read)


_creations: WeakKeyDictionary[MetaData, dict[str, tuple[str, ...]]] = WeakKeyDictionary()


def creation(metadata: MetaData, dialect: Dialect) -> tuple[str, ...]:
    """The statements that create these tables and indexes where they are missing; composed once for each dialect."""
    known = _creations.setdefault(metadata, {})
    if dialect.name not in known:
        known[dialect.name] = tuple(_creation(metadata, dialect))
    return known[dialect.name]


def _creation(metadata: MetaData, dialect: Dialect) -> Iterator[str]:
    for table in metadata.sorted_tables:
        yield str(CreateTable(table, if_not_exists=True).compile(dialect=dialect))
        for index in table.indexes:
            yield str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect))


def _create(connection: sqlite3.Connection, missing: Sequence[Branch]) -> None:
    """At head at once: a test sees to it that the revisions end at the same tables."""
    dialect = sqlite.dialect()
    connection.execute("BEGIN IMMEDIATE")
    for branch in missing:
        for statement in (*creation(branch.tables, dialect), *branch.ddl.get("sqlite", ())):
            connection.execute(statement)
        version = branch.version_table
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {version} "
            f"(version_num VARCHAR(32) NOT NULL, CONSTRAINT {version}_pkc PRIMARY KEY (version_num))"
        )
        connection.execute(f"INSERT INTO {version} VALUES (?)", (branch.head,))  # noqa: S608  # a branch's name
    connection.execute("COMMIT")


def prepare_sqlite(path: Path, agents: Iterable[Agent], *, say: Say = lambda line: None) -> None:
    """Bring a store's file to this program's schema, before anything works on it.

    A file without an agent's tables gets them as they are now. An older file is copied to `<file>.before-<revision>` and
    migrated; so is one from before there were migrations. Raises Conflict when a newer program has written it, and what
    `migrations.migrate_sqlite` raises.
    """
    found = branches(agents)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA busy_timeout = 5000")
        standings = standings_of_sqlite(connection, found)
        refuse_newer(standings, str(path))
        if all(standing.state == "current" for standing in standings):
            return
        with alone_with(path):
            _bring_up(connection, path, standings_of_sqlite(connection, found), say)


def _bring_up(connection: sqlite3.Connection, path: Path, standings: Sequence[Standing], say: Say) -> None:
    if old := [standing for standing in standings if standing.state in ("behind", "unmarked")]:
        from agent_store.adapters.db import migrations

        say(f"{path.name} is of an older release; it stands as it was in {copy_before(path, old).name}")
        migrations.migrate_sqlite(path, [standing.branch for standing in old], say=say)
    if missing := [standing.branch for standing in standings if standing.state == "absent"]:
        _create(connection, missing)


@contextlib.contextmanager
def alone_with(path: Path) -> Generator[None]:
    """Wait until no other process changes the tables of this file."""
    with path.with_name(f"{path.name}.migrating").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def copy_before(path: Path, standings: Sequence[Standing]) -> Path:
    """Copy the file beside itself, as `<file>.before-<the first revision that it lacks>`."""
    lacking = [lack for standing in standings if (lack := _first_missing(standing))]
    copy = path.with_name(f"{path.name}.before-{lacking[0] if lacking else 'down'}")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        copy_sqlite(connection, copy)
    return copy


def _first_missing(standing: Standing) -> str | None:
    """A file without a revision is as the first one leaves it."""
    if standing.state not in ("behind", "unmarked"):
        return None
    revisions = standing.branch.revisions
    at = revisions.index(standing.found) if standing.found else 0
    return revisions[min(at + 1, len(revisions) - 1)]


def refuse_newer(standings: Iterable[Standing], name: str) -> None:
    """Raise Conflict when a newer program has written any of it: this one would not know what it may write."""
    if newer := [standing for standing in standings if standing.state == "ahead"]:
        raise Conflict(
            f"{name} was written by a newer Agent Store ({'; '.join(map(str, newer))}): run that one, or start with a "
            "copy from before",
            code="schema-newer",
        )


def copy_sqlite(connection: sqlite3.Connection, target: Path) -> None:
    """A consistent copy, also of a file that is being written; `target` appears when it is whole."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(part)) as copy:
        connection.backup(copy)
        # The copy of a WAL file is one too: this makes it a single file that needs no neighbours.
        copy.execute("PRAGMA journal_mode = DELETE")
    part.replace(target)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def quoted(name: str) -> str:
    """As an identifier in a statement (an agent may be called what SQL has for a word)."""
    return '"' + name.replace('"', '""') + '"'


async def standings_of_postgres(connection: asyncpg.Connection[Any], found: Sequence[Branch]) -> list[Standing]:
    """Tables stand in a schema that is named as their agent. Needs the right to read each `<agent>_revision`."""
    rows = await connection.fetch(
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p')",
        [branch.schema for branch in found],
    )
    tables: set[tuple[str, str]] = {(row["schema"], row["name"]) for row in rows}
    selects = [
        f"SELECT '{branch.name}' AS name, version_num FROM {quoted(branch.schema)}.{branch.version_table}"  # noqa: S608
        for branch in found
        if (branch.schema, branch.version_table) in tables
    ]
    read: dict[str, str | None] = {}
    if selects:
        read = {row["name"]: row["version_num"] for row in await connection.fetch(" UNION ALL ".join(selects))}
    return _standings(found, tables, read)


async def check_postgres(connection: asyncpg.Connection[Any], agents: Iterable[Agent]) -> None:
    """For the start of a process: raises Conflict when the database is behind what these agents need, Forbidden when
    this login may not see it.

    A database that is ahead is taken (with a warning): while a release is rolled out the old processes go on, and
    revisions leave what the release before them uses (docs/operations.md).
    """
    from asyncpg import InsufficientPrivilegeError

    try:
        standings = await standings_of_postgres(connection, branches(agents))
    except InsufficientPrivilegeError as error:
        raise Forbidden(
            f"this login has no rights to its agents' tables ({error}): see `agent-store roles --login`"
        ) from error
    refuse_older(standings)
    for standing in standings:
        if standing.state == "ahead":
            _log.warning("schema.ahead", agent=standing.branch.name, found=standing.found, known=standing.branch.head)


def refuse_older(standings: Iterable[Standing]) -> None:
    """Raise Conflict "schema-behind" that names what is behind, and says what to do."""
    if behind := [standing for standing in standings if standing.state in ("absent", "unmarked", "behind")]:
        raise Conflict(
            f"the database is behind: {'; '.join(map(str, behind))}. Run `agent-store migrate` first",
            code="schema-behind",
        )


__all__ = [
    "KERNEL", "Branch", "Say", "Standing", "alone_with", "branches", "check_postgres", "copy_before", "copy_sqlite",
    "creation", "prepare_sqlite", "quoted", "refuse_newer", "refuse_older", "standings_of_postgres", "standings_of_sqlite",
]  # fmt: skip
