"""Ticks that come from outside (`agent-store tick`), beside the steward's or in their place: a planned time counts once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agent_store.entrypoints.rooms import all_agents
from agent_store.entrypoints.ticks import post, schedules
from agent_store.kernel.errors import InvalidInput, TemporaryError
from agent_store.kernel.steward import planned_time, tick_of
from tests.agents.test_kernel_network import texts
from tests.agents.test_kernel_time import ticking
from tests.support.fleet import Fleet

MINUTE = timedelta(minutes=1)


async def test_a_tick_that_the_steward_and_a_job_post_counts_once() -> None:
    agent = ticking()
    wanted = [(agent, schedule) for schedule in agent.schedules.values()]
    async with Fleet() as fleet:
        await fleet.start(agent)
        ticks = [await post(fleet.broker.bus(), wanted, fleet.clock, seconds=5) for _ in range(3)]
        await fleet.settle()
        assert await texts(fleet) == ["12:00"]
        assert {tick.time for (tick,) in ticks} == {fleet.clock.now()}
        steward = await fleet.start(agent)
        await fleet.put(steward, tick_of(agent, wanted[0][1], planned_time(wanted[0][1], fleet.clock.now())))
        await fleet.settle()
        assert await texts(fleet) == ["12:00"]
        fleet.clock.move(25 * MINUTE)
        await post(fleet.broker.bus(), wanted, fleet.clock, seconds=5)
        await fleet.settle()
        assert await texts(fleet) == ["12:00", "12:20"], "the last planned time, also when it is asked late"


async def test_a_broker_that_is_away_is_waited_for_and_not_for_ever() -> None:
    agent = ticking()
    wanted = [(agent, schedule) for schedule in agent.schedules.values()]
    async with Fleet() as fleet:
        await fleet.start(agent)
        fleet.broker.go_away()
        with pytest.raises(TemporaryError, match=r"has not taken store\.schedule\.kt\.tidy in 0\.01 s"):
            await post(fleet.broker.bus(), wanted, fleet.clock, seconds=0.01)
        posting = asyncio.create_task(post(fleet.broker.bus(), wanted, fleet.clock, seconds=30))
        await asyncio.sleep(0)
        fleet.broker.come_back()
        await posting
        await fleet.settle()
        assert await texts(fleet) == ["12:00"]


def test_schedules_are_named_by_agent_or_one_by_one() -> None:
    everything = schedules()
    every = [(agent, one) for agent in all_agents() for one in agent.schedules.values()]
    assert everything == sorted(every, key=lambda found: f"{found[0].name}.{found[1].name}")
    assert [one.name for _, one in schedules(["whatsapp"])] == ["tidy_media", "tidy_strays"]
    assert schedules(["whatsapp"]) == schedules(["whatsapp.tidy_strays", "whatsapp.tidy_media"])
    with pytest.raises(InvalidInput, match=r"there is no schedule 'orders': .*whatsapp\.tidy_strays"):
        schedules(["orders"])
