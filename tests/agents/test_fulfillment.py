from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import yaml

from agent_store.agents.fulfillment.agent import fulfillment
from agent_store.agents.fulfillment.model import ShippingTable
from agent_store.agents.fulfillment.service import FulfillmentSettings
from agent_store.contracts.cart import CartView, GetCart
from agent_store.contracts.catalog import ImportProduct
from agent_store.contracts.common import Item, PricedLine
from agent_store.contracts.fulfillment import ListPickup, QuoteDelivery
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, NotFound
from agent_store.kernel.ids import CustomerId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.support.shop import DATA, fill, shop
from tests.support.store import TestStore

MUG, SOFA = Sku("MUG-1"), Sku("SOFA-1")
SHIPPING = ShippingTable.from_dict(yaml.safe_load((DATA / "shipping.yaml").read_text(encoding="utf-8")))
MONDAY_MORNING = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def product(id: str, sku: str, price: str, weight_g: int, stock: dict[str, int]) -> ImportProduct:
    variant = {"sku": sku, "price": price, "weight_g": weight_g, "stock": stock}
    return ImportProduct.model_validate(
        {"id": id, "brand": "home", "name": id, "category": "things", "variants": [variant]}
    )


PRODUCTS = (
    product("mug", MUG, "50.00", 400, {"cd-cajamar": 10, "loja-paulista": 3, "loja-barra": 1}),
    product("sofa", SOFA, "2000.00", 50_500, {"cd-cajamar": 2}),
)


def cart_with(*lines: tuple[Sku, int]) -> Agent:
    """A cart agent whose customer has these lines; everybody else has none."""
    fake = Agent("cart")

    @fake.tool(GetCart)
    async def view(call: GetCart, ctx: Context) -> CartView:
        customer = CustomerId(ctx.principal.customer_id or "")
        priced = tuple(
            PricedLine(
                sku=sku, product_id="mug", title="Mug", quantity=count, unit=Money(minor=5_000),
                total=Money(minor=5_000) * count, brand="home", weight_g=400,
            )
            for sku, count in lines
        )  # fmt: skip
        mine = priced if customer == "c1" else ()
        total = Money(minor=sum(line.total.minor for line in mine))
        return CartView(customer_id=customer, version=1, lines=mine, subtotal=total)

    return fake


def house(*lines: tuple[Sku, int]) -> TestStore:
    store = shop(
        fulfillment, cart_with(*lines), ports={ShippingTable: SHIPPING, FulfillmentSettings: FulfillmentSettings()}
    )
    store.clock = ManualClock(MONDAY_MORNING)
    return store


async def test_a_quote_names_price_days_and_dates_of_every_service() -> None:
    async with house() as store:
        await fill(store, PRODUCTS)
        quote = await store.call(QuoteDelivery(cep="01310200", lines=(Item(sku=MUG, quantity=3),)))
        assert quote.cep == "01310-200"
        economy, express = quote.options
        assert (economy.service, economy.carrier, economy.price) == ("economico", "Rota Ipê", Money(minor=1_170))
        assert (economy.days_min, economy.days_max) == (2, 4)
        assert (economy.earliest, economy.latest) == (date(2026, 1, 7), date(2026, 1, 9))
        assert (express.price, express.earliest) == (Money(minor=2_010), date(2026, 1, 6))


async def test_goods_worth_enough_ship_free_and_the_cheapest_comes_first() -> None:
    async with house() as store:
        await fill(store, PRODUCTS)
        quote = await store.call(QuoteDelivery(cep="01310-200", lines=(Item(sku=MUG, quantity=4),)))
        assert quote.options[0].price == Money(minor=0)
        sofa = await store.call(QuoteDelivery(cep="69010-000", lines=(Item(sku=SOFA, quantity=1),)))
        assert [option.price.minor for option in sofa.options] == [3_990 + 51 * 420, 6_990 + 51 * 980]


async def test_an_order_of_the_afternoon_leaves_the_next_business_day() -> None:
    async with house() as store:
        await fill(store, PRODUCTS)
        await store.move(timedelta(days=4, hours=8))  # Friday, 17:00 in São Paulo
        quote = await store.call(QuoteDelivery(cep="01310-200", lines=(Item(sku=MUG, quantity=1),)))
        assert quote.options[0].earliest == date(2026, 1, 14)


async def test_without_lines_the_customer_s_cart_is_quoted() -> None:
    async with house((MUG, 4)) as store:
        await fill(store, PRODUCTS)
        quote = await store.call(QuoteDelivery(cep="01310-200"), Principal(customer_id="c1"))
        assert quote.options[0].price == Money(minor=0)
        with pytest.raises(Conflict, match="cart is empty"):
            await store.call(QuoteDelivery(cep="01310-200"), Principal(customer_id="c2"))
        with pytest.raises(Conflict, match="cart is empty"):
            await store.call(ListPickup(), Principal(customer_id="c2"))


async def test_a_cep_that_nobody_serves_and_an_unknown_sku_are_not_found() -> None:
    async with house() as store:
        await fill(store, PRODUCTS)
        with pytest.raises(NotFound, match="00500-000"):
            await store.call(QuoteDelivery(cep="00500-000", lines=(Item(sku=MUG, quantity=1),)))
        with pytest.raises(NotFound, match="NOPE-1"):
            await store.call(QuoteDelivery(cep="01310-200", lines=(Item(sku=Sku("NOPE-1"), quantity=1),)))


async def test_stores_come_nearest_first_and_say_what_they_have() -> None:
    async with house() as store:
        await fill(store, PRODUCTS)
        lines = (Item(sku=MUG, quantity=1), Item(sku=MUG, quantity=1))
        quote = await store.call(QuoteDelivery(cep="22041-011", lines=lines))
        assert [(store.location.id, store.complete) for store in quote.pickup] == [
            ("loja-barra", False),
            ("loja-savassi", False),
            ("loja-paulista", True),
            ("loja-batel", False),
        ]
        assert [store.ready_in_hours for store in quote.pickup] == [72, 72, 2, 72]


async def test_for_a_pickup_complete_stores_come_first_then_the_nearest() -> None:
    async with house((MUG, 1)) as store:
        await fill(store, PRODUCTS)
        found = await store.call(ListPickup(near_cep="22041-011"), Principal(customer_id="c1"))
        assert [option.location.id for option in found] == [
            "loja-barra",
            "loja-paulista",
            "loja-savassi",
            "loja-batel",
        ]
        named = await store.call(ListPickup(lines=(Item(sku=MUG, quantity=2),)))
        assert [option.complete for option in named] == [True, False, False, False]
        assert named[0].location.id == "loja-paulista"


async def test_a_large_order_asks_the_catalogue_in_parts() -> None:
    many = tuple(product(f"mug-{n}", f"MUG-X{n}", "10.00", 1_000, {"cd-cajamar": 1}) for n in range(45))
    async with house() as store:
        await fill(store, many)
        lines = tuple(Item(sku=Sku(f"MUG-X{n}"), quantity=1) for n in range(45))
        quote = await store.call(QuoteDelivery(cep="69010-000", lines=lines))
        assert quote.options[0].price == Money(minor=3_990 + 45 * 420)
