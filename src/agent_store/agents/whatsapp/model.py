"""Pure reading of a webhook body, and the forward-only life of a send. No I/O.

Source of the shapes: WhatsApp Business Cloud API, "Webhooks" (messages and statuses) and "Business-scoped user IDs".
Whatever arrives signed is read without complaint: what is not understood becomes kind "unsupported", what is no
message at all is counted in `Delivery.oddities`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

from pydantic_core import from_json, to_json

from agent_store.contracts.whatsapp import InboundContent, InboundMedia, MessageKind
from agent_store.kernel.errors import PermanentError
from agent_store.kernel.privacy import redact_cards

Json = dict[str, Any]

SendState = Literal["queued", "attempting", "doubtful", "uncertain", "sent", "delivered", "read", "failed"]
StatusWord = Literal["sent", "delivered", "read", "failed"]


class BadDelivery(PermanentError):
    """The body is not a JSON object, so nothing of it can be kept."""

    code = "bad-delivery"
    status = 400


@dataclass(slots=True)  # not frozen: that makes eleven fields cost as much as reading them
class Inbound:
    """One message of a customer. `sender` is "" when the delivery does not say who wrote, `sent_at` None when not when.

    `raw` is the message's JSON as it came, with card numbers taken out.
    """

    wamid: str
    phone_number_id: str
    sender: str
    wa_id: str | None
    user_id: str | None
    profile_name: str | None
    kind: MessageKind
    content: InboundContent
    context_wamid: str | None
    sent_at: datetime | None
    raw: str
    hasty: bool = False
    """Over the limit of messages a customer."""


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """How far a send got. `send_id` is our `biz_opaque_callback_data`; at least one of it and `wamid` is there."""

    phone_number_id: str
    wamid: str | None
    send_id: str | None
    status: StatusWord
    at: datetime | None
    error_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error that the platform reports about the account or a number, not about one send."""

    phone_number_id: str
    code: int | None
    text: str


@dataclass(slots=True)
class Delivery:
    """All that one webhook call brought. `other_fields`: names of changes that are no messages (account, templates).

    `oddities` counts the parts that had an unexpected shape and carried no message.
    """

    messages: list[Inbound] = field(default_factory=list[Inbound])
    statuses: list[StatusUpdate] = field(default_factory=list[StatusUpdate])
    complaints: list[Complaint] = field(default_factory=list[Complaint])
    other_fields: list[str] = field(default_factory=list[str])
    oddities: int = 0

    def numbers(self) -> set[str]:
        """Every phone number id that it speaks of."""
        return {part.phone_number_id for part in (*self.messages, *self.statuses, *self.complaints)}


# --- reading ---------------------------------------------------------------------------------------------------------


def parse(body: bytes) -> Delivery:
    """Read a webhook body. Raises BadDelivery when it is not a JSON object."""
    try:
        root: Any = _decode(body)
        if not isinstance(root, dict):
            raise BadDelivery("the body of a webhook is a JSON object")
        delivery = Delivery()
        _read_root(cast(Json, root), delivery)
    except RecursionError as error:
        raise BadDelivery("the body is nested too deep") from error
    return delivery


def _decode(body: bytes) -> Any:
    try:
        value: Any = from_json(body)
    except ValueError:
        # The fast parser refuses half a surrogate pair, which a cut-off emoji leaves behind: the slow one takes it.
        try:
            value = _mend(json.loads(body))
        except ValueError as error:
            raise BadDelivery("the body is not JSON") from error
    else:
        if b"\\u0000" in body:
            value = _mend(value)
    return value


