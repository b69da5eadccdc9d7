"""Where limits are asked: the webhook and the API. Nothing that was taken in is dropped by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from agent_store.adapters.http import problems
from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.http.limits import ApiLimit
from agent_store.adapters.limits import LocalRateLimiter
from agent_store.agents.whatsapp.api import sign, webhook
from agent_store.agents.whatsapp.ports import WhatsAppSettings
from agent_store.kernel.limits import ALLOWED, Rate, RateLimiter, Verdict
from tests.unit.test_whatsapp_webhook import PATH, SETTINGS, Gateway, fixture


class Asked:
    """A limiter that remembers what it was asked for."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def take(self, key: str, cost: int = 1, *, limit: int, per: timedelta) -> Verdict:
        self.keys.append(key)
        return ALLOWED

    async def spend(self, key: str, cost: int, *, limit: int, per: timedelta) -> None:
        self.keys.append(key)


def limiting() -> LocalRateLimiter:
    """On a clock that stands still."""
    return LocalRateLimiter(lambda: 1000.0)


async def deliver(
    gateway: Gateway,
    settings: WhatsAppSettings,
    limiter: RateLimiter,
    body: bytes,
    times: int = 1,
    address: str = "10.0.0.1",
) -> list[httpx.Response]:
    transport = httpx.ASGITransport(webhook(gateway, settings, limiter=limiter), client=(address, 4711))
    async with httpx.AsyncClient(transport=transport) as http:
        return [
            await http.post(PATH, content=body, headers={"X-Hub-Signature-256": sign("app-secret", body)})
            for _ in range(times)
        ]


async def test_deliveries_for_a_number_over_its_limit_are_asked_for_again_later() -> None:
    gateway, settings = Gateway(), replace(SETTINGS, number_rate=Rate(2))
    answers = await deliver(gateway, settings, limiting(), fixture("text"), 3)
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[2].json()["code"], answers[2].headers["retry-after"]) == ("too-many-requests", "30")
    assert len(gateway.accepted) == 2, "what was refused was not taken: nothing acknowledged is lost"


async def test_one_number_s_rush_leaves_the_others_alone() -> None:
    gateway, settings, limiter = Gateway(), replace(SETTINGS, number_rate=Rate(1)), limiting()
    text = fixture("text")
    other = text.replace(b"219870000000001", b"219870000000009")
    assert other != text
    assert [one.status_code for one in await deliver(gateway, settings, limiter, text, 2)] == [200, 429]
    assert [one.status_code for one in await deliver(gateway, settings, limiter, other)] == [200]


async def test_an_address_over_its_limit_is_refused_before_anything_is_read() -> None:
    gateway, settings, limiter = Gateway(), replace(SETTINGS, source_rate=Rate(1)), limiting()
    assert (await deliver(gateway, settings, limiter, fixture("text")))[0].status_code == 200
    refused = await deliver(gateway, settings, limiter, b"x" * 50_000)
    assert refused[0].status_code == 429, "not 413: the body was not looked at"
    assert (await deliver(gateway, settings, limiter, fixture("text"), address="10.0.0.2"))[0].status_code == 200


async def test_a_hasty_customer_s_messages_are_taken_and_marked() -> None:
    gateway, settings, limiter = Gateway(), replace(SETTINGS, customer_rate=Rate(2)), limiting()
    answers = await deliver(gateway, settings, limiter, fixture("text"), 4)
    assert {answer.status_code for answer in answers} == {200}
    assert [delivery.messages[0].hasty for delivery in gateway.accepted] == [False, False, True, True]


async def test_only_the_one_who_writes_too_much_is_marked() -> None:
    gateway, settings = Gateway(), replace(SETTINGS, customer_rate=Rate(1))
    limiter = limiting()
    await deliver(gateway, settings, limiter, fixture("several"))
    body = fixture("text")
    await deliver(gateway, settings, limiter, body.replace(b"5511", b"5599"))
    assert not gateway.accepted[-1].messages[0].hasty


async def test_no_phone_number_and_no_address_reaches_the_limiter() -> None:
    limiter, every = Asked(), Rate(100)
    settings = replace(SETTINGS, number_rate=every, customer_rate=every, source_rate=every)
    gateway = Gateway()
    await deliver(gateway, settings, limiter, fixture("several"))
    senders = {message.sender for message in gateway.accepted[0].messages}
    assert len(limiter.keys) >= 3
    assert not [key for key in limiter.keys if "10.0.0.1" in key or any(sender in key for sender in senders)]


async def test_without_limits_nobody_is_asked() -> None:
    limiter = Asked()
    await deliver(Gateway(), SETTINGS, limiter, fixture("several"))
    assert limiter.keys == []


# --- the API


def api(limit: int, limiter: RateLimiter | None = None) -> FastAPI:
    app, router, auth = FastAPI(), APIRouter(prefix="/api"), StaffAuth("secret")
    problems.install(app)

    @router.get("/things")
    async def things() -> list[str]:
        return ["a"]

    app.include_router(router, dependencies=[Depends(ApiLimit(limiter or limiting(), Rate(limit), auth))])
    return app


async def get(app: FastAPI, address: str = "10.0.0.1", **headers: str) -> httpx.Response:
    transport: Any = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://store") as http:
        return await http.get("/api/things", headers=headers)


async def test_a_caller_over_the_limit_gets_problem_details_with_retry_after() -> None:
    app = api(2)
    answers = [await get(app) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    refused = answers[2]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "30"
    assert refused.json()["type"] == "urn:agent-store:problem:too-many-requests"
    assert (await get(app, "10.0.0.2")).status_code == 200


async def test_staff_are_counted_apart_from_the_public_at_their_address() -> None:
    app = api(1)
    assert [(await get(app)).status_code for _ in range(2)] == [200, 429]
    token = "Bearer secret"
    assert [(await get(app, authorization=token)).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("limit", [0, 5])
async def test_the_limiter_sees_no_address(limit: int) -> None:
    limiter = Asked()
    await get(api(limit, limiter))
    assert len(limiter.keys) == (1 if limit else 0)
    assert "10.0.0.1" not in "".join(limiter.keys)
