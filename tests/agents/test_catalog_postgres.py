"""What only the index on PostgreSQL has: spellings found in the database, and every question answered by an index."""

from __future__ import annotations

import random
from functools import partial
from typing import Any, cast

from sqlalchemy import TextClause, select, text

from agent_store.agents.catalog import tables as t
from agent_store.agents.catalog.agent import catalog
from agent_store.agents.catalog.postgres_search import PostgresSearch, _Asked, _Known, _Memory, _one_letter_away
from agent_store.agents.catalog.search import Filters, Group, Match
from agent_store.agents.catalog.vocabulary import Guess, Lexicon, Vocabulary
from agent_store.agents.catalog.words import stem
from agent_store.contracts.catalog import ImportCatalog, SearchProducts
from agent_store.kernel.context import Session
from agent_store.kernel.store import Unit
from agent_store.kernel.tool import Principal
from tests.agents.test_catalog import Shop, ids, product
from tests.bench.bench_search import mistype
from tests.support.shop import STAFF, sample_products, tools_of
from tests.support.store import TestStore

DATABASES = ("postgresql",)


async def test_typos_are_mended_as_by_one_who_has_read_the_whole_vocabulary() -> None:
    """SQLite's index keeps every word in memory: what it would guess, for words of each length with each kind of typo."""
    dice = random.Random(3)
    async with TestStore([tools_of(catalog)]) as store:
        await store.call(ImportCatalog(products=sample_products()), STAFF)
        rows = await store.rows(select(t.words.c.brand, t.words.c.word, t.words.c.products))
        whole = Vocabulary()
        whole.update(((row["brand"], row["word"], row["products"]) for row in rows), 1)
        search = PostgresSearch(store.runtime.store.reader)
        other: list[str] = []
        words = sorted(word for word in whole.of("home").counts if len(word) > 3 and word.isalpha())
        for word in dice.sample(words, 300):
            typo = mistype(word, dice) if len(word) > 4 else word[:2] + dice.choice("aeiou") + word[2:]
            if whole.of("home").count(stem(typo)):
                continue
            expected = whole.of("home").guess(typo)
            found = await search.ask("home", partial(_guess, typo))
            if found != expected:
                other.append(f"{typo}: {found} and not {expected}")
        assert len(other) <= 3, "\n".join(other)


def _guess(word: str, words: Lexicon) -> tuple[Guess, ...]:
    return words.guess(word)


async def test_the_words_of_another_brand_mend_nothing() -> None:
    async with Shop() as house:
        search = PostgresSearch(house.store.runtime.store.reader)
        assert await search.ask("fashion", lambda words: words.count("ouvid")) == 0
        assert await search.ask("tech", lambda words: words.count("ouvid")) == 1
        assert await search.ask("fashion", lambda words: words.guess("ouvdo")) == ()
        assert await search.ask("nobody", lambda words: words.count("ouvid")) == 0


async def test_what_was_asked_for_is_remembered_until_the_next_import() -> None:
    async with Shop() as house:
        assert (await house.search("chapeu de palha", relax=False)).hits == ()
        new = product("hat", "Chapéu de Palha", "chapeus")
        await house.store.call(ImportCatalog(products=(new,)), STAFF)
        await house.store.settle()
        assert ids(await house.search("chapeu de palha", relax=False)) == ["hat"]


async def test_words_longer_than_any_word_are_taken_in() -> None:
    long = "x" * 5000
    async with Shop(product("odd", f"Vestido {'y' * 100}", "vestidos", description=f"feito {long}")) as house:
        assert ids(await house.search("vestido")) == ["odd"]
        assert ids(await house.search("y" * 100)) == ["odd"]
        assert ids(await house.search("x" * 190, relax=False)) == []


async def test_every_question_is_answered_by_an_index() -> None:
    """With few rows PostgreSQL would rather read a small table whole: so that is forbidden while it plans."""
    async with Shop() as house:
        plans: list[str] = []

        async def explain(unit: Unit) -> None:
            await unit.db.run(text("SET LOCAL enable_seqscan = off"))
            search = PostgresSearch(cast("Session", Explained(unit.db, plans)))
            dress, red = Group((("vestid",),), products=5000), (("vermelh",),)
            filters = Filters(
                brand="fashion", colors=red, size="m", min_price=1, max_price=10**6, categories=("vestidos",)
            )
            await search.ask(
                "fashion", lambda words: (words.count("vestid"), words.guess("vesitdo"), words.guess("sapto"))
            )
            await search.ask(None, lambda words: words.count("vestid"))
            await search.fits(Match(every=(dress,)), "fashion")
            await search.find(Match(every=(dress,)), filters)
            await search.find(Match(some=(dress,)), Filters(brand="fashion"), "price")
            await search.browse(filters)
            await search.browse(Filters(brand="fashion", max_price=10**6))
            await search.total(Filters(colors=red))

        await house.store.runtime.store.run(explain, agent="catalog")
        assert len(plans) >= 12
        for plan in plans:
            seen = [line for line in plan.splitlines() if "Seq Scan" in line and "catalog_brands" not in line]
            assert not seen, plan


class Explained:
    """A session that asks for the plan of each statement as well."""

    kind = "postgresql"

    def __init__(self, db: Any, plans: list[str]) -> None:
        self._db = db
        self._plans = plans

    async def all(self, statement: Any, params: Any = None) -> Any:
        if isinstance(statement, TextClause):
            rows = await self._db.all(_explained(statement), params)
            self._plans.append("\n".join(row["QUERY PLAN"] for row in rows))
        return await self._db.all(statement, params)

    async def first(self, statement: Any, params: Any = None) -> Any:
        rows = await self.all(statement, params)
        return rows[0] if rows else None


def _explained(statement: Any) -> Any:
    return text(f"EXPLAIN {statement}")


# --- without a database


def test_all_spellings_with_one_letter_wrong_are_near() -> None:
    near = _one_letter_away("bolsa")
    assert {"bola", "blosa", "bolsas", "nolsa", "bolsa", "abolsa", "bols"} <= near
    assert "bolas" in near
    assert "sacola" not in near


def test_what_is_not_known_yet_is_taken_for_known_and_written_down() -> None:
    known = _Known()
    known.stems.update(a=2, b=0)
    words = _Asked(known)
    lexicon: Lexicon = words
    assert lexicon.has(("a", "c"))
    assert not lexicon.has(("b", "d")), "one that is known to be missing settles it"
    assert (lexicon.count("a"), lexicon.guess("x")) == (2, ())
    assert (list(words.stems), list(words.words)) == (["c"], ["x"])
    assert Vocabulary().of(None).count("a") == 0


def test_memory_keeps_the_last_catalogues_in_their_newest_state() -> None:
    memory = _Memory()
    first = memory.of("one", 1, "fashion")
    first.stems["a"] = 1
    assert memory.of("one", 1, "fashion") is first
    assert memory.of("one", 2, "fashion").stems == {}
    for other in range(10):
        memory.of(f"other {other}", 1, None)
    assert memory.of("one", 2, "fashion").stems == {}


async def test_a_search_for_all_brands_and_none() -> None:
    async with Shop() as house:
        everywhere = await house.store.call(SearchProducts(text="fone", brand="*"), Principal())
        assert ids(everywhere) == ["phone"]
