"""The page's own line icons, as SVG."""

from __future__ import annotations


def _line(paths: str, width: float = 2) -> str:
    return (
        f'<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="{width}" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true">{paths}</svg>'
    )


def _solid(paths: str, box: str = "0 0 24 24") -> str:
    return f'<svg viewBox="{box}" fill="currentColor" aria-hidden="true">{paths}</svg>'


def _tick(paths: str) -> str:
    return (
        '<svg viewBox="0 0 17 11" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true">{paths}</svg>'
    )


BACK = _line('<path d="M19 12H5M11 6l-6 6 6 6"/>')
CLOSE = _line('<path d="M6 6l12 12M18 6L6 18"/>')
PEOPLE = _line(
    '<circle cx="9" cy="8" r="3.5"/><path d="M2.5 20c.6-3.6 3.2-5.5 6.5-5.5s5.9 1.9 6.5 5.5"/>'
    '<path d="M16 4.8a3.5 3.5 0 010 6.4M18 14.8c2 .7 3.2 2.5 3.5 5.2"/>'
)
PERSON = _line('<circle cx="12" cy="8" r="4"/><path d="M4 20.5c.7-4 3.9-6 8-6s7.3 2 8 6"/>')
FLASK = _line('<path d="M9 3h6M10 3v6l-5.5 9.3A1.8 1.8 0 006 21h12a1.8 1.8 0 001.5-2.7L14 9V3"/><path d="M7.5 15h9"/>')
SEARCH = _line('<circle cx="11" cy="11" r="6.5"/><path d="M16 16l4.5 4.5"/>')
SEND = _solid(
    '<path d="M3.4 20.3l17.3-7.4a1 1 0 000-1.8L3.4 3.7a.7.7 0 00-1 .8L4.5 11l9 1-9 1-2.1 6.5a.7.7 0 001 .8z"/>'
)
MIC = _solid(
    '<path d="M12 15a3.5 3.5 0 003.5-3.5v-5a3.5 3.5 0 00-7 0v5A3.5 3.5 0 0012 15z"/>'
    '<path d="M18.5 11.5a6.5 6.5 0 01-13 0h-1.7a8.2 8.2 0 007.35 8.15V22.5h1.7v-2.85a8.2 8.2 0 007.35-8.15z"/>'
)
PLUS = _line('<path d="M12 5v14M5 12h14"/>')
MINUS = _line('<path d="M5 12h14"/>')
BIN = _line('<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5"/>')
PENCIL = _line('<path d="M4 20l1-4L16 5l3 3L8 19z"/>')
DOWN = _line('<path d="M7 10l5 5 5-5"/>')
LINES = _line('<path d="M9 6h11M9 12h11M9 18h11M4.5 6h.01M4.5 12h.01M4.5 18h.01"/>')
REPLY = _line('<path d="M9 7l-5 5 5 5M4.5 12H14c3.5 0 6 2.2 6 6"/>')
OPEN = _line('<path d="M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 01-1 1H5a1 1 0 01-1-1V7a1 1 0 011-1h5"/>')
COPY = _line(
    '<rect x="8" y="8" width="12" height="12" rx="2.5"/><path d="M16 8V6a2 2 0 00-2-2H6a2 2 0 00-2 2v8a2 2 0 002 2h2"/>'
)
PIN = _line(
    '<path d="M12 21c4.5-5 7-8.5 7-11.5A7 7 0 005 9.5C5 12.5 7.5 16 12 21z"/><circle cx="12" cy="9.5" r="2.5"/>'
)
BAG = _line('<path d="M5 8h14l1 12.5H4z"/><path d="M8.5 10.5V7a3.5 3.5 0 017 0v3.5"/>')
IMAGE = _line(
    '<rect x="3.5" y="4.5" width="17" height="15" rx="2.5"/><circle cx="9" cy="10" r="1.8"/><path d="M4 17.5l5-4.5 3.5 3 3-2.5 4.5 4"/>'
)
FILE = _line('<path d="M7 3h7l5 5v12a1 1 0 01-1 1H7a1 1 0 01-1-1V4a1 1 0 011-1z"/><path d="M14 3v5h5"/>')
PLAY = _solid('<path d="M8 5.2v13.6a.8.8 0 001.2.7l11-6.8a.8.8 0 000-1.4l-11-6.8a.8.8 0 00-1.2.7z"/>')
PAUSE = _solid(
    '<rect x="6" y="5" width="4.5" height="14" rx="1.2"/><rect x="13.5" y="5" width="4.5" height="14" rx="1.2"/>'
)
FACE = _line(
    '<circle cx="12" cy="12" r="8.5"/><path d="M8.5 14.2c.8 1.3 2 2 3.5 2s2.7-.7 3.5-2M9 9.5h.01M15 9.5h.01"/>'
)
REPEAT = _line('<path d="M5 11V9a3 3 0 013-3h11M16 3l3 3-3 3M19 13v2a3 3 0 01-3 3H5M8 21l-3-3 3-3"/>')
BANNED = _line('<circle cx="12" cy="12" r="8.5"/><path d="M6 6l12 12"/>')
ALERT = _line('<circle cx="12" cy="12" r="9"/><path d="M12 7.5v5.5M12 16.5h.01"/>', 2.2)
CART = _line(
    '<path d="M3 4h2.5l2.2 11h10.6L20.5 7H6.3"/><circle cx="9" cy="19" r="1.5"/><circle cx="17" cy="19" r="1.5"/>'
)
CHATS = _line('<path d="M4 18.5V6a2 2 0 012-2h9a2 2 0 012 2v6a2 2 0 01-2 2H8z"/><path d="M20 9.5v11L16.5 18H11"/>', 1.5)
IDEA = _line(
    '<path d="M9.5 18h5M10.5 21h3M12 3a6 6 0 00-3.5 10.9c.6.5 1 1.2 1 2V16h5v-.1c0-.8.4-1.5 1-2A6 6 0 0012 3z"/>'
)
CLOCK = _tick('<circle cx="8.5" cy="5.5" r="4.3"/><path d="M8.5 3v2.7l1.6 1"/>')
ONE_TICK = _tick('<path d="M4.5 6l3 3L14 2"/>')
TWO_TICKS = _tick('<path d="M1 6l3 3 6.5-7M8 8.3l.8.7L15.5 2"/>')
