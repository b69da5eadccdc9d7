"""The Graph calls that send a message, checked as the platform checks them. Pure.

Source: WhatsApp Business Cloud API, "Messages" (text, image, audio, video, document, sticker, location, contacts, reaction,
interactive reply buttons, list, product, product list, catalogue, call-to-action URL, location request, flow, template), "Media"
(supported types and sizes), "Mark messages as read", "Typing indicators" and "Error codes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from agent_store.adapters.whatsapp.cloud import (
    Json,
    digits,
    distinct,
    invalid,
    number_in,
    object_in,
    objects_in,
    optional_in,
    string_in,
)
from agent_store.adapters.whatsapp.simulator_content import Content
from agent_store.agents.whatsapp import outbound
from agent_store.agents.whatsapp.phone import ContactCard, LinkButton, MediumKind, Option, Spot

KINDS: Final[tuple[MediumKind, ...]] = ("image", "audio", "video", "document", "sticker")
MIME_TYPES: dict[MediumKind, frozenset[str]] = {
    "image": frozenset({"image/jpeg", "image/png"}),
    "audio": frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}),
    "video": frozenset({"video/mp4", "video/3gpp", "video/3gp"}),
    "sticker": frozenset({"image/webp"}),
    "document": frozenset({
        "text/plain", "application/pdf", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    }),
}  # fmt: skip
_MB = 1024 * 1024
SIZES: dict[MediumKind, int] = {
    "image": 5 * _MB, "audio": 16 * _MB, "video": 16 * _MB, "document": 100 * _MB, "sticker": 500 * 1024,
}  # fmt: skip
"""Bytes; a sticker that moves may have five times as many as one that does not (100 kB)."""
LOCATION_NAME = 1000


@dataclass(frozen=True, slots=True)
class Receipt:
    """The call says "I have read this message", and perhaps "I am typing"."""

    wamid: str
    typing: bool


@dataclass(frozen=True, slots=True)
class MediaPart:
    """A file that a message names: by id or by link."""

    kind: MediumKind
    id: str = ""
    link: str = ""
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A Graph call that may be taken: whom it is for, what it shows, and what must still be looked up."""

    to: str | None
    """Digits of a phone number, or None when `recipient` addresses it."""
    recipient: str | None
    type: str
    """As the call names it."""
    content: Content
    reply_to: str | None
    callback: str | None
    media: MediaPart | None = None
    catalog_id: str = ""
    wanted: tuple[tuple[str, str], ...] = ()
    """Section title and retailer id of each product."""
    template: Json | None = None
    reaction_to: str = ""
    flow_token: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    content: Content
    media: MediaPart | None = None
    catalog_id: str = ""
    wanted: tuple[tuple[str, str], ...] = ()
    template: Json | None = None
    reaction_to: str = ""
    flow_token: str = ""


def read_receipt(body: Json) -> Receipt | None:
    """None when the call is no receipt."""
    if body.get("status") != "read":
        return None
    indicator = body.get("typing_indicator")
    if indicator is not None and object_in(body, "typing_indicator").get("type") != "text":
        raise invalid("typing_indicator.type must be text")
    return Receipt(string_in(body, "message_id"), indicator is not None)


def read_send(body: Json) -> Sent:
    """Check a call of `POST /<number>/messages`. Raises GraphFault as the platform would answer."""
    if body.get("messaging_product") != "whatsapp":
        raise invalid("messaging_product must be whatsapp", code=100)
    if body.get("recipient_type", "individual") != "individual":
        raise invalid("recipient_type must be individual: the simulator has no groups", code=100)
    to, recipient = body.get("to"), body.get("recipient")
    if not (isinstance(to, str) and to) and not (isinstance(recipient, str) and recipient):
        raise invalid("the parameter to or recipient is required", code=100)
    phone = digits(to) if isinstance(to, str) else ""
    if isinstance(to, str) and to and not 5 <= len(phone) <= 20:
        raise invalid("to is no phone number", code=100)
    callback = body.get("biz_opaque_callback_data")
    if callback is not None and not (isinstance(callback, str) and len(callback) <= outbound.CALLBACK):
        raise invalid(f"biz_opaque_callback_data is a string of at most {outbound.CALLBACK} characters")
    reply_to = string_in(object_in(body, "context"), "message_id") if body.get("context") is not None else None
    kind = body.get("type", "text")
    if not isinstance(kind, str):
        raise invalid("type must be a string", code=100)
    read = _read_content(kind, body)
    return Sent(
        to=phone or None,
        recipient=recipient if isinstance(recipient, str) and not phone else None,
        type=kind,
        content=read.content,
        reply_to=reply_to,
        callback=callback,
        media=read.media,
        catalog_id=read.catalog_id,
        wanted=read.wanted,
        template=read.template,
        reaction_to=read.reaction_to,
        flow_token=read.flow_token,
    )


