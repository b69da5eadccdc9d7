"""The store is really killed, at every boundary and at any moment, and goes on as if nothing had been.

Nothing that was acknowledged is lost, every effect is there once, an answer that was journaled is never asked for again.
"""

from __future__ import annotations

import multiprocessing
import random
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import connection
from pathlib import Path

import pytest

from tests.integration import kill_child

_spawner = multiprocessing.get_context("forkserver")
_one_at_a_time = threading.Lock()
"""Beginning a process looks after all others too, and must not take another thread's news of an end."""
_spawner.set_forkserver_preload(["tests.integration.kill_child"])


def run(folder: Path, orders: int, *, boundary: str = "", passing: int = 0, kill_after: float | None = None) -> bool:
    """One life of the process. True when it came to its end, False when it was killed."""
    begun = _spawner.Event()
    process = _spawner.Process(target=kill_child.live, args=(str(folder), orders, boundary, passing, begun))
    with _one_at_a_time:
        process.start()
    if kill_after is not None:
        assert begun.wait(30)
        time.sleep(kill_after)
        process.kill()
    connection.wait([process.sentinel], 60)
    with _one_at_a_time:
        process.join(0.1)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that is to be had: a killed process leaves its files as they are, on a disk or not."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="agent-store-kill-") as name:
        yield Path(name)


def check(folder: Path, orders: int, kills: int) -> None:
    """Every promise about the orders that were acknowledged, after the last life."""
    database = sqlite3.connect(folder / "store.sqlite3")
    effects = [row[0].split() for row in database.execute("SELECT text FROM kill_effects ORDER BY n")]
    once = Counter(" ".join(words[:3]) if words[0] == "version" else " ".join(words[:2]) for words in effects)
    assert once == Counter(f"{kind} {id}" for id in range(orders) for kind in kill_child.KINDS)
    # What the model said first and was journaled is what every later step used.
    asked = [line.split() for line in (folder / "asked").read_text().splitlines()]
    for id in range(orders):
        used = {words[2] for words in effects if words[0] in ("process", "tool", "thought") and words[1] == str(id)}
        said = [value for who, value in asked if who == str(id)]
        assert len(used) == 1
        assert used <= set(said)
    assert len(asked) <= orders + kills * orders
    for id in range(orders):
        order = [words[1] for words in effects if words[0] == "version" and words[2] == str(id)]
        assert order == ["1", "2"]
    assert database.execute("SELECT count(*) FROM kernel_outbox WHERE NOT published").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM kernel_inbox WHERE state <> 'done'").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM kernel_dead").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM kernel_timers").fetchone() == (0,)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def thoughts(folder: Path) -> tuple[int, int]:
    """How many answers of the model are in the journal, and how many it has given."""
    asked, file = folder / "asked", folder / "store.sqlite3"
    database = sqlite3.connect(file)
    tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'kernel_steps'").fetchone()[0]
    journaled = (
        database.execute("SELECT count(*) FROM kernel_steps WHERE name = 'think'").fetchone()[0] if tables else 0
    )
    database.close()
    return journaled, len(asked.read_text().splitlines()) if asked.exists() else 0


def _kill_once(folder: Path, boundary: str, passing: int) -> bool:
    """Kill at one passing of a boundary, let it go on, check. False when there are not so many passings."""
    folder.mkdir()
    if run(folder, 1, boundary=boundary, passing=passing):
        check(folder, 1, 0)
        return False
    journaled, before = thoughts(folder)
    assert run(folder, 1)
    check(folder, 1, 1)
    assert thoughts(folder) == (1, before if journaled else before + 1)
    return True


@pytest.mark.parametrize(("boundary", "at_least"), [("end", 12), ("commit", 4), ("deliver", 4), ("answer", 12)])
def test_a_kill_at_any_boundary_costs_nothing(folder: Path, boundary: str, at_least: int) -> None:
    passings = 0
    with ThreadPoolExecutor(4) as pool:
        while True:
            batch = range(passings + 1, passings + 9)
            killed = list(pool.map(lambda passing: _kill_once(folder / str(passing), boundary, passing), batch))
            passings += sum(killed)
            if not all(killed):
                break
    assert passings >= at_least


def test_a_kill_at_every_boundary_one_after_the_other_costs_nothing(folder: Path) -> None:
    kills = 0
    for passing in (1, 2, 4):
        for boundary in ("begin", "end", "commit", "deliver", "answer"):
            kills += not run(folder, 3, boundary=boundary, passing=passing)
    assert kills > 5
    assert run(folder, 3)
    check(folder, 3, kills)


def test_kills_at_random_moments_cost_nothing(folder: Path) -> None:
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    kills = 0
    orders = 120
    for _ in range(25):
        if run(folder, orders, kill_after=moments.uniform(0, 0.02)):
            break
        kills += 1
    assert run(folder, orders), seed
    check(folder, orders, kills)
