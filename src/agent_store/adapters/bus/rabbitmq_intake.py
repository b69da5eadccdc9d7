"""From a message on a queue to the inbox, or to whoever keeps dead letters."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from aiormq.abc import AbstractConnection, DeliveredMessage

from agent_store.adapters.bus import amqp
from agent_store.adapters.bus.rabbitmq_link import TROUBLE, close, open_channel, ours
from agent_store.adapters.bus.rabbitmq_session import Verdict, deliveries
from agent_store.adapters.bus.rabbitmq_topology import Topology, binding_key
from agent_store.kernel.bus import DeadDelivery, Intake, KeepDead
from agent_store.kernel.clock import Clock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import BadEvent, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.signing import BadSignature, Signer

_log = structlog.get_logger("agent_store.rabbitmq")

UNHEARD_TRIES = 5
"""Deliveries after which an event that this process does not hear is forgotten although others share the queue."""

UNHEARD_HOLD = timedelta(seconds=1)
LOOK_AGAIN = 5.0
"""Seconds for which a look at who shares the queue is believed."""


def read(message: DeliveredMessage, *, now: datetime) -> Envelope:
    """Raises BadEvent."""
    properties = message.header.properties
    return amqp.from_message(
        properties.headers, properties.content_type, message.body,
        now=now, content_encoding=properties.content_encoding,
    )  # fmt: skip


class EventTaker:
    """Hands the events of one consumer's queue to the intake, over one connection.

    An event that the consumer does not hear comes from a binding of another version of it, or of nobody any more. While
    others share the queue, a newer version may be among them: it goes back, some times. When this process is alone with
    the queue the binding is a stale one, and is taken away. That needs no list of what was ever bound, and an old
    process cannot take a binding from a new one: who starts consumes first and binds then, and who unbinds looks again
    afterwards. A binding too many does no harm, one too few loses events.
    """

    def __init__(
        self, consumer: Consumer, intake: Intake, connection: AbstractConnection, *, topology: Topology, signer: Signer,
        clock: Clock, metrics: Metrics,
    ) -> None:  # fmt: skip
        self._consumer = consumer
        self._intake = intake
        self._connection = connection
        self._topology = topology
        self._signer = signer
        self._clock = clock
        self._metrics = metrics
        self._looking = asyncio.Lock()
        self._looked = float("-inf")
        self._alone = False

    async def take(self, message: DeliveredMessage) -> Verdict:
        try:
            event = read(message, now=self._clock.now())
            self._signer.check(event)
        except (BadEvent, BadSignature) as error:
            self._metrics.count("bus_refused", consumer=self._consumer.name, code=error.code)
            _log.warning("bus.message_refused", consumer=self._consumer.name, code=error.code, error=error.message)
            return "reject"
        if self._consumer.subscription(event) is None:
            await self._unheard(event, deliveries(message))
        else:
            await self._intake.receive(event, consumer=self._consumer.name, until="recorded")
        return "ack"

    async def _unheard(self, event: Envelope, times: int) -> None:
        """Returns when it may be forgotten. Raises TemporaryError when another process may hear it."""
        try:
            async with self._looking:
                alone = await self._is_alone()
                if alone and not self._hears(event.type):
                    await self._unbind(event.type)
        except TROUBLE as error:
            raise TemporaryError("the broker does not say who else hears this", code="bus") from error
        if not alone and times < UNHEARD_TRIES:
            raise TemporaryError(
                "another version of this consumer may hear it", code="unheard", retry_after=UNHEARD_HOLD
            )
        self._metrics.count("bus_unheard", consumer=self._consumer.name)

    def _hears(self, type: str) -> bool:
        agent = self._consumer.agent
        return type in agent.subscriptions or type in agent.ticks

    async def _is_alone(self, *, anew: bool = False) -> bool:
        now = asyncio.get_running_loop().time()
        if anew or now - self._looked > LOOK_AGAIN:
            channel = await open_channel(self._connection)
            try:
                async with asyncio.timeout(LOOK_AGAIN):
                    queue = self._topology.queue(self._consumer.name)
                    answer = await channel.queue_declare(queue, passive=True)
            finally:
                await close(channel)
            self._alone = (answer.consumer_count or 0) <= 1
            self._looked = now
        return self._alone

    async def _unbind(self, type: str) -> None:
        queue, key = self._topology.queue(self._consumer.name), binding_key(type, self._consumer.brand)

        async def change() -> None:
            channel = await open_channel(self._connection)
            try:
                await channel.queue_unbind(queue, self._topology.events, routing_key=key)
                if not await self._is_alone(anew=True):
                    await channel.queue_bind(queue, self._topology.events, routing_key=key)
            finally:
                await close(channel)

        async with asyncio.timeout(LOOK_AGAIN):
            await ours(change())
        _log.info("bus.unbound", consumer=self._consumer.name, type=type)


class DeadTaker:
    """Hands what lands on the dead-letter queue to its keeper. An event that was not signed, or changed, is none."""

    def __init__(self, keep: KeepDead, *, topology: Topology, signer: Signer, clock: Clock) -> None:
        self._keep = keep
        self._topology = topology
        self._signer = signer
        self._clock = clock

    async def take(self, message: DeliveredMessage) -> Verdict:
        headers = cast("dict[str, Any]", message.header.properties.headers or {})
        death = headers.get("x-first-death-reason") or "published there"
        event: Envelope | None = None
        try:
            event = read(message, now=self._clock.now())
            self._signer.check(event)
            reason = f"the broker put it aside: {death}"
        except (BadEvent, BadSignature) as problem:
            event, reason = None, f"{problem.code}: {problem.message}"
        consumer = self._topology.consumer(str(headers.get("x-first-death-queue") or ""))
        await self._keep(
            DeadDelivery(
                event, reason, message.body, amqp.http_headers(headers, message.header.properties.content_type),
                consumers=(consumer,) if consumer else (),
            )
        )  # fmt: skip
        return "ack"
