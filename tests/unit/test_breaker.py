"""The circuit breaker opens, rests and closes again; the bulkhead bounds what one agent can take."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.http.breaker import Breaker, BreakerLimits, Bulkhead
from agent_store.kernel.errors import TemporaryError


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def breaker(time: Time, **limits: object) -> Breaker:
    return Breaker("orders", BreakerLimits(**limits), now=time)  # type: ignore[arg-type]


def fail(one: Breaker, times: int) -> None:
    for _ in range(times):
        one.failed(one.enter())


def succeed(one: Breaker, times: int = 1) -> None:
    for _ in range(times):
        one.succeeded(one.enter())


def test_failures_in_a_row_open_it_and_calls_are_then_refused_at_once_with_the_time_left() -> None:
    time = Time()
    one = breaker(time)
    fail(one, 4)
    assert one.state == "closed"
    fail(one, 1)
    assert one.state == "open"
    time.seconds += 0.5
    with pytest.raises(TemporaryError, match="orders has failed several times") as refused:
        one.enter()
    assert refused.value.code == "circuit-open"
    assert refused.value.retry_after == timedelta(seconds=1.5)


def test_a_success_between_failures_keeps_it_closed_until_half_of_the_last_calls_have_failed() -> None:
    one = breaker(Time(), window=10)
    for _ in range(2):
        fail(one, 2)
        succeed(one, 3)
    assert one.state == "closed"
    fail(one, 2)
    assert one.state == "closed"
    fail(one, 1)
    assert one.state == "open"


def test_after_its_rest_one_probe_goes_through_and_its_success_closes_it() -> None:
    time = Time()
    one = breaker(time)
    fail(one, 5)
    time.seconds += 2
    assert one.state == "half-open"
    probe = one.enter()
    with pytest.raises(TemporaryError):
        one.enter()
    one.succeeded(probe)
    assert one.state == "closed"
    succeed(one, 3)


def test_a_failed_probe_doubles_the_rest_up_to_the_longest_and_a_success_makes_it_short_again() -> None:
    time = Time()
    one = breaker(time)
    fail(one, 5)
    for rest in (2, 4, 8, 8):
        time.seconds += rest - 0.01
        assert one.state == "open"
        time.seconds += 0.01
        fail(one, 1)
    time.seconds += 8
    succeed(one)
    fail(one, 5)
    time.seconds += 2
    assert one.state == "half-open"


def test_a_probe_that_tells_nothing_leaves_its_place_to_another() -> None:
    time = Time()
    one = breaker(time)
    fail(one, 5)
    time.seconds += 2
    one.abandoned(one.enter())
    succeed(one)
    assert one.state == "closed"


def test_what_began_before_it_opened_says_nothing_afterwards() -> None:
    time = Time()
    one = breaker(time)
    early = [one.enter() for _ in range(3)]
    fail(one, 5)
    one.succeeded(early[0])
    assert one.state == "open"
    time.seconds += 2
    probe = one.enter()
    one.failed(early[1])
    one.abandoned(early[2])
    with pytest.raises(TemporaryError):
        one.enter()
    one.succeeded(probe)
    assert one.state == "closed"


def test_every_change_of_state_is_told() -> None:
    time, told = Time(), list[str]()
    one = Breaker("orders", now=time, changed=told.append)
    fail(one, 5)
    time.seconds += 2
    succeed(one)
    assert told == ["open", "half-open", "closed"]


@given(st.lists(st.tuples(st.sampled_from(["ok", "bad", "none"]), st.floats(0, 20)), max_size=60))
def test_whatever_happens_it_lets_calls_through_again_within_its_longest_rest(steps: list[tuple[str, float]]) -> None:
    time = Time()
    one = breaker(time)
    for what, wait in steps:
        try:
            permit = one.enter()
        except TemporaryError:
            pass
        else:
            {"ok": one.succeeded, "bad": one.failed, "none": one.abandoned}[what](permit)
        time.seconds += wait
    time.seconds += 8
    succeed(one)
    assert one.state == "closed"


async def test_the_bulkhead_runs_so_many_lets_so_many_wait_and_refuses_the_rest() -> None:
    bulkhead, gate, running = Bulkhead("orders", most=2, queue=1), asyncio.Event(), 0

    async def work() -> None:
        nonlocal running
        async with bulkhead.place(5):
            running += 1
            await gate.wait()

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    while bulkhead.waiting < 1:
        await asyncio.sleep(0)
    assert running == 2
    with pytest.raises(TemporaryError, match="too many calls wait for orders") as refused:
        await work()
    assert refused.value.code == "busy"
    gate.set()
    await asyncio.gather(*tasks)
    assert running == 3
    async with bulkhead.place(5):
        pass


async def test_who_waits_too_long_for_a_place_is_refused_and_one_who_leaves_gives_it_back() -> None:
    bulkhead = Bulkhead("orders", most=1, queue=5)
    async with bulkhead.place(5):
        with pytest.raises(TemporaryError) as refused:
            async with bulkhead.place(0.01):
                pass
        assert refused.value.code == "busy"
        waiting = asyncio.create_task(bulkhead.place(5).__aenter__())
        while not bulkhead.waiting:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert bulkhead.waiting == 0
    with pytest.raises(KeyError):
        async with bulkhead.place(5):
            raise KeyError
    async with bulkhead.place(0.01):
        pass
