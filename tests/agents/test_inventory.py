from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.service import InventorySettings
from agent_store.agents.inventory.tables import levels, movements, reservations
from agent_store.contracts.catalog import ImportVariant, ProductImported
from agent_store.contracts.common import Item
from agent_store.contracts.inventory import (
    AdjustStock,
    GetAvailability,
    ImportLocations,
    InventoryCommit,
    InventoryCommitRefused,
    InventoryCommitted,
    InventoryRefused,
    InventoryRelease,
    InventoryReserve,
    InventoryReserved,
    ListLocations,
    LocationView,
    ProductStockLow,
    StockUpdated,
)
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from agent_store.kernel.ids import CustomerId, OrderId, ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.support.store import TestStore

STAFF = Principal(staff="Ana")
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
HOLD = timedelta(minutes=30)
AA, ZZ = Sku("AA"), Sku("ZZ")

LOCATIONS = (
    LocationView(id="cd-sp", name="Depot", kind="warehouse", cep="07034-000", state="SP", lat=-23.4, lon=-46.5),
    LocationView(id="loja-rio", name="Rio", kind="store", cep="22070-000", state="RJ", lat=-22.97, lon=-43.18),
    LocationView(id="loja-poa", name="Porto Alegre", kind="store", cep="90010-000", state="RS"),
)


def stocked(stock: dict[str, dict[str, int]], revision: int = 1) -> ProductImported:
    variants = tuple(
        ImportVariant(sku=Sku(sku), price=Money(minor=1_000), stock=by_location) for sku, by_location in stock.items()
    )
    return ProductImported(product_id=ProductId("p"), brand="fashion", name="P", variants=variants, revision=revision)


def reserve(order: str, lines: dict[str, int], attempt: int = 1, **more: Any) -> InventoryReserve:
    items = tuple(Item(sku=Sku(sku), quantity=units) for sku, units in lines.items())
    return InventoryReserve(
        order_id=OrderId(order), customer_id=CustomerId(f"c-{order}"), lines=items,
        expires_at=START + HOLD, attempt=attempt, **more,
    )  # fmt: skip


def commit(order: str, attempt: int | None = None) -> InventoryCommit:
    return InventoryCommit(order_id=OrderId(order), customer_id=CustomerId(f"c-{order}"), attempt=attempt)


def release(order: str, *, sold: bool = False, attempt: int | None = None) -> InventoryRelease:
    return InventoryRelease(order_id=OrderId(order), customer_id=CustomerId(f"c-{order}"), sold=sold, attempt=attempt)


class Warehouse:
    """A store with the three locations and what `stock` says on their shelves."""

    def __init__(self, stock: dict[str, dict[str, int]], low_stock: int = 0) -> None:
        self.stock = stock
        self.store = TestStore([inventory], ports={InventorySettings: InventorySettings(low_stock=low_stock)})

    async def __aenter__(self) -> Warehouse:
        await self.store.__aenter__()
        await self.store.call(ImportLocations(locations=LOCATIONS), STAFF)
        await self.send(stocked(self.stock))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.store.__aexit__(*exc)

    async def send(self, *events: Any) -> None:
        for event in events:
            await self.store.publish(event)
        await self.store.settle()

    async def free(self, sku: str) -> int:
        return (await self.store.call(GetAvailability(skus=(Sku(sku),))))[0].available

    async def level(self, sku: str, location: str) -> tuple[int, int]:
        query = select(levels).where(levels.c.sku == sku, levels.c.location == location)
        row = (await self.store.rows(query))[0]
        return row["on_hand"], row["reserved"]


async def test_imported_stock_is_counted_by_location_and_told() -> None:
    async with Warehouse({"AA": {"cd-sp": 5, "loja-rio": 2}}) as house:
        found = await house.store.call(GetAvailability(skus=(ZZ, AA)))
        assert [(a.sku, a.available, a.by_location) for a in found] == [
            ("ZZ", 0, {}),
            ("AA", 7, {"cd-sp": 5, "loja-rio": 2}),
        ]
        told = house.store.events(StockUpdated)
        assert [(u.version, u.location, u.available, u.cause) for u in told] == [
            (1, "cd-sp", 5, "import"),
            (2, "loja-rio", 7, "import"),
        ]


