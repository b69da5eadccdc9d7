"""A customer's wait on a cluster (`kubectl apply -k k8s/kustomize/kind`, KUBECONFIG): from the signed webhook to the seller's
answer on the phone, with a pod that is there, and with one that has to start."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import httpx

from tests.bench.common import Figure
from tests.support.manifests import program
from tests.support.real_cluster import NAMESPACE, Cluster, Shop, Shopper, until

NUMBERS = {
    f"10000000000000{position}": brand
    for position, brand in enumerate(("fashion", "tech", "home", "beauty", "gaming"), 1)
}
WORDS = {"fashion": "vestido", "tech": "fone", "home": "luminária", "beauty": "batom", "gaming": "controle"}
WARM = 20


def run() -> list[Figure]:
    """Raises RuntimeError without a cluster."""
    kubectl = program("kubectl")
    if kubectl is None or not os.environ.get("KUBECONFIG"):
        raise RuntimeError("kubectl and the KUBECONFIG of a cluster with the store are needed")
    cluster = Cluster(kubectl)
    host = httpx.URL(cluster.get("lambdaagent", "whatsapp-gateway")["status"]["url"]).host
    with (
        cluster.reach("kourier", 80, "kourier-system") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": host}, timeout=60, trust_env=False) as http,
    ):
        shop = Shop(cluster, http)
        cold = [_wait(shop, number) for number in NUMBERS if _asleep(cluster, NUMBERS[number])]
        number = next(iter(NUMBERS))
        _wait(shop, number)
        warm = [_wait(shop, number) for _ in range(WARM)]
    return [
        Figure("webhook → answer, a pod is there", _times(warm), reference="of it 0.7 s: the burst window"),
        Figure("webhook → answer, from no pod", _times(cold) if cold else "no seller was asleep", reference="of it 0.7 s: the burst window"),
    ]  # fmt: skip


def _asleep(cluster: Cluster, brand: str) -> bool:
    """After at most two minutes of waiting for it."""
    try:
        until(
            lambda: (
                not cluster.pods(
                    f"agent-store.dev/lambdaagent=ai-seller-{brand},serving.knative.dev/service", NAMESPACE
                )
            ),
            120,
            brand,
        )
    except AssertionError:
        return False
    return True


def _wait(shop: Shop, number: str) -> float:
    """Seconds. Each is another customer: the first answer of a conversation."""
    customer = Shopper(shop, number)
    began = time.monotonic()
    customer.say(f"Oi, tem {WORDS[NUMBERS[number]]}?")
    return time.monotonic() - began


def _times(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {ordered[len(ordered) // 2]:.2f} s, {ordered[0]:.2f}–{ordered[-1]:.2f} s"
