"""The last unit: many customers, one order."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from agent_store.agents.inventory.tables import levels
from agent_store.agents.orders.tables import orders
from agent_store.contracts.inventory import GetAvailability
from agent_store.contracts.orders import OrderConfirmed, OrderRejected
from agent_store.contracts.payments import GetPendingPayment, PaymentLinkCreated, SubmitTestCard
from tests.agents.selling import BLUE_DRESS, DRESS, Shop, customer

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
        assert len(shop.provider.captures()) == 1

        (stock,) = await shop.store.call(GetAvailability(skus=(DRESS,)))
        assert stock.available == 0
        rows = await shop.store.rows(select(levels).where(levels.c.sku == DRESS))
        assert [(row["on_hand"], row["reserved"]) for row in rows if row["location"] == "cd-sp"] == [(0, 0)]
        states = [row["state"] for row in await shop.store.rows(select(orders))]
        assert sorted(set(states)) == ["confirmed", "rejected"]
        assert states.count("confirmed") == 1
        assert await shop.store.dead() == []


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
