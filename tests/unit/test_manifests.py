"""The manifests under k8s/kustomize say what they are meant to say, and agree with the program and its data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import pytest
import yaml

from agent_store.entrypoints.operator import known_agents
from agent_store.entrypoints.rooms import AGENTS, agent_named
from agent_store.kube.derived import (
    DIRECTORY,
    Facts,
    needed_config_maps,
    needed_secrets,
    subscriptions_of,
)
from agent_store.kube.model import LambdaAgent, LambdaAgentSpec, LambdaAgentStatus, Meta
from agent_store.kube.rbac import cluster_role_rules, lease_role_rules
from agent_store.kube.render import ANSWER_SECONDS, REQUEST_SECONDS
from tests.support.manifests import ALL, ROOT, Object, objects, of, path_of, pod_specs, snapshot

VERSION = version("agent-store")
NAMESPACE = "agent-store-multibrands"
BRANDS: list[dict[str, Any]] = yaml.safe_load((ROOT / "data" / "brands.yaml").read_text("utf-8"))["brands"]
SHARED: dict[str, Any] = yaml.safe_load((ROOT / "data" / "brands.yaml").read_text("utf-8"))["shared"]
STORES = ("kind", "studio")


def known() -> dict[str, Facts]:
    """What each agent listens to, as the operator knows it."""
    return known_agents()


def agents(name: str) -> dict[str, LambdaAgent]:
    """The LambdaAgents of an overlay, read by the operator's own model."""
    return {
        one["metadata"]["name"]: LambdaAgent(
            Meta(one["metadata"]["name"], one["metadata"]["namespace"]),
            LambdaAgentSpec.model_validate(one["spec"]),
            LambdaAgentStatus(),
        )
        for one in objects(name)
        if one["kind"] == "LambdaAgent"
    }


def containers(found: Iterable[Object]) -> Iterator[tuple[str, Object, Object]]:
    """(whose, pod specification, container) of all pods that the manifests make themselves."""
    for name, spec in pod_specs(found).items():
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            yield f"{name}/{container['name']}", spec, container


def millicores(quantity: str) -> int:
    return int(quantity[:-1]) if quantity.endswith("m") else round(float(quantity) * 1000)


# --- all of them ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_kustomize_makes_what_it_made_before(name: str) -> None:
    found = yaml.safe_load_all(snapshot(objects(name)))
    kept = yaml.safe_load_all(path_of(name).read_text("utf-8"))
    assert list(found) == list(kept), "read the difference, then: python -m tests.support.manifests"


@pytest.mark.parametrize("name", ["operator", *STORES])
def test_no_right_is_a_wildcard(name: str) -> None:
    roles = [one for one in objects(name) if one["kind"] in ("Role", "ClusterRole")]
    assert roles
    for role in roles:
        for rule in role["rules"]:
            for part in ("apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs"):
                assert "*" not in "".join(rule.get(part, ())), (role["metadata"]["name"], rule)


def test_the_operator_has_the_rights_that_it_uses_and_no_more() -> None:
    found = objects("operator")
    assert of(found, "ClusterRole")["rules"] == cluster_role_rules()
    assert of(found, "Role")["rules"] == lease_role_rules()
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        (subject,) = of(found, kind)["subjects"]
        assert (subject["name"], subject["namespace"]) == ("agent-store-operator", "agent-store-system")


@pytest.mark.parametrize("name", ["operator", *STORES])
def test_pods_meet_the_restricted_pod_security_standard_with_a_read_only_root(name: str) -> None:
    for whose, spec, container in containers(objects(name)):
        pod, own = spec["securityContext"], container["securityContext"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), whose
        assert all(
            set(volume) - {"name"} <= {"emptyDir", "configMap", "secret", "projected"}
            for volume in spec.get("volumes", ())
        ), whose
        assert own["allowPrivilegeEscalation"] is False, whose
        assert own["capabilities"] == {"drop": ["ALL"]}, whose
        assert own["readOnlyRootFilesystem"] is True, whose
        assert pod["runAsNonRoot"] is True, whose
        assert pod["runAsUser"] > 0, whose
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, whose


