"""A customer who writes faster than the limit: nothing is lost, one polite word, one answer to all of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.texts import say
from agent_store.contracts.people import SalesEscalate
from tests.support.chat import SHARED, ChatStore

PAUSE = timedelta(minutes=1)
BURSTS: dict[str, Any] = {"burst_window": timedelta(milliseconds=700), "burst_max": timedelta(seconds=3)}
POLITE = say("hasty", "pt")


async def test_a_flood_is_kept_told_once_and_answered_together() -> None:
    async with ChatStore(hasty_pause=PAUSE, turn_limit=timedelta(minutes=5), **BURSTS) as store:
        await store.write("oi")
        await store.move(timedelta(seconds=1))
        await store.answer("olá!")
        for number in range(30):
            await store.write(f"mensagem {number}", hasty=True)
            await store.move(timedelta(seconds=1))
        assert store.said == ["olá!", POLITE]
        assert len(store.turns) == 1
        await store.move(PAUSE)
        assert [line.text for line in store.turns[-1].messages] == [f"mensagem {number}" for number in range(30)]
        assert len(store.turns) == 2


async def test_the_pause_holds_for_messages_within_the_limit_too() -> None:
    async with ChatStore(hasty_pause=PAUSE, **BURSTS) as store:
        await store.write("um", hasty=True)
        await store.move(timedelta(seconds=20))
        await store.write("dois")
        await store.move(timedelta(seconds=20))
        assert store.turns == []
        await store.move(timedelta(seconds=21))
        assert [line.text for line in store.turns[-1].messages] == ["um", "dois"]


async def test_a_turn_that_is_open_is_answered_and_the_next_waits() -> None:
    async with ChatStore(hasty_pause=PAUSE, **BURSTS) as store:
        await store.write("oi")
        await store.move(timedelta(seconds=1))
        await store.write("vestido?", hasty=True)
        await store.answer("olá!")
        assert (store.said, len(store.turns)) == ([POLITE, "olá!"], 1)
        await store.move(PAUSE)
        assert [line.text for line in store.turns[-1].messages] == ["vestido?"]


async def test_an_answer_that_comes_after_the_pause_goes_on_at_once() -> None:
    async with ChatStore(hasty_pause=PAUSE, turn_limit=timedelta(minutes=5), **BURSTS) as store:
        await store.write("oi")
        await store.move(timedelta(seconds=1))
        await store.write("vestido?", hasty=True)
        await store.move(PAUSE * 2)
        assert len(store.turns) == 1
        await store.answer("olá!")
        assert [line.text for line in store.turns[-1].messages] == ["vestido?"]


async def test_a_burst_that_runs_is_held_back_with_it() -> None:
    async with ChatStore(hasty_pause=PAUSE, **BURSTS) as store:
        await store.write("um")
        await store.write("dois", hasty=True)
        await store.move(timedelta(seconds=10))
        assert store.turns == []
        await store.move(PAUSE)
        assert [line.text for line in store.turns[-1].messages] == ["um", "dois"]


async def test_who_never_stops_is_answered_once_a_pause_and_told_once_a_pause() -> None:
    async with ChatStore(hasty_pause=PAUSE, **BURSTS) as store:
        for number in range(12):
            await store.write(f"mensagem {number}", hasty=True)
            await store.move(timedelta(seconds=20))
            if store.turns and store.turns[-1].number > len(store.said) - store.said.count(POLITE):
                await store.answer("pronto")
        assert store.said.count(POLITE) in (3, 4)
        assert len(store.turns) in (3, 4)


async def test_a_person_is_called_at_once_all_the_same() -> None:
    async with ChatStore(hasty_pause=PAUSE, **BURSTS) as store:
        await store.write("oi", hasty=True)
        await store.write("quero falar com uma pessoa", hasty=True)
        assert len(store.events(SalesEscalate)) == 1
        assert [line.text for line in store.for_people[-1].messages] == ["oi", "quero falar com uma pessoa"]


async def test_on_the_shared_number_the_shop_is_chosen_and_the_pause_holds() -> None:
    async with ChatStore(hasty_pause=PAUSE, **BURSTS) as store:
        await store.write("vestido", to=SHARED, hasty=True)
        await store.move(timedelta(seconds=30))
        assert store.turns == []
        await store.move(timedelta(seconds=31))
        assert store.turns[-1].brand == "fashion"


async def test_it_goes_on_after_a_kill() -> None:
    async with ChatStore(hasty_pause=PAUSE, **BURSTS) as store:
        await store.write("oi", hasty=True)
        await store.kill_and_restart()
        await store.move(PAUSE)
        assert [line.text for line in store.turns[-1].messages] == ["oi"]


def test_a_pause_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="hasty_pause"):
        ConversationsSettings(hasty_pause=timedelta(0))
