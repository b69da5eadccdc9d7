"""Tokens between processes: bound to one call, short-lived, rotated, and never forged."""

from __future__ import annotations

import base64
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.http.edge import BadToken, MisusedToken
from agent_store.adapters.http.tokens import Tokens
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.event import Envelope
from agent_store.kernel.tool import Principal

OLD, NEW = ("k1", b"the-old-secret-of-the-store"), ("k2", b"the-new-secret-of-the-store")
ANA = Principal(customer_id="c1", conversation_id="v1", brand="fashion", channel="whatsapp", lease_token=7)
CAUSE = Envelope(
    id="e1",
    source="/agent-store/conversations",
    type="store.chat.message.new",
    time=datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC),
    subject="v1",
    brand="fashion",
    channel="whatsapp",
    partitionkey="c1",
    sequence=3,
    correlationid="root",
    causationid="before",
)


def made_by(*keys: tuple[str, bytes], clock: ManualClock | None = None, service: str = "ai-seller") -> Tokens:
    return Tokens(service, keys or (OLD,), clock=clock or ManualClock())


def test_the_caller_its_principal_and_the_cause_arrive_as_they_were() -> None:
    token = made_by().for_call("cart.add", "k", b"{}", ANA, CAUSE)
    caller = made_by(service="orders").check_call(token, tool="cart.add", key="k", body=b"{}")
    assert caller.service == "ai-seller"
    assert caller.principal == ANA
    assert caller.cause == CAUSE


@given(
    st.builds(
        Principal,
        customer_id=st.none() | st.text(),
        conversation_id=st.none() | st.text(),
        brand=st.none() | st.text(),
        channel=st.none() | st.text(),
        lease_token=st.none() | st.integers(0, 2**62),
        language=st.sampled_from(["pt", "en", "es"]),
        staff=st.none() | st.text(),
    )
)
def test_every_principal_arrives_as_it_was(principal: Principal) -> None:
    tokens = made_by()
    token = tokens.for_access("mcp", principal)
    assert tokens.check_access(token, "mcp").principal == principal


@pytest.mark.parametrize(
    "other",
    [{"tool": "cart.remove"}, {"key": "other"}, {"key": None}, {"body": b'{"quantity":2}'}, {"tool": "orders.place"}],
)
def test_a_token_is_good_for_its_own_call_only(other: dict[str, Any]) -> None:
    tokens = made_by()
    call: dict[str, Any] = {"tool": "cart.add", "key": "k", "body": b"{}"}
    token = tokens.for_call(**call, principal=ANA, cause=None)
    tokens.check_call(token, **call)
    with pytest.raises(MisusedToken) as refused:
        tokens.check_call(token, **{**call, **other})
    assert (refused.value.status, refused.value.code) == (403, "token-misused")


def test_a_token_for_one_door_opens_no_other() -> None:
    tokens = made_by()
    with pytest.raises(MisusedToken):
        tokens.check_access(tokens.for_access("contracts", ANA), "mcp")
    with pytest.raises(MisusedToken):
        tokens.check_access(tokens.for_call("cart.add", None, b"{}", ANA, None), "mcp")
    with pytest.raises(MisusedToken):
        tokens.check_call(tokens.for_access("mcp", ANA), tool="cart.add", key=None, body=b"")


@pytest.mark.parametrize(
    ("skew", "good"), [(-29, True), (0, True), (59, True), (-31, False), (60, False), (3600, False)]
)
def test_small_differences_of_clocks_do_not_matter_and_large_ones_are_told(skew: int, good: bool) -> None:
    here, there = ManualClock(), ManualClock()
    there.move(timedelta(seconds=skew))
    token = made_by(clock=here).for_access("mcp", ANA)
    if good:
        made_by(clock=there).check_access(token, "mcp")
        return
    with pytest.raises(BadToken, match="compare the clocks") as refused:
        made_by(clock=there).check_access(token, "mcp")
    assert (refused.value.status, refused.value.code) == (401, "token-expired")


def test_keys_are_rotated_without_a_refused_call() -> None:
    rounds = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    for before, after in itertools.pairwise(rounds):
        for here, there in ((before, after), (after, before)):
            made_by(*there).check_access(made_by(*here).for_access("mcp", ANA), "mcp")
    with pytest.raises(BadToken, match="a key that is not known here"):
        made_by(NEW).check_access(made_by(OLD).for_access("mcp", ANA), "mcp")


