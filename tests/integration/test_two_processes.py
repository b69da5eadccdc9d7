"""Two processes of the same agents on one PostgreSQL, at once: what must be one stays one.

A broker in memory brings every event twice and in no order, to whichever of the two takes it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from agent_store.adapters.db.postgres import PostgresStore
from agent_store.agents.assistant.tables import escalations
from agent_store.agents.cart.tables import carts, lines
from agent_store.agents.conversations.tables import conversations, customers, identities, messages
from agent_store.agents.inventory import tables as stock
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.service import InventorySettings
from agent_store.agents.orders.tables import orders
from agent_store.agents.payments import service as payments_service
from agent_store.agents.payments.tables import payments
from agent_store.contracts.cart import AddToCart, GetCart
from agent_store.contracts.chat import ChatMessageNew, CustomerNew, Remember
from agent_store.contracts.inventory import (
    AdjustStock,
    ImportLocations,
    InventoryCommit,
    InventoryCommitted,
    InventoryRefused,
    InventoryRelease,
    InventoryReserved,
    StockUpdated,
)
from agent_store.contracts.orders import OrderConfirmed, OrderRejected, PlaceOrder
from agent_store.contracts.payments import CancelPayment, PaymentLinkCreated, PaymentRequest, SubmitTestCard
from agent_store.contracts.people import ClaimEscalation, ListEscalations, SalesEscalate
from agent_store.contracts.whatsapp import InboundContent, WhatsAppMessageReceived
from agent_store.kernel import tables
from agent_store.kernel.context import Row
from agent_store.kernel.contexts import TransactionContext
from agent_store.kernel.errors import Conflict, StaleSpeaker, TemporaryError
from agent_store.kernel.event import Event, wrap
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.store import Unit
from agent_store.kernel.tool import Principal, Tool
from tests.agents.selling import ADDRESS, DRESS, STAFF, Shop, customer
from tests.agents.test_inventory import LOCATIONS, reserve, stocked
from tests.support.backends import Backend, Buses, Stores, current
from tests.support.buses import MemoryBroker
from tests.support.chat import FASHION, ChatStore
from tests.support.store import TestStore

E = TypeVar("E", bound=Event)


@pytest.fixture(params=[1, 2])
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


@pytest.fixture(autouse=True)
def shared(postgres_url: str, rng: random.Random) -> Iterable[MemoryBroker]:
    """Every `TestStore` of this test is a process on the same database and broker."""
    broker = MemoryBroker(twice=True, rng=rng)

    @asynccontextmanager
    async def database(folder: Path) -> AsyncGenerator[Stores]:
        yield lambda: PostgresStore(postgres_url, writers=3, readers=3)

    @asynccontextmanager
    async def buses() -> AsyncGenerator[Buses]:
        yield broker.bus

    before, current.backend = current.backend, Backend(database, buses, "postgresql", "memory")
    yield broker
    current.backend = before


UNFINISHED = select(func.count().label("n")).where(tables.inbox.c.state.not_in(("done", "dead")))


async def settle(*stores: TestStore) -> None:
    """Until nothing is pending in either, and nobody waits for a second try."""
    for _ in range(120):
        for store in stores:
            await store.settle()
        (left,) = await stores[0].rows(UNFINISHED)
        if not left["n"]:
            return
        for store in stores:
            store.clock.move(timedelta(seconds=1))
            store.monotonic.move(1)
        for store in stores:
            await store.runtime.steward.tick()
    raise AssertionError(await stores[0].rows(select(tables.inbox).where(tables.inbox.c.state != "done")))


def events(kind: type[E], *stores: TestStore) -> list[E]:
    """What either has committed."""
    return [event for store in stores for event in store.events(kind)]


async def rows(store: TestStore, statement: Any) -> Sequence[Row]:
    return await store.rows(statement)


async def whoever(outcomes: Iterable[Any]) -> list[Any]:
    return await asyncio.gather(*outcomes, return_exceptions=True)


S = TypeVar("S", bound=TestStore)


@asynccontextmanager
async def pair(one: S, two: S) -> AsyncGenerator[tuple[S, S]]:
    async with one:
        two.neighbours = [one]
        async with two:
            one.neighbours = [two]
            yield one, two
            one.neighbours = []


R = TypeVar("R")


async def insist(store: TestStore, call: Tool[R], who: Principal, key: str) -> R:
    """As a client does: a temporary failure is tried again under the same key."""
    for _ in range(5):
        try:
            return await store.call(call, who, key=key)
        except TemporaryError:
            await asyncio.sleep(0)
    return await store.call(call, who, key=key)


# --- stock -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def shelves() -> AsyncGenerator[tuple[TestStore, TestStore]]:
    ports = {InventorySettings: InventorySettings(low_stock=0)}
    async with pair(TestStore([inventory], ports=ports), TestStore([inventory], ports=ports)) as (one, two):
        await one.call(ImportLocations(locations=LOCATIONS), STAFF)
        await settle(one, two)
        yield one, two


async def holds(*stores: TestStore) -> None:
    """Levels are the sum of the ledger, what is reserved is what open reservations hold, nothing is below zero, and each
    change was told under a version of its own."""
    store, moves = stores[0], stock.movements
    sums = {
        (row["sku"], row["location"]): (row["on_hand"], row["reserved"])
        for row in await rows(
            store,
            select(
                moves.c.sku,
                moves.c.location,
                func.sum(moves.c.on_hand_change).label("on_hand"),
                func.sum(moves.c.reserved_change).label("reserved"),
            ).group_by(moves.c.sku, moves.c.location),
        )
    }
    held: Counter[tuple[str, str]] = Counter()
    for row in await rows(
        store,
        select(stock.reserved_lines.c.sku, stock.reserved_lines.c.location, stock.reserved_lines.c.quantity).join(
            stock.reservations,
            (stock.reservations.c.order_id == stock.reserved_lines.c.order_id)
            & (stock.reservations.c.attempt == stock.reserved_lines.c.attempt)
            & (stock.reservations.c.state == "held"),
        ),
    ):
        held[row["sku"], row["location"]] += row["quantity"]
    free: Counter[str] = Counter()
    for row in await rows(store, select(stock.levels)):
        key = (row["sku"], row["location"])
        assert 0 <= row["reserved"] <= row["on_hand"]
        assert sums.get(key, (0, 0)) == (row["on_hand"], row["reserved"])
        assert row["reserved"] == held[key]
        free[row["sku"]] += row["on_hand"] - row["reserved"]
    for row in await rows(store, select(stock.skus)):
        assert row["available"] == free[row["sku"]]
        told = [event.version for event in events(StockUpdated, *stores) if event.sku == row["sku"]]
        assert sorted(told) == list(range(1, row["version"] + 1))


async def test_the_last_units_are_promised_once_however_many_want_them() -> None:
    async with shelves() as (one, two):
        await one.publish(stocked({"AA": {"cd-sp": 4, "loja-rio": 3}, "BB": {"cd-sp": 5}}))
        await settle(one, two)
        wishes = [reserve(f"o{n}", {"AA": 1, "BB": 1} if n % 2 else {"BB": 1, "AA": 1}) for n in range(40)]
        await asyncio.gather(*((one, two)[n % 2].publish(wish) for n, wish in enumerate(wishes)))
        await settle(one, two)
        reserved, refused = events(InventoryReserved, one, two), events(InventoryRefused, one, two)
        assert (len(reserved), len(refused)) == (5, 35), "BB has five"
        assert len({fact.order_id for fact in (*reserved, *refused)}) == 40
        await holds(one, two)
        commands = [
            each
            for fact in reserved
            for each in (
                InventoryCommit(order_id=fact.order_id, customer_id=CustomerId("c")),
                InventoryRelease(order_id=fact.order_id, customer_id=CustomerId("c")),
            )
        ]
        await asyncio.gather(*((one, two)[n % 3 % 2].publish(command) for n, command in enumerate(commands)))
        await settle(one, two)
        await holds(one, two)
        states = [row["state"] for row in await rows(one, select(stock.reservations)) if row["state"] != "refused"]
        assert len(states) == 5
        assert set(states) <= {"committed", "released"}
        assert len(events(InventoryCommitted, one, two)) == states.count("committed")
        assert await one.dead() == []


async def test_stock_under_random_commands_from_two_processes(rng: random.Random) -> None:
    """Reservations of several attempts, sales, releases, counts and adjustments, all at once."""
    async with shelves() as (one, two):
        await one.publish(stocked({"AA": {"cd-sp": 9, "loja-rio": 6}, "BB": {"cd-sp": 7, "loja-poa": 3}}))
        await settle(one, two)
        for turn in range(6):
            commands: list[Any] = []
            for _ in range(12):
                order, attempt = f"o{rng.randrange(8)}", rng.choice((1, 2))
                match rng.randrange(5):
                    case 0 | 1:
                        wanted = {sku: rng.randint(1, 3) for sku in rng.sample(("AA", "BB"), rng.randint(1, 2))}
                        commands.append(reserve(order, wanted, attempt))
                    case 2:
                        commands.append(InventoryCommit(order_id=OrderId(order), customer_id=CustomerId("c")))
                    case 3:
                        sold = rng.random() < 0.5
                        commands.append(
                            InventoryRelease(order_id=OrderId(order), customer_id=CustomerId("c"), sold=sold)
                        )
                    case _:
                        counted = {rng.choice(("cd-sp", "loja-rio", "loja-poa")): rng.randint(0, 9)}
                        commands.append(stocked({rng.choice(("AA", "BB")): counted}, revision=turn + 2))
            works = [rng.choice((one, two)).publish(command) for command in commands]
            change = AdjustStock(sku=Sku("AA"), location="cd-sp", change=rng.choice((-2, 3)), reason="count")
            counts = (insist(store, change, STAFF, f"{turn} {n}") for n, store in enumerate((one, two)))
            outcomes = await whoever([*works, *counts])
            assert [
                outcome for outcome in outcomes if isinstance(outcome, Exception) and not isinstance(outcome, Conflict)
            ] == []
            await settle(one, two)
            await holds(one, two)
        answers = [
            (fact.order_id, fact.attempt)
            for kind in (InventoryReserved, InventoryRefused)
            for fact in events(kind, one, two)
        ]
        assert len(answers) == len(set(answers))
        sold = Counter(
            row["order_id"] for row in await rows(one, select(stock.reservations)) if row["state"] == "committed"
        )
        assert all(times == 1 for times in sold.values())
        assert await one.dead() == []


# --- cart, orders, payments ------------------------------------------------------------------------------------------


@asynccontextmanager
async def shops(stock: dict[str, int]) -> AsyncGenerator[tuple[Shop, Shop]]:
    two = Shop(stock)
    async with Shop(stock) as one:
        two.store.neighbours = [one.store]
        async with two:
            one.store.neighbours = [two.store]
            await settle(one.store, two.store)
            yield one, two
            one.store.neighbours = []


async def test_one_cart_effect_a_key_and_no_line_is_lost() -> None:
    async with shops({DRESS: 100}) as (one, two):
        who = customer("c1")
        calls = [
            insist(shop.store, AddToCart(sku=DRESS), who, f"k{number}") for number in range(8) for shop in (one, two)
        ]
        views = await asyncio.gather(*calls)
        assert all(views[n] == views[n + 1] for n in range(0, 16, 2)), "the same key has the same answer"
        (line,) = await rows(one.store, select(lines))
        assert line["quantity"] == 8
        (cart,) = await rows(one.store, select(carts))
        assert cart["version"] == 8
        await settle(one.store, two.store)


async def test_one_order_a_checkout() -> None:
    async with shops({DRESS: 100}) as (one, two):
        people = [customer(f"c{number}") for number in range(10)]
        await asyncio.gather(*(one.store.call(AddToCart(sku=DRESS), who, key="add") for who in people))
        place = PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS)
        calls = [
            insist(shop.store, place, who, key)
            for who in people
            for key in ("first tap", "second tap")
            for shop in (one, two)
        ]
        outcomes = await whoever(calls)
        await settle(one.store, two.store)
        placed = await rows(one.store, select(orders))
        assert sorted(row["customer_id"] for row in placed) == sorted(str(who.customer_id) for who in people)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                assert isinstance(outcome, Conflict)
                assert outcome.code == "already-ordered"
        assert {outcome.number for outcome in outcomes if not isinstance(outcome, Exception)} == {
            row["number"] for row in placed
        }
        assert {view.version: view.lines for view in [await two.store.call(GetCart(), people[0])]} == {2: ()}


async def test_many_customers_want_the_last_units_and_as_many_get_them() -> None:
    async with shops({DRESS: 3}) as (one, two):
        people = [customer(f"c{number}", conversation_id=f"v{number}", lease_token=1) for number in range(16)]
        place = PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS)
        turns = [((one, two)[n % 2].store, who) for n, who in enumerate(people)]
        await asyncio.gather(*(store.call(AddToCart(sku=DRESS), who, key="add") for store, who in turns))
        await asyncio.gather(*(store.call(place, who, key="place") for store, who in turns))
        await settle(one.store, two.store)
        links = events(PaymentLinkCreated, one.store, two.store)
        assert len(links) == 3
        assert len(events(OrderRejected, one.store, two.store)) == 13
        winners = [who for who in people if who.customer_id in {link.customer_id for link in links}]
        taps = await whoever(
            shop.store.call(SubmitTestCard(code="4242"), who, key=f"{n}")
            for who in winners
            for n, shop in enumerate((one, two))
        )
        assert sum(not isinstance(tap, Exception) for tap in taps) == 3
        await settle(one.store, two.store)
        assert len(events(OrderConfirmed, one.store, two.store)) == 3
        captures = await one.provider.captures()
        assert len(captures) == 3
        assert await two.provider.captures() == captures
        assert all(row["state"] in ("paid", "cancelled") for row in await rows(one.store, select(payments)))
        await holds(one.store, two.store)
        assert await one.store.dead() == []


@pytest.mark.parametrize("first", ["request", "cancellation"])
async def test_an_order_that_is_cancelled_while_its_payment_is_asked_for_has_no_open_link(first: str) -> None:
    async with shops({DRESS: 1}) as (one, two):
        ask = PaymentRequest(
            order_id=OrderId("x"), order_number="AS-X", customer_id=CustomerId("c1"), brand="fashion",
            amount=Money(minor=100), expires_at=one.clock.now() + timedelta(minutes=30),
        )  # fmt: skip
        cancel = CancelPayment(order_id=OrderId("x"), customer_id=CustomerId("c1"))
        written, gate = asyncio.Event(), asyncio.Event()

        def handling(shop: Shop, event: Event, *, slow: bool) -> Coroutine[Any, Any, None]:
            consumer = next(one for one in shop.store.consumers if one.name == "payments")
            envelope = wrap(event, id=event.event_type, source="/orders", time=shop.clock.now())

            async def work(unit: Unit) -> None:
                context = TransactionContext(shop.store.runtime.world, consumer, envelope, Principal(), "k", unit)
                if isinstance(event, PaymentRequest):
                    await payments_service.make(context, event)
                elif isinstance(event, CancelPayment):
                    await payments_service.cancel(context, event)
                if slow:
                    written.set()
                    await gate.wait()

            return shop.store.runtime.store.run(work)

        begins, follows = (ask, cancel) if first == "request" else (cancel, ask)
        early = asyncio.create_task(handling(one, begins, slow=True))
        await written.wait()
        late = asyncio.create_task(handling(two, follows, slow=False))
        await asyncio.wait([late], timeout=0.1)
        gate.set()
        await asyncio.gather(early, late)
        assert [row["state"] for row in await rows(one.store, select(payments))] == (
            ["cancelled"] if first == "request" else []
        )
        await settle(one.store, two.store)


# --- people ----------------------------------------------------------------------------------------------------------


def message(n: int, wa_id: str, **more: Any) -> WhatsAppMessageReceived:
    return WhatsAppMessageReceived(
        wamid=f"wamid.{wa_id}.{n}",
        phone_number_id=FASHION,
        sender=wa_id,
        wa_id=wa_id,
        kind="text",
        content=InboundContent(text=f"mensagem {n}"),
        sent_at=more["at"],
        profile_name=more.get("name"),
    )


async def test_one_customer_a_phone_number_and_one_conversation_with_every_message_in_it() -> None:
    async with pair(ChatStore(), ChatStore()) as (one, two):
        people = [f"55119{n:08d}" for n in range(8)]
        sent = [message(n, who, at=one.clock.now(), name=f"Ana {n}") for who in people for n in range(6)]
        await asyncio.gather(*((one, two)[n % 2].publish(each) for n, each in enumerate(sent)))
        await settle(one, two)
        assert len(await rows(one, select(customers))) == 8
        assert len(await rows(one, select(identities))) == 8
        assert len(events(CustomerNew, one, two)) == 8
        found = await rows(one, select(conversations))
        assert len(found) == 8
        heard = await rows(one, select(messages).where(messages.c.direction == "in"))
        assert len(heard) == 48
        for conversation in found:
            mine = sorted(row["seq"] for row in heard if row["conversation_id"] == conversation["id"])
            assert mine == list(range(1, 7))
            assert conversation["seq"] == 6
        turns = events(ChatMessageNew, one, two)
        assert sorted(turn.conversation_id for turn in turns) == sorted(row["id"] for row in found), "one speaker each"
        assert {turn.lease_token for turn in turns} == {1}
        assert await one.dead() == []


async def test_a_conversation_is_in_the_queue_once_and_goes_to_one_person() -> None:
    async with pair(ChatStore(), ChatStore()) as (one, two):
        await one.publish(message(1, "5511", at=one.clock.now()))
        await settle(one, two)
        (turn,) = events(ChatMessageNew, one, two)
        wishes = [
            SalesEscalate(
                conversation_id=turn.conversation_id, customer_id=turn.customer_id, lease_token=turn.lease_token,
                reason="asked", summary=f"{n}", brand="fashion",
            )
            for n in range(6)
        ]  # fmt: skip
        await asyncio.gather(*((one, two)[n % 2].publish(wish) for n, wish in enumerate(wishes)))
        await settle(one, two)
        (waiting,) = await one.call(ListEscalations(), Principal(staff="Rui"))
        staff = [Principal(staff=f"P{n}") for n in range(6)]
        claims = await whoever(
            (one, two)[n % 2].call(ClaimEscalation(escalation_id=waiting.id), who) for n, who in enumerate(staff)
        )
        assert sum(isinstance(claim, Conflict) for claim in claims) == 5
        await settle(one, two)
        (row,) = await rows(one, select(escalations))
        (won,) = [claim for claim in claims if not isinstance(claim, Exception)]
        assert row["person"] == won.person
        (conversation,) = await rows(one, select(conversations))
        assert (conversation["speaker"], conversation["person"]) == ("person", won.person)


async def test_a_speaker_whose_time_is_over_is_refused_and_one_who_was_let_in_is_waited_for() -> None:
    async with pair(ChatStore(), ChatStore()) as (one, two):
        await one.publish(message(1, "5511", at=one.clock.now()))
        await settle(one, two)
        (turn,) = events(ChatMessageNew, one, two)
        let_in, gate = asyncio.Event(), asyncio.Event()
        order: list[str] = []

        def speak(store: TestStore, token: int, *, slow: bool = False) -> Any:
            consumer = store.consumers[0]

            async def work(unit: Unit) -> None:
                event = store.envelopes[0] if store.envelopes else one.envelopes[0]
                context = TransactionContext(store.runtime.world, consumer, event, Principal(), "k", unit)
                await context.fence(turn.conversation_id, token)
                if slow:
                    let_in.set()
                    await gate.wait()
                order.append(str(token))

            return store.runtime.store.run(work)

        await speak(one, 5)
        early = asyncio.create_task(speak(one, 5, slow=True))
        await let_in.wait()
        late = asyncio.create_task(speak(two, 7))
        await asyncio.sleep(0.05)  # it must not get through: there is nothing to wait for
        assert not late.done()
        gate.set()
        await asyncio.gather(early, late)
        assert order == ["5", "5", "7"]
        for store in (one, two):
            with pytest.raises(StaleSpeaker):
                await speak(store, 6)


async def test_two_tools_of_one_turn_remember_both_and_a_stale_one_nothing() -> None:
    async with pair(ChatStore(), ChatStore()) as (one, two):
        await one.publish(message(1, "5511", at=one.clock.now()))
        await settle(one, two)
        (turn,) = events(ChatMessageNew, one, two)
        who = Principal(
            customer_id=turn.customer_id, conversation_id=turn.conversation_id, lease_token=turn.lease_token
        )
        await asyncio.gather(
            one.call(Remember(name="Ana Souza"), who), two.call(Remember(delivery="pickup", pickup_location="l1"), who)
        )
        (row,) = await rows(one, select(customers))
        assert (row["name"], row["delivery"], row["pickup_location"]) == ("Ana Souza", "pickup", "l1")
        stale = Principal(
            customer_id=turn.customer_id, conversation_id=ConversationId(turn.conversation_id), lease_token=0
        )
        with pytest.raises(StaleSpeaker):
            await two.call(Remember(name="Eva"), stale)
