from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.orders.settings import OrdersSettings
from agent_store.agents.orders.tables import orders as table
from agent_store.contracts.cart import GetCart
from agent_store.contracts.common import Address
from agent_store.contracts.inventory import (
    GetAvailability,
    InventoryCommit,
    InventoryCommitRefused,
    InventoryRelease,
    InventoryReserve,
    InventoryReserved,
)
from agent_store.contracts.orders import (
    CancelOrder,
    DeliverOrder,
    GetMyOrder,
    GetOrder,
    ListMyOrders,
    ListOrders,
    OrderCancelled,
    OrderConfirmed,
    OrderCreate,
    OrderCreated,
    OrderDelivered,
    OrderFact,
    OrderPicked,
    OrderRejected,
    OrderShipped,
    OrderStatusUpdate,
    PickOrder,
    PlaceOrder,
    ShipOrder,
)
from agent_store.contracts.payments import (
    CancelPayment,
    GetPendingPayment,
    PaymentExpired,
    PaymentFailed,
    PaymentLinkCreated,
    PaymentRefund,
    PaymentRefunded,
    PaymentRequest,
    PaymentSucceeded,
    SubmitTestCard,
)
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, StaleSpeaker
from agent_store.kernel.ids import CustomerId, OrderId, Sku
from agent_store.kernel.money import Money
from tests.agents.selling import ADDRESS, BUYER, DRESS, LAMP, SHIPPING, SHIRT, STAFF, Shop, customer

FACTS: Sequence[type[OrderFact]] = (
    OrderCreated, OrderStatusUpdate, OrderConfirmed, OrderRejected, OrderCancelled, OrderPicked, OrderShipped,
    OrderDelivered,
)  # fmt: skip


def told(shop: Shop, order_id: str) -> list[tuple[int, str]]:
    """The order's facts as its consumers see them: (version, state), by version."""
    facts = [fact for kind in FACTS for fact in shop.store.events(kind) if fact.order_id == order_id]
    assert all(fact.version == fact.order.version for fact in facts)
    return sorted((fact.version, fact.order.state) for fact in facts)


async def available(shop: Shop, sku: Sku) -> int:
    return (await shop.store.call(GetAvailability(skus=(sku,))))[0].available


async def pay(shop: Shop, code: str = "4242") -> None:
    await shop.store.call(SubmitTestCard(code=code), customer())
    await shop.store.settle()


# --- the good way ---------------------------------------------------------------------------------------------------


async def test_a_paid_order_is_confirmed_and_its_units_are_sold() -> None:
    async with Shop({DRESS: 5, SHIRT: 5}) as shop:
        await shop.add(DRESS, 2)
        await shop.add(SHIRT)
        placed = await shop.order()
        assert placed.state == "created"
        assert placed.subtotal == Money(minor=2 * 29_990 + 8_990)
        assert placed.total == placed.subtotal + SHIPPING
        assert (placed.brand, placed.number[:3], len(placed.number)) == ("fashion", "AS-", 9)
        waiting = await shop.store.call(GetMyOrder(), customer())
        assert waiting.state == "awaiting_payment"
        assert waiting.payment_link is not None
        assert await available(shop, DRESS) == 3
        await pay(shop)
        done = await shop.store.call(GetMyOrder(number=placed.number), customer())
        assert done.state == "confirmed"
        assert told(shop, placed.id) == [
            (1, "created"), (2, "reserved"), (3, "awaiting_payment"), (4, "paid"), (5, "confirmed"),
        ]  # fmt: skip
        await shop.move(hours=2)
        assert await available(shop, DRESS) == 3
        assert (await shop.store.call(GetMyOrder(), customer())).state == "confirmed"
        assert [capture.amount for capture in await shop.provider.captures()] == [placed.total]
        assert await shop.store.dead() == []


async def test_the_ordered_units_leave_the_cart() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        await shop.order()
        cart = await shop.store.call(GetCart(), customer())
        assert (cart.lines, cart.version) == ((), 2)


async def test_a_payment_link_expires_before_its_reservation() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        await shop.order()
        (reserved,) = shop.store.events(InventoryReserved)
        (link,) = shop.store.events(PaymentLinkCreated)
        assert link.expires_at + timedelta(minutes=5) == reserved.expires_at
        assert link.expires_at == shop.clock.now() + timedelta(minutes=30)


