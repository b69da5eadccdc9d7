"""Database roles: what the role of one agent may do, and what not."""

# ruff: noqa: S608  # names of our own tables

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from agent_store.adapters.db import migrations, roles, schema
from agent_store.adapters.db.postgres import PostgresStore
from agent_store.agents.inventory.service import InventorySettings
from agent_store.contracts.catalog import SearchProducts
from agent_store.entrypoints import assets, catalogue, rooms
from agent_store.entrypoints.database import agents_named
from agent_store.entrypoints.programs import Postgres
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import Conflict, Forbidden, NotFound
from agent_store.kernel.runtime import Runtime

AGENTS = agents_named(["orders", "cart", "catalog"])
BRANCHES = schema.branches(AGENTS)
TABLES = {branch.name: list(branch.tables.tables) for branch in BRANCHES}
DATA = assets.folder("data")
PROCESS = "process_of_the_tests"


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def granted(url: str, *, logins: tuple[str, ...] = (PROCESS,), agents: Any = AGENTS) -> list[str]:
    lines: list[str] = []
    async with connected(url) as connection:
        await roles.grant(connection, schema.branches(agents), logins=logins, say=lines.append)
    return lines


@pytest.fixture
def login(postgres: Postgres, postgres_url: str) -> Generator[str]:
    """The address for a login without rights of its own; the roles of the cluster are gone afterwards."""

    async def run(*statements: str) -> None:
        async with connected(postgres_url) as connection:
            for statement in statements:
                await connection.execute(statement)

    names = [PROCESS, *(roles.role_of(agent) for agent in ("kernel", *rooms.AGENTS))]
    asyncio.run(run(f"CREATE ROLE {PROCESS} LOGIN"))
    yield postgres.url_of(postgres_url.rpartition("/")[2], PROCESS)

    async def forget() -> None:
        async with connected(postgres_url) as connection:
            known = {row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
            for name in known.intersection(names):
                await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")

    asyncio.run(forget())


async def refused(connection: asyncpg.Connection[Any], statement: str) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def test_an_agents_role_works_with_its_own_tables_and_the_kernels(postgres_url: str, login: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    await granted(postgres_url)
    async with connected(login) as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE agent_store_cart")
        await connection.execute("INSERT INTO cart.cart_carts VALUES ('c1', 1, now())")
        await connection.execute("UPDATE cart.cart_carts SET version = 2")
        await connection.execute("DELETE FROM cart.cart_carts")
        await connection.execute(
            "INSERT INTO kernel.kernel_outbox (source, id, type, time, data, published) VALUES ('s', '1', 't', now(), '', false)"
        )
        for table in TABLES["kernel"] + [f"{schema.KERNEL}_revision"]:
            await connection.fetch(f"SELECT * FROM kernel.{table}")


async def test_an_agents_role_has_nothing_of_another_agent(postgres_url: str, login: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    await granted(postgres_url)
    others = [f"orders.{name}" for name in TABLES["orders"]] + [f"catalog.{name}" for name in TABLES["catalog"]]
    async with connected(login) as connection:
        for table in others:
            for statement in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                assert await refused(connection, f"SET LOCAL ROLE agent_store_cart; {statement}"), statement
            assert not await refused(connection, f"SELECT FROM {table}"), "the login itself is a member of all three"


@pytest.mark.parametrize("agent", ["cart", "kernel"])
async def test_no_role_changes_tables_or_marks_a_revision(postgres_url: str, login: str, agent: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    await granted(postgres_url)
    table = TABLES[agent][0]
    async with connected(login) as connection:
        for statement in (
            f"CREATE TABLE {agent}.{agent}_more (x int)",
            "CREATE TABLE public.more (x int)",
            "CREATE SCHEMA more",
            f"ALTER TABLE {agent}.{table} ADD COLUMN x int",
            f"DROP TABLE {agent}.{table}",
            f"TRUNCATE {agent}.{table}",
            f"CREATE INDEX ON {agent}.{table} ((1))",
            f"UPDATE {agent}.{agent}_revision SET version_num = 'x'",
            f"DELETE FROM {agent}.{agent}_revision",
            "CREATE ROLE more",
        ):
            assert await refused(connection, f"SET LOCAL ROLE agent_store_{agent}; {statement}"), statement
            assert await refused(connection, statement), f"as the login: {statement}"


async def test_a_process_has_the_rights_of_its_own_agents_only(postgres_url: str, login: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    await granted(postgres_url, logins=())
    await granted(postgres_url, agents=agents_named(["cart"]))
    async with connected(login) as connection:
        await schema.check_postgres(connection, agents_named(["cart"]))
        assert not await refused(connection, "SET LOCAL ROLE agent_store_cart")
        assert await refused(connection, "SET LOCAL ROLE agent_store_orders")
        assert await refused(connection, "SELECT FROM orders.orders_orders")
        with pytest.raises(Forbidden, match="this login has no rights to its agents' tables"):
            await schema.check_postgres(connection, agents_named(["cart", "orders"]))


async def test_the_kernels_role_has_no_agents_tables(postgres_url: str, login: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    await granted(postgres_url)
    async with connected(login) as connection:
        assert not await refused(connection, "SET LOCAL ROLE agent_store_kernel; SELECT FROM kernel.kernel_inbox")
        assert await refused(connection, "SET LOCAL ROLE agent_store_kernel; SELECT FROM cart.cart_carts")


async def test_the_agents_do_their_work_with_the_rights_of_their_roles(
    postgres: Postgres, postgres_url: str, login: str
) -> None:
    agents = agents_named(["catalog", "inventory", "pricing"])
    await migrations.migrate_postgres(postgres_url, schema.branches(agents))
    await granted(postgres_url, agents=agents)
    store = PostgresStore(login, agents=[agent.name for agent in agents], roles=True, create=False)
    ports = {InventorySettings: InventorySettings()}
    runtime = Runtime(store, [Consumer(agent) for agent in agents], ports=ports)
    await runtime.start()
    try:
        await catalogue.import_locations(runtime, DATA)
        assert await catalogue.import_samples(runtime, DATA, ["fashion"])
        found = await runtime.call(SearchProducts(brand="fashion", text="vestido vermelho"))
        assert found.hits
        assert await runtime.dead() == []
    finally:
        await runtime.stop()


async def test_roles_may_come_before_the_tables_and_again_after(postgres_url: str, login: str) -> None:
    lines = await granted(postgres_url)
    assert any("has no tables yet" in line for line in lines)
    # A migration gives the roles that are there their rights on what it made.
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    async with connected(login) as connection:
        assert not await refused(connection, "SET LOCAL ROLE agent_store_cart; SELECT FROM cart.cart_lines")
        await schema.check_postgres(connection, AGENTS)
    assert not any("has no tables yet" in line for line in await granted(postgres_url))


async def test_tables_that_come_later_are_covered(postgres_url: str, login: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    await granted(postgres_url)
    async with connected(postgres_url) as owner, connected(login) as connection:
        await owner.execute("CREATE TABLE cart.cart_later (n bigserial PRIMARY KEY, x int)")
        insert = "SET LOCAL ROLE agent_store_cart; INSERT INTO cart.cart_later (x) VALUES (1)"
        assert not await refused(connection, insert)
        assert await refused(connection, "SET LOCAL ROLE agent_store_orders; SELECT FROM cart.cart_later")


async def test_a_login_that_is_none_and_one_without_the_right_are_told_so(postgres_url: str, login: str) -> None:
    await migrations.migrate_postgres(postgres_url, BRANCHES)
    with pytest.raises(NotFound, match="there is no login nobody_here: CREATE ROLE nobody_here LOGIN"):
        await granted(postgres_url, logins=("nobody_here",))
    with pytest.raises(Forbidden, match="log in as the owner of the tables, with CREATEROLE"):
        await granted(login)


async def test_a_login_that_may_not_create_a_schema_cannot_migrate(postgres_url: str, login: str) -> None:
    with pytest.raises(Exception, match="permission denied for database") as raised:
        await migrations.migrate_postgres(login, BRANCHES)
    assert getattr(raised.value, "code", "") == "migration"
    async with connected(login) as connection:
        with pytest.raises(Conflict):
            await schema.check_postgres(connection, AGENTS)
