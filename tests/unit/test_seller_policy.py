"""What a brain may call, with which arguments, and what the customer must have said."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent_store.agents.seller import policy
from agent_store.contracts.cart import AddToCart
from agent_store.contracts.catalog import SearchProducts
from agent_store.contracts.chat import Remember
from agent_store.contracts.common import Address
from agent_store.contracts.orders import CancelOrder, PlaceOrder
from agent_store.contracts.payments import SubmitTestCard
from agent_store.kernel.brain import Line
from agent_store.kernel.ids import Sku
from agent_store.kernel.money import Money


def said(*texts: str, payload: str | None = None, language: str = "pt", shown: int | None = 3) -> policy.Said:
    lines = tuple(Line(role="customer", text=text, payload=payload) for text in texts)
    return policy.Said(lines, language, shown)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt", "sim"), ("pt", "Sim!"), ("pt", "isso, pode fechar"), ("pt", "confirmo"), ("pt", "Ok, fecha no pix"),
        ("pt", "blz manda ver"), ("pt", "vou levar"), ("en", "yes please"), ("en", "Go ahead"), ("en", "yep, place it"),
        ("es", "sí, dale"), ("es", "de acuerdo"), ("es", "confirmo"),
    ],
)  # fmt: skip
def test_a_yes_is_a_yes(language: str, text: str) -> None:
    assert policy.confirms(said(text).lines, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt", "não"), ("pt", "ainda não"), ("pt", "sim? quanto fica o frete?"), ("pt", "pode mudar o endereço"), ("pt", "espera"),
        ("pt", "quero ver outro"), ("pt", ""), ("pt", "tira um"), ("en", "no"), ("en", "yes but no, wait"), ("en", "don't"),
        ("es", "no"), ("es", "todavía no"), ("pt", "👍🏽?"),
        ("pt", "sim eu gostaria muito de saber antes de tudo se esse vestido serve para uma festa de dia na praia com vento"),
    ],
)  # fmt: skip
def test_no_yes_is_no_yes(language: str, text: str) -> None:
    assert not policy.confirms(said(text).lines, language)


def test_the_last_word_of_a_burst_counts() -> None:
    assert not policy.confirms(said("sim", "não, espera").lines, "pt")
    assert policy.confirms(said("não era esse", "agora sim").lines, "pt")
    assert policy.confirms(said("Confirmar", payload="confirm_order:3").lines, "pt")
    assert not policy.confirms(said("Sim", payload="view_cart").lines, "pt")
    assert not policy.confirms((Line(role="seller", text="sim"),), "pt")


PLACE = PlaceOrder(cart_version=3, delivery="pickup", location="centro")


@pytest.mark.parametrize(
    ("tool", "context", "code"),
    [
        (PLACE, said("sim"), None),
        (PLACE, said("oi"), "confirmation-needed"),
        (PLACE, said("sim", shown=2), "summary-needed"),
        (PLACE, said("sim", shown=None), "summary-needed"),
        (CancelOrder(number="AS-1"), said("cancela por favor"), None),
        (CancelOrder(number="AS-1"), said("x", payload="cancel_yes:AS-1"), None),
        (CancelOrder(number="AS-1"), said("I want to cancel it", language="en"), None),
        (CancelOrder(number="AS-1"), said("cadê meu pedido"), "confirmation-needed"),
        (SubmitTestCard(code="4242"), said("meu cartão é 4242"), None),
        (SubmitTestCard(code="4242"), said("paga aí"), "code-needed"),
        (AddToCart(sku=Sku("A")), said("oi"), None),
    ],
)
def test_the_guards(tool: Any, context: policy.Said, code: str | None) -> None:
    found = policy.refusal(tool, context)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("name", "arguments", "tool"),
    [
        ("catalog.search", {"text": "vestido", "max_price": 299.9}, SearchProducts(text="vestido", max_price=Money(minor=29990))),
        ("catalog.search", {"max_price": 300}, SearchProducts(max_price=Money(minor=30000))),
        ("catalog.search", {"max_price": "R$ 1.299,90"}, SearchProducts(max_price=Money(minor=129990))),
        ("catalog.search", {"max_price": "299,90"}, SearchProducts(max_price=Money(minor=29990))),
        ("catalog.search", {"text": None, "color": "", "brand": None, "limit": "3"}, SearchProducts(limit=3)),
        ("cart.add", {"sku": "A", "quantity": None}, AddToCart(sku=Sku("A"))),
        (
            "orders.place",
            {"cart_version": "3", "delivery": "delivery", "service": "economico", "cep": "01310100", "street": "Rua A, 1", "city": ""},
            PlaceOrder(cart_version=3, delivery="delivery", service="economico", address=Address(cep="01310-100", street="Rua A, 1")),
        ),
        ("conversations.remember", {"address": {"cep": "01310100"}}, Remember(address=Address(cep="01310-100"))),
    ],
)  # fmt: skip
def test_arguments_as_models_write_them(name: str, arguments: dict[str, Any], tool: Any) -> None:
    assert policy.tool_of(name, arguments) == tool


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("cart.of_customer", {"customer_id": "c2"}, "unknown-tool"),
        ("orders.ship", {"number": "AS-1"}, "unknown-tool"),
        ("assistant.claim", {"escalation_id": "e"}, "unknown-tool"),
        ("", {}, "unknown-tool"),
        ("cart.add", {"sku": "A", "price": "0.01"}, "invalid-arguments"),
        ("cart.add", {"sku": ["A"]}, "invalid-arguments"),
        ("cart.add", {"sku": "A", "quantity": True and 1000}, "invalid-arguments"),
        ("catalog.search", {"max_price": True}, "invalid-arguments"),
        ("catalog.search", {"max_price": "cheap"}, "invalid-arguments"),
        ("orders.place", {"cart_version": 1, "delivery": "teleport"}, "invalid-arguments"),
        ("orders.place", {"cart_version": 1, "delivery": "delivery", "cep": "1"}, "invalid-arguments"),
    ],
)
def test_calls_that_cannot_be_made(name: str, arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(policy.BadCall) as caught:
        policy.tool_of(name, arguments)
    assert caught.value.code == code


def test_no_staff_tool_is_allowed() -> None:
    for contract in policy._ALLOWED.values():
        assert not contract.staff_only


def test_specs_are_simple_schemas_of_allowed_tools() -> None:
    """No references, no nulls, two levels at most: Ollama's client drops deeper properties."""
    for spec in policy.specs():
        Draft202012Validator.check_schema(dict(spec.parameters))
        assert "$ref" not in str(spec.parameters)
        assert "anyOf" not in str(spec.parameters)
        assert spec.name in policy.VIRTUAL or spec.name in policy._ALLOWED
        assert re.fullmatch(r"[a-z_.]{1,64}", spec.name)
        for schema in spec.parameters["properties"].values():
            assert schema["description"]
            assert schema["type"] in ("string", "integer", "boolean", "array")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("asked", "asked"), ("value: 200 pieces", "value"), ("the customer asked for a person", "asked"),
        ("customer is furious", "sentiment"), ("wants a refund", "policy"), ("xyz", "complex"), ("failed", "failed"),
    ],
)  # fmt: skip
def test_the_reason_for_a_person(words: str, reason: str) -> None:
    assert policy.reason_of(words) == reason
