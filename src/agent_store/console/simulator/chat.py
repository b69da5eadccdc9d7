"""One open chat: its messages as they are, and what the customer does in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nicegui import ui
from nicegui.element import Element

from agent_store.agents.whatsapp.phone import Bubble, ContactCard, Person, Phone, Product, ShopNumber, Spot
from agent_store.console.simulator import bubbles, composer, icons, recording, sheets
from agent_store.console.simulator.drawing import Act, Fields, Html, div, markup, script_text
from agent_store.console.simulator.listing import logo, whom
from agent_store.console.simulator.words import day, escaped, local
from agent_store.kernel.errors import InvalidInput, NotFound

_STEP = 120
"""Messages drawn at first, and more at each wish."""

OpenSheet = Callable[[str, str], None]


class OpenChat:
    """Draws itself into the place it is made in. `open_sheet(title, html)` slides something up."""

    def __init__(
        self,
        phone: Phone,
        person: Person,
        number: ShopNumber,
        *,
        unread_after: int,
        ideas: Sequence[str],
        open_sheet: OpenSheet,
        close_sheet: Callable[[], None],
    ) -> None:
        self.number = number
        self._phone = phone
        self._person = person
        self._ideas = ideas
        self._open_sheet = open_sheet
        self._close_sheet = close_sheet
        self._unread_after = unread_after
        self._most = _STEP
        self._held: dict[str, Bubble] = {}
        self._drawn: dict[str, Html] = {}
        self._answering: Bubble | None = None
        self._editing = False
        self._attachments: list[sheets.Attachment] = []
        self._shelf: dict[str, Product] = {}
        self._typing = False
        self._head: Html
        self._top: Html
        self._rows: Element
        self._tail: Html
        self._strip: Html

    @property
    def key(self) -> str:
        return f"{self._person.id}/{self.number.phone_number_id}"

    @property
    def acts(self) -> dict[str, Act]:
        return {
            "say": self.say, "tap": self.tap, "react": self.react, "delete": self.delete, "again": self.again,
            "reply": self.reply, "edit": self.edit, "unquote": self.unquote, "fill": self.fill, "order": self.order,
            "ask": self.ask, "send-place": self.send_place, "send-contact": self.send_contact,
            "send-file": self.send_attachment, "menu": self.menu, "why": self.why, "list": self.options,
            "flow": self.flow, "products": self.products, "catalogue": self.catalogue, "about": self.about,
            "attach": self.attach, "place": self.place, "contact": self.contact, "info": self.info,
            "earlier": self.earlier,
        }  # fmt: skip

    # --- drawing ---------------------------------------------------------------------------------------------------

    def build(self) -> None:
        self._head = markup("")
        with div("sim-talk").props('tabindex=0 aria-label="Messages"'), div("sim-flow").props("role=log"):
            self._top = markup("")
            self._rows = div("sim-rows")
            self._tail = markup("")
        markup(
            "<button type='button' class='sim-down' data-local='down' aria-label='Down to the newest message'>"
            f"{icons.DOWN}</button>"
        )
        self._strip = markup("")
        markup(composer.form(self.key))
        self.draw()

    def draw(self) -> int:
        """Bring what is shown up to date; returns the newest `seq`."""
        number_id = self.number.phone_number_id
        found = self._phone.bubbles(self._person.id, number_id, limit=self._most)
        self._held = {bubble.wamid: bubble for bubble in found}
        if not self._drawn:
            self._rows.clear()
        earlier = "<button type='button' class='sim-earlier' data-do='earlier'>Show earlier messages</button>"
        self._top.show(self._hello() if not found else earlier if len(found) == self._most else "")
        before: Bubble | None = None
        for bubble in found:
            self._draw_row(bubble, before)
            before = bubble
        self.draw_state()
        return found[-1].seq if found else 0

    def _draw_row(self, bubble: Bubble, before: Bubble | None) -> None:
        known = self._drawn.get(bubble.wamid)
        content = self._row(bubble, before)
        if known is not None:
            known.show(content)
            return
        with self._rows:
            self._drawn[bubble.wamid] = markup(content)

    def _row(self, bubble: Bubble, before: Bubble | None) -> str:
        chips = ""
        new_day = before is None or local(before.at).date() != local(bubble.at).date()
        if new_day:
            chips += f"<div class='sim-day'>{day(local(bubble.at).date(), local(self._phone.now()).date())}</div>"
        if not bubble.mine and self._is_first_unread(bubble, before):
            chips += "<div class='sim-day unread'>Unread messages</div>"
        first = new_day or before is None or before.mine != bubble.mine or before.kind == "system" or bool(chips)
        quoted = self._held.get(bubble.reply_to) if bubble.reply_to else None
        return chips + bubbles.row(bubble, quoted, first=first, whom=whom(self.number))

    def _is_first_unread(self, bubble: Bubble, before: Bubble | None) -> bool:
        return 0 < self._unread_after < bubble.seq and (before is None or before.seq <= self._unread_after)

    def _hello(self) -> str:
        ideas = "".join(
            f"<button type='button' class='sim-idea' data-do='say' data-text='{escaped(idea)}'>{escaped(idea)}</button>"
            for idea in self._ideas
        )
        return (
            f"<div class='sim-hello'><p>{escaped(self.number.emoji)} Say hello to {escaped(whom(self.number))}.</p>"
            f"<div class='sim-ideas'>{ideas}</div></div>"
        )

    def draw_state(self) -> None:
        """The head and the typing mark: they change without any message."""
        number = self.number
        state = self._phone.state(self._person.id, number.phone_number_id)
        below = " · ".join(part for part in (number.seller, number.display_phone) if part)
        line = "<em>typing…</em>" if state.typing else escaped(below)
        shop = (
            f"<button type='button' class='sim-icon' data-do='catalogue' aria-label='Catalogue' title='Catalogue'>{icons.BAG}</button>"
            if _sells(number)
            else ""
        )
        self._head.show(
            f"<header class='sim-bar'><button type='button' class='sim-icon back' data-do='back' aria-label='Back to the chats'>{icons.BACK}"
            f"</button>{logo(number)}<button type='button' class='title' data-do='info' aria-haspopup='dialog'>"
            f"<b>{escaped(number.name)}</b><span>{line}</span></button>{shop}<button type='button' class='sim-icon lab' data-do='laboratory' "
            f"aria-label='Laboratory' title='Laboratory: make things go wrong'>{icons.FLASK}</button></header>"
        )
        self._tail.show(bubbles.typing_row() if state.typing else "")

    def has_news(self) -> bool:
        """Did the head change without a message? Typing ends by itself."""
        typing = self._phone.state(self._person.id, self.number.phone_number_id).typing
        changed, self._typing = typing != self._typing, typing
        return changed

    # --- what the customer does ------------------------------------------------------------------------------------

    async def say(self, fields: Fields) -> None:
        text = fields["text"].strip()
        quoted, editing = self._answering, self._editing
        self._answer(None)
        if quoted is not None and editing:
            await self._phone.edit(quoted.wamid, text)
        else:
            await self._phone.say(*self._ends, text, reply_to=quoted.wamid if quoted else None)

    async def tap(self, fields: Fields) -> None:
        self._close_sheet()
        await self._phone.tap(fields["wamid"], fields["option"])

    async def react(self, fields: Fields) -> None:
        self._close_sheet()
        await self._phone.react(fields["wamid"], fields["emoji"])

    async def delete(self, fields: Fields) -> None:
        self._close_sheet()
        await self._phone.delete(fields["wamid"])

    async def again(self, fields: Fields) -> None:
        self._close_sheet()
        await self._phone.deliver_again(fields["wamid"])

    def reply(self, fields: Fields) -> None:
        self._close_sheet()
        self._answer(self._bubble(fields))
        ui.run_javascript("document.querySelector('#sim-composer textarea').focus()")

    def edit(self, fields: Fields) -> None:
        self._close_sheet()
        bubble = self._bubble(fields)
        self._answer(bubble, editing=True)
        ui.run_javascript(f"sim.write({script_text(bubble.text)})")

    def unquote(self, _: Fields) -> None:
        if self._editing:
            ui.run_javascript("sim.write('')")
        self._answer(None)

    def _answer(self, bubble: Bubble | None, *, editing: bool = False) -> None:
        self._answering, self._editing = bubble, editing and bubble is not None
        self._strip.show(composer.answering(bubble, whom(self.number), editing=editing))

    async def fill(self, fields: Fields) -> None:
        filled = sheets.answers(fields["answers"])
        if not filled:
            raise InvalidInput("write at least one line like name: Ana")
        self._close_sheet()
        await self._phone.fill_in(fields["wamid"], filled)

    async def send_place(self, fields: Fields) -> None:
        try:
            spot = Spot(
                float(fields["latitude"].replace(",", ".")), float(fields["longitude"].replace(",", ".")),
                fields.get("name", ""), fields.get("address", ""),
            )  # fmt: skip
        except ValueError as error:
            raise InvalidInput("latitude and longitude are numbers like -23.5614") from error
        if not (abs(spot.latitude) <= 90 and abs(spot.longitude) <= 180):
            raise InvalidInput("a latitude is between -90 and 90, a longitude between -180 and 180")
        self._close_sheet()
        await self._phone.send_spot(*self._ends, spot, reply_to=fields.get("reply_to") or self._quoted())

    async def send_contact(self, fields: Fields) -> None:
        self._close_sheet()
        card = ContactCard(fields["name"].strip(), fields.get("phone", "").strip())
        await self._phone.send_cards(*self._ends, [card], reply_to=self._quoted())

    async def order(self, fields: Fields) -> None:
        wanted = sheets.wanted(dict(fields))
        if not wanted:
            raise InvalidInput("put something into the cart first")
        self._close_sheet()
        await self._phone.order(*self._ends, wanted, text=fields.get("note", "").strip())

    async def ask(self, fields: Fields) -> None:
        self._close_sheet()
        await self._phone.ask_about(*self._ends, fields["product"], fields["text"].strip())

    async def take_file(self, use: str, one: sheets.Attachment) -> None:
        """A file has arrived: a voice note and a sticker go at once, the others are shown first."""
        if use == "file":
            self._attachments.append(one)
            if len(self._attachments) == 1:
                self._show_attachment()
            return
        self._close_sheet()
        if use == "voice" and recording.is_webm(one.content):
            one = _as_voice_note(one)
        kind = "audio" if use == "voice" else "sticker"
        await self._phone.send_file(
            *self._ends, one.content, filename=one.name, mime_type=one.mime_type, kind=kind, voice=use == "voice",
            reply_to=self._quoted(),
        )  # fmt: skip

    async def send_attachment(self, fields: Fields) -> None:
        if not self._attachments:
            raise NotFound("the file is gone: choose it again")
        one = self._attachments.pop(0)
        self._close_sheet()
        await self._phone.send_file(
            *self._ends, one.content, filename=one.name, mime_type=one.mime_type, caption=fields.get("caption", "").strip(),
            voice="voice" in fields, reply_to=self._quoted(),
        )  # fmt: skip
        if self._attachments:
            self._show_attachment()

    def forget_attachments(self) -> None:
        self._attachments.clear()

    def _show_attachment(self) -> None:
        one = self._attachments[0]
        what = one.mime_type.partition("/")[0]
        title = {"image": "Send photo", "video": "Send video", "audio": "Send audio"}.get(what, "Send document")
        self._open_sheet(title, sheets.attachment(one))

    def _quoted(self) -> str | None:
        quoted = self._answering if not self._editing else None
        if quoted is not None:
            self._answer(None)
        return quoted.wamid if quoted else None

    # --- what slides up --------------------------------------------------------------------------------------------

    def menu(self, fields: Fields) -> None:
        self._open_sheet("Message", sheets.menu(self._bubble(fields)))

    def why(self, fields: Fields) -> None:
        self._open_sheet("Not delivered", sheets.why(self._bubble(fields)))

    def options(self, fields: Fields) -> None:
        bubble = self._bubble(fields)
        self._open_sheet(bubble.button or "Options", sheets.options(bubble))

    def flow(self, fields: Fields) -> None:
        bubble = self._bubble(fields)
        self._open_sheet(bubble.button or "Form", sheets.flow(bubble))

    def products(self, fields: Fields) -> None:
        bubble = self._bubble(fields)
        self._show_shelf(bubble.header or bubble.button or "Items", bubble.products)

    async def catalogue(self, _: Fields) -> None:
        self._show_shelf("Catalogue", await self._phone.products(self.number.phone_number_id))

    def _show_shelf(self, title: str, products: Sequence[Product]) -> None:
        self._shelf = {product.retailer_id: product for product in products}
        self._open_sheet(title, sheets.catalogue(products, self.number))

    def about(self, fields: Fields) -> None:
        product = self._shelf.get(fields["product"])
        if product is None:
            raise NotFound("that product is no longer on the shelf: open it again")
        self._open_sheet("Message about a product", sheets.about(product))

    def attach(self, _: Fields) -> None:
        self._open_sheet("Send", sheets.attach(has_catalogue=_sells(self.number)))

    def place(self, fields: Fields) -> None:
        self._open_sheet("Send location", sheets.place(fields.get("wamid", "")))

    def contact(self, _: Fields) -> None:
        self._open_sheet("Send contact", sheets.contact(self._phone.people(), self._person))

    def info(self, _: Fields) -> None:
        state = self._phone.state(*self._ends)
        self._open_sheet("The shop", sheets.info(self.number, state.window_until, self._phone.now()))

    def earlier(self, _: Fields) -> None:
        self._most += _STEP
        self._drawn.clear()
        self.draw()

    # --- help ------------------------------------------------------------------------------------------------------

    @property
    def _ends(self) -> tuple[str, str]:
        return self._person.id, self.number.phone_number_id

    def _bubble(self, fields: Mapping[str, str]) -> Bubble:
        found = self._held.get(fields["wamid"])
        if found is None:
            raise NotFound("that message is no longer here")
        return found


def _sells(number: ShopNumber) -> bool:
    """May it have a catalogue? One of the simulator's own stands in where the brand names none of WhatsApp's."""
    return bool(number.catalog_id or number.brand)


def _as_voice_note(one: sheets.Attachment) -> sheets.Attachment:
    """WhatsApp's own are Ogg with Opus, whatever the browser records."""
    try:
        return composer.attached("voice-note.ogg", "audio/ogg", recording.ogg_of(one.content))
    except (ValueError, IndexError) as error:
        raise InvalidInput("this browser's recording cannot be read: attach an audio file") from error
