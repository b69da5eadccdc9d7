"""How good the search's answers are: nDCG@10 over rated queries on the sample catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from agent_store.contracts.catalog import SearchProducts
from tests.agents.rated_queries import Rated, rated
from tests.support.shop import fill, sample_products, shop

FLOORS = {"clean": 0.90, "typos, missing accents, slang": 0.88, "other languages": 0.88}
"""Below the measured figures by a margin for changes of the sample data."""


def gain(grades: Sequence[int]) -> float:
    return sum((2**grade - 1) / log2(place + 2) for place, grade in enumerate(grades[:10]))


def ndcg(query: Rated, found: Sequence[str]) -> float:
    best = gain(sorted(query.grades.values(), reverse=True))
    return gain([query.grades.get(id, 0) for id in found]) / best


async def measure() -> dict[str, list[tuple[float, Rated, list[str]]]]:
    """(nDCG@10, query, ids found) by kind of query."""
    scores: dict[str, list[tuple[float, Rated, list[str]]]] = {}
    async with shop() as store:
        await fill(store, sample_products())
        for query in rated():
            call = SearchProducts(text=query.query, brand=query.brand, in_stock=False, limit=10)
            found = [str(hit.product.id) for hit in (await store.call(call)).hits]
            scores.setdefault(query.kind, []).append((ndcg(query, found), query, found))
    return scores


async def test_rated_queries_find_what_was_meant() -> None:
    scores = await measure()
    assert sum(len(some) for some in scores.values()) >= 60
    for kind, some in scores.items():
        mean = sum(score for score, _, _ in some) / len(some)
        print(f"nDCG@10 {kind}: {mean:.3f} over {len(some)} queries")
        weak = [
            f"{score:.2f} {query.brand}: {query.query} → {found[:4]}" for score, query, found in some if score < 0.7
        ]
        assert mean >= FLOORS[kind], "\n".join(weak)


async def test_rated_products_exist() -> None:
    known = {(product.brand, str(product.id)) for product in sample_products()}
    for query in rated():
        assert query.grades
        for id in query.grades:
            assert (query.brand, id) in known, f"{query.query}: {id}"
