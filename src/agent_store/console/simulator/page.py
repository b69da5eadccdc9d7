"""The page `/simulator`: phones on which simulated customers chat with each of the shop's numbers.

It draws what `Phone` holds (`agents.whatsapp.phone`) and hands on what is typed and tapped; it has no state of its own
beyond which chat is open. Everything is plain HTML, made anew when it changes; `simulator.js` turns a tap on what has a
`data-do` into an action here. NiceGUI has one application a process, so the page is registered once and serves the
phone that was given last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

from nicegui import events, ui
from nicegui.element import Element
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agent_store.agents.whatsapp.phone import Bubble, Person, Phone, ShopNumber
from agent_store.console.simulator import composer, icons, listing, sheets
from agent_store.console.simulator.chat import OpenChat
from agent_store.console.simulator.drawing import Act, Fields, Html, div, fields_of, markup, script_text, toast
from agent_store.console.simulator.laboratory import Laboratory
from agent_store.console.simulator.words import escaped
from agent_store.contracts.brands import Directory
from agent_store.kernel.errors import NotFound, StoreError

PATH: Final = "/simulator"
_HERE = Path(__file__).parent
_PULSE = 0.25
"""Seconds between looks at the phone's revision."""
_QUIET = 40
"""Looks after which what only time changes (the clock, typing that ended) is drawn anew."""
_SEARCHED = 500
_HITS = 20

_IDEAS: dict[str, tuple[str, ...]] = {
    "fashion": ("Oi! Quero um vestido azul tamanho M", "Tem tênis 38 até R$ 300?", "Do you have a black jacket?"),
    "tech": (
        "Preciso de um fone bluetooth barato",
        "Qual notebook é bom para estudar?",
        "¿Tienen un teclado mecánico?",
    ),
    "home": ("Busco uma luminária para a sala", "Tem jogo de cama queen?", "I need a set of kitchen knives"),
    "beauty": ("Quero um hidratante para pele seca", "Tem batom vermelho?", "¿Qué perfume me recomiendas?"),
    "gaming": ("Quero um controle sem fio", "Qual headset vocês recomendam?", "Any mechanical keyboard under R$ 400?"),
}
_IDEAS_ANYWHERE = ("Oi, tudo bem?", "Cadê o meu pedido?", "Quero falar com uma pessoa")


class _Site:
    """What the page serves; see the module's first lines."""

    def __init__(self, phone: Phone, directory: Directory, authorize: Callable[[Request], None]) -> None:
        self.phone = phone
        self.directory = directory
        self.authorize = authorize


_sites: list[_Site] = []


def register_simulator_page(
    phone: Phone, directory: Directory, *, authorize: Callable[[Request], None], login: str = "/login"
) -> None:
    """Serve `/simulator`. Call it before `ui.run_with(app)`.

    `authorize` raises a StoreError for whoever is not staff. A `?token=` in the address is handed to `login`, which
    turns it into a cookie and comes back.
    """
    first = not _sites
    _sites[:] = [_Site(phone, directory, authorize)]
    if not first:
        return

    @ui.page(
        PATH,
        title="Phone · Agent Store",
        viewport="width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content",
        favicon="💬",
    )
    def simulator_page(request: Request) -> Response | None:
        site = _sites[0]
        token = request.query_params.get("token")
        if token is not None:
            return RedirectResponse(f"{login}?token={quote(token, safe='')}&to={PATH}", 303)
        try:
            site.authorize(request)
        except StoreError as error:
            return HTMLResponse(_closed_door(error.message), error.status)
        _Screen(site).build()
        return None


def _closed_door(reason: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Agent Store</title><body style='font:16px/1.5 system-ui;max-width:34rem;margin:15vh auto;padding:0 1.5rem'>"
        "<h1 style='font-size:1.4rem'>This page is for staff</h1>"
        "<p>Open the address that <code>agent-store up</code> prints: it carries the staff token once, and this "
        f"browser keeps it.</p><p style='color:#667085'>{escaped(reason)}</p></body></html>"
    )


@cache
def _style() -> str:
    return "\n".join((_HERE / name).read_text("utf-8") for name in ("frame.css", "chat.css", "sheets.css"))


