"""How the operator talks to the API server: what stops a write, what a full server asks for, what breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from agent_store.kube.api import Api, ApiError, NotLeading, Unreachable
from agent_store.kube.kinds import CONFIG_MAP, POD_MONITOR, TRIGGER
from agent_store.kube.metrics import OperatorMetrics

LIVE = {"metadata": {"name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7"}}


def api_of(
    answer: Callable[[httpx2.Request], httpx2.Response], *, may_write: Callable[[], bool] = lambda: True
) -> tuple[Api, OperatorMetrics]:
    metrics = OperatorMetrics()
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://kube")
    return Api(http, metrics, may_write=may_write), metrics


async def test_nothing_is_written_without_the_lease_but_everything_can_be_read() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        return httpx2.Response(200, json={**LIVE, "items": []})

    api, metrics = api_of(answer, may_write=lambda: False)
    for write in (
        api.apply(CONFIG_MAP, LIVE), api.patch(CONFIG_MAP, "shop", "a", {}), api.create(CONFIG_MAP, "shop", {}),
        api.replace(CONFIG_MAP, "shop", "a", {}), api.delete(CONFIG_MAP, LIVE),
    ):  # fmt: skip
        with pytest.raises(NotLeading):
            await write
    assert asked == []
    assert await api.get(CONFIG_MAP, "shop", "a") is not None
    assert metrics.written() == 0


class Connection(asyncio.Protocol):
    """A server that keeps what it is sent, and answers a whole request."""

    received = b""
    ended: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        Connection.received += data
        body = json.dumps(LIVE).encode()
        if Connection.received.endswith(b"}"):
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def connection_lost(self, exc: Exception | None) -> None:
        Connection.ended.set()


@pytest.mark.parametrize("looks", [1, 2])
async def test_a_lease_that_ends_while_a_write_waits_for_its_connection_stops_it(looks: int) -> None:
    """`looks`: how often it is still held. The last look is before the body: what has no body has no effect."""
    Connection.received, Connection.ended = b"", asyncio.Event()
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    left = iter([True] * looks)
    http = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", trust_env=False)
    api = Api(http, OperatorMetrics(), may_write=lambda: next(left, False))
    with pytest.raises(NotLeading):
        await api.apply(CONFIG_MAP, LIVE)
    await api.close()
    await Connection.ended.wait()  # what was sent has come
    server.close()
    assert b"metadata" not in Connection.received
    assert bool(Connection.received) is (looks == 2)


async def test_an_apply_says_which_version_it_has_seen_and_a_delete_which_object() -> None:
    seen: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append({"query": dict(request.url.params), "body": json.loads(request.content)})
        return httpx2.Response(200, json={"kind": "Status"} if request.method == "DELETE" else LIVE)

    api, metrics = api_of(answer)
    await api.apply(CONFIG_MAP, LIVE, version="7")
    assert await api.delete(CONFIG_MAP, LIVE) is None
    assert seen[0]["query"] == {"fieldManager": "agent-store-operator", "force": "true"}
    assert seen[0]["body"]["metadata"]["resourceVersion"] == "7"
    assert seen[1]["body"]["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert metrics.written() == 2


async def test_a_server_that_has_no_time_is_left_alone_for_as_long_as_it_says() -> None:
    answers = [
        httpx2.Response(429, headers={"Retry-After": "0.2"}, json={"reason": "TooManyRequests", "message": "later"}),
        httpx2.Response(200, json=LIVE),
    ]
    api, metrics = api_of(lambda _: answers.pop(0))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(ApiError) as refused:
        await api.get(CONFIG_MAP, "shop", "a")
    assert (refused.value.passing, refused.value.retry_after) == (True, 0.2)
    assert await api.get(CONFIG_MAP, "shop", "a") == LIVE
    assert loop.time() - began >= 0.19
    assert 'status="429"' in metrics.text().decode()


async def test_answers_that_are_no_answers_of_kubernetes() -> None:
    api, _ = api_of(lambda _: httpx2.Response(502, text="<html>bad gateway"))
    with pytest.raises(ApiError) as refused:
        await api.get(CONFIG_MAP, "shop", "a")
    assert (refused.value.status, refused.value.message) == (502, "<html>bad gateway")

    def broken(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    api, _ = api_of(broken)
    with pytest.raises(Unreachable, match="ConnectError"):
        await api.get(CONFIG_MAP, "shop", "a")


async def test_a_list_is_read_in_pages_and_begun_again_when_its_snapshot_is_too_old() -> None:
    page = {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": [{"metadata": {"name": "a"}}]}
    last = {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "b"}}]}
    answers = [
        httpx2.Response(200, json=page), httpx2.Response(410, json={"reason": "Expired"}),
        httpx2.Response(200, json=page), httpx2.Response(200, json=last),
    ]  # fmt: skip
    api, _ = api_of(lambda _: answers.pop(0))
    listed = await api.list(TRIGGER)
    assert listed is not None
    assert ([one["metadata"]["name"] for one in listed[0]], listed[1]) == (["a", "b"], 9)
    assert listed[0][0]["kind"] == "Trigger"


async def test_kinds_that_the_cluster_does_not_have() -> None:
    api, _ = api_of(lambda _: httpx2.Response(404, json={"reason": "NotFound"}))
    assert await api.list(POD_MONITOR) is None
    assert await api.get(POD_MONITOR, "shop", "a") is None
    assert not await api.serves(POD_MONITOR)
    api, _ = api_of(lambda _: httpx2.Response(200, json={"resources": [{"name": "podmonitors"}]}))
    assert await api.serves(POD_MONITOR)
