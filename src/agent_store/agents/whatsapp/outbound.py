"""Pure building of what goes to the Graph API. Limits are checked here, before anything is sent.

Source: WhatsApp Business Cloud API, "Messages" (text, image, reaction, template, interactive reply buttons, list, single and
multi product, call-to-action URL, location request) and "Business-scoped user IDs" (`recipient`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent_store.contracts.whatsapp import (
    OutButtons,
    OutChoice,
    OutContent,
    OutImage,
    OutLink,
    OutList,
    OutPlaceRequest,
    OutProducts,
    OutReaction,
    OutTemplate,
    OutText,
    WhatsAppMessageSend,
)
from agent_store.kernel.errors import InvalidInput

Payload = dict[str, Any]

TEXT = 4096
CAPTION = 1024
BUTTONS_BODY = 1024
BODY = 1024
"""Of interactive messages other than lists."""
HEADER = 60
PRODUCTS = 30
"""Of one message, in all sections."""
BUTTON_TITLE = 20
BUTTON_ID = 256
LIST_BODY = 4096
ROW_TITLE = 24
ROW_DESCRIPTION = 72
ROW_ID = 200
CALLBACK = 512


def payload(command: WhatsAppMessageSend, public_url: str) -> Payload:
    """The body of `POST /<phone number id>/messages`. How many buttons and rows there are, the contract limits.

    `public_url` is put before image paths of the store's own. Raises InvalidInput that names the field over its limit.
    """
    body: Payload = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    body["recipient" if command.to_kind == "user" else "to"] = _sized("to", command.to, 128)
    if command.reply_to:
        body["context"] = {"message_id": command.reply_to}
    body["biz_opaque_callback_data"] = _sized("send_id", command.send_id, CALLBACK)
    body |= _content(command.content, public_url)
    return body


def seen(wamid: str, *, typing: bool) -> Payload:
    """The body that marks a customer's message (and those before it) as read, and shows that somebody is typing.

    Source: WhatsApp Business Cloud API, "Mark messages as read" and "Typing indicators".
    """
    body: Payload = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    if typing:
        body["typing_indicator"] = {"type": "text"}
    return body


def _content(content: OutContent, public_url: str) -> Payload:
    match content:
        case OutText():
            text: Payload = {"body": _sized("text", content.text, TEXT)}
            if content.preview_url:
                text["preview_url"] = True
            return {"type": "text", "text": text}
        case OutImage():
            return {"type": "image", "image": _image(content, public_url)}
        case OutReaction():
            return {"type": "reaction", "reaction": {"message_id": content.wamid, "emoji": content.emoji}}
        case OutTemplate():
            return {"type": "template", "template": _template(content, public_url)}
        case OutButtons():
            interactive = _buttons(content, public_url)
        case OutList():
            interactive = _list(content)
        case OutProducts():
            interactive = _products(content)
        case OutLink():
            interactive = _link(content, public_url)
        case OutPlaceRequest():
            interactive = {
                "type": "location_request_message",
                "body": {"text": _sized("text", content.text, BODY)},
                "action": {"name": "send_location"},
            }
    return {"type": "interactive", "interactive": interactive}


def _image(content: OutImage, public_url: str) -> Payload:
    image: Payload = {"link": absolute(content.link, public_url)}
    if content.caption:
        image["caption"] = _sized("caption", content.caption, CAPTION)
    return image


def _buttons(content: OutButtons, public_url: str) -> Payload:
    _distinct(content.choices)
    buttons = [
        {
            "type": "reply",
            "reply": {
                "id": _sized("button id", choice.id, BUTTON_ID),
                "title": _sized("button title", choice.title, BUTTON_TITLE),
            },
        }
        for choice in content.choices
    ]
    interactive: Payload = {"type": "button"}
    if content.image:
        interactive["header"] = {"type": "image", "image": {"link": absolute(content.image, public_url)}}
    interactive["body"] = {"text": _sized("text", content.text, BUTTONS_BODY)}
    interactive["action"] = {"buttons": buttons}
    return interactive


def _list(content: OutList) -> Payload:
    _distinct(content.choices)
    rows: list[Payload] = []
    for choice in content.choices:
        row: Payload = {
            "id": _sized("row id", choice.id, ROW_ID),
            "title": _sized("row title", choice.title, ROW_TITLE),
        }
        if choice.description:
            row["description"] = _sized("row description", choice.description, ROW_DESCRIPTION)
        rows.append(row)
    return {
        "type": "list",
        "body": {"text": _sized("text", content.text, LIST_BODY)},
        "action": {"button": _sized("button", content.button, BUTTON_TITLE), "sections": [{"rows": rows}]},
    }


def _link(content: OutLink, public_url: str) -> Payload:
    interactive: Payload = {"type": "cta_url"}
    if content.image:
        interactive["header"] = {"type": "image", "image": {"link": absolute(content.image, public_url)}}
    interactive["body"] = {"text": _sized("text", content.text, BODY)}
    interactive["action"] = {
        "name": "cta_url",
        "parameters": {
            "display_text": _sized("button", content.button, BUTTON_TITLE),
            "url": absolute(content.url, public_url),
        },
    }
    return interactive


def _products(content: OutProducts) -> Payload:
    """One product is shown whole; several need a header, a body and, when there is more than one section, their titles."""
    listed = [id for section in content.sections for id in section.retailer_ids]
    if len(listed) > PRODUCTS:
        raise InvalidInput(f"{len(listed)} products: WhatsApp takes at most {PRODUCTS} in all", field="sections")
    if len(listed) == 1:
        interactive: Payload = {"type": "product"}
        if content.text:
            interactive["body"] = {"text": _sized("text", content.text, BODY)}
        interactive["action"] = {"catalog_id": content.catalog_id, "product_retailer_id": listed[0]}
        return interactive
    sections: list[Payload] = []
    for section in content.sections:
        items = [{"product_retailer_id": id} for id in section.retailer_ids]
        shown: Payload = {"product_items": items}
        if section.title or len(content.sections) > 1:
            shown = {"title": _sized("section title", section.title, ROW_TITLE), **shown}
        sections.append(shown)
    return {
        "type": "product_list",
        "header": {"type": "text", "text": _sized("header", content.header, HEADER)},
        "body": {"text": _sized("text", content.text, BODY)},
        "action": {"catalog_id": content.catalog_id, "sections": sections},
    }


def _template(content: OutTemplate, public_url: str) -> Payload:
    components: list[Payload] = []
    if content.image:
        image = {"type": "image", "image": {"link": absolute(content.image, public_url)}}
        components.append({"type": "header", "parameters": [image]})
    if content.values:
        values = [{"type": "text", "text": _sized("value", value, BODY)} for value in content.values]
        components.append({"type": "body", "parameters": values})
    components.extend(
        {
            "type": "button",
            "sub_type": "quick_reply",
            "index": str(index),
            "parameters": [{"type": "payload", "payload": _sized("button", payload, BUTTON_ID)}],
        }
        for index, payload in enumerate(content.buttons)
    )
    found: Payload = {"name": content.name, "language": {"code": content.language}}
    if components:
        found["components"] = components
    return found


def absolute(link: str, public_url: str) -> str:
    """A link that the platform can fetch: a path of the store's own gets the store's public address."""
    if link.startswith("/"):
        return public_url.rstrip("/") + link
    if not link.startswith(("https://", "http://")):
        raise InvalidInput(f"an image link is an http(s) URL or a path of the store's own, not {link[:40]!r}")
    return link


def _sized(field: str, value: str, limit: int) -> str:
    if not value.strip():
        raise InvalidInput(f"{field} is empty: WhatsApp takes at least one character", field=field)
    if len(value) > limit:
        raise InvalidInput(f"{field} has {len(value)} characters: WhatsApp takes at most {limit}", field=field)
    return value


def _distinct(choices: Sequence[OutChoice]) -> None:
    if len({choice.id for choice in choices}) < len(choices):
        raise InvalidInput("two choices have the same id: a tap would not tell which")
    if len({choice.title for choice in choices}) < len(choices):
        raise InvalidInput("two choices have the same title: a customer could not tell them apart")
