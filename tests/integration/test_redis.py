"""Rate limits and fan-out: one suite for the adapters in the process and on Redis, then Redis with faults."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_store.adapters.db.postgres import PostgresStore
from agent_store.adapters.fanout import WAITING, LocalFanOut, NoFanOut
from agent_store.adapters.http.api import staff_api
from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.limits import SWEPT, LocalRateLimiter
from agent_store.adapters.redis.fanout import RedisFanOut
from agent_store.adapters.redis.limits import RedisRateLimiter
from agent_store.adapters.redis.link import Away, RedisLink
from agent_store.entrypoints.programs import Redis
from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.ids import new_id
from agent_store.kernel.limits import NoLimits, Rate, RateLimiter, TooMany, allowed, used
from agent_store.kernel.metrics import NoMetrics
from agent_store.kernel.news import FanOut, News, Notice
from agent_store.kernel.runtime import Runtime

MINUTE = timedelta(minutes=1)
SOON = timedelta(milliseconds=300)


class Counted(NoMetrics):
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount


async def until(condition: Callable[[], Awaitable[bool] | bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def linked(server: Redis, **options: Any) -> AsyncGenerator[RedisLink]:
    # A second, not the tenth of one: a test machine that is busy must not look like a Redis that is away.
    settings: dict[str, Any] = {"timeout": timedelta(seconds=5), **options}
    link = RedisLink(server.url, **settings)
    try:
        yield link
    finally:
        await link.close()


# --- rate limits: what both promise


@pytest.fixture(params=["in this process", "on Redis"])
def server(request: pytest.FixtureRequest) -> Redis | None:
    return request.getfixturevalue("redis") if request.param == "on Redis" else None


@pytest.fixture
async def limiter(server: Redis | None) -> AsyncIterator[RateLimiter]:
    if server is None:
        yield LocalRateLimiter()
        return
    async with linked(server) as link:
        yield RedisRateLimiter(link, NoMetrics(), prefix=f"test-{new_id()}:")


async def test_so_many_at_once_are_allowed_and_no_more(limiter: RateLimiter) -> None:
    verdicts = [await limiter.take("a", limit=3, per=MINUTE) for _ in range(5)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False, False]
    assert timedelta(0) < verdicts[3].retry_after <= timedelta(seconds=20), "one unit comes back every 20 seconds"


async def test_what_is_refused_is_not_counted(limiter: RateLimiter) -> None:
    await limiter.take("a", 10, limit=10, per=MINUTE)
    waits = [(await limiter.take("a", limit=10, per=MINUTE)).retry_after for _ in range(20)]
    assert max(waits) <= timedelta(seconds=6)


async def test_keys_do_not_share(limiter: RateLimiter) -> None:
    assert (await limiter.take("a", limit=1, per=MINUTE)).allowed
    assert (await limiter.take("b", limit=1, per=MINUTE)).allowed
    assert not (await limiter.take("a", limit=1, per=MINUTE)).allowed


async def test_the_bucket_fills_again_evenly(limiter: RateLimiter) -> None:
    await limiter.take("a", 3, limit=3, per=SOON)
    began = time.monotonic()
    refused = await limiter.take("a", limit=3, per=SOON)
    assert refused.retry_after <= SOON / 3

    async def comes_back() -> bool:
        return (await limiter.take("a", limit=3, per=SOON)).allowed

    await until(comes_back)
    assert time.monotonic() - began >= refused.retry_after.total_seconds() * 0.9


async def test_a_cost_counts_and_one_above_the_limit_never_passes(limiter: RateLimiter) -> None:
    assert (await limiter.take("a", 7, limit=10, per=MINUTE)).allowed
    assert not (await limiter.take("a", 4, limit=10, per=MINUTE)).allowed
    assert (await limiter.take("a", 3, limit=10, per=MINUTE)).allowed
    assert not (await limiter.take("b", 11, limit=10, per=MINUTE)).allowed


async def test_cost_0_asks_and_takes_nothing(limiter: RateLimiter) -> None:
    for _ in range(5):
        assert (await limiter.take("a", 0, limit=1, per=MINUTE)).allowed
    assert (await limiter.take("a", 1, limit=1, per=MINUTE)).allowed
    assert not (await limiter.take("a", 0, limit=1, per=MINUTE)).allowed


async def test_what_was_used_counts_past_the_limit_and_at_most_a_limit_more(limiter: RateLimiter) -> None:
    await limiter.spend("a", 15, limit=10, per=MINUTE)
    owed = await limiter.take("a", 0, limit=10, per=MINUTE)
    assert not owed.allowed
    assert timedelta(seconds=30) < owed.retry_after <= timedelta(seconds=36)
    await limiter.spend("a", 1_000_000, limit=10, per=MINUTE)
    assert (await limiter.take("a", 0, limit=10, per=MINUTE)).retry_after <= timedelta(seconds=66)


async def test_a_rush_lets_exactly_the_limit_through(limiter: RateLimiter) -> None:
    verdicts = await asyncio.gather(*(limiter.take("rush", limit=50, per=timedelta(hours=1)) for _ in range(200)))
    assert sum(verdict.allowed for verdict in verdicts) == 50


async def test_no_limit_asks_nobody_and_a_large_cost_counts_as_the_whole_limit(limiter: RateLimiter) -> None:
    nothing: Any = None
    assert (await allowed(nothing, "a", Rate(0))).allowed
    await used(nothing, "a", Rate(0), 100)
    assert (await allowed(limiter, "a", Rate(5), 1000)).allowed
    assert not (await allowed(limiter, "a", Rate(5))).allowed
    assert (await NoLimits().take("a", limit=0, per=MINUTE)).allowed


# --- in this process


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5)), max_size=60), st.integers(1, 10))
@settings(max_examples=150)
def test_in_no_stretch_more_passes_than_a_limit_and_what_came_back_meanwhile(
    asked: list[tuple[float, int]], limit: int
) -> None:
    now = 0.0
    limiter = LocalRateLimiter(lambda: now)
    passed: list[tuple[float, int]] = []

    async def ask() -> None:
        nonlocal now
        for pause, cost in asked:
            now += pause
            verdict = await limiter.take("a", cost, limit=limit, per=MINUTE)
            if verdict.allowed:
                passed.append((now, cost))
            elif cost <= limit:
                now += verdict.retry_after.total_seconds()
                assert (await limiter.take("a", cost, limit=limit, per=MINUTE)).allowed, "it may come again then"
                passed.append((now, cost))

    asyncio.run(ask())
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            stretch = passed[last][0] - passed[first][0]
            taken = sum(cost for _, cost in passed[first : last + 1])
            assert taken <= limit * (1 + stretch / 60) + 1e-3


async def test_full_buckets_are_forgotten() -> None:
    now = 0.0
    limiter = LocalRateLimiter(lambda: now)
    for number in range(50 * SWEPT):
        now += 1
        await limiter.take(f"customer {number}", limit=10, per=MINUTE)
    assert limiter.buckets < 3 * SWEPT


# --- Redis with faults


async def refused(limiter: RateLimiter, key: str) -> bool:
    return not (await limiter.take(key, limit=1, per=timedelta(hours=1))).allowed


async def test_a_redis_that_is_away_lets_all_through_and_is_back_by_itself() -> None:
    metrics = Counted()
    async with Redis() as server, linked(server, pause=timedelta(milliseconds=50)) as link:
        limiter = RedisRateLimiter(link, metrics)
        assert not await refused(limiter, "a")
        assert await refused(limiter, "a")
        server.kill()
        assert not await refused(limiter, "a")
        assert not await refused(limiter, "a")
        assert metrics.counts["rate_limiter_unavailable"] >= 2
        assert not link.connected
        await server.start()
        # The counts are gone with the server; it counts anew, and its script is sent to it again.
        await until(lambda: refused(limiter, "a"))
        assert link.connected


async def test_a_redis_that_hangs_costs_one_deadline_and_then_nothing() -> None:
    now = 0.0
    metrics = Counted()
    options: dict[str, Any] = {"timeout": timedelta(seconds=1), "pause": MINUTE}
    async with Redis() as server, linked(server, clock=lambda: now, **options) as link:
        limiter = RedisRateLimiter(link, metrics)

        async def refused_in_time() -> bool:
            nonlocal now
            now += 61
            return await refused(limiter, "a")

        await until(refused_in_time)
        before = metrics.counts.get("rate_limiter_unavailable", 0)
        server.pause()
        began = time.monotonic()
        assert not await refused(limiter, "a")
        first = time.monotonic() - began
        began = time.monotonic()
        for _ in range(1000):
            assert not await refused(limiter, "a")
        rest = time.monotonic() - began
        server.resume()
        assert first < 5
        assert rest < 5, "a thousand questions are not a thousand deadlines"
        assert metrics.counts["rate_limiter_unavailable"] - before == 1001


async def test_after_a_hang_one_question_finds_out_for_all() -> None:
    now = 0.0
    async with Redis() as server:
        options: dict[str, Any] = {"timeout": timedelta(milliseconds=100), "pause": timedelta(seconds=1)}
        async with linked(server, clock=lambda: now, **options) as link:

            async def answers_in_time() -> bool:
                nonlocal now
                now += 2
                return await answers(link)

            await until(answers_in_time)
            server.pause()
            with pytest.raises(Away):
                await link.ask(lambda redis: redis.ping())
            now += 2
            asked = 0

            async def question(redis: Any) -> Any:
                nonlocal asked
                asked += 1
                return await redis.ping()

            await asyncio.gather(*(link.ask(question) for _ in range(20)), return_exceptions=True)
            assert asked == 1
            server.resume()
            await until(answers_in_time)


async def answers(link: RedisLink) -> bool:
    with contextlib.suppress(Away):
        return bool(await link.ask(lambda redis: redis.ping()))
    return False


async def test_whoever_gives_up_waiting_does_not_say_that_redis_is_away(redis: Redis) -> None:
    async with linked(redis, pause=MINUTE) as link:
        assert await answers(link)
        waiting = asyncio.create_task(link.ask(lambda _: asyncio.Event().wait()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await answers(link)


async def test_a_full_bucket_leaves_nothing_behind(redis: Redis) -> None:
    async with linked(redis) as link:
        prefix = f"test-{new_id()}:"
        limiter = RedisRateLimiter(link, NoMetrics(), prefix=prefix)
        await limiter.take("a", limit=1, per=timedelta(milliseconds=50))

        async def gone() -> bool:
            return await link.ask(lambda redis: redis.keys(f"{prefix}*")) == []

        await until(gone)


async def test_a_server_whose_clock_was_set_back_does_not_refuse_for_long(redis: Redis) -> None:
    async with linked(redis) as link:
        prefix = f"test-{new_id()}:"
        limiter = RedisRateLimiter(link, NoMetrics(), prefix=prefix)
        in_an_hour = int((time.time() + 3600) * 1e6)
        await link.ask(lambda redis: redis.set(f"{prefix}limit:a", in_an_hour))
        verdict = await limiter.take("a", limit=6, per=MINUTE)
        assert verdict.retry_after <= timedelta(seconds=71)


# --- fan-out: what both promise


@pytest.fixture
async def fanout(server: Redis | None) -> AsyncIterator[FanOut]:
    if server is None:
        yield LocalFanOut()
        return
    async with linked(server) as link:
        yield RedisFanOut(link, NoMetrics(), prefix=f"test-{new_id()}:", poll=MINUTE)


class Ear:
    """A subscriber that keeps what it hears."""

    def __init__(self, fanout: FanOut, channel: str) -> None:
        self.heard: list[bytes | None] = []
        self._messages = fanout.subscribe(channel)
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._messages:
            self.heard.append(message)

    async def __aenter__(self) -> Ear:
        await until(lambda: bool(self.heard))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_everybody_who_listens_hears_it_in_order_and_nobody_else(fanout: FanOut) -> None:
    async with Ear(fanout, "a") as one, Ear(fanout, "a") as two, Ear(fanout, "b") as other:
        for number in range(20):
            await fanout.publish("a", b"%d" % number)
        await fanout.publish("b", b"end")
        expected = [None, *(b"%d" % number for number in range(20))]
        await until(lambda: len(one.heard) == len(two.heard) == len(expected) and len(other.heard) == 2)
        assert one.heard == two.heard == expected, "None first: what came before was missed"
        assert other.heard == [None, b"end"]
    await fanout.publish("a", b"nobody")


async def test_a_slow_listener_is_told_that_it_has_missed_some() -> None:
    fanout = LocalFanOut()
    messages = fanout.subscribe("a")
    assert await anext(messages) is None
    for number in range(WAITING + 500):
        await fanout.publish("a", b"%d" % number)
    heard = [await anext(messages) for _ in range(WAITING + 1)]
    assert heard[-1] is None
    await fanout.publish("a", b"again")
    assert await anext(messages) == b"again"
    await messages.aclose()


async def test_listeners_look_for_themselves_while_redis_is_away_and_hear_again_when_it_is_back() -> None:
    poll = timedelta(milliseconds=100)
    metrics = Counted()
    async with Redis() as server, linked(server, pause=timedelta(milliseconds=20)) as link:
        fanout = RedisFanOut(link, metrics, poll=poll)
        async with Ear(fanout, "a") as ear:

            async def hears(message: bytes) -> bool:
                await fanout.publish("a", message)
                return message in ear.heard

            await until(lambda: hears(b"before"))
            server.kill()
            await fanout.publish("a", b"lost")
            assert metrics.counts["fan_out_unavailable"] == 1
            seen = len(ear.heard)
            await until(lambda: ear.heard[seen:].count(None) >= 3)
            await server.start()
            await until(lambda: hears(b"after"))


async def test_a_redis_that_hangs_is_found_out_by_a_listener() -> None:
    async with Redis() as server, linked(server) as link:
        fanout = RedisFanOut(link, NoMetrics(), poll=timedelta(milliseconds=200))
        async with Ear(fanout, "a") as ear:
            server.pause()
            await until(lambda: ear.heard.count(None) >= 3)
            server.resume()

            async def hears() -> bool:
                await fanout.publish("a", b"after")
                return b"after" in ear.heard

            await until(hears)


async def test_silence_is_no_loss(redis: Redis) -> None:
    async with linked(redis) as link:
        fanout = RedisFanOut(link, NoMetrics(), prefix=f"test-{new_id()}:", poll=timedelta(seconds=1))
        async with Ear(fanout, "a") as ear:
            await asyncio.sleep(3.5)  # silence is what is tested: it has no event
            assert ear.heard == [None]
            await fanout.publish("a", b"x")
            await until(lambda: ear.heard == [None, b"x"])


# --- news


def event(type: str, **more: Any) -> Envelope:
    from datetime import UTC, datetime

    values: dict[str, Any] = {"topic": "orders", "brand": "fashion", "subject": "o1", **more}
    return Envelope(id=new_id(), source="/agent-store/orders", type=type, time=datetime.now(UTC), **values)


@contextlib.asynccontextmanager
async def reporting(fanout: FanOut) -> AsyncGenerator[tuple[News, list[frozenset[Notice] | None]]]:
    """A process's news, and all that it heard."""
    news = News(fanout)
    heard: list[frozenset[Notice] | None] = []
    await news.start()
    with news.listening(heard.append):
        try:
            await until(lambda: None in heard)
            yield news, heard
        finally:
            await news.stop()


