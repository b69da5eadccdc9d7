"""Queries of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ScalarSelect,
    Text,
    and_,
    bindparam,
    case,
    delete,
    literal_column,
    null,
    or_,
    select,
    text,
    update,
)

from agent_store.agents.whatsapp.model import Inbound, Revision, SendState, StatusUpdate
from agent_store.agents.whatsapp.tables import media, messages, news, optouts, sends, strays, uploads
from agent_store.contracts.whatsapp import (
    ChannelNews,
    MediaProblem,
    MessageKind,
    Purpose,
    UncertainSend,
    WhatsAppAccountUpdated,
    WhatsAppMediaDue,
    WhatsAppMessageSend,
)
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.sql import insert

_ADD_MESSAGE = insert(messages).on_conflict_do_nothing()
_UNSEEN = "unseen"
"""Kind of a message of which only an edit or the deletion has come so far."""
_CLAIM_MESSAGE = (
    update(messages)
    .where(
        messages.c.wamid == bindparam("p_wamid"),
        messages.c.phone_number_id == bindparam("p_phone_number_id"),
        messages.c.kind == _UNSEEN,
    )
    .values(
        sender=bindparam("p_sender"),
        kind=bindparam("p_kind"),
        raw=case((messages.c.deleted_at.is_(None), bindparam("p_raw", type_=Text())), else_=""),
        sent_at=bindparam("p_sent_at"),
        received_at=bindparam("p_received_at"),
    )
)
_MESSAGE_FATE = select(messages.c.kind, messages.c.edited, messages.c.deleted_at).where(
    messages.c.wamid == bindparam("p_wamid")
)
_REVISE_MESSAGE = insert(messages)
_SAME_NUMBER = and_(
    _REVISE_MESSAGE.excluded.phone_number_id == messages.c.phone_number_id, messages.c.deleted_at.is_(None)
)
# Edits of one second have no order that the platform tells: any will do, if it is the same at each delivery.
_EDIT_MESSAGE = _REVISE_MESSAGE.on_conflict_do_update(
    index_elements=["wamid"],
    set_={name: _REVISE_MESSAGE.excluded[name] for name in ("edited", "edited_at")},
    where=and_(
        _SAME_NUMBER,
        or_(
            messages.c.edited_at.is_(None),
            _REVISE_MESSAGE.excluded.edited_at > messages.c.edited_at,
            and_(
                _REVISE_MESSAGE.excluded.edited_at == messages.c.edited_at,
                _REVISE_MESSAGE.excluded.edited > messages.c.edited,
            ),
        ),
    ),
)
_DELETE_MESSAGE = _REVISE_MESSAGE.on_conflict_do_update(
    index_elements=["wamid"],
    set_={"raw": "", "edited": None, "deleted_at": _REVISE_MESSAGE.excluded.deleted_at},
    where=_SAME_NUMBER,
)
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
        as_template=bindparam("p_as_template"),
        pricing=bindparam("p_pricing"),
        tries=bindparam("p_tries"),
        fallback=bindparam("p_fallback"),
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
_DROP_FALLBACKS = (
    update(sends)
    .where(text("fallback IS NOT NULL"), sends.c.updated_at < bindparam("p_before"))
    .values(fallback=null())
)
_STRAYS = select(strays).where(strays.c.wamid == bindparam("p_wamid"))
_DROP_STRAYS = delete(strays).where(strays.c.wamid == bindparam("p_wamid"))
_CLAIMED_STRAYS = (
    select(strays.c.wamid).join(sends, sends.c.wamid == strays.c.wamid).distinct().limit(bindparam("p_limit"))
)
_DROP_OLD_STRAYS = delete(strays).where(strays.c.received_at < bindparam("p_before"))
_REFUSED_LATELY = (
    select(sends.c.send_id)
    .where(
        sends.c.customer_id == bindparam("p_customer_id"),
        sends.c.error_code == bindparam("p_error_code"),
        sends.c.updated_at > bindparam("p_since"),
    )
    .limit(1)
)
_ADD_OPTOUT = insert(optouts)
_PUT_OPTOUT = _ADD_OPTOUT.on_conflict_do_update(
    index_elements=["customer_id"],
    set_={name: _ADD_OPTOUT.excluded[name] for name in ("stopped", "at")},
    where=_ADD_OPTOUT.excluded.at >= optouts.c.at,
)


def _state_of(what: str) -> ScalarSelect[str]:
    return (
        select(news.c.state)
        .where(news.c.what == what, news.c.subject_id == bindparam("p_phone_number_id"))
        .scalar_subquery()
    )


# One look at all that decides how a message may go out. The receiving time bounds a sender's clock that runs ahead.
_GATE = select(
    select(messages.c.wamid)
    .where(
        messages.c.phone_number_id == bindparam("p_phone_number_id"),
        messages.c.sender == bindparam("p_sender"),
        messages.c.sent_at > bindparam("p_since"),
        messages.c.received_at > bindparam("p_since"),
        messages.c.kind.not_in(("system", _UNSEEN)),
    )
    .exists()
    .label("heard"),
    select(optouts.c.customer_id)
    .where(optouts.c.customer_id == bindparam("p_customer_id"), optouts.c.stopped)
    .exists()
    .label("opted_out"),
    _state_of("token").label("token"),
    _state_of("account").label("account"),
)
_NEWS_OF = select(news).where(news.c.what == bindparam("p_what"), news.c.subject_id == bindparam("p_subject_id"))
_ADD_NEWS = insert(news)
_NEWS_CHANGED = or_(*(_ADD_NEWS.excluded[name] != news.c[name] for name in ("state", "severity", "reason")))
_PUT_NEWS = _ADD_NEWS.on_conflict_do_update(
    index_elements=["what", "subject_id"],
    set_={name: _ADD_NEWS.excluded[name] for name in ("state", "severity", "reason", "at")},
    where=or_(_ADD_NEWS.excluded.at > news.c.at, and_(_ADD_NEWS.excluded.at == news.c.at, _NEWS_CHANGED)),
)
_LATEST_NEWS = (
    select(news)
    .order_by(
        case({"alert": 0, "warning": 1}, value=news.c.severity, else_=2), news.c.at.desc(), news.c.what,
        news.c.subject_id,
    )
    .limit(bindparam("p_limit"))
)  # fmt: skip
_ADD_MEDIUM = insert(media).on_conflict_do_nothing()
_MEDIUM = select(media).where(media.c.wamid == bindparam("p_wamid"))
_TAKEN_BACK = select(messages.c.wamid).where(
    messages.c.wamid == bindparam("p_wamid"), messages.c.deleted_at.is_not(None)
)
_KEEP_MEDIUM = (
    update(media)
    .where(media.c.wamid == bindparam("p_wamid"), media.c.state == "waiting")
    .values(
        state="kept",
        key=bindparam("p_key"),
        mime_type=bindparam("p_mime_type"),
        sha256=bindparam("p_sha256"),
        bytes=bindparam("p_bytes"),
        expires_at=bindparam("p_expires_at"),
    )
)
_REFUSE_MEDIUM = (
    update(media)
    .where(media.c.wamid == bindparam("p_wamid"), media.c.state == "waiting")
    .values(state="refused", problem=bindparam("p_problem"))
)
_END_MEDIUM = (
    update(media)
    .where(media.c.wamid == bindparam("p_wamid"), media.c.ended_at.is_(None))
    .values(ended_at=bindparam("p_now"))
)
_DELETE_MEDIUM = (
    update(media)
    .where(media.c.wamid == bindparam("p_wamid"), media.c.state.in_(("waiting", "kept")))
    .values(state="deleted", key=None, filename=None)
)
_MEDIUM_BY_KEY = (
    select(media)
    .where(media.c.key == bindparam("p_key"), media.c.state == "kept", media.c.expires_at > bindparam("p_now"))
    .limit(1)
)
# The states stand in the text, for the partial indexes.
_EXPIRED_MEDIA = (
    select(media)
    .where(media.c.state == literal_column("'kept'"), media.c.expires_at <= bindparam("p_now"))
    .order_by(media.c.expires_at)
    .limit(bindparam("p_limit"))
)
_UNTOLD_MEDIA = (
    select(media, messages.c.sender)
    .join(messages, messages.c.wamid == media.c.wamid)
    .where(media.c.ended_at.is_(None), media.c.created_at < bindparam("p_before"))
    .order_by(media.c.created_at)
    .limit(bindparam("p_limit"))
)
_UPLOAD = select(uploads.c.media_id).where(
    uploads.c.phone_number_id == bindparam("p_number"),
    uploads.c.source == bindparam("p_source"),
    uploads.c.expires_at > bindparam("p_now"),
)
_ADD_UPLOAD = insert(uploads)
_PUT_UPLOAD = _ADD_UPLOAD.on_conflict_do_update(
    index_elements=["phone_number_id", "source"],
    set_={name: _ADD_UPLOAD.excluded[name] for name in ("media_id", "expires_at")},
)
_DROP_UPLOAD = delete(uploads).where(
    uploads.c.phone_number_id == bindparam("p_number"), uploads.c.media_id == bindparam("p_media_id")
)
_DROP_OLD_UPLOADS = delete(uploads).where(uploads.c.expires_at <= bindparam("p_now"))


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

    async def claim(self, message: Inbound, *, sent_at: datetime, received_at: datetime) -> Fate | None:
        """Put a message into the row that its edit or deletion made before it came. None: there is no such row, so the
        message itself has been here before."""
        touched = await self.db.run(
            _CLAIM_MESSAGE,
            {
                "p_wamid": message.wamid,
                "p_phone_number_id": message.phone_number_id,
                "p_sender": message.sender,
                "p_kind": message.kind,
                "p_raw": message.raw,
                "p_sent_at": sent_at,
                "p_received_at": received_at,
            },
        )
        return await self._fate(message.wamid) if touched else None

    async def edit(self, revision: Revision, *, at: datetime, received_at: datetime) -> Fate | None:
        """Keep the newest words of a message. None when they are not: older than what is kept, the same again, or of a
        message that was taken back."""
        row = _revised(revision, at, received_at) | {"edited": revision.raw, "edited_at": at}
        return await self._fate(revision.wamid) if await self.db.run(_EDIT_MESSAGE, row) else None

    async def delete(self, revision: Revision, *, at: datetime, received_at: datetime) -> bool:
        """Forget what a message said. False when it has been forgotten before."""
        row = _revised(revision, at, received_at) | {"deleted_at": at}
        return await self.db.run(_DELETE_MESSAGE, row) > 0

    async def _fate(self, wamid: str) -> Fate:
        row = await self.db.first(_MESSAGE_FATE, {"p_wamid": wamid})
        assert row is not None  # noqa: S101 (written by the statement before)
        return Fate(seen=row["kind"] != _UNSEEN, edited=row["edited"], deleted=row["deleted_at"] is not None)


@dataclass(frozen=True, slots=True)
class Fate:
    """What has become of a message. `edited`: the JSON of its newest edit."""

    seen: bool
    """The message itself has come."""
    edited: str | None
    deleted: bool


def _revised(revision: Revision, at: datetime, received_at: datetime) -> dict[str, Any]:
    """The row of a message of which nothing else is known."""
    return {
        "wamid": revision.wamid,
        "phone_number_id": revision.phone_number_id,
        "sender": revision.sender,
        "kind": _UNSEEN,
        "raw": "",
        "sent_at": at,
        "received_at": received_at,
    }


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
        self.purpose: Purpose = row["purpose"]
        self.as_template: bool = row["as_template"]
        self.pricing: dict[str, Any] | None = row["pricing"]
        self.tries: int = row["tries"]
        self.fallback: dict[str, Any] | None = row["fallback"]


class Sends(Repository):
    async def add(
        self, command: WhatsAppMessageSend, state: SendState, now: datetime, *, as_template: bool = False
    ) -> bool:
        """Put a send in, as "attempting" with its first attempt marked or as "queued". False when it is known already."""
        fallback = None
        if command.template is not None and not as_template and command.content.kind not in ("template", "reaction"):
            instead = command.model_copy(update={"content": command.template, "template": None})
            fallback = instead.model_dump(mode="json")
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
                "purpose": command.purpose,
                "as_template": as_template,
                "fallback": fallback,
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
                "p_as_template": send.as_template,
                "p_pricing": send.pricing,
                "p_tries": send.tries,
                "p_fallback": send.fallback,
                "p_updated_at": now,
            },
        )

    async def forget_fallbacks(self, before: datetime) -> int:
        """Of what has long been taken: nothing will be said in its place any more."""
        return await self.db.run(_DROP_FALLBACKS, {"p_before": before})

    async def refused_lately(self, customer_id: CustomerId, code: int, since: datetime) -> bool:
        """Did a message to this customer end with this error since then?"""
        where = {"p_customer_id": customer_id, "p_error_code": code, "p_since": since}
        return await self.db.first(_REFUSED_LATELY, where) is not None

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
                "pricing": None if status.pricing is None else status.pricing.model_dump(mode="json"),
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


@dataclass(frozen=True, slots=True)
class Gate:
    """What decides how a message may go out now. `token`, `account`: the last news of its number, None without any."""

    heard: bool
    """The customer has written to this number since the asked time."""
    opted_out: bool
    token: str | None
    account: str | None


class Gates(Repository):
    async def look(self, phone_number_id: str, sender: str, customer_id: CustomerId, since: datetime) -> Gate:
        where = {
            "p_phone_number_id": phone_number_id,
            "p_sender": sender,
            "p_customer_id": customer_id,
            "p_since": since,
        }
        row = await self.db.first(_GATE, where)
        if row is None:
            raise LookupError("a select without a table has one row")
        return Gate(bool(row["heard"]), bool(row["opted_out"]), row["token"], row["account"])


class OptOuts(Repository):
    async def put(self, customer_id: CustomerId, at: datetime, *, stopped: bool) -> None:
        """The customer's last word stands, in whatever order their words arrive."""
        await self.db.run(_PUT_OPTOUT, {"customer_id": customer_id, "stopped": stopped, "at": at})


