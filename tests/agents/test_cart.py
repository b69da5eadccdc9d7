from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from agent_store.agents.cart.settings import CartSettings
from agent_store.agents.cart.tables import carts
from agent_store.contracts.cart import (
    AddToCart,
    CartItemAdded,
    CartItemRemoved,
    CartOrdered,
    CartUpdated,
    ClearCart,
    GetCart,
    GetCartOf,
    RemoveFromCart,
)
from agent_store.kernel.errors import Conflict, Forbidden, NotFound, StaleSpeaker
from agent_store.kernel.ids import Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.agents.selling import BLUE_DRESS, BUYER, DRESS, LAMP, SHIRT, STAFF, Shop, customer


async def test_a_customer_without_a_cart_sees_an_empty_one() -> None:
    async with Shop() as shop:
        view = await shop.store.call(GetCart(), customer())
        assert (view.version, view.lines, view.subtotal, view.warnings) == (0, (), Money.zero(), ())


async def test_adding_prices_the_line_by_the_price_engine_and_names_it_as_the_catalogue_does() -> None:
    async with Shop() as shop:
        view = await shop.add(DRESS, 2)
        (line,) = view.lines
        assert line.title == "Vestido Midi Aurora, vermelho, P"
        assert (line.unit, line.total, view.subtotal) == (Money(minor=29_990), Money(minor=59_980), Money(minor=59_980))
        assert (line.product_id, line.brand, line.weight_g, view.version) == ("midi-aurora", "fashion", 400, 1)


async def test_one_cart_goes_over_brands_and_channels() -> None:
    async with Shop() as shop:
        await shop.add(DRESS, who=customer(brand="fashion", channel="whatsapp"))
        view = await shop.add(LAMP, who=customer(brand="home", channel="web"))
        assert [(line.sku, line.brand) for line in view.lines] == [(DRESS, "fashion"), (LAMP, "home")]
        assert view.subtotal == Money(minor=29_990 + 15_000)
        assert (await shop.store.call(GetCart(), customer("another"))).lines == ()


async def test_more_than_there_is_is_refused_with_what_there_is_and_what_could_take_its_place() -> None:
    async with Shop({DRESS: 3, BLUE_DRESS: 5}) as shop:
        await shop.add(DRESS, 2)
        with pytest.raises(Conflict) as refusal:
            await shop.add(DRESS, 2)
        assert refusal.value.code == "out-of-stock"
        assert refusal.value.details["available"] == 3
        assert refusal.value.details["in_cart"] == 2
        assert refusal.value.details["alternatives"] == ["midi-brisa"]
        view = await shop.store.call(GetCart(), customer())
        assert (view.version, view.lines[0].quantity) == (1, 2)


async def test_a_refusal_still_comes_when_the_catalogue_cannot_name_alternatives() -> None:
    async with Shop({DRESS: 0}) as shop:
        shop.recommendations.down = True
        with pytest.raises(Conflict) as refusal:
            await shop.add(DRESS)
        assert refusal.value.details["alternatives"] == []


async def test_what_is_not_sold_cannot_be_added() -> None:
    async with Shop() as shop:
        with pytest.raises(NotFound):
            await shop.add(Sku("NO-SUCH"))


async def test_caps_hold_for_units_and_for_lines() -> None:
    async with Shop(cart_settings=CartSettings(max_lines=2, max_quantity=4)) as shop:
        await shop.add(DRESS, 3)
        with pytest.raises(Conflict, match="at most 4 units"):
            await shop.add(DRESS, 2)
        await shop.add(SHIRT)
        with pytest.raises(Conflict, match="at most 2 different"):
            await shop.add(LAMP)
        assert (await shop.store.call(GetCart(), customer())).version == 2


async def test_the_same_key_adds_once() -> None:
    async with Shop() as shop:
        first = await shop.store.call(AddToCart(sku=DRESS), customer(), key="k")
        again = await shop.store.call(AddToCart(sku=DRESS), customer(), key="k")
        assert first == again
        assert (await shop.store.call(GetCart(), customer())).lines[0].quantity == 1


async def test_units_and_lines_are_taken_out() -> None:
    async with Shop() as shop:
        await shop.add(DRESS, 3)
        await shop.add(SHIRT)
        view = await shop.store.call(RemoveFromCart(sku=DRESS, quantity=1), customer())
        assert [(line.sku, line.quantity) for line in view.lines] == [(DRESS, 2), (SHIRT, 1)]
        view = await shop.store.call(RemoveFromCart(sku=DRESS), customer())
        assert [line.sku for line in view.lines] == [SHIRT]
        assert view.version == 4
        with pytest.raises(NotFound):
            await shop.store.call(RemoveFromCart(sku=DRESS), customer())


async def test_clearing_empties_it_and_keeps_counting_versions() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        await shop.add(SHIRT)
        view = await shop.store.call(ClearCart(), customer())
        assert (view.lines, view.subtotal, view.version) == ((), Money.zero(), 3)
        assert (await shop.store.call(ClearCart(), customer())).version == 3
        assert (await shop.add(LAMP)).version == 4


