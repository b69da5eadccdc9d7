"""What the full-text indexes of both databases have in common: how they are asked, page by page and filter by filter.

A database brings its own words (`Language`): how a match is written, and the few conditions that each spells its own way.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, bindparam, select, text

from agent_store.agents.catalog import tables as t
from agent_store.agents.catalog.search import RANKED, Candidate, Filters, Group, Match, Sort
from agent_store.kernel.context import Repository, Row, Session

SCANNED = 2000
"""Products whose filters are looked at: of what fits the words, the newest. All of them only when none of these fits."""

_BRAND = select(t.brands.c.number).where(t.brands.c.brand == bindparam("p_brand"))
_ORDER = {"price": "p.price_minor", "-price": "p.price_minor DESC"}
_COLUMNS = "p.number, p.id, p.category, p.maker, p.price_minor, p.colors, p.sizes, p.terms"


@dataclass(frozen=True, slots=True)
class Language:
    """A database's own words: SQL with named parameters."""

    matched: str
    """FROM and WHERE of the products that fit `:match`, the newest `:scan` of them looked at; ends within WHERE."""
    newest_first: str
    """ORDER BY of `matched`, empty when it comes in that order by itself."""
    within: str
    """A condition on `p`: it fits `:match`."""
    category: str
    color: str
    """A condition on the variant `v`, with `{name}` for the parameter's name."""


class FullText(Repository):
    """The part of `search.SearchIndex` that is asked of the tables."""

    language: Language
    everything: int | None = None
    """The LIMIT that is none."""

    def __init__(self, db: Session) -> None:
        super().__init__(db)
        self._numbers: dict[str, int] = {}

    @abstractmethod
    def expression(self, match: Match, narrow: Sequence[Group], brand: int | None, *, telling: bool = False) -> str:
        """The match in the index's own query language. `telling`: outside of the description."""

    @abstractmethod
    def scope(self, brand: int | None) -> Mapping[str, Any]:
        """Parameters beside `:match` that keep to a brand's products."""

    @abstractmethod
    def categories(self, slugs: Sequence[str]) -> Any:
        """The value of `:categories`."""

    async def find(self, match: Match, filters: Filters, sort: Sort = "relevance") -> list[Candidate]:
        brand, known = await self.brand_number(filters.brand)
        if not known:
            return []
        narrow = _as_groups(filters)
        params = {**self.scope(brand), **self._values(filters)}
        expression = self.expression(match, narrow, brand)
        if match.at_most <= RANKED:
            return await self._matching(expression, params, filters, sort)
        telling = self.expression(match, narrow, brand, telling=True)
        found = await self._matching(telling, params, filters, sort)
        if len(found) < RANKED:
            numbers = {candidate.number for candidate in found}
            more = await self._matching(expression, params, filters, sort)
            found.extend(candidate for candidate in more if candidate.number not in numbers)
        return found[:RANKED]

    async def _matching(
        self, expression: str, params: Mapping[str, Any], filters: Filters, sort: Sort
    ) -> list[Candidate]:
        statement = _matched(self.language, tuple(sorted(params)), filters.in_stock, sort)
        given = {**params, "match": expression, "limit": RANKED}
        rows = await self.db.all(statement, {**given, "scan": SCANNED if sort == "relevance" else self.everything})
        if not rows and sort == "relevance" and filters.named():
            # Not among the newest; "nothing fits" must be true, so now all of them, which takes its time.
            rows = await self.db.all(statement, {**given, "scan": self.everything})
        return [_candidate(row) for row in rows]

    async def browse(self, filters: Filters, sort: Sort = "relevance", skip: int = 0) -> list[Candidate]:
        asked = await self._browsing(filters)
        if asked is None:
            return []
        along_price = sort != "relevance" or filters.min_price is not None or filters.max_price is not None
        order = _ORDER.get(sort, _ORDER["price"]) if along_price else "p.number DESC"
        statement = _browsed(self.language, tuple(sorted(asked)), order, filters.in_stock)
        return [_candidate(row) for row in await self.db.all(statement, {**asked, "limit": RANKED, "skip": skip})]

    async def total(self, filters: Filters) -> int:
        asked = await self._browsing(filters)
        if asked is None:
            return 0
        row = await self.db.first(_counted(self.language, tuple(sorted(asked)), filters.in_stock), asked)
        return row["n"] if row else 0

    async def _browsing(self, filters: Filters) -> dict[str, Any] | None:
        """Parameters for looking without words; None for a brand without products."""
        brand, known = await self.brand_number(filters.brand)
        if not known:
            return None
        asked = self._values(filters)
        narrow = _as_groups(filters)
        along_price = filters.min_price is not None or filters.max_price is not None
        if filters.brand is not None and not narrow and (along_price or filters.categories is not None):
            return {**asked, "brand": filters.brand}
        if narrow:
            return {**asked, **self.scope(brand), "match": self.expression(Match(), narrow, brand)}
        low, high = bounds(brand)
        return {**asked, "low": low, "high": high}

    async def brand_number(self, brand: str | None) -> tuple[int | None, bool]:
        """A brand's number (None for all brands), and whether it has products at all."""
        if brand is None:
            return None, True
        known = self._numbers.get(brand)
        if known is None:
            row = await self.db.first(_BRAND, {"p_brand": brand})
            if row is None:
                return None, False
            known = self._numbers[brand] = row["number"]
        return known, True

    def _values(self, filters: Filters) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if filters.categories is not None:
            values["categories"] = self.categories(filters.categories)
        if filters.colors is not None:
            values.update((f"color_{place}", f" {' '.join(phrase)} ") for place, phrase in enumerate(filters.colors))
        if filters.size is not None:
            values["size"] = filters.size
        if filters.min_price is not None:
            values["min_price"] = filters.min_price
        if filters.max_price is not None:
            values["max_price"] = filters.max_price
        return values


