"""The overlay `studio` on a real cluster: each agent alone, RabbitMQ in another namespace, a Graph API to send to, a model
that does not answer. Takes away the store that is in the namespace.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.graph import message_delivery
from tests.support.real_cluster import NAMESPACE, SYSTEM, Cluster, Shop, until
from tests.support.real_cluster import cluster as cluster

pytestmark = [
    pytest.mark.real_cluster,
    pytest.mark.xdist_group("real-cluster"),
    pytest.mark.timeout(1200),
    pytest.mark.slow,
]
OVERLAY = Path(__file__).parent / "studio"
FASHION = "100000000000001"
ANA = "5511988880001"


@pytest.fixture(scope="module")
def studio(cluster: Cluster) -> Generator[Cluster]:
    cluster.apply("operator")
    cluster.wait("crd/lambdaagents.agent-store.dev", "condition=Established", 60)
    cluster.wait("deployment/agent-store-operator", "condition=Available", 180, namespace=SYSTEM)
    cluster.take_away("kind")
    cluster.apply(OVERLAY)
    cluster.wait("lambdaagent", "condition=Ready", 600, "--all")
    yield cluster
    cluster.take_away(OVERLAY)
    assert "NotFound" in cluster.error("get", "namespace", NAMESPACE)


@pytest.fixture
def shop(studio: Cluster) -> Generator[Shop]:
    url: str = studio.get("lambdaagent", "whatsapp-gateway")["status"]["url"]
    host = httpx.URL(url).host
    with (
        studio.reach("kourier", 80, "kourier-system") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": host}, timeout=60, trust_env=False) as http,
    ):
        yield Shop(studio, http)


def test_a_webhook_leads_to_a_message_at_the_graph_api_without_the_model(studio: Cluster, shop: Shop) -> None:
    message = {"id": "wamid.studio1", "type": "text", "text": {"body": "Oi, quero um vestido vermelho até 300 reais"}}
    assert shop.deliver(message_delivery(FASHION, ANA, message)) == 200
    with studio.reach("graph", 80, NAMESPACE) as port:

        def answered() -> list[dict[str, Any]] | None:
            sent = httpx.get(f"http://127.0.0.1:{port}/sent", trust_env=False).json()
            return [one for one in sent if one["payload"]["to"] == ANA and "Vestido" in json.dumps(one)] or None

        (first, *_) = until(answered, 180, "the seller's answer at the Graph API")
    assert first["number"] == FASHION


def test_agents_scale_as_the_table_says(studio: Cluster) -> None:
    found = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["annotations"]
        for one in studio.get("services.serving.knative.dev")
    }
    table = {
        "whatsapp-gateway": ("1", "5", "50"),
        "product-catalog": ("1", "5", "50"),
        "order-processor": ("1", "5", "20"),
        "sales-assistant": ("1", "5", "10"),
        "ai-seller-fashion": ("0", "10", "5"),
    }
    for name, (least, most, target) in table.items():
        scaling = {key.rpartition("/")[2]: value for key, value in found[name].items()}
        assert (scaling["min-scale"], scaling["max-scale"], scaling["target"]) == (least, most, target), name


def test_budgets_find_the_pods_that_they_are_for(studio: Cluster) -> None:
    for budget in studio.get("poddisruptionbudgets"):
        if budget["metadata"]["name"] != "sellers":  # who may be asleep
            assert budget["status"]["expectedPods"] >= 1, budget["metadata"]["name"]
        assert not [one for one in budget["status"]["conditions"] if one["reason"] == "SyncFailed"], budget