class News(Repository):
    async def of(self, what: str, subject_id: str) -> ChannelNews | None:
        row = await self.db.first(_NEWS_OF, {"p_what": what, "p_subject_id": subject_id})
        return None if row is None else ChannelNews(**row)

    async def put(self, update: WhatsAppAccountUpdated) -> bool:
        """Keep the last word on a subject. False when it is no news: older than what is kept, or the same again."""
        touched = await self.db.run(
            _PUT_NEWS,
            {
                "what": update.what,
                "subject_id": update.subject_id,
                "state": update.state,
                "severity": update.severity,
                "reason": update.reason,
                "at": update.at,
            },
        )
        return touched > 0

    async def latest(self, limit: int) -> tuple[ChannelNews, ...]:
        """Alerts first, then warnings; of each the newest first."""
        return tuple(ChannelNews(**row) for row in await self.db.all(_LATEST_NEWS, {"p_limit": limit}))


class Medium:
    """The medium of a customer's message."""

    def __init__(self, row: Row) -> None:
        self.wamid: str = row["wamid"]
        self.phone_number_id: str = row["phone_number_id"]
        self.kind: MessageKind = row["kind"]
        self.state: Literal["waiting", "kept", "refused", "deleted"] = row["state"]
        self.key: str | None = row["key"]
        self.filename: str | None = row["filename"]
        self.mime_type: str | None = row["mime_type"]
        self.sha256: str | None = row["sha256"]
        self.bytes: int | None = row["bytes"]
        self.expires_at: datetime | None = row["expires_at"]


