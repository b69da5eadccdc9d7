"""Products and variants as the dialogue needs them: which variant is meant, what is still to be asked, how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agent_store.adapters.brains.rules.memory import Pending, Shown
from agent_store.adapters.brains.rules.normalise import plain, same, strip_accents, tokens
from agent_store.adapters.brains.rules.turn import Turn
from agent_store.adapters.brains.rules.understanding import Act
from agent_store.adapters.brains.rules.words import COLORS, LETTER_SIZES
from agent_store.contracts.catalog import Hit, ProductView, VariantView
from agent_store.kernel.money import Money

LAST_UNITS = 3
"""From here down a stock is told ("últimas 2 unidades"): honest urgency, only when it is true."""


def dimensions(variant: VariantView) -> dict[str, str]:
    """What a customer chooses by: colour and size first, then the catalogue's own options."""
    found: dict[str, str] = {}
    if variant.color:
        found["color"] = variant.color
    if variant.size:
        found["size"] = variant.size
    found.update({name: value for name, value in variant.options.items() if value})
    return found


def color_matches(variant_color: str | None, wanted: str) -> bool:
    if variant_color is None:
        return False
    if same(variant_color, wanted):
        return True
    words = strip_accents(variant_color).replace("-", " ").split()
    return any(COLORS.get(word) == wanted or word == wanted for word in words)


def size_matches(variant_size: str | None, wanted: str) -> bool:
    if variant_size is None:
        return False
    if same(variant_size, wanted):
        return True
    return LETTER_SIZES.get(strip_accents(variant_size)) == wanted


def fits(variant: VariantView, act: Act, picked: Mapping[str, str]) -> bool:
    """Has the variant all that was picked before and is said now? A number counts as a size or as any option."""
    mine = dimensions(variant)
    for name, value in picked.items():
        if name not in mine or not same(mine[name], value):
            return False
    if act.color and mine.get("color") and not color_matches(variant.color, act.color):
        return False
    if act.size and mine.get("size") and not size_matches(variant.size, act.size):
        return False
    for option in act.options:
        values = [value for name, value in mine.items() if name not in ("color", "size")]
        if values and _unit(option) in {_unit(value) for value in values} and not any(same(v, option) for v in values):
            return False
    return True


def _unit(value: str) -> str:
    text = strip_accents(value).strip()
    if text in ("bivolt", "110v", "127v", "220v", "110 v", "127 v", "220 v", "110", "127", "220"):
        return "volt"
    return "".join(c for c in text if c.isalpha())


def in_stock(variants: Iterable[VariantView]) -> list[VariantView]:
    return [variant for variant in variants if variant.available > 0]


def as_searched(turn: Turn, product_id: str, variants: Sequence[VariantView], act: Act) -> list[VariantView]:
    """Those that fit the act, in the colour and size of the search that brought the product up when it names none."""
    fitting = [variant for variant in variants if fits(variant, act, {})]
    searched = turn.memory.search
    color, size = act.color or searched.color, act.size or searched.size
    if product_id not in {item.id for item in turn.memory.shown} or not (color or size):
        return fitting
    wanted = Act("attributes", color=color, size=size)
    return [variant for variant in fitting if fits(variant, wanted, {})] or fitting


def open_dimension(variants: Sequence[VariantView]) -> tuple[str, list[str]] | None:
    """The first thing that these variants differ in, with its values; None when nothing is left to choose."""
    if len(variants) < 2:
        return None
    names = dict.fromkeys(name for variant in variants for name in dimensions(variant))
    for name in names:
        values = list(dict.fromkeys(v for variant in variants if (v := dimensions(variant).get(name)) is not None))
        if len(values) > 1:
            return name, values
    return None


def values_of(variants: Iterable[VariantView], name: str) -> list[str]:
    return list(dict.fromkeys(v for variant in variants if (v := dimensions(variant).get(name)) is not None))


def label(product: ProductView, variant: VariantView) -> str:
    """ "Vestido Aurora, vermelho, M"."""
    return ", ".join([product.name, *dimensions(variant).values()])


def price_of(turn: Turn, product: ProductView, variants: Sequence[VariantView] = ()) -> str:
    """One price, or "a partir de" the lowest."""
    prices = sorted({variant.price.minor for variant in variants or product.variants})
    lowest = Money(minor=prices[0], currency=(variants or product.variants)[0].price.currency)
    return str(lowest) if len(prices) == 1 else turn.t("from_price", price=lowest)


