"""Webhook bodies as the platform makes them: messages, statuses, news of the account. Pure.

Source: WhatsApp Business Cloud API, "Webhooks reference": messages (text, image, audio, video, document, sticker, location,
contacts, reaction, interactive, button, order, system, edit, revoke, unsupported, status), message_template_status_update,
phone_number_quality_update, account_update; "Business-scoped user IDs".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent_store.adapters.whatsapp.cloud import ACCOUNT, Json, digits
from agent_store.agents.whatsapp.phone import Ad, ContactCard, Medium, Option, OrderLine, Person, ShopNumber, Spot

# --- envelopes -------------------------------------------------------------------------------------------------------


def change(field: str, value: Json, at: datetime) -> Json:
    """News of the account or of one of its parts."""
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": ACCOUNT, "time": int(at.timestamp()), "changes": [{"field": field, "value": value}]}],
    }


def _webhook(number: ShopNumber, **value: Any) -> Json:
    metadata = {
        "display_phone_number": digits(number.display_phone),
        "phone_number_id": number.phone_number_id,
    }
    told = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "changes": [told]}]}


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


def number_change_webhook(number: ShopNumber, before: Person, after: Person, wamid: str, at: datetime) -> Json:
    """A system message has no contacts."""
    message: Json = {
        **({"from": before.wa_id} if before.wa_id else {}),
        "from_user_id": before.user_id,
        "id": wamid,
        "timestamp": str(int(at.timestamp())),
        "type": "system",
        "system": {
            "body": f"User {after.name} changed from {before.wa_id or before.user_id} to {after.wa_id}",
            "wa_id": after.wa_id,
            "type": "user_changed_number",
        },
    }
    return _webhook(number, messages=[message])


@dataclass(frozen=True, slots=True)
class Price:
    """What the platform says that a message costs."""

    category: str = "service"
    billable: bool = False
    type: str = "free_customer_service"


def status_webhook(
    number: ShopNumber,
    person: Person,
    wamid: str,
    status: str,
    at: datetime,
    callback: str | None,
    error: Json | None = None,
    price: Price = Price(),
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
            "billable": price.billable,
            "pricing_model": "PMP",
            "category": price.category,
            "type": price.type,
        }
        return _webhook(number, contacts=[_contact(person)], statuses=[whole])
    whole["errors"] = [error]
    return _webhook(number, statuses=[whole])


# --- a customer's message, by kind -----------------------------------------------------------------------------------


def text_message(text: str) -> Json:
    return {"type": "text", "text": {"body": text}}


def media_message(medium: Medium, sha256: str, caption: str) -> Json:
    """`sha256`: base64, as webhooks have it."""
    about: Json = {"id": medium.id, "mime_type": medium.mime_type, "sha256": sha256}
    if medium.kind == "audio":
        about["voice"] = medium.voice
    if medium.kind == "sticker":
        about["animated"] = False
    if medium.kind == "document" and medium.filename:
        about["filename"] = medium.filename
    if caption:
        about["caption"] = caption
    return {"type": medium.kind, medium.kind: about}


def spot_message(spot: Spot) -> Json:
    named = {key: value for key, value in (("name", spot.name), ("address", spot.address)) if value}
    return {"type": "location", "location": {"latitude": spot.latitude, "longitude": spot.longitude, **named}}


def cards_message(cards: Sequence[ContactCard]) -> Json:
    def card(one: ContactCard) -> Json:
        first, _, last = one.name.partition(" ")
        name = {"formatted_name": one.name, "first_name": first, **({"last_name": last} if last else {})}
        phones = [{"phone": one.phone, "wa_id": digits(one.phone), "type": "CELL"}] if one.phone else []
        return {"name": name, **({"phones": phones} if phones else {})}

    return {"type": "contacts", "contacts": [card(one) for one in cards]}


def reaction_message(wamid: str, emoji: str) -> Json:
    """No emoji: taken back."""
    return {"type": "reaction", "reaction": {"message_id": wamid, **({"emoji": emoji} if emoji else {})}}


def tap_message(option: Option, kind: str) -> Json:
    """`kind`: of the bubble that was tapped."""
    if kind == "template":
        return {"type": "button", "button": {"text": option.title, "payload": option.id}}
    answer: Json = {"id": option.id, "title": option.title}
    if kind == "list":
        if option.description:
            answer["description"] = option.description
        return {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": answer}}
    return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": answer}}


def form_message(answers: Mapping[str, Any], token: str) -> Json:
    response = json.dumps({**answers, "flow_token": token}, ensure_ascii=False)
    reply = {"name": "flow", "body": "Sent", "response_json": response}
    return {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": reply}}


def order_message(catalog_id: str, lines: Sequence[OrderLine], text: str) -> Json:
    items = [
        {
            "product_retailer_id": line.retailer_id,
            "quantity": line.quantity,
            "item_price": (line.price or 0) / 100,
            "currency": line.currency,
        }
        for line in lines
    ]
    return {"type": "order", "order": {"catalog_id": catalog_id, "text": text, "product_items": items}}


def referred_product(catalog_id: str, retailer_id: str) -> Json:
    """What a question about a product has for a context."""
    return {"referred_product": {"catalog_id": catalog_id, "product_retailer_id": retailer_id}}


def referral(ad: Ad) -> Json:
    return {
        "source_url": ad.url,
        "source_id": ad.source_id,
        "source_type": ad.source_type,
        "headline": ad.headline,
        "body": ad.body,
        "media_type": "image",
        **({"ctwa_clid": ad.click_id} if ad.click_id else {}),
    }


def edit_message(original: str, message: Json) -> Json:
    return {"type": "edit", "edit": {"original_message_id": original, "message": message}}


def revoke_message(original: str) -> Json:
    return {"type": "revoke", "revoke": {"original_message_id": original}}


def unsupported_message(kind: str) -> Json:
    error = {
        "code": 131051,
        "title": "Message type unknown",
        "message": "Message type unknown",
        "error_data": {"details": "Message type is currently not supported."},
    }
    return {"type": "unsupported", "errors": [error], "unsupported": {"type": kind}}


# --- news of the account ---------------------------------------------------------------------------------------------


def template_news(id: str, name: str, language: str, category: str, event: str, reason: str) -> Json:
    return {
        "event": event,
        "message_template_id": int(id),
        "message_template_name": name,
        "message_template_language": language,
        "message_template_category": category,
        "reason": reason or "NONE",
    }


def quality_news(number: ShopNumber, event: str, old_limit: str, limit: str) -> Json:
    return {
        "display_phone_number": digits(number.display_phone),
        "event": event,
        "old_limit": old_limit,
        "current_limit": limit,
        "max_daily_conversations_per_business": limit,
    }


def account_news(number: ShopNumber | None, event: str, at: datetime) -> Json:
    """An account that is disabled or restricted also says how."""
    value: Json = {**({"phone_number": digits(number.display_phone)} if number else {}), "event": event}
    if event == "DISABLED_UPDATE":
        value["ban_info"] = {"waba_ban_state": "DISABLE", "waba_ban_date": f"{at:%B %d, %Y}"}
    if event == "ACCOUNT_RESTRICTION":
        value["restriction_info"] = [
            {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": int(at.timestamp()) + 86400}
        ]
    return value
