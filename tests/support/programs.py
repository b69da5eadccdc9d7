"""Fixtures: real programs on loopback, one of each a test process, begun when the first test asks for it.

An absent program skips the test with a line that says how to get it, or fails it under AGENT_STORE_TEST_REQUIRE.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Generator
from typing import TypeVar

import asyncpg
import pytest

from agent_store.entrypoints.programs import Absent, Postgres, Program, RabbitMQ, Redis
from tests.support.components import missing

P = TypeVar("P", bound=Program)
_databases = itertools.count(1)


def _running(kind: type[P]) -> Generator[P]:
    try:
        program = kind()
    except Absent as error:
        missing(kind.name, error.message)
    try:
        asyncio.run(program.start())
        yield program
    finally:
        program.clean()


@pytest.fixture(scope="session")
def rabbitmq() -> Generator[RabbitMQ]:
    """Shared by the tests of this process: a test that kills it starts a `RabbitMQ` of its own."""
    yield from _running(RabbitMQ)


@pytest.fixture(scope="session")
def redis() -> Generator[Redis]:
    """Shared: a test that kills it, or looks at all keys, starts a `Redis` of its own."""
    yield from _running(Redis)


@pytest.fixture(scope="session")
def postgres() -> Generator[Postgres]:
    """Shared, without fsync: a test that kills it starts a `Postgres` of its own."""
    yield from _running(Postgres)


@pytest.fixture
def postgres_url(postgres: Postgres) -> Generator[str]:
    """The superuser's address of an empty database of this test's own."""
    name = f"test_{os.getpid()}_{next(_databases)}"
    asyncio.run(_statement(postgres.url, f"CREATE DATABASE {name} TEMPLATE template0"))
    yield postgres.url_of(name)
    asyncio.run(_statement(postgres.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def _statement(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
