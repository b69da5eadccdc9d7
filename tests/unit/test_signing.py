"""An event on a network proves itself: what we set cannot be changed, what a broker adds does not matter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_store.kernel import cloudevents
from agent_store.kernel.event import Envelope
from agent_store.kernel.signing import ATTRIBUTE, BadSignature, Signer

NOW = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)
OLD, NEW = ("2025", b"o" * 32), ("2026", b"n" * 32)
signer = Signer([NEW])

EVENT = Envelope(
    id="e1", source="/agent-store/orders", type="store.order.confirmed", time=NOW, data=b'{"order_id":"o1"}',
    subject="o1", dataschema="urn:agent-store:event:store.order.confirmed:1", topic="order", brand="fashion",
    channel="whatsapp", partitionkey="c1", sequence=3, correlationid="k1", causationid="e0",
    traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
)  # fmt: skip

SIGNED_TEXT = ("id", "source", "type", "subject", "dataschema", "datacontenttype", "topic", "brand", "channel",
               "partitionkey", "correlationid", "causationid")  # fmt: skip
OPTIONAL = tuple(name for name in SIGNED_TEXT if name not in ("id", "source", "type", "datacontenttype"))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
readable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=12)


@st.composite
def events(draw: st.DrawFn, texts: st.SearchStrategy[str] = texts) -> Envelope:
    values: dict[str, Any] = {name: draw(texts) for name in SIGNED_TEXT if name not in OPTIONAL}
    values |= {name: draw(st.none() | texts) for name in OPTIONAL}
    return Envelope(
        **values, time=draw(st.datetimes(timezones=st.just(UTC))), data=draw(st.binary(max_size=12)),
        sequence=draw(st.none() | st.integers(0, 10**18 - 1)),
    )  # fmt: skip


def forged(event: Envelope, signature: str) -> Envelope:
    return replace(event, extensions={**event.extensions, ATTRIBUTE: signature})


def test_a_signed_event_is_believed() -> None:
    signed = signer.sign(EVENT)
    signer.check(signed)
    assert signed.extensions[ATTRIBUTE].startswith("2026.")
    assert replace(signed, extensions={}) == EVENT


@pytest.mark.parametrize("name", SIGNED_TEXT)
def test_each_text_attribute_is_signed(name: str) -> None:
    with pytest.raises(BadSignature):
        signer.check(replace(signer.sign(EVENT), **{name: getattr(EVENT, name) + "x"}))


@pytest.mark.parametrize("name", [*OPTIONAL, "sequence"])
def test_an_attribute_cannot_be_taken_away_or_emptied(name: str) -> None:
    with pytest.raises(BadSignature):
        signer.check(replace(signer.sign(EVENT), **{name: None}))
    if name != "sequence":
        with pytest.raises(BadSignature):
            signer.check(replace(signer.sign(replace(EVENT, **{name: None})), **{name: ""}))


def test_sequence_and_time_are_signed_to_the_microsecond() -> None:
    with pytest.raises(BadSignature):
        signer.check(replace(signer.sign(EVENT), sequence=4))
    with pytest.raises(BadSignature):
        signer.check(replace(signer.sign(EVENT), time=NOW + timedelta(microseconds=1)))


@given(st.integers(0, len(EVENT.data) - 1), st.integers(1, 255))
def test_each_byte_of_the_data_is_signed(position: int, difference: int) -> None:
    data = bytearray(EVENT.data)
    data[position] ^= difference
    with pytest.raises(BadSignature):
        signer.check(replace(signer.sign(EVENT), data=bytes(data)))


@given(events(), events())
def test_the_signature_of_one_event_fits_no_other(one: Envelope, other: Envelope) -> None:
    signature = signer.signature(one)
    signer.check(forged(one, signature))
    assume(one != other)
    with pytest.raises(BadSignature):
        signer.check(forged(other, signature))


@given(events(), st.sampled_from([*SIGNED_TEXT, "data"]), st.sampled_from([*SIGNED_TEXT, "data"]), st.integers(1, 5))
def test_what_stands_in_one_attribute_cannot_be_shifted_into_another(
    event: Envelope, giver: str, taker: str, count: int
) -> None:
    def text(name: str) -> str:
        return event.data.decode("latin-1") if name == "data" else getattr(event, name) or ""

    def value(name: str, content: str) -> Any:
        return content.encode("latin-1", "replace") if name == "data" else content

    given_away = text(giver)
    assume(giver != taker and given_away)
    moved = replace(event, **{giver: value(giver, given_away[:-count]),
                              taker: value(taker, given_away[-count:] + text(taker))})  # fmt: skip
    assume(moved != event)
    with pytest.raises(BadSignature):
        signer.check(forged(moved, signer.signature(event)))


def test_trace_context_and_what_a_broker_adds_are_free() -> None:
    signed = signer.sign(EVENT)
    signer.check(replace(signed, traceparent=None, tracestate="vendor=1"))
    signer.check(replace(signed, extensions={**signed.extensions, "knativearrivaltime": "2026-01-05T12:00:00Z"}))


def test_the_same_instant_in_another_text_is_the_same() -> None:
    there = signer.sign(EVENT).time.astimezone(timezone(timedelta(hours=-3)))
    signer.check(replace(signer.sign(EVENT), time=there))


@given(events(readable))
def test_a_signature_survives_the_wire(event: Envelope) -> None:
    filled: dict[str, Any] = {name: getattr(event, name) or None for name in OPTIONAL}
    filled["dataschema"] = f"urn:{event.dataschema.encode().hex()}" if event.dataschema else None  # it has to be a URI
    event = replace(EVENT, **filled, time=event.time, sequence=event.sequence, data=event.data)
    headers = cloudevents.attributes_of(signer.sign(event))
    signer.check(cloudevents.from_attributes(headers, event.data, now=NOW))


def test_an_unsigned_event_a_foreign_key_and_rubbish_are_refused_each_with_its_reason() -> None:
    with pytest.raises(BadSignature, match="is not signed") as caught:
        signer.check(EVENT)
    assert (caught.value.code, caught.value.status) == ("bad-signature", 403)
    with pytest.raises(BadSignature, match="not known here"):
        signer.check(Signer([("other", b"n" * 32)]).sign(EVENT))
    with pytest.raises(BadSignature, match="does not fit"):
        signer.check(Signer([("2026", b"x" * 32)]).sign(EVENT))
    for rubbish in ("", ".", "2026", "2026.", "2026.é", "2026." + signer.signature(EVENT)):
        with pytest.raises(BadSignature):
            signer.check(forged(EVENT, rubbish))
    with pytest.raises(BadSignature):
        signer.check(forged(EVENT, signer.signature(EVENT) + "="))


def test_a_key_is_changed_without_a_gap() -> None:
    before, during, after = Signer([OLD]), Signer([NEW, OLD]), Signer([NEW])
    during.check(before.sign(EVENT))
    after.check(during.sign(EVENT))
    with pytest.raises(BadSignature):
        after.check(before.sign(EVENT))
    after.check(during.sign(before.sign(EVENT)))


@pytest.mark.parametrize(
    "keys", [[], [("k", b"short")], [("a.b", b"x" * 32)], [("", b"x" * 32)], [("k", b"x" * 32), ("k", b"y" * 32)]]
)
def test_keys_that_would_not_protect_are_refused(keys: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ValueError, match="key"):
        Signer(keys)
