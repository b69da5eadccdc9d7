"""The shapes of the Cloud API as its other side makes them: webhook bodies out, Graph calls checked. Pure.

Source: WhatsApp Business Cloud API, "Webhooks", "Messages" and "Error codes".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from agent_store.agents.whatsapp import outbound
from agent_store.agents.whatsapp.phone import BubbleKind, Option, Person, ShopNumber

Json = dict[str, Any]

ACCOUNT = "100000000000042"
"""The simulated WhatsApp business account's id."""


class GraphFault(Exception):
    """A Graph call refused, as the platform refuses it."""

    def __init__(
        self, status: int, code: int, message: str, details: str = "", *, kind: str = "OAuthException"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {
            "error": {
                "message": f"(#{code}) {message}",
                "type": kind,
                "code": code,
                **({"error_data": {"messaging_product": "whatsapp", "details": details}} if details else {}),
                "fbtrace_id": "simulator",
            }
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """A Graph call that was taken: whom it is for and what it shows."""

    to: str | None
    """Digits of a phone number, or None when `recipient` addresses it."""
    recipient: str | None
    kind: BubbleKind
    text: str
    image: str | None
    options: tuple[Option, ...]
    button: str | None
    reply_to: str | None
    callback: str | None


def digits(phone: str) -> str:
    """A phone number as WhatsApp writes it: country code first, digits only."""
    return "".join(character for character in phone if character in "0123456789")


# --- webhooks ----------------------------------------------------------------------------------------------------


def _webhook(number: ShopNumber, **value: Any) -> Json:
    metadata = {
        "display_phone_number": digits(number.display_phone),
        "phone_number_id": number.phone_number_id,
    }
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "changes": [change]}]}


def _contact(person: Person) -> Json:
    return {
        "profile": {"name": person.name},
        **({"wa_id": person.wa_id} if person.wa_id else {}),
        "user_id": person.user_id,
    }


def message_webhook(number: ShopNumber, person: Person, wamid: str, at: datetime, message: Json) -> Json:
    """`message` has the type and its object, and `context` when it answers one."""
    whole: Json = {
        **({"from": person.wa_id} if person.wa_id else {}),
        "from_user_id": person.user_id,
        "id": wamid,
        "timestamp": str(int(at.timestamp())),
        **message,
    }
    return _webhook(number, contacts=[_contact(person)], messages=[whole])


def status_webhook(
    number: ShopNumber,
    person: Person,
    wamid: str,
    status: str,
    at: datetime,
    callback: str | None,
    error: Json | None = None,
) -> Json:
    whole: Json = {
        "id": wamid,
        "status": status,
        "timestamp": str(int(at.timestamp())),
        **({"recipient_id": person.wa_id} if person.wa_id else {}),
        "recipient_user_id": person.user_id,
    }
    if callback is not None:
        whole["biz_opaque_callback_data"] = callback
    if error is None:
        whole["pricing"] = {
            "billable": False,
            "pricing_model": "PMP",
            "category": "service",
            "type": "free_customer_service",
        }
        return _webhook(number, contacts=[_contact(person)], statuses=[whole])
    whole["errors"] = [error]
    return _webhook(number, statuses=[whole])


# --- Graph calls -------------------------------------------------------------------------------------------------


def read_receipt(body: Json) -> str | None:
    """The wamid when the call says "I have read this message"."""
    if body.get("status") != "read":
        return None
    return _string(body, "message_id")


def read_send(body: Json) -> Sent:
    """Check a call of `POST /<number>/messages`. Raises GraphFault as the platform would answer."""
    if body.get("messaging_product") != "whatsapp":
        raise _invalid("messaging_product must be whatsapp", code=100)
    to, recipient = body.get("to"), body.get("recipient")
    if not (isinstance(to, str) and to) and not (isinstance(recipient, str) and recipient):
        raise _invalid("the parameter to or recipient is required", code=100)
    phone = digits(to) if isinstance(to, str) else ""
    if isinstance(to, str) and to and not 5 <= len(phone) <= 20:
        raise _invalid("to is no phone number", code=100)
    callback = body.get("biz_opaque_callback_data")
    if callback is not None and not (isinstance(callback, str) and len(callback) <= outbound.CALLBACK):
        raise _invalid(f"biz_opaque_callback_data is a string of at most {outbound.CALLBACK} characters")
    context = body.get("context")
    reply_to = _string(_object(body, "context"), "message_id") if context is not None else None
    kind, text, image, options, button = _read_content(body)
    return Sent(
        to=phone or None,
        recipient=recipient if isinstance(recipient, str) and not phone else None,
        kind=kind,
        text=text,
        image=image,
        options=options,
        button=button,
        reply_to=reply_to,
        callback=callback,
    )


