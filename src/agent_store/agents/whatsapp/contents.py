"""Pure reading of what a customer's message holds. No I/O.

Source: WhatsApp Business Cloud API, "Webhooks", reference of the field `messages` (one page a kind), and "Flows",
"Response message webhook".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from agent_store.agents.whatsapp.loose import Json, decode, ident, mapping, number, text
from agent_store.agents.whatsapp.model import without_cards
from agent_store.contracts.whatsapp import (
    InboundContent,
    InboundMedia,
    InboundOrder,
    InboundOrderItem,
    InboundPlace,
    InboundReferral,
    MessageKind,
)
from agent_store.kernel.privacy import redact_cards

MOST_OF_ONE = 999
"""Pieces of one product in an order: a higher number is taken for this one."""
MOST_LINES = 200
"""Lines of an order, and names on contact cards, that are read."""
FORM_SIZE = 64 * 1024
"""Characters of a flow's answers; a longer form is not read."""
FORM_DEPTH = 12


def read_content(message: Json) -> tuple[MessageKind, InboundContent]:
    kind = message.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    content = None if reader is None or message.get("errors") else reader(message)
    if content is None:
        return "unsupported", InboundContent(unsupported_type=_unsupported_type(message))
    if "context" in message or "referral" in message:
        content = content.model_copy(update=_read_extra(message))
    return cast(MessageKind, kind), content


def _unsupported_type(message: Json) -> str:
    """The most exact name that the message itself gives: a poll is said to be one in `unsupported`, the reply of a call
    request in `interactive`."""
    kind = text(message.get("type"))
    inner = text(mapping(message.get("unsupported")).get("type")) or text(
        mapping(message.get("interactive")).get("type")
    )
    return redact_cards((inner or kind.removeprefix("unsupported"))[:64]) or "unknown"


def _read_extra(message: Json) -> dict[str, Any]:
    """What may come with a message of any kind: the advertisement, the product that is asked about, if it was forwarded."""
    extra: dict[str, Any] = {}
    referral = message.get("referral")
    if isinstance(referral, dict):
        extra["referral"] = _read_referral(cast(Json, referral))
    context = message.get("context")
    if isinstance(context, dict):
        said = cast(Json, context)
        about = _retailer_id(mapping(said.get("referred_product")))
        if about is not None:
            extra["about"] = about
        if said.get("forwarded") is True or said.get("frequently_forwarded") is True:
            extra["forwarded"] = True
    return extra


def _read_referral(referral: Json) -> InboundReferral:
    return InboundReferral(
        source_type=text(referral.get("source_type"))[:64],
        source_id=(ident(referral.get("source_id")) or "")[:128],
        url=text(referral.get("source_url"))[:2000],
        headline=redact_cards(text(referral.get("headline"))[:1000]),
        body=redact_cards(text(referral.get("body"))[:4096]),
        click_id=text(referral.get("ctwa_clid"))[:512],
    )


def _retailer_id(product: Json) -> str | None:
    found = ident(product.get("product_retailer_id"))
    return found if found is not None and len(found) <= 256 else None


def _text_of(message: Json) -> InboundContent | None:
    body = mapping(message.get("text")).get("body")
    return InboundContent(text=redact_cards(body)) if isinstance(body, str) else None


def _medium_of(kind: str) -> Callable[[Json], InboundContent | None]:
    def read(message: Json) -> InboundContent | None:
        medium = mapping(message.get(kind))
        media_id = ident(medium.get("id"))
        if media_id is None:
            return None
        return InboundContent(
            text=redact_cards(text(medium.get("caption"))),
            media=InboundMedia(
                id=media_id,
                mime_type=text(medium.get("mime_type"))[:128] or None,
                filename=redact_cards(text(medium.get("filename"))[:255]) or None,
                voice=medium.get("voice") is True,
            ),
        )

    return read


def _interactive_of(message: Json) -> InboundContent | None:
    interactive = mapping(message.get("interactive"))
    for name in ("button_reply", "list_reply"):
        reply = mapping(interactive.get(name))
        payload = reply.get("id")
        if isinstance(payload, str):
            return InboundContent(text=redact_cards(text(reply.get("title"))), payload=payload)
    flow = interactive.get("nfm_reply")
    return _form_of(cast(Json, flow)) if isinstance(flow, dict) else None


