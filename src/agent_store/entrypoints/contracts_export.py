"""Writes `docs/contracts/`: a JSON Schema an event, a JSON contract a tool, one AsyncAPI document of all events."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from agent_store import contracts
from agent_store.kernel.event import Event
from agent_store.kernel.event import registry as events
from agent_store.kernel.tool import Tool
from agent_store.kernel.tool import registry as tools

_TOPICS = {
    "whatsapp": "what arrives from WhatsApp and what goes out to it",
    "chat": "conversations: turns, answers, customers, sessions",
    "catalog": "products, stock, prices",
    "order": "cart, order, payment, delivery",
    "people": "human sellers: escalations and hand-over",
}


def load_all() -> None:
    """Import every contract module, so that the registries are complete."""
    for module in pkgutil.iter_modules(contracts.__path__):
        importlib.import_module(f"{contracts.__name__}.{module.name}")


def _event_schema(kind: type[Event]) -> dict[str, Any]:
    schema = kind.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": kind.schema_uri(),
        **schema,
        "x-cloudevent": _envelope(kind),
    }


def _envelope(kind: type[Event]) -> dict[str, str]:
    """Where the CloudEvents attributes of this type come from."""
    values = {"type": kind.event_type, "topic": kind.topic, "dataschema": kind.schema_uri()}
    for attribute, field in (
        ("subject", kind.subject_field),
        ("partitionkey", kind.partition_field),
        ("sequence", kind.sequence_field),
    ):
        if field:
            values[attribute] = f"data.{field}"
    return values


def _tool_contract(kind: type[Tool[Any]]) -> dict[str, Any]:
    return {
        "name": kind.tool_name,
        "agent": kind.tool_name.partition(".")[0],
        "description": kind.description(),
        "writes": kind.writes,
        "staff_only": kind.staff_only,
        "idempotency": "Idempotency-Key: the same key and arguments give the first result"
        if kind.writes
        else "reads only",
        "http": {"method": "POST", "path": f"/api/tools/{kind.tool_name}"},
        "arguments": kind.model_json_schema(),
        "result": kind.result_adapter.json_schema(mode="serialization"),
    }


def _asyncapi() -> dict[str, Any]:
    kinds = [events[name] for name in sorted(events)]
    references, definitions = models_json_schema(
        [(kind, "serialization") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    topics = sorted({kind.topic for kind in kinds})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Agent Store events",
            "version": "1",
            "description": "CloudEvents 1.0, binary mode by default. Extension attributes: topic, brand, channel, "
            "partitionkey, sequence, correlationid, causationid, traceparent, tracestate.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "description": _TOPICS.get(topic, topic),
                "messages": {
                    kind.event_type: {"$ref": f"#/components/messages/{kind.event_type}"}
                    for kind in kinds
                    if kind.topic == topic
                },
            }
            for topic in topics
        },
        "components": {
            "messages": {
                kind.event_type: {
                    "name": kind.event_type,
                    "summary": " ".join((kind.__doc__ or kind.__name__).split()),
                    "contentType": "application/json",
                    "payload": references[(kind, "serialization")],
                    "x-cloudevent": _envelope(kind),
                }
                for kind in kinds
            },
            "schemas": definitions.get("$defs", {}),
        },
    }


def render() -> dict[str, str]:
    """Path below `docs/contracts/` to content."""
    load_all()
    files = {f"events/{name}.schema.json": _event_schema(kind) for name, kind in events.items()}
    files |= {f"tools/{name}.json": _tool_contract(kind) for name, kind in tools.items()}
    files["asyncapi.json"] = _asyncapi()
    return {
        path: json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
        for path, value in sorted(files.items())
    }


def stale(folder: Path) -> list[str]:
    """What differs from the contracts in the code: missing, changed and left-over files."""
    wanted = render()
    found = {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*.json")}
    return sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))


def write(folder: Path) -> int:
    """Write all files and remove left-over ones; returns how many there are."""
    wanted = render()
    for path in folder.rglob("*.json") if folder.is_dir() else ():
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for path, text in wanted.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    return len(wanted)
