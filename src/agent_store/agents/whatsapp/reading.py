"""Pure reading of a webhook body. No I/O.

Whatever arrives signed is read without complaint: what is not understood becomes kind "unsupported", what is no
message at all is counted in `Delivery.oddities`.
Source: WhatsApp Business Cloud API, "Webhooks", reference of the field `messages` (one page a kind), of
`user_id_update` and `user_preferences`, and "Business-scoped user IDs".
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, cast

from pydantic_core import from_json, to_json

from agent_store.agents.whatsapp.account import FIELDS, read_news
from agent_store.agents.whatsapp.contents import read_content
from agent_store.agents.whatsapp.loose import Json, decode, ident, instant, mapping, sequence, text
from agent_store.agents.whatsapp.model import (
    BadDelivery,
    Complaint,
    Delivery,
    IdentityChange,
    Inbound,
    MarketingChoice,
    Revision,
    StatusUpdate,
    StatusWord,
    without_cards,
)
from agent_store.contracts.whatsapp import Pricing
from agent_store.kernel.privacy import redact_cards


def parse(body: bytes) -> Delivery:
    """Read a webhook body. Raises BadDelivery when it is not a JSON object."""
    try:
        root = _decoded(body)
        if not isinstance(root, dict):
            raise BadDelivery("the body of a webhook is a JSON object")
        delivery = Delivery()
        _read_root(cast(Json, root), delivery)
    except RecursionError as error:
        raise BadDelivery("the body is nested too deep") from error
    return delivery


def _decoded(body: bytes) -> Any:
    try:
        return decode(body)
    except ValueError as error:
        raise BadDelivery("the body is not JSON") from error


def _read_root(root: Json, delivery: Delivery) -> None:
    for entry in _objects(root.get("entry"), delivery):
        for change in _objects(entry.get("changes"), delivery):
            name, value = change.get("field"), change.get("value")
            if isinstance(name, str) and name != "messages" and name not in _OTHERS:
                delivery.other_fields.append(name[:64])
            elif not isinstance(value, dict):
                delivery.oddities += 1
            elif name == "user_id_update":
                _read_user_ids(cast(Json, value), delivery)
            elif name == "user_preferences":
                _read_choices(cast(Json, value), delivery)
            elif isinstance(name, str) and name != "messages":
                news = read_news(name, entry, cast(Json, value))
                if news is None:
                    delivery.oddities += 1
                else:
                    delivery.news.append(news)
            else:
                _read_value(cast(Json, value), delivery)


_OTHERS = FIELDS | {"user_id_update", "user_preferences"}


def _read_value(value: Json, delivery: Delivery) -> None:
    ours = ident(mapping(value.get("metadata")).get("phone_number_id")) or ""
    messages = _objects(value.get("messages"), delivery)
    if messages:
        senders = _Senders(_objects(value.get("contacts"), delivery))
        for message in messages:
            kind = message.get("type")
            revision = _read_revision(message, senders, ours) if kind == "edit" or kind == "revoke" else None
            if revision is None:
                delivery.messages.append(_read_message(message, senders, ours))
            else:
                delivery.revisions.append(revision)
    for status in _objects(value.get("statuses"), delivery):
        update = _read_status(status, ours)
        if update is None:
            delivery.oddities += 1
        else:
            delivery.statuses.append(update)
    for error in _objects(value.get("errors"), delivery):
        delivery.complaints.append(Complaint(ours, *_read_error(error)))


# --- messages --------------------------------------------------------------------------------------------------------


def _read_message(message: Json, senders: _Senders, ours: str) -> Inbound:
    wa_id, user_id, name = _read_sender(message, senders)
    kind, content = read_content(message)
    raw = to_json(without_cards(message)).decode()
    answered = mapping(message.get("context")).get("id") or mapping(message.get("reaction")).get("message_id")
    identity = _read_identity(message, wa_id, user_id, ours) if kind == "system" else None
    if identity is not None and wa_id is None:
        user_id = identity.before_user_id  # it comes from whom it was before
    return Inbound(
        wamid=ident(message.get("id")) or _name_of_the_nameless(ours, raw),
        phone_number_id=ours,
        sender=wa_id or user_id or "",
        wa_id=wa_id,
        user_id=user_id,
        profile_name=name,
        kind=kind,
        content=content,
        context_wamid=ident(answered),
        sent_at=instant(message.get("timestamp")),
        raw=raw,
        identity=identity,
    )


def _name_of_the_nameless(ours: str, raw: str) -> str:
    """Without an id there is nothing to know a repeated delivery by: the message's own bytes have to do."""
    return "none." + hashlib.sha256(f"{ours}\n{raw}".encode()).hexdigest()


