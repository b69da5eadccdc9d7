"""The simulator over HTTP: `/simulator/api/…` for whoever drives the phones, `/simulator/graph/…` for the store, as
`https://graph.facebook.com`, and `/simulator/files/…` where its media addresses lead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, File, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, Response

from agent_store.adapters.whatsapp.cloud_templates import TemplateStatus
from agent_store.adapters.whatsapp.simulator import Simulator
from agent_store.adapters.whatsapp.simulator_behaviour import Behaviour
from agent_store.adapters.whatsapp.simulator_delivery import Underway
from agent_store.adapters.whatsapp.simulator_graph_http import graph_routes
from agent_store.adapters.whatsapp.simulator_store import CHAT_LENGTH
from agent_store.agents.whatsapp.phone import (
    Ad,
    Bubble,
    ChatState,
    ContactCard,
    MediumKind,
    Person,
    Product,
    ShopNumber,
    Spot,
)
from agent_store.kernel.errors import InvalidInput, NotFound

_LONGEST_LOOK = 30.0
Copies = Annotated[int, Field(default=1, ge=1, le=100, description="webhooks of the one message, at the same time")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCustomer(_Body):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Zoe", "wa_id": "5511955550000"}]}
    )

    name: str = Field(min_length=1, max_length=60)
    with_phone: bool = True
    """False: only a business-scoped user id is shown to the store."""
    wa_id: str | None = Field(default=None, description="phone number, digits only; absent: a made-up one")


class NewNumber(_Body):
    wa_id: str | None = Field(default=None, examples=["5511977770000"])


class Place(_Body):
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: str = Field(default="", max_length=200)
    address: str = Field(default="", max_length=400)


class Contact(_Body):
    name: str = Field(min_length=1, max_length=100)
    phone: str = Field(default="", max_length=30)


class Cart(_Body):
    """A cart of the number's catalogue."""

    items: dict[str, Annotated[int, Field(ge=1, le=999)]] = Field(description="quantity by retailer id", min_length=1)
    text: str = Field(default="", max_length=1024)
    prices: dict[str, int] | None = Field(
        default=None, description="what the order says that one costs, in minor units; absent: as the catalogue"
    )


class Advertisement(_Body):
    headline: str = ""
    body: str = ""
    url: str = ""
    source_type: Literal["ad", "post"] = "ad"
    source_id: str = ""
    click_id: str = ""