def _form_of(flow: Json) -> InboundContent | None:
    """The answers of a flow. Its body says no more than "Sent"; that of other forms (an address) is the customer's."""
    written = flow.get("response_json")
    if not isinstance(written, str) or len(written) > FORM_SIZE:
        return None
    try:
        form = _plain(decode(written.encode()), FORM_DEPTH)
    except (ValueError, RecursionError, _TooDeep):
        return None
    if not isinstance(form, dict):
        return None
    body = "" if flow.get("name") == "flow" else text(flow.get("body"))
    return InboundContent(text=redact_cards(body), form=without_cards(form))


class _TooDeep(Exception):
    pass


def _plain(value: Any, depth: int) -> Any:
    """A JSON value that any other program reads as well: no NaN, no infinity, no number of hundreds of digits."""
    if isinstance(value, dict | list) and not depth:
        raise _TooDeep
    if isinstance(value, dict):
        return {name: _plain(part, depth - 1) for name, part in cast(Json, value).items()}
    if isinstance(value, list):
        return [_plain(part, depth - 1) for part in cast("list[Any]", value)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        real = number(value)
        return None if real is None else value if isinstance(value, float) or abs(value) < 2**63 else real
    return value


def _button_of(message: Json) -> InboundContent | None:
    button = mapping(message.get("button"))
    title = button.get("text")
    if not isinstance(title, str):
        return None
    return InboundContent(text=redact_cards(title), payload=text(button.get("payload")) or None)


def _location_of(message: Json) -> InboundContent | None:
    location = mapping(message.get("location"))
    latitude, longitude = number(location.get("latitude")), number(location.get("longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    name, address = (redact_cards(text(location.get(part)).strip()[:1000]) for part in ("name", "address"))
    return InboundContent(place=InboundPlace(latitude=latitude, longitude=longitude, name=name, address=address))


def _contacts_of(message: Json) -> InboundContent | None:
    people = message.get("contacts")
    if not isinstance(people, list):
        return None
    names = [mapping(mapping(person).get("name")) for person in cast("list[Any]", people)[:MOST_LINES]]
    called = [text(name.get("formatted_name")).strip() or text(name.get("first_name")).strip() for name in names]
    return InboundContent(people=tuple(redact_cards(name[:200]) for name in called if name))


def _reaction_of(message: Json) -> InboundContent | None:
    reaction = message.get("reaction")
    if not isinstance(reaction, dict):
        return None
    emoji = redact_cards(text(cast(Json, reaction).get("emoji")))
    return InboundContent(text=emoji, removed=not emoji)


def _order_of(message: Json) -> InboundContent | None:
    order = mapping(message.get("order"))
    items = order.get("product_items")
    if not isinstance(items, list):
        return None
    lines = [_order_line(mapping(item)) for item in cast("list[Any]", items)[:MOST_LINES]]
    return InboundContent(
        text=redact_cards(text(order.get("text")).strip()),
        order=InboundOrder(
            catalog_id=ident(order.get("catalog_id")) or "", items=tuple(line for line in lines if line is not None)
        ),
    )


def _order_line(line: Json) -> InboundOrderItem | None:
    """A product and how many of it. Without a number it is one; of a product without an id, or of none of it, nothing."""
    retailer_id, said = _retailer_id(line), line.get("quantity")
    if isinstance(said, str):
        said = int(said) if said.isdecimal() and len(said) < 10 else None
    quantity = 1 if said is None else number(said)
    if retailer_id is None or quantity is None or quantity < 1:
        return None
    return InboundOrderItem(retailer_id=retailer_id, quantity=int(min(quantity, MOST_OF_ONE)))


def _referral_of(message: Json) -> InboundContent | None:
    referral = message.get("referral")
    if not isinstance(referral, dict):
        return None
    words = [text(cast(Json, referral).get(part)).strip() for part in ("headline", "body")]
    return InboundContent(text=redact_cards("\n".join(word for word in words if word)))


def _system_of(message: Json) -> InboundContent | None:
    system = message.get("system")
    return InboundContent(text=redact_cards(text(cast(Json, system).get("body")))) if isinstance(system, dict) else None


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
    "request_welcome": lambda message: InboundContent(),
}
