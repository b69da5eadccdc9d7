from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent_store.agents.cart.model import Cart, Line, subtotal
from agent_store.contracts.common import Item
from agent_store.kernel.errors import Conflict
from agent_store.kernel.ids import CustomerId, Sku
from agent_store.kernel.money import Money

MAX_LINES, MAX_QUANTITY = 3, 7
SKUS = st.sampled_from([Sku(name) for name in "ABCDE"])
UNITS = st.integers(1, 9)


def line(sku: Sku, quantity: int, minor: int = 100) -> Line:
    return Line(sku, sku.lower(), sku, "fashion", 10, quantity, Money(minor=minor))


class CartMachine(RuleBasedStateMachine):
    """The cart against a plain dict of quantities and prices."""

    @initialize()
    def begin(self) -> None:
        self.cart = Cart(CustomerId("c1"))
        self.units: dict[Sku, int] = {}
        self.prices: dict[Sku, int] = {}
        self.version = 0
        self.stored: dict[Sku, int] = {}

    def _changed(self) -> None:
        self.version += 1

    @rule(sku=SKUS, quantity=UNITS, minor=st.integers(0, 10**7))
    def add(self, sku: Sku, quantity: int, minor: int) -> None:
        too_many = self.units.get(sku, 0) + quantity > MAX_QUANTITY
        too_wide = sku not in self.units and len(self.units) >= MAX_LINES
        if too_many or too_wide:
            with pytest.raises(Conflict):
                self.cart.add(line(sku, quantity, minor), max_lines=MAX_LINES, max_quantity=MAX_QUANTITY)
            return
        self.cart.add(line(sku, quantity, minor), max_lines=MAX_LINES, max_quantity=MAX_QUANTITY)
        self.units[sku] = self.units.get(sku, 0) + quantity
        self.prices[sku] = minor
        self._changed()

    @rule(sku=SKUS, quantity=st.none() | UNITS)
    def remove(self, sku: Sku, quantity: int | None) -> None:
        before = self.units.get(sku, 0)
        expected = before if quantity is None else min(quantity, before)
        assert self.cart.remove(sku, quantity) == expected
        self._take(sku, expected)
        if expected:
            self._changed()

    @rule()
    def clear(self) -> None:
        went = self.cart.clear()
        assert {item.sku: item.quantity for item in went} == self.units
        if self.units:
            self._changed()
        self.units = {}

    @rule(items=st.lists(st.builds(Item, sku=SKUS, quantity=UNITS), max_size=4))
    def order(self, items: list[Item]) -> None:
        gone = 0
        for item in items:
            taken = min(item.quantity, self.units.get(item.sku, 0))
            self._take(item.sku, taken)
            gone += taken
        assert self.cart.take_ordered(items) == (gone > 0)
        if gone:
            self._changed()

    @rule()
    def save(self) -> None:
        """What `touched` and `gone` tell a repository is enough to keep a copy right."""
        for sku in self.cart.gone:
            self.stored.pop(sku, None)
        for sku in self.cart.touched:
            self.stored[sku] = self.cart.lines[sku].quantity
        assert self.stored == self.units
        self.cart.gone.clear()
        self.cart.touched.clear()

    def _take(self, sku: Sku, quantity: int) -> None:
        if quantity:
            self.units[sku] -= quantity
            if not self.units[sku]:
                del self.units[sku]

    @invariant()
    def quantities_are_right_and_within_the_caps(self) -> None:
        assert {sku: one.quantity for sku, one in self.cart.lines.items()} == self.units
        assert all(1 <= one.quantity <= MAX_QUANTITY for one in self.cart.lines.values())
        assert len(self.cart.lines) <= MAX_LINES

    @invariant()
    def the_version_counts_changes(self) -> None:
        assert self.cart.version == self.version

    @invariant()
    def money_adds_up(self) -> None:
        expected = sum(units * self.prices[sku] for sku, units in self.units.items())
        assert subtotal(self.cart.priced()) == Money(minor=expected)


TestCartMachine = CartMachine.TestCase
