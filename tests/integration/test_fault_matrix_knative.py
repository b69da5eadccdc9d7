"""The fault matrix (see `test_fault_matrix`) behind a Knative Broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.faults import every_boundary, harm_links, rabbitmq_away, terminated, unmoved
from tests.support.ordeal import Ordeal, ordeal

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(1200),
    pytest.mark.slow,
    pytest.mark.xdist_group("fleet"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def knative(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ordeal]:
    """One pod of each process behind a Knative Broker."""
    async with ordeal("knative", tmp_path_factory.mktemp("knative")) as store:
        yield store


@pytest.mark.slow_drill
async def test_a_kill_at_every_boundary_costs_nothing_on_knative(knative: Ordeal) -> None:
    await every_boundary(knative)


async def test_the_brokers_rabbitmq_killed_and_restarted_under_load(knative: Ordeal) -> None:
    assert knative.fleet.broker is not None
    await knative.fleet.broker.settled()
    await rabbitmq_away(knative)


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


async def test_links_to_the_ingress_and_from_the_dispatchers_are_harmed_in_turn(knative: Ordeal) -> None:
    await harm_links(knative, ("ingress", "triggers"))


async def test_sigterm_in_the_middle_of_work_drains_on_knative(knative: Ordeal) -> None:
    await terminated(knative)
