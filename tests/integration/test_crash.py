"""The process is really killed, at every boundary there is, and nothing is lost, doubled or made up.

See `tests.support.crash_child` for how it dies. The sellers' brain answers differently each time it is asked, so whatever is
asked twice would show.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.crash import Zygote, furnished, mortal

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

DRIFTING = ("quero um vestido", "quero fechar", "/confirm_order", "1111", "4242")
RULES = (
    "Oi, quero um vestido vermelho até 300 reais", "/product:vestido-curto-pimenta", "/add:FAS-VPIMENTA-VM-P", "/checkout",
    "/method:delivery", "Ana Souza, 01310-100, Av Paulista 1000 ap 12", "/ship:economico", "/confirm_order", "1111", "4242",
)  # fmt: skip
BOUNDARIES = (
    "after receive", "before commit", "after commit, before publish", "after publish", "before the webhook's answer",
    "before thought", "after thought", "before tool call", "after tool call", "before charge", "after charge",
    "before Graph request", "after Graph request",
)  # fmt: skip
MOST = 84
"""No message passes more boundaries than this (those inside of a step aside)."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    async with Zygote() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return await furnished(zygote, tmp_path_factory.mktemp("furnished"))


def customer(number: int) -> str:
    return f"55119{number:08d}"


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_a_purchase_in_which_every_turn_dies_at_this_boundary(
    zygote: Zygote, folder: Path, tmp_path: Path, boundary: str
) -> None:
    async with mortal(zygote, folder, tmp_path / "data", brain="drifting") as store:
        for position, step in enumerate(DRIFTING):
            await store.say(step, customer(1), fuse=1 + position % 2, only=boundary)
        await store.at_rest()
        store.check(orders=1)
        assert store.grave() == [boundary] * store.deaths
        assert store.deaths >= (1 if "charge" in boundary else 4)


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow_drill) for part in (1, 2, 3))])
async def test_whole_purchases_with_a_kill_at_each_boundary_of_each_turn(
    zygote: Zygote, folder: Path, tmp_path: Path, part: int
) -> None:
    """The n-th purchase dies in every turn at its n-th boundary; every third dies again while it recovers. A quarter of the
    boundaries in every run, all of them in `.ci/full`."""
    async with mortal(zygote, folder, tmp_path / "data", brain="drifting") as store:
        lengths = range(1 + part, MOST, 4)
        for bought, length in enumerate(lengths, start=1):
            for step in DRIFTING:
                again = 1 + length % 23 if length % 3 == 0 else 0
                await store.say(step, customer(length), fuse=length, again=again)
            await store.at_rest()
            store.check(orders=bought)
        assert store.deaths > 60


async def test_a_purchase_with_the_rules_dies_in_every_turn(zygote: Zygote, folder: Path, tmp_path: Path) -> None:
    async with mortal(zygote, folder, tmp_path / "data", brain="rules") as store:
        for bought, length in enumerate((3, 11, 24, 38), start=1):
            for step in RULES:
                await store.say(step, customer(length), fuse=length)
            await store.at_rest()
            store.check(orders=bought)
        assert store.deaths > 20


@pytest.mark.slow
async def test_purchases_with_kills_at_random_moments(zygote: Zygote, folder: Path, tmp_path: Path) -> None:
    """Three customers buy at the same time while the process is killed again and again from outside."""
    dice = random.Random(20260105)
    async with mortal(zygote, folder, tmp_path / "data", brain="drifting") as store:
        bought = 0
        while store.deaths < 20:
            people = [customer(1000 + bought + n) for n in range(3)]
            for step in DRIFTING:
                waiting = {who: store.message(step) for who in people}
                while waiting:
                    posts = asyncio.gather(*(store.deliver(message, who) for who, message in waiting.items()))
                    if dice.random() < 0.6:
                        await asyncio.sleep(dice.random() * 0.25)
                        store.kill()
                    taken = await posts
                    waiting = {
                        who: message for (who, message), done in zip(waiting.items(), taken, strict=True) if not done
                    }
                    while not await store.settled():
                        await store.revive()
            bought += len(people)
            await store.at_rest()
            store.check(orders=bought)


async def test_a_death_while_the_platform_does_not_answer_leaves_no_double(
    zygote: Zygote, folder: Path, tmp_path: Path
) -> None:
    """The request is on its way when the process dies: the status that comes later decides that it was sent."""
    async with mortal(zygote, folder, tmp_path / "data", brain="drifting", doubt=5) as store:
        store.graph.delay = 0.3
        assert await store.deliver(store.message(DRIFTING[0]), customer(1))
        while not store.graph.asked:
            await asyncio.sleep(0.005)
        store.kill()
        store.graph.delay = 0
        await store.revive()
        await store.at_rest()
        assert [row["state"] for row in store.rows("SELECT state FROM whatsapp_sends")] == ["sent"]
        assert len(store.graph.sent) == 1


async def test_a_death_before_the_request_is_counted_as_uncertain_and_the_conversation_goes_on(
    zygote: Zygote, folder: Path, tmp_path: Path
) -> None:
    async with mortal(zygote, folder, tmp_path / "data", brain="drifting", doubt=0.2) as store:
        await store.say(DRIFTING[0], customer(1), fuse=1, only="before Graph request")
        await store.at_rest()
        assert [row["state"] for row in store.rows("SELECT state FROM whatsapp_sends")] == ["uncertain"]
        assert store.graph.sent == []
        answer = await store.http.get("/metrics")
        assert "uncertain_send" in answer.text
        for step in DRIFTING[1:]:
            await store.say(step, customer(1))
        await store.at_rest()
        assert len(store.graph.sent) >= 4
        states = [row["state"] for row in store.rows("SELECT state FROM whatsapp_sends ORDER BY number")]
        assert states.count("uncertain") == 1


async def test_what_was_never_acknowledged_may_come_again_and_counts_once(
    zygote: Zygote, folder: Path, tmp_path: Path
) -> None:
    """Dead between the commit and the 200: WhatsApp delivers again, and it is the same message."""
    async with mortal(zygote, folder, tmp_path / "data", brain="drifting") as store:
        for step in DRIFTING:
            await store.say(step, customer(1), fuse=1, only="before the webhook's answer")
        await store.at_rest()
        store.check(orders=1)
        assert store.deaths >= len(DRIFTING)