async def test_the_same_import_twice_moves_nothing_and_an_older_one_is_ignored() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(stocked({"AA": {"cd-sp": 5}}, revision=1))
        await house.send(stocked({"AA": {"cd-sp": 9}}, revision=3), stocked({"AA": {"cd-sp": 1}}, revision=2))
        assert await house.free("AA") == 9
        assert [u.on_hand for u in house.store.events(StockUpdated)] == [5, 9]


async def test_a_count_below_what_is_promised_keeps_the_promise() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(reserve("o1", {"AA": 4}))
        await house.send(stocked({"AA": {"cd-sp": 1}}, revision=2))
        assert await house.level("AA", "cd-sp") == (4, 4)


async def test_stock_at_an_unknown_location_is_a_dead_letter_that_says_so() -> None:
    async with Warehouse({}) as house:
        await house.send(stocked({"AA": {"moon": 3}}))
        assert "unknown location moon" in (await house.store.dead())[0].error
        assert await house.free("AA") == 0


async def test_units_are_held_sold_and_told() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(reserve("o1", {"AA": 2}))
        held = house.store.events(InventoryReserved)[0]
        assert [(a.location, a.quantity) for a in held.allocations] == [("cd-sp", 2)]
        assert held.expires_at == START + HOLD
        assert await house.level("AA", "cd-sp") == (5, 2)
        await house.send(commit("o1"))
        assert len(house.store.events(InventoryCommitted)) == 1
        assert await house.level("AA", "cd-sp") == (3, 0)
        await house.store.move(HOLD + timedelta(minutes=1))
        assert await house.level("AA", "cd-sp") == (3, 0)


async def test_an_order_gets_all_its_units_or_none() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}, "BB": {"cd-sp": 1}}) as house:
        await house.send(reserve("o1", {"AA": 2, "BB": 2}))
        refused = house.store.events(InventoryRefused)[0]
        assert [(m.sku, m.wanted, m.available) for m in refused.missing] == [("BB", 2, 1)]
        assert await house.level("AA", "cd-sp") == (5, 0)


async def test_lines_of_the_same_sku_are_added_up() -> None:
    async with Warehouse({"AA": {"cd-sp": 3}}) as house:
        lines = (Item(sku=AA, quantity=2), Item(sku=AA, quantity=2))
        await house.send(reserve("o1", {"AA": 1}).model_copy(update={"lines": lines}))
        assert house.store.events(InventoryRefused)[0].missing[0].wanted == 4


@pytest.mark.parametrize(
    ("cep", "place"), [("22041-011", "loja-rio"), ("01310-100", "cd-sp"), ("88010-000", "loja-poa")]
)
async def test_the_nearest_place_that_has_everything_gives(cep: str, place: str) -> None:
    async with Warehouse({"AA": {"cd-sp": 9, "loja-rio": 9, "loja-poa": 9}}) as house:
        await house.send(reserve("o1", {"AA": 2}, near_cep=cep))
        assert [a.location for a in house.store.events(InventoryReserved)[0].allocations] == [place]


async def test_one_parcel_from_afar_is_better_than_two_from_near() -> None:
    async with Warehouse({"AA": {"loja-rio": 1, "loja-poa": 5}, "BB": {"loja-poa": 1}}) as house:
        await house.send(reserve("o1", {"AA": 1, "BB": 1}, near_cep="22041-011"))
        assert {a.location for a in house.store.events(InventoryReserved)[0].allocations} == {"loja-poa"}


async def test_an_order_is_split_when_no_place_has_everything() -> None:
    async with Warehouse({"AA": {"cd-sp": 3, "loja-rio": 2}}) as house:
        await house.send(reserve("o1", {"AA": 5}))
        got = {a.location: a.quantity for a in house.store.events(InventoryReserved)[0].allocations}
        assert got == {"cd-sp": 3, "loja-rio": 2}


