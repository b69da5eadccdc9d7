"""A LambdaAgent's life with the operator, on a real API server: made, changed, tampered with, gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from agent_store.kube import kinds
from agent_store.kube.derived import DIRECTORY, Prompt
from agent_store.kube.reconcile import FINALIZER
from tests.cluster.operator_fixtures import client as client
from tests.cluster.operator_fixtures import operator as operator
from tests.cluster.operator_fixtures import shop as shop
from tests.support.kube import KubeApi
from tests.support.operator import OperatorProcess, Shop, agent_of, brand_of, until

pytestmark = pytest.mark.xdist_group("kube-api")

PETS = "ai-seller-pets"
FROM_CONFIG_MAP = {"systemPromptFrom": {"configMap": {"name": "prompts", "key": "pets"}}}


async def test_one_resource_becomes_a_running_agent_with_all_that_it_needs(shop: Shop) -> None:
    await shop.config_map("prompts", pets="You are Teo.")
    await shop.apply(agent_of(PETS, behavior=FROM_CONFIG_MAP))
    await until(lambda: shop.is_ready(PETS))
    for kind in (kinds.SERVICE_ACCOUNT, kinds.ROLE_BINDING, kinds.NETWORK_POLICY, kinds.KNATIVE_SERVICE):
        assert PETS in await shop.names(kind), kind.name
    (trigger,) = await shop.names(kinds.TRIGGER)
    body = await shop.get(kinds.LAMBDA_AGENT, PETS)
    assert body is not None
    status = body["status"]
    assert status["prompt"] == {"stable": Prompt("You are Teo.").hash, "canary": ""}
    assert (status["triggers"], status["workload"], status["ready"]) == ([trigger], "knative", "True")
    assert status["url"] == f"http://{PETS}.{shop.namespace}.svc.cluster.local"
    assert status["selector"] == f"agent-store.dev/lambdaagent={PETS}"
    assert [one["type"] for one in status["conditions"]] == [
        "Ready", "PromptResolved", "WorkloadReady", "SubscriptionsReady", "DeadLetterReady",
    ]  # fmt: skip
    assert "annotations" not in body["metadata"]
    pod = await shop.pod(PETS)
    sink = next(one["value"] for one in pod["env"] if one["name"] == "K_SINK")
    assert sink == f"http://default.{shop.namespace}.svc.cluster.local"
    prompt = await shop.get(kinds.CONFIG_MAP, f"{PETS}-prompt-{Prompt('You are Teo.').hash}")
    assert prompt is not None
    assert (prompt["immutable"], prompt["data"]) == (True, {"system.md": "You are Teo."})

    async def told() -> bool:
        events = await shop.client.list(kinds.EVENT, shop.namespace)
        return ("Normal", "Ready") in {(one["type"], one["reason"]) for one in events}

    await until(told)


async def test_what_is_settled_is_not_written_again(shop: Shop, operator: OperatorProcess) -> None:
    await shop.apply(agent_of(PETS), agent_of("order-processor", run=["orders", "cart"]))
    for name in (PETS, "order-processor"):
        await until(lambda name=name: shop.is_ready(name))
    await until(shop.brands)

    async def quiet() -> bool:
        """Nothing waits any more, and a pass has begun and ended since the last write."""
        writes, passes = await operator.writes(), await operator.figure("agent_store_operator_reconciles_total")
        await shop.client.patch(
            kinds.LAMBDA_AGENT, shop.namespace, PETS, {"metadata": {"labels": {"look": str(passes)}}}
        )
        await until(lambda: _more(operator, passes))
        return await operator.writes() == writes

    async def twice() -> bool:
        return await quiet() and await quiet()

    await until(twice)


async def _more(operator: OperatorProcess, passes: float) -> bool:
    return await operator.figure("agent_store_operator_reconciles_total") > passes


async def test_a_brand_is_in_the_directory_once_its_trigger_is_ready_and_stays_while_a_dispatcher_restarts(
    shop: Shop,
) -> None:
    shop.knative.idle.add(kinds.TRIGGER)
    await shop.apply(agent_of(PETS))
    await until(lambda: _service(shop, PETS))
    await until(lambda: _is(shop.reason(PETS, "SubscriptionsReady"), "Progressing"))
    assert await shop.brands() == []
    shop.knative.idle.discard(kinds.TRIGGER)
    assert await until(shop.brands) == ["pets"]
    assert (await shop.directory())["services"][PETS]["consumers"] == ["seller/pets"]
    shop.knative.idle.add(kinds.TRIGGER)
    (trigger,) = await shop.names(kinds.TRIGGER)
    await until(lambda: shop.is_ready(PETS))
    away = {"conditions": [{"type": "Ready", "status": "False", "reason": "DispatcherNotReady"}]}
    await shop.client.patch(kinds.TRIGGER, shop.namespace, trigger, {"status": away}, "status")
    await until(lambda: _is(shop.reason(PETS), "NotReady"))
    assert await shop.brands() == ["pets"]


async def _service(shop: Shop, name: str) -> bool:
    return name in (await shop.directory()).get("services", {})


async def _is(asked: object, wanted: object) -> bool:
    return await asked == wanted  # type: ignore[misc]


async def test_a_changed_prompt_config_map_is_a_new_revision_and_the_old_one_goes(shop: Shop) -> None:
    await shop.config_map("prompts", pets="You are Teo.")
    await shop.apply(agent_of(PETS, behavior=FROM_CONFIG_MAP))
    await until(lambda: shop.is_ready(PETS))
    await shop.config_map("prompts", pets="You are Bia.")
    new = Prompt("You are Bia.").hash

    async def in_use() -> bool:
        live = await shop.get(kinds.KNATIVE_SERVICE, PETS)
        assert live is not None
        volumes = live["spec"]["template"]["spec"]["volumes"]
        return {"name": "prompt-stable", "configMap": {"name": f"{PETS}-prompt-{new}"}} in volumes

    await until(in_use)

    async def alone() -> bool:
        return [one for one in await shop.names(kinds.CONFIG_MAP) if "-prompt-" in one] == [f"{PETS}-prompt-{new}"]

    await until(alone)
    body = await shop.get(kinds.LAMBDA_AGENT, PETS)
    assert body is not None
    assert body["status"]["prompt"] == {"stable": new, "canary": ""}


async def test_a_canary_keeps_the_stable_prompt_until_it_is_promoted(shop: Shop) -> None:
    first, second = Prompt("You are Teo."), Prompt("You are Bia.")
    await shop.config_map("prompts", pets=first.text)
    await shop.apply(agent_of(PETS, behavior=FROM_CONFIG_MAP, rollout={"canaryPercent": 20}))
    await until(lambda: shop.is_ready(PETS))
    await shop.config_map("prompts", pets=second.text)
    await until(lambda: _is(_prompts(shop), {"stable": first.hash, "canary": second.hash}))
    environment = {one["name"]: one.get("value") for one in (await shop.pod(PETS))["env"]}
    assert environment["AGENT_STORE_CANARY_PERCENT"] == "20"
    names = await shop.names(kinds.CONFIG_MAP)
    assert {f"{PETS}-prompt-{first.hash}", f"{PETS}-prompt-{second.hash}"} <= set(names)
    await shop.edit(PETS, {"rollout": {"canaryPercent": 100}})
    await until(lambda: _is(_prompts(shop), {"stable": second.hash, "canary": ""}))

    async def old_is_gone() -> bool:
        return f"{PETS}-prompt-{first.hash}" not in await shop.names(kinds.CONFIG_MAP)

    await until(old_is_gone)


async def test_a_canary_that_is_taken_back_leaves_the_stable_prompt(shop: Shop) -> None:
    first, second = Prompt("You are Teo."), Prompt("You are Bia.")
    await shop.config_map("prompts", pets=first.text)
    await shop.apply(agent_of(PETS, behavior=FROM_CONFIG_MAP, rollout={"canaryPercent": 20}))
    await until(lambda: shop.is_ready(PETS))
    await shop.config_map("prompts", pets=second.text)
    await until(lambda: _is(_prompts(shop), {"stable": first.hash, "canary": second.hash}))
    await shop.config_map("prompts", pets=first.text)
    await until(lambda: _is(_prompts(shop), {"stable": first.hash, "canary": ""}))


async def _prompts(shop: Shop) -> object:
    body = await shop.get(kinds.LAMBDA_AGENT, PETS)
    return body["status"]["prompt"] if body is not None and "status" in body else None


async def test_what_others_change_or_delete_is_as_wanted_again(shop: Shop) -> None:
    await shop.config_map("prompts", pets="You are Teo.")
    await shop.apply(agent_of(PETS, behavior=FROM_CONFIG_MAP))
    await until(lambda: shop.is_ready(PETS))

    rights = await shop.get(kinds.ROLE, DIRECTORY)
    assert rights is not None
    await shop.client.patch(kinds.ROLE, shop.namespace, DIRECTORY, {"rules": []})
    await until(lambda: _has(shop, kinds.ROLE, lambda live: live["rules"] == rights["rules"], DIRECTORY))
    await shop.delete(kinds.ROLE, DIRECTORY)
    await until(lambda: _has(shop, kinds.ROLE, lambda live: live["rules"] == rights["rules"], DIRECTORY))

    await shop.client.patch(
        kinds.KNATIVE_SERVICE, shop.namespace, PETS, {"spec": {"template": {"spec": {"timeoutSeconds": 1}}}}
    )
    await until(
        lambda: _has(
            shop, kinds.KNATIVE_SERVICE, lambda live: live["spec"]["template"]["spec"]["timeoutSeconds"] == 120
        )
    )

    bare = {"metadata": {"labels": {"agent-store.dev/lambdaagent": None}}}
    await shop.client.patch(kinds.NETWORK_POLICY, shop.namespace, PETS, bare)
    await until(
        lambda: _has(
            shop, kinds.NETWORK_POLICY, lambda live: live["metadata"]["labels"]["agent-store.dev/lambdaagent"] == PETS
        )
    )
    alone = {"metadata": {"ownerReferences": []}}
    await shop.client.patch(kinds.SERVICE_ACCOUNT, shop.namespace, PETS, alone)
    await until(lambda: _has(shop, kinds.SERVICE_ACCOUNT, lambda live: "ownerReferences" in live["metadata"]))

    prompt = f"{PETS}-prompt-{Prompt('You are Teo.').hash}"
    (trigger,) = await shop.names(kinds.TRIGGER)
    for kind, name in ((kinds.CONFIG_MAP, prompt), (kinds.TRIGGER, trigger), (kinds.ROLE_BINDING, PETS),
                       (kinds.CONFIG_MAP, DIRECTORY), (kinds.KNATIVE_SERVICE, PETS)):  # fmt: skip
        before = await shop.get(kind, name)
        assert before is not None
        await shop.delete(kind, name)

        async def again(kind: kinds.Kind = kind, name: str = name, uid: str = before["metadata"]["uid"]) -> bool:
            live = await shop.get(kind, name)
            return live is not None and live["metadata"]["uid"] != uid

        await until(again)
    await until(lambda: shop.is_ready(PETS))
    assert await until(shop.brands) == ["pets"]


async def _has(shop: Shop, kind: kinds.Kind, what: object, name: str = PETS) -> bool:
    live = await shop.get(kind, name)
    try:
        return live is not None and bool(what(live))  # type: ignore[operator]
    except KeyError:
        return False


async def test_changed_secrets_and_settings_are_new_pods_and_a_note_on_them_is_none(shop: Shop) -> None:
    await shop.secret("keys", token="one")
    sources = [{"secretRef": {"name": "keys"}}, {"configMapRef": {"name": "settings", "optional": True}}]
    await shop.apply(agent_of(PETS, envFrom=sources))
    await until(lambda: shop.is_ready(PETS))

    async def template() -> dict[str, Any]:
        live = await shop.get(kinds.KNATIVE_SERVICE, PETS)
        assert live is not None
        return live["spec"]["template"]

    first = await template()
    noted = {"metadata": {"annotations": {"refreshed": "today"}}}
    await shop.client.patch(kinds.SECRET, shop.namespace, "keys", noted)
    await shop.edit(PETS, {"env": [{"name": "SEEN", "value": "1"}]})

    async def seen() -> bool:
        return any(one["name"] == "SEEN" for one in (await shop.pod(PETS))["env"])

    await until(seen)
    assert (await template())["metadata"] == first["metadata"]
    for change in (shop.secret("keys", token="two"), shop.config_map("settings", LOG="debug")):
        before = (await template())["metadata"]["annotations"]
        await change

        async def another(before: object = before) -> bool:
            return (await template())["metadata"]["annotations"] != before

        await until(another)
    await until(lambda: shop.is_ready(PETS))


async def test_more_rights_are_a_role_of_its_own_and_go_again(shop: Shop) -> None:
    more = f"{PETS}-permissions"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["fabrics"], "verbs": ["get"]}
    await shop.apply(agent_of(PETS, permissions={"rules": [rule]}))
    await until(lambda: shop.is_ready(PETS))
    await until(lambda: _has(shop, kinds.ROLE, lambda live: live["rules"] == [rule], more))
    await until(lambda: _has(shop, kinds.ROLE_BINDING, lambda live: live["roleRef"]["name"] == more, more))
    await until(lambda: _has(shop, kinds.ROLE_BINDING, lambda live: live["roleRef"]["name"] == DIRECTORY))
    await shop.edit(PETS, {"permissions": {"rules": []}})

    async def gone() -> bool:
        return await shop.names(kinds.ROLE) == [DIRECTORY] and await shop.names(kinds.ROLE_BINDING) == [PETS]

    await until(gone)
    await shop.delete(kinds.LAMBDA_AGENT, PETS)

    async def nothing() -> bool:
        return DIRECTORY not in [*await shop.names(kinds.ROLE), *await shop.names(kinds.CONFIG_MAP)]

    await until(nothing)


async def test_fields_that_are_not_wanted_any_more_go(shop: Shop) -> None:
    variables = [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}]
    await shop.apply(agent_of(PETS, env=variables))
    await until(lambda: shop.is_ready(PETS))
    await shop.apply(agent_of(PETS, env=variables[:1]))

    async def gone() -> bool:
        return [one["name"] for one in (await shop.pod(PETS))["env"] if one["name"] in ("ONE", "TWO")] == ["ONE"]

    await until(gone)


async def test_new_filters_are_new_triggers_and_the_old_ones_stay_until_these_are_ready(shop: Shop) -> None:
    name = "order-processor"
    await shop.apply(agent_of(name, run=["orders"], eventing={"subscriptions": [{"topic": "order"}]}))
    await until(lambda: shop.is_ready(name))
    old = await shop.names(kinds.TRIGGER)
    shop.knative.idle.add(kinds.TRIGGER)
    await shop.edit(name, {"eventing": {"subscriptions": [{"topic": "payment"}]}})

    async def both() -> bool:
        return len(await shop.names(kinds.TRIGGER)) == 2

    await until(both)
    await until(lambda: _is(shop.reason(name), "Progressing"))
    assert set(old) < set(await shop.names(kinds.TRIGGER))
    shop.knative.idle.discard(kinds.TRIGGER)

    async def new_alone() -> bool:
        live = await shop.names(kinds.TRIGGER)
        return len(live) == 1 and live != old

    await until(new_alone)
    await until(lambda: shop.is_ready(name))


async def test_a_deployment_turns_into_a_knative_service_and_back(shop: Shop) -> None:
    """Without Knative's controllers: what they would make and end is made and ended here."""
    scaling = {"mode": "deployment", "minReplicas": 2, "maxReplicas": 4}
    await shop.apply(agent_of(PETS, scaling=scaling))
    await until(lambda: _present(shop, kinds.SERVICE))
    await until(lambda: _available(shop, shop.is_ready(PETS)))
    for kind in (kinds.DEPLOYMENT, kinds.AUTOSCALER, kinds.BUDGET):
        assert await shop.names(kind) == [PETS]

    async def two_replicas() -> bool:
        body = await shop.get(kinds.LAMBDA_AGENT, PETS)
        assert body is not None
        return (body["status"]["workload"], body["status"]["replicas"]) == ("deployment", 2)

    await until(lambda: _available(shop, two_replicas()))

    await shop.edit(PETS, {"scaling": {"mode": "knative"}})
    await until(lambda: _present(shop, kinds.KNATIVE_SERVICE))

    async def only_knative() -> bool:
        left = [
            kind for kind in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.AUTOSCALER, kinds.BUDGET) if await shop.names(kind)
        ]
        return not left

    await until(only_knative)

    route = {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "name": PETS, "uid": "5f0c", "controller": True}
    await shop.client.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": PETS, "ownerReferences": [route]},
         "spec": {"type": "ExternalName", "externalName": "kourier.example.com"}},
        namespace=shop.namespace,
    )  # fmt: skip
    await shop.edit(PETS, {"scaling": scaling})
    await until(lambda: _present(shop, kinds.DEPLOYMENT))
    assert await shop.names(kinds.KNATIVE_SERVICE) == [PETS]

    async def knative_is_gone() -> bool:
        return not await shop.names(kinds.KNATIVE_SERVICE)

    await until(lambda: _available(shop, knative_is_gone()))
    await shop.delete(kinds.SERVICE, PETS)

    async def own_service() -> bool:
        live = await shop.get(kinds.SERVICE, PETS)
        return live is not None and live["spec"]["type"] == "ClusterIP"

    await until(own_service)
    await until(lambda: _available(shop, shop.is_ready(PETS)))


