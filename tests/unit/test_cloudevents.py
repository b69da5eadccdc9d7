"""CloudEvents 1.0 on the wire: what goes out comes back, what is bad is refused with a sentence, others understand it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings import http as sdk
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from agent_store.kernel import cloudevents as ce
from agent_store.kernel.errors import BadEvent
from agent_store.kernel.event import Envelope

NOW = datetime(2026, 1, 5, 12, 0, 0, 250000, tzinfo=UTC)
FULL = Envelope(
    id="1",
    source="/agent-store/seller/fashion",
    type="store.order.confirmed",
    time=NOW,
    data='{"text":"Olá, 50 % \\"off\\""}'.encode(),
    subject='pedido nº 1 "é" 100%',
    dataschema="urn:agent-store:event:store.order.confirmed:1",
    topic="order",
    brand="fashion",
    channel="whatsapp",
    partitionkey="cliente ção 😀",
    sequence=7,
    correlationid="k",
    causationid="c",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate="a=1,b=2",
    extensions={"knativeerrorcode": "500", "flag": "true"},
)
BASE: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def structured(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**BASE, **changes}.items() if value is not ...}).encode()


# --- round trips -----------------------------------------------------------------------------------------------


def test_an_event_survives_every_mode() -> None:
    assert ce.from_structured(ce.to_structured(FULL), now=NOW) == FULL
    assert ce.from_batch(ce.to_batch([FULL, replace(FULL, id="2")]), now=NOW) == [FULL, replace(FULL, id="2")]
    assert ce.from_headers(ce.to_headers(FULL), FULL.data, now=NOW) == FULL


def test_the_mode_is_seen_from_the_content_type() -> None:
    assert ce.from_http(
        {"content-type": "application/cloudevents+json; charset=UTF-8"}, ce.to_structured(FULL), now=NOW
    ) == [FULL]
    assert ce.from_http({"content-type": ce.BATCH}, ce.to_batch([FULL]), now=NOW) == [FULL]
    assert ce.from_http(ce.to_headers(FULL), FULL.data, now=NOW) == [FULL]
    with pytest.raises(BadEvent, match=r"cloudevents\+avro: only"):
        ce.from_http({"content-type": "application/cloudevents+avro"}, b"", now=NOW)
    with pytest.raises(BadEvent, match="no CloudEvent: send ce- headers"):
        ce.from_http({"content-type": "application/json"}, b"{}", now=NOW)


def test_headers_are_percent_encoded_as_the_binding_says() -> None:
    headers = ce.to_headers(FULL)
    assert headers["ce-subject"] == "pedido%20n%C2%BA%201%20%22%C3%A9%22%20100%25"
    assert headers["ce-partitionkey"].endswith("%F0%9F%98%80")
    assert headers["ce-traceparent"] == FULL.traceparent
    assert headers["content-type"] == "application/json"
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_a_quoted_header_value_is_read_as_the_binding_says() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/s",
        "ce-type": "t",
        "ce-subject": '"a \\"b\\" %41"',
        "host": "x",
    }
    assert ce.from_headers(headers, b"", now=NOW).subject == 'a "b" A'


def test_an_event_without_data_stays_without() -> None:
    for kind in ("application/json", "text/plain"):
        empty = Envelope(id="1", source="/s", type="t", time=NOW, datacontenttype=kind)
        assert ce.from_structured(ce.to_structured(empty), now=NOW) == empty
        assert ce.from_headers(ce.to_headers(empty), b"", now=NOW) == empty
    assert "content-type" not in ce.to_headers(Envelope(id="1", source="/s", type="t", time=NOW))
    assert ce.from_structured(structured(data=None, data_base64=None, subject=None), now=NOW).data == b""


def test_a_missing_time_is_now_and_any_offset_is_utc() -> None:
    assert ce.from_structured(structured(), now=NOW).time == NOW
    for text in ("2026-01-05T09:00:00.25-03:00", "2026-01-05t12:00:00.250000999z"):
        assert ce.from_structured(structured(time=text), now=NOW).time == NOW
    assert ce.time_text(NOW.astimezone(timezone(timedelta(hours=-3)))) == "2026-01-05T12:00:00.250000Z"


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("image/png", b"\x89PNG\x00\xff"),
        ("text/plain", "olá".encode()),
        ("application/json", b"{broken"),
        ("application/json", b"null"),
        ("application/json", b"NaN"),
        ("application/json", b"1e999"),
        ("application/json", b'"\\ud800"'),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 100_000),
        ("application/vnd.x+json", b'{"a":1}'),
        ("application/xml; charset=latin-1", b"<a/>"),
    ],
)
def test_data_of_any_kind_comes_through_even_when_it_is_broken(content_type: str, data: bytes) -> None:
    event = Envelope(id="1", source="/s", type="t", time=NOW, data=data, datacontenttype=content_type)
    written = ce.to_structured(event)
    json.loads(written.decode(), parse_constant=lambda name: pytest.fail(name))
    assert ce.from_structured(written, now=NOW) == event


def test_text_and_values_of_others_are_read() -> None:
    assert ce.from_structured(structured(datacontenttype="text/plain", data="olá"), now=NOW).data == "olá".encode()
    assert ce.from_structured(structured(datacontenttype="text/plain", data={"a": 1}), now=NOW).data == b'{"a":1}'
    assert ce.from_structured(structured(data="olá"), now=NOW).data == '"olá"'.encode()
    assert ce.from_structured(structured(data=False), now=NOW).data == b"false"


def test_extensions_that_are_unknown_are_kept_and_never_shadow_an_attribute() -> None:
    event = ce.from_structured(structured(custom="x", count=5, flag=False, sequence=3), now=NOW)
    assert event.extensions == {"custom": "x", "count": "5", "flag": "false"}
    assert event.sequence == 3
    assert ce.attributes_of(replace(event, extensions={"id": "forged"}))["id"] == "1"


# --- refusals --------------------------------------------------------------------------------------------------

REFUSED = [
    ({"specversion": ...}, "specversion: None is not supported; send 1.0"),
    ({"specversion": "0.3"}, "specversion: '0.3' is not supported"),
    ({"id": ""}, "id: is required and must not be empty"),
    ({"source": ...}, "source: is required"),
    ({"type": None}, "type: is required"),
    ({"source": "a b"}, "source: 'a b' is no URI reference"),
    ({"dataschema": "/relative"}, "dataschema: '/relative' is no absolute URI"),
    ({"dataschema": "urn:a b"}, "dataschema: 'urn:a b' is no absolute URI"),
    ({"datacontenttype": "json"}, "datacontenttype: 'json' is no media type"),
    ({"subject": ""}, "subject: leave it out or give it a value"),
    ({"brand": ""}, "brand: leave it out"),
    ({"time": "yesterday"}, "time: 'yesterday' is no RFC 3339 time"),
    ({"time": "2026-02-30T12:00:00Z"}, "time: '2026-02-30T12:00:00Z': day is out of range"),
    ({"time": "0001-01-01T00:00:00+23:59"}, "time: '0001-01-01T00:00:00"),
    ({"sequence": "²"}, "sequence: '²' is no whole number from 0 with at most 18 digits"),
    ({"sequence": -1}, "sequence: '-1' is no whole number"),
    ({"sequence": "9" * 19}, "is no whole number"),
    ({"Upper": "x"}, "'Upper' is no attribute name"),
    ({"with_line": "x"}, "'with_line' is no attribute name"),
    ({"x" * 65: "y"}, "is no attribute name"),
    ({"custom": 2**31}, "custom: 2147483648 does not fit a CloudEvents integer"),
    ({"custom": 1.5}, "custom: an attribute is a string, an integer or a boolean"),
    ({"custom": {"a": 1}}, "custom: an attribute is a string"),
    ({"subject": "a\nb"}, r"subject: U\+000A is not allowed"),
    ({"subject": "a\x85b"}, r"subject: U\+0085 is not allowed"),
    ({"subject": "\ud800"}, r"subject: U\+D800 is not allowed"),
    ({"subject": "\uffff"}, r"subject: U\+FFFF is not allowed"),
    ({"data": 1, "data_base64": "YQ=="}, "data and data_base64 exclude each other"),
    ({"data_base64": "?"}, "data_base64: is not base64"),
    ({"data_base64": 5}, "data_base64: is not base64"),
    ({"data": "\ud800"}, "data: cannot be written as JSON in UTF-8"),
    ({"data": "\ud800", "datacontenttype": "text/plain"}, "data: cannot be written as JSON in UTF-8"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_a_bad_event_is_refused_with_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadEvent, match=sentence) as caught:
        ce.from_structured(structured(**changes), now=NOW)
    assert caught.value.status == 400
    assert "attribute" in caught.value.details


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":NaN}', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadEvent, match="the body is no JSON"):
        ce.from_structured(body, now=NOW)


def test_a_body_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(BadEvent, match="an event is a JSON object"):
        ce.from_structured(b"[]", now=NOW)
    with pytest.raises(BadEvent, match="a batch is a JSON array"):
        ce.from_batch(b"{}", now=NOW)


def test_one_bad_event_refuses_its_batch_and_is_named_by_its_place() -> None:
    body = b"[" + structured() + b"," + structured(id="") + b"]"
    with pytest.raises(BadEvent, match="event 1 of the batch: id: is required") as caught:
        ce.from_batch(body, now=NOW)
    assert caught.value.details == {"attribute": "id", "index": 1}


def test_bad_headers_are_refused() -> None:
    good = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
    with pytest.raises(BadEvent, match="ce-subject: is no percent-encoded UTF-8"):
        ce.from_headers({**good, "ce-subject": "%FF"}, b"", now=NOW)
    with pytest.raises(BadEvent, match="ce-data: data is no attribute"):
        ce.from_headers({**good, "ce-data": "x"}, b"", now=NOW)
    with pytest.raises(BadEvent, match="'data_base64' is no attribute name"):
        ce.from_headers({**good, "ce-data_base64": "x"}, b"", now=NOW)


# --- with the official SDK, both ways ---------------------------------------------------------------------------

FORMAT = JSONFormat()


def foreign(data: Any, content_type: str | None = "application/json") -> CloudEvent:
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": "é 1%",
        "source": "/theirs",
        "type": "com.example.thing",
        "time": NOW,
        "subject": 'a "b" ção',
        "sequence": "12",
        "brand": "home",
        "custom": "x",
    }
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return CloudEvent(attributes, data)


def same(ours: Envelope, theirs: Any) -> None:
    expected = {
        name: ce.time_text(value) if name == "time" else str(value) for name, value in theirs.get_attributes().items()
    }
    actual = ce.attributes_of(ours)
    if "datacontenttype" not in expected:
        actual.pop("datacontenttype", None)
    assert actual == expected


@pytest.mark.parametrize("content_type", ["application/json", None])
def test_what_the_sdk_writes_is_read(content_type: str | None) -> None:
    theirs = foreign({"a": ["ã", 1, None]}, content_type)
    binary, whole = sdk.to_binary(theirs, FORMAT), sdk.to_structured(theirs, FORMAT)
    batch = b"[" + whole.body + b"]"
    for ours in (
        *ce.from_http({name.lower(): value for name, value in binary.headers.items()}, binary.body, now=NOW),
        *ce.from_http({name.lower(): value for name, value in whole.headers.items()}, whole.body, now=NOW),
        *ce.from_batch(batch, now=NOW),
    ):
        same(ours, theirs)
        assert json.loads(ours.data) == {"a": ["ã", 1, None]}
        assert (ours.brand, ours.sequence, ours.extensions) == ("home", 12, {"custom": "x"})


@pytest.mark.parametrize(
    ("data", "content_type"), [(b"\x00\xff", "image/png"), ("olá", "text/plain"), (None, "text/plain")]
)
def test_what_the_sdk_writes_beside_json_is_read(data: Any, content_type: str) -> None:
    theirs = foreign(data, content_type)
    binary, whole = sdk.to_binary(theirs, FORMAT), sdk.to_structured(theirs, FORMAT)
    expected = data.encode() if isinstance(data, str) else data or b""
    for message in (binary, whole):
        (ours,) = ce.from_http({name.lower(): value for name, value in message.headers.items()}, message.body, now=NOW)
        same(ours, theirs)
        assert ours.data == expected


def test_what_we_write_is_read_by_the_sdk() -> None:
    binary = sdk.from_binary(sdk.HTTPMessage(ce.to_headers(FULL), FULL.data), FORMAT)
    whole = sdk.from_structured(sdk.HTTPMessage({"content-type": ce.STRUCTURED}, ce.to_structured(FULL)), FORMAT)
    (member,) = (FORMAT.read(None, json.dumps(item)) for item in json.loads(ce.to_batch([FULL])))
    for theirs in (binary, whole, member):
        same(FULL, theirs)
        assert theirs.get_data() == json.loads(FULL.data)
        assert theirs.get_time() == NOW


def test_our_binary_data_is_read_by_the_sdk() -> None:
    event = replace(FULL, data=b"\x00\xff", datacontenttype="image/png")
    binary = sdk.from_binary(sdk.HTTPMessage(ce.to_headers(event), event.data), FORMAT)
    whole = sdk.from_structured(sdk.HTTPMessage({"content-type": ce.STRUCTURED}, ce.to_structured(event)), FORMAT)
    assert binary.get_data() == whole.get_data() == b"\x00\xff"
    same(event, whole)


# --- anything --------------------------------------------------------------------------------------------------

words = st.text(
    alphabet=st.characters(
        exclude_categories=("Cs", "Cc"), exclude_characters="".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    ),
    min_size=1,
    max_size=20,
)  # fmt: skip
uris = st.from_regex(r"/[a-z0-9/._~%é-]{0,20}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
envelopes = st.builds(
    Envelope,
    id=words,
    source=uris,
    type=words,
    time=st.datetimes(timezones=st.just(UTC)),
    data=values.map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) | st.just(b""),
    subject=st.none() | words,
    dataschema=st.none() | uris.map("urn:x:".__add__),
    topic=st.none() | words,
    brand=st.none() | words,
    channel=st.none() | words,
    partitionkey=st.none() | words,
    sequence=st.none() | st.integers(0, 10**18 - 1),
    correlationid=st.none() | words,
    causationid=st.none() | words,
    traceparent=st.none() | words,
    tracestate=st.none() | words,
    extensions=st.dictionaries(st.from_regex(r"x[a-z0-9]{1,20}", fullmatch=True), words, max_size=3),
)


@given(envelopes)
def test_any_event_survives_every_mode(event: Envelope) -> None:
    assert ce.from_structured(ce.to_structured(event), now=NOW) == event
    assert ce.from_batch(ce.to_batch([event]), now=NOW) == [event]
    assert ce.from_headers(ce.to_headers(event), event.data, now=NOW) == event


def _read(value: bytes | dict[str, Any]) -> list[Envelope] | str:
    """The events, or the sentence of the refusal: nothing else may come out."""
    try:
        if isinstance(value, dict):
            return [ce.from_json(value, now=NOW)]
        return ce.from_batch(value, now=NOW)
    except BadEvent as error:
        return error.message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_refusal(body: bytes) -> None:
    assert _read(body) == [] or isinstance(_read(body), str)


@given(st.dictionaries(st.sampled_from([*ce.attributes_of(FULL), "data", "data_base64", "zz"]), values | words))
def test_any_json_object_is_an_event_or_a_refusal(value: dict[str, Any]) -> None:
    said = _read({**BASE, **value})
    if isinstance(said, list):
        assert [ce.from_structured(ce.to_structured(event), now=NOW) for event in said] == said
    else:
        assert said
