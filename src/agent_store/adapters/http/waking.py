"""Sellers that scale to zero: a request is what makes Knative start the first pod, so one goes ahead of the turn."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

import structlog

from agent_store.adapters.bus.posting import Poster, Target
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.metrics import Metrics

_log = structlog.get_logger("agent_store.waking")

PAUSE = 10.0
"""Seconds in which an address is asked once."""
ANSWER = 30.0
"""Seconds that a start may take; the turn itself waits at the broker meanwhile, whatever comes of this."""


class Addresses(Protocol):
    """Where consumers are: `adapters.services.Services`."""

    def url_of_consumer(self, name: str, /) -> str | None: ...


class SellersByRequest:
    """See `agents.conversations.ports.Sellers`: `GET /healthz` at the brand's seller. Counted as `sellers_woken`, by whether it
    answered."""

    def __init__(self, addresses: Addresses, metrics: Metrics) -> None:
        self._addresses = addresses
        self._metrics = metrics
        self._poster = Poster()
        self._asked: dict[str, float] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self, brand: str) -> None:
        url = self._addresses.url_of_consumer(f"seller/{brand}")
        now = time.monotonic()
        if url is None or now < self._asked.get(url, -math.inf) + PAUSE:
            return
        self._asked[url] = now
        task = asyncio.create_task(self._ask(url))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _ask(self, url: str) -> None:
        try:
            async with asyncio.timeout(ANSWER):
                answer = await self._poster.get(Target.of(f"{url}/healthz"), b"")
            found = "yes" if answer.status < 500 else "no"
        except (OSError, TimeoutError, InvalidInput) as error:
            found = "no"
            _log.info("seller.not_woken", url=url, error=repr(error))
        self._metrics.count("sellers_woken", answered=found)

    async def close(self) -> None:
        self._poster.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
