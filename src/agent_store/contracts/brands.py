"""Brands as everybody knows them, and the live `Directory` of them."""

from __future__ import annotations

import hashlib
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
    whatsapp_catalog_id: str = ""
    """The Meta catalogue that its numbers show; without one, products go out as pictures with captions."""
    keywords: dict[Language, tuple[str, ...]] = Field(default_factory=dict[Language, tuple[str, ...]])
    prompt: str = ""
    """The brand's prompt (persona); the house prompt comes before it."""
    canary_prompt: str = ""
    """A prompt that is tried on some conversations; see `prompt_of`."""
    canary_percent: int = Field(default=0, ge=0, le=100)
    """The share of conversations that have it."""
    tools: tuple[str, ...] = ()
    """Tools of added agents that its seller may use: `gift-wrapping.options`, or `gift-wrapping.*` for all of one."""
    greeting: dict[Language, str] = Field(default_factory=dict[Language, str])
    """How the seller introduces itself, a sentence a language."""


def on_canary(brand: Brand, conversation_id: str) -> bool:
    """Does this conversation have the brand's canary prompt?

    By a hash, so that every process and every turn say the same: none flips while the share stays as it is, and a
    growing share only moves conversations into the canary.
    """
    if not brand.canary_prompt or brand.canary_percent <= 0:
        return False
    found = hashlib.sha256(f"{brand.id}/{conversation_id}".encode()).digest()
    return int.from_bytes(found[:8], "big") % 100 < brand.canary_percent


def prompt_of(brand: Brand, conversation_id: str) -> str:
    """The brand's prompt for this conversation: the canary's for its share of them."""
    return brand.canary_prompt if on_canary(brand, conversation_id) else brand.prompt


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
