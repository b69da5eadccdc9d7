"""Revisions on both databases: from nothing to the head and back, no drift from the tables, old files, two at once."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import SetColumnComment

from agent_store.adapters.db import migrations, schema
from agent_store.adapters.db.postgres import PostgresStore
from agent_store.adapters.db.schema import Branch
from agent_store.entrypoints.database import agents_named
from agent_store.entrypoints.programs import Postgres
from agent_store.kernel.agent import Agent
from agent_store.kernel.errors import Conflict, InvalidInput, PermanentError, TemporaryError
from tests.support.embedded import RunningStore
from tests.support.schemas import Shape, shape_of_postgres, shape_of_sqlite

AGENTS = agents_named([])
BRANCHES = schema.branches(AGENTS)
SCHEMAS = [branch.schema for branch in BRANCHES]
RELEASE_0_1 = Path(__file__).parents[1] / "fixtures" / "schema_0.1.sql"


def created(path: Path) -> Shape:
    """The shape of a file that a store makes from today's tables."""
    schema.prepare_sqlite(path, AGENTS)
    return shape_of_sqlite(path)


def of_release_0_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(RELEASE_0_1.read_text())


def marks(path: Path) -> dict[str, str | None]:
    with closing(sqlite3.connect(path)) as connection:
        return {each.branch.name: each.found for each in schema.standings_of_sqlite(connection, BRANCHES)}


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def created_on_postgres(url: str) -> Shape:
    """The shape of a database whose tables a store makes from today's (comments are for people: migrations bring them)."""
    store = PostgresStore(url)
    await store.create(
        {branch.name: branch.tables for branch in BRANCHES},
        {branch.name: branch.ddl.get("postgresql", ()) for branch in BRANCHES},
    )
    await store.close()
    async with connected(url) as connection:
        for branch in BRANCHES:
            for table in branch.tables.tables.values():
                for column in table.columns:
                    if column.comment:
                        comment = SetColumnComment(column).compile(dialect=postgresql.dialect())
                        await connection.execute(f"SET search_path = {branch.schema}; {comment}")
    return await shape_of_postgres(url, SCHEMAS)


