"""Several operators, of which one acts; and an API server that goes away while they work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from agent_store.entrypoints.operator import LOST_LEASE
from agent_store.kube import kinds
from tests.cluster.operator_fixtures import client as client
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
    until,
)

pytestmark = [pytest.mark.xdist_group("kube-api"), pytest.mark.slow]

SHORT = {"AGENT_STORE_OPERATOR_LEASE_SECONDS": "10"}
LONG = {"AGENT_STORE_OPERATOR_LEASE_SECONDS": "60"}
"""For an API server that takes its time to come again: without it no lease is renewed."""


@pytest.fixture
async def shop(kube_api: KubeApi, client: Client) -> AsyncGenerator[Shop]:
    async with _shop(kube_api, client) as found:
        yield found


class _shop:
    """A namespace with Knative at work."""

    def __init__(self, api: KubeApi, client: Client) -> None:
        api.install_crd()
        api.install(*SERVING, *EVENTING)
        namespace = api.namespace()
        self._shop = Shop(api, client, namespace, Knative(client, namespace))
        self._knative = self._shop.knative.at_work()

    async def __aenter__(self) -> Shop:
        await self._shop.apply(BROKER)
        await self._knative.__aenter__()
        return self._shop

    async def __aexit__(self, *exc: object) -> None:
        await self._knative.__aexit__(None, None, None)


async def _ready(shop: Shop, *names: str) -> None:
    await asyncio.gather(*(until(lambda name=name: shop.is_ready(name), 60) for name in names))


async def test_of_two_one_acts_and_the_other_takes_over_when_it_is_killed(shop: Shop) -> None:
    async with (
        OperatorProcess(shop.api, shop.namespace, "one", **SHORT) as one,
        OperatorProcess(shop.api, shop.namespace, "two", **SHORT) as two,
    ):

        async def one_leads() -> bool:
            return await one.leads() != await two.leads()

        await until(one_leads)
        first, second = (one, two) if await one.leads() else (two, one)
        await shop.apply(agent_of("ai-seller-a"))
        await _ready(shop, "ai-seller-a")
        assert await second.writes() == 0
        first.kill()
        await shop.apply(agent_of("ai-seller-b"))
        await _ready(shop, "ai-seller-b")
        assert await second.leads()

        async def both() -> bool:
            return await shop.brands() == ["a", "b"]

        await until(both)


async def test_an_operator_that_is_asked_to_end_gives_the_lease_back(shop: Shop) -> None:
    """The next one does not wait for the lease to run out (15 seconds)."""
    one = OperatorProcess(shop.api, shop.namespace, "one")
    async with one:
        await until(one.leads)
        async with OperatorProcess(shop.api, shop.namespace, "two") as two:
            assert await one.terminate() == 0
            await until(two.leads, 10)
            assert two.ended() is None


async def test_a_leader_that_wakes_after_its_lease_writes_nothing_and_ends() -> None:
    """The API server's own audit log tells who wrote what when."""
    api = KubeApi()
    log = Path(api.server.folder) / "audit.log"
    policy = {
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]}],
    }  # fmt: skip
    (api.server.folder / "policy.yaml").write_text(yaml.safe_dump(policy))
    api.server.more = [f"--audit-policy-file={api.server.folder / 'policy.yaml'}", f"--audit-log-path={log}"]
    try:
        await api.begin()
        client = Client(api)
        async with _shop(api, client) as shop:
            one = OperatorProcess(api, shop.namespace, "one", **SHORT)
            async with one:
                await until(one.leads)
                async with OperatorProcess(api, shop.namespace, "two", **SHORT) as two:
                    names = [f"ai-seller-b{number}" for number in range(12)]
                    await shop.apply(*(agent_of(name) for name in names))

                    async def begun() -> bool:
                        return len(await shop.names(kinds.ROLE_BINDING)) > 2

                    await until(begun)
                    one.pause()  # in the middle of its writes
                    await until(two.leads)
                    await _ready(shop, *names)
                    await shop.edit(names[0], {"env": [{"name": "NEW", "value": "1"}]})
                    await until(lambda: _has_variable(shop, names[0]))
                    woken = datetime.now(UTC)
                    one.resume()

                    async def ended() -> bool:
                        return one.ended() is not None

                    await until(ended)
                    assert one.ended() == LOST_LEASE, one.log
                    await shop.apply(agent_of("ai-seller-last"))
                    await _ready(shop, "ai-seller-last")
                    writes = _writes(log, f"system:serviceaccount:{shop.namespace}:one")
                    assert len(writes) > 5, "it had begun"
                    assert [path for at, path in writes if at >= woken] == []
        await client.close()
    finally:
        api.clean()


async def _has_variable(shop: Shop, name: str) -> bool:
    return any(one["name"] == "NEW" for one in (await shop.pod(name))["env"])


def _writes(log: Path, user: str) -> list[tuple[datetime, str]]:
    """Those that were done: when each was answered, and what it was. A request of which only the head had left when the
    process was paused is answered (400) when the process wakes, and has written nothing."""
    found: list[tuple[datetime, str]] = []
    for line in log.read_text("utf-8").splitlines():
        event = json.loads(line)
        if event["user"]["username"] == user and (code := event["responseStatus"]["code"]) < 300:
            what = f"{event['verb']} {event['requestURI']}: {code}, asked at {event['requestReceivedTimestamp']}"
            found.append((datetime.fromisoformat(event["stageTimestamp"]), what))
    return found


async def test_an_api_server_that_restarts_in_the_middle_costs_a_wait(shop: Shop) -> None:
    async with OperatorProcess(shop.api, shop.namespace, **LONG) as operator:
        await until(operator.leads)
        names = [f"ai-seller-b{number}" for number in range(10)]
        await shop.apply(*(agent_of(name) for name in names[:5]))
        await shop.api.restart()
        await shop.apply(*(agent_of(name) for name in names[5:]))
        await _ready(shop, *names)
        shop.api.kill()
        await shop.api.start()
        (binding, *_) = await shop.names(kinds.ROLE_BINDING)
        await shop.delete(kinds.ROLE_BINDING, binding if binding in names else names[0])
        await shop.config_map("prompts", pets="You are Teo.")
        source = {"systemPromptFrom": {"configMap": {"name": "prompts", "key": "pets"}}}
        await shop.apply(agent_of("ai-seller-pets", behavior=source))
        await _ready(shop, "ai-seller-pets")

        async def whole() -> bool:
            return set(names) <= set(await shop.names(kinds.ROLE_BINDING))

        await until(whole)
        assert operator.ended() is None


async def test_what_goes_while_the_watches_are_broken_is_noticed(shop: Shop) -> None:
    """Deletions that no watch has told: the watches begin anew with a list, in which what is gone is not."""
    async with OperatorProcess(shop.api, shop.namespace, **LONG) as operator:
        await until(operator.leads)
        await shop.apply(agent_of("ai-seller-a"), agent_of("ai-seller-b"))
        await _ready(shop, "ai-seller-a", "ai-seller-b")
        operator.pause()
        await shop.delete(kinds.ROLE_BINDING, "ai-seller-a")
        (trigger,) = [one for one in await shop.names(kinds.TRIGGER) if one.startswith("ai-seller-a")]
        await shop.delete(kinds.TRIGGER, trigger)
        await shop.api.restart()  # what it remembers of changes goes with it
        operator.resume()

        async def whole() -> bool:
            return "ai-seller-a" in await shop.names(kinds.ROLE_BINDING) and trigger in await shop.names(kinds.TRIGGER)

        await until(whole, 60)
        assert operator.ended() is None
