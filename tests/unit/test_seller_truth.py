"""Claims in three languages, and what supports them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.seller import model, numbers, truth
from agent_store.agents.seller.settings import SellerSettings
from agent_store.contracts.cart import AddToCart, CartView, CartWarning, GetCart
from agent_store.contracts.catalog import Category, GetProducts, ListCategories, ProductView, VariantView
from agent_store.contracts.chat import GetProfile, Profile, Remember
from agent_store.contracts.common import Address, Item, PricedLine
from agent_store.contracts.fulfillment import DeliveryOption, DeliveryQuote, ListPickup, PickupOption, QuoteDelivery
from agent_store.contracts.inventory import Availability, GetAvailability, ListLocations, LocationView
from agent_store.contracts.orders import Delivery, GetMyOrder, ListMyOrders, OrderView
from agent_store.contracts.payments import GetPendingPayment, PaymentView
from agent_store.contracts.pricing import GetPrices, GetQuote, PriceView, Quote, QuoteLine
from agent_store.kernel.ids import CustomerId, OrderId, ProductId, Sku
from agent_store.kernel.money import Money

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)  # a Monday, nine in the morning in São Paulo
SETTINGS = SellerSettings()


def product(name: str, price: str, available: int, before: str | None = None) -> ProductView:
    key = model.fold(name).replace(" ", "-")
    variant = VariantView(
        sku=Sku(f"{key.upper()}-U"),
        price=Money.parse(price),
        list_price=Money.parse(before) if before else None,
        available=available,
    )
    return ProductView(
        id=ProductId(key), brand="fashion", name=name, category="roupas", image="/media/x.png", variants=(variant,)
    )


def quote(price: str = "15.00") -> DeliveryQuote:
    option = DeliveryOption(
        service="economico", name="Econômico", carrier="Correios", price=Money.parse(price), days_min=3, days_max=5,
        earliest=date(2026, 1, 8), latest=date(2026, 1, 12),
    )  # fmt: skip
    store = LocationView(id="centro", name="Loja Centro", kind="store", cep="01310-100")
    return DeliveryQuote(
        cep="01310-100", options=(option,), pickup=(PickupOption(location=store, ready_in_hours=2, complete=True),)
    )


def cart(version: int = 3, unit: str = "199.90", quantity: int = 2) -> CartView:
    line = PricedLine(
        sku=Sku("A"), product_id="vestido-aurora", title="Vestido Aurora, vermelho, P", quantity=quantity,
        unit=Money.parse(unit), total=Money.parse(unit) * quantity, brand="fashion",
    )  # fmt: skip
    return CartView(customer_id=CustomerId("c1"), version=version, lines=(line,), subtotal=line.total)


def order(state: str = "confirmed") -> OrderView:
    return OrderView(
        id=OrderId("o1"), number="AS-7K3F9Q", customer_id=CustomerId("c1"), brand="fashion", state=state,  # type: ignore[arg-type]
        version=2, lines=(), subtotal=Money.parse("399.80"), total=Money.parse("414.80"),
        delivery=Delivery(method="delivery", price=Money.parse("15.00"), earliest=date(2026, 1, 8), latest=date(2026, 1, 12)),
        payment_link="https://shop.test/pay/abc", created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def ledger(*results: tuple[object, object], now: datetime = NOW) -> model.Ledger:
    book = model.Ledger((), now)
    for position, (tool, result) in enumerate(results):
        found = model.find(tool, result, call=f"c{position}", turn=1, at=NOW, settings=SETTINGS)  # type: ignore[arg-type]
        if found is not None:
            book.add(found)
    return book


DRESS, BELT = product("Vestido Aurora", "199.90", 3, "249.90"), product("Cinto Sol", "59.90", 1)
PRODUCTS = (GetProducts(ids=("x",)), (DRESS, BELT))
FULL = ledger(
    PRODUCTS,
    (GetCart(), cart()),
    (QuoteDelivery(cep="01310-100"), quote()),
    (GetMyOrder(), order()),
    (
        GetPendingPayment(),
        PaymentView(
            payment_id="p1", order_id=OrderId("o1"), order_number="AS-7K3F9Q", amount=Money.parse("414.80"), state="open",
            link="https://shop.test/pay/abc", expires_at=datetime(2026, 1, 5, 18, 30, tzinfo=UTC),
        ),
    ),
)  # fmt: skip


def unsupported(text: str, /, book: model.Ledger = FULL, language: str = "pt", **said: object) -> list[str]:
    verdict = truth.check(text, book, truth.Echo(**said), language=language)  # type: ignore[arg-type]
    return [claim.stated for claim in verdict.unsupported]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt", "O Vestido Aurora custa R$ 199,90, de R$ 249,90 (20% de desconto, você economiza R$ 50,00)."),
        ("pt", "São 199 reais e 90 centavos."),
        ("pt", "Restam só 3 unidades do Vestido Aurora; do Cinto Sol é a última unidade!"),
        ("pt", "Temos em estoque, sim."),
        ("pt", "Subtotal: R$ 399,80. Entrega por 15 reais. Total: 414,80."),
        ("pt", "Chega entre 08/01 e 12/01, em 3 a 5 dias úteis."),
        ("pt", "Entrega até segunda-feira, 12 de janeiro."),
        ("pt", "Chega entre 2026-01-08 e 12/01/2026; recebe na semana que vem, no máximo em 1 semana."),
        ("en", "It arrives on Thursday, Jan 8."),
        ("pt", "O vestido aurora fica de 249,90 por 199,90."),
        ("pt", "Na loja fica pronto em 2 horas, ainda hoje, e a retirada é grátis."),
        ("pt", "O pedido AS-7K3F9Q foi confirmado e o pagamento foi aprovado."),
        ("pt", "O link https://shop.test/pay/abc vale até 15:30."),
        ("en", "It costs R$ 199.90 and only three left."),
        ("en", "Your total is $414.80, delivered by January 12th."),
        ("en", "Delivery takes 3 to 5 business days."),
        ("es", "Cuesta 199,90 reales y quedan 3."),
        ("es", "Llega en 5 días hábiles, el 12 de enero."),
    ],
)
def test_what_tools_gave_may_be_said(language: str, text: str) -> None:
    verdict = truth.check(text, FULL, truth.Echo(), language=language)
    assert [claim.stated for claim in verdict.unsupported] == []
    assert verdict.supported


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt", "Custa R$ 189,90."),
        ("pt", "Custa R$ **1**,00."),
        ("pt", "Custa R$ １,００."),  # full-width digits
        ("pt", "Custa R\u200b$ 1."),
        ("pt", "Sai por 150."),
        ("pt", "Fica por apenas cem reais."),
        ("pt", "Por 1.299,90 à vista."),
        ("pt", "Leva os dois por 250 reais!"),
        ("pt", "Em torno de R$ 200."),
        ("pt", "R$ 2 mil"),
        ("pt", "12x de R$ 16,66 sem juros"),
        ("pt", "Parcelamos em 10 vezes."),
        ("pt", "50% OFF só hoje."),
        ("pt", "Está pela metade do preço!"),
        ("pt", "Leve 3 pague 2."),
        ("pt", "Use o cupom BEMVINDO10."),
        ("pt", "Consigo te dar um desconto."),
        ("pt", "A entrega é grátis."),
        ("pt", "Vai um brinde junto."),
        ("pt", "Restam 2 unidades."),
        ("pt", "Só temos mais 7 no estoque."),
        ("pt", "Esse já esgotou."),
        ("pt", "Chega amanhã."),
        ("pt", "Chega em 2026-03-01."),
        ("pt", "Chega até 10/01/26."),
        ("pt", "Entrega em 2 semanas, ou na próxima sexta."),
        ("pt", "São só 50 centavos."),
        ("pt", "Custa um real e cinquenta centavos."),
        ("pt", "De 300 por 150!"),
        ("pt", "A entrega chega em 1 dia."),
        ("pt", "Prazo:\n• expresso: 2 dias"),
        ("pt", "Receba até 10/01."),
        ("pt", "Entregamos na quarta-feira."),
        ("pt", "Você pode trocar em até 30 dias."),
        ("pt", "O link expira em 20 minutos."),
        ("pt", "Seu pedido AS-ABC234 está a caminho."),
        ("pt", "Pedido nº 48213 registrado."),
        ("pt", "Pague em pagamento-facil.com/x"),
        ("en", "That one is $99."),
        ("en", "Just ninety nine dollars."),
        ("en", "Costs 40 euros."),
        ("en", "Buy one get one free shipping."),
        ("en", "Free shipping on this one."),
        ("en", "Only 5 left!"),
        ("en", "It ships tomorrow."),
        ("en", "Arrives next week on Friday."),
        ("en", "Delivered by March 3rd."),
        ("es", "Cuesta 99 reales."),
        ("es", "Tiene 30% de descuento."),
        ("es", "Envío gratis."),
        ("es", "Quedan 2."),
        ("es", "Llega mañana."),
        ("es", "Lo recibes el 3 de marzo."),
    ],
)
def test_what_no_tool_gave_is_found(language: str, text: str) -> None:
    assert unsupported(text, language=language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt", "Oi! O que te traz aqui hoje?"),
        ("pt", "É 100% algodão, com 2% de elastano, e tem 15,60 cm de barra."),
        ("pt", "A tela tem 6,70 polegadas e 120 Hz."),
        ("pt", "Temos 3 cores e 2 modelos."),
        ("pt", "Tapete Sertão, cinza, 1,50 x 2,00 m; o outro tem 0,66x2,00."),
        ("pt", "Qual é o seu CEP, para eu ver o frete e o prazo?"),
        ("pt", "Quer que eu coloque 2 unidades no carrinho?"),
        ("pt", "Assim que o pagamento for aprovado, o pedido é confirmado."),
        ("pt", "Infelizmente não temos frete grátis."),
        ("pt", "Não consigo dar desconto."),
        ("pt", "Essa segunda opção combina mais com você."),
        ("pt", "Posso verificar se temos em estoque."),
        ("pt", "Atendemos 24/7."),
        ("pt", "Uma xícara e 1/2 de água."),
        ("en", "Feel free to ask, I'm here!"),
        ("en", "It's a sugar-free formula."),
        ("en", "Which size do you usually wear?"),
        ("en", "There is no free shipping, sorry."),
        ("es", "¿Para qué ocasión es?"),
        ("es", "No tenemos envío gratis."),
    ],
)
def test_what_states_no_fact_is_let_through(language: str, text: str) -> None:
    assert unsupported(text, ledger(), language=language) == []


TOKENS = st.text("abcdefghijkLMNOP0123456789_-", min_size=1, max_size=44)


@given(TOKENS, st.sampled_from(["", "*", "_", "**", "_*", "~"]))
def test_a_link_is_read_as_it_is(token: str, mark: str) -> None:
    """Whatever its token is made of, and however it is emphasised; any other link is none of ours."""
    link = f"https://shop.test/pay/A{token}z"
    book = ledger((GetMyOrder(), order().model_copy(update={"payment_link": link})))
    text = f"Para pagar: {mark}{link}{mark[::-1]}."
    assert unsupported(text, book) == []
    assert unsupported(f"*Para pagar: {link}*\nAté já!", book) == []
    assert link in truth.clean(text)
    assert unsupported(text.replace("pay/A", "pay/B"), book) == [link.replace("pay/A", "pay/B")]


def test_a_link_is_not_hidden_by_what_cannot_be_seen() -> None:
    assert unsupported("Pague em h\u200bttps://evil.example/pay_1", ledger()) != []
    assert unsupported("Pague em https://shop.test/pay/\u200babc") != []


def profile(street: str, name: str = "Maria Silva") -> Profile:
    return Profile(customer_id=CustomerId("c1"), name=name, address=Address(cep="01310-100", street=street))


@pytest.mark.parametrize(
    "street",
    [
        "Avenida 9 de Julho, 100", "Av. 9 de Julho 100 ap 12", "Rua 15 de Novembro, 20", "Rua 7 de Setembro 300",
        "9 de Julho, 100", "Rua Augusta 10/12, bloco 3", "Calle 25 de Mayo 400", "Rua Abril 12",
    ],
)  # fmt: skip
@pytest.mark.parametrize("tool", [GetProfile(), Remember(name="Maria Silva")])
def test_a_street_called_after_a_day_is_no_date(street: str, tool: Any) -> None:
    book = ledger((tool, profile(street)), (QuoteDelivery(cep="01310-100"), quote()))
    summary = f"📍 {street}\nCEP 01310-100\n👤 Maria Silva"
    assert unsupported(summary) != []
    assert unsupported(summary, book) == []
    assert unsupported(f"Entrega na {street}, em 3 a 5 dias úteis.", book) == []


@pytest.mark.parametrize(
    "text",
    [
        "Chega dia 9 de julho.", "Chega em 9 de julho, 100% certo.", "A entrega é até 9 de julho na Avenida 9 de Julho, 100.",
        "It arrives on July 9.", "Chega dia 10 de julho na Avenida 10 de Julho, 100.", "Llega el 9 de julio.",
    ],
)  # fmt: skip
def test_a_street_does_not_support_a_day(text: str) -> None:
    book = ledger((GetProfile(), profile("Avenida 9 de Julho, 100")))
    said = model.fold("Entrega na Avenida 9 de Julho, 100! Chega dia 9 de julho? Llega el 9 de julio?")
    assert unsupported(text, book, text=said) != []


def test_stores_and_orders_have_addresses_as_well() -> None:
    store = LocationView(
        id="centro",
        name="Loja 7 de Abril",
        kind="store",
        cep="01310-100",
        address="Rua 15 de Novembro 20",
        city="São Paulo",
    )
    text = "Retire na Loja 7 de Abril: Rua 15 de Novembro 20, São Paulo"
    assert unsupported(text) != []
    assert unsupported(text, ledger((ListLocations(), (store,)))) == []
    ready = (PickupOption(location=store, ready_in_hours=2, complete=True),)
    assert unsupported(text, ledger((ListPickup(near_cep=None), ready))) == []
    at = Delivery(
        method="delivery", price=Money.zero(), address=Address(cep="01310-100", street="Rua 15 de Novembro 20")
    )
    book = ledger((GetMyOrder(), order().model_copy(update={"delivery": at})))
    assert unsupported("Enviado para Rua 15 de Novembro 20", book) == []


def test_a_street_in_the_customers_own_words_may_be_repeated() -> None:
    said = model.fold("Me chamo Ana, moro na rua 7 de setembro, 300")
    assert unsupported("Anotei: a entrega é na Rua 7 de Setembro, 300, certo?", ledger(), text=said) == []
    assert unsupported("A entrega é na Rua 9 de Julho, 300.", ledger(), text=said) == ["9 de Julho"]
    assert unsupported("A entrega é dia 7 de setembro.", ledger(), text=said) == ["7 de setembro"]


def test_the_customers_own_data_is_not_kept_with_the_evidence() -> None:
    store = LocationView(id="centro", name="Loja Centro", kind="store", cep="01310-100", address="Rua do Sol 20")
    at = Delivery(method="delivery", price=Money.zero(), address=Address(cep="01310-100", street="Rua Augusta 15"))
    book = ledger(
        (GetProfile(), profile("Rua Augusta 15")),
        (ListLocations(), (store,)),
        (GetMyOrder(), order().model_copy(update={"delivery": at})),
        PRODUCTS,
    )
    kept = "".join(finding.model_dump_json() for finding in book.lasting)
    assert len(book.lasting) == 3
    assert "rua do sol" in kept
    assert "AS-7K3F9Q" in kept
    assert "augusta" not in kept
    assert "maria" not in kept


def test_other_tools_facts_count_as_well() -> None:
    sku = Sku("A")
    warning = CartWarning(kind="price_changed", sku=sku, available=7, before=Money.parse("11.00"))
    empty = CartView(customer_id=CustomerId("c1"), version=1, lines=(), subtotal=Money.zero(), warnings=(warning,))
    book = ledger(
        (GetPrices(skus=(sku,)), (PriceView(sku=sku, price=Money.parse("12.00"), list_price=Money.parse("16.00")),)),
        (GetAvailability(skus=(sku,)), (Availability(sku=sku, available=9),)),
        (
            GetQuote(lines=(Item(sku=sku, quantity=2),)),
            Quote(
                lines=(QuoteLine(sku=sku, quantity=2, unit=Money.parse("13.00"), total=Money.parse("26.00")),),
                subtotal=Money.parse("26.00"),
            ),
        ),
        (ListMyOrders(), (order("awaiting_payment"),)),
        (ListCategories(), (Category(category="roupas", products=3),)),
    )
    assert unsupported("Sai por R$ 13,00, dois por R$ 26,00, com 25% de desconto; restam 9 unidades.", book) == []
    assert unsupported("O pedido AS-7K3F9Q soma R$ 414,80.", book) == []
    cart_only = ledger((GetCart(), empty))
    assert unsupported("Antes custava R$ 11,00 e restam 7 unidades.", cart_only) == []


def test_a_refusal_tells_what_is_left() -> None:
    tool = AddToCart(sku=Sku("A"), quantity=9)
    found = model.find_in_refusal(tool, {"available": 2}, call="c", turn=1, at=NOW, settings=SETTINGS)
    assert found is not None
    assert unsupported("Restam 2 unidades.", model.Ledger((found,), NOW)) == []
    assert model.find_in_refusal(tool, {}, call="c", turn=1, at=NOW, settings=SETTINGS) is None
    assert model.find(GetCart(), None, call="c", turn=1, at=NOW, settings=SETTINGS) is None


@pytest.mark.parametrize("text", ["[]", "nonsense", '"x"'])
def test_a_memory_that_is_no_object_is_forgotten(text: str) -> None:
    assert model.read_memory(text) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"max_steps": 0},
        {"rewrites": -1},
        {"history": 101},
        {"turn_time": timedelta(0)},
        {"misses": 0},
        {"price_ttl": timedelta(-1)},
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="SellerSettings"):
        SellerSettings(**fields)


def test_a_price_of_another_product_does_not_support_a_claim() -> None:
    assert unsupported("O Vestido Aurora custa R$ 59,90.") == ["R$ 59,90"]
    assert unsupported("O Cinto Sol custa R$ 59,90.") == []


@pytest.mark.parametrize("text", ["Esse tem desconto de lançamento.", "Fechei seu pedido!", "Já está no seu carrinho!"])
def test_a_deed_needs_a_tool_that_did_it(text: str) -> None:
    assert unsupported(text, ledger())
    assert unsupported(text) == []


def test_the_newest_fact_counts() -> None:
    book = ledger(PRODUCTS, (GetProducts(ids=("x",)), (product("Vestido Aurora", "179.90", 2),)))
    assert unsupported("Custa R$ 199,90.", book) == ["R$ 199,90"]
    assert unsupported("Custa R$ 179,90 e restam 2 unidades.", book) == []


@pytest.mark.parametrize(
    ("minutes", "text", "holds"),
    [
        (9, "Restam 3 unidades.", True), (11, "Restam 3 unidades.", False), (29, "Custa R$ 199,90.", True),
        (31, "Custa R$ 199,90.", False), (29, "Chega até 12/01.", True), (60, "O pedido AS-7K3F9Q está confirmado.", True),
        (1441, "O pedido AS-7K3F9Q está confirmado.", False),
    ],
)  # fmt: skip
def test_facts_hold_for_their_time(minutes: int, text: str, holds: bool) -> None:
    book = model.Ledger(FULL.findings, NOW + timedelta(minutes=minutes))
    assert (unsupported(text, book) == []) is holds


def test_cart_and_delivery_are_summed_only_for_the_cart_that_was_quoted() -> None:
    older = (QuoteDelivery(cep="01310-100"), quote())
    quoted = ledger((GetCart(), cart(3)), older)
    assert unsupported("Total R$ 414,80.", quoted) == []
    changed = ledger((GetCart(), cart(3)), older, (GetCart(), cart(4, quantity=1)))
    assert unsupported("Total R$ 214,90.", changed) == ["R$ 214,90"]
    again = ledger((GetCart(), cart(3)), older, (GetCart(), cart(4, quantity=1)), older)
    assert unsupported("Total R$ 214,90.", again) == []
    looked_at_after = ledger((GetCart(), cart(3)), older, (GetCart(), cart(3)))
    assert unsupported("Total R$ 414,80.", looked_at_after) == []
    of_one = (QuoteDelivery(cep="01310-100", lines=(Item(sku=Sku("B"), quantity=1),)), quote())
    assert unsupported("Total R$ 414,80.", ledger((GetCart(), cart(3)), of_one)) == ["R$ 414,80"]


def test_free_delivery_is_said_only_when_it_is() -> None:
    free = ledger((QuoteDelivery(cep="01310-100"), quote("0.00")))
    assert unsupported("O frete é grátis!", free) == []
    assert unsupported("O frete é grátis!") == ["grátis"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt", "• Econômico: grátis, 3 a 5 dias úteis"), ("pt", "🚚 Frete: grátis"), ("pt", "Entrega:\n• Econômico: grátis"),
        ("en", "• Economy: free, 3 to 5 business days"), ("en", "🚚 Delivery: free"), ("en", "Free delivery"),
        ("es", "• Económico: gratis, 3 a 5 días hábiles"), ("es", "🚚 Envío: gratis"), ("es", "Envío gratis, 3 a 5 días hábiles"),
    ],
)  # fmt: skip
def test_free_is_what_costs_nothing(language: str, text: str) -> None:
    free, cheap = (
        ledger((QuoteDelivery(cep="01310-100"), quote("0.00"))),
        ledger((QuoteDelivery(cep="01310-100"), quote("9.00"))),
    )
    single = ledger((QuoteDelivery(cep="01310-100", lines=(Item(sku=Sku("A"), quantity=1),)), quote("0.00")))
    at = Delivery(method="delivery", price=Money.zero(), earliest=date(2026, 1, 8), latest=date(2026, 1, 12))
    placed = ledger((GetMyOrder(), order().model_copy(update={"delivery": at})))
    assert unsupported(text, free, language) == []
    assert unsupported(text, single, language) == []
    assert [one for one in unsupported(text, placed, language) if "3" not in one and "5" not in one] == []
    assert unsupported(text, cheap, language) != []


def test_delivery_is_free_no_longer_when_the_newest_quote_has_a_price() -> None:
    quotes = ledger((QuoteDelivery(cep="01310-100"), quote("0.00")), (QuoteDelivery(cep="01310-100"), quote("9.00")))
    assert unsupported("O frete é grátis!", quotes) == ["grátis"]


def test_one_day_is_one_day() -> None:
    one = quote().options[0].model_copy(update={"days_min": 1, "days_max": 1})
    book = ledger((QuoteDelivery(cep="01310-100"), quote().model_copy(update={"options": (one,)})))
    for text, language in (("em 1 dia útil", "pt"), ("in 1 business day", "en"), ("en 1 día hábil", "es")):
        assert unsupported(text, book, language) == []
        assert unsupported(text.replace("1", "2"), book, language) != []


def test_a_paid_order_is_said_only_when_it_is() -> None:
    waiting = ledger((GetMyOrder(), order("awaiting_payment")))
    assert unsupported("O pagamento foi aprovado!", waiting) == ["pagamento foi aprovado"]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Vou buscar opções até R$ 250.", True),
        ("Entre R$ 100 e R$ 250 tenho ideias.", True),
        ("Com orçamento de 250 reais dá para montar um look.", True),
        ("O vestido custa até R$ 250.", False),
        ("O preço é R$ 250.", False),
        ("Vou buscar opções até R$ 300.", False),
    ],
)
def test_a_budget_may_be_repeated_as_a_budget(text: str, holds: bool) -> None:
    said = numbers.amounts_in("tenho entre 100 e 250 reais")
    assert (unsupported(text, ledger(), amounts=said) == []) is holds


def test_an_order_number_of_the_customers_may_be_denied() -> None:
    orders = truth.orders_in(model.fold("cadê o as-zz2345?"))
    assert unsupported("Não encontrei o pedido AS-ZZ2345.", ledger(), orders=orders) == []
    assert unsupported("O pedido AS-ZZ2345 está a caminho.", ledger(), orders=orders)


@pytest.mark.parametrize("title", ["Até R$ 100", "R$ 100 a R$ 200", "Acima de R$ 200", "Entre R$ 50 e R$ 80"])
def test_a_budget_to_tap_states_nothing(title: str) -> None:
    assert truth.check(title, ledger(), truth.Echo(), choice=True).unsupported == ()
    assert truth.check("Por R$ 100", ledger(), truth.Echo(), choice=True).unsupported != ()


@given(st.integers(min_value=1, max_value=9_999_999))
def test_any_price_that_no_tool_gave_is_found_however_it_is_written(minor: int) -> None:
    money = Money(minor=minor)
    plain = f"{minor // 100}.{minor % 100:02d}"
    english = f"{minor // 100:,}.{minor % 100:02d}"
    for text in (
        f"custa {money}",
        f"R${plain}",
        f"it is $ {english}",
        f"só {plain.replace('.', ',')} reais",
        f"*{money}*!",
    ):
        assert unsupported(text, ledger()), text
        known = ledger((GetProducts(ids=("x",)), (product("Bolsa", money.decimal(), 1),)))
        assert unsupported(text, known) == [], text


@given(st.text(max_size=200))
def test_any_text_can_be_checked(text: str) -> None:
    folded = model.fold(text)
    assert len(folded) == len(text)
    truth.check(text, FULL, truth.Echo(), language="pt")
    truth.check(text, FULL, truth.Echo(), language="en", choice=True)


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("199", 19900), ("199,9", 19990), ("199.90", 19990), ("1.299", 129900), ("1.299,90", 129990), ("1,299.90", 129990),
        ("12.000", 1200000), ("-5,00", -500),
    ],
)  # fmt: skip
def test_amounts_are_read_as_people_write_them(text: str, minor: int) -> None:
    assert numbers.minor_of(text) == minor


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("vinte e cinco", 25), ("duzentos e dez", 210), ("mil e quinhentos", 1500), ("two thousand", 2000),
        ("three hundred and five", 305), ("cien", 100), ("dos mil trescientos", 2300), ("ninety-nine", 99),
    ],
)  # fmt: skip
def test_numbers_in_words_are_read(words: str, value: int) -> None:
    assert numbers.from_words(words.replace("-", " ").split()) == value
