"""CloudEvents over AMQP: both modes give back what was put in, whatever it was; what is bad is refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.bus import amqp
from agent_store.kernel.cloudevents import STRUCTURED, attributes_of
from agent_store.kernel.errors import BadEvent
from agent_store.kernel.event import Envelope

NOW = datetime(2026, 1, 5, 12, 0, 0, 250000, tzinfo=UTC)
FULL = Envelope(
    id="1", source="/agent-store/seller/fashion", type="store.order.confirmed", time=NOW,
    data='{"text":"Olá, 50 % \\"off\\""}'.encode(), subject='pedido nº 1 "é" 100%',
    dataschema="urn:agent-store:event:store.order.confirmed:1", topic="order", brand="fashion", channel="whatsapp",
    partitionkey="cliente ção 😀", sequence=7, correlationid="k", causationid="c",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate="a=1,b=2",
    extensions={"knativeerrorcode": "500", "flag": "true", "sig": "k.x"},
)  # fmt: skip
LEAST = Envelope(id="1", source="/x", type="t", time=NOW)


def binary(event: Envelope) -> Envelope:
    headers, content_type = amqp.to_binary(event)
    return amqp.from_message(headers, content_type, event.data, now=NOW)


def structured(event: Envelope) -> Envelope:
    body, content_type = amqp.to_structured(event)
    return amqp.from_message({}, content_type, body, now=NOW)


@pytest.mark.parametrize("there_and_back", [binary, structured])
@pytest.mark.parametrize("event", [FULL, LEAST, replace(FULL, data=b""), replace(FULL, data=b"null")])
def test_an_event_comes_back_as_it_was(there_and_back: Any, event: Envelope) -> None:
    assert there_and_back(event) == event


@pytest.mark.parametrize("there_and_back", [binary, structured])
@given(
    data=st.binary(max_size=40),
    content_type=st.sampled_from(["application/json", "image/png", "text/plain; charset=iso-8859-1", "a/b+json"]),
)
def test_any_data_comes_back_to_the_byte(there_and_back: Any, data: bytes, content_type: str) -> None:
    event = replace(FULL, data=data, datacontenttype=content_type)
    assert there_and_back(event) == event


@pytest.mark.parametrize(
    "data", [b'{ "a" : 1 }', b'{"a":1,"a":2}', b"1e22", b'"\\u00e9"', b"\xff\xfe", b"{", b"NaN", b'{"a":1.10}']
)
def test_json_that_would_be_written_otherwise_keeps_its_bytes(data: bytes) -> None:
    assert structured(replace(FULL, data=data)).data == data


@given(
    st.dictionaries(
        st.from_regex(r"x[a-z0-9]{1,10}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1, max_size=20), max_size=5,
    )
)  # fmt: skip
def test_unknown_extensions_are_kept(extensions: dict[str, str]) -> None:
    event = replace(LEAST, extensions=extensions)
    assert binary(event) == event
    assert structured(event) == event


def test_binary_mode_is_as_the_binding_says() -> None:
    headers, content_type = amqp.to_binary(FULL)
    assert content_type == "application/json"
    assert headers["cloudEvents:specversion"] == "1.0"
    assert headers["cloudEvents:time"] == "2026-01-05T12:00:00.250000Z"
    assert headers["cloudEvents:subject"] == FULL.subject
    assert set(headers) == {f"cloudEvents:{name}" for name in attributes_of(FULL) if name != "datacontenttype"}


def test_structured_mode_is_as_the_binding_says() -> None:
    body, content_type = amqp.to_structured(FULL)
    assert content_type == STRUCTURED
    assert json.loads(body)["data"] == {"text": 'Olá, 50 % "off"'}
    read = amqp.from_message(None, "Application/CloudEvents+JSON; charset=UTF-8", body, now=NOW)
    assert read == FULL


def test_the_other_spelling_native_types_and_the_brokers_headers_are_understood() -> None:
    headers: dict[str, Any] = {
        "cloudEvents_specversion": "1.0", "cloudEvents_id": "1", "cloudEvents_source": "/x", "cloudEvents_type": "t",
        "cloudEvents:time": datetime(2026, 1, 5, 9, tzinfo=UTC), "cloudEvents:id": "1", "cloudEvents:flag": True,
        "cloudEvents:count": 7, "cloudEvents:raw": bytearray(b"\x00\xff"), "cloudEvents:none": None,
        "x-death": [{"count": 1, "reason": "rejected"}], "traceparent": "00-00", "x-delivery-count": 3,
    }  # fmt: skip
    event = amqp.from_message(headers, None, b"{}", now=NOW)
    assert event == replace(
        LEAST, time=datetime(2026, 1, 5, 9, tzinfo=UTC), data=b"{}",
        extensions={"flag": "true", "count": "7", "raw": "AP8="},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cloudEvents:specversion": "0.3"}, "specversion"),
        ({"cloudEvents:id": None}, "id"),
        ({"cloudEvents:Id2": "x"}, "attribute name"),
        ({"cloudEvents_id": "2"}, "twice"),
        ({"cloudEvents:data": "x"}, "body"),
        ({"cloudEvents:datacontenttype": "text/plain"}, "content-type"),
        ({"cloudEvents:subject": b"\xff"}, "UTF-8"),
        ({"cloudEvents:ratio": 0.5}, "ratio"),
        ({"cloudEvents:big": 2**40}, "32 bits"),
        ({"cloudEvents:table": {"a": 1}}, "table"),
        ({"cloudEvents:time": "yesterday"}, "time"),
        ({"cloudEvents:subject": "a\x00b"}, "U\\+0000"),
    ],
)
def test_a_bad_message_is_refused_with_its_attribute(change: dict[str, Any], words: str) -> None:
    headers: dict[str, Any] = {**amqp.to_binary(LEAST)[0], **change}
    with pytest.raises(BadEvent, match=words):
        amqp.from_message(headers, "application/json", b"{}", now=NOW)


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        (None, None),
        ("application/json", None),
        ("application/cloudevents-batch+json", None),
        ("application/cloudevents+avro", None),
        ("application/cloudevents", None),
        (STRUCTURED, "gzip"),
    ],
)
def test_what_is_no_event_of_a_known_mode_is_refused(content_type: str | None, encoding: str | None) -> None:
    with pytest.raises(BadEvent):
        amqp.from_message({"x": "y"}, content_type, b"[]", now=NOW, content_encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "identity", ""])
def test_an_encoding_that_changes_nothing_is_let_through(encoding: str) -> None:
    headers, content_type = amqp.to_binary(FULL)
    assert amqp.from_message(headers, content_type, FULL.data, now=NOW, content_encoding=encoding) == FULL
