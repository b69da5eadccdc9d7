"""A thousand LambdaAgents in one namespace, and how long one takes. Prints figures; `-s` shows them."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from agent_store.kube import kinds
from agent_store.kube.derived import Prompt, digest
from tests.cluster.operator_fixtures import client as client
from tests.support.kube import KubeApi
from tests.support.operator import BROKER, EVENTING, SERVING, Client, Knative, OperatorProcess, Shop, agent_of, until

pytestmark = [pytest.mark.xdist_group("kube-api")]

PROMPT = "You are Teo."
AGENTS = int(os.environ.get("AGENT_STORE_TEST_LAMBDAAGENTS", "1000"))
LONG = {"AGENT_STORE_OPERATOR_LEASE_SECONDS": "60", "AGENT_STORE_LOG_LEVEL": "warning"}


def prepared(api: KubeApi, client: Client, *, every: float = 0.05) -> Shop:
    api.install_crd()
    api.install(*SERVING, *EVENTING)
    namespace = api.namespace()
    return Shop(api, client, namespace, Knative(client, namespace, every=every))


async def in_batches(shop: Shop, bodies: Iterable[dict[str, Any]], size: int = 10) -> None:
    every = iter(bodies)
    while batch := list(itertools.islice(every, size)):
        await asyncio.gather(*(shop.apply(one) for one in batch))


@pytest.mark.slow_drill
@pytest.mark.timeout(1800)
async def test_a_thousand_agents_settle_and_a_second_pass_writes_nothing(kube_api: KubeApi, client: Client) -> None:
    shop = prepared(kube_api, client, every=1.0)
    await shop.apply(BROKER)
    operator = OperatorProcess(kube_api, shop.namespace, **LONG)
    async with shop.knative.at_work(), operator:
        await until(operator.leads, 60)
        idle = operator.memory()
        began = time.monotonic()
        await in_batches(
            shop, (agent_of(f"ai-seller-b{number}", behavior={"systemPrompt": f"You are {number}."}) for number in range(AGENTS))
        )  # fmt: skip
        applied = time.monotonic() - began

        async def children() -> bool:
            return await operator.figure("agent_store_operator_lambdaagents") == AGENTS

        await until(children, 1200)
        made = time.monotonic() - began

        async def ready() -> bool:
            return await operator.figure("agent_store_operator_lambdaagents", ready="True") == AGENTS

        await until(ready, 1200)
        settled = time.monotonic() - began

        async def listed() -> bool:
            return len(await shop.brands()) == AGENTS

        await until(listed, 300)
        in_directory = time.monotonic() - began
        await until(lambda: _quiet(operator), 300)
        writes, memory = await operator.writes(), operator.memory()
        await operator.terminate()

        again = OperatorProcess(kube_api, shop.namespace, **LONG)
        async with again:
            began = time.monotonic()
            await until(again.leads, 60)

            async def looked() -> bool:
                return await again.figure("agent_store_operator_lambdaagents", ready="True") == AGENTS

            await until(looked, 600)
            second = time.monotonic() - began
            await until(lambda: _quiet(again), 300)
            print(
                f"\n{AGENTS} LambdaAgents: applied in {applied:.0f} s, children after {made:.0f} s, all Ready after "
                f"{settled:.0f} s, in the directory after {in_directory:.0f} s; {writes:.0f} writes; "
                f"memory {idle:.0f} -> {memory:.0f} MiB; second pass {second:.0f} s, "
                f"{await again.writes():.0f} writes, {again.memory():.0f} MiB"
            )
            assert await again.writes() == 0
            assert again.memory() < idle + 0.35 * AGENTS + 100


async def _quiet(operator: OperatorProcess) -> bool:
    """Nothing is written and nothing waits for a second."""
    before = await operator.writes()
    for _ in range(10):
        await asyncio.sleep(0.1)
        if await operator.figure("agent_store_operator_queue"):
            return False
    return await operator.writes() == before


@pytest.mark.slow_drill
async def test_how_long_one_apply_takes_until_its_objects_are_there(kube_api: KubeApi, client: Client) -> None:
    shop = prepared(kube_api, client)
    await shop.apply(BROKER)
    async with OperatorProcess(kube_api, shop.namespace, **LONG) as operator:
        await until(operator.leads)
        async with shop.knative.at_work():
            await shop.apply(agent_of("ai-seller-first"))
            await until(lambda: shop.is_ready("ai-seller-first"))
        shop.knative.idle.clear()
        running: list[float] = []
        whole: list[float] = []
        for number in range(30):
            name = f"ai-seller-b{number}"
            began = time.monotonic()
            await shop.apply(agent_of(name, behavior={"systemPrompt": PROMPT}))
            await until(lambda name=name: _runs(shop, name))
            running.append((time.monotonic() - began) * 1000)
            await until(lambda name=name: _has_rights(shop, name))
            whole.append((time.monotonic() - began) * 1000)
            await until(lambda: _idle(operator))
        print(f"\napply to Knative Service, Trigger and prompt: {_figures(running)} ms")
        print(f"apply to all child objects: {_figures(whole)} ms")
        assert statistics.median(whole) < 1000


async def _runs(shop: Shop, name: str) -> bool:
    trigger = f"{name}-{digest([[('brand', name.removeprefix('ai-seller-')), ('topic', 'chat')], 'default'])}"
    prompt = f"{name}-prompt-{Prompt(PROMPT).hash}"
    wanted = ((kinds.KNATIVE_SERVICE, name), (kinds.TRIGGER, trigger), (kinds.CONFIG_MAP, prompt))
    return all(await asyncio.gather(*(shop.get(kind, one) for kind, one in wanted)))


async def _has_rights(shop: Shop, name: str) -> bool:
    return all(
        await asyncio.gather(
            *(shop.get(kind, name) for kind in (kinds.ROLE_BINDING, kinds.NETWORK_POLICY, kinds.SERVICE_ACCOUNT))
        )
    )


async def _idle(operator: OperatorProcess) -> bool:
    return await operator.figure("agent_store_operator_queue") == 0


def _figures(times: Sequence[float]) -> str:
    ordered = sorted(times)
    return (
        f"median {statistics.median(ordered):.0f}, p90 {ordered[int(len(ordered) * 0.9)]:.0f}, "
        f"least {ordered[0]:.0f}, most {ordered[-1]:.0f}"
    )
