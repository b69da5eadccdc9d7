"""What the simulated Graph API knows of the account: templates, numbers, profiles, the access token.

Source: WhatsApp Business Management API, "Templates", "Business phone numbers", "Business profiles", "Subscribed apps".
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from agent_store.adapters.whatsapp.cloud import APP, GraphFault, Json, fault, unknown_object
from agent_store.adapters.whatsapp.cloud_in import change, template_news
from agent_store.adapters.whatsapp.cloud_templates import (
    Definition,
    TemplateStatus,
    check_category,
    check_components,
    check_definition,
    missing,
)
from agent_store.adapters.whatsapp.simulator_hub import Hub
from agent_store.agents.whatsapp.phone import ShopNumber
from agent_store.kernel.errors import NotFound

_PROFILE: dict[str, int] = {"about": 139, "address": 256, "description": 512, "email": 128, "vertical": 40}
_VERTICALS = frozenset({
    "OTHER", "AUTO", "BEAUTY", "APPAREL", "EDU", "ENTERTAIN", "EVENT_PLAN", "FINANCE", "GROCERY", "GOVT", "HOTEL",
    "HEALTH", "NONPROFIT", "PROF_SERVICES", "RETAIL", "TRAVEL", "RESTAURANT", "ALCOHOL", "ONLINE_GAMBLING",
    "PHYSICAL_GAMBLING", "OTC_DRUGS", "MATRIMONY_SERVICE",
})  # fmt: skip


class AccountSide:
    """One method a call; each raises GraphFault as the platform would refuse it."""

    def __init__(self, hub: Hub, access_token: str) -> None:
        self._hub = hub
        self._token = access_token
        self._reviews: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for id, due in self._hub.store.under_review():
            self._review_later(id, due)

    async def stop(self) -> None:
        tasks = list(self._reviews.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def check_token(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            raise GraphFault(401, 190, "Invalid OAuth access token")
        if self._hub.behaviour.access == "expired":
            raise GraphFault(401, 190, "Error validating access token: the session has expired", subcode=463)
        if self._hub.behaviour.access == "revoked":
            raise GraphFault(401, 190, "Error validating access token: it was invalidated", subcode=460)

    def number(self, phone_number_id: str) -> ShopNumber:
        try:
            return self._hub.number(phone_number_id)
        except NotFound as error:
            raise unknown_object(phone_number_id) from error

    # --- templates -------------------------------------------------------------------------------------------------

    def create_template(self, body: Json) -> Json:
        name, language, category, components = check_definition(body)
        if self._hub.store.template(name, language) is not None:
            refusal_ = GraphFault(400, 100, "Invalid parameter", subcode=2388024)
            refusal_.body["error"]["error_user_msg"] = f"there is a template {name} in {language} already: edit it"
            raise refusal_
        found = self._submit(name, language, category, components)
        return {"id": found.id, "status": found.status, "category": found.category}

    def edit_template(self, id: str, body: Json) -> Json:
        found = self._hub.store.template_by_id(id)
        if found is None:
            raise unknown_object(id)
        category = check_category(body) if body.get("category") is not None else found.category
        components = check_components(body) if body.get("components") is not None else found.components
        self._submit(found.name, found.language, category, components)
        return {"success": True}

    def _submit(self, name: str, language: str, category: str, components: tuple[Json, ...]) -> Definition:
        due = datetime.now(UTC) + timedelta(seconds=self._hub.behaviour.review.seconds)
        found = self._hub.store.put_template(name, language, category, components, "PENDING", due=due)
        self._review_later(found.id, due.timestamp())
        return found

    def delete_template(self, name: str, id: str) -> Json:
        """All languages of a name, or with `hsm_id` the one."""
        ids = [one.id for one in self._hub.store.templates() if one.name == name and id in ("", one.id)]
        if not ids:
            raise missing(name, id or "any language")
        self._hub.store.delete_templates(ids)
        return {"success": True}

    def templates(self, query: Mapping[str, str]) -> Json:
        found = [
            one
            for one in self._hub.store.templates()
            if query.get("name") in (None, one.name)
            and query.get("language") in (None, one.language)
            and query.get("status", one.status).upper() == one.status
        ]
        return page([one.as_json() for one in found], query)

    def template(self, id: str) -> Json | None:
        found = self._hub.store.template_by_id(id)
        return None if found is None else found.as_json()

    def _review_later(self, id: str, due: float) -> None:
        if (running := self._reviews.get(id)) is not None:
            running.cancel()
        self._reviews[id] = asyncio.create_task(self._review(id, due), name=f"simulator review {id}")

    async def _review(self, id: str, due: float) -> None:
        await asyncio.sleep(max(0.0, due - datetime.now(UTC).timestamp()))
        review = self._hub.behaviour.review
        if review.verdict != "PENDING":
            self.judge(id, review.verdict, review.reason)

    def judge(self, id: str, status: TemplateStatus, reason: str = "") -> Definition:
        """The platform decides about a template, and tells it."""
        found = self._hub.store.template_by_id(id)
        if found is None:
            raise NotFound(f"there is no template with id {id}")
        self._hub.store.set_template(id, status, reason)
        told = template_news(found.id, found.name, found.language, found.category, status, reason)
        self.tell("message_template_status_update", told)
        return replace(found, status=status, reason=reason)

    def tell(self, field: str, value: Json) -> None:
        """News of the account as a webhook."""
        body = json.dumps(change(field, value, self._hub.now()), ensure_ascii=False)
        self._hub.deliveries.post("account", "", "", body)

    # --- numbers, account, token -----------------------------------------------------------------------------------

    def number_node(self, number: ShopNumber, fields: str) -> Json:
        state = self.number_state(number.phone_number_id)
        whole: Json = {
            "id": number.phone_number_id,
            "verified_name": number.name,
            "display_phone_number": number.display_phone,
            "code_verification_status": "VERIFIED",
            "quality_rating": state["quality"],
            "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"},
            "name_status": "APPROVED",
            "status": "CONNECTED",
            "account_mode": "SANDBOX",
            "messaging_limit_tier": state["limit"],
            "is_official_business_account": False,
        }
        return _picked(whole, fields, tuple(whole)[:7])

    def number_state(self, phone_number_id: str) -> dict[str, str]:
        return self._hub.store.setting(f"number:{phone_number_id}", {"quality": "GREEN", "limit": "TIER_1K"})

    def set_number_state(self, phone_number_id: str, state: Mapping[str, str]) -> None:
        self._hub.store.set_setting(f"number:{phone_number_id}", dict(state))

    def numbers(self, query: Mapping[str, str]) -> Json:
        return page([self.number_node(number, query.get("fields", "")) for number in self._hub.numbers()], query)

    def account_node(self, id: str, fields: str) -> Json:
        whole: Json = {
            "id": id, "name": "Simulated account", "currency": "BRL", "timezone_id": "1",
            "message_template_namespace": "simulator", "account_review_status": "APPROVED",
        }  # fmt: skip
        return _picked(whole, fields, tuple(whole)[:5])

    def apps(self, subscribed: bool | None = None) -> Json:
        if subscribed is not None:
            self._hub.store.set_setting("subscribed", subscribed)
            return {"success": True}
        app = {"whatsapp_business_api_data": {"id": APP, "name": "Simulated app", "link": ""}}
        return {"data": [app] if self._hub.store.setting("subscribed", True) else []}

    def debug_token(self, token: str) -> Json:
        valid = hmac.compare_digest(token.encode(), self._token.encode()) and self._hub.behaviour.access == "valid"
        scopes = ["whatsapp_business_messaging", "whatsapp_business_management", "catalog_management"]
        about: Json = {"app_id": APP, "type": "SYSTEM_USER", "is_valid": valid, "expires_at": 0, "scopes": scopes}
        if not valid:
            about["error"] = {"code": 190, "message": "the access token has expired or was revoked", "subcode": 463}
        return {"data": about}

    # --- business profile ------------------------------------------------------------------------------------------

    def profile(self, phone_number_id: str, fields: str) -> Json:
        self.number(phone_number_id)
        kept: Json = self._hub.store.setting(f"profile:{phone_number_id}", {})
        names = {name for name in fields.split(",") if name} or {"about"}
        shown = {name: value for name, value in kept.items() if name in names}
        return {"data": [{**shown, "messaging_product": "whatsapp"}]}

    def set_profile(self, phone_number_id: str, body: Json) -> Json:
        self.number(phone_number_id)
        if body.get("messaging_product") != "whatsapp":
            raise fault(100, "messaging_product must be whatsapp")
        kept: Json = self._hub.store.setting(f"profile:{phone_number_id}", {})
        for name, value in body.items():
            if name == "messaging_product":
                continue
            if name == "websites":
                sites = cast("list[Any]", value) if isinstance(value, list) else None
                if (
                    sites is None
                    or len(sites) > 2
                    or not all(isinstance(one, str) and len(one) <= 256 for one in sites)
                ):
                    raise fault(100, "websites has at most 2 addresses of at most 256 characters")
            elif name not in _PROFILE:
                raise fault(100, f"the profile has no field {name[:40]!r}")
            elif not isinstance(value, str) or len(value) > _PROFILE[name]:
                raise fault(100, f"{name} has at most {_PROFILE[name]} characters")
            elif name == "vertical" and value and value not in _VERTICALS:
                raise fault(100, f"vertical is one of {', '.join(sorted(_VERTICALS))}")
            kept[name] = value
        self._hub.store.set_setting(f"profile:{phone_number_id}", kept)
        return {"success": True}


def page(found: Sequence[Json], query: Mapping[str, str], size: int = 25) -> Json:
    """One page of a list, by cursors that are places in it."""
    asked, after = query.get("limit", ""), query.get("after", "")
    most = max(1, min(int(asked) if asked.isdigit() else size, 1000))
    start = int(after) if after.isdigit() else 0
    part = list(found[start : start + most])
    end = start + len(part)
    paging: Json = {"cursors": {"before": str(start), "after": str(end)}} if part else {}
    if end < len(found):
        paging["next"] = f"?limit={most}&after={end}"
    return {"data": part, **({"paging": paging} if paging else {})}


def _picked(whole: Json, fields: str, default: Sequence[str]) -> Json:
    """The asked fields; the id is always there."""
    names = [name.strip() for name in fields.split(",") if name.strip()] or list(default)
    return {name: value for name, value in whole.items() if name in names or name == "id"}
