"""Rate limits counted in Redis, for all processes together; without Redis everything is allowed, and counted as such."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from agent_store.adapters.redis.link import Away, RedisLink
from agent_store.kernel.limits import ALLOWED, Verdict
from agent_store.kernel.metrics import Metrics

UNAVAILABLE = "rate_limiter_unavailable"

_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost, limit, per, force = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local full_at = tonumber(redis.call('GET', KEYS[1]) or 0)
full_at = math.max(now, math.min(full_at, now + 2 * per))
local asked = cost
if cost == 0 then asked = 1 end
local over = full_at + asked * per / limit - now - per
if over > per / 1000000 and not force then return math.ceil(over) end
if cost > 0 then
  full_at = full_at + cost * per / limit
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
end
return 0
"""
"""In microseconds of the server's clock (which may be set back: so no bucket is further away than two times its limit). KEYS[1]: the bucket, which holds when it is full again and goes then; ARGV: cost, limit,
per, and 1 to count past the limit. Answers 0, or how long until it would be allowed."""


class RedisRateLimiter:
    """See `kernel.limits.RateLimiter`. One round trip a question. Keys are `<prefix>limit:<key>`."""

    def __init__(self, link: RedisLink, metrics: Metrics, *, prefix: str = "agent-store:") -> None:
        self._link = link
        self._metrics = metrics
        self._prefix = f"{prefix}limit:"
        self._digest = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

    async def take(self, key: str, cost: int = 1, *, limit: int, per: timedelta) -> Verdict:
        wait = await self._run(key, cost, limit, per, force=False)
        return ALLOWED if wait <= 0 else Verdict(allowed=False, retry_after=timedelta(microseconds=wait))

    async def spend(self, key: str, cost: int, *, limit: int, per: timedelta) -> None:
        await self._run(key, cost, limit, per, force=True)

    async def _run(self, key: str, cost: int, limit: int, per: timedelta, *, force: bool) -> int:
        arguments = (f"{self._prefix}{key}", cost, limit, per // timedelta(microseconds=1), int(force))

        async def ask(redis: Redis) -> int:
            try:
                return cast(int, await redis.evalsha(self._digest, 1, *arguments))  # pyright: ignore
            except NoScriptError:  # a server that has just been started
                return cast(int, await redis.eval(_SCRIPT, 1, *arguments))  # pyright: ignore

        try:
            return await self._link.ask(ask)
        except Away:
            self._metrics.count(UNAVAILABLE)
            return 0
