"""The store on a real cluster: applied as the README prints it, a customer buys, sellers sleep and wake, pods die."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.components import missing
from tests.support.graph import message_delivery
from tests.support.kube_schemas import LOCATION, write
from tests.support.manifests import program, text
from tests.support.real_cluster import (
    NAMESPACE,
    SYSTEM,
    Cluster,
    Shop,
    Shopper,
    requested_millicores,
    until,
)
from tests.support.real_cluster import cluster as cluster
from tests.support.real_cluster import installed as installed
from tests.support.real_cluster import shop as shop

pytestmark = [
    pytest.mark.real_cluster,
    pytest.mark.xdist_group("real-cluster"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
]
FASHION = "100000000000001"


# --- the manifests -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every kind that the cluster knows."""
    folder = tmp_path_factory.mktemp("schemas")
    cluster.run("apply", "-k", "k8s/crds")
    document = json.loads(cluster.run("get", "--raw", "/openapi/v2"))
    assert write(folder, document, cluster.get("customresourcedefinitions")) > 100
    return folder


@pytest.mark.parametrize("name", ["operator", "kind", "studio"])
def test_the_manifests_conform_to_the_clusters_schemas(schemas: Path, name: str) -> None:
    checker = program("kubeconform")
    if checker is None:
        missing("kubeconform", "kubeconform is absent: go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0")
    done = subprocess.run(
        [checker, "-strict", "-summary", "-schema-location", f"{schemas}/{LOCATION}", "-"],
        input=text(name), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


# --- applied -------------------------------------------------------------------------------------------------------------


def test_every_agent_is_ready_and_says_so(installed: Cluster) -> None:
    agents: list[dict[str, Any]] = installed.get("lambdaagents")
    assert len(agents) >= 7
    for agent in agents:
        assert agent["status"]["observedGeneration"] == agent["metadata"]["generation"]
        conditions = {one["type"]: one["status"] for one in agent["status"]["conditions"]}
        assert set(conditions.values()) == {"True"}, (agent["metadata"]["name"], agent["status"]["conditions"])


def test_applied_again_it_is_as_it_was(installed: Cluster) -> None:
    before = {one["metadata"]["name"]: one["metadata"]["generation"] for one in installed.get("lambdaagents")}
    revisions = {one["metadata"]["name"] for one in installed.get("revisions.serving.knative.dev")}
    installed.apply("operator")
    installed.apply("kind")
    repairs = [one["message"] for one in installed.get("events") if one["reason"] == "Repaired"]
    assert not repairs, "the operator and Knative do not agree on what an object is to be"
    assert {one["metadata"]["name"]: one["metadata"]["generation"] for one in installed.get("lambdaagents")} == before
    assert {one["metadata"]["name"] for one in installed.get("revisions.serving.knative.dev")} == revisions


def test_all_of_it_asks_for_at_most_one_and_a_half_cores(installed: Cluster) -> None:
    pods = [*installed.get("pods"), *installed.get("pods", namespace=SYSTEM)]
    assert 0 < requested_millicores(pods) <= 1500


# --- a customer ----------------------------------------------------------------------------------------------------------


def test_a_signed_webhook_leads_to_a_reply_and_to_a_confirmed_order(shop: Shop) -> None:
    shopper = Shopper(shop, FASHION)
    number = shopper.buy()
    order = shop.api(f"/api/orders/{number}")
    assert (order["state"], order["brand"]) == ("confirmed", "fashion")
    assert [line["sku"] for line in order["lines"]] == ["FAS-VAURORA-VM-M"]


def test_a_webhook_with_another_signature_is_refused(shop: Shop) -> None:
    message = {"id": "wamid.forged", "type": "text", "text": {"body": "oi"}}
    assert shop.deliver(message_delivery(FASHION, "5511999999999", message), "not-the-secret") in (401, 403)


def test_every_brand_answers_on_its_number(shop: Shop) -> None:
    brands: list[dict[str, Any]] = shop.api("/api/brands")
    assert {brand["name"] for brand in brands} >= {"fashion", "tech", "home", "beauty", "gaming"}
    for brand in brands:
        answer = Shopper(shop, brand["phone_number_ids"][0]).say("oi", hear=brand["seller"])
        assert answer, brand["name"]


def test_a_seller_sleeps_and_wakes_for_a_message(shop: Shop) -> None:
    selector = "serving.knative.dev/service=ai-seller-fashion"
    until(lambda: not shop.cluster.get("pods", "-l", selector), 300, "the seller is asleep")
    began = time.monotonic()
    answer = Shopper(shop, FASHION).say("Oi, quero um vestido vermelho", hear="Vestido")
    assert answer
    assert time.monotonic() - began < 60
    assert shop.cluster.pods(selector)


# --- what is added, and goes again ---------------------------------------------------------------------------------------


def test_a_sixth_brand_is_one_file_sells_changes_its_prompt_and_goes(shop: Shop) -> None:
    cluster, agent, file = shop.cluster, "lambdaagent/ai-seller-pets", "examples/brands/pets-kubernetes.yaml"
    pods = {pod["metadata"]["uid"] for pod in cluster.pods("!batch.kubernetes.io/job-name")}
    cluster.run("apply", "-n", NAMESPACE, "-f", file)
    cluster.wait(agent, "condition=Ready", 120)
    cluster.wait("job", "condition=Complete", 180, "-l", "agent-store.dev/lambdaagent=ai-seller-pets")
    until(lambda: _found(shop, "pets", "coleira"), 60, "the catalogue of the sixth brand")
    number = Shopper(shop, "100000000000006").buy(
        "Oi, quero uma coleira azul para o meu cachorro", "Coleira Trilha", "coleira-trilha", "PET-COLTRI-AZ-M"
    )
    order = shop.api(f"/api/orders/{number}")
    assert (order["state"], order["brand"]) == ("confirmed", "pets")
    before = cluster.get(agent)["status"]["prompt"]["stable"]
    text = json.dumps({"data": {"system.md": "You are Teo. You are brief."}})
    cluster.run("patch", "configmap", "pets-prompt", "-n", NAMESPACE, "--type=merge", "-p", text)
    until(lambda: cluster.get(agent)["status"]["prompt"]["stable"] != before, 30, "the new prompt")
    cluster.wait(agent, "condition=Ready", 120)
    assert Shopper(shop, "100000000000006").say("oi", hear="Teo")
    lasting = {pod["metadata"]["uid"] for pod in cluster.pods("serving.knative.dev/service in (whatsapp-gateway)")}
    assert lasting <= pods, "the gateway learned of the brand without a new pod"
    cluster.run("delete", "-n", NAMESPACE, "-f", file)
    until(lambda: "pets" not in {one["name"] for one in shop.api("/api/brands")}, 60, "the brand is gone")
    for kind in ("triggers", "services.serving.knative.dev", "serviceaccounts", "jobs", "rolebindings"):
        until(lambda kind=kind: not cluster.get(kind, "-l", "agent-store.dev/brand=pets"), 120, f"no {kind} are left")


def _found(shop: Shop, brand: str, words: str) -> Any:
    """What a search finds that can be had."""
    found = shop.post("/api/tools/catalog.search", {"text": words, "brand": brand})
    return found["hits"]


def test_an_agent_of_another_package_is_used_by_a_seller(shop: Shop) -> None:
    cluster = shop.cluster
    file = "examples/gift-wrapping/k8s/gift-wrapping.yaml"
    tools = {"spec": {"brand": {"tools": ["gift-wrapping.*"]}}}
    cluster.run("apply", "-n", NAMESPACE, "-f", file)
    try:
        if until(lambda: _migrated(cluster, "gift-wrapping-migrate-0-1-0"), 120, "its tables are there") == "no image":
            missing("gift-wrapping's image", "no node has it: examples/gift-wrapping/Dockerfile says how to build it")
        cluster.run(
            "patch", "lambdaagent", "ai-seller-fashion", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(tools)
        )
        cluster.wait("lambdaagent/gift-wrapping", "condition=Ready", 180)
        cluster.wait("lambdaagent/ai-seller-fashion", "condition=Ready", 120)
        shopper = Shopper(shop, FASHION)
        shopper.say("Oi, quero um vestido vermelho até 300 reais", hear="Vestido Midi Aurora")
        shopper.tap("product:vestido-midi-aurora")
        shopper.tap("add:FAS-VAURORA-VM-M", hear="carrinho|sacola")
        assert shopper.say("Vocês embrulham? Quero papel de presente", hear="Embrulhamos para presente")
    finally:
        tools["spec"]["brand"]["tools"] = []
        cluster.run(
            "patch", "lambdaagent", "ai-seller-fashion", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(tools)
        )
        cluster.run("delete", "-n", NAMESPACE, "-f", file)
    cluster.wait("lambdaagent/ai-seller-fashion", "condition=Ready", 120)


def _migrated(cluster: Cluster, job: str) -> str | None:
    if cluster.get("job", job).get("status", {}).get("succeeded"):
        return "done"
    for pod in cluster.pods(f"batch.kubernetes.io/job-name={job}"):
        for container in pod["status"].get("containerStatuses", ()):
            if container["state"].get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff"):
                return "no image"
    return None


# --- what dies comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespace", "selector"),
    [
        (NAMESPACE, "serving.knative.dev/service=order-processor"),
        (NAMESPACE, "serving.knative.dev/service=ai-seller-fashion"),
        (NAMESPACE, "eventing.knative.dev/brokerRole=dispatcher"),
        (NAMESPACE, "eventing.knative.dev/brokerRole=ingress"),
        (NAMESPACE, "app.kubernetes.io/component=rabbitmq"),
        (NAMESPACE, "app.kubernetes.io/component=steward"),
        (SYSTEM, "app.kubernetes.io/component=operator"),
    ],
    ids=lambda value: value.rpartition("=")[2] if "=" in value else "",
)
def test_pods_die_while_customers_buy_and_every_order_is_confirmed_once(
    shop: Shop, namespace: str, selector: str
) -> None:
    # A RabbitMQ of one node takes a minute or two until it is there again and all who talk to it have noticed.
    shoppers = [Shopper(shop, FASHION, patience=240) for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(len(shoppers)) as phones:
        buying = [phones.submit(shopper.buy) for shopper in shoppers]
        # In the middle of it: the first has been answered.
        until(lambda: any(shopper.heard for shopper in shoppers), 90, "somebody was answered")
        shop.cluster.run(
            "delete", "pod", "-n", namespace, "-l", selector, "--grace-period=0", "--force", "--wait=false"
        )
        numbers = [one.result() for one in buying]
    assert len(set(numbers)) == len(shoppers)
    for shopper, number in zip(shoppers, numbers, strict=True):
        assert shop.api(f"/api/orders/{number}")["state"] == "confirmed"
        approved = [message for message in shopper.heard if "Pagamento aprovado" in message.text]
        assert len(approved) == 1
    shop.cluster.wait("lambdaagent", "condition=Ready", 300, "--all")
