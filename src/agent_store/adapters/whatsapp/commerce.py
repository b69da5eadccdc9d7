"""The store's products and templates as Meta takes them. Pure.

Source: Marketing API, "Product Catalog Items Batch" (`item_type` PRODUCT_ITEM) and "Supported Fields for Products";
WhatsApp Business Management API, "Templates".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from agent_store.contracts.catalog import ProductView, VariantView
from agent_store.contracts.common import Language
from agent_store.contracts.templates import CODES, TEMPLATES, Template
from agent_store.kernel.money import Money

Json = dict[str, Any]

BATCH = 1000
"""Items of one call: Meta takes 5,000 and recommends fewer than 3,000."""
TITLE = 200
DESCRIPTION = 9999


@dataclass(frozen=True)
class Shop:
    """Whose catalogue it is. `phone`: digits of the number that a click on a product opens a chat with."""

    name: str
    public_url: str
    phone: str = ""

    def link(self, product: ProductView, title: str) -> str:
        if self.phone:
            return f"https://wa.me/{self.phone}?text={quote(title)}"
        return f"{self.public_url}{product.image}"


def item(product: ProductView, variant: VariantView, shop: Shop) -> Json:
    """What Meta's catalogue shows of a variant: its id (`retailer_id` there) is our SKU, so that an order names it."""
    options = [variant.color, variant.size, *variant.options.values()]
    title = ", ".join(part for part in (product.name, *options) if part)
    before, now = variant.list_price, variant.price
    on_sale = before is not None and before.minor > now.minor
    found: Json = {
        "id": variant.sku,
        "item_group_id": product.id,
        "title": title[:TITLE],
        "description": (product.description or title)[:DESCRIPTION],
        "availability": "in stock" if variant.available > 0 else "out of stock",
        "condition": "new",
        "price": price(before if on_sale and before is not None else now),
        "sale_price": price(now) if on_sale else "",
        "link": shop.link(product, title),
        "image_link": f"{shop.public_url}{product.image}",
        "brand": product.maker or shop.name,
        "product_type": product.category,
    }
    if variant.color:
        found["color"] = variant.color[:200]
    if variant.size:
        found["size"] = variant.size[:200]
    return found


def price(money: Money) -> str:
    """Decimal with a point and the currency's code: "199.90 BRL"."""
    return f"{money.minor // 100}.{money.minor % 100:02d} {money.currency}"


def updates(products: Iterable[ProductView], shop: Shop) -> Iterator[Json]:
    """A request a variant; Meta makes what it does not have yet."""
    for product in products:
        for variant in product.variants:
            yield {"method": "UPDATE", "data": item(product, variant, shop)}


def deletes(skus: Iterable[str]) -> Iterator[Json]:
    for sku in skus:
        yield {"method": "DELETE", "data": {"id": sku}}


def template(found: Template, language: Language) -> Json:
    """The body of `POST /<business account>/message_templates`."""
    body: Json = {"type": "BODY", "text": found.bodies[language]}
    if found.values:
        body["example"] = {"body_text": [list(found.example)]}
    components = [body]
    if titles := found.buttons.get(language):
        components.append({"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": title} for title in titles]})
    return {
        "name": found.name,
        "language": CODES[language],
        "category": found.category,
        "components": components,
    }


def all_templates(names: Sequence[str] = ()) -> Iterator[tuple[Template, Language]]:
    """Each of the store's templates in each language. Raises KeyError for a name that there is not."""
    for found in [TEMPLATES[name] for name in names] if names else TEMPLATES.values():
        for language in CODES:
            yield found, language


def differs(ours: Json, theirs: Json) -> bool:
    """Is the template that Meta has another text, category or set of buttons than ours?"""

    def shown(whole: Json) -> Any:
        parts = {str(part.get("type")): part for part in whole.get("components", [])}
        titles = [one.get("text") for one in parts.get("BUTTONS", {}).get("buttons", [])]
        return whole.get("category"), parts.get("BODY", {}).get("text"), titles

    return bool(shown(ours) != shown(theirs))
