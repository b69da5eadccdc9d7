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
from agent_store.adapters.bus.rabbitmq_pipeline import Outgoing, Pipeline, properties
from agent_store.adapters.bus.rabbitmq_topology import Topology, routing_key
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.signing import ATTRIBUTE, Signer

_log = structlog.get_logger("agent_store.rabbitmq")

LARGEST_BODY = 16 * 2**20
"""Bytes. A broker closes the channel, with all that is under way on it, over a message that is too long for it."""

LARGEST_HEAD = 96 * 2**10
"""Bytes of all attributes: they must fit into one frame (128 KiB), or the broker closes the connection."""

_LONGEST_ID = 63  # characters, of four bytes at most: a message id has 255 bytes
_SIGNATURE = amqp.PREFIX + ATTRIBUTE


class Publisher:
    """On one link: a channel for what is routed, one for what goes to a queue directly."""

    def __init__(self, link: Link, topology: Topology, signer: Signer, *, patience: float, metrics: Metrics) -> None:
        """`patience`: seconds until an event that is not confirmed counts as not sent."""
        self._link = link
        self._topology = topology
        self._signer = signer
        self._patience = patience
        self._metrics = metrics
        self._pipeline: Pipeline | None = None
        self._direct: Channel | None = None
        self._ready = asyncio.Event()

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
            self._pipeline, self._direct = Pipeline(routed), direct
            self._ready.set()
            await asyncio.wait([closing(routed), closing(direct)], return_when=asyncio.FIRST_COMPLETED)
            raise ConnectionError(f"the publishing channel was closed: {reason(routed) or reason(direct)}")
        finally:
            self._ready.clear()
            self._pipeline = self._direct = None
            await asyncio.gather(close(routed), close(direct))

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        """See `kernel.bus.Bus`."""
        results = [False] * len(events)
        if not events:
            return results
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        if not await self._connected(deadline) or (pipeline := self._pipeline) is None:
            self._metrics.count("bus_unconfirmed", len(events), reason="away")
            return results
        places: list[int] = []
        messages: list[Outgoing] = []
        for place, event in enumerate(events):
            message = self._routed_message(event)
            if message is not None:
                places.append(place)
                messages.append(message)
        if not messages:
            return results
        confirmed = [False] * len(messages)
        began = loop.time()
        sending = asyncio.ensure_future(pipeline.send(messages, confirmed))
        try:
            await asyncio.wait(
                [sending, pipeline.closing], timeout=max(0.0, deadline - began), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            sending.cancel()
        error = sending.exception() if sending.done() and not sending.cancelled() else None
        if error is not None and not isinstance(error, TROUBLE):
            raise error
        for place, done in zip(places, confirmed, strict=True):
            results[place] = done
        missing = confirmed.count(False)
        if missing:
            self._missing(missing, pipeline, sending, began)
        return results

    def _missing(self, count: int, pipeline: Pipeline, sending: asyncio.Future[None], began: float) -> None:
        late = not sending.done() and not pipeline.closing.done()
        reason = "late" if late else "lost" if pipeline.closing.done() else "refused"
        self._metrics.count("bus_unconfirmed", count, reason=reason)
        _log.warning("bus.unconfirmed", events=count, reason=reason)
        if late and pipeline.confirmed_at < began:  # no answer for as long as this: not slow, but stuck
            self._link.reset(f"no confirm for {self._patience:g} s")

    async def redeliver(self, queue: str, event: Envelope) -> bool:
        """True when the queue is there and has the event."""
        loop = asyncio.get_running_loop()
        if not await self._connected(loop.time() + self._patience):
            return False
        sending = asyncio.ensure_future(self._direct_message(queue, event))
        try:
            await asyncio.wait([sending], timeout=self._patience)
        finally:
            sending.cancel()
        return sending.done() and not sending.cancelled() and sending.result()

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

    def _routed_message(self, event: Envelope) -> Outgoing | None:
        """None when it breaks a limit of the protocol: it stays in the outbox, and somebody must look."""
        headers, content_type = self._headers(event)
        try:
            encoded = properties(
                headers, content_type=content_type, content_encoding=_encoding(content_type),
                message_id=event.id if len(event.id) <= _LONGEST_ID else None,
            )  # fmt: skip
            message = Outgoing(self._topology.events, routing_key(event.type, event.brand), encoded, event.data)
        except ValueError as error:  # no Unicode, or too long for its place
            return self._unsendable(event, str(error))
        if len(encoded) > LARGEST_HEAD:
            return self._unsendable(event, f"{len(encoded)} bytes of attributes, at most {LARGEST_HEAD}")
        if len(event.data) > LARGEST_BODY:
            return self._unsendable(event, f"{len(event.data)} bytes of data, at most {LARGEST_BODY}")
        return message

    def _unsendable(self, event: Envelope, why: str) -> None:
        self._metrics.count("bus_unsendable", type=event.type)
        _log.error("bus.unsendable", id=event.id, type=event.type, error=why)

    def _headers(self, event: Envelope) -> tuple[dict[str, str], str | None]:
        headers, content_type = amqp.to_binary(event)
        headers[_SIGNATURE] = self._signer.signature(event)
        if event.traceparent is not None:
            headers["traceparent"] = event.traceparent  # for tools that know nothing of CloudEvents
        return headers, content_type

    async def _direct_message(self, queue: str, event: Envelope) -> bool:
        channel = self._direct
        if channel is None or self._routed_message(event) is None:
            return False
        headers, content_type = self._headers(event)
        # Without a message id of ours: by that the driver finds what comes back, and one event may go to several queues.
        said = spec.Basic.Properties(
            headers={**headers}, content_type=content_type, content_encoding=_encoding(content_type), delivery_mode=2
        )
        try:
            answer = await channel.basic_publish(event.data, routing_key=queue, properties=said, mandatory=True)
        except DeliveryError as error:
            _log.info("bus.not_redelivered", id=event.id, type=event.type, queue=queue, error=str(error))
            return False
        except TROUBLE:
            return False
        return isinstance(answer, spec.Basic.Ack)


def _encoding(content_type: str | None) -> str | None:
    return "utf-8" if content_type == "application/json" else None
