"""Pix in a seller's words: a code only letter by letter as a tool gave it, alone in its message; a key never."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.payments import pix
from agent_store.agents.seller import model, presentation, truth
from agent_store.contracts.chat import TextBlock
from agent_store.contracts.payments import GetPendingPayment, PaymentView, PixCode
from agent_store.kernel.brain import Block
from agent_store.kernel.ids import OrderId
from agent_store.kernel.money import Money
from tests.unit.test_rules_dialogue import chat, paid_with
from tests.unit.test_seller_truth import NOW, ledger

CODE = pix.dynamic(
    url="pix.agent-store.invalid/v2/0190aabbccdd7000800000000000abcd",
    amount=Money.parse("414.80"),
    name="Agent Store",
    city="Sao Paulo",
)
OTHER = pix.static(key="ladrao@example.com", name="Agent Store", city="Sao Paulo", amount=Money.parse("414.80"))
NOBODY = truth.Echo()


def pending(code: str | None = CODE) -> PaymentView:
    return PaymentView(
        payment_id="p1", order_id=OrderId("o1"), order_number="AS-7K3F9Q", amount=Money.parse("414.80"), state="open",
        link="https://shop.test/pay/0190aabb-ccdd-7000-8000-00000000abcd?t=x", expires_at=NOW + timedelta(minutes=30),
        pix=None if code is None else PixCode(copy_paste=code, image="/media/pix/p1.png?t=k", txid="0" * 32),
    )  # fmt: skip


BOOK = ledger((GetPendingPayment(), pending()))


def unsupported(text: str, book: model.Ledger = BOOK) -> list[str]:
    return [claim.stated for claim in truth.check(text, book, NOBODY).unsupported]


@pytest.mark.parametrize(
    "text", [CODE, f"Aqui está o Pix:\n{CODE}", f"*Pix*: {CODE}.", f"Copia: {CODE}\nQualquer coisa, chama!"]
)
def test_the_code_of_the_tool_passes_as_it_is(text: str) -> None:
    assert unsupported(text) == []
    assert [one.claim.kind for one in truth.check(text, BOOK, NOBODY).supported].count("pix") == 1


@pytest.mark.parametrize(
    "text",
    [
        OTHER,
        f"Use este: {OTHER}",
        CODE[:-1] + ("0" if CODE[-1] != "0" else "1"),
        CODE.replace("414.80", "114.80"),
        CODE[:60],
        " ".join(CODE[at : at + 4] for at in range(0, len(CODE), 4)),
        "\n".join((CODE[:50], CODE[50:])),
        CODE.replace("br.gov.bcb.pix", "BR.GOV.BCB.PIX"),
        f"{CODE}\n{OTHER}",
        OTHER.replace("br.gov", "br.\u200bgov"),
        "Nossa chave Pix é pagamentos@loja.example",
        "Pode pagar no Pix 123.456.789-09",
        "Pix (CNPJ): 12.345.678/0001-95",
        "Manda um pix para +55 11 98765-4321",
        "The Pix key is 123e4567-e12b-12d1-a456-426655440000",
    ],
)  # fmt: skip
def test_a_code_or_key_that_no_tool_gave_does_not_pass(text: str) -> None:
    assert unsupported(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "Aceitamos Pix e cartão!",
        "Pague com Pix por este link: https://shop.test/pay/0190aabb-ccdd-7000-8000-00000000abcd?t=x",
        "O Pix do pedido AS-7K3F9Q é de R$ 414,80.",
        "Você prefere pagar com pix ou cartão?",
    ],
)
def test_speaking_of_pix_is_no_code(text: str) -> None:
    assert unsupported(text) == []


@given(st.integers(0, len(CODE) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_code_with_any_character_changed_does_not_pass(at: int, other: str) -> None:
    text = CODE[:at] + other + CODE[at + 1 :]
    if text != CODE and "br.gov.bcb.pix" in text:
        assert unsupported(text) != []


def test_after_its_time_a_code_is_given_to_nobody() -> None:
    assert unsupported(CODE, ledger((GetPendingPayment(), pending()), now=NOW + timedelta(minutes=31))) != []


def test_without_pix_no_code_is_known() -> None:
    assert unsupported(CODE, ledger((GetPendingPayment(), pending(None)))) != []


def rendered(text: str) -> list[str]:
    done = presentation.render([Block(kind="text", text=text)], BOOK, language="pt", low_stock=3)
    return [block.text for block in done.blocks if isinstance(block, TextBlock)]


def test_a_code_comes_alone_in_its_message_and_untouched() -> None:
    assert rendered(f"Aqui está: {CODE} É só colar no app.") == ["Aqui está:", CODE, "É só colar no app."]
    assert rendered(f"**Pix** do pedido\n\n{CODE}") == ["*Pix* do pedido", CODE]
    assert rendered(CODE) == [CODE]
    assert rendered("Aceitamos **Pix**") == ["Aceitamos *Pix*"]


def test_the_plain_answer_gives_the_code_too() -> None:
    texts = [
        one.text for one in presentation.plain(BOOK, language="pt", low_stock=3).blocks if isinstance(one, TextBlock)
    ]
    assert texts[-1] == CODE


@pytest.mark.parametrize("words", ["manda o pix", "quero pagar com pix", "me manda o copia e cola de novo", "qr code"])
def test_the_rules_repeat_the_code_of_what_waits_to_be_paid(words: str) -> None:
    c = paid_with()
    assert c.shop.payment is not None
    c.shop.payment = c.shop.payment.model_copy(update={"pix": pending().pix})
    blocks = c.say(words).blocks
    assert CODE in [block.text for block in blocks]
    assert "próxima mensagem" in blocks[0].text


def test_the_rules_give_the_link_where_there_is_no_pix() -> None:
    assert "http://127.0.0.1:8080/pay/abc" in paid_with().say("manda o pix").text


def test_with_nothing_ordered_pix_is_how_they_want_to_pay() -> None:
    assert "carrinho" in chat().say("quero pagar com pix").text.lower()
