"""Which prompt a conversation has: the same one always, and the canary's for its share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_store.contracts.brands import Brand, on_canary, prompt_of


def brand(percent: int, canary: str = "new") -> Brand:
    return Brand(id="fashion", name="Moda", seller="Luna", prompt="old", canary_prompt=canary, canary_percent=percent)


@given(st.text(min_size=1, max_size=60), st.integers(0, 100), st.integers(0, 100))
def test_a_growing_share_only_moves_conversations_into_the_canary(conversation: str, one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert prompt_of(brand(less), conversation) == prompt_of(brand(less), conversation)
    if on_canary(brand(less), conversation):
        assert on_canary(brand(more), conversation)


def test_the_share_is_about_what_was_asked_for() -> None:
    ids = [f"conversation-{number}" for number in range(10_000)]
    for percent in (1, 10, 50, 90):
        found = sum(prompt_of(brand(percent), one) == "new" for one in ids)
        assert abs(found - percent * 100) < 200
    assert not any(on_canary(brand(0), one) for one in ids)
    assert all(on_canary(brand(100), one) for one in ids)


def test_brands_try_their_prompts_on_conversations_of_their_own() -> None:
    """Else one unlucky customer would have all the trials."""
    ids = [f"conversation-{number}" for number in range(2_000)]
    tech = brand(50).model_copy(update={"id": "tech"})
    assert {on_canary(brand(50), one) == on_canary(tech, one) for one in ids} == {True, False}


def test_without_a_canary_everybody_has_the_brands_prompt() -> None:
    assert prompt_of(brand(100, canary=""), "any") == "old"
    assert prompt_of(Brand(id="x", name="x", seller="y", prompt="old"), "any") == "old"
