"""Messages as HTML: a bubble with all that it may hold, its ticks, its buttons. Pure.

Every text is escaped here. What can be tapped has a `data-do` (the page's action) or a `data-…` that the script knows:
`data-jump`, `data-copy`, `data-enlarge`, `data-play`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import urlsplit

from agent_store.agents.whatsapp.phone import Ad, Bubble, LinkButton, Medium, OrderLine, Product, Spot
from agent_store.console.simulator import icons
from agent_store.console.simulator.words import (
    clock,
    codes,
    duration,
    escaped,
    first_link,
    formatted,
    initials,
    is_pix,
    plain,
    shown_phone,
    size,
)
from agent_store.kernel.money import Money

_TICKS: Final[dict[str, tuple[str, str]]] = {
    "sent": (icons.ONE_TICK, "on its way to the store"),
    "delivered": (icons.TWO_TICKS, "the store has it"),
    "read": (icons.TWO_TICKS, "the store has read or answered it"),
}
_BARS = 34
_JUMBO = 3
_EMOJI = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}|[\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff]"
    "[\ufe0f\U0001f3fb-\U0001f3ff]*(?:\u200d[\u2640\u2642\u2190-\u2bff\U0001f000-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*)"
)
_FILE_COLORS: Final[dict[str, str]] = {
    "PDF": "#d93025", "DOC": "#1a5fb4", "DOCX": "#1a5fb4", "XLS": "#1e7e45", "XLSX": "#1e7e45", "CSV": "#1e7e45",
    "PPT": "#c4501b", "PPTX": "#c4501b", "ZIP": "#6b5b1f", "TXT": "#54656f",
}  # fmt: skip


def row(bubble: Bubble, quoted: Bubble | None = None, *, first: bool = True, whom: str = "") -> str:
    """One message. `first` of a run of the same writer has the tail; `whom` is how the store's side is called."""
    if bubble.kind == "system":
        return f"<div class='sim-note' data-wamid='{escaped(bubble.wamid)}'>{escaped(bubble.text)}</div>"
    classes = ["sim-row", "mine" if bubble.mine else "theirs", *_looks(bubble)]
    classes += [name for name, on in (("first", first), ("failed", bubble.status == "failed")) if on]
    writer = "You" if bubble.mine else whom or "The store"
    inside = _deleted(bubble) if bubble.deleted else _inside(bubble, quoted, whom)
    menu = (
        f"<button type='button' class='sim-more' data-do='menu' data-wamid='{escaped(bubble.wamid)}' "
        f"aria-label='What to do with this message' aria-haspopup='dialog'>{icons.DOWN}</button>"
    )
    return (
        f"<article class='{' '.join(classes)}' data-wamid='{escaped(bubble.wamid)}' "
        f"aria-label='{escaped(writer)}, {clock(bubble.at)}'>"
        f"<div class='sim-bubble'>{'' if bubble.deleted else menu}{inside}{_meta(bubble)}{_buttons(bubble)}</div>"
        f"{_reactions(bubble)}{_failure(bubble)}</article>"
    )


def typing_row() -> str:
    return (
        "<div class='sim-row theirs first typing' role='status' aria-label='typing'>"
        "<div class='sim-bubble'><i></i><i></i><i></i></div></div>"
    )


def snippet(bubble: Bubble) -> str:
    """A message in one line, as text: for the list of chats and for quotes."""
    if bubble.deleted:
        return "🚫 This message was deleted"
    words = plain(bubble.text)
    mark, name = _in_brief(bubble)
    return " ".join(part for part in (mark, words or name) if part) or "…"


def own(url: str) -> str:
    """What the store or the simulator serves is fetched from where the page came from, whatever public address was sent."""
    parts = urlsplit(url)
    if not parts.path.startswith(("/media/", "/simulator/")):
        return url
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def price(amount: int | None, currency: str) -> str:
    return "" if amount is None else str(Money(minor=amount, currency=currency))


# --- a bubble's parts ------------------------------------------------------------------------------------------------


