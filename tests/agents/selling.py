"""A small shop for the tests of the selling side: cart, orders, payments, stock and prices are the real agents;
catalogue and delivery answer the same contracts from a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.agents.cart.agent import cart
from agent_store.agents.cart.settings import CartSettings
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.service import InventorySettings
from agent_store.agents.orders.agent import orders
from agent_store.agents.orders.settings import OrdersSettings
from agent_store.agents.payments.agent import payments
from agent_store.agents.payments.ports import PaymentProvider
from agent_store.agents.payments.settings import PaymentsSettings
from agent_store.agents.pricing.agent import pricing
from agent_store.contracts.brands import Brand, Directory, SharedNumber
from agent_store.contracts.cart import AddToCart, CartView, GetCart
from agent_store.contracts.catalog import (
    GetProducts,
    Hit,
    ImportVariant,
    ProductImported,
    ProductView,
    Recommend,
    VariantView,
)
from agent_store.contracts.common import Address
from agent_store.contracts.fulfillment import DeliveryOption, DeliveryQuote, ListPickup, PickupOption, QuoteDelivery
from agent_store.contracts.inventory import ImportLocations, LocationView
from agent_store.contracts.orders import OrderView, PlaceOrder
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.context import Context
from agent_store.kernel.errors import NotFound, TemporaryError
from agent_store.kernel.ids import CustomerId, ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.support.store import TestStore

STAFF = Principal(staff="Ana")
ADDRESS = Address(cep="01310-100", street="Avenida Paulista 1000, ap 12", city="São Paulo", state="SP")
SHIPPING = Money(minor=1_990)

DRESS, BLUE_DRESS, SHIRT, LAMP = Sku("DRESS-RED-P"), Sku("DRESS-BLUE-M"), Sku("SHIRT-WHITE-M"), Sku("LAMP-1")
BUYER = CustomerId("c1")
PRICES = {DRESS: 29_990, BLUE_DRESS: 24_990, SHIRT: 8_990, LAMP: 15_000}
_PRODUCTS: dict[Sku, tuple[str, str, str, str | None, str | None]] = {
    DRESS: ("midi-aurora", "fashion", "Vestido Midi Aurora", "vermelho", "P"),
    BLUE_DRESS: ("midi-brisa", "fashion", "Vestido Midi Brisa", "azul", "M"),
    SHIRT: ("camisa-linho", "fashion", "Camisa de Linho", "branco", "M"),
    LAMP: ("luminaria-lua", "home", "Luminária Lua", None, None),
}
_SIMILAR: dict[Sku, tuple[str, ...]] = {DRESS: ("midi-brisa",), BLUE_DRESS: ("midi-aurora",), SHIRT: (), LAMP: ()}
SKUS = {product[0]: sku for sku, product in _PRODUCTS.items()}

WAREHOUSE = LocationView(id="cd-sp", name="CD São Paulo", kind="warehouse", cep="07034-000", state="SP")
SHOP = LocationView(id="loja-paulista", name="Loja Paulista", kind="store", cep="01311-000", state="SP")


def customer(name: str = "c1", **more: Any) -> Principal:
    fields: dict[str, Any] = {"brand": "fashion", "channel": "whatsapp", **more}
    return Principal(customer_id=name, **fields)


def product(sku: Sku) -> ProductView:
    product_id, brand, name, color, size = _PRODUCTS[sku]
    variant = VariantView(sku=sku, color=color, size=size, price=Money(minor=PRICES[sku]), available=1, weight_g=400)
    return ProductView(
        id=ProductId(product_id),
        brand=brand,
        name=name,
        category="x",
        image=f"/media/products/{product_id}.png",
        variants=(variant,),
    )


class Recommendations:
    """What the stand-in catalogue recommends; `down` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.asked: list[str] = []


def catalog_stand_in(state: Recommendations) -> Agent:
    catalog = Agent("catalog")

    @catalog.tool(GetProducts)
    async def products(call: GetProducts, ctx: Context) -> tuple[ProductView, ...]:
        wanted = [SKUS.get(one, Sku(one)) for one in call.ids]
        return tuple(product(sku) for sku in wanted if sku in _PRODUCTS)

    @catalog.tool(Recommend)
    async def recommend(call: Recommend, ctx: Context) -> tuple[Hit, ...]:
        state.asked.append(call.product_id)
        if state.down:
            raise TemporaryError("the catalogue is away")
        similar = _SIMILAR.get(Sku(call.product_id), ())
        return tuple(Hit(product=product(SKUS[product_id])) for product_id in similar[: call.limit])

    return catalog


