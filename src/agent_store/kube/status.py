"""The status of a LambdaAgent: conditions with a reason and a sentence that says what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from agent_store.kube.derived import Object
from agent_store.kube.kinds import DEPLOYMENT, KNATIVE_SERVICE, Kind, items, part
from agent_store.kube.model import ConditionType

Truth = Literal["True", "False", "Unknown"]
PARTS: tuple[ConditionType, ...] = ("PromptResolved", "WorkloadReady", "SubscriptionsReady", "DeadLetterReady")
_LONGEST = 1000


class Finding(NamedTuple):
    """How it stands with one part."""

    truth: Truth
    reason: str
    message: str


def fine(reason: str, message: str = "") -> Finding:
    return Finding("True", reason, message)


def wrong(reason: str, message: str) -> Finding:
    return Finding("False", reason, message)


def pending(reason: str, message: str) -> Finding:
    return Finding("Unknown", reason, message)


@dataclass(frozen=True)
class Seen:
    """All that the status tells."""

    findings: Mapping[ConditionType, Finding]
    url: str = ""
    replicas: int = 0
    selector: str = ""
    stable: str = ""
    canary: str = ""
    triggers: Sequence[str] = ()
    workload: str = ""


def whole(findings: Mapping[ConditionType, Finding]) -> Finding:
    """Ready: the first part that is wrong, else the first that is not known, else all is well."""
    for truth in ("False", "Unknown"):
        for name in PARTS:
            if name in findings and findings[name].truth == truth:
                return findings[name]
    return fine("Ready", "it runs, and its events arrive")


def status_of(seen: Seen, old: Mapping[str, Any], *, generation: int, now: str) -> Object:
    """`old` is the status so far: a condition keeps its time while its status does. `now` is RFC 3339, UTC."""
    findings: dict[ConditionType, Finding] = {"Ready": whole(seen.findings), **seen.findings}
    before = {str(one.get("type")): one for one in items(old, "conditions")}
    conditions: list[Object] = []
    for name in ("Ready", *PARTS):
        if name not in findings:
            continue
        truth, reason, message = findings[name]
        was = before.get(name, {})
        since = str(was.get("lastTransitionTime") or now) if was.get("status") == truth else now
        conditions.append({
            "type": name, "status": truth, "reason": reason, "message": message[:_LONGEST],
            "lastTransitionTime": since, "observedGeneration": generation,
        })  # fmt: skip
    return {
        "observedGeneration": generation,
        "conditions": conditions,
        "ready": findings["Ready"].truth,
        "url": seen.url,
        "replicas": seen.replicas,
        "selector": seen.selector,
        "prompt": {"stable": seen.stable, "canary": seen.canary},
        "triggers": list(seen.triggers),
        "workload": seen.workload,
    }


def condition_of(live: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A condition of any Kubernetes object."""
    for one in items(live, "status", "conditions"):
        if one.get("type") == name:
            return one
    return None


def knative_ready(live: Mapping[str, Any]) -> Finding:
    """Of a Knative Service, Trigger or Broker: its own condition Ready, when it is about what is wanted now."""
    status = part(live, "status")
    what = f"{live['kind']} {live['metadata']['name']}"
    observed = status.get("observedGeneration")
    if observed is not None and observed != live["metadata"].get("generation"):
        return pending("Progressing", f"{what} has a change to take in")
    ready = condition_of(live, "Ready")
    if ready is None:
        return pending("Progressing", f"{what} has not said yet whether it is ready")
    if ready.get("status") == "True":
        return fine("Ready")
    told = ": ".join(str(ready[name]) for name in ("reason", "message") if ready.get(name))
    if ready.get("status") == "False":
        return wrong("NotReady", f"{what} is not ready: {told or 'it does not say why'}")
    return pending("Progressing", f"{what} is not ready yet{': ' + told if told else ''}")


def deployment_ready(live: Mapping[str, Any]) -> Finding:
    status = part(live, "status")
    name = live["metadata"]["name"]
    if status.get("observedGeneration") != live["metadata"].get("generation"):
        return pending("Progressing", f"Deployment {name} has a change to take in")
    progress = condition_of(live, "Progressing")
    if progress is not None and progress.get("status") == "False":
        return wrong("NotReady", f"Deployment {name}: {progress.get('reason')}: {progress.get('message')}")
    failure = condition_of(live, "ReplicaFailure")
    if failure is not None and failure.get("status") == "True":
        return wrong("NotReady", f"Deployment {name}: {failure.get('reason')}: {failure.get('message')}")
    wanted = int(live["spec"].get("replicas", 1))
    updated, available = int(status.get("updatedReplicas") or 0), int(status.get("availableReplicas") or 0)
    if updated >= wanted and available >= wanted:
        return fine("Ready")
    return pending("Progressing", f"Deployment {name}: {available} of {wanted} pods are available")


def workload_ready(kind: Kind, live: Mapping[str, Any]) -> Finding:
    if kind is KNATIVE_SERVICE:
        return knative_ready(live)
    if kind is DEPLOYMENT:
        return deployment_ready(live)
    raise ValueError(f"{kind.name} is no workload")


def dead_letters(broker: Mapping[str, Any]) -> Finding:
    """Has the Broker somewhere to put events that fail for good? Without, they are dropped."""
    name = broker["metadata"]["name"]
    sink = part(broker, "spec", "delivery", "deadLetterSink")
    if not sink:
        return wrong(
            "NoDeadLetterSink",
            f"Broker {name} has no spec.delivery.deadLetterSink: events that fail for good would be lost; "
            "name the steward's /dead-letters there",
        )
    if part(broker, "status").get("deadLetterSinkUri"):
        return fine("Resolved")
    for kind in ("DeadLetterSinkResolved", "DeadLetterSinkReady"):
        told = condition_of(broker, kind)
        if told is not None and told.get("status") == "True":
            return fine("Resolved")
        if told is not None and told.get("status") == "False":
            why = ": ".join(str(told[field]) for field in ("reason", "message") if told.get(field))
            return wrong("NotResolved", f"Broker {name}: the dead-letter sink is not resolved: {why}")
    if sink.get("uri") and not sink.get("ref"):
        return fine("Resolved")
    return pending("Progressing", f"Broker {name}: the dead-letter sink is not resolved yet")
