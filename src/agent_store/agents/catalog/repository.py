from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from agent_store.agents.catalog import tables as t
from agent_store.kernel.context import Repository, Row
from agent_store.kernel.sql import insert

CHUNK = 500
"""Ids asked for in one statement at most."""

p, v, d = t.products, t.variants, t.details

_STATE = select(t.state).where(t.state.c.name == "catalog").with_for_update()
_ADD_STATE = insert(t.state).on_conflict_do_nothing(index_elements=["name"])
_SET_REVISION = update(t.state).where(t.state.c.name == "catalog").values(revision=bindparam("p_revision"))

_BRANDS = select(t.brands).with_for_update()
_ADD_BRAND = insert(t.brands)
_PUT_BRAND = _ADD_BRAND.on_conflict_do_update(index_elements=["brand"], set_={"last": _ADD_BRAND.excluded.last})

_WHOLE = select(p, d.c.attributes, d.c.picture, d.c.description).join(d, d.c.number == p.c.number)
_PRODUCTS_BY_NUMBER = _WHOLE.where(p.c.number.in_(bindparam("p_numbers", expanding=True)))
_PRODUCTS_BY_ID = _WHOLE.where(p.c.id.in_(bindparam("p_ids", expanding=True)))
_PAGE = (
    _WHOLE.where(p.c.number > bindparam("p_after"), p.c.number < bindparam("p_end"))
    .order_by(p.c.number)
    .limit(bindparam("p_limit"))
)
_BRAND = select(t.brands.c.number).where(t.brands.c.brand == bindparam("p_brand"))
_IDS = select(p.c.id).where(p.c.id.in_(bindparam("p_ids", expanding=True)))
_VARIANTS = (
    select(v)
    .where(v.c.product_id.in_(bindparam("p_ids", expanding=True)), v.c.active)
    .order_by(v.c.product_id, v.c.position)
)
_OWNERS = select(v.c.sku, v.c.product_id, v.c.active).where(v.c.sku.in_(bindparam("p_skus", expanding=True)))
_COMPLEMENTS = (
    select(t.complements)
    .where(t.complements.c.product_id.in_(bindparam("p_ids", expanding=True)))
    .order_by(t.complements.c.product_id, t.complements.c.position)
)

_ADD_PRODUCT = insert(p)
_DROP_PRODUCT = delete(p).where(p.c.number == bindparam("p_number"))
_ADD_DETAIL = insert(d)
_DROP_DETAIL = delete(d).where(d.c.number == bindparam("p_number"))
_ADD_VARIANT = insert(v)
_PUT_VARIANT = _ADD_VARIANT.on_conflict_do_update(
    index_elements=["sku"],
    set_={
        name: _ADD_VARIANT.excluded[name]
        for name in (
            "product_id", "position", "active", "color", "size", "color_key", "size_key", "options", "weight_g",
        )
    },
)  # fmt: skip
_DEACTIVATE = update(v).where(v.c.product_id == bindparam("p_product")).values(active=False)
_DROP_COMPLEMENTS = delete(t.complements).where(t.complements.c.product_id == bindparam("p_product"))
_ADD_COMPLEMENT = insert(t.complements)

_ADD_WORD = insert(t.words)
_COUNT_WORD = _ADD_WORD.on_conflict_do_update(
    index_elements=["brand", "word"],
    set_={"products": t.words.c.products + _ADD_WORD.excluded.products, "revision": _ADD_WORD.excluded.revision},
)
_ADD_CATEGORY = insert(t.categories)
_COUNT_CATEGORY = _ADD_CATEGORY.on_conflict_do_update(
    index_elements=["brand", "category"],
    set_={"products": t.categories.c.products + _ADD_CATEGORY.excluded.products},
)
_CATEGORIES = (
    select(t.categories.c.category, t.categories.c.products)
    .where(t.categories.c.brand == bindparam("p_brand"), t.categories.c.products > 0)
    .order_by(t.categories.c.products.desc(), t.categories.c.category)
)
_ALL_CATEGORIES = (
    select(t.categories.c.category, func.sum(t.categories.c.products).label("products"))
    .where(t.categories.c.products > 0)
    .group_by(t.categories.c.category)
    .order_by(func.sum(t.categories.c.products).desc(), t.categories.c.category)
)

_PRICE = (
    update(v)
    .where(v.c.sku == bindparam("p_sku"), v.c.price_version < bindparam("p_version"))
    .values(
        price_minor=bindparam("p_price"), list_price_minor=bindparam("p_list"), price_version=bindparam("p_version")
    )
)
_STOCK = (
    update(v)
    .where(v.c.sku == bindparam("p_sku"), v.c.stock_version < bindparam("p_version"))
    .values(available=bindparam("p_available"), stock_version=bindparam("p_version"))
)
_SIBLINGS = (
    select(v.c.product_id, v.c.color, v.c.size, v.c.price_minor, v.c.available)
    .where(v.c.product_id == select(v.c.product_id).where(v.c.sku == bindparam("p_sku")).scalar_subquery(), v.c.active)
    .order_by(v.c.position)
)
_SUM_UP = (
    update(p)
    .where(p.c.id == bindparam("p_product"))
    .values(
        price_minor=bindparam("p_price"),
        available=bindparam("p_available"),
        colors=bindparam("p_colors"),
        sizes=bindparam("p_sizes"),
    )
)

