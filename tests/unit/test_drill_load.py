"""A drill's customers at a counter: what they tap, what they do when it is sold out, and when they leave."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from typing import Any

from agent_store.entrypoints.drill.load import SCRIPT, Customers
from agent_store.entrypoints.drill.platform import Platform

DRESS = "add:FAS-VPIMENTA-VM-P"
NEXT = {said: step[1:] for said, step in itertools.pairwise(SCRIPT) if step.startswith("/")}
"""The tap that a store in good order offers after each step."""


class Counter(Platform):
    """A store that answers each message with the next tap of the script, or with what `instead` puts in its place; each
    choice comes as a message of its own."""

    def __init__(self, instead: dict[str, list[str]]) -> None:  # no server, no connection
        self.heard, self.choices = {}, {}
        self.said: list[str] = []
        self._instead = instead
        self._answers: set[asyncio.Task[None]] = set()

    async def deliver(self, payload: dict[str, Any]) -> AsyncGenerator[tuple[float, float, int]]:
        message = payload["entry"][0]["changes"][0]["value"]["messages"][0]
        text = message["text"]["body"] if "text" in message else f"/{message['interactive']['button_reply']['id']}"
        self.said.append(text)
        step = f"/{DRESS}" if text.startswith("/add:") else text
        wanted = NEXT.get(step)
        task = asyncio.create_task(
            self._reply(message["from"], self._instead.get(wanted or "", [wanted] if wanted else []))
        )
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        yield time.monotonic(), 0.0, 200

    async def _reply(self, who: str, choices: list[str]) -> None:
        self.heard[who] = self.heard.get(who, 0) + 1
        for choice in choices:
            await asyncio.sleep(0.01)
            self.choices.setdefault(who, set()).add(choice)
            self.heard[who] += 1


async def bought_at(instead: dict[str, list[str]]) -> tuple[int, list[str]]:
    """How many purchases came to their end, and what was said."""
    counter = Counter(instead)
    customers = Customers(counter, "1", patience=1.5, quiet=0.1, repeat_every=100)
    await customers.buy()
    assert not customers.load.unanswered
    return customers.load.bought, counter.said


async def test_a_customer_goes_through_the_script() -> None:
    assert await bought_at({}) == (1, list(SCRIPT))


async def test_who_finds_the_dress_sold_out_takes_another_size() -> None:
    bought, said = await bought_at({DRESS: ["add:FAS-VPIMENTA-VM-PP", "add:FAS-VPIMENTA-VM-M"]})
    assert bought == 1
    assert said == [step.replace("-VM-P", "-VM-M") for step in SCRIPT]


async def test_the_wanted_size_is_taken_though_another_one_is_shown_first() -> None:
    assert await bought_at({DRESS: ["add:FAS-VPIMENTA-VM-G", DRESS]}) == (1, list(SCRIPT))


async def test_what_is_not_offered_in_time_is_tapped_all_the_same_once() -> None:
    assert await bought_at({"checkout": []}) == (1, list(SCRIPT))


async def test_a_customer_who_gets_nowhere_leaves() -> None:
    bought, said = await bought_at({"checkout": [], "method:delivery": []})
    assert bought == 0
    assert said == list(SCRIPT[:4])