class NewMessage(_Body):
    """One of text, location, contacts, order, unsupported, or with `message` any message object of the webhook's shape.

    A text may ask about a `product` (retailer id), come from an `ad`, be `forwarded`, and quote with `reply_to`.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"customer": "0f3a…", "phone_number_id": "1001", "text": "oi"},
                {"customer": "0f3a…", "phone_number_id": "1001", "order": {"items": {"SKU-1": 2}}},
                {"customer": "0f3a…", "phone_number_id": "1001", "location": {"latitude": -23.56, "longitude": -46.66}},
            ]
        },
    )

    customer: str
    phone_number_id: str
    text: str | None = None
    location: Place | None = None
    contacts: list[Contact] | None = Field(default=None, min_length=1, max_length=20)
    order: Cart | None = None
    unsupported: str | None = Field(default=None, examples=["poll_creation"], max_length=60)
    message: dict[str, Any] | None = None
    reply_to: str | None = None
    forwarded: bool = False
    product: str | None = None
    ad: Advertisement | None = None
    copies: Copies


class Tap(_Body):
    id: str = Field(description="of the button or the row")
    copies: Copies


class Answers(_Body):
    answers: dict[str, Any]
    copies: Copies


class Emoji(_Body):
    emoji: str = Field(max_length=16, description="empty: taken back", examples=["👍"])
    copies: Copies


class Words(_Body):
    text: str = Field(min_length=1, max_length=4096)
    copies: Copies


class Again(_Body):
    copies: int = Field(default=1, ge=1, le=100)


class Clock(_Body):
    now: datetime
    ahead: float
    """Seconds ahead of the real clock."""


class Move(_Body):
    seconds: float = Field(gt=0, description="forward", examples=[90000])


class Quality(_Body):
    quality: Literal["GREEN", "YELLOW", "RED", "UNKNOWN"] | None = None
    limit: Literal["TIER_50", "TIER_250", "TIER_1K", "TIER_2K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED"] | None = None


class Verdict(_Body):
    status: TemplateStatus
    language: str = Field(default="", description="empty: all languages")
    reason: str = Field(default="", max_length=200)


class AccountEvent(_Body):
    event: str = Field(max_length=60, examples=["ACCOUNT_RESTRICTION", "DISABLED_UPDATE", "ACCOUNT_VIOLATION"])
    phone_number_id: str | None = None


class AnyChange(_Body):
    """Any change of the account, as it stands."""

    field: str = Field(max_length=60, examples=["account_alerts"])
    value: dict[str, Any]


def simulator_router(simulator: Simulator, *, authorize: Callable[[Request], None]) -> APIRouter:
    """Staff's routes (`authorize` raises for others) and those of the store's own token."""
    router = APIRouter(prefix="/simulator")
    api = APIRouter(prefix="/api", tags=["simulator"], dependencies=[Depends(authorize)])
    _customers(api, simulator)
    _messages(api, simulator)
    _on_purpose(api, simulator)
    graph_routes(router, simulator)
    router.include_router(api)
    return router


def _customers(api: APIRouter, simulator: Simulator) -> None:
    @api.get("/numbers")
    async def numbers() -> list[ShopNumber]:
        """The shop's numbers that can be written to."""
        return list(simulator.numbers())

    @api.get("/numbers/{phone_number_id}/products")
    async def products(phone_number_id: str, words: str = "") -> list[Product]:
        """What the number's catalogue shows, at most 60."""
        return list(await simulator.products(phone_number_id, words=words))

    @api.get("/customers")
    async def customers() -> list[Person]:
        return list(simulator.people())

    @api.post("/customers", status_code=201)
    async def add_customer(new: NewCustomer) -> Person:
        return simulator.add_person(new.name, with_phone=new.with_phone, wa_id=new.wa_id)

    @api.post("/customers/{customer}/number")
    async def change_number(customer: str, new: NewNumber) -> Person:
        """The customer takes another phone number; each shop that they wrote to is told (`system`)."""
        return simulator.change_number(customer, new.wa_id)

    @api.get("/customers/{customer}/chats")
    async def chats(customer: str) -> dict[str, Bubble]:
        """The newest message of each chat, by phone number id."""
        simulator.person(customer)
        return simulator.latest(customer)

    @api.get("/customers/{customer}/chats/{phone_number_id}")
    async def state(customer: str, phone_number_id: str) -> ChatState:
        """Is the store typing, and until when may it answer freely?"""
        return simulator.state(customer, phone_number_id)

    @api.post("/customers/{customer}/chats/{phone_number_id}/look")
    async def look(customer: str, phone_number_id: str) -> dict[str, int]:
        """The customer opens the chat: what was only delivered is reported as read. For a pace without `read`."""
        simulator.person(customer)
        return {"read": await simulator.look(customer, phone_number_id)}

    @api.get("/customers/{customer}/chats/{phone_number_id}/messages")
    async def chat(
        customer: str,
        phone_number_id: str,
        after: int = 0,
        limit: int = 100,
        wait: float = 0,
        of: Literal["both", "store", "customer"] = "both",
    ) -> list[Bubble]:
        """Messages with a `seq` above `after`, oldest first; with `wait` (at most 30 seconds) not before there is one.
        `of`: only the store's, or only the customer's."""
        simulator.person(customer)
        most = max(1, min(limit, CHAT_LENGTH))
        loop = asyncio.get_running_loop()
        end = loop.time() + max(0.0, min(wait, _LONGEST_LOOK))
        while True:
            revision = simulator.revision
            found = [
                bubble
                for bubble in simulator.bubbles(customer, phone_number_id, limit=most, after=after)
                if of == "both" or bubble.mine == (of == "customer")
            ]
            left = end - loop.time()
            if found or left <= 0:
                return found
            await simulator.changed(revision, left)