_LIGHT = (p.c.number, p.c.id, p.c.category, p.c.maker, p.c.price_minor, p.c.tags, p.c.colors)
_SHELF = and_(
    p.c.brand == bindparam("p_brand"),
    p.c.category == bindparam("p_category"),
    p.c.available > 0,
    p.c.price_minor.is_not(None),
    p.c.id != bindparam("p_except"),
)
_DEARER = (
    select(*_LIGHT)
    .where(_SHELF, p.c.price_minor >= bindparam("p_price"))
    .order_by(p.c.price_minor)
    .limit(bindparam("p_limit"))
)
_CHEAPER = (
    select(*_LIGHT)
    .where(_SHELF, p.c.price_minor < bindparam("p_price"))
    .order_by(p.c.price_minor.desc())
    .limit(bindparam("p_limit"))
)
_SAMPLE = (
    select(p.c.id)
    .where(p.c.brand == bindparam("p_brand"), p.c.category == bindparam("p_category"))
    .limit(bindparam("p_limit"))
    .subquery()
)
_other = t.products.alias("other")
_ASSOCIATIONS = (
    select(_other.c.category, func.count().label("times"))
    .select_from(_SAMPLE)
    .join(t.complements, t.complements.c.product_id == _SAMPLE.c.id)
    .join(_other, _other.c.id == t.complements.c.complement_id)
    .where(or_(_other.c.category != bindparam("p_category"), _other.c.brand != bindparam("p_brand")))
    .where(_other.c.brand == bindparam("p_brand"))
    .group_by(_other.c.category)
    .order_by(func.count().desc(), _other.c.category)
    .limit(5)
)


