from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent_store.agents.catalog import model
from agent_store.agents.catalog.repository import Catalog, Projections
from agent_store.agents.catalog.search import (
    Candidate,
    Filters,
    Group,
    Match,
    SearchIndex,
    Understood,
    category_slugs,
    color_phrases,
    ladder,
    maker_group,
    rank,
    relaxations,
    understand,
)
from agent_store.agents.catalog.searching import index_of
from agent_store.agents.catalog.synonyms import Phrase
from agent_store.agents.catalog.vocabulary import Lexicon
from agent_store.agents.catalog.words import size_key
from agent_store.contracts.catalog import (
    CatalogPage,
    Category,
    ExportCatalog,
    Facet,
    GetProducts,
    Hit,
    ProductView,
    Recommend,
    SearchProducts,
    SearchResult,
    VariantView,
)
from agent_store.contracts.inventory import GetAvailability, StockUpdated
from agent_store.contracts.pricing import GetPrices, PriceChanged, PriceView
from agent_store.kernel.context import Context, Row
from agent_store.kernel.errors import NotFound
from agent_store.kernel.ids import ProductId

ASKED_AT_ONCE = 500
"""SKUs in one question to pricing or inventory at most: their contracts say so."""

FACETS = 20
"""Values of a facet at most, the most frequent ones."""

_CHEAP_ENOUGH_TO_COUNT = 0.35
"""Sorted by price, a product counts from this share of the best score on: the cheapest phone is no phone case."""


async def search(ctx: Context, call: SearchProducts) -> SearchResult:
    """See `SearchProducts`. Projections filter and rank; what is shown is asked of pricing and inventory now, and a
    variant that does not fit with its live price or stock is not shown. Facets and `total` count what was ranked."""
    exact = await _by_code(ctx, call)
    if exact is not None:
        return exact
    index = index_of(ctx)
    brand = call.brand or ctx.principal.brand or "*"
    scope = None if brand == "*" else brand
    shelves = {row["category"]: row["products"] for row in await ctx.get(Catalog).categories(scope)}
    meant, filters, lost = await index.ask(scope, lambda words: _meaning(call, scope, words, tuple(shelves)))
    if (meant.unknown and not meant.groups and not filters.named()) or (lost and not call.relax):
        return SearchResult(hits=(), total=0, corrected=meant.corrected)
    plan = await _find(index, meant, filters, call)
    colors = tuple(phrase for group in meant.groups if group.kind == "color" for phrase in group.any_of)
    ranked = _ranked(plan.found, meant.groups, call, sum(shelves.values()))
    total = len(ranked) if plan.total is None else plan.total
    page = ranked[call.offset : call.offset + call.limit] if plan.total is None else ranked[: call.limit]
    products = await _views(ctx, await ctx.get(Catalog).by_number([found.number for found in page]))
    hits: list[Hit] = []
    for found in page:
        fitting = _fitting(products.get(found.id), plan.filters, colors)
        if fitting is not None:
            hits.append(Hit(product=fitting, score=round(found.score, 4)))
    if call.sort != "relevance":
        hits.sort(key=lambda hit: min(variant.price.minor for variant in hit.product.variants),
                  reverse=call.sort == "-price")  # fmt: skip
    return SearchResult(
        hits=tuple(hits),
        total=total - (len(page) - len(hits)),
        corrected=meant.corrected,
        relaxed=tuple(dict.fromkeys((*lost, *plan.relaxed))) if hits else (),
        facets=_facets(ranked),
    )


