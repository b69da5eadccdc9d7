"""The lease: clocks and an API server that are moved by hand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from agent_store.kube.api import Api
from agent_store.kube.lease import Lease, Terms
from agent_store.kube.metrics import OperatorMetrics

TERMS = Terms(duration=15, renew_within=10, every=0.001)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Holds one Lease, with versions as an API server has them."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False
        self.before_write: Any = None

    def api(self) -> Api:
        transport = httpx2.MockTransport(self._answer)
        return Api(httpx2.AsyncClient(transport=transport, base_url="http://kube"), OperatorMetrics())

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            return httpx2.Response(503, json={"reason": "ServiceUnavailable", "message": "away"})
        if request.method == "GET":
            return httpx2.Response(200, json=self.lease) if self.lease else httpx2.Response(404, json={})
        body = json.loads(request.content)
        if self.before_write is not None:
            before, self.before_write = self.before_write, None
            before()
        if request.method == "POST":
            if self.lease is not None:
                return httpx2.Response(409, json={"reason": "AlreadyExists"})
        elif self.lease is None or body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return httpx2.Response(409, json={"reason": "Conflict"})
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.lease = body
        return httpx2.Response(200, json=body)

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return self.lease["spec"]["holderIdentity"]


def lease_of(server: Server, who: str, clock: Clock) -> Lease:
    return Lease(server.api(), "system", "operator", who, TERMS, clock)


async def test_the_first_one_has_it_for_less_than_it_lasts() -> None:
    server, clock = Server(), Clock()
    one = lease_of(server, "one", clock)
    assert not one.held()
    await one.acquire()
    assert (server.holder, one.held()) == ("one", True)
    clock.now += 9.9
    assert one.held()
    clock.now += 0.2
    assert not one.held(), "it stops before another may begin"


async def test_another_one_takes_it_only_after_it_has_not_changed_for_its_whole_duration() -> None:
    server, mine, theirs = Server(), Clock(), Clock()
    one, two = lease_of(server, "one", mine), lease_of(server, "two", theirs)
    await one.acquire()
    theirs.now = 1_000_000.0  # clocks of machines are not compared
    waiting = asyncio.create_task(two.acquire())
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not waiting.done()
    theirs.now += 14
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not waiting.done()
    theirs.now += 2
    await waiting
    assert server.holder == "two"
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 2


async def test_a_renewed_lease_is_not_taken() -> None:
    server, clock = Server(), Clock()
    one, two = lease_of(server, "one", clock), lease_of(server, "two", clock)
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    keeping = asyncio.create_task(one.keep())
    for _ in range(10):
        clock.now += 4
        for _ in range(30):
            await asyncio.sleep(0.001)
    assert not waiting.done()
    assert one.held()
    for task in (waiting, keeping):
        task.cancel()
    await asyncio.gather(waiting, keeping, return_exceptions=True)


async def test_a_holder_that_slept_too_long_writes_nothing_and_has_lost_it() -> None:
    server, clock = Server(), Clock()
    one = lease_of(server, "one", clock)
    await one.acquire()
    version = server.version
    clock.now += 60
    await asyncio.wait_for(one.keep(), 5)
    assert not one.held()
    assert server.version == version


async def test_a_holder_whose_lease_another_has_taken_has_lost_it_at_once() -> None:
    server, clock = Server(), Clock()
    one = lease_of(server, "one", clock)
    await one.acquire()
    assert server.lease is not None
    server.lease["spec"]["holderIdentity"] = "two"
    await asyncio.wait_for(one.keep(), 5)
    assert not one.held()


async def test_an_api_server_that_is_away_costs_the_lease_only_when_its_time_is_over() -> None:
    server, clock = Server(), Clock()
    one = lease_of(server, "one", clock)
    await one.acquire()
    server.away = True
    keeping = asyncio.create_task(one.keep())
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not keeping.done()
    clock.now += 11
    await asyncio.wait_for(keeping, 5)
    assert not one.held()


async def test_of_two_that_see_it_free_one_gets_it() -> None:
    server, clock = Server(), Clock()
    await lease_of(server, "zero", clock).acquire()
    assert server.lease is not None
    server.lease["spec"]["holderIdentity"] = ""
    one = lease_of(server, "one", clock)

    def quicker() -> None:
        assert server.lease is not None
        server.version += 1
        server.lease["spec"]["holderIdentity"] = "two"
        server.lease["metadata"]["resourceVersion"] = str(server.version)

    server.before_write = quicker
    waiting = asyncio.create_task(one.acquire())
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert (server.holder, one.held()) == ("two", False)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_what_is_given_back_is_free_at_once() -> None:
    server, clock = Server(), Clock()
    one, two = lease_of(server, "one", clock), lease_of(server, "two", clock)
    await one.acquire()
    await one.release()
    assert not one.held()
    await asyncio.wait_for(two.acquire(), 5)
    await one.release()
    assert server.holder == "two", "only the holder gives it back"


def test_terms_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="renewed"):
        Terms(duration=10, renew_within=10)
