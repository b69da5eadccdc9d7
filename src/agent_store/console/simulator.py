"""The page `/simulator`: a phone on which a simulated customer chats with each of the shop's numbers.

It draws what `Phone` holds (`agents.whatsapp.phone`) and hands on what is typed and tapped; it has no state of its own
beyond which chat is open. NiceGUI has one application a process, so the page is registered once and serves the phone
that was given last.
"""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from nicegui import ui
from nicegui.element import Element
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agent_store.agents.whatsapp.phone import Bubble, Option, Person, Phone, ShopNumber
from agent_store.contracts.brands import Directory
from agent_store.kernel.errors import StoreError

PATH: Final = "/simulator"
_CSS = Path(__file__).with_suffix(".css")
_SHOWN = 120
"""Messages drawn when a chat is opened; older ones stay in the simulator."""
_PULSE = 0.25
"""Seconds between looks at the phone's revision."""

_FACES = ("#4f46e5", "#0f766e", "#b45309", "#be185d", "#1d4ed8", "#7c3aed")
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

_BACK = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"><path d="M15 5l-7 7 7 7"/></svg>'
_CLOSE = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round"><path d="M6 6l12 12M18 6L6 18"/></svg>'
_PEOPLE = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><circle cx="9" cy="8" r="3.5"/><path d="M2.5 20c.6-3.6 3.2-5.5 6.5-5.5s5.9 1.9 6.5 5.5"/><path d="M16 4.8a3.5 3.5 0 010 6.4M18 14.8c2 .7 3.2 2.5 3.5 5.2"/></svg>'
_SEND = '<svg viewBox="0 0 24 24" fill="currentColor"><path d="M3.4 20.3l17.3-7.4a1 1 0 000-1.8L3.4 3.7a.7.7 0 00-1 .8L4.5 11l9 1-9 1-2.1 6.5a.7.7 0 001 .8z"/></svg>'
_LINES = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round"><path d="M9 6h11M9 12h11M9 18h11M4.5 6h.01M4.5 12h.01M4.5 18h.01"/></svg>'
_REPLY = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"><path d="M9 7l-5 5 5 5M4.5 12H14c3.5 0 6 2.2 6 6"/></svg>'
_ONE_TICK = '<svg viewBox="0 0 17 11" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"><path d="M4.5 6l3 3L14 2"/></svg>'
_TWO_TICKS = '<svg viewBox="0 0 17 11" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"><path d="M1 6l3 3 6.5-7M8 8.3l.8.7L15.5 2"/></svg>'

_TICKS: dict[str, tuple[str, str]] = {
    "sent": (_ONE_TICK, "on its way"),
    "delivered": (_TWO_TICKS, "the store has it"),
    "read": (f'<span class="read">{_TWO_TICKS}</span>', "answered"),
    "failed": ("⚠️", "not delivered"),
}


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
        f"browser keeps it.</p><p style='color:#667085'>{html.escape(reason)}</p></body></html>"
    )