async def test_facts_carry_the_orders_own_brand_and_channel() -> None:
    async with Shop() as shop:
        await shop.add(LAMP)
        await shop.order(customer(brand="home", channel="web"))
        await pay(shop)
        sent = [
            envelope for envelope in shop.store.envelopes if envelope.type.startswith(("store.order", "store.payment"))
        ]
        assert {(envelope.brand, envelope.channel) for envelope in sent} == {("home", "web")}
        assert len({envelope.partitionkey for envelope in sent}) == 1


async def test_an_order_can_be_fetched_at_a_store_without_delivery_costs() -> None:
    async with Shop({DRESS: 5}, shelf={DRESS: 2}) as shop:
        await shop.add(DRESS)
        placed = await shop.order(delivery="pickup", service=None, address=None, location="loja-paulista")
        assert placed.total == placed.subtotal
        assert placed.delivery.location_name == "Loja Paulista"
        (reserve,) = shop.store.events(InventoryReserve)
        assert reserve.location == "loja-paulista"
        (reserved,) = shop.store.events(InventoryReserved)
        assert [part.location for part in reserved.allocations] == ["loja-paulista"]


async def test_a_failed_card_leaves_the_order_waiting_for_another_one() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        for code in ("1111", "2222", "3333"):
            await pay(shop, code)
            assert (await shop.store.call(GetMyOrder(), customer())).state == "awaiting_payment"
        await pay(shop)
        assert (await shop.store.call(GetMyOrder(), customer())).state == "confirmed"
        assert len(shop.store.events(PaymentFailed)) == 3
        assert told(shop, placed.id)[-1] == (5, "confirmed")


# --- placing is strict ----------------------------------------------------------------------------------------------


async def test_an_empty_cart_cannot_be_ordered() -> None:
    async with Shop() as shop:
        with pytest.raises(Conflict) as refusal:
            await shop.order()
        assert refusal.value.code == "cart-empty"


async def test_a_cart_that_changed_since_cannot_be_ordered() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        await shop.add(SHIRT)
        with pytest.raises(Conflict) as refusal:
            await shop.store.call(
                PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS), customer()
            )
        assert (refusal.value.code, refusal.value.details["version"]) == ("cart-changed", 2)


async def test_the_price_is_the_price_engines_and_a_told_total_must_be_right() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        await shop.price(DRESS, 25_000)
        with pytest.raises(Conflict) as refusal:
            await shop.order(expected_total=Money(minor=29_990) + SHIPPING)
        assert refusal.value.code == "total-changed"
        assert refusal.value.details["total"] == {"minor": 26_990, "currency": "BRL"}
        placed = await shop.order(expected_total=Money(minor=26_990))
        assert (placed.lines[0].unit.minor, placed.total.minor) == (25_000, 26_990)


@pytest.mark.parametrize(
    ("wish", "error", "word"),
    [
        ({"address": None}, InvalidInput, "address"),
        ({"address": Address(cep="01310-100")}, InvalidInput, "street"),
        ({"service": None}, InvalidInput, "economico, expresso"),
        ({"service": "drone"}, Conflict, "drone"),
        ({"address": Address(cep="99999-000", street="Rua A 1")}, NotFound, "CEP"),
        ({"delivery": "pickup"}, InvalidInput, "location"),
        ({"delivery": "pickup", "location": "nowhere"}, NotFound, "nowhere"),
    ],
)
async def test_a_delivery_that_cannot_be_is_refused_with_what_is_missing(
    wish: dict[str, Any], error: type[Exception], word: str
) -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        with pytest.raises(error, match=word):
            await shop.order(**wish)
        assert shop.store.events(OrderCreated) == []


async def test_a_pickup_where_not_everything_is_on_the_shelf_is_refused() -> None:
    async with Shop() as shop:
        await shop.add(LAMP)
        with pytest.raises(Conflict) as refusal:
            await shop.order(delivery="pickup", location="loja-paulista")
        assert refusal.value.code == "pickup-incomplete"


async def test_the_same_key_places_one_order_and_gives_the_same_answer() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        call = PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS)
        first = await shop.store.call(call, customer(), key="turn-1")
        await shop.store.settle()
        assert await shop.store.call(call, customer(), key="turn-1") == first
        assert len(shop.store.events(OrderCreated)) == 1