def _meaning(
    call: SearchProducts, brand: str | None, words: Lexicon, categories: Sequence[str]
) -> tuple[Understood, Filters, tuple[str, ...]]:
    """What is asked for: words, filters, and the names of filters that mean nothing here."""
    meant = understand(call.text, words, categories)
    slugs = category_slugs(call.category, categories) if call.category else None
    lost: tuple[str, ...] = ()
    if slugs == () and call.category:
        # Not a category here, but perhaps a word of the products: "batom" among "labios".
        more = understand(call.category, words, categories)
        meant = replace(meant, groups=tuple(dict.fromkeys((*meant.groups, *more.groups))))
        slugs, lost = None, () if more.groups else ("category",)
    filters = Filters(
        brand=brand,
        categories=slugs,
        colors=color_phrases(call.color, words) if call.color else None,
        size=size_key(call.size) if call.size else next(iter(meant.sizes), None),
        maker=maker_group(call.maker, words) if call.maker else None,
        min_price=call.min_price.minor if call.min_price else None,
        max_price=call.max_price.minor if call.max_price else None,
        in_stock=call.in_stock,
    )
    return meant, filters, lost


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was found, under which filters, and the names of what was let go for it. With a `total`, `found` begins at
    the page that was asked for; without, at the first."""

    found: Sequence[Candidate]
    filters: Filters
    relaxed: tuple[str, ...] = ()
    total: int | None = None


async def _find(index: SearchIndex, meant: Understood, filters: Filters, call: SearchProducts) -> _Plan:
    """The strictest way to ask that finds something: first all as asked, then fewer words, then fewer filters."""
    if meant.unknown and not call.relax:
        return _Plan((), filters)
    if not meant.groups:
        dropped = ("text",) if meant.unknown else ()
        for gone in relaxations(filters) if call.relax else [()]:
            asked = filters.without(gone)
            if total := await index.total(asked):
                return _Plan(await index.browse(asked, call.sort, call.offset), asked, (*dropped, *gone), total)
        return _Plan((), filters)
    steps = ladder(meant.groups)
    strict = steps[0]
    if not call.relax:
        return _Plan(await index.find(strict, filters, call.sort), filters)
    alive: list[Match] = []
    for step in steps:
        if found := await index.find(step, filters, call.sort):
            return _Plan(found, filters, () if step is strict and not meant.unknown else ("text",))
        # A way to ask that finds nothing without any filters finds nothing with fewer of them either.
        if filters.named() and await index.fits(step, filters.brand):
            alive.append(step)
    for gone in relaxations(filters)[1:]:
        asked = filters.without(gone)
        for step in alive:
            if found := await index.find(step, asked, call.sort):
                text = () if step is strict and not meant.unknown else ("text",)
                return _Plan(found, asked, (*text, *gone))
    return _Plan((), filters)


def _ranked(
    found: Sequence[Candidate], groups: Sequence[Group], call: SearchProducts, products: int
) -> list[Candidate]:
    """In the order asked for. By price, what fits the words badly is left out."""
    ranked = rank(found, groups, products) if groups else list(found)
    if call.sort == "relevance":
        return ranked
    if ranked and groups:
        enough = ranked[0].score * _CHEAP_ENOUGH_TO_COUNT
        ranked = [candidate for candidate in ranked if candidate.score >= enough]
    ranked.sort(key=lambda candidate: candidate.price_minor or 0, reverse=call.sort == "-price")
    return ranked


async def _by_code(ctx: Context, call: SearchProducts) -> SearchResult | None:
    """A SKU or product id as the whole text, in whatever brand."""
    code = call.text.strip()
    if "-" not in code or " " in code:
        return None
    found = await products(ctx, GetProducts(ids=(code.upper(), code.lower())))
    if not found:
        return None
    hits = tuple(Hit(product=product, score=1.0) for product in found)
    return SearchResult(hits=hits[call.offset : call.offset + call.limit], total=len(hits))


async def products(ctx: Context, call: GetProducts) -> tuple[ProductView, ...]:
    """In the order asked, each product once."""
    found = await _load(ctx, call.ids)
    views = await _views(ctx, list({row["id"]: row for row in found.values()}.values()))
    ids = dict.fromkeys(found[id]["id"] for id in call.ids if id in found)
    return tuple(views[id] for id in ids if id in views)


async def export(ctx: Context, call: ExportCatalog) -> CatalogPage:
    rows = await ctx.get(Catalog).page(call.brand, int(call.after or 0), call.limit)
    views = await _views(ctx, rows)
    # A product that has no price yet has no view: the next page begins behind the last row all the same.
    found = tuple(views[row["id"]] for row in rows if row["id"] in views)
    return CatalogPage(products=found, next=str(rows[-1]["number"]) if len(rows) == call.limit else None)


async def _load(ctx: Context, ids: Sequence[str]) -> dict[str, Row]:
    """Products by what they were asked for: product id or SKU."""
    catalog = ctx.get(Catalog)
    found = {row["id"]: row for row in await catalog.by_id(ids)}
    others = [id for id in ids if id not in found]
    if others:
        owners = {sku: owner for sku, (owner, active) in (await catalog.owners(others)).items() if active}
        rows = {row["id"]: row for row in await catalog.by_id(sorted(set(owners.values())))}
        found.update({sku: rows[owner] for sku, owner in owners.items()})
    return found


async def categories(ctx: Context, brand: str | None) -> tuple[Category, ...]:
    asked = brand or ctx.principal.brand or "*"
    rows = await ctx.get(Catalog).categories(None if asked == "*" else asked)
    return tuple(Category(category=row["category"], products=row["products"]) for row in rows)


async def recommend(ctx: Context, call: Recommend) -> tuple[Hit, ...]:
    """Products in stock that could take one's place, or that go with it. Raises NotFound for an unknown product."""
    found = (await _load(ctx, (call.product_id,))).get(call.product_id)
    if found is None:
        raise NotFound(f"there is no product or SKU {call.product_id}", product_id=call.product_id)
    wanted = await (_similar(ctx, found) if call.kind == "similar" else _complementary(ctx, found))
    numbers = [number for number, _, _ in wanted[: max(3 * call.limit, 12)]]
    rows = {row["number"]: row for row in await ctx.get(Catalog).by_number(numbers)}
    views = await _views(ctx, list(rows.values()))
    limits = Filters(max_price=call.max_price.minor if call.max_price else None)
    hits: list[Hit] = []
    for number, score, reason in wanted:
        row = rows.get(number)
        fitting = _fitting(views.get(row["id"]), limits, ()) if row is not None else None
        if fitting is not None:
            hits.append(Hit(product=fitting, score=round(score, 4), reason=reason))
    return tuple(hits[: call.limit])