async def test_a_pickup_takes_from_its_own_shelf_only() -> None:
    async with Warehouse({"AA": {"cd-sp": 9, "loja-rio": 1}}) as house:
        await house.send(reserve("o1", {"AA": 2}, location="loja-rio"))
        await house.send(reserve("o2", {"AA": 1}, location="loja-rio"))
        assert house.store.events(InventoryRefused)[0].missing[0].available == 1
        assert house.store.events(InventoryReserved)[0].allocations[0].location == "loja-rio"


async def test_a_reservation_that_nobody_pays_expires() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(reserve("o1", {"AA": 2}))
        await house.store.move(HOLD - timedelta(seconds=1))
        assert await house.free("AA") == 3
        await house.store.move(timedelta(seconds=2))
        assert await house.free("AA") == 5
        await house.send(commit("o1"))
        assert len(house.store.events(InventoryCommitRefused)) == 1
        assert await house.level("AA", "cd-sp") == (5, 0)


async def test_a_second_attempt_holds_again_and_the_first_one_s_timer_leaves_it_alone() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        second = reserve("o1", {"AA": 2}, attempt=2).model_copy(update={"expires_at": START + 3 * HOLD})
        await house.send(reserve("o1", {"AA": 2}), second)
        assert await house.level("AA", "cd-sp") == (5, 2), "the first attempt's units are not held twice"
        await house.store.move(2 * HOLD)
        assert await house.level("AA", "cd-sp") == (5, 2)
        await house.send(commit("o1"))
        assert await house.level("AA", "cd-sp") == (3, 0)


async def test_a_release_that_comes_before_its_reserve_wins() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(release("o1"), reserve("o1", {"AA": 2}), commit("o1"))
        assert await house.level("AA", "cd-sp") == (5, 0)
        assert len(house.store.events(InventoryCommitRefused)) == 1
        assert house.store.events(InventoryReserved) == []
        await house.send(reserve("o1", {"AA": 2}, attempt=2))
        assert await house.level("AA", "cd-sp") == (5, 2), "a later attempt is a new wish"


async def test_a_release_of_a_later_attempt_stops_that_one_too() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(reserve("o1", {"AA": 1}), release("o1", attempt=2), reserve("o1", {"AA": 2}, attempt=2))
        assert await house.level("AA", "cd-sp") == (5, 0)


async def test_a_release_of_an_earlier_attempt_leaves_the_later_one() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(reserve("o1", {"AA": 2}, attempt=2), release("o1", attempt=1), reserve("o1", {"AA": 2}))
        assert await house.level("AA", "cd-sp") == (5, 2)


async def test_what_was_sold_goes_back_only_when_the_release_says_so_and_once() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(reserve("o1", {"AA": 2}), commit("o1"), release("o1"))
        assert await house.level("AA", "cd-sp") == (3, 0)
        await house.send(release("o1", sold=True), release("o1", sold=True), commit("o1"))
        assert await house.level("AA", "cd-sp") == (5, 0)
        assert house.store.events(StockUpdated)[-1].cause == "return"


async def test_duplicates_of_every_command_change_nothing() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(*[reserve("o1", {"AA": 2})] * 3, *[commit("o1")] * 3)
        assert await house.level("AA", "cd-sp") == (3, 0)
        assert len(house.store.events(InventoryReserved)) == len(house.store.events(InventoryCommitted)) == 1


async def test_a_commit_without_a_reservation_is_refused() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(commit("o1"))
        await house.send(reserve("o2", {"AA": 1}), commit("o2", attempt=7))
        assert [refused.order_id for refused in house.store.events(InventoryCommitRefused)] == ["o1", "o2"]
        assert await house.level("AA", "cd-sp") == (5, 1)


async def test_the_last_unit_goes_to_one_of_two_hundred() -> None:
    async with Warehouse({"AA": {"cd-sp": 1}}) as house:
        await house.send(*(reserve(f"o{n}", {"AA": 1}) for n in range(200)))
        assert len(house.store.events(InventoryReserved)) == 1
        assert len(house.store.events(InventoryRefused)) == 199
        assert await house.level("AA", "cd-sp") == (1, 1)


