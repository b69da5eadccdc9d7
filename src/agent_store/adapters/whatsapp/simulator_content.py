"""What a bubble holds, apart from where it stands and how far it got: made by either side, kept as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter

from agent_store.agents.whatsapp.phone import (
    Ad,
    BubbleKind,
    ContactCard,
    LinkButton,
    Medium,
    Option,
    OrderLine,
    Product,
    Reaction,
    Spot,
)


@dataclass(frozen=True, slots=True)
class Content:
    """The fields of `phone.Bubble` that say what is drawn."""

    kind: BubbleKind
    text: str = ""
    image: str | None = None
    options: tuple[Option, ...] = ()
    button: str | None = None
    header: str = ""
    footer: str = ""
    medium: Medium | None = None
    spot: Spot | None = None
    cards: tuple[ContactCard, ...] = ()
    products: tuple[Product, ...] = ()
    lines: tuple[OrderLine, ...] = ()
    links: tuple[LinkButton, ...] = ()
    form: Mapping[str, Any] | None = None
    about: Product | None = None
    ad: Ad | None = None
    template: str | None = None
    reactions: tuple[Reaction, ...] = ()
    forwarded: bool = False
    edited: bool = False
    deleted: bool = False


NAMES = tuple(field.name for field in fields(Content))
_CONTENT = TypeAdapter(Content)
_DEFAULTS = {field.name: field.default for field in fields(Content)}


def to_text(content: Content) -> str:
    """JSON of what is not as by default."""
    values: dict[str, Any] = _CONTENT.dump_python(content, mode="json")
    kept = {name: value for name, value in values.items() if value != _DEFAULTS[name] and value != []}
    return _VALUES.dump_json(kept).decode()


def from_text(text: str) -> Content:
    return _CONTENT.validate_json(text)


def values(content: Content) -> dict[str, Any]:
    return {name: getattr(content, name) for name in NAMES}


_VALUES = TypeAdapter(dict[str, Any])
