"""Which pods may speak with which: the manifests' policies and those that the operator makes for the agents."""

from __future__ import annotations

import pytest

from agent_store.kube.derived import Around, Prompt
from agent_store.kube.render import labels_of, render
from tests.support.manifests import Object, objects
from tests.support.network_policies import OUTSIDE, Pod, allows
from tests.unit.test_manifests import NAMESPACE, STORES, agents, known


def policies(name: str) -> list[Object]:
    around = Around(version="1", known=known(), broker_url="http://broker", stable=Prompt("You are Luna."))
    rendered = [one for agent in agents(name).values() for one in render(agent, around)]
    return [one for one in [*objects(name), *rendered] if one["kind"] == "NetworkPolicy"]


def of_the_store(component: str) -> Pod:
    labels = {"app.kubernetes.io/name": "agent-store", "app.kubernetes.io/part-of": "agent-store"}
    return Pod(NAMESPACE, {**labels, "app.kubernetes.io/component": component})


def agent(store: str, name: str) -> Pod:
    return Pod(NAMESPACE, labels_of(agents(store)[name]))


def broker(role: str) -> Pod:
    return Pod(NAMESPACE, {"eventing.knative.dev/broker": "default", "eventing.knative.dev/brokerRole": role})


RABBITMQ = Pod(
    NAMESPACE,
    {
        "app.kubernetes.io/name": "rabbitmq",
        "app.kubernetes.io/component": "rabbitmq",
        "app.kubernetes.io/part-of": "rabbitmq",
    },
)
GATEWAY, ACTIVATOR = (
    Pod("kourier-system", {"app": "3scale-kourier-gateway"}),
    Pod("knative-serving", {"app": "activator"}),
)
NAMES = Pod("kube-system", {"k8s-app": "kube-dns"})
STRANGER = Pod("default", {"app": "anything"})
MONITORING = Pod("monitoring", {"app": "prometheus"})


@pytest.mark.parametrize("store", STORES)
def test_what_the_store_needs_is_let_through(store: str) -> None:
    found = policies(store)
    sellers = [name for name in agents(store) if name.startswith("ai-seller-")]
    for name in agents(store):
        pod = agent(store, name)
        assert allows(found, pod, broker("ingress"), 8080), f"{name} to the Broker"
        assert allows(found, pod, NAMES, 53, "UDP"), f"{name} asks for names"
        assert allows(found, pod, GATEWAY, 8081), f"{name} calls a tool"
        assert allows(found, GATEWAY, pod, 8012), f"the gateway to {name}"
        assert allows(found, ACTIVATOR, pod, 8012), f"the activator to {name}"
        assert allows(found, MONITORING, pod, 9090), f"metrics of {name}"
        assert allows(found, pod, OUTSIDE, 6443), f"{name} watches the directory"
    assert sellers
    for role in ("ingress", "dispatcher", "dispatcher-dlq"):
        assert allows(found, broker(role), NAMES, 53, "UDP")
        assert allows(found, broker(role), OUTSIDE, 5672)
    assert allows(found, broker("dispatcher"), GATEWAY, 8081)
    assert allows(found, broker("dispatcher"), broker("ingress"), 8080), "replies"
    assert allows(found, broker("dispatcher-dlq"), of_the_store("steward"), 8080), "dead letters"
    assert allows(found, of_the_store("steward"), broker("ingress"), 8080)
    assert allows(found, of_the_store("steward"), GATEWAY, 8081), "wakes a consumer"
    assert allows(found, of_the_store("steward"), OUTSIDE, 6443), "watches the directory"
    assert allows(found, of_the_store("tick"), broker("ingress"), 8080)


def test_kinds_databases_are_reached_by_the_store() -> None:
    found = policies("kind")
    for pod in (*(agent("kind", name) for name in agents("kind")), of_the_store("steward")):
        assert allows(found, pod, of_the_store("postgres"), 5432)
        assert allows(found, pod, of_the_store("redis"), 6379)
    assert allows(found, of_the_store("migrate"), of_the_store("postgres"), 5432)
    for role in ("ingress", "dispatcher", "dispatcher-dlq"):
        assert allows(found, broker(role), RABBITMQ, 5672)
    assert allows(found, Pod("rabbitmq-system", {"app": "topology"}), RABBITMQ, 15672)
    assert allows(found, RABBITMQ, RABBITMQ, 25672)
    assert allows(found, RABBITMQ, OUTSIDE, 6443), "it asks for its peers"


def test_studios_databases_are_outside_and_reached() -> None:
    found = policies("studio")
    for pod in (*(agent("studio", name) for name in agents("studio")), of_the_store("steward")):
        assert allows(found, pod, Pod("postgres", {}), 5432)
        assert allows(found, pod, Pod("redis", {}), 6379)
        assert allows(found, pod, Pod("monitoring", {"app": "alloy"}), 4318)
    assert allows(found, agent("studio", "ai-seller-home"), Pod("ollama", {"app": "ollama"}), 11434)
    assert allows(found, of_the_store("migrate"), OUTSIDE, 5432)


@pytest.mark.parametrize("store", STORES)
def test_everything_else_is_refused(store: str) -> None:
    found = policies(store)
    nothing_known = Pod(NAMESPACE, {"app": "a-shell"})
    for name in agents(store):
        pod = agent(store, name)
        assert not allows(found, STRANGER, pod, 8080), name
        assert not allows(found, STRANGER, pod, 8012), name
        assert not allows(found, pod, OUTSIDE, 25), name
        assert not allows(found, pod, STRANGER, 8080), name
    assert not allows(found, STRANGER, of_the_store("steward"), 8080)
    assert not allows(found, STRANGER, broker("ingress"), 8080)
    assert not allows(found, nothing_known, OUTSIDE, 443)
    assert not allows(found, nothing_known, of_the_store("steward"), 8080)
    assert not allows(found, of_the_store("tick"), OUTSIDE, 443)


def test_kinds_databases_are_reached_by_nobody_else() -> None:
    found = policies("kind")
    for target, port in ((of_the_store("postgres"), 5432), (of_the_store("redis"), 6379), (RABBITMQ, 5672)):
        assert not allows(found, STRANGER, target, port)
    assert not allows(found, agent("kind", "ai-seller-home"), RABBITMQ, 5672)
    assert not allows(found, of_the_store("postgres"), OUTSIDE, 443)
    assert not allows(found, of_the_store("redis"), OUTSIDE, 443)


def test_the_operator_is_reached_for_its_metrics_alone_and_reaches_the_api_server_alone() -> None:
    found = [one for one in objects("operator") if one["kind"] == "NetworkPolicy"]
    labels = {"app.kubernetes.io/name": "agent-store", "app.kubernetes.io/component": "operator"}
    operator = Pod("agent-store-system", labels)
    assert allows(found, operator, OUTSIDE, 443)
    assert allows(found, operator, OUTSIDE, 6443)
    assert allows(found, operator, NAMES, 53, "UDP")
    assert allows(found, MONITORING, operator, 8080)
    assert not allows(found, STRANGER, operator, 8080)
    assert not allows(found, operator, STRANGER, 5432)
