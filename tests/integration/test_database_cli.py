"""`agent-store migrate`, `roles` and `backup`, as an operator runs them."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent_store.adapters.db import schema
from agent_store.entrypoints.cli import main
from agent_store.entrypoints.database import agents_named
from agent_store.entrypoints.datafolder import DataLock
from agent_store.kernel.errors import InvalidInput
from tests.support.schemas import shape_of_sqlite

BRANCHES = schema.branches(agents_named([]))

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Exit code and what is printed; in an empty folder, without settings."""
    monkeypatch.chdir(tmp_path)
    unset = {name: None for name in os.environ if name.startswith("AGENT_STORE_")}

    def command(*arguments: str, environment: dict[str, str] | None = None, stdin: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(main, arguments, input=stdin, env={**unset, **(environment or {})})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, done.output

    return command


def test_a_file_is_migrated_checked_and_taken_down_by_the_command_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "var" / "store.sqlite3"
    code, printed = run("migrate", "--check")
    assert code == 1
    assert "kernel has no tables, this program needs kernel_" in printed
    assert not path.exists()

    code, printed = run("migrate")
    assert code == 0, printed
    assert [line.split(":")[0] for line in printed.splitlines()] == [
        branch.name for branch in BRANCHES for _ in branch.revisions
    ]
    assert "kernel: nothing → kernel_0001 (The tables of release 0.1)" in printed
    assert run("migrate", "--check") == (0, "".join(f"{branch.name} is at {branch.head}\n" for branch in BRANCHES))
    assert run("migrate") == (0, "nothing to do: it is at the head\n")

    code, printed = run("migrate", "--to", "kernel_0001", "--yes")
    assert code == 0, printed
    assert "store.sqlite3 as it was: store.sqlite3.before-down" in printed
    code, printed = run("migrate", "--check")
    assert code == 1
    assert f"kernel is at kernel_0001, this program needs {BRANCHES[0].head}" in printed
    assert "cart" not in printed
    assert run("migrate")[0] == 0

    assert run("migrate", "--to", "base", stdin="n\n")[0] == 1
    assert shape_of_sqlite(path)
    assert run("migrate", "--to", "base", stdin="y\n")[0] == 0
    assert shape_of_sqlite(path) == {}


def test_a_file_in_use_is_not_migrated(run: Run, tmp_path: Path) -> None:
    lock = DataLock(tmp_path / "var")
    try:
        code, printed = run("migrate")
    finally:
        lock.release()
    assert code == 1
    assert "another store runs on var" in printed


def test_the_statements_for_a_file_are_printed_and_nothing_is_done(run: Run, tmp_path: Path) -> None:
    code, printed = run("migrate", "--sql")
    assert code == 0, printed
    assert not (tmp_path / "var").exists()
    with closing(sqlite3.connect(tmp_path / "made.sqlite3")) as connection:
        connection.executescript(printed)
    assert run("migrate")[0] == 0
    assert shape_of_sqlite(tmp_path / "made.sqlite3") == shape_of_sqlite(tmp_path / "var" / "store.sqlite3")
    assert run("migrate", "--sql") == (0, "")


def test_postgres_is_migrated_given_roles_and_checked_by_the_command_line(run: Run, postgres_url: str) -> None:
    environment = {"AGENT_STORE_DATABASE_URL": postgres_url}
    code, printed = run("migrate", "--check", "--agents", "cart", environment=environment)
    assert code == 1
    assert "the database is behind: kernel has no tables" in printed
    code, printed = run("migrate", "--agents", "cart", environment=environment)
    assert code == 0, printed
    assert re.search(r"^cart: nothing → cart_0001", printed, re.MULTILINE)
    assert run("migrate", "--check", "--agents", "cart", "--database", postgres_url)[0] == 0
    assert run("migrate", "--check", "--agents", "orders", "--database", postgres_url)[0] == 1
    code, printed = run("migrate", "--sql", "--agents", "cart,orders", "--database", postgres_url)
    assert code == 0
    assert 'CREATE SCHEMA IF NOT EXISTS "orders"' in printed
    assert "cart_carts" not in printed
    code, printed = run("roles", "--agents", "cart", "--login", "nobody_here", "--database", postgres_url)
    assert (code, "there is no login nobody_here" in printed) == (1, True)
    assert postgres_url not in printed


def test_what_cannot_be_is_told_in_a_sentence(run: Run) -> None:
    for arguments, sentence in (
        (("migrate", "--agents", "carts"), "there is no agent 'carts': whatsapp, conversations"),
        (("migrate", "--agents", "nowhere.agent:guests"), "nowhere.agent:guests cannot be loaded"),
        (("migrate", "--to", "cart_0099", "--yes"), "there is no revision cart_0099"),
        (("migrate", "--check", "--database", "postgresql://127.0.0.1:9/x"), "PostgreSQL does not take this program"),
        (("migrate", "--database", "postgresql://127.0.0.1:9/x"), "PostgreSQL does not take this program"),
        (("roles",), "roles are PostgreSQL's: give --database"),
        (("backup", "copy"), "there is no store in var"),
    ):
        code, printed = run(*arguments)
        assert (code, sentence in printed) == (1, True), printed


def test_a_running_stores_folder_is_backed_up(run: Run, tmp_path: Path) -> None:
    assert run("migrate")[0] == 0
    lock = DataLock(tmp_path / "var")
    try:
        code, printed = run("backup", "copy")
    finally:
        lock.release()
    assert code == 0, printed
    assert "store.sqlite3: " in printed
    assert "Start on it with `agent-store up --data copy`" in printed
    assert shape_of_sqlite(tmp_path / "copy" / "store.sqlite3") == shape_of_sqlite(tmp_path / "var" / "store.sqlite3")


def test_an_agent_from_elsewhere_is_found_by_its_module() -> None:
    (agent,) = agents_named(["agent_store.agents.cart.agent:cart"])
    assert agent.name == "cart"
    with pytest.raises(InvalidInput, match="is no agent"):
        agents_named(["agent_store.agents.cart.agent:Agent"])
