"""The prompts that ship: complete, in three languages, about tools that exist, and true."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from agent_store.agents.seller import model, policy, truth

PROMPTS = Path(__file__).parents[2] / "prompts"
SELLERS = {"fashion": "Luna", "tech": "Max", "home": "Sofia", "beauty": "Bella", "gaming": "Pixel"}
HOUSE = (PROMPTS / "house.md").read_text(encoding="utf-8")


def test_the_house_prompt_names_only_tools_that_a_model_is_given() -> None:
    known = {spec.name for spec in policy.specs()}
    named = set(re.findall(r"`((?:[a-z]+\.[a-z_]+)|show_products|offer_choices|bring_person)`", HOUSE))
    assert named <= known
    assert {"catalog.search", "cart.add", "orders.place", "bring_person"} <= named
    assert policy.CONFIRM_ORDER in HOUSE


@pytest.mark.parametrize("brand", SELLERS)
def test_every_brand_has_a_persona_and_a_greeting(brand: str) -> None:
    persona = (PROMPTS / brand / "system.md").read_text(encoding="utf-8")
    assert SELLERS[brand] in persona
    greeting = yaml.safe_load((PROMPTS / brand / "greeting.yaml").read_text(encoding="utf-8"))
    assert set(greeting) == {"pt", "en", "es"}
    nothing_known = model.Ledger((), datetime(2026, 1, 5, 12, 0, tzinfo=UTC))
    for language, text in greeting.items():
        assert SELLERS[brand] in text
        assert truth.check(text, nothing_known, truth.Echo(), language=language).unsupported == ()