def _looks(bubble: Bubble) -> list[str]:
    if bubble.deleted:
        return ["gone"]
    names = [bubble.kind]
    if bubble.image or (bubble.medium is not None and bubble.medium.kind in ("image", "video")) or bubble.spot:
        names.append("picture")
    if bubble.options or bubble.button or bubble.links or bubble.products or bubble.lines or bubble.cards:
        names.append("wide")
    if bubble.kind == "text" and bubble.reply_to is None and _is_jumbo(bubble.text):
        names.append("jumbo")
    return names


def _is_jumbo(text: str) -> bool:
    """A few emoji and nothing else are shown large."""
    found = _EMOJI.findall(text)
    return 0 < len(found) <= _JUMBO and "".join(found) == "".join(text.split())


def _deleted(bubble: Bubble) -> str:
    words = "You deleted this message" if bubble.mine else "This message was deleted"
    return f"<div class='words'>{icons.BANNED}<i>{words}</i></div>"


def _inside(bubble: Bubble, quoted: Bubble | None, whom: str) -> str:
    parts = [
        f"<div class='tag'>{icons.REPLY}<i>Forwarded</i></div>" if bubble.forwarded else "",
        _ad(bubble.ad) if bubble.ad else "",
        _asked(bubble.about) if bubble.about else "",
        _quote(quoted, whom) if quoted is not None else "",
        _medium(bubble),
        _spot(bubble.spot) if bubble.spot else "",
        "".join(_card(card.name, card.phone) for card in bubble.cards),
        _products(bubble),
        f"<div class='header'>{escaped(bubble.header)}</div>" if bubble.header else "",
        _order(bubble.lines) if bubble.kind == "order" else "",
        _form(bubble) if bubble.form is not None else "",
        _preview(bubble),
        _words(bubble),
        f"<div class='footer'>{escaped(bubble.footer)}</div>" if bubble.footer else "",
    ]
    return "".join(parts)


def _words(bubble: Bubble) -> str:
    text = bubble.text
    if not text or bubble.kind in ("contacts", "location") or (bubble.kind == "form" and bubble.form):
        return ""
    return f"<div class='words'>{formatted(text)}</div>"


def _meta(bubble: Bubble) -> str:
    edited = "<span>Edited</span>" if bubble.edited and not bubble.deleted else ""
    time = f"<span>{clock(bubble.at)}</span>"
    if not bubble.mine:
        sent = f"template {bubble.template}, " if bubble.template else ""
        title = escaped(f"{sent}reported to the store as {bubble.status}")
        return f"<div class='sim-meta' title='{title}'>{edited}{time}</div>"
    if bubble.status == "failed":
        tick = f"<span class='bad' role='img' aria-label='failed'>{icons.CLOCK}</span>"
        return f"<div class='sim-meta'>{edited}{time}{tick}</div>"
    ticks, meaning = _TICKS[bubble.status]
    return (
        f"<div class='sim-meta' title='{meaning}'>{edited}{time}"
        f"<span class='{bubble.status}' role='img' aria-label='{bubble.status}'>{ticks}</span></div>"
    )


def _failure(bubble: Bubble) -> str:
    if bubble.status != "failed":
        return ""
    code = f" ({bubble.error_code})" if bubble.error_code is not None else ""
    said = "Not sent" if bubble.mine else "Not delivered"
    return (
        f"<button type='button' class='sim-failed' data-do='why' data-wamid='{escaped(bubble.wamid)}'>"
        f"{icons.ALERT}<span>{said}{code}. Tap to see why.</span></button>"
    )


def _quote(quoted: Bubble, whom: str) -> str:
    writer = "You" if quoted.mine else whom or "The store"
    picture = quoted.image or (quoted.medium.url if quoted.medium and quoted.medium.kind == "image" else None)
    image = f"<img src='{escaped(own(picture))}' alt=''>" if picture and not quoted.deleted else ""
    return (
        f"<button type='button' class='sim-quote{' own' if quoted.mine else ''}' data-jump='{escaped(quoted.wamid)}' "
        f"aria-label='Go to the quoted message'><span><b>{escaped(writer)}</b>"
        f"<em>{escaped(snippet(quoted)[:160])}</em></span>{image}</button>"
    )