async def test_low_stock_is_told_on_the_way_down_and_again_after_it_was_filled_up() -> None:
    async with Warehouse({"AA": {"cd-sp": 6}, "BB": {"cd-sp": 1}}, low_stock=5) as house:
        assert house.store.events(ProductStockLow) == [], "a SKU that begins low has not fallen"
        await house.send(reserve("o1", {"AA": 1}))
        assert house.store.events(ProductStockLow) == []
        await house.send(reserve("o2", {"AA": 1}), reserve("o3", {"AA": 1}))
        assert [(low.sku, low.available) for low in house.store.events(ProductStockLow)] == [("AA", 4)]
        await house.send(release("o1"), release("o2"))
        await house.send(reserve("o4", {"AA": 2}))
        assert len(house.store.events(ProductStockLow)) == 2


async def test_a_person_adjusts_a_level_but_not_below_what_is_promised() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        await house.send(reserve("o1", {"AA": 2}))
        store = house.store
        after = await store.call(AdjustStock(sku=AA, location="cd-sp", change=-3, reason="broken"), STAFF)
        assert (after.available, after.by_location) == (0, {"cd-sp": 0})
        with pytest.raises(Conflict, match="2 of them promised"):
            await store.call(AdjustStock(sku=AA, location="cd-sp", change=-1, reason="broken"), STAFF)
        await store.call(AdjustStock(sku=AA, location="loja-poa", change=4, reason="delivery"), STAFF)
        assert await house.free("AA") == 4
        row = (await store.rows(select(movements).order_by(movements.c.version.desc())))[0]
        assert (row["staff"], row["reason"], row["on_hand_change"]) == ("Ana", "delivery", 4)


async def test_an_adjustment_needs_staff_a_known_sku_a_known_place_and_a_change() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        call = house.store.call
        with pytest.raises(Forbidden):
            await call(AdjustStock(sku=AA, location="cd-sp", change=1, reason="x"), Principal(customer_id="c"))
        with pytest.raises(NotFound, match="moon"):
            await call(AdjustStock(sku=AA, location="moon", change=1, reason="x"), STAFF)
        with pytest.raises(NotFound, match="ZZ"):
            await call(AdjustStock(sku=ZZ, location="cd-sp", change=1, reason="x"), STAFF)
        with pytest.raises(InvalidInput):
            await call(AdjustStock(sku=AA, location="cd-sp", change=0, reason="x"), STAFF)


async def test_locations_are_replaced_by_id_and_checked() -> None:
    async with Warehouse({}) as house:
        moved = LOCATIONS[1].model_copy(update={"city": "Niterói"})
        assert await house.store.call(ImportLocations(locations=(moved,)), STAFF) == 1
        found = await house.store.call(ListLocations())
        assert [place.id for place in found] == ["cd-sp", "loja-poa", "loja-rio"]
        assert found[2].city == "Niterói"
        with pytest.raises(InvalidInput, match="twice"):
            await house.store.call(ImportLocations(locations=(moved, moved)), STAFF)
        bad = moved.model_copy(update={"cep": "123"})
        with pytest.raises(InvalidInput, match="no CEP"):
            await house.store.call(ImportLocations(locations=(bad,)), STAFF)


async def test_the_ledger_adds_up_after_a_kill_in_the_middle() -> None:
    async with Warehouse({"AA": {"cd-sp": 5}}) as house:
        for n in range(6):
            await house.store.publish(reserve(f"o{n}", {"AA": 1}))
        await house.store.kill_and_restart()
        await house.store.settle()
        assert await house.level("AA", "cd-sp") == (5, 5)
        sums = await house.store.rows(
            select(
                func.sum(movements.c.on_hand_change).label("on_hand"),
                func.sum(movements.c.reserved_change).label("reserved"),
            )
        )
        assert (sums[0]["on_hand"], sums[0]["reserved"]) == (5, 5)
        states = await house.store.rows(select(reservations.c.state))
        assert sorted(row["state"] for row in states) == ["held"] * 5 + ["refused"]
