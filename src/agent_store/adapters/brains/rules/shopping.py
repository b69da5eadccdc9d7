"""Finding and weighing: search, refine, details, comparison, suggestions, objections to a price."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent_store.adapters.brains.rules import goods, social
from agent_store.adapters.brains.rules.memory import LastSearch, Pending
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import Act
from agent_store.contracts.catalog import (
    GetProducts,
    ListCategories,
    ProductView,
    Recommend,
    SearchProducts,
    SearchResult,
    VariantView,
)
from agent_store.kernel.money import Money

PAGE = 4
"""Cards a reply: enough to choose from, few enough for a phone."""
_DESCRIPTION = 420


async def search(turn: Turn, act: Act) -> None:
    """A new wish: its words, colour, size and price; nothing of an older search is carried over."""
    named = goods.by_name(turn.memory.shown, act.text, turn.request.language) if len(act.text.split()) > 1 else []
    if len(named) == 1 and act.cue and not act.bounded:
        turn.memory.focus = named[0]
        await details(turn, replace(act, intent="pick", text="", positions=()))
        return
    before = turn.memory.search
    text = " ".join([act.text, *_apart(act.options)]).strip()
    turn.memory.search = LastSearch(
        text=text[:160],
        color=act.color,
        size=act.size,
        min_price=act.min_price,
        max_price=act.max_price,
        sort=act.sort or "relevance",
    )
    await _run(turn, act)
    if not turn.understood:
        turn.memory.search = before


def _apart(options: Sequence[str]) -> list[str]:
    """ "256gb" as catalogues write it ("256 gb"); a voltage stays one word."""
    return [re.sub(r"^(\d+)(?!v$)([a-z]+)$", r"\1 \2", option) for option in options]


async def refine(turn: Turn, act: Act) -> None:
    """Colour, size, price or option alone: of the product in focus if it has it, else of the last search."""
    memory = turn.memory
    if act.attributes and memory.focus is not None and not act.bounded:
        found = await turn.ask(GetProducts(ids=(memory.focus.id,)))
        if not isinstance(found, Failed) and found:
            product = found[0]
            fitting = [v for v in goods.in_stock(product.variants) if _has(v, act)]
            if fitting:
                await present(turn, product, act)
                return
            turn.say("not_in_that", name=product.name)
            stock = goods.in_stock(product.variants)
            if stock and not (act.color or act.size):
                goods.ask_variant(turn, product, stock, 1, {})
                return
            if memory.search.empty:
                memory.search = LastSearch(text=product.category.replace("-", " "))
    if memory.search.empty and not (act.color or act.bounded or act.sort):
        await suggest(turn, act)
        return
    old = memory.search
    memory.search = LastSearch(
        text=" ".join(dict.fromkeys([*old.text.split(), *" ".join(_apart(act.options)).split()])),
        category=old.category,
        color=act.color or old.color,
        size=act.size or old.size,
        min_price=act.min_price if act.bounded else old.min_price,
        max_price=act.max_price if act.bounded else old.max_price,
        sort=act.sort or old.sort,
    )
    await _run(turn, act)


def _has(variant: VariantView, act: Act) -> bool:
    """Stricter than `fits`: the variant says of itself what is asked for."""
    mine = goods.dimensions(variant)
    if act.color and not goods.color_matches(variant.color, act.color):
        return False
    if act.size and not goods.size_matches(variant.size, act.size):
        return False
    return all(any(goods.same(value, option) for value in mine.values()) for option in act.options)


async def more(turn: Turn, act: Act) -> None:
    if turn.memory.search.empty:
        await suggest(turn, act)
        return
    turn.memory.search.offset += PAGE
    await _run(turn, act)


async def cheaper(turn: Turn, act: Act) -> None:
    """ "Mais barato": the last search by price; without one, what could take the product's place for less."""
    memory = turn.memory
    if act.bounded and not memory.search.empty:
        await refine(turn, replace(act, sort="price"))
        return
    if memory.focus is not None and (act.this or memory.search.empty):
        await expensive(turn, act)
        return
    if memory.search.empty:
        memory.search = LastSearch(sort="price")
    before = {item.id for item in memory.shown}
    memory.search.sort, memory.search.offset = "price", 0
    await _run(turn, act, known=before)


async def pricier(turn: Turn, act: Act) -> None:
    turn.memory.search.sort, turn.memory.search.offset = "-price", 0
    turn.memory.search.max_price = None
    await _run(turn, act)


async def category(turn: Turn, act: Act) -> None:
    turn.memory.search = LastSearch(category=act.key)
    await _run(turn, replace(act, cue=True))


