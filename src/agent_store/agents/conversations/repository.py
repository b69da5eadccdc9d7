"""The queries of conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, bindparam, func, null, or_, select, update

from agent_store.agents.conversations.model import Conversation, Customer, Line, Told, statuses_before
from agent_store.agents.conversations.tables import conversations, customers, decisions, identities, messages, notices
from agent_store.contracts.chat import Decision, HistoryLine, Profile, TranscriptLine
from agent_store.contracts.common import Address, Language
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.sql import insert

IdentityKind = Literal["wa_id", "user_id", "web", "kiosk"]

# --- customers

_WHO = (
    select(
        identities.c.kind,
        identities.c.customer_id,
        customers.c.language,
        customers.c.name,
        customers.c.profile_name,
    )
    .join(customers, customers.c.id == identities.c.customer_id)
    .where(
        or_(
            and_(identities.c.kind == bindparam("p_kind"), identities.c.value == bindparam("p_value")),
            and_(identities.c.kind == bindparam("p_kind2"), identities.c.value == bindparam("p_value2")),
        )
    )
)
_CUSTOMER = select(customers).where(customers.c.id == bindparam("p_id"))
_CUSTOMER_LOCK = _CUSTOMER.with_for_update()
_ADD_CUSTOMER = insert(customers)
_LINK = insert(identities)
_PUT_LINK = _LINK.on_conflict_do_update(
    index_elements=["kind", "value"], set_={"customer_id": _LINK.excluded.customer_id}
)
_PROFILE_NAME = (
    update(customers)
    .where(customers.c.id == bindparam("p_id"))
    .values(profile_name=bindparam("p_name"), updated_at=bindparam("p_at"))
)
_LANGUAGE = (
    update(customers)
    .where(customers.c.id == bindparam("p_id"))
    .values(language=bindparam("p_language"), updated_at=bindparam("p_at"))
)
_REMEMBER = (
    update(customers)
    .where(customers.c.id == bindparam("p_id"))
    .values(
        name=bindparam("p_name"),
        address=bindparam("p_address"),
        delivery=bindparam("p_delivery"),
        pickup_location=bindparam("p_pickup_location"),
        updated_at=bindparam("p_at"),
    )
)


class Customers(Repository):
    async def known_as(self, values: Sequence[tuple[IdentityKind, str]]) -> dict[IdentityKind, Customer]:
        """Who goes by these (one or two) identities."""
        (kind, value), (kind2, value2) = values[0], values[-1]
        rows = await self.db.all(_WHO, {"p_kind": kind, "p_value": value, "p_kind2": kind2, "p_value2": value2})
        return {
            row["kind"]: Customer(CustomerId(row["customer_id"]), row["language"], row["name"], row["profile_name"])
            for row in rows
        }

    async def add(self, customer: Customer, at: datetime) -> None:
        await self.db.run(
            _ADD_CUSTOMER,
            {
                "id": customer.id,
                "name": customer.name,
                "profile_name": customer.profile_name,
                "language": customer.language,
                "created_at": at,
                "updated_at": at,
            },
        )

    async def link(self, customer_id: CustomerId, kind: IdentityKind, value: str, at: datetime) -> None:
        """This identity is this customer's from now on."""
        await self.db.run(_PUT_LINK, {"kind": kind, "value": value, "customer_id": customer_id, "created_at": at})

    async def set_profile_name(self, customer_id: CustomerId, name: str, at: datetime) -> None:
        await self.db.run(_PROFILE_NAME, {"p_id": customer_id, "p_name": name, "p_at": at})

    async def set_language(self, customer_id: CustomerId, language: Language, at: datetime) -> None:
        await self.db.run(_LANGUAGE, {"p_id": customer_id, "p_language": language, "p_at": at})

    async def profile(self, customer_id: CustomerId, *, lock: bool = False) -> Profile | None:
        row = await self.db.first(_CUSTOMER_LOCK if lock else _CUSTOMER, {"p_id": customer_id})
        if row is None:
            return None
        return Profile(
            customer_id=CustomerId(row["id"]),
            name=row["name"],
            address=None if row["address"] is None else Address.model_validate(row["address"]),
            delivery=row["delivery"],
            pickup_location=row["pickup_location"],
            language=row["language"],
        )

    async def remember(self, profile: Profile, at: datetime) -> None:
        await self.db.run(
            _REMEMBER,
            {
                "p_id": profile.customer_id,
                "p_name": profile.name,
                "p_address": None if profile.address is None else profile.address.model_dump(mode="json"),
                "p_delivery": profile.delivery,
                "p_pickup_location": profile.pickup_location,
                "p_at": at,
            },
        )


