"""Putting a catalogue file in: all of it or nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agent_store.agents.catalog import model
from agent_store.agents.catalog.repository import Catalog, Imports, Projections
from agent_store.agents.catalog.search import Document, ranked_terms
from agent_store.agents.catalog.searching import index_of
from agent_store.agents.catalog.tables import BRAND_SHIFT
from agent_store.agents.catalog.words import size_key
from agent_store.contracts.catalog import ImportProduct, ImportReport, ProductImported, ProductUpdated
from agent_store.kernel.context import Context, Row

STRIDE = 500
"""Products written between two looks at what else the process has to do."""


async def put(ctx: Context, products: Sequence[ImportProduct]) -> ImportReport:
    """Replace these products by id. Prices and counted stock are told as facts: their own agents take them over.

    Raises InvalidInput that names every problem; then nothing is written.
    """
    model.check(products)
    catalog = ctx.get(Catalog)
    owners = await _refuse_what_does_not_fit(catalog, products)
    imports = ctx.get(Imports)
    revision = await imports.begin(ctx.new_id())
    numbers = await imports.brands()
    words: Counter[tuple[str, str]] = Counter()
    categories: Counter[tuple[str, str]] = Counter()
    for start in range(0, len(products), STRIDE):
        some = products[start : start + STRIDE]
        await _put_some(ctx, some, revision, numbers, owners, words, categories)
        await asyncio.sleep(0)  # a large file must not keep the rest of the process from reading
    await imports.put_brands(numbers)
    await index_of(ctx).spell(sorted({word for (_, word), change in words.items() if change > 0}))
    await imports.count(words, categories, revision)
    return ImportReport(products=len(products), variants=sum(len(product.variants) for product in products))


async def _refuse_what_does_not_fit(catalog: Catalog, products: Sequence[ImportProduct]) -> Mapping[str, Any]:
    """What only shows beside what is there already. Returns the SKUs that are known."""
    ids = {product.id for product in products}
    named = {id for product in products for id in product.complements} - ids
    there = await catalog.known(sorted(named))
    problems = [
        f"{product.id}: complements: there is no product {id}"
        for product in products
        for id in product.complements
        if id not in ids and id not in there
    ]
    owners = await catalog.owners([variant.sku for product in products for variant in product.variants])
    for product in products:
        for variant in product.variants:
            owner, active = owners.get(variant.sku, (product.id, False))
            if active and owner not in ids:
                problems.append(f"{product.id}: {variant.sku}: the SKU belongs to {owner}")
    model.refuse(problems)
    return owners


async def _put_some(
    ctx: Context,
    products: Sequence[ImportProduct],
    revision: int,
    numbers: dict[str, tuple[int, int]],
    owners: Mapping[str, Any],
    words: Counter[tuple[str, str]],
    categories: Counter[tuple[str, str]],
) -> None:
    catalog, imports, index = ctx.get(Catalog), ctx.get(Imports), index_of(ctx)
    ids = [product.id for product in products]
    old = {row["id"]: row for row in await catalog.by_id(ids)}
    before = await catalog.variants(list(old))
    for row in old.values():
        said = model.read(model.texts_of_row(row, before.get(row["id"], [])))
        words.subtract((row["brand"], word) for word in model.vocabulary(said))
        categories[row["brand"], row["category"]] -= 1
    await index.drop([row["number"] for row in old.values()])
    await imports.drop_products(row["number"] for row in old.values())
    await imports.clear(list(old))

    documents: list[Document] = []
    rows: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    for product in products:
        number = _number(product, old.get(product.id), numbers)
        said = model.read(model.texts_of(product))
        words.update((product.brand, word) for word in model.vocabulary(said))
        categories[product.brand, product.category] += 1
        documents.append(model.document(number, said))
        rows.append(_product_row(product, number, ranked_terms(documents[-1])))
        details.append(
            {
                "number": number,
                "attributes": product.attributes,
                "picture": product.picture,
                "description": product.description,
            }
        )
    await imports.add(rows, details, _variant_rows(products), _complement_rows(products), revision, ctx.now())
    await index.put(documents)
    known = [p.id for p in products if p.id in old or any(variant.sku in owners for variant in p.variants)]
    await ctx.get(Projections).sum_up_products((await catalog.variants(known)).values())
    for product in products:
        ctx.emit(
            ProductImported(
                product_id=product.id,
                brand=product.brand,
                name=product.name,
                variants=product.variants,
                revision=revision,
            )
        )
        skus = tuple(variant.sku for variant in product.variants)
        ctx.emit(ProductUpdated(product_id=product.id, brand=product.brand, skus=skus))


def _number(product: ImportProduct, old: Row | None, numbers: dict[str, tuple[int, int]]) -> int:
    """The product's number: what it had, unless it is new or moves to another brand."""
    if old is not None and old["brand"] == product.brand:
        return old["number"]
    brand, last = numbers.get(product.brand) or (max((number for number, _ in numbers.values()), default=0) + 1, 0)
    numbers[product.brand] = (brand, last + 1)
    return (brand << BRAND_SHIFT) + last + 1


def _product_row(product: ImportProduct, number: int, terms: str) -> dict[str, Any]:
    return {
        "number": number,
        "id": product.id,
        "brand": product.brand,
        "category": product.category,
        "price_minor": None,
        "available": 0,
        "colors": "",
        "sizes": "",
        "terms": terms,
        "maker": product.maker,
        "name": product.name,
        "tags": list(product.tags),
    }


def _variant_rows(products: Sequence[ImportProduct]) -> list[dict[str, Any]]:
    return [
        {
            "sku": variant.sku,
            "product_id": product.id,
            "position": position,
            "active": True,
            "color": variant.color,
            "size": variant.size,
            "color_key": model.color_key(variant.color),
            "size_key": size_key(variant.size) if variant.size else "",
            "options": variant.options,
            "weight_g": variant.weight_g,
        }
        for product in products
        for position, variant in enumerate(product.variants)
    ]


def _complement_rows(products: Sequence[ImportProduct]) -> list[dict[str, Any]]:
    return [
        {"product_id": product.id, "position": position, "complement_id": id}
        for product in products
        for position, id in enumerate(dict.fromkeys(product.complements))
    ]
