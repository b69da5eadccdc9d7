"""The Graph side of the simulator: every call that a store makes of the Cloud API, answered as the platform answers.

Source: WhatsApp Business Cloud API, "Messages", "Media", "Mark messages as read", "Typing indicators", "Error codes",
"Business-scoped user IDs"; WhatsApp Business Management API, "Templates", "Business phone numbers", "Business profiles"; Marketing
API, "Product Catalog Items Batch", "Check Batch Request Status".
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import quote

from agent_store.adapters.whatsapp import simulator_catalog
from agent_store.adapters.whatsapp.cloud import (
    ACCOUNT,
    GraphFault,
    Json,
    digits,
    fault,
    status_error,
    unknown_object,
)
from agent_store.adapters.whatsapp.cloud_in import Price, status_webhook
from agent_store.adapters.whatsapp.cloud_out import (
    KINDS,
    MIME_TYPES,
    SIZES,
    MediaPart,
    Receipt,
    Sent,
    read_receipt,
    read_send,
)
from agent_store.adapters.whatsapp.cloud_templates import (
    fill,
    missing,
)
from agent_store.adapters.whatsapp.simulator_account import AccountSide
from agent_store.adapters.whatsapp.simulator_behaviour import failed, refusal
from agent_store.adapters.whatsapp.simulator_content import Content
from agent_store.adapters.whatsapp.simulator_hub import MEDIA_PATH, new_wamid
from agent_store.adapters.whatsapp.simulator_store import RECEIVED_KEPT, UPLOADS_KEPT
from agent_store.agents.whatsapp.phone import Medium, MediumKind, Person, Product, Reaction, ShopNumber
from agent_store.kernel.errors import NotFound

GRAPH_PATH: Final = "/simulator/graph"
"""The store's own path that stands for `https://graph.facebook.com`."""
FILES_PATH: Final = "/simulator/files"
"""Where a medium's address leads, as the platform's own file host."""
_ADDRESS_KEPT = timedelta(minutes=5)
_REACTION_KEPT = timedelta(days=30)
_ENTRY_KEPT = timedelta(hours=72)