def bounds(brand: int | None) -> tuple[int, int]:
    """The range of a brand's product numbers; of all numbers for None."""
    if brand is None:
        return 0, (1 << 63) - 1
    low = brand << t.BRAND_SHIFT
    return low, low + (1 << t.BRAND_SHIFT) - 1


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


def _conditions(language: Language, given: tuple[str, ...], in_stock: bool) -> list[str]:
    """SQL for the filters. The variant that has the colour must also have the size, the price and the stock."""
    where = ["p.price_minor IS NOT NULL"]
    if in_stock:
        where.append("p.available > 0")
    if "categories" in given:
        where.append(language.category)
    if "max_price" in given:
        where.append("p.price_minor <= :max_price")
    fits = ["v.product_id = p.id", "v.active"]
    if in_stock:
        fits.append("v.available > 0")
    if "color_0" in given:
        colors = (language.color.format(name=name) for name in given if name.startswith("color_"))
        fits.append(f"({' OR '.join(colors)})")
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
def _matched(language: Language, given: tuple[str, ...], in_stock: bool, sort: Sort) -> TextClause:
    """What fits, the newest or by price. The newest come in order, so that both limits stop the work."""
    where = _conditions(language, given, in_stock)
    order = f" ORDER BY {_ORDER[sort]}" if sort in _ORDER else language.newest_first
    return text(f"SELECT {_COLUMNS} {language.matched} {' AND '.join(where)}{order} LIMIT :limit")


def _browsing_from(language: Language, given: tuple[str, ...], in_stock: bool) -> str:
    """FROM and WHERE without words: along the index of prices, or of what has a colour, size or maker."""
    where = _conditions(language, given, in_stock)
    if "match" in given:
        where.append(language.within)
    else:
        where.append("p.brand = :brand" if "brand" in given else "p.number BETWEEN :low AND :high")
    return f"FROM catalog_products p WHERE {' AND '.join(where)}"


@lru_cache(maxsize=256)
def _browsed(language: Language, given: tuple[str, ...], order: str, in_stock: bool) -> TextClause:
    source = _browsing_from(language, given, in_stock)
    return text(f"SELECT {_COLUMNS} {source} ORDER BY {order} LIMIT :limit OFFSET :skip")


@lru_cache(maxsize=256)
def _counted(language: Language, given: tuple[str, ...], in_stock: bool) -> TextClause:
    return text(f"SELECT count(*) AS n {_browsing_from(language, given, in_stock)}")


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