def _read_content(kind: str, body: Json) -> _Read:
    if kind == "text":
        return _Read(Content("text", string_in(object_in(body, "text"), "body", outbound.TEXT)))
    if kind in KINDS:
        return _read_medium(kind, object_in(body, kind))
    if kind == "interactive":
        return _read_interactive(object_in(body, "interactive"))
    if kind == "template":
        template = object_in(body, "template")
        name = string_in(template, "name", 512)
        string_in(object_in(template, "language"), "code")
        return _Read(Content("template", template=name), template=template)
    if kind == "reaction":
        reaction = object_in(body, "reaction")
        emoji = reaction.get("emoji", "")
        if not isinstance(emoji, str) or len(emoji) > 16:
            raise invalid("reaction.emoji is one emoji, or empty to take it back")
        return _Read(Content("text", emoji), reaction_to=string_in(reaction, "message_id"))
    if kind == "location":
        return _Read(Content("location", spot=read_spot(object_in(body, "location"))))
    if kind == "contacts":
        cards = tuple(_read_card(card) for card in objects_in(body, "contacts", most=257))
        return _Read(Content("contacts", cards=cards))
    raise invalid(f"the type {kind[:40]!r} is no type of a message", code=100)


def read_spot(location: Json) -> Spot:
    return Spot(
        number_in(location, "latitude", -90, 90),
        number_in(location, "longitude", -180, 180),
        optional_in(location, "name", LOCATION_NAME),
        optional_in(location, "address", LOCATION_NAME),
    )


def _read_card(card: Json) -> ContactCard:
    name = string_in(object_in(card, "name"), "formatted_name")
    phones = objects_in(card, "phones", most=100) if card.get("phones") else []
    return ContactCard(name, optional_in(phones[0], "phone") if phones else "")


# --- media -----------------------------------------------------------------------------------------------------------


def _read_medium(kind: str, medium: Json) -> _Read:
    part = _media_part(cast(MediumKind, kind), medium)
    if medium.get("caption") is not None and kind in ("audio", "sticker"):
        raise invalid(f"{kind} has no caption", code=100)
    caption = string_in(medium, "caption", outbound.CAPTION) if medium.get("caption") else ""
    return _Read(Content(cast(Any, kind), caption), media=part)


def _media_part(kind: MediumKind, medium: Json) -> MediaPart:
    if (medium.get("id") is None) == (medium.get("link") is None):
        raise invalid(f"{kind} has either an id or a link", code=131008 if medium.get("id") is None else 100)
    filename = optional_in(medium, "filename", 240) if kind == "document" else ""
    if medium.get("id") is not None:
        return MediaPart(kind, id=string_in(medium, "id"), filename=filename)
    return MediaPart(kind, link=_link(medium, kind), filename=filename)


def _link(medium: Json, kind: str) -> str:
    link = string_in(medium, "link")
    if not link.startswith(("http://", "https://")):
        raise invalid(f"{kind}.link must be an absolute http(s) URL")
    return link


# --- interactive -----------------------------------------------------------------------------------------------------


def _read_interactive(interactive: Json) -> _Read:
    kind = interactive.get("type")
    if kind == "button":
        read = _read_buttons(interactive)
    elif kind == "list":
        read = _read_list(interactive)
    elif kind == "cta_url":
        read = _read_url(interactive)
    elif kind == "location_request_message":
        read = _read_place_request(interactive)
    elif kind == "flow":
        read = _read_flow(interactive)
    elif kind in ("product", "product_list", "catalog_message"):
        return _read_products(kind, interactive)
    else:
        raise invalid(
            "interactive.type must be button, list, cta_url, product, product_list, catalog_message, "
            "location_request_message or flow"
        )
    return _with_frame(read, interactive, media_header=kind in ("button", "cta_url", "flow"))


def _with_frame(read: _Read, interactive: Json, *, media_header: bool) -> _Read:
    """Header and footer."""
    content = replace(read.content, footer=optional_in(object_in(interactive, "footer"), "text", 60)) if interactive.get(
        "footer"
    ) is not None else read.content  # fmt: skip
    if interactive.get("header") is None:
        return replace(read, content=content)
    header = object_in(interactive, "header")
    kind = header.get("type")
    if kind == "text":
        return replace(read, content=replace(content, header=string_in(header, "text", outbound.HEADER)))
    if media_header and kind in ("image", "video", "document"):
        return replace(read, content=content, media=_media_part(kind, object_in(header, kind)))
    raise invalid("header.type must be text, or image, video or document for buttons, a link or a flow")


def _body(interactive: Json, most: int) -> str:
    return string_in(object_in(interactive, "body"), "text", most)


