"""Which words a seller thinks with: its brand's prompt, a canary for some conversations, and how much it remembers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent_store.adapters.directory import OwnBrand
from agent_store.agents.seller.agent import seller
from agent_store.agents.seller.service import SellerBrains, SellerSettings
from agent_store.contracts.brands import Brand, Directory
from agent_store.contracts.chat import ChatIntentDetected
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from tests.support import seller_shop as shop
from tests.support.brains import EchoRules, ScriptedBrain, say, use
from tests.support.seller_shop import FixedDirectory, turn_of
from tests.support.store import TestStore

SETTINGS = SellerSettings()


class Changing(FixedDirectory):
    """One whose brand changes under way."""

    now = FixedDirectory.LUNA

    def brand(self, brand_id: str) -> Brand | None:
        return self.now if brand_id == "fashion" else None


def store(brain: ScriptedBrain, directory: Directory, settings: SellerSettings = SETTINGS) -> TestStore:
    ports = {SellerBrains: SellerBrains(brain, EchoRules()), SellerSettings: settings, Directory: directory}
    return TestStore([Consumer(seller, "fashion"), *shop.SHOP], ports=ports, clock=ManualClock())


async def test_a_canary_has_its_conversations_and_they_keep_it() -> None:
    brain = ScriptedBrain(*[say("Oi!")] * 60)
    directory = OwnBrand(FixedDirectory(), "fashion", canary_prompt="You are Luna, and brief.", canary_percent=40)
    async with store(brain, directory) as table:
        for number in (1, 2, 3):
            for conversation in range(20):
                await table.publish(
                    turn_of(
                        "oi", table.clock, number=number, conversation=f"k{conversation}", customer=f"c{conversation}"
                    )
                )
                await table.settle()
    heard = [request.system.endswith("You are Luna, and brief.") for request in brain.asked]
    assert heard[:20] == heard[20:40] == heard[40:]
    assert 2 <= sum(heard[:20]) <= 14
    assert all("House rules" in request.system for request in brain.asked)
    others = [request.system for request, canary in zip(brain.asked, heard, strict=True) if not canary]
    assert all(system.endswith("You are Luna.") for system in others)


async def test_a_prompt_that_changes_is_the_next_turns() -> None:
    brain, directory = ScriptedBrain(say("Oi!"), say("Oi!")), Changing()
    async with store(brain, directory) as table:
        await table.publish(turn_of("oi", table.clock))
        await table.settle()
        directory.now = FixedDirectory.LUNA.model_copy(update={"prompt": "You are Luna of the beach."})
        await table.publish(turn_of("oi", table.clock, number=2))
        await table.settle()
    assert [request.system.rpartition("\n")[2] for request in brain.asked] == [
        "You are Luna.", "You are Luna of the beach.",
    ]  # fmt: skip


@pytest.mark.parametrize("history", [0, 20])
async def test_a_model_is_given_as_many_messages_as_it_may_have(history: int) -> None:
    brain = ScriptedBrain(say("Oi!"))
    async with store(brain, FixedDirectory(), replace(SETTINGS, history=history)) as table:
        await table.publish(turn_of("oi", table.clock))
        await table.settle()
    assert len(brain.asked[0].history) == (1 if history else 0)


@pytest.mark.parametrize("intents", [True, False])
async def test_what_a_customer_came_for_is_told_or_kept(intents: bool) -> None:
    brain = ScriptedBrain(use(("catalog.search", {"text": "vestido"})), say("Veja só."))
    async with store(brain, FixedDirectory(), replace(SETTINGS, intents=intents)) as table:
        await table.publish(turn_of("um vestido", table.clock))
        await table.settle()
        assert len(table.events(ChatIntentDetected)) == (1 if intents else 0)
