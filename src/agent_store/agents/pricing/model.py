"""What a price is allowed to be. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent_store.kernel.errors import Conflict, InvalidInput
from agent_store.kernel.ids import Sku
from agent_store.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Price:
    """The standing price of a SKU. `version` grows by one with every change that a customer could see.

    `revision` is the catalogue import that it comes from (see `ProductImported`).
    """

    sku: Sku
    product_id: str
    price: Money
    list_price: Money | None
    floor: Money
    version: int = 1
    revision: int = 0

    def __post_init__(self) -> None:
        if self.floor.minor < 0:
            raise InvalidInput(f"{self.sku}: a floor cannot be negative", field="floor")
        if self.price < self.floor:
            raise InvalidInput(f"{self.sku}: the price {self.price} is below its floor {self.floor}", field="price")
        if self.list_price is not None and self.list_price < self.price:
            raise InvalidInput(
                f"{self.sku}: the list price {self.list_price} is below the price {self.price}; leave it out "
                "when there is no markdown",
                field="list_price",
            )

    def looks_like(self, other: Price) -> bool:
        """Would a customer see the same?"""
        return self.price == other.price and self.list_price == other.list_price

    def set_by_hand(self, price: Money, list_price: Money | None) -> Price:
        """The price after a person has set it. Raises Conflict below the floor, InvalidInput for what makes no sense."""
        if price.currency != self.price.currency:
            raise InvalidInput(f"{self.sku} is sold in {self.price.currency}, not {price.currency}", field="price")
        if price < self.floor:
            raise Conflict(
                f"{price} is below the floor of {self.sku}, which is {self.floor}: choose a price from there on, or "
                "import the product with another floor",
                code="below-floor",
                sku=self.sku,
                floor=self.floor.model_dump(),
            )
        return replace(self, price=price, list_price=list_price, version=self.version + 1)
