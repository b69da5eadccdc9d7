"""From a brain's blocks to what a customer sees: cards from tool results, titles within the channel's limits; and the
plain answers that need no brain. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from agent_store.agents.seller.model import Finding, Ledger, SeenProduct, SeenVariant, addresses
from agent_store.agents.seller.policy import CONFIRM_ORDER, confirms
from agent_store.contracts.chat import (
    ButtonsBlock,
    Evidence,
    ListBlock,
    PlaceRequestBlock,
    ProductCard,
    ProductsBlock,
    ReplyBlock,
    ReplyChoice,
    TextBlock,
)
from agent_store.contracts.common import Language
from agent_store.contracts.people import Reason
from agent_store.kernel.brain import Block, Choice, Line
from agent_store.kernel.money import Money

LONGEST_TEXT = 3_800
"""Characters; a WhatsApp text body holds 4,096."""
_BUTTONS, _ROWS, _CARDS = 3, 10, 10
_BUTTON_TITLE, _ROW_TITLE, _DESCRIPTION = 20, 24, 72

_SAYINGS: dict[str, dict[Language, str]] = {
    "choose": {"pt": "Escolha uma opção:", "en": "Pick an option:", "es": "Elige una opción:"},
    "open": {"pt": "Ver opções", "en": "See options", "es": "Ver opciones"},
    "last": {"pt": "Última unidade", "en": "Last one", "es": "Última unidad"},
    "few": {"pt": "Últimas {n} unidades", "en": "Only {n} left", "es": "Últimas {n} unidades"},
    "gone": {"pt": "Esgotado no momento", "en": "Sold out for now", "es": "Agotado por ahora"},
    "from": {"pt": "Preço a partir de", "en": "Prices start here", "es": "Precio desde"},
    "found": {
        "pt": "Separei o que encontrei para você. Quer ver algum de perto?",
        "en": "Here is what I found for you. Which one would you like to see closer?",
        "es": "Esto es lo que encontré para ti. ¿Quieres ver alguno de cerca?",
    },
    "cart": {"pt": "Seu carrinho agora:", "en": "Your cart now:", "es": "Tu carrito ahora:"},
    "empty": {"pt": "Seu carrinho está vazio.", "en": "Your cart is empty.", "es": "Tu carrito está vacío."},
    "subtotal": {"pt": "Subtotal: {money}", "en": "Subtotal: {money}", "es": "Subtotal: {money}"},
    "total": {"pt": "Total: {money}", "en": "Total: {money}", "es": "Total: {money}"},
    "order": {"pt": "Pedido {number}", "en": "Order {number}", "es": "Pedido {number}"},
    "payment": {
        "pt": "Pagamento do pedido {number}",
        "en": "Payment of order {number}",
        "es": "Pago del pedido {number}",
    },
    "next": {"pt": "Como quer continuar?", "en": "How would you like to go on?", "es": "¿Cómo quieres seguir?"},
    "sorry": {
        "pt": "Desculpe, não consegui responder a isso agora. Pode me dizer de outro jeito o que você procura?",
        "en": "Sorry, I could not answer that just now. Could you tell me in other words what you are looking for?",
        "es": "Perdón, no pude responder eso ahora. ¿Me dices con otras palabras qué buscas?",
    },
}


def say(key: str, language: Language, **values: object) -> str:
    return _SAYINGS[key][language].format(**values)


@dataclass(frozen=True, slots=True)
class Rendered:
    """`unknown`: ids of products that no tool has returned; they are left out. `confirms` is true when the reply asks
    for the order's confirmation."""

    blocks: tuple[ReplyBlock, ...]
    texts: tuple[tuple[str, bool], ...]
    """What the brain worded, each with whether it is a choice to tap: the truth rule reads these."""
    unknown: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    confirms: bool = False


def render(blocks: Sequence[Block], ledger: Ledger, *, language: Language, low_stock: int) -> Rendered:
    done: list[ReplyBlock] = []
    texts: list[tuple[str, bool]] = []
    unknown: list[str] = []
    evidence: list[Evidence] = []
    asks = False
    for block in blocks:
        text = tidy(block.text)
        if text:
            texts.append((text, False))
        if block.kind == "text":
            done += [TextBlock(text=part) for part in _codes_alone(text, ledger)]
        elif block.kind == "place_request":
            if text:
                done.append(PlaceRequestBlock(text=text))
        elif block.kind == "products":
            cards: list[ProductCard] = []
            for item in dict.fromkeys(block.items):
                found = ledger.product(item)
                if found is None:
                    unknown.append(item)
                elif len(cards) < _CARDS:
                    card = card_of(*found[:2], finding=found[2], ledger=ledger, language=language, low_stock=low_stock)
                    cards.append(card)
                    evidence.append(Evidence(kind="price", stated=str(card.price), source=found[2].source))
            if cards:
                done.append(ProductsBlock(text=text, cards=tuple(cards)))
            elif text and not block.items:
                done.append(TextBlock(text=text))
        else:
            # A title may be clipped for the channel; what is checked is what the brain meant to say.
            texts += [(part, True) for choice in block.choices for part in (choice.title, choice.description) if part]
            made = _choices(block, text, language)
            asks = asks or any(choice.id.split(":", 1)[0] == CONFIRM_ORDER for choice in getattr(made, "choices", ()))
            if made is not None:
                done.append(made)
    return Rendered(tuple(done), tuple(texts), tuple(unknown), tuple(evidence), asks)


