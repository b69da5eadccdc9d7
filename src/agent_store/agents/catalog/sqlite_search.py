"""The index on SQLite: FTS5 finds, the vocabulary is in memory."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, bindparam, select, text

from agent_store.agents.catalog import tables as t
from agent_store.agents.catalog.search import RANKED, Candidate, Document, Filters, Group, Match, Sort
from agent_store.agents.catalog.vocabulary import Vocabulary
from agent_store.kernel.context import Repository, Row, Session

SCANNED = 2000
"""Products whose filters are looked at: of what fits the words, the newest. All of them only when none of these fits."""

_NAMES, _PLACES = ", ".join(t.FIELDS), ", ".join(f":{name}" for name in t.FIELDS)
_ADD = text(f"INSERT INTO catalog_index (rowid, {_NAMES}) VALUES (:number, {_PLACES})")  # noqa: S608  # our own names
_DROP = text("DELETE FROM catalog_index WHERE rowid = :number")
_COUNT = text(
    "SELECT count(*) AS n FROM catalog_index WHERE catalog_index MATCH :match AND rowid BETWEEN :low AND :high"
)
_STATE = select(t.state.c.generation, t.state.c.revision).where(t.state.c.name == "catalog")
_WORDS = select(t.words.c.brand, t.words.c.word, t.words.c.products).where(t.words.c.revision > bindparam("p_seen"))
_BRAND = select(t.brands.c.number).where(t.brands.c.brand == bindparam("p_brand"))

_vocabularies: OrderedDict[str, Vocabulary] = OrderedDict()
"""By the catalogue's generation, so that two stores in one process never mix; the last few used."""

_KEPT = 4
_ALL = -1
_ORDER = {"price": "p.price_minor", "-price": "p.price_minor DESC"}
_TELLING = "name category tags maker color"
"""Columns whose words say what a product is."""

_EVERYTHING = (0, (1 << 63) - 1)


class SqliteSearch(Repository):
    """See `search.SearchIndex`."""

    def __init__(self, db: Session) -> None:
        super().__init__(db)
        self._ranges: dict[str, tuple[int, int]] = {}

    async def vocabulary(self) -> Vocabulary:
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

    async def count(self, match: Match, brand: str | None) -> int:
        bounds = await self._bounds(brand)
        if bounds is None:
            return 0
        row = await self.db.first(_COUNT, {"match": _expression(match), "low": bounds[0], "high": bounds[1]})
        return row["n"] if row else 0

    async def find(self, match: Match, filters: Filters, sort: Sort = "relevance") -> list[Candidate]:
        bounds = await self._bounds(filters.brand)
        if bounds is None:
            return []
        groups = _as_groups(filters)
        params: dict[str, Any] = {"low": bounds[0], "high": bounds[1], **_values(filters)}
        expression = _expression(match)
        narrow = [_one(group) for group in groups]
        if match.at_most <= RANKED:
            return await self._matching(" AND ".join((expression, *narrow)), params, filters, sort)
        telling = f"{{{_TELLING}}} : ({expression})"
        found = await self._matching(" AND ".join((telling, *narrow)), params, filters, sort)
        if len(found) < RANKED:
            known = {candidate.number for candidate in found}
            more = await self._matching(" AND ".join((expression, *narrow)), params, filters, sort)
            found.extend(candidate for candidate in more if candidate.number not in known)
        return found[:RANKED]

    async def _matching(
        self, expression: str, params: Mapping[str, Any], filters: Filters, sort: Sort
    ) -> list[Candidate]:
        statement = _matched(tuple(sorted(params)), filters.in_stock, sort)
        given = {**params, "match": expression, "limit": RANKED}
        rows = await self.db.all(statement, {**given, "scan": SCANNED if sort == "relevance" else _ALL})
        if not rows and sort == "relevance" and filters.named():
            # Not among the newest; "nothing fits" must be true, so now all of them, which takes its time.
            rows = await self.db.all(statement, {**given, "scan": _ALL})
        return [_candidate(row) for row in rows]

    async def browse(self, filters: Filters, sort: Sort = "relevance", skip: int = 0) -> list[Candidate]:
        asked = await self._browsing(filters)
        if asked is None:
            return []
        along_price = sort != "relevance" or filters.min_price is not None or filters.max_price is not None
        order = _ORDER.get(sort, _ORDER["price"]) if along_price else "p.number DESC"
        statement = _browsed(tuple(sorted(asked)), order, filters.in_stock)
        return [_candidate(row) for row in await self.db.all(statement, {**asked, "limit": RANKED, "skip": skip})]

    async def total(self, filters: Filters) -> int:
        asked = await self._browsing(filters)
        if asked is None:
            return 0
        row = await self.db.first(_counted(tuple(sorted(asked)), filters.in_stock), asked)
        return row["n"] if row else 0

    async def _browsing(self, filters: Filters) -> dict[str, Any] | None:
        """Parameters for looking without words; None for a brand without products."""
        bounds = await self._bounds(filters.brand)
        if bounds is None:
            return None
        asked = _values(filters)
        narrow = " AND ".join(_one(group) for group in _as_groups(filters))
        along_price = filters.min_price is not None or filters.max_price is not None
        if filters.brand is not None and not narrow and (along_price or filters.categories is not None):
            return {**asked, "brand": filters.brand}
        asked.update(low=bounds[0], high=bounds[1])
        if narrow:
            asked["match"] = narrow
        return asked

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

    async def _bounds(self, brand: str | None) -> tuple[int, int] | None:
        """The range of a brand's numbers; None for one without products."""
        if brand is None:
            return _EVERYTHING
        known = self._ranges.get(brand)
        if known is None:
            row = await self.db.first(_BRAND, {"p_brand": brand})
            if row is None:
                return None
            low = row["number"] << t.BRAND_SHIFT
            known = self._ranges[brand] = (low, low + (1 << t.BRAND_SHIFT) - 1)
        return known