def _reactions(bubble: Bubble) -> str:
    if not bubble.reactions or bubble.deleted:
        return ""
    emoji = list(dict.fromkeys(reaction.emoji for reaction in bubble.reactions))
    count = f"<b>{len(bubble.reactions)}</b>" if len(bubble.reactions) > 1 else ""
    whose = ", ".join(f"{one.emoji} by {'you' if one.mine else 'the store'}" for one in bubble.reactions)
    return (
        f"<button type='button' class='sim-reactions' data-do='menu' data-wamid='{escaped(bubble.wamid)}' "
        f"aria-label='Reactions: {escaped(whose)}'>{escaped(''.join(emoji))}{count}</button>"
    )


# --- media -----------------------------------------------------------------------------------------------------------


def _medium(bubble: Bubble) -> str:
    medium = bubble.medium
    if medium is None or medium.kind == "image":
        picture = bubble.image or (medium.url if medium else None)
        return "" if picture is None else photo(picture, plain(bubble.text) or "Photo")
    header = photo(bubble.image, "Photo") if bubble.image and medium.kind not in ("sticker", "video") else ""
    if medium.kind == "sticker":
        return f"<img class='sticker' src='{escaped(own(medium.url))}' alt='Sticker'>"
    if medium.kind == "audio":
        return header + _voice(bubble, medium)
    if medium.kind == "video":
        return f"<video src='{escaped(own(medium.url))}' controls preload='metadata' playsinline></video>"
    return header + _document(medium)


def photo(url: str, says: str) -> str:
    return (
        f"<button type='button' class='photo' data-enlarge='{escaped(own(url))}' aria-label='Enlarge: {escaped(says[:80])}'>"
        f"<img src='{escaped(own(url))}' alt='' loading='lazy'></button>"
    )


def _voice(bubble: Bubble, medium: Medium) -> str:
    bars = "".join(f"<i style='height:{height}%'></i>" for height in _wave(bubble.wamid))
    what = "voice note" if medium.voice else "sound"
    mark = icons.MIC if medium.voice else icons.FILE
    return (
        f"<div class='voice' data-sound='{escaped(own(medium.url))}'>"
        f"<button type='button' class='play' data-play='{escaped(own(medium.url))}' aria-label='Play the {what}' "
        f"aria-pressed='false'>{icons.PLAY}{icons.PAUSE}</button>"
        f"<div class='track'><div class='wave' data-seek aria-hidden='true'>{bars}</div>"
        f"<div class='time'>{duration(0)}</div></div><span class='kind'>{mark}</span></div>"
    )


def _wave(seed: str) -> list[int]:
    """Heights in percent, until the script has seen the sound itself."""
    digest = hashlib.sha256(seed.encode()).digest() * 2
    return [18 + byte % 62 for byte in digest[:_BARS]]


def _document(medium: Medium) -> str:
    name = medium.filename or "Document"
    kind = _extension(medium)
    below = " · ".join(part for part in (kind, size(medium.bytes) if medium.bytes else "") if part)
    color = _FILE_COLORS.get(kind, "#54656f")
    return (
        f"<a class='document' href='{escaped(_safe_href(own(medium.url)))}' target='_blank' rel='noopener noreferrer' "
        f"download='{escaped(name)}'><span class='type' style='background:{color}'>{escaped(kind[:4])}</span>"
        f"<span class='name'><b>{escaped(name)}</b><small>{escaped(below)}</small></span></a>"
    )


def _extension(medium: Medium) -> str:
    _, dot, end = medium.filename.rpartition(".")
    if dot and end.isalnum() and len(end) <= 5:
        return end.upper()
    return medium.mime_type.partition(";")[0].rpartition("/")[2].upper()[:8] or "FILE"


def _safe_href(url: str) -> str:
    """Only what a browser fetches: never a script."""
    return url if urlsplit(url).scheme in ("", "http", "https", "tel") else "#"


# --- places, people, products ----------------------------------------------------------------------------------------


def _spot(spot: Spot) -> str:
    at = f"{spot.latitude:.6f},{spot.longitude:.6f}"
    url = f"https://www.openstreetmap.org/?mlat={spot.latitude:.6f}&mlon={spot.longitude:.6f}#map=17/{at.replace(',', '/')}"
    name = spot.name or "Location"
    below = spot.address or at.replace(",", ", ")
    return (
        f"<a class='place' href='{escaped(url)}' target='_blank' rel='noopener noreferrer' "
        f"aria-label='Open {escaped(name)} on a map'><span class='map' aria-hidden='true'>{_map(at)}</span>"
        f"<b>{escaped(name)}</b><small>{escaped(below)}</small></a>"
    )


