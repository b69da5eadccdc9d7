"""When the people's page looks: at news of what it shows, a while after, and now and then."""

from __future__ import annotations

from typing import Any, cast

from agent_store.adapters.fanout import LocalFanOut
from agent_store.console.escalations import _Desk
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