async def test_one_version_of_a_cart_is_one_order_even_when_two_turns_place_it_at_once() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        call = PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS)
        results = await asyncio.gather(
            *(shop.store.call(call, customer(), key=f"k{number}") for number in range(5)), return_exceptions=True
        )
        await shop.store.settle()
        refusals = [result for result in results if isinstance(result, Conflict)]
        assert len(refusals) == 4
        (created,) = shop.store.events(OrderCreated)
        assert {refusal.code for refusal in refusals} == {"already-ordered"}
        assert {refusal.details["number"] for refusal in refusals} == {created.order.number}
        with pytest.raises(Conflict) as late:
            await shop.store.call(call, customer(), key="later")
        assert late.value.code == "already-ordered"


async def test_a_speaker_whose_time_is_over_places_nothing() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        await shop.order(customer(conversation_id="v", lease_token=3))
        await shop.add(SHIRT)
        with pytest.raises(StaleSpeaker):
            await shop.order(customer(conversation_id="v", lease_token=2))
        assert len(shop.store.events(OrderCreated)) == 1


async def test_a_speaker_whose_time_is_over_cancels_nothing() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        placed = await shop.order(customer(conversation_id="v", lease_token=3))
        with pytest.raises(StaleSpeaker):
            await shop.store.call(CancelOrder(number=placed.number), customer(conversation_id="v", lease_token=2))


async def test_order_numbers_are_never_given_twice() -> None:
    async with Shop({DRESS: 100}, orders_settings=OrdersSettings(number_length=1)) as shop:
        numbers: set[str] = set()
        for index in range(16):
            await shop.add(DRESS, who=customer(f"c{index}"))
            numbers.add((await shop.order(customer(f"c{index}"), settle=False)).number)
        assert len(numbers) == 16
        await shop.store.settle()


async def test_an_order_by_event_goes_the_same_way() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        command = OrderCreate(
            order_id=OrderId("kiosk-1"),
            customer_id=BUYER,
            language="es",
            place=PlaceOrder(cart_version=1, delivery="delivery", service="expresso", address=ADDRESS),
        )
        await shop.store.publish(command, brand="fashion", channel="kiosk")
        await shop.store.settle()
        await shop.store.publish(command, brand="fashion", channel="kiosk")
        await shop.store.settle()
        (created,) = shop.store.events(OrderCreated)
        assert (created.order_id, created.order.language, created.order.delivery.service) == (
            "kiosk-1",
            "es",
            "expresso",
        )
        await pay(shop)
        assert (await shop.store.call(GetMyOrder(), customer())).state == "confirmed"


async def test_an_order_by_event_that_cannot_be_is_rejected_once_with_the_reason() -> None:
    async with Shop() as shop:
        command = OrderCreate(
            order_id=OrderId("kiosk-1"), customer_id=BUYER, place=PlaceOrder(cart_version=0, delivery="delivery")
        )
        await shop.store.publish(command, channel="kiosk")
        await shop.store.publish(command, channel="kiosk")
        await shop.store.settle()
        (rejected,) = shop.store.events(OrderRejected)
        assert (rejected.order.state, rejected.order.reason, rejected.version) == ("rejected", "cart-empty", 1)
        assert await shop.store.call(ListMyOrders(), customer()) == ()
        assert await shop.store.dead() == []


async def test_nobody_orders_without_being_a_customer() -> None:
    async with Shop() as shop:
        with pytest.raises(Forbidden):
            await shop.store.call(PlaceOrder(cart_version=1, delivery="pickup"), STAFF)
        with pytest.raises(Forbidden):
            await shop.store.call(ListMyOrders(), STAFF)


async def test_what_costs_nothing_is_no_order() -> None:
    async with Shop({DRESS: 5}, shelf={DRESS: 2}) as shop:
        await shop.add(DRESS)
        await shop.price(DRESS, 0)
        with pytest.raises(Conflict) as refusal:
            await shop.order(delivery="pickup", location="loja-paulista")
        assert refusal.value.code == "nothing-to-pay"


async def test_a_customer_whose_language_is_not_ours_is_served_in_portuguese() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        assert (await shop.order(customer(language="fr"))).language == "pt"


# --- no stock -------------------------------------------------------------------------------------------------------


