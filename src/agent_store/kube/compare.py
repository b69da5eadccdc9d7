"""Is what is live what is wanted? Fields that nobody here asked for (defaults, what controllers add) do not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from agent_store.kube.derived import Object, digest

RENDERED = "agent-store.dev/rendered"
"""Annotation: the hash of what was applied. A field that is no longer wanted is still live, and only this tells."""

_KEYS = ("name", "mountPath", "containerPort", "uid", "port")
_UNITS = {
    "m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30),
}  # fmt: skip


def stamped(wanted: Mapping[str, Any]) -> Object:
    """A copy with the annotation."""
    metadata = dict(wanted["metadata"])
    metadata["annotations"] = {**metadata.get("annotations", {}), RENDERED: digest(wanted)}
    return {**wanted, "metadata": metadata}


def settled(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Nothing is to be written: all of the (stamped) wanted object is live."""
    return difference(wanted, live) is None


def difference(wanted: Any, live: Any, path: str = "") -> str | None:
    """The path of the first field that is not as wanted; None when all are."""
    if isinstance(wanted, Mapping):
        return _of_mappings(cast("Mapping[str, Any]", wanted), live, path)
    if isinstance(wanted, (list, tuple)):
        return _of_lists(cast("Sequence[Any]", wanted), live, path)
    if wanted == live and isinstance(wanted, bool) == isinstance(live, bool):
        return None
    if isinstance(wanted, str) and isinstance(live, (str, int)) and ".resources." in path:
        return None if _quantity(wanted) == _quantity(str(live)) else path
    return path


def _of_mappings(wanted: Mapping[str, Any], live: Any, path: str) -> str | None:
    if not isinstance(live, Mapping):
        return path
    there = cast("Mapping[str, Any]", live)
    for name, value in wanted.items():
        if name not in there:
            if value in ("", 0, None) or value == [] or value == {}:
                continue  # the API leaves out what is empty
            return f"{path}.{name}"
        if (found := difference(value, there[name], f"{path}.{name}")) is not None:
            return found
    return None


def _of_lists(wanted: Sequence[Any], live: Any, path: str) -> str | None:
    if not isinstance(live, list):
        return path
    there = cast("list[Any]", live)
    key = _key_of(wanted)
    if key is None:
        if len(wanted) != len(there):
            return path
        for index, (one, other) in enumerate(zip(wanted, there, strict=True)):
            if (found := difference(one, other, f"{path}[{index}]")) is not None:
                return found
        return None
    by_key: dict[Any, Any] = {
        cast("Mapping[str, Any]", one).get(key): one for one in there if isinstance(one, Mapping)
    }  # others may have added some
    for one in wanted:
        if one[key] not in by_key:
            return f"{path}[{one[key]}]"
        if (found := difference(one, by_key[one[key]], f"{path}[{one[key]}]")) is not None:
            return found
    return None


def _key_of(wanted: Sequence[Any]) -> str | None:
    """The field by which the items of a list are told apart, as server-side apply does; None: by their place."""
    for key in _KEYS:
        if wanted and all(isinstance(one, Mapping) and key in one for one in wanted):
            values: list[Any] = [one[key] for one in wanted]
            if len(set(values)) == len(values):
                return key
    return None


def _quantity(text: str) -> Decimal | str:
    """`500m` and `0.5` are the same. What is no quantity is itself."""
    for length in (2, 1, 0):
        unit = text[len(text) - length :]
        if unit in _UNITS:
            try:
                return Decimal(text[: len(text) - length]) * _UNITS[unit]
            except InvalidOperation:
                return text
    return text
