"""What stands on the broker: one exchange for events, a queue a consumer, one exchange and queue for dead letters.

    <prefix>.events (topic) ──<brand>.<type>──▶ <prefix>.<consumer> (quorum) ──refused──▶ <prefix>.dead (fanout) ──▶ <prefix>.dead

Everything is durable and declared by whoever needs it; declaring again what is there changes nothing.

The routing key says what a headers exchange would look at (`brand` and `type`). A headers exchange tries every binding
for every message: with the 300 bindings of a whole store that was four times slower than the tree of a topic exchange.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from aio_pika.exceptions import ChannelPreconditionFailed
from aiormq.abc import AbstractChannel, AbstractConnection, ArgumentsType

from agent_store.adapters.bus.rabbitmq_link import open_channel, ours
from agent_store.kernel.consumer import Consumer

_PREFIX = re.compile(r"[A-Za-z0-9\-_.:@/]{1,60}")
_ODD = re.compile(r"[^A-Za-z0-9\-_.:@/]+")  # what the driver takes in no name, and our mark for it
_MARKED = re.compile(r"(?:\+[0-9A-F]{2})+")
_NO_BRAND = "-"
_ESCAPES = {ord("%"): "%25", ord("."): "%2E", ord("*"): "%2A", ord("#"): "%23"}


@lru_cache(maxsize=1024)
def _word(brand: str | None) -> str:
    """A brand as one word of a routing key."""
    if not brand:
        return _NO_BRAND
    return "%2D" if brand == _NO_BRAND else brand.translate(_ESCAPES)


def routing_key(type: str, brand: str | None) -> str:
    return f"{_word(brand)}.{type}"


def binding_key(type: str, brand: str | None) -> str:
    """What a consumer of this brand (None: of all, and of events without one) binds for an event type."""
    return f"{_word(brand) if brand else '*'}.{type}"


class Topology:
    """The names, and how they are declared. `prefix` keeps several stores on one broker apart."""

    def __init__(self, prefix: str) -> None:
        """Raises ValueError for a prefix that is no name."""
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("the bus's prefix is 1 to 60 letters, digits or - _ . : @ /")
        self.events = f"{prefix}.events"
        self.dead = f"{prefix}.dead"
        self._prefix = f"{prefix}."

    def queue(self, consumer: str) -> str:
        return self._prefix + _ODD.sub(lambda odd: "".join(f"+{byte:02X}" for byte in odd[0].encode()), consumer)

    def consumer(self, queue: str) -> str | None:
        """Whose queue it is, by its name."""
        if not queue.startswith(self._prefix) or queue == self.dead:
            return None
        return _MARKED.sub(
            lambda marked: bytes.fromhex(marked[0].replace("+", "")).decode(), queue[len(self._prefix) :]
        )

    @staticmethod
    def bindings(consumer: Consumer) -> Sequence[str]:
        """Schedules tick for a whole agent, never for one brand of it."""
        types = list(consumer.agent.subscriptions)
        if consumer.brand is None:
            types += consumer.agent.ticks
        return [binding_key(type, consumer.brand) for type in types]

    async def declare_exchanges(self, channel: AbstractChannel) -> None:
        await channel.exchange_declare(self.events, exchange_type="topic", durable=True)
        await channel.exchange_declare(self.dead, exchange_type="fanout", durable=True)

    async def declare_dead(self, connection: AbstractConnection) -> None:
        channel = await open_channel(connection)
        await self.declare_exchanges(channel)
        await ours(channel.close())
        await _declare_queue(connection, self.dead, {"x-queue-type": "quorum"})
        channel = await open_channel(connection)
        await channel.queue_bind(self.dead, self.dead)
        await ours(channel.close())

    async def declare_queue(self, connection: AbstractConnection, consumer: str) -> None:
        """The consumer's queue, with somewhere to put what it refuses. At-least-once dead-lettering needs an overflow
        that rejects; no length is set, so nothing is ever rejected for it."""
        await self.declare_dead(connection)
        await _declare_queue(
            connection,
            self.queue(consumer),
            {
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": self.dead,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )

    async def bind(self, connection: AbstractConnection, consumer: Consumer) -> None:
        channel = await open_channel(connection)
        for key in self.bindings(consumer):
            await channel.queue_bind(self.queue(consumer.name), self.events, routing_key=key)
        await ours(channel.close())


async def _declare_queue(connection: AbstractConnection, name: str, arguments: ArgumentsType) -> None:
    """From 4.0 on RabbitMQ drops (or dead-letters) a message that comes back 20 times, and a crash counts for all that
    its process held: attempts are counted in the inbox, so there the limit is taken away. A queue that an older broker
    made has no such argument and refuses it; then the operator's policy decides (`delivery-limit: -1`)."""
    variants = [arguments]
    if _major(connection) >= 4:
        variants.insert(0, {**arguments, "x-delivery-limit": -1})
    for variant in variants:
        channel = await open_channel(connection)
        try:
            await channel.queue_declare(name, durable=True, arguments=variant)
        except ChannelPreconditionFailed:
            if variant is variants[-1]:
                raise
        else:
            await ours(channel.close())
            return


def _major(connection: AbstractConnection) -> int:
    version = connection.server_properties.get("version")
    digits = str(version).partition(".")[0]
    return int(digits) if digits.isdigit() else 0
