"""Fan-out by Redis pub/sub: screens hear of what another process has committed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import structlog
from redis.exceptions import RedisError

from agent_store.adapters.redis.link import Away, RedisLink
from agent_store.kernel.metrics import Metrics

UNAVAILABLE = "fan_out_unavailable"
_log = structlog.get_logger("agent_store.redis")


class RedisFanOut:
    """See `kernel.news.FanOut`. A subscription has a connection of its own.

    Silence for `poll` is looked into with a PING; without an answer within the same time, the connection is made anew.
    While there is none, None comes every `poll`: how often screens look for themselves when Redis is away.
    """

    def __init__(
        self,
        link: RedisLink,
        metrics: Metrics,
        *,
        prefix: str = "agent-store:",
        poll: timedelta = timedelta(seconds=3),
    ) -> None:
        self._link = link
        self._metrics = metrics
        self._prefix = f"{prefix}news:"
        self._poll = poll.total_seconds()

    async def publish(self, channel: str, message: bytes) -> None:
        try:
            await self._link.ask(
                lambda redis: redis.publish(f"{self._prefix}{channel}", message)  # pyright: ignore[reportUnknownMemberType]
            )
        except Away:
            self._metrics.count(UNAVAILABLE)

    async def subscribe(self, channel: str) -> AsyncGenerator[bytes | None]:
        loop = asyncio.get_running_loop()
        away = False
        while True:
            began = loop.time()
            try:
                async with contextlib.aclosing(self._listen(channel)) as messages:
                    async for message in messages:
                        away = False
                        yield message
            except (RedisError, OSError, TimeoutError) as error:
                if not away:
                    _log.warning("redis.subscription_lost", channel=channel, error=repr(error))
                away = True
            # Not more often than every `poll` seconds; right away after a connection that lasted.
            await asyncio.sleep(max(0.0, self._poll - (loop.time() - began)))
            yield None

    async def _listen(self, channel: str) -> AsyncGenerator[bytes | None]:
        """Messages of one connection until it breaks: then RedisError, OSError or TimeoutError."""
        pubsub = self._link.listening.pubsub()  # pyright: ignore[reportUnknownMemberType]
        try:
            async with asyncio.timeout(self._poll):
                await pubsub.subscribe(f"{self._prefix}{channel}")  # pyright: ignore[reportUnknownMemberType]
            asked = False
            while True:
                got: dict[str, Any] | None = await pubsub.get_message(timeout=self._poll)  # pyright: ignore
                if got is None:
                    if asked:
                        raise TimeoutError(f"no answer to a PING in {self._poll:g} s")
                    async with asyncio.timeout(self._poll):
                        await pubsub.ping()  # pyright: ignore[reportUnknownMemberType]
                    asked = True
                    continue
                asked = False
                if got["type"] == "message":
                    yield got["data"]
                elif got["type"] == "subscribe":
                    yield None  # from here on nothing is missed
        finally:
            await pubsub.aclose()  # pyright: ignore[reportUnknownMemberType]
