"""Repairs of what another program changes again and again."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from agent_store.kube.api import Api
from agent_store.kube.cluster import Cluster
from agent_store.kube.compare import stamped
from agent_store.kube.kinds import ROLE
from agent_store.kube.metrics import OperatorMetrics
from agent_store.kube.model import LambdaAgent
from agent_store.kube.render import labels_of, owner_of
from agent_store.kube.work import WorkQueue
from agent_store.kube.writing import Writer

AGENT = LambdaAgent.read(
    {"metadata": {"name": "pets", "namespace": "shop", "uid": "u"},
     "spec": {"brand": {"id": "pets", "name": "Pets", "seller": "Teo"}}}
)  # fmt: skip
WANTED: dict[str, Any] = {
    "apiVersion": ROLE.api_version,
    "kind": ROLE.name,
    "metadata": {"name": "pets", "namespace": "shop", "labels": labels_of(AGENT), "ownerReferences": [owner_of(AGENT)]},
    "rules": [{"verbs": ["get"]}],
}


async def test_a_quarrel_with_another_program_is_told_and_goes_on_slowly() -> None:
    now, version = 1000.0, 1
    metrics = OperatorMetrics()

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal version
        version += 1
        body = json.loads(request.content)
        body["metadata"] |= {"resourceVersion": str(version), "uid": "r"}
        return httpx2.Response(200, json=body)

    cluster = Cluster(WorkQueue(), lambda _: frozenset())
    api = Api(httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://kube"), metrics)
    writer = Writer(api, cluster, lambda: now)

    async def after_a_change() -> str:
        nonlocal version
        version += 1
        live = stamped(WANTED)
        live["metadata"] |= {"resourceVersion": str(version), "uid": "r"}
        cluster.observe(ROLE, {**live, "rules": []})
        return (await writer.ensure(AGENT, WANTED)).done

    assert [await after_a_change() for _ in range(6)] == ["repaired"] * 5 + ["refused"]
    assert metrics.written() == 5
    now += 61
    assert await after_a_change() == "repaired"
