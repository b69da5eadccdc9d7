"""Backup and restore while the store works: a copy is one moment of it, and a store that starts on it goes on."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, String, Table, bindparam, func, select, update

from agent_store.adapters.db import migrations, roles, schema
from agent_store.adapters.db.postgres import PostgresStore
from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.entrypoints import database as db
from agent_store.entrypoints.database import agents_named
from agent_store.entrypoints.programs import Absent, Postgres
from agent_store.kernel import tables as kernel
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, NotFound
from agent_store.kernel.event import Event
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Store
from tests.support.components import missing
from tests.support.embedded import RunningStore
from tests.support.schemas import shape_of_postgres

pytestmark = pytest.mark.timeout(180)


class Deposit(Event, type="store.ledger.deposit", topic="ledger", subject="id"):
    id: str
    account: str


class Deposited(Event, type="store.ledger.deposited", topic="ledger", subject="id"):
    id: str


metadata = MetaData()
accounts = Table(
    "ledger_accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("balance", Integer, nullable=False),
    CheckConstraint("balance >= 0"),
)
entries = Table("ledger_entries", metadata, Column("id", String, primary_key=True), Column("account", String))
heard = MetaData()
receipts = Table("receipts_receipts", heard, Column("id", String, primary_key=True))

ledger = Agent("ledger", tables=metadata)
receipt = Agent("receipts", tables=heard)
_OPEN, _ENTER, _RECEIVE = insert(accounts).on_conflict_do_nothing(), insert(entries), insert(receipts)
_ADD = update(accounts).where(accounts.c.name == bindparam("p_name")).values(balance=accounts.c.balance + 1)
ACCOUNTS = 5


@ledger.on(Deposit)
async def deposit(event: Deposit, ctx: Context) -> None:
    await ctx.db.run(_OPEN, {"name": event.account, "balance": 0})
    await ctx.db.run(_ADD, {"p_name": event.account})
    await ctx.db.run(_ENTER, {"id": event.id, "account": event.account})
    ctx.emit(Deposited(id=event.id))


@receipt.on(Deposited)
async def received(event: Deposited, ctx: Context) -> None:
    await ctx.db.run(_RECEIVE, {"id": event.id})


@asynccontextmanager
async def running(store: Store) -> AsyncGenerator[Runtime]:
    runtime = Runtime(store, [Consumer(ledger), Consumer(receipt)])
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.stop(grace=5.0)


class Writer:
    """Deposits without end; `acknowledged` are those whose commit has been confirmed."""

    def __init__(self, runtime: Runtime) -> None:
        self.acknowledged: list[str] = []
        self._runtime = runtime
        self._stop = False
        self._numbers = itertools.count()

    async def __aenter__(self) -> Writer:
        self._tasks = [asyncio.create_task(self._write()) for _ in range(4)]
        await self.past(50)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def past(self, more: int) -> None:
        """Until so many more are acknowledged."""
        until = len(self.acknowledged) + more
        async with asyncio.timeout(60):
            while len(self.acknowledged) < until:
                await asyncio.sleep(0.001)

    async def _write(self) -> None:
        while not self._stop:
            number = next(self._numbers)
            await self._runtime.publish(Deposit(id=f"d{number}", account=f"a{number % ACCOUNTS}"))
            self.acknowledged.append(f"d{number}")
            await asyncio.sleep(0)


async def goes_on_whole(runtime: Runtime, acknowledged_before: list[str]) -> None:
    """What was acknowledged before the copy began is there, each with one effect, also what waited then."""
    await runtime.settle()
    read = runtime.store.reader

    async def ids(table: Table) -> list[str]:
        return [row["id"] for row in await read.all(select(table.c.id).order_by(table.c.id))]

    there = await ids(entries)
    assert set(acknowledged_before) <= set(there)
    assert await ids(receipts) == there
    balances = {row["name"]: row["balance"] for row in await read.all(select(accounts.c.name, accounts.c.balance))}
    counted = select(entries.c.account, func.count().label("n")).group_by(entries.c.account)
    assert balances == {row["account"]: row["n"] for row in await read.all(counted)}
    pending = await read.all(select(kernel.outbox.c.id).where(~kernel.outbox.c.published))
    assert pending == []
    assert await runtime.dead() == []


# --- the embedded store ----------------------------------------------------------------------------------------------


async def test_a_copy_of_a_store_that_is_writing_is_one_moment_of_it(tmp_path: Path) -> None:
    data, copy = tmp_path / "var", tmp_path / "copy"
    data.mkdir()
    lines: list[str] = []
    async with running(SqliteStore(data / "store.sqlite3")) as runtime, Writer(runtime) as writer:
        before = list(writer.acknowledged)
        await asyncio.to_thread(db.backup, data, copy, say=lines.append)
        await writer.past(20)
    with closing(sqlite3.connect(copy / "store.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [path.name for path in copy.iterdir()] == ["store.sqlite3"]
    async with running(SqliteStore(copy / "store.sqlite3")) as runtime:
        await goes_on_whole(runtime, before)


async def test_a_store_starts_on_its_backup_and_knows_its_customers_and_secrets(tmp_path: Path) -> None:
    data, copy = tmp_path / "var", tmp_path / "copy"
    async with RunningStore(data=data) as running_store:
        ana = running_store.shopper("5511900000001")
        await ana.say("Oi, quero um vestido vermelho até 300 reais")
        talks = await running_store.api("GET", "/api/conversations")
        await asyncio.to_thread(db.backup, data, copy, say=lambda line: None)
    assert json.loads((copy / "secrets.json").read_text()) == json.loads((data / "secrets.json").read_text())
    assert (copy / "secrets.json").stat().st_mode & 0o077 == 0
    assert copy.stat().st_mode & 0o077 == 0
    async with RunningStore(data=copy) as restored:
        again = await restored.api("GET", "/api/conversations")
        assert [talk["conversation_id"] for talk in again] == [talk["conversation_id"] for talk in talks]
        ana = restored.shopper("5511900000001")
        assert await ana.say("Oi, quero um vestido vermelho até 300 reais") == [], "the same message, delivered again"
        assert await ana.say("E em azul?")


def test_a_backup_overwrites_nothing_and_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no store in"):
        db.backup(tmp_path / "nowhere", tmp_path / "copy", say=print)
    (tmp_path / "var").mkdir()
    sqlite3.connect(tmp_path / "var" / "store.sqlite3").close()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").touch()
    with pytest.raises(Conflict, match="is not empty"):
        db.backup(tmp_path / "var", tmp_path / "copy", say=print)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------

AGENTS = agents_named([])
BRANCHES = schema.branches(AGENTS)
SCHEMAS = [*(branch.schema for branch in BRANCHES), "ledger", "receipts"]
LOGIN = "store_of_the_tests"


@pytest.fixture
def clusters() -> Generator[tuple[Postgres, Postgres]]:
    """The one that is backed up, and an empty one."""
    try:
        first, second = Postgres(), Postgres()
    except Absent as error:
        missing("postgres", error.message)
    try:
        asyncio.run(first.start())
        asyncio.run(second.start())
        yield first, second
    finally:
        first.clean()
        second.clean()


async def run(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()


async def sql(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_dump_of_a_database_in_use_is_restored_into_an_empty_cluster(
    clusters: tuple[Postgres, Postgres], tmp_path: Path
) -> None:
    first, second = clusters
    dump = str(tmp_path / "store.dump")

    async def grant(url: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            await roles.grant(connection, BRANCHES, logins=[LOGIN], say=lambda line: None)
        finally:
            await connection.close()

    await sql(first.url, f"CREATE ROLE {LOGIN} LOGIN")
    await migrations.migrate_postgres(first.url, BRANCHES)
    await grant(first.url)
    async with running(PostgresStore(first.url)) as runtime, Writer(runtime) as writer:
        before = list(writer.acknowledged)
        await run(first.tool("pg_dump"), "--format=custom", f"--file={dump}", first.url)
        await writer.past(20)

    # As docs/operations.md says: roles belong to the cluster and are in no dump, so they come first.
    await sql(second.url, f"CREATE ROLE {LOGIN} LOGIN")
    await grant(second.url)
    await run(second.tool("pg_restore"), "--exit-on-error", f"--dbname={second.url}", dump)
    await grant(second.url)

    shapes = [await shape_of_postgres(url, SCHEMAS) for url in (first.url, second.url)]
    for shape in shapes:
        # PostgreSQL spells a condition that it reads for the second time with other casts.
        shape.update({part: [row[:3] for row in shape[part]] for part in ("rules", "indexes")})
    assert shapes[0] == shapes[1]
    async with running(PostgresStore(second.url)) as runtime:
        await goes_on_whole(runtime, before)
        async with Writer(runtime):
            pass
    login: asyncpg.Connection[Any] = await asyncpg.connect(second.url_of("store", LOGIN))
    try:
        await schema.check_postgres(login, AGENTS)
        async with login.transaction():
            await login.execute("SET LOCAL ROLE agent_store_cart")
            await login.fetch("SELECT * FROM cart.cart_carts")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await login.fetch("SELECT * FROM orders.orders_orders")
    finally:
        await login.close()
