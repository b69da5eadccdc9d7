"""`helm install`, `upgrade` and `uninstall` against a real API server. Nothing runs there: a pod is as far as it gets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_store.entrypoints.programs import Absent
from agent_store.kube.crd import definition
from agent_store.kube.kinds import Kind
from tests.support.components import missing
from tests.support.helm import CHART, KIND_VALUES, helm
from tests.support.kube import KubeApi
from tests.support.manifests import program
from tests.support.operator import EVENTING, loose_definition

RABBITMQ = (
    loose_definition(Kind("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters")),
    loose_definition(Kind("eventing.knative.dev", "v1alpha1", "RabbitmqBrokerConfig", "rabbitmqbrokerconfigs")),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    """One of this module's own: the kinds that are installed here are absent elsewhere."""
    if program("helm") is None:
        missing("helm", "helm is absent: https://helm.sh/docs/intro/install/ says how to get it")
    try:
        found = KubeApi()
    except Absent as error:
        missing("kube-apiserver", error.message)
    try:
        asyncio.run(found.begin())
        found.install(*EVENTING, *RABBITMQ)
        yield found
    finally:
        found.clean()


class Release:
    """A release `store` in a namespace."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self._to = ("--namespace", namespace, "--kubeconfig", str(api.kubeconfig))

    def run(self, *arguments: str) -> str:
        done = helm(*arguments, *self._to)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        command = program("helm")
        assert command is not None
        return subprocess.Popen(
            [command, *arguments, *self._to], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def names(self, kinds: str) -> set[str]:
        found: list[dict[str, Any]] = self.api.get(kinds, namespace=self.namespace)["items"]
        return {f"{one['kind']}/{one['metadata']['name']}" for one in found}

    def steward(self) -> str:
        deployment = self.api.get("deployment", "steward", namespace=self.namespace)
        image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        return image.rpartition(":")[2]


BRANDS = ("beauty", "fashion", "gaming", "home", "tech")
INSTALL = ("install", "store", str(CHART), "--create-namespace")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.1)


def test_a_store_for_trying_is_taken_by_the_api_server_in_one_command(api: KubeApi) -> None:
    release = Release(api, "trying")
    said = release.run(*INSTALL, "--values", str(KIND_VALUES))
    assert release.names("lambdaagents") == {
        f"LambdaAgent/{name}"
        for name in ("whatsapp-gateway", "order-processor", *(f"ai-seller-{one}" for one in BRANDS))
    }
    assert {"Deployment/agent-store-operator", "StatefulSet/postgres"} <= release.names("deployments,statefulsets")
    assert "kubectl label namespace trying pod-security.kubernetes.io/enforce=baseline" in said
    assert "THE SECRETS OF THIS RELEASE ARE FOR TRYING" in said
    assert "create secret" not in said
    assert "helm -n trying test store" in said
    release.run("uninstall", "store", "--no-hooks")
    left = release.names(
        "all,lambdaagents,brokers,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies"
    )
    assert left <= {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}


def test_a_store_for_customers_tells_what_it_needs_first(api: KubeApi) -> None:
    release = Release(api, "customers")
    api.kubectl("create", "namespace", "customers")
    api.kubectl("label", "namespace", "customers", "pod-security.kubernetes.io/enforce=baseline")
    said = release.run(*INSTALL, "--set", "operator.enabled=false")
    assert "kubectl -n customers create secret generic agent-store-secrets" in said
    assert "rabbitmq.com/topology-allowed-namespaces=customers" in said
    assert "https://shop.example.com/webhooks/whatsapp" in said
    assert "label namespace" not in said
    assert release.names("deployments") == {"Deployment/steward"}


def test_an_operator_of_its_own_says_how_a_store_is_added(api: KubeApi) -> None:
    release = Release(api, "system")
    said = release.run(
        "install", "agent-store-operator", str(CHART), "--create-namespace", "--set", "store.enabled=false"
    )
    assert "--set operator.enabled=false" in said
    assert release.names("deployments,lambdaagents") == {"Deployment/agent-store-operator"}
    release.run("uninstall", "agent-store-operator")


@pytest.mark.parametrize("reuse", ["--reset-then-reuse-values", "--reuse-values"])
def test_what_was_taken_away_stays_away_in_an_upgrade_of_something_else(api: KubeApi, reuse: str) -> None:
    release = Release(api, f"reused-{len(reuse)}")
    release.run(*INSTALL, "--values", str(KIND_VALUES), "--set", "operator.enabled=false")
    before = release.names("lambdaagents")
    release.run("upgrade", "store", str(CHART), "--no-hooks", reuse, "--set", "brands.home=null")
    assert release.names("lambdaagents") == before - {"LambdaAgent/ai-seller-home"}
    spec = api.get("lambdaagent", "ai-seller-tech", namespace=release.namespace)["spec"]
    assert spec["ai"]["provider"] == "rules"
    assert (
        "namespace"
        not in api.get("rabbitmqbrokerconfig", "default", namespace=release.namespace)["spec"][
            "rabbitmqClusterReference"
        ]
    )


async def test_an_upgrade_begins_when_the_tables_are_there(api: KubeApi) -> None:
    release = Release(api, "upgraded")
    values = ("--values", str(KIND_VALUES), "--set", "operator.enabled=false")
    release.run(*INSTALL, *values)
    before = release.steward()
    (name,) = release.names("jobs")
    first = api.get(name, namespace=release.namespace)["metadata"]["uid"]
    upgrade = release.begin("upgrade", "store", str(CHART), *values, "--set", "image.tag=next", "--timeout", "90s")
    try:
        await until(lambda: _uid(api, name, release.namespace) not in ("", first))
        assert release.steward() == before
        assert upgrade.poll() is None
        finish(api, name, release.namespace)
        assert await asyncio.to_thread(upgrade.wait, 60) == 0, upgrade.stderr and upgrade.stderr.read()
    finally:
        with contextlib.suppress(ProcessLookupError):
            upgrade.kill()
        upgrade.communicate()
    assert release.steward() == "next"


async def test_an_upgrade_whose_tables_fail_changes_nothing(api: KubeApi) -> None:
    release = Release(api, "failing")
    values = ("--values", str(KIND_VALUES), "--set", "operator.enabled=false")
    release.run(*INSTALL, *values)
    before = release.steward()
    done = await asyncio.to_thread(
        helm, "upgrade", "store", str(CHART), *values, "--set", "image.tag=next", "--timeout", "3s",
        "--namespace", release.namespace, "--kubeconfig", str(api.kubeconfig),
    )  # fmt: skip
    assert done.returncode != 0
    assert "pre-upgrade hooks failed" in done.stderr
    assert release.steward() == before


def _uid(api: KubeApi, job: str, namespace: str) -> str:
    return api.kubectl("get", job, "-n", namespace, "-o", "jsonpath={.metadata.uid}", "--ignore-not-found")


def finish(api: KubeApi, job: str, namespace: str) -> None:
    """As the Job's controller does when its pod has succeeded."""
    now = "2026-01-01T00:00:00Z"
    conditions = [
        {
            "type": kind,
            "status": "True",
            "lastProbeTime": now,
            "lastTransitionTime": now,
            "reason": "CompletionsReached",
        }
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
    api.kubectl(
        "patch", job, "-n", namespace, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )


# --- before it is uninstalled ----------------------------------------------------------------------------------------------


@pytest.fixture
def namespace(api: KubeApi) -> str:
    api.install(definition())
    return api.namespace()


def _agent(name: str, release: str, *finalizers: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"app.kubernetes.io/instance": release}, "finalizers": list(finalizers)}
    return {
        "apiVersion": "agent-store.dev/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": metadata,
        "spec": {"run": ["cart"]},
    }


