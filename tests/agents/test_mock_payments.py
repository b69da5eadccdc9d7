from __future__ import annotations

from pathlib import Path

import pytest

from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.agents.payments.ports import PaymentProvider
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.errors import KeyReused, NotFound
from agent_store.kernel.money import Money

AMOUNT = Money(minor=5_000)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("4242", None),
        ("1111", "insufficient_funds"),
        ("2222", "expired_card"),
        ("3333", "network_error"),
        ("0000", "invalid_card"),
    ],
)
async def test_each_code_ends_as_it_is_told_to_every_time(code: str, failure: str | None) -> None:
    provider: PaymentProvider = MockPaymentProvider(ManualClock())
    outcomes = [await provider.charge(code, AMOUNT, f"k{number}") for number in range(3)]
    assert {outcome.failure for outcome in outcomes} == {failure}
    assert len({outcome.reference for outcome in outcomes}) == 3


async def test_one_key_is_one_movement_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "provider.sqlite3"
    first = await MockPaymentProvider(ManualClock(), path).charge("4242", AMOUNT, "k")
    provider = MockPaymentProvider(ManualClock(), path)
    assert await provider.charge("4242", AMOUNT, "k") == first
    (capture,) = provider.captures()
    assert (capture.amount, capture.asked, capture.reference) == (AMOUNT, 2, first.reference)


@pytest.mark.parametrize(("code", "amount"), [("1111", AMOUNT), ("4242", Money(minor=1))])
async def test_a_key_with_other_arguments_is_refused(code: str, amount: Money) -> None:
    provider = MockPaymentProvider(ManualClock())
    await provider.charge("4242", AMOUNT, "k")
    with pytest.raises(KeyReused):
        await provider.charge(code, amount, "k")
    assert len(provider.captures()) == 1


async def test_a_refund_is_given_once_and_only_for_what_was_captured() -> None:
    provider = MockPaymentProvider(ManualClock())
    captured = await provider.charge("4242", AMOUNT, "k1")
    failed = await provider.charge("1111", AMOUNT, "k2")
    first = await provider.refund(captured.reference, AMOUNT, "r")
    assert await provider.refund(captured.reference, AMOUNT, "r") == first
    assert [refund.amount for refund in provider.refunds()] == [AMOUNT]
    for reference, amount in ((failed.reference, AMOUNT), ("nothing", AMOUNT), (captured.reference, Money(minor=1))):
        with pytest.raises(NotFound):
            await provider.refund(reference, amount, "r2")
