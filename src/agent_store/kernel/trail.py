"""What happened in a conversation, and why: events, handlings, steps and tool calls as a tree of causes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select

from agent_store.kernel.context import Row, Session
from agent_store.kernel.tables import inbox, outbox, steps

_ROOTS = (
    select(outbox.c.correlationid, outbox.c.id)
    .where(outbox.c.subject == bindparam("subject"))
    .order_by(outbox.c.seq.desc())
    .limit(bindparam("most"))
)
_EVENTS = (
    select(outbox)
    .where(or_(outbox.c.correlationid.in_(bindparam("ids", expanding=True)), outbox.c.id.in_(bindparam("ids", expanding=True))))
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
)  # fmt: skip
_INBOX = select(inbox).where(inbox.c.id.in_(bindparam("ids", expanding=True)))
_STEPS = select(steps).where(steps.c.id.in_(bindparam("ids", expanding=True))).order_by(steps.c.at)


@dataclass(slots=True)
class Node:
    """An event with who handled it (`handlings`), what they did (`steps`) and what it caused (`effects`)."""

    id: str
    source: str
    type: str
    at: datetime
    data: dict[str, Any]
    brand: str | None
    trace: str | None
    handlings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    effects: list[Node] = field(default_factory=list["Node"])

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "at": self.at.isoformat(),
            "brand": self.brand,
            "trace_id": self.trace[3:35] if self.trace else None,
            "data": self.data,
            "handlings": self.handlings,
            "effects": [effect.to_json() for effect in self.effects],
        }


async def trail(reader: Session, subject: str, *, turns: int = 200, most: int = 5000) -> list[Node]:
    """The trees of all that the last `turns` events about `subject` (a conversation's id) belong to, oldest first."""
    roots = await reader.all(_ROOTS, {"subject": subject, "most": turns})
    ids = sorted({row["correlationid"] or row["id"] for row in roots})
    events: list[Row] = []
    for start in range(0, len(ids), 200):
        events.extend(await reader.all(_EVENTS, {"ids": ids[start : start + 200], "most": most}))
    nodes: dict[str, Node] = {}
    for row in sorted(events, key=lambda event: event["seq"]):
        nodes[row["id"]] = Node(
            row["id"],
            row["source"],
            row["type"],
            row["time"],
            json.loads(row["data"]),
            row["brand"],
            row["traceparent"],
        )
    await _add_handlings(reader, nodes)
    tops: list[Node] = []
    for row in sorted(events, key=lambda event: event["seq"]):
        node, cause = nodes[row["id"]], row["causationid"]
        (nodes[cause].effects if cause in nodes and cause != row["id"] else tops).append(node)
    return tops


async def _add_handlings(reader: Session, nodes: dict[str, Node]) -> None:
    ids = list(nodes)
    for start in range(0, len(ids), 200):
        page = {"ids": ids[start : start + 200]}
        done: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in await reader.all(_STEPS, page):
            done.setdefault((row["consumer"], row["id"]), []).append(
                {
                    "step": row["name"],
                    "kind": row["kind"],
                    "result": json.loads(row["result"]),
                    "milliseconds": round(row["microseconds"] / 1000, 2),
                }
            )
        for row in await reader.all(_INBOX, page):
            nodes[row["id"]].handlings.append(
                {
                    "consumer": row["consumer"],
                    "state": row["state"],
                    "attempts": row["attempts"],
                    "error": row["error"],
                    "steps": done.get((row["consumer"], row["id"]), []),
                }
            )