class _Screen:
    """One browser's view: which customer it is, which chat is open, what has been drawn of it."""

    def __init__(self, site: _Site) -> None:
        self._phone = site.phone
        self._directory = site.directory
        self._person: Person = site.phone.people()[0]
        self._number: ShopNumber | None = None
        self._revision = -1
        self._seen: dict[tuple[str, str], int] = {}
        self._drawn: dict[str, tuple[Bubble, Element]] = {}
        self._last: Bubble | None = None
        self._screen: Element
        self._page: Element
        self._sheet: Element
        self._people: Element
        self._ideas: Element
        self._talk: Element
        self._flow: Element
        self._listing: Element | None = None

    # --- frame -----------------------------------------------------------------------------------------------------

    def build(self) -> None:
        ui.add_css(_CSS)
        ui.colors(primary="#4f46e5")
        with _div("sim"):
            with _div("sim-side left"):
                _html(
                    "<h1>Agent Store<br>on your phone</h1><p>Every message goes through the real WhatsApp gateway: signed "
                    "webhooks in, Graph calls out. Only the phone is simulated.</p><h2>You are</h2>"
                )
                self._people = _div("sim-people")
            with _div("sim-phone"):
                self._screen = _div("sim-screen")
                with self._screen:
                    self._page = _div("")
                    self._page.style("display:contents")
                    _div("sim-shade").on("click", self._close_sheet)
                    self._sheet = _div("sim-sheet")
            with _div("sim-side right"):
                _html("<h2 style='margin-top:0'>Try saying</h2>")
                self._ideas = _div("sim-ideas")
        for number in self._phone.numbers():
            self._mark_seen(number)
        self._draw_people()
        self._open_list()
        ui.timer(_PULSE, self._pulse)

    def _pulse(self) -> None:
        """Draw what is new since the last look."""
        if self._phone.revision == self._revision:
            return
        self._revision = self._phone.revision
        if self._number is None:
            self._draw_list()
        else:
            self._draw_news()

    def _mark_seen(self, number: ShopNumber) -> None:
        newest = self._phone.bubbles(self._person.id, number.phone_number_id, limit=1)
        key = (self._person.id, number.phone_number_id)
        self._seen[key] = newest[-1].seq if newest else 0

    # --- customers -------------------------------------------------------------------------------------------------

    def _draw_people(self) -> None:
        self._people.clear()
        with self._people:
            for index, person in enumerate(self._phone.people()):
                on = " on" if person.id == self._person.id else ""
                with _button(f"sim-person{on}", partial(self._become, person)):
                    _html(_face(person, index))
                    _html(f"<div class='who'><b>{html.escape(person.name)}</b><span>{_shown(person)}</span></div>")
            _label_button("sim-add", "+ Another customer", self._ask_person)

    def _become(self, person: Person) -> None:
        self._person = person
        for number in self._phone.numbers():
            if (person.id, number.phone_number_id) not in self._seen:
                self._mark_seen(number)
        self._draw_people()
        self._close_sheet()
        if self._number is None:
            self._open_list()
        else:
            self._open_chat(self._number)

    def _open_people(self) -> None:
        body = self._open_sheet("You are")
        with body:
            for index, person in enumerate(self._phone.people()):
                with _button("sim-rowitem", partial(self._become, person)):
                    _html(_face(person, index))
                    _html(f"<div class='name'><b>{html.escape(person.name)}</b><span>{_shown(person)}</span></div>")
            _label_button("sim-add", "+ Another customer", self._ask_person)

    def _ask_person(self) -> None:
        body = self._open_sheet("Another customer")

        def add() -> None:
            typed = str(name.value or "").strip()
            if not typed:
                name.props("error error-message='A name, please'")
                return
            try:
                person = self._phone.add_person(typed, with_phone=bool(with_phone.value))
            except StoreError as error:
                ui.notify(error.message, type="negative")
                return
            self._become(person)

        with body:
            name = ui.input("Name").props("outlined maxlength=60 autofocus").classes("w-full").style("width:100%")
            with_phone = ui.checkbox("Shows a phone number", value=True)
            _html(
                "<p style='font-size:13px;color:#667085;margin:0 4px 12px'>Without it the store only gets a "
                "business-scoped user id, as from people who hide their number behind a username.</p>"
            )
            name.on("keydown.enter", add)
            _label_button("sim-solid", "Add", add)

    # --- chat list -------------------------------------------------------------------------------------------------

    def _open_list(self) -> None:
        self._number = None
        self._drawn = {}
        self._page.clear()
        self._screen.style("--brand:#312e81")
        with self._page:
            with _div("sim-bar"):
                _html(f"<div class='title'><b>Chats</b><span>{html.escape(self._person.name)}</span></div>")
                _icon_button(_PEOPLE, "Write as another customer", self._open_people)
            if self._phone.elsewhere is not None:
                _html(
                    "<div class='sim-off'>This store sends to a real Graph API "
                    "(AGENT_STORE_WHATSAPP_GRAPH_URL): the simulator is off.</div>"
                )
            self._listing = _div("sim-list")
        self._draw_ideas(None)
        self._draw_list()

    def _draw_list(self) -> None:
        listing = self._listing
        if listing is None:
            return
        latest = self._phone.latest(self._person.id)
        numbers = self._phone.numbers()
        order = sorted(numbers, key=lambda number: -_seq(latest.get(number.phone_number_id)))
        listing.clear()
        with listing:
            for number in order:
                bubble = latest.get(number.phone_number_id)
                seller = f" <small>· {html.escape(number.seller)}</small>" if number.seller else ""
                with _button("sim-chat", partial(self._open_chat, number)):
                    _html(_logo(number))
                    _html(
                        f"<div class='what'><b>{html.escape(number.name)}{seller}</b>"
                        f"<span>{_snippet(bubble, number)}</span></div>"
                    )
                    _html(f"<div class='when'>{self._when(number, bubble)}</div>")

    def _when(self, number: ShopNumber, bubble: Bubble | None) -> str:
        if bubble is None:
            return ""
        unread = self._unread(number)
        badge = f"<i>{unread}</i>" if unread else ""
        return f"<span>{_clock(bubble.at)}</span>{badge}"

    def _unread(self, number: ShopNumber) -> int:
        after = self._seen.get((self._person.id, number.phone_number_id), 0)
        news = self._phone.bubbles(self._person.id, number.phone_number_id, after=after, limit=99)
        return sum(1 for bubble in news if not bubble.mine)

    # --- one chat --------------------------------------------------------------------------------------------------

    def _open_chat(self, number: ShopNumber) -> None:
        self._number = number
        self._listing = None
        self._drawn = {}
        self._last = None
        self._page.clear()
        self._screen.style(f"--brand:{_readable(number.color)}")
        with self._page:
            with _div("sim-bar"):
                _icon_button(_BACK, "Back to the chats", self._open_list)
                _html(_logo(number))
                below = " · ".join(part for part in (number.seller, number.display_phone) if part)
                _html(f"<div class='title'><b>{html.escape(number.name)}</b><span>{html.escape(below)}</span></div>")
            self._talk = _div("sim-talk")
            with self._talk:
                self._flow = _div("sim-flow")
            with _div("sim-write"):
                with _div("field"):
                    box = ui.textarea(placeholder="Message").props(
                        'borderless dense autogrow rows=1 maxlength=4096 aria-label="Message"'
                    )
                write = partial(self._write, box)
                box.on("keydown.enter.exact.prevent", write)
                _icon_button(_SEND, "Send", write, "sim-send")
        self._draw_ideas(number)
        self._draw_news()
        if not self._drawn:
            with self._flow:
                _html(f"<div class='sim-hello'>{_logo_text(number)} Say hello to {html.escape(_whom(number))}.</div>")
                with _div("sim-ideas inline"):
                    self._offer_ideas(number)

    def _draw_ideas(self, number: ShopNumber | None) -> None:
        self._ideas.clear()
        if number is None:
            with self._ideas:
                _html("<p>Open a chat: each of the shop's numbers has one.</p>")
            return
        with self._ideas:
            self._offer_ideas(number)

    def _offer_ideas(self, number: ShopNumber) -> None:
        brand = self._directory.brand(number.brand) if number.brand else None
        own = _IDEAS.get(number.brand or "", ())
        if brand is not None and not own:
            own = tuple(f"Oi! Tem {word}?" for word in brand.keywords.get("pt", ())[:3])
        for idea in (*own, *_IDEAS_ANYWHERE):
            _label_button("sim-idea", idea, partial(self._say, idea))

    def _draw_news(self) -> None:
        number = self._number
        if number is None:
            return
        for bubble in self._phone.bubbles(self._person.id, number.phone_number_id, limit=_SHOWN):
            known = self._drawn.get(bubble.wamid)
            if known is None:
                self._draw_bubble(bubble)
            elif known[0].status != bubble.status:
                _set_html(known[1], _meta(bubble))
                self._drawn[bubble.wamid] = (bubble, known[1])
        self._mark_seen(number)

    def _draw_bubble(self, bubble: Bubble) -> None:
        before, self._last = self._last, bubble
        if before is None:
            self._flow.clear()  # the greeting of an empty chat
        turn = " turn" if before is not None and before.mine != bubble.mine else ""
        mine = " mine" if bubble.mine else ""
        with self._flow:
            if before is None or _local(before.at).date() != _local(bubble.at).date():
                _html(f"<div class='sim-day'>{_day(_local(bubble.at).date())}</div>")
            picture = " picture" if bubble.image else " wide" if bubble.options else ""
            with _div(f"sim-row{mine}{turn}{picture}"):
                other = " other" if bubble.kind == "other" else ""
                with _div(f"sim-bubble{picture}{other}"):
                    self._draw_quote(bubble)
                    if bubble.image:
                        _html(f"<img src='{html.escape(_own(bubble.image), quote=True)}' alt='' loading='lazy'>")
                    if bubble.text:
                        _html(f"<div class='words'>{formatted(bubble.text)}</div>")
                    meta = _html(_meta(bubble))
                self._draw_options(bubble)
        self._drawn[bubble.wamid] = (bubble, meta)

    def _draw_quote(self, bubble: Bubble) -> None:
        quoted = self._drawn.get(bubble.reply_to or "")
        if quoted is not None:
            _html(f"<span class='sim-quote'><span>{html.escape(_plain(quoted[0].text))}</span></span>")

    def _draw_options(self, bubble: Bubble) -> None:
        if not bubble.options:
            return
        with _div("sim-options"):
            if bubble.kind == "list":
                with _button("sim-option", partial(self._open_options, bubble)):
                    _html(_LINES)
                    ui.label(bubble.button or "…")
                return
            for option in bubble.options:
                with _button("sim-option", partial(self._tap, bubble, option)):
                    _html(_REPLY)
                    ui.label(option.title)

    def _open_options(self, bubble: Bubble) -> None:
        body = self._open_sheet(bubble.button or "")
        with body:
            for option in bubble.options:
                below = f"<span>{html.escape(option.description)}</span>" if option.description else ""
                with _button("sim-rowitem", partial(self._tap, bubble, option)):
                    _html(f"<div class='name'><b>{html.escape(option.title)}</b>{below}</div><i class='dot'></i>")

    # --- what the customer does ------------------------------------------------------------------------------------

    async def _write(self, box: ui.textarea) -> None:
        text = str(box.value or "").strip()
        if not text:
            return
        box.value = ""
        await self._say(text)

    async def _say(self, text: str) -> None:
        number = self._number
        if number is not None:
            await self._try(self._phone.say(self._person.id, number.phone_number_id, text))

    async def _tap(self, bubble: Bubble, option: Option) -> None:
        self._close_sheet()
        await self._try(self._phone.tap(bubble.wamid, option.id))

    async def _try(self, act: Awaitable[Bubble]) -> None:
        try:
            await act
        except StoreError as error:
            ui.notify(error.message, type="negative")
            return
        self._pulse()
        ui.run_javascript(f"getHtmlElement({self._talk.id}).scrollTop = 0")

    # --- bottom sheet ----------------------------------------------------------------------------------------------

    def _open_sheet(self, title: str) -> Element:
        self._sheet.clear()
        with self._sheet:
            with _div("head"):
                ui.label(title)
                _icon_button(_CLOSE, "Close", self._close_sheet)
            body = _div("body")
        self._screen.classes(add="sheet")
        return body

    def _close_sheet(self) -> None:
        self._screen.classes(remove="sheet")


