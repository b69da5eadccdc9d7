"""The bus on RabbitMQ: events go to one exchange, each consumer has a durable queue, and nothing is acked before it is
recorded.

The broker promises at least once and little order; the kernel makes one effect and the order that is needed of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from aiormq.abc import AbstractConnection

from agent_store.adapters.bus.rabbitmq_intake import DeadTaker, EventTaker
from agent_store.adapters.bus.rabbitmq_link import Link, open_channel, reason
from agent_store.adapters.bus.rabbitmq_publisher import Publisher
from agent_store.adapters.bus.rabbitmq_session import Session, Take
from agent_store.adapters.bus.rabbitmq_topology import Topology
from agent_store.kernel.bus import Intake, KeepDead
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics, NoMetrics
from agent_store.kernel.signing import Signer


@dataclass(slots=True)
class _Tap:
    """What takes in from one queue, over all its sessions."""

    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    session: Session | None = None
    serving: asyncio.Task[None] | None = None
    ready: bool = False
    closed: bool = False


class RabbitMqBus:
    """Implements `kernel.bus.Bus`."""

    def __init__(
        self,
        url: str,
        *,
        signer: Signer,
        prefix: str = "agent-store",
        prefetch: int = 200,
        confirm_timeout: timedelta = timedelta(seconds=10),
        connect_timeout: timedelta = timedelta(seconds=10),
        ssl_context: ssl.SSLContext | None = None,
        name: str = "agent-store",
        breakages: int = 20,
        dead: KeepDead | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """`url`: amqp://user:password@host:port/vhost, or amqps:// (`?cafile=…&certfile=…&keyfile=…`, or `ssl_context`).

        `prefetch`: messages that a consumer holds at once. `name`: what the broker's management shows.
        `dead`: takes in what lands on the dead-letter queue; for the one process that keeps it.
        `breakages`: deliveries after which a message on which our own program breaks (neither TemporaryError nor a dead
        letter of the inbox: a mistake) goes to the dead letters. Raises ValueError for an address that is none.
        """
        patience = self._patience = connect_timeout.total_seconds()
        self.topology = Topology(prefix)
        self._signer = signer
        self._prefetch = prefetch
        self._breakages = breakages
        self._dead = dead
        self._clock = clock or SystemClock()
        self._metrics = metrics or NoMetrics()
        # Two connections: a broker that is short of memory stops the one that publishes, and only that.
        self._out = Link(url, name=f"{name} out", context=ssl_context, patience=patience)
        self._in = Link(url, name=f"{name} in", context=ssl_context, patience=patience)
        self._publisher = Publisher(
            self._out, self.topology, signer, patience=confirm_timeout.total_seconds(), metrics=self._metrics
        )
        self._intake: Intake | None = None
        self._taps: dict[str, _Tap] = {}
        self._draining = False

    @property
    def connected(self) -> bool:
        """True while there is a connection to publish on."""
        return self._out.up

    @property
    def ready(self) -> bool:
        """True while it can publish and takes in for all its consumers."""
        return self._publisher.ready and all(tap.ready for tap in self._taps.values())

    @property
    def listening(self) -> bool:
        return all(tap.ready for tap in self._taps.values())

    @property
    def healthy(self) -> bool:
        """False after a mistake of ours has ended a piece of work: only a restart brings it back."""
        return self._out.healthy and self._in.healthy

    async def start(self, intake: Intake, consumers: Sequence[Consumer]) -> None:
        self._intake = intake
        self._out.start()
        self._out.serve("publisher", self._publisher.serve)
        for consumer in consumers:
            await self.add(consumer)
        if self._dead is not None:
            taker = DeadTaker(self._dead, topology=self.topology, signer=self._signer, clock=self._clock)
            self._open(self.topology.dead, None, lambda _: taker.take)

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        return await self._publisher.publish(events)

    async def redeliver(self, consumer: str, event: Envelope) -> bool:
        """False also when the consumer has no queue yet: it has never run."""
        return await self._publisher.redeliver(self.topology.queue(consumer), event)

    async def add(self, consumer: Consumer) -> None:
        intake = self._intake
        if intake is None:
            raise RuntimeError("start the bus before a consumer is added to it")
        if consumer.name in self._taps or self._draining:
            return

        def taker(connection: AbstractConnection) -> Take:
            return EventTaker(
                consumer, intake, connection, topology=self.topology, signer=self._signer, clock=self._clock,
                metrics=self._metrics,
            ).take  # fmt: skip

        self._open(consumer.name, consumer, taker)

    async def remove(self, name: str) -> None:
        """Its queue stays: what waits there is for the processes that run this consumer."""
        tap = self._taps.pop(name, None)
        if tap is not None:
            await _close(tap)

    async def drain(self) -> None:
        self._draining = True
        await asyncio.gather(*[_close(tap) for tap in self._taps.values()])
        self._taps.clear()

    async def stop(self) -> None:
        await self.drain()
        await asyncio.gather(self._in.stop(), self._out.stop())

    def _open(self, name: str, consumer: Consumer | None, taker: Callable[[AbstractConnection], Take]) -> None:
        """Take in from a consumer's queue, or (None) from the dead letters'."""
        tap = self._taps[name] = _Tap()

        async def serve(connection: AbstractConnection) -> None:
            async with asyncio.timeout(self._patience):
                if consumer is None:
                    queue = self.topology.dead
                    await self.topology.declare_dead(connection)
                else:
                    queue = self.topology.queue(name)
                    await self.topology.declare_queue(connection, name)
                channel = await open_channel(connection)
            session = tap.session = Session(
                channel, name, taker(connection), tap.tasks, self._metrics, breakages=self._breakages
            )
            try:
                if tap.closed:
                    return
                async with asyncio.timeout(self._patience):
                    await session.begin(queue, self._prefetch)
                    if consumer is not None:  # after it is consumed from: see EventTaker
                        await self.topology.bind(connection, consumer)
                tap.ready = True
                await session.run()
            finally:
                tap.ready = False
                await session.end()
            raise ConnectionError(reason(channel) or "the broker has cancelled the consumer")

        self._in.start()
        tap.serving = self._in.serve(name, serve)


async def _close(tap: _Tap) -> None:
    tap.closed = True
    if tap.session is not None:
        await tap.session.leave()
    while tap.tasks:
        await asyncio.wait(tap.tasks)
    if tap.serving is not None:
        tap.serving.cancel()
        await asyncio.gather(tap.serving, return_exceptions=True)