def _messages(api: APIRouter, simulator: Simulator) -> None:
    @api.post("/messages", status_code=201)
    async def send(new: NewMessage) -> Bubble:
        """Write to the store as a customer."""
        return await _send(simulator, new)

    @api.post("/messages/file", status_code=201)
    async def send_file(
        customer: Annotated[str, Form()],
        phone_number_id: Annotated[str, Form()],
        file: Annotated[UploadFile, File()],
        caption: Annotated[str, Form(max_length=1024)] = "",
        kind: Annotated[MediumKind | None, Form(description="absent: by the file's type")] = None,
        voice: Annotated[bool, Form(description="a sound that was spoken into the phone")] = False,
        reply_to: Annotated[str | None, Form()] = None,
    ) -> Bubble:
        """Send a picture, sound, film, document or sticker."""
        return await simulator.send_file(
            customer, phone_number_id, await file.read(),
            filename=file.filename or "", mime_type=file.content_type or "", kind=kind, caption=caption, voice=voice,
            reply_to=reply_to or None,
        )  # fmt: skip

    @api.get("/messages/{wamid}")
    async def message(wamid: str) -> Bubble:
        return simulator.bubble(wamid)

    @api.patch("/messages/{wamid}")
    async def edit(wamid: str, new: Words) -> Bubble:
        """Change the words of a message of the customer, for 15 minutes."""
        return await simulator.edit(wamid, new.text, copies=new.copies)

    @api.delete("/messages/{wamid}")
    async def delete(wamid: str) -> Bubble:
        """Take a message of the customer back, for two days."""
        return await simulator.delete(wamid)

    @api.put("/messages/{wamid}/reaction")
    async def react(wamid: str, reaction: Emoji) -> Bubble:
        """React to a message; an empty emoji takes the reaction back."""
        return await simulator.react(wamid, reaction.emoji, copies=reaction.copies)

    @api.post("/messages/{wamid}/tap", status_code=201)
    async def tap(wamid: str, choice: Tap) -> Bubble:
        """Tap a reply button, a list row or a template's quick reply of the store's message."""
        return await simulator.tap(wamid, choice.id, copies=choice.copies)

    @api.post("/messages/{wamid}/form", status_code=201)
    async def fill_in(wamid: str, form: Answers) -> Bubble:
        """Send off the form of a flow."""
        return await simulator.fill_in(wamid, form.answers, copies=form.copies)

    @api.post("/messages/{wamid}/deliver-again", status_code=202)
    async def deliver_again(wamid: str, again: Again) -> None:
        """The same webhook once more, as often as asked."""
        await simulator.deliver_again(wamid, again.copies)

    @api.get("/media/{id}", response_class=Response)
    async def media(id: str) -> Response:
        """A file that a phone shows."""
        row = simulator.hub.store.medium(id)
        if row is None or not simulator.hub.store.file(id).is_file():
            raise NotFound(f"the simulator has no file {id[:40]}")
        # What came from outside is shown, never run: a browser of staff holds the cookie.
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; media-src 'self'; sandbox",
            "Cache-Control": "private, max-age=3600",
        }
        shown = row["mime_type"].partition("/")[0] in ("image", "audio", "video") and "svg" not in row["mime_type"]
        if not shown:
            headers["Content-Disposition"] = "attachment"
        return FileResponse(simulator.hub.store.file(id), media_type=row["mime_type"], headers=headers)


