"""Whatever is delivered with a valid signature is taken, or refused with a reason: recorded payloads, bent out of shape."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_store.agents.whatsapp import api, intake, tables
from agent_store.agents.whatsapp.api import sign, webhook
from agent_store.agents.whatsapp.model import BadDelivery, Delivery
from agent_store.agents.whatsapp.ports import TrustedApp, WhatsAppSettings
from agent_store.agents.whatsapp.reading import parse
from agent_store.contracts.brands import Directory
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.event import Envelope, registry
from tests.agents.test_whatsapp import Brands
from tests.support.store import TestStore

FIXTURES = Path(__file__).parent.parent / "fixtures" / "whatsapp"
RECORDED = [json.loads(path.read_bytes()) for path in sorted(FIXTURES.rglob("*.json"))]
URL = "http://store/webhooks/whatsapp"
SETTINGS = WhatsAppSettings(
    app_secret="app-secret", verify_token="v", access_token="t", graph_url="http://graph", public_url="http://shop"
)


def _deep(levels: int) -> Any:
    value: Any = "fundo"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 999, 10**15, 2**63, 10**40, 10**400, 1.5, 1e308, float("nan"), float("inf"), -0.0,
    "", " ", "+", "0", "١٢٣", "1767614400", "9" * 400, "x" * 700, "\x00", "a\x00b", "\ud83d", "😍", "\u202e", "[]", "{",
    '{"a": NaN}', '{"nul": "\\u0000"}', "4111 1111 1111 1111", "BR.1", "wamid.1", "text", "edit", "revoke", "system",
    "messages", "account_update", [], [[]], [None], {}, {"id": {}}, {"type": "text"}, {"body": []}, _deep(60),
]  # fmt: skip
KEYS = [
    "id", "type", "from", "from_user_id", "text", "edit", "revoke", "order", "system", "interactive", "errors", "context",
    "referral", "pricing", "timestamp", "field", "value", "messages", "statuses", "contacts", "user_id_update", "",
]  # fmt: skip


odd_values = st.sampled_from(ODD_VALUES).map(copy.deepcopy)


@st.composite
def bent(draw: st.DrawFn) -> Any:
    """A recorded payload after a few changes: parts left out, of another type, one level deeper or higher, doubled, or
    taken from another payload."""
    root = copy.deepcopy(draw(st.sampled_from(RECORDED)))
    for _ in range(draw(st.integers(0, 6))):
        root = _bend(draw, root)
    return root


def _bend(draw: st.DrawFn, root: Any) -> Any:
    holder, key = _place(draw, root)
    if holder is None:
        return root
    how = draw(st.sampled_from(["drop", "retype", "nest", "lift", "double", "add", "graft"]))
    if how == "drop":
        del holder[key]
    elif how == "retype":
        holder[key] = draw(odd_values)
    elif how == "nest":
        holder[key] = draw(st.sampled_from([[holder[key]], {"value": holder[key]}, {"id": holder[key]}]))
    elif how == "lift":
        inner = holder[key]
        parts = list(inner.values()) if isinstance(inner, dict) else inner if isinstance(inner, list) else []
        if parts:
            holder[key] = draw(st.sampled_from(cast("list[Any]", parts)))
    elif how == "double":
        holder[key] = [copy.deepcopy(holder[key]) for _ in range(draw(st.integers(2, 4)))]
    elif how == "add" and isinstance(holder, dict):
        holder[draw(st.sampled_from(KEYS))] = draw(odd_values)
    elif how == "graft":
        other, part = _place(draw, draw(st.sampled_from(RECORDED)))
        if other is not None:
            holder[key] = copy.deepcopy(other[part])
    return root


def _place(draw: st.DrawFn, root: Any) -> tuple[Any, Any]:
    """Some place in a JSON value: what holds it, and where in that."""
    holder, key, value = None, None, root
    for _ in range(draw(st.integers(1, 12))):
        parts: list[Any] = list(cast(Any, value)) if isinstance(value, dict) else []
        if isinstance(value, list):
            parts = list(range(len(cast("list[Any]", value))))
        if not parts:
            break
        holder, key = value, draw(st.sampled_from(parts))
        value = holder[key]
    return holder, key


any_json = st.recursive(
    odd_values | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)
bodies = (bent() | any_json).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)


class Intake:
    def __init__(self, store: TestStore) -> None:
        self.store = store

    async def accept(self, delivery: Delivery) -> None:
        await self.store.runtime.transact("whatsapp", lambda tx: intake.record(tx, delivery))


class Nobody:
    async def accept(self, delivery: Delivery) -> None:
        raise AssertionError("nothing was to be accepted")


def fits_its_contract(envelope: Envelope) -> bool:
    """As JSON that any program reads, with every bound of the contract kept."""

    def no_number(word: str) -> NoReturn:
        raise AssertionError(f"{word} is no JSON")

    json.loads(envelope.data, parse_constant=no_number)
    contract = registry[envelope.type]
    return contract.model_validate_json(envelope.data) == envelope.parsed


@given(body=bodies)
@settings(max_examples=400)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        delivery = parse(body)
    except BadDelivery:
        return
    assert all(message.wamid for message in delivery.messages)
    for message in delivery.messages:
        message.raw.encode()
        assert "\x00" not in message.raw


@given(deliveries=st.lists(bodies, min_size=5, max_size=30))
@settings(max_examples=12)
async def test_any_signed_delivery_is_committed_or_refused_with_a_reason_and_tells_only_what_is_well_formed(
    deliveries: list[bytes],
) -> None:
    ports = {Directory: Brands()}
    clock = ManualClock(datetime(2026, 1, 5, 13, 0, tzinfo=UTC))
    async with TestStore([Agent("whatsapp", tables=tables.metadata)], ports=ports, clock=clock) as store:
        app = webhook(Intake(store), SETTINGS)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            for body in deliveries:
                answer = await http.post(URL, content=body, headers={"X-Hub-Signature-256": sign("app-secret", body)})
                assert answer.status_code in (200, 400)
                if answer.status_code == 400:
                    assert answer.json()["detail"]
        await store.settle()
        assert all(fits_its_contract(envelope) for envelope in store.envelopes)


@given(body=bodies, wrong=st.sampled_from(["", "sha256=", "sha256=00", "sha1=0"]) | st.none())
async def test_a_wrong_signature_is_refused_before_anything_is_read(body: bytes, wrong: str | None) -> None:
    def read(_: bytes) -> NoReturn:
        raise AssertionError("a body of nobody was read")

    headers = {"X-Hub-Signature-256": sign("another-secret", body) if wrong is None else wrong}
    simulator = TrustedApp("simulator-secret", bool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "parse", read)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(webhook(Nobody(), SETTINGS, simulator=simulator))
        ) as http:
            answer = await http.post(URL, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad-signature")


@given(body=bent().map(lambda value: json.dumps(value).encode()))
async def test_the_simulators_signature_moves_nothing_that_is_not_its_own(body: bytes) -> None:
    simulator = TrustedApp("simulator-secret", lambda _: False)
    try:
        delivery = parse(body)
    except BadDelivery:
        return
    spoken = (delivery.messages, delivery.revisions, delivery.identities, delivery.choices, delivery.statuses,
              delivery.complaints, delivery.news)  # fmt: skip

    class Watcher:
        accepted = False

        async def accept(self, delivery: Delivery) -> None:
            self.accepted = True

    watcher = Watcher()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(webhook(watcher, SETTINGS, simulator=simulator))
    ) as http:
        headers = {"X-Hub-Signature-256": sign("simulator-secret", body)}
        answer = await http.post(URL, content=body, headers=headers)
    assert answer.status_code == (403 if any(spoken) else 200)
    assert watcher.accepted is not any(spoken)