async def test_a_commit_of_one_process_is_told_to_the_screens_of_all(fanout: FanOut) -> None:
    async with reporting(fanout) as (one, here), reporting(fanout) as (_, there):
        one.tell([event("store.order.confirmed")])
        notice = Notice("store.order.confirmed", "orders", "fashion", "o1")
        await until(lambda: frozenset({notice}) in there)
        assert here.count(frozenset({notice})) == 1, "its own news does not come back to it"


async def test_news_names_no_person(fanout: FanOut) -> None:
    async with reporting(fanout) as (one, _), Ear(fanout, "news") as wire, reporting(fanout) as (_, there):
        one.tell(
            [event("store.whatsapp.message.received", topic="whatsapp", subject="wamid.HBgLNTUxMTk4", data={"a": 1})]
        )
        await until(lambda: any(there) and any(wire.heard))
        said = b"".join(message or b"" for message in wire.heard)
        assert b"wamid" not in said
        assert b"store.whatsapp.message.received" in said


async def test_a_storm_of_commits_is_told_as_look_yourself() -> None:
    class Slow(LocalFanOut):
        async def publish(self, channel: str, message: bytes) -> None:
            await gate.wait()
            await super().publish(channel, message)

    gate, fanout = asyncio.Event(), Slow()
    async with reporting(fanout) as (one, _), reporting(fanout) as (_, there):
        there.clear()
        for number in range(5000):
            one.tell([event("store.order.confirmed", subject=f"o{number}")])
            await asyncio.sleep(0)
        gate.set()
        await until(lambda: None in there)
        assert len(there) <= 3


