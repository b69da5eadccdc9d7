"""The chart, as Helm renders it."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.support.components import missing
from tests.support.manifests import ROOT, Object, program

CHART = ROOT / "charts" / "agent-store"
KIND_VALUES = CHART / "values-kind.yaml"
KUBE_VERSION = "1.34"
"""A Helm that `go install` made takes an old Kubernetes for granted when it renders without a cluster."""


def helm(
    *arguments: str, environment: Mapping[str, str] | None = None, seconds: float = 100
) -> subprocess.CompletedProcess[str]:
    """Skips the test when Helm is absent."""
    command = program("helm")
    if command is None:
        missing("helm", "helm is absent: https://helm.sh/docs/intro/install/ says how to get it")
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, **(environment or {})},
    )


@functools.cache
def _template(arguments: tuple[str, ...], namespace: str, chart: Path) -> subprocess.CompletedProcess[str]:
    return helm("template", "store", str(chart), "-n", namespace, "--kube-version", KUBE_VERSION, *arguments)


def template(*arguments: str, namespace: str = "agent-store-multibrands", chart: Path = CHART) -> list[Object]:
    """The objects of a release called `store`. `arguments` are `helm template`'s."""
    done = _template(arguments, namespace, chart)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one]


def refused(*arguments: str) -> str:
    """What Helm says of values that it must not take."""
    done = _template(arguments, "agent-store-multibrands", CHART)
    assert done.returncode != 0, "these values were taken"
    return done.stderr
