"""What a customer's message holds: from the channel's content to a `Line`, to what is stored of it, and back. Pure.

Everything is the customer's (or somebody else's) words: card numbers are taken out of all of it, and nothing is longer
than what a reader needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

from agent_store.agents.conversations.door import shorten
from agent_store.agents.conversations.model import FORM_PAYLOAD, Line
from agent_store.contracts.chat import MediaRef, Place
from agent_store.contracts.common import Item
from agent_store.contracts.whatsapp import (
    InboundContent,
    InboundPlace,
    WhatsAppMediaReceived,
    WhatsAppMessageDeleted,
    WhatsAppMessageEdited,
    WhatsAppMessageReceived,
)
from agent_store.kernel.context import Row
from agent_store.kernel.event import Event
from agent_store.kernel.ids import Sku
from agent_store.kernel.privacy import redact_cards

QUOTED = 300
"""Characters of a quoted message that are told along."""
_SEEN = 1_500
_PLACE = 300
_SKU = 256
_ITEMS = 100
_FIELDS, _FIELD, _ANSWER = 30, 60, 300
_ID = 160
"""Characters of a channel's message id that the tables hold."""
_WORDLESS = frozenset({"location", "contacts", "referral", "sticker", "unsupported"})
"""Kinds whose text, if there is any, is nothing that the customer wrote."""


def line_of(event: WhatsAppMessageReceived, seq: int) -> Line:
    content = event.content
    text, payload = redact_cards(content.text), content.payload
    if content.form is not None:
        text, payload = "\n".join(part for part in (text, form_text(content.form)) if part), FORM_PAYLOAD
    quotes = event.context_wamid
    return Line(
        seq=seq,
        external_id=event.wamid,
        kind=event.kind,
        text="" if event.kind in _WORDLESS else text,
        payload=payload,
        at=event.sent_at,
        quotes=quotes if quotes and len(quotes) <= _ID else None,
        items=_items(content),
        about=_sku(content.about),
        place=None if content.place is None else _place(content.place),
        more=_more(event),
    )


def _sku(retailer_id: str | None) -> Sku | None:
    """Our SKU, as the catalogue's sync wrote it; what is longer than any is none of ours."""
    found = (retailer_id or "").strip()
    return Sku(found) if 0 < len(found) <= _SKU else None


def _items(content: InboundContent) -> tuple[Item, ...]:
    if content.order is None:
        return ()
    found = ((_sku(item.retailer_id), item.quantity) for item in content.order.items[:_ITEMS])
    return tuple(Item(sku=sku, quantity=quantity) for sku, quantity in found if sku is not None)


def _place(place: InboundPlace) -> Place:
    return Place(
        latitude=place.latitude,
        longitude=place.longitude,
        name=shorten(redact_cards(place.name), _PLACE),
        address=shorten(redact_cards(place.address), _PLACE),
    )


def _more(event: WhatsAppMessageReceived) -> dict[str, Any]:
    content = event.content
    more: dict[str, Any] = {}
    if content.referral is not None:
        referral = content.referral
        more["referral"] = {
            "source_type": referral.source_type[:_FIELD],
            "source_id": referral.source_id[:_FIELD],
            "url": referral.url[:_SEEN],
            "headline": redact_cards(referral.headline)[:_SEEN],
            "body": redact_cards(referral.body)[:_SEEN],
            "click_id": referral.click_id[:_SEEN],
        }
    elif event.kind == "referral" and content.text:
        more["referral"] = {"body": redact_cards(content.text)[:_SEEN]}
    if content.people:
        more["people"] = [shorten(redact_cards(name), _FIELD) for name in content.people[:_FIELDS]]
    if content.form is not None:
        more["form"] = True
    if content.order is not None and content.order.catalog_id:
        more["catalog_id"] = content.order.catalog_id[:_FIELD]
    if content.media is not None and content.media.filename:
        more["filename"] = shorten(redact_cards(content.media.filename), _FIELD * 2)
    if content.removed:
        more["removed"] = True
    if content.forwarded:
        more["forwarded"] = True
    return more


def form_text(form: Mapping[str, Any]) -> str:
    """A form's answers, a line each: "name: value". What is technical (a flow's token) is left out."""
    return redact_cards("\n".join(islice(_fields(form, 3), _FIELDS)))