def _as_groups(filters: Filters) -> list[Group]:
    """Filters that the index can answer: a rare colour is then found without looking at every product."""
    groups: list[Group] = []
    if filters.maker is not None:
        groups.append(filters.maker)
    if filters.colors is not None:
        groups.append(Group(any_of=filters.colors, field="color"))
    if filters.size is not None:
        groups.append(Group(any_of=((filters.size,),), field="size"))
    return groups


def _expression(match: Match) -> str:
    """An FTS5 query. Stems are letters and digits only, and quoted, so nothing in them is an operator."""
    parts = [_one(group) for group in match.every]
    if match.some:
        parts.append(f"({' OR '.join(_one(group) for group in match.some)})")
    return " AND ".join(parts)


def _one(group: Group) -> str:
    phrases = [" AND ".join(f'"{part}"' for part in phrase) for phrase in group.any_of]
    either = " OR ".join(f"({phrase})" for phrase in phrases)
    return f"{{{group.field}}} : ({either})" if group.field else f"({either})"


def _values(filters: Filters) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if filters.categories is not None:
        values["categories"] = json.dumps(filters.categories)
    if filters.colors is not None:
        values.update((f"color_{place}", f" {' '.join(phrase)} ") for place, phrase in enumerate(filters.colors))
    if filters.size is not None:
        values["size"] = filters.size
    if filters.min_price is not None:
        values["min_price"] = filters.min_price
    if filters.max_price is not None:
        values["max_price"] = filters.max_price
    return values


_COLUMNS = "p.number, p.id, p.category, p.maker, p.price_minor, p.colors, p.sizes, p.terms"


def _conditions(given: tuple[str, ...], in_stock: bool) -> list[str]:
    """SQL for the filters. The variant that has the colour must also have the size, the price and the stock."""
    where = ["p.price_minor IS NOT NULL"]
    if in_stock:
        where.append("p.available > 0")
    if "categories" in given:
        where.append("p.category IN (SELECT value FROM json_each(:categories))")
    if "max_price" in given:
        where.append("p.price_minor <= :max_price")
    fits = ["v.product_id = p.id", "v.active"]
    if in_stock:
        fits.append("v.available > 0")
    if "color_0" in given:
        fits.append(f"({' OR '.join(f'instr(v.color_key, :{name})' for name in given if name.startswith('color_'))})")
    if "size" in given:
        fits.append("v.size_key = :size")
    if "min_price" in given:
        fits.append("v.price_minor >= :min_price")
    if "max_price" in given:
        fits.append("v.price_minor <= :max_price")
    if {"color_0", "size", "min_price"} & set(given):
        where.append(f"EXISTS (SELECT 1 FROM catalog_variants v WHERE {' AND '.join(fits)})")  # noqa: S608  # fixed text
    return where


@lru_cache(maxsize=256)
def _matched(given: tuple[str, ...], in_stock: bool, sort: Sort) -> TextClause:
    """What fits, the newest or by price. The newest come in the index's own order, so that both limits stop the work."""
    where = _conditions(given, in_stock)
    order = f" ORDER BY {_ORDER[sort]}" if sort in _ORDER else ""
    return text(
        f"SELECT {_COLUMNS} FROM ("  # noqa: S608  # every value is a parameter
        "SELECT rowid AS number FROM catalog_index WHERE catalog_index MATCH :match AND rowid BETWEEN :low AND :high"
        " ORDER BY rowid DESC LIMIT :scan) f"
        f" CROSS JOIN catalog_products p ON p.number = f.number WHERE {' AND '.join(where)}{order} LIMIT :limit"
    )


def _browsing_from(given: tuple[str, ...], in_stock: bool) -> str:
    """FROM and WHERE without words: along the index of prices, or of what has a colour, size or maker."""
    where = _conditions(given, in_stock)
    if "match" in given:
        found = "SELECT rowid FROM catalog_index WHERE catalog_index MATCH :match AND rowid BETWEEN :low AND :high"
        where.append(f"p.number IN ({found})")
    else:
        where.append("p.brand = :brand" if "brand" in given else "p.number BETWEEN :low AND :high")
    return f"FROM catalog_products p WHERE {' AND '.join(where)}"


@lru_cache(maxsize=256)
def _browsed(given: tuple[str, ...], order: str, in_stock: bool) -> TextClause:
    source = _browsing_from(given, in_stock)
    return text(f"SELECT {_COLUMNS} {source} ORDER BY {order} LIMIT :limit OFFSET :skip")


@lru_cache(maxsize=256)
def _counted(given: tuple[str, ...], in_stock: bool) -> TextClause:
    return text(f"SELECT count(*) AS n {_browsing_from(given, in_stock)}")


def _candidate(row: Row) -> Candidate:
    return Candidate(
        number=row["number"],
        id=row["id"],
        category=row["category"],
        maker=row["maker"],
        price_minor=row["price_minor"],
        colors=row["colors"],
        sizes=row["sizes"],
        terms=row["terms"],
    )