# --- conversations

_ALL = select(conversations)
_BY_ID = _ALL.where(conversations.c.id == bindparam("p_id"))
_LOCK = _BY_ID.with_for_update()
_BY_NUMBER = _ALL.where(
    conversations.c.customer_id == bindparam("p_customer"),
    conversations.c.channel == bindparam("p_channel"),
    conversations.c.number == bindparam("p_number"),
).with_for_update()
_LATEST = (
    _ALL.where(conversations.c.customer_id == bindparam("p_customer"))
    .order_by(conversations.c.heard_at.desc(), conversations.c.id.desc())
    .limit(1)
)
_LATEST_LOCK = _LATEST.with_for_update()
_ADD = insert(conversations)
_FIXED = frozenset({"id", "customer_id", "channel", "number", "created_at"})
_NAMES = tuple(field.name for field in fields(Conversation))
_SAVED = tuple(name for name in _NAMES if name not in _FIXED)
_SAVE = (
    update(conversations)
    .where(conversations.c.id == bindparam("p_id"))
    .values({name: bindparam(f"p_{name}") for name in _SAVED})
)
_OVERVIEW = select(
    *(
        conversations.c[name]
        for name in (
            "id", "customer_id", "brand", "channel", "language", "speaker", "person", "last_text", "last_at", "number",
        )
    ),
    func.coalesce(customers.c.name, customers.c.profile_name).label("customer_name"),
).join(customers, customers.c.id == conversations.c.customer_id)  # fmt: skip
_ONE = _OVERVIEW.where(conversations.c.id == bindparam("p_id"))
_ACTIVE = (
    _OVERVIEW.where(conversations.c.last_at < bindparam("p_before"))
    .order_by(conversations.c.last_at.desc(), conversations.c.id.desc())
    .limit(bindparam("p_limit"))
)
_ACTIVE_OF_SPEAKER = _ACTIVE.where(conversations.c.speaker == bindparam("p_speaker"))


def _conversation(row: Row) -> Conversation:
    return Conversation(**{name: row[name] for name in _NAMES})


class Conversations(Repository):
    async def find(self, conversation_id: ConversationId) -> Conversation | None:
        row = await self.db.first(_BY_ID, {"p_id": conversation_id})
        return None if row is None else _conversation(row)

    async def for_update(self, conversation_id: ConversationId) -> Conversation | None:
        """Locked until the transaction ends."""
        row = await self.db.first(_LOCK, {"p_id": conversation_id})
        return None if row is None else _conversation(row)

    async def at_number(self, customer_id: CustomerId, channel: str, number: str) -> Conversation | None:
        """Locked until the transaction ends."""
        row = await self.db.first(_BY_NUMBER, {"p_customer": customer_id, "p_channel": channel, "p_number": number})
        return None if row is None else _conversation(row)

    async def latest(self, customer_id: CustomerId, *, lock: bool = False) -> Conversation | None:
        """The conversation in which the customer wrote last."""
        row = await self.db.first(_LATEST_LOCK if lock else _LATEST, {"p_customer": customer_id})
        return None if row is None else _conversation(row)

    async def add(self, conversation: Conversation) -> None:
        await self.db.run(_ADD, {name: getattr(conversation, name) for name in _NAMES})

    async def save(self, conversation: Conversation) -> None:
        params: dict[str, Any] = {f"p_{name}": getattr(conversation, name) for name in _SAVED}
        params["p_id"] = conversation.id
        await self.db.run(_SAVE, params)

    async def overview(self, conversation_id: ConversationId) -> Row | None:
        return await self.db.first(_ONE, {"p_id": conversation_id})

    async def active(self, *, before: datetime, speaker: str | None, limit: int) -> Sequence[Row]:
        """Newest first."""
        params: dict[str, Any] = {"p_before": before, "p_limit": limit}
        if speaker is None:
            return await self.db.all(_ACTIVE, params)
        return await self.db.all(_ACTIVE_OF_SPEAKER, {**params, "p_speaker": speaker})


