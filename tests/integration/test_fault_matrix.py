"""The fault matrix: what is broken on purpose, and what holds all the same. Real programs, the store's own processes.

Each fault has its row here, in a short form; `test_fault_matrix_knative.py` has those of the Knative Broker and
`test_fault_matrix_long.py` the long ones. Parts of rows that other tests show as well, each at its own level:

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

from agent_store.entrypoints.drill.fleet import STEWARD
from agent_store.entrypoints.drill.load import taken
from tests.support.faults import OWN, SELLER, every_boundary, harm_links, rabbitmq_away, terminated
from tests.support.ordeal import Deed, Ordeal, ordeal, standing, until
from tests.support.served_child import STAND

# One fleet at a time on a machine: beside another one, what is calm before a fault is not calm.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(1200),
    pytest.mark.slow,
    pytest.mark.xdist_group("fleet"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pods(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ordeal]:
    """Two pods of each process, two stewards as well, on RabbitMQ."""
    async with ordeal("rabbitmq", tmp_path_factory.mktemp("pods"), replicas=2) as store:
        yield store


# --- kill -9 of any agent process at every boundary of commit, publish and ack -----------------------------------------


async def test_a_kill_at_every_boundary_costs_nothing_on_rabbitmq(pods: Ordeal) -> None:
    await every_boundary(pods)


# --- RabbitMQ killed and restarted under load; ingress away; dispatcher away -------------------------------------------


async def test_rabbitmq_killed_and_restarted_under_load(pods: Ordeal) -> None:
    await rabbitmq_away(pods)


# --- PostgreSQL restarted in a transaction; Redis gone -----------------------------------------------------------------


async def test_postgres_restarted_under_load_is_never_a_false_200_and_is_back_in_ten_seconds(pods: Ordeal) -> None:
    postgres = pods.fleet.postgres
    assert postgres is not None
    before = pods.pids()
    async with pods.shoppers(2, passers_by=3):
        await asyncio.sleep(2)
        killed = time.monotonic()
        postgres.kill()
        await asyncio.sleep(3)
        await until(lambda: bool(pods.answers(killed + 0.5)), 30, "somebody has been answered meanwhile")
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


async def test_two_pods_of_everything_work_as_one(pods: Ordeal) -> None:
    await pods.purchases(4)
    await pods.holds()
    for name, replicas in pods.fleet.processes.items():
        if name == STEWARD:
            continue
        async with httpx.AsyncClient(trust_env=False) as http:
            pages = [(await http.get(f"{replica.url}/metrics")).text for replica in replicas]
        assert all("agent_store_events_received_total{" in page for page in pages), f"both pods of {name} took part"


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


async def test_links_to_postgres_rabbitmq_tools_and_graph_are_harmed_in_turn(pods: Ordeal) -> None:
    await harm_links(pods, ("postgres", "rabbitmq", "tools", "graph"))


# --- the clock back and forward an hour --------------------------------------------------------------------------------


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


async def test_sigterm_in_the_middle_of_work_drains_on_rabbitmq(pods: Ordeal) -> None:
    await terminated(pods)
