"""The webhook endpoint: handshake, signatures, sizes, and what it answers when the store has trouble."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.whatsapp.api import sign, webhook
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import TrustedApp, WhatsAppSettings
from agent_store.kernel.errors import TemporaryError

FIXTURES = Path(__file__).parent.parent / "fixtures" / "whatsapp"
PATH = "http://store/webhooks/whatsapp"
SETTINGS = WhatsAppSettings(
    app_secret="app-secret",
    verify_token="verify me",
    access_token="token",
    graph_url="http://graph",
    public_url="http://store",
    max_body=10_000,
)


class Gateway:
    def __init__(self, trouble: Exception | None = None) -> None:
        self.accepted: list[Delivery] = []
        self.trouble = trouble

    async def accept(self, delivery: Delivery) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.accepted.append(delivery)


def client(gateway: Gateway, simulator: TrustedApp | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(webhook(gateway, SETTINGS, simulator=simulator)))


async def post(
    gateway: Gateway, body: bytes, signature: str | None, simulator: TrustedApp | None = None
) -> httpx.Response:
    headers = {} if signature is None else {"X-Hub-Signature-256": signature}
    async with client(gateway, simulator) as http:
        return await http.post(PATH, content=body, headers=headers)


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


async def test_a_signed_delivery_is_committed_and_answered_200() -> None:
    gateway = Gateway()
    body = fixture("several")
    answer = await post(gateway, body, sign("app-secret", body))
    assert answer.status_code == 200
    assert [len(delivery.messages) for delivery in gateway.accepted] == [3]


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: None,
        lambda body: "",
        lambda body: "sha256=",
        lambda body: sign("other", body),
        lambda body: sign("app-secret", body + b" "),
        lambda body: sign("app-secret", body).removeprefix("sha256="),
        lambda body: sign("app-secret", body).replace("sha256=", "sha1="),
        lambda body: sign("app-secret", body)[:-1],
        lambda body: sign("app-secret", body) + "0",
        lambda body: "sha256=" + "é" * 32,
    ],
)
async def test_without_the_right_signature_nothing_is_even_parsed(forge: Any) -> None:
    gateway = Gateway()
    body = fixture("text")
    signature = forge(body)
    headers = {} if signature is None else {"X-Hub-Signature-256": signature.encode()}
    async with client(gateway) as http:
        answer = await http.post(PATH, content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "bad-signature"
    assert gateway.accepted == []


async def test_the_simulator_signs_for_its_own_numbers_only() -> None:
    gateway = Gateway()
    body = fixture("several")
    both = TrustedApp("simulator-secret", {"219870000000001", "219870000000002", "301550000000777"}.__contains__)
    one = TrustedApp("simulator-secret", {"219870000000001"}.__contains__)
    assert (await post(gateway, body, sign("simulator-secret", body), both)).status_code == 200
    assert (await post(gateway, body, sign("simulator-secret", body), one)).status_code == 403
    assert (await post(gateway, body, sign("simulator-secret", body))).status_code == 401
    assert (await post(gateway, body, sign("app-secret", body), one)).status_code == 200
    assert len(gateway.accepted) == 2


@pytest.mark.parametrize("trouble", [TemporaryError("disk", retry_after=timedelta(seconds=9)), TimeoutError()])
async def test_what_is_not_committed_is_asked_for_again(trouble: Exception) -> None:
    body = fixture("text")
    answer = await post(Gateway(trouble), body, sign("app-secret", body))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == ("9" if isinstance(trouble, TemporaryError) else "5")


async def test_a_body_over_the_limit_is_refused_by_its_header_and_by_its_length() -> None:
    body = b" " * 10_001
    assert (await post(Gateway(), body, sign("app-secret", body))).status_code == 413

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    async with client(Gateway()) as http:
        assert (await http.post(PATH, content=chunks())).status_code == 413


async def test_a_body_in_pieces_is_put_together() -> None:
    gateway = Gateway()
    body = fixture("text")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    async with client(gateway) as http:
        answer = await http.post(PATH, content=chunks(), headers={"X-Hub-Signature-256": sign("app-secret", body)})
    assert answer.status_code == 200
    assert len(gateway.accepted) == 1


async def test_a_caller_that_hangs_up_changes_nothing() -> None:
    gateway = Gateway()
    sent: list[Any] = []
    incoming = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    await webhook(gateway, SETTINGS)({"type": "http", "method": "POST", "headers": []}, receive, send)
    assert sent == []
    assert gateway.accepted == []


async def test_the_handshake_returns_the_challenge_to_whoever_knows_the_token() -> None:
    async with client(Gateway()) as http:
        query = {"hub.mode": "subscribe", "hub.verify_token": "verify me", "hub.challenge": "1158201444"}
        answer = await http.get(PATH, params=query)
        assert (answer.status_code, answer.text) == (200, "1158201444")
        assert answer.headers["content-type"].startswith("text/plain")
        for wrong in (
            {"hub.verify_token": "verify"},
            {"hub.verify_token": ""},
            {"hub.mode": "unsubscribe"},
            {"hub.verify_token": "é"},
        ):
            assert (await http.get(PATH, params=query | wrong)).status_code == 403
        assert (await http.get(PATH)).status_code == 403


async def test_other_methods_are_refused() -> None:
    async with client(Gateway()) as http:
        answer = await http.put(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"text"', b"\xff"])
async def test_a_signed_body_that_is_no_object_is_a_400(body: bytes) -> None:
    answer = await post(Gateway(), body, sign("app-secret", body))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-delivery")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["entry", "changes", "value", "field", "messages", "statuses", "contacts", "errors", "metadata"]
            )
            | st.text(max_size=6),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(value=json_values, raw=st.binary(max_size=50), as_json=st.booleans())
async def test_no_signed_body_is_a_500(value: Any, raw: bytes, as_json: bool) -> None:
    body = json.dumps(value).encode() if as_json else raw
    answer = await post(Gateway(), body, sign("app-secret", body))
    assert answer.status_code in (200, 400, 413)


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        ("app_secret", "AGENT_STORE_WHATSAPP_APP_SECRET"),
        ("verify_token", "AGENT_STORE_WHATSAPP_VERIFY_TOKEN"),
        ("access_token", "AGENT_STORE_WHATSAPP_ACCESS_TOKEN"),
        ("graph_url", "AGENT_STORE_WHATSAPP_GRAPH_URL"),
        ("public_url", "AGENT_STORE_PUBLIC_URL"),
    ],
)
def test_without_its_settings_the_gateway_does_not_start(field: str, variable: str) -> None:
    values: dict[str, Any] = {
        "app_secret": "a",
        "verify_token": "b",
        "access_token": "c",
        "graph_url": "http://g",
        "public_url": "http://p",
    }
    values[field] = " "
    with pytest.raises(ValueError, match=variable):
        WhatsAppSettings(**values)


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(SETTINGS) + repr(TrustedApp("simulator-secret", bool))
    assert "secret'" not in shown
    assert "verify me" not in shown
    assert "simulator-secret" not in shown