# --- messages

_ADD_MESSAGE = insert(messages)
_OF = messages.c.conversation_id == bindparam("p_conversation")
_WAITING = (
    select(messages.c.seq, messages.c.external_id, messages.c.kind, messages.c.text, messages.c.payload, messages.c.at)
    .where(_OF, messages.c.seq > bindparam("p_after"), messages.c.direction == "in", messages.c.turn.is_(None))
    .order_by(messages.c.seq)
    .limit(100)
)
_GIVE = update(messages).where(_OF, messages.c.seq == bindparam("p_seq")).values(turn=bindparam("p_turn"))
_RELEASE = (
    update(messages)
    .where(
        _OF, messages.c.seq >= bindparam("p_from"), messages.c.direction == "in", messages.c.turn == bindparam("p_turn")
    )
    .values(turn=None)
)
_STATUS = (
    update(messages)
    .where(messages.c.send_id == bindparam("p_send"), messages.c.status.in_(bindparam("p_from", expanding=True)))
    .values(status=bindparam("p_status"))
)
_TURN_BEGAN = select(func.min(messages.c.seq).label("seq")).where(
    _OF, messages.c.direction == "in", messages.c.turn == bindparam("p_turn")
)
_LAST = (
    select(
        messages.c.seq, messages.c.direction, messages.c.role, messages.c.author, messages.c.kind, messages.c.text,
        messages.c.payload, messages.c.at, messages.c.status,
    )
    .where(_OF, messages.c.seq < bindparam("p_before"))
    .order_by(messages.c.seq.desc())
    .limit(bindparam("p_limit"))
)  # fmt: skip
_LAST_SAID = _LAST.where(messages.c.text != "", messages.c.kind.not_in(("reaction", "system")))


