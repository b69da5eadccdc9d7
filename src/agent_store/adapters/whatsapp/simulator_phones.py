"""The phones of the simulated customers: what they show, and what can be done with them."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from agent_store.adapters.whatsapp import cloud_in
from agent_store.adapters.whatsapp.cloud import Json, digits
from agent_store.adapters.whatsapp.cloud_out import KINDS, SIZES
from agent_store.adapters.whatsapp.simulator_content import Content
from agent_store.adapters.whatsapp.simulator_hub import MEDIA_PATH, Hub, made_up_phone, new_wamid
from agent_store.adapters.whatsapp.simulator_store import base64_of
from agent_store.agents.whatsapp.model import without_cards
from agent_store.agents.whatsapp.phone import (
    Ad,
    Bubble,
    ChatState,
    ContactCard,
    Medium,
    MediumKind,
    OrderLine,
    Person,
    Product,
    Reaction,
    ShopNumber,
    Spot,
)
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound
from agent_store.kernel.privacy import redact_cards

EDIT_UNTIL = timedelta(minutes=15)
DELETE_UNTIL = timedelta(days=2)
_MIME_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}")
_PRODUCTS_SHOWN = 60


class Phones:
    """One phone a customer. What is done here reaches the store as a signed webhook."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    # --- what is shown ---------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self.hub.revision

    @property
    def elsewhere(self) -> str | None:
        return self.hub.elsewhere

    async def changed(self, after: int, within: float) -> int:
        return await self.hub.changed(after, within)

    def numbers(self) -> Sequence[ShopNumber]:
        return self.hub.numbers()

    def people(self) -> Sequence[Person]:
        return self.hub.store.people()

    def person(self, person_id: str) -> Person:
        return self.hub.store.person(person_id)

    def bubbles(self, person_id: str, phone_number_id: str, *, limit: int = 100, after: int = 0) -> Sequence[Bubble]:
        return self.hub.store.bubbles(person_id, phone_number_id, limit=limit, after=after)

    def latest(self, person_id: str) -> dict[str, Bubble]:
        found: dict[str, Bubble] = {}
        for number in self.hub.numbers():
            newest = self.bubbles(person_id, number.phone_number_id, limit=1)
            if newest:
                found[number.phone_number_id] = newest[-1]
        return found

    def bubble(self, wamid: str) -> Bubble:
        return self.hub.store.bubble(wamid)

    def state(self, person_id: str, phone_number_id: str) -> ChatState:
        number = next((one for one in self.hub.numbers() if one.phone_number_id == phone_number_id), None)
        if number is None:
            raise NotFound(f"{phone_number_id} is no number of this store")
        until = self.hub.window_until(self.person(person_id), number)
        return ChatState(self.hub.typing(person_id, phone_number_id), until)

    def now(self) -> datetime:
        return self.hub.now()

    def move_clock(self, by: timedelta) -> datetime:
        return self.hub.move_clock(by)

    def reset_clock(self) -> datetime:
        return self.hub.reset_clock()

    async def products(self, phone_number_id: str, *, words: str = "") -> Sequence[Product]:
        return await self.hub.search(self.hub.number(phone_number_id), words, _PRODUCTS_SHOWN)

    # --- customers -------------------------------------------------------------------------------------------------

    def add_person(self, name: str, *, with_phone: bool = True, wa_id: str | None = None) -> Person:
        """`wa_id`: digits; default a made-up one. Without a phone only the scoped id is shown to the store."""
        name = name.strip()[:60]
        if not name:
            raise InvalidInput("a customer needs a name")
        person = self.hub.store.insert_person(name, self._free_phone(wa_id) if wa_id or with_phone else None)
        self.hub.touch()
        return person

    def change_number(self, person_id: str, wa_id: str | None = None) -> Person:
        """Each shop that the customer wrote to is told by a system message."""
        self.hub.refuse_elsewhere()
        before = self.person(person_id)
        if before.wa_id is None:
            raise Conflict(f"{before.name} shows no phone number that could change")
        after = self.hub.store.set_phone(person_id, self._free_phone(wa_id))
        written = set(self.hub.store.written_to(person_id))
        for number in [one for one in self.hub.numbers() if one.phone_number_id in written]:
            at, wamid = self.hub.now(), new_wamid()
            body = cloud_in.number_change_webhook(number, before, after, wamid, at)
            content = Content("system", f"+{before.wa_id} → +{after.wa_id}")
            self._put(wamid, after, number, body, content, at)
        self.hub.touch()
        return after

    def _free_phone(self, wa_id: str | None) -> str:
        if wa_id is None:
            return made_up_phone()
        if not wa_id.isdecimal() or not 8 <= len(wa_id) <= 15:
            raise InvalidInput("wa_id has 8 to 15 digits: country code, area and number, nothing else")
        if self.hub.store.by_phone(wa_id) is not None:
            raise Conflict("a simulated customer has this number already")
        return wa_id

    # --- the customer's side ---------------------------------------------------------------------------------------

    async def say(
        self,
        person_id: str,
        phone_number_id: str,
        text: str,
        *,
        reply_to: str | None = None,
        copies: int = 1,
        forwarded: bool = False,
    ) -> Bubble:
        """Write a text. `copies` webhooks of the one message are delivered at the same time."""
        text = _words(text)
        message = cloud_in.text_message(text)
        content = Content("text", text, forwarded=forwarded)
        context: Json = {"forwarded": True} if forwarded else {}
        return self._write(
            person_id, phone_number_id, message, content, reply_to=reply_to, copies=copies, context=context
        )

    async def send_file(
        self,
        person_id: str,
        phone_number_id: str,
        content: bytes,
        *,
        filename: str = "",
        mime_type: str = "",
        kind: MediumKind | None = None,
        caption: str = "",
        voice: bool = False,
        reply_to: str | None = None,
        copies: int = 1,
    ) -> Bubble:
        """Keep the bytes and send them; the store fetches them by the medium's id."""
        filename = redact_cards(Path(filename.replace("\\", "/")).name[:240])
        mime_type = (mime_type or mimetypes.guess_type(filename)[0] or "application/octet-stream").lower()
        plain = mime_type.partition(";")[0].strip()
        if not _MIME_TYPE.fullmatch(plain):
            plain = "application/octet-stream"
        kind = kind or _kind_of(plain)
        if not 0 < len(content) <= SIZES["document" if kind == "sticker" else kind]:
            raise InvalidInput(f"a file of {len(content)} bytes: WhatsApp takes 1 to {SIZES[kind]} as {kind}")
        if len(caption) > 1024 or (caption and kind in ("audio", "sticker")):
            raise InvalidInput("a caption has at most 1,024 characters, and sounds and stickers have none")
        self.hub.number(phone_number_id)
        self.person(person_id)
        at = self.hub.now()
        mime_type = "audio/ogg; codecs=opus" if voice and plain == "audio/ogg" else plain
        id = self.hub.store.keep_file(content, kind, mime_type, filename, at, uploaded=False)
        row = self.hub.store.medium(id)
        assert row is not None  # noqa: S101 (it was written one line ago)
        medium = Medium(id, kind, f"{MEDIA_PATH}/{id}", mime_type, filename, len(content), voice)
        caption = redact_cards(caption.strip())
        message = cloud_in.media_message(medium, base64_of(row["sha256"]), caption)
        shown = Content(kind, caption, medium=medium, image=medium.url if kind in ("image", "sticker") else None)
        return self._write(person_id, phone_number_id, message, shown, reply_to=reply_to, copies=copies)

    async def send_spot(
        self, person_id: str, phone_number_id: str, spot: Spot, *, reply_to: str | None = None, copies: int = 1
    ) -> Bubble:
        if not -90 <= spot.latitude <= 90 or not -180 <= spot.longitude <= 180:
            raise InvalidInput("latitude is from -90 to 90, longitude from -180 to 180")
        message = cloud_in.spot_message(spot)
        return self._write(
            person_id, phone_number_id, message, Content("location", spot=spot), reply_to=reply_to, copies=copies
        )

    async def send_cards(
        self,
        person_id: str,
        phone_number_id: str,
        cards: Sequence[ContactCard],
        *,
        reply_to: str | None = None,
        copies: int = 1,
    ) -> Bubble:
        if not cards or not all(card.name.strip() for card in cards):
            raise InvalidInput("a contact needs a name")
        content = Content("contacts", cards=tuple(cards))
        message = cloud_in.cards_message(cards)
        return self._write(person_id, phone_number_id, message, content, reply_to=reply_to, copies=copies)

    async def order(
        self,
        person_id: str,
        phone_number_id: str,
        wanted: Mapping[str, int],
        *,
        text: str = "",
        prices: Mapping[str, int] | None = None,
        copies: int = 1,
    ) -> Bubble:
        """`prices`: what the order says that one costs, in minor units, whatever the catalogue says."""
        if not wanted or not all(1 <= quantity <= 999 for quantity in wanted.values()):
            raise InvalidInput("an order has products, 1 to 999 of each")
        number = self.hub.number(phone_number_id)
        known = await self.hub.find(number, list(wanted))
        missing = [id for id in wanted if id not in known]
        if missing:
            raise NotFound(f"not in the catalogue of this number: {', '.join(missing[:5])}")
        lines = tuple(
            OrderLine(id, quantity, known[id].title, self._told_price(known[id], prices), known[id].currency)
            for id, quantity in wanted.items()
        )
        text = redact_cards(text.strip())
        message = cloud_in.order_message(self.hub.catalog_id(number), lines, text)
        return self._write(person_id, phone_number_id, message, Content("order", text, lines=lines), copies=copies)

    def _told_price(self, product: Product, prices: Mapping[str, int] | None) -> int | None:
        if prices is not None and product.retailer_id in prices:
            return prices[product.retailer_id]
        if self.hub.behaviour.wrong_order_prices and product.price:
            return max(1, product.price // 100)
        return product.price

    async def ask_about(
        self, person_id: str, phone_number_id: str, retailer_id: str, text: str, *, copies: int = 1
    ) -> Bubble:
        number = self.hub.number(phone_number_id)
        product = (await self.hub.find(number, [retailer_id])).get(retailer_id)
        if product is None:
            raise NotFound(f"not in the catalogue of this number: {retailer_id}")
        text = _words(text)
        context = {
            "from": digits(number.display_phone),
            "id": new_wamid(),
            **cloud_in.referred_product(self.hub.catalog_id(number), retailer_id),
        }
        message = cloud_in.text_message(text)
        content = Content("text", text, about=product)
        return self._write(person_id, phone_number_id, message, content, context=context, copies=copies)

    async def come_from_ad(self, person_id: str, phone_number_id: str, ad: Ad, text: str, *, copies: int = 1) -> Bubble:
        text = _words(text)
        message = {**cloud_in.text_message(text), "referral": cloud_in.referral(ad)}
        return self._write(person_id, phone_number_id, message, Content("text", text, ad=ad), copies=copies)

    async def send_unsupported(
        self, person_id: str, phone_number_id: str, *, kind: str = "poll_creation", copies: int = 1
    ) -> Bubble:
        message = cloud_in.unsupported_message(kind)
        return self._write(person_id, phone_number_id, message, Content("other", f"[{kind}]"), copies=copies)

    async def send_raw(self, person_id: str, phone_number_id: str, message: Json, *, copies: int = 1) -> Bubble:
        """Deliver any message object (its `type` and what goes with it): kinds that the store may not know."""
        kind = message.get("type")
        text = f"[{kind if isinstance(kind, str) else 'sem tipo'}]"
        own = {
            name: value for name, value in message.items() if name not in ("id", "from", "from_user_id", "timestamp")
        }
        return self._write(person_id, phone_number_id, own, Content("other", text), copies=copies)

    async def tap(self, wamid: str, option_id: str, *, copies: int = 1) -> Bubble:
        asked = self.bubble(wamid)
        option = next((option for option in asked.options if option.id == option_id), None)
        if asked.mine or option is None:
            raise NotFound(f"message {wamid} has no option {option_id!r}")
        return self._write(
            asked.person_id, asked.phone_number_id, cloud_in.tap_message(option, asked.kind),
            Content("reply", option.title), reply_to=wamid, copies=copies,
        )  # fmt: skip

    async def fill_in(self, wamid: str, answers: Mapping[str, Any], *, copies: int = 1) -> Bubble:
        asked = self.bubble(wamid)
        if asked.mine or asked.kind != "flow":
            raise NotFound(f"message {wamid} has no form")
        answers = cast("dict[str, Any]", without_cards(dict(answers)))
        message = cloud_in.form_message(answers, self.hub.store.row(wamid)["flow_token"] or "unused")
        return self._write(
            asked.person_id,
            asked.phone_number_id,
            message,
            Content("form", form=answers),
            reply_to=wamid,
            copies=copies,
        )

    async def react(self, wamid: str, emoji: str, *, copies: int = 1) -> Bubble:
        bubble = self._alive(wamid)
        emoji = emoji.strip()
        if len(emoji) > 16 or (emoji.isascii() and emoji.isalnum()):
            raise InvalidInput("a reaction is one emoji")
        theirs = tuple(one for one in bubble.reactions if not one.mine)
        mine = (Reaction(emoji, mine=True),) if emoji else ()
        self.hub.store.set_content(wamid, replace(self.hub.store.content(wamid), reactions=theirs + mine))
        self._beside(bubble, cloud_in.reaction_message(wamid, emoji), opens=True, copies=copies)
        return self.bubble(wamid)

    async def edit(self, wamid: str, text: str, *, copies: int = 1) -> Bubble:
        bubble = self._own(wamid, EDIT_UNTIL, "changed")
        media = bubble.kind in KINDS
        if bubble.kind != "text" and not (media and bubble.kind not in ("audio", "sticker")):
            raise Conflict("only a text, or the caption of a picture, film or document, can be changed")
        text = redact_cards(_words(text, 1024 if media else 4096))
        message = cloud_in.text_message(text)
        if bubble.medium is not None:
            row = self.hub.store.medium(bubble.medium.id)
            message = cloud_in.media_message(bubble.medium, base64_of(row["sha256"]) if row is not None else "", text)
        self.hub.store.set_content(wamid, replace(self.hub.store.content(wamid), text=text, edited=True))
        self._beside(bubble, cloud_in.edit_message(wamid, message), copies=copies)
        return self.bubble(wamid)

    async def delete(self, wamid: str, *, copies: int = 1) -> Bubble:
        bubble = self._own(wamid, DELETE_UNTIL, "taken back")
        self.hub.store.set_content(wamid, Content("text", deleted=True))
        self._beside(bubble, cloud_in.revoke_message(wamid), copies=copies)
        return self.bubble(wamid)

    async def look(self, person_id: str, phone_number_id: str) -> int:
        """The customer opens the chat: what was only delivered is reported as read; returns how many."""
        rows = self.hub.store.unread(person_id, phone_number_id)
        for row in rows:
            told = json.loads(row["webhook"])
            status = told["entry"][0]["changes"][0]["value"]["statuses"][0]
            status["timestamp"] = str(int(self.hub.now().timestamp()))
            wamid = cast(str, row["wamid"])
            self.hub.deliveries.post(f"status:{wamid}", wamid, "read", json.dumps(told, ensure_ascii=False))
        return len(rows)

    async def deliver_again(self, wamid: str, copies: int = 1) -> None:
        """The same webhook once more, on purpose: the platform does that too."""
        row = self.hub.store.row(wamid)
        if row["webhook"] is None or not row["mine"]:
            raise Conflict("only a customer's message can be delivered again")
        self.hub.deliveries.again(wamid, "delivered", row["webhook"], copies)

    def _alive(self, wamid: str) -> Bubble:
        bubble = self.bubble(wamid)
        if bubble.deleted:
            raise Conflict("this message was taken back")
        return bubble

    def _own(self, wamid: str, within: timedelta, what: str) -> Bubble:
        bubble = self._alive(wamid)
        if not bubble.mine:
            raise Conflict(f"only the customer's own message can be {what}")
        if self.hub.now() > bubble.at + within:
            minutes = int(within.total_seconds() // 60)
            raise Conflict(f"a message can be {what} for {minutes} minutes after it was sent")
        return bubble

    # --- writing ---------------------------------------------------------------------------------------------------

    def _write(
        self,
        person_id: str,
        phone_number_id: str,
        message: Json,
        content: Content,
        *,
        reply_to: str | None = None,
        copies: int = 1,
        context: Json | None = None,
    ) -> Bubble:
        number = self.hub.number(phone_number_id)
        person = self.person(person_id)
        # This phone's file stands beside the store's: what must not be stored there is not stored here either.
        content, message = replace(content, text=redact_cards(content.text)), without_cards(message)
        if reply_to is not None:
            quoted = self._alive(reply_to)
            author = (person.wa_id or person.user_id) if quoted.mine else digits(number.display_phone)
            context = {"from": author, "id": quoted.wamid, **(context or {})}
        if context:
            message = {"context": context, **message}
        at, wamid = self.hub.now(), new_wamid()
        body = cloud_in.message_webhook(number, person, wamid, at, message)
        self._put(wamid, person, number, body, content, at, reply_to=reply_to, copies=copies, opens=True)
        return self.bubble(wamid)

    def _put(
        self,
        wamid: str,
        person: Person,
        number: ShopNumber,
        body: Json,
        content: Content,
        at: datetime,
        *,
        reply_to: str | None = None,
        copies: int = 1,
        opens: bool = False,
    ) -> None:
        """`opens`: the customer wrote, which opens the window."""
        webhook = json.dumps(body, ensure_ascii=False)
        self.hub.store.insert_bubble(
            wamid, person.id, number.phone_number_id,
            mine=True, content=content, at=at, reply_to=reply_to, webhook=webhook,
        )  # fmt: skip
        if opens:
            self.hub.store.heard(person.id, number.phone_number_id, at, from_ad=content.ad is not None)
        self._deliver(wamid, person.id, number.phone_number_id, webhook, copies)
        self.hub.touch()

    def _beside(self, bubble: Bubble, message: Json, *, opens: bool = False, copies: int = 1) -> None:
        """A message that is no bubble of its own: it changes one."""
        number, person = self.hub.number(bubble.phone_number_id), self.person(bubble.person_id)
        at, wamid = self.hub.now(), new_wamid()
        body = cloud_in.message_webhook(number, person, wamid, at, message)
        if opens:
            self.hub.store.heard(person.id, number.phone_number_id, at, from_ad=False)
        self._deliver(wamid, person.id, number.phone_number_id, json.dumps(body, ensure_ascii=False), copies)
        self.hub.touch()

    def _deliver(self, wamid: str, person_id: str, phone_number_id: str, webhook: str, copies: int) -> None:
        self.hub.deliveries.post(f"chat:{person_id}:{phone_number_id}", wamid, "delivered", webhook)
        self.hub.deliveries.again(wamid, "delivered", webhook, copies - 1)


def _words(text: str, most: int = 4096) -> str:
    text = text.strip()
    if not 0 < len(text) <= most:
        raise InvalidInput(f"a text has 1 to {most} characters")
    return text


def _kind_of(mime_type: str) -> MediumKind:
    family = mime_type.partition("/")[0]
    if mime_type == "image/webp":
        return "sticker"
    if family in ("image", "audio", "video"):
        return cast(MediumKind, family)
    return "document"