async def _run(turn: Turn, act: Act, known: set[str] | None = None) -> None:
    memory = turn.memory
    wanted = memory.search
    result = await turn.ask(
        SearchProducts(
            text=wanted.text,
            category=wanted.category,
            color=wanted.color,
            size=wanted.size,
            min_price=None if wanted.min_price is None else Money(minor=wanted.min_price),
            max_price=None if wanted.max_price is None else Money(minor=wanted.max_price),
            sort="price" if wanted.sort == "price" else "-price" if wanted.sort == "-price" else "relevance",
            limit=PAGE,
            offset=min(wanted.offset, 10_000),
        )
    )
    if isinstance(result, Failed):
        turn.say("trouble")
        return
    await _show(turn, act, result, known)


async def _show(turn: Turn, act: Act, result: SearchResult, known: set[str] | None = None) -> None:
    memory = turn.memory
    wanted = memory.search
    if not result.hits or ("text" in result.relaxed and not act.cue and not act.known and not wanted.color):
        await _nothing(turn, act, result)
        return
    filtered = bool(wanted.color or wanted.size) and not {"color", "size"} & set(result.relaxed)
    intro = _intro(turn, wanted, result)
    if known is not None and {hit.product.id for hit in result.hits} <= known:
        intro = turn.t("already_cheapest")
    memory.shown = goods.show_hits(turn, result.hits, filtered=filtered, text=intro)
    memory.focus = memory.shown[0] if len(memory.shown) == 1 else None
    if wanted.size:
        memory.size = wanted.size
    choices: list[tuple[str, str]] = []
    if result.total > wanted.offset + len(result.hits):
        choices.append(("more", turn.t("b_more")))
    if len(result.hits) > 1:
        choices.append(("compare_shown", turn.t("b_compare")))
        if wanted.sort != "price":
            choices.append(("cheaper", turn.t("b_cheaper")))
    if len(memory.shown) == 1:
        one = memory.shown[0]
        buy = f"add:{one.sku}" if one.sku else f"product:{one.id}"
        memory.pending = Pending("offer", yes=buy, product=one.id, quantity=act.quantity or 1)
        choices = [(buy, turn.t("b_add" if one.sku else "b_choose")), ("similar", turn.t("b_similar")), *choices]
    turn.choose(turn.t("which_one" if len(result.hits) > 1 else "like_it"), choices[:3])


def _intro(turn: Turn, wanted: LastSearch, result: SearchResult) -> str:
    gone = set(result.relaxed)
    if "text" in gone:
        return turn.t("relaxed_text")
    if "color" in gone and wanted.color:
        return turn.t("relaxed_color", color=turn.voice.color(wanted.color))
    if "size" in gone and wanted.size:
        return turn.t("relaxed_size", size=wanted.size)
    if {"max_price", "min_price"} & gone:
        return turn.t("relaxed_price")
    if gone:
        return turn.t("relaxed_text")
    if wanted.offset:
        return turn.t("more_of_it")
    return turn.t("found")


async def _nothing(turn: Turn, act: Act, result: SearchResult) -> None:
    """Nothing fits. Said so, with the way on; a message that names no known thing was perhaps not understood."""
    if turn.memory.search.offset:
        turn.memory.search.offset = 0
        turn.choose(turn.t("no_more"), [("categories", turn.t("b_categories")), ("view_cart", turn.t("b_cart"))])
        return
    turn.memory.search = LastSearch()
    if not (act.cue or act.known or act.attributes or act.bounded or act.key):
        social.unclear(turn)
        return
    await categories(turn, act, intro="nothing_found")


async def categories(turn: Turn, act: Act, intro: str = "categories") -> None:
    found = await turn.ask(ListCategories())
    if isinstance(found, Failed) or not found:
        turn.say(intro if intro != "categories" else "ask_need")
        return
    rows = [(f"cat:{row.category}", turn.voice.category(row.category)) for row in found[:10]]
    turn.memory.pending = Pending("category", choices=tuple(rows))
    turn.choose(turn.t(intro), rows, turn.t("b_categories"))


async def details(turn: Turn, act: Act) -> None:
    """All about one product (or up to three, shortly): by position, name, tap, or the one just talked about."""
    found = [act.key] if act.key else [item.id for item in goods.refer(turn, act, most=3)]
    if not found:
        if act.text:
            await _named(turn, replace(act, cue=True))
        elif turn.memory.shown:
            which(turn)
        else:
            turn.say("ask_need")
        return
    products = await turn.ask(GetProducts(ids=tuple(found)))
    if isinstance(products, Failed):
        turn.say("trouble")
    elif not products:
        turn.say("gone")
    else:
        product, *others = products
        await (compare(turn, act) if others else present(turn, product, act))


