"""What a LambdaAgent is told of itself: its status, Kubernetes Events, the metric of those that are ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

import structlog

from agent_store.kube.api import Api, ApiError, Unreachable
from agent_store.kube.cluster import Cluster
from agent_store.kube.derived import LABEL, MANAGER, Object
from agent_store.kube.kinds import EVENT, LAMBDA_AGENT
from agent_store.kube.metrics import OperatorMetrics
from agent_store.kube.model import ConditionType
from agent_store.kube.status import PARTS, Finding, Seen, pending, status_of
from agent_store.kube.work import Key

_log = structlog.get_logger(__name__)


class Teller:
    def __init__(self, api: Api, cluster: Cluster, metrics: OperatorMetrics, now: Callable[[], datetime]) -> None:
        self._api, self._cluster, self._metrics, self._now = api, cluster, metrics, now
        self._ready: dict[Key, str] = {}

    async def patch(self, body: Object, metadata: Mapping[str, Any], more: Mapping[str, Any], part: str = "") -> Object:
        """Refused with a conflict when the resource is not as it was read."""
        meta = body["metadata"]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "uid": meta["uid"], **metadata}, **more}
        try:
            return await self._api.patch(LAMBDA_AGENT, meta["namespace"], meta["name"], patch, part=part)
        except ApiError as error:
            if error.status == 409:
                live = await self._api.get(LAMBDA_AGENT, meta["namespace"], meta["name"])
                if live is not None:
                    self._cluster.observe(LAMBDA_AGENT, live)
                else:
                    self._cluster.observe(LAMBDA_AGENT, body, deleted=True)
            raise

    async def tell_only(self, key: Key, body: Object, found: Finding) -> bool:
        """A resource that can't be acted on: its children stay as they are. Whether it wrote."""
        old = cast("Object", body.get("status") or {})
        prompt = cast("Object", old.get("prompt") or {})
        findings: dict[ConditionType, Finding] = {
            part: pending(found.reason, "not looked at") for part in PARTS if part != "WorkloadReady"
        }
        findings["WorkloadReady"] = found
        seen = Seen(
            findings=findings,
            url=str(old.get("url") or ""),
            replicas=int(old.get("replicas") or 0),
            selector=f"{LABEL}={key.name}",
            stable=str(prompt.get("stable") or ""),
            canary=str(prompt.get("canary") or ""),
            triggers=[str(one) for one in old.get("triggers") or ()],
            workload=str(old.get("workload") or ""),
        )
        return await self.tell(key, body, seen)

    async def tell(self, key: Key, body: Object, seen: Seen) -> bool:
        """Writes the status if it has changed, and an Event about what has changed in it. Whether it wrote.

        Raises ApiError, Unreachable and NotLeading.
        """
        old = cast("Object", body.get("status") or {})
        generation = int(body["metadata"].get("generation") or 0)
        now = self._now().isoformat(timespec="seconds").replace("+00:00", "Z")
        status = status_of(seen, old, generation=generation, now=now)
        self.count(key, str(status["ready"]))
        if status == old:
            return False
        answer = await self.patch(body, {}, {"status": status}, part="status")
        self._cluster.observe(LAMBDA_AGENT, answer, own=True)
        for kind, reason, message in _news(old, status):
            await self.announce(body, kind, reason, message)
        return True

    def count(self, key: Key, ready: str | None) -> None:
        """In the metric of LambdaAgents by readiness; None: it is gone."""
        before = self._ready.pop(key, None)
        if before is not None:
            self._metrics.agents.labels(before).dec()
        if ready is not None:
            self._ready[key] = ready
            self._metrics.agents.labels(ready).inc()

    async def announce(self, body: Object, kind: str, reason: str, message: str) -> None:
        """A Kubernetes Event on the resource. It tells; nothing depends on it."""
        metadata = body["metadata"]
        now = self._now().isoformat(timespec="seconds").replace("+00:00", "Z")
        event = {
            "apiVersion": "v1",
            "kind": EVENT.name,
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": LAMBDA_AGENT.api_version, "kind": LAMBDA_AGENT.name, "name": metadata["name"],
                "namespace": metadata["namespace"], "uid": metadata["uid"],
            },
            "type": kind, "reason": reason, "message": message[:1000],
            "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            "source": {"component": MANAGER}, "reportingComponent": MANAGER,
        }  # fmt: skip
        try:
            await self._api.create(EVENT, metadata["namespace"], event)
        except (ApiError, Unreachable) as error:
            _log.warning("an event was not posted", agent=metadata["name"], reason=reason, error=str(error))


def _news(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Events' type, reason and message."""
    found: list[tuple[str, str, str]] = []
    before = {one["type"]: one for one in cast("list[Object]", old.get("conditions") or [])}
    for one in cast("list[Object]", new["conditions"]):
        was = before.get(one["type"], {})
        if (was.get("status"), was.get("reason")) == (one["status"], one["reason"]):
            continue
        if one["type"] == "Ready" and one["status"] != "Unknown":
            found.append(("Normal" if one["status"] == "True" else "Warning", str(one["reason"]), str(one["message"])))
    stable, canary = new["prompt"]["stable"], new["prompt"]["canary"]
    used = cast("Object", old.get("prompt") or {})
    if canary and canary != used.get("canary"):
        found.append(("Normal", "CanaryPrompt", f"prompt {canary} is tried beside {stable}"))
    if stable and used.get("stable") and stable != used.get("stable"):
        found.append(("Normal", "PromptChanged", f"prompt {stable} is in use instead of {used.get('stable')}"))
    return found
