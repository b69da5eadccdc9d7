"""Money: integer minor units and an ISO 4217 code. No float ever touches an amount."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent_store.kernel.errors import InvalidInput

_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,2})?")
_LIMIT = Decimal(10) ** 15
"""Major units; a database's 64-bit integer holds a hundred times as many minor ones."""


class Money(BaseModel):
    """An amount in minor units (`29990` is R$ 299,90) of one currency.

    Arithmetic between two currencies raises `InvalidInput`: nothing converts silently.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    minor: int = Field(strict=True)
    currency: str = Field(default="BRL", pattern=r"^[A-Z]{3}$")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """JSON text is major units ("299.90"): what data files and models write."""
        if isinstance(value, str):
            if not _AMOUNT.fullmatch(value):
                raise ValueError("write an amount like 299.90, with a point and at most two decimals")
            return {"minor": int(Decimal(value) * 100)}
        return value

    @classmethod
    def zero(cls, currency: str = "BRL") -> Self:
        return cls(minor=0, currency=currency)

    @classmethod
    def parse(cls, text: str | int | Decimal, currency: str = "BRL") -> Self:
        """Read "299.90", 299 or Decimal("299.90") as major units with at most two decimals.

        Raises InvalidInput for anything else, floats included.
        """
        if isinstance(text, str) and not _AMOUNT.fullmatch(text):
            raise InvalidInput(f"{text!r} is no amount: write it like 299.90, with a point and at most two decimals")
        if isinstance(text, bool | float):
            raise InvalidInput(f"{text!r} is no amount: give text, a whole number or a Decimal")
        amount = Decimal(text)
        if not amount.is_finite() or abs(amount) >= _LIMIT:
            raise InvalidInput(f"{text!r} is no amount of money")
        cents = amount * 100
        if cents != cents.to_integral_value():
            raise InvalidInput(f"{text!r} has more than two decimals")
        return cls(minor=int(cents), currency=currency)

    def _same(self, other: Money) -> None:
        if other.currency != self.currency:
            raise InvalidInput(f"cannot mix {self.currency} and {other.currency}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(minor=self.minor + other.minor, currency=self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(minor=self.minor - other.minor, currency=self.currency)

    def __mul__(self, times: int) -> Money:
        return Money(minor=self.minor * times, currency=self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __gt__(self, other: Money) -> bool:
        return other < self

    def __ge__(self, other: Money) -> bool:
        return other <= self

    def __bool__(self) -> bool:
        return self.minor != 0

    def percent(self, rate: int) -> Money:
        """`rate` percent of the amount, half a cent rounded up (away from zero): 10 % of R$ 0,05 is R$ 0,01."""
        sign = -1 if self.minor * rate < 0 else 1
        return Money(minor=sign * ((abs(self.minor * rate) + 50) // 100), currency=self.currency)

    def decimal(self) -> str:
        """`"299.90"`: for data files and APIs that want major units as text."""
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{abs(self.minor) // 100}.{abs(self.minor) % 100:02d}"

    def __str__(self) -> str:
        """As a Brazilian reads it (`R$ 1.299,90`), in any language: the shop's prices are in reais."""
        sign = "-" if self.minor < 0 else ""
        whole = f"{abs(self.minor) // 100:,}".replace(",", ".")
        symbol = "R$" if self.currency == "BRL" else self.currency
        return f"{sign}{symbol} {whole},{abs(self.minor) % 100:02d}"