@cache
def _script() -> str:
    return f"<script>{(_HERE / 'simulator.js').read_text('utf-8')}</script>"


class _Screen:
    """One browser's view: whose phone it is, which chat is open, what is searched for."""

    def __init__(self, site: _Site) -> None:
        self._phone = site.phone
        self._directory = site.directory
        self._person: Person = site.phone.people()[0]
        self._chat: OpenChat | None = None
        self._words = ""
        self._revision = -1
        self._pulses = 0
        self._seen: dict[tuple[str, str], int] = {}
        self._laboratory = Laboratory(site.phone, lambda: (self._person, self._chat.number if self._chat else None))
        self._root: Element
        self._screen: Element
        self._place: Element
        self._sheet: Html
        self._phones: Html
        self._head: Html
        self._list: Html
        self._warning: Html
        self._ideas: Html
        self._acts: dict[str, Act] = {
            "become": self._become,
            "open": self._open,
            "back": self._back,
            "search": self._search,
            "people": lambda _: self._open_sheet("You are", sheets.people(self._phone.people(), self._person)),
            "new-person": lambda _: self._open_sheet("Another customer", sheets.new_person()),
            "add-person": self._add_person,
            "laboratory": self._toggle_laboratory,
            "close": lambda _: self._close_sheet(),
            "escape": self._escape,
            **self._laboratory.acts,
        }

    # --- frame -----------------------------------------------------------------------------------------------------

    def build(self) -> None:
        ui.add_css(_style())
        ui.add_body_html(_script())
        self._root = div("sim", "main")
        for event, function in {
            "click": "click", "submit": "submit", "keydown": "keydown", "input": "input", "pointerdown": "hold",
            "contextmenu": "context",
        }.items():  # fmt: skip
            self._root.on(event, self._act, js_handler=f"(event) => sim.{function}(event, emit)")
        with self._root:
            with div("sim-side", "nav").props('aria-label="Chats"'):
                self._head = markup("")
                self._phones = markup("")
                markup(
                    f"<label class='sim-search'>{icons.SEARCH}<input id='sim-search' type='search' placeholder='Search chats and messages' "
                    "aria-label='Search chats and messages' autocomplete='off'></label>"
                )
                self._warning = markup("")
                with div("sim-list"):
                    self._list = markup("")
            with div("sim-phone"):
                self._screen = div("sim-screen")
                with self._screen:
                    self._place = div("sim-place")
                    markup("<div class='sim-shade' data-do='close'></div>")
                    with div("sim-sheet").props("role=dialog aria-modal=true aria-labelledby=sim-sheet-title"):
                        self._sheet = markup("")
            with div("sim-lab", "aside"):
                with div("sim-panel ideas"):
                    self._ideas = markup("")
                self._laboratory.build()
            markup("<div id='sim-toast' role='status' aria-live='polite'></div>")
            composer.uploads(self._take_file, toast)
        self._mark_all_seen()
        self._draw_empty()
        self._pulse()
        ui.timer(_PULSE, self._pulse)

    def _pulse(self) -> None:
        """Draw what is new since the last look; typing ends without any news."""
        self._pulses += 1
        if self._chat is not None and self._chat.has_news():
            self._chat.draw_state()
            self._draw_side()
        if self._phone.revision == self._revision:
            if self._pulses % _QUIET == 0:
                self._draw_side()
                self._laboratory.draw()
            return
        self._revision = self._phone.revision
        self._draw()

    def _draw(self) -> None:
        if self._chat is not None:
            newest = self._chat.draw()
            self._seen[self._person.id, self._chat.number.phone_number_id] = newest
        self._draw_side()
        self._laboratory.draw()

    def _draw_side(self) -> None:
        people = self._phone.people()
        self._person = next((person for person in people if person.id == self._person.id), self._person)
        self._head.show(
            "<header class='sim-bar list'><h1>Chats</h1>"
            f"<button type='button' class='sim-icon' data-do='people' aria-label='Write as another customer' title='Write as another customer'>{icons.PEOPLE}</button>"
            f"<button type='button' class='sim-icon lab' data-do='laboratory' aria-label='Laboratory' title='Laboratory: make things go wrong'>{icons.FLASK}</button></header>"
        )
        self._phones.show(
            f"<div class='sim-phones' role='group' aria-label='You are'>{listing.phones(people, self._person)}</div>"
        )
        self._warning.show(self._off() or self._laboratory.warning())
        self._list.show(self._found())

    def _off(self) -> str:
        if self._phone.elsewhere is None:
            return ""
        return (
            "<div class='sim-off'>This store sends to a real Graph API (AGENT_STORE_WHATSAPP_GRAPH_URL): the simulator is "
            "off.</div>"
        )

    # --- chats -----------------------------------------------------------------------------------------------------

    def _found(self) -> str:
        words, now = self._words, self._phone.now()
        opened = self._chat.number.phone_number_id if self._chat is not None else None
        latest = self._phone.latest(self._person.id)
        numbers = sorted(self._phone.numbers(), key=lambda one: -_seq(latest.get(one.phone_number_id)))
        lines = [
            listing.Chat(
                number, latest.get(number.phone_number_id), self._unread(number),
                self._phone.state(self._person.id, number.phone_number_id).typing,
            )
            for number in numbers
            if not words or listing.is_about(words, number)
        ]  # fmt: skip
        shown = listing.chats(lines, now, opened)
        if words:
            shown += listing.hits(self._hits(numbers), now)
        return shown or f"<p class='sim-nothing'>Nothing is called or says “{escaped(words)}”.</p>"

    def _hits(self, numbers: Sequence[ShopNumber]) -> list[tuple[ShopNumber, Bubble]]:
        found = [
            (number, bubble)
            for number in numbers
            for bubble in self._phone.bubbles(self._person.id, number.phone_number_id, limit=_SEARCHED)
            if listing.says(self._words, bubble)
        ]
        return sorted(found, key=lambda hit: -hit[1].seq)[:_HITS]

    def _unread(self, number: ShopNumber) -> int:
        after = self._seen.get((self._person.id, number.phone_number_id), 0)
        news = self._phone.bubbles(self._person.id, number.phone_number_id, after=after, limit=99)
        return sum(1 for bubble in news if not bubble.mine)

    def _mark_all_seen(self) -> None:
        """What a customer has when the page first shows their phone is no news."""
        latest = self._phone.latest(self._person.id)
        for number in self._phone.numbers():
            key = (self._person.id, number.phone_number_id)
            self._seen.setdefault(key, _seq(latest.get(number.phone_number_id)))

    def _search(self, fields: Fields) -> None:
        self._words = fields["words"].strip()[:80]
        self._list.show(self._found())

    def _open(self, fields: Fields) -> None:
        number = next((one for one in self._phone.numbers() if one.phone_number_id == fields["number"]), None)
        if number is None:
            raise NotFound("that number is no longer there")
        self._show(number)
        if "wamid" in fields:
            ui.run_javascript(f"sim.later({script_text(fields['wamid'])})")

    def _show(self, number: ShopNumber) -> None:
        unread = self._unread(number)
        self._close_sheet()
        self._place.clear()
        with self._place:
            self._chat = OpenChat(
                self._phone, self._person, number,
                unread_after=self._seen.get((self._person.id, number.phone_number_id), 0) if unread else 0,
                ideas=self._ideas_for(number), open_sheet=self._open_sheet, close_sheet=self._close_sheet,
            )  # fmt: skip
            self._chat.build()
        self._root.classes(add="open")
        self._draw()
        self._draw_ideas()

    def _back(self, _: Fields) -> None:
        self._chat = None
        self._place.clear()
        self._close_sheet()
        self._root.classes(remove="open")
        self._draw_empty()
        self._draw()
        self._draw_ideas()

    def _draw_empty(self) -> None:
        with self._place:
            markup(
                f"<div class='sim-empty'><i>{icons.CHATS}</i><h2>The phone of {escaped(self._person.name)}</h2>"
                "<p>Every message goes through the real gateway: signed webhooks in, Graph calls out. Only the phone is "
                "simulated.</p><p>Open a chat: each of the shop's numbers has one.</p></div>"
            )
        self._draw_ideas()

    def _ideas_for(self, number: ShopNumber) -> tuple[str, ...]:
        brand = self._directory.brand(number.brand) if number.brand else None
        own = _IDEAS.get(number.brand or "", ())
        if brand is not None and not own:
            own = tuple(f"Oi! Tem {word}?" for word in brand.keywords.get("pt", ())[:3])
        return (*own, *_IDEAS_ANYWHERE)

    def _draw_ideas(self) -> None:
        number = self._chat.number if self._chat is not None else None
        ideas = "".join(
            f"<button type='button' class='sim-idea' data-do='say' data-text='{escaped(idea)}'>{escaped(idea)}</button>"
            for idea in (self._ideas_for(number) if number else ())
        )
        tips = "".join(f"<li>{icon}<span>{escaped(tip)}</span></li>" for icon, tip in _TIPS)
        self._ideas.show(
            (f"<h2>Try saying</h2><div class='sim-ideas'>{ideas}</div>" if ideas else "")
            + f"<h2>Good to know</h2><ul class='sim-tips'>{tips}</ul>"
        )

    # --- customers -------------------------------------------------------------------------------------------------

    def _become(self, fields: Fields) -> None:
        person = next((one for one in self._phone.people() if one.id == fields["person"]), None)
        if person is None:
            raise NotFound("that customer is no longer there")
        self._be(person)

    def _be(self, person: Person) -> None:
        opened = self._chat.number if self._chat is not None else None
        self._person = person
        self._mark_all_seen()
        self._close_sheet()
        if opened is not None:
            self._show(opened)
            return
        self._place.clear()
        self._draw_empty()
        self._draw()

    def _add_person(self, fields: Fields) -> None:
        self._be(self._phone.add_person(fields["name"].strip(), with_phone="with_phone" in fields))

    # --- what slides up, and the laboratory ------------------------------------------------------------------------

    def _open_sheet(self, title: str, content: str) -> None:
        self._sheet.show(
            f"<div class='head'><h2 id='sim-sheet-title'>{escaped(title)}</h2><button type='button' class='sim-icon' data-do='close' aria-label='Close'>{icons.CLOSE}"
            f"</button></div><div class='body'>{content}</div>"
        )
        self._root.classes(add="sheet")

    def _close_sheet(self) -> None:
        self._root.classes(remove="sheet")
        self._sheet.show("")
        if self._chat is not None:
            self._chat.forget_attachments()

    def _toggle_laboratory(self, _: Fields) -> None:
        self._root.classes(toggle="lab")

    def _escape(self, _: Fields) -> None:
        if self._sheet.content:
            self._close_sheet()
        else:
            self._root.classes(remove="lab")

    # --- actions ---------------------------------------------------------------------------------------------------

    async def _act(self, event: events.GenericEventArguments) -> None:
        """One action of the script. What the phone refuses is told to whoever tried."""
        fields = fields_of(event.args)
        name = fields.pop("do", "")
        act = self._acts.get(name) or (self._chat.acts.get(name) if self._chat is not None else None)
        if act is not None:
            await self._try(act, fields)

    async def _take_file(self, use: str, one: sheets.Attachment) -> None:
        chat = self._chat
        if chat is not None:
            await self._try(lambda _: chat.take_file(use, one), {})

    async def _try(self, act: Act, fields: Fields) -> None:
        try:
            done = act(fields)
            if done is not None:
                await done
        except StoreError as error:
            toast(error.message[:1].upper() + error.message[1:])
        except KeyError as error:
            toast(f"The page is out of date: load it again ({error} is missing)")
        self._pulse()


def _seq(bubble: Bubble | None) -> int:
    return 0 if bubble is None else bubble.seq


_TIPS = (
    (icons.DOWN, "Press a message long (or right-click it) to react, reply, edit, delete or copy."),
    (icons.PLUS, "Send photos, voice notes, documents, your location, a contact or a cart."),
    (icons.FLASK, "The laboratory makes things go wrong: delays, failures, a moved clock."),
)
