"""The last unit: many customers, one order."""

from __future__ import annotations

import asyncio

import yaml
from sqlalchemy import select

from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.agents.cart.agent import cart
from agent_store.agents.cart.settings import CartSettings
from agent_store.agents.catalog.agent import catalog
from agent_store.agents.fulfillment.agent import fulfillment
from agent_store.agents.fulfillment.model import ShippingTable
from agent_store.agents.fulfillment.service import FulfillmentSettings
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.service import InventorySettings
from agent_store.agents.inventory.tables import levels
from agent_store.agents.orders.agent import orders
from agent_store.agents.orders.settings import OrdersSettings
from agent_store.agents.orders.tables import orders as table
from agent_store.agents.payments.agent import payments
from agent_store.agents.payments.ports import PaymentProvider
from agent_store.agents.payments.settings import PaymentsSettings
from agent_store.agents.pricing.agent import pricing
from agent_store.contracts.cart import AddToCart
from agent_store.contracts.inventory import AdjustStock, GetAvailability
from agent_store.contracts.orders import OrderConfirmed, OrderRejected, PlaceOrder
from agent_store.contracts.payments import GetPendingPayment, PaymentLinkCreated, SubmitTestCard
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.ids import Sku
from tests.agents.selling import ADDRESS, BLUE_DRESS, DRESS, STAFF, Shop, customer
from tests.support.shop import DATA, fill, sample_products
from tests.support.store import TestStore

CUSTOMERS = 200


async def test_two_hundred_customers_want_the_last_unit_and_one_of_them_gets_it() -> None:
    async with Shop({DRESS: 1, BLUE_DRESS: 500}) as shop:
        who = [customer(f"c{number}", conversation_id=f"v{number}", lease_token=1) for number in range(CUSTOMERS)]
        await asyncio.gather(*(shop.add(DRESS, who=one) for one in who))
        placed = await asyncio.gather(*(shop.order(one, settle=False) for one in who))
        await shop.store.settle()
        assert len({view.number for view in placed}) == CUSTOMERS

        rejected = shop.store.events(OrderRejected)
        assert len(rejected) == CUSTOMERS - 1
        assert all(fact.alternatives == ("midi-brisa",) and not fact.refunded for fact in rejected)
        assert all(fact.missing[0].available == 0 for fact in rejected)
        assert len({fact.order_id for fact in rejected}) == CUSTOMERS - 1

        (link,) = shop.store.events(PaymentLinkCreated)
        winner = next(one for one in who if one.customer_id == link.customer_id)
        for one in who[:5]:
            assert (await shop.store.call(GetPendingPayment(), one) is not None) == (one == winner)
        await shop.store.call(SubmitTestCard(code="4242"), winner)
        await shop.store.settle()
        (confirmed,) = shop.store.events(OrderConfirmed)
        assert confirmed.customer_id == winner.customer_id
        assert len(await shop.provider.captures()) == 1

        (stock,) = await shop.store.call(GetAvailability(skus=(DRESS,)))
        assert stock.available == 0
        rows = await shop.store.rows(select(levels).where(levels.c.sku == DRESS))
        assert [(row["on_hand"], row["reserved"]) for row in rows if row["location"] == "cd-sp"] == [(0, 0)]
        states = [row["state"] for row in await shop.store.rows(select(table))]
        assert sorted(set(states)) == ["confirmed", "rejected"]
        assert states.count("confirmed") == 1
        assert await shop.store.dead() == []


async def test_the_same_race_in_the_whole_shop_with_the_sample_catalogue() -> None:
    """Catalogue, search and delivery rates are the real ones: alternatives are what `catalog.recommend` finds."""
    clock = ManualClock()
    provider = MockPaymentProvider(clock, lambda: store.runtime.store)
    rates = yaml.safe_load((DATA / "shipping.yaml").read_text(encoding="utf-8"))
    store = TestStore(
        [catalog, pricing, inventory, fulfillment, cart, orders, payments],
        ports={
            InventorySettings: InventorySettings(),
            ShippingTable: ShippingTable.from_dict(rates),
            FulfillmentSettings: FulfillmentSettings(),
            CartSettings: CartSettings(),
            OrdersSettings: OrdersSettings(),
            PaymentsSettings: PaymentsSettings(public_url="http://shop.test"),
            PaymentProvider: provider,
        },
        clock=clock,
    )
    sku = Sku("FAS-VAURORA-VM-G")
    async with store:
        await fill(store, sample_products("fashion"))
        await store.call(AdjustStock(sku=sku, location="cd-cajamar", change=-1, reason="count"), STAFF)
        who = [customer(f"c{number}") for number in range(CUSTOMERS)]
        await asyncio.gather(*(store.call(AddToCart(sku=sku), one) for one in who))
        place = PlaceOrder(cart_version=1, delivery="delivery", service="economico", address=ADDRESS)
        await asyncio.gather(*(store.call(place, one) for one in who))
        await store.settle()
        rejected = store.events(OrderRejected)
        assert len(rejected) == CUSTOMERS - 1
        assert all(fact.alternatives and "vestido-midi-aurora" not in fact.alternatives for fact in rejected)
        (link,) = store.events(PaymentLinkCreated)
        await store.call(SubmitTestCard(code="4242"), customer(link.customer_id))
        await store.settle()
        assert [fact.customer_id for fact in store.events(OrderConfirmed)] == [link.customer_id]
        assert (await store.call(GetAvailability(skus=(sku,))))[0].available == 0
        assert await store.dead() == []


async def test_an_unpaid_winner_leaves_the_unit_to_the_next_customer() -> None:
    async with Shop({DRESS: 1}) as shop:
        for name in ("slow", "next"):
            await shop.add(DRESS, who=customer(name))
        await shop.order(customer("slow"))
        await shop.move(minutes=31)
        await shop.order(customer("next"))
        await shop.store.call(SubmitTestCard(code="4242"), customer("next"))
        await shop.store.settle()
        (confirmed,) = shop.store.events(OrderConfirmed)
        assert confirmed.customer_id == "next"
