"""What a catalogue file must keep to, and what of a product is looked up. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agent_store.agents.catalog.search import Document
from agent_store.agents.catalog.words import content, size_key, stem
from agent_store.contracts.catalog import ImportProduct, ImportVariant
from agent_store.kernel.context import Row
from agent_store.kernel.errors import InvalidInput

SHOWN = 20
"""Problems named in an error's message at most; its details hold all up to a thousand."""


def check(products: Sequence[ImportProduct]) -> None:
    """What can be seen without looking at what is there already. Raises InvalidInput that names every problem."""
    problems: list[str] = []
    ids = Counter(product.id for product in products)
    problems.extend(f"{id}: the product stands in the file {count} times" for id, count in ids.items() if count > 1)
    skus = Counter(variant.sku for product in products for variant in product.variants)
    for product in products:
        if product.id in product.complements:
            problems.append(f"{product.id}: complements: a product does not complement itself")
        for variant in product.variants:
            problems.extend(f"{product.id}: {variant.sku}: {problem}" for problem in odd(variant))
            if skus[variant.sku] > 1:
                problems.append(f"{product.id}: {variant.sku}: the SKU stands in the file {skus[variant.sku]} times")
    refuse(problems)


def odd(variant: ImportVariant) -> list[str]:
    problems: list[str] = []
    currencies = {money.currency for money in (variant.price, variant.list_price, variant.floor) if money is not None}
    if len(currencies) > 1:
        return [f"price: one currency, not {' and '.join(sorted(currencies))}"]
    if variant.price.minor <= 0:
        problems.append("price: above zero")
    if variant.list_price is not None and variant.list_price < variant.price:
        problems.append(f"list_price: {variant.list_price} is below the price {variant.price}")
    if variant.floor is not None and (variant.floor > variant.price or variant.floor.minor < 0):
        problems.append(f"floor: from 0 to the price {variant.price}")
    problems.extend(f"stock: {place} has {units} units" for place, units in variant.stock.items() if units < 0)
    return problems


def refuse(problems: Sequence[str]) -> None:
    """Raise InvalidInput if there are problems: nothing is imported."""
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InvalidInput(
            f"nothing was imported: {'; '.join(problems[:SHOWN])}{more}",
            code="catalog-refused",
            problems=list(problems[:1000]),
        )


def texts_of(product: ImportProduct) -> dict[str, str]:
    """What customers may look for, by column of the index, as written."""
    return _texts(product.__dict__, [variant.__dict__ for variant in product.variants])


def texts_of_row(product: Row, variants: Sequence[Row]) -> dict[str, str]:
    """The same of a product as it stands in the tables."""
    return _texts(product, variants)


def _texts(product: Mapping[str, Any], variants: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    colors = dict.fromkeys(variant["color"] for variant in variants if variant["color"])
    sizes = dict.fromkeys(size_key(variant["size"]) for variant in variants if variant["size"])
    options = dict.fromkeys(f"{name} {value}" for variant in variants for name, value in variant["options"].items())
    attributes = (f"{name} {value}" for name, value in product["attributes"].items())
    return {
        "name": product["name"],
        "category": product["category"],
        "tags": ", ".join(product["tags"]),
        "maker": product["maker"],
        "color": ", ".join(colors),
        "attributes": ", ".join((*attributes, *options)),
        "description": product["description"],
        "size": " ".join(sizes),
    }


def read(written: Mapping[str, str]) -> dict[str, list[str]]:
    """The folded words of these texts that say something, by column; sizes are keys already."""
    return {name: text.split() if name == "size" else content(text) for name, text in written.items()}


def document(number: int, said: Mapping[str, Sequence[str]]) -> Document:
    """The stems of these words."""
    return Document(
        number=number,
        fields={name: " ".join(found if name == "size" else map(stem, found)) for name, found in said.items()},
    )


def vocabulary(said: Mapping[str, Sequence[str]]) -> set[str]:
    """These words once each, sizes left out."""
    return {word for name, found in said.items() if name != "size" for word in found}


def color_key(color: str | None) -> str:
    """Stems between spaces, so that " azul " is found in " azul marinh "."""
    return f" {' '.join(stem(word) for word in content(color))} " if color else ""


def image_path(product_id: str) -> str:
    return f"/media/products/{product_id}.png"
