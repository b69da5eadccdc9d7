"""What is missing is said, with what to do, and found by itself when it appears; what makes no sense is refused."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from agent_store.kube import kinds
from agent_store.kube.derived import LABEL
from tests.cluster.operator_fixtures import client as client
from tests.cluster.operator_fixtures import operator as operator
from tests.cluster.operator_fixtures import shop as shop
from tests.support.kube import KubeApi
from tests.support.operator import (
    BROKER,
    EVENTING,
    SERVING,
    Client,
    Knative,
    OperatorProcess,
    Shop,
    agent_of,
    brand_of,
    loose_definition,
    until,
)

pytestmark = pytest.mark.xdist_group("kube-api")

PETS = "ai-seller-pets"


async def _says(shop: Shop, reason: str, which: str = "Ready", name: str = PETS, about: str = "") -> str:
    """Waits for the reason (and for what it is about), and gives the sentence."""

    async def sentence() -> str:
        found = await shop.condition(name, which)
        return str(found["message"]) if found.get("reason") == reason and about in found["message"] else ""

    return await until(sentence)


async def test_a_prompt_that_is_not_there(shop: Shop) -> None:
    source = {"systemPromptFrom": {"configMap": {"name": "prompts", "key": "pets"}}}
    await shop.apply(agent_of(PETS, behavior=source))
    assert await _says(shop, "ConfigMapMissing") == (
        "ConfigMap prompts is not there, and the prompt needs it: create it with the key pets"
    )
    assert await shop.names(kinds.KNATIVE_SERVICE) == []
    await shop.config_map("prompts", tools="x")
    assert await _says(shop, "KeyMissing") == "ConfigMap prompts has no key pets, and the prompt needs it: add it"
    await shop.config_map("prompts", pets="You are Teo.")
    await until(lambda: shop.is_ready(PETS))
    await shop.delete(kinds.CONFIG_MAP, "prompts")
    assert "the last prompt stays in use" in await _says(shop, "ConfigMapMissing", "PromptResolved")
    assert await shop.names(kinds.KNATIVE_SERVICE) == [PETS]


async def test_secrets_and_config_maps_for_the_pods(shop: Shop) -> None:
    await shop.apply(
        agent_of(
            PETS, envFrom=[{"secretRef": {"name": "keys"}}, {"configMapRef": {"name": "settings"}}],
            ai={"provider": "openai", "model": "gpt-4o-mini", "apiKey": {"name": "openai", "key": "token"}},
        )
    )  # fmt: skip
    assert await _says(shop, "SecretMissing") == "Secret keys is not there, and the pods need it: create it"
    await shop.secret("keys", a="1")
    assert "Secret openai" in await _says(shop, "SecretMissing", about="openai")
    await shop.secret("openai", other="1")
    assert await _says(shop, "KeyMissing") == "Secret openai has no key token, and the pods need it: add it"
    await shop.secret("openai", token="s")
    assert "ConfigMap settings" in await _says(shop, "ConfigMapMissing")
    assert await shop.names(kinds.KNATIVE_SERVICE) == []
    await shop.config_map("settings", a="1")
    await until(lambda: shop.is_ready(PETS))


async def test_a_broker_that_is_not_there_or_has_nowhere_for_dead_letters(shop: Shop) -> None:
    await shop.apply(agent_of(PETS, eventing={"broker": "other"}))
    message = await _says(shop, "BrokerMissing")
    assert message == f"there is no Broker 'other' in namespace {shop.namespace}: create it, or name another one"
    shop.knative.idle.add(kinds.BROKER)
    other = {**BROKER, "metadata": {"name": "other"}}
    await shop.apply({**other, "spec": {}})
    await _says(shop, "BrokerNotReady", "SubscriptionsReady")
    assert await shop.names(kinds.KNATIVE_SERVICE) == []
    shop.knative.idle.clear()
    assert "steward's /dead-letters" in await _says(shop, "NoDeadLetterSink")
    await shop.apply(other)
    await until(lambda: shop.is_ready(PETS))


async def test_a_catalogue_that_is_not_there_does_not_keep_the_agent_from_running(shop: Shop) -> None:
    brand = brand_of("pets", catalog={"configMap": {"name": "catalog", "key": "pets.yaml"}})
    await shop.apply(agent_of(PETS, brand=brand))
    assert "the catalogue needs it" in await _says(shop, "ConfigMapMissing")
    assert await until(shop.brands) == ["pets"]
    await shop.config_map("catalog", **{"pets.yaml": "products: []"})
    (job,) = await until(lambda: shop.names(kinds.JOB))
    assert await _says(shop, "CatalogImporting") == f"Job {job} brings the catalogue in"
    await shop.end_job(job, "Failed")
    assert await _says(shop, "CatalogFailed") == (
        f"the catalogue was not imported: see the log of Job {job}; delete the Job to try again"
    )
    await shop.delete(kinds.JOB, job)
    await until(lambda: _again(shop, job))
    await shop.end_job(job)
    await until(lambda: shop.is_ready(PETS))


async def _again(shop: Shop, job: str) -> bool:
    live = await shop.get(kinds.JOB, job)
    return live is not None and not live.get("status", {}).get("conditions")


async def test_an_agent_that_nobody_knows_needs_subscriptions(shop: Shop) -> None:
    await shop.apply(agent_of("gift-wrapping", run=["gift-wrapping"]))
    message = await _says(shop, "UnknownAgent", name="gift-wrapping")
    assert message == "run: nobody has said what gift-wrapping listens to: say so in eventing.subscriptions"
    await shop.edit("gift-wrapping", {"eventing": {"subscriptions": [{"topic": "gift"}]}})
    await until(lambda: shop.is_ready("gift-wrapping"))


async def test_of_two_with_the_same_brand_number_or_consumer_the_older_one_wins(shop: Shop) -> None:
    await shop.apply(agent_of(PETS, brand=brand_of("pets", phoneNumberIds=["10001"])))
    await until(lambda: shop.is_ready(PETS))
    await shop.apply(agent_of("z-copy", brand=brand_of("pets")))
    await shop.apply(agent_of("z-number", brand=brand_of("toys", phoneNumberIds=["10001"])))
    await shop.apply(agent_of("orders-a", run=["orders"]))
    await until(lambda: shop.is_ready("orders-a"))
    await shop.apply(agent_of("orders-b", run=["orders", "cart"]))
    assert await _says(shop, "Duplicate", name="z-copy") == (
        f"brand pets is LambdaAgent {PETS}'s already, which is older: change or delete one of the two"
    )
    assert "phone number 10001" in await _says(shop, "Duplicate", name="z-number")
    assert "consumer orders" in await _says(shop, "Duplicate", name="orders-b")
    assert "z-copy" not in await shop.names(kinds.KNATIVE_SERVICE)
    assert await shop.is_ready(PETS)
    await shop.delete(kinds.LAMBDA_AGENT, PETS)
    await until(lambda: shop.is_ready("z-copy"))
    await until(lambda: shop.is_ready("z-number"))
    await shop.delete(kinds.LAMBDA_AGENT, "orders-a")
    await until(lambda: shop.is_ready("orders-b"))


async def test_what_is_somebody_elses_is_not_taken(shop: Shop) -> None:
    await shop.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": PETS}})
    await shop.apply(agent_of(PETS))
    assert "ServiceAccount ai-seller-pets is there already" in await _says(shop, "NameTaken")
    live = await shop.get(kinds.SERVICE_ACCOUNT, PETS)
    assert live is not None
    assert "ownerReferences" not in live["metadata"]


async def test_pods_are_monitored_once_the_cluster_has_that_kind_and_as_long(
    shop: Shop, operator: OperatorProcess
) -> None:
    await shop.apply(agent_of(PETS))
    await until(lambda: shop.is_ready(PETS))
    shop.api.install(loose_definition(kinds.POD_MONITOR))
    try:
        monitor = await until(lambda: shop.get(kinds.POD_MONITOR, PETS))
        assert monitor is not None
        assert monitor["spec"]["selector"] == {"matchLabels": {LABEL: PETS}}
        await shop.edit(PETS, {"observability": {"metrics": False}})

        async def gone() -> bool:
            return await shop.names(kinds.POD_MONITOR) == []

        await until(gone)
        await shop.edit(PETS, {"observability": {"metrics": True}})
        await until(lambda: shop.get(kinds.POD_MONITOR, PETS))
        watches = await operator.figure("agent_store_operator_watch_restarts_total")
    finally:
        shop.api.kubectl("delete", "crd", "podmonitors.monitoring.coreos.com")

    async def anew() -> bool:
        """The watch of a kind that is gone takes the others along."""
        return await operator.figure("agent_store_operator_watch_restarts_total") > watches

    await until(anew)
    await shop.apply(agent_of("ai-seller-toys"))
    for name in ("ai-seller-toys", PETS):
        await until(lambda name=name: shop.is_ready(name))
    assert operator.ended() is None


async def test_rights_that_the_operator_does_not_have_are_not_granted(shop: Shop) -> None:
    rule = {"apiGroups": ["example.com"], "resources": ["things"], "resourceNames": ["one"], "verbs": ["get"]}
    await shop.apply(agent_of(PETS, permissions={"rules": [rule]}))
    assert "attempting to grant RBAC permissions not currently held" in await _says(shop, "Refused")
    await shop.edit(PETS, {"permissions": {"rules": []}})
    await until(lambda: shop.is_ready(PETS))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"run": ["seller"]}, "brand: a seller sells for one: give its id, name and seller"),
        (
            {"brand": brand_of("pets"), "scaling": {"minReplicas": 6, "maxReplicas": 5}},
            "scaling: minReplicas must not be above maxReplicas",
        ),
        ({"brand": brand_of("pets"), "ai": {"provider": "ollama", "model": "m"}}, "ai.endpoint: give the address"),
    ],
)
async def test_a_spec_that_makes_no_sense_is_refused_in_the_definitions_own_words(
    shop: Shop, spec: dict[str, object], sentence: str
) -> None:
    body = {**agent_of(PETS), "spec": spec}
    told = shop.api.kubectl("apply", "-n", shop.namespace, "-f", "-", stdin=yaml.safe_dump(body), check=False)
    assert sentence in told


async def test_a_spec_that_only_the_operator_refuses_is_a_condition_and_stops_nothing(
    shop: Shop, operator: OperatorProcess
) -> None:
    """An older or looser definition lets through what the model does not take."""
    await shop.apply(agent_of(PETS))
    await until(lambda: shop.is_ready(PETS))
    definition = shop.api.get("crd", "lambdaagents.agent-store.dev")
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema["properties"]["scaling"]["properties"]["mode"].pop("enum")
    try:
        shop.api.apply({**definition, "metadata": {"name": definition["metadata"]["name"]}, "status": {}})

        async def taken() -> bool:
            answer = await shop.client.patch(
                kinds.LAMBDA_AGENT, shop.namespace, PETS, {"spec": {"scaling": {"mode": "sideways"}}}
            )
            return answer.is_success

        await until(taken)
        message = await _says(shop, "InvalidSpec")
        assert "scaling.mode" in message
        assert await shop.names(kinds.KNATIVE_SERVICE) == [PETS]
        assert await until(shop.brands) == ["pets"]
        await shop.apply(agent_of("ai-seller-toys"))
        await until(lambda: shop.is_ready("ai-seller-toys"))
        await shop.edit(PETS, {"scaling": {"mode": "auto"}})
        await until(lambda: shop.is_ready(PETS))
    finally:
        shop.api.install_crd()
    assert operator.ended() is None


@pytest.mark.slow
async def test_knative_comes_and_goes_while_the_operator_runs() -> None:
    """And the LambdaAgent's own definition. On an API server of its own: the definitions are everybody's."""
    api = KubeApi()
    try:
        await api.begin()
        namespace = api.namespace()
        client = Client(api)
        shop = Shop(api, client, namespace, Knative(client, namespace))
        async with OperatorProcess(api, namespace) as operator:
            await until(operator.leads)
            await asyncio.to_thread(api.install_crd)  # the operator was quicker than its own definition
            await shop.apply(agent_of(PETS), agent_of("always-on", run=["orders"], scaling={"mode": "knative"}))
            assert "install it" in await _says(shop, "KnativeEventingMissing")
            await asyncio.to_thread(api.install, *EVENTING)
            async with shop.knative.at_work():
                assert "there is no Broker" in await _says(shop, "BrokerMissing")
                await shop.apply(BROKER)
                assert "scaling.mode: deployment" in await _says(shop, "KnativeServingMissing", name="always-on")
                assert await until(lambda: shop.names(kinds.DEPLOYMENT)) == [PETS], "auto: without Serving"
                await asyncio.to_thread(api.install, *SERVING)
                await until(lambda: shop.is_ready("always-on"))
                await until(lambda: shop.is_ready(PETS))

                async def moved() -> bool:
                    return not await shop.names(kinds.DEPLOYMENT)

                await until(moved)
                await shop.config_map("unrelated", a="1")
                await asyncio.to_thread(api.kubectl, "delete", "crd", "services.serving.knative.dev")

                async def back() -> bool:
                    return await shop.names(kinds.DEPLOYMENT) == [PETS]

                await until(back)
                await shop.delete(kinds.LAMBDA_AGENT, PETS)

                async def gone() -> bool:
                    return await shop.get(kinds.LAMBDA_AGENT, PETS) is None

                await until(gone)
            assert operator.ended() is None
        await client.close()
    finally:
        api.clean()
