"""Import time, modules and memory of each process; and of a whole one, from its start until it is ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.common import ROOT, Figure, cpu_of
from tests.support.directory import brand, directory_text, put

_KERNEL = "import agent_store.kernel.runtime, agent_store.adapters.db.sqlite, agent_store.entrypoints.settings, uvicorn"
PROCESSES = {
    "served agent: whatsapp": f"{_KERNEL}, agent_store.agents.whatsapp.agent, agent_store.agents.whatsapp.api",
    "served agent: orders": f"{_KERNEL}, agent_store.agents.orders.agent",
    "served agent: catalog": f"{_KERNEL}, agent_store.agents.catalog.agent",
    "served agent: seller (rules)": f"{_KERNEL}, agent_store.agents.seller.agent, agent_store.adapters.brains.rules",
    "command line: --help": "import agent_store.entrypoints.cli",
    "embedded store": "import agent_store.entrypoints.up",
}
_PROBE = """
import json, sys, time
sys.modules["rich"] = None  # of the development group: structlog would load it to draw tracebacks
before = time.process_time()
{imports}
used = time.process_time() - before
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([used, len(sys.modules), peak]))
"""


def _measure(imports: str) -> tuple[float, int, float]:
    """(CPU ms, modules, MiB), the least CPU of five runs with warm byte code."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    best: tuple[float, int, float] | None = None
    for _ in range(6):
        done = subprocess.run(
            [sys.executable, "-c", _PROBE.format(imports=imports)],
            cwd=ROOT, capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        used, modules, kib = json.loads(done.stdout)
        if best is None or used * 1e3 < best[0]:
            best = (used * 1e3, modules, kib / 1024)
    assert best is not None
    return best


STARTED = ("seller/fashion", "orders", "whatsapp")
_PROGRAM = """
import sys
sys.modules["rich"] = None
from agent_store.entrypoints.cli import main
main()
"""


def _start(name: str) -> tuple[float, float]:
    """(CPU ms, MiB in use) when `agent-store serve` is ready: behind a Broker that is never asked, on SQLite."""
    least = (float("inf"), 0.0)
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            path = put(Path(folder) / "directory.yaml", directory_text(brand("fashion", "1001")))
            environment = {
                **os.environ, "K_SINK": "http://127.0.0.1:9/", "AGENT_STORE_BUS": "knative", "AGENT_STORE_PORT": "0",
                "AGENT_STORE_DATA": folder, "AGENT_STORE_DIRECTORY": str(path),
            }  # fmt: skip
            with subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, "serve", name],
                cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            ) as program:  # fmt: skip
                assert program.stdout is not None
                if "is ready" not in program.stdout.readline():
                    raise RuntimeError(f"agent-store serve {name} did not start")
                used = cpu_of(program.pid) * 1e3
                status = Path(f"/proc/{program.pid}/status").read_text().splitlines()
                program.terminate()
        mib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
        least = min(least, (used, mib))
    return least


def run() -> list[Figure]:
    figures: list[Figure] = []
    for name in STARTED:
        used, mib = _start(name)
        figures.append(Figure(f"start until ready, `serve {name}`", f"{used:.0f} ms CPU, {mib:.0f} MiB"))
    bare = _measure("pass")
    for name, imports in PROCESSES.items():
        cpu, modules, mib = _measure(imports)
        served = name.startswith("served")
        figures.append(
            Figure(
                f"import, {name}", f"{cpu:.0f} ms CPU, {modules} modules, {mib:.0f} MiB",
                f"bare Python: {bare[1]} modules, {bare[2]:.0f} MiB", "",
                "≤ 400 ms and ≤ 80 MiB" if served else "", (cpu <= 400 and mib <= 80) if served else None,
            )
        )  # fmt: skip
    return figures
