"""How the words of a message are shown: WhatsApp's marks as safe HTML, links, codes to copy, numbers and times. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

from agent_store.agents.whatsapp.phone import Person

_PIECES = re.compile(
    r"```(?P<fence>.+?)```"
    r"|(?P<pix>000201[ -_a-~]{20,500}?6304[0-9A-F]{4}(?![0-9A-Fa-f]))"
    r"|(?P<url>https?://[^\s<>\"]+[^\s<>\".,;:!?)\]*~])"
    r"|(?P<code>(?<![\w./@-])(?=[A-Za-z]*[0-9])[A-Za-z0-9+/=_.:-]{32,}(?![\w/]))",
    re.DOTALL,
)
"""What marks mean nothing in. A Pix code is all that stands between its first field (000201) and its checksum (6304…)."""
_MARKS: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (re.compile(r"(?<!\w)\*(?=\S)(.+?)(?<=\S)\*(?!\w)"), r"<b>\1</b>"),
    (re.compile(r"(?<!\w)_(?=\S)(.+?)(?<=\S)_(?!\w)"), r"<i>\1</i>"),
    (re.compile(r"(?<!\w)~(?=\S)(.+?)(?<=\S)~(?!\w)"), r"<s>\1</s>"),
    (re.compile(r"(?<![\w`])`(?=\S)([^`\n]+?)(?<=\S)`(?![\w`])"), r"<code>\1</code>"),
)
_LONG_CODE = 20


def escaped(text: str) -> str:
    """Text as text, also within an attribute."""
    return html.escape(text, quote=True)


def formatted(text: str) -> str:
    """A message as safe HTML: everything escaped, then *bold*, _italic_, ~struck~, ```code```, links and line breaks."""
    return "".join(_shown(kind, piece) for kind, piece in _pieces(text))


def codes(text: str) -> list[str]:
    """What a reader would want to copy: Pix codes and other long ones, in their order, once each."""
    found = [piece.strip() for kind, piece in _pieces(text) if kind in ("pix", "code") or _is_code(kind, piece)]
    return list(dict.fromkeys(found))


def is_pix(code: str) -> bool:
    """By how every Pix code begins (EMV payload format indicator) and ends (its checksum's tag)."""
    return re.fullmatch(r"000201.+6304[0-9A-F]{4}", code) is not None


def first_link(text: str) -> str | None:
    return next((piece for kind, piece in _pieces(text) if kind == "url"), None)


def plain(text: str) -> str:
    """On one line and without marks: for quotes and lists of chats."""
    return " ".join(re.sub(r"[*_~`]", "", text).split())


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    end = 0
    for found in _PIECES.finditer(text):
        if found.start() > end:
            yield "words", text[end : found.start()]
        kind = found.lastgroup or "words"
        yield kind, found[kind]
        end = found.end()
    if end < len(text):
        yield "words", text[end:]


def _is_code(kind: str, piece: str) -> bool:
    inner = piece.strip()
    return kind == "fence" and len(inner) >= _LONG_CODE and "\n" not in inner


def _shown(kind: str, piece: str) -> str:
    safe = escaped(piece)
    if kind == "url":
        return f'<a href="{safe}" target="_blank" rel="noopener noreferrer">{safe}</a>'
    if kind != "words":
        long = ' class="long"' if kind != "fence" or len(piece) >= _LONG_CODE else ""
        return f"<code{long}>{safe.strip().replace(chr(10), '<br>')}</code>"
    for pattern, replacement in _MARKS:
        safe = pattern.sub(replacement, safe)
    return safe.replace("R$ ", "R$\u00a0").replace("\n", "<br>")


# --- people, times, sizes --------------------------------------------------------------------------------------------


def shown_phone(digits: str) -> str:
    """`digits`: country code first, as WhatsApp writes a number."""
    if digits.startswith("55") and len(digits) == 13:
        return f"+55 {digits[2:4]} {digits[4:9]}-{digits[9:]}"
    if digits.startswith("1") and len(digits) == 11:
        return f"+1 {digits[1:4]} {digits[4:7]}-{digits[7:]}"
    return f"+{digits}"


def shown_person(person: Person) -> str:
    return f"no number · {person.user_id}" if person.wa_id is None else shown_phone(person.wa_id)


def initials(name: str) -> str:
    return "".join(word[0] for word in name.split() if word[0].isalpha())[:2].upper() or "?"


def local(at: datetime) -> datetime:
    """In the zone of the machine: the store and its simulated phones stand on one desk."""
    return at.astimezone()


def clock(at: datetime) -> str:
    return f"{local(at):%H:%M}"


def day(that: date, today: date) -> str:
    gap = (today - that).days
    return {-1: "Tomorrow", 0: "Today", 1: "Yesterday"}.get(gap) or f"{that:%d/%m/%Y}"


def when(at: datetime, now: datetime) -> str:
    """In a list of chats: the time today, else the day."""
    return clock(at) if local(at).date() == local(now).date() else day(local(at).date(), local(now).date())


def duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02}"


def size(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.0f} kB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"
