"""The pane of chats, as HTML: whose phone it is, the shop's numbers with their newest message, what a search finds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent_store.agents.whatsapp.phone import Bubble, Person, ShopNumber
from agent_store.console.simulator import icons
from agent_store.console.simulator.bubbles import snippet
from agent_store.console.simulator.sheets import face
from agent_store.console.simulator.words import escaped, plain, shown_person, when


@dataclass(frozen=True, slots=True)
class Chat:
    """One line of the list."""

    number: ShopNumber
    newest: Bubble | None
    unread: int
    typing: bool = False


def whom(number: ShopNumber) -> str:
    return number.seller or number.name


def color(value: str) -> str:
    """A colour that a brand's file gives: nothing but six hexadecimal digits goes into a style."""
    digits = value[1:]
    good = len(value) == 7 and value[0] == "#" and all(one in "0123456789abcdefABCDEF" for one in digits)
    return value if good else "#444444"


def logo(number: ShopNumber) -> str:
    tint = color(number.color)
    return f"<span class='sim-logo' style='background:{tint}26;box-shadow:inset 0 0 0 1.5px {tint}59'>{escaped(number.emoji)}</span>"


def phones(people: Sequence[Person], me: Person) -> str:
    """The customers whose phones are here, to change between with one tap."""
    made = "".join(
        f"<button type='button' class='{'on' if person.id == me.id else ''}' data-do='become' data-person='{escaped(person.id)}' "
        f"aria-pressed='{'true' if person.id == me.id else 'false'}' title='{escaped(f'{person.name} · {shown_person(person)}')}'>"
        f"{face(person, index)}<span>{escaped(person.name.split()[0] if person.name.split() else person.name)}</span></button>"
        for index, person in enumerate(people)
    )
    return made + (
        f"<button type='button' data-do='new-person' title='Another customer'><span class='sim-face plus'>{icons.PLUS}</span>"
        "<span>New</span></button>"
    )


def chats(found: Sequence[Chat], now: datetime, opened: str | None) -> str:
    return "".join(_chat(chat, now, chat.number.phone_number_id == opened) for chat in found)


def _chat(chat: Chat, now: datetime, opened: bool) -> str:
    number, newest = chat.number, chat.newest
    seller = f" <small>· {escaped(number.seller)}</small>" if number.seller else ""
    below = f"Say hello to {whom(number)}" if newest is None else snippet(newest)[:90]
    mark = ""
    if newest is not None and newest.mine and not newest.deleted:
        ticks = icons.ONE_TICK if newest.status == "sent" else icons.TWO_TICKS
        mark = f"<i class='tick {newest.status}'>{icons.CLOCK if newest.status == 'failed' else ticks}</i>"
    words = "<em>typing…</em>" if chat.typing else f"{mark}{escaped(below)}"
    time = "" if newest is None else f"<time>{when(newest.at, now)}</time>"
    badge = f"<i class='unread' aria-label='{chat.unread} unread'>{chat.unread}</i>" if chat.unread else ""
    return (
        f"<button type='button' class='sim-chat{' on' if opened else ''}{' news' if chat.unread else ''}' data-do='open' "
        f"data-number='{escaped(number.phone_number_id)}'>{logo(number)}<span class='what'><b>{escaped(number.name)}{seller}</b>"
        f"<span>{words}</span></span><span class='when'>{time}{badge}</span></button>"
    )


def hits(found: Sequence[tuple[ShopNumber, Bubble]], now: datetime) -> str:
    """Messages that a search found."""
    if not found:
        return ""
    rows = "".join(
        f"<button type='button' class='sim-chat hit' data-do='open' data-number='{escaped(number.phone_number_id)}' "
        f"data-wamid='{escaped(bubble.wamid)}'><span class='what'><b>{escaped(number.name)}</b>"
        f"<span>{escaped(snippet(bubble)[:120])}</span></span><span class='when'><time>{when(bubble.at, now)}</time></span></button>"
        for number, bubble in found
    )
    return f"<h3>Messages</h3>{rows}"


def is_about(words: str, number: ShopNumber) -> bool:
    """Is it this chat that is searched for?"""
    return words.casefold() in f"{number.name} {number.seller} {number.display_phone}".casefold()


def says(words: str, bubble: Bubble) -> bool:
    return not bubble.deleted and words.casefold() in plain(f"{bubble.header} {bubble.text} {bubble.footer}").casefold()
