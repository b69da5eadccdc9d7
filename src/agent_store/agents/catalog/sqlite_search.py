"""The index on SQLite: FTS5 finds, the vocabulary is in memory."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import bindparam, select, text

from agent_store.agents.catalog import tables as t
from agent_store.agents.catalog.fulltext import FullText, Language, bounds
from agent_store.agents.catalog.search import Document, Group, Match
from agent_store.agents.catalog.vocabulary import Lexicon, Vocabulary

R = TypeVar("R")

_NAMES, _PLACES = ", ".join(t.FIELDS), ", ".join(f":{name}" for name in t.FIELDS)
_ADD = text(f"INSERT INTO catalog_index (rowid, {_NAMES}) VALUES (:number, {_PLACES})")  # noqa: S608  # our own names
_DROP = text("DELETE FROM catalog_index WHERE rowid = :number")
_FIRST = text(
    "SELECT rowid FROM catalog_index WHERE catalog_index MATCH :match AND rowid BETWEEN :low AND :high LIMIT 1"
)
_STATE = select(t.state.c.generation, t.state.c.revision).where(t.state.c.name == "catalog")
_WORDS = select(t.words.c.brand, t.words.c.word, t.words.c.products).where(t.words.c.revision > bindparam("p_seen"))

_vocabularies: OrderedDict[str, Vocabulary] = OrderedDict()
"""By the catalogue's generation, so that two stores in one process never mix; the last few used."""

_KEPT = 4
_TELLING = "name category tags maker color"
"""Columns whose words say what a product is."""


class SqliteSearch(FullText):
    """See `search.SearchIndex`."""

    everything = -1
    language = Language(
        matched=(
            "FROM (SELECT rowid AS number FROM catalog_index WHERE catalog_index MATCH :match"
            " AND rowid BETWEEN :low AND :high ORDER BY rowid DESC LIMIT :scan) f"
            " CROSS JOIN catalog_products p ON p.number = f.number WHERE"
        ),
        newest_first="",
        within=(
            "p.number IN"
            " (SELECT rowid FROM catalog_index WHERE catalog_index MATCH :match AND rowid BETWEEN :low AND :high)"
        ),
        category="p.category IN (SELECT value FROM json_each(:categories))",
        color="instr(v.color_key, :{name})",
    )

    async def ask(self, brand: str | None, question: Callable[[Lexicon], R]) -> R:
        return question((await self._vocabulary()).of(brand))

    async def _vocabulary(self) -> Vocabulary:
        """The words of all products, up to the last committed import."""
        row = await self.db.first(_STATE)
        if row is None:
            return Vocabulary()
        generation, revision = row["generation"], row["revision"]
        known = _vocabularies.get(generation)
        if known is None:
            known = _vocabularies[generation] = Vocabulary()
            while len(_vocabularies) > _KEPT:
                _vocabularies.popitem(last=False)
        _vocabularies.move_to_end(generation)
        if known.revision != revision:
            # A file put back from a backup has a lower revision: then nothing in memory is right.
            if known.revision > revision:
                known = _vocabularies[generation] = Vocabulary()
            rows = await self.db.all(_WORDS, {"p_seen": known.revision})
            known.update(((row["brand"], row["word"], row["products"]) for row in rows), revision)
        return known

    async def fits(self, match: Match, brand: str | None) -> bool:
        number, known = await self.brand_number(brand)
        if not known:
            return False
        return (
            await self.db.first(_FIRST, {"match": self.expression(match, (), number), **self.scope(number)}) is not None
        )

    async def spell(self, words: Sequence[str]) -> None:
        """Nothing: the vocabulary is read whole."""

    async def put(self, documents: Sequence[Document]) -> None:
        await self.db.many(
            _ADD,
            [
                {"number": document.number, **{name: document.fields.get(name, "") for name in t.FIELDS}}
                for document in documents
            ],
        )

    async def drop(self, numbers: Sequence[int]) -> None:
        await self.db.many(_DROP, [{"number": number} for number in numbers])

    def scope(self, brand: int | None) -> Mapping[str, Any]:
        low, high = bounds(brand)
        return {"low": low, "high": high}

    def categories(self, slugs: Sequence[str]) -> str:
        return json.dumps(slugs)

    def expression(self, match: Match, narrow: Sequence[Group], brand: int | None, *, telling: bool = False) -> str:
        """An FTS5 query. Stems are letters and digits only, and quoted, so nothing in them is an operator."""
        parts = [_one(group) for group in match.every]
        if match.some:
            parts.append(f"({' OR '.join(_one(group) for group in match.some)})")
        asked = " AND ".join(parts)
        if telling:
            asked = f"{{{_TELLING}}} : ({asked})"
        return " AND ".join((*([asked] if asked else ()), *(_one(group) for group in narrow)))


def _one(group: Group) -> str:
    phrases = [" AND ".join(f'"{part}"' for part in phrase) for phrase in group.any_of]
    either = " OR ".join(f"({phrase})" for phrase in phrases)
    return f"{{{group.field}}} : ({either})" if group.field else f"({either})"
