"""A seller uses tools of agents that it has never heard of, when its brand allows them, by their contracts alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.adapters.brains.rules import RulesBrain
from agent_store.agents.seller import policy
from agent_store.agents.seller.agent import seller
from agent_store.agents.seller.service import SellerBrains, SellerSettings
from agent_store.contracts.brands import Brand, Directory
from agent_store.contracts.chat import ButtonsBlock, ChatResponse
from agent_store.entrypoints.rooms import AGENTS
from agent_store.kernel.added import ToolContract, ToolContracts
from agent_store.kernel.brain import Brain, BrainFailed, BrainRequest, Line
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.schemas import tool_contract
from agent_store.kernel.tables import steps as journal
from agent_store.kernel.tool import Tool
from tests.agents.test_seller import Table, committed, words
from tests.support import seller_shop as shop
from tests.support.brains import EchoRules, ScriptedBrain, say, use
from tests.support.engraving import Engrave, ListFonts, Lookalike, engraved, engraving, show
from tests.support.engraving import Ledger as StaffTool
from tests.support.seller_shop import FixedDirectory
from tests.support.store import TestStore

ALL = ("engraving.*",)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Allowing(FixedDirectory):
    def __init__(self, *tools: str) -> None:
        self._brand = self.LUNA.model_copy(update={"tools": tools})

    def brand(self, brand_id: str) -> Brand | None:
        return self._brand if brand_id == "fashion" else None


class Offered:
    """Contracts that change between two turns, or between a turn and its resumption."""

    def __init__(self, *contracts: ToolContract) -> None:
        self.found = contracts
        self.asked: list[tuple[str, ...]] = []

    async def contracts(self, patterns: Sequence[str]) -> tuple[ToolContract, ...]:
        self.asked.append(tuple(patterns))
        return self.found


def contract(kind: type[Tool[Any]]) -> ToolContract:
    return ToolContract.model_validate(tool_contract(kind))


@asynccontextmanager
async def seated(
    main: Brain | None = None, *, tools: Sequence[str] = ALL, rules: Brain | None = None, contracts: Any = None
) -> AsyncGenerator[Table]:
    clock, rules = ManualClock(), rules or EchoRules()
    ports: dict[type[Any], object] = {
        SellerBrains: SellerBrains(main or rules, rules),
        SellerSettings: SellerSettings(),
        Directory: Allowing(*tools),
    }
    if contracts is not None:
        ports[ToolContracts] = contracts
    async with TestStore([Consumer(seller, "fashion"), *shop.SHOP, engraving, show], ports=ports, clock=clock) as store:
        yield Table(store, clock, rules)


def names(request: BrainRequest) -> set[str]:
    return {spec.name for spec in request.tools}


async def test_a_model_is_told_of_allowed_tools_and_its_prices_stand_in_their_results() -> None:
    brain = ScriptedBrain(
        use(("engraving.fonts", {"most": 40})), say("Gravamos com serifa por R$ 35,50, pronto em 09/01.")
    )
    async with seated(brain) as table:
        response = await table.hear("gravam um nome?")
        assert words(response) == "Gravamos com serifa por R$ 35,50, pronto em 09/01."
        assert {(one.kind, one.stated) for one in response.evidence} == {("price", "R$ 35,50"), ("date", "09/01")}
        assert all(one.source.startswith("engraving.fonts#") for one in response.evidence)
    (first, second) = brain.asked
    spec = next(one for one in first.tools if one.name == "engraving.fonts")
    assert spec.description == "The fonts in which a name can be engraved, with their prices."
    assert spec.parameters["properties"]["most"]["type"] == "string", "an amount, as models write it"
    assert "engraving.ledger" not in names(first), "for staff"
    (result,) = second.steps[0].results
    assert [font["id"] for font in result.data["fonts"]] == ["serif"], "the limit came as an amount"


async def test_a_price_in_the_words_of_an_added_tool_is_no_fact() -> None:
    brain = ScriptedBrain(
        use(("engraving.fonts", {})), say("Hoje por R$ 9,99!"), say("Temos duas fontes, qual você prefere?")
    )
    async with seated(brain) as table:
        response = await table.hear("gravam um nome?")
    assert words(response) == "Temos duas fontes, qual você prefere?"
    assert "R$ 9,99" in (brain.asked[-1].steps[-1].feedback or "")


async def test_an_added_tool_that_changes_something_is_called_once_however_often_the_turn_runs() -> None:
    brain = ScriptedBrain(
        use(("engraving.engrave", {"font": "script"})),
        use(("engraving.engrave", {"font": "script"})),
        say("Fica gravado em Manuscrita."),
    )
    async with seated(brain) as table:
        response = await table.hear("manuscrita, por favor")
        assert words(response) == "Fica gravado em Manuscrita."
        assert await table.count(engraved) == 1


async def test_after_the_model_fails_the_rules_tell_what_was_engraved_and_do_it_no_second_time() -> None:
    brain = ScriptedBrain(use(("engraving.engrave", {"font": "script"})), BrainFailed("gone"))
    async with seated(brain, rules=RulesBrain()) as table:
        response = await table.hear("manuscrita")
        assert "Vai ser gravado: Manuscrita, R$ 42,00." in words(response)
        assert await table.count(engraved) == 1


async def test_arguments_that_do_not_fit_are_refused_with_what_is_wrong() -> None:
    brain = ScriptedBrain(
        use(("engraving.engrave", {"fonte": "script"})), use(("engraving.engrave", {"font": 7})), say("Qual fonte?")
    )
    async with seated(brain) as table:
        await table.hear("manuscrita")
        assert await table.count(engraved) == 0
    first, second = (step.results[0] for step in brain.asked[-1].steps)
    assert first.code == second.code == "invalid-arguments"
    assert "'fonte' was unexpected" in (first.error or "")
    assert "'font' is a required property" in (first.error or "")
    assert second.error == "engraving.engrave: font: 7 is not of type 'string'"


async def test_a_refusal_goes_to_the_model_and_is_no_stock_count() -> None:
    brain = ScriptedBrain(
        use(("engraving.engrave", {"font": "gothic"})), say("Restam 3 unidades."), say("Essa fonte não temos.")
    )
    async with seated(brain) as table:
        assert words(await table.hear("gótica")) == "Essa fonte não temos."
    (result,) = brain.asked[1].steps[0].results
    assert (result.code, result.error) == ("conflict", "there is no such font")


async def test_what_no_brand_has_allowed_cannot_be_called() -> None:
    for tools in ((), ("engraving.engrave",), ("other.*",), ("engraving",)):
        brain = ScriptedBrain(use(("engraving.fonts", {})), say("Isso eu não sei."))
        async with seated(brain, tools=tools) as table:
            await table.hear("gravam um nome?")
        assert "engraving.fonts" not in names(brain.asked[0])
        (result,) = brain.asked[-1].steps[0].results
        assert (result.code, result.data) == ("unknown-tool", None), tools


async def test_tools_for_staff_and_of_the_stores_own_agents_are_not_added_by_an_allow_list() -> None:
    brain = ScriptedBrain(
        use(("engraving.ledger", {}), ("show.products", {}), ("orders.pick", {"number": "AS-1"})), say("Não posso.")
    )
    async with seated(brain, tools=("engraving.*", "show.*", "orders.*", "cart.*", "engraving.ledger")) as table:
        await table.hear("oi")
    assert {result.code for result in brain.asked[-1].steps[0].results} == {"unknown-tool"}
    assert "show.products" not in names(brain.asked[0]), "a model could take it for show_products"
    assert len([one for one in brain.asked[0].tools if one.name == "cart.add"]) == 1


def test_the_stores_own_agents_are_all_known_to_the_policy() -> None:
    assert frozenset(AGENTS) == policy.HOUSE


def test_names_that_a_model_hears_alike_are_taken_once() -> None:
    twin = contract(ListFonts).model_copy(update={"name": "engraving-fonts.of_all"})
    other = contract(ListFonts).model_copy(update={"name": "engraving.fonts_of_all"})
    found = policy.usable(
        (twin, other, contract(Lookalike), contract(StaffTool)), ("engraving-fonts.*", *ALL, "show.*")
    )
    assert [one.name for one in found] == ["engraving-fonts.of_all"]


async def test_a_resumed_turn_has_the_contracts_that_it_began_with() -> None:
    offered = Offered(contract(ListFonts), contract(Engrave))

    def die(request: BrainRequest) -> Any:
        offered.found = ()
        raise RuntimeError("as if the process had been killed here")

    brain = ScriptedBrain(use(("engraving.fonts", {})), die, say("Manuscrita sai por R$ 42,00."))
    async with seated(brain, contracts=offered) as table:
        await table.store.publish(shop.turn_of("gravam um nome?", table.clock))
        await table.store.settle()
        await table.store.move(SellerSettings().turn_time)
        (response,) = table.store.events(ChatResponse)
        assert words(response) == "Manuscrita sai por R$ 42,00."
    assert offered.asked == [ALL]
    assert "engraving.fonts" in names(brain.asked[-1])


async def test_a_brand_without_added_tools_asks_nobody() -> None:
    offered = Offered()
    async with seated(ScriptedBrain(say("Oi!")), tools=("orders.*",), contracts=offered) as table:
        assert words(await table.hear("oi")) == "Oi!"
    assert offered.asked == []


# --- the rules ------------------------------------------------------------------------------------------------------


def buttons(response: ChatResponse) -> dict[str, str]:
    return {
        button.title: button.id
        for block in response.blocks
        if isinstance(block, ButtonsBlock)
        for button in block.choices
    }


async def test_the_rules_ask_and_tell_by_the_contracts_own_words() -> None:
    async with seated(rules=RulesBrain()) as table:
        response = await table.hear("Vocês fazem GRAVACAO?")
        assert "Gravamos assim:\n• Com serifa: R$ 35,50\n• Manuscrita: R$ 42,00" in words(response)
        found = buttons(response)
        assert found == {
            "Com serifa": 'tool:engraving.engrave{"font":"serif"}',
            "Manuscrita": 'tool:engraving.engrave{"font":"script"}',
        }
        response = await table.hear("Manuscrita", payload=found["Manuscrita"])
        assert words(response) == "Vai ser gravado: Manuscrita, R$ 42,00."
        assert [row["font"] for row in await table.store.rows(select(engraved))] == ["script"]


async def test_the_rules_take_a_choice_by_a_word_of_its_label() -> None:
    async with seated(rules=RulesBrain()) as table:
        await table.hear("quero gravar um nome")
        assert words(await table.hear("a manuscrita")) == "Vai ser gravado: Manuscrita, R$ 42,00."


async def test_a_wish_for_an_added_tool_is_no_yes_to_an_order() -> None:
    async with seated(rules=RulesBrain()) as table:
        response = await table.hear("pode gravar um nome")
        assert "Gravamos assim:" in words(response)


async def test_a_made_up_button_calls_nothing_that_is_not_allowed() -> None:
    async with seated(rules=RulesBrain(), tools=("engraving.fonts",)) as table:
        for payload in (
            'tool:engraving.engrave{"font":"serif"}', "tool:orders.mine", "tool:engraving.fonts{[", 'tool:x{"a":1}',
        ):  # fmt: skip
            await table.hear("x", payload=payload)
        assert await table.count(engraved) == 0


async def test_the_rules_say_what_an_added_tool_refuses_in_its_own_sentence() -> None:
    async with seated(rules=RulesBrain()) as table:
        response = await table.hear("x", payload='tool:engraving.engrave{"font":"y"}')
        assert words(response).endswith("Essa fonte acabou.")


async def test_in_a_language_that_the_contract_does_not_speak_the_rules_go_on_as_ever() -> None:
    async with seated(rules=RulesBrain()) as table:
        response = await table.hear("quiero grabar un nombre gravação", language="es")
        assert "Gravamos" not in words(response)


# --- what a wish is not, and what a crash does not do ----------------------------------------------------------------


async def test_a_wish_for_an_added_tool_does_not_confirm_the_order_on_the_table() -> None:
    line = Line(role="customer", text="pode gravar um nome", at=NOW)
    request = BrainRequest(
        brand="fashion", seller="Luna", language="pt", system="", lines=(line,), now=NOW,
        added=(contract(ListFonts), contract(Engrave)),
        memory={"turns": 3, "pending": {"kind": "confirm", "yes": "confirm_order", "no": "change_order"}},
    )  # fmt: skip
    answer = await RulesBrain().think(request)
    assert [call.name for call in answer.tool_calls] == ["engraving.fonts"]


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_a_kill_between_any_two_steps_engraves_once(steps: int) -> None:
    brain = ScriptedBrain(*[use(("engraving.engrave", {"font": "script"}))] * 2, *[say("Fica em Manuscrita.")] * 3)
    async with seated(brain) as table:
        await table.store.publish(shop.turn_of("manuscrita", table.clock))
        async with asyncio.timeout(10):
            while len(await table.store.rows(select(journal))) < steps and not table.store.events(ChatResponse):
                await asyncio.sleep(0)
        await table.store.kill_and_restart()
        await table.store.settle()
        assert await table.store.dead() == []
        assert len(await committed(table)) == 1
        assert await table.count(engraved) == 1