async def test_news_of_another_version_means_look_yourself(fanout: FanOut) -> None:
    async with reporting(fanout) as (_, heard):
        for message in (b"\xff", b"[]", b'{"from": "x", "news": [1]}', b'{"from": "x", "news": [["a"]]}'):
            heard.clear()
            await fanout.publish("news", message)
            await until(lambda: heard == [None])


# --- screens


class Ping(Event, type="store.screen.ping", topic="chat", subject="id"):
    id: str


@contextlib.asynccontextmanager
async def process(url: str, fanout: FanOut) -> AsyncGenerator[tuple[Runtime, News, httpx.AsyncClient]]:
    """A process of a store on PostgreSQL with the staff API."""
    runtime, news, auth = Runtime(PostgresStore(url), []), News(fanout), StaffAuth("secret")
    await runtime.start(watch=False)
    runtime.listeners.append(news.tell)
    await news.start()
    app, nothing = FastAPI(), cast(Any, None)
    app.include_router(staff_api(runtime, nothing, auth, nothing, news))
    headers = {"authorization": "Bearer secret"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://store", headers=headers, timeout=60
    ) as http:
        try:
            yield runtime, news, http
        finally:
            await news.stop()
            await runtime.stop()


async def seen(screen: httpx.AsyncClient, after: int, wait: int = 30) -> list[str]:
    answer = await screen.get("/api/events", params={"after": after, "wait": wait})
    return [one["data"]["id"] for one in answer.json()["events"]]


