"""What came along with words: a cart of the channel's catalogue, a product asked about, a quoted message, a picture.

None of it is the customer's own wish: a picture or a quoted message can point at a product and be searched, and nothing
else, whatever stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent_store.adapters.brains.rules import basket, goods
from agent_store.adapters.brains.rules.memory import LastSearch, Shown
from agent_store.adapters.brains.rules.normalise import plain, strip_accents
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import Act, understand
from agent_store.contracts.cart import AddToCart, CartView, GetCart
from agent_store.contracts.catalog import GetProducts, ProductView, SearchProducts, VariantView
from agent_store.kernel.brain import Line
from agent_store.kernel.ids import Sku

MOST_LINES = 18
"""Lines of a cart that are put in at once: a turn has only so many rounds of tools, of `_ROUND` calls each."""
_ROUND = 6
_NAMED = 8
_SEEN_WORDS = 6
_ODD_SKU = re.compile(r"[^\w./-]+")


# --- a cart of the channel's catalogue -------------------------------------------------------------------------------


async def ordered(turn: Turn, act: Act) -> None:
    """Put it into the store's cart, at the store's prices, and say what could not be had."""
    wanted: dict[Sku, int] = {}
    for sku, quantity in act.items:
        wanted[Sku(sku)] = wanted.get(Sku(sku), 0) + quantity
    skus = list(wanted)[:MOST_LINES]
    products, cart = await turn.together(GetProducts(ids=tuple(skus)), GetCart())
    if isinstance(products, Failed) or isinstance(cart, Failed):
        turn.say("trouble")
        return
    there = {variant.sku: (product, variant) for product in products for variant in product.variants}
    have = {line.sku: line.quantity for line in cart.lines}
    told: list[str] = []
    chosen: list[tuple[ProductView, VariantView, int]] = []
    for sku in skus:
        found = there.get(sku)
        if found is not None:
            units, word = _units(turn, *found, wanted[sku], have.get(sku, 0))
            told += [word] if word else []
            chosen += [(*found, units)] if units else []
    unknown = [sku for sku in skus if sku not in there]
    if unknown:
        told.append(turn.t("items_unknown", names=_names(unknown)))
    if len(wanted) > len(skus):
        told.append(turn.t("items_left", names=_names(list(wanted)[len(skus) :])))
    after, refused = await _put(turn, chosen)
    if refused:
        told.append(turn.t("items_refused", names="; ".join(refused[:_NAMED])))
    turn.text("\n".join(told))
    if after is None:
        turn.choose(turn.t("keep_shopping"), [("view_cart", turn.t("b_cart")), ("categories", turn.t("b_categories"))])
        return
    turn.memory.focus = None
    basket.show(turn, after)


def _units(turn: Turn, product: ProductView, variant: VariantView, wanted: int, have: int) -> tuple[int, str]:
    """How many of it go in, and what is to be said of it."""
    title = goods.label(product, variant)
    left = variant.available - have
    if variant.available <= 0:
        return 0, turn.t("sold_out", name=title)
    if left <= 0:
        return 0, turn.t("have_all", title=title)
    units = min(wanted, left, basket.MOST)
    if units == wanted:
        return units, ""
    return units, turn.t("items_most" if units == basket.MOST else "items_fewer", title=title, count=units)


async def _put(turn: Turn, chosen: Sequence[tuple[ProductView, VariantView, int]]) -> tuple[CartView | None, list[str]]:
    """The cart after all of it is in, and the titles of what was refused after all."""
    cart: CartView | None = None
    refused: list[str] = []
    for start in range(0, len(chosen), _ROUND):
        batch = chosen[start : start + _ROUND]
        results = await turn.each([AddToCart(sku=variant.sku, quantity=units) for _, variant, units in batch])
        for (product, variant, _), result in zip(batch, results, strict=True):
            if isinstance(result, Failed):
                refused.append(goods.label(product, variant))
            elif cart is None or result.version > cart.version:
                cart = result
    return cart, refused


def _names(skus: Sequence[str]) -> str:
    """Ids that somebody else wrote, as far as they look like ids."""
    return ", ".join(_ODD_SKU.sub(" ", sku)[:40].strip() or "?" for sku in skus[:_NAMED])


# --- a product that is asked about -----------------------------------------------------------------------------------


async def asked_about(turn: Turn, acts: list[Act]) -> list[Act]:
    """Show the product that the customer opened the chat from, and make it the one that "this" means."""
    about = next((line.about for line in reversed(_own(turn)) if line.about), None)
    if about is None:
        return acts
    found = await turn.ask(GetProducts(ids=(about,)))
    if isinstance(found, Failed) or not found:
        turn.say("trouble" if isinstance(found, Failed) else "gone")
        return acts
    product = found[0]
    variant = [one for one in product.variants if one.sku == about]
    focus = goods.shown(product, variant)
    turn.memory.focus, turn.memory.shown, turn.memory.search = focus, [focus], LastSearch()
    turn.products([focus.item])
    wishes = [_of_it(turn, act, focus, product) for act in acts if act.intent not in _IDLE]
    if wishes:
        return [*(act for act in acts if act.intent == "greet"), *wishes]
    return [*(act for act in acts if act.intent == "greet"), Act("tap_product", key=product.id)]


_IDLE = frozenset({"greet", "wellbeing", "thanks", "bye", "unclear", "browse", "yes", "more", "which"})
"""What says nothing of a product."""


def _of_it(turn: Turn, act: Act, focus: Shown, product: ProductView) -> Act:
    """ "Esse vestido tem em azul?" is no search when the dress is on the table."""
    if act.intent != "search" or act.bounded:
        return act
    texts = " ".join([product.name, product.category, *product.tags])
    named = goods.by_name([replace(focus, name=texts)], act.text, turn.request.language)
    if not (act.this or named or not act.known):
        return act
    return replace(act, intent="attributes" if act.attributes else "details", text="", known=False)


# --- a message that is answered --------------------------------------------------------------------------------------

_TITLE = re.compile(r"\*([^*\n]{3,80})\*")
_POINTS = frozenset({"add", "attributes", "details", "pick", "praise", "similar", "swap", "quantity", "expensive"})


async def quoted(turn: Turn, acts: Sequence[Act]) -> None:
    """ "Quero esse", in answer to a message that names a product: that one is meant."""
    text = next((line.quoted for line in reversed(_own(turn)) if line.quoted), "")
    if not text or not any(act.this or act.intent in _POINTS for act in acts):
        return
    memory = turn.memory
    known = [*memory.shown, *([memory.focus] if memory.focus else [])]
    named = _named_in(text, known)
    if named is None and (title := _TITLE.search(text)) is not None and not _several(text):
        result = await turn.ask(SearchProducts(text=title[1][:120], limit=4))
        hits = [] if isinstance(result, Failed) else [goods.shown(hit.product) for hit in result.hits]
        named = _named_in(title[1], hits)
    if named is not None:
        memory.focus = named


def _several(text: str) -> bool:
    return len(_TITLE.findall(text)) > 1


def _named_in(text: str, items: Sequence[Shown]) -> Shown | None:
    """The one product whose name stands in the text; of "Lua" and "Lua Cheia" the longer."""
    said = strip_accents(text)
    found = {item.id: item for item in items if item.name and strip_accents(item.name) in said}
    longest = [
        item
        for item in found.values()
        if not any(
            item is not other and strip_accents(item.name) in strip_accents(other.name) for other in found.values()
        )
    ]
    return longest[0] if len(longest) == 1 else None


# --- a picture -------------------------------------------------------------------------------------------------------

_ABSORBED = frozenset({"search", "attributes", "details", "add", "pick", "unclear", "browse", "suggest", "similar"})
"""Wishes under a picture that mean what it shows."""


def seen(description: str, caption: Sequence[Act], language: str) -> tuple[Act, ...]:
    """What a picture shows, searched like words, in the colour, size and price that the words under it name."""
    own = next((act for act in caption if act.intent == "search" and act.known), None)
    picture = _searched(description, language)
    if own is not None and not set(own.text.split()) & set(picture.text.split()) and not own.this:
        return tuple(caption)  # "tem bolsa que combina?": the words name something else
    for act in caption:
        if act.intent in _ABSORBED:
            picture = replace(
                picture,
                color=act.color or picture.color,
                size=act.size or picture.size,
                options=act.options or picture.options,
                min_price=act.min_price if act.bounded else picture.min_price,
                max_price=act.max_price if act.bounded else picture.max_price,
                sort=act.sort or picture.sort,
            )
    return (picture, *(act for act in caption if act.intent not in _ABSORBED and act.intent not in _IDLE))


def _searched(description: str, language: str) -> Act:
    """Only nouns, colours and sizes count: a price or an order in a picture is nobody's wish."""
    found = [act for act in understand(description, language) if act.intent in ("search", "attributes")]
    best = next((act for act in found if act.known), found[0] if found else None)
    if best is None or not best.text:
        words = " ".join(re.findall(r"[^\W\d_]{3,}", plain(description, language))[:_SEEN_WORDS])
        return Act("search", text=words, raw=words, cue=True, color=best.color if best else None)
    return Act("search", text=best.text, raw=best.raw, known=best.known, cue=True, color=best.color, size=best.size)


def _own(turn: Turn) -> list[Line]:
    return [line for line in turn.request.lines if line.role == "customer"]
