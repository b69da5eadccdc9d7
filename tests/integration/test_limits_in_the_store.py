"""Limits in the whole embedded store, by HTTP: what is refused is told politely, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent_store.agents.conversations.texts import say
from agent_store.contracts.chat import ChatMessageNew
from agent_store.contracts.whatsapp import WhatsAppMessageReceived
from agent_store.entrypoints import embedded
from agent_store.entrypoints.programs import Redis
from tests.support.embedded import MovedClock, RunningStore
from tests.support.graph import message_delivery
from tests.support.store import Monotonic


@asynccontextmanager
async def running(data: Path, **settings: Any) -> AsyncGenerator[RunningStore]:
    async with RunningStore(data=data, sample_data=False, log_level="error", **settings) as store:
        yield store


async def write(store: RunningStore, number: int) -> int:
    shopper = store.shopper("5511977770001")
    message = {"id": f"wamid.FLOOD{number}", "type": "text", "text": {"body": "oi"}}
    return await store.deliver(message_delivery(shopper.number, shopper.wa_id, message))


async def test_a_flood_is_taken_told_once_and_answered_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pause = MovedClock(), timedelta(minutes=10)
    monkeypatch.setattr(embedded, "SystemClock", lambda: clock)
    async with running(tmp_path, customer_messages_limit=3, customer_pause=pause) as store:
        for number in range(3):
            assert await write(store, number) == 200
            await store.settle()
        for number in range(3, 20):
            assert await write(store, number) == 200
        await store.settle()
        told = [sent.text for sent in store.graph.to("5511977770001")].count(say("hasty", "pt"))
        assert told == 1
        assert len(await store.events(WhatsAppMessageReceived)) == 20
        assert len(await store.events(ChatMessageNew)) == 3
        clock.ahead += pause
        while len(turns := await store.events(ChatMessageNew)) < 4:
            await asyncio.sleep(0.01)
            await store.settle()
        given = [line.message_id for turn in turns for line in turn.messages]
        assert given == [f"wamid.FLOOD{number}" for number in range(20)]
        assert len(turns) == 4


async def test_a_number_over_its_limit_is_delivered_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, webhook_number_limit=30, customer_messages_limit=0) as store:
        refused, seconds = 0, Monotonic()
        monkeypatch.setattr(store.store.shared.limiter, "_clock", seconds)
        for number in range(33):
            # As Meta does: again until it is taken.
            while (status := await write(store, number)) != 200:
                assert status == 429
                refused += 1
                seconds.move(1)
                await store.settle()
        await store.settle()
        assert refused > 0
        assert len(await store.events(WhatsAppMessageReceived)) == 33


async def test_an_api_caller_over_the_limit_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with running(tmp_path, api_limit=3) as store:
        answers = [await store.http.get("/api/brands") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[3].headers["retry-after"]) >= 1
        assert answers[3].headers["content-type"] == "application/problem+json"
        assert (await store.http.get("/api/orders", headers=store.staff)).status_code == 200
        assert (await store.http.get("/healthz")).status_code == 200


async def test_with_redis_the_same_and_without_it_the_store_goes_on(tmp_path: Path) -> None:
    async with Redis() as server:
        settings: dict[str, Any] = {"redis_url": server.url, "redis_timeout": timedelta(seconds=10)}
        async with running(tmp_path, api_limit=2, **settings) as store:
            assert [(await store.http.get("/api/brands")).status_code for _ in range(3)] == [200, 200, 429]
            server.kill()
            assert [(await store.http.get("/api/brands")).status_code for _ in range(5)] == [200] * 5
            assert await write(store, 1) == 200
            await store.settle()
            assert len(await store.events(WhatsAppMessageReceived)) == 1
            metrics = (await store.http.get("/metrics")).text
            assert "agent_store_rate_limiter_unavailable_total" in metrics
            await server.start()
            statuses: list[int] = []
            while 429 not in statuses:
                statuses.append((await store.http.get("/api/brands")).status_code)
