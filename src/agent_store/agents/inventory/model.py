"""Which units an order gets, and what may become of a reservation. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent_store.contracts.common import Item
from agent_store.contracts.inventory import Allocation, LocationView, Missing
from agent_store.contracts.places import nearness
from agent_store.kernel.ids import Sku

State = Literal["held", "committed", "released", "expired", "refused", "returned"]
Cause = Literal["import", "adjust", "reserve", "release", "commit", "return"]


@dataclass(frozen=True, slots=True)
class Level:
    """Units of a SKU at a location. 0 ≤ reserved ≤ on_hand."""

    sku: Sku
    location: str
    on_hand: int
    reserved: int

    @property
    def free(self) -> int:
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True)
class Stock:
    """A SKU's row: `version` counts its changes, `revision` is the catalogue import last taken over."""

    sku: Sku
    version: int
    available: int
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one level."""

    sku: Sku
    location: str
    on_hand: int = 0
    reserved: int = 0


@dataclass(slots=True)
class Reservation:
    """What one attempt of an order holds.

    held → committed → returned; held → released or expired. "refused" never held anything. A "released" one without
    allocations is the mark of a release that came before its reserve.
    """

    order_id: str
    attempt: int
    customer_id: str
    state: State
    expires_at: datetime | None
    allocations: tuple[Allocation, ...] = ()

    def commit(self) -> tuple[Change, ...] | None:
        """Sell what is held. None when it is gone; empty when that has been done already."""
        if self.state == "held":
            self.state = "committed"
            return tuple(Change(a.sku, a.location, -a.quantity, -a.quantity) for a in self.allocations)
        return () if self.state in ("committed", "returned") else None

    def let_go(self, state: Literal["released", "expired"]) -> tuple[Change, ...]:
        """Free what is only held; nothing for any other state."""
        if self.state != "held":
            return ()
        self.state = state
        return tuple(Change(a.sku, a.location, 0, -a.quantity) for a in self.allocations)

    def put_back(self) -> tuple[Change, ...]:
        """Back on the shelf what was sold; nothing for any other state."""
        if self.state != "committed":
            return ()
        self.state = "returned"
        return tuple(Change(a.sku, a.location, a.quantity, 0) for a in self.allocations)


def wanted_units(lines: Iterable[Item]) -> dict[Sku, int]:
    """Units by SKU; lines of the same SKU are added up."""
    wanted: dict[Sku, int] = {}
    for line in lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    return wanted


def allocate(
    wanted: Mapping[Sku, int],
    levels: Iterable[Level],
    locations: Sequence[LocationView],
    *,
    pinned: str | None = None,
    near_cep: str | None = None,
) -> tuple[Allocation, ...] | tuple[Missing, ...]:
    """Where to take the units from: all of them (`Allocation`s), or what there is too little of (`Missing`).

    A pinned location gives all or nothing. Otherwise one location that has everything is preferred, the nearest of
    them; if there is none, the fewest parcels: again and again the location that has most of what is still wanted.
    Without `near_cep` warehouses come before stores.
    """
    free: dict[str, dict[Sku, int]] = {}
    for level in levels:
        if level.free > 0 and (pinned is None or level.location == pinned):
            free.setdefault(level.location, {})[level.sku] = level.free
    missing = tuple(
        Missing(sku=sku, wanted=units, available=have)
        for sku, units in wanted.items()
        if (have := sum(shelf.get(sku, 0) for shelf in free.values())) < units
    )
    if missing:
        return missing
    rank = {place.id: index for index, place in enumerate(_in_order(locations, near_cep))}
    shelves = sorted(free, key=lambda place: (rank.get(place, len(rank)), place))
    left = dict(wanted)
    allocations: list[Allocation] = []
    while left:
        best = max(
            shelves, key=lambda place: sum(min(units, free[place].get(sku, 0)) for sku, units in left.items())
        )  # of equals the first, which is the nearest
        for sku in list(left):
            units = min(left[sku], free[best].get(sku, 0))
            if units:
                allocations.append(Allocation(sku=sku, location=best, quantity=units))
                free[best][sku] -= units
                left[sku] -= units
                if not left[sku]:
                    del left[sku]
    return tuple(allocations)


def _in_order(locations: Sequence[LocationView], near_cep: str | None) -> list[LocationView]:
    if near_cep is None:
        return sorted(locations, key=lambda place: (place.kind != "warehouse", place.id))
    return sorted(locations, key=lambda place: nearness(near_cep, place.cep, place.lat, place.lon))
