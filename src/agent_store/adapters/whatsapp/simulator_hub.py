"""What both sides of the simulator share: its rows, its clock, its behaviour, its numbers and their catalogues, and who is
told when something changes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import httpx

from agent_store.adapters.whatsapp.cloud import Json
from agent_store.adapters.whatsapp.simulator_behaviour import Behaviour, Chance, Gauge
from agent_store.adapters.whatsapp.simulator_delivery import Deliveries
from agent_store.adapters.whatsapp.simulator_store import SimulatorStore
from agent_store.agents.whatsapp.phone import BubbleStatus, Person, Product, ShopNumber
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound

WINDOW = timedelta(hours=24)
TYPING = timedelta(seconds=25)
_SHIFT = "clock_shift"
MEDIA_PATH = "/simulator/api/media"


class Shelf(Protocol):
    """The store's own catalogue: what a number shows that no catalogue was sent for."""

    async def search(self, number: ShopNumber, words: str, limit: int) -> Sequence[Product]: ...

    async def find(self, number: ShopNumber, retailer_ids: Sequence[str]) -> Mapping[str, Product]:
        """By retailer id; unknown ones are left out."""
        ...


class EmptyShelf:
    async def search(self, number: ShopNumber, words: str, limit: int) -> Sequence[Product]:
        return ()

    async def find(self, number: ShopNumber, retailer_ids: Sequence[str]) -> Mapping[str, Product]:
        return {}


class Fetcher:
    """Fetches what a message links to, as the platform does, to see if it can be shown."""

    def __init__(self) -> None:
        self._http: httpx.AsyncClient | None = None

    async def trouble_with(self, link: str, mime_types: Collection[str], most: int) -> str:
        """What is wrong with it; "" when nothing is."""
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=10, trust_env=False, follow_redirects=True)
        try:
            async with self._http.stream("GET", link) as answer:
                if answer.status_code != 200:
                    return f"the link answered {answer.status_code}"
                found = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                if found not in mime_types:
                    return f"the link is of type {found or 'nothing'}, which cannot be sent so"
                size = 0
                async for part in answer.aiter_bytes():
                    size += len(part)
                    if size > most:
                        return f"the file behind the link has more than {most} bytes"
        except httpx.HTTPError as error:
            return f"the link cannot be fetched ({type(error).__name__})"
        return "" if size else "there is nothing behind the link"

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()