class Messages(Repository):
    async def hear(self, conversation: Conversation, line: Line, author: str) -> None:
        await self.db.run(
            _ADD_MESSAGE,
            {
                "conversation_id": conversation.id,
                "seq": line.seq,
                "direction": "in",
                "turn": line.turn,
                "role": "customer",
                "author": author,
                "kind": line.kind,
                "text": line.text,
                "payload": line.payload,
                "external_id": line.external_id,
                "at": line.at,
            },
        )

    async def say(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await self.db.many(_ADD_MESSAGE, rows)

    async def waiting(self, conversation: Conversation) -> list[Line]:
        """The customer's messages that no turn has taken, oldest first, at most 100."""
        params = {"p_conversation": conversation.id, "p_after": conversation.given}
        return [
            Line(row["seq"], row["external_id"], row["kind"], row["text"], row["payload"], row["at"], None, stored=True)
            for row in await self.db.all(_WAITING, params)
        ]

    async def give(self, conversation: Conversation, lines: Sequence[Line]) -> None:
        """Write down which turn took which stored message."""
        await self.db.many(
            _GIVE,
            [
                {"p_conversation": conversation.id, "p_seq": line.seq, "p_turn": line.turn}
                for line in lines
                if line.stored
            ],
        )

    async def release(self, conversation: Conversation) -> int:
        """What the open turn was given waits again. Returns how many messages that are."""
        return await self.db.run(
            _RELEASE,
            {"p_conversation": conversation.id, "p_from": conversation.turn_from, "p_turn": conversation.turn},
        )

    async def advance(self, send_id: str, status: str) -> bool:
        """A send's status, forward only. False when it was as far already (or is unknown)."""
        params = {"p_send": send_id, "p_status": status, "p_from": statuses_before(status)}
        return await self.db.run(_STATUS, params) > 0

    async def began(self, conversation_id: ConversationId, turn: int) -> int | None:
        """`seq` of the first message of a turn."""
        row = await self.db.first(_TURN_BEGAN, {"p_conversation": conversation_id, "p_turn": turn})
        return None if row is None else row["seq"]

    async def history(self, conversation_id: ConversationId, *, before: int, limit: int) -> tuple[HistoryLine, ...]:
        """What was said before message `before`, oldest first; reactions and empty lines left out."""
        rows = await self.db.all(_LAST_SAID, {"p_conversation": conversation_id, "p_before": before, "p_limit": limit})
        return tuple(
            HistoryLine(role=row["role"], text=row["text"], payload=row["payload"], at=row["at"])
            for row in reversed(rows)
        )

    async def transcript(self, conversation_id: ConversationId, *, limit: int) -> tuple[TranscriptLine, ...]:
        rows = await self.db.all(_LAST, {"p_conversation": conversation_id, "p_before": 2**31 - 1, "p_limit": limit})
        return tuple(
            TranscriptLine(
                direction=row["direction"],
                role=row["role"],
                author=row["author"],
                kind=row["kind"],
                text=row["text"],
                at=row["at"],
                status=row["status"],
            )
            for row in reversed(rows)
        )


# --- notices and decisions

_TOLD = select(notices.c.key, notices.c.kind, notices.c.version).where(notices.c.order_id == bindparam("p_order"))
_TELL = insert(notices)
_HELD = (
    select(notices.c.key, notices.c.contents)
    .where(notices.c.conversation_id == bindparam("p_conversation"), notices.c.position.is_not(None))
    .order_by(notices.c.position)
)
_LET_GO = update(notices).where(notices.c.key == bindparam("p_key")).values(position=None, contents=null())
_DECIDE = insert(decisions)
_DECISIONS = (
    select(decisions)
    .where(decisions.c.conversation_id == bindparam("p_conversation"))
    .order_by(decisions.c.at.desc(), decisions.c.id.desc())
    .limit(bindparam("p_limit"))
)


class Notices(Repository):
    async def told(self, order_id: str) -> list[Told]:
        return [
            Told(row["key"], row["kind"], row["version"]) for row in await self.db.all(_TOLD, {"p_order": order_id})
        ]

    async def add(
        self,
        *,
        key: str,
        order_id: str,
        kind: str,
        version: int,
        conversation_id: ConversationId,
        at: datetime,
        position: int | None,
        contents: list[Any] | None,
    ) -> None:
        await self.db.run(
            _TELL,
            {
                "key": key,
                "order_id": order_id,
                "kind": kind,
                "version": version,
                "conversation_id": conversation_id,
                "position": position,
                "contents": contents,
                "at": at,
            },
        )

    async def take_held(self, conversation_id: ConversationId) -> list[list[Any]]:
        """What waited for the end of a turn, in the order it came; it waits no longer."""
        rows = await self.db.all(_HELD, {"p_conversation": conversation_id})
        await self.db.many(_LET_GO, [{"p_key": row["key"]} for row in rows])
        return [row["contents"] for row in rows]


class Decisions(Repository):
    async def note(
        self, id: str, conversation_id: ConversationId, cause: str, what: str, details: Mapping[str, Any], at: datetime
    ) -> None:
        await self.db.run(
            _DECIDE,
            {
                "id": id,
                "conversation_id": conversation_id,
                "cause": cause,
                "what": what,
                "details": dict(details),
                "at": at,
            },
        )

    async def of(self, conversation_id: ConversationId, limit: int) -> tuple[Decision, ...]:
        """The last ones, oldest first."""
        rows = await self.db.all(_DECISIONS, {"p_conversation": conversation_id, "p_limit": limit})
        return tuple(
            Decision(cause=row["cause"], what=row["what"], details=row["details"], at=row["at"])
            for row in reversed(rows)
        )
