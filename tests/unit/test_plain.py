"""Sentences that tell a tool's result: fields and amounts, and nothing that a result could turn into more."""

from __future__ import annotations

from typing import Any

import pytest

from agent_store.kernel.plain import LONGEST, MOST, Plain, Words, amount_of, rows_of, told

PRICE = {"minor": 129990, "currency": "BRL"}


@pytest.mark.parametrize(
    ("sentence", "values", "text"),
    [
        ("{title}: {price}", {"title": "Premium", "price": PRICE}, "Premium: R$ 1.299,90"),
        ("{order.number} em {days} dias", {"order": {"number": "AS-1"}, "days": 3}, "AS-1 em 3 dias"),
        ("Para: {items}.", {"items": ["Vestido", "Cinto"]}, "Para: Vestido, Cinto."),
        ("{missing}{no.where}.", {"no": 1}, "."),
        ("{flag}{nothing}{thing}", {"flag": True, "nothing": None, "thing": {"a": 1}}, ""),
        ("{title}", {"title": "{price} {title}", "price": PRICE}, "{price} {title}"),
        ("{title.__class__} {0} {} {{title}}", {"title": "x"}, "{title.__class__} {0} {} {x}"),
        ("{title}", {"title": "a\n\n  b\tc"}, "a b c"),
        ("{title}", ["no", "object"], ""),
    ],
)
def test_a_sentence_takes_fields_of_a_result(sentence: str, values: Any, text: str) -> None:
    assert told(sentence, values) == text


def test_long_texts_are_cut_and_long_lists_end() -> None:
    assert told("{text}", {"text": "x" * 500}) == "x" * (LONGEST - 1) + "…"
    assert told("{list}", {"list": ["x"] * 50}).count("x") == MOST


@pytest.mark.parametrize(
    "value",
    [
        {"minor": 1},
        {"minor": "1", "currency": "BRL"},
        {"minor": True, "currency": "BRL"},
        {**PRICE, "more": 1},
        5,
        None,
    ],
)
def test_only_an_object_of_minor_and_currency_is_an_amount(value: Any) -> None:
    assert amount_of(value) is None


def test_items_are_the_list_that_the_contract_names() -> None:
    plain = Plain(words={"pt": Words(answer="Temos:")}, items="inner.rows")
    assert rows_of(plain, {"inner": {"rows": list(range(30))}}) == list(range(MOST))
    assert rows_of(plain, {"inner": {"rows": "text"}}) == ()
    assert rows_of(plain, None) == ()