class Hub:
    def __init__(
        self,
        path: Path | str,
        *,
        webhook_url: str,
        numbers: Callable[[], Sequence[ShopNumber]],
        app_secret: str,
        elsewhere: str | None,
        behaviour: Behaviour,
        shelf: Shelf | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.store = SimulatorStore(path)
        self.deliveries = Deliveries(self.store, webhook_url, app_secret, became=self.become, transport=transport)
        self.numbers = numbers
        self.elsewhere = elsewhere or None
        self._first = behaviour
        self._shelf: Shelf = shelf or EmptyShelf()
        self.fetcher = Fetcher()
        self.revision = 0
        self._changed = asyncio.Event()
        self._typing: dict[tuple[str, str], float] = {}
        self._shift = timedelta(seconds=float(self.store.setting(_SHIFT, 0.0)))
        self.behave(behaviour)

    # --- change ----------------------------------------------------------------------------------------------------

    def touch(self) -> None:
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, after: int, within: float) -> int:
        """Wait until the revision is above `after`, at most `within` seconds; returns the revision."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.revision <= after:
                    await self._changed.wait()
        return self.revision

    def become(self, wamid: str, status: BubbleStatus, error: str | None = None, code: int | None = None) -> None:
        if self.store.become(wamid, status, error, code):
            self.touch()

    # --- behaviour and clock ---------------------------------------------------------------------------------------

    def behave(self, behaviour: Behaviour | None) -> None:
        """None: as at the start."""
        self.behaviour = behaviour or self._first
        self.chance = Chance(self.behaviour)
        self.gauge = Gauge()
        self.deliveries.behave(self.behaviour, self.chance)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._shift

    def move_clock(self, by: timedelta) -> datetime:
        if not timedelta(0) < by <= timedelta(days=3650):
            raise InvalidInput("the clock moves forward, by at most ten years: reset it to go back")
        self._set_shift(self._shift + by)
        return self.now()

    def reset_clock(self) -> datetime:
        self._set_shift(timedelta(0))
        return self.now()

    @property
    def shift(self) -> timedelta:
        """How far the clock is ahead of the real one."""
        return self._shift

    def _set_shift(self, shift: timedelta) -> None:
        self._shift = shift
        self.store.set_setting(_SHIFT, shift.total_seconds())
        self.touch()

    async def forget(self) -> None:
        """As after the first start: chats, files, clock and behaviour are gone."""
        await self.deliveries.drop()
        self.store.forget_all()
        self._typing.clear()
        self._shift = timedelta(0)
        self.behave(None)
        self.touch()

    # --- numbers and their catalogues ------------------------------------------------------------------------------

    def number(self, phone_number_id: str) -> ShopNumber:
        self.refuse_elsewhere()
        found = next((number for number in self.numbers() if number.phone_number_id == phone_number_id), None)
        if found is None:
            raise NotFound(f"{phone_number_id} is no number of this store")
        return found

    def refuse_elsewhere(self) -> None:
        if self.elsewhere is not None:
            raise Conflict(
                "the simulator is off: AGENT_STORE_WHATSAPP_GRAPH_URL sends this store's messages to a real Graph API"
            )

    @staticmethod
    def catalog_id(number: ShopNumber) -> str:
        """A number without a catalogue of its own shows the store's products under a made-up one."""
        return number.catalog_id or f"9{number.phone_number_id}"

    async def search(self, number: ShopNumber, words: str, limit: int) -> Sequence[Product]:
        """What was sent to the number's catalogue; without any, the store's own."""
        found = [
            product
            for retailer_id, data in self.store.items(self.catalog_id(number), limit=5000)
            if words.casefold() in (product := product_of(retailer_id, data)).title.casefold()
        ]
        if found or self.store.items(self.catalog_id(number), limit=1):
            return found[:limit]
        return await self._shelf.search(number, words, limit)

    async def find(
        self, number: ShopNumber, retailer_ids: Sequence[str], catalog_id: str = ""
    ) -> Mapping[str, Product]:
        catalog = catalog_id or self.catalog_id(number)
        found = {id: product_of(id, data) for id in retailer_ids if (data := self.store.item(catalog, id)) is not None}
        rest = [id for id in retailer_ids if id not in found]
        own = catalog in (number.catalog_id, self.catalog_id(number))
        if rest and own and not self.store.items(catalog, limit=1):
            found |= await self._shelf.find(number, rest)
        return found

    # --- chats -----------------------------------------------------------------------------------------------------

    def window_until(self, person: Person, number: ShopNumber) -> datetime | None:
        last, _ = self.store.last_heard(person.id, number.phone_number_id)
        return None if last is None else last + WINDOW

    def type_for(self, person_id: str, phone_number_id: str) -> None:
        seconds = TYPING.total_seconds()
        self._typing[(person_id, phone_number_id)] = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(seconds + 0.01, self.touch)
        self.touch()

    def stop_typing(self, person_id: str, phone_number_id: str) -> None:
        self._typing.pop((person_id, phone_number_id), None)

    def typing(self, person_id: str, phone_number_id: str) -> bool:
        until = self._typing.get((person_id, phone_number_id))
        return until is not None and time.monotonic() < until


def new_wamid() -> str:
    return "wamid." + base64.urlsafe_b64encode(b"simulated:" + os.urandom(18)).decode()


def made_up_phone() -> str:
    return f"55119{secrets.randbelow(10**8):08}"


def product_of(retailer_id: str, data: Json) -> Product:
    """An item as it was sent: `price` and `sale_price` are "199.90 BRL"."""
    price, currency = _minor(data.get("sale_price") or data.get("price"))
    return Product(
        retailer_id=retailer_id,
        title=str(data.get("title") or data.get("name") or retailer_id),
        price=price,
        currency=currency or "BRL",
        image=str(data.get("image_link") or ""),
        description=str(data.get("description") or ""),
        available=str(data.get("availability", "in stock")) == "in stock",
    )


def _minor(price: object) -> tuple[int | None, str]:
    amount, _, currency = str(price or "").partition(" ")
    whole, _, cents = amount.partition(".")
    if not whole.isdigit() or not (cents or "0").isdigit():
        return None, currency
    return int(whole) * 100 + int((cents + "00")[:2]), currency
