"""`make bench`: every figure beside its reference, in one run. `python -m tests.bench webhook search` runs some."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from dataclasses import asdict

from agent_store.kernel.errors import StoreError
from tests.bench.common import Figure

BENCHES = ("webhook", "load", "process", "event", "bus", "database", "reply", "served", "search", "imports")
ON_REQUEST = ("cluster",)
"""Those that need more than a machine."""


def line(figure: Figure) -> str:
    mark = {True: "met", False: "MISSED", None: ""}[figure.met]
    aim = f"aim {figure.aim}: {mark}" if figure.aim else ""
    return f"  {figure.name:<44} {figure.value:<42} {figure.ratio:<9} {figure.reference:<44} {aim}".rstrip()


def main(names: list[str], as_json: bool) -> int:
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; CPU is of the measured process\n"
    )
    failed = 0
    found: list[Figure] = []
    for name in names or BENCHES:
        started = time.perf_counter()
        try:
            figures = importlib.import_module(f"tests.bench.bench_{name}").run()
        except (RuntimeError, OSError, StoreError) as error:
            print(f"{name}: could not be measured: {error}", file=sys.stderr)
            failed += 1
            continue
        print(f"{name} ({time.perf_counter() - started:.0f} s)")
        for figure in figures:
            print(line(figure))
        found.extend(figures)
        sys.stdout.flush()
    if as_json:
        print(json.dumps([asdict(figure) for figure in found], ensure_ascii=False, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--json"]
    unknown = set(arguments) - {*BENCHES, *ON_REQUEST}
    if unknown:
        sys.exit(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join((*BENCHES, *ON_REQUEST))}")
    sys.exit(main(arguments, "--json" in sys.argv))
