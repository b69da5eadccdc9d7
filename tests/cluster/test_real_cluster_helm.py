"""The chart on a real cluster: installed, tested by itself, upgraded, taken away. Takes away the store that is there."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.helm import CHART, KIND_VALUES, helm
from tests.support.real_cluster import NAMESPACE, Cluster, until
from tests.support.real_cluster import cluster as cluster

pytestmark = [
    pytest.mark.real_cluster,
    pytest.mark.xdist_group("real-cluster"),
    pytest.mark.timeout(1800),
    pytest.mark.slow,
]


def _helm(*words: str) -> str:
    done = helm(*words, "-n", NAMESPACE, seconds=900)
    assert done.returncode == 0, f"helm {' '.join(words)}: {done.stderr}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Generator[Cluster]:
    cluster.take_away("kind")
    cluster.run("delete", "-k", "k8s/kustomize/operator", "--ignore-not-found", "--timeout=300s")
    _helm("install", "store", str(CHART), "--create-namespace", "-f", str(KIND_VALUES), "--timeout", "10m")
    cluster.wait("lambdaagent", "condition=Ready", 600, "--all")
    yield cluster
    _helm("uninstall", "store", "--timeout", "10m")
    kinds = (
        "lambdaagents,brokers,triggers,services.serving.knative.dev,deployments,statefulsets,jobs,pods,rabbitmqclusters"
    )
    until(lambda: not cluster.get(kinds), 180, "nothing is left of all that ran")
    for kind in ("clusterroles", "clusterrolebindings"):
        assert "agent-store" not in cluster.run("get", kind, "-o", "name")
    cluster.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=300s")
    cluster.run("delete", "crd", "lambdaagents.agent-store.dev", "--ignore-not-found", "--timeout=120s")


def test_the_release_tests_itself(release: Cluster) -> None:
    said = _helm("test", "store", "--timeout", "5m")
    assert "Phase:          Succeeded" in said, said


def test_an_upgrade_with_the_same_values_changes_no_agent(release: Cluster) -> None:
    before = {one["metadata"]["name"]: one["metadata"]["generation"] for one in release.get("lambdaagents")}
    assert len(before) >= 7
    _helm("upgrade", "store", str(CHART), "--reset-then-reuse-values", "--timeout", "10m")
    assert {one["metadata"]["name"]: one["metadata"]["generation"] for one in release.get("lambdaagents")} == before
