"""Stock under random commands, duplicates, delays and expiry: it never goes below zero, nothing is sold twice."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from agent_store.agents.inventory import tables as t
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.service import InventorySettings
from agent_store.contracts.inventory import (
    AdjustStock,
    ImportLocations,
    InventoryCommitted,
    InventoryRefused,
    InventoryReserved,
    StockUpdated,
)
from agent_store.kernel.errors import Conflict
from agent_store.kernel.ids import Sku
from tests.agents.test_inventory import LOCATIONS, STAFF, commit, release, reserve, stocked
from tests.support.store import TestStore

SKUS = ("AA", "BB")
PLACES = tuple(place.id for place in LOCATIONS)
ORDERS = st.sampled_from([f"o{n}" for n in range(5)])
ATTEMPTS = st.integers(1, 2)


class Shelf(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = TestStore([inventory], ports={InventorySettings: InventorySettings(low_stock=3)})
        self.revision = 1
        self.do(self.store.__aenter__())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.store.__aexit__())
        self.runner.close()

    def send(self, *events: Any) -> None:
        async def publish() -> None:
            for event in events:
                await self.store.publish(event)
            await self.store.settle()

        self.do(publish())

    @initialize(stock=st.dictionaries(st.sampled_from(PLACES), st.integers(0, 6), min_size=1))
    def fill(self, stock: dict[str, int]) -> None:
        self.do(self.store.call(ImportLocations(locations=LOCATIONS), STAFF))
        self.send(stocked(dict.fromkeys(SKUS, stock)))

    @rule(
        order=ORDERS,
        lines=st.dictionaries(st.sampled_from(SKUS), st.integers(1, 4), min_size=1),
        attempt=ATTEMPTS,
        place=st.none() | st.sampled_from(PLACES),
        times=st.integers(1, 2),
    )
    def reserves(self, order: str, lines: dict[str, int], attempt: int, place: str | None, times: int) -> None:
        command = reserve(order, lines, attempt, location=place)
        command = command.model_copy(update={"expires_at": self.store.clock.now() + timedelta(minutes=30)})
        self.send(*[command] * times)

    @rule(order=ORDERS, attempt=st.none() | ATTEMPTS, times=st.integers(1, 2))
    def commits(self, order: str, attempt: int | None, times: int) -> None:
        self.send(*[commit(order, attempt)] * times)

    @rule(order=ORDERS, attempt=st.none() | ATTEMPTS, sold=st.booleans())
    def releases(self, order: str, attempt: int | None, sold: bool) -> None:
        self.send(release(order, sold=sold, attempt=attempt))

    @rule(minutes=st.integers(1, 40))
    def waits(self, minutes: int) -> None:
        self.do(self.store.move(timedelta(minutes=minutes)))

    @rule(sku=st.sampled_from(SKUS), place=st.sampled_from(PLACES), change=st.integers(-4, 4).filter(bool))
    def adjusts(self, sku: str, place: str, change: int) -> None:
        refused = False
        try:
            self.do(self.store.call(AdjustStock(sku=Sku(sku), location=place, change=change, reason="count"), STAFF))
        except Conflict:
            refused = True
        assert change < 0 or not refused

    @rule(sku=st.sampled_from(SKUS), place=st.sampled_from(PLACES), counted=st.integers(0, 6), late=st.booleans())
    def counts(self, sku: str, place: str, counted: int, late: bool) -> None:
        self.revision += 0 if late else 1
        self.send(stocked({sku: {place: counted}}, revision=1 if late else self.revision))

    @rule()
    def dies(self) -> None:
        self.do(self.store.kill_and_restart())

    def rows(self, statement: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self.do(self.store.rows(statement))]

    @invariant()
    def levels_are_the_sum_of_the_ledger(self) -> None:
        sums = {
            (row["sku"], row["location"]): (row["on_hand"], row["reserved"])
            for row in self.rows(
                select(
                    t.movements.c.sku,
                    t.movements.c.location,
                    func.sum(t.movements.c.on_hand_change).label("on_hand"),
                    func.sum(t.movements.c.reserved_change).label("reserved"),
                ).group_by(t.movements.c.sku, t.movements.c.location)
            )
        }
        for row in self.rows(select(t.levels)):
            on_hand, reserved = row["on_hand"], row["reserved"]
            assert 0 <= reserved <= on_hand
            assert sums.get((row["sku"], row["location"]), (0, 0)) == (on_hand, reserved)

    @invariant()
    def what_is_reserved_is_what_open_reservations_hold(self) -> None:
        held = {
            (row["sku"], row["location"]): row["units"]
            for row in self.rows(
                select(
                    t.reserved_lines.c.sku,
                    t.reserved_lines.c.location,
                    func.sum(t.reserved_lines.c.quantity).label("units"),
                )
                .join(
                    t.reservations,
                    (t.reservations.c.order_id == t.reserved_lines.c.order_id)
                    & (t.reservations.c.attempt == t.reserved_lines.c.attempt),
                )
                .where(t.reservations.c.state == "held")
                .group_by(t.reserved_lines.c.sku, t.reserved_lines.c.location)
            )
        }
        for row in self.rows(select(t.levels)):
            assert row["reserved"] == held.get((row["sku"], row["location"]), 0)

    @invariant()
    def a_sku_s_row_and_events_say_what_its_levels_say(self) -> None:
        free: dict[str, int] = {}
        for row in self.rows(select(t.levels)):
            free[row["sku"]] = free.get(row["sku"], 0) + row["on_hand"] - row["reserved"]
        told: dict[str, StockUpdated] = {}
        for event in self.store.events(StockUpdated):
            assert event.version == (told[event.sku].version + 1 if event.sku in told else 1)
            told[event.sku] = event
        for row in self.rows(select(t.skus)):
            assert row["available"] == free.get(row["sku"], 0) >= 0
            if row["sku"] in told:
                assert told[row["sku"]].available == row["available"]

    @invariant()
    def an_order_is_sold_once_and_every_answer_comes_once(self) -> None:
        sold: dict[str, int] = {}
        for row in self.rows(select(t.reservations)):
            sold[row["order_id"]] = sold.get(row["order_id"], 0) + (row["state"] == "committed")
        assert all(times <= 1 for times in sold.values())
        answers = [
            (event.order_id, event.attempt)
            for kind in (InventoryReserved, InventoryRefused)
            for event in self.store.events(kind)
        ]
        assert len(answers) == len(set(answers))
        assert len(self.store.events(InventoryCommitted)) <= len(self.store.events(InventoryReserved))
        assert self.do(self.store.dead()) == []


TestShelf = Shelf.TestCase
TestShelf.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=(HealthCheck.too_slow,)
)