async def test_every_change_is_told_with_a_version_without_gaps() -> None:
    async with Shop() as shop:
        await shop.add(DRESS, 2)
        await shop.add(SHIRT)
        await shop.store.call(RemoveFromCart(sku=DRESS, quantity=1), customer())
        await shop.store.call(ClearCart(), customer())
        await shop.store.settle()
        updates = shop.store.events(CartUpdated)
        assert [update.version for update in updates] == [1, 2, 3, 4]
        assert [update.subtotal.minor for update in updates] == [59_980, 68_970, 38_980, 0]
        assert [(one.sku, one.quantity) for one in shop.store.events(CartItemAdded)] == [(DRESS, 2), (SHIRT, 1)]
        removed = [(one.sku, one.quantity) for one in shop.store.events(CartItemRemoved)]
        assert removed == [(DRESS, 1), (DRESS, 1), (SHIRT, 1)]


async def test_a_view_warns_of_what_has_changed_since() -> None:
    async with Shop({DRESS: 10, SHIRT: 4, BLUE_DRESS: 10}) as shop:
        await shop.add(DRESS)
        await shop.add(SHIRT, 3)
        await shop.price(DRESS, 27_990)
        view = await shop.store.call(GetCart(), customer())
        (changed,) = view.warnings
        assert (changed.kind, changed.sku, changed.before) == ("price_changed", DRESS, Money(minor=29_990))
        assert view.lines[0].unit == Money(minor=27_990)
        assert view.subtotal == Money(minor=27_990 + 3 * 8_990)
        await shop.add(SHIRT, 1, customer("other"))
        await shop.order(customer("other"))
        shop.stock[SHIRT] = 2
        await shop.price(SHIRT, 8_990)
        view = await shop.store.call(GetCart(), customer())
        low = next(warning for warning in view.warnings if warning.sku == SHIRT)
        assert (low.kind, low.available) == ("low_stock", 1)


async def test_a_line_that_is_sold_out_is_warned_of_with_alternatives() -> None:
    async with Shop({DRESS: 1, BLUE_DRESS: 10}) as shop:
        await shop.add(DRESS)
        await shop.add(DRESS, who=customer("other"))
        await shop.order(customer("other"))
        (warning,) = (await shop.store.call(GetCart(), customer())).warnings
        assert (warning.kind, warning.available, warning.alternatives) == ("out_of_stock", 0, ("midi-brisa",))


async def test_ordered_units_leave_the_cart_once_and_what_was_added_since_stays() -> None:
    async with Shop() as shop:
        await shop.add(DRESS, 2)
        ordered = (await shop.add(SHIRT)).lines
        await shop.add(DRESS, 1)
        command = CartOrdered(customer_id=BUYER, order_id="o1", lines=ordered)
        await shop.store.publish(command)
        await shop.store.publish(command)
        await shop.store.settle()
        view = await shop.store.call(GetCart(), customer())
        assert [(line.sku, line.quantity) for line in view.lines] == [(DRESS, 1)]
        assert view.version == 4
        await shop.add(SHIRT)
        await shop.store.publish(command)
        await shop.store.settle()
        assert len((await shop.store.call(GetCart(), customer())).lines) == 2


async def test_a_speaker_whose_time_is_over_changes_nothing() -> None:
    async with Shop() as shop:
        await shop.add(DRESS, who=customer(conversation_id="v", lease_token=7))
        stale = customer(conversation_id="v", lease_token=6)
        with pytest.raises(StaleSpeaker):
            await shop.add(SHIRT, who=stale)
        with pytest.raises(StaleSpeaker):
            await shop.store.call(RemoveFromCart(sku=DRESS), stale)
        with pytest.raises(StaleSpeaker):
            await shop.store.call(ClearCart(), stale)
        (row,) = await shop.store.rows(select(carts))
        assert row["version"] == 1


async def test_only_customers_have_a_cart_and_only_staff_sees_anothers() -> None:
    async with Shop() as shop:
        with pytest.raises(Forbidden):
            await shop.store.call(GetCart(), Principal())
        with pytest.raises(Forbidden):
            await shop.store.call(GetCartOf(customer_id=BUYER), customer("c2"))
        await shop.add(DRESS)
        assert (await shop.store.call(GetCartOf(customer_id=BUYER), STAFF)).lines[0].sku == DRESS


async def test_a_cart_survives_a_kill() -> None:
    async with Shop() as shop:
        await shop.add(DRESS)
        before = await shop.store.call(GetCart(), customer())
        await shop.store.kill_and_restart()
        assert await shop.store.call(GetCart(), customer()) == before


async def test_a_kill_at_any_moment_of_adding_adds_once() -> None:
    async with Shop({DRESS: 50}) as shop:
        for turns in range(12):
            who = customer(f"c{turns}")
            call = AddToCart(sku=DRESS, quantity=2)
            killed = asyncio.create_task(shop.store.call(call, who, key=f"turn-{turns}"))
            for _ in range(turns):  # so many turns of the loop further each time
                await asyncio.sleep(0)
            await shop.store.kill_and_restart()
            killed.cancel()
            await asyncio.gather(killed, return_exceptions=True)
            view = await shop.store.call(call, who, key=f"turn-{turns}")
            assert (view.version, view.lines[0].quantity) == (1, 2)