def _broker(*finalizers: str) -> dict[str, Any]:
    metadata = {"name": "default", "finalizers": list(finalizers)}
    return {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": metadata, "spec": {}}


def _remove(api: KubeApi, namespace: str, seconds: int) -> subprocess.Popen[str]:
    environment = {
        "KUBECONFIG": str(api.kubeconfig), "REMOVE_NAMESPACE": namespace, "REMOVE_RELEASE": "store",
        "REMOVE_BROKER": "default", "REMOVE_SECONDS": str(seconds),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, str(CHART / "files" / "scripts" / "remove.py")],
        env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _trigger(agent: str) -> dict[str, Any]:
    metadata = {"name": f"{agent}-1", "labels": {"agent-store.dev/lambdaagent": agent}}
    return {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": metadata, "spec": {}}


async def test_agents_go_first_then_their_triggers_then_the_broker_and_nobody_elses(
    api: KubeApi, namespace: str
) -> None:
    held = "agent-store.dev/test"
    api.apply(
        _agent("one", "store", held), _agent("other", "another"), _broker(), _trigger("one"), _trigger("other"),
        namespace=namespace,
    )  # fmt: skip
    removal = _remove(api, namespace, 60)
    await until(lambda: "deletionTimestamp" in api.get("lambdaagent", "one", namespace=namespace)["metadata"])
    assert "deletionTimestamp" not in api.get("broker", "default", namespace=namespace)["metadata"]
    api.kubectl(
        "patch", "lambdaagent", "one", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    assert removal.stdout is not None
    assert await asyncio.to_thread(removal.stdout.readline) == "agents gone\n"
    assert Release(api, namespace).names("brokers") == {"Broker/default"}
    api.kubectl("delete", "trigger", "one-1", "-n", namespace)  # as the garbage collector does
    said, _ = await asyncio.to_thread(removal.communicate, timeout=60)
    assert removal.returncode == 0, said
    assert Release(api, namespace).names("lambdaagents,brokers,triggers") == {"LambdaAgent/other", "Trigger/other-1"}


async def test_what_does_not_go_is_named(api: KubeApi, namespace: str) -> None:
    api.apply(_agent("one", "store", "agent-store.dev/test"), _broker(), namespace=namespace)
    removal = _remove(api, namespace, 1)
    said, _ = await asyncio.to_thread(removal.communicate, timeout=60)
    assert removal.returncode == 1
    assert "agents still there after 1 s: one" in said
    assert Release(api, namespace).names("brokers") == {"Broker/default"}
    api.kubectl(
        "patch", "lambdaagent", "one", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )


async def test_the_hook_has_the_rights_that_it_needs(api: KubeApi) -> None:
    release = Release(api, "rights")
    release.run(*INSTALL, "--set", "operator.enabled=false")
    hooks = release.run("get", "hooks", "store")
    api.kubectl("apply", "-n", "rights", "-f", "-", stdin=hooks)
    token = api.kubectl("create", "token", "agent-store-remove", "-n", "rights").strip()
    config = api.kubeconfig_of(token, name="remove", namespace="rights")
    environment = {
        **os.environ, "KUBECONFIG": str(config), "REMOVE_NAMESPACE": "rights", "REMOVE_RELEASE": "store",
        "REMOVE_BROKER": "default", "REMOVE_SECONDS": "30",
    }  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, str(CHART / "files" / "scripts" / "remove.py")],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert release.names("lambdaagents,brokers") == set()
