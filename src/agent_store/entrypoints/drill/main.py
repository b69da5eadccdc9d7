"""The command `agent-store drill`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

from agent_store.entrypoints.drill import report
from agent_store.entrypoints.drill.fleet import Mode
from agent_store.entrypoints.drill.run import Plan, parse
from agent_store.entrypoints.drill.run import run as run_drill


def run(
    mode: str,
    faults: str,
    customers: int,
    seconds: float,
    replicas: int,
    seed: int,
    data: Path | None,
    *,
    as_json: bool,
) -> bool:
    """Whether everything held. Raises KeyboardInterrupt when it was interrupted."""
    kind = cast("Mode", mode)
    plan = Plan(
        mode=kind, faults=parse(faults, kind), customers=customers, seconds=seconds, replicas=replicas, seed=seed
    )  # fmt: skip
    progress = sys.stderr if as_json else sys.stdout

    def say(line: str) -> None:
        progress.write(f"  {line}\n")
        progress.flush()

    outcome = run_drill(plan, data, say)
    sys.stdout.write(json.dumps(report.data(outcome), indent=2) + "\n" if as_json else report.text(outcome))
    return outcome.holds