async def _send(simulator: Simulator, new: NewMessage) -> Bubble:
    who, number, copies = new.customer, new.phone_number_id, new.copies
    parts = (new.text, new.location, new.contacts, new.order, new.unsupported, new.message)
    if sum(part is not None for part in parts) != 1:
        raise InvalidInput("give one of text, location, contacts, order, unsupported, message")
    if new.message is not None:
        return await simulator.send_raw(who, number, new.message, copies=copies)
    if new.location is not None:
        spot = Spot(**new.location.model_dump())
        return await simulator.send_spot(who, number, spot, reply_to=new.reply_to, copies=copies)
    if new.contacts is not None:
        cards = [ContactCard(one.name, one.phone) for one in new.contacts]
        return await simulator.send_cards(who, number, cards, reply_to=new.reply_to, copies=copies)
    if new.order is not None:
        cart = new.order
        return await simulator.order(who, number, cart.items, text=cart.text, prices=cart.prices, copies=copies)
    if new.unsupported is not None:
        return await simulator.send_unsupported(who, number, kind=new.unsupported, copies=copies)
    text = new.text or ""
    if new.product is not None:
        return await simulator.ask_about(who, number, new.product, text, copies=copies)
    if new.ad is not None:
        return await simulator.come_from_ad(who, number, Ad(**new.ad.model_dump()), text, copies=copies)
    return await simulator.say(who, number, text, reply_to=new.reply_to, copies=copies, forwarded=new.forwarded)


def _on_purpose(api: APIRouter, simulator: Simulator) -> None:
    hub = simulator.hub

    @api.get("/behaviour")
    async def behaviour() -> Behaviour:
        """What the platform does on purpose."""
        return hub.behaviour

    @api.put("/behaviour")
    async def behave(
        new: Annotated[
            Behaviour,
            Body(
                openapi_examples={
                    "slow": {"value": {"pace": {"sent": 1, "delivered": 3, "read": None}}},
                    "unruly": {"value": {"seed": 7, "webhooks": {"duplicated": 0.5, "overtaken": 0.3, "lost": 0.1}}},
                    "undeliverable": {"value": {"failures": [{"code": 131026, "where": "status", "times": 1}]}},
                    "throttled": {"value": {"limits": {"per_second": 5, "pair_seconds": 6}}},
                    "expired token": {"value": {"access": "expired"}},
                }
            ),
        ],
    ) -> Behaviour:
        """In the place of what was set before; what is left out is as by default. Ends with the process."""
        hub.behave(new)
        hub.touch()
        return hub.behaviour

    @api.delete("/behaviour")
    async def well_behaved() -> Behaviour:
        """As at the start."""
        hub.behave(None)
        hub.touch()
        return hub.behaviour

    def shown() -> Clock:
        return Clock(now=hub.now(), ahead=hub.shift.total_seconds())

    @api.get("/clock")
    async def clock() -> Clock:
        """The platform's clock, by which windows close, and media and their addresses expire."""
        return shown()

    @api.post("/clock")
    async def move(by: Move) -> Clock:
        hub.move_clock(timedelta(seconds=by.seconds))
        return shown()

    @api.delete("/clock")
    async def reset_clock() -> Clock:
        """As the real one again."""
        hub.reset_clock()
        return shown()

    @api.get("/templates")
    async def templates() -> list[dict[str, Any]]:
        return [one.as_json() for one in hub.store.templates()]

    @api.put("/templates/{name}", status_code=202)
    async def judge(name: str, verdict: Verdict) -> None:
        """The platform approves, rejects, pauses or disables a template; the store is told."""
        simulator.set_template(name, verdict.status, language=verdict.language, reason=verdict.reason)

    @api.put("/numbers/{phone_number_id}/standing", status_code=202)
    async def standing(phone_number_id: str, new: Quality) -> None:
        """A number's quality or messaging limit changes; the store is told."""
        simulator.set_quality(phone_number_id, quality=new.quality, limit=new.limit)

    @api.post("/account", status_code=202)
    async def account(new: AccountEvent) -> None:
        """An `account_update` webhook."""
        simulator.set_account(new.event, new.phone_number_id)

    @api.post("/webhooks", status_code=202)
    async def webhook(new: AnyChange) -> None:
        """Any other webhook of the account: `field` and `value` as given."""
        simulator.graph.tell(new.field, new.value)

    @api.get("/deliveries")
    async def deliveries() -> list[Underway]:
        """The webhooks that were not taken yet, with how the last try ended."""
        return list(hub.deliveries.underway())

    @api.post("/reset", status_code=204)
    async def reset() -> None:
        """Begin anew: chats, customers, files, others' templates, catalogues, clock and behaviour are gone."""
        await simulator.forget()


__all__ = ["simulator_router"]