@pytest.mark.parametrize("name", ["operator", *STORES])
def test_every_pod_says_what_it_asks_for_and_a_service_how_it_is(name: str) -> None:
    for whose, spec, container in containers(objects(name)):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), whose
        assert "memory" in container["resources"]["limits"], whose
        if spec.get("restartPolicy", "Always") == "Always":
            assert {"readinessProbe", "livenessProbe"} <= set(container), whose


@pytest.mark.parametrize("name", ["operator", *STORES])
def test_only_who_asks_the_api_server_has_a_token(name: str) -> None:
    with_token = {
        whose for whose, spec in pod_specs(objects(name)).items() if spec.get("automountServiceAccountToken", True)
    }
    assert with_token <= {"Deployment/agent-store-operator", "Deployment/steward"}


@pytest.mark.parametrize("name", ["operator", *STORES])
def test_images_are_those_of_this_release(name: str) -> None:
    for whose, _, container in containers(objects(name)):
        if "agent-store" in container["image"]:
            assert container["image"] == f"ghcr.io/agent-store/agent-store:{VERSION}", whose


@pytest.mark.parametrize("name", STORES)
def test_the_migration_is_another_job_a_release(name: str) -> None:
    job = of(objects(name), "Job")
    assert job["metadata"]["name"] == f"agent-store-migrate-{VERSION.replace('.', '-')}"
    assert job["spec"]["ttlSecondsAfterFinished"] >= 600


@pytest.mark.parametrize("name", STORES)
def test_what_pods_refer_to_is_there(name: str) -> None:
    found = objects(name)
    names = {
        kind: {one["metadata"]["name"] for one in found if one["kind"] == kind}
        for kind in ("ConfigMap", "Secret", "ServiceAccount")
    }
    names["ConfigMap"].add(DIRECTORY)  # the operator's
    secrets = names["Secret"] or {"agent-store-secrets"}  # studio: the installation's own
    for whose, spec, container in containers(found):
        assert spec["serviceAccountName"] in names["ServiceAccount"], whose
        for source in container.get("envFrom", ()):
            if "configMapRef" in source:
                assert source["configMapRef"]["name"] in names["ConfigMap"], whose
            elif not source["secretRef"].get("optional"):
                assert source["secretRef"]["name"] in secrets, whose
    for agent in agents(name).values():
        assert {one for one, _ in needed_secrets(agent)} <= secrets
        assert {one for one, _ in needed_config_maps(agent)} <= names["ConfigMap"]
        if (prompt := agent.spec.behavior.system_prompt_from) is not None:
            assert prompt.config_map.key in of(found, "ConfigMap", prompt.config_map.name)["data"]
        if agent.spec.brand is not None and (catalog := agent.spec.brand.catalog) is not None:
            assert catalog.config_map.key in of(found, "ConfigMap", catalog.config_map.name)["data"]


