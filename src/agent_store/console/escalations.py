"""`/escalations`: where people of the staff take over: the queue, the conversation, their word, the hand-back.

Everything goes through tools, as the API does: the page holds no state of its own but which conversation is open and
what is being typed. Texts of customers are shown as text, never as markup.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Protocol, TypeVar, cast
from urllib.parse import quote

from nicegui import ui
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from agent_store.contracts.chat import GetTranscript, Transcript, TranscriptLine
from agent_store.contracts.people import ClaimEscalation, EscalationView, HandBack, ListEscalations, ReplyAsPerson
from agent_store.kernel.errors import StoreError
from agent_store.kernel.ids import new_id
from agent_store.kernel.news import News, Notice
from agent_store.kernel.tool import Principal, Tool

R = TypeVar("R")

REFRESH = timedelta(seconds=2)
"""How old what the page shows may be."""
RARELY = timedelta(seconds=10)
"""The same while there is no news; and how long after some the page looks often: what follows from a commit may come
without an event of its own."""
_PULSE = timedelta(milliseconds=250)
_TOPICS = frozenset({"chat", "whatsapp"})
_LINES = 200
_NAME_LIMIT = 60

_REASONS = {
    "asked": ("asked for a person", "front_hand"),
    "sentiment": ("upset", "sentiment_very_dissatisfied"),
    "not_understood": ("not understood", "help"),
    "complex": ("complex request", "extension"),
    "value": ("large order", "payments"),
    "policy": ("policy question", "gavel"),
    "failed": ("assistant failed", "error"),
}
_LANGUAGES = {"pt": "Português", "en": "English", "es": "Español"}
_BRASILIA = timezone(timedelta(hours=-3))
"""The clock that the customers of a Brazilian shop read too; no daylight saving since 2019."""
_MISSING = {
    "too_large": "What came with it is too large and was not fetched.",
    "forbidden_type": "What came with it is of a kind that is not taken, and was not kept.",
    "unsafe": "What came with it was refused: its address is not safe.",
    "unreadable": "What came with it cannot be read, and was not kept.",
    "gone": "What came with it is not there any more.",
}
_STATUS = {
    "queued": "schedule",
    "sent": "done",
    "delivered": "done_all",
    "read": "done_all",
    "failed": "error",
    "uncertain": "help",
}

_BELOW = """requestAnimationFrame(() => {
  const box = getHtmlElement(%d);
  if (!box) return;
  const below = () => { if (!box.away) box.scrollTop = box.scrollHeight; };
  if (!box.watched) {
    box.watched = true;
    box.addEventListener('scroll', () => { box.away = box.scrollHeight - box.scrollTop - box.clientHeight > 80; });
    box.addEventListener('load', below, true); // a picture has its height when it is there
  }
  %s
  below();
})"""
"""The newest line is in sight, unless the person has scrolled up to read."""

_STYLE = """
body { background: #eef1f4; font-family: system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
.nicegui-content { padding: 0 !important; gap: 0 !important; }
.desk { height: calc(100dvh - 56px); width: 100%; max-width: 1280px; margin: 0 auto; display: flex; flex-wrap: nowrap; }
.queue { width: 372px; flex: none; overflow-y: auto; padding: 12px; gap: 10px; display: flex; flex-direction: column; }
.talk { flex: 1; min-width: 0; display: flex; flex-direction: column; background: #fff; border-inline: 1px solid #dde2e8; }
.item { background: #fff; border-radius: 12px; padding: 12px 14px; cursor: pointer; border: 1px solid #dde2e8;
  border-left: 5px solid #b6c0cc; transition: box-shadow .15s; width: 100%; text-align: left; }
.item:hover, .item:focus-visible { box-shadow: 0 2px 10px rgba(20, 40, 60, .12); outline: none; }
.item.high { border-left-color: #c8372d; }
.item.open { background: #e8f1fb; border-color: #8db7e2; }
.meta { color: #5b6875; font-size: 12.5px; line-height: 1.35; }
.summary { font-size: 14.5px; line-height: 1.35; color: #17212b; display: -webkit-box; -webkit-line-clamp: 3;
  -webkit-box-orient: vertical; overflow: hidden; overflow-wrap: anywhere; }
.lines { flex: 1; overflow-y: auto; padding: 16px; display: flex; flex-direction: column; gap: 8px; background: #f6f4ef; }
.line { max-width: min(78%, 560px); border-radius: 14px; padding: 8px 12px; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: 15px; line-height: 1.38; box-shadow: 0 1px 1px rgba(0, 0, 0, .06); }
.line.customer { align-self: flex-start; background: #fff; border-bottom-left-radius: 4px; }
.line.seller { align-self: flex-end; background: #e3ecf7; border-bottom-right-radius: 4px; }
.line.person { align-self: flex-end; background: #d5f0d8; border-bottom-right-radius: 4px; }
.line.notice { align-self: center; background: #fff6dc; font-size: 13.5px; max-width: min(88%, 620px); }
.shown { display: block; max-width: 100%; max-height: 320px; border-radius: 8px; margin-bottom: 4px; }
.who { font-size: 11.5px; color: #5b6875; margin-bottom: 1px; }
.when { font-size: 11px; color: #6b7785; text-align: right; margin-top: 2px; display: flex; gap: 3px; justify-content: flex-end;
  align-items: center; }
.bar { border-bottom: 1px solid #e3e7ec; padding: 10px 16px; display: flex; align-items: center; gap: 12px; flex: none; }
.write { border-top: 1px solid #e3e7ec; padding: 10px 14px; display: flex; gap: 10px; align-items: flex-end; flex: none; }
.empty { margin: auto; text-align: center; color: #5b6875; padding: 32px; }
.only-phone { display: none; }
@media (max-width: 760px) {
  .queue { width: 100%; } .talk { width: 100%; border: none; }
  .desk.talking .queue { display: none; } .desk:not(.talking) .talk { display: none; }
  .only-phone { display: inline-flex; } .line { max-width: 88%; }
}
"""

_REFUSED = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>For staff</title><body style="font-family:system-ui;max-width:34rem;margin:18vh auto;padding:0 1.5rem;color:#17212b">
<h1 style="font-size:1.4rem">This page is for staff</h1><p>Open it with the address that <code>agent-store up</code> prints:
it carries your token.</p></body></html>"""


class Calls(Protocol):
    """What the page asks and does: the runtime's tool calls."""

    async def call(self, tool: Tool[R], principal: Principal | None = None, key: str | None = None) -> R: ...


Authorize = Callable[[Request], object]
"""Raises a StoreError when the request does not come from staff."""


def register_escalations_page(calls: Calls, authorize: Authorize, news: News | None = None) -> None:
    """Serve `/escalations` on the NiceGUI app. Who may not see it gets a page that says how, with the error's status.

    With `news` it looks when there is some, and now and then; without, every REFRESH.
    """

    async def page(request: Request) -> Response | None:
        try:
            authorize(request)
        except StoreError as error:
            return HTMLResponse(_REFUSED, status_code=error.status)
        await _Desk(calls, news).build()
        return None

    ui.page("/escalations", title="People · Agent Store")(page)


def waiting_for(since: datetime, now: datetime) -> str:
    """ "just now", "4 min", "2 h 5 min", "3 d": as coarse as it is old."""
    minutes = int((now - since).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} d"


class _Desk:
    """One open page. Its widgets are built once; what changes is redrawn when it has changed."""

    def __init__(self, calls: Calls, news: News | None) -> None:
        self._calls = calls
        self._news = news
        self._stale = False
        self._heard_at = self._looked_at = time.monotonic()
        self._queue: tuple[EscalationView, ...] = ()
        self._open_id: str | None = None
        self._transcript: Transcript | None = None
        self._drawn_queue: object = None
        self._drawn_talk: object = None
        self._drawn_of: str | None = None
        self._drawn_lines: list[tuple[TranscriptLine, ui.element]] = []
        """What stands on the page, and the conversation that it is of."""
        self._draft_key = new_id()
        self._busy = False

    # --- what it asks

    @property
    def _person(self) -> str:
        return " ".join(str(self._name.value or "").split())[:_NAME_LIMIT]

    @property
    def _reader(self) -> Principal:
        return Principal(staff=self._person or "staff")

    @property
    def _open(self) -> EscalationView | None:
        return next((one for one in self._queue if one.id == self._open_id), None)

    async def _refresh(self) -> None:
        try:
            self._queue = await self._calls.call(ListEscalations(), self._reader)
            opened = self._open
            if opened is None:
                self._open_id = self._transcript = None
            else:
                call = GetTranscript(conversation_id=opened.conversation_id, limit=_LINES)
                self._transcript = await self._calls.call(call, self._reader)
        except StoreError as error:
            self._offline.set_text(f"Not up to date: {error.message}")
            self._offline.set_visibility(True)
            return
        self._offline.set_visibility(False)
        self._draw()

    def _hear(self, notices: frozenset[Notice] | None) -> None:
        if notices is None or any(notice.topic in _TOPICS for notice in notices):
            self._stale = True
            self._heard_at = time.monotonic()

    async def _look(self) -> None:
        """Once for all that has come since the last look, and when the last look is too long ago."""
        now = time.monotonic()
        patience = REFRESH if now - self._heard_at < RARELY.total_seconds() else RARELY
        if self._stale or now - self._looked_at >= patience.total_seconds():
            self._stale, self._looked_at = False, now
            await self._refresh()

    async def _act(self, tool: Tool[EscalationView], key: str | None = None) -> EscalationView | None:
        """Do something in the person's name, once at a time; what is refused is told."""
        if not self._person:
            ui.notify("Write your name first: the customer is told who is there.", type="warning", position="top")
            self._name.run_method("focus")
            return None
        if self._busy:
            return None
        self._busy = True
        try:
            return await self._calls.call(tool, Principal(staff=self._person), key)
        except StoreError as error:
            ui.notify(error.message, type="negative", position="top")
            return None
        finally:
            self._busy = False
            await self._refresh()

    # --- what it does

    async def _show(self, escalation_id: str | None) -> None:
        self._open_id = escalation_id
        self._transcript = None
        await self._refresh()

    async def _claim(self) -> None:
        if self._open_id is not None:
            await self._act(ClaimEscalation(escalation_id=self._open_id))

    async def _send(self) -> None:
        text = str(self._reply.value or "").strip()
        opened = self._open
        if not text or opened is None:
            return
        done = await self._act(ReplyAsPerson(escalation_id=opened.id, text=text[:4000]), self._draft_key)
        if done is not None:
            self._draft_key = new_id()
            self._reply.set_value("")

    async def _hand_back(self) -> None:
        opened = self._open
        if opened is None:
            return
        with ui.dialog() as dialog, ui.card().classes("w-96 max-w-full"):
            ui.label("Hand back to the assistant").classes("text-lg font-medium")
            ui.label("The customer is told. What came of it (for the record, optional):").classes("meta")
            outcome = ui.input(placeholder="e.g. exchange agreed").props("autofocus outlined dense maxlength=400")
            outcome.classes("w-full")
            with ui.row().classes("w-full justify-end"):
                ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat")
                ui.button("Hand back", on_click=lambda: dialog.submit(True))
        confirmed = bool(await dialog)
        dialog.clear()
        if (
            confirmed
            and await self._act(HandBack(escalation_id=opened.id, outcome=str(outcome.value or ""))) is not None
        ):
            await self._show(None)

    # --- how it looks

    async def build(self) -> None:
        ui.add_css(_STYLE)
        ui.colors(primary="#1d5fa8")
        with (
            ui.header(elevated=False)
            .classes("items-center no-wrap gap-3 px-4 py-2")
            .style("background:#17324d;height:56px")
        ):
            ui.icon("support_agent").classes("text-2xl")
            ui.label("People").classes("text-lg font-medium")
            self._count = ui.label().classes("text-sm opacity-80 whitespace-nowrap")
            ui.space()
            self._name = (
                ui.input(placeholder="Your name")
                .props(f"dark dense outlined maxlength={_NAME_LIMIT} aria-label='Your name'")
                .classes("w-40 shrink")
                .on("blur", self._keep_name)
            )
        with ui.element("div").classes("desk") as self._desk:
            self._list = ui.element("div").classes("queue")
            self._list.props("role=list aria-label=Queue")
            with ui.element("div").classes("talk"):
                self._bar = ui.element("div").classes("bar")
                self._lines = ui.element("div").classes("lines").props("role=log aria-live=polite")
                with ui.element("div").classes("write") as self._write:
                    self._reply = (
                        ui.textarea(placeholder="Write to the customer")
                        .props("outlined autogrow dense maxlength=4000 input-style='max-height:160px'")
                        .classes("flex-1")
                        .on("keydown.enter.exact.prevent", self._send)
                    )
                    ui.button(icon="send", on_click=self._send).props("round unelevated aria-label=Send")
        self._offline = ui.label().classes("fixed bottom-3 left-3 bg-red-800 text-white rounded px-3 py-1 text-sm")
        self._offline.set_visibility(False)
        await self._refresh()
        self._draw()
        if self._news is None:
            ui.timer(REFRESH.total_seconds(), self._refresh)
        else:
            stop = self._news.listen(self._hear)
            ui.context.client.on_delete(stop)  # pyright: ignore[reportUnknownMemberType]
            ui.timer(_PULSE.total_seconds(), self._look)
        ui.timer(0.1, self._recall_name, once=True)

    async def _recall_name(self) -> None:
        """The name is kept by the browser, so that each person at a shared token has their own."""
        known = cast(object, await ui.run_javascript("localStorage.getItem('agent-store-person') || ''", timeout=5.0))
        if known and not self._name.value:
            self._name.set_value(str(known)[:_NAME_LIMIT])
            self._draw()

    def _keep_name(self) -> None:
        ui.run_javascript(f"localStorage.setItem('agent-store-person', {_js(self._person)})")
        self._draw()

    def _draw(self) -> None:
        opened, now = self._open, datetime.now(UTC)
        waiting = sum(1 for one in self._queue if one.state == "waiting")
        self._count.set_text(f"{waiting} waiting" if waiting else "nobody waiting")
        queue = (self._queue, self._open_id, [waiting_for(one.opened_at, now) for one in self._queue])
        if queue != self._drawn_queue:
            self._drawn_queue = queue
            self._draw_queue(now)
        # Whose it is, not who looks: a name typed just before a click on "Claim" must not put another button under it.
        mine = opened is not None and opened.state == "claimed" and opened.person == self._person
        talk = (opened, mine, self._transcript and self._transcript.conversation.customer_name)
        if talk != self._drawn_talk:
            self._drawn_talk = talk
            self._draw_bar(opened, mine)
            self._write.set_visibility(mine)
            self._reply.set_enabled(opened is not None and opened.can_reply)
            self._desk.classes(add="talking" if opened else "", remove="" if opened else "talking")
        self._draw_lines(None if self._transcript is None else self._transcript.lines)

    def _draw_queue(self, now: datetime) -> None:
        self._list.clear()
        with self._list:
            if not self._queue:
                with ui.element("div").classes("empty"):
                    ui.icon("task_alt").classes("text-4xl opacity-60")
                    ui.label("Nobody needs a person right now.")
            for one in self._queue:
                self._draw_item(one, now)

    def _draw_item(self, one: EscalationView, now: datetime) -> None:
        reason, icon = _REASONS[one.reason]
        classes = f"item {'high' if one.priority == 'high' else ''} {'open' if one.id == self._open_id else ''}"
        item = ui.element("div").classes(classes).props("role=listitem tabindex=0")
        show = partial(self._show, one.id)
        item.on("click", show).on("keydown.enter", show)
        with item:
            with ui.row().classes("w-full items-center no-wrap gap-2"):
                ui.icon(icon).classes("text-base" + (" text-red-700" if one.priority == "high" else " text-slate-500"))
                ui.label(reason).classes("meta font-medium")
                ui.space()
                if one.unread:
                    ui.badge(str(one.unread), color="#1f7a3d").props(f"aria-label='{one.unread} unread'")
                ui.label(waiting_for(one.opened_at, now)).classes("meta whitespace-nowrap")
            ui.label(one.summary or "(no words)").classes("summary mt-1")
            with ui.row().classes("w-full items-center gap-2 mt-1"):
                ui.label(
                    " · ".join(part for part in (one.brand or "no shop yet", _LANGUAGES[one.language]) if part)
                ).classes("meta")
                ui.space()
                if one.state == "claimed":
                    ui.label(f"with {one.person}").classes("meta font-medium")

    def _draw_bar(self, opened: EscalationView | None, mine: bool) -> None:
        self._bar.clear()
        self._bar.set_visibility(opened is not None)
        if opened is None:
            return
        who = self._transcript.conversation.customer_name if self._transcript else None
        reason, _ = _REASONS[opened.reason]
        with self._bar:
            ui.button(icon="arrow_back", on_click=lambda: self._show(None)).props(
                "flat round dense aria-label=Back"
            ).classes("only-phone")
            with ui.column().classes("gap-0 flex-1 min-w-0"):
                ui.label(who or "Customer").classes("font-medium truncate w-full")
                ui.label(f"{opened.brand or 'no shop yet'} · {_LANGUAGES[opened.language]} · {reason}").classes("meta")
            if opened.state == "waiting":
                ui.button("Claim", icon="front_hand", on_click=self._claim).props("unelevated no-caps")
            elif mine:
                ui.button("Hand back", icon="undo", on_click=self._hand_back).props("outline no-caps")
            else:
                ui.label(f"with {opened.person}").classes("meta font-medium")

    def _draw_lines(self, lines: tuple[TranscriptLine, ...] | None) -> None:
        """Only what is new or has changed: whoever listens to a voice note, or has scrolled up, is not disturbed."""
        if lines is None or self._open_id is None:
            if self._drawn_of is not None or not self._lines.default_slot.children:
                self._drawn_of, self._drawn_lines = None, []
                self._lines.clear()
                with self._lines, ui.element("div").classes("empty"):
                    ui.icon("forum").classes("text-4xl opacity-60")
                    ui.label("Choose a conversation.")
            return
        another = self._drawn_of != self._open_id
        if another:
            self._drawn_of, self._drawn_lines = self._open_id, []
            self._lines.clear()
        gone = _no_longer_there([line for line, _ in self._drawn_lines], lines)
        for _, element in self._drawn_lines[:gone]:
            element.delete()
        stay = self._drawn_lines[gone:]
        for (old, element), line in zip(stay, lines, strict=False):
            if line != old:
                element.clear()
                self._draw_line(line, element)
        self._drawn_lines = [(line, element) for (_, element), line in zip(stay, lines, strict=False)]
        for line in lines[len(stay) :]:
            with self._lines:
                element = ui.element("div").classes(f"line {line.role}")
            self._draw_line(line, element)
            self._drawn_lines.append((line, element))
        if another or len(lines) > len(stay):
            ui.run_javascript(_BELOW % (self._lines.id, "box.away = false;" if another else ""))

    def _draw_line(self, line: TranscriptLine, element: ui.element) -> None:
        with element:
            if line.author and line.role in ("seller", "person"):
                ui.label(line.author).classes("who")
            if line.deleted_at is not None:
                ui.label("The customer took this message back.").classes("meta")
            else:
                _draw_medium(line)
                if line.text or line.media is None:
                    ui.label(line.text or f"[{line.kind}]")
            with ui.element("div").classes("when"):
                if line.edited_at is not None and line.deleted_at is None:
                    ui.label("edited")
                ui.label(line.at.astimezone(_BRASILIA).strftime("%H:%M"))
                if line.status is not None:
                    icon = ui.icon(_STATUS.get(line.status, "help")).props(f"aria-label={line.status}")
                    icon.classes(
                        "text-sky-600" if line.status == "read" else "text-red-700" if line.status == "failed" else ""
                    )


def _no_longer_there(old: Sequence[TranscriptLine], new: Sequence[TranscriptLine]) -> int:
    """How many of the oldest lines are gone; a transcript grows at its end, and only its newest lines are shown."""
    return next(
        (
            gone
            for gone in range(len(old))
            if len(old) - gone <= len(new)
            and all(
                (one.direction, one.role, one.at) == (other.direction, other.role, other.at)
                for one, other in zip(old[gone:], new, strict=False)
            )
        ),
        len(old),
    )


def _draw_medium(line: TranscriptLine) -> None:
    """A photo, a voice note, a file of the customer's; or why it is not there."""
    if line.media_problem is not None:
        ui.label(_MISSING.get(line.media_problem, "What came with it could not be fetched.")).classes("meta")
    medium = line.media
    if medium is None:
        return
    if medium.expires_at is not None and medium.expires_at <= datetime.now(UTC):
        ui.label("What came with it has been deleted: its time was over.").classes("meta")
        return
    address = f"/media/whatsapp/{quote(medium.key, safe='')}"
    kind = medium.mime_type.partition("/")[0]
    if kind == "image":
        with ui.link(target=address, new_tab=True):
            ui.element("img").props(f"src={address} loading=lazy").props('alt="What the customer sent"').classes(
                "shown"
            )
    elif kind in ("audio", "video"):
        ui.element(kind).props(f"src={address} controls preload=none").classes("shown")
    else:
        ui.link(medium.filename or f"A file ({medium.mime_type})", address, new_tab=True)


def _js(text: str) -> str:
    """A JavaScript string literal."""
    return json.dumps(text).replace("<", "\\u003c")
