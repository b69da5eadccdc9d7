"""The LambdaAgent definition on a real API server: what it fills in, what it refuses and with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from agent_store.kube.crd import definition
from agent_store.kube.model import LambdaAgent, LambdaAgentSpec
from tests.support.kube import KubeApi

pytestmark = pytest.mark.xdist_group("kube-api")

BRAND = {"id": "pets", "name": "Patas & Cia", "seller": "Teo"}


@pytest.fixture(scope="module")
def api(kube_api: KubeApi) -> KubeApi:
    kube_api.install_crd()
    return kube_api


def resource(spec: dict[str, Any], name: str = "ai-seller-pets") -> str:
    return yaml.safe_dump(
        {"apiVersion": "agent-store.dev/v1alpha1", "kind": "LambdaAgent", "metadata": {"name": name}, "spec": spec}
    )


def say(api: KubeApi, spec: dict[str, Any], name: str = "ai-seller-pets") -> str:
    """What kubectl says to it."""
    return api.kubectl("apply", "--dry-run=server", "-f", "-", stdin=resource(spec, name), check=False)


def test_what_is_left_out_is_filled_in_as_the_model_has_it(api: KubeApi) -> None:
    namespace = api.namespace()
    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=resource({"brand": BRAND}))
    stored = api.get("la", "ai-seller-pets", namespace=namespace)
    assert LambdaAgent.read(stored).spec == LambdaAgentSpec.model_validate({"brand": BRAND})
    assert stored["spec"]["scaling"] == {
        "mode": "auto", "minReplicas": 0, "maxReplicas": 5, "target": 10, "scaleToZeroGrace": "30s",
    }  # fmt: skip
    assert "sharedNumber" not in stored["spec"]
    assert stored["metadata"]["generation"] == 1


def test_its_columns_are_those_that_an_operator_looks_for(api: KubeApi) -> None:
    namespace = api.namespace()
    spec = {"brand": BRAND, "ai": {"provider": "ollama", "endpoint": "http://ollama:11434", "model": "llama3.1"}}
    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=resource(spec))
    status = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
              "replicas": 2, "url": "http://x"}  # fmt: skip
    api.kubectl("patch", "la", "ai-seller-pets", "-n", namespace, "--subresource=status", "--type=merge",
                "-p", json.dumps({"status": status}))  # fmt: skip
    head, row = api.kubectl("get", "la", "-n", namespace).splitlines()
    assert head.split() == ["NAME", "READY", "BRAND", "MODEL", "REPLICAS", "URL", "AGE"]
    assert row.split()[:6] == ["ai-seller-pets", "True", "pets", "llama3.1", "2", "http://x"]


def test_kubectl_scale_sets_the_least_number_of_pods(api: KubeApi) -> None:
    namespace = api.namespace()
    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=resource({"brand": BRAND}))
    api.kubectl("scale", "la/ai-seller-pets", "--replicas=2", "-n", namespace)
    assert api.get("la", "ai-seller-pets", namespace=namespace)["spec"]["scaling"]["minReplicas"] == 2


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "brand: a seller sells for one"),
    ({"brand": BRAND, "ai": {"provider": "ollama", "endpoint": "http://o:1"}}, "name the model that the provider is to use"),
    ({"brand": BRAND, "ai": {"provider": "ollama", "model": "m"}}, "give the address of the Ollama server"),
    ({"brand": BRAND, "ai": {"provider": "openai", "model": "m"}}, "name the Secret and key that hold the API key"),
    ({"brand": BRAND, "ai": {"provider": "claude"}}, 'supported values: "rules", "ollama", "openai"'),
    (
        {"brand": BRAND, "behavior": {"systemPrompt": "x", "systemPromptFrom": {"configMap": {"name": "a", "key": "b"}}}},
        "not both",
    ),
    ({"brand": BRAND, "scaling": {"minReplicas": 6}}, "minReplicas must not be above maxReplicas"),
    ({"brand": BRAND, "scaling": {"mode": "deployment"}}, "a Deployment does not scale to zero"),
    ({"brand": BRAND, "scaling": {"scaleToZeroGrace": "soon"}}, "scaleToZeroGrace"),
    ({"brand": BRAND, "eventing": {"retry": 3}}, "they need a deadLetterSink of their own"),
    ({"brand": BRAND, "env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}, "value or valueFrom, not both"),
    ({"brand": BRAND, "env": [{"name": "A", "valueFrom": {}}]}, "exactly one of secretKeyRef, configMapKeyRef and fieldRef"),
    ({"brand": BRAND, "envFrom": [{}]}, "one of configMapRef and secretRef"),
    ({"brand": BRAND, "permissions": {"rules": [{"resources": ["*"], "resourceNames": ["x"], "verbs": ["get"]}]}}, "resources"),
    ({"brand": BRAND, "permissions": {"rules": [{"resources": ["secrets"], "verbs": ["get"]}]}}, "resourceNames"),
    ({"brand": {**BRAND, "id": "Pets"}}, "brand.id"),
    ({"brand": {**BRAND, "tools": ["*"]}}, "tools"),
    ({"brand": BRAND, "rollout": {"canaryPercent": 101}}, "canaryPercent"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_cannot_work_is_refused_with_a_sentence_that_says_what_to_do(
    api: KubeApi, spec: dict[str, Any], sentence: str
) -> None:
    said = say(api, spec)
    assert "is invalid" in said
    assert sentence in said


def test_a_brand_stays_what_it_is(api: KubeApi) -> None:
    namespace = api.namespace()
    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=resource({"brand": BRAND}))
    said = api.kubectl(
        "apply", "-n", namespace, "-f", "-", stdin=resource({"brand": {**BRAND, "id": "cats"}}), check=False
    )
    assert "brand.id can't change: make a new LambdaAgent for another brand" in said
    said = api.kubectl("apply", "-n", namespace, "-f", "-", stdin=resource({"run": ["orders"]}), check=False)
    assert "brand can't be added or removed" in said


def test_a_name_must_leave_room_for_those_that_are_made_from_it(api: KubeApi) -> None:
    assert "metadata.name" in say(api, {"brand": BRAND}, name="a" * 41)


def test_it_lives_beside_another_operators_kind_of_the_same_name(api: KubeApi) -> None:
    other = definition()
    other["metadata"]["name"] = "lambdaagents.lambda.example.org"
    other["spec"]["group"] = "lambda.example.org"
    other["spec"]["names"] = {"kind": "LambdaAgent", "plural": "lambdaagents", "listKind": "LambdaAgentList", "singular": "lambdaagent"}  # fmt: skip
    api.install(other)
    try:
        assert "lambdaagent.agent-store.dev/ai-seller-pets created" in say(api, {"brand": BRAND})
    finally:
        api.kubectl("delete", "crd", "lambdaagents.lambda.example.org")
