"""Blocks within a channel's limits, cards from findings, plain answers, summaries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agent_store.agents.seller import model, presentation, truth
from agent_store.agents.seller.policy import CONFIRM_ORDER
from agent_store.contracts.cart import CartView, GetCart
from agent_store.contracts.chat import ButtonsBlock, ListBlock, ProductsBlock, TextBlock
from agent_store.contracts.common import Language
from agent_store.contracts.orders import GetMyOrder
from agent_store.kernel.brain import Block, Choice, Line
from agent_store.kernel.ids import CustomerId
from agent_store.kernel.money import Money
from tests.unit.test_seller_truth import FULL, NOW, PRODUCTS, cart, ledger, order

PAYMENT = model.Ledger(FULL.findings[-1:], NOW)
EMPTY = ledger((GetCart(), CartView(customer_id=CustomerId("c1"), version=1, lines=(), subtotal=Money.zero())))
LANGUAGES: tuple[Language, ...] = ("pt", "en", "es")


def render(*blocks: Block, book: model.Ledger = FULL) -> presentation.Rendered:
    return presentation.render(blocks, book, language="pt", low_stock=3)


def test_markdown_becomes_what_whatsapp_shows() -> None:
    text = "## Oi\n\n\n\nO **vestido** e o __cinto__, [veja](https://shop.test/x)."
    (block,) = render(Block(kind="text", text=text)).blocks
    assert block == TextBlock(text="Oi\n\nO *vestido* e o *cinto*, veja: https://shop.test/x.")


@pytest.mark.parametrize(
    "link", ["https://shop.test/pay/a__b__c_", "https://shop.test/pay/_x__y", "http://shop.test/a?b=__c__"]
)
def test_a_link_stays_as_it_is(link: str) -> None:
    text = f"**Para pagar**: {link}\n[aqui]({link})\n__veja__ {link}."
    (block,) = render(Block(kind="text", text=text)).blocks
    assert block == TextBlock(text=f"*Para pagar*: {link}\naqui: {link}\n*veja* {link}.")
    (block,) = render(Block(kind="text", text=f"**{link}** \ue000")).blocks
    assert block == TextBlock(text=f"*{link}*")


def test_a_text_never_exceeds_the_channel() -> None:
    (block,) = render(Block(kind="text", text="a" * 9000)).blocks
    assert len(block.text) == presentation.LONGEST_TEXT


@pytest.mark.parametrize(("count", "kind"), [(1, ButtonsBlock), (3, ButtonsBlock), (4, ListBlock), (14, ListBlock)])
def test_many_choices_become_a_list(count: int, kind: type) -> None:
    choices = tuple(Choice(id=f"c{n}", title=f"Opção {n}", description="d" * 100) for n in range(count))
    (block,) = render(Block(kind="buttons", text="Qual?", choices=choices)).blocks
    assert isinstance(block, kind)
    assert isinstance(block, ButtonsBlock | ListBlock)
    assert len(block.choices) == min(count, 10)
    assert all(len(choice.description or "") <= 72 for choice in block.choices)


def test_choices_of_one_title_or_id_are_one() -> None:
    choices = (
        Choice(id="a", title="Sim"),
        Choice(id="a", title="Claro"),
        Choice(id="b", title="SIM"),
        Choice(id="c", title=" "),
    )
    (block,) = render(Block(kind="buttons", choices=choices)).blocks
    assert isinstance(block, ButtonsBlock)
    assert [choice.id for choice in block.choices] == ["a"]
    assert block.text == "Escolha uma opção:"


def test_choices_without_any_are_a_text() -> None:
    assert render(Block(kind="list", text="Qual?")).blocks == (TextBlock(text="Qual?"),)
    assert render(Block(kind="list")).blocks == ()


def test_only_a_yes_confirms_an_order() -> None:
    yes, other = Choice(id=f"{CONFIRM_ORDER}:3", title="Confirmar pedido"), Choice(id=CONFIRM_ORDER, title="Mais fotos")
    assert render(Block(kind="buttons", text="?", choices=(yes,))).confirms
    assert not render(Block(kind="buttons", text="?", choices=(other,))).confirms


def test_a_product_of_several_prices_shows_where_they_start() -> None:
    small, large = (
        model.SeenVariant(sku=sku, price=Money.parse(price), available=5)
        for sku, price in (("S", "10.00"), ("L", "12.00"))
    )
    gone = model.SeenVariant(sku="G", price=Money.parse("5.00"), available=0)
    seen = model.SeenProduct(id="p", name="Vela", image="/media/p.png", variants=(large, small, gone))
    until = NOW + timedelta(minutes=10)
    finding = model.Finding(
        source="s#1", tool="catalog.search", turn=1, at=NOW, products=(seen,), prices_until=until, stock_until=until
    )
    book = model.Ledger((finding,), NOW)
    (block,) = render(Block(kind="products", items=("p", "G")), book=book).blocks
    assert isinstance(block, ProductsBlock)
    assert [(card.sku, str(card.price), card.note) for card in block.cards] == [
        (None, "R$ 10,00", "Preço a partir de"),
        ("G", "R$ 5,00", "Esgotado no momento"),
    ]


def test_a_products_block_without_items_is_a_text() -> None:
    assert render(Block(kind="products", text="Nada ainda.")).blocks == (TextBlock(text="Nada ainda."),)


def test_cards_come_from_findings_only() -> None:
    shown = render(
        Block(kind="products", text="Veja", items=("vestido-aurora", "CINTO-SOL-U", "vestido-aurora", "made-up"))
    )
    (block,) = shown.blocks
    assert isinstance(block, ProductsBlock)
    assert [(card.title, str(card.price), card.note) for card in block.cards] == [
        ("Vestido Aurora", "R$ 199,90", "Últimas 3 unidades"),
        ("Cinto Sol", "R$ 59,90", "Última unidade"),
    ]
    assert shown.unknown == ("made-up",)
    assert [one.stated for one in shown.evidence] == ["R$ 199,90", "R$ 59,90"]


def test_a_card_says_nothing_of_stock_that_was_counted_too_long_ago() -> None:
    later = model.Ledger(FULL.findings, NOW + timedelta(minutes=15))
    (block,) = render(Block(kind="products", items=("cinto-sol",)), book=later).blocks
    assert isinstance(block, ProductsBlock)
    assert block.cards[0].note == ""
    too_late = model.Ledger(FULL.findings, NOW + timedelta(minutes=31))
    assert render(Block(kind="products", items=("cinto-sol",)), book=too_late).unknown == ("cinto-sol",)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "book",
    [
        ledger(),
        ledger(PRODUCTS),
        ledger((GetCart(), cart())),
        ledger(PRODUCTS, (GetMyOrder(), order())),
        PAYMENT,
        EMPTY,
        FULL,
    ],
)
def test_a_plain_answer_is_always_there_and_always_true(language: Language, book: model.Ledger) -> None:
    book.fresh = list(book.findings)
    rendered = presentation.plain(book, language=language, low_stock=3)
    assert rendered.blocks
    for block in rendered.blocks:
        assert truth.check(block.text, book, truth.Echo(), language=language).unsupported == ()


def test_the_summary_tells_a_person_what_happened() -> None:
    lines = (Line(role="customer", text="quero\nfalar com alguém"),)
    history = (Line(role="seller", text="Oi!"), Line(role="notice", text="Pedido enviado"))
    text = presentation.summary("asked", "asked: wants a callback", history, lines, FULL)
    assert text.splitlines() == [
        "The customer asked for a person.",
        "wants a callback",
        "Seller: Oi!",
        "Store: Pedido enviado",
        "Customer: quero falar com alguém",
        "Cart: R$ 399,80",
    ]