def _forged(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
    return ".".join((*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""))


def _claims(**more: Any) -> dict[str, Any]:
    now = int(ManualClock().now().timestamp())
    return {"iss": "x", "aud": "mcp", "iat": now, "exp": now + 30, "who": {"staff": "boss"}, **more}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "rubbish",
        "a.b.c",
        "é.é.é",
        f"{made_by()._first}",
        f"{made_by()._first}.",
        f"{made_by()._first}..",
        _forged({"alg": "none", "kid": "k1"}, _claims()),
        _forged({"alg": "HS256", "kid": "k1"}, _claims()),
        _forged({"alg": "HS256", "kid": "k1", "typ": "JWT"}, _claims()),
        _forged({"alg": "HS256", "kid": ["k1"]}, _claims()),
        jwt.encode(_claims(), "another-secret-of-32-bytes-or-so!!", "HS256", {"kid": "k1"}),
        jwt.encode(_claims(), OLD[1].ljust(32, b"!"), "HS256", {"kid": "k1"}),
        jwt.encode(_claims(), "another-secret-of-32-bytes-or-so!!", "HS256"),
    ],
)
def test_what_the_store_has_not_signed_is_refused(token: str) -> None:
    with pytest.raises(BadToken) as refused:
        made_by().check_access(token, "mcp")
    assert refused.value.status == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(ManualClock().now().timestamp()) + 3600},
        {"exp": None},
        {"iat": "now"},
        {"iss": None},
        {"iss": 1},
        {"aud": ["mcp"]},
        {"who": None},
        {"who": {"lease_token": "many"}},
        {"cause": {"id": "e1"}},
        {"cause": "e1"},
    ],
)
def test_claims_that_cannot_be_are_refused_even_when_signed(claims: dict[str, Any]) -> None:
    tokens = made_by()
    with pytest.raises(BadToken):
        tokens.check_access(_signed(tokens, _claims(**claims)), "mcp")


@pytest.mark.parametrize(
    "payload", [b"", b"rubbish", b"[]", b"\xff", b"[" * 2000], ids=["empty", "word", "list", "bytes", "deep"]
)
def test_a_payload_that_is_no_object_is_refused_even_when_signed(payload: bytes) -> None:
    tokens = made_by()
    token = jwt.PyJWS().encode(payload, tokens._keys[tokens._first], "HS256", {"kid": "k1"})
    with pytest.raises(BadToken, match="cannot be read"):
        tokens.check_access(token, "mcp")


def _signed(tokens: Tokens, claims: dict[str, Any]) -> str:
    return jwt.PyJWS().encode(json.dumps(claims).encode(), tokens._keys[tokens._first], "HS256", {"kid": "k1"})


@given(st.text(min_size=1), st.builds(Principal, customer_id=st.text(), staff=st.none() | st.text()))
def test_a_token_is_to_the_byte_what_another_library_makes_and_reads(key_id: str, principal: Principal) -> None:
    tokens = made_by((key_id, OLD[1]))
    token = tokens.for_access("mcp", principal)
    key = tokens._keys[tokens._first]
    read = jwt.decode_complete(token, key, ["HS256"], {"verify_exp": False, "verify_iat": False}, audience="mcp")
    assert read["header"] == {"typ": "JWT", "alg": "HS256", "kid": key_id}
    assert jwt.encode(read["payload"], key, "HS256", {"kid": key_id}) == token


@given(st.data())
def test_a_token_with_a_changed_letter_is_refused(data: st.DataObject) -> None:
    tokens = made_by()
    token = tokens.for_access("mcp", ANA)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(max_codepoint=255).filter(lambda letter: letter != token[at]))
    with pytest.raises(BadToken):
        tokens.check_access(f"{token[:at]}{letter}{token[at + 1 :]}", "mcp")


@pytest.mark.parametrize(
    ("keys", "lifetime", "said"),
    [
        ((), 30, "give at least one key"),
        ((("k1", b"short"),), 30, "at least 16 bytes"),
        ((OLD, OLD), 30, "the same id"),
        ((OLD,), 61, "60 seconds at most"),
    ],
)
def test_weak_settings_stop_the_start(keys: tuple[tuple[str, bytes], ...], lifetime: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Tokens("x", keys, clock=ManualClock(), lifetime=timedelta(seconds=lifetime))