_SCOPED = re.compile(r"[A-Z]{2}\.(?:ENT\.)?\w+")


class _Senders:
    """The contacts of a delivery, each found at once: there may be as many as messages."""

    __slots__ = ("_alone", "_by_phone", "_by_user")

    def __init__(self, contacts: list[Json]) -> None:
        self._alone = contacts[0] if len(contacts) == 1 else None
        if self._alone is not None:
            return
        self._by_phone: dict[str | None, Json] = {}
        self._by_user: dict[str | None, Json] = {}
        for contact in contacts:
            self._by_phone.setdefault(ident(contact.get("wa_id")), contact)
            self._by_user.setdefault(ident(contact.get("user_id")), contact)

    def of(self, wa_id: str | None, user_id: str | None) -> Json | None:
        """Their contact; the only one there is, is that of whoever wrote."""
        if self._alone is not None:
            return self._alone
        found = self._by_phone.get(wa_id) if wa_id is not None else None
        return self._by_user.get(user_id) if found is None and user_id is not None else found


def _read_sender(message: Json, senders: _Senders) -> tuple[str | None, str | None, str | None]:
    """Phone number (WhatsApp id), business-scoped user id and profile name; each may be absent."""
    wa_id = ident(message.get("from"))
    user_id = ident(message.get("from_user_id"))
    if wa_id is not None and not wa_id.isdecimal() and _SCOPED.fullmatch(wa_id):
        wa_id, user_id = None, user_id or wa_id
    contact = senders.of(wa_id, user_id)
    if contact is None:
        return wa_id, user_id, None
    profile = mapping(contact.get("profile"))
    name = text(profile.get("name")).strip() or text(profile.get("username")).strip()
    return (
        wa_id or ident(contact.get("wa_id")),
        user_id or ident(contact.get("user_id")),
        redact_cards(name) or None,
    )


# --- what happens to messages and people -----------------------------------------------------------------------------


def _read_revision(message: Json, senders: _Senders, ours: str) -> Revision | None:
    """An edit or a deletion of a message. None: it doesn't say of which, or what it says now cannot be read."""
    kind = "edit" if message.get("type") == "edit" else "revoke"
    body = mapping(message.get(kind))
    original = ident(body.get("original_message_id"))
    content = None
    if kind == "edit":
        read, content = read_content(mapping(body.get("message")))
        if read == "unsupported":
            return None
    if original is None or message.get("errors"):
        return None
    wa_id, user_id, _ = _read_sender(message, senders)
    raw = to_json(without_cards(message)).decode()
    return Revision(
        wamid=original,
        revision_wamid=ident(message.get("id")) or _name_of_the_nameless(ours, raw),
        phone_number_id=ours,
        sender=wa_id or user_id or "",
        wa_id=wa_id,
        user_id=user_id,
        content=content,
        at=instant(message.get("timestamp")),
        raw=raw,
    )


def read_again(raw: str, ours: str) -> Revision:
    """A revision from its `raw`. Who wrote it may not stand there."""
    revision = _read_revision(cast(Json, from_json(raw)), _Senders([]), ours)
    if revision is None:
        raise ValueError("this was no edit and no deletion when it was stored")
    return revision


_NUMBER_CHANGED = frozenset({"user_changed_number", "customer_changed_number"})


def _read_identity(message: Json, wa_id: str | None, user_id: str | None, ours: str) -> IdentityChange | None:
    """Who the customer is from now on, if a system message says so: a new number, which brings a new user id, or a new
    user id alone. (`customer_identity_changed` is about encryption keys: the customer is who they were.)
    """
    system = mapping(message.get("system"))
    kind = text(system.get("type"))
    new_user = ident(system.get("user_id"))
    before_user = ident(system.get("previous_user_id")) or (user_id if user_id != new_user else None)
    if kind in _NUMBER_CHANGED:
        new_number = ident(system.get("wa_id")) or ident(system.get("new_wa_id"))
    elif kind == "user_changed_user_id":
        new_number = None
    else:
        return None
    return _identity(ours, new_number, new_user, wa_id, before_user, message)