# --- drawing helpers -------------------------------------------------------------------------------------------------


def _div(classes: str) -> Element:
    return ui.element("div").classes(classes)


def _html(content: str) -> ui.html:
    """Markup made here: every foreign part of it has been escaped."""
    return ui.html(content, sanitize=False).style("display:contents")


def _set_html(element: Element, content: str) -> None:
    assert isinstance(element, ui.html)  # noqa: S101 (only `_html` makes them)
    element.set_content(content)


def _button(classes: str, act: Callable[[], Any]) -> Element:
    return ui.element("button").classes(classes).props("type=button").on("click", act)


def _label_button(classes: str, label: str, act: Callable[[], Any]) -> None:
    with _button(classes, act):
        ui.label(label)


def _icon_button(icon: str, label: str, act: Callable[[], Any], classes: str = "sim-icon") -> None:
    with _button(classes, act) as button:
        button.props["aria-label"] = label
        button.props["title"] = label
        _html(icon)


_URL = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]]")
_MARKS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"```(.+?)```", re.DOTALL), r"<code>\1</code>"),
    (re.compile(r"(?<!\w)\*(?=\S)(.+?)(?<=\S)\*(?!\w)"), r"<b>\1</b>"),
    (re.compile(r"(?<!\w)_(?=\S)(.+?)(?<=\S)_(?!\w)"), r"<i>\1</i>"),
    (re.compile(r"(?<!\w)~(?=\S)(.+?)(?<=\S)~(?!\w)"), r"<s>\1</s>"),
)


