"""CloudEvents 1.0 on the wire: JSON structured and batch, HTTP binary. Strict: a bad event gets a sentence, not a guess.

Source: CloudEvents specification 1.0.2, its JSON event format and its HTTP protocol binding.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, cast
from urllib.parse import quote, unquote

from agent_store.kernel.errors import BadEvent
from agent_store.kernel.event import Envelope

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

_NAME = re.compile(r"[a-z0-9]{1,64}")
_CORE = ("specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype")
_TEXT = ("topic", "brand", "channel", "partitionkey", "correlationid", "causationid", "traceparent", "tracestate")
_KNOWN = frozenset((*_CORE, "sequence", *_TEXT))
_NEVER_EMPTY = ("subject", "dataschema", "datacontenttype", *_TEXT)
_URI = re.compile(r"""[^\s<>"{}|\\^`]+""")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_MEDIA = re.compile(r"""[^\s/;,"]+/[^\s/;,"]+\s*(;.*)?""")
_SEQUENCE = re.compile(r"[0-9]{1,18}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


def time_text(time: datetime) -> str:
    """RFC 3339 in UTC, microseconds: what `time` looks like on the wire."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _time(value: object) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise BadEvent(f"time: {value!r} is no RFC 3339 time like 2026-01-05T12:00:00Z", attribute="time")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadEvent(f"time: {value!r}: {error}", attribute="time") from error


@lru_cache(maxsize=1024)  # sources and schemas are few
def _is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def _is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media.endswith("+json") or media.endswith("/json")


def _check_text(name: str, value: str) -> str:
    for char in value:
        code = ord(char)
        if code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF or (code & 0xFFFE) == 0xFFFE:
            raise BadEvent(f"{name}: U+{code:04X} is not allowed in an attribute", attribute=name)
    return value


def _odd(name: str, value: object) -> str | None:
    """An attribute that is no string."""
    if not _NAME.fullmatch(name):
        raise BadEvent(f"{name!r} is no attribute name: lower-case letters and digits only", attribute=name)
    if value is None:
        return None
    if name in _CORE:
        raise BadEvent(f"{name}: a string is expected, not {type(value).__name__}", attribute=name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**31) <= value < 2**31:
            raise BadEvent(f"{name}: {value} does not fit a CloudEvents integer (32 bits)", attribute=name)
        return str(value)
    raise BadEvent(f"{name}: an attribute is a string, an integer or a boolean", attribute=name)


def from_attributes(attributes: Mapping[str, Any], data: bytes, *, now: datetime) -> Envelope:
    """Build an envelope from attributes as strings (or JSON booleans and integers) and the data's bytes.

    `now` fills a missing `time`. Raises BadEvent that names the attribute.
    """
    version = attributes.get("specversion")
    if version != "1.0":
        raise BadEvent(f"specversion: {version!r} is not supported; send 1.0", attribute="specversion")
    values: dict[str, str] = {}
    for name, value in attributes.items():
        if isinstance(value, str):  # nearly always, as a known name is: this is read for every event
            if name not in _KNOWN and not _NAME.fullmatch(name):
                raise BadEvent(f"{name!r} is no attribute name: lower-case letters and digits only", attribute=name)
            values[name] = value if value.isascii() and value.isprintable() else _check_text(name, value)
        elif (text := _odd(name, value)) is not None:
            values[name] = text
    for name in ("id", "source", "type"):
        if not values.get(name):
            raise BadEvent(f"{name}: is required and must not be empty", attribute=name)
    for name in _NEVER_EMPTY if "" in values.values() else ():
        if values.get(name) == "":
            raise BadEvent(f"{name}: leave it out or give it a value, it must not be empty", attribute=name)
    if not _is_uri(values["source"]):
        raise BadEvent(f"source: {values['source']!r} is no URI reference like /agent-store/orders", attribute="source")
    schema, content_type = values.get("dataschema"), values.get("datacontenttype", "application/json")
    if schema is not None and not (_SCHEME.match(schema) and _is_uri(schema)):
        raise BadEvent(f"dataschema: {schema!r} is no absolute URI", attribute="dataschema")
    if content_type != "application/json" and not _MEDIA.fullmatch(content_type):
        raise BadEvent(f"datacontenttype: {content_type!r} is no media type like application/json",
                       attribute="datacontenttype")  # fmt: skip
    sequence: int | None = None
    if "sequence" in values:
        if not _SEQUENCE.fullmatch(values["sequence"]):
            raise BadEvent(
                f"sequence: {values['sequence']!r} is no whole number from 0 with at most 18 digits",
                attribute="sequence",
            )
        sequence = int(values["sequence"])
    return Envelope(
        id=values["id"],
        source=values["source"],
        type=values["type"],
        time=_time(values["time"]) if "time" in values else now,
        data=data,
        subject=values.get("subject"),
        dataschema=schema,
        datacontenttype=content_type,
        sequence=sequence,
        extensions={name: value for name, value in values.items() if name not in _KNOWN},
        **{name: values.get(name) for name in _TEXT},  # type: ignore[arg-type]  # eight str | None fields by name
    )


def attributes_of(event: Envelope) -> dict[str, str]:
    """All context attributes as strings, without those that are absent."""
    values: dict[str, str] = {
        **event.extensions,
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": time_text(event.time),
    }
    if event.subject is not None:
        values["subject"] = event.subject
    if event.dataschema is not None:
        values["dataschema"] = event.dataschema
    if event.data or event.datacontenttype != "application/json":
        values["datacontenttype"] = event.datacontenttype
    if event.sequence is not None:
        values["sequence"] = str(event.sequence)
    for name in _TEXT:
        value: str | None = getattr(event, name)
        if value is not None:
            values[name] = value
    return values


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _parse(text: str | bytes) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _dump(value: object) -> bytes:
    """Raises ValueError for what JSON or UTF-8 cannot say (a number without end, half a surrogate pair)."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def to_json(event: Envelope) -> dict[str, Any]:
    """The JSON event format: JSON data as a value; anything else, broken JSON and a bare null too, as `data_base64`."""
    values: dict[str, Any] = dict(attributes_of(event))
    if not event.data:
        return values
    value = _value(event.data) if _is_json(event.datacontenttype) else None
    if value is None:
        values["data_base64"] = base64.b64encode(event.data).decode()
    else:
        values["data"] = value
    return values


def _value(data: bytes) -> Any:
    """JSON data as a value that can be written again; None when it is none."""
    try:
        value = _parse(data)
        _dump(value)
    except (ValueError, RecursionError):
        return None
    return value


def to_structured(event: Envelope) -> bytes:
    return _dump(to_json(event))


def to_batch(events: list[Envelope]) -> bytes:
    return _dump([to_json(event) for event in events])


def from_json(value: object, *, now: datetime) -> Envelope:
    """Read one event in the JSON event format. Raises BadEvent."""
    if not isinstance(value, dict):
        raise BadEvent("an event is a JSON object")
    fields = dict(cast("dict[str, Any]", value))
    has_data, has_base64 = fields.get("data") is not None, fields.get("data_base64") is not None
    data_value, encoded = fields.pop("data", None), fields.pop("data_base64", None)
    if has_data and has_base64:
        raise BadEvent("data and data_base64 exclude each other", attribute="data")
    data = b""
    if has_base64:
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise BadEvent("data_base64: is not base64", attribute="data_base64") from error
    elif has_data:
        content_type = fields.get("datacontenttype", "application/json")
        if isinstance(data_value, str) and isinstance(content_type, str) and not _is_json(content_type):
            data = _encode(data_value.encode)
        else:
            data = _encode(partial(_dump, data_value))
    return from_attributes(fields, data, now=now)


def _encode(encode: Callable[[], bytes]) -> bytes:
    try:
        return encode()
    except (ValueError, RecursionError) as error:
        raise BadEvent(f"data: cannot be written as JSON in UTF-8: {error}", attribute="data") from error


def _load(body: bytes) -> object:
    try:
        return _parse(body)
    except (ValueError, RecursionError) as error:
        raise BadEvent(f"the body is no JSON: {error}") from error


def from_structured(body: bytes, *, now: datetime) -> Envelope:
    return from_json(_load(body), now=now)


def from_batch(body: bytes, *, now: datetime) -> list[Envelope]:
    """Read a batch; one bad event refuses the whole batch and is named by its position."""
    values = _load(body)
    if not isinstance(values, list):
        raise BadEvent("a batch is a JSON array of events")
    events: list[Envelope] = []
    for index, value in enumerate(cast("list[object]", values)):
        try:
            events.append(from_json(value, now=now))
        except BadEvent as error:
            refusal = BadEvent(f"event {index} of the batch: {error.message}")
            refusal.details = {**error.details, "index": index}
            raise refusal from error
    return events


_UNESCAPED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_PLAIN = re.compile(r"[!#$&-~]*")
"""Those alone: what most values are, and `quote` is slow."""


def to_headers(event: Envelope) -> dict[str, str]:
    """HTTP binary mode: `ce-` headers, percent-encoded as the binding says, and `content-type` when there is data."""
    headers: dict[str, str] = {}
    for name, value in attributes_of(event).items():
        if name == "datacontenttype":
            headers["content-type"] = value
        else:
            headers[f"ce-{name}"] = value if _PLAIN.fullmatch(value) else quote(value, safe=_UNESCAPED)
    return headers


def from_headers(headers: Mapping[str, str], body: bytes, *, now: datetime) -> Envelope:
    """Read HTTP binary mode. `headers` has lower-case names. Raises BadEvent."""
    attributes: dict[str, Any] = {}
    for name, value in headers.items():
        if not name.startswith("ce-"):
            continue
        if name == "ce-data":
            raise BadEvent("ce-data: data is no attribute, send it as the body", attribute="data")
        text = value.strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        try:
            attributes[name[3:]] = unquote(text, errors="strict")
        except UnicodeDecodeError as error:
            raise BadEvent(f"{name}: is no percent-encoded UTF-8", attribute=name[3:]) from error
    if "content-type" in headers:
        attributes["datacontenttype"] = headers["content-type"]
    return from_attributes(attributes, body, now=now)


def from_http(headers: Mapping[str, str], body: bytes, *, now: datetime) -> list[Envelope]:
    """Read a request in whichever mode its content type says. Raises BadEvent when it is no CloudEvent at all."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == BATCH:
        return from_batch(body, now=now)
    if media == STRUCTURED:
        return [from_structured(body, now=now)]
    if media.startswith("application/cloudevents"):
        raise BadEvent(f"content-type {media}: only {STRUCTURED} and {BATCH} are understood")
    if "ce-specversion" not in headers:
        raise BadEvent(f"no CloudEvent: send ce- headers (binary mode), {STRUCTURED} or {BATCH}")
    return [from_headers(headers, body, now=now)]
