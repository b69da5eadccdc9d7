"""What tools said, as facts that a reply may state: where each comes from and until when it holds. Pure."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal, cast

from pydantic import TypeAdapter, ValidationError

from agent_store.agents.seller.settings import SellerSettings
from agent_store.contracts.cart import CartView
from agent_store.contracts.catalog import Hit, ProductView, SearchResult
from agent_store.contracts.chat import Profile
from agent_store.contracts.common import Address, Shape
from agent_store.contracts.fulfillment import DeliveryQuote, PickupOption, QuoteDelivery
from agent_store.contracts.inventory import Availability, LocationView
from agent_store.contracts.orders import OrderView
from agent_store.contracts.payments import PaymentView
from agent_store.contracts.pricing import PriceView, Quote
from agent_store.kernel.added import AddedTool
from agent_store.kernel.contexts import digest_of
from agent_store.kernel.money import Money
from agent_store.kernel.plain import amount_of
from agent_store.kernel.tool import Tool

SAO_PAULO = timezone(timedelta(hours=-3))
"""Brazil has had no summer time since 2019, so a fixed offset is the shop's civil time."""

FactKind = Literal[
    "price",
    "discount",
    "stock",
    "day",
    "days",
    "hours",
    "clock",
    "order",
    "paid",
    "cart",
    "link",
    "pix",
    "free",
    "words",
]
OWN = "own:"
"""What a ref of the customer's own name or address begins with: such facts are not kept beyond their turn."""


class Fact(Shape):
    """One thing a reply may state.

    `ref` names what it is a fact of: a newer fact of the same ref takes its place. `value`: minor units for a price,
    percent for a discount, units for stock, ISO date, days, hours, "HH:MM", an order number, a link, a Pix code, a cart version;
    for "words" a folded name or address, in which what looks like a date is none ("Rua 15 de Novembro").
    `about` is the folded name or title (which begins with the name) of the product it belongs to, "" when to none.
    """

    kind: FactKind
    ref: str
    value: int | str
    until: datetime
    about: str = ""


class SeenVariant(Shape):
    sku: str
    color: str | None = None
    size: str | None = None
    price: Money
    list_price: Money | None = None
    available: int


class SeenProduct(Shape):
    """A product as a tool showed it: all that a card needs."""

    id: str
    name: str
    image: str
    variants: tuple[SeenVariant, ...]


class Finding(Shape):
    """What one tool call gave. `source` is the tool's name and the call's id."""

    source: str
    tool: str
    turn: int
    at: datetime
    products: tuple[SeenProduct, ...] = ()
    facts: tuple[Fact, ...] = ()
    prices_until: datetime
    stock_until: datetime

    @property
    def valid_until(self) -> datetime:
        ends = [fact.until for fact in self.facts]
        if self.products:
            ends += [self.prices_until, self.stock_until]
        return max(ends, default=self.at)


class Known(Shape):
    """A fact with the finding that it stands in."""

    fact: Fact
    source: str


def fold(text: str) -> str:
    """Lower case, accents off, the same length as before (so that positions in it hold in the text as well)."""
    return "".join(_plain(letter) for letter in text)


def _plain(letter: str) -> str:
    if letter < "\x80":
        return letter.lower()
    known = _PLAIN.get(letter)
    if known is None:
        known = _PLAIN[letter] = unicodedata.normalize("NFD", letter.lower()[0])[0]
    return known


_PLAIN: dict[str, str] = {}
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\"']+", re.IGNORECASE)
_BR_CODE = re.compile(r"\b000201\d{4}[^\n]{20,490}?6304[0-9A-Fa-f]{4}(?![0-9A-Za-z])")
_EMPHASIS = re.compile(r"[*_~`]+$")


