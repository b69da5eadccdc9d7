"""JSON schemas for kubeconform from what a cluster itself says of its kinds: its OpenAPI document and its CRDs.

Strict: a field that a schema does not know is an error, unless the kind keeps unknown fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LOCATION = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"
"""The files' names, as kubeconform's template. Its ResourceKind is in lower case, and its Group of the first kinds is `v1`."""
Schema = dict[str, Any]


def write(folder: Path, document: Mapping[str, Any], definitions: Iterable[Mapping[str, Any]]) -> int:
    """`document`: the answer of `/openapi/v2`; `definitions`: CustomResourceDefinitions. Returns how many kinds it wrote."""
    found = {**_own_kinds(document["definitions"]), **_added_kinds(definitions)}
    for name, schema in found.items():
        (folder / name).write_text(json.dumps(schema), "utf-8")
    return len(found)


def _file(group: str, version: str, kind: str) -> str:
    return f"{group or version}_{version}_{kind.lower()}.json"


def _own_kinds(definitions: Mapping[str, Any]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            needed = _reachable(name, definitions)
            found[_file(kind["group"], kind["version"], kind["kind"])] = {
                "$ref": f"#/definitions/{name}",
                "definitions": {one: _strict(definitions[one]) for one in needed},
            }
    return found


def _reachable(name: str, definitions: Mapping[str, Any]) -> set[str]:
    seen, waiting = set[str](), [name]
    while waiting:
        if (one := waiting.pop()) not in seen:
            seen.add(one)
            waiting += _references(definitions[one])
    return seen


def _references(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.rsplit("/", 1)[1]
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _added_kinds(definitions: Iterable[Mapping[str, Any]]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for definition in definitions:
        spec = definition["spec"]
        for version in spec["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            for name in ("apiVersion", "kind", "metadata"):
                if "properties" in schema:
                    schema["properties"][name] = {}  # the API server's own matter
            found[_file(spec["group"], version["name"], spec["names"]["kind"])] = schema
    return found


_MAPS = ("properties", "definitions")


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    schema = {
        key: {name: _strict(one) for name, one in value.items()} if key in _MAPS else _strict(value)
        for key, value in node.items()
        if not key.startswith("x-") and key not in ("description", "format", "default", "example", "nullable")
    }
    if node.get("nullable") and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if "properties" in schema and not node.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema
