"""A `Phone` in memory for the tests of its page: what is done on it is kept, and a small shop answers by rote."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_store.agents.whatsapp.phone import (
    Ad,
    Bubble,
    BubbleKind,
    ChatState,
    ContactCard,
    LinkButton,
    Medium,
    MediumKind,
    NewsKind,
    Option,
    OrderLine,
    Person,
    Product,
    Reaction,
    ShopNumber,
    Spot,
    Trouble,
)
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound

NUMBERS = (
    ShopNumber("1", "Moda", "Luna", "+55 11 3000-0001", "fashion", "👗", "#c2185b", "shelf-1"),
    ShopNumber("2", "Livros", "Iara", "+55 11 3000-0002", "books", "📚", "#ffd54f"),
)
PICTURE = "http://shop.example/media/products/a.svg"
PRODUCTS = (
    Product(
        "V-1", "Vestido Midi Aurora", 28990, image=PICTURE, description="Crepe leve, *forrado*.", section="Vestidos"
    ),
    Product("V-2", "Vestido Curto Pimenta", 17990, image=PICTURE, description="Viscose vermelha.", section="Vestidos"),
    Product("S-1", "Sandália Areia", 15990, image=PICTURE, section="Sapatos"),
    Product("S-2", "Tênis Nuvem", 24990, available=False, section="Sapatos"),
)
PIX = (
    "00020126580014br.gov.bcb.pix01360f3c7a52-9a1e-4a7c-8d55-2f6f1c9e77aa520400005303986540528"
    "9.905802BR5911LOJA AURORA6009SAO PAULO62070503***6304A13F"
)


class FakePhone:
    def __init__(self) -> None:
        self.revision = 0
        self.reset()

    def reset(self) -> None:
        """As it came from the shop."""
        self.revision += 1
        self.elsewhere: str | None = None
        self.trouble = Trouble()
        self.news: list[tuple[str, str, str, str]] = []
        self.again: list[str] = []
        self.files: dict[str, tuple[str, bytes]] = {}
        self.typing: set[tuple[str, str]] = set()
        self._ahead = timedelta()
        self._people = [
            Person("ana", "Ana Souza", "5511900000001", "BR.1001"),
            Person("lucas", "Lucas Martins", "5521900000002", "BR.1002"),
        ]
        self._bubbles: list[Bubble] = []
        self._count = itertools.count(1)

    # --- what is shown ---------------------------------------------------------------------------------------------

    def numbers(self) -> Sequence[ShopNumber]:
        return NUMBERS

    def people(self) -> Sequence[Person]:
        return self._people

    def add_person(self, name: str, *, with_phone: bool = True) -> Person:
        if not name:
            raise InvalidInput("a customer needs a name")
        turn = next(self._count)
        person = Person(f"p{turn}", name, f"55119{turn:08}" if with_phone else None, f"BR.{turn}")
        self._people.append(person)
        self._touch()
        return person

    def change_number(self, person_id: str) -> Person:
        at = next(index for index, one in enumerate(self._people) if one.id == person_id)
        self._people[at] = replace(self._people[at], wa_id=f"55118{next(self._count):08}")
        self._touch()
        return self._people[at]

    def bubbles(self, person_id: str, phone_number_id: str, *, limit: int = 100, after: int = 0) -> Sequence[Bubble]:
        found = [one for one in self._bubbles if (one.person_id, one.phone_number_id) == (person_id, phone_number_id)]
        return [one for one in found if one.seq > after][-limit:]

    def latest(self, person_id: str) -> dict[str, Bubble]:
        return {one.phone_number_id: one for one in self._bubbles if one.person_id == person_id}

    def state(self, person_id: str, phone_number_id: str) -> ChatState:
        mine = [one.at for one in self.bubbles(person_id, phone_number_id, limit=10**6) if one.mine]
        until = mine[-1] + timedelta(hours=24) if mine else None
        return ChatState((person_id, phone_number_id) in self.typing, until)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def move_clock(self, by: timedelta) -> datetime:
        self._ahead += by
        self._touch()
        return self.now()

    def reset_clock(self) -> datetime:
        self._ahead = timedelta()
        self._touch()
        return self.now()

    async def products(self, phone_number_id: str, *, words: str = "") -> Sequence[Product]:
        return PRODUCTS if phone_number_id == "1" else ()

    # --- what a customer does --------------------------------------------------------------------------------------

    async def say(self, person_id: str, phone_number_id: str, text: str, *, reply_to: str | None = None) -> Bubble:
        return self._mine(person_id, phone_number_id, "text", text, reply_to=reply_to)

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
    ) -> Bubble:
        top = mime_type.partition("/")[0]
        shown: MediumKind = kind or ("image" if top == "image" else "audio" if top == "audio" else "document")
        name = f"m{next(self._count)}"
        self.files[name] = (mime_type, content)
        medium = Medium(name, shown, f"/simulator/media/{name}", mime_type, filename, len(content), voice)
        return self._mine(person_id, phone_number_id, shown, caption, medium=medium, reply_to=reply_to)

    async def send_spot(
        self, person_id: str, phone_number_id: str, spot: Spot, *, reply_to: str | None = None
    ) -> Bubble:
        return self._mine(person_id, phone_number_id, "location", "", spot=spot, reply_to=reply_to)

    async def send_cards(
        self, person_id: str, phone_number_id: str, cards: Sequence[ContactCard], *, reply_to: str | None = None
    ) -> Bubble:
        return self._mine(person_id, phone_number_id, "contacts", "", cards=tuple(cards), reply_to=reply_to)

    async def order(self, person_id: str, phone_number_id: str, wanted: Mapping[str, int], *, text: str = "") -> Bubble:
        lines = tuple(
            OrderLine(one.retailer_id, wanted[one.retailer_id], one.title, one.price)
            for one in PRODUCTS
            if one.retailer_id in wanted
        )
        return self._mine(person_id, phone_number_id, "order", text, lines=lines)

    async def ask_about(self, person_id: str, phone_number_id: str, retailer_id: str, text: str) -> Bubble:
        about = next(one for one in PRODUCTS if one.retailer_id == retailer_id)
        return self._mine(person_id, phone_number_id, "text", text, about=about)

    async def come_from_ad(self, person_id: str, phone_number_id: str, ad: Ad, text: str) -> Bubble:
        return self._mine(person_id, phone_number_id, "text", text, ad=ad)

    async def send_unsupported(self, person_id: str, phone_number_id: str) -> Bubble:
        return self._mine(person_id, phone_number_id, "other", "[unsupported]")

    async def tap(self, wamid: str, option_id: str) -> Bubble:
        asked = self._bubble(wamid)
        option = next(one for one in asked.options if one.id == option_id)
        return self._mine(asked.person_id, asked.phone_number_id, "reply", option.title, reply_to=wamid)

    async def fill_in(self, wamid: str, answers: Mapping[str, Any]) -> Bubble:
        asked = self._bubble(wamid)
        return self._mine(asked.person_id, asked.phone_number_id, "form", "Sent", form=answers, reply_to=wamid)

    async def react(self, wamid: str, emoji: str) -> Bubble:
        others = tuple(one for one in self._bubble(wamid).reactions if not one.mine)
        return self.change(wamid, reactions=(*others, Reaction(emoji, True)) if emoji else others)

    async def edit(self, wamid: str, text: str) -> Bubble:
        if self.now() - self._bubble(wamid).at > timedelta(minutes=15):
            raise Conflict("a message can be changed for 15 minutes")
        return self.change(wamid, text=text, edited=True)

    async def delete(self, wamid: str) -> Bubble:
        return self.change(wamid, text="", deleted=True)

    async def deliver_again(self, wamid: str, copies: int = 1) -> None:
        self.again += [wamid] * copies

    def make_trouble(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self._touch()

    async def tell_news(self, phone_number_id: str, what: NewsKind, state: str, *, name: str = "") -> None:
        self.news.append((phone_number_id, what, state, name))

    # --- the test's side -------------------------------------------------------------------------------------------

    def put(
        self,
        kind: BubbleKind,
        text: str = "",
        *,
        mine: bool = False,
        person: str = "ana",
        number: str = "1",
        **more: Any,
    ) -> Bubble:
        """A message that is simply there."""
        seq = next(self._count)
        at = more.pop("at", None) or self.now()
        status = more.pop("status", "read")
        bubble = Bubble(seq, f"wamid.{seq}", person, number, mine, kind, text, at, status, **more)
        self._bubbles.append(bubble)
        self._touch()
        return bubble

    def change(self, wamid: str, **values: Any) -> Bubble:
        at = next(index for index, one in enumerate(self._bubbles) if one.wamid == wamid)
        self._bubbles[at] = replace(self._bubbles[at], **values)
        self._touch()
        return self._bubbles[at]

    def _touch(self) -> None:
        self.revision += 1

    def _bubble(self, wamid: str) -> Bubble:
        found = next((one for one in self._bubbles if one.wamid == wamid), None)
        if found is None:
            raise NotFound(f"there is no message {wamid}")
        return found

    def _mine(self, person_id: str, phone_number_id: str, kind: BubbleKind, text: str, **more: Any) -> Bubble:
        bubble = self.put(kind, text, mine=True, person=person_id, number=phone_number_id, status="delivered", **more)
        for change in self._answer(bubble):
            self.put(**change, person=person_id, number=phone_number_id)
        self.change(bubble.wamid, status="read")
        return self._bubble(bubble.wamid)

    def _answer(self, bubble: Bubble) -> list[dict[str, Any]]:
        if bubble.kind == "reply":
            return [{"kind": "text", "text": f"Anotei *{bubble.text}* <script>alert(1)</script>"}]
        if bubble.kind == "order":
            return [{"kind": "text", "text": f"Seu carrinho: {sum(line.quantity for line in bubble.lines)} itens."}]
        return SCRIPT.get(bubble.text, [{"kind": "text", "text": "Certo!"}])


SCRIPT: dict[str, list[dict[str, Any]]] = {
    "Quero um vestido": [
        {"kind": "image", "text": "Vestido Aurora", "image": PICTURE},
        {"kind": "buttons", "text": "De qual gostou?", "options": (Option("a", "Aurora"), Option("b", "Pimenta"))},
    ],
    "Tamanhos": [
        {
            "kind": "list", "text": "Qual o tamanho?", "button": "Ver tamanhos", "footer": "Tabela no provador",
            "options": (
                Option("p", "Tamanho P", section="Pequenos"),
                Option("m", "Tamanho M", "Últimas 2", section="Médios e grandes"),
                Option("g", "Tamanho G", section="Médios e grandes"),
            ),
        }
    ],
    "Produtos": [
        {"kind": "products", "text": "Separei estes:", "header": "Para você", "button": "Ver itens", "products": PRODUCTS}
    ],
    "Um só": [{"kind": "products", "text": "", "button": "Ver", "products": PRODUCTS[:1]}],
    "Pix": [{"kind": "text", "text": f"Copie o código e pague no app do banco:\n\n{PIX}"}],
    "Link": [
        {
            "kind": "link", "text": "Pague com segurança:", "links": (LinkButton("Pagar", "https://loja.example/pay/1"),),
        }
    ],
    "Onde": [{"kind": "place_request", "text": "Onde entregamos?", "button": "Send location"}],
    "Formulário": [{"kind": "flow", "text": "Seu cadastro:", "button": "Preencher"}],
}  # fmt: skip