async def _similar(ctx: Context, product: Row) -> list[tuple[int, float, str]]:
    """Of the same category, by shared tags, nearness of the price, colours and maker."""
    price = product["price_minor"] or 0
    tags, colors = set(product["tags"]), set(product["colors"].split("|")) - {""}
    scored: list[tuple[int, float, str]] = []
    for row in await ctx.get(Catalog).near(product, price, limit=60):
        theirs, shown = set(row["tags"]), set(row["colors"].split("|")) - {""}
        score = 2.0 * _share(tags, theirs) + _nearness(price, row["price_minor"]) + 0.3 * _share(colors, shown)
        score += 0.2 * (row["maker"] == product["maker"])
        scored.append((row["number"], score, "similar"))
    return sorted(scored, key=lambda one: (-one[1], one[0]))


async def _complementary(ctx: Context, product: Row) -> list[tuple[int, float, str]]:
    """What its file declares, in that order; then the best of the categories that its category is often bought with."""
    catalog = ctx.get(Catalog)
    declared = (await catalog.complements((product["id"],))).get(product["id"], [])
    rows = {row["id"]: row for row in await catalog.by_id(declared)}
    found = [(rows[id]["number"], 10.0 - place, "complement") for place, id in enumerate(declared) if id in rows]
    taken = {number for number, _, _ in found}
    tags = set(product["tags"])
    others: list[tuple[int, float, str]] = []
    associated = await catalog.associations(product["brand"], product["category"])
    most = max((times for _, times in associated), default=1)
    for category, times in associated:
        shelf = await catalog.shelf(
            product["brand"], category, product["price_minor"] or 0, limit=15, but=product["id"]
        )
        others.extend(
            (row["number"], times / most + _share(tags, set(row["tags"])), "often_together")
            for row in shelf
            if row["number"] not in taken
        )
    return [*found, *sorted(others, key=lambda one: (-one[1], one[0]))]


def _share(ours: set[str], theirs: set[str]) -> float:
    return len(ours & theirs) / len(ours | theirs) if ours or theirs else 0.0


def _nearness(price: int, other: int) -> float:
    """1 for the same price, 0.5 for twice or half of it."""
    return min(price, other) / max(price, other, 1)