def addresses(text: str) -> Iterator[tuple[int, int]]:
    """Where links and Pix codes begin and end in a text: what is in them is no emphasis, but the marks around them are."""
    codes = [match.span() for match in _BR_CODE.finditer(text)]
    past = 0
    for match in _ADDRESS.finditer(text):
        while codes and codes[0][0] < match.start():
            yield codes[0]
            past = codes.pop(0)[1]
        if match.start() < past:
            continue
        start = match.start()
        # Neither marks of a sentence nor these of emphasis end a link: they close what began before it.
        link = match[0].rstrip(".,;:!?*~`")
        opening = _EMPHASIS.search(text, max(0, start - 4), start)
        for mark in opening[0] if opening else "":
            link = link.removesuffix(mark).rstrip(".,;:!?*~`")
        yield start, start + len(link)
    yield from codes


class Ledger:
    """All findings of a conversation that still hold, oldest first; those of this turn at the end."""

    def __init__(self, findings: Iterable[Finding], now: datetime) -> None:
        self.now = now
        self.findings = list(findings)
        self.fresh: list[Finding] = []
        self._facts: list[Known] | None = None

    def add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.fresh.append(finding)
        self._facts = None

    def facts(self) -> Sequence[Known]:
        """Every fact that holds now, the newest of each ref; with the sums that a customer is told before ordering."""
        if self._facts is None:
            newest: dict[str, Known] = {}
            for finding in self.findings:
                for fact in _facts_of(finding):
                    newest[fact.ref] = Known(fact=fact, source=finding.source)
            newest.update((known.fact.ref, known) for known in _sums(self.findings, newest))
            self._facts = [known for known in newest.values() if known.fact.until > self.now]
        return self._facts

    def product(self, key: str) -> tuple[SeenProduct, SeenVariant | None, Finding] | None:
        """By product id or SKU, as last seen, while its price holds; the variant when `key` is a SKU."""
        for finding in reversed(self.findings):
            if finding.prices_until <= self.now:
                continue
            for product in finding.products:
                if product.id == key:
                    return product, None, finding
                for variant in product.variants:
                    if variant.sku == key:
                        return product, variant, finding
        return None

    def names(self) -> frozenset[str]:
        """Folded names of the products seen."""
        return frozenset(fold(product.name) for finding in self.findings for product in finding.products)

    @property
    def lasting(self) -> list[Finding]:
        """What this turn has found and later turns may look at: the customer's own data is asked for anew."""
        kept: list[Finding] = []
        for finding in self.fresh:
            facts = tuple(fact for fact in finding.facts if not fact.ref.startswith(OWN))
            if facts or finding.products:
                kept.append(
                    finding if len(facts) == len(finding.facts) else finding.model_copy(update={"facts": facts})
                )
        return kept

    @property
    def cart_version(self) -> int | None:
        """Of the cart as last seen."""
        for known in self.facts():
            if known.fact.kind == "cart":
                return int(known.fact.value)
        return None


def _facts_of(finding: Finding) -> Iterator[Fact]:
    yield from finding.facts
    for product in finding.products:
        name = fold(product.name)
        for variant in product.variants:
            yield from _price_facts(variant.sku, variant.price, variant.list_price, finding.prices_until, name)
            yield Fact(
                kind="stock", ref=f"stock:{variant.sku}", value=variant.available, until=finding.stock_until, about=name
            )
        units = sum(variant.available for variant in product.variants)
        yield Fact(kind="stock", ref=f"stock:{product.id}", value=units, until=finding.stock_until, about=name)


