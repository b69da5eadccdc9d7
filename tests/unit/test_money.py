"""Money is whole cents of one currency, and adds up."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.money import Money

amounts = st.integers(min_value=-(10**15), max_value=10**15).map(lambda minor: Money(minor=minor))


@pytest.mark.parametrize(
    ("text", "minor"),
    [("299.90", 29990), ("299.9", 29990), ("299", 29900), ("-0.05", -5), (299, 29900), (Decimal("1.10"), 110)],
)
def test_major_units_are_read_exactly(text: str | int | Decimal, minor: int) -> None:
    assert Money.parse(text) == Money(minor=minor)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1,50",
        "1.234",
        " 1",
        "1e3",
        "NaN",
        "٣",
        "1" * 40,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1.001"),
        10**15,
        2.5,
        True,
    ],
)
def test_what_is_no_amount_is_refused_with_a_sentence(text: str | int | Decimal) -> None:
    with pytest.raises(InvalidInput, match=r"amount|decimals"):
        Money.parse(text)


def test_a_model_field_reads_text_in_major_units_and_cents_as_a_whole_number() -> None:
    assert Money.model_validate("10.50").minor == 1050
    assert Money.model_validate({"minor": 7}).minor == 7


@pytest.mark.parametrize(
    "value", ["10,50", {"minor": 1.0}, {"minor": "1"}, {"minor": 1, "currency": "reais"}, {"minor": 1, "x": 2}]
)
def test_a_model_field_refuses_floats_and_unknown_forms(value: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate(value)


def test_two_currencies_never_mix() -> None:
    real, dollar = Money(minor=1), Money(minor=1, currency="USD")
    for mixed in (lambda: real + dollar, lambda: real - dollar, lambda: real < dollar, lambda: real <= dollar):
        with pytest.raises(InvalidInput, match="cannot mix BRL and USD"):
            mixed()
    with pytest.raises(InvalidInput):
        _ = real > dollar
    with pytest.raises(InvalidInput):
        _ = real >= dollar


@pytest.mark.parametrize(
    ("minor", "rate", "result"), [(5, 10, 1), (4, 10, 0), (-5, 10, -1), (1000, 15, 150), (100, 0, 0)]
)
def test_percent_rounds_half_a_cent_away_from_zero(minor: int, rate: int, result: int) -> None:
    assert Money(minor=minor).percent(rate).minor == result


@pytest.mark.parametrize(
    ("money", "spoken", "decimal"),
    [
        (Money(minor=129990), "R$ 1.299,90", "1299.90"),
        (Money(minor=-5), "-R$ 0,05", "-0.05"),
        (Money(minor=123456789, currency="USD"), "USD 1.234.567,89", "1234567.89"),
    ],
)
def test_it_is_written_as_a_brazilian_reads_it(money: Money, spoken: str, decimal: str) -> None:
    assert (str(money), money.decimal()) == (spoken, decimal)


def test_only_nothing_is_false() -> None:
    assert not Money.zero()
    assert Money.zero("USD").currency == "USD"
    assert Money(minor=-1)


@given(amounts, amounts, st.integers(min_value=-50, max_value=50))
def test_arithmetic_is_that_of_whole_cents(a: Money, b: Money, times: int) -> None:
    assert (a + b - b) == a
    assert (a * times).minor == a.minor * times
    assert (a < b, a <= b, a > b, a >= b) == (
        a.minor < b.minor, a.minor <= b.minor, a.minor > b.minor, a.minor >= b.minor,
    )  # fmt: skip


@given(amounts)
def test_an_amount_survives_text_and_json(money: Money) -> None:
    assert Money.parse(money.decimal()) == money
    assert Money.model_validate_json(money.model_dump_json()) == money


@given(amounts, st.integers(min_value=0, max_value=100))
def test_a_percentage_and_the_rest_of_it_miss_the_whole_by_a_cent_at_most(money: Money, rate: int) -> None:
    parts = money.percent(rate) + money.percent(100 - rate)
    assert abs((parts - money).minor) <= 1
