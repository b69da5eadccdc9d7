"""Values of a JSON that may hold anything, read without complaint: what is not there as expected counts as not there."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any, cast

from pydantic_core import from_json

Json = dict[str, Any]


def decode(body: bytes) -> Any:
    """A JSON value in which every text can be stored. Raises ValueError when it is none, RecursionError when it is too deep."""
    try:
        value: Any = from_json(body)
    except ValueError:
        # The fast parser refuses half a surrogate pair, which a cut-off emoji leaves behind: the slow one takes it.
        return _mend(json.loads(body))
    return _mend(value) if b"\\u0000" in body else value


def _mend(value: Any) -> Any:
    """No database takes half a surrogate pair, and PostgreSQL takes no NUL: both become U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in cast(Json, value).items()}
    if isinstance(value, list):
        return [_mend(item) for item in cast("list[Any]", value)]
    return value


def mapping(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def ident(value: Any) -> str | None:
    """An id as text: some senders write numbers where the documentation has strings."""
    if isinstance(value, str):
        return value.strip().removeprefix("+") or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        real = float(value)
    except OverflowError:
        return None
    return real if math.isfinite(real) else None


_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z


def instant(value: Any) -> datetime | None:
    """Unix seconds, as text or number; None for what is no such thing."""
    digits = ident(value)
    if digits is None or len(digits) > 12 or not digits.isdecimal():
        return None
    seconds = int(digits)
    return datetime.fromtimestamp(seconds, UTC) if seconds <= _LAST_SECOND else None