class GraphSide(AccountSide):
    """Messages and media, catalogues, and with `AccountSide` everything else."""

    # --- messages --------------------------------------------------------------------------------------------------

    async def messages(self, phone_number_id: str, body: Json) -> Json:
        """Take a message, a read receipt or a typing indicator; statuses follow as webhooks."""
        hub, number = self._hub, self.number(phone_number_id)
        receipt = read_receipt(body)
        if receipt is not None:
            return self._receipt(receipt)
        sent = read_send(body)
        if sent.to is not None and sent.to == digits(number.display_phone):
            raise fault(131021, "to is the number itself")
        person, addressed = self._addressee(sent)
        if hub.behaviour.outage == "busy":
            raise fault(131016, "the service is overloaded")
        hub.gauge.check(hub.behaviour.limits, phone_number_id, person.id, asyncio.get_running_loop().time())
        failure = hub.chance.failure((person.wa_id, person.user_id), sent.type)
        if failure is not None and failure.where == "answer":
            raise refusal(failure)
        content = await self._completed(number, sent)
        error = cast("Json | None", failed(failure)) if failure is not None else None
        if error is None and hub.behaviour.fetch_links:
            error = await self._trouble_with_link(content)
        if error is None and self._outside(person, number, sent):
            if hub.behaviour.window == "answer":
                raise fault(131047, "more than 24 hours have passed since the customer last replied to this number")
            error = status_error(131047, "more than 24 hours have passed since the customer last replied")
        wamid = new_wamid()
        if sent.reaction_to:
            error = error or self._react(person, sent.reaction_to, content.text)
        else:
            self._show(wamid, person, number, sent, content)
        hub.stop_typing(person.id, phone_number_id)
        # Whoever answers has read: the Cloud API itself only tells it when the business says so.
        hub.store.read_up_to(person.id, phone_number_id)
        hub.touch()
        self._report(wamid, person, number, sent, error)
        told: Json = {"id": wamid, **({"message_status": "accepted"} if sent.type == "template" else {})}
        return {"messaging_product": "whatsapp", "contacts": [addressed], "messages": [told]}

    def _receipt(self, receipt: Receipt) -> Json:
        hub = self._hub
        try:
            bubble = hub.store.bubble(receipt.wamid)
        except NotFound:
            return {"success": True}
        hub.store.read_up_to(bubble.person_id, bubble.phone_number_id, bubble.seq)
        hub.become(receipt.wamid, "read")
        if receipt.typing:
            hub.type_for(bubble.person_id, bubble.phone_number_id)
        hub.touch()
        return {"success": True}

    def _addressee(self, sent: Sent) -> tuple[Person, Json]:
        store = self._hub.store
        if sent.to is not None:
            person = store.by_phone(sent.to) or store.insert_person(f"+{sent.to}", sent.to)
            return person, {"input": sent.to, "wa_id": sent.to}
        found = store.by_user(sent.recipient or "")
        if found is None:
            raise fault(131026, "the recipient is no user of this business")
        return found, {"input": sent.recipient, "user_id": sent.recipient}

    def _outside(self, person: Person, number: ShopNumber, sent: Sent) -> bool:
        if self._hub.behaviour.window == "open" or sent.type == "template":
            return False
        until = self._hub.window_until(person, number)
        return until is None or until < self._hub.now()

    async def _completed(self, number: ShopNumber, sent: Sent) -> Content:
        """With what the call only names: template, file, products."""
        content, media = sent.content, sent.media
        if sent.template is not None:
            content, media = self._template(sent.template)
        if media is not None:
            content = self._with_media(content, media)
        if sent.wanted:
            known = await self._hub.find(number, [id for _, id in sent.wanted], sent.catalog_id)
            shown = tuple(replace(known[id], section=title) for title, id in sent.wanted if id in known)
            if not shown:
                raise fault(131009, f"none of the products is in the catalogue {sent.catalog_id}")
            content = replace(content, products=shown)
        elif content.kind == "products":
            found: Sequence[Product] = await self._hub.search(number, "", 30)
            content = replace(content, products=tuple(found))
        return content

    def _template(self, call: Json) -> tuple[Content, MediaPart | None]:
        name, language = str(call["name"]), str(call["language"]["code"])
        found = self._hub.store.template(name, language)
        if found is None:
            raise missing(name, language)
        return fill(found, call)

    def _with_media(self, content: Content, part: MediaPart) -> Content:
        if part.link:
            medium = Medium("", part.kind, part.link, "", part.filename or part.link.rsplit("/", 1)[-1][:80])
        else:
            row = self._hub.store.medium(part.id)
            if row is None or self._hub.now() > _expiry(row):
                raise fault(131009, f"there is no medium {part.id[:40]}, or it has expired")
            if row["mime_type"] not in MIME_TYPES[part.kind] and part.kind != "document":
                raise fault(131053, f"a medium of type {row['mime_type']} cannot be sent as {part.kind}")
            medium = Medium(
                part.id, part.kind, f"{MEDIA_PATH}/{part.id}", row["mime_type"], part.filename or row["filename"],
                row["bytes"],
            )  # fmt: skip
        if part.kind in ("image", "sticker"):
            content = replace(content, image=medium.url)
            return content if content.kind not in ("image", "sticker") else replace(content, medium=medium)
        return replace(content, medium=medium)

    async def _trouble_with_link(self, content: Content) -> Json | None:
        """Fetch what is sent as a link, and say what is wrong with it."""
        link = content.medium.url if content.medium is not None else content.image
        if not link or link.startswith(MEDIA_PATH):
            return None
        kind: MediumKind = content.medium.kind if content.medium is not None else "image"
        said = await self._hub.fetcher.trouble_with(link, MIME_TYPES[kind], SIZES[kind])
        return status_error(131053, said) if said else None

    def _react(self, person: Person, wamid: str, emoji: str) -> Json | None:
        store = self._hub.store
        try:
            bubble = store.bubble(wamid)
        except NotFound:
            bubble = None
        if (
            bubble is None or bubble.person_id != person.id or bubble.deleted
            or bubble.at + _REACTION_KEPT < self._hub.now()
        ):  # fmt: skip
            return status_error(131009, "the message reacted to is not in this chat, was deleted, or is too old")
        kept = tuple(one for one in bubble.reactions if one.mine)
        mine = (Reaction(emoji, mine=False),) if emoji else ()
        store.set_content(wamid, replace(store.content(wamid), reactions=kept + mine))
        return None

    def _show(self, wamid: str, person: Person, number: ShopNumber, sent: Sent, content: Content) -> None:
        self._hub.store.insert_bubble(
            wamid, person.id, number.phone_number_id,
            mine=False, content=content, at=self._hub.now(), reply_to=sent.reply_to, flow_token=sent.flow_token or None,
        )  # fmt: skip

    def _report(self, wamid: str, person: Person, number: ShopNumber, sent: Sent, error: Json | None) -> None:
        hub, pace, at = self._hub, self._hub.behaviour.pace, self._hub.now()
        price = self._price(person, number, sent)

        def webhook(status: str, after: float) -> str:
            told = status_webhook(
                number, person, wamid, status, at + timedelta(seconds=after), sent.callback, error, price
            )
            return json.dumps(told, ensure_ascii=False)

        lane = f"status:{wamid}"
        if error is not None:
            becomes = f"failed:{error['code']}:{error['title']}"
            hub.deliveries.post(lane, wamid, becomes, webhook("failed", pace.sent), pace.sent)
            return
        hub.deliveries.post(lane, wamid, "sent", webhook("sent", pace.sent), pace.sent)
        if sent.reaction_to or pace.delivered is None:
            return
        hub.store.set_webhook(wamid, webhook("read", 0))
        hub.deliveries.post(lane, wamid, "delivered", webhook("delivered", pace.delivered), pace.delivered)
        if pace.read is not None:
            hub.deliveries.post(lane, wamid, "read", webhook("read", pace.read), pace.read)

    def _price(self, person: Person, number: ShopNumber, sent: Sent) -> Price:
        last, ad = self._hub.store.last_heard(person.id, number.phone_number_id)
        now = self._hub.now()
        category = "service"
        if sent.template is not None:
            found = self._hub.store.template(str(sent.template["name"]), str(sent.template["language"]["code"]))
            category = found.category.lower() if found is not None else "utility"
        if ad is not None and now <= ad + _ENTRY_KEPT:
            return Price("referral_conversion", billable=False, type="free_entry_point")
        inside = last is not None and now <= last + timedelta(hours=24)
        if category == "service" or (category == "utility" and inside):
            return Price(category)
        return Price(category, billable=True, type="regular")

    # --- media -----------------------------------------------------------------------------------------------------

    def upload(self, phone_number_id: str, content: bytes, mime_type: str, filename: str, product: str) -> Json:
        self.number(phone_number_id)
        if product != "whatsapp":
            raise fault(100, "messaging_product must be whatsapp")
        mime_type = mime_type.partition(";")[0].strip().lower()
        kinds: list[MediumKind] = [kind for kind in KINDS if mime_type in MIME_TYPES[kind]]
        if not kinds:
            raise fault(100, f"a file of type {mime_type[:60] or 'nothing'} is not supported")
        kind = kinds[0]
        if not 0 < len(content) <= SIZES[kind]:
            raise fault(100, f"a file of {len(content)} bytes: {kind} has 1 to {SIZES[kind]}")
        at = self._hub.now()
        return {"id": self._hub.store.keep_file(content, kind, mime_type, filename[:240], at, uploaded=True)}

    def medium(self, id: str, base_url: str) -> Json:
        """A medium's address, which works for five minutes and with the token only."""
        row = self._medium_row(id)
        until = int((self._hub.now() + _ADDRESS_KEPT).timestamp())
        return {
            "messaging_product": "whatsapp",
            "url": f"{base_url.rstrip('/')}{FILES_PATH}/{quote(id)}?ext={until}&hash={self._seal(id, until)}",
            "mime_type": row["mime_type"],
            "sha256": row["sha256"],
            "file_size": row["bytes"],
            "id": id,
        }

    def file(self, id: str, until: str, seal: str) -> tuple[bytes, str]:
        """Bytes and type behind an address. Raises GraphFault (404) when the address is old or made up."""
        gone = GraphFault(404, 100, "the address of this medium has expired: ask for the medium again")
        if not until.isdigit() or not hmac.compare_digest(seal.encode(), self._seal(id, int(until)).encode()):
            raise gone
        if self._hub.now().timestamp() > int(until):
            raise gone
        row = self._medium_row(id)
        return self._hub.store.file(id).read_bytes(), row["mime_type"]

    def delete_medium(self, id: str) -> Json:
        self._medium_row(id)
        self._hub.store.delete_file(id)
        return {"success": True}

    def _medium_row(self, id: str) -> Any:
        row = self._hub.store.medium(id)
        if row is None or self._hub.now() > _expiry(row):
            raise unknown_object(id)
        return row

    def _seal(self, id: str, until: int) -> str:
        return hmac.digest(self._token.encode(), f"{id}:{until}".encode(), "sha256").hex()[:32]

    # --- catalogue -------------------------------------------------------------------------------------------------

    def items_batch(self, catalog_id: str, body: Json) -> Json:
        answer = simulator_catalog.items_batch(self._hub.store, self._catalog(catalog_id), body)
        self._hub.touch()
        return answer

    def batch_status(self, catalog_id: str, handle: str) -> Json:
        return simulator_catalog.batch_status(self._hub.store, self._catalog(catalog_id), handle)

    def catalog_products(self, catalog_id: str, query: Mapping[str, str]) -> Json:
        return simulator_catalog.products(self._hub.store, self._catalog(catalog_id), query)

    def _catalog(self, id: str) -> str:
        if not id.isdigit():
            raise unknown_object(id)
        return id

    def node(self, id: str, fields: str, base_url: str) -> Json:
        """`GET /<id>`: a number, a template, a medium or the account."""
        number = next((one for one in self._hub.numbers() if one.phone_number_id == id), None)
        if number is not None:
            return self.number_node(number, fields)
        found = self.template(id)
        if found is not None:
            return found
        if id == ACCOUNT:
            return self.account_node(id, fields)
        return self.medium(id, base_url)


def _expiry(row: Any) -> datetime:
    return datetime.fromtimestamp(row["at"], UTC) + (UPLOADS_KEPT if row["uploaded"] else RECEIVED_KEPT)


__all__ = ["FILES_PATH", "GRAPH_PATH", "GraphSide"]
