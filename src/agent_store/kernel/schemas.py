"""Contracts as documents: a JSON Schema an event, a JSON contract a tool, an AsyncAPI document of events.

`docs/contracts/` holds those of the whole store, a process answers with those of its own agents at `/contracts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from agent_store.kernel.event import Event
from agent_store.kernel.tool import Tool

_TOPICS = {
    "whatsapp": "what arrives from WhatsApp and what goes out to it",
    "chat": "conversations: turns, answers, customers, sessions, and people who take over",
    "catalog": "products, stock, prices",
    "order": "cart, order, payment, delivery",
}


def event_schema(kind: type[Event]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an event's data; `x-cloudevent` says where its attributes come from."""
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


def tool_contract(kind: type[Tool[Any]]) -> dict[str, Any]:
    """Name, meaning, JSON Schemas of arguments and result, and how it is called."""
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
        **({"plain": kind.plain.model_dump(mode="json", exclude_defaults=True)} if kind.plain is not None else {}),
    }


def asyncapi(kinds: Iterable[type[Event]]) -> dict[str, Any]:
    """An AsyncAPI 3 document: a channel a topic."""
    kinds = sorted(kinds, key=lambda kind: kind.event_type)
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
