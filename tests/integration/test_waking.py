"""Sellers that scale to zero are asked ahead of a turn, and whatever comes of it disturbs nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent_store.adapters.http import waking
from agent_store.adapters.http.waking import SellersByRequest
from agent_store.agents.conversations.ports import Sellers, SellersAwake
from agent_store.entrypoints.served import ServedProcess
from agent_store.entrypoints.settings import load
from tests.support.directory import brand, directory_text, put
from tests.support.events_http import CountedMetrics
from tests.support.kernel import until
from tests.support.plain_http import Answer, PlainServer, answers, hang_up, plain_server, silence


class Addresses:
    def __init__(self, url: str) -> None:
        self._url = url

    def url_of_consumer(self, name: str, /) -> str | None:
        return self._url if name == "seller/fashion" else None


@asynccontextmanager
async def sellers(answer: Answer) -> AsyncGenerator[tuple[SellersByRequest, PlainServer, CountedMetrics]]:
    metrics = CountedMetrics()
    async with plain_server(healthz=answer) as server:
        found = SellersByRequest(Addresses(server.url), metrics)
        try:
            yield found, server, metrics
        finally:
            await found.close()


async def test_a_seller_is_asked_at_its_address_once_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with sellers(answers({"status": "alive"})) as (found, server, metrics):
        for _ in range(3):
            found.wake("fashion")
            found.wake("nobody's")
        await until(lambda: metrics.counted == {"sellers_woken answered=yes": 1})
        assert [(heard.method, heard.target) for heard in server.heard] == [("GET", "/healthz")]
        monkeypatch.setattr(waking, "PAUSE", 0.0)
        found.wake("fashion")
        await until(lambda: metrics.counted == {"sellers_woken answered=yes": 2})
        assert len(server.heard) == 2


@pytest.mark.parametrize("answer", [hang_up, silence, answers(status=503)], ids=["hangs up", "silent", "503"])
async def test_a_seller_that_does_not_come_is_counted(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "ANSWER", 0.2)
    async with sellers(answer) as (found, _, metrics):
        found.wake("fashion")
        await until(lambda: metrics.counted == {"sellers_woken answered=no": 1})


async def test_closing_ends_what_is_under_way() -> None:
    async with sellers(silence) as (found, server, _):
        found.wake("fashion")
        await until(lambda: bool(server.heard))
        async with asyncio.timeout(10):
            await found.close()


@pytest.mark.parametrize(("bus", "woken"), [("knative", True), ("amqp://127.0.0.1:9", False)])
async def test_conversations_wakes_the_sellers_of_the_directory_where_they_may_sleep(
    bus: str, woken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K_SINK", "http://127.0.0.1:9/")
    async with plain_server(healthz=answers(b"")) as server:
        services = {"ai-seller-fashion": {"url": server.url, "consumers": ["seller/fashion"]}}
        path = put(tmp_path / "directory.yaml", directory_text(brand("fashion", "1001"), services=services))
        process = ServedProcess(
            load({"AGENT_STORE_DATA": str(tmp_path), "AGENT_STORE_BUS": bus, "AGENT_STORE_DIRECTORY": str(path)}),
            ["conversations"],
            api=False,
        )
        try:
            sellers: Sellers = process.runtime.world.ports[Sellers]  # type: ignore[assignment]
            assert isinstance(sellers, SellersAwake) != woken
            sellers.wake("fashion")
            if woken:
                await until(lambda: bool(server.heard))
        finally:
            await process.stop()
