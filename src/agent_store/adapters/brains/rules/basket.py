"""The cart: choosing a variant, adding, removing, looking, emptying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent_store.adapters.brains.rules import goods, shopping
from agent_store.adapters.brains.rules.memory import Pending, Shown
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import Act
from agent_store.contracts.cart import AddToCart, CartView, ClearCart, GetCart, RemoveFromCart
from agent_store.contracts.catalog import GetProducts, ProductView, Recommend, VariantView
from agent_store.contracts.common import PricedLine
from agent_store.kernel.ids import Sku

MOST = 99


async def add(turn: Turn, act: Act) -> None:
    """ "Quero esse", "adiciona 2 do primeiro", "coloca o vestido aurora M": find out what, then which variant."""
    memory = turn.memory
    targets = _targets(turn, act)
    if not targets:
        if act.text:
            await shopping.search(turn, replace(act, intent="search", cue=True))
        elif act.color and memory.shown:
            await _by_color(turn, act)
        elif len(memory.shown) > 1:
            shopping.which(turn)
        else:
            turn.say("add_what")
        return
    products = await turn.ask(GetProducts(ids=tuple(dict.fromkeys(item.item for _, item in targets))[:20]))
    if isinstance(products, Failed):
        turn.say("trouble")
        return
    ready: list[tuple[ProductView, VariantView, int]] = []
    unclear: list[tuple[ProductView, list[VariantView], int]] = []
    for quantity, item in targets:
        product = next((p for p in products if p.id == item.id), None)
        if product is None:
            turn.say("gone")
            continue
        variants = _candidates(turn, product, item, act)
        if len(variants) == 1:
            ready.append((product, variants[0], quantity))
        else:
            unclear.append((product, variants, quantity))
    if ready:
        await put(turn, ready)
    for product, variants, quantity in unclear[:1]:
        await _narrow(turn, product, variants, quantity, act)


def _targets(turn: Turn, act: Act) -> list[tuple[int, Shown]]:
    memory = turn.memory
    if act.pairs:
        found: list[tuple[int, Shown]] = []
        amounts = {place: quantity for quantity, place in act.pairs}
        for place in act.positions:
            item = goods.refer(turn, replace(act, positions=(place,), text=""))
            if item:
                found.append((min(amounts.get(place, 1), MOST), item[0]))
        return found
    quantity = min(act.quantity or 1, MOST)
    items = goods.refer(turn, act)
    if not items and act.quantity and not act.text and len(memory.shown) > 1 and act.quantity <= len(memory.shown):
        return [(1, memory.shown[act.quantity - 1])]  # "quero 2" with a list on the table is "quero o 2"
    if act.text and len(items) > 1:
        return []
    if not act.positions and not act.text and memory.focus is None and len(memory.shown) > 1 and not (
        act.both or act.everything
    ):  # fmt: skip
        return []
    return [(quantity, item) for item in items]


def _candidates(turn: Turn, product: ProductView, item: Shown, act: Act) -> list[VariantView]:
    """The variants in stock that can be meant; a remembered SKU counts unless something else is said."""
    stock = goods.in_stock(product.variants)
    if item.sku is not None and not act.attributes:
        exact = [variant for variant in product.variants if variant.sku == item.sku]
        if exact:
            return exact
    return goods.as_searched(turn, product.id, stock, act)


async def _by_color(turn: Turn, act: Act) -> None:
    """ "Esse vermelho" with several on the table: the one that there is in red."""
    products = await turn.ask(GetProducts(ids=tuple(item.id for item in turn.memory.shown)))
    if isinstance(products, Failed):
        turn.say("trouble")
        return
    fitting = [
        p for p in products if any(goods.color_matches(v.color, act.color or "") for v in goods.in_stock(p.variants))
    ]
    if len(fitting) == 1:
        turn.memory.focus = goods.shown(fitting[0])
        variants = [v for v in goods.in_stock(fitting[0].variants) if goods.fits(v, act, {})]
        if len(variants) == 1:
            await put(turn, [(fitting[0], variants[0], act.quantity or 1)])
        else:
            await _narrow(turn, fitting[0], variants, act.quantity or 1, act)
        return
    shopping.which(turn)


async def _narrow(turn: Turn, product: ProductView, variants: Sequence[VariantView], quantity: int, act: Act) -> None:
    stock = goods.in_stock(product.variants)
    turn.memory.focus = goods.shown(product)
    if not stock:
        await _sold_out(turn, product)
        return
    if not variants:
        turn.say("not_in_that", name=product.name)
        variants = stock
    goods.ask_variant(turn, product, variants, quantity, _said(variants, act))


def _said(variants: Sequence[VariantView], act: Act) -> dict[str, str]:
    """What is settled already: the dimensions in which the variants left are all the same and that were named."""
    settled: dict[str, str] = {}
    for name, value in (("color", act.color), ("size", act.size)):
        values = goods.values_of(variants, name)
        if value and len(values) == 1:
            settled[name] = values[0]
    return settled


async def continue_variant(turn: Turn, act: Act, open_: Pending) -> None:
    """The answer to "qual tamanho?", in words or by a tap (`opt:<product>:<dimension>:<value>`)."""
    product_id, picked = open_.product or "", dict(open_.picked)
    if act.intent == "tap_opt":
        parts = act.key.split(":", 2)
        if len(parts) != 3:
            turn.say("add_what")
            return
        if parts[0] != product_id:
            picked = {}
        product_id = parts[0]
        picked[parts[1]] = parts[2]
    found = await turn.ask(GetProducts(ids=(product_id,))) if product_id else ()
    if isinstance(found, Failed):
        turn.say("trouble")
        return
    if not found:
        turn.say("gone")
        return
    product = found[0]
    variants = [v for v in goods.in_stock(product.variants) if goods.fits(v, act, picked)]
    quantity = act.quantity or open_.quantity
    if len(variants) == 1:
        await put(turn, [(product, variants[0], quantity)])
    elif variants:
        goods.ask_variant(turn, product, variants, quantity, {**picked, **_said(variants, act)})
    else:
        await _narrow(turn, product, [], quantity, act)


async def tapped(turn: Turn, act: Act, open_: Pending | None) -> None:
    """`add:<sku>` from a card or a list: straight into the cart."""
    quantity = open_.quantity if open_ is not None and any(act.key in choice[0] for choice in open_.choices) else 1
    if open_ is not None and open_.yes == f"add:{act.key}":
        quantity = open_.quantity
    result = await turn.ask(AddToCart(sku=Sku(act.key), quantity=quantity))
    await _after_add(turn, [(act.key, result, quantity)])


async def put(turn: Turn, wanted: Sequence[tuple[ProductView, VariantView, int]]) -> None:
    results = await turn.each([AddToCart(sku=variant.sku, quantity=min(n, MOST)) for _, variant, n in wanted])
    await _after_add(turn, [(row[1].sku, result, row[2]) for row, result in zip(wanted, results, strict=True)])


async def _after_add(turn: Turn, results: Sequence[tuple[str, CartView | Failed, int]]) -> None:
    carts = [(sku, result, quantity) for sku, result, quantity in results if not isinstance(result, Failed)]
    for sku, result, quantity in results:
        if isinstance(result, Failed):
            await _refused(turn, sku, quantity, result)
    if not carts:
        return
    cart = max((result for _, result, _ in carts), key=lambda view: view.version)
    _seen(turn, cart)
    titles = [
        f"{quantity} × {line.title}" if quantity > 1 else line.title
        for sku, _, quantity in carts
        if (line := next((one for one in cart.lines if one.sku == sku), None)) is not None
    ]
    turn.say("added", title="; ".join(titles) or "✔", subtotal=cart.subtotal)
    last = carts[-1][0]
    line = next((one for one in cart.lines if one.sku == last), None)
    if line is not None:
        turn.memory.focus = Shown(line.product_id, line.sku, line.title[:60])
    hits = await turn.ask(Recommend(product_id=last, kind="complementary", limit=2))
    have = {one.product_id for one in cart.lines}
    fresh = [] if isinstance(hits, Failed) else [hit for hit in hits if hit.product.id not in have]
    if fresh:
        turn.memory.shown = goods.show_hits(turn, fresh, filtered=False, text=turn.t("complement"))
        turn.memory.focus = turn.memory.shown[0] if len(turn.memory.shown) == 1 else None
    turn.memory.pending = Pending("after_add", yes="checkout", no="keep_shopping")
    turn.choose(turn.t("checkout_or_more"), [("checkout", turn.t("b_checkout")), ("view_cart", turn.t("b_cart"))])


async def _refused(turn: Turn, sku: str, quantity: int, failed: Failed) -> None:
    """Too few units, or the thing is gone: how it is, and what could take its place."""
    if failed.code in ("budget", "unavailable"):
        turn.say("trouble")
        return
    products, similar, cart = await turn.together(
        GetProducts(ids=(sku,)), Recommend(product_id=sku, kind="similar"), GetCart()
    )
    have = 0 if isinstance(cart, Failed) else sum(line.quantity for line in cart.lines if line.sku == sku)
    product = products[0] if not isinstance(products, Failed) and products else None
    variant = next((v for v in product.variants if v.sku == sku), None) if product else None
    if product is None or variant is None:
        turn.say("gone")
    elif variant.available > 0:
        title = goods.label(product, variant)
        left = variant.available - have
        if left <= 0:
            turn.say("have_all", title=title)
        elif variant.available > goods.LAST_UNITS:
            turn.say("too_few", title=title)
        else:
            turn.say("too_few_one" if variant.available == 1 else "too_few_last", title=title, count=variant.available)
            if left < quantity:
                turn.memory.pending = Pending("offer", yes=f"add:{sku}", product=product.id, quantity=left)
                turn.choose(turn.t("take_the_rest"), [(f"add:{sku}", turn.t("b_add"))])
    else:
        turn.say("sold_out", name=goods.label(product, variant))
        siblings = [v for v in goods.in_stock(product.variants) if v.sku != sku]
        if siblings:
            turn.say("other_variants", names="; ".join(", ".join(goods.dimensions(v).values()) for v in siblings[:6]))
    if not isinstance(similar, Failed) and similar:
        turn.memory.shown = goods.show_hits(turn, similar, filtered=False, text=turn.t("instead"))
        turn.memory.focus = None


async def _sold_out(turn: Turn, product: ProductView) -> None:
    turn.say("sold_out", name=product.name)
    similar = await turn.ask(Recommend(product_id=product.id, kind="similar"))
    if not isinstance(similar, Failed) and similar:
        turn.memory.shown = goods.show_hits(turn, similar, filtered=False, text=turn.t("instead"))


async def remove(turn: Turn, act: Act) -> None:
    cart = await turn.ask(GetCart())
    if isinstance(cart, Failed):
        turn.say("trouble")
        return
    if not cart.lines:
        turn.say("cart_empty")
        return
    line, quantity = _line(turn, cart.lines, act)
    if line is None:
        rows = [(f"remove:{one.sku}", one.title, str(one.total)) for one in cart.lines[:10]]
        turn.memory.pending = Pending("remove", choices=tuple((row[0], row[1]) for row in rows))
        turn.choose(turn.t("remove_which"), rows)
        return
    await _remove(turn, line.sku, line.title, quantity if quantity and quantity < line.quantity else None)


def _line(turn: Turn, lines: Sequence[PricedLine], act: Act) -> tuple[PricedLine | None, int | None]:
    """The line that is meant, and how many units of it (None: all)."""
    if len(lines) == 1 and not act.known:
        return lines[0], act.quantity or (act.number if act.number and act.number <= MOST else None)
    if act.positions:
        place = act.positions[0]
        index = len(lines) - 1 if place == -1 else place - 1
        return (lines[index], act.quantity if act.pairs else None) if 0 <= index < len(lines) else (None, None)
    items = [Shown(line.product_id, line.sku, line.title) for line in lines]
    words = [word for word in (act.text, act.size, *act.options) if word]
    found = goods.by_name(items, " ".join(words).lower(), turn.request.language) if words else []
    if act.color:
        pool = found or items
        found = [item for item in pool if any(goods.color_matches(part, act.color) for part in item.name.split(","))]
    if not found and not words and not act.color and act.this and turn.memory.focus is not None:
        found = [item for item in items if turn.memory.focus.item in (item.sku, item.id)]
    if len(found) == 1:
        return next(line for line in lines if line.sku == found[0].sku), act.quantity
    if not words and act.quantity and 1 <= act.quantity <= len(lines):
        return lines[act.quantity - 1], None
    return None, None


async def swap(turn: Turn, act: Act) -> None:
    """ "Troca o vestido pelo M": the same product in another variant; the new one goes in before the old comes out."""
    cart = await turn.ask(GetCart())
    if isinstance(cart, Failed):
        turn.say("trouble")
        return
    if not cart.lines:
        await shopping.refine(turn, act)
        return
    line, _ = _line(turn, cart.lines, Act("remove", text=act.text, positions=act.positions))
    found = await turn.ask(GetProducts(ids=(line.sku,))) if line is not None else ()
    if line is None or isinstance(found, Failed) or not found:
        turn.say("swap_which")
        show(turn, cart)
        return
    product = found[0]
    stock = [variant for variant in goods.in_stock(product.variants) if variant.sku != line.sku]
    old = next((variant for variant in product.variants if variant.sku == line.sku), None)
    mine = goods.dimensions(old) if old is not None else {}
    fitting = [variant for variant in stock if goods.fits(variant, act, {})]
    same = [
        variant
        for variant in fitting
        if (not act.size and variant.size != mine.get("size")) + (not act.color and variant.color != mine.get("color"))
        == 0
    ]
    if not fitting:
        turn.say("not_in_that", name=product.name)
        turn.memory.focus = goods.shown(product)
        if stock:
            turn.say("other_variants", names="; ".join(", ".join(goods.dimensions(v).values()) for v in stock[:6]))
        return
    new = (same or fitting)[0]
    added = await turn.ask(AddToCart(sku=new.sku, quantity=line.quantity))
    if isinstance(added, Failed):
        await _refused(turn, new.sku, line.quantity, added)
        return
    after = await turn.ask(RemoveFromCart(sku=line.sku))
    turn.say("swapped", title=goods.label(product, new))
    show(turn, added if isinstance(after, Failed) else after)


async def remove_tapped(turn: Turn, act: Act) -> None:
    await _remove(turn, act.key, "", None)


async def _remove(turn: Turn, sku: str, title: str, quantity: int | None) -> None:
    result = await turn.ask(RemoveFromCart(sku=Sku(sku), quantity=quantity))
    if isinstance(result, Failed):
        turn.say("not_in_cart" if result.code in ("not-found", "conflict") else "trouble")
        return
    _seen(turn, result)
    turn.memory.focus = None
    if not result.lines:
        turn.say("removed_empty", title=title)
        return
    turn.say("removed", title=title)
    show(turn, result)


async def view(turn: Turn, act: Act) -> None:
    cart = await turn.ask(GetCart())
    if isinstance(cart, Failed):
        turn.say("trouble")
        return
    if not cart.lines:
        turn.choose(turn.t("cart_empty"), [("categories", turn.t("b_categories")), ("suggest", turn.t("b_suggest"))])
        return
    show(turn, cart)


def _seen(turn: Turn, cart: CartView) -> None:
    turn.memory.cart_version = cart.version


def show(turn: Turn, cart: CartView) -> None:
    _seen(turn, cart)
    turn.text(cart_text(turn, cart))
    turn.memory.pending = Pending("after_add", yes="checkout", no="keep_shopping")
    turn.choose(turn.t("checkout_or_more"), [("checkout", turn.t("b_checkout")), ("keep_shopping", turn.t("b_keep"))])


def cart_text(turn: Turn, cart: CartView) -> str:
    lines = [turn.t("cart_title")]
    lines.extend(
        f"{place}. {line.quantity} × {line.title}: {line.total}" for place, line in enumerate(cart.lines[:30], start=1)
    )
    lines.append(turn.t("subtotal", subtotal=cart.subtotal))
    titles = {line.sku: line.title for line in cart.lines}
    for warning in cart.warnings[:5]:
        title = titles.get(warning.sku, warning.sku)
        if warning.kind == "out_of_stock":
            lines.append(turn.t("warn_out", title=title))
        elif warning.kind == "low_stock" and warning.available is not None and warning.available <= goods.LAST_UNITS:
            lines.append(turn.t("warn_low", title=title, count=warning.available))
        elif warning.kind == "price_changed":
            lines.append(turn.t("warn_price", title=title))
    return "\n".join(lines)


async def clear(turn: Turn, act: Act) -> None:
    turn.memory.pending = Pending("clear", yes="clear_yes", no="clear_no")
    turn.choose(turn.t("clear_sure"), [("clear_yes", turn.t("b_clear_yes")), ("clear_no", turn.t("b_clear_no"))])


async def clear_now(turn: Turn, act: Act) -> None:
    result = await turn.ask(ClearCart())
    if isinstance(result, Failed):
        turn.say("trouble")
        return
    _seen(turn, result)
    turn.memory.focus = None
    turn.memory.checkout.active = False
    turn.say("cleared")