def _identity(
    ours: str, wa_id: str | None, user_id: str | None, before_wa_id: str | None, before_user_id: str | None, said: Json
) -> IdentityChange | None:
    """None when nothing is new, or nothing is known from before."""
    wa_id = wa_id if wa_id != before_wa_id else None
    user_id = user_id if user_id != before_user_id else None
    if not (wa_id or user_id) or not (before_wa_id or before_user_id):
        return None
    return IdentityChange(ours, wa_id, user_id, before_wa_id, before_user_id, instant(said.get("timestamp")))


def _read_user_ids(value: Json, delivery: Delivery) -> None:
    """The field `user_id_update`: the number is that of now, which may be the one of before."""
    ours = ident(mapping(value.get("metadata")).get("phone_number_id")) or ""
    for update in _objects(value.get("user_id_update"), delivery):
        ids = mapping(update.get("user_id"))
        before, now = ident(ids.get("previous")), ident(ids.get("current"))
        change = _identity(ours, ident(update.get("wa_id")), now, None, before, update)
        if change is None or now is None or before is None:
            delivery.oddities += 1
        else:
            delivery.identities.append(change)


_CHOICES = {"stop": False, "resume": True}


def _read_choices(value: Json, delivery: Delivery) -> None:
    """The field `user_preferences`, of which only marketing messages can be stopped and resumed."""
    ours = ident(mapping(value.get("metadata")).get("phone_number_id")) or ""
    for choice in _objects(value.get("user_preferences"), delivery):
        wa_id, user_id = ident(choice.get("wa_id")), ident(choice.get("user_id"))
        wanted = _CHOICES.get(text(choice.get("value")))
        if wanted is None or not (wa_id or user_id) or text(choice.get("category")) != "marketing_messages":
            delivery.oddities += 1
        else:
            at = instant(choice.get("timestamp"))
            delivery.choices.append(MarketingChoice(ours, wa_id, user_id, wanted, at))


# --- statuses --------------------------------------------------------------------------------------------------------

# A voice message that was played has been read.
_STATUS_WORDS: dict[Any, StatusWord] = {
    "sent": "sent", "delivered": "delivered", "read": "read", "played": "read", "failed": "failed",
}  # fmt: skip


def _read_status(status: Json, ours: str) -> StatusUpdate | None:
    word = status.get("status")
    wamid, send_id = ident(status.get("id")), ident(status.get("biz_opaque_callback_data"))
    if not isinstance(word, str) or word not in _STATUS_WORDS or (wamid is None and send_id is None):
        return None
    errors = sequence(status.get("errors"))
    code, reason = _read_error(cast(Json, errors[0])) if errors and isinstance(errors[0], dict) else (None, None)
    pricing = status.get("pricing")
    return StatusUpdate(
        phone_number_id=ours,
        wamid=wamid,
        send_id=send_id,
        status=_STATUS_WORDS[word],
        at=instant(status.get("timestamp")),
        error_code=code,
        error=reason,
        pricing=_read_pricing(cast(Json, pricing)) if isinstance(pricing, dict) else None,
    )


def _read_pricing(pricing: Json) -> Pricing:
    billable = pricing.get("billable")
    return Pricing(
        category=text(pricing.get("category"))[:64],
        billable=billable if isinstance(billable, bool) else None,
        type=text(pricing.get("type"))[:64],
    )


def _read_error(error: Json) -> tuple[int | None, str]:
    code = error.get("code")
    title = text(error.get("message")) or text(error.get("title"))
    details = text(mapping(error.get("error_data")).get("details"))
    reason = f"{title}: {details}" if title and details and details != title else title or details
    # Ten digits hold every code there is, and fit a database's integer.
    fits = isinstance(code, int) and not isinstance(code, bool) and abs(code) < 2**31
    return code if fits else None, redact_cards(reason[:500])


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
