"""Brands as everybody knows them, and the live `Directory` of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import Field

from agent_store.contracts.common import Language, Shape


class Brand(Shape):
    """A shop window with a seller. `phone_number_ids` are the Cloud API's ids of its WhatsApp numbers."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    name: str
    seller: str
    """The persona: Luna, Max, Sofia, Bella, Pixel."""
    emoji: str = "🛍️"
    focus: str = ""
    color: str = "#444444"
    phone_number_ids: tuple[str, ...] = ()
    display_phone: str = ""
    keywords: dict[Language, tuple[str, ...]] = Field(default_factory=dict[Language, tuple[str, ...]])
    prompt: str = ""
    """The brand's prompt (persona); the house prompt comes before it."""
    greeting: dict[Language, str] = Field(default_factory=dict[Language, str])
    """How the seller introduces itself, a sentence a language."""


class SharedNumber(Shape):
    """The number on which the brand is found out by asking, by keywords and by what is talked about."""

    name: str = "Agent Store"
    phone_number_ids: tuple[str, ...] = ()
    display_phone: str = ""


class Directory(Protocol):
    """The live directory: brands come and go while the store runs. Kept by the embedded store or the operator."""

    def brands(self) -> Sequence[Brand]:
        """All brands, in the order in which they were added."""
        ...

    def brand(self, brand_id: str) -> Brand | None: ...

    def by_number(self, phone_number_id: str) -> Brand | None:
        """The brand a WhatsApp number belongs to; None for the shared number and for unknown ones."""
        ...

    def is_known(self, phone_number_id: str) -> bool:
        """Is it a brand's number or the shared one?"""
        ...

    def house_prompt(self) -> str:
        """The prompt that all sellers share."""
        ...

    @property
    def shared(self) -> SharedNumber: ...
