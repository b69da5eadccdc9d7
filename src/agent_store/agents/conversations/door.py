"""The one door out: what a speaker says, as messages that WhatsApp takes.

Limits (WhatsApp Cloud API, "Messages"): text body 4,096 characters; reply buttons: body 1,024, at most 3, titles 20; lists: body
4,096, opener 20, at most 10 rows, row titles 24, descriptions 72; ids and titles unique within a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent_store.agents.conversations.texts import say
from agent_store.contracts.chat import (
    ButtonsBlock,
    ImageBlock,
    LinkBlock,
    ListBlock,
    PlaceRequestBlock,
    ProductCard,
    ProductsBlock,
    ReplyBlock,
    TextBlock,
)
from agent_store.contracts.common import Language
from agent_store.contracts.whatsapp import (
    OutButtons,
    OutChoice,
    OutContent,
    OutImage,
    OutLink,
    OutList,
    OutPlaceRequest,
    OutProducts,
    OutReaction,
    OutSection,
    OutTemplate,
    OutText,
)

TEXT_LIMIT = 4096
BUTTONS_BODY = 1024
BUTTON_TITLE = 20
CAPTION = 1024
ROW_TITLE = 24
ROW_DESCRIPTION = 72
CARDS = 3
"""Up to so many products come as cards with a picture, more of them as a list."""


def split_text(text: str, limit: int = TEXT_LIMIT) -> list[str]:
    """Cut a text into parts of at most `limit` characters, at a paragraph, else a line, a sentence, a word, a letter.

    Nothing but white space at the cuts is lost; blank text gives no part.
    """
    parts: list[str] = []
    rest = text.strip()
    while len(rest) > limit:
        cut = _cut(rest, limit)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        parts.append(rest)
    return parts


def _cut(text: str, limit: int) -> int:
    window = text[: limit + 1]
    for mark, keep in (("\n\n", 0), ("\n", 0), (". ", 1), ("! ", 1), ("? ", 1), ("… ", 1), (" ", 0)):
        found = window.rfind(mark) + keep
        # A cut in the first third would send a scrap ahead; the next finer mark is better then.
        if found > limit // 3 and found <= limit:
            return found
    return limit


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters on one line, cut after a word with an ellipsis."""
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return flat
    head = flat[: limit - 1]
    if flat[limit - 1] != " " and " " in head[limit // 2 :]:
        head = head[: head.rindex(" ")]
    return head.rstrip(" ,.;:-–—(/") + "…"


def _distinct(choices: Iterable[tuple[str, str, str | None]], title_limit: int) -> tuple[OutChoice, ...]:
    """Choices as WhatsApp takes them: no id twice, no title twice or empty, none too long."""
    found: list[OutChoice] = []
    ids: set[str] = set()
    titles: set[str] = set()
    for id, title, description in choices:
        if not id or id in ids:
            continue
        short = shorten(title, title_limit) or "•"
        number = 2
        while short.casefold() in titles:
            tail = f" {number}"
            short = shorten(title, title_limit - len(tail)) + tail
            number += 1
        ids.add(id)
        titles.add(short.casefold())
        text = shorten(description, ROW_DESCRIPTION) if description else None
        found.append(OutChoice(id=id[:256], title=short, description=text or None))
    return tuple(found)


def _body(text: str, limit: int, default: str) -> tuple[list[OutContent], str]:
    """Messages to go ahead of the interactive one, and its body."""
    parts = split_text(text, limit) or [default]
    if len(parts) == 1:
        return [], parts[0]
    whole = split_text(text)
    last = split_text(whole[-1], limit)
    ahead: list[OutContent] = [OutText(text=part) for part in (*whole[:-1], *last[:-1])]
    return ahead, last[-1]


def _price(card: ProductCard, language: Language, *, bold: bool) -> str:
    price = f"*{card.price}*" if bold else str(card.price)
    if card.list_price is None or card.list_price.minor <= card.price.minor:
        return price
    before = say("was", language, price=card.list_price)
    return f"{price} (~{before}~)" if bold else f"{price} ({before})"


def _card(card: ProductCard, language: Language) -> OutContent:
    lines = [f"*{card.title}*", _price(card, language, bold=True)]
    if card.note:
        lines.append(card.note)
    text = "\n".join(lines)
    body = text if len(text) <= BUTTONS_BODY else text[: BUTTONS_BODY - 1] + "…"
    choice = f"add:{card.sku}" if card.sku else f"product:{card.product_id}"
    return OutButtons(
        text=body,
        choices=_distinct([(choice, say("want_it", language), None)], BUTTON_TITLE),
        image=card.image or None,
    )


def _products(block: ProductsBlock, language: Language) -> list[OutContent]:
    if len(block.cards) <= CARDS:
        ahead: list[OutContent] = [OutText(text=part) for part in split_text(block.text)]
        return [*ahead, *(_card(card, language) for card in block.cards)]
    rows = [
        (
            f"product:{card.product_id}" if card.sku is None else f"product:{card.sku}",
            card.title,
            " · ".join(part for part in (_price(card, language, bold=False), card.note, _rest_of(card.title)) if part),
        )
        for card in block.cards
    ]
    # The message itself shows what there is and for how much: a list opens only when it is tapped.
    shown = "\n".join(
        f"{number}. *{card.title}*: {_price(card, language, bold=True)}{f' · {card.note}' if card.note else ''}"
        for number, card in enumerate(block.cards, 1)
    )
    ahead, body = _body(f"{block.text or say('products', language)}\n\n{shown}", TEXT_LIMIT, shown)
    return [
        *ahead,
        OutList(text=body, button=shorten(say("see_products", language), 20), choices=_distinct(rows, ROW_TITLE)),
    ]


def _rest_of(title: str) -> str:
    """A title that a row had to cut is told whole in the description."""
    return title if len(title) > ROW_TITLE else ""


def _of_catalog(block: ProductsBlock, language: Language, catalog_id: str, skus: tuple[str, ...]) -> list[OutContent]:
    """Products as the channel's own catalogue shows them: with a picture, a price, and a button that puts them in a cart."""
    header = say("products", language)
    ahead, body = _body(block.text, BUTTONS_BODY, header)
    section = OutSection(retailer_ids=tuple(dict.fromkeys(skus)))
    if len(section.retailer_ids) == 1:
        return [*ahead, OutProducts(catalog_id=catalog_id, text=body, sections=(section,))]
    return [*ahead, OutProducts(catalog_id=catalog_id, header=shorten(header, 60), text=body, sections=(section,))]


def render(blocks: Sequence[ReplyBlock], language: Language, *, catalog_id: str = "") -> list[OutContent]:
    """WhatsApp messages for the blocks of a reply, in order. Blank texts and blocks without a choice say nothing.

    `catalog_id`: products whose variant is known are shown out of this catalogue.
    """
    out: list[OutContent] = []
    for block in blocks:
        match block:
            case TextBlock():
                out.extend(OutText(text=part) for part in split_text(block.text))
            case ProductsBlock():
                skus = tuple(card.sku for card in block.cards if card.sku is not None)
                if catalog_id and len(skus) == len(block.cards):
                    out.extend(_of_catalog(block, language, catalog_id, skus))
                else:
                    out.extend(_products(block, language))
            case ButtonsBlock():
                choices = _distinct(((one.id, one.title, None) for one in block.choices), BUTTON_TITLE)
                out.extend(_interactive(block.text, choices, None, language))
            case ListBlock():
                rows = _distinct(((one.id, one.title, one.description) for one in block.choices), ROW_TITLE)
                out.extend(_interactive(block.text, rows, block.button, language))
            case LinkBlock():
                ahead, body = _body(block.text, BUTTONS_BODY, block.url)
                title = shorten(block.button, BUTTON_TITLE) or say("open_page", language)
                out.extend([*ahead, OutLink(text=body, button=title, url=block.url)])
            case ImageBlock():
                first, *rest = split_text(block.text, CAPTION) or [""]
                out.append(OutImage(link=block.link, caption=first))
                out.extend(OutText(text=part) for part in rest)
            case PlaceRequestBlock():
                ahead, body = _body(block.text, BUTTONS_BODY, say("where_are_you", language))
                out.extend([*ahead, OutPlaceRequest(text=body)])
    return out


def _interactive(
    text: str, choices: tuple[OutChoice, ...], opener: str | None, language: Language
) -> Iterable[OutContent]:
    if not choices:
        return [OutText(text=part) for part in split_text(text)]
    limit = BUTTONS_BODY if opener is None else TEXT_LIMIT
    ahead, body = _body(text, limit, say("choose", language))
    if opener is None:
        return [*ahead, OutButtons(text=body, choices=choices)]
    return [
        *ahead,
        OutList(text=body, button=shorten(opener, 20) or shorten(say("choose", language), 20), choices=choices),
    ]


def plain(content: OutContent) -> str:
    """What a reader of the transcript (or a model, as history) sees of a sent message."""
    match content:
        case OutText():
            return content.text
        case OutImage():
            return content.caption
        case OutButtons():
            return f"{content.text}\n[{' | '.join(choice.title for choice in content.choices)}]"
        case OutList():
            rows = "\n".join(
                f"• {row.title}{' – ' + row.description if row.description else ''}" for row in content.choices
            )
            return f"{content.text}\n{rows}"
        case OutProducts():
            listed = sum(len(section.retailer_ids) for section in content.sections)
            return "\n".join(part for part in (content.header, content.text, f"[{listed} × 🛍️]") if part)
        case OutLink():
            return f"{content.text}\n[{content.button}] {content.url}"
        case OutPlaceRequest() | OutTemplate():
            return content.text
        case OutReaction():
            return content.emoji