async def test_two_carts_race_for_the_last_unit_and_the_other_hears_of_an_alternative() -> None:
    async with Shop({DRESS: 1, SHIRT: 5}) as shop:
        for name in ("c1", "c2"):
            await shop.add(DRESS, who=customer(name))
        first, second = await asyncio.gather(
            shop.order(customer("c1"), settle=False), shop.order(customer("c2"), settle=False)
        )
        await shop.store.settle()
        (rejected,) = shop.store.events(OrderRejected)
        assert rejected.order_id in (first.id, second.id)
        assert rejected.alternatives == ("midi-brisa",)
        assert [(one.sku, one.wanted, one.available) for one in rejected.missing] == [(DRESS, 1, 0)]
        assert (rejected.order.reason, rejected.refunded) == ("out_of_stock", False)
        assert len(shop.store.events(PaymentRequest)) == 1
        assert await shop.store.dead() == []


async def test_a_rejection_does_not_wait_for_a_catalogue_that_is_away() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        await shop.add(DRESS, who=customer("c2"))
        await shop.order()
        shop.recommendations.down = True
        await shop.order(customer("c2"))
        (rejected,) = shop.store.events(OrderRejected)
        assert rejected.alternatives == ()


# --- nobody pays, or too late ---------------------------------------------------------------------------------------


async def test_an_order_that_nobody_pays_is_cancelled_and_its_units_are_free_again() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await shop.move(minutes=29)
        assert await available(shop, DRESS) == 0
        await shop.move(minutes=2)
        (cancelled,) = shop.store.events(OrderCancelled)
        assert cancelled.order.reason == "payment_expired"
        assert await available(shop, DRESS) == 1
        assert await shop.store.call(GetPendingPayment(), customer()) is None
        assert told(shop, placed.id)[-1] == (4, "cancelled")


async def late_capture(shop: Shop) -> None:
    """As a provider would tell that it captured after the link had expired."""
    (link,) = shop.store.events(PaymentLinkCreated)
    facts = link.model_dump(exclude={"link", "expires_at"})
    await shop.store.publish(
        PaymentSucceeded(**facts, method="test_card", captured_at=shop.clock.now(), late=True), brand="fashion"
    )
    await shop.store.settle()


async def test_a_late_capture_reserves_again_and_the_order_is_confirmed() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await shop.move(minutes=36)
        await late_capture(shop)
        assert [command.attempt for command in shop.store.events(InventoryReserve)] == [1, 2]
        view = await shop.store.call(GetMyOrder(), customer())
        assert (view.state, view.reason) == ("confirmed", None)
        assert told(shop, placed.id)[-3:] == [(4, "cancelled"), (5, "paid"), (6, "confirmed")]
        assert shop.store.events(PaymentRefund) == []
        assert await available(shop, DRESS) == 0


async def test_a_late_capture_without_stock_is_refunded() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await shop.move(minutes=36)
        other = customer("c2")
        await shop.add(DRESS, who=other)
        await shop.order(other)
        await shop.store.publish(
            PaymentSucceeded(
                **shop.store.events(PaymentLinkCreated)[0].model_dump(exclude={"link", "expires_at"}),
                method="test_card",
                captured_at=shop.clock.now(),
                late=True,
            )
        )
        await shop.store.settle()
        (refund,) = shop.store.events(PaymentRefund)
        assert refund.order_id == placed.id
        (rejected,) = shop.store.events(OrderRejected)
        assert (rejected.refunded, rejected.alternatives) == (True, ("midi-brisa",))


async def test_a_reservation_that_went_before_the_commit_is_made_again() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await shop.store.publish(InventoryRelease(order_id=placed.id, customer_id=BUYER))
        await shop.store.settle()
        await pay(shop)
        assert len(shop.store.events(InventoryCommitRefused)) == 1
        assert [command.attempt for command in shop.store.events(InventoryCommit)] == [1, 2]
        assert (await shop.store.call(GetMyOrder(), customer())).state == "confirmed"
        assert shop.store.events(PaymentRefund) == []