async def test_a_screen_hears_at_once_what_another_process_has_committed(postgres_url: str, redis: Redis) -> None:
    async with linked(redis) as link:
        fanout = RedisFanOut(link, NoMetrics(), prefix=f"test-{new_id()}:", poll=timedelta(minutes=1))
        async with process(postgres_url, fanout) as (worker, _, _), process(postgres_url, fanout) as (_, news, screen):
            looking = asyncio.create_task(seen(screen, 0))
            await until(lambda: news.watched)
            began = time.monotonic()
            await worker.publish(Ping(id="p1"))
            assert await looking == ["p1"]
            assert time.monotonic() - began < 5, "not by looking again: that would take a minute"


async def test_a_screen_looks_by_itself_while_redis_is_away(postgres_url: str) -> None:
    async with Redis() as server, linked(server, pause=timedelta(milliseconds=50)) as link:
        fanout = RedisFanOut(link, NoMetrics(), poll=timedelta(milliseconds=200))
        async with process(postgres_url, fanout) as (worker, _, _), process(postgres_url, fanout) as (_, news, screen):
            server.kill()
            looking = asyncio.create_task(seen(screen, 0))
            await until(lambda: news.watched)
            await worker.publish(Ping(id="p1"))
            assert await looking == ["p1"]


async def test_without_redis_a_screen_of_several_processes_looks_by_itself(postgres_url: str) -> None:
    fanout = NoFanOut(poll=timedelta(milliseconds=200))
    async with process(postgres_url, fanout) as (worker, _, _), process(postgres_url, fanout) as (_, news, screen):
        looking = asyncio.create_task(seen(screen, 0))
        await until(lambda: news.watched)
        await worker.publish(Ping(id="p1"))
        assert await looking == ["p1"]
        assert await seen(screen, 10_000, wait=0) == []


def test_too_many_says_whole_seconds() -> None:
    assert TooMany("slow down", timedelta(milliseconds=200)).retry_after == timedelta(seconds=1)
    assert TooMany("slow down", timedelta(seconds=2.1)).retry_after == timedelta(seconds=3)
    with pytest.raises(ValueError, match="not negative"):
        Rate(-1)
