"""Search over generated products, through the catalogue's own tables and tools: `python -m tests.bench.bench_search`.

The products are mixed out of the sample catalogues: names, tags, makers and sentences of a brand's products recombined,
with made-up words for names, so that categories and words are as frequent as in a shop and the vocabulary is large.
Aim: p95 of 5 ms at 100,000 products, in one process, live prices and stock included.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from agent_store.agents.catalog.agent import catalog
from agent_store.agents.catalog.importing import put
from agent_store.agents.catalog.repository import Catalog, Projections
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.model import Change, Level, Stock
from agent_store.agents.inventory.repository import Shelves
from agent_store.agents.pricing.agent import pricing
from agent_store.agents.pricing.model import Price
from agent_store.agents.pricing.repository import Prices
from agent_store.contracts.catalog import ImportCatalog, ImportProduct, ImportReport, SearchProducts
from agent_store.contracts.inventory import ImportLocations
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context
from agent_store.kernel.ids import ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.store import Unit
from tests.agents.rated_queries import rated
from tests.support.shop import BRANDS, STAFF, sample_locations, sample_products
from tests.support.store import TestStore

QUERIES = 1_000
CHUNK = 5_000


def generate(count: int, seed: int = 7) -> Iterator[ImportProduct]:
    """That many products, the brands in turn."""
    dice = random.Random(seed)
    samples = {brand: sample_products(brand) for brand in BRANDS}
    sentences = {
        brand: [part.strip() for product in some for part in product.description.split(".") if part.strip()]
        for brand, some in samples.items()
    }
    made_up = ["".join(dice.choice(("ba", "lu", "ri", "to", "me", "ga", "sul", "nor", "vi", "cen")) for _ in range(4))
               for _ in range(8_000)]  # fmt: skip
    for index in range(count):
        brand = BRANDS[index % len(BRANDS)]
        base, other = dice.choice(samples[brand]), dice.choice(samples[brand])
        id = f"{brand}-{index}"
        variants = [
            variant.model_copy(
                update={"sku": Sku(f"{brand[:3].upper()}-{index}-{place}"), "price": _price(dice), "list_price": None,
                        "floor": None, "stock": {"cd-cajamar": dice.choice((0, 3, 20, 80))}}
            )
            for place, variant in enumerate(dice.sample(base.variants, min(2, len(base.variants))))
        ]  # fmt: skip
        yield base.model_copy(
            update={
                "id": ProductId(id),
                "name": f"{' '.join(base.name.split()[:-1])} {dice.choice(made_up).title()} {dice.choice(made_up).title()}",
                "description": f"{'. '.join(dice.sample(sentences[brand], 3))}. {dice.choice(made_up)}",
                "tags": tuple(dict.fromkeys((*base.tags[:4], dice.choice(other.tags)))),
                "complements": (),
                "variants": tuple(variants),
            }
        )


def _price(dice: random.Random) -> Money:
    return Money(minor=dice.randrange(1_990, 499_990, 10))


def mistype(text: str, dice: random.Random) -> str:
    """One wrong, missing, swapped or doubled letter in one of the longer words."""
    words = text.split()
    long = [index for index, word in enumerate(words) if len(word) > 4]
    if not long:
        return text
    index = dice.choice(long)
    word, at = words[index], dice.randrange(1, len(words[index]) - 1)
    words[index] = dice.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at] + word[at:],
            word[:at] + dice.choice("aeiosrt") + word[at + 1 :],
        )
    )
    return " ".join(words)


def _tools_of(agent: Agent) -> Agent:
    """The agent without its subscriptions: the products' million events are not what is measured."""
    quiet = Agent(agent.name, tables=agent.tables, ddl=agent.ddl)
    quiet.tools.update(agent.tools)
    return quiet


