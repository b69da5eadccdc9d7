"""One cart a customer, across brands and channels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent_store.contracts.common import PricedLine, Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import CustomerId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool


class CartWarning(Shape):
    """Something the customer should hear of a line."""

    kind: Literal["out_of_stock", "low_stock", "price_changed"]
    sku: Sku
    available: int | None = None
    before: Money | None = None
    alternatives: tuple[str, ...] = ()
    """Product ids that could take its place."""


class CartView(Shape):
    """`version` grows by one with every change; an order names the version that it was placed on."""

    customer_id: CustomerId
    version: int
    lines: tuple[PricedLine, ...]
    subtotal: Money
    warnings: tuple[CartWarning, ...] = ()


class GetCart(Tool[CartView], name="cart.view"):
    """The customer's cart with prices and stock of this moment."""


class AddToCart(Tool[CartView], name="cart.add", writes=True):
    """Put units of a variant into the cart, after a live stock check. Refused (conflict) when there are too few;
    the error's details carry `available` and `alternatives`."""

    sku: Sku
    quantity: int = Field(default=1, ge=1, le=99)


class RemoveFromCart(Tool[CartView], name="cart.remove", writes=True):
    """Take units (or the whole line, without a quantity) out of the cart."""

    sku: Sku
    quantity: int | None = Field(default=None, ge=1, le=99)


class ClearCart(Tool[CartView], name="cart.clear", writes=True):
    """Empty the cart."""


class GetCartOf(Tool[CartView], name="cart.of_customer", staff_only=True):
    """A customer's cart, for staff."""

    customer_id: CustomerId


class CartItemAdded(Event, type="store.cart.item.added", topic="order", subject="customer_id"):
    customer_id: CustomerId
    sku: Sku
    quantity: int


class CartItemRemoved(Event, type="store.cart.item.removed", topic="order", subject="customer_id"):
    customer_id: CustomerId
    sku: Sku
    quantity: int


class CartUpdated(Event, type="store.cart.updated", topic="order", subject="customer_id", sequence="version"):
    customer_id: CustomerId
    version: int
    lines: tuple[PricedLine, ...]
    subtotal: Money


class CartOrdered(Event, type="store.cart.ordered", topic="order", subject="customer_id"):
    """Command of `orders` to `cart`: these units are in an order now, take them out of the cart."""

    customer_id: CustomerId
    order_id: str
    lines: tuple[PricedLine, ...]
