"""What the gateway limits, before anything is written: asked outside of any transaction."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import WhatsAppSettings
from agent_store.kernel.limits import RateLimiter, TooMany, allowed


class Limits:
    """Refuses deliveries that come too fast, and marks the messages of customers who write too fast.

    A refused delivery is answered 429 and not taken, so the platform keeps it and comes again; a message that was taken
    is never dropped.
    """

    def __init__(self, limiter: RateLimiter, settings: WhatsAppSettings) -> None:
        self._limiter = limiter
        self._source, self._number, self._customer = settings.source_rate, settings.number_rate, settings.customer_rate
        self._key = hashlib.blake2b(settings.app_secret.encode()).digest()

    async def source(self, scope: MutableMapping[str, Any]) -> None:
        """Raises TooMany for an address that has sent too many requests, before its body is read."""
        client = scope.get("client")
        if not self._source.limit or client is None:
            return
        verdict = await allowed(self._limiter, f"webhook:source:{self._hidden(client[0])}", self._source)
        if not verdict.allowed:
            raise TooMany("too many requests from this address: deliver it again later", verdict.retry_after)

    async def numbers(self, delivery: Delivery) -> None:
        """Raises TooMany when one of the shop's numbers has been delivered for too often."""
        if not self._number.limit:
            return
        for number in sorted(set(delivery.numbers())):
            verdict = await allowed(self._limiter, f"webhook:number:{number}", self._number)
            if not verdict.allowed:
                raise TooMany("too many deliveries for this number: deliver it again later", verdict.retry_after)

    async def customers(self, delivery: Delivery) -> None:
        """Marks the messages of those who have written more than their limit."""
        if not self._customer.limit:
            return
        for sender, count in Counter(message.sender for message in delivery.messages if message.sender).items():
            verdict = await allowed(self._limiter, f"webhook:customer:{self._hidden(sender)}", self._customer, count)
            if not verdict.allowed:
                for message in delivery.messages:
                    message.hasty |= message.sender == sender

    def _hidden(self, value: str) -> str:
        """Phone numbers and addresses stand nowhere but in the database: a keyed hash tells them apart as well."""
        return hashlib.blake2b(value.encode(), digest_size=12, key=self._key).hexdigest()
