"""The steps of `hack/kind` that work on any cluster, with the real kubectl on a real API server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_store.entrypoints.programs import Absent
from tests.support.components import missing
from tests.support.kube import KubeApi, assets_folder
from tests.support.process import SECRET, TOKEN, StoreProcess

ROOT = Path(__file__).parents[2]
NAMESPACE = "agent-store-multibrands"


@pytest.fixture(scope="module")
def api() -> Generator[KubeApi]:
    """One of its own: what stands in here must not be in the way of tests that need an empty one."""
    try:
        own = KubeApi()
    except Absent as error:
        missing("kube-apiserver", error.message)
    try:
        asyncio.run(own.begin())
        yield own
    finally:
        own.clean()


async def step(api: KubeApi, folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output, complaints. The API server is kind's context, and the current one."""
    config = folder / "kubeconfig"
    config.write_text(
        api.kubeconfig.read_text().replace("name: test\n", "name: kind-agent-store\n").replace(
            "current-context: test", "current-context: kind-agent-store"
        ).replace("cluster: test", "cluster: kind-agent-store")
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        ROOT / "hack/kind", *words,
        env={"PATH": f"{assets_folder()}:{os.environ['PATH']}", "HOME": str(folder), "KUBECONFIG": str(config),
             "TIMEOUT": "60", "PAUSE": "0.2", **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def named(kind: str, name: str, namespace: str, **body: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **body}


def there(api: KubeApi, *namespaces: str) -> None:
    api.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces))


async def test_kourier_is_on_the_mapped_port_and_a_second_time_changes_nothing(api: KubeApi, tmp_path: Path) -> None:
    there(api, "kourier-system", "knative-serving")
    for name in ("config-domain", "config-deployment"):
        api.apply(named("ConfigMap", name, "knative-serving", data={"_example": "…"}), namespace="knative-serving")
    for _ in range(2):
        code, _, err = await step(api, tmp_path, "expose")
        assert (code, err) == (0, "")
    service = api.get("service", "kourier-of-this-machine", namespace="kourier-system")
    (node,) = yaml.safe_load((ROOT / "kind-config.yaml").read_text("utf-8"))["nodes"]
    assert [port["nodePort"] for port in service["spec"]["ports"]] == [node["extraPortMappings"][0]["containerPort"]]
    domain = api.get("configmap", "config-domain", namespace="knative-serving")
    assert domain["data"] == {"_example": "…", "127.0.0.1.sslip.io": ""}


async def test_the_first_message_finds_gateway_number_and_secrets_in_the_cluster(api: KubeApi, tmp_path: Path) -> None:
    there(api, NAMESPACE)
    api.install_crd()
    folder = ROOT / "k8s/kustomize/base"
    documents = [
        document
        for name in ("agents.yaml", "brands/ai-seller-fashion.yaml")
        for document in yaml.safe_load_all((folder / name).read_text("utf-8"))
        if document["metadata"]["name"] in ("whatsapp-gateway", "ai-seller-fashion")
        and document["kind"] == "LambdaAgent"
    ]
    async with StoreProcess(tmp_path / "data", AGENT_STORE_WHATSAPP_GRAPH_URL="") as store:
        await store.start()
        kept = {"AGENT_STORE_WHATSAPP_APP_SECRET": SECRET, "AGENT_STORE_STAFF_TOKEN": TOKEN}
        secret = named("Secret", "agent-store-secrets", NAMESPACE, stringData=kept)
        api.apply(*documents, secret, namespace=NAMESPACE)
        status = json.dumps({"status": {"url": f"http://127.0.0.1:{store.port}"}})
        patch = [
            "patch",
            "lambdaagent",
            "whatsapp-gateway",
            "-n",
            NAMESPACE,
            "--type=merge",
            "--subresource=status",
            "-p",
        ]
        api.kubectl(*patch, status)
        code, out, err = await step(api, tmp_path, "first-message")
        assert (code, err) == (0, "")
        assert "seller: " in out
        api.kubectl("delete", "secret", "agent-store-secrets", "-n", NAMESPACE)
        api.apply(named("Secret", "agent-store-secrets", NAMESPACE, stringData={"A": "b"}), namespace=NAMESPACE)
        code, _, err = await step(api, tmp_path, "first-message")
        assert code == 1
        assert "has no AGENT_STORE_WHATSAPP_APP_SECRET" in err
        api.kubectl(*patch, '{"status": {"url": null}}')


async def test_without_a_gateway_it_says_so(api: KubeApi, tmp_path: Path) -> None:
    there(api, NAMESPACE)
    api.install_crd()
    code, _, err = await step(api, tmp_path, "first-message")
    assert code == 1
    assert "whatsapp-gateway" in err


async def test_status_names_what_an_agent_that_is_not_ready_lacks(api: KubeApi, tmp_path: Path) -> None:
    there(api, NAMESPACE)
    api.install_crd()
    for name in ("waiting", "new"):
        agent = {"apiVersion": "agent-store.dev/v1alpha1", "kind": "LambdaAgent", "metadata": {"name": name}}
        api.apply({**agent, "spec": {"run": ["orders"]}}, namespace=NAMESPACE)
    at = {"lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "NoBroker"}
    conditions = [
        {"type": "SubscriptionsReady", "status": "False", "message": "there is no Broker default", **at},
        {"type": "WorkloadReady", "status": "True", "message": "it runs", **at},
    ]
    status = json.dumps({"status": {"conditions": conditions}})
    patch = ["patch", "lambdaagent", "waiting", "-n", NAMESPACE, "--type=merge", "--subresource=status", "-p"]
    api.kubectl(*patch, status)
    code, out, err = await step(api, tmp_path, "status")
    assert (code, err) == (0, "")
    assert "waiting: SubscriptionsReady: there is no Broker default" in out
    assert "it runs" not in out
    assert "new" in out
