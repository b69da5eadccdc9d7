"""Writes into values.schema.json what a LambdaAgent may say, from the model that its CRD is made of.

    python charts/agent-store/hack/values_schema.py [--check]

Only `definitions/agent` and `definitions/brand` are written; the rest of the file is kept by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_store.kube.crd import structural
from agent_store.kube.model import LambdaAgentSpec

FILE = Path(__file__).parent.parent / "values.schema.json"

_TEXT_OR_TREE = {"type": ["string", "object"], "description": "a catalogue file, as text or as YAML"}
_KEY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "key"],
    "properties": {"name": {"type": "string", "minLength": 1}, "key": {"type": "string", "minLength": 1}},
}


def agent() -> dict[str, Any]:
    """A block under `agents`: the spec of a LambdaAgent. Null takes the chart's own away."""
    schema = _closed(structural(LambdaAgentSpec, defaults=False))
    schema["properties"]["component"] = {"type": "string", "description": "its label app.kubernetes.io/component"}
    for part in (schema, *schema["properties"].values()):
        if part["type"] == "object":
            part["type"] = ["object", "null"]
    return schema


def brand() -> dict[str, Any]:
    """A block under `brands`: who the seller is, its texts, and whatever else of a LambdaAgent's spec."""
    spec = agent()["properties"]
    found = spec.pop("brand")
    for name in ("run", "sharedNumber", "component"):
        del spec[name]
    properties = {**found["properties"], **{name: {"$ref": f"#/definitions/agent/properties/{name}"} for name in spec}}
    del properties["id"]  # the block's key
    properties |= {
        "prompt": {"type": "string", "maxLength": 20_000, "description": "the persona, for a language model"},
        "promptFile": {"type": "string", "description": "the same, in a file of the chart"},
        "promptFrom": {**_KEY, "description": "the same, in a ConfigMap that is there already"},
        "catalog": _TEXT_OR_TREE,
        "catalogFile": {"type": "string", "description": "the same, in a file of the chart"},
        "catalogFrom": {**_KEY, "description": "the same, in a ConfigMap that is there already"},
    }
    return {
        "type": ["object", "null"],
        "description": "one brand and its seller",
        "required": [name for name in found["required"] if name != "id"],
        "additionalProperties": False,
        "properties": properties,
    }


def _closed(node: Any) -> Any:
    """Without what only Kubernetes understands; unknown fields are refused, so that a slip of the pen is seen."""
    if isinstance(node, list):
        return [_closed(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    found = {name: _closed(value) for name, value in node.items() if not name.startswith("x-kubernetes-")}
    if found.get("type") == "object" and isinstance(found.get("properties"), dict):
        found["additionalProperties"] = False
    return found


def schema_file(text: str) -> str:
    schema = json.loads(text)
    schema["definitions"] |= {"agent": agent(), "brand": brand()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    before = FILE.read_text("utf-8")
    after = schema_file(before)
    if "--check" in arguments:
        if before != after:
            print(f"{FILE.name} is stale: run python charts/agent-store/hack/values_schema.py", file=sys.stderr)
        return int(before != after)
    FILE.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
