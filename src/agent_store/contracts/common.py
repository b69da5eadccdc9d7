"""Shapes that several capabilities share."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agent_store.kernel.ids import Sku
from agent_store.kernel.money import Money

Language = Literal["pt", "en", "es"]
Channel = Literal["whatsapp", "web", "kiosk"]
DeliveryMethod = Literal["delivery", "pickup"]


class Shape(BaseModel):
    """Base of all value shapes: frozen; unknown fields of a newer peer are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _cep(value: str) -> str:
    digits = re.sub(r"\D", "", value)
    if len(digits) != 8:
        raise ValueError("a CEP has eight digits, like 01310-100")
    return f"{digits[:5]}-{digits[5:]}"


Cep = Annotated[str, AfterValidator(_cep)]
"""A Brazilian postal code, normalised to 01310-100."""


class Address(Shape):
    """Where a parcel goes. Only the CEP is needed for a quote; street and number for an order's delivery."""

    cep: Cep
    street: str = ""
    """Street, number and complement as the customer wrote them."""
    city: str = ""
    state: str = ""


class Item(Shape):
    """So many units of a variant."""

    sku: Sku
    quantity: int = Field(ge=1, le=999)


class PricedLine(Shape):
    """A line whose prices the price engine set."""

    sku: Sku
    product_id: str
    title: str
    """Product and variant as shown: "Vestido Midi Aurora, vermelho, P"."""
    quantity: int = Field(ge=1)
    unit: Money
    total: Money
    brand: str
    weight_g: int = 0
