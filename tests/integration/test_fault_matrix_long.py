"""The fault matrix at length: whole drills, every fault, several seeds. Run by `.ci/full`, or `pytest -m slow_drill`."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_store.entrypoints.drill import report
from agent_store.entrypoints.drill.fleet import Mode
from agent_store.entrypoints.drill.run import Plan, drill, parse
from agent_store.entrypoints.programs import Absent
from tests.support.components import missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slow_drill,
    pytest.mark.timeout(2400),
    pytest.mark.xdist_group("fleet"),
]

TOGETHER = "kill+links,postgres+rabbitmq,pause+kill,lost+redis,terminate+postgres"
DRILLS: list[tuple[Mode, str, int, int]] = [
    ("embedded", "all", 1, 1),
    ("embedded", "kill+links,pause+links", 1, 2),
    ("rabbitmq", "all", 1, 1),
    ("rabbitmq", "all", 2, 2),
    ("rabbitmq", TOGETHER, 2, 3),
    ("knative", "all", 1, 1),
    ("knative", "all", 2, 2),
    ("knative", f"{TOGETHER},ingress+dispatcher,dispatcher+kill", 2, 3),
]
"""Mode, faults, replicas, seed."""


@pytest.mark.parametrize(("mode", "faults", "replicas", "seed"), DRILLS)
async def test_a_whole_drill_holds(tmp_path: Path, mode: Mode, faults: str, replicas: int, seed: int) -> None:
    plan = Plan(
        mode=mode, faults=parse(faults, mode), customers=4, passers_by=1.0, seconds=20.0, patience=150.0,
        settling=240.0, replicas=replicas, seed=seed,
    )  # fmt: skip
    try:
        outcome = await drill(plan, tmp_path)
    except Absent as error:
        missing("knative" if "ingress" in error.message else error.message.split()[0], error.message)
    assert outcome.holds, report.text(outcome)
    assert outcome.ended == [], report.text(outcome)
    assert outcome.load.bought > 0
    assert len(outcome.load.unanswered) <= len(outcome.verdict.uncertain) + len(outcome.verdict.dead), report.text(
        outcome
    )
