"""On what a test's store runs: a database, and what carries events between processes.

`tests/agents` runs on SQLite and the local bus, which needs nothing. Other backends (`tests/support/everywhere.py`) are
put into `current` by a fixture for the time of a test.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.kernel.bus import Bus
from agent_store.kernel.store import Store

Stores = Callable[[], Store]
"""Each call is a process's own store on one database."""
Buses = Callable[[], Bus | None]
"""Each call is a process's own connection to one broker; None: the local bus."""


@contextlib.asynccontextmanager
async def sqlite(folder: Path) -> AsyncGenerator[Stores]:
    yield lambda: SqliteStore(folder / "store.sqlite3")


@contextlib.asynccontextmanager
async def local() -> AsyncGenerator[Buses]:
    yield lambda: None


@dataclass(frozen=True)
class Backend:
    """`database(folder)` and `broker()` give a new database and a new broker for each test's store."""

    database: Callable[[Path], AbstractAsyncContextManager[Stores]] = sqlite
    broker: Callable[[], AbstractAsyncContextManager[Buses]] = local
    store: str = "sqlite"
    bus: str = "local"

    @property
    def name(self) -> str:
        return f"{self.bus}-{self.store}"


@dataclass
class Current:
    """The backend of the test that runs now."""

    backend: Backend = Backend()


current = Current()
