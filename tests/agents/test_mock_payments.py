from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.agents.payments.ports import PaymentProvider
from agent_store.agents.payments.tables import metadata
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.errors import KeyReused, NotFound, TemporaryError
from agent_store.kernel.money import Money
from agent_store.kernel.store import Store
from tests.support.backends import Stores, current

AMOUNT = Money(minor=5_000)


@pytest.fixture
async def stores(tmp_path: Path, database: None) -> AsyncGenerator[Stores]:
    async with current.backend.database(tmp_path) as found:
        yield found


@pytest.fixture
async def store(stores: Stores) -> AsyncGenerator[Store]:
    opened = await opened_by(stores)
    yield opened
    await opened.close()


async def opened_by(stores: Stores) -> Store:
    store = stores()
    await store.create({"payments": metadata}, {})
    return store


def provider_on(store: Store) -> MockPaymentProvider:
    return MockPaymentProvider(ManualClock(), lambda: store)


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
async def test_each_code_ends_as_it_is_told_to_every_time(store: Store, code: str, failure: str | None) -> None:
    provider: PaymentProvider = provider_on(store)
    outcomes = [await provider.charge(code, AMOUNT, f"k{number}") for number in range(3)]
    assert {outcome.failure for outcome in outcomes} == {failure}
    assert len({outcome.reference for outcome in outcomes}) == 3


async def test_one_key_is_one_movement_over_restarts(stores: Stores) -> None:
    before = await opened_by(stores)
    first = await provider_on(before).charge("4242", AMOUNT, "k")
    await before.close()
    after = await opened_by(stores)
    provider = provider_on(after)
    assert await provider.charge("4242", AMOUNT, "k") == first
    (capture,) = await provider.captures()
    assert (capture.amount, capture.asked, capture.reference) == (AMOUNT, 2, first.reference)
    await provider.refund(first.reference, AMOUNT, "r")
    assert len(await provider.refunds()) == 1
    await after.close()


async def test_one_key_is_one_movement_when_two_processes_ask_at_once(stores: Stores) -> None:
    one = await opened_by(stores)
    two = await opened_by(stores) if one.kind == "postgresql" else one  # a file has one process
    providers = [provider_on(store) for store in (one, two)]
    charges = [provider.charge("4242", AMOUNT, "k") for _ in range(10) for provider in providers]
    outcomes = await asyncio.gather(*charges)
    assert len({outcome.reference for outcome in outcomes}) == 1
    (charge,) = await providers[0].journal()
    assert charge.asked == 20
    refunds = [provider.refund(charge.reference, AMOUNT, "r") for _ in range(10) for provider in providers]
    assert len({outcome.reference for outcome in await asyncio.gather(*refunds)}) == 1
    assert [refund.asked for refund in await providers[1].refunds()] == [20]
    for store in {one, two}:
        await store.close()


@pytest.mark.parametrize(("code", "amount"), [("1111", AMOUNT), ("4242", Money(minor=1))])
async def test_a_key_with_other_arguments_is_refused(store: Store, code: str, amount: Money) -> None:
    provider = provider_on(store)
    await provider.charge("4242", AMOUNT, "k")
    with pytest.raises(KeyReused):
        await provider.charge(code, amount, "k")
    assert len(await provider.captures()) == 1


async def test_the_key_of_a_charge_is_none_for_its_refund(store: Store) -> None:
    provider = provider_on(store)
    captured = await provider.charge("4242", AMOUNT, "k")
    with pytest.raises(KeyReused):
        await provider.refund(captured.reference, AMOUNT, "k")
    assert await provider.refunds() == []


async def test_a_refund_is_given_once_and_only_for_what_was_captured(store: Store) -> None:
    provider = provider_on(store)
    captured = await provider.charge("4242", AMOUNT, "k1")
    failed = await provider.charge("1111", AMOUNT, "k2")
    first = await provider.refund(captured.reference, AMOUNT, "r")
    assert await provider.refund(captured.reference, AMOUNT, "r") == first
    assert [refund.amount for refund in await provider.refunds()] == [AMOUNT]
    for reference, amount in (
        (failed.reference, AMOUNT),
        ("nothing", AMOUNT),
        (captured.reference, Money(minor=1)),
        (first.reference, AMOUNT),
    ):
        with pytest.raises(NotFound):
            await provider.refund(reference, amount, "r2")


async def test_a_store_that_takes_nothing_is_tried_again(stores: Stores) -> None:
    store = await opened_by(stores)
    await store.close()
    with pytest.raises(TemporaryError):
        await provider_on(store).charge("4242", AMOUNT, "k")
