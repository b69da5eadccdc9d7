"""The CustomResourceDefinition and its page in the docs, from the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

import yaml

from agent_store.kube.model import (
    GROUP,
    KIND,
    PLURAL,
    VERSION,
    LambdaAgentSpec,
    LambdaAgentStatus,
    Part,
)

_DROP = frozenset({"title", "additionalProperties", "const"})
_COLUMNS = (
    ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status", 0),
    ("Brand", "string", ".spec.brand.id", 0),
    ("Model", "string", ".spec.ai.model", 0),
    ("Replicas", "integer", ".status.replicas", 0),
    ("URL", "string", ".status.url", 0),
    ("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def definition() -> dict[str, Any]:
    """The CRD as an object."""
    schema = {
        "type": "object",
        "description": "One running agent: its image, brand, model, prompt, scaling and subscriptions.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 40, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"}},
            },
            "spec": structural(LambdaAgentSpec),
            "status": structural(LambdaAgentStatus, defaults=False),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "agent-store", "app.kubernetes.io/part-of": "agent-store"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "lambdaagent",
                "shortNames": ["la"],
                "categories": ["agent-store"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.scaling.minReplicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, **({"priority": level} if level else {})}
                        for name, kind, path, level in _COLUMNS
                    ],
                }
            ],
        },
    }


def structural(model: type[Part], *, defaults: bool = True) -> dict[str, Any]:
    """A structural schema (Kubernetes' part of OpenAPI v3) of a model, with its CEL rules."""
    raw = model.model_json_schema(by_alias=True)
    found = _convert(raw, raw.get("$defs", {}), _rules(model), defaults)
    found.pop("default", None)
    return found


def _rules(model: type[Part]) -> dict[str, list[dict[str, str]]]:
    """The CEL rules of a model and of all parts in it, by the class's name."""
    return {
        part.__name__: [{"rule": rule.rule, "message": rule.message} for rule in part.rules]
        for part in parts_of(model)
        if part.rules
    }


def parts_of(model: type[Part]) -> Iterator[type[Part]]:
    """The model and every part in it, each once."""
    seen: dict[type[Part], None] = {}

    def look(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, Part) and kind not in seen:
            seen[kind] = None
            for field in kind.model_fields.values():
                look(field.annotation)
        for inner in get_args(kind):
            look(inner)

    look(model)
    yield from seen


def _convert(
    node: Mapping[str, Any], definitions: Mapping[str, Any], rules: Mapping[str, Any], defaults: bool
) -> dict[str, Any]:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        merged = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
        return _convert({**merged, "title": name}, definitions, rules, defaults)
    if "anyOf" in node:  # `X | None`: an absent field
        (inner,) = (one for one in node["anyOf"] if one.get("type") != "null")
        outer = {key: value for key, value in node.items() if key not in ("anyOf", "default", "title")}
        found = _convert({**inner, **outer}, definitions, rules, defaults)
        if found.get("type") == "object":
            found.pop("default", None)  # what may be absent is not filled in
        return found
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key in _DROP or key.startswith("$"):
            continue
        if key == "properties":
            found[key] = {name: _convert(field, definitions, rules, defaults) for name, field in value.items()}
        elif key == "items":
            found[key] = _convert(value, definitions, rules, defaults)
            if found[key].get("type") == "object":
                found[key].pop("default", None)
        elif key == "default":
            if defaults and value is not None:
                found[key] = value
        else:
            found[key] = value
    if "const" in node:
        found["enum"] = [node["const"]]
    if isinstance(inner := node.get("additionalProperties"), dict):
        found["additionalProperties"] = _convert(cast("dict[str, Any]", inner), definitions, rules, defaults)
    elif patterns := node.get("patternProperties"):
        (inner,) = patterns.values()
        found["additionalProperties"] = _convert(inner, definitions, rules, defaults)
        found.pop("patternProperties")
    if "maxProperties" in found and "properties" in found:
        found.pop("maxProperties")
    found.pop("propertyNames", None)
    if node.get("title") in rules:
        found["x-kubernetes-validations"] = rules[node["title"]]
    if node.get("type") == "object" and defaults and _all_defaulted(found):
        # In full: the rules must hold for it as it stands.
        found["default"] = {name: field["default"] for name, field in found["properties"].items() if "default" in field}
    return found


def _all_defaulted(found: Mapping[str, Any]) -> bool:
    """Can an object that is not given be filled in by the API server?"""
    return "properties" in found and not found.get("required")


class _Dumper(yaml.SafeDumper):
    """Long sentences stay readable, and lists are indented as kubectl's are not, but linters want."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(*objects: Mapping[str, Any]) -> str:
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


HEADER = "# Generated by `agent-store crd export` from src/agent_store/kube/model.py: change that.\n"


def crd_file() -> str:
    return HEADER + to_yaml(definition())


def files() -> dict[str, str]:
    """What is generated from the model: path in the project to content."""
    return {"k8s/crds/lambdaagents.yaml": crd_file(), "docs/lambdaagent.md": page()}


# --- docs ----------------------------------------------------------------------------------------------------------------


def page() -> str:
    """docs/lambdaagent.md"""
    lines = [
        "# LambdaAgent",
        "",
        f"`apiVersion: {GROUP}/{VERSION}`, `kind: {KIND}`, short name `la`. One resource is one running agent.",
        "Generated from `src/agent_store/kube/model.py` by `agent-store crd export`; change that.",
        "",
    ]
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for name in ("spec", "status"):
        lines += [f"## {name}", "", "| field | type | default | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{path}` | {kind} | {default} | {meaning} |"
            for path, kind, default, meaning in _fields(name, schema[name])
        ]
        lines.append("")
    lines += ["## Refused by the API server", ""]
    lines += [f"- {sentence}" for sentence in _sentences(schema["spec"])]
    return "\n".join(lines).rstrip() + "\n"


def _fields(path: str, node: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in node.get("properties", {}).items():
        where = f"{path}.{name}"
        inner = field.get("items", {})
        kind = _kind(field)
        default = "" if field.get("default") in (None, "", {}, []) else f"`{field['default']}`"
        required = " (required)" if name in node.get("required", ()) else ""
        meaning = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
        yield where, kind + required, default, meaning
        if field.get("type") == "object":
            yield from _fields(where, field)
        elif inner.get("type") == "object":
            yield from _fields(f"{where}[]", inner)


def _kind(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " \\| ".join(f"`{one}`" if one != "" else '`""`' for one in field["enum"])
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_kind(field['additionalProperties'])}"
    return str(field.get("type", "any"))


def _sentences(node: Mapping[str, Any]) -> Iterator[str]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for field in node.get("properties", {}).values():
        yield from _sentences(field)
    yield from _sentences(node.get("items", {})) if node.get("type") == "array" else ()
