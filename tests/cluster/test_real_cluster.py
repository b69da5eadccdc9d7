"""The store on a real cluster: applied as the README prints it, a customer buys, sellers sleep and wake, pods die."""

from __future__ import annotations

import concurrent.futures
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
    import json

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
    shoppers = [Shopper(shop, FASHION) for _ in range(3)]
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