def _codes_alone(text: str, ledger: Ledger) -> list[str]:
    """A Pix code is a message of its own: a customer's tap copies all of one."""
    parts = [text]
    for known in ledger.facts():
        if known.fact.kind == "pix":
            code = str(known.fact.value)
            parts = [piece for part in parts for piece in _around(part, code)]
    return [part for part in (one.strip() for one in parts) if part]


def _around(text: str, code: str) -> list[str]:
    before, found, after = text.partition(code)
    return [before, found, after.replace(code, "")] if found else [text]


def card_of(
    product: SeenProduct,
    variant: SeenVariant | None,
    *,
    finding: Finding,
    ledger: Ledger,
    language: Language,
    low_stock: int,
) -> ProductCard:
    """Every field from the tool's result. For a product, the cheapest variant that is there gives the price."""
    title, note = product.name, ""
    there = [one for one in product.variants if one.available > 0] or list(product.variants)
    shown = variant or min(there, key=lambda one: one.price.minor)
    if variant is not None or len(product.variants) == 1:
        title = ", ".join(filter(None, (product.name, shown.color, shown.size))) if variant else product.name
        units = shown.available
    else:
        units = sum(one.available for one in product.variants)
        if len({one.price.minor for one in there}) > 1:
            note = say("from", language)
    if finding.stock_until > ledger.now:
        if units <= 0:
            note = say("gone", language)
        elif units <= low_stock:
            note = say("last", language) if units == 1 else say("few", language, n=units)
    single = variant is not None or len(product.variants) == 1
    return ProductCard(
        product_id=product.id,
        sku=shown.sku if single else None,
        title=title,
        price=shown.price,
        list_price=shown.list_price,
        image=product.image,
        note=note,
    )


def _choices(block: Block, text: str, language: Language) -> ReplyBlock | None:
    most = _BUTTON_TITLE if block.kind == "buttons" and len(block.choices) <= _BUTTONS else _ROW_TITLE
    chosen: list[ReplyChoice] = []
    seen: set[str] = set()
    for choice in block.choices:
        title = clip(tidy(choice.title), most)
        key = _choice_id(choice, language)
        # WhatsApp refuses two choices of one id or one title.
        if not title or key in seen or title.casefold() in seen:
            continue
        seen |= {key, title.casefold()}
        description = clip(choice.description, _DESCRIPTION) if choice.description else None
        chosen.append(ReplyChoice(id=key, title=title, description=description))
    if not chosen:
        return TextBlock(text=text) if text else None
    words = text or say("choose", language)
    if block.kind == "buttons" and len(chosen) <= _BUTTONS:
        return ButtonsBlock(text=words, choices=tuple(chosen))
    button = clip(block.button or say("open", language), _BUTTON_TITLE)
    return ListBlock(text=words, button=button, choices=tuple(chosen[:_ROWS]))


def _choice_id(choice: Choice, language: Language) -> str:
    """The brain's id; but a button that confirms an order must read like a yes."""
    key = choice.id[:200] or choice.title[:200]
    if key.split(":", 1)[0] == CONFIRM_ORDER and not confirms((Line(role="customer", text=choice.title),), language):
        return f"say:{choice.title}"[:200]
    return key


