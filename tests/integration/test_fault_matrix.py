"""The fault matrix: what is broken on purpose, and what holds all the same. Real programs, the store's own processes.

Each fault has its row here, in a short form; `test_fault_matrix_long.py` has the long ones. Parts of rows that other tests
show as well, each at its own level:

| row | also shown by |
|---|---|
| kill -9 at every boundary | `test_kill` (the kernel), `test_crash` (the embedded store), `test_rabbitmq_bus`: dies between record and ack |
| RabbitMQ away | `test_rabbitmq_bus`: killed under load, hanging; `test_knative_bus`: ingress, dispatcher, RabbitMQ killed |
| PostgreSQL away | `test_postgres_store`: killed in a transaction, hanging, forgotten connections, a commit whose answer is lost |
| Redis gone | `test_redis`: away, hanging, back |
| two pods | `test_kernel_everywhere`, `test_postgres_store`: claims, lost updates, deadlocks of two processes |
| a stale speaker | `test_conversations_turns`: every change with an old lease is refused; `test_kernel_processes`: fences |
| links | `test_remote_tools`: refused, swallowed, half and hanging answers; `test_knative_sending`: a hanging sink |
| poison, hanging handler | `test_kernel_handling`, `test_rabbitmq_bus` |
| clock | `test_kernel_time`, `test_kernel_handling`: jumps in both directions; leases are counted by monotonic clocks |
| disk full | `test_kernel_store`, `test_kernel_time` |
| the model | `test_brains_http`, `test_seller_models` |
| SIGTERM | `test_kernel_handling`: drains; `test_up`: the embedded store |
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from agent_store.entrypoints.drill.fleet import GRACE, STEWARD
from agent_store.entrypoints.drill.load import taken
from tests.support.ordeal import Deed, Ordeal, ordeal, p99, standing, until
from tests.support.served_child import NETWORK, STAND

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1200), pytest.mark.slow]

RABBITMQ = pytest.mark.xdist_group("fault matrix, rabbitmq")
KNATIVE = pytest.mark.xdist_group("fault matrix, knative")

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pods(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ordeal]:
    """Two pods of each process, two stewards as well, on RabbitMQ."""
    async with ordeal("rabbitmq", tmp_path_factory.mktemp("pods"), replicas=2) as store:
        yield store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def knative(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ordeal]:
    """One pod of each process behind a Knative Broker."""
    async with ordeal("knative", tmp_path_factory.mktemp("knative")) as store:
        yield store


# --- kill -9 of any agent process at every boundary of commit, publish and ack -----------------------------------------


async def every_boundary(store: Ordeal) -> None:
    deeds = [
        Deed(service, boundary, 1 if service == ORDERS else 1 + position % 3)
        for service, own in OWN.items()
        for position, boundary in enumerate(
            (*own, *NETWORK)
        )  # the rare first: a dress that is sold out is not paid for
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


@RABBITMQ
async def test_a_kill_at_every_boundary_costs_nothing_on_rabbitmq(pods: Ordeal) -> None:
    await every_boundary(pods)


@KNATIVE
async def test_a_kill_at_every_boundary_costs_nothing_on_knative(knative: Ordeal) -> None:
    await every_boundary(knative)


# --- RabbitMQ killed and restarted under load; ingress away; dispatcher away -------------------------------------------


async def unmoved(store: Ordeal, fault: object) -> None:
    """The webhook answers as before while the broker, or a part of it, is away; all that was taken is seen to after."""
    async with store.shoppers(1, passers_by=4):
        began = time.monotonic()
        await asyncio.sleep(5)
        calm, harmed = p99(store.answers(began)), time.monotonic()
        await fault()  # type: ignore[operator]
    during = store.answers(harmed)
    assert all(answer.status == 200 for answer in during)
    assert p99(during) <= 3 * calm + 1.5
    await store.holds()


@RABBITMQ
async def test_rabbitmq_killed_and_restarted_under_load(pods: Ordeal) -> None:
    rabbitmq = pods.fleet.rabbitmq
    assert rabbitmq is not None

    async def away() -> None:
        rabbitmq.kill()
        await asyncio.sleep(4)
        await rabbitmq.start()

    await unmoved(pods, away)


@KNATIVE
async def test_the_brokers_rabbitmq_killed_and_restarted_under_load(knative: Ordeal) -> None:
    broker, rabbitmq = knative.fleet.broker, knative.fleet.rabbitmq
    assert broker is not None
    assert rabbitmq is not None
    await broker.settled()

    async def away() -> None:
        rabbitmq.kill()
        await asyncio.sleep(4)
        await rabbitmq.start()

    await unmoved(knative, away)


@KNATIVE
async def test_ingress_and_dispatchers_away_under_load(knative: Ordeal) -> None:
    broker = knative.fleet.broker
    assert broker is not None

    async def away() -> None:
        broker.ingress.kill()
        await asyncio.sleep(3)
        await broker.ingress.start()
        parts = [part for name, part in broker.dispatchers.items() if name != "dlx"]
        for part in parts:
            part.kill()
        await asyncio.sleep(3)
        await asyncio.gather(*(part.start() for part in parts))

    await unmoved(knative, away)


# --- PostgreSQL restarted in a transaction; Redis gone -----------------------------------------------------------------


@RABBITMQ
async def test_postgres_restarted_under_load_is_never_a_false_200_and_is_back_in_ten_seconds(pods: Ordeal) -> None:
    postgres = pods.fleet.postgres
    assert postgres is not None
    before = pods.pids()
    async with pods.shoppers(2, passers_by=3):
        await asyncio.sleep(2)
        killed = time.monotonic()
        postgres.kill()
        await asyncio.sleep(3)
        started = time.monotonic()
        await postgres.start()
        back = time.monotonic()
        await until(lambda: bool(taken(pods.answers(back))), 10, "a message is taken after the database is back")
    while_away = pods.answers(killed + 0.5, started)
    assert while_away
    assert all(
        answer.status >= 500 or answer.status == 0 for answer in while_away if answer.at + answer.seconds < started
    )
    await pods.holds()
    assert pods.pids() == before, "nobody was restarted"


@RABBITMQ
async def test_redis_gone_takes_no_message_away(pods: Ordeal) -> None:
    redis = pods.fleet.redis
    assert redis is not None
    before = pods.pids()
    async with pods.shoppers(1, passers_by=2):
        redis.kill()
        await asyncio.sleep(4)
        await redis.start()
    await pods.holds()
    assert pods.pids() == before


# --- two pods of each agent, relays and stewards at once; a pod gone for good with unpublished events ------------------


@RABBITMQ
async def test_two_pods_of_everything_work_as_one(pods: Ordeal) -> None:
    await pods.purchases(4)
    await pods.holds()
    for name, replicas in pods.fleet.processes.items():
        if name == STEWARD:
            continue
        async with httpx.AsyncClient(trust_env=False) as http:
            pages = [(await http.get(f"{replica.url}/metrics")).text for replica in replicas]
        assert all("agent_store_events_received_total{" in page for page in pages), f"both pods of {name} took part"


@RABBITMQ
async def test_what_a_pod_that_is_gone_for_good_left_unpublished_is_published_once_in_effect(pods: Ordeal) -> None:
    pods.forget_deeds()
    gone = [pods.fleet.processes[name][0] for name in OWN]
    for process in gone:
        process.wanted = False  # it is not started again
    try:
        pods.plan([Deed(name, "after commit, before publish") for name in OWN])
        await pods.purchases(3)
        await until(lambda: len(pods.grave()) == len(OWN), 60, "a pod of each has died between commit and publish")
        await pods.holds()
        assert not any(process.lives for process in gone)
    finally:
        for process in gone:
            process.bring_back()
        await pods.fleet.until_ready()


# --- a stale speaker ---------------------------------------------------------------------------------------------------


@RABBITMQ
async def test_a_speaker_that_stood_still_past_its_lease_changes_nothing_when_it_wakes(pods: Ordeal) -> None:
    """One at the reply, one before it changes the cart or orders: another pod has spoken meanwhile."""
    for service, boundary, passing in ((SELLER, "before tool call", 2), (SELLER, "before commit", 2)):
        pods.forget_deeds()
        pods.plan([Deed(service, boundary, passing, STAND)])
        buying = asyncio.create_task(pods.purchases(2))
        await until(lambda: bool(standing(pods.fleet)), 60, f"{service} stands still {boundary}")
        await buying  # the other pod takes over when the lease is over
        for process in standing(pods.fleet):
            process.resume()
        await pods.holds()


# --- every link cut, slowed, black-holed in turn -----------------------------------------------------------------------


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


@RABBITMQ
async def test_links_to_postgres_rabbitmq_tools_and_graph_are_harmed_in_turn(pods: Ordeal) -> None:
    await harm_links(pods, ("postgres", "rabbitmq", "tools", "graph"))


@KNATIVE
async def test_links_to_the_ingress_and_from_the_dispatchers_are_harmed_in_turn(knative: Ordeal) -> None:
    await harm_links(knative, ("ingress", "triggers"))


# --- the clock back and forward an hour --------------------------------------------------------------------------------


@RABBITMQ
async def test_clocks_back_and_forward_an_hour_in_the_middle_of_purchases(pods: Ordeal) -> None:
    async with pods.shoppers(2):
        await asyncio.sleep(2)
        pods.set_clocks(-3600)
        await asyncio.sleep(3)
        pods.set_clocks(0)
        await asyncio.sleep(2)
    pods.set_clocks(0)
    await pods.holds()
    assert await pods.rows("SELECT order_id FROM inventory_reservations WHERE state = 'expired'") == []
    assert await pods.rows("SELECT id FROM payments_payments WHERE state = 'expired'") == []


# --- SIGTERM in the middle of work -------------------------------------------------------------------------------------


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


@RABBITMQ
async def test_sigterm_in_the_middle_of_work_drains_on_rabbitmq(pods: Ordeal) -> None:
    await terminated(pods)


@KNATIVE
async def test_sigterm_in_the_middle_of_work_drains_on_knative(knative: Ordeal) -> None:
    await terminated(knative)