async def _views(ctx: Context, rows: Sequence[Row]) -> dict[str, ProductView]:
    """Products by id with prices and stock of this moment. A variant without a price is not on sale; a product
    without variants on sale is left out."""
    if not rows:
        return {}
    catalog = ctx.get(Catalog)
    ids = [row["id"] for row in rows]
    variants = await catalog.variants(ids)
    complements = await catalog.complements(ids)
    skus = [variant["sku"] for id in ids for variant in variants.get(id, ())]
    prices: dict[str, PriceView] = {}
    stock: dict[str, int] = {}
    for start in range(0, len(skus), ASKED_AT_ONCE):
        some = tuple(skus[start : start + ASKED_AT_ONCE])
        prices.update((price.sku, price) for price in await ctx.call(GetPrices(skus=some)))
        stock.update((level.sku, level.available) for level in await ctx.call(GetAvailability(skus=some)))
    views: dict[str, ProductView] = {}
    for row in rows:
        shown = tuple(
            VariantView(
                sku=variant["sku"],
                color=variant["color"],
                size=variant["size"],
                options=variant["options"],
                price=prices[variant["sku"]].price,
                list_price=prices[variant["sku"]].list_price,
                available=stock.get(variant["sku"], 0),
                weight_g=variant["weight_g"],
            )
            for variant in variants.get(row["id"], ())
            if variant["sku"] in prices
        )
        if shown:
            views[row["id"]] = ProductView(
                id=row["id"],
                brand=row["brand"],
                name=row["name"],
                category=row["category"],
                maker=row["maker"],
                description=row["description"],
                tags=tuple(row["tags"]),
                attributes=row["attributes"],
                image=model.image_path(row["id"]),
                variants=shown,
                complements=tuple(ProductId(id) for id in complements.get(row["id"], ())),
                picture=row["picture"],
            )
    return views


def _fitting(product: ProductView | None, filters: Filters, colors: Sequence[Phrase]) -> ProductView | None:
    """The product with those variants that fit, live: the asked colour first, then what is in stock."""
    if product is None:
        return None
    tests: list[Callable[[VariantView], bool]] = []
    if filters.in_stock:
        tests.append(lambda variant: variant.available > 0)
    if (wanted := filters.colors) is not None:
        tests.append(lambda variant: _has_color(variant, wanted))
    if filters.size is not None:
        tests.append(lambda variant: variant.size is not None and size_key(variant.size) == filters.size)
    if (least := filters.min_price) is not None:
        tests.append(lambda variant: variant.price.minor >= least)
    if (most := filters.max_price) is not None:
        tests.append(lambda variant: variant.price.minor <= most)
    fitting = [variant for variant in product.variants if all(test(variant) for test in tests)]
    if not fitting:
        return None
    fitting.sort(key=lambda variant: (not _has_color(variant, colors), variant.available <= 0))
    return product.model_copy(update={"variants": tuple(fitting)})


def _has_color(variant: VariantView, colors: Sequence[Phrase]) -> bool:
    key = model.color_key(variant.color)
    return any(f" {' '.join(phrase)} " in key for phrase in colors)


def _facets(found: Sequence[Candidate]) -> dict[str, tuple[Facet, ...]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("category", "color", "size", "maker")}
    for name, counter in counts.items():
        column = {"color": "colors", "size": "sizes"}.get(name, name)
        # Many products come in the same colours and sizes: the lists are counted first, then what is in them.
        for values, count in Counter(getattr(candidate, column) for candidate in found).items():
            for value in values.split("|") if values else ():
                counter[value] += count
    return {
        name: tuple(Facet(value=value, count=count) for value, count in counter.most_common(FACETS))
        for name, counter in counts.items()
        if counter
    }


async def take_price(ctx: Context, event: PriceChanged) -> None:
    projections = ctx.get(Projections)
    before = event.list_price.minor if event.list_price else None
    if await projections.price(event.sku, event.version, event.price.minor, before):
        await projections.sum_up(event.sku)


async def take_stock(ctx: Context, event: StockUpdated) -> None:
    projections = ctx.get(Projections)
    if await projections.stock(event.sku, event.version, event.available):
        await projections.sum_up(event.sku)
