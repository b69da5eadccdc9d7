"""What the rules keep between turns: small, bounded, and readable whatever an older or other brain has left there.

No price is kept but the total that the customer was told, with the time: everything else is asked anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast

FRESH = timedelta(minutes=10)
"""How long a told total may be acted upon without being told again."""
_SHOWN = 10
_CHOICES = 12
_TEXT = 160
_CEP = re.compile(r"\d{5}-\d{3}", re.ASCII)


@dataclass(slots=True)
class Shown:
    """A product that the customer saw; `sku` when the card was one variant."""

    id: str
    sku: str | None = None
    name: str = ""

    @property
    def item(self) -> str:
        return self.sku or self.id


@dataclass(slots=True)
class LastSearch:
    """What was searched, for "mais barato", "tem em azul?" and "mostra mais". Amounts in minor units."""

    text: str = ""
    category: str | None = None
    color: str | None = None
    size: str | None = None
    min_price: int | None = None
    max_price: int | None = None
    sort: str = "relevance"
    offset: int = 0

    @property
    def empty(self) -> bool:
        return not (self.text or self.category or self.color)


@dataclass(slots=True)
class Pending:
    """The question that is open: payloads for yes and no, and the choices offered as (payload, title)."""

    kind: str
    yes: str | None = None
    no: str | None = None
    choices: tuple[tuple[str, str], ...] = ()
    product: str | None = None
    quantity: int = 1
    picked: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    order: str | None = None


@dataclass(slots=True)
class CheckoutMemory:
    """How far the order has come. `total` (minor units) and `version` are what the customer was shown at `at`."""

    active: bool = False
    method: Literal["delivery", "pickup"] | None = None
    service: str | None = None
    location: str | None = None
    cep: str | None = None
    street: str | None = None
    total: int | None = None
    version: int | None = None
    at: str | None = None

    def fresh(self, now: datetime) -> bool:
        if self.at is None:
            return False
        try:
            return abs(now - datetime.fromisoformat(self.at)) <= FRESH
        except (ValueError, TypeError):  # another brain's or an old version's idea of a time
            return False


@dataclass(slots=True)
class Memory:
    shown: list[Shown] = field(default_factory=lambda: list[Shown]())
    focus: Shown | None = None
    search: LastSearch = field(default_factory=LastSearch)
    pending: Pending | None = None
    checkout: CheckoutMemory = field(default_factory=CheckoutMemory)
    cep: str | None = None
    size: str | None = None
    order: str | None = None
    cart_version: int | None = None
    turns: int = 0

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Memory:
        """Whatever is not as it should be is forgotten, never an error: memory may come from another version."""
        return cls(
            shown=[found for item in _rows(data.get("shown"))[:_SHOWN] if (found := _shown(item))],
            focus=_shown(data.get("focus")),
            search=_search(_mapping(data.get("search"))),
            pending=_pending(data.get("pending")),
            checkout=_checkout(_mapping(data.get("checkout"))),
            cep=_cep(data.get("cep")),
            size=_text(data.get("size")),
            order=_text(data.get("order")),
            cart_version=_number(data.get("cart_version")),
            turns=(_number(data.get("turns")) or 0) % 1_000_000,
        )

    def dump(self) -> dict[str, Any]:
        """JSON, without what is empty; a few kilobytes at most."""
        data: dict[str, Any] = {"v": 1, "turns": self.turns + 1}
        if self.shown:
            data["shown"] = [_lean(asdict(item)) for item in self.shown[:_SHOWN]]
        if self.focus:
            data["focus"] = _lean(asdict(self.focus))
        if not self.search.empty:
            data["search"] = _lean(asdict(self.search))
        if self.pending:
            pending = _lean(asdict(self.pending))
            if self.pending.choices:
                pending["choices"] = [[payload, title[:60]] for payload, title in self.pending.choices[:_CHOICES]]
            data["pending"] = pending
        if self.checkout.active:
            data["checkout"] = _lean(asdict(self.checkout))
        for name in ("cep", "size", "order", "cart_version"):
            if (value := getattr(self, name)) is not None:
                data[name] = value
        return data


def _lean(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value[:_TEXT] if isinstance(value, str) else value for name, value in data.items() if value}


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _rows(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


def _text(value: object) -> str | None:
    return value[:_TEXT] if isinstance(value, str) and value else None


def _cep(value: object) -> str | None:
    return value if isinstance(value, str) and _CEP.fullmatch(value) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None


def _shown(value: object) -> Shown | None:
    data = _mapping(value)
    found = _text(data.get("id"))
    return Shown(found, _text(data.get("sku")), _text(data.get("name")) or "") if found else None


def _search(data: Mapping[str, Any]) -> LastSearch:
    sort = data.get("sort")
    return LastSearch(
        text=_text(data.get("text")) or "",
        category=_text(data.get("category")),
        color=_text(data.get("color")),
        size=_text(data.get("size")),
        min_price=_number(data.get("min_price")),
        max_price=_number(data.get("max_price")),
        sort=sort if sort in ("price", "-price") else "relevance",
        offset=min(_number(data.get("offset")) or 0, 10_000),
    )


def _pending(value: object) -> Pending | None:
    data = _mapping(value)
    kind = _text(data.get("kind"))
    if kind is None:
        return None
    choices: list[tuple[str, str]] = []
    for row in _rows(data.get("choices"))[:_CHOICES]:
        pair = _rows(row)
        if len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str):
            choices.append((pair[0][:200], pair[1][:60]))
    picked = {
        name[:40]: found[:60]
        for name, found in list(_mapping(data.get("picked")).items())[:6]
        if isinstance(name, str) and isinstance(found, str)  # pyright: ignore[reportUnnecessaryIsInstance]
    }
    return Pending(
        kind=kind,
        yes=_text(data.get("yes")),
        no=_text(data.get("no")),
        choices=tuple(choices),
        product=_text(data.get("product")),
        quantity=min(max(_number(data.get("quantity")) or 1, 1), 99),
        picked=picked,
        order=_text(data.get("order")),
    )


def _checkout(data: Mapping[str, Any]) -> CheckoutMemory:
    method = data.get("method")
    return CheckoutMemory(
        active=data.get("active") is True,
        method=method if method in ("delivery", "pickup") else None,
        service=_text(data.get("service")),
        location=_text(data.get("location")),
        cep=_cep(data.get("cep")),
        street=_text(data.get("street")),
        total=_number(data.get("total")),
        version=_number(data.get("version")),
        at=_text(data.get("at")),
    )
