"""The cart's settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CartSettings:
    """Caps that keep a cart within what one order can carry; put in by the entrypoint.

    `max_lines` different variants, `max_quantity` units of one of them; from `low_stock` units on downward the
    customer is warned; `max_alternatives` products are named for a line that is sold out.
    """

    max_lines: int = 50
    max_quantity: int = 99
    low_stock: int = 3
    max_alternatives: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.max_lines <= 100:
            raise ValueError("CartSettings.max_lines: 1 to 100, what an order can carry")
        if not 1 <= self.max_quantity <= 999:
            raise ValueError("CartSettings.max_quantity: 1 to 999")
        if self.low_stock < 0 or self.max_alternatives < 0:
            raise ValueError("CartSettings.low_stock and max_alternatives: not below zero")
