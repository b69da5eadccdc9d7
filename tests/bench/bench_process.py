"""One durable process of three steps, beside DBOS Transact on SQLite: CPU of each."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.common import ROOT, Figure

PROCESSES = 1000
DBOS_PROCESSES = 100


async def ours(folder: Path) -> float:
    """CPU µs a process: published, accepted, three journaled steps, finished."""
    from agent_store.adapters.db.sqlite import SqliteStore
    from agent_store.kernel.agent import Agent
    from agent_store.kernel.consumer import Consumer
    from agent_store.kernel.context import Context
    from agent_store.kernel.event import Event
    from agent_store.kernel.runtime import Runtime

    class BenchWork(Event, type="store.bench.work", topic="bench", subject="name"):
        name: str

    agent = Agent("bench")

    @agent.process(BenchWork)
    async def work(event: BenchWork, ctx: Context) -> None:
        async def add(value: int) -> int:
            return value + 1

        one = await ctx.step("one", lambda: add(0), int)
        two = await ctx.step("two", lambda: add(one), int)
        await ctx.step("three", lambda: add(two), int)

    runtime = Runtime(SqliteStore(folder / "bench.sqlite3"), [Consumer(agent)])
    await runtime.start()

    async def batch(start: int, count: int) -> None:
        await asyncio.gather(*(runtime.publish(BenchWork(name=str(start + n))) for n in range(count)))
        await runtime.settle()

    await batch(0, 100)
    before = time.process_time()
    for start in range(0, PROCESSES, 50):
        await batch(1000 + start, 50)
    used = time.process_time() - before
    await runtime.stop()
    return used / PROCESSES * 1e6


def dbos(folder: Path) -> float:
    """CPU µs a workflow of three steps."""
    from dbos import DBOS, DBOSConfig

    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
        "log_level": "ERROR",
    }
    DBOS(config=config)

    @DBOS.step()
    def add(value: int) -> int:
        return value + 1

    @DBOS.workflow()
    def work() -> int:
        return add(add(add(0)))

    DBOS.launch()
    for _ in range(10):
        work()
    before = time.process_time()
    for _ in range(DBOS_PROCESSES):
        work()
    used = time.process_time() - before
    DBOS.destroy()
    return used / DBOS_PROCESSES * 1e6


def _child(which: str) -> float:
    code = f"""
import asyncio, json, sys, tempfile
from pathlib import Path
from tests.bench import bench_process as bench
with tempfile.TemporaryDirectory() as folder:
    result = asyncio.run(bench.ours(Path(folder))) if {which!r} == "ours" else bench.dbos(Path(folder))
print("RESULT", json.dumps(result))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return float(json.loads(line[7:]))
    raise RuntimeError(f"the bench of {which} failed:\n{done.stderr[-2000:]}")


def run() -> list[Figure]:
    measured, reference = _child("ours"), _child("dbos")
    return [
        Figure(
            "process of three steps, CPU", f"{measured / 1e3:.2f} ms", f"{reference / 1e3:.2f} ms DBOS Transact on SQLite",
            f"{measured / reference:.3f} ×",
        )
    ]  # fmt: skip


__all__ = ["dbos", "ours", "run", "tempfile"]