async def _fill(store: TestStore, products: Sequence[ImportProduct]) -> None:
    """Catalogue by its own import, prices and stock by their rooms' repositories, projections as their events would."""
    await store.call(ImportCatalog(products=tuple(products)), STAFF)
    at = store.clock.now()

    async def prices_and_stock(unit: Unit) -> None:
        variants = [(product, variant) for product in products for variant in product.variants]
        await Prices(unit.db).save(
            (Price(sku=v.sku, product_id=p.id, price=v.price, list_price=None, floor=v.price) for p, v in variants), at
        )
        shelves = Shelves(unit.db)
        places = [(variant.sku, place, units) for _, variant in variants for place, units in variant.stock.items()]
        await shelves.add_skus(variant.sku for _, variant in variants)
        await shelves.add_levels((sku, place) for sku, place, _ in places)
        await shelves.write(
            [Stock(sku, 1, units, 0) for sku, _, units in places],
            [Level(sku, place, units, 0) for sku, place, units in places],
            [(Change(sku, place, on_hand=units), 1) for sku, place, units in places],
            cause="import", order_id=None, reason=None, staff=None, at=at,
        )  # fmt: skip
        projections = Projections(unit.db)
        for _, variant in variants:
            await projections.price(variant.sku, 1, variant.price.minor, None)
            await projections.stock(variant.sku, 1, sum(variant.stock.values()))
        families = await Catalog(unit.db).variants([product.id for product in products])
        await projections.sum_up_products(families.values())

    await store.runtime.store.run(prices_and_stock, timeout=600)


async def _time(store: TestStore, calls: Sequence[SearchProducts]) -> tuple[list[float], int]:
    """Milliseconds of each call, and how many found nothing."""
    took: list[float] = []
    nothing = 0
    for call in calls:
        started = time.perf_counter()
        result = await store.call(call)
        took.append((time.perf_counter() - started) * 1e3)
        nothing += not result.hits
    return took, nothing


def _figures(took: Sequence[float], nothing: int) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100)
    return {
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "found_nothing": nothing / len(took),
    }


async def _run(products: int, queries: int) -> dict[str, Any]:
    dice = random.Random(11)
    quiet = Agent("catalog", tables=catalog.tables, ddl=catalog.ddl)
    quiet.tools.update({name: tool for name, tool in catalog.tools.items() if name != ImportCatalog.tool_name})

    async def import_quietly(call: ImportCatalog, ctx: Context) -> ImportReport:
        return await put(ctx, call.products)

    quiet.tool(ImportCatalog, timeout=timedelta(minutes=10))(import_quietly)
    store = TestStore([quiet, _tools_of(pricing), _tools_of(inventory)])
    async with store:
        await store.call(ImportLocations(locations=sample_locations()), STAFF)
        started = time.perf_counter()
        chunk: list[ImportProduct] = []
        names: list[tuple[str, str]] = []
        for product in generate(products):
            chunk.append(product)
            if len(names) < 5 * queries:
                names.append((product.brand, product.name))
            if len(chunk) == CHUNK:
                await _fill(store, chunk)
                chunk = []
        if chunk:
            await _fill(store, chunk)
        built = time.perf_counter() - started
        asked = [(query.brand, query.query) for query in rated()] + dice.sample(names, min(len(names), queries // 4))
        clean = [dice.choice(asked) for _ in range(queries)]
        by_words = [SearchProducts(text=text, brand=brand) for brand, text in clean]
        mistyped = [SearchProducts(text=mistype(text, dice)[:200], brand=brand) for brand, text in clean]
        filtered = [
            SearchProducts(text=text, brand=brand, max_price=Money(minor=100_000), color=dice.choice(("preto", "red")))
            for brand, text in clean
        ]
        started = time.perf_counter()
        await store.call(by_words[0])
        first = time.perf_counter() - started
        return {
            "products": products,
            "build_s": round(built, 1),
            "first_search_ms": round(first * 1e3, 1),
            "clean": _figures(*await _time(store, by_words)),
            "typos": _figures(*await _time(store, mistyped)),
            "filters": _figures(*await _time(store, filtered)),
        }


def run(products: int = 100_000, queries: int = QUERIES) -> dict[str, Any]:
    """Build a catalogue of that size and measure searches over it; milliseconds a search."""
    return asyncio.run(_run(products, queries))


if __name__ == "__main__":
    figures = run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    for name, value in figures.items():
        print(f"{name:16} {value}")