def clip(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


_BOLD = re.compile(r"\*\*(.+?)\*\*|__(.+?)__")
_HEADING = re.compile(r"^#{1,6}\s+", re.MULTILINE)
_NAMED_LINK = re.compile(r"!?\[([^\]]*)\]\((\S+?)\)")
_GAPS = re.compile(r"\n{3,}")


def tidy(text: str) -> str:
    """Markdown as WhatsApp writes it, no headings, at most one empty line, within the longest text. Links stay as they
    are."""
    links: list[str] = []
    parts: list[str] = []
    at = 0
    text = _KEPT.sub("", text)
    for start, end in islice(addresses(text), _MOST_KEPT):
        parts += [text[at:start], chr(_FIRST_KEPT + len(links))]
        links.append(text[start:end])
        at = end
    text = _plain_marks("".join([*parts, text[at:]]))
    text = _KEPT.sub(lambda match: links[ord(match[0]) - _FIRST_KEPT], text)
    return clip(text, LONGEST_TEXT)


_FIRST_KEPT, _MOST_KEPT = 0xE000, 6_000
_KEPT = re.compile("[\ue000-\uf8ff]")
"""Characters of private use: a link is put aside as one of them while the marks around it are rewritten."""


def _plain_marks(text: str) -> str:
    text = _BOLD.sub(lambda match: f"*{match[1] or match[2]}*", _HEADING.sub("", text))
    text = _NAMED_LINK.sub(lambda match: f"{match[1]}: {match[2]}" if match[1] else match[2], text)
    return _GAPS.sub("\n\n", text).strip()


# --- without a brain -----------------------------------------------------------------------------------------------


def plain(ledger: Ledger, *, language: Language, low_stock: int) -> Rendered:
    """What the turn's own tool calls gave, in plain words: the answer when no brain can give one."""
    lines: list[str] = []
    cards: list[ProductCard] = []
    codes: list[TextBlock] = []
    evidence: list[Evidence] = []

    def state(line: str, finding: Finding, money: int | None = None) -> None:
        lines.append(line)
        if money is not None:
            evidence.append(Evidence(kind="price", stated=str(Money(minor=money)), source=finding.source))

    fresh = {finding.tool.split(".", 1)[0]: finding for finding in ledger.fresh}
    if (finding := fresh.get("orders")) is not None:
        for fact in finding.facts:
            if fact.kind == "order":
                lines.append(say("order", language, number=fact.value))
                evidence.append(Evidence(kind="order", stated=str(fact.value), source=finding.source))
            elif fact.ref.startswith("order:") and fact.ref.endswith(":total"):
                state(say("total", language, money=Money(minor=int(fact.value))), finding, int(fact.value))
    if "orders" not in fresh and (finding := fresh.get("payments")) is not None:
        for fact in finding.facts:
            if fact.kind == "order":
                lines.append(say("payment", language, number=fact.value))
                evidence.append(Evidence(kind="order", stated=str(fact.value), source=finding.source))
            elif fact.kind == "price":
                state(say("total", language, money=Money(minor=int(fact.value))), finding, int(fact.value))
            elif fact.kind == "link":
                lines.append(str(fact.value))
            elif fact.kind == "pix":
                codes.append(TextBlock(text=str(fact.value)))
    if "orders" not in fresh and (finding := fresh.get("cart")) is not None:
        subtotal = next((int(fact.value) for fact in finding.facts if fact.ref == "cart:subtotal"), None)
        if subtotal == 0:
            lines.append(say("empty", language))
        elif subtotal is not None:
            lines.append(say("cart", language))
            state(say("subtotal", language, money=Money(minor=subtotal)), finding, subtotal)
    for finding in ledger.fresh:
        for product in finding.products:
            if len(cards) < _CARDS and all(card.product_id != product.id for card in cards):
                card = card_of(product, None, finding=finding, ledger=ledger, language=language, low_stock=low_stock)
                cards.append(card)
                evidence.append(Evidence(kind="price", stated=str(card.price), source=finding.source))
    blocks: list[ReplyBlock] = []
    if lines:
        lines.append(say("next", language))
        blocks += [TextBlock(text="\n".join(lines)), *codes]
    elif cards:
        blocks.append(ProductsBlock(text=say("found", language), cards=tuple(cards)))
    else:
        blocks.append(TextBlock(text=say("sorry", language)))
    return Rendered(tuple(blocks), (), evidence=tuple(evidence))


_WHY: dict[Reason, str] = {
    "asked": "The customer asked for a person.",
    "sentiment": "The customer is upset.",
    "not_understood": "The seller did not understand the customer twice in a row.",
    "complex": "The seller needs help with this one.",
    "value": "It is about an amount or terms that the seller cannot decide.",
    "policy": "It is about a rule that the seller must not decide.",
    "failed": "The seller could not answer twice in a row.",
}
_WHO = {"customer": "Customer", "seller": "Seller", "person": "Person", "notice": "Store"}


def _told(line: Line) -> str:
    """A line as the person who takes over reads it: words, and what came along with them."""
    beside = [line.text, line.beside]
    beside += [f"{item.quantity} x {item.sku}" for item in line.items]
    if line.about:
        beside.append(f"[about {line.about}]")
    if line.seen:
        beside.append(f"[picture: {line.seen}]")
    if line.place is not None:
        where = ", ".join(part for part in (line.place.name, line.place.address) if part)
        beside.append(f"[place: {where or f'{line.place.latitude:.5f}, {line.place.longitude:.5f}'}]")
    return " ".join(part for part in beside if part)


def summary(reason: Reason, words: str, history: Sequence[Line], lines: Sequence[Line], ledger: Ledger) -> str:
    """For the person who takes over: why, what was said last, how the cart stands. At most some 1,500 characters."""
    parts = [_WHY[reason]]
    note = words.split(":", 1)[-1].strip()
    if note and note != reason:
        parts.append(clip(note, 200))
    parts += [
        f"{_WHO[line.role]}: {clip(' '.join(told.split()), 160)}"
        for line in [*history[-6:], *lines]
        if (told := _told(line))
    ]
    for known in ledger.facts():
        if known.fact.ref == "cart:subtotal":
            parts.append(f"Cart: {Money(minor=int(known.fact.value))}")
    return clip("\n".join(parts), 1_500)