@pytest.mark.parametrize("name", STORES)
def test_all_is_in_one_namespace_that_enforces_baseline_and_warns_of_restricted(name: str) -> None:
    found = objects(name)
    assert {one["metadata"].get("namespace", NAMESPACE) for one in found} == {NAMESPACE}
    labels = of(found, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"


# --- the broker ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORES)
def test_the_broker_retries_long_enough_and_its_dead_letters_reach_the_steward(name: str) -> None:
    found = objects(name)
    broker, service = of(found, "Broker"), of(found, "Service", "steward")
    delivery = broker["spec"]["delivery"]
    assert broker["metadata"]["annotations"]["eventing.knative.dev/broker.class"] == "RabbitMQBroker"
    assert delivery["retry"] >= 10
    assert (delivery["backoffPolicy"], delivery["backoffDelay"]) == ("exponential", "PT0.2S")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local"
    assert delivery["deadLetterSink"]["uri"] == f"http://{host}/dead-letters"
    assert of(found, "RabbitmqBrokerConfig")["spec"]["queueType"] == "quorum"
    assert broker["spec"]["config"]["name"] == of(found, "RabbitmqBrokerConfig")["metadata"]["name"]


@pytest.mark.parametrize("name", STORES)
def test_a_turn_ends_before_an_answer_before_a_delivery_before_a_request(name: str) -> None:
    found = objects(name)
    delivery = int(re.fullmatch(r"PT(\d+)S", of(found, "Broker")["spec"]["delivery"]["timeout"])[1])  # type: ignore[index]
    steward = pod_specs(found)["Deployment/steward"]["containers"][0]
    assert {"name": "AGENT_STORE_ANSWER_WITHIN", "value": str(ANSWER_SECONDS)} in steward["env"]
    assert 60 < ANSWER_SECONDS < delivery < REQUEST_SECONDS


def test_schedules_have_a_cron_job_that_comes_at_least_as_often() -> None:
    shortest = min(schedule.period for name in AGENTS for schedule in agent_named(name).schedules.values())
    cron = of(objects("studio"), "CronJob")
    minutes = int(re.fullmatch(r"\*/(\d+) \* \* \* \*", cron["spec"]["schedule"])[1])  # type: ignore[index]
    assert timedelta(minutes=minutes) <= shortest
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert pod_specs([cron])["CronJob/agent-store-tick"]["containers"][0]["args"] == ["tick"]


# --- the agents ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORES)
def test_sellers_are_the_brands_of_the_store(name: str) -> None:
    found = agents(name)
    sellers = {agent.spec.brand.id: agent.spec.brand for agent in found.values() if agent.spec.brand is not None}
    assert sorted(sellers) == sorted(brand["id"] for brand in BRANDS)
    for brand in BRANDS:
        seller = sellers[brand["id"]].model_dump(
            mode="json", exclude={"catalog", "tools", "greeting", "whatsapp_catalog_id"}
        )
        greeting = yaml.safe_load((ROOT / "prompts" / brand["id"] / "greeting.yaml").read_text("utf-8"))
        assert seller == brand
        assert sellers[brand["id"]].greeting.model_dump() == greeting
        assert found[f"ai-seller-{brand['id']}"].spec.run == ("seller",)


@pytest.mark.parametrize("name", STORES)
def test_prompts_and_catalogues_are_the_projects_files(name: str) -> None:
    found = objects(name)
    for brand in (brand["id"] for brand in BRANDS):
        prompt, catalog = of(found, "ConfigMap", f"prompt-{brand}"), of(found, "ConfigMap", f"catalog-{brand}")
        assert prompt["data"] == {"system.md": (ROOT / "prompts" / brand / "system.md").read_text("utf-8")}
        assert catalog["data"] == {f"{brand}.yaml": (ROOT / "data" / f"{brand}.yaml").read_text("utf-8")}
        # `kubectl apply` keeps a copy in an annotation, which may have 256 KiB.
        assert len(catalog["data"][f"{brand}.yaml"].encode()) < 200 * 1024


@pytest.mark.parametrize("name", STORES)
def test_every_agent_of_the_store_runs_once(name: str) -> None:
    run = [one for agent in agents(name).values() for one in agent.spec.run if one != "seller"]
    assert sorted(run) == sorted(set(AGENTS) - {"seller"})
    (shared,) = (agent.spec.shared_number for agent in agents(name).values() if "conversations" in agent.spec.run)
    assert shared is not None
    assert shared.model_dump(mode="json") == SHARED


@pytest.mark.parametrize("name", STORES)
def test_no_agent_needs_more_than_three_triggers(name: str) -> None:
    for agent in agents(name).values():
        assert len(subscriptions_of(agent, known())) <= 3, agent.meta.name


def test_studio_scales_as_the_table_says() -> None:
    scaling = {
        name: (agent.spec.scaling.min_replicas, agent.spec.scaling.max_replicas, agent.spec.scaling.target)
        for name, agent in agents("studio").items()
    }
    assert scaling == {
        "whatsapp-gateway": (1, 5, 50),
        "session-sync": (1, 5, 50),
        "product-catalog": (1, 5, 50),
        "order-processor": (1, 5, 20),
        "sales-assistant": (1, 5, 10),
        **{f"ai-seller-{brand['id']}": (0, 10, 5) for brand in BRANDS},
    }


def test_studio_brings_no_secret_and_sellers_fall_back_to_rules() -> None:
    assert not [one for one in objects("studio") if one["kind"] == "Secret"]
    for name, agent in agents("studio").items():
        if name.startswith("ai-seller-"):
            assert (agent.spec.ai.provider, agent.spec.ai.fallback) == ("ollama", "rules")
            assert agent.spec.ai.endpoint


def test_studios_budgets_let_a_node_be_drained() -> None:
    budgets = [one for one in objects("studio") if one["kind"] == "PodDisruptionBudget"]
    assert {one["metadata"]["name"] for one in budgets} >= {name for name in agents("studio") if "seller" not in name}
    assert all(one["spec"].get("maxUnavailable") == 1 for one in budgets)


def test_the_example_for_external_secrets_gives_what_the_store_reads() -> None:
    from dataclasses import fields

    from agent_store.entrypoints.settings import Settings, variable

    given = {
        one["secretKey"] for one in of(objects("studio/examples/external-secrets"), "ExternalSecret")["spec"]["data"]
    }
    assert given <= {variable(one.name) for one in fields(Settings)}
    assert given >= {"AGENT_STORE_DATABASE_URL", "AGENT_STORE_KEYS", "AGENT_STORE_WHATSAPP_APP_SECRET"}


# --- kind: small ---------------------------------------------------------------------------------------------------------

QUEUE_PROXY = 25
"""Millicores that Knative's sidecar asks for by default."""


def test_kind_asks_for_at_most_one_and_a_half_cores_with_every_pod_there_can_be() -> None:
    found, running = objects("kind"), agents("kind")
    own = [*found, *objects("operator")]
    replicas = {
        f"{one['kind']}/{one['metadata']['name']}": one["spec"].get("replicas", 1) for one in own if "spec" in one
    }
    static = sum(
        millicores(container["resources"]["requests"]["cpu"]) * replicas[name]
        for name, spec in pod_specs(own).items()
        if name.split("/")[0] in ("Deployment", "StatefulSet")
        for container in spec["containers"]
    )
    pods = sum(
        (millicores(agent.spec.resources.requests.cpu) + QUEUE_PROXY) * agent.spec.scaling.max_replicas
        for agent in running.values()
    )
    dispatchers = 0
    for agent in running.values():
        assert agent.spec.eventing.dispatcher is not None
        dispatchers += millicores(agent.spec.eventing.dispatcher.requests.cpu) * len(subscriptions_of(agent, known()))
    broker = 2 * millicores(of(found, "Broker")["metadata"]["annotations"]["rabbitmq.eventing.knative.dev/cpu-request"])
    rabbitmq = millicores(of(found, "RabbitmqCluster")["spec"]["resources"]["requests"]["cpu"])
    assert static + pods + dispatchers + broker + rabbitmq <= 1500


def test_kinds_secrets_say_that_they_are_for_trying() -> None:
    import base64

    secrets = [one for one in objects("kind") if one["kind"] == "Secret"]
    assert {one["metadata"]["name"] for one in secrets} == {"agent-store-secrets", "databases-for-trying"}
    for secret in secrets:
        assert secret["metadata"]["annotations"]["agent-store.dev/note"] == "for trying only"
        assert all(b"for-trying-only" in base64.b64decode(value) for value in secret["data"].values())


def test_kind_needs_no_meta_account() -> None:
    gateway = agents("kind")["whatsapp-gateway"].spec
    settings: dict[str, str] = of(objects("kind"), "ConfigMap", "agent-store-settings")["data"]
    assert "AGENT_STORE_WHATSAPP_GRAPH_URL" not in settings
    assert "assistant" in gateway.run  # brings the pages, the simulator's too
    assert gateway.scaling.max_replicas == 1  # the simulator is one