class Media(Repository):
    async def begin(self, due: WhatsAppMediaDue, now: datetime) -> bool:
        """False when this message's medium has been begun before."""
        touched = await self.db.run(
            _ADD_MEDIUM,
            {
                "wamid": due.wamid,
                "media_id": due.media.id,
                "phone_number_id": due.phone_number_id,
                "kind": due.kind,
                "state": "waiting",
                "filename": due.media.filename,
                "created_at": now,
            },
        )
        return touched > 0

    async def get(self, wamid: str) -> Medium | None:
        row = await self.db.first(_MEDIUM, {"p_wamid": wamid})
        return None if row is None else Medium(row)

    async def is_taken_back(self, wamid: str) -> bool:
        return await self.db.first(_TAKEN_BACK, {"p_wamid": wamid}) is not None

    async def keep(self, wamid: str, *, key: str, mime_type: str, sha256: str, bytes: int, until: datetime) -> bool:
        """False when nobody waits for it any more."""
        touched = await self.db.run(
            _KEEP_MEDIUM,
            {
                "p_wamid": wamid, "p_key": key, "p_mime_type": mime_type, "p_sha256": sha256, "p_bytes": bytes,
                "p_expires_at": until,
            },
        )  # fmt: skip
        return touched > 0

    async def refuse(self, wamid: str, problem: MediaProblem) -> None:
        """What is kept or deleted stays so."""
        await self.db.run(_REFUSE_MEDIUM, {"p_wamid": wamid, "p_problem": problem})

    async def end(self, wamid: str, now: datetime) -> bool:
        """It is told now. False when it has been told before."""
        return await self.db.run(_END_MEDIUM, {"p_wamid": wamid, "p_now": now}) > 0

    async def delete(self, wamid: str) -> None:
        await self.db.run(_DELETE_MEDIUM, {"p_wamid": wamid})

    async def by_key(self, key: str, now: datetime) -> Medium | None:
        """What is kept under this key and has not expired."""
        row = await self.db.first(_MEDIUM_BY_KEY, {"p_key": key, "p_now": now})
        return None if row is None else Medium(row)

    async def expired(self, now: datetime, limit: int) -> Sequence[Medium]:
        return [Medium(row) for row in await self.db.all(_EXPIRED_MEDIA, {"p_now": now, "p_limit": limit})]

    async def untold(self, before: datetime, limit: int) -> Sequence[tuple[Medium, str]]:
        """Media of which nothing has been told, with their senders; begun before this time."""
        rows = await self.db.all(_UNTOLD_MEDIA, {"p_before": before, "p_limit": limit})
        return [(Medium(row), row["sender"]) for row in rows]


class Uploads(Repository):
    async def get(self, phone_number_id: str, source: str, now: datetime) -> str | None:
        """The id under which the platform has this content for this number."""
        row = await self.db.first(_UPLOAD, {"p_number": phone_number_id, "p_source": source, "p_now": now})
        return None if row is None else row["media_id"]

    async def put(self, phone_number_id: str, source: str, media_id: str, expires_at: datetime) -> None:
        await self.db.run(
            _PUT_UPLOAD,
            {"phone_number_id": phone_number_id, "source": source, "media_id": media_id, "expires_at": expires_at},
        )

    async def drop(self, phone_number_id: str, media_id: str) -> None:
        await self.db.run(_DROP_UPLOAD, {"p_number": phone_number_id, "p_media_id": media_id})

    async def drop_expired(self, now: datetime) -> None:
        await self.db.run(_DROP_OLD_UPLOADS, {"p_now": now})
