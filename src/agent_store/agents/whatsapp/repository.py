"""Queries of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, literal_column, select, update

from agent_store.agents.whatsapp.model import Inbound, SendState, StatusUpdate
from agent_store.agents.whatsapp.tables import messages, sends, strays
from agent_store.contracts.whatsapp import UncertainSend, WhatsAppMessageSend
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.sql import insert

_ADD_MESSAGE = insert(messages).on_conflict_do_nothing()
_ADD_SEND = insert(sends).on_conflict_do_nothing()
_ADD_STRAY = insert(strays).on_conflict_do_nothing()
_SEND = select(sends).where(sends.c.send_id == bindparam("p_send_id"))
_SEND_BY_WAMID = select(sends).where(sends.c.wamid == bindparam("p_wamid")).limit(1)
_SAVE_SEND = (
    update(sends)
    .where(sends.c.send_id == bindparam("p_send_id"))
    .values(
        state=bindparam("p_state"),
        attempts=bindparam("p_attempts"),
        attempted_at=bindparam("p_attempted_at"),
        wamid=bindparam("p_wamid"),
        error_code=bindparam("p_error_code"),
        error=bindparam("p_error"),
        updated_at=bindparam("p_updated_at"),
    )
)
# The state stands in the text: a bound value would keep SQLite from using the partial index.
_UNCERTAIN = (
    select(sends)
    .where(sends.c.state == literal_column("'uncertain'"))
    .order_by(sends.c.updated_at.desc())
    .limit(bindparam("p_limit"))
)
_STRAYS = select(strays).where(strays.c.wamid == bindparam("p_wamid"))
_DROP_STRAYS = delete(strays).where(strays.c.wamid == bindparam("p_wamid"))
_CLAIMED_STRAYS = (
    select(strays.c.wamid).join(sends, sends.c.wamid == strays.c.wamid).distinct().limit(bindparam("p_limit"))
)
_DROP_OLD_STRAYS = delete(strays).where(strays.c.received_at < bindparam("p_before"))


class Messages(Repository):
    async def add(self, message: Inbound, *, sent_at: datetime, received_at: datetime) -> bool:
        """False when this wamid has been here before."""
        touched = await self.db.run(
            _ADD_MESSAGE,
            {
                "wamid": message.wamid,
                "phone_number_id": message.phone_number_id,
                "sender": message.sender,
                "kind": message.kind,
                "raw": message.raw,
                "sent_at": sent_at,
                "received_at": received_at,
            },
        )
        return touched > 0


class Send:
    """A send's row, to be changed and saved."""

    def __init__(self, row: Row) -> None:
        self.send_id: str = row["send_id"]
        self.conversation_id = ConversationId(row["conversation_id"])
        self.customer_id = CustomerId(row["customer_id"])
        self.phone_number_id: str = row["phone_number_id"]
        self.state: SendState = row["state"]
        self.attempts: int = row["attempts"]
        self.attempted_at: datetime | None = row["attempted_at"]
        self.wamid: str | None = row["wamid"]
        self.error_code: int | None = row["error_code"]
        self.error: str | None = row["error"]


class Sends(Repository):
    async def add(self, command: WhatsAppMessageSend, state: SendState, now: datetime) -> bool:
        """Put a send in, as "attempting" with its first attempt marked or as "queued". False when it is known already."""
        attempted = state == "attempting"
        touched = await self.db.run(
            _ADD_SEND,
            {
                "send_id": command.send_id,
                "conversation_id": command.conversation_id,
                "customer_id": command.customer_id,
                "phone_number_id": command.phone_number_id,
                "number": command.number,
                "kind": command.content.kind,
                "state": state,
                "attempts": 1 if attempted else 0,
                "attempted_at": now if attempted else None,
                "created_at": now,
                "updated_at": now,
            },
        )
        return touched > 0

    async def get(self, send_id: str) -> Send | None:
        row = await self.db.first(_SEND, {"p_send_id": send_id})
        return None if row is None else Send(row)

    async def by_wamid(self, wamid: str) -> Send | None:
        row = await self.db.first(_SEND_BY_WAMID, {"p_wamid": wamid})
        return None if row is None else Send(row)

    async def save(self, send: Send, now: datetime) -> None:
        await self.db.run(
            _SAVE_SEND,
            {
                "p_send_id": send.send_id,
                "p_state": send.state,
                "p_attempts": send.attempts,
                "p_attempted_at": send.attempted_at,
                "p_wamid": send.wamid,
                "p_error_code": send.error_code,
                "p_error": send.error,
                "p_updated_at": now,
            },
        )

    async def uncertain(self, limit: int) -> tuple[UncertainSend, ...]:
        """Newest first."""
        return tuple(
            UncertainSend(
                send_id=row["send_id"],
                conversation_id=row["conversation_id"],
                customer_id=row["customer_id"],
                phone_number_id=row["phone_number_id"],
                attempted_at=row["attempted_at"] or row["created_at"],
                reason=row["error"] or "",
            )
            for row in await self.db.all(_UNCERTAIN, {"p_limit": limit})
        )


class Strays(Repository):
    async def keep(self, wamid: str, status: StatusUpdate, *, at: datetime, now: datetime) -> None:
        await self.db.run(
            _ADD_STRAY,
            {
                "wamid": wamid,
                "status": status.status,
                "at": at,
                "error_code": status.error_code,
                "error": status.error,
                "received_at": now,
            },
        )

    async def take(self, wamid: str) -> Sequence[Row]:
        """All that came for this wamid before it was known; they are gone from the table."""
        rows = await self.db.all(_STRAYS, {"p_wamid": wamid})
        if rows:
            await self.db.run(_DROP_STRAYS, {"p_wamid": wamid})
        return rows

    async def claimed(self, limit: int) -> Sequence[str]:
        """The wamids among them that a send has by now."""
        return [row["wamid"] for row in await self.db.all(_CLAIMED_STRAYS, {"p_limit": limit})]

    async def forget(self, before: datetime) -> int:
        return await self.db.run(_DROP_OLD_STRAYS, {"p_before": before})
