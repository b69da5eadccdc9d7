"""What a process shares with the others for a while: counts of rate limits, and news for live screens.

On Redis when one is set; else in this process, which is right for a store that is one process.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agent_store.adapters.fanout import LocalFanOut, NoFanOut
from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.http.limits import ApiLimit
from agent_store.adapters.limits import LocalRateLimiter
from agent_store.entrypoints.settings import Settings
from agent_store.kernel.limits import UNLIMITED, Rate, RateLimiter
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.news import FanOut, News
from agent_store.kernel.runtime import Runtime

if TYPE_CHECKING:
    from fastapi import params

    from agent_store.adapters.redis.link import RedisLink

_DAY = timedelta(days=1)


def webhook_rates(settings: Settings) -> dict[str, Any]:
    """The limits of `WhatsAppSettings`, by its fields."""
    return {
        "source_rate": Rate(settings.webhook_source_limit),
        "number_rate": Rate(settings.webhook_number_limit),
        "customer_rate": Rate(settings.customer_messages_limit),
    }


def send_rates(settings: Settings) -> dict[str, Any]:
    """The limits of what goes out, by the fields of `WhatsAppSettings`."""
    burst, pause = settings.whatsapp_pair_burst, settings.whatsapp_pair_pause
    return {
        "send_rate": Rate(settings.whatsapp_rate, timedelta(seconds=1)),
        "marketing_share": settings.whatsapp_marketing_share / 100,
        "pair_rate": Rate(burst, burst * pause) if burst and pause else UNLIMITED,
    }


def token_rates(settings: Settings) -> dict[str, Any]:
    """The limits of `SellerSettings`, by its fields."""
    return {
        "brand_tokens": Rate(settings.brand_tokens_limit, _DAY),
        "customer_tokens": Rate(settings.customer_tokens_limit, _DAY),
    }


class Shared:
    """`limiter` and `news` of a process. `ports()` go into its runtime; `start` and `close` once."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._api = Rate(settings.api_limit)
        self._link: RedisLink | None = None
        self.limiter: RateLimiter
        fanout: FanOut
        if settings.redis_url:
            from agent_store.adapters.redis.fanout import RedisFanOut
            from agent_store.adapters.redis.limits import RedisRateLimiter
            from agent_store.adapters.redis.link import RedisLink

            self._link = RedisLink(settings.redis_url, timeout=settings.redis_timeout)
            prefix = f"{settings.redis_prefix}:"
            self.limiter = RedisRateLimiter(self._link, metrics, prefix=prefix)
            fanout = RedisFanOut(self._link, metrics, prefix=prefix)
        else:
            self.limiter = LocalRateLimiter()
            fanout = NoFanOut() if settings.bus or settings.database_url else LocalFanOut()
        self.news = News(fanout)

    def ports(self) -> dict[type[Any], object]:
        return {RateLimiter: self.limiter}

    def api_limit(self, auth: StaffAuth) -> list[params.Depends]:
        """`dependencies` for the routers of the API."""
        from fastapi import Depends

        return [Depends(ApiLimit(self.limiter, self._api, auth))]

    async def start(self, runtime: Runtime) -> None:
        runtime.listeners.append(self.news.tell)
        await self.news.start()

    async def close(self) -> None:
        await self.news.stop()
        if self._link is not None:
            await self._link.close()