async def _named(turn: Turn, act: Act) -> None:
    """A product asked about by its name: itself when one has all the words, else what the search gives."""
    result = await turn.ask(SearchProducts(text=act.text, limit=PAGE))
    if isinstance(result, Failed):
        turn.say("trouble")
        return
    names = goods.by_name([goods.shown(hit.product) for hit in result.hits], act.text, turn.request.language)
    if len(names) == 1 and "text" not in result.relaxed:
        product = next(hit.product for hit in result.hits if hit.product.id == names[0].id)
        await present(turn, product, act)
        return
    turn.memory.search = LastSearch(text=act.text[:160])
    await _show(turn, act, result)


def which(turn: Turn, kind: str = "which_of_these") -> None:
    """The products on the table as choices."""
    rows = [(f"product:{item.id}", item.name or item.id) for item in turn.memory.shown[:10]]
    turn.memory.pending = Pending("which", choices=tuple(rows))
    turn.choose(turn.t(kind), rows)


async def present(turn: Turn, product: ProductView, act: Act) -> None:
    """One product: text, card, and what is to be chosen for buying it."""
    stock = goods.in_stock(product.variants)
    fitting = goods.as_searched(turn, product.id, stock, act)
    turn.memory.focus = goods.shown(product, fitting if act.attributes else ())
    new = turn.memory.focus.id not in {item.id for item in turn.memory.shown}
    if new:
        turn.memory.shown = [turn.memory.focus]
    turn.text(_description(turn, product, fitting if act.attributes and fitting else stock or list(product.variants)))
    if not stock:
        turn.memory.focus.sku = None
        similar = await turn.ask(Recommend(product_id=product.id, kind="similar"))
        turn.say("sold_out", name=product.name)
        if not isinstance(similar, Failed) and similar:
            turn.memory.shown = goods.show_hits(turn, similar, filtered=False, text=turn.t("instead"))
        return
    if new:
        turn.products([turn.memory.focus.item])
    if act.attributes and not fitting:
        turn.say("not_in_that", name=product.name)
        goods.ask_variant(turn, product, stock, 1, {})
        return
    goods.ask_variant(turn, product, fitting or stock, act.quantity or 1, {}, adding=False)


def _description(turn: Turn, product: ProductView, variants: list[VariantView]) -> str:
    lines = [f"*{product.name}*" + (f" ({product.maker})" if product.maker else "")]
    text = " ".join(product.description.split())
    if text:
        lines.append(text if len(text) <= _DESCRIPTION else text[:_DESCRIPTION].rsplit(" ", 1)[0] + "…")
    lines.append(turn.t("price_line", price=goods.price_of(turn, product, variants)))
    lines.extend(_choices(turn, variants, 12))
    lines.extend(
        f"{name.replace('_', ' ').capitalize()}: {value}" for name, value in list(product.attributes.items())[:6]
    )
    if urgency := goods.left_over(turn, variants):
        lines.append(urgency)
    return "\n".join(lines)


def _choices(turn: Turn, variants: Sequence[VariantView], most: int) -> list[str]:
    """ "Cor: vermelho, azul" for each thing that these variants can be chosen by."""
    names = dict.fromkeys(name for variant in variants for name in goods.dimensions(variant))
    return [f"{turn.voice.dimension(name)}: {', '.join(goods.values_of(variants, name)[:most])}" for name in names]


async def compare(turn: Turn, act: Act) -> None:
    """Two to four products side by side, from what the catalogue says of them now."""
    found = goods.refer(turn, act)
    memory = turn.memory
    if act.text and not found:
        named = await turn.ask(SearchProducts(text=act.text, limit=1))
        found = [] if isinstance(named, Failed) else [goods.shown(hit.product) for hit in named.hits]
        first = memory.focus or (memory.shown[0] if memory.shown else None)
        if first is not None and found and first.id != found[0].id:
            found = [first, *found]
    if len(found) < 2:
        others = [item for item in memory.shown if all(item.id != one.id for one in found)]
        found = [*found, *others][: 2 if found else 3]
    if len(found) < 2:
        turn.say("compare_what")
        return
    products = await turn.ask(GetProducts(ids=tuple(dict.fromkeys(item.id for item in found))))
    if isinstance(products, Failed) or len(products) < 2:
        turn.say("trouble")
        return
    parts: list[str] = [turn.t("comparing")]
    rows: list[tuple[str, str]] = []
    for place, product in enumerate(products, start=1):
        stock = goods.in_stock(product.variants)
        lines = [f"*{place}. {product.name}*" + (f" ({product.maker})" if product.maker else "")]
        lines.append(turn.t("price_line", price=goods.price_of(turn, product, stock)))
        lines.extend(_choices(turn, stock, 8))
        lines.extend(
            f"{name.replace('_', ' ').capitalize()}: {value}" for name, value in list(product.attributes.items())[:4]
        )
        if not product.attributes and product.description:
            text = product.description
            lines.append(text if len(text) <= 110 else text[:110].rsplit(" ", 1)[0] + "…")
        lines.append(goods.left_over(turn, stock) if stock else turn.t("sold_out_short"))
        parts.append("\n".join(line for line in lines if line))
        rows.append((f"product:{product.id}", product.name))
    cheapest = min(products, key=lambda product: goods.lowest_price(product).minor)
    parts.append(turn.t("cheapest_is", name=cheapest.name))
    memory.shown = [goods.shown(product) for product in products]
    memory.focus = None
    memory.pending = Pending("which", choices=tuple(rows))
    turn.text("\n\n".join(parts))
    turn.choose(turn.t("which_one"), rows)