def _price_facts(sku: str, price: Money, before: Money | None, until: datetime, about: str = "") -> Iterator[Fact]:
    yield Fact(kind="price", ref=f"price:{sku}", value=price.minor, until=until, about=about)
    if before is not None and before.minor > price.minor:
        saved = before.minor - price.minor
        yield Fact(kind="price", ref=f"before:{sku}", value=before.minor, until=until, about=about)
        yield Fact(kind="price", ref=f"saved:{sku}", value=saved, until=until, about=about)
        # In hundredths of a percent, so that "33 %" and "33,3 %" can both be told apart from "34 %".
        yield Fact(kind="discount", ref=f"off:{sku}", value=saved * 10_000 // before.minor, until=until, about=about)


def _sums(findings: Sequence[Finding], newest: Mapping[str, Known]) -> Iterator[Known]:
    """Cart and delivery together, by the code and never by a model; only for a quote of the cart as it is now."""
    subtotal, version = newest.get("cart:subtotal"), newest.get("cart:version")
    if subtotal is None or version is None:
        return
    # Where the cart came to be as it is now: what was quoted before that was another cart.
    since, differed = -1, False
    for position, finding in enumerate(findings):
        for fact in finding.facts:
            if fact.ref == "cart:version" and fact.value != version.fact.value:
                differed = True
            elif fact.ref == "cart:version" and differed:
                since, differed = position, False
    for position, finding in enumerate(findings):
        if position < since:
            continue
        for fact in finding.facts:
            if fact.kind != "price" or not fact.ref.startswith("quote:") or newest[fact.ref].fact != fact:
                continue
            total = Fact(
                kind="price",
                ref=f"cart:total:{fact.ref}",
                value=int(subtotal.fact.value) + int(fact.value),
                until=min(fact.until, subtotal.fact.until),
            )
            yield Known(fact=total, source=f"{subtotal.source} + {finding.source}")


# --- from a tool's result ------------------------------------------------------------------------------------------


def find(
    tool: Tool[Any], result: Any, *, call: str, turn: int, at: datetime, settings: SellerSettings
) -> Finding | None:
    """The facts in a tool's result; None when there is nothing in it that a reply could state."""
    reader = _Reader(at, settings)
    reader.read(tool, result)
    return reader.finding(tool, call, turn)


def find_in_refusal(
    tool: Tool[Any], details: Mapping[str, Any], *, call: str, turn: int, at: datetime, settings: SellerSettings
) -> Finding | None:
    """A refused cart change says how many units there are. Of an added tool's refusal nothing is taken for a fact."""
    if isinstance(tool, AddedTool):
        return None
    reader = _Reader(at, settings)
    sku, available = getattr(tool, "sku", None), details.get("available")
    if isinstance(sku, str) and isinstance(available, int):
        reader.add("stock", f"stock:{sku}", available, settings.stock_ttl)
    return reader.finding(tool, call, turn)


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DEEPEST = 6
_MOST_ADDED = 60
_LONGEST_REF = 160


class _Reader:
    def __init__(self, at: datetime, settings: SellerSettings) -> None:
        self._at = at
        self._settings = settings
        self._facts: list[Fact] = []
        self._products: list[SeenProduct] = []

    def finding(self, tool: Tool[Any], call: str, turn: int) -> Finding | None:
        if not self._facts and not self._products:
            return None
        return Finding(
            source=f"{tool.tool_name}#{call}"[:160],
            tool=tool.tool_name,
            turn=turn,
            at=self._at,
            products=tuple(self._products),
            facts=tuple(self._facts),
            prices_until=self._at + self._settings.price_ttl,
            stock_until=self._at + self._settings.stock_ttl,
        )

    def add(self, kind: FactKind, ref: str, value: int | str, ttl: timedelta, about: str = "") -> None:
        self._facts.append(Fact(kind=kind, ref=ref, value=value, until=self._at + ttl, about=about))

    def read(self, tool: Tool[Any], result: Any) -> None:
        if isinstance(tool, AddedTool):
            self._added(f"added:{tool.tool_name}:{digest_of(tool)[:12]}", result)
            return
        match result:
            case SearchResult():
                self._hits(result.hits)
            case ProductView():
                self._product(result)
            case CartView():
                self._cart(result)
            case Quote():
                for line in result.lines:
                    self.add("price", f"price:{line.sku}", line.unit.minor, self._settings.price_ttl)
                    self.add("price", f"line:{line.sku}", line.total.minor, self._settings.price_ttl)
                self.add("price", "lines:subtotal", result.subtotal.minor, self._settings.price_ttl)
            case DeliveryQuote():
                self._quote(result, of_cart=isinstance(tool, QuoteDelivery) and not tool.lines)
            case OrderView():
                self._order(result)
            case PaymentView():
                self._payment(result)
            case Profile():
                self._name(f"{OWN}name", result.name)
                self._address(f"{OWN}address", result.address)
            case tuple() | list():
                for item in cast("Sequence[Any]", result):
                    self._item(tool, item)
            case _:
                pass

    def _added(self, ref: str, value: Any, depth: int = 0) -> None:
        """Of an added tool's result, the amounts (objects of `minor` and `currency`, in reais as all that is stated) and
        the days (text like 2026-01-31). What else it says is text: no price is read out of words."""
        if depth > _DEEPEST or len(self._facts) >= _MOST_ADDED:
            return
        amount = amount_of(value)
        if amount is not None:
            if amount.currency == "BRL" and amount.minor >= 0:
                self.add("price", ref, amount.minor, self._settings.price_ttl)
        elif isinstance(value, Mapping):
            for name, inner in cast("Mapping[str, Any]", value).items():
                self._added(f"{ref}.{name}"[:_LONGEST_REF], inner, depth + 1)
        elif isinstance(value, list | tuple):
            for place, inner in enumerate(cast("Sequence[Any]", value)):
                self._added(f"{ref}.{place}"[:_LONGEST_REF], inner, depth + 1)
        elif isinstance(value, str) and _DAY.fullmatch(value):
            with contextlib.suppress(ValueError):  # it looked like a day, and is none
                self._days(ref, date.fromisoformat(value), None, self._settings.delivery_ttl)

    def _item(self, tool: Tool[Any], item: Any) -> None:
        match item:
            case Hit():
                self._hits((item,))
            case PriceView():
                until = self._at + self._settings.price_ttl
                self._facts += _price_facts(item.sku, item.price, item.list_price, until)
            case Availability():
                self.add("stock", f"stock:{item.sku}", item.available, self._settings.stock_ttl)
            case PickupOption():
                self._pickup(item)
            case LocationView():
                self._place(item)
            case _:
                self.read(tool, item)

    def _hits(self, hits: Sequence[Hit]) -> None:
        for hit in hits:
            self._product(hit.product)

    def _product(self, product: ProductView) -> None:
        self._products.append(
            SeenProduct(
                id=product.id,
                name=product.name,
                image=product.image,
                variants=tuple(
                    SeenVariant(
                        sku=variant.sku,
                        color=variant.color,
                        size=variant.size,
                        price=variant.price,
                        list_price=variant.list_price,
                        available=variant.available,
                    )
                    for variant in product.variants
                ),
            )
        )

    def _cart(self, cart: CartView) -> None:
        ttl = self._settings.price_ttl
        self.add("cart", "cart:version", cart.version, ttl)
        self.add("price", "cart:subtotal", cart.subtotal.minor, ttl)
        for line in cart.lines:
            self.add("price", f"price:{line.sku}", line.unit.minor, ttl, fold(line.title))
            self.add("price", f"line:{line.sku}", line.total.minor, ttl, fold(line.title))
        for warning in cart.warnings:
            if warning.available is not None:
                self.add("stock", f"stock:{warning.sku}", warning.available, self._settings.stock_ttl)
            if warning.before is not None:
                self.add("price", f"before:{warning.sku}", warning.before.minor, ttl)

    def _days(self, ref: str, first: date | None, last: date | None, ttl: timedelta) -> None:
        today = self._at.astimezone(SAO_PAULO).date()
        for name, day in (("first", first), ("last", last)):
            if day is not None:
                self.add("day", f"{ref}:{name}", day.isoformat(), ttl)
                self.add("days", f"{ref}:{name}:in", (day - today).days, ttl)

    def _quote(self, quote: DeliveryQuote, *, of_cart: bool) -> None:
        ttl = self._settings.delivery_ttl
        for option in quote.options:
            ref = f"{'quote' if of_cart else 'single'}:{quote.cep}:{option.service}"
            self.add("price", ref, option.price.minor, ttl)
            self.add("days", f"{ref}:min", option.days_min, ttl)
            self.add("days", f"{ref}:max", option.days_max, ttl)
            self._days(ref, option.earliest, option.latest, ttl)
        for pickup in quote.pickup:
            self._pickup(pickup)

    def _pickup(self, option: PickupOption) -> None:
        """Fetching an order costs nothing: no pickup has a price."""
        ttl = self._settings.delivery_ttl
        ref = f"pickup:{option.location.id}"
        self.add("hours", ref, option.ready_in_hours, ttl)
        self.add("free", f"{ref}:free", "pickup", ttl)
        ready = (self._at + timedelta(hours=option.ready_in_hours)).astimezone(SAO_PAULO).date()
        self._days(ref, ready, None, ttl)
        self._place(option.location)

    def _name(self, ref: str, name: str | None) -> None:
        if name:
            self.add("words", ref, fold(name), self._settings.delivery_ttl)

    def _address(self, ref: str, address: Address | None) -> None:
        if address is not None:
            self._name(ref, ", ".join(part for part in (address.street, address.city, address.state) if part))

    def _place(self, place: LocationView) -> None:
        self._name(f"place:{place.id}", ", ".join(part for part in (place.name, place.address, place.city) if part))

    def _order(self, order: OrderView) -> None:
        ttl, ref = self._settings.order_ttl, f"order:{order.number}"
        self.add("order", ref, order.number, ttl)
        self.add("price", f"{ref}:total", order.total.minor, ttl)
        self.add("price", f"{ref}:subtotal", order.subtotal.minor, ttl)
        self.add("price", f"{ref}:{order.delivery.method}", order.delivery.price.minor, ttl)
        for line in order.lines:
            self.add("price", f"{ref}:unit:{line.sku}", line.unit.minor, ttl, fold(line.title))
            self.add("price", f"{ref}:line:{line.sku}", line.total.minor, ttl, fold(line.title))
        if order.delivery.method == "pickup" and not order.delivery.price:
            self.add("free", f"{ref}:free", "pickup", ttl)
        self._address(f"{OWN}{ref}:address", order.delivery.address)
        self._name(f"place:{ref}", order.delivery.location_name)
        self._days(ref, order.delivery.earliest, order.delivery.latest, ttl)
        self.add("day", f"{ref}:created", order.created_at.astimezone(SAO_PAULO).date().isoformat(), ttl)
        if order.payment_link:
            self.add("link", f"{ref}:link", order.payment_link, ttl)
        if order.state in ("paid", "confirmed", "picked", "shipped", "delivered"):
            self.add("paid", f"{ref}:paid", order.number, ttl)

    def _payment(self, payment: PaymentView) -> None:
        ttl, ref = self._settings.order_ttl, f"payment:{payment.order_number}"
        self.add("order", f"order:{payment.order_number}", payment.order_number, ttl)
        self.add("price", ref, payment.amount.minor, ttl)
        self.add("link", f"{ref}:link", payment.link, ttl)
        ends = payment.expires_at.astimezone(SAO_PAULO)
        self.add("clock", f"{ref}:ends", f"{ends:%H:%M}", ttl)
        self.add("day", f"{ref}:ends:day", ends.date().isoformat(), ttl)
        if payment.pix is not None:
            # After its time nobody can pay by it, so nobody is given it.
            self.add("pix", f"{ref}:pix", payment.pix.copy_paste, min(ttl, payment.expires_at - self._at))
        if payment.state == "paid":
            self.add("paid", f"{ref}:paid", payment.order_number, ttl)


_memory = TypeAdapter(dict[str, Any])


def read_memory(text: str) -> dict[str, Any]:
    """A brain's memory as stored. What is no JSON object (a hand in the table) counts as nothing remembered."""
    try:
        return _memory.validate_json(text)
    except ValidationError:
        return {}
