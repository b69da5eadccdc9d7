"""The seller's queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import bindparam, delete, select, tuple_

from agent_store.agents.seller.model import Finding, read_memory
from agent_store.agents.seller.tables import conversations, evidence, memories
from agent_store.kernel.context import Repository
from agent_store.kernel.sql import insert

_MEMORY = select(memories.c.memory).where(memories.c.customer_id == bindparam("p_customer"))
_put_memory = insert(memories)
_PUT_MEMORY = _put_memory.on_conflict_do_update(
    index_elements=[memories.c.customer_id],
    set_={"memory": _put_memory.excluded["memory"], "updated_at": _put_memory.excluded["updated_at"]},
)
_STANDING = select(conversations.c.token, conversations.c.misses, conversations.c.shown_cart).where(
    conversations.c.conversation_id == bindparam("p_conversation")
)
_put_standing = insert(conversations)
_PUT_STANDING = _put_standing.on_conflict_do_update(
    index_elements=[conversations.c.conversation_id],
    set_={name: _put_standing.excluded[name] for name in ("token", "misses", "shown_cart", "updated_at")},
)
_FINDINGS = (
    select(evidence.c.body)
    .where(
        evidence.c.conversation_id == bindparam("p_conversation"),
        evidence.c.valid_until > bindparam("p_now"),
        evidence.c.turn < bindparam("p_turn"),
    )
    .order_by(evidence.c.turn.desc(), evidence.c.position.desc())
    .limit(bindparam("p_most"))
)
_DROP_TURN = delete(evidence).where(
    evidence.c.conversation_id == bindparam("p_conversation"), evidence.c.turn == bindparam("p_turn")
)
_PUT_FINDING = insert(evidence)
_key = (evidence.c.conversation_id, evidence.c.turn, evidence.c.position)
_DROP_STALE = delete(evidence).where(
    tuple_(*_key).in_(
        select(*_key)
        .where(evidence.c.valid_until < bindparam("p_before"))
        .order_by(evidence.c.valid_until)
        .limit(bindparam("p_most"))
        .with_for_update(skip_locked=True)  # two sellers never wait for each other's sweeping
    )
)
SWEPT = 20
"""Stale findings that a turn sweeps out: more than a turn adds, so that the table stays as large as a day's talk."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a conversation goes. `token`: the lease token of the turn that was finished last."""

    token: int = -1
    misses: int = 0
    shown_cart: int | None = None


class Sellers(Repository):
    async def memory(self, customer_id: str) -> dict[str, Any]:
        row = await self.db.first(_MEMORY, {"p_customer": customer_id})
        return read_memory(row["memory"]) if row is not None else {}

    async def remember(self, customer_id: str, memory: dict[str, Any], at: datetime) -> None:
        values = {"customer_id": customer_id, "memory": to_json(memory).decode(), "updated_at": at}
        await self.db.run(_PUT_MEMORY, values)

    async def standing(self, conversation_id: str) -> Standing:
        row = await self.db.first(_STANDING, {"p_conversation": conversation_id})
        return Standing(row["token"], row["misses"], row["shown_cart"]) if row is not None else Standing()

    async def keep(self, conversation_id: str, customer_id: str, standing: Standing, at: datetime) -> None:
        values = {
            "conversation_id": conversation_id,
            "customer_id": customer_id,
            "token": standing.token,
            "misses": standing.misses,
            "shown_cart": standing.shown_cart,
            "updated_at": at,
        }
        await self.db.run(_PUT_STANDING, values)

    async def findings(self, conversation_id: str, *, before_turn: int, now: datetime, most: int) -> list[Finding]:
        """What tools gave in earlier turns and still holds, oldest first, the newest `most`.

        Of earlier turns only, so that a turn which is resumed after its end sees what it saw at first.
        """
        rows = await self.db.all(
            _FINDINGS, {"p_conversation": conversation_id, "p_now": now, "p_turn": before_turn, "p_most": most}
        )
        return [Finding.model_validate_json(row["body"]) for row in reversed(rows)]

    async def add_findings(self, conversation_id: str, turn: int, findings: Sequence[Finding]) -> None:
        """In place of what an earlier grant of the same turn has left."""
        await self.db.run(_DROP_TURN, {"p_conversation": conversation_id, "p_turn": turn})
        rows = [
            {
                "conversation_id": conversation_id,
                "turn": turn,
                "position": position,
                "source": finding.source,
                "body": finding.model_dump_json(exclude_defaults=True),
                "valid_until": finding.valid_until,
            }
            for position, finding in enumerate(findings)
        ]
        if rows:
            await self.db.many(_PUT_FINDING, rows)

    async def forget_stale(self, before: datetime) -> int:
        """Of any conversation, the oldest `SWEPT` first."""
        return await self.db.run(_DROP_STALE, {"p_before": before, "p_most": SWEPT})