def _mend(value: Any) -> Any:
    """No database takes half a surrogate pair, and PostgreSQL takes no NUL: both become U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in cast(Json, value).items()}
    if isinstance(value, list):
        return [_mend(item) for item in cast("list[Any]", value)]
    return value


def _read_root(root: Json, delivery: Delivery) -> None:
    for entry in _objects(root.get("entry"), delivery):
        for change in _objects(entry.get("changes"), delivery):
            name = change.get("field")
            if isinstance(name, str) and name != "messages":
                delivery.other_fields.append(name[:64])
                continue
            value = change.get("value")
            if isinstance(value, dict):
                _read_value(cast(Json, value), delivery)
            else:
                delivery.oddities += 1


def _read_value(value: Json, delivery: Delivery) -> None:
    number = _ident(_object(value.get("metadata")).get("phone_number_id")) or ""
    messages = _objects(value.get("messages"), delivery)
    if messages:
        contacts = _objects(value.get("contacts"), delivery)
        for message in messages:
            delivery.messages.append(_read_message(message, contacts, number))
    for status in _objects(value.get("statuses"), delivery):
        update = _read_status(status, number)
        if update is None:
            delivery.oddities += 1
        else:
            delivery.statuses.append(update)
    for error in _objects(value.get("errors"), delivery):
        delivery.complaints.append(Complaint(number, *_read_error(error)))


def _read_message(message: Json, contacts: list[Json], number: str) -> Inbound:
    wa_id, user_id, name = _read_sender(message, contacts)
    kind, content = _read_content(message)
    raw = to_json(without_cards(message)).decode()
    wamid = _ident(message.get("id"))
    if wamid is None:
        # Nothing to know a repeated delivery by: the message's own bytes have to do.
        wamid = "none." + hashlib.sha256(f"{number}\n{raw}".encode()).hexdigest()
    context = _object(message.get("context"))
    reaction = _object(message.get("reaction"))
    return Inbound(
        wamid=wamid,
        phone_number_id=number,
        sender=wa_id or user_id or "",
        wa_id=wa_id,
        user_id=user_id,
        profile_name=name,
        kind=kind,
        content=content,
        context_wamid=_ident(context.get("id")) or _ident(reaction.get("message_id")),
        sent_at=_instant(message.get("timestamp")),
        raw=raw,
    )


_SCOPED = re.compile(r"[A-Z]{2}\.(?:ENT\.)?\w+")


def _read_sender(message: Json, contacts: list[Json]) -> tuple[str | None, str | None, str | None]:
    """Phone number (WhatsApp id), business-scoped user id and profile name; each may be absent."""
    wa_id = _ident(message.get("from"))
    user_id = _ident(message.get("from_user_id"))
    if wa_id is not None and not wa_id.isdecimal() and _SCOPED.fullmatch(wa_id):
        wa_id, user_id = None, user_id or wa_id
    for contact in contacts:
        its_phone, its_user = _ident(contact.get("wa_id")), _ident(contact.get("user_id"))
        ours = (its_phone is not None and its_phone == wa_id) or (its_user is not None and its_user == user_id)
        if ours or len(contacts) == 1:
            profile = _object(contact.get("profile"))
            name = _text(profile.get("name")).strip() or _text(profile.get("username")).strip()
            return wa_id or its_phone, user_id or its_user, redact_cards(name) or None
    return wa_id, user_id, None


def _read_content(message: Json) -> tuple[MessageKind, InboundContent]:
    kind = message.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    content = None
    if reader is not None and not message.get("errors"):
        content = reader(message)
    if content is None or reader is None:
        name = _text(_object(message.get("unsupported")).get("type")) or (_text(kind) if kind != "unsupported" else "")
        return "unsupported", InboundContent(unsupported_type=redact_cards(name[:64]) or "unknown")
    return cast(MessageKind, kind), content


def _text_of(message: Json) -> InboundContent | None:
    body = _object(message.get("text")).get("body")
    return InboundContent(text=redact_cards(body)) if isinstance(body, str) else None


def _medium_of(kind: str) -> Callable[[Json], InboundContent | None]:
    def read(message: Json) -> InboundContent | None:
        medium = _object(message.get(kind))
        media_id = _ident(medium.get("id"))
        if media_id is None:
            return None
        text = _text(medium.get("caption")) or _text(medium.get("filename"))
        return InboundContent(
            text=redact_cards(text), media=InboundMedia(id=media_id, mime_type=_text(medium.get("mime_type")) or None)
        )

    return read


def _interactive_of(message: Json) -> InboundContent | None:
    interactive = _object(message.get("interactive"))
    for name in ("button_reply", "list_reply"):
        reply = _object(interactive.get(name))
        payload = reply.get("id")
        if isinstance(payload, str):
            return InboundContent(text=redact_cards(_text(reply.get("title"))), payload=payload)
    return None


def _button_of(message: Json) -> InboundContent | None:
    button = _object(message.get("button"))
    text = button.get("text")
    if not isinstance(text, str):
        return None
    return InboundContent(text=redact_cards(text), payload=_text(button.get("payload")) or None)


def _location_of(message: Json) -> InboundContent | None:
    location = _object(message.get("location"))
    latitude, longitude = location.get("latitude"), location.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    named = [_text(location.get(part)).strip() for part in ("name", "address")]
    words = ", ".join(part for part in named if part)
    place = f"{latitude:.6f},{longitude:.6f}"
    return InboundContent(text=redact_cards(f"{words} ({place})") if words else place)


def _contacts_of(message: Json) -> InboundContent | None:
    people = message.get("contacts")
    if not isinstance(people, list):
        return None
    cards = [cast(Json, person) for person in cast("list[Any]", people) if isinstance(person, dict)]
    names = [_text(_object(card.get("name")).get("formatted_name")).strip() for card in cards]
    return InboundContent(text=redact_cards(", ".join(name for name in names if name)))


def _reaction_of(message: Json) -> InboundContent | None:
    reaction = message.get("reaction")
    if not isinstance(reaction, dict):
        return None
    return InboundContent(text=redact_cards(_text(cast(Json, reaction).get("emoji"))))  # no emoji: taken back


def _order_of(message: Json) -> InboundContent | None:
    order = message.get("order")
    if not isinstance(order, dict):
        return None
    items = cast(Json, order).get("product_items")
    lines: list[str] = []
    for item in cast("list[Any]", items) if isinstance(items, list) else []:
        line = _object(item)
        quantity, name = _ident(line.get("quantity")), _text(line.get("product_retailer_id"))
        if name:
            lines.append(f"{quantity or 1} x {name}")
    note = _text(cast(Json, order).get("text")).strip()
    return InboundContent(text=redact_cards("\n".join([*([note] if note else []), *lines])))


def _referral_of(message: Json) -> InboundContent | None:
    referral = message.get("referral")
    if not isinstance(referral, dict):
        return None
    words = [_text(cast(Json, referral).get(part)).strip() for part in ("headline", "body")]
    return InboundContent(text=redact_cards("\n".join(word for word in words if word)))


def _system_of(message: Json) -> InboundContent | None:
    system = message.get("system")
    if not isinstance(system, dict):
        return None
    change = cast(Json, system)
    new = _ident(change.get("wa_id")) or _ident(change.get("user_id")) or _ident(change.get("new_wa_id"))
    return InboundContent(text=redact_cards(_text(change.get("body"))), payload=new)


_READERS: dict[str, Callable[[Json], InboundContent | None]] = {
    "text": _text_of,
    **{kind: _medium_of(kind) for kind in ("image", "audio", "video", "document", "sticker")},
    "interactive": _interactive_of,
    "button": _button_of,
    "location": _location_of,
    "contacts": _contacts_of,
    "reaction": _reaction_of,
    "order": _order_of,
    "referral": _referral_of,
    "system": _system_of,
}

_STATUS_WORDS: dict[Any, StatusWord] = {"sent": "sent", "delivered": "delivered", "read": "read", "failed": "failed"}


def _read_status(status: Json, number: str) -> StatusUpdate | None:
    word = status.get("status")
    wamid, send_id = _ident(status.get("id")), _ident(status.get("biz_opaque_callback_data"))
    if not isinstance(word, str) or word not in _STATUS_WORDS or (wamid is None and send_id is None):
        return None
    errors = status.get("errors")
    first = cast("list[Any]", errors)[0] if isinstance(errors, list) and errors else None
    code, text = _read_error(cast(Json, first)) if isinstance(first, dict) else (None, None)
    return StatusUpdate(
        phone_number_id=number,
        wamid=wamid,
        send_id=send_id,
        status=_STATUS_WORDS[word],
        at=_instant(status.get("timestamp")),
        error_code=code,
        error=text,
    )


def _read_error(error: Json) -> tuple[int | None, str]:
    code = error.get("code")
    title = _text(error.get("message")) or _text(error.get("title"))
    details = _text(_object(error.get("error_data")).get("details"))
    text = f"{title}: {details}" if title and details and details != title else title or details
    # Ten digits hold every code there is, and fit a database's integer.
    fits = isinstance(code, int) and not isinstance(code, bool) and abs(code) < 2**31
    return code if fits else None, redact_cards(text[:500])


def _object(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _objects(value: Any, delivery: Delivery) -> list[Json]:
    """The objects of a list; anything else in its place is an oddity."""
    if value is None:
        return []
    if not isinstance(value, list):
        delivery.oddities += 1
        return []
    parts = cast("list[Any]", value)
    objects = [cast(Json, part) for part in parts if isinstance(part, dict)]
    if len(objects) < len(parts):
        delivery.oddities += len(parts) - len(objects)
    return objects


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _ident(value: Any) -> str | None:
    """An id as text: some senders write numbers where the documentation has strings."""
    if isinstance(value, str):
        return value.strip().removeprefix("+") or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z


def _instant(value: Any) -> datetime | None:
    """Unix seconds, as text or number; None for what is no such thing."""
    text = _ident(value)
    if text is None or len(text) > 12 or not text.isdecimal():
        return None
    seconds = int(text)
    return datetime.fromtimestamp(seconds, UTC) if seconds <= _LAST_SECOND else None


_PLATFORM_IDS = frozenset({
    "id", "from", "from_user_id", "wa_id", "user_id", "parent_user_id", "timestamp", "message_id", "sha256",
    "phone_number_id", "catalog_id", "source_id", "ctwa_clid",
})  # fmt: skip
"""Fields that the platform fills: long numbers in them are ids, not cards."""


def without_cards(value: Any) -> Any:
    """A JSON value without what looks like a card number, whatever depth it hides in; the platform's own ids stay."""
    # What a JSON parser makes has exactly these types; a short string holds no card number.
    kind = cast(object, type(value))
    if kind is str:
        return redact_cards(value) if len(value) > 12 else value
    if kind is dict:
        return {
            name: part if type(part) is str and (len(part) < 13 or name in _PLATFORM_IDS) else without_cards(part)
            for name, part in cast(Json, value).items()
        }
    if kind is list:
        return [without_cards(part) for part in cast("list[Any]", value)]
    if (kind is int or kind is float) and abs(value) >= 1e12:
        written = repr(value) if kind is int else f"{value:.0f}"
        return value if redact_cards(written) == written else redact_cards(written)
    return value


# --- the life of a send ----------------------------------------------------------------------------------------------

_RANK: dict[SendState, int] = {
    "queued": 0, "attempting": 0, "doubtful": 0, "uncertain": 1, "sent": 2, "delivered": 3, "read": 4,
}  # fmt: skip


def advances(state: SendState, to: Literal["sent", "delivered", "read", "failed", "uncertain"]) -> bool:
    """Does news take a send forward? Statuses arrive in any order and several times; "failed" is the end of a send,
    and a send that was delivered cannot fail any more."""
    if state == "failed":
        return False
    if to == "failed":
        return state not in ("delivered", "read")
    return _RANK[to] > _RANK[state]
