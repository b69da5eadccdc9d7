"""The rules brain against anything: any words, taps and memory end in an answer, and no call breaks its contract."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_store.adapters.brains.rules import RulesBrain
from agent_store.contracts.common import Language
from agent_store.kernel.brain import Line
from tests.support.rules_shop import CUSTOMER, NOW, Chat, FakeShop
from tests.unit.test_rules_dialogue import LONG_WAY

SKUS = [variant.sku for product in FakeShop().products for variant in product.variants]
IDS = [product.id for product in FakeShop().products]
PAYLOADS = st.one_of(
    st.sampled_from([f"add:{sku}" for sku in SKUS] + [f"remove:{sku}" for sku in SKUS] + [f"product:{one}" for one in IDS]),
    st.sampled_from(
        ["confirm_order", "change_order", "checkout", "view_cart", "more", "cheaper", "categories", "clear_yes", "person",
         "method:delivery", "method:pickup", "ship:economico", "ship:nope", "store:sp-centro", "store:nope", "fewer:x",
         "opt:vestido-aurora:color:Azul", "opt:x", "opt:a:b:c", "cancel_yes:AS-7K3F9Q", "status:x", "similar", "pay_link",
         "change_items", "change_method", "change_address", "my_orders", "compare_shown", "brand:x", "cat:vestidos"]
    ),
    st.text(max_size=40),
)  # fmt: skip
KNOWN_TEXTS = st.sampled_from(
    [*LONG_WAY, "4242", "2", "o 3", "38", "M", "não", "Ana", "01310-100", "Rua A 1", "quero 99 desse", "tira o 7", "🙏", "",
     "compara tudo", "mostra mais", "adiciona 2 do primeiro e 3 do segundo", "AS-7K3F9Q", "troca por azul G", "outro endereço"]
)  # fmt: skip
VOCABULARY = """quero vestido vermelho o 1 2 ate 300 reais tamanho M frete 01310-100 add the cart remove sim nao pedido
loja entrega retirar compara cancela 4242 R$ , . ? mais barato outro esse rua 10 128gb"""
WORDS_OF_THE_SHOP = st.lists(st.sampled_from(VOCABULARY.split()), max_size=9).map(" ".join)
TURNS = st.lists(
    st.one_of(
        st.tuples(st.one_of(KNOWN_TEXTS, WORDS_OF_THE_SHOP, st.text(max_size=120)), st.none()),
        st.tuples(st.just(""), PAYLOADS),
    ),
    min_size=1,
    max_size=3,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**15) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
MEMORY = st.dictionaries(
    st.sampled_from(["shown", "focus", "search", "pending", "checkout", "cep", "size", "order", "cart_version", "turns", "v"]),
    st.one_of(
        JSON,
        st.fixed_dictionaries(
            {},
            optional={
                "kind": st.sampled_from(["variant", "details", "confirm", "method", "service", "location", "remove", "x"]),
                "yes": PAYLOADS, "no": PAYLOADS, "choices": st.lists(st.tuples(PAYLOADS, st.text(max_size=8)).map(list)),
                "id": st.sampled_from(IDS), "sku": st.sampled_from(SKUS), "active": st.just(True),
                "method": st.sampled_from(["delivery", "pickup"]), "total": st.integers(0, 10**7), "version": st.integers(0, 4),
                "at": st.sampled_from([NOW.isoformat(), "x", "2020-01-01"]), "product": st.sampled_from(IDS),
                "quantity": JSON, "picked": JSON, "cep": st.sampled_from(["01310-100", "1", ""]), "text": st.text(max_size=9),
            },
        ),
    ),
    max_size=5,
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    language=st.sampled_from(["pt", "en", "es"]),
    memory=MEMORY,
    turns=st.lists(TURNS, min_size=1, max_size=4),
    lines=st.dictionaries(st.sampled_from(SKUS), st.integers(1, 3), max_size=3),
)
def test_whatever_comes_there_is_an_answer(
    language: Language, memory: dict[str, Any], turns: list[list[tuple[str, str | None]]], lines: dict[str, int]
) -> None:
    """No exception, an end within eight steps, only a seller's tools with arguments that their contracts take (the
    shop checks), and no amount that no tool gave (the chat checks)."""
    c = Chat(RulesBrain(), FakeShop(cart=lines, version=len(lines)), language, truth_rule=False)
    c.memory = memory
    for turn in turns:
        c.turn([Line(role="customer", text=text, payload=payload) for text, payload in turn])
    assert all(quantity > 0 for quantity in c.shop.cart.values())
    assert c.shop.profile.customer_id == CUSTOMER


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=900), language=st.sampled_from(["pt", "en", "es"]))
def test_any_text_is_survived(text: str, language: Language) -> None:
    Chat(RulesBrain(), FakeShop(), language, truth_rule=False).say(text)
