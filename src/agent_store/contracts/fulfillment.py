"""Delivery: what it costs, how long it takes, where one can fetch it."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from agent_store.contracts.common import Cep, Item, Shape
from agent_store.contracts.inventory import LocationView
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool


class DeliveryOption(Shape):
    """`earliest` and `latest` are calendar days in São Paulo time, `days_*` business days from now."""

    service: str
    """Stable id: "economico", "expresso"."""
    name: str
    carrier: str
    price: Money
    days_min: int
    days_max: int
    earliest: date
    latest: date


class PickupOption(Shape):
    location: LocationView
    ready_in_hours: int
    complete: bool
    """Are all the units on this store's own shelves?"""


class DeliveryQuote(Shape):
    cep: str
    options: tuple[DeliveryOption, ...]
    pickup: tuple[PickupOption, ...] = ()


class QuoteDelivery(Tool[DeliveryQuote], name="fulfillment.quote"):
    """What delivery of these lines (default: the customer's cart) to a CEP costs and how long it takes; and the
    stores where they can be fetched, nearest first. Raises not-found for a CEP that no carrier serves."""

    cep: Cep
    lines: tuple[Item, ...] = Field(default=(), max_length=100)


class ListPickup(Tool[tuple[PickupOption, ...]], name="fulfillment.pickup"):
    """The stores where these lines (default: the customer's cart) can be fetched, complete ones first."""

    lines: tuple[Item, ...] = Field(default=(), max_length=100)
    near_cep: Cep | None = None
