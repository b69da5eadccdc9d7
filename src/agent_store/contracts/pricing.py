"""The price engine: the only place a price comes from."""

from __future__ import annotations

from pydantic import Field

from agent_store.contracts.common import Item, PricedLine, Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool


class PriceView(Shape):
    sku: Sku
    price: Money
    list_price: Money | None = None
    """The price before a standing markdown, when there is one."""


class GetPrices(Tool[tuple[PriceView, ...]], name="pricing.prices"):
    """Prices of this moment, in the order asked; unknown SKUs are left out."""

    skus: tuple[Sku, ...] = Field(min_length=1, max_length=500)


class QuoteLine(Shape):
    sku: Sku
    quantity: int
    unit: Money
    total: Money


class Quote(Shape):
    """`subtotal` is the sum of the lines' totals, to the cent."""

    lines: tuple[QuoteLine, ...]
    subtotal: Money


class GetQuote(Tool[Quote], name="pricing.quote"):
    """Price these lines as an order would be priced now. Raises not-found for a SKU without a price."""

    lines: tuple[Item, ...] = Field(min_length=1, max_length=100)


class SetPrice(Tool[PriceView], name="pricing.set", writes=True, staff_only=True):
    """Set a price by hand. Refused below the floor."""

    sku: Sku
    price: Money
    list_price: Money | None = None
    reason: str = Field(min_length=1, max_length=200)


class PriceChanged(Event, type="store.price.changed", topic="catalog", subject="sku", sequence="version"):
    sku: Sku
    version: int
    before: Money | None = None
    price: Money
    list_price: Money | None = None
    reason: str


__all__ = ["GetPrices", "GetQuote", "PriceChanged", "PriceView", "PricedLine", "Quote", "QuoteLine", "SetPrice"]
