"""Card numbers never reach a table; other numbers that people write stay as they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.kernel.privacy import REMOVED, pseudonym, redact_cards

CARDS = {
    "visa": "4111111111111111",
    "visa of 13 digits": "4222222222222",
    "mastercard": "5555555555554444",
    "mastercard's second range": "2223003122003222",
    "american express": "378282246310005",
    "diners club": "30569309025904",
    "diners club 36": "36227206271667",
    "jcb": "3530111333300000",
    "elo 636297": "6362970000457013",
    "elo 5066": "5066991111111118",
    "hipercard 6062": "6062826786276634",
    "hipercard 3841": "3841001111222233334",
    "discover": "6011000990139424",
    "unionpay": "6250946000000016",
    "maestro of 19 digits": "6759649826438453000",
}


def _check(body: str) -> str:
    total = 0
    for index, digit in enumerate(reversed(body)):
        value = int(digit)
        if index % 2 == 0:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return body + str(-total % 10)


@pytest.mark.parametrize("number", CARDS.values(), ids=CARDS.keys())
@pytest.mark.parametrize(
    "form", ["{}", "meu cartão é {}.", "cartao{}cvv", "({}) 12/28 123", "{} 12 28 123", "11 98765-4321 {}"]
)
def test_a_card_of_every_scheme_is_taken_out_wherever_it_stands(number: str, form: str) -> None:
    number = _check(number[:-1])
    grouped = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    for written in (number, grouped, grouped.replace(" ", "-"), grouped.replace(" ", "."), grouped.replace(" ", "  ")):
        said = redact_cards(form.format(written))
        assert said.count(REMOVED) == 1, said
        assert number[:8] not in re.sub(r"\D", "", said.replace("98765-4321", ""))


@pytest.mark.parametrize(
    "text",
    [
        "+55 11 98765-4321",
        "5511987654321",
        "+4915112345678",
        "11 98765-4321 ou 11 91234-5678",
        "529.982.247-25",
        "52998224725",
        "11.222.333/0001-81",
        "11222333000181",
        "36000000003820",  # a company whose number would pass as a Diners Club card
        "01310-100",
        "CEP 01310-100, número 1578, ap 42",
        "pedido 01890a5d-ac96-774b-bcce-b302099a8057",
        "7891234567895",
        "0000000000000000",
        "1234567890123456",
        "4111111111111112",
        "41111111111111111111111",
        "34191.79001 01043.510047 91020.150008 8 84410026000",
        "2720990000000000",
        "123",
    ],
)
def test_phones_documents_postcodes_and_codes_stay(text: str) -> None:
    assert redact_cards(text) == text


def test_two_cards_in_one_message_are_both_taken_out() -> None:
    assert redact_cards("4111111111111111 5555555555554444") == f"{REMOVED} {REMOVED}"
    assert redact_cards("4111 1111 1111 1111\n5555 5555 5555 4444") == f"{REMOVED}\n{REMOVED}"


def test_digits_of_other_scripts_are_digits() -> None:
    assert redact_cards("４１１１１１１１１１１１１１１１") == REMOVED


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Nd"))))
def test_text_without_digits_is_never_touched(text: str) -> None:
    assert redact_cards(text) == text


@given(st.text(alphabet="0123456789 .-+abc", max_size=60))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact_cards(text)
    assert redact_cards(once) == once


@given(
    st.text(alphabet="abc ,!\n", max_size=10),
    st.sampled_from(["4", "51", "55", "2221", "2720"]),
    st.integers(min_value=0, max_value=10**14 - 1),
    st.lists(st.sampled_from(["", " ", "-", ".", "  "]), min_size=15, max_size=15),
)
def test_no_valid_card_number_survives_however_it_is_grouped(
    before: str, prefix: str, body: int, gaps: list[str]
) -> None:
    number = _check((prefix + f"{body:014d}")[:15])
    written = "".join(digit + gap for digit, gap in zip(number, [*gaps, ""], strict=True))
    assert number not in re.sub(r"\D", "", redact_cards(before + written))


def test_a_pseudonym_is_keyed_short_and_stable() -> None:
    assert pseudonym("+5511987654321", "k") == pseudonym("+5511987654321", "k")
    assert pseudonym("+5511987654321", "k") != pseudonym("+5511987654321", "other")
    assert re.fullmatch(r"[0-9a-f]{12}", pseudonym("x", "k"))