def _map(seed: str) -> str:
    """Not a map of anywhere: streets that differ from place to place, with a pin."""
    numbers = hashlib.sha256(seed.encode()).digest()
    tilt = numbers[0] % 30 - 15
    streets = "".join(
        f"<path d='M-60 {20 + step * 34 + numbers[step] % 14}H320' stroke-width='{5 + numbers[step + 8] % 5}'/>"
        f"<path d='M{10 + step * 52 + numbers[step + 4] % 22} -80V220' stroke-width='{4 + numbers[step + 12] % 4}'/>"
        for step in range(4)
    )
    return (
        "<svg viewBox='0 0 260 130' preserveAspectRatio='xMidYMid slice'><rect width='260' height='130' fill='#e8eadf'/>"
        f"<g transform='rotate({tilt} 130 65)'><rect x='{numbers[20] % 60}' y='70' width='84' height='50' rx='6' fill='#c5e3b5'/>"
        f"<g stroke='#fff' fill='none'>{streets}</g><path d='M-60 108C60 80 180 150 330 96' stroke='#f4cf6f' stroke-width='9' "
        "fill='none'/></g><path d='M130 78c13-15 20-24 20-33a20 20 0 00-40 0c0 9 7 18 20 33z' fill='#e5393f'/>"
        "<circle cx='130' cy='45' r='7.5' fill='#fff'/></svg>"
    )


def _card(name: str, phone: str) -> str:
    digits = re.sub(r"\D", "", phone)
    return (
        f"<div class='person'><span class='sim-face'>{escaped(initials(name))}</span>"
        f"<span class='name'><b>{escaped(name)}</b><small>{escaped(shown_phone(digits) if digits else 'Contact')}</small>"
        "</span></div>"
    )


def _products(bubble: Bubble) -> str:
    if not bubble.products:
        return ""
    if len(bubble.products) == 1:
        one = bubble.products[0]
        image = (
            f"<img src='{escaped(own(one.image))}' alt=''>" if one.image else f"<span class='none'>{icons.BAG}</span>"
        )
        return (
            f"<button type='button' class='product' data-do='products' data-wamid='{escaped(bubble.wamid)}'>"
            f"{image}<b>{escaped(one.title)}</b><small>{escaped(price(one.price, one.currency))}"
            f"{'' if one.available else ' · Sold out'}</small></button>"
        )
    thumbs = "".join(
        f"<img src='{escaped(own(one.image))}' alt=''>" if one.image else f"<span class='none'>{icons.BAG}</span>"
        for one in bubble.products[:3]
    )
    return (
        f"<button type='button' class='shelf' data-do='products' data-wamid='{escaped(bubble.wamid)}'>"
        f"<span class='thumbs'>{thumbs}</span><small>{icons.BAG}{len(bubble.products)} items</small></button>"
    )


def _order(lines: tuple[OrderLine, ...]) -> str:
    count = sum(line.quantity for line in lines)
    priced = [(line.price or 0) * line.quantity for line in lines if line.price is not None]
    total = price(sum(priced), lines[0].currency) if priced else ""
    rows = "".join(
        f"<li><span>{line.quantity} × {escaped(line.title or line.retailer_id)}</span>"
        f"<span>{escaped(price(None if line.price is None else line.price * line.quantity, line.currency))}</span></li>"
        for line in lines
    )
    below = f"<small>{escaped(total)} (estimated)</small>" if total else ""
    return (
        f"<div class='order'><span class='cart'>{icons.CART}</span><span class='name'>"
        f"<b>{count} {'item' if count == 1 else 'items'}</b>{below}</span></div><ul class='lines'>{rows}</ul>"
    )


def _form(bubble: Bubble) -> str:
    rows = "".join(
        f"<li><span>{escaped(str(name))}</span><span>{escaped(str(value))}</span></li>"
        for name, value in (bubble.form or {}).items()
    )
    return f"<div class='header'>{escaped(bubble.text or 'Form')}</div><ul class='lines'>{rows}</ul>"


