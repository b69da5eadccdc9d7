"""A brand's and a customer's model tokens: when they are used up the rules go on selling, until some have come back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent_store.adapters.limits import LocalRateLimiter
from agent_store.agents.seller.agent import seller
from agent_store.agents.seller.service import SellerBrains, SellerSettings
from agent_store.contracts.brands import Directory
from agent_store.kernel.brain import Usage
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.limits import Rate, RateLimiter
from agent_store.kernel.metrics import Metrics, NoMetrics
from tests.agents.test_seller import Table, words
from tests.support import seller_shop as shop
from tests.support.brains import EchoRules, ScriptedBrain, say
from tests.support.seller_shop import FixedDirectory
from tests.support.store import TestStore

DAY = timedelta(days=1)


class Counted(NoMetrics):
    def __init__(self) -> None:
        self.of: list[str] = []

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        if name == "model_budget_used":
            self.of.append(labels["of"])


@asynccontextmanager
async def seated(settings: SellerSettings, metrics: Metrics, *, tokens: int = 150) -> AsyncGenerator[Table]:
    """A seller whose model always answers, at so many tokens."""
    answer = say("Temos sim!").model_copy(update={"usage": Usage(input_tokens=tokens - 30, output_tokens=30)})
    clock, rules, model = ManualClock(), EchoRules(), ScriptedBrain(*[answer] * 50)
    limiter = LocalRateLimiter(lambda: clock.now().timestamp())
    ports: dict[type[Any], object] = {
        SellerBrains: SellerBrains(model, rules), SellerSettings: settings, Directory: FixedDirectory(),
        RateLimiter: limiter, Metrics: metrics,
    }  # fmt: skip
    async with TestStore([Consumer(seller, "fashion"), *shop.SHOP], ports=ports, clock=clock) as store:
        yield Table(store, clock, rules)


@pytest.mark.parametrize("whose", ["brand", "customer"])
async def test_when_the_tokens_are_used_up_the_rules_answer_until_some_are_back(whose: str) -> None:
    metrics = Counted()
    limits: dict[str, Any] = {f"{whose}_tokens": Rate(300, DAY)}
    async with seated(replace(SellerSettings(), **limits), metrics) as table:
        assert [(await table.hear("oi")).brain for _ in range(4)] == ["scripted", "scripted", "rules", "rules"]
        assert metrics.of == [whose, whose]
        await table.store.move(timedelta(hours=3))
        answer = await table.hear("oi")
        assert (answer.brain, words(answer)) == ("scripted", "Temos sim!")


async def test_one_customer_s_tokens_are_not_another_s() -> None:
    settings = replace(SellerSettings(), customer_tokens=Rate(100, DAY))
    async with seated(settings, NoMetrics()) as table:
        assert (await table.hear("oi")).brain == "scripted"
        assert (await table.hear("oi")).brain == "rules"
        other = await table.hear("oi", customer="other", conversation="k-other", number=1)
        assert other.brain == "scripted"


async def test_an_answer_that_cost_more_than_was_left_is_owed() -> None:
    settings = replace(SellerSettings(), brand_tokens=Rate(100, DAY))
    async with seated(settings, NoMetrics(), tokens=180) as table:
        assert (await table.hear("oi")).brain == "scripted"
        await table.store.move(timedelta(hours=12))
        assert (await table.hear("oi")).brain == "rules", "80 are owed and 50 have come back"
        await table.store.move(timedelta(hours=9))
        assert (await table.hear("oi")).brain == "scripted"


async def test_without_a_limit_the_model_always_answers() -> None:
    async with seated(SellerSettings(), NoMetrics(), tokens=1_000_000) as table:
        assert [(await table.hear("oi")).brain for _ in range(3)] == ["scripted"] * 3