def drift(connection: Connection, branch: Branch) -> list[Any]:
    """What Alembic would still do to get from the database to the tables of today."""
    further = " ".join(branch.ddl.get("sqlite", ()) + branch.ddl.get("postgresql", ()))  # type: ignore[operator]

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        if kind != "table" or name is None:
            return True
        extra = name not in branch.tables.tables and (name in further or name.startswith("catalog_index_"))
        return name.startswith(f"{branch.schema}_") and name != branch.version_table and not extra

    options = {"include_name": ours, "compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), branch.tables)


class Guests:
    """An agent from elsewhere, whose revisions stand in a folder of its own."""

    FIRST = "op.create_table('guests_book', sa.Column('name', sa.String, primary_key=True))"

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "migrations"
        self.folder.mkdir()
        self.tables = MetaData()
        Table("guests_book", self.tables, Column("name", String, primary_key=True))
        self.revision(self.FIRST, "op.drop_table('guests_book')")

    def revision(self, up: str, down: str = "pass") -> None:
        number = len(list(self.folder.glob("*.py"))) + 1
        (self.folder / f"{number:04}_step.py").write_text(
            f'"""Step {number}."""\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = "guests_{number:04}"\n'
            f"down_revision = {f'guests_{number - 1:04}' if number > 1 else None!r}\n"
            f"branch_labels = {('guests',) if number == 1 else None!r}\n\n"
            f"def upgrade():\n    {up}\n\ndef downgrade():\n    {down}\n"
        )

    @property
    def agent(self) -> Agent:
        return Agent("guests", tables=self.tables, migrations=self.folder)

    @property
    def branch(self) -> Branch:
        return schema.branches([self.agent])[-1]


@pytest.fixture
def other_url(postgres: Postgres) -> Generator[str]:
    """A second empty database."""
    name = f"other_{os.getpid()}"

    async def run(statement: str) -> None:
        async with connected(postgres.url) as connection:
            await connection.execute(statement)

    asyncio.run(run(f"CREATE DATABASE {name} TEMPLATE template0"))
    yield postgres.url_of(name)
    asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def guests(tmp_path: Path) -> Guests:
    return Guests(tmp_path)


# --- the revisions themselves ----------------------------------------------------------------------------------------


def test_every_agent_with_tables_has_revisions_beside_it() -> None:
    assert {branch.name for branch in BRANCHES} == {
        "kernel", *(agent.name for agent in AGENTS if agent.tables is not None)
    }  # fmt: skip


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
def test_a_history_is_one_line_and_its_head_is_known_by_the_names_of_its_files(branch: Branch) -> None:
    script = ScriptDirectory(str(branch.folder), version_locations=[str(branch.folder)])
    assert script.get_heads() == [branch.head]
    assert [step.revision for step in reversed(list(script.walk_revisions()))] == list(branch.revisions)
    assert all(step.doc for step in script.walk_revisions())
    assert script.get_revision(branch.revisions[0]).branch_labels == {branch.name}


# --- SQLite ----------------------------------------------------------------------------------------------------------


def test_sqlite_goes_from_nothing_to_the_head_and_back_and_up_again(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    migrations.migrate_sqlite(path, BRANCHES)
    full = shape_of_sqlite(path)
    assert full == created(tmp_path / "created.sqlite3")
    migrations.migrate_sqlite(path, BRANCHES, to="base")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    migrations.migrate_sqlite(path, BRANCHES)
    assert shape_of_sqlite(path) == full


def test_every_step_on_sqlite_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    for branch in BRANCHES:
        for revision in branch.revisions:
            before = shape_of_sqlite(path)
            migrations.migrate_sqlite(path, BRANCHES, to=revision)
            after = shape_of_sqlite(path)
            earlier = branch.revisions.index(revision) - 1
            if earlier >= 0:
                migrations.migrate_sqlite(path, BRANCHES, to=branch.revisions[earlier])
            else:
                migrations.migrate_sqlite(path, [branch], to="base")
            assert shape_of_sqlite(path) == before, revision
            migrations.migrate_sqlite(path, BRANCHES, to=revision)
            assert shape_of_sqlite(path) == after, revision


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
def test_the_revisions_lead_to_the_tables_of_today_on_sqlite(branch: Branch, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    migrations.migrate_sqlite(path, [branch])
    with migrations.sqlite_connection(path) as connection:
        assert drift(connection, branch) == []


def test_the_journal_of_the_mock_provider_comes_over_from_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    migrations.migrate_sqlite(path, BRANCHES, to="payments_0001")
    with closing(sqlite3.connect(tmp_path / "payments.sqlite3", isolation_level=None)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.execute(
            "CREATE TABLE movements (key TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL,"
            " amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, failure TEXT, reference TEXT NOT NULL UNIQUE,"
            " at INTEGER NOT NULL, asked INTEGER NOT NULL DEFAULT 1) STRICT"
        )
        rows = [
            ("k1", "charge", "4242", 5_000, "BRL", None, "r1", 1_700_000_000_000_000, 2),
            ("k2", "charge", "1111", 5_000, "BRL", "insufficient_funds", "r2", 1_700_000_000_000_001, 1),
            ("k3", "refund", "r1", 5_000, "BRL", None, "r3", 1_700_000_000_000_002, 1),
        ]
        old.executemany("INSERT INTO movements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        migrations.migrate_sqlite(path, BRANCHES, to="payments_0002")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM payments_provider_movements ORDER BY at").fetchall() == rows


def test_the_statements_as_text_do_the_same_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    migrations.migrate_sqlite(path, BRANCHES, to="kernel_0001")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(migrations.sql("sqlite", schema.standings_of_sqlite(connection, BRANCHES)))
    assert shape_of_sqlite(path) == created(tmp_path / "created.sqlite3")
    with closing(sqlite3.connect(path)) as connection:
        standings = schema.standings_of_sqlite(connection, BRANCHES)
        connection.executescript(migrations.sql("sqlite", standings, to="base"))
    assert shape_of_sqlite(path) == {}


# --- the embedded store's file ---------------------------------------------------------------------------------------


def test_an_up_to_date_file_is_known_without_loading_alembic(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    script = (
        "import sys; from pathlib import Path\n"
        "from agent_store.adapters.db import schema; from agent_store.entrypoints.database import agents_named\n"
        "for _ in range(2): schema.prepare_sqlite(Path(sys.argv[1]), agents_named([]))\n"
        "assert 'alembic' not in sys.modules and 'asyncpg' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert marks(path) == {branch.name: branch.head for branch in BRANCHES}


def test_the_first_revisions_are_the_tables_of_release_0_1(tmp_path: Path) -> None:
    of_release_0_1(tmp_path / "old.sqlite3")
    for branch in BRANCHES:
        migrations.migrate_sqlite(tmp_path / "first.sqlite3", BRANCHES, to=branch.revisions[0])
    assert shape_of_sqlite(tmp_path / "first.sqlite3") == shape_of_sqlite(tmp_path / "old.sqlite3")


async def test_a_store_starts_on_a_file_of_release_0_1_with_its_data_and_leaves_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    of_release_0_1(path)
    at = time.time_ns() // 1000  # what is old would be cleared away
    event = ("orders", "/agent-store/cart", "e1", "store.order.paid")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO kernel_order VALUES ('orders', 'store.order.paid', 'o1', 7, ?)", (at,))
        connection.execute(
            "INSERT INTO kernel_dead (consumer, source, id, type, reason, attempts, error, body, at) "
            "VALUES (?, ?, ?, ?, 'permanent', 1, 'no', '{}', ?)",
            (*event, at),
        )
        connection.execute(
            "INSERT INTO kernel_inbox VALUES (?, ?, ?, ?, 'dead', 1, ?, NULL, NULL, 'no', NULL)", (*event, at)
        )
        connection.execute("INSERT INTO cart_carts VALUES ('customer-1', 3, ?)", (at,))
        connection.commit()
    async with RunningStore(data=tmp_path, sample_data=False) as running:
        assert [row["error"] for row in await running.store.runtime.dead()] == ["no"]
    assert marks(path) == {branch.name: branch.head for branch in BRANCHES}
    assert shape_of_sqlite(path) == created(tmp_path / "created.sqlite3")
    with closing(sqlite3.connect(path)) as connection:
        order = "SELECT consumer, type, subject, last, taken, at FROM kernel_order"
        assert connection.execute(order).fetchall() == [("orders", "store.order.paid", "o1", 7, 7, at)]
        dead = "SELECT consumer, id, error, auto, dropped_at, by FROM kernel_dead"
        assert connection.execute(dead).fetchall() == [("orders", "e1", "no", 0, None, None)]
        inbox = "SELECT state, owner FROM kernel_inbox WHERE id = 'e1'"
        assert connection.execute(inbox).fetchall() == [("dead", None)]
        assert connection.execute("SELECT customer_id, version FROM cart_carts").fetchall() == [("customer-1", 3)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    copy = tmp_path / "store.sqlite3.before-kernel_0002"
    assert set(marks(copy).values()) == {None}
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT last FROM kernel_order").fetchall() == [(7,)]


def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    schema.prepare_sqlite(path, AGENTS)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE orders_revision SET version_num = 'orders_0099'")
        connection.commit()
    before = path.read_bytes()
    for run in (lambda: schema.prepare_sqlite(path, AGENTS), lambda: migrations.migrate_sqlite(path, BRANCHES)):
        with pytest.raises(Conflict, match=r"newer Agent Store .orders is at orders_0099, this program knows orders_"):
            run()
    assert path.read_bytes() == before


def test_an_agent_that_is_new_in_this_release_gets_its_tables_in_an_old_file(tmp_path: Path, guests: Guests) -> None:
    path = tmp_path / "store.sqlite3"
    schema.prepare_sqlite(path, AGENTS)
    schema.prepare_sqlite(path, [*AGENTS, guests.agent])
    assert "guests_book" in shape_of_sqlite(path)
    assert not list(tmp_path.glob("*.before-*"))


def test_processes_that_start_at_once_on_a_file_make_its_tables_once(tmp_path: Path) -> None:
    for old in (False, True):
        path = tmp_path / f"store-{old}.sqlite3"
        if old:
            of_release_0_1(path)
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(schema.prepare_sqlite, path, AGENTS) for _ in range(4)]:
                done.result()
        assert marks(path) == {branch.name: branch.head for branch in BRANCHES}
        assert shape_of_sqlite(path) == created(tmp_path / "created.sqlite3")


def test_a_revision_that_fails_leaves_nothing_of_itself_and_is_run_again(tmp_path: Path, guests: Guests) -> None:
    path = tmp_path / "store.sqlite3"
    schema.prepare_sqlite(path, [guests.agent])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO guests_book VALUES ('Ana')")
        connection.commit()
    before = shape_of_sqlite(path)
    guests.revision("op.add_column('guests_book', sa.Column('table_no', sa.Integer)); op.execute('NONSENSE')")
    with pytest.raises(PermanentError, match=r"could not be migrated .*NONSENSE"):
        schema.prepare_sqlite(path, [guests.agent])
    assert shape_of_sqlite(path) == before
    (guests.folder / "0002_step.py").unlink()
    guests.revision("op.add_column('guests_book', sa.Column('table_no', sa.Integer))")
    schema.prepare_sqlite(path, [guests.agent])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name, table_no FROM guests_book").fetchall() == [("Ana", None)]


def test_a_revision_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no revision orders_0099: head, base, or one of kernel_0001"):
        migrations.migrate_sqlite(tmp_path / "store.sqlite3", BRANCHES, to="orders_0099")


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


async def test_postgres_goes_from_nothing_to_the_head_and_back_and_up_again(postgres_url: str, other_url: str) -> None:
    lines: list[str] = []
    await migrations.migrate_postgres(postgres_url, BRANCHES, say=lines.append)
    assert len(lines) == sum(len(branch.revisions) for branch in BRANCHES)
    full = await shape_of_postgres(postgres_url, SCHEMAS)
    assert full == await created_on_postgres(other_url)
    await migrations.migrate_postgres(postgres_url, BRANCHES, to="base")
    empty = await shape_of_postgres(postgres_url, SCHEMAS)
    assert {part: found for part, found in empty.items() if found} == {"extensions": [("extension", "plpgsql")]}
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    assert await shape_of_postgres(postgres_url, SCHEMAS) == full


async def test_every_step_on_postgres_can_be_taken_back(postgres_url: str) -> None:
    async def shape() -> Shape:
        return await shape_of_postgres(postgres_url, SCHEMAS)

    for branch in BRANCHES:
        for place, revision in enumerate(branch.revisions):
            before = await shape()
            await migrations.migrate_postgres(postgres_url, BRANCHES, to=revision)
            after = await shape()
            if place:
                await migrations.migrate_postgres(postgres_url, BRANCHES, to=branch.revisions[place - 1])
            else:
                await migrations.migrate_postgres(postgres_url, [branch], to="base")
            assert await shape() == before, revision
            await migrations.migrate_postgres(postgres_url, BRANCHES, to=revision)
            assert await shape() == after, revision


async def test_the_revisions_lead_to_the_tables_of_today_on_postgres(postgres_url: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)

    def look(connection: Connection, branch: Branch) -> list[Any]:
        migrations.enter(connection, branch.schema)
        return drift(connection, branch)

    async with migrations.postgres_connection(postgres_url) as connection:
        for branch in BRANCHES:
            assert await connection.run_sync(look, branch) == [], branch.name


async def test_the_statements_as_text_do_the_same_on_postgres(postgres_url: str, other_url: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    async with connected(other_url) as connection:
        await connection.execute(migrations.sql("postgresql", migrations.as_absent(BRANCHES)))
    assert await shape_of_postgres(other_url, SCHEMAS) == await shape_of_postgres(postgres_url, SCHEMAS)
    async with connected(other_url) as connection:
        await schema.check_postgres(connection, AGENTS)
        standings = await schema.standings_of_postgres(connection, BRANCHES)
        assert migrations.sql("postgresql", standings) == ""
        await connection.execute(migrations.sql("postgresql", standings, to="base"))
        assert {each.state for each in await schema.standings_of_postgres(connection, BRANCHES)} == {"absent"}


async def test_two_at_once_are_harmless(postgres_url: str) -> None:
    lines: tuple[list[str], list[str]] = ([], [])
    await asyncio.gather(*(migrations.migrate_postgres(postgres_url, BRANCHES, say=told.append) for told in lines))
    steps = [line for told in lines for line in told if "→" in line]
    assert len(steps) == len(set(steps)) == sum(len(branch.revisions) for branch in BRANCHES)
    assert "another migration is running: waiting for its end" in lines[0] + lines[1]
    async with connected(postgres_url) as connection:
        await schema.check_postgres(connection, AGENTS)


async def test_a_run_that_does_not_end_is_not_waited_for_without_end(postgres_url: str) -> None:
    async with connected(postgres_url) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", migrations.LOCK)
        with pytest.raises(TemporaryError, match="another migration has been running"):
            await migrations.migrate_postgres(postgres_url, BRANCHES, patience=timedelta(milliseconds=300))


async def test_a_table_that_is_in_use_is_waited_for_in_short_turns(postgres_url: str, guests: Guests) -> None:
    await migrations.migrate_postgres(postgres_url, [guests.branch])
    guests.revision("op.add_column('guests_book', sa.Column('table_no', sa.Integer))")
    waiting = asyncio.Event()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        waiting.set()

    async with connected(postgres_url) as busy, connected(postgres_url) as reader:
        transaction = busy.transaction()
        await transaction.start()
        await busy.execute("LOCK TABLE guests.guests_book IN ACCESS SHARE MODE")
        short = timedelta(milliseconds=100)
        running = asyncio.create_task(
            migrations.migrate_postgres(postgres_url, [guests.branch], say=say, lock_timeout=short)
        )
        await waiting.wait()
        assert lines == ["guests: waiting for a lock (1 of 5)"]
        # Nobody who reads stands behind the migration meanwhile.
        await reader.fetch("SELECT * FROM guests.guests_book", timeout=5)
        await transaction.rollback()
        await running
    assert lines[-1] == "guests: guests_0001 → guests_0002 (Step 2)"


async def test_a_table_that_is_never_free_ends_the_run_with_a_sentence(postgres_url: str, guests: Guests) -> None:
    await migrations.migrate_postgres(postgres_url, [guests.branch])
    guests.revision("op.add_column('guests_book', sa.Column('table_no', sa.Integer))")
    async with connected(postgres_url) as busy:
        transaction = busy.transaction()
        await transaction.start()
        await busy.execute("LOCK TABLE guests.guests_book IN ACCESS SHARE MODE")
        with pytest.raises(TemporaryError, match="guests: somebody holds its tables"):
            await migrations.migrate_postgres(
                postgres_url, [guests.branch], lock_timeout=timedelta(milliseconds=20), pause=timedelta(0)
            )
        await transaction.rollback()
    async with connected(postgres_url) as connection:
        (standing,) = await schema.standings_of_postgres(connection, [guests.branch])
    assert standing.found == "guests_0001"


async def test_a_process_is_refused_by_a_database_that_is_behind_and_taken_by_one_ahead(
    postgres_url: str, guests: Guests
) -> None:
    async with connected(postgres_url) as connection:
        with pytest.raises(Conflict, match=r"kernel has no tables.* Run `agent-store migrate` first"):
            await schema.check_postgres(connection, [guests.agent])
        await migrations.migrate_postgres(postgres_url, schema.branches([guests.agent]))
        await schema.check_postgres(connection, [guests.agent])
        old = guests.agent
        guests.revision("op.add_column('guests_book', sa.Column('table_no', sa.Integer))")
        with pytest.raises(Conflict, match="guests is at guests_0001, this program needs guests_0002"):
            await schema.check_postgres(connection, [guests.agent])
        await migrations.migrate_postgres(postgres_url, [guests.branch])
        (guests.folder / "0002_step.py").unlink()
        await schema.check_postgres(connection, [old])


async def test_a_newer_database_is_not_migrated_back_by_an_older_program(postgres_url: str, guests: Guests) -> None:
    guests.revision("op.add_column('guests_book', sa.Column('table_no', sa.Integer))")
    await migrations.migrate_postgres(postgres_url, [guests.branch])
    older = replace(guests.branch, revisions=guests.branch.revisions[:1])
    with pytest.raises(Conflict, match="newer Agent Store"):
        await migrations.migrate_postgres(postgres_url, [older])


async def test_tables_that_no_revision_made_are_left_alone(postgres_url: str, guests: Guests) -> None:
    async with connected(postgres_url) as connection:
        await connection.execute("CREATE SCHEMA guests CREATE TABLE guests_book (name text)")
    with pytest.raises(Conflict, match="the tables of guests were not made by"):
        await migrations.migrate_postgres(postgres_url, [guests.branch])


async def test_a_revision_that_fails_on_postgres_leaves_nothing_of_itself(postgres_url: str, guests: Guests) -> None:
    guests.revision("op.add_column('guests_book', sa.Column('table_no', sa.Integer)); op.execute('NONSENSE')")
    with pytest.raises(PermanentError, match=r"guests: guests_0002 failed: .*NONSENSE"):
        await migrations.migrate_postgres(postgres_url, [guests.branch])
    async with connected(postgres_url) as connection:
        (standing,) = await schema.standings_of_postgres(connection, [guests.branch])
        assert standing.found == "guests_0001"
        assert await connection.fetch("SELECT * FROM guests.guests_book") == []


async def test_agents_are_migrated_apart(postgres_url: str, guests: Guests) -> None:
    await migrations.migrate_postgres(postgres_url, [guests.branch])
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    async with connected(postgres_url) as connection:
        await schema.check_postgres(connection, [guests.agent])
    await migrations.migrate_postgres(postgres_url, [guests.branch], to="base")
    async with connected(postgres_url) as connection:
        await schema.check_postgres(connection, AGENTS)
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'guests'") == 0
