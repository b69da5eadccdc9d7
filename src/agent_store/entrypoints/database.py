"""What `agent-store migrate`, `roles` and `backup` do."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import shutil
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from agent_store.adapters.db import schema
from agent_store.adapters.db.schema import Branch, Say, Standing
from agent_store.entrypoints import rooms
from agent_store.kernel.agent import Agent
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound, TemporaryError


def agents_named(names: Sequence[str]) -> list[Agent]:
    """Agents by name, all without names; one of an installed package too, and one from
    elsewhere is `package.module:variable`.

    Raises InvalidInput for an unknown one.
    """
    return [_agent(name) for name in names or rooms.all_names()]


def _agent(name: str) -> Agent:
    where, _, variable = name.partition(":")
    if not variable:
        return rooms.agent_named(name)
    try:
        agent = getattr(importlib.import_module(where), variable)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"{name} cannot be loaded: {error}") from error
    if not isinstance(agent, Agent):
        raise InvalidInput(f"{name} is no agent")
    return agent


# --- migrate ---------------------------------------------------------------------------------------------------------


def standings(database: str, path: Path, agents: Sequence[Agent]) -> list[Standing]:
    """How the database at this address stands, or the file when the address is empty; an absent file is an empty one."""
    found = schema.branches(agents)
    if database:
        return asyncio.run(_standings_of_postgres(database, found))
    if not path.is_file():
        return [Standing(branch, None, tables=False) for branch in found]
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return schema.standings_of_sqlite(connection, found)


async def _standings_of_postgres(database: str, found: Sequence[Branch]) -> list[Standing]:
    async with _connected(database) as connection:
        return await schema.standings_of_postgres(connection, found)


@contextlib.asynccontextmanager
async def _connected(database: str) -> AsyncGenerator[Any]:
    import asyncpg

    try:
        connection = await asyncpg.connect(database)
    except (OSError, ValueError, asyncpg.PostgresError) as error:
        raise TemporaryError(f"PostgreSQL does not take this program: {error}", code="database") from error
    try:
        yield connection
    finally:
        await connection.close()


def check(database: str, path: Path, agents: Sequence[Agent], *, say: Say) -> None:
    """Raises Conflict that names what is behind."""
    found = standings(database, path, agents)
    schema.refuse_older(found)
    for standing in found:
        say(str(standing))


def sql(database: str, path: Path, agents: Sequence[Agent], *, to: str) -> str:
    from agent_store.adapters.db import migrations

    return migrations.sql("postgresql" if database else "sqlite", standings(database, path, agents), to=to)


def migrate(database: str, path: Path, agents: Sequence[Agent], *, to: str, say: Say) -> None:
    """Raises Conflict while a store runs on the file, and for a schema of a newer program."""
    from agent_store.adapters.db import migrations

    found = schema.branches(agents)
    before = standings(database, path, agents)
    if database:
        asyncio.run(migrations.migrate_postgres(database, found, to=to, say=say))
    else:
        from agent_store.entrypoints.datafolder import DataLock

        lock = DataLock(path.parent)
        try:
            with schema.alone_with(path):
                old = any(standing.state in ("behind", "unmarked") for standing in before)
                if old or (path.is_file() and to != "head"):
                    say(f"{path.name} as it was: {schema.copy_before(path, before).name}")
                migrations.migrate_sqlite(path, found, to=to, say=say)
        finally:
            lock.release()
    if [str(standing) for standing in before] == [str(standing) for standing in standings(database, path, agents)]:
        say("nothing to do: " + ("it is at the head" if to == "head" else f"it is at {to}"))


# --- roles -----------------------------------------------------------------------------------------------------------


def grant(database: str, agents: Sequence[Agent], *, logins: Sequence[str], say: Say) -> None:
    asyncio.run(_grant(database, agents, logins, say))


async def _grant(database: str, agents: Sequence[Agent], logins: Sequence[str], say: Say) -> None:
    from agent_store.adapters.db import roles

    async with _connected(database) as connection:
        await roles.grant(connection, schema.branches(agents), logins=logins, say=say)


# --- backup ----------------------------------------------------------------------------------------------------------

_DATABASES = ("store.sqlite3", "simulator.sqlite3")
"""In this order: what stands for the outside world is never older in a copy than what the store knows of it."""
_BESIDE = ("secrets.json",)
_FOLDERS = ("brands", "simulator-media")


def backup(data: Path, target: Path, *, say: Say) -> None:
    """Copy a data folder into `target`, which must be new or empty, while a store may be writing to it: a folder that a
    store starts on. Raises NotFound when there is no store, Conflict when something is in the target."""
    if not (data / _DATABASES[0]).is_file():
        raise NotFound(f"there is no store in {data} (no {_DATABASES[0]})")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Conflict(f"{target} is not empty: give a folder that is new")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in _DATABASES:
        if (data / name).is_file():
            with contextlib.closing(sqlite3.connect(data / name)) as connection:
                connection.execute("PRAGMA query_only = ON")
                schema.copy_sqlite(connection, target / name)
            say(f"{name}: {(target / name).stat().st_size / 1e6:.1f} MB")
    for name in _BESIDE:
        if (data / name).is_file():
            shutil.copy2(data / name, target / name)
    for name in _FOLDERS:
        if (data / name).is_dir():
            shutil.copytree(data / name, target / name)
    say(
        f"{target} holds the store's secrets: keep it as you keep them. Start on it with `agent-store up --data {target}`"
    )


__all__ = ["agents_named", "backup", "check", "grant", "migrate", "sql", "standings"]