async def suggest(turn: Turn, act: Act) -> None:
    """What goes with the product in focus; without one, a few of the brand's own."""
    focus = turn.memory.focus
    if act.text:
        await search(turn, replace(act, cue=True))
        return
    if focus is not None:
        hits = await turn.ask(Recommend(product_id=focus.item, kind="complementary"))
        if not isinstance(hits, Failed) and hits:
            turn.memory.shown = goods.show_hits(turn, hits, filtered=False, text=turn.t("goes_with", name=focus.name))
            return
    turn.memory.search = LastSearch(sort=act.sort or "relevance")
    result = await turn.ask(SearchProducts(limit=PAGE, sort="price" if act.sort == "price" else "relevance"))
    if isinstance(result, Failed) or not result.hits:
        turn.say("ask_need")
        return
    turn.memory.shown = goods.show_hits(turn, result.hits, filtered=False, text=turn.t("picks"))
    turn.memory.focus = None
    turn.choose(turn.t("ask_occasion"), [("categories", turn.t("b_categories"))])


async def similar(turn: Turn, act: Act) -> None:
    focus = turn.memory.focus
    hits = await turn.ask(Recommend(product_id=focus.item, kind="similar")) if focus else ()
    if isinstance(hits, Failed) or not hits:
        await more(turn, act)
        return
    turn.memory.shown = goods.show_hits(turn, hits, filtered=False, text=turn.t("similar_ones"))
    turn.memory.focus = None


async def expensive(turn: Turn, act: Act) -> None:
    """ "Tá caro": something like it for less, or the honest word that there is nothing."""
    referred = goods.refer(turn, act, most=1) or turn.memory.shown[:1]
    if not referred:
        if turn.memory.search.empty:
            turn.say("expensive_what")
            return
        await cheaper(turn, replace(act, this=False))
        return
    products = await turn.ask(GetProducts(ids=(referred[0].id,)))
    if isinstance(products, Failed) or not products:
        turn.say("trouble")
        return
    price = goods.lowest_price(products[0])
    hits = None
    if price.minor > 1:
        below = Money(minor=price.minor - 1, currency=price.currency)
        hits = await turn.ask(Recommend(product_id=products[0].id, kind="similar", max_price=below))
    if isinstance(hits, Failed) or not hits:
        turn.memory.focus = goods.shown(products[0])
        turn.choose(
            turn.t("fair_price", name=products[0].name, price=price),
            [("similar", turn.t("b_similar")), ("categories", turn.t("b_categories"))],
        )
        return
    turn.memory.shown = goods.show_hits(turn, hits, filtered=False, text=turn.t("for_less"))
    turn.memory.focus = turn.memory.shown[0] if len(turn.memory.shown) == 1 else None
    turn.say("which_one")


async def discount(turn: Turn, act: Act) -> None:
    """Asked for a discount: what is really marked down, else the honest no. The rules give none away."""
    text = act.text or turn.memory.search.text
    result = await turn.ask(SearchProducts(text=text, limit=30))
    if isinstance(result, Failed):
        turn.say("no_discount")
        return
    marked = [
        hit
        for hit in result.hits
        if any(v.list_price is not None and v.price < v.list_price for v in goods.in_stock(hit.product.variants))
    ]
    if not marked:
        turn.choose(turn.t("no_discount"), [("cheaper", turn.t("b_cheaper")), ("view_cart", turn.t("b_cart"))])
        return
    turn.memory.shown = goods.show_hits(turn, marked[:PAGE], filtered=False, text=turn.t("marked_down"))
    turn.memory.focus = turn.memory.shown[0] if len(turn.memory.shown) == 1 else None
    turn.say("which_one")


async def think(turn: Turn, act: Act) -> None:
    """ "Vou pensar": no pressure; a low stock is told only when it is one."""
    focus = turn.memory.focus
    urgency = ""
    if focus is not None:
        products = await turn.ask(GetProducts(ids=(focus.item,)))
        if not isinstance(products, Failed) and products:
            wanted = [v for v in products[0].variants if focus.sku in (None, v.sku)]
            urgency = goods.left_over(turn, goods.in_stock(wanted))
    turn.text(" ".join(part for part in (turn.t("think"), urgency) if part))
