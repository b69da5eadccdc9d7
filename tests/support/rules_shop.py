"""A shop in memory behind the tools of a seller, and a chat that runs a brain against it as the seller does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from agent_store.adapters.brains.rules.normalise import strip_accents
from agent_store.agents.seller import presentation, truth
from agent_store.agents.seller.model import Finding, Ledger, find, fold
from agent_store.agents.seller.numbers import amounts_in
from agent_store.agents.seller.settings import SellerSettings
from agent_store.contracts import cart as cart_tools
from agent_store.contracts import catalog as catalog_tools
from agent_store.contracts import chat as chat_tools
from agent_store.contracts import fulfillment as fulfillment_tools
from agent_store.contracts import inventory as inventory_tools
from agent_store.contracts import orders as order_tools
from agent_store.contracts import payments as payment_tools
from agent_store.contracts.cart import CartView, CartWarning
from agent_store.contracts.catalog import Category, Hit, ProductView, SearchProducts, SearchResult, VariantView
from agent_store.contracts.chat import Profile
from agent_store.contracts.common import Address, Language, PricedLine
from agent_store.contracts.fulfillment import DeliveryOption, DeliveryQuote, PickupOption
from agent_store.contracts.inventory import LocationView
from agent_store.contracts.orders import Delivery, OrderView
from agent_store.contracts.payments import TEST_CARDS, PaymentView
from agent_store.kernel.brain import Block, Brain, BrainAnswer, BrainRequest, Line, Step, ToolCall, ToolResult, ToolSpec
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound, StoreError
from agent_store.kernel.ids import CustomerId, OrderId, ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool, registry

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CUSTOMER = CustomerId("c1")
OFFERED: tuple[type[Tool[Any]], ...] = (
    catalog_tools.SearchProducts,
    catalog_tools.GetProducts,
    catalog_tools.Recommend,
    catalog_tools.ListCategories,
    cart_tools.GetCart,
    cart_tools.AddToCart,
    cart_tools.RemoveFromCart,
    cart_tools.ClearCart,
    fulfillment_tools.QuoteDelivery,
    fulfillment_tools.ListPickup,
    inventory_tools.ListLocations,
    chat_tools.GetProfile,
    chat_tools.Remember,
    order_tools.PlaceOrder,
    order_tools.GetMyOrder,
    order_tools.ListMyOrders,
    order_tools.CancelOrder,
    payment_tools.GetPendingPayment,
    payment_tools.SubmitTestCard,
)
"""What a seller may call."""
SPECS = tuple(ToolSpec(name=t.tool_name, description=t.description(), parameters={}) for t in OFFERED)


def _variant(sku: str, reais: str, available: int, list_price: str | None = None, **options: str) -> VariantView:
    color, size = options.pop("color", None), options.pop("size", None)
    before = Money.parse(list_price) if list_price else None
    return VariantView(
        sku=Sku(sku), color=color, size=size, options=options, price=Money.parse(reais), list_price=before,
        available=available, weight_g=400,
    )  # fmt: skip


def _product(
    product_id: str, name: str, category: str, variants: Sequence[VariantView], tags: str = "", maker: str = "",
    complements: Sequence[str] = (), description: str = "", brand: str = "fashion",
) -> ProductView:  # fmt: skip
    return ProductView(
        id=ProductId(product_id), brand=brand, name=name, category=category, maker=maker, description=description,
        tags=tuple(tags.split()), image=f"/media/products/{product_id}.png", variants=tuple(variants),
        complements=tuple(ProductId(one) for one in complements),
    )  # fmt: skip


def catalogue() -> list[ProductView]:
    return [
        _product(
            "vestido-aurora", "Vestido Midi Aurora", "vestidos",
            [
                _variant("VES-AUR-VM-P", "289.90", 5, color="Vermelho", size="P"),
                _variant("VES-AUR-VM-M", "289.90", 2, color="Vermelho", size="M"),
                _variant("VES-AUR-AZ-M", "289.90", 7, color="Azul", size="M"),
                _variant("VES-AUR-AZ-G", "289.90", 0, color="Azul", size="G"),
            ],
            tags="festa dia", maker="Aurora", complements=["bolsa-lua", "sandalia-sol"],
            description="Vestido midi de viscose com caimento leve, decote em V e faixa na cintura.",
        ),
        _product(
            "vestido-brisa", "Vestido Longo Brisa", "vestidos",
            [
                _variant("VES-BRI-VD-M", "359.00", 4, color="Verde", size="M"),
                _variant("VES-BRI-VM-M", "359.00", 4, color="Vermelho", size="M"),
            ],
            tags="festa casamento", complements=["sandalia-sol"], description="Vestido longo fluido para festa.",
        ),
        _product(
            "vestido-lua", "Vestido Curto Lua", "vestidos",
            [_variant("VES-LUA-PT-M", "179.90", 9, "219.90", color="Preto", size="M")],
            tags="noite", description="Vestido curto preto básico.",
        ),
        _product(
            "bolsa-lua", "Bolsa Tiracolo Lua", "bolsas", [_variant("BOL-LUA-PT", "149.90", 6, color="Preto")],
            tags="festa presente", description="Bolsa pequena com alça regulável.",
        ),
        _product(
            "sandalia-sol", "Sandália Salto Sol", "calcados",
            [_variant(f"SAN-SOL-{n}", "199.90", 3 if n != 38 else 0, color="Dourado", size=str(n)) for n in range(35, 40)],
            tags="festa", description="Sandália de salto bloco.",
        ),
        _product(
            "camiseta-mar", "Camiseta Algodão Mar", "camisetas",
            [
                _variant(f"CAM-MAR-{c[:2].upper()}-{s}", "69.90", 20, color=c, size=s)
                for c in ("Branco", "Preto", "Azul") for s in ("P", "M", "G")
            ],
            tags="casual", description="Camiseta de algodão macio.",
        ),
        _product(
            "tenis-vento", "Tênis Corrida Vento", "calcados",
            [_variant(f"TEN-VEN-{n}", "399.90", 1, color="Preto", size=str(n)) for n in (38, 39, 40)],
            tags="esporte corrida", maker="Vento", description="Tênis leve para corrida.",
        ),
        _product(
            "celular-orbita", "Smartphone Órbita X", "celulares",
            [
                _variant("CEL-ORB-128", "1899.00", 3, armazenamento="128 GB"),
                _variant("CEL-ORB-256", "2199.00", 8, armazenamento="256 GB"),
            ],
            tags="celular telefone", maker="Órbita", description="Tela de 6 polegadas e bateria para o dia todo.",
        ),
        _product(
            "liquidificador-turbo", "Liquidificador Turbo", "eletros",
            [
                _variant("LIQ-110", "249.00", 4, voltagem="110V"),
                _variant("LIQ-220", "249.00", 4, voltagem="220V"),
            ],
            description="Doze velocidades e jarra de vidro.",
        ),
    ]  # fmt: skip


STORES = (
    LocationView(
        id="sp-centro", name="Loja Centro", kind="store", cep="01310-100", city="São Paulo",
        address="Avenida Paulista 900", hours="10h às 20h",
    ),
    LocationView(
        id="sp-pinheiros", name="Loja Pinheiros", kind="store", cep="05422-000", city="São Paulo",
        address="Rua dos Pinheiros 300", hours="10h às 19h",
    ),
    LocationView(id="cd-cajamar", name="CD Cajamar", kind="warehouse", cep="07750-000"),
)  # fmt: skip


@dataclass
class FakeShop:
    """Tools as functions of one customer's shop. `fail` names tools that answer with an error of that code."""

    products: list[ProductView] = field(default_factory=catalogue)
    cart: dict[str, int] = field(default_factory=dict[str, int])
    version: int = 0
    profile: Profile = field(default_factory=lambda: Profile(customer_id=CUSTOMER))
    orders: list[OrderView] = field(default_factory=list[OrderView])
    payment: PaymentView | None = None
    fail: dict[str, str] = field(default_factory=dict[str, str])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    freight: int = 1990
    low_stock_as_the_cart_tells_it: bool = False
    """Too many units of what there is some of are a "low_stock" warning, else "out_of_stock"."""

    def run(self, call: ToolCall) -> ToolResult:
        """As the seller does: unknown tool or wrong arguments are errors the brain sees."""
        self.calls.append(call)
        contract = registry.get(call.name)
        assert contract in OFFERED, f"{call.name} is not a seller's tool"
        assert contract is not None
        try:
            tool = contract.model_validate(json.loads(json.dumps(dict(call.arguments))))
        except ValidationError as error:
            raise AssertionError(f"{call.name} called with {call.arguments}: {error}") from error
        try:
            if call.name in self.fail:
                raise StoreError("broken on purpose", code=self.fail[call.name])
            method = getattr(self, call.name.replace(".", "_"))
            data = contract.result_adapter.dump_python(method(tool), mode="json")
            return ToolResult(call=call, data=data)
        except StoreError as error:
            return ToolResult(call=call, error=error.message, code=error.code)

    # --- catalogue ---------------------------------------------------------------------------------------------------

    def find(self, key: str) -> ProductView | None:
        return next((p for p in self.products if p.id == key or any(v.sku == key for v in p.variants)), None)

    def variant(self, sku: str) -> VariantView | None:
        return next((v for p in self.products for v in p.variants if v.sku == sku), None)

    def set_stock(self, sku: str, available: int) -> None:
        self._replace(sku, available=available)

    def set_price(self, sku: str, price: Money) -> None:
        self._replace(sku, price=price)

    def _replace(self, sku: str, **news: Any) -> None:
        self.products = [
            p.model_copy(
                update={"variants": tuple(v.model_copy(update=news) if v.sku == sku else v for v in p.variants)}
            )
            for p in self.products
        ]

    def catalog_search(self, ask: SearchProducts) -> SearchResult:
        words = [word.rstrip("s") for word in strip_accents(ask.text).split()]
        relaxed: list[str] = []

        def text_of(p: ProductView) -> str:
            options = " ".join(" ".join(v.options.values()) for v in p.variants).replace(" GB", "gb")
            return strip_accents(f"{p.name} {p.category} {p.description} {p.maker} {' '.join(p.tags)} {options}")

        found = [p for p in self.products if all(word in text_of(p) for word in words)]
        if not found and words:
            found = [p for p in self.products if any(word in text_of(p) for word in words)]
            if found:
                relaxed.append("text")
        if ask.category:
            found = [p for p in found if p.category == ask.category]

        def narrowed(items: list[ProductView], name: str, fits: Any) -> list[ProductView]:
            kept = [
                p.model_copy(update={"variants": tuple(v for v in p.variants if fits(v))})
                for p in items
                if any(fits(v) and (v.available > 0 or not ask.in_stock) for v in p.variants)
            ]
            if not kept and ask.relax and items:
                relaxed.append(name)
                return items
            return kept

        if ask.color:
            found = narrowed(found, "color", lambda v: v.color and strip_accents(v.color) == ask.color)
        if ask.size:
            found = narrowed(found, "size", lambda v: v.size == ask.size)
        if ask.max_price is not None:
            top = ask.max_price
            found = narrowed(found, "max_price", lambda v: v.price <= top)
        if ask.min_price is not None:
            low = ask.min_price
            found = narrowed(found, "min_price", lambda v: v.price >= low)
        found = [p for p in found if any(v.available > 0 for v in p.variants) or not ask.in_stock]
        if ask.sort != "relevance":
            found.sort(key=lambda p: min(v.price.minor for v in p.variants), reverse=ask.sort == "-price")
        page = found[ask.offset : ask.offset + ask.limit]
        return SearchResult(hits=tuple(Hit(product=p) for p in page), total=len(found), relaxed=tuple(relaxed))

    def catalog_products(self, ask: catalog_tools.GetProducts) -> tuple[ProductView, ...]:
        found = [p for key in ask.ids if (p := self.find(key)) is not None]
        return tuple({p.id: p for p in found}.values())

    def catalog_recommend(self, ask: catalog_tools.Recommend) -> tuple[Hit, ...]:
        product = self.find(ask.product_id)
        if product is None:
            raise NotFound("no such product")
        if ask.kind == "complementary":
            found = [p for key in product.complements if (p := self.find(key)) is not None]
        else:
            found = [p for p in self.products if p.category == product.category and p.id != product.id]
        if ask.max_price is not None:
            top = ask.max_price
            found = [p for p in found if any(v.price <= top and v.available for v in p.variants)]
        return tuple(Hit(product=p) for p in found if any(v.available for v in p.variants))[: ask.limit]

    def catalog_categories(self, ask: catalog_tools.ListCategories) -> tuple[Category, ...]:
        names = dict.fromkeys(p.category for p in self.products)
        return tuple(Category(category=n, products=sum(p.category == n for p in self.products)) for n in names)

    # --- cart --------------------------------------------------------------------------------------------------------

    def cart_view(self, ask: object = None) -> CartView:
        lines: list[PricedLine] = []
        warnings: list[CartWarning] = []
        for sku, quantity in self.cart.items():
            product, variant = self.find(sku), self.variant(sku)
            assert product is not None
            assert variant is not None
            parts = [product.name, variant.color or "", variant.size or "", *variant.options.values()]
            title = ", ".join(part for part in parts if part)
            lines.append(
                PricedLine(
                    sku=Sku(sku),
                    product_id=product.id,
                    title=title,
                    quantity=quantity,
                    unit=variant.price,
                    total=variant.price * quantity,
                    brand=product.brand,
                    weight_g=variant.weight_g,
                )
            )
            if 0 < variant.available < quantity and self.low_stock_as_the_cart_tells_it:
                warnings.append(CartWarning(kind="low_stock", sku=Sku(sku), available=variant.available))
            elif variant.available < quantity:
                similar = self.catalog_recommend(catalog_tools.Recommend(product_id=sku))
                alternatives = tuple(hit.product.id for hit in similar)
                warnings.append(CartWarning(kind="out_of_stock", sku=Sku(sku), alternatives=alternatives))
        subtotal = Money(minor=sum(line.total.minor for line in lines))
        return CartView(
            customer_id=CUSTOMER, version=self.version, lines=tuple(lines), subtotal=subtotal, warnings=tuple(warnings)
        )

    def cart_add(self, ask: cart_tools.AddToCart) -> CartView:
        variant = self.variant(ask.sku)
        if variant is None:
            raise NotFound("no such sku")
        wanted = self.cart.get(ask.sku, 0) + ask.quantity
        if variant.available < wanted:
            raise Conflict("too few", available=variant.available)
        self.cart[ask.sku] = wanted
        self.version += 1
        return self.cart_view()

    def cart_remove(self, ask: cart_tools.RemoveFromCart) -> CartView:
        if ask.sku not in self.cart:
            raise NotFound("not in the cart")
        left = self.cart[ask.sku] - (ask.quantity or self.cart[ask.sku])
        if left > 0:
            self.cart[ask.sku] = left
        else:
            del self.cart[ask.sku]
        self.version += 1
        return self.cart_view()

    def cart_clear(self, ask: object) -> CartView:
        self.cart.clear()
        self.version += 1
        return self.cart_view()

    # --- delivery ----------------------------------------------------------------------------------------------------

    def fulfillment_quote(self, ask: fulfillment_tools.QuoteDelivery) -> DeliveryQuote:
        if not ask.lines and not self.cart:
            raise InvalidInput("nothing to deliver")
        if ask.cep.startswith("9999"):
            raise NotFound("no carrier")
        options = (
            DeliveryOption(
                service="economico", name="Econômico", carrier="Correios", price=Money(minor=self.freight), days_min=4,
                days_max=6, earliest=date(2026, 11, 26), latest=date(2026, 11, 30),
            ),
            DeliveryOption(
                service="expresso", name="Expresso", carrier="Jato", price=Money(minor=3490), days_min=1, days_max=2,
                earliest=date(2026, 11, 23), latest=date(2026, 11, 24),
            ),
        )  # fmt: skip
        return DeliveryQuote(cep=ask.cep, options=options, pickup=self._pickup())

    def _pickup(self) -> tuple[PickupOption, ...]:
        stores = [place for place in STORES if place.kind == "store"]
        return tuple(PickupOption(location=place, ready_in_hours=2, complete=True) for place in stores)

    def fulfillment_pickup(self, ask: object) -> tuple[PickupOption, ...]:
        return self._pickup()

    def inventory_locations(self, ask: object) -> tuple[LocationView, ...]:
        return STORES

    # --- customer ----------------------------------------------------------------------------------------------------

    def conversations_profile(self, ask: object) -> Profile:
        return self.profile

    def conversations_remember(self, ask: chat_tools.Remember) -> Profile:
        news = {name: getattr(ask, name) for name in ask.model_fields_set if getattr(ask, name) is not None}
        self.profile = self.profile.model_copy(update=news)
        return self.profile

    # --- orders and payment ------------------------------------------------------------------------------------------

    def orders_place(self, ask: order_tools.PlaceOrder) -> OrderView:
        if not self.cart or ask.cart_version != self.version:
            raise Conflict("the cart has changed")
        view = self.cart_view()
        if view.warnings:
            raise Conflict("sold out")
        if ask.delivery == "delivery":
            if ask.address is None or not ask.address.street or ask.service is None:
                raise InvalidInput("a delivery needs an address and a service")
            options = self.fulfillment_quote(fulfillment_tools.QuoteDelivery(cep=ask.address.cep)).options
            option = next(one for one in options if one.service == ask.service)
            delivery = Delivery(method="delivery", service=ask.service, price=option.price, address=ask.address,
                                earliest=option.earliest, latest=option.latest)  # fmt: skip
        else:
            if ask.location is None:
                raise InvalidInput("a pickup needs a store")
            delivery = Delivery(method="pickup", price=Money.zero(), location=ask.location, location_name="Loja Centro")
        total = view.subtotal + delivery.price
        if ask.expected_total is not None and ask.expected_total != total:
            raise Conflict("the total differs")
        number = f"AS-7K3F9{'QRSTUV'[len(self.orders) % 6]}"
        order = OrderView(
            id=OrderId(f"o{len(self.orders) + 1}"), number=number, customer_id=CUSTOMER, brand="fashion",
            state="created", version=1, lines=view.lines, subtotal=view.subtotal, delivery=delivery, total=total,
            created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        self.orders.insert(0, order)
        self.cart.clear()
        self.version += 1
        self.payment = PaymentView(
            payment_id="p1", order_id=order.id, order_number=number, amount=total, state="open",
            link="http://127.0.0.1:8080/pay/abc", expires_at=NOW + timedelta(minutes=30),
        )  # fmt: skip
        self.advance("awaiting_payment")
        return order

    def advance(self, state: str, **news: Any) -> None:
        self.orders[0] = self.orders[0].model_copy(update={"state": state, **news})

    def orders_status(self, ask: order_tools.GetMyOrder) -> OrderView:
        found = [o for o in self.orders if ask.number in (None, o.number)]
        if not found:
            raise NotFound("no such order")
        return found[0]

    def orders_mine(self, ask: order_tools.ListMyOrders) -> tuple[OrderView, ...]:
        return tuple(self.orders[: ask.limit])

    def orders_cancel(self, ask: order_tools.CancelOrder) -> OrderView:
        order = self.orders_status(order_tools.GetMyOrder(number=ask.number))
        if order.state in ("shipped", "delivered"):
            raise Conflict("on its way")
        index = self.orders.index(order)
        self.orders[index] = order.model_copy(update={"state": "cancelled"})
        return self.orders[index]

    def payments_pending(self, ask: object) -> PaymentView | None:
        return self.payment if self.payment and self.payment.state in ("open", "processing") else None

    def payments_submit_test_card(self, ask: payment_tools.SubmitTestCard) -> PaymentView:
        if self.payment is None or self.payment.state != "open":
            raise Conflict("nothing is open")
        if ask.code not in TEST_CARDS:
            raise InvalidInput("no test code")
        failure = TEST_CARDS[ask.code]
        answer = self.payment.model_copy(update={"state": "processing"})
        state = "paid" if failure is None else "open"
        self.payment = self.payment.model_copy(
            update={"state": state, "attempts": self.payment.attempts + 1, "last_failure": failure}
        )
        if failure is None:
            self.advance("confirmed")
        return answer


@dataclass
class Reply:
    """What came of a turn; `text` is all that a customer can read, cards aside."""

    answer: BrainAnswer
    steps: tuple[Step, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return self.answer.blocks

    @property
    def text(self) -> str:
        parts: list[str] = []
        for block in self.blocks:
            parts.append(block.text)
            parts.extend(f"[{choice.title}] {choice.description or ''}" for choice in block.choices)
        return "\n".join(parts)

    @property
    def payloads(self) -> tuple[str, ...]:
        return tuple(choice.id for block in self.blocks for choice in block.choices)

    @property
    def cards(self) -> tuple[str, ...]:
        return tuple(item for block in self.blocks for item in block.items)

    @property
    def tools(self) -> tuple[str, ...]:
        return tuple(call.name for step in self.steps for call in step.answer.tool_calls)


SETTINGS = SellerSettings()
MONEY = re.compile(r"R\$ [\d.]+,\d{2}")


class Chat:
    """One customer's conversation with a brain, turn by turn, with the checks that hold for every reply."""

    def __init__(
        self, brain: Brain, shop: FakeShop, language: Language = "pt", seller: str = "Luna", *, truth_rule: bool = True,
        greeting: str = "",
    ) -> None:  # fmt: skip
        self.brain, self.shop, self.seller, self.greeting = brain, shop, seller, greeting
        self.language: Language = language
        self.truth_rule = truth_rule
        self.findings: list[Finding] = []
        self.memory: Mapping[str, Any] = {}
        self.now = NOW
        self.replies: list[Reply] = []

    def say(self, *texts: str) -> Reply:
        return self.turn([Line(role="customer", text=text, at=self.now) for text in texts])

    def tap(self, payload: str, title: str = "") -> Reply:
        return self.turn([Line(role="customer", text=title, payload=payload, at=self.now)])

    def turn(self, lines: Sequence[Line], most: int = 8) -> Reply:
        steps: list[Step] = []
        for _ in range(most):
            request = BrainRequest(
                brand="fashion", seller=self.seller, greeting=self.greeting, language=self.language, system="", lines=tuple(lines),
                tools=SPECS, steps=tuple(steps), memory=self.memory, now=self.now,
            )  # fmt: skip
            answer = think(self.brain, request)
            if not answer.tool_calls:
                break
            results = tuple(self.shop.run(call) for call in answer.tool_calls)
            stored = Step(answer=answer, results=results)
            steps.append(Step.model_validate_json(stored.model_dump_json()))  # as from the journal
        else:
            raise AssertionError(f"the turn did not end: {lines}")
        reply = Reply(answer, tuple(steps))
        self._check(reply)
        if self.truth_rule:
            self._check_truth(reply, lines)
        if answer.memory is not None:
            self.memory = json.loads(json.dumps(answer.memory))
            assert len(json.dumps(self.memory)) < 8000
        self.replies.append(reply)
        self.now += timedelta(seconds=20)
        return reply

    def _check(self, reply: Reply) -> None:
        for block in reply.blocks:
            limit, width = (3, 20) if block.kind == "buttons" else (10, 24)
            assert len(block.choices) <= limit
            assert len(block.text) <= 4000
            if block.kind in ("buttons", "list"):
                assert block.choices, block
                assert block.text.strip(), block
                assert len(block.text) <= 1024
            if block.kind == "text":
                assert block.text.strip()
            if block.kind == "products":
                assert 1 <= len(block.items) <= 10
            for choice in block.choices:
                assert 0 < len(choice.id) <= 200
                assert 0 < len(choice.title) <= width, choice
                assert len(choice.description or "") <= 72
        assert reply.blocks or reply.answer.escalate, "an empty reply"
        allowed = amounts([result.data for step in reply.steps for result in step.results])
        sums = {a + b for a in allowed for b in allowed}
        for stated in MONEY.findall(reply.text):
            minor = int(re.sub(r"\D", "", stated))
            assert minor in allowed or minor in sums, f"{stated} stands in no tool result: {reply.text}"

    def _check_truth(self, reply: Reply, lines: Sequence[Line]) -> None:
        """The seller's own truth rule finds nothing to object to, and every card stands in a result."""
        ledger = Ledger(self.findings, self.now)
        limits: set[int] = set()
        for result in (one for step in reply.steps for one in step.results if one.error is None):
            contract = registry[result.call.name]
            tool = contract.model_validate(result.call.arguments)
            limits |= amounts(result.call.arguments)
            data = contract.result_adapter.validate_python(result.data)
            found = find(tool, data, call=result.call.id, turn=1, at=self.now, settings=SETTINGS)
            if found is not None:
                ledger.add(found)
        self.findings = ledger.findings[-40:]
        folded = fold("\n".join(line.text for line in lines))
        echo = truth.Echo(amounts_in(folded) | limits, truth.orders_in(folded), folded)
        rendered = presentation.render(reply.blocks, ledger, language=self.language, low_stock=3)
        assert rendered.unknown == ()
        for text, choice in rendered.texts:
            verdict = truth.check(text, ledger, echo, language=self.language, choice=choice)
            assert verdict.unsupported == (), text


def amounts(value: Any) -> set[int]:
    """All money (minor units) within JSON data."""
    if isinstance(value, dict):
        found = {value["minor"]} if isinstance(value.get("minor"), int) else set[int]()
        return found.union(*(amounts(item) for item in value.values())) if value else found
    if isinstance(value, list | tuple):
        return set[int]().union(*(amounts(item) for item in value)) if value else set()
    return set()


def think(brain: Brain, request: BrainRequest) -> BrainAnswer:
    """The rules never wait for anything, so their coroutine ends at its first send."""
    coroutine = brain.think(request)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    return asyncio.run(brain.think(request))


__all__ = ["NOW", "OFFERED", "Address", "Chat", "FakeShop", "Reply", "amounts", "catalogue", "think"]
