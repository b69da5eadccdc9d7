"""The store's own catalogue as the simulated phones show it, where no catalogue was sent to the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agent_store.agents.whatsapp.phone import Product, ShopNumber
from agent_store.contracts.catalog import GetProducts, ProductView, SearchProducts, VariantView
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal

_AT_ONCE = 20
"""Ids that the catalogue takes in one call."""


class StoreShelf:
    """`adapters.whatsapp.simulator_hub.Shelf` by the catalogue's tools. A retailer id is a SKU."""

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime

    async def search(self, number: ShopNumber, words: str, limit: int) -> Sequence[Product]:
        wanted = SearchProducts(text=words[:200], brand=number.brand or "*", in_stock=False, limit=min(limit, 50))
        found = await self._runtime().call(wanted, Principal(brand=number.brand))
        products = [_product(hit.product, variant) for hit in found.hits for variant in hit.product.variants]
        return products[:limit]

    async def find(self, number: ShopNumber, retailer_ids: Sequence[str]) -> Mapping[str, Product]:
        found: dict[str, Product] = {}
        for start in range(0, len(retailer_ids), _AT_ONCE):
            part = tuple(retailer_ids[start : start + _AT_ONCE])
            for product in await self._runtime().call(GetProducts(ids=part), Principal(brand=number.brand)):
                if number.brand in (None, product.brand):
                    found |= {str(one.sku): _product(product, one) for one in product.variants if one.sku in part}
        return found


def _product(product: ProductView, variant: VariantView) -> Product:
    options = [variant.color, variant.size, *variant.options.values()]
    return Product(
        retailer_id=str(variant.sku),
        title=", ".join(part for part in (product.name, *options) if part),
        price=variant.price.minor,
        currency=variant.price.currency,
        image=product.image,
        description=product.description,
        available=variant.available > 0,
    )