def formatted(text: str) -> str:
    """A message as safe HTML: everything escaped, then *bold*, _italic_, ~struck~, ```code```, links and line breaks."""
    parts: list[str] = []
    end = 0
    for link in _URL.finditer(text):
        parts.append(_marked(text[end : link.start()]))
        address = html.escape(link.group(), quote=True)
        parts.append(f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>')
        end = link.end()
    parts.append(_marked(text[end:]))
    return "".join(parts)


def _marked(text: str) -> str:
    safe = html.escape(text, quote=True)
    for pattern, replacement in _MARKS:
        safe = pattern.sub(replacement, safe)
    return safe.replace("\n", "<br>")


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[*_~`]", "", text).split())


def _meta(bubble: Bubble) -> str:
    time = f"<span>{_clock(bubble.at)}</span>"
    if not bubble.mine:
        return f"<div class='sim-meta' title='reported to the store: {bubble.status}'>{time}</div>"
    ticks, meaning = _TICKS[bubble.status]
    return f"<div class='sim-meta' title='{meaning}'>{time}<span role='img' aria-label='{bubble.status}'>{ticks}</span></div>"


def _snippet(bubble: Bubble | None, number: ShopNumber) -> str:
    if bubble is None:
        return f"Say hello to {html.escape(_whom(number))}"
    text = _plain(bubble.text) or ("📷 Photo" if bubble.image else "…")
    return html.escape(f"{'You: ' if bubble.mine else ''}{text}"[:90])


def _whom(number: ShopNumber) -> str:
    return number.seller or number.name


def _logo(number: ShopNumber) -> str:
    return f"<div class='sim-logo' style='box-shadow:inset 0 0 0 2px {_color(number.color)}33;background:#fff'>{_logo_text(number)}</div>"


def _logo_text(number: ShopNumber) -> str:
    return html.escape(number.emoji)


def _face(person: Person, index: int) -> str:
    initials = "".join(word[0] for word in person.name.split() if word[0].isalpha())[:2].upper() or "?"
    return f"<div class='sim-face' style='background:{_FACES[index % len(_FACES)]}'>{html.escape(initials)}</div>"


def _shown(person: Person) -> str:
    if person.wa_id is None:
        return f"no number · {html.escape(person.user_id)}"
    digits = person.wa_id
    if digits.startswith("55") and len(digits) == 13:
        return f"+55 {digits[2:4]} {digits[4:9]}-{digits[9:]}"
    if digits.startswith("1") and len(digits) == 11:
        return f"+1 {digits[1:4]} {digits[4:7]}-{digits[7:]}"
    return f"+{html.escape(digits)}"


def _color(value: str) -> str:
    return value if re.fullmatch(r"#[0-9a-fA-F]{6}", value) else "#444444"


def _readable(value: str) -> str:
    """The brand's colour, darkened until white text on it has a contrast of 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    channels = [int(_color(value)[start : start + 2], 16) for start in (1, 3, 5)]
    while 1.05 / (_luminance(channels) + 0.05) < 4.5:
        channels = [int(channel * 0.92) for channel in channels]
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def _luminance(channels: Sequence[int]) -> float:
    parts = [channel / 255 for channel in channels]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _own(image: str) -> str:
    """Pictures of the store are fetched from where the page came from, whatever public address was sent."""
    path = urlsplit(image).path
    return path if path.startswith("/media/") else image


def _seq(bubble: Bubble | None) -> int:
    return 0 if bubble is None else bubble.seq


def _local(at: datetime) -> datetime:
    """In the zone of the machine: the store and its simulated phones stand on one desk."""
    return at.astimezone()


def _clock(at: datetime) -> str:
    return f"{_local(at):%H:%M}"


def _day(day: date) -> str:
    gap = (datetime.now().astimezone().date() - day).days
    return "Today" if gap == 0 else "Yesterday" if gap == 1 else f"{day:%d/%m/%Y}"