def _read_buttons(interactive: Json) -> _Read:
    options: list[Option] = []
    for button in objects_in(object_in(interactive, "action"), "buttons", most=3):
        if button.get("type") != "reply":
            raise invalid("button.type must be reply")
        reply = object_in(button, "reply")
        options.append(
            Option(string_in(reply, "id", outbound.BUTTON_ID), string_in(reply, "title", outbound.BUTTON_TITLE))
        )
    distinct([option.id for option in options], "button ids")
    distinct([option.title for option in options], "button titles")
    return _Read(Content("buttons", _body(interactive, outbound.BUTTONS_BODY), options=tuple(options)))


def _read_list(interactive: Json) -> _Read:
    action = object_in(interactive, "action")
    sections = objects_in(action, "sections", most=10)
    options: list[Option] = []
    for section in sections:
        named = len(sections) > 1
        name = string_in(section, "title", outbound.ROW_TITLE) if named else optional_in(section, "title", 24)
        for row in objects_in(section, "rows", most=10):
            description = (
                string_in(row, "description", outbound.ROW_DESCRIPTION) if row.get("description") is not None else None
            )
            title = string_in(row, "title", outbound.ROW_TITLE)
            options.append(Option(string_in(row, "id", outbound.ROW_ID), title, description, name))
    if len(options) > 10:
        raise invalid("a list has at most 10 rows in all")
    distinct([option.id for option in options], "row ids")
    button = string_in(action, "button", outbound.BUTTON_TITLE)
    return _Read(Content("list", _body(interactive, outbound.LIST_BODY), options=tuple(options), button=button))


def _read_url(interactive: Json) -> _Read:
    action = object_in(interactive, "action")
    if action.get("name") != "cta_url":
        raise invalid("action.name must be cta_url")
    parameters = object_in(action, "parameters")
    url = string_in(parameters, "url", 2000)
    if not url.startswith(("http://", "https://")):
        raise invalid("parameters.url must be an absolute http(s) URL")
    link = LinkButton(string_in(parameters, "display_text", outbound.BUTTON_TITLE), url)
    return _Read(Content("link", _body(interactive, outbound.BODY), links=(link,)))


def _read_place_request(interactive: Json) -> _Read:
    if object_in(interactive, "action").get("name") != "send_location":
        raise invalid("action.name must be send_location")
    return _Read(Content("place_request", _body(interactive, outbound.BODY), button="Send location"))


def _read_flow(interactive: Json) -> _Read:
    action = object_in(interactive, "action")
    if action.get("name") != "flow":
        raise invalid("action.name must be flow")
    parameters = object_in(action, "parameters")
    if not (parameters.get("flow_id") or parameters.get("flow_name")):
        raise invalid("parameters.flow_id or flow_name is required", code=131008)
    button = string_in(parameters, "flow_cta", 30)
    token = parameters.get("flow_token", "unused")
    return _Read(Content("flow", _body(interactive, outbound.BODY), button=button), flow_token=str(token)[:256])


def _read_products(kind: str, interactive: Json) -> _Read:
    action = object_in(interactive, "action")
    footer = optional_in(object_in(interactive, "footer"), "text", 60) if interactive.get("footer") is not None else ""
    if kind == "catalog_message":
        if action.get("name") != "catalog_message":
            raise invalid("action.name must be catalog_message")
        return _Read(Content("products", _body(interactive, outbound.BODY), button="View catalog", footer=footer))
    catalog = string_in(action, "catalog_id")
    if kind == "product":
        if interactive.get("header") is not None:
            raise invalid("a message of one product has no header", code=100)
        text = _body(interactive, outbound.BODY) if interactive.get("body") is not None else ""
        wanted = (("", string_in(action, "product_retailer_id")),)
        return _Read(Content("products", text, button="View", footer=footer), catalog_id=catalog, wanted=wanted)
    header = object_in(interactive, "header")
    if header.get("type") != "text":
        raise invalid("header.type must be text")
    sections = objects_in(action, "sections", most=10)
    listed: list[tuple[str, str]] = []
    for section in sections:
        named = len(sections) > 1
        title = string_in(section, "title", outbound.ROW_TITLE) if named else optional_in(section, "title", 24)
        items = objects_in(section, "product_items", most=outbound.PRODUCTS)
        listed += [(title, string_in(item, "product_retailer_id")) for item in items]
    if len(listed) > outbound.PRODUCTS:
        raise invalid(f"{len(listed)} products: at most {outbound.PRODUCTS} in all are allowed")
    content = Content(
        "products",
        _body(interactive, outbound.BODY),
        header=string_in(header, "text", outbound.HEADER),
        footer=footer,
        button="View items",
    )
    return _Read(content, catalog_id=catalog, wanted=tuple(listed))


# --- templates -------------------------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


def variables(text: str) -> list[str]:
    """Names or numbers of a text's variables, each once, in their order."""
    return list(dict.fromkeys(_VARIABLE.findall(text)))


def filled(text: str, values: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)
