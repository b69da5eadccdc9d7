"""The connection to Redis, and how the store goes on without it.

Redis holds nothing here that may not be lost. So a question has a short deadline, and when one has failed nobody asks
for a moment: then one does, alone, and the others follow when it has got its answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agent_store.kernel.errors import TemporaryError

T = TypeVar("T")
_log = structlog.get_logger("agent_store.redis")


class Away(TemporaryError):
    """Redis has not answered in time, or did not just before."""

    code = "redis-away"


class RedisLink:
    """One pool a process. `timeout` is for a whole question with connecting and waiting for a free connection; after a
    failure `pause` goes by without one. `redis://` and `rediss://` (TLS) addresses, with user, password and database.

    `listening` is for subscriptions, a connection each: nobody waits for them, so they have `patience`, also while a
    process that starts is too busy to connect within a question's time.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta = timedelta(milliseconds=100),
        pause: timedelta = timedelta(seconds=1),
        patience: timedelta = timedelta(seconds=3),
        connections: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = timeout.total_seconds()
        self._pause = pause.total_seconds()
        self._clock = clock
        self._closed_until: float | None = None
        self._trying = False
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            max_connections=connections,
            timeout=self._timeout,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self.client = Redis(connection_pool=pool)
        self.listening: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            socket_timeout=patience.total_seconds(),
            socket_connect_timeout=patience.total_seconds(),
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self.pool = pool

    @property
    def connected(self) -> bool:
        """Has the last question been answered?"""
        return self._closed_until is None

    async def ask(self, question: Callable[[Redis], Awaitable[T]]) -> T:
        """The answer, or `Away` within `timeout`; at once while Redis is known to be away."""
        if self._closed_until is not None:
            if self._trying or self._clock() < self._closed_until:
                raise Away("Redis is away; it is asked again in a moment")
            self._trying = True
        try:
            async with asyncio.timeout(self._timeout):
                answer = await question(self.client)
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            raise Away(f"Redis has not answered: {error!r}") from error
        finally:
            self._trying = False
        if self._closed_until is not None:
            self._closed_until = None
            _log.info("redis.back")
        return answer

    def _failed(self, error: Exception) -> None:
        if self._closed_until is None:
            _log.warning("redis.away", error=repr(error))
        self._closed_until = self._clock() + self._pause

    async def close(self) -> None:
        await self.client.aclose()
        await self.listening.aclose()
        await self.pool.disconnect()
