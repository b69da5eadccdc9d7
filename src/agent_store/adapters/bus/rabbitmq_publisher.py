"""Sends events and waits for the broker's word that they are durable: many under way at once, each bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aio_pika.exceptions import DeliveryError
from aiormq import spec
from aiormq.abc import AbstractConnection
from aiormq.channel import Channel

from agent_store.adapters.bus import amqp
from agent_store.adapters.bus.rabbitmq_link import TROUBLE, Link, close, closing, open_channel, reason
from agent_store.adapters.bus.rabbitmq_topology import Topology, routing_key
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.signing import ATTRIBUTE, Signer

_log = structlog.get_logger("agent_store.rabbitmq")

LARGEST_BODY = 16 * 2**20
"""Bytes. A broker closes the channel, with all that is under way on it, over a message that is too long for it."""

LARGEST_HEAD = 96 * 2**10
"""Bytes of all attributes: they must fit into one frame (128 KiB), or the broker closes the connection."""

WINDOW = 1000
"""Messages under way at most: what is lost with a connection, and what waits in a buffer while a broker is stuck."""


class Unsendable(Exception):
    """This event breaks a limit of the protocol: it stays in the outbox, and somebody must look."""


class Publisher:
    """On one link: a channel for what is routed, one for what goes to a queue directly."""

    def __init__(self, link: Link, topology: Topology, signer: Signer, *, patience: float, metrics: Metrics) -> None:
        """`patience`: seconds until an event that is not confirmed counts as not sent."""
        self._link = link
        self._topology = topology
        self._signer = signer
        self._patience = patience
        self._metrics = metrics
        self._routed: Channel | None = None
        self._direct: Channel | None = None
        self._ready = asyncio.Event()
        self._room = asyncio.Semaphore(WINDOW)
        self._heard = 0.0

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    async def serve(self, connection: AbstractConnection) -> None:
        """What a link runs: until one of the channels is lost."""
        async with asyncio.timeout(self._patience):
            routed = await open_channel(connection, confirms=True)
            direct = await open_channel(connection, confirms=True)
            await self._topology.declare_exchanges(routed)
        try:
            self._routed, self._direct = routed, direct
            self._ready.set()
            await asyncio.wait([closing(routed), closing(direct)], return_when=asyncio.FIRST_COMPLETED)
            raise ConnectionError(f"the publishing channel was closed: {reason(routed) or reason(direct)}")
        finally:
            self._ready.clear()
            self._routed = self._direct = None
            await close(routed)
            await close(direct)

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        return await self._all([(event, self._topology.events, None) for event in events])

    async def redeliver(self, queue: str, event: Envelope) -> bool:
        return (await self._all([(event, "", queue)]))[0]

    async def _all(self, messages: Sequence[tuple[Envelope, str, str | None]]) -> list[bool]:
        if not messages:
            return []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        if not await self._connected(deadline):
            self._metrics.count("bus_unconfirmed", len(messages), reason="away")
            return [False] * len(messages)
        began = loop.time()
        tasks = [asyncio.create_task(self._send(*message)) for message in messages]
        try:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - loop.time()))
            late = sum(not task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
        results = [task.done() and not task.cancelled() and task.result() for task in tasks]
        if late:
            self._metrics.count("bus_unconfirmed", late, reason="late")
            _log.warning("bus.unconfirmed", events=late, seconds=self._patience)
            if self._heard < began:  # no confirm for as long as this: not slow, but stuck
                self._link.reset(f"no confirm for {self._patience:g} s")
        return results

    async def _connected(self, deadline: float) -> bool:
        """At once when the broker is known to be away; only the very first connecting is waited for."""
        if self._ready.is_set():
            return True
        if self._link.tried.is_set() and not self._link.up:
            return False
        try:
            async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + 1.0)):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    async def _send(self, event: Envelope, exchange: str, queue: str | None) -> bool:
        try:
            body, key, properties = self._message(event)
        except Unsendable as error:
            self._metrics.count("bus_unsendable", type=event.type)
            _log.error("bus.unsendable", id=event.id, type=event.type, error=str(error))
            return False
        async with self._room:
            channel = self._routed if queue is None else self._direct
            if channel is None:
                return False
            if queue is not None:
                # The driver finds what comes back by its message id, and one event may go to several queues.
                properties.message_id = None
            try:
                answer = await channel.basic_publish(
                    body, exchange=exchange, routing_key=queue or key, properties=properties,
                    mandatory=queue is not None, wait=False,
                )  # fmt: skip
            except DeliveryError as error:
                self._heard = asyncio.get_running_loop().time()
                self._metrics.count("bus_unconfirmed", reason="refused")
                _log.warning("bus.refused", id=event.id, type=event.type, queue=queue, error=str(error))
                return False
            except TROUBLE:
                self._metrics.count("bus_unconfirmed", reason="lost")
                return False
            self._heard = asyncio.get_running_loop().time()
            return isinstance(answer, spec.Basic.Ack)

    def _message(self, event: Envelope) -> tuple[bytes, str, spec.Basic.Properties]:
        headers, content_type = amqp.to_binary(event)
        headers[amqp.PREFIX + ATTRIBUTE] = self._signer.signature(event)
        if event.traceparent is not None:
            headers["traceparent"] = event.traceparent  # for tools that know nothing of CloudEvents
        key = routing_key(event.type, event.brand)
        try:
            size = sum(map(len, headers)) + sum(len(value.encode()) + 6 for value in headers.values())
            if len(key.encode()) > 255:
                raise Unsendable("type and brand are longer than a routing key may be (255 bytes)")
        except UnicodeEncodeError as error:
            raise Unsendable(f"an attribute is no Unicode text: {error}") from error
        if size > LARGEST_HEAD:
            raise Unsendable(f"{size} bytes of attributes, at most {LARGEST_HEAD}")
        if len(event.data) > LARGEST_BODY:
            raise Unsendable(f"{len(event.data)} bytes of data, at most {LARGEST_BODY}")
        properties = spec.Basic.Properties(
            content_type=content_type,
            content_encoding="utf-8" if content_type == "application/json" else None,
            headers=headers,  # type: ignore[arg-type]  # a dict is invariant
            delivery_mode=2,
            message_id=event.id if len(event.id) <= 63 else None,
        )
        return event.data, key, properties
