"""What `conversations` needs from outside."""

from __future__ import annotations

from typing import Protocol


class Sellers(Protocol):
    """The brands' sellers, wherever they run."""

    def wake(self, brand: str) -> None:
        """A turn for this brand's seller comes soon: one that sleeps may begin to start. A hint, and no promise: returns
        at once, and raises nothing."""
        ...


class SellersAwake:
    """None of them ever sleeps."""

    def wake(self, brand: str) -> None:
        del brand
