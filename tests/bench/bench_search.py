"""Search over generated products, through the catalogue's own tables and tools: `python -m tests.bench.bench_search`.

The products are mixed out of the sample catalogues: names, tags, makers and sentences of a brand's products recombined,
with made-up words for names, so that categories and words are as frequent as in a shop and the vocabulary is large.
Aim: p95 of 5 ms at 100,000 products, in one process, live prices and stock included; on SQLite, and on a PostgreSQL of the
bench's own on this machine. CPU is of this process, without PostgreSQL's.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import text

from agent_store.agents.catalog.agent import catalog
from agent_store.agents.catalog.words import stems
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.pricing.agent import pricing
from agent_store.contracts.catalog import ImportProduct, SearchProducts
from agent_store.contracts.inventory import ImportLocations
from agent_store.entrypoints.programs import Absent, Postgres
from agent_store.kernel.ids import ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.store import Unit
from tests.agents.rated_queries import rated
from tests.bench.common import Figure, percentile
from tests.support.backends import Backend
from tests.support.databases import Databases
from tests.support.shop import BRANDS, STAFF, fill_quietly, sample_locations, sample_products, tools_of
from tests.support.store import TestStore

T = TypeVar("T")
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


def mistype(said: str, dice: random.Random) -> str:
    """One wrong, missing, swapped or doubled letter in one of the longer words."""
    words = said.split()
    long = [index for index, word in enumerate(words) if len(word) > 4]
    if not long:
        return said
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


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds of each call by the clock and of CPU, and how many found nothing."""

    wall: list[float]
    cpu: list[float]
    nothing: int

    def __str__(self) -> str:
        return (
            f"p50 {percentile(self.wall, 0.5):.2f} p95 {percentile(self.wall, 0.95):.2f} ms"
            f" (CPU {percentile(self.cpu, 0.5):.2f}, {percentile(self.cpu, 0.95):.2f})"
        )


async def _time(calls: Sequence[T], ask: Callable[[T], Awaitable[bool]]) -> Timed:
    """`ask` says whether it found something."""
    timed = Timed([], [], 0)
    nothing = 0
    for call in calls:
        wall, cpu = time.perf_counter(), time.process_time()
        found = await ask(call)
        timed.wall.append((time.perf_counter() - wall) * 1e3)
        timed.cpu.append((time.process_time() - cpu) * 1e3)
        nothing += not found
    return Timed(timed.wall, timed.cpu, nothing)


_PLAIN = {
    "sqlite": text(
        "SELECT rowid AS number FROM catalog_index WHERE catalog_index MATCH :match"
        " ORDER BY bm25(catalog_index, 10, 8, 5, 5, 4, 2, 1, 0) LIMIT 5"
    ),
    # The same as anybody would write it for PostgreSQL: any of the words, the best by ts_rank.
    "postgresql": text(
        "SELECT number FROM catalog_index WHERE document @@ CAST(CAST(:match AS text) AS tsquery)"
        " ORDER BY ts_rank(document, CAST(CAST(:match AS text) AS tsquery)) DESC LIMIT 5"
    ),
}
_OR = {"sqlite": (" OR ", '"'), "postgresql": (" | ", "'")}


async def _measure(products: int, queries: int, backend: Backend) -> dict[str, Any]:
    dice = random.Random(11)
    store = TestStore([tools_of(catalog), tools_of(pricing), tools_of(inventory)], backend=backend)
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
                await fill_quietly(store, chunk)
                chunk = []
        if chunk:
            await fill_quietly(store, chunk)
        if backend.store == "postgresql":
            await store.runtime.store.run(_analyse)  # as autovacuum does within a minute
        built = time.perf_counter() - started
        asked = [(query.brand, query.query) for query in rated()] + dice.sample(names, min(len(names), queries // 4))
        said = [dice.choice(asked) for _ in range(queries)]
        kinds = {
            "clean": [SearchProducts(text=words, brand=brand) for brand, words in said],
            "typos": [SearchProducts(text=mistype(words, dice)[:200], brand=brand) for brand, words in said],
            "filters": [
                SearchProducts(
                    text=words, brand=brand, max_price=Money(minor=100_000), color=dice.choice(("preto", "red"))
                )
                for brand, words in said
            ],
        }

        async def ask(call: SearchProducts) -> bool:
            return bool((await store.call(call)).hits)

        async def plain(words: Sequence[str]) -> bool:
            either, quote = _OR[backend.store]
            asked = either.join(f"{quote}{word}{quote}" for word in words)
            return bool(await reader.all(_PLAIN[backend.store], {"match": asked}))

        reader = store.runtime.store.reader_of("catalog")
        first = await _time(kinds["clean"][:1], ask)
        stemmed = [stems(words) for _, words in said]
        return {
            "build_s": built,
            "first_ms": first.wall[0],
            **{kind: await _time(calls, ask) for kind, calls in kinds.items()},
            "plain": await _time([words for words in stemmed if words][: queries // 5], plain),
        }


async def _analyse(unit: Unit) -> None:
    for table in (*catalog.tables.tables, "catalog_index", "catalog_spelling") if catalog.tables is not None else ():
        await unit.db.run(text(f"ANALYZE {table}"))


async def _on_postgres(products: int, queries: int) -> dict[str, Any]:
    async with Postgres() as server:
        backend = Backend(
            database=Databases(server).stores(statement_timeout=timedelta(minutes=10)), store="postgresql"
        )
        return await _measure(products, queries, backend)


def measure(products: int = 100_000, queries: int = QUERIES, database: str = "sqlite") -> dict[str, Any]:
    """Build a catalogue of that size and time searches over it: `Timed` by kind of query, `plain` the reference."""
    if database == "postgresql":
        return asyncio.run(_on_postgres(products, queries))
    return asyncio.run(_measure(products, queries, Backend()))


def run(products: int = 100_000) -> list[Figure]:
    """On SQLite, and on PostgreSQL where it is installed."""
    figures = _figures("sqlite", products, measure(products))
    try:
        found = measure(products, database="postgresql")
    except Absent as error:
        figures.append(Figure("search on PostgreSQL", f"not measured: {error.message}"))
    else:
        figures += _figures("postgresql", products, found)
    return figures


def _figures(database: str, products: int, found: dict[str, Any]) -> list[Figure]:
    plain = "FTS5 any-term bm25" if database == "sqlite" else "tsvector any-term ts_rank"
    reference = f"bare {plain}: {found['plain']}"
    figures = [
        Figure(
            f"search on {database}, {products:,} products, {kind}",
            str(found[kind]),
            reference=reference,
            ratio=f"{percentile(found[kind].wall, 0.95) / percentile(found['plain'].wall, 0.95):.2f}x",
            aim="p95 5 ms",
            met=percentile(found[kind].wall, 0.95) <= 5,
        )
        for kind in ("clean", "typos", "filters")
    ]
    nothing = sum(found[kind].nothing for kind in ("clean", "typos", "filters"))
    figures.append(Figure(f"searches on {database} that found nothing", f"{nothing} of {3 * QUERIES}"))
    figures.append(Figure(f"first search of a process on {database}", f"{found['first_ms']:.0f} ms"))
    figures.append(
        Figure(f"building the catalogue on {database}", f"{found['build_s']:.0f} s for {products:,} products")
    )
    return figures


if __name__ == "__main__":
    for figure in run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000):
        print(f"{figure.name:<40} {figure.value}  {figure.ratio}")
        if figure.reference:
            print(f"{'':<40} {figure.reference}")