def _read_content(body: Json) -> tuple[BubbleKind, str, str | None, tuple[Option, ...], str | None]:
    kind = body.get("type", "text")
    if kind == "text":
        return "text", _string(_object(body, "text"), "body", outbound.TEXT), None, (), None
    if kind == "image":
        image = _object(body, "image")
        caption = _string(image, "caption", outbound.CAPTION) if image.get("caption") else ""
        return "image", caption, _link(image), (), None
    if kind == "interactive":
        interactive = _object(body, "interactive")
        if interactive.get("type") == "button":
            return _read_buttons(interactive)
        if interactive.get("type") == "list":
            return _read_list(interactive)
        raise _invalid("interactive.type must be button or list")
    raise _invalid("the simulator takes text, image and interactive messages", code=100)


def _read_buttons(interactive: Json) -> tuple[BubbleKind, str, str | None, tuple[Option, ...], str | None]:
    buttons = _array(_object(interactive, "action"), "buttons", most=3)
    options: list[Option] = []
    for button in buttons:
        if button.get("type") != "reply":
            raise _invalid("button.type must be reply")
        reply = _object(button, "reply")
        options.append(Option(_string(reply, "id", outbound.BUTTON_ID), _string(reply, "title", outbound.BUTTON_TITLE)))
    _distinct([option.id for option in options], "button ids")
    _distinct([option.title for option in options], "button titles")
    header, image = _read_header(interactive)
    text = _string(_object(interactive, "body"), "text", outbound.BUTTONS_BODY)
    return "buttons", _joined(header, text, _read_footer(interactive)), image, tuple(options), None


def _read_list(interactive: Json) -> tuple[BubbleKind, str, str | None, tuple[Option, ...], str | None]:
    action = _object(interactive, "action")
    sections = _array(action, "sections", most=10)
    options: list[Option] = []
    for section in sections:
        if len(sections) > 1:
            _string(section, "title", outbound.ROW_TITLE)
        for row in _array(section, "rows", most=10):
            description = (
                _string(row, "description", outbound.ROW_DESCRIPTION) if row.get("description") is not None else None
            )
            title = _string(row, "title", outbound.ROW_TITLE)
            options.append(Option(_string(row, "id", outbound.ROW_ID), title, description))
    if len(options) > 10:
        raise _invalid("a list has at most 10 rows in all")
    _distinct([option.id for option in options], "row ids")
    header, _ = _read_header(interactive)
    text = _string(_object(interactive, "body"), "text", outbound.LIST_BODY)
    button = _string(action, "button", outbound.BUTTON_TITLE)
    return "list", _joined(header, text, _read_footer(interactive)), None, tuple(options), button


def _read_header(interactive: Json) -> tuple[str, str | None]:
    if interactive.get("header") is None:
        return "", None
    header = _object(interactive, "header")
    if header.get("type") == "text":
        return _string(header, "text", 60), None
    if header.get("type") == "image" and interactive.get("type") == "button":
        return "", _link(_object(header, "image"))
    raise _invalid("header.type must be text, or image for buttons")


def _read_footer(interactive: Json) -> str:
    return _string(_object(interactive, "footer"), "text", 60) if interactive.get("footer") is not None else ""


def _joined(header: str, text: str, footer: str) -> str:
    return "\n\n".join(
        part for part in (f"*{header}*" if header else "", text, f"_{footer}_" if footer else "") if part
    )


def _link(image: Json) -> str:
    link = _string(image, "link")
    if not link.startswith(("http://", "https://")):
        raise _invalid("image.link must be an absolute http(s) URL")
    return link


def _invalid(details: str, *, code: int = 131009) -> GraphFault:
    return GraphFault(400, code, "Invalid parameter" if code == 100 else "Parameter value is not valid", details)


def _object(parent: Json, name: str) -> Json:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise _invalid(f"the parameter {name} is required and is an object", code=131008)
    return cast(Json, value)


def _array(parent: Json, name: str, *, most: int) -> list[Json]:
    value = parent.get(name)
    if not isinstance(value, list) or not 1 <= len(cast("list[Any]", value)) <= most:
        raise _invalid(f"{name} has 1 to {most} elements")
    parts = cast("list[Any]", value)
    if not all(isinstance(part, dict) for part in parts):
        raise _invalid(f"{name} has an element that is no object")
    return cast("list[Json]", parts)


def _string(parent: Json, name: str, most: int | None = None) -> str:
    value = parent.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _invalid(f"the parameter {name} is required", code=131008)
    if most is not None and len(value) > most:
        raise _invalid(f"{name} has {len(value)} characters, at most {most} are allowed")
    return value


def _distinct(values: list[str], name: str) -> None:
    if len(set(values)) < len(values):
        raise _invalid(f"{name} are not unique")
