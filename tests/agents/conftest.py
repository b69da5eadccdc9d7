"""The agents' tests run on each database: `--store sqlite`, `--store postgresql`, or both (the default).

A module of tests that are about one database, or about none, says so: `DATABASES = ("sqlite",)`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest

from agent_store.entrypoints.programs import Postgres
from tests.support.backends import current
from tests.support.databases import Databases

BOTH = ("sqlite", "postgresql")
_lent: dict[int, Databases] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = metafunc.config.getoption("store")
    possible = getattr(metafunc.module, "DATABASES", BOTH)
    wanted = [name for name in possible if asked in ("all", name)]
    metafunc.parametrize("database_kind", wanted, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    """Of the whole session, so that all tests on one database run before those on the other."""
    return getattr(request, "param", BOTH[0])  # a unittest.TestCase, as of a state machine, has no parameters


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest, database_kind: str) -> Generator[None]:
    """What a `TestStore` runs on, in this test and in no other: the fixture is a test's own, whatever the scope of
    its parameter."""
    if database_kind == "sqlite":
        yield
        return
    server: Postgres = request.getfixturevalue("postgres")
    databases = _lent.setdefault(id(server), Databases(server))
    before = current.backend
    current.backend = replace(before, database=databases.stores(), store="postgresql")
    yield
    current.backend = before