def _ad(ad: Ad) -> str:
    kind = "Advertisement" if ad.source_type == "ad" else "Post"
    words = " ".join(part for part in (ad.body, urlsplit(ad.url).netloc) if part)
    return (
        f"<div class='advert'><small>{kind}</small><b>{escaped(ad.headline or 'From an ad')}</b>"
        f"<span>{escaped(words)}</span></div>"
    )


def _asked(product: Product) -> str:
    image = f"<img src='{escaped(own(product.image))}' alt=''>" if product.image else ""
    return (
        f"<div class='asked'>{image}<span><b>{escaped(product.title)}</b>"
        f"<small>{escaped(price(product.price, product.currency))}</small></span></div>"
    )


def _preview(bubble: Bubble) -> str:
    """Where the first link leads, told from the link alone: nothing is fetched."""
    link = first_link(bubble.text) if bubble.kind == "text" else None
    if link is None:
        return ""
    parts = urlsplit(link)
    path = parts.path if len(parts.path) > 1 else ""
    return (
        f"<a class='preview' href='{escaped(link)}' target='_blank' rel='noopener noreferrer' tabindex='-1'>"
        f"<span class='globe'>{escaped((parts.hostname or '?')[:1].upper())}</span><span class='name'>"
        f"<b>{escaped(parts.hostname or link)}</b><small>{escaped(path[:60])}</small></span></a>"
    )


# --- buttons ---------------------------------------------------------------------------------------------------------


def _buttons(bubble: Bubble) -> str:
    if bubble.deleted:
        return ""
    made = [*(_link(link) for link in bubble.links), *_options(bubble), *_copies(bubble)]
    return f"<div class='sim-options'>{''.join(made)}</div>" if made else ""


def _options(bubble: Bubble) -> list[str]:
    wamid = escaped(bubble.wamid)
    opener = {
        "list": (icons.LINES, "list", "Options"),
        "products": (icons.BAG, "products", "View items" if len(bubble.products) > 1 else "View"),
        "place_request": (icons.PIN, "place", "Send location"),
        "flow": (icons.FILE, "flow", "Open"),
    }.get(bubble.kind)
    if opener is not None:
        icon, do, name = opener
        return [_option(f"data-do='{do}' data-wamid='{wamid}'", icon, bubble.button or name)]
    return [
        _option(f"data-do='tap' data-wamid='{wamid}' data-option='{escaped(one.id)}'", icons.REPLY, one.title)
        for one in bubble.options
    ]


def _option(does: str, icon: str, title: str) -> str:
    return f"<button type='button' class='sim-option' {does}>{icon}<span>{escaped(title)}</span></button>"


def _link(link: LinkButton) -> str:
    if link.copy or not link.url:
        return _option(f"data-copy='{escaped(link.copy)}'", icons.COPY, link.title)
    return (
        f"<a class='sim-option' href='{escaped(_safe_href(link.url))}' target='_blank' rel='noopener noreferrer'>"
        f"{icons.OPEN}<span>{escaped(link.title)}</span></a>"
    )


def _copies(bubble: Bubble) -> list[str]:
    if bubble.kind in ("contacts", "location", "order"):
        return []
    return [
        _option(f"data-copy='{escaped(code)}'", icons.COPY, "Copy Pix code" if is_pix(code) else "Copy code")
        for code in codes(bubble.text)
    ]


def _in_brief(bubble: Bubble) -> tuple[str, str]:
    """The mark of a kind in a list of chats, and its name for when there are no words."""
    if bubble.medium is not None and bubble.kind in ("image", "audio", "video", "document", "sticker"):
        if bubble.medium.voice:
            return "🎤", "Voice note"
        if bubble.kind == "document":
            return "📄", bubble.medium.filename or "Document"
    return {
        "image": ("📷", "Photo"), "audio": ("🎵", "Sound"), "video": ("🎥", "Video"), "document": ("📄", "Document"),
        "sticker": ("💟", "Sticker"), "location": ("📍", "Location"), "contacts": ("👤", "Contact"),
        "products": ("🛍️", "Products"), "order": ("🛒", "Cart"), "form": ("📝", "Form"), "flow": ("📝", "Form"),
    }.get(bubble.kind, ("", ""))  # fmt: skip
