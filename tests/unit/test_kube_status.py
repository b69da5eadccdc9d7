"""The status and its sentences."""

from __future__ import annotations

from typing import Any

from agent_store.kube.kinds import DEPLOYMENT, KNATIVE_SERVICE
from agent_store.kube.model import ConditionType
from agent_store.kube.status import (
    Finding,
    Seen,
    dead_letters,
    fine,
    knative_ready,
    pending,
    status_of,
    whole,
    workload_ready,
    wrong,
)

THEN, NOW = "2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z"
FINE: dict[ConditionType, Finding] = {"PromptResolved": fine("Inline"), "WorkloadReady": fine("Ready"), "SubscriptionsReady": fine("Ready"),
        "DeadLetterReady": fine("Resolved")}  # fmt: skip


def knative(status: dict[str, Any], generation: int = 2) -> dict[str, Any]:
    return {"kind": "Trigger", "metadata": {"name": "t", "generation": generation}, "status": status}


def ready(truth: str, **more: str) -> dict[str, Any]:
    return {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": truth, **more}]}


def test_ready_is_what_is_wrong_before_what_is_not_known() -> None:
    assert whole(FINE).reason == "Ready"
    assert whole({**FINE, "PromptResolved": pending("Progressing", "soon")}).truth == "Unknown"
    both: dict[ConditionType, Finding] = {
        **FINE,
        "PromptResolved": pending("Progressing", "soon"),
        "DeadLetterReady": wrong("NoDeadLetterSink", "x"),
    }
    assert whole(both) == wrong("NoDeadLetterSink", "x")


def test_a_condition_keeps_its_time_while_its_status_does() -> None:
    first = status_of(Seen(FINE), {}, generation=1, now=THEN)
    assert {one["lastTransitionTime"] for one in first["conditions"]} == {THEN}
    assert status_of(Seen(FINE), first, generation=1, now=NOW) == first
    changed = status_of(Seen({**FINE, "WorkloadReady": wrong("NotReady", "x")}), first, generation=2, now=NOW)
    times = {one["type"]: one["lastTransitionTime"] for one in changed["conditions"]}
    assert (times["Ready"], times["WorkloadReady"], times["PromptResolved"]) == (NOW, NOW, THEN)
    assert (changed["ready"], changed["observedGeneration"]) == ("False", 2)


def test_what_knative_says_of_an_earlier_generation_does_not_count() -> None:
    assert knative_ready(knative(ready("True"))).truth == "True"
    assert knative_ready(knative(ready("True"), generation=3)).truth == "Unknown"
    assert knative_ready(knative({})).truth == "Unknown"
    assert knative_ready(knative(ready("Unknown", message="wait"))).message == "Trigger t is not ready yet: wait"
    failed = knative_ready(knative(ready("False", reason="Broken", message="no queue")))
    assert failed == wrong("NotReady", "Trigger t is not ready: Broken: no queue")


def deployment(**status: Any) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"name": "d", "generation": 1}, "spec": {"replicas": 2},
            "status": {"observedGeneration": 1, **status}}  # fmt: skip


def test_a_deployment_is_ready_with_all_of_its_new_pods() -> None:
    assert workload_ready(DEPLOYMENT, deployment(updatedReplicas=2, availableReplicas=2)).truth == "True"
    assert workload_ready(DEPLOYMENT, deployment(updatedReplicas=1, availableReplicas=2)).truth == "Unknown"
    assert workload_ready(DEPLOYMENT, deployment(observedGeneration=0)).truth == "Unknown"
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
    assert "late" in workload_ready(DEPLOYMENT, deployment(conditions=[stuck])).message
    quota = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    assert workload_ready(DEPLOYMENT, deployment(conditions=[quota])).truth == "False"
    assert workload_ready(KNATIVE_SERVICE, knative(ready("True"))).truth == "True"


def broker(sink: dict[str, Any] | None, **status: Any) -> dict[str, Any]:
    spec = {"delivery": {"deadLetterSink": sink}} if sink is not None else {}
    return {"metadata": {"name": "default"}, "spec": spec, "status": status}


def test_dead_letters_need_a_sink_that_is_resolved() -> None:
    reference = {"ref": {"kind": "Service", "name": "steward"}}
    assert dead_letters(broker(None)).reason == "NoDeadLetterSink"
    assert dead_letters(broker({"uri": "http://steward"})).truth == "True"
    assert dead_letters(broker(reference)).truth == "Unknown"
    assert dead_letters(broker(reference, deadLetterSinkUri="http://steward")).truth == "True"
    for kind in ("DeadLetterSinkResolved", "DeadLetterSinkReady"):
        told = {"type": kind, "status": "False", "reason": "NotFound", "message": "no steward"}
        assert dead_letters(broker(reference, conditions=[told])) == wrong(
            "NotResolved", "Broker default: the dead-letter sink is not resolved: NotFound: no steward"
        )
        assert dead_letters(broker(reference, conditions=[{**told, "status": "True"}])).truth == "True"
