"""The queries of conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import and_, bindparam, delete, func, null, or_, select, update

from agent_store.agents.conversations.model import AWAITED, Conversation, Customer, Line, Told, statuses_before
from agent_store.agents.conversations.reading import (
    News,
    body_of,
    content_of,
    media_of,
    news_of,
    read_media,
    shown,
    stored_line,
)
from agent_store.agents.conversations.tables import (
    conversations,
    customers,
    decisions,
    early,
    identities,
    messages,
    notices,
)
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
_MOVE = (
    update(conversations)
    .where(
        conversations.c.customer_id == bindparam("p_customer"),
        conversations.c.channel == "whatsapp",
        conversations.c.address_kind == bindparam("p_kind"),
        conversations.c.address == bindparam("p_old"),
    )
    .values(address=bindparam("p_new"))
)
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

    async def move(self, customer_id: CustomerId, kind: Literal["phone", "user"], old: str, new: str) -> int:
        """The customer's conversations that were answered at `old` are answered at `new` from now on. How many."""
        return await self.db.run(_MOVE, {"p_customer": customer_id, "p_kind": kind, "p_old": old, "p_new": new})

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

NO_TURN = -2
"""No message has it."""
_ADD_MESSAGE = insert(messages)
_OF = messages.c.conversation_id == bindparam("p_conversation")
_LINE = tuple(
    messages.c[name]
    for name in (
        "conversation_id", "seq", "external_id", "kind", "text", "payload", "at", "turn", "content", "media", "quotes",
        "edited_at", "deleted_at",
    )
)  # fmt: skip
_WAITING = (
    select(*_LINE)
    .where(_OF, messages.c.seq > bindparam("p_after"), messages.c.direction == "in", messages.c.turn.is_(None))
    .order_by(messages.c.seq)
    .limit(100)
)
_HEARD = select(*_LINE).where(messages.c.external_id == bindparam("p_external"), messages.c.direction == "in").limit(1)
_NAMED = (
    select(messages.c.direction, messages.c.kind, messages.c.text, messages.c.content)
    .where(messages.c.external_id == bindparam("p_external"), _OF)
    .limit(1)
)
_QUOTING = select(*_LINE).where(_OF, messages.c.quotes == bindparam("p_external"), messages.c.direction == "in")
_AWAITED = (
    select(func.count().label("found"))
    .select_from(messages)
    .where(_OF, messages.c.turn == AWAITED, messages.c.seq != bindparam("p_seq"))
)
_REWRITE = (
    update(messages)
    .where(_OF, messages.c.seq == bindparam("p_seq"))
    .values(
        {
            name: bindparam(f"p_{name}")
            for name in ("turn", "text", "payload", "content", "media", "quotes", "edited_at", "deleted_at")
        }
    )
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
    .values(
        status=bindparam("p_status"),
        external_id=func.coalesce(messages.c.external_id, bindparam("p_external", type_=messages.c.external_id.type)),
    )
)
_ANSWERED = (
    select(messages.c.seq)
    .where(
        _OF, messages.c.direction == "out", messages.c.role.in_(("seller", "person")), messages.c.at > bindparam("p_at")
    )
    .limit(1)
)
_TURN_BEGAN = select(func.min(messages.c.seq).label("seq")).where(
    _OF, messages.c.direction == "in", messages.c.turn == bindparam("p_turn")
)
_LAST = (
    select(
        messages.c.seq, messages.c.direction, messages.c.role, messages.c.author, messages.c.kind, messages.c.text,
        messages.c.payload, messages.c.at, messages.c.status, messages.c.content, messages.c.media, messages.c.edited_at,
        messages.c.deleted_at,
    )
    .where(_OF)
    .order_by(messages.c.seq.desc())
    .limit(bindparam("p_limit"))
)  # fmt: skip
_LAST_SAID = _LAST.where(
    # Of a turn whose first message was understood late, also what was said after that one in earlier turns.
    or_(
        messages.c.seq < bindparam("p_before"),
        and_(messages.c.turn > 0, messages.c.turn < bindparam("p_turn")),
    ),
    or_(messages.c.turn.is_(None), messages.c.turn != bindparam("p_turn")),
    or_(messages.c.text != "", messages.c.kind.in_(("image", "order", "location"))),
    messages.c.kind.not_in(("reaction", "system")),
)


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
                "content": content_of(line),
                "media": media_of(line),
                "quotes": line.quotes,
                "edited_at": line.edited_at,
                "deleted_at": line.deleted_at,
                "at": line.at,
            },
        )

    async def say(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await self.db.many(_ADD_MESSAGE, rows)

    async def waiting(self, conversation: Conversation) -> list[Line]:
        """The customer's messages that no turn has taken, oldest first, at most 100."""
        params = {"p_conversation": conversation.id, "p_after": conversation.given}
        return [stored_line(row) for row in await self.db.all(_WAITING, params)]

    async def heard(self, external_id: str) -> tuple[ConversationId, Line] | None:
        """The customer's message of this channel id, and whose conversation it is in."""
        row = await self.db.first(_HEARD, {"p_external": external_id})
        return None if row is None else (ConversationId(row["conversation_id"]), stored_line(row))

    async def named(self, conversation_id: ConversationId, external_id: str) -> str:
        """What a message of either direction says; "" when this conversation has none of that id."""
        row = await self.db.first(_NAMED, {"p_conversation": conversation_id, "p_external": external_id})
        if row is None:
            return ""
        return shown(row["kind"], row["text"], row["content"]) if row["direction"] == "in" else row["text"]

    async def quoting(self, conversation_id: ConversationId, external_id: str) -> list[Line]:
        """The customer's messages that answer this one."""
        rows = await self.db.all(_QUOTING, {"p_conversation": conversation_id, "p_external": external_id})
        return [stored_line(row) for row in rows]

    async def awaited(self, conversation: Conversation, besides: Line) -> int:
        """How many other messages wait for their medium."""
        row = await self.db.first(_AWAITED, {"p_conversation": conversation.id, "p_seq": besides.seq})
        return 0 if row is None else row["found"]

    async def rewrite(self, conversation: Conversation, line: Line) -> None:
        """Put down what a stored message is now."""
        await self.db.run(
            _REWRITE,
            {
                "p_conversation": conversation.id,
                "p_seq": line.seq,
                "p_turn": line.turn,
                "p_text": line.text,
                "p_payload": line.payload,
                "p_content": content_of(line),
                "p_media": media_of(line),
                "p_quotes": line.quotes,
                "p_edited_at": line.edited_at,
                "p_deleted_at": line.deleted_at,
            },
        )

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

    async def advance(self, send_id: str, status: str, external_id: str | None = None) -> bool:
        """A send's status, forward only, and the channel's id of it. False when it was as far already (or is unknown)."""
        params = {
            "p_send": send_id, "p_status": status, "p_from": statuses_before(status), "p_external": external_id,
        }  # fmt: skip
        return await self.db.run(_STATUS, params) > 0

    async def answered_since(self, conversation_id: ConversationId, at: datetime) -> bool:
        """Has a seller or a person said anything after this moment?"""
        return await self.db.first(_ANSWERED, {"p_conversation": conversation_id, "p_at": at}) is not None

    async def began(self, conversation_id: ConversationId, turn: int) -> int | None:
        """`seq` of the first message of a turn."""
        row = await self.db.first(_TURN_BEGAN, {"p_conversation": conversation_id, "p_turn": turn})
        return None if row is None else row["seq"]

    async def history(
        self, conversation_id: ConversationId, *, before: int, limit: int, turn: int = NO_TURN
    ) -> tuple[HistoryLine, ...]:
        """What was said before message `before` (and in turns before `turn`), oldest first; reactions and empty lines
        left out."""
        params = {"p_conversation": conversation_id, "p_before": before, "p_turn": turn, "p_limit": limit}
        rows = await self.db.all(_LAST_SAID, params)
        lines = (
            HistoryLine(
                role=row["role"],
                text=row["text"],
                payload=row["payload"],
                beside=shown(row["kind"], "", row["content"]) if row["direction"] == "in" else "",
                at=row["at"],
            )
            for row in reversed(rows)
        )
        return tuple(line for line in lines if line.text or line.beside)

    async def transcript(self, conversation_id: ConversationId, *, limit: int) -> tuple[TranscriptLine, ...]:
        rows = await self.db.all(_LAST, {"p_conversation": conversation_id, "p_limit": limit})
        lines: list[TranscriptLine] = []
        for row in reversed(rows):
            media, problem = read_media(row["media"])
            lines.append(
                TranscriptLine(
                    direction=row["direction"],
                    role=row["role"],
                    author=row["author"],
                    kind=row["kind"],
                    text=_shown(row),
                    at=row["at"],
                    status=row["status"],
                    media=media,
                    media_problem=problem,
                    edited_at=row["edited_at"],
                    deleted_at=row["deleted_at"],
                )
            )
        return tuple(lines)


def _shown(row: Row) -> str:
    return shown(row["kind"], row["text"], row["content"]) if row["direction"] == "in" else row["text"]


# --- news of messages that are not here yet


_KEEP_EARLY = insert(early)
_EARLY = (
    select(early.c.type, early.c.body)
    .where(early.c.external_id == bindparam("p_external"))
    .order_by(early.c.at, early.c.event_id)
)
_TAKEN_UP = delete(early).where(early.c.external_id == bindparam("p_external"))
_STALE = delete(early).where(early.c.at < bindparam("p_before"))
EARLY_KEPT = timedelta(days=7)
"""How long news waits for its message. One that has not come by then was not written to this store."""


class Early(Repository):
    async def keep(self, event: News, event_id: str, at: datetime) -> None:
        await self.db.run(_STALE, {"p_before": at - EARLY_KEPT})
        values = {
            "external_id": event.wamid,
            "event_id": event_id,
            "type": event.event_type,
            "body": body_of(event),
            "at": at,
        }
        await self.db.run(_KEEP_EARLY, values)

    async def take(self, external_id: str) -> list[News]:
        """What came ahead of this message, in the order in which it came; it is not kept any longer."""
        rows = await self.db.all(_EARLY, {"p_external": external_id})
        if rows:
            await self.db.run(_TAKEN_UP, {"p_external": external_id})
        return [news_of(row["type"], row["body"]) for row in rows]


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
        contents: dict[str, Any] | None,
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

    async def take_held(self, conversation_id: ConversationId) -> list[dict[str, Any] | list[Any]]:
        """What waited for the end of a turn, in the order it came (see `speech.load`); it waits no longer."""
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
