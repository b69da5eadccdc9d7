"""The CloudEvents specification as tests: its JSON schema, its JSON format's cases, its HTTP binding's features.

Sources: github.com/cloudevents/spec 1.0.2 (`cloudevents/formats/cloudevents.json`, the JSON format, the HTTP binding) and
github.com/cloudevents/conformance (`features/http-protocol-binding.feature`, `format/json`), told in our own words.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httptools
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.kernel import cloudevents as ce
from agent_store.kernel.errors import BadEvent
from agent_store.kernel.event import Envelope

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

# --- the schema ----------------------------------------------------------------------------------------------------

_REQUIRED = {"specversion": None, "id": None, "source": "uri-reference", "type": None}
_OPTIONAL = {"datacontenttype": None, "dataschema": "uri", "subject": None, "time": "date-time"}


def _text(format: str | None, *kinds: str) -> dict[str, Any]:
    return {"type": ["string", *kinds], "minLength": 1, **({"format": format} if format else {})}


SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": list(_REQUIRED),
    "properties": {
        **{name: _text(format) for name, format in _REQUIRED.items()},
        **{name: _text(format, "null") for name, format in _OPTIONAL.items()},
        "data": {"type": ["object", "string", "number", "array", "boolean", "null"]},
        "data_base64": {"type": ["string", "null"], "format": "base64"},
    },
    # The schema leaves extensions open; the specification's text names their types and the characters of their names.
    "propertyNames": {"pattern": "^([a-z0-9]+|data_base64)$"},
    "additionalProperties": {
        "type": ["string", "boolean", "integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1,
    },
}  # fmt: skip

checker = jsonschema.FormatChecker(formats=())


@checker.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or (":" in value and " " not in value)


@checker.checks("uri-reference")
def _is_reference(value: object) -> bool:
    return not isinstance(value, str) or " " not in value


@checker.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value.upper().replace("Z", "+00:00")).tzinfo is not None


@checker.checks("base64", raises=ValueError)
def _is_base64(value: object) -> bool:
    if isinstance(value, str):
        base64.b64decode(value, validate=True)
    return True


validator = jsonschema.Draft7Validator(SCHEMA, format_checker=checker)
words = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=12)
envelopes = st.builds(
    Envelope,
    id=words,
    source=st.sampled_from(["/agent-store/orders", "https://example.com/é", "#part", "urn:a:b"]),
    type=words,
    time=st.datetimes(timezones=st.just(UTC)),
    data=st.binary(max_size=40) | words.map(lambda text: json.dumps({"text": text}).encode()),
    datacontenttype=st.sampled_from(["application/json", "text/plain", "image/png", "a/b+json; charset=utf-8"]),
    subject=st.none() | words,
    dataschema=st.none() | st.just("urn:agent-store:event:store.order.confirmed:1"),
    brand=st.none() | words,
    sequence=st.none() | st.integers(0, 10**18 - 1),
    extensions=st.dictionaries(st.from_regex(r"x[a-z0-9]{1,19}", fullmatch=True), words, max_size=3),
)


@given(st.lists(envelopes, max_size=3))
def test_what_we_write_fits_the_schema(events: list[Envelope]) -> None:
    for event in events:
        validator.validate(json.loads(ce.to_structured(event)))
    for value in json.loads(ce.to_batch(events)):
        validator.validate(value)


@given(
    st.dictionaries(
        st.sampled_from([*_REQUIRED, *_OPTIONAL, "data", "data_base64", "custom", "Custom", "my.extension", "brand"]),
        st.sampled_from(
            ["a", "", "/a", "urn:a", "a/b", "a b", "2026-01-05T12:00:00Z", "lunchtime", "YQ==", 25, 2**31, 1.5, True, None,
             {}, [], {"a": 1}]
        ),
        max_size=3,
    )
)  # fmt: skip
def test_what_the_schema_refuses_we_refuse(changes: dict[str, Any]) -> None:
    value = {"specversion": "1.0", "id": "1", "type": "t", "source": "/s", **changes}
    try:
        event = ce.from_json(value, now=NOW)
    except BadEvent:
        return
    validator.validate(value)
    assert ce.from_structured(ce.to_structured(event), now=NOW) == event


# --- the JSON format's cases ---------------------------------------------------------------------------------------

LEAST = {"specversion": "1.0", "id": "least", "type": "io.example.test", "source": "https://example.com"}
AT = datetime(2018, 4, 5, 17, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"datacontenttype": None, "dataschema": None, "subject": None, "time": None},
        {"datacontenttype": "text/plain", "dataschema": "https://example.com/schema", "subject": "tests"},
        {"source": "#fragment"},
        {"source": "//authority/path"},
        {"datacontenttype": "text/plain", "data": "Simple text"},
        {"whole": 10, "yes": True, "words": "text", "uri": "https://example.com", "when": "2023-03-31T15:12:00Z",
         "bytes": "TWE="},
    ],
)  # fmt: skip
def test_a_valid_event_is_read(more: dict[str, Any]) -> None:
    value = {**LEAST, **more}
    validator.validate(value)
    event = ce.from_structured(json.dumps(value).encode(), now=NOW)
    written = {"datacontenttype": "application/json", **ce.attributes_of(event), "time": None}
    for name, content in more.items():
        if name not in ("data", "time") and content is not None:
            assert written[name] == ("true" if content is True else str(content))
    assert event.data == more.get("data", "").encode()


@pytest.mark.parametrize(
    "time",
    [
        "2018-04-05T17:31:00Z",
        "2018-04-05T17:31:00.000000000Z",
        "2018-04-05T18:31:00+01:00",
        "2018-04-05T16:31:00-01:00",
    ],
)
def test_a_time_of_any_offset_is_the_same_instant(time: str) -> None:
    assert ce.from_structured(json.dumps({**LEAST, "time": time}).encode(), now=NOW).time == AT


INVALID: list[dict[str, Any]] = [
    *({name: ...} for name in LEAST),
    *({name: ""} for name in (*LEAST, "datacontenttype", "dataschema", "subject")),
    *({name: wrong} for name in (*LEAST, "subject", "dataschema", "datacontenttype", "time") for wrong in (25, True, {})),
    *({"time": f"2018-04-05T{rest}"} for rest in ("18:31Z", "18:31:00X", "18:31:00+25:00", "18:31:00+xx:00", "18:31:00+05")),
    {"time": "lunchtime"},
    {"specversion": "0.9"},
    {"datacontenttype": "xyz"},
    {"MyExtension": "bad"},
    {"my.extension": "bad"},
    {"extension": 1.5},
    {"data": "text", "data_base64": "eyAieHl6IjogMTIzIH0="},
]  # fmt: skip


@pytest.mark.parametrize(
    "changes", INVALID, ids=[json.dumps(changes, default=lambda _: "absent") for changes in INVALID]
)
def test_an_invalid_event_is_refused_alone_and_in_a_batch(changes: dict[str, Any]) -> None:
    value = {name: content for name, content in {**LEAST, **changes}.items() if content is not ...}
    with pytest.raises(BadEvent):
        ce.from_structured(json.dumps(value).encode(), now=NOW)
    with pytest.raises(BadEvent, match="event 1 of the batch"):
        ce.from_batch(json.dumps([LEAST, value]).encode(), now=NOW)


def test_batches_of_any_length_are_read() -> None:
    assert ce.from_batch(b"[]", now=NOW) == []
    two = ce.from_batch(json.dumps([LEAST, {**LEAST, "id": "2"}]).encode(), now=NOW)
    assert [event.id for event in two] == ["least", "2"]
    with pytest.raises(BadEvent, match="event 0 of the batch: an event is a JSON object"):
        ce.from_batch(json.dumps(["no object", LEAST]).encode(), now=NOW)


# --- the HTTP binding's features -----------------------------------------------------------------------------------


def received(request: bytes) -> list[Envelope]:
    """A request as it is on the wire, read by the HTTP parser that serves us."""
    headers: dict[str, str] = {}
    body: list[bytes] = []

    class Parts:
        def on_header(self, name: bytes, value: bytes) -> None:
            headers[name.decode().lower()] = value.decode()

        def on_body(self, part: bytes) -> None:
            body.append(part)

    httptools.HttpRequestParser(Parts()).feed_data(request)
    return ce.from_http(headers, b"".join(body), now=NOW)


def request(body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST /hook HTTP/1.1\r\nHost: example.com\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


HELLO = b'{\n  "message": "Hello World!"\n}'
ABOUT = {"specversion": "1.0", "type": "com.example.someevent", "time": "2018-04-05T17:31:00Z", "id": "1234-1234-1234",
         "source": "/mycontext/subcontext"}  # fmt: skip


def is_hello(event: Envelope, content_type: str) -> bool:
    assert (event.id, event.type, event.source, event.time) == (
        "1234-1234-1234", "com.example.someevent", "/mycontext/subcontext", AT,
    )  # fmt: skip
    assert event.datacontenttype == content_type
    return json.loads(event.data) == {"message": "Hello World!"}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("prefix", ["ce-", "CE-", "Ce-"])
def test_binary_mode(content_type: str, prefix: str) -> None:
    headers = {f"{prefix}{name}": value for name, value in ABOUT.items()}
    (event,) = received(request(HELLO, Content_Type=content_type, **headers))
    assert is_hello(event, content_type)
    assert event.data == HELLO, "bytes as they came"


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8", "Application/CloudEvents+JSON"],
)
def test_structured_mode(content_type: str) -> None:
    value = {**ABOUT, "datacontenttype": "application/json", "data": json.loads(HELLO)}
    (event,) = received(request(json.dumps(value, indent=2).encode(), content_type=content_type))
    assert is_hello(event, "application/json")


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents-batch+json", "application/cloudevents-batch+json; charset=utf-8"]
)
def test_batched_mode(content_type: str) -> None:
    value = {**ABOUT, "datacontenttype": "application/json", "data": json.loads(HELLO)}
    first, second = received(request(json.dumps([value, value]).encode(), content_type=content_type))
    assert is_hello(first, "application/json")
    assert first == second


def test_structured_mode_wins_over_ce_headers() -> None:
    body = json.dumps({**ABOUT, "id": "in the body"}).encode()
    (event,) = received(request(body, content_type=ce.STRUCTURED, ce_id="in a header", ce_specversion="1.0"))
    assert event.id == "in the body"


# --- binary mode's edges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Euro%20%e2%82%ac%20%f0%9f%98%80", "Euro € 😀"),
        ("%45uro", "Euro"),
        ("%2541", "%41"),
        ("100%25", "100%"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ('"a b"', "a b"),
        ('"a \\"b\\" \\\\ %22c%22"', 'a "b" \\ "c"'),
        ('"', '"'),
        ("  padded  ", "padded"),
        ("a, b; c=(d)", "a, b; c=(d)"),
        ("a+b", "a+b"),
    ],
)
def test_a_header_is_unquoted_and_percent_decoded_once(header: str, value: str) -> None:
    (event,) = received(request(b"", **{f"ce-{name}": text for name, text in ABOUT.items()}, ce_subject=header))
    assert event.subject == value
    (again,) = received(request(b"", **ce.to_headers(event)))
    assert again == event


def test_only_what_the_binding_names_is_encoded() -> None:
    printable = "".join(chr(code) for code in range(0x20, 0x7F))
    event = Envelope(id="1", source="/s", type="t", time=NOW, subject=printable + "\u007f\u00e9\U0001f600")
    header = ce.to_headers(event)["ce-subject"]
    plain = printable.replace("%", "%25").replace(" ", "%20").replace('"', "%22")
    assert header == plain + "%7F%C3%A9%F0%9F%98%80"


def test_data_of_any_kind_is_taken_as_it_is_and_none_is_none() -> None:
    headers = {f"ce-{name}": text for name, text in ABOUT.items()}
    (none,) = received(request(b"", **headers))
    assert (none.data, none.datacontenttype) == (b"", "application/json")
    (empty,) = received(request(b"", **headers, content_type="text/plain"))
    assert (empty.data, empty.datacontenttype) == (b"", "text/plain")
    (untyped,) = received(request(b"\x00\xff", **headers))
    assert untyped.data == b"\x00\xff"
    (xml,) = received(request(b"<a/>", **headers, content_type="application/xml; charset=iso-8859-1"))
    assert (xml.data, xml.datacontenttype) == (b"<a/>", "application/xml; charset=iso-8859-1")


def test_unknown_extensions_are_kept_in_every_mode_and_other_headers_are_not() -> None:
    headers = {f"ce-{name}": text for name, text in ABOUT.items()}
    (event,) = received(
        request(b"", **headers, ce_comexampleextension1="x", ce_n="", authorization="secret", cookie="a")
    )
    assert event.extensions == {"comexampleextension1": "x", "n": ""}
    for form in (
        ce.from_structured(ce.to_structured(event), now=NOW),
        ce.from_batch(ce.to_batch([event]), now=NOW)[0],
        ce.from_headers(ce.to_headers(event), b"", now=NOW),
    ):
        assert form.extensions == event.extensions