def fulfillment_stand_in() -> Agent:
    fulfillment = Agent("fulfillment")

    @fulfillment.tool(QuoteDelivery)
    async def quote(call: QuoteDelivery, ctx: Context) -> DeliveryQuote:
        if call.cep.startswith("99"):
            raise NotFound("no carrier serves this CEP")
        option = DeliveryOption(
            service="economico", name="Econômico", carrier="Correios", price=SHIPPING, days_min=3, days_max=5,
            earliest=date(2026, 1, 8), latest=date(2026, 1, 12),
        )  # fmt: skip
        fast = option.model_copy(update={"service": "expresso", "price": SHIPPING * 2})
        return DeliveryQuote(cep=call.cep, options=(option, fast))

    @fulfillment.tool(ListPickup)
    async def pickup(call: ListPickup, ctx: Context) -> tuple[PickupOption, ...]:
        return (PickupOption(location=SHOP, ready_in_hours=2, complete=all(line.sku != LAMP for line in call.lines)),)

    return fulfillment


class Brands(Directory):
    """Two brands."""

    _brands = (
        Brand(id="fashion", name="Moda Aurora", seller="Luna", color="#b03060"),
        Brand(id="home", name="Casa & Cia", seller="Sofia", color="#305080"),
    )

    def brands(self) -> tuple[Brand, ...]:
        return self._brands

    def brand(self, brand_id: str) -> Brand | None:
        return next((brand for brand in self._brands if brand.id == brand_id), None)

    def by_number(self, phone_number_id: str) -> Brand | None:
        return None

    def is_known(self, phone_number_id: str) -> bool:
        return False

    def house_prompt(self) -> str:
        return ""

    @property
    def shared(self) -> SharedNumber:
        return SharedNumber()


class Shop:
    """`async with Shop(stock={DRESS: 1}) as shop:` a store with these units in the warehouse."""

    def __init__(
        self,
        stock: Mapping[str, int] | None = None,
        *,
        shelf: Mapping[str, int] | None = None,
        provider: PaymentProvider | None = None,
        orders_settings: OrdersSettings | None = None,
        cart_settings: CartSettings | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.provider = MockPaymentProvider(self.clock, lambda: self.store.runtime.store)
        self.recommendations = Recommendations()
        self.stock = dict.fromkeys(PRICES, 10) if stock is None else dict(stock)
        self._shelf = dict(shelf or {})
        self.store = TestStore(
            [
                cart, orders, payments, inventory, pricing,
                catalog_stand_in(self.recommendations), fulfillment_stand_in(),
            ],
            ports={
                CartSettings: cart_settings or CartSettings(),
                OrdersSettings: orders_settings or OrdersSettings(),
                InventorySettings: InventorySettings(),
                PaymentsSettings: PaymentsSettings(public_url="http://shop.test"),
                PaymentProvider: provider or self.provider,
                Directory: Brands(),
            },
            clock=self.clock,
        )  # fmt: skip

    async def __aenter__(self) -> Shop:
        await self.store.__aenter__()
        await self.store.call(ImportLocations(locations=(WAREHOUSE, SHOP)), STAFF)
        for sku, minor in PRICES.items():
            await self.price(sku, minor)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.store.__aexit__(*exc)

    async def price(self, sku: Sku, minor: int) -> None:
        """Set price and stock as a catalogue file does."""
        product_id, brand, name, *_ = _PRODUCTS[sku]
        stock = {WAREHOUSE.id: self.stock.get(sku, 0)}
        if sku in self._shelf:
            stock[SHOP.id] = self._shelf[sku]
        variant = ImportVariant(sku=sku, price=Money(minor=minor), stock=stock)
        await self.store.publish(
            ProductImported(product_id=ProductId(product_id), brand=brand, name=name, variants=(variant,))
        )
        await self.store.settle()

    async def add(self, sku: Sku, quantity: int = 1, who: Principal | None = None) -> CartView:
        return await self.store.call(AddToCart(sku=sku, quantity=quantity), who or customer())

    async def order(self, who: Principal | None = None, *, settle: bool = True, **more: Any) -> OrderView:
        """Order what is in the cart, delivered to Avenida Paulista."""
        whom = who or customer()
        version = (await self.store.call(GetCart(), whom)).version
        place: dict[str, Any] = {"delivery": "delivery", "service": "economico", "address": ADDRESS, **more}
        view = await self.store.call(PlaceOrder(cart_version=version, **place), whom)
        if settle:
            await self.store.settle()
        return view

    async def move(self, **by: float) -> None:
        await self.store.move(timedelta(**by))
