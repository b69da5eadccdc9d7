"""BR Codes: published examples, and what must hold for every code."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_store.agents.payments import pix
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.money import Money

STATIC = (
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-426655440000"
    "5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D"
)
"""The static example of the Central Bank's manual."""
DYNAMIC = (
    "00020101021226700014br.gov.bcb.pix2548pix.example.com/8b3da2f39a4140d1a91abd93113bd441"
    "5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***630464E4"
)
"""The dynamic one."""
SEEN = (
    STATIC,
    DYNAMIC,
    "00020126360014BR.GOV.BCB.PIX0114+5511943214321520400005303986540566.665802BR5907EMPRESA6008BRASILIA62080503***6304170E",
    "00020101021226770014BR.GOV.BCB.PIX2555pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a99"
    "5204000053039865802BR5907EMPRESA6009SAO PAULO62070503***6304EEAB",
)

letters = st.text(min_size=1, max_size=60)
named = letters.filter(lambda text: pix.fold(text, 15) != "")
paths = st.text(string.ascii_letters + string.digits + "-._", min_size=1, max_size=60)
amounts = st.integers(1, 999_999_999_999).map(lambda minor: Money(minor=minor))


@st.composite
def codes(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return pix.dynamic(url=f"pix.example/{draw(paths)}", amount=draw(amounts), name=draw(named), city=draw(named))
    key = draw(st.text(string.ascii_letters + string.digits + "+@.-", min_size=1, max_size=77))
    txid = draw(st.none() | st.text(string.ascii_letters + string.digits, min_size=1, max_size=25))
    return pix.static(
        key=key, name=draw(named), city=draw(named), amount=draw(st.none() | amounts), txid=txid, info=draw(letters)
    )


@pytest.mark.parametrize("code", SEEN)
def test_published_codes_have_the_crc_that_is_worked_out_here(code: str) -> None:
    assert pix.crc16(code[:-4]) == code[-4:]


def test_the_crc_is_ccitt_with_ones_to_begin_with() -> None:
    assert pix.crc16("123456789") == "29B1"  # the check value of CRC-16/CCITT-FALSE


def test_the_manuals_examples_are_read_and_built_letter_by_letter() -> None:
    one = pix.read(STATIC)
    assert (one.key, one.url, one.amount, one.txid, one.once) == (
        "123e4567-e12b-12d1-a456-426655440000", None, None, None, False,
    )  # fmt: skip
    assert pix.static(key=one.key or "", name=one.name, city=one.city) == STATIC
    other = pix.read(DYNAMIC)
    assert (other.key, other.url, other.once) == (None, "pix.example.com/8b3da2f39a4140d1a91abd93113bd441", True)
    with_amount = pix.dynamic(url=other.url or "", amount=Money(minor=12_345), name=other.name, city=other.city)
    assert "5406123.45" in with_amount
    assert pix.read(with_amount).amount == Money(minor=12_345)


def test_an_amount_is_read_however_many_decimals_it_has() -> None:
    def with_amount(text: str) -> str:
        body = DYNAMIC[:-8].replace("5802BR", f"54{len(text):02}{text}5802BR") + "6304"
        return body + pix.crc16(body)

    for text, minor in (("27.00", 2_700), ("27.5", 2_750), ("27", 2_700)):
        assert pix.read(with_amount(text)).amount == Money(minor=minor)
    for text in ("-1.00", "1,00", "1.000", "x"):
        assert not pix.check(with_amount(text))


@given(codes())
def test_what_is_built_is_read_back_and_within_its_lengths(code: str) -> None:
    assert pix.check(code)
    assert code.isascii()
    assert len(code) <= 300
    found = pix.read(code)
    assert 1 <= len(found.name) <= 25
    assert 1 <= len(found.city) <= 15
    assert (found.key is None) != (found.url is None)
    assert found.once == (found.url is not None)


@given(url=paths, amount=amounts, name=named, city=named)
def test_a_dynamic_code_says_what_it_was_built_of(url: str, amount: Money, name: str, city: str) -> None:
    found = pix.read(pix.dynamic(url=f"pix.example/{url}", amount=amount, name=name, city=city))
    assert (found.url, found.amount, found.name, found.city, found.txid) == (
        f"pix.example/{url}", amount, pix.fold(name, 25), pix.fold(city, 15), None,
    )  # fmt: skip


@given(codes(), st.data())
def test_any_single_other_character_breaks_the_code(code: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    assume(other != code[at])
    assert not pix.check(code[:at] + other + code[at + 1 :])


@given(st.text(max_size=600))
def test_reading_rubbish_says_no_and_never_fails_otherwise(text: str) -> None:
    assert not pix.check(text)
    body = f"{text}6304"
    try:
        pix.read(body + pix.crc16(body))
    except InvalidInput:
        pass
    else:
        raise AssertionError("rubbish with a true CRC is no Pix code")


def test_names_and_cities_are_folded_to_plain_letters_and_cut() -> None:
    found = pix.read(
        pix.dynamic(
            url="pix.example/1",
            amount=Money(minor=1),
            name="Confecções São João & Irmãos — Açaí Ltda.",
            city="São José do Rio Preto",
        )
    )
    assert (found.name, found.city) == ("Confeccoes Sao Joao Irmao", "Sao Jose do Rio")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://pix.example/1"},
        {"url": "pix.example/" + "x" * 70},
        {"url": "pix.example"},
        {"amount": Money(minor=0)},
        {"amount": Money(minor=100, currency="USD")},
        {"amount": Money(minor=10**13)},
        {"name": "日本"},
        {"city": "—"},
        {"mcc": "12"},
    ],
)
def test_what_a_bank_could_not_read_is_not_built(wrong: dict[str, object]) -> None:
    good: dict[str, object] = {"url": "pix.example/1", "amount": Money(minor=1), "name": "Loja", "city": "Recife"}
    with pytest.raises(InvalidInput):
        pix.dynamic(**{**good, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"key": ""}, {"key": "a" * 78}, {"key": "a b"}, {"txid": "x" * 26}, {"txid": "a-b"}])
def test_a_static_code_needs_a_key_and_a_short_txid(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        pix.static(**{"key": "a@b.example", "name": "Loja", "city": "Recife", **wrong})  # type: ignore[arg-type]


def test_a_txid_of_a_charge_has_26_to_35_letters_and_digits() -> None:
    assert pix.is_txid("a" * 26)
    assert pix.is_txid("0" * 35)
    assert not any(pix.is_txid(text) for text in ("a" * 25, "a" * 36, "a" * 25 + "-", "", "é" * 26))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace("br.gov.bcb.pix", "br.gov.bcb.pax"),
        lambda body: body.replace("5303986", "5303840"),
        lambda body: body.replace("5802BR", "5802AR"),
        lambda body: body.replace("000201", "000202", 1),
        lambda body: body.replace("5913Fulano de Tal", ""),
        lambda body: body.replace("5802BR", "5802BR5802BR"),
        lambda body: body.replace("5802BR", "5899BR"),
    ],
)  # fmt: skip
def test_a_code_with_a_true_crc_that_is_no_pix_code_is_refused(change: object) -> None:
    body = change(STATIC[:-4])  # type: ignore[operator]
    assert body != STATIC[:-4]
    assert not pix.check(body + pix.crc16(body))
