"""The settings of orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class OrdersSettings:
    """How long an order waits; put in by the entrypoint.

    A customer has `payment_window` to pay; the stock is held `reservation_margin` longer, so that no payment link
    outlives its reservation. `max_alternatives` products are named in a rejection. `number_length` characters follow
    "AS-" in an order's number (32 choices each).
    """

    payment_window: timedelta = timedelta(minutes=30)
    reservation_margin: timedelta = timedelta(minutes=5)
    max_alternatives: int = 3
    number_length: int = 6

    def __post_init__(self) -> None:
        if self.payment_window <= timedelta(0):
            raise ValueError("OrdersSettings.payment_window: more than zero")
        if self.reservation_margin <= timedelta(0):
            raise ValueError("OrdersSettings.reservation_margin: more than zero, so that no link outlives its stock")
        if not 1 <= self.number_length <= 12:
            raise ValueError("OrdersSettings.number_length: 1 to 12")
        if not 0 <= self.max_alternatives <= 20:
            raise ValueError("OrdersSettings.max_alternatives: 0 to 20")

    @property
    def hold(self) -> timedelta:
        """How long stock is reserved."""
        return self.payment_window + self.reservation_margin