async def _present(shop: Shop, kind: kinds.Kind) -> bool:
    return PETS in await shop.names(kind)


async def _available(shop: Shop, what: Awaitable[bool]) -> bool:
    """Says that the Deployment's pods are there, whatever the controllers say if they run (there are no nodes)."""
    await shop.client.patch(kinds.DEPLOYMENT, shop.namespace, PETS, {"spec": {"replicas": 2}})
    live = await shop.get(kinds.DEPLOYMENT, PETS)
    if live is not None:
        status = {"observedGeneration": live["metadata"]["generation"], "replicas": 2, "updatedReplicas": 2,
                  "readyReplicas": 2, "availableReplicas": 2, "conditions": []}  # fmt: skip
        await shop.client.patch(kinds.DEPLOYMENT, shop.namespace, PETS, {"status": status}, "status")
    return await what


async def test_a_catalogue_is_imported_once_a_content(shop: Shop) -> None:
    brand = brand_of("pets", catalog={"configMap": {"name": "catalog", "key": "pets.yaml"}})
    await shop.config_map("catalog", **{"pets.yaml": "products: []"})
    await shop.apply(agent_of(PETS, brand=brand))
    (first,) = await until(lambda: shop.names(kinds.JOB))
    assert first.startswith(f"{PETS}-catalog-")
    await shop.config_map("catalog", **{"pets.yaml": "products: [] # changed"})

    async def another() -> bool:
        live = await shop.names(kinds.JOB)
        return len(live) == 1 and live != [first]

    await until(another)


