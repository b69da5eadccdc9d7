"""Database roles: `agent_store_<agent>` may read and write its agent's tables and the kernel's, and nothing else.

Nobody logs in as one. The processes log in as a role of the operator's making, which is a member of those that its agents
need: `SET LOCAL ROLE` then makes a transaction that of one agent. Roles belong to a whole cluster, rights to a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from agent_store.adapters.db.schema import KERNEL, Branch, Say, quoted
from agent_store.kernel.errors import Forbidden, NotFound

PREFIX = "agent_store_"
_WRITE = "SELECT, INSERT, UPDATE, DELETE"


def role_of(agent: str) -> str:
    return PREFIX + agent.replace("-", "_")


def _grants(role: str, branch: Branch) -> list[str]:
    """Rights on the tables of one schema, those of today and those that this user will create there."""
    schema, role = quoted(branch.schema), quoted(role)
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT {_WRITE} ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        # Which revision the schema has is for migrations to say.
        f"REVOKE INSERT, UPDATE, DELETE ON {schema}.{quoted(branch.version_table)} FROM {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {_WRITE} ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {role}",
    ]


def statements(
    wanted: Sequence[Branch], found: Sequence[Branch], *, roles: set[str], schemas: set[str], logins: Sequence[str] = ()
) -> list[str]:
    """What gives the roles of `wanted` their rights where these roles and schemas are there. Rights are given anew: that
    is harmless, and covers tables that somebody else has created since."""
    result: list[str] = []
    for branch in wanted:
        role = role_of(branch.name)
        if role not in roles:
            result.append(f"CREATE ROLE {quoted(role)} NOLOGIN")
        for part in found:
            if part.schema in schemas and part.name in (KERNEL, branch.name):
                result += _grants(role, part)
        result += [f"GRANT {quoted(role)} TO {quoted(login)}" for login in logins]
    return result


async def _there(connection: asyncpg.Connection[Any], found: Sequence[Branch]) -> tuple[set[str], set[str]]:
    roles = await connection.fetch("SELECT rolname FROM pg_catalog.pg_roles")
    # A schema without its revision is not migrated yet: its tables get their rights when it is.
    schemas = await connection.fetch(
        "SELECT n.nspname FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid "
        "WHERE c.relname = n.nspname || '_revision' AND n.nspname = ANY($1)",
        [branch.schema for branch in found],
    )
    return {row[0] for row in roles}, {row[0] for row in schemas}


async def grant(
    connection: asyncpg.Connection[Any], found: Sequence[Branch], *, logins: Sequence[str], say: Say
) -> None:
    """Create the roles that are missing, give each its rights, make the logins members of all of them.

    Needs CREATEROLE, and to be who owns the tables. Raises NotFound for a login that is none, Forbidden when the
    database refuses.
    """
    roles, schemas = await _there(connection, found)
    if unknown := [login for login in logins if login not in roles]:
        raise NotFound(f"there is no login {', '.join(unknown)}: CREATE ROLE {unknown[0]} LOGIN PASSWORD … first")
    try:
        async with connection.transaction():
            for statement in statements(found, found, roles=roles, schemas=schemas, logins=logins):
                await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden(
            f"the database refuses ({error}): log in as the owner of the tables, with CREATEROLE"
        ) from error
    for branch in found:
        waiting = (
            "" if branch.schema in schemas else ", which has no tables yet: do this again after `agent-store migrate`"
        )
        say(f"{role_of(branch.name)}: may read and write {branch.schema}{waiting}")
    for login in logins:
        say(f"{login}: a member of {len(found)} roles")


async def renew(connection: asyncpg.Connection[Any], found: Sequence[Branch]) -> None:
    """After a migration: an agent that has a role gets its rights on what is new."""
    roles, schemas = await _there(connection, found)
    wanted = [branch for branch in found if role_of(branch.name) in roles]
    async with connection.transaction():
        for statement in statements(wanted, found, roles=roles, schemas=schemas):
            await connection.execute(statement)


__all__ = ["PREFIX", "grant", "renew", "role_of", "statements"]