def lowest_price(product: ProductView) -> Money:
    candidates = in_stock(product.variants) or list(product.variants)
    return min((variant.price for variant in candidates), key=lambda price: price.minor)


def left_over(turn: Turn, variants: Sequence[VariantView]) -> str:
    """ "últimas 2 unidades" of one variant when that is so, else nothing."""
    if len(variants) != 1:
        return ""
    count = variants[0].available
    if count == 1:
        return turn.t("last_one")
    return turn.t("last_units", count=count) if 0 < count <= LAST_UNITS else ""


def shown(product: ProductView, variants: Sequence[VariantView] = ()) -> Shown:
    """How the product is remembered: by its SKU when only one variant is meant."""
    only = variants[0] if len(variants) == 1 else product.variants[0] if len(product.variants) == 1 else None
    return Shown(product.id, only.sku if only else None, product.name[:60])


def show_hits(turn: Turn, hits: Sequence[Hit], *, filtered: bool, text: str = "") -> list[Shown]:
    """A block of cards, and what to remember of it. With filters a hit's fitting variant is shown as itself."""
    found: list[Shown] = []
    for hit in hits:
        fitting = in_stock(hit.product.variants) if filtered else []
        found.append(shown(hit.product, fitting))
    turn.products([item.item for item in found], text)
    return found


def by_name(items: Sequence[Shown], text: str, language: str) -> list[Shown]:
    """Those of `items` whose names hold every word of the text."""
    wanted = [_stem(word) for word in text.split() if len(word) > 2 or word.isdigit()]
    if not wanted:
        return []
    return [item for item in items if _holds([_stem(word) for word in tokens(plain(item.name, language))], wanted)]


def _holds(words: list[str], wanted: list[str]) -> bool:
    return all(any(word.startswith(want) or want.startswith(word) for word in words if len(word) > 2 or word == want)
               for want in wanted)  # fmt: skip


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 4 and word.endswith("s") else word


def refer(turn: Turn, act: Act, *, most: int = 4) -> list[Shown]:
    """The products that an act points at: by position, by name, "esse", or the only one on the table."""
    memory = turn.memory
    if act.positions:
        found = [item for place in act.positions if (item := _at(memory.shown, place)) is not None]
        return found[:most]
    if act.everything:
        return memory.shown[:most]
    if act.both:
        return memory.shown[:2]
    if act.text:
        known = [*memory.shown, *([memory.focus] if memory.focus else [])]
        unique = {item.id: item for item in by_name(known, act.text, turn.request.language)}
        return list(unique.values())[:most]
    if memory.focus is not None:
        return [memory.focus]
    return memory.shown[:1] if len(memory.shown) == 1 else []


def _at(items: Sequence[Shown], place: int) -> Shown | None:
    if place == -1:
        return items[-1] if items else None
    return items[place - 1] if 0 < place <= len(items) else None


def ask_variant(
    turn: Turn,
    product: ProductView,
    variants: Sequence[VariantView],
    quantity: int,
    picked: Mapping[str, str],
    *,
    adding: bool = True,
) -> None:
    """Ask for one thing that is still open (colour, size, voltage…), or offer the only variant that is left."""
    open_ = open_dimension(variants)
    if open_ is None:
        variant = variants[0]
        turn.memory.focus = Shown(product.id, variant.sku, product.name[:60])
        turn.memory.pending = Pending("offer", yes=f"add:{variant.sku}", product=product.id, quantity=quantity)
        turn.choose(
            turn.t("add_it"),
            [(f"add:{variant.sku}", turn.t("b_add")), ("similar", turn.t("b_similar"))],
        )
        return
    name, values = open_
    rows: list[tuple[str, str, str]] = []
    for value in values[:10]:
        left = [v for v in variants if same(dimensions(v).get(name, ""), value)]
        payload = f"add:{left[0].sku}" if len(left) == 1 else f"opt:{product.id}:{name}:{value}"
        note = price_of(turn, product, left)
        if urgency := left_over(turn, left):
            note = f"{note} · {urgency}"
        rows.append((payload[:200], value, note))
    turn.memory.pending = Pending(
        "variant",
        choices=tuple((row[0], row[1]) for row in rows),
        product=product.id,
        quantity=quantity,
        picked=dict(picked),
    )
    dimension = turn.voice.dimension(name).lower()
    turn.choose(turn.t("ask_variant" if adding else "ask_variant_buy", dimension=dimension, name=product.name), rows)
