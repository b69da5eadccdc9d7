"""A cart as a pure thing: lines, quantities, a version that grows by one with every change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from agent_store.contracts.common import Item, PricedLine
from agent_store.kernel.errors import Conflict
from agent_store.kernel.ids import CustomerId, Sku
from agent_store.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of a variant; `unit` is the price that the customer last saw, for `price_changed`."""

    sku: Sku
    product_id: str
    title: str
    brand: str
    weight_g: int
    quantity: int
    unit: Money

    def priced(self, unit: Money | None = None) -> PricedLine:
        """With the price last seen, or the given one of this moment."""
        each = unit or self.unit
        return PricedLine(
            sku=self.sku,
            product_id=self.product_id,
            title=self.title,
            quantity=self.quantity,
            unit=each,
            total=each * self.quantity,
            brand=self.brand,
            weight_g=self.weight_g,
        )


@dataclass(slots=True)
class Cart:
    """Lines in the order in which they came in. `touched` and `gone` say what a repository has to write."""

    customer_id: CustomerId
    version: int = 0
    lines: dict[Sku, Line] = field(default_factory=dict[Sku, Line])
    touched: set[Sku] = field(default_factory=set[Sku])
    gone: set[Sku] = field(default_factory=set[Sku])

    def quantity(self, sku: Sku) -> int:
        line = self.lines.get(sku)
        return line.quantity if line else 0

    def add(self, line: Line, *, max_lines: int, max_quantity: int) -> None:
        """`line.quantity` more units, at the price of `line`. Raises Conflict over a cap, changing nothing."""
        quantity = self.quantity(line.sku) + line.quantity
        if quantity > max_quantity:
            raise Conflict(
                f"at most {max_quantity} units of one product fit into a cart", code="cart-limit", limit=max_quantity
            )
        if line.sku not in self.lines and len(self.lines) >= max_lines:
            raise Conflict(
                f"at most {max_lines} different products fit into a cart", code="cart-limit", limit=max_lines
            )
        self._put(replace(line, quantity=quantity))
        self.version += 1

    def remove(self, sku: Sku, quantity: int | None = None) -> int:
        """Take units out (None: all). Returns how many went: 0 when the variant is not in the cart."""
        taken = self._take(sku, quantity)
        if taken:
            self.version += 1
        return taken

    def clear(self) -> tuple[Item, ...]:
        """Take everything out; says what went."""
        went = tuple(Item(sku=line.sku, quantity=line.quantity) for line in self.lines.values())
        for item in went:
            self._take(item.sku, None)
        if went:
            self.version += 1
        return went

    def take_ordered(self, items: Iterable[Item | PricedLine]) -> bool:
        """Take out what is in an order now; what was added since stays. One new version, if anything went."""
        went = [self._take(item.sku, item.quantity) for item in items]
        if not any(went):
            return False
        self.version += 1
        return True

    def priced(self) -> tuple[PricedLine, ...]:
        return tuple(line.priced() for line in self.lines.values())

    def _put(self, line: Line) -> None:
        self.lines[line.sku] = line
        self.touched.add(line.sku)
        self.gone.discard(line.sku)

    def _take(self, sku: Sku, quantity: int | None) -> int:
        line = self.lines.get(sku)
        if line is None:
            return 0
        taken = line.quantity if quantity is None else min(quantity, line.quantity)
        if taken == line.quantity:
            del self.lines[sku]
            self.touched.discard(sku)
            self.gone.add(sku)
        else:
            self._put(replace(line, quantity=line.quantity - taken))
        return taken


def subtotal(lines: Iterable[PricedLine]) -> Money:
    """The sum of the lines' totals; zero reais for none."""
    amounts = [line.total for line in lines]
    if not amounts:
        return Money.zero()
    result = amounts[0]
    for amount in amounts[1:]:
        result += amount
    return result