async def test_a_deleted_brand_leaves_the_directory_before_it_goes_and_nothing_is_left_over(
    shop: Shop, kube_api: KubeApi
) -> None:
    await kube_api.controllers()  # the garbage collector
    await shop.config_map("prompts", pets="You are Teo.")
    await shop.apply(agent_of(PETS, behavior=FROM_CONFIG_MAP), agent_of("ai-seller-toys"))
    for name in (PETS, "ai-seller-toys"):
        await until(lambda name=name: shop.is_ready(name))

    async def both() -> bool:
        return await shop.brands() == ["pets", "toys"]

    await until(both)
    await shop.client.patch(kinds.LAMBDA_AGENT, shop.namespace, PETS, _held_by(FINALIZER, "agent-store.dev/test"))
    await shop.delete(kinds.LAMBDA_AGENT, PETS)

    async def left() -> bool:
        return await shop.brands() == ["toys"]

    await until(left)
    listed = await shop.get(kinds.CONFIG_MAP, DIRECTORY)

    async def let_go() -> dict[str, Any] | None:
        live = await shop.get(kinds.LAMBDA_AGENT, PETS)
        assert live is not None
        return live if FINALIZER not in live["metadata"]["finalizers"] else None

    going = await until(let_go)
    assert listed is not None
    assert going is not None
    assert int(listed["metadata"]["resourceVersion"]) < int(going["metadata"]["resourceVersion"]), "it drains"
    assert [one for one in await shop.names(kinds.TRIGGER) if one.startswith(PETS)]
    await shop.client.patch(kinds.LAMBDA_AGENT, shop.namespace, PETS, _held_by())

    async def gone() -> bool:
        return await shop.get(kinds.LAMBDA_AGENT, PETS) is None

    await until(gone)
    await shop.delete(kinds.LAMBDA_AGENT, "ai-seller-toys")

    async def leftovers() -> list[str]:
        found = [
            f"{kind.name} {name}" for kind in (*kinds.CHILDREN, kinds.LAMBDA_AGENT) for name in await shop.names(kind)
        ]
        return [
            one
            for one in found
            if one not in ("ConfigMap prompts", "ConfigMap kube-root-ca.crt", "ServiceAccount default")
        ]

    async def nothing() -> bool:
        return not await leftovers()

    await until(nothing, 60)


