"""The kernel's own suite once more, on each network: the same test functions, on real programs.

On the local bus, with SQLite and PostgreSQL, it runs in `tests/agents`. A test that is about some buses only says so by the
marker `only`, with its reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest

from agent_store.entrypoints.programs import Postgres, RabbitMQ
from tests.agents import (
    test_kernel_handling,
    test_kernel_later,
    test_kernel_processes,
    test_kernel_time,
    test_kernel_tools,
    test_kernel_trail,
)
from tests.support import everywhere
from tests.support.backends import Backend, current, sqlite
from tests.support.databases import Databases

_SUITE = (
    test_kernel_handling, test_kernel_later, test_kernel_processes, test_kernel_time, test_kernel_tools,
    test_kernel_trail,
)  # fmt: skip
_BACKENDS = ["memory-sqlite", "rabbitmq-postgresql", "knative-postgresql"]


def _tests_of(module: ModuleType) -> dict[str, object]:
    """Its tests that keep anything: a store is what they run on."""
    return {
        name: test
        for name, test in vars(module).items()
        if name.startswith("test_") and inspect.iscoroutinefunction(test)
    }


for _module in _SUITE:
    for _name, _test in _tests_of(_module).items():
        assert _name not in globals(), f"two tests are called {_name}"
        globals()[_name] = _test


@pytest.fixture(scope="session")
def _knative(rabbitmq: RabbitMQ, knative_bin: Path) -> Generator[everywhere.Shared]:
    yield from everywhere.shared_knative(rabbitmq.url, knative_bin)


@pytest.fixture(scope="session")
def _databases(postgres: Postgres) -> Databases:
    return Databases(postgres)


@pytest.fixture(params=_BACKENDS, autouse=True)
def backend(request: pytest.FixtureRequest) -> Generator[Backend]:
    """The bus and the database of this run of a test."""
    bus, _, store = request.param.partition("-")
    only = request.node.get_closest_marker("only")
    if only is not None and bus not in only.kwargs["bus"].split():
        pytest.skip(only.kwargs["reason"])
    needed = request.getfixturevalue
    database = sqlite if store == "sqlite" else needed("_databases").stores()
    if bus == "rabbitmq":
        broker = everywhere.rabbitmq(needed("rabbitmq"))
    elif bus == "knative":
        broker = everywhere.knative(needed("_knative"))
    else:
        broker = everywhere.memory
    before, current.backend = current.backend, Backend(database, broker, store, bus)
    yield current.backend
    current.backend = before