def _fields(form: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name, value in form.items():
        if isinstance(value, Mapping):
            if depth > 1:
                yield from _fields(cast("Mapping[str, Any]", value), depth - 1)
            continue
        values = cast("list[Any]", value) if isinstance(value, list) else [value]
        told = ", ".join(_answer(one) for one in values if isinstance(one, str | int | float | bool))
        if told and name != "flow_token":
            yield f"{shorten(name.replace('_', ' '), _FIELD)}: {shorten(told, _ANSWER)}"


def _answer(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return str(value)


def advert(line: Line) -> str:
    """The words of the advertisement from which the message came: they tell the brand, and are nobody's question."""
    referral = cast("Mapping[str, str]", line.more.get("referral", {}))
    return "\n".join(part for part in (referral.get("headline"), referral.get("body")) if part)


# --- what becomes known later ----------------------------------------------------------------------------------------


def take_medium(line: Line, event: WhatsAppMediaReceived) -> None:
    """What became of its medium: kept for people, heard or seen for the seller."""
    if event.problem is not None:
        line.problem = event.problem
    elif event.key:
        line.media = MediaRef(
            key=event.key, mime_type=event.mime_type, filename=line.more.get("filename"), expires_at=event.expires_at
        )
    if event.words and line.kind == "audio" and not line.text:
        line.text = redact_cards(event.words.strip())
    if event.seen and event.seen.strip():
        line.seen = redact_cards(event.seen.strip())[:_SEEN]


def take_edit(line: Line, event: WhatsAppMessageEdited) -> bool:
    """The words as they are now. False when nothing changes: it was taken back, or a later change is known."""
    if line.deleted_at is not None or (line.edited_at is not None and event.at <= line.edited_at):
        return False
    line.text, line.edited_at = redact_cards(event.content.text), event.at
    return True


def take_deletion(line: Line, event: WhatsAppMessageDeleted) -> bool:
    """Nothing of it stays but that it was there. False when it was taken back before."""
    if line.deleted_at is not None:
        return False
    line.text, line.payload, line.quotes, line.quoted = "", None, None, ""
    line.items, line.about, line.seen, line.place = (), None, None, None
    line.media, line.problem, line.more = None, None, {}
    line.deleted_at = event.at
    return True


News = WhatsAppMediaReceived | WhatsAppMessageEdited | WhatsAppMessageDeleted
_NEWS: dict[str, type[News]] = {
    kind.event_type: kind for kind in (WhatsAppMediaReceived, WhatsAppMessageEdited, WhatsAppMessageDeleted)
}


def news_of(type_name: str, body: Any) -> News:
    return _NEWS[type_name].model_validate(body)


def body_of(event: Event) -> Any:
    return event.model_dump(mode="json")


# --- stored and read back --------------------------------------------------------------------------------------------


def content_of(line: Line) -> dict[str, Any] | None:
    """What is stored beside the words; None when there is nothing."""
    content: dict[str, Any] = dict(line.more)
    if line.quoted:
        content["quoted"] = line.quoted
    if line.items:
        content["items"] = [{"sku": item.sku, "quantity": item.quantity} for item in line.items]
    if line.about is not None:
        content["about"] = line.about
    if line.seen is not None:
        content["seen"] = line.seen
    if line.place is not None:
        content["place"] = line.place.model_dump(mode="json")
    return content or None


def media_of(line: Line) -> dict[str, Any] | None:
    if line.problem is not None:
        return {"problem": line.problem}
    return None if line.media is None else line.media.model_dump(mode="json")


_OWN = frozenset({"quoted", "items", "about", "seen", "place"})


def stored_line(row: Row) -> Line:
    """A `Line` as it was stored, so that a turn which is granted anew says the same."""
    content: Mapping[str, Any] = row["content"] or {}
    ref, problem = read_media(row["media"])
    place = content.get("place")
    return Line(
        row["seq"],
        row["external_id"],
        row["kind"],
        row["text"],
        row["payload"],
        row["at"],
        row["turn"],
        stored=True,
        quotes=row["quotes"],
        quoted=content.get("quoted", ""),
        items=tuple(Item.model_validate(item) for item in content.get("items", ())),
        about=content.get("about"),
        seen=content.get("seen"),
        place=None if place is None else Place.model_validate(place),
        media=ref,
        problem=problem,
        more={name: value for name, value in content.items() if name not in _OWN},
        edited_at=row["edited_at"],
        deleted_at=row["deleted_at"],
    )


def read_media(stored: Any) -> tuple[MediaRef | None, str | None]:
    """The medium of a stored message, or why there is none."""
    if not stored:
        return None, None
    if "problem" in stored:
        return None, stored["problem"]
    return MediaRef.model_validate(stored), None


def shown(kind: str, text: str, content: Any) -> str:
    """A customer's message as a reader of the transcript (or a model, as history) sees it: words, and what stands for
    what is none."""
    more = cast("Mapping[str, Any]", content or {})
    parts = [text] if text else []
    if more.get("items"):
        parts += [f"• {item['quantity']} × {item['sku']}" for item in more["items"]]
    if more.get("about"):
        parts.append(f"[🛍️ {more['about']}]")
    if more.get("seen"):
        parts.append(f"[🖼️ {more['seen']}]")
    if (place := more.get("place")) is not None:
        named = ", ".join(part for part in (place.get("name"), place.get("address")) if part)
        where = f"{place['latitude']:.5f}, {place['longitude']:.5f}"
        parts.append(f"📍 {named} ({where})" if named else f"📍 {where}")
    if kind == "contacts" and more.get("people"):
        parts.append(f"👤 {', '.join(more['people'])}")
    return "\n".join(parts)


def shown_line(line: Line) -> str:
    return shown(line.kind, line.text, content_of(line))