def _held_by(*finalizers: str) -> dict[str, Any]:
    return {"metadata": {"finalizers": list(finalizers)}}


async def test_a_resource_that_is_made_again_under_its_name_gets_children_of_its_own(shop: Shop) -> None:
    """Before the garbage collector has got to those of the first one."""
    await shop.apply(agent_of("order-processor", run=["orders"]))
    await until(lambda: shop.is_ready("order-processor"))
    await shop.delete(kinds.LAMBDA_AGENT, "order-processor")
    await shop.apply(agent_of("order-processor", run=["orders"]))
    body = await shop.get(kinds.LAMBDA_AGENT, "order-processor")
    assert body is not None
    await until(lambda: shop.is_ready("order-processor"))

    async def its_own() -> bool:
        live = await shop.get(kinds.SERVICE_ACCOUNT, "order-processor")
        return live is not None and live["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]

    await until(its_own)


async def test_replicas_are_those_of_all_its_revisions(shop: Shop) -> None:
    await shop.apply(agent_of(PETS))
    await until(lambda: shop.is_ready(PETS))
    owner = {"apiVersion": "serving.knative.dev/v1", "kind": "Revision", "name": "r1", "uid": "77", "controller": True}
    labels = {"agent-store.dev/lambdaagent": PETS}
    await shop.client.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment",
         "metadata": {"name": f"{PETS}-00001-deployment", "labels": labels, "ownerReferences": [owner]},
         "spec": {"replicas": 3, "selector": {"matchLabels": labels},
                  "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}},
        namespace=shop.namespace,
    )  # fmt: skip
    await shop.client.patch(
        kinds.DEPLOYMENT, shop.namespace, f"{PETS}-00001-deployment", {"status": {"replicas": 3}}, "status"
    )

    async def three() -> bool:
        body = await shop.get(kinds.LAMBDA_AGENT, PETS)
        return body is not None and body["status"]["replicas"] == 3

    await until(three)
    assert f"{PETS}-00001-deployment" in await shop.names(kinds.DEPLOYMENT), "what Knative owns is Knative's"


async def test_ten_at_once_settle(shop: Shop) -> None:
    names = [f"ai-seller-b{number}" for number in range(10)]
    await shop.apply(*(agent_of(name) for name in names))
    await asyncio.gather(*(until(lambda name=name: shop.is_ready(name)) for name in names))

    async def all_listed() -> bool:
        return len(await shop.brands()) == 10

    await until(all_listed)
