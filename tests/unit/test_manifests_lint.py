"""kube-score finds nothing in the manifests, and each exception says why."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.components import missing
from tests.support.manifests import objects, program, text

IGNORED = "kube-score/ignore"
REASON = "agent-store.dev/kube-score-"


@pytest.mark.parametrize("name", ["operator", "kind", "studio"])
def test_kube_score_finds_nothing(name: str) -> None:
    linter = program("kube-score")
    if linter is None:
        missing("kube-score", "kube-score is absent: go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0")
    # No CPU limits: a pod that may use what is free answers sooner, and requests share fairly when nothing is free.
    command = [linter, "score", "-", "--kubernetes-version=v1.34", "--output-format=ci", "--ignore-container-cpu-limit"]
    done = subprocess.run(
        [*command, "--exit-one-on-warning"], input=text(name), capture_output=True, text=True, check=False
    )
    bad = [line for line in done.stdout.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))]
    assert (bad, done.returncode) == ([], 0), done.stderr


@pytest.mark.parametrize("name", ["operator", "kind", "studio"])
def test_no_exception_is_unexplained(name: str) -> None:
    for one in objects(name):
        annotations: dict[str, str] = one["metadata"].get("annotations", {})
        ignored = {check for check in annotations.get(IGNORED, "").split(",") if check}
        explained = {key.removeprefix(REASON) for key, why in annotations.items() if key.startswith(REASON) and why}
        assert ignored == explained, (one["kind"], one["metadata"]["name"])
