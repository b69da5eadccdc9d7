"""CloudEvents as AMQP messages, binary and structured mode. Nothing is lost on the way: foreign data, unknown extensions.

Source: CloudEvents AMQP protocol binding 1.0.2. It is written for AMQP 1.0; on AMQP 0-9-1 its application properties are
the headers table, and `content-type` is the basic property of that name.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agent_store.kernel import cloudevents
from agent_store.kernel.cloudevents import STRUCTURED
from agent_store.kernel.errors import BadEvent
from agent_store.kernel.event import Envelope

PREFIX = "cloudEvents:"
"""Before each attribute's name in the headers."""

_ALSO = "cloudEvents_"  # the other spelling, of producers whose client takes no colon
_CUT = len(PREFIX)
_MEDIA = "application/cloudevents"


def to_binary(event: Envelope) -> tuple[dict[str, str], str | None]:
    """Headers and content type of the binary mode; the body is the event's data as it is."""
    headers = {PREFIX + name: value for name, value in cloudevents.attributes_of(event).items()}
    return headers, headers.pop(PREFIX + "datacontenttype", None)


def to_structured(event: Envelope) -> tuple[bytes, str]:
    """Body and content type of the structured mode.

    JSON data stands in it as a value only where reading gives the same bytes back; any other data as base64.
    """
    values = cloudevents.to_json(event)
    if "data" in values and _dump(values["data"]) != event.data:
        del values["data"]
        values["data_base64"] = base64.b64encode(event.data).decode()
    return _dump(values), STRUCTURED


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _text(name: str, value: Any) -> Any:
    """An attribute of one of the binding's native types in its canonical form."""
    if isinstance(value, datetime):
        return cloudevents.time_text(value)
    if isinstance(value, bytearray):  # a byte array; a string that is no UTF-8 arrives as bytes and is refused below
        return base64.b64encode(value).decode()
    if isinstance(value, bytes):
        raise BadEvent(f"{name}: is no UTF-8", attribute=name)
    return value


def from_binary(headers: Mapping[str, Any], content_type: str | None, body: bytes, *, now: datetime) -> Envelope:
    """Read the binary mode. Headers without the prefix are the broker's and are left aside. Raises BadEvent."""
    attributes: dict[str, Any] = {}
    for key, value in headers.items():
        if not key.startswith((PREFIX, _ALSO)):
            continue
        name = key[_CUT:]
        if name in ("data", "datacontenttype"):
            where = "the message's body" if name == "data" else "the property content-type"
            raise BadEvent(f"{key}: send it as {where}", attribute=name)
        if not isinstance(value, str):
            value = _text(name, value)
        if attributes.setdefault(name, value) != value:
            raise BadEvent(f"{name}: stands there twice, and not the same", attribute=name)
    if content_type:
        attributes["datacontenttype"] = content_type
    return cloudevents.from_attributes(attributes, body, now=now)


def from_message(
    headers: Mapping[str, Any] | None,
    content_type: str | None,
    body: bytes,
    *,
    now: datetime,
    content_encoding: str | None = None,
) -> Envelope:
    """Read a message in whichever mode its content type says. Raises BadEvent, also for what is no CloudEvent at all.

    `content_encoding` other than none, `identity` or `utf-8` (as some clients say for text) is refused: the data would
    be taken for something else than it is.
    """
    if content_encoding and content_encoding.lower() not in ("utf-8", "utf8", "identity"):
        raise BadEvent(f"content-encoding {content_encoding}: send the data as it is")
    headers = headers or {}
    if content_type and content_type[: len(_MEDIA)].lower() == _MEDIA:
        media = content_type.partition(";")[0].strip().lower()
        if media != STRUCTURED:
            raise BadEvent(f"content-type {media}: only {STRUCTURED} is understood")
        return cloudevents.from_structured(body, now=now)
    if PREFIX + "specversion" not in headers and _ALSO + "specversion" not in headers:
        raise BadEvent(f"no CloudEvent: send {PREFIX} headers (binary mode) or {STRUCTURED}")
    return from_binary(headers, content_type, body, now=now)


def http_headers(headers: Mapping[str, Any], content_type: str | None) -> dict[str, str]:
    """What a message says of its event in the names of the HTTP binding, as text, readable or not: for a dead letter."""
    said = {f"ce-{key[_CUT:]}": str(value) for key, value in headers.items() if key.startswith((PREFIX, _ALSO))}
    if content_type:
        said["content-type"] = content_type
    return said
