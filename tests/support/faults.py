"""What the fault matrix does to a fleet on each broker, and what it asks for."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from agent_store.entrypoints.drill.fleet import GRACE
from tests.support.ordeal import Deed, Ordeal, p99, until
from tests.support.served_child import NETWORK

TURNS = 3
"""So often a time is taken that is too long: what harms makes it so each time, a machine that stood still does not."""
GATEWAY, SESSION, CATALOG, ORDERS, SELLER = (
    "whatsapp-gateway", "session-sync", "product-catalog", "order-processor", "ai-seller-fashion"
)  # fmt: skip
OWN = {
    GATEWAY: ("after receive", "before the webhook's answer", "before Graph request", "after Graph request"),
    SESSION: (),
    CATALOG: (),
    ORDERS: ("before tool call", "after tool call", "before charge", "after charge"),
    SELLER: ("before thought", "after thought", "before tool call", "after tool call"),
}
"""Boundaries that only this process passes."""


async def every_boundary(store: Ordeal) -> None:
    deeds = [
        Deed(service, boundary, 1 if service == ORDERS else 1 + position % 3)
        for service, own in OWN.items()
        for position, boundary in enumerate((*own, *NETWORK))  # the rare first
    ]
    store.forget_deeds()
    store.plan(deeds)
    async with store.shoppers(3):
        try:
            await until(lambda: len(store.grave()) >= len(deeds), 600, "everything has died once")
        except AssertionError as error:
            load = store.load
            raise AssertionError(
                f"{error}; left: {store.left()}, done: {store.grave()}, crashed: {store.crashed()}, "
                f"{load.customers} customers, {load.bought} bought, unanswered: {load.unanswered}\n{store.fleet.logs()[-6000:]}"
            ) from None
    assert sorted((one.service, one.boundary) for one in store.grave()) == sorted(
        (one.service, one.boundary) for one in deeds
    )
    await store.holds()


async def unmoved(store: Ordeal, fault: Callable[[], Awaitable[None]]) -> None:
    """The webhook answers as before while the broker, or a part of it, is away; all that was taken is seen to after."""
    calm, slow = math.inf, math.inf
    for _ in range(TURNS):
        async with store.shoppers(1, passers_by=4):
            began = time.monotonic()
            await asyncio.sleep(5)
            calm, harmed = min(calm, p99(store.answers(began))), time.monotonic()
            await fault()
        during = store.answers(harmed)
        assert all(answer.status == 200 for answer in during)
        slow = p99(during)
        await store.holds()
        if slow <= 3 * calm + 1.5:
            break
    else:
        raise AssertionError(f"the slowest of a hundred took {calm:.2f} s before, {slow:.2f} s meanwhile")


async def rabbitmq_away(store: Ordeal) -> None:
    rabbitmq = store.fleet.rabbitmq
    assert rabbitmq is not None

    async def away() -> None:
        rabbitmq.kill()
        await asyncio.sleep(4)
        await rabbitmq.start()

    await unmoved(store, away)


async def harm_links(store: Ordeal, names: tuple[str, ...]) -> None:
    slowest: dict[str, float] = {}
    async with store.shoppers(2, passers_by=1):
        for name in names:
            proxies = [proxy for link, proxy in store.fleet.proxies.items() if link.partition(" ")[0] == name]
            assert proxies, name
            began = time.monotonic()
            for harm in ("cut", "slow", "black hole"):
                for proxy in proxies:
                    if harm == "cut":
                        await proxy.cut()
                    elif harm == "slow":
                        proxy.slow(0.1)
                    else:
                        proxy.black_hole()
                await asyncio.sleep(3)
                for proxy in proxies:
                    await proxy.heal()
            await asyncio.sleep(1)
            slowest[name] = max((answer.seconds for answer in store.answers(began)), default=0.0)
    assert all(seconds < 9 for seconds in slowest.values()), f"a webhook's answer took as long as {slowest}"
    await store.holds()


async def terminated(store: Ordeal) -> None:
    async with store.shoppers(3):
        for name in store.fleet.processes:
            began = time.monotonic()
            process = store.fleet.any_of(name)
            status = await process.terminate(60)
            assert status == 0, f"{name}: {status} {process.last_words()}"
            assert time.monotonic() - began < GRACE.total_seconds() + 5
            await process.until_ready()
    await store.holds()
