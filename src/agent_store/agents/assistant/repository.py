"""The queue's queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import bindparam, func, select, update

from agent_store.agents.assistant.model import Escalation
from agent_store.agents.assistant.tables import escalations
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.ids import ConversationId
from agent_store.kernel.sql import insert

_ALL = select(escalations)
_LOCK = _ALL.where(escalations.c.id == bindparam("p_id")).with_for_update()
_OPEN_OF = _ALL.where(
    escalations.c.conversation_id == bindparam("p_conversation"), escalations.c.state != "resolved"
).with_for_update()
_HIGHEST = select(func.max(escalations.c.lease_token).label("token")).where(
    escalations.c.conversation_id == bindparam("p_conversation")
)
_QUEUE = (
    _ALL.where(escalations.c.state.in_(bindparam("p_states", expanding=True)))
    .order_by(escalations.c.urgency.desc(), escalations.c.opened_at, escalations.c.id)
    .limit(bindparam("p_limit"))
)
_RESOLVED = (
    _ALL.where(escalations.c.state == "resolved")
    .order_by(escalations.c.opened_at.desc(), escalations.c.id.desc())
    .limit(bindparam("p_limit"))
)
_NAMES = tuple(field.name for field in fields(Escalation))
_CHANGING = ("urgency", "state", "person", "lease_token", "unread", "outcome", "claimed_at", "resolved_at")
_ADD = insert(escalations)
_SAVE = (
    update(escalations)
    .where(escalations.c.id == bindparam("p_id"))
    .values({name: bindparam(f"p_{name}") for name in _CHANGING})
)


def _escalation(row: Row) -> Escalation:
    return Escalation(**{name: row[name] for name in _NAMES})


class Escalations(Repository):
    async def for_update(self, escalation_id: str) -> Escalation | None:
        """Locked until the transaction ends."""
        row = await self.db.first(_LOCK, {"p_id": escalation_id})
        return None if row is None else _escalation(row)

    async def open_of(self, conversation_id: ConversationId) -> Escalation | None:
        """The conversation's escalation that is not resolved, locked; there is at most one."""
        row = await self.db.first(_OPEN_OF, {"p_conversation": conversation_id})
        return None if row is None else _escalation(row)

    async def highest_token(self, conversation_id: ConversationId) -> int:
        """Of the leases that people have held of this conversation; 0 when nobody has."""
        row = await self.db.first(_HIGHEST, {"p_conversation": conversation_id})
        return (row["token"] or 0) if row is not None else 0

    async def queue(self, states: Sequence[str], limit: int) -> list[Escalation]:
        """High priority first, then the longest waiting."""
        rows = await self.db.all(_QUEUE, {"p_states": list(states), "p_limit": limit})
        return [_escalation(row) for row in rows]

    async def resolved(self, limit: int) -> list[Escalation]:
        """Newest first."""
        return [_escalation(row) for row in await self.db.all(_RESOLVED, {"p_limit": limit})]

    async def add(self, escalation: Escalation) -> None:
        await self.db.run(_ADD, {name: getattr(escalation, name) for name in _NAMES})

    async def save(self, escalation: Escalation) -> None:
        params = {f"p_{name}": getattr(escalation, name) for name in _CHANGING}
        await self.db.run(_SAVE, {**params, "p_id": escalation.id})
