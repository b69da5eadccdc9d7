"""The Graph client's own decisions, against a transport that is told what to answer."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from agent_store.adapters.whatsapp.graph import GraphClient
from agent_store.agents.whatsapp.codes import RULES
from agent_store.agents.whatsapp.ports import SendInDoubt, WhatsAppSettings
from agent_store.kernel.errors import PermanentError, StoreError, TemporaryError

NUMBER = "219870000000001"
SETTINGS = WhatsAppSettings(
    app_secret="s", verify_token="v", access_token="t", graph_url="http://graph", public_url="http://shop"
)
Handler = Callable[[httpx.Request], httpx.Response]


def taken(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"messages": [{"id": "wamid.1"}]} if request.method == "POST" else {"id": NUMBER})


def silence(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("planned", request=request)


class Line:
    """`answer` can be changed; `heard` holds the methods and paths of all requests."""

    def __init__(self, answer: Handler = taken) -> None:
        self.answer = answer
        self.heard: list[str] = []
        self.bodies: list[bytes] = []
        self.seconds = 0.0
        self.api = GraphClient(SETTINGS, transport=httpx.MockTransport(self._hear), monotonic=lambda: self.seconds)

    def _hear(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(f"{request.method} {request.url.path}")
        self.bodies.append(request.content)
        return self.answer(request)


def fault(status: int, code: int) -> Handler:
    return lambda request: httpx.Response(status, json={"error": {"message": "no", "code": code}})


async def test_a_read_receipt_is_a_post_of_its_own() -> None:
    line = Line(lambda request: httpx.Response(200, json={"success": True}))
    payload = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN"}
    await line.api.show_seen(NUMBER, payload)
    assert line.heard == [f"POST /v23.0/{NUMBER}/messages"]
    assert json.loads(line.bodies[0]) == payload


async def test_a_read_receipt_that_is_refused_says_so() -> None:
    with pytest.raises(PermanentError):
        await Line(fault(400, 100)).api.show_seen(NUMBER, {})


async def test_after_an_unanswered_send_a_harmless_question_comes_before_the_next() -> None:
    line = Line(silence)
    with pytest.raises(SendInDoubt):
        await line.api.send(NUMBER, {})
    with pytest.raises(TemporaryError, match="does not answer"):
        await line.api.send(NUMBER, {})
    with pytest.raises(TemporaryError, match="does not answer"):  # not asked again at once
        await line.api.send(NUMBER, {})
    assert line.heard == [f"POST /v23.0/{NUMBER}/messages", f"GET /v23.0/{NUMBER}"]
    line.answer, line.seconds = taken, 5.0
    assert await line.api.send(NUMBER, {}) == "wamid.1"
    assert await line.api.send(NUMBER, {}) == "wamid.1"
    assert line.heard[2:] == [f"GET /v23.0/{NUMBER}", *[f"POST /v23.0/{NUMBER}/messages"] * 2]


@pytest.mark.parametrize(
    ("status", "answers"), [(200, True), (400, True), (401, True), (404, True), (500, False), (504, False)]
)
async def test_whatever_the_platform_says_it_answers_unless_its_servers_fail(status: int, answers: bool) -> None:
    line = Line(silence)
    with pytest.raises(SendInDoubt):
        await line.api.send(NUMBER, {})
    line.answer = lambda request: httpx.Response(status) if request.method == "GET" else taken(request)
    if answers:
        assert await line.api.send(NUMBER, {}) == "wamid.1"
    else:
        with pytest.raises(TemporaryError):
            await line.api.send(NUMBER, {})


async def test_a_read_receipt_asks_nothing_while_the_platform_is_silent() -> None:
    line = Line(silence)
    with pytest.raises(SendInDoubt):
        await line.api.send(NUMBER, {})
    with pytest.raises(TemporaryError):
        await line.api.show_seen(NUMBER, {})
    assert len(line.heard) == 1


@pytest.mark.parametrize("code", sorted(RULES))
async def test_every_code_of_the_table_is_raised_as_what_the_table_makes_of_it(code: int) -> None:
    with pytest.raises(StoreError) as caught:
        await Line(fault(400, code)).api.send(NUMBER, {})
    waits = RULES[code].action in ("again", "hold")
    assert isinstance(caught.value, TemporaryError if waits else PermanentError)
    assert caught.value.details["platform_code"] == code
