"""From a LambdaAgent to its child objects: names, security, scaling, subscriptions, prompts; and the directory."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from agent_store.entrypoints.operator import known_agents
from agent_store.entrypoints.rooms import agent_named
from agent_store.kube.derived import (
    DIRECTORY,
    Around,
    Facts,
    Object,
    Prompt,
    needed_config_maps,
    needed_secrets,
    sources_of,
    subscriptions_of,
    unknown_of,
)
from agent_store.kube.listing import Entry, directory
from agent_store.kube.model import LambdaAgent
from agent_store.kube.render import render

KNOWN = {
    "seller": Facts(frozenset({"chat"}), a_brand_each=True, only={"chat": "store.chat.message.new"}),
    "orders": Facts(frozenset({"order"})),
    "conversations": Facts(frozenset({"chat", "order", "whatsapp"})),
    "whatsapp": Facts(frozenset({"schedule", "whatsapp"})),
    "pricing": Facts(frozenset({"catalog"}), only={"catalog": "store.product.imported"}),
    "inventory": Facts(frozenset({"catalog", "order"}), only={"catalog": "store.product.imported"}),
    "cart": Facts(frozenset({"order"}), only={"order": "store.cart.ordered"}),
    "fulfillment": Facts(frozenset()),
}
BRAND = {"id": "pets", "name": "Patas & Cia", "seller": "Teo", "phoneNumberIds": ["100000000000006"]}
AROUND = Around(
    version="0.2.0", known=KNOWN, broker_url="http://default-broker-ingress.shop.svc.cluster.local",
    stable=Prompt("You are Teo."),
)  # fmt: skip


def agent(name: str = "ai-seller-pets", **spec: Any) -> LambdaAgent:
    if "run" not in spec:
        spec.setdefault("brand", BRAND)
    metadata = {"name": name, "namespace": "shop", "uid": "u-1", "generation": 1}
    return LambdaAgent.read({"metadata": metadata, "spec": spec})


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def the(objects: list[Object], kind: str) -> Object:
    (found,) = of_kind(objects, kind)
    return found


def pod(objects: list[Object]) -> Object:
    workload = of_kind(objects, "Service")[0] if not of_kind(objects, "Deployment") else the(objects, "Deployment")
    return workload["spec"]["template"]["spec"]


def environment(objects: list[Object]) -> dict[str, Any]:
    listed = pod(objects)["containers"][0]["env"]
    assert len({one["name"] for one in listed}) == len(listed)
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in listed}


def test_the_same_agent_gives_the_same_objects() -> None:
    assert render(agent(), AROUND) == render(agent(), AROUND)


def test_every_object_is_labelled_and_goes_with_its_agent() -> None:
    for one in render(agent(), AROUND):
        assert one["metadata"]["namespace"] == "shop"
        assert one["metadata"]["labels"]["agent-store.dev/lambdaagent"] == "ai-seller-pets"
        assert one["metadata"]["labels"]["agent-store.dev/brand"] == "pets"
        (owner,) = one["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == ("u-1", True)


@pytest.mark.parametrize("mode", ["knative", "deployment"])
def test_pods_meet_the_restricted_standard(mode: str) -> None:
    spec = pod(render(agent(scaling={"mode": mode, "minReplicas": 1}), AROUND))
    (container,) = spec["containers"]
    security = container["securityContext"]
    # Knative takes the container's alone, unless a feature flag is set.
    assert ("securityContext" in spec) == (mode == "deployment")
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == 65532
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all(set(volume) & {"emptyDir", "configMap"} for volume in spec["volumes"])


def test_no_role_has_a_wildcard_or_a_whole_kind() -> None:
    rules = {"resources": ["configmaps"], "resourceNames": ["fabrics"], "verbs": ["get"]}
    objects = render(agent(permissions={"rules": [rules]}), AROUND)
    role = the(objects, "Role")
    assert role["rules"] == [{"apiGroups": [""], **rules}]
    bindings = [one for one in objects if one["kind"] == "RoleBinding"]
    assert [one["roleRef"]["name"] for one in bindings] == [DIRECTORY, role["metadata"]["name"]]
    assert bindings[0]["subjects"] == bindings[1]["subjects"]
    assert "Role" not in [one["kind"] for one in render(agent(), AROUND)], "the directory's is one for all"


@pytest.mark.parametrize("mode", ["knative", "deployment"])
def test_other_secrets_and_settings_are_other_pods_but_no_other_import(mode: str) -> None:
    catalog = {**BRAND, "catalog": {"configMap": {"name": "pets", "key": "pets.yaml"}}}
    wanted = agent(brand=catalog, scaling={"mode": mode, "minReplicas": 1})
    around = replace(AROUND, catalog="products: []")
    objects = {sources: render(wanted, replace(around, sources=sources)) for sources in ("", "one", "two")}
    differing = [
        one["kind"] for one, other in zip(objects["one"], objects["two"], strict=True) if one != other
    ]  # fmt: skip
    assert differing == ["Service" if mode == "knative" else "Deployment"]
    kind = differing[0]
    pods = {sources: the(found, kind)["spec"]["template"]["metadata"] for sources, found in objects.items()}
    assert pods["one"]["annotations"]["agent-store.dev/sources"] == "one"
    assert "agent-store.dev/sources" not in pods[""].get("annotations", {})


def test_all_that_a_pod_reads_when_it_starts_counts() -> None:
    wanted = agent(
        envFrom=[
            {"secretRef": {"name": "keys"}}, {"secretRef": {"name": "more", "optional": True}},
            {"configMapRef": {"name": "settings", "optional": True}},
        ],
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}],
    )  # fmt: skip
    assert sources_of(wanted) == {("Secret", "keys"), ("Secret", "more"), ("Secret", "db"), ("ConfigMap", "settings")}


def test_a_knative_service_scales_as_asked() -> None:
    scaling = {"minReplicas": 1, "maxReplicas": 7, "target": 50, "scaleToZeroGrace": "1m"}
    service = the(render(agent(scaling=scaling), AROUND), "Service")
    assert service["apiVersion"] == "serving.knative.dev/v1"
    annotations = service["spec"]["template"]["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/min-scale"] == "1"
    assert annotations["autoscaling.knative.dev/max-scale"] == "7"
    assert annotations["autoscaling.knative.dev/target"] == "50"
    assert annotations["autoscaling.knative.dev/scale-to-zero-pod-retention-period"] == "1m"
    assert service["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"


def test_what_is_public_is_not_kept_in_the_cluster() -> None:
    service = the(render(agent(visibility="Public"), AROUND), "Service")
    assert "networking.knative.dev/visibility" not in service["metadata"]["labels"]


def test_a_turn_ends_before_the_broker_gives_up_and_the_service_after_it() -> None:
    objects = render(agent(), AROUND)
    seconds = float(environment(objects)["AGENT_STORE_ANSWER_WITHIN"])
    assert seconds < 100 < pod(objects)["timeoutSeconds"]


def test_without_serving_it_is_a_deployment_that_its_trigger_finds() -> None:
    around = replace(AROUND, serving=False)
    objects = render(agent(scaling={"minReplicas": 2, "maxReplicas": 4}), around)
    deployment, service = the(objects, "Deployment"), the(objects, "Service")
    assert service["apiVersion"] == "v1"
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert "replicas" not in deployment["spec"], "they are the autoscaler's"
    assert the(objects, "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 2
    assert the(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert the(objects, "Trigger")["spec"]["subscriber"]["ref"]["apiVersion"] == "v1"


def test_a_deployment_that_does_not_grow_has_its_replicas_and_no_autoscaler() -> None:
    objects = render(agent(scaling={"mode": "deployment", "minReplicas": 1, "maxReplicas": 1}), AROUND)
    assert the(objects, "Deployment")["spec"]["replicas"] == 1
    assert of_kind(objects, "HorizontalPodAutoscaler") == of_kind(objects, "PodDisruptionBudget") == []


def test_a_jobs_pod_is_none_that_a_service_sends_to() -> None:
    brand = {**BRAND, "catalog": {"configMap": {"name": "pets-catalog", "key": "pets.yaml"}}}
    objects = render(agent(brand=brand, scaling={"mode": "deployment", "minReplicas": 1}), replace(AROUND, catalog="a"))
    job = the(objects, "Job")["spec"]["template"]["metadata"]["labels"]
    assert not the(objects, "Service")["spec"]["selector"].items() <= job.items()


# --- events ------------------------------------------------------------------------------------------------------------


def test_a_seller_hears_its_brand_only_and_nothing_that_it_would_drop() -> None:
    heard = {"type": "store.chat.message.new", "topic": "chat", "brand": "pets"}
    assert subscriptions_of(agent(), KNOWN) == [heard]
    assert the(render(agent(), AROUND), "Trigger")["spec"]["filter"] == {"attributes": heard}


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        (["pricing"], [{"type": "store.product.imported", "topic": "catalog"}]),
        (["pricing", "inventory"], [{"type": "store.product.imported", "topic": "catalog"}, {"topic": "order"}]),
        (["cart"], [{"type": "store.cart.ordered", "topic": "order"}]),
        (["cart", "orders"], [{"topic": "order"}]),
        (["seller", "conversations"], [{"topic": "chat"}, {"topic": "order"}, {"topic": "whatsapp"}]),
    ],
)
def test_a_topic_is_narrowed_to_a_type_only_where_no_agent_of_the_process_hears_a_second(
    run: list[str], wanted: list[dict[str, str]]
) -> None:
    assert subscriptions_of(agent(run=run), KNOWN) == wanted


def test_a_seller_beside_an_agent_that_hears_one_other_type_loses_neither() -> None:
    known = {**KNOWN, "watcher": Facts(frozenset({"chat"}), only={"chat": "store.chat.response"})}
    assert subscriptions_of(agent(run=["seller", "watcher"]), known) == [{"topic": "chat"}]


def test_what_is_known_of_the_stores_own_agents_brings_all_that_they_listen_to() -> None:
    for name, facts in known_agents().items():
        heard = {(one.event.topic, event) for event, one in agent_named(name).subscriptions.items()}
        assert {topic for topic, _ in heard} <= facts.topics
        for topic, only in facts.only.items():
            assert {event for other, event in heard if other == topic} == {only}
    assert known_agents()["seller"].only == {"chat": "store.chat.message.new"}


def test_the_topics_of_all_agents_of_a_process_are_heard_once_each() -> None:
    assert subscriptions_of(agent(run=["conversations", "orders"]), KNOWN) == [
        {"topic": "chat"}, {"topic": "order"}, {"topic": "whatsapp"},
    ]  # fmt: skip


def test_more_than_three_topics_become_one_trigger_for_everything() -> None:
    crowd = agent(run=["conversations", "whatsapp", "orders", "fulfillment"])
    assert subscriptions_of(crowd, KNOWN) == [{}]
    assert "filter" not in the(render(crowd, AROUND), "Trigger")["spec"]


def test_an_agent_with_nothing_to_hear_has_no_trigger() -> None:
    assert of_kind(render(agent(run=["fulfillment"]), AROUND), "Trigger") == []


def test_given_subscriptions_win() -> None:
    given = [{"type": "store.order.confirmed"}, {"topic": "order", "attributes": {"brand": "pets"}}]
    assert subscriptions_of(agent(run=["gift-wrapping"], eventing={"subscriptions": given}), KNOWN) == [
        {"type": "store.order.confirmed"}, {"topic": "order", "brand": "pets"},
    ]  # fmt: skip


def test_agents_of_which_nothing_is_known_are_named() -> None:
    assert unknown_of(agent(run=["orders", "gift-wrapping"]), KNOWN) == ["gift-wrapping"]


def test_another_filter_is_another_trigger() -> None:
    """A Trigger's filter can't change."""
    names = {
        the(render(agent(eventing={"subscriptions": [{"topic": topic}]}), AROUND), "Trigger")["metadata"]["name"]
        for topic in ("chat", "order")
    }
    assert len(names) == 2
    assert all(re.fullmatch(r"ai-seller-pets-[0-9a-f]{10}", name) for name in names)


@pytest.mark.parametrize(
    ("most", "target", "given", "wanted"), [(10, 5, None, "50"), (10, 50, None, "100"), (1, 5, 3, "3")]
)
def test_as_many_deliveries_at_a_time_as_its_pods_take(most: int, target: int, given: int | None, wanted: str) -> None:
    eventing = {} if given is None else {"parallelism": given}
    trigger = the(render(agent(scaling={"maxReplicas": most, "target": target}, eventing=eventing), AROUND), "Trigger")
    assert trigger["metadata"]["annotations"]["rabbitmq.eventing.knative.dev/parallelism"] == wanted


def test_delivery_is_the_brokers_unless_there_is_a_sink_of_its_own() -> None:
    assert "delivery" not in the(render(agent(), AROUND), "Trigger")["spec"]
    eventing = {"deadLetterSink": {"uri": "http://grave"}, "retry": 4, "backoffDelay": "PT1S"}
    assert the(render(agent(eventing=eventing), AROUND), "Trigger")["spec"]["delivery"] == {
        "deadLetterSink": {"uri": "http://grave"}, "retry": 4, "backoffDelay": "PT1S", "timeout": "PT100S",
    }  # fmt: skip


# --- prompts and settings ----------------------------------------------------------------------------------------------


def test_a_prompt_revision_never_changes_and_is_named_by_what_it_says() -> None:
    first, second = (the(render(agent(), replace(AROUND, stable=Prompt(text))), "ConfigMap") for text in ("a", "b"))
    assert first["immutable"] is True
    assert first["data"] == {"system.md": "a"}
    assert first["metadata"]["name"] != second["metadata"]["name"]


def test_a_canary_is_in_the_pod_beside_the_stable_prompt() -> None:
    around = replace(AROUND, canary=Prompt("You are Teo, in short."))
    objects = render(agent(rollout={"canaryPercent": 10}), around)
    assert len(of_kind(objects, "ConfigMap")) == 2
    found = environment(objects)
    assert found["AGENT_STORE_CANARY_PERCENT"] == "10"
    assert found["AGENT_STORE_PROMPT"] != found["AGENT_STORE_PROMPT_CANARY"]
    mounts = {mount["mountPath"] for mount in pod(objects)["containers"][0]["volumeMounts"]}
    assert {"/etc/agent-store/prompt/stable", "/etc/agent-store/prompt/canary"} <= mounts


def test_the_model_is_told_by_the_environment_and_its_key_by_reference() -> None:
    ai = {"provider": "openai", "endpoint": "https://llm.example/v1", "model": "m", "timeout": "1m30s",
          "apiKey": {"name": "llm", "key": "token"}}  # fmt: skip
    found = environment(render(agent(ai=ai), AROUND))
    assert found["AGENT_STORE_BRAIN"] == "openai"
    assert found["AGENT_STORE_OPENAI_URL"] == "https://llm.example/v1"
    assert found["AGENT_STORE_MODEL_TIMEOUT"] == "90"
    assert found["AGENT_STORE_OPENAI_API_KEY"] == {"secretKeyRef": {"name": "llm", "key": "token"}}


def test_a_resources_own_variables_win() -> None:
    found = environment(render(agent(env=[{"name": "AGENT_STORE_BUS", "value": "amqp://mq/"}]), AROUND))
    assert found["AGENT_STORE_BUS"] == "amqp://mq/"


def test_what_a_pod_cannot_start_without_is_named() -> None:
    spec = {
        "envFrom": [{"secretRef": {"name": "keys"}}, {"secretRef": {"name": "maybe", "optional": True}},
                    {"configMapRef": {"name": "settings"}}],
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "more", "key": "b"}}}],
        "ai": {"provider": "openai", "model": "m", "apiKey": {"name": "llm", "key": "token"}},
    }  # fmt: skip
    wanted = agent("ai-seller-pets", **spec)
    assert needed_secrets(wanted) == {("keys", ""), ("db", "url"), ("llm", "token")}
    assert needed_config_maps(wanted) == {("settings", ""), ("more", "b")}


@pytest.mark.parametrize(
    ("image", "wanted"),
    [({}, "ghcr.io/agent-store/agent-store:0.2.0"), ({"repository": "r/x", "tag": "7"}, "r/x:7"),
     ({"repository": "r/x", "tag": "7", "digest": "sha256:" + "a" * 64}, "r/x@sha256:" + "a" * 64)],
)  # fmt: skip
def test_an_image_is_taken_by_digest_by_tag_or_by_the_operators_version(image: dict[str, str], wanted: str) -> None:
    assert pod(render(agent(image=image), AROUND))["containers"][0]["image"] == wanted


def test_a_changed_catalogue_is_another_job() -> None:
    brand = {**BRAND, "catalog": {"configMap": {"name": "pets-catalog", "key": "pets.yaml"}}}
    first, second = (the(render(agent(brand=brand), replace(AROUND, catalog=text)), "Job") for text in ("a", "b"))
    assert first["metadata"]["name"] != second["metadata"]["name"]
    container = first["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["catalog", "put", "/etc/agent-store/catalog/pets.yaml", "--brand", "pets"]


def test_metrics_are_scraped_where_there_is_something_that_does() -> None:
    around = replace(AROUND, pod_monitor=True)
    assert the(render(agent(), around), "PodMonitor")
    assert of_kind(render(agent(observability={"metrics": False}), around), "PodMonitor") == []
    assert of_kind(render(agent(), AROUND), "PodMonitor") == []


# --- the directory -----------------------------------------------------------------------------------------------------


def test_a_brand_is_in_the_directory_while_it_listens_and_a_service_as_soon_as_it_is_there() -> None:
    orders = agent("order-processor", run=["orders"])
    shown = directory([Entry(agent(), listening=True), Entry(orders, listening=True)], KNOWN)
    assert shown["services"] == {
        "ai-seller-pets": {"url": "http://ai-seller-pets.shop.svc.cluster.local", "consumers": ["seller/pets"]},
        "order-processor": {"url": "http://order-processor.shop.svc.cluster.local", "consumers": ["orders"]},
    }
    (brand,) = shown["brands"]
    assert (brand["id"], brand["phone_number_ids"]) == ("pets", ["100000000000006"])
    deaf = directory([Entry(agent(), listening=False)], KNOWN)
    assert deaf["brands"] == []
    assert "ai-seller-pets" in deaf["services"]


def test_the_directory_says_nothing_of_prompts_and_catalogues() -> None:
    wanted = agent(behavior={"systemPrompt": "Be secretive."})
    assert "secretive" not in str(directory([Entry(wanted, listening=True)], KNOWN))


def test_the_shared_number_stands_in_the_directory() -> None:
    number = {"name": "Loja", "phoneNumberIds": ["100000000000001"]}
    shown = directory([Entry(agent("sync", run=["conversations"], sharedNumber=number), listening=True)], KNOWN)
    assert shown["shared"] == {"name": "Loja", "phone_number_ids": ["100000000000001"], "display_phone": ""}
