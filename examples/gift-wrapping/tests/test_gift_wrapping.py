"""The agent on its own: a real store and database, and a cart that says what the test puts into it.

uv pip install -e . pytest pytest-asyncio && pytest
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent_store.adapters.db import schema
from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.contracts.cart import CartView, GetCart
from agent_store.contracts.common import PricedLine
from agent_store.contracts.orders import Delivery, OrderCancelled, OrderConfirmed, OrderView
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, StaleSpeaker
from agent_store.kernel.event import Event
from agent_store.kernel.ids import CustomerId, OrderId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.toolbox import parse_call
from gift_wrapping.agent import KEPT, gift_wrapping
from gift_wrapping.contract import ChooseWrapping, GetWrappings, ListToWrap, ToWrap

pytestmark = pytest.mark.asyncio
ANA = Principal(customer_id="c1", conversation_id="v1", lease_token=1, language="pt")
RITA = Principal(staff="Rita")
DRESS = PricedLine(
    sku=Sku("D"), product_id="dress", title="Vestido, M", quantity=1, unit=Money.parse(90), total=Money.parse(90), brand="fashion"
)  # fmt: skip


@dataclass
class Shop:
    """A store with gift wrapping in it. `lines` is what every cart holds."""

    runtime: Runtime
    clock: ManualClock
    lines: list[PricedLine] = field(default_factory=lambda: [DRESS])

    async def call(self, tool: Tool[Any], principal: Principal = ANA, key: str | None = None) -> Any:
        return await self.runtime.call(tool, principal, key=key)

    async def publish(self, event: Event) -> None:
        async def emit(ctx: Context) -> None:
            ctx.emit(event)

        await self.runtime.transact("gift-wrapping", emit)
        await self.runtime.settle()

    async def to_wrap(self) -> list[ToWrap]:
        return list(await self.call(ListToWrap(), RITA))


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncGenerator[Shop]:
    clock, cart = ManualClock(), Agent("cart")
    schema.prepare_sqlite(tmp_path / "store.sqlite3", [gift_wrapping])
    runtime = Runtime(SqliteStore(tmp_path / "store.sqlite3"), [Consumer(gift_wrapping), Consumer(cart)], clock=clock)
    shop = Shop(runtime, clock)

    @cart.tool(GetCart)
    async def view(_: GetCart, ctx: Context) -> CartView:
        total = Money.parse(90 * len(shop.lines))
        return CartView(customer_id=CustomerId("c1"), version=1, lines=tuple(shop.lines), subtotal=total)

    await runtime.start(watch=False)
    yield shop
    await runtime.stop()


def order(kind: type[OrderConfirmed] | type[OrderCancelled], shop: Shop, number: str = "AS-1", **fields: Any) -> Event:
    view = OrderView(
        id=OrderId(number), number=number, customer_id=CustomerId("c1"), brand="fashion", state="confirmed", version=5,
        lines=(DRESS,), subtotal=DRESS.total, delivery=Delivery(method="pickup", price=Money.zero()), total=DRESS.total,
        created_at=shop.clock.now(), updated_at=shop.clock.now(),
    )  # fmt: skip
    return kind(order_id=OrderId(number), customer_id=CustomerId("c1"), version=5, order=view, **fields)


async def test_the_ways_to_wrap_are_told_with_their_prices_in_the_customers_language(shop: Shop) -> None:
    found = await shop.call(GetWrappings())
    assert (found.available, found.items, found.chosen) == (True, ("Vestido, M",), None)
    assert [(one.id, one.title, str(one.price)) for one in found.options] == [
        ("standard", "Embrulho simples", "R$ 50,00"), ("premium", "Embrulho premium", "R$ 150,00"),
    ]  # fmt: skip
    spanish = await shop.call(GetWrappings(), replace(ANA, language="es"))
    assert spanish.options[0].title == "Envoltorio simple"


async def test_there_is_nothing_to_wrap_in_an_empty_cart(shop: Shop) -> None:
    shop.lines.clear()
    found = await shop.call(GetWrappings())
    assert (found.available, found.options) == (False, ())
    with pytest.raises(Conflict):
        await shop.call(ChooseWrapping(style="premium"))


async def test_a_choice_is_kept_replaced_and_taken_back(shop: Shop) -> None:
    for style in ("standard", "premium"):
        await shop.call(parse_call("gift-wrapping.choose", {"style": style}))
        assert (await shop.call(GetWrappings())).chosen == style
    assert [one.id for one in (await shop.call(GetWrappings())).options] == ["standard", "premium", "none"]
    await shop.call(ChooseWrapping(style="none"))
    assert (await shop.call(GetWrappings())).chosen is None


async def test_only_what_there_is_can_be_chosen_and_only_for_a_customer(shop: Shop) -> None:
    with pytest.raises(InvalidInput):
        parse_call("gift-wrapping.choose", {"style": "gold"})
    with pytest.raises(Forbidden):
        await shop.call(ChooseWrapping(style="premium"), Principal())
    with pytest.raises(Forbidden):
        await shop.call(ListToWrap(), ANA)


async def test_a_confirmed_order_takes_the_choice_along_once(shop: Shop) -> None:
    await shop.call(ChooseWrapping(style="premium"), key="k")
    await shop.publish(order(OrderConfirmed, shop))
    await shop.publish(order(OrderConfirmed, shop, "AS-2"))
    assert [(one.order_number, one.style) for one in await shop.to_wrap()] == [("AS-1", "premium")]
    assert (await shop.call(GetWrappings())).chosen is None, "the next cart begins without"


async def test_a_cancelled_order_is_not_wrapped_in_whatever_order_it_is_heard(shop: Shop) -> None:
    await shop.call(ChooseWrapping(style="premium"))
    await shop.publish(order(OrderConfirmed, shop))
    await shop.publish(order(OrderCancelled, shop))
    assert await shop.to_wrap() == []
    await shop.call(ChooseWrapping(style="standard"))
    await shop.publish(order(OrderCancelled, shop, "AS-2"))
    await shop.publish(order(OrderConfirmed, shop, "AS-2"))
    assert await shop.to_wrap() == []


async def test_a_wish_of_long_ago_wraps_nothing(shop: Shop) -> None:
    await shop.call(ChooseWrapping(style="premium"))
    shop.clock.move(KEPT + timedelta(seconds=1))
    assert (await shop.call(GetWrappings())).chosen is None
    await shop.publish(order(OrderConfirmed, shop))
    assert await shop.to_wrap() == []


async def test_who_speaks_no_more_chooses_nothing(shop: Shop) -> None:
    await shop.call(ChooseWrapping(style="premium"), replace(ANA, lease_token=2))
    with pytest.raises(StaleSpeaker):
        await shop.call(ChooseWrapping(style="none"))
    assert (await shop.call(GetWrappings())).chosen == "premium"