class Catalog(Repository):
    """Products as they stand in the catalogue: without prices and stock, which are other agents' to tell."""

    async def by_number(self, numbers: Sequence[int]) -> list[Row]:
        return await self.db.all(_PRODUCTS_BY_NUMBER, {"p_numbers": numbers}) if numbers else []

    async def by_id(self, ids: Sequence[str]) -> list[Row]:
        return await self._chunks(_PRODUCTS_BY_ID, "p_ids", ids)

    async def page(self, brand: str, after: int, limit: int) -> list[Row]:
        """A brand's products with a number above `after`, by number."""
        row = await self.db.first(_BRAND, {"p_brand": brand})
        if row is None:
            return []
        first, end = row["number"] << t.BRAND_SHIFT, (row["number"] + 1) << t.BRAND_SHIFT
        return list(await self.db.all(_PAGE, {"p_after": max(after, first), "p_end": end, "p_limit": limit}))

    async def known(self, ids: Sequence[str]) -> set[str]:
        return {row["id"] for row in await self._chunks(_IDS, "p_ids", ids)}

    async def variants(self, product_ids: Sequence[str]) -> dict[str, list[Row]]:
        """The variants on sale, by product, in the file's order."""
        found: dict[str, list[Row]] = {}
        for row in await self._chunks(_VARIANTS, "p_ids", product_ids):
            found.setdefault(row["product_id"], []).append(row)
        return found

    async def owners(self, skus: Sequence[str]) -> dict[str, tuple[str, bool]]:
        """The product that each of these SKUs belongs to, and whether it is on sale."""
        rows = await self._chunks(_OWNERS, "p_skus", skus)
        return {row["sku"]: (row["product_id"], row["active"]) for row in rows}

    async def complements(self, product_ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in await self._chunks(_COMPLEMENTS, "p_ids", product_ids):
            found.setdefault(row["product_id"], []).append(row["complement_id"])
        return found

    async def categories(self, brand: str | None) -> list[Row]:
        """Categories with products, largest first; of all brands for None."""
        if brand is None:
            return await self.db.all(_ALL_CATEGORIES)
        return await self.db.all(_CATEGORIES, {"p_brand": brand})

    async def near(self, product: Row, price_minor: int, limit: int) -> list[Row]:
        """Products in stock of the same brand and category, nearest in price: `limit` dearer, `limit` cheaper ones."""
        return await self.shelf(product["brand"], product["category"], price_minor, limit, but=product["id"])

    async def shelf(self, brand: str, category: str, price_minor: int, limit: int, *, but: str) -> list[Row]:
        asked = {
            "p_brand": brand, "p_category": category, "p_except": but, "p_price": price_minor, "p_limit": limit,
        }  # fmt: skip
        return [*await self.db.all(_DEARER, asked), *await self.db.all(_CHEAPER, asked)]

    async def associations(self, brand: str, category: str) -> list[tuple[str, int]]:
        """The brand's categories that products of this one name as complements, most often first (over 300 of them)."""
        rows = await self.db.all(_ASSOCIATIONS, {"p_brand": brand, "p_category": category, "p_limit": 300})
        return [(row["category"], row["times"]) for row in rows]

    async def _chunks(self, statement: Any, name: str, values: Sequence[str]) -> list[Row]:
        found: list[Row] = []
        for start in range(0, len(values), CHUNK):
            found.extend(await self.db.all(statement, {name: values[start : start + CHUNK]}))
        return found


class Projections(Repository):
    """Prices and stock as last heard, the newest version of each; they filter and rank."""

    async def price(self, sku: str, version: int, price_minor: int, list_price_minor: int | None) -> bool:
        """False when a newer one is known, or the SKU is not in the catalogue."""
        given = {"p_sku": sku, "p_version": version, "p_price": price_minor, "p_list": list_price_minor}
        return await self.db.run(_PRICE, given) > 0

    async def stock(self, sku: str, version: int, available: int) -> bool:
        return await self.db.run(_STOCK, {"p_sku": sku, "p_version": version, "p_available": available}) > 0

    async def sum_up(self, sku: str) -> None:
        """Bring the product of this SKU up to its variants."""
        await self.sum_up_products([await self.db.all(_SIBLINGS, {"p_sku": sku})])

    async def sum_up_products(self, families: Iterable[Sequence[Row]]) -> None:
        """Bring products up to their variants, given a product at a time."""
        await self.db.many(_SUM_UP, [_summary(rows) for rows in families if rows])


def _summary(rows: Sequence[Row]) -> dict[str, Any]:
    sold = [row for row in rows if row["available"] > 0]
    priced = [row["price_minor"] for row in sold or rows if row["price_minor"] is not None]
    return {
        "p_product": rows[0]["product_id"],
        "p_price": min(priced, default=None),
        "p_available": sum(row["available"] for row in rows),
        "p_colors": "|".join(dict.fromkeys(row["color"] for row in sold if row["color"])),
        "p_sizes": "|".join(dict.fromkeys(row["size"] for row in sold if row["size"])),
    }


class Imports(Repository):
    """What an import writes."""

    async def begin(self, generation: str) -> int:
        """The number of this import. It holds the catalogue's row, so that two imports never run at once."""
        await self.db.run(_ADD_STATE, {"name": "catalog", "generation": generation, "revision": 0})
        row = await self.db.first(_STATE)
        revision = (row["revision"] if row else 0) + 1
        await self.db.run(_SET_REVISION, {"p_revision": revision})
        return revision

    async def brands(self) -> dict[str, tuple[int, int]]:
        """Number and highest product number given out, by brand."""
        return {row["brand"]: (row["number"], row["last"]) for row in await self.db.all(_BRANDS)}

    async def put_brands(self, brands: Mapping[str, tuple[int, int]]) -> None:
        await self.db.many(
            _PUT_BRAND, [{"brand": brand, "number": number, "last": last} for brand, (number, last) in brands.items()]
        )

    async def drop_products(self, numbers: Iterable[int]) -> None:
        rows = [{"p_number": number} for number in numbers]
        await self.db.many(_DROP_PRODUCT, rows)
        await self.db.many(_DROP_DETAIL, rows)

    async def clear(self, product_ids: Sequence[str]) -> None:
        """Before products are written anew: their variants rest, their complements are gone."""
        ids = [{"p_product": id} for id in product_ids]
        await self.db.many(_DEACTIVATE, ids)
        await self.db.many(_DROP_COMPLEMENTS, ids)

    async def add(
        self,
        products: Sequence[Mapping[str, Any]],
        details: Sequence[Mapping[str, Any]],
        variants: Sequence[Mapping[str, Any]],
        complements: Sequence[Mapping[str, Any]],
        revision: int,
        at: datetime,
    ) -> None:
        await self.db.many(_ADD_PRODUCT, [{**row, "revision": revision, "updated_at": at} for row in products])
        await self.db.many(_ADD_DETAIL, details)
        await self.db.many(_PUT_VARIANT, variants)
        await self.db.many(_ADD_COMPLEMENT, complements)

    async def count(
        self, words: Mapping[tuple[str, str], int], categories: Mapping[tuple[str, str], int], revision: int
    ) -> None:
        """Add these differences to the vocabulary and the categories, by (brand, word or category)."""
        await self.db.many(
            _COUNT_WORD,
            [
                {"brand": brand, "word": word[:128], "products": change, "revision": revision}
                for (brand, word), change in words.items()
                if change
            ],
        )
        await self.db.many(
            _COUNT_CATEGORY,
            [
                {"brand": brand, "category": category, "products": change}
                for (brand, category), change in categories.items()
                if change
            ],
        )
