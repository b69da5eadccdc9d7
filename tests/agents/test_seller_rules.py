"""The seller with the real rules brain: what the rules say passes the truth rule, and their orders pass the guards."""

from __future__ import annotations

import pytest

from agent_store.adapters.brains.rules.brain import RulesBrain
from agent_store.contracts.chat import ButtonsBlock, ListBlock, ProductsBlock
from agent_store.kernel.brain import BrainFailed
from tests.agents.test_seller import seated, words
from tests.support import seller_shop as shop
from tests.support.brains import ScriptedBrain, use

SAID = {
    "pt": ("oi", "quero um vestido vermelho até 250", "o primeiro", "sim", "quanto fica o frete pro 01310-100?", "tem desconto?"),
    "en": ("hi", "I want a red dress under 250", "the first one", "yes", "how much is shipping to 01310-100?", "any discount?"),
    "es": ("hola", "quiero un vestido rojo hasta 250", "el primero", "sí", "cuánto cuesta el envío a 01310-100?", "hay descuento?"),
}  # fmt: skip


@pytest.mark.parametrize("language", SAID)
async def test_the_rules_sell_in_every_language_without_an_unsupported_word(language: str) -> None:
    async with seated(rules=RulesBrain()) as table:
        for text in SAID[language]:
            answer = await table.hear(text, language=language)
            assert answer.brain == "rules", text
            assert answer.blocks, text
            if text == SAID[language][1]:
                assert any(isinstance(block, ProductsBlock) for block in answer.blocks)
        assert await table.count(shop.cart_changes) == 1


@pytest.mark.parametrize("language", SAID)
async def test_a_new_customer_is_greeted_as_the_brand_says(language: str) -> None:
    greeting = shop.FixedDirectory.LUNA.greeting[language]  # type: ignore[index]
    async with seated(rules=RulesBrain()) as table:
        answer = await table.hear(SAID[language][1], language=language)
        assert words(answer).startswith(greeting)
        assert any(isinstance(block, ProductsBlock) for block in answer.blocks)
        assert greeting not in words(await table.hear(SAID[language][0], language=language))


async def test_the_rules_take_an_order_by_taps() -> None:
    async with seated(rules=RulesBrain()) as table:
        await table.hear("quero o vestido aurora P")
        await table.hear("Colocar", payload="add:VES-P")
        for text, payload in (
            ("Fechar pedido", "checkout"),
            ("Receber em casa", "method:delivery"),
            ("Maria da Silva, Rua 15 de Novembro, 10, 01310-100", None),
        ):
            answer = await table.hear(text, payload=payload)
        offered = [
            choice.id
            for block in answer.blocks
            if isinstance(block, ButtonsBlock | ListBlock)
            for choice in block.choices
        ]
        assert "confirm_order" in offered, answer
        assert "Rua 15 de Novembro, 10" in words(answer)
        answer = await table.hear("Confirmar pedido", payload="confirm_order")
        assert await table.count(shop.placed) == 1
        assert "AS-AAAA2A" in words(answer)
        assert answer.brain == "rules"


async def test_the_rules_finish_what_a_failing_model_began() -> None:
    model = ScriptedBrain(use(("cart.add", {"sku": "VES-P"})), BrainFailed("down"))
    async with seated(model, rules=RulesBrain()) as table:
        answer = await table.hear("coloca o vestido no carrinho")
        assert answer.brain == "rules"
        assert await table.count(shop.cart_changes) == 1
        assert "199,90" in words(answer)