async def test_a_reservation_that_cannot_be_made_again_gives_the_money_back() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await shop.store.publish(InventoryRelease(order_id=placed.id, customer_id=BUYER))
        await shop.store.settle()
        await shop.add(DRESS, who=customer("c2"))
        await shop.order(customer("c2"))
        await pay(shop)
        (rejected,) = shop.store.events(OrderRejected)
        assert (rejected.order_id, rejected.refunded, rejected.alternatives) == (placed.id, True, ("midi-brisa",))
        (refunded,) = shop.store.events(PaymentRefunded)
        assert refunded.amount == placed.total
        assert [one.amount for one in await shop.provider.refunds()] == [placed.total]
        assert (await shop.store.call(GetMyOrder(), customer())).state == "rejected"


async def test_facts_that_come_again_under_new_ids_change_nothing() -> None:
    async with Shop({DRESS: 2}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await pay(shop)
        before = told(shop, placed.id)
        kinds = (InventoryReserved, PaymentLinkCreated, PaymentSucceeded)
        for event in [event for kind in kinds for event in shop.store.events(kind)]:
            await shop.store.publish(event)
        await shop.store.publish(InventoryCommitRefused(order_id=placed.id, customer_id=BUYER))
        await shop.store.publish(PaymentExpired.model_validate(shop.store.events(PaymentSucceeded)[0].model_dump()))
        await shop.store.settle()
        assert told(shop, placed.id) == before
        assert len(await shop.provider.captures()) == 1
        assert await available(shop, DRESS) == 1


async def test_a_fact_of_an_unknown_order_becomes_a_dead_letter() -> None:
    async with Shop() as shop:
        await shop.store.publish(InventoryCommitRefused(order_id=OrderId("nobodys"), customer_id=BUYER))
        await shop.store.settle()
        (dead,) = await shop.store.dead()
        assert "nobodys" in dead.error


# --- cancelling -----------------------------------------------------------------------------------------------------


async def test_a_customer_cancels_before_paying_and_nobody_can_pay_any_more() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        view = await shop.store.call(CancelOrder(number=placed.number, reason="mudei de ideia"), customer())
        await shop.store.settle()
        assert (view.state, view.reason) == ("cancelled", "customer")
        assert await available(shop, DRESS) == 1
        assert len(shop.store.events(CancelPayment)) == 1
        with pytest.raises(Conflict, match="no open payment"):
            await pay(shop)
        again = await shop.store.call(CancelOrder(number=placed.number), customer())
        assert again.version == view.version
        assert len(shop.store.events(OrderCancelled)) == 1
        (row,) = await shop.store.rows(select(table))
        assert row["note"] == "mudei de ideia"


async def test_a_paid_order_that_is_cancelled_is_refunded_and_its_units_are_back_on_the_shelf() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await pay(shop)
        await shop.store.call(PickOrder(number=placed.number), STAFF)
        await shop.store.call(CancelOrder(number=placed.number), STAFF)
        await shop.store.settle()
        view = await shop.store.call(GetMyOrder(), customer())
        assert (view.state, view.reason) == ("cancelled", "staff")
        assert await available(shop, DRESS) == 1
        assert [one.amount for one in await shop.provider.refunds()] == [placed.total]
        assert len(shop.store.events(PaymentRefunded)) == 1


async def test_money_that_comes_after_a_customer_cancelled_goes_back() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        await shop.store.call(CancelOrder(number=placed.number), customer())
        await shop.store.settle()
        await late_capture(shop)
        assert len(shop.store.events(PaymentRefund)) == 1
        assert (await shop.store.call(GetMyOrder(), customer())).state == "cancelled"


async def test_nobody_cancels_or_sees_the_order_of_another_customer() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        for call in (CancelOrder(number=placed.number), GetMyOrder(number=placed.number)):
            with pytest.raises(NotFound):
                await shop.store.call(call, customer("thief"))
        with pytest.raises(NotFound):
            await shop.store.call(GetMyOrder(), customer("thief"))
        with pytest.raises(Forbidden):
            await shop.store.call(GetOrder(number=placed.number), customer())


# --- staff ----------------------------------------------------------------------------------------------------------


async def test_staff_picks_ships_and_delivers_each_told_once() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        placed = await shop.order()
        with pytest.raises(Conflict, match="only a confirmed one can be picked"):
            await shop.store.call(PickOrder(number=placed.number), STAFF)
        await pay(shop)
        with pytest.raises(Conflict, match="only a picked one can be shipped"):
            await shop.store.call(ShipOrder(number=placed.number), STAFF)
        for _ in range(2):
            await shop.store.call(PickOrder(number=placed.number), STAFF)
        ship = ShipOrder(number=placed.number, carrier="Correios", tracking="BR123")
        shipped = await shop.store.call(ship, STAFF)
        assert await shop.store.call(ship, STAFF) == shipped
        with pytest.raises(Conflict, match="returned, not cancelled"):
            await shop.store.call(CancelOrder(number=placed.number), customer())
        delivered = await shop.store.call(DeliverOrder(number=placed.number), STAFF)
        assert await shop.store.call(DeliverOrder(number=placed.number), STAFF) == delivered
        await shop.store.settle()
        assert (shipped.tracking, delivered.state) == ("Correios BR123", "delivered")
        for kind in (OrderPicked, OrderShipped, OrderDelivered):
            assert len(shop.store.events(kind)) == 1
        assert [state for _, state in told(shop, placed.id)][-4:] == ["confirmed", "picked", "shipped", "delivered"]
        assert (await shop.store.call(PickOrder(number=placed.number), STAFF)).state == "delivered"


async def test_staff_lists_by_state_customer_and_time_and_reads_by_number_or_id() -> None:
    async with Shop({DRESS: 50}) as shop:
        placed = []
        for name in ("a", "b", "a"):
            await shop.add(DRESS, who=customer(name))
            placed.append(await shop.order(customer(name)))
            await shop.move(minutes=1)
        await shop.store.call(CancelOrder(number=placed[1].number), STAFF)
        newest_first = [order.id for order in reversed(placed)]
        assert [order.id for order in await shop.store.call(ListOrders(), STAFF)] == newest_first
        assert [order.id for order in await shop.store.call(ListOrders(state="cancelled"), STAFF)] == [placed[1].id]
        mine = await shop.store.call(ListOrders(customer_id=CustomerId("a"), before=placed[2].created_at), STAFF)
        assert [order.id for order in mine] == [placed[0].id]
        assert len(await shop.store.call(ListOrders(limit=2), STAFF)) == 2
        by_id = await shop.store.call(GetOrder(number=placed[0].id), STAFF)
        assert by_id == await shop.store.call(GetOrder(number=placed[0].number), STAFF)


async def test_a_number_is_understood_as_people_write_it() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        number = (await shop.order()).number
        for written in (number.lower(), number.removeprefix("AS-"), f"#{number}", number.replace("-", " ")):
            assert (await shop.store.call(GetMyOrder(number=written), customer())).number == number


# --- crashes --------------------------------------------------------------------------------------------------------


async def test_a_kill_at_any_moment_of_placing_leaves_one_order_and_the_same_answer() -> None:
    async with Shop({DRESS: 50}) as shop:
        call = PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS)
        for turns in range(12):
            who = customer(f"c{turns}")
            await shop.add(DRESS, who=who)
            killed = asyncio.create_task(shop.store.call(call, who, key=f"turn-{turns}"))
            for _ in range(turns):  # so many turns of the loop further each time
                await asyncio.sleep(0)
            await shop.store.kill_and_restart()
            killed.cancel()
            await asyncio.gather(killed, return_exceptions=True)
            await shop.store.settle()
            view = await shop.store.call(call, who, key=f"turn-{turns}")
            await shop.store.settle()
            assert [order.id for order in await shop.store.call(ListMyOrders(), who)] == [view.id]
        assert await available(shop, DRESS) == 50 - 12


async def test_a_kill_at_any_moment_leaves_one_order_paid_once() -> None:
    async with Shop({DRESS: 1}) as shop:
        await shop.add(DRESS)
        call = PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS)
        for _ in range(3):
            await shop.store.call(call, customer(), key="turn-1")
            await shop.store.kill_and_restart()
        await shop.store.settle()
        await shop.store.call(SubmitTestCard(code="4242"), customer())
        await shop.store.kill_and_restart()
        await shop.store.settle()
        await shop.store.kill_and_restart()
        await shop.store.settle()
        assert (await shop.store.call(GetMyOrder(), customer())).state == "confirmed"
        assert len(await shop.store.call(ListMyOrders(), customer())) == 1
        assert len(await shop.provider.captures()) == 1
        assert await available(shop, DRESS) == 0
        assert await shop.store.dead() == []
