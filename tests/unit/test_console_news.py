"""When the people's page looks: at news of what it shows, a while after, and now and then. And what it need not draw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from agent_store.adapters.fanout import LocalFanOut
from agent_store.console.escalations import _Desk, _no_longer_there
from agent_store.contracts.chat import TranscriptLine
from agent_store.kernel.news import News, Notice


class Desk(_Desk):
    """Counts its looks instead of drawing."""

    looks = 0

    async def _refresh(self) -> None:
        self.looks += 1


def notice(topic: str) -> Notice:
    return Notice(f"store.{topic}.x", topic, "fashion", "id")


async def test_news_of_a_conversation_is_looked_at_once_for_all() -> None:
    desk = Desk(cast(Any, None), News(LocalFanOut()))
    await desk._look()
    assert desk.looks == 0, "it has just been drawn"
    desk._hear(frozenset({notice("chat"), notice("orders")}))
    desk._hear(frozenset({notice("whatsapp")}))
    await desk._look()
    await desk._look()
    assert desk.looks == 1


async def test_news_of_something_else_is_no_reason_to_look_and_missed_news_is() -> None:
    desk = Desk(cast(Any, None), News(LocalFanOut()))
    desk._hear(frozenset({notice("inventory")}))
    await desk._look()
    assert desk.looks == 0
    desk._hear(None)
    await desk._look()
    assert desk.looks == 1


async def test_it_looks_often_for_a_while_after_news_and_rarely_else() -> None:
    desk = Desk(cast(Any, None), News(LocalFanOut()))
    desk._looked_at -= 5
    await desk._look()
    assert desk.looks == 1, "something has just been heard: it was drawn"
    desk._looked_at -= 5
    desk._heard_at -= 60
    await desk._look()
    assert desk.looks == 1
    desk._looked_at -= 10
    await desk._look()
    assert desk.looks == 2


async def test_who_has_stopped_listening_hears_nothing_and_may_stop_again() -> None:
    news = News(LocalFanOut())
    heard: list[object] = []
    stop = news.listen(heard.append)
    assert news.watched
    news._announce(None)
    stop()
    stop()
    news._announce(None)
    assert (heard, news.watched) == ([None], False)


async def test_news_may_be_started_and_stopped_twice_and_says_nothing_of_nothing() -> None:
    news = News(LocalFanOut())
    heard: list[object] = []
    news.listen(heard.append)
    news.tell([])
    await news.start()
    await news.start()
    await news.stop()
    await news.stop()
    assert heard == []


def line(number: int, text: str = "") -> TranscriptLine:
    at = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(seconds=number)
    return TranscriptLine(direction="in", role="customer", text=text, at=at)


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        ((), (1, 2), 0),
        ((1, 2), (1, 2), 0),
        ((1, 2), (1, 2, 3), 0),
        ((1, 2, 3), (2, 3, 4), 1),
        ((1, 2, 3), (7, 8, 9), 3),
        ((1, 2, 3), (1, 2), 3),
        ((1, 3), (1, 2, 3), 2),
        ((1, 2), (), 2),
    ],
)
def test_lines_that_stay_are_known_again(old: tuple[int, ...], new: tuple[int, ...], gone: int) -> None:
    assert _no_longer_there([line(number) for number in old], [line(number, "edited") for number in new]) == gone
