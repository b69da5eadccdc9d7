"""Buses for the kernel's suite: in memory, RabbitMQ, and a Knative Broker's own `ingress` and `dispatcher`.

One broker serves all tests of a session; what one test leaves there reaches no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import aio_pika

from agent_store.adapters.bus.knative import KnativeBus, KnativeIntake
from agent_store.adapters.bus.rabbitmq import RabbitMqBus
from agent_store.adapters.bus.rabbitmq_topology import Topology
from agent_store.entrypoints.programs import RabbitMQ, free_port
from agent_store.entrypoints.programs_knative import KnativeBroker
from agent_store.kernel.bus import Intake
from agent_store.kernel.consumer import Consumer
from tests.support.backends import Buses
from tests.support.buses import MemoryBroker
from tests.support.events_http import SIGNER, FakeServices, Graveyard
from tests.support.programs_knative import Subscriber

T = TypeVar("T")
Brokers = Callable[[], AbstractAsyncContextManager[Buses]]

_numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def memory() -> AsyncGenerator[Buses]:
    yield MemoryBroker().bus


# --- RabbitMQ --------------------------------------------------------------------------------------------------------


class _RabbitMqBus(RabbitMqBus):
    """Says which queues it has declared, and when it is connected."""

    def __init__(self, url: str, prefix: str, queues: set[str]) -> None:
        super().__init__(url, signer=SIGNER, prefix=prefix)
        self._queues = queues

    @property
    def listening(self) -> bool:
        """And it can publish: what waits for the first connecting is in no order."""
        return self.ready

    async def add(self, consumer: Consumer) -> None:
        self._queues.add(self.topology.queue(consumer.name))
        await super().add(consumer)


def rabbitmq(program: RabbitMQ) -> Brokers:
    """Exchanges and queues of a test's own on this broker, taken away after it."""

    @contextlib.asynccontextmanager
    async def broker() -> AsyncGenerator[Buses]:
        prefix = f"kernel-{os.getpid()}-{next(_numbers)}"
        queues: set[str] = set()
        yield lambda: _RabbitMqBus(program.url, prefix, queues)
        topology = Topology(prefix)
        connection = await aio_pika.connect(program.url)
        async with connection:
            channel = await connection.channel()
            for queue in (*queues, topology.dead):
                await channel.queue_delete(queue)
            for exchange in (topology.events, topology.dead):
                await channel.exchange_delete(exchange)

    return broker


# --- Knative ---------------------------------------------------------------------------------------------------------

_RUN = "testrun"


class Shared:
    """A Broker with one Trigger for all events, which lives in a thread: the tests' event loops come and go."""

    def __init__(self, rabbit_url: str, programs: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="Knative Broker", daemon=True)
        self._broker = KnativeBroker(rabbit_url, programs)
        self.port = free_port()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def __enter__(self) -> Shared:
        self._thread.start()
        self._do(self._broker.__aenter__())
        self._do(
            self._broker.add_trigger(
                "all", {}, f"http://127.0.0.1:{self.port}/", parallelism=20, backoff=timedelta(milliseconds=20)
            )
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._do(self._broker.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def sink(self) -> str:
        return self._broker.ingress_url


def shared_knative(rabbit_url: str, programs: Path) -> Generator[Shared]:
    with Shared(rabbit_url, programs) as shared:
        yield shared


class _KnativeBus(KnativeBus):
    """With the server that its events come to."""

    def __init__(self, shared: Shared, run: str) -> None:
        services = FakeServices()
        super().__init__(
            shared.sink, signer=SIGNER, addresses=services, dead=Graveyard(), overrides={_RUN: run},
            publish_timeout=timedelta(seconds=20),
        )  # fmt: skip
        self._run = run.encode()
        self._services = services
        self._app = KnativeIntake(self)
        self._server = Subscriber(self._serve)
        self._server.port = shared.port

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        runs = [value for name, value in scope["headers"] if name == f"ce-{_RUN}".encode()]
        direct = b"consumer=" in scope["query_string"]
        if direct or runs == [self._run]:
            await self._app(scope, receive, send)
        else:  # another test's, which is over
            await send({"type": "http.response.start", "status": 202, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def start(self, intake: Intake, consumers: Sequence[Consumer]) -> None:
        for consumer in consumers:
            await self.add(consumer)
        await super().start(intake, consumers)
        await self._server.start()

    async def add(self, consumer: Consumer) -> None:
        self._services.urls[consumer.name] = self._server.url

    async def stop(self) -> None:
        await super().stop()
        await self._server.stop()


def knative(shared: Shared) -> Brokers:
    @contextlib.asynccontextmanager
    async def broker() -> AsyncGenerator[Buses]:
        run = f"{os.getpid()}-{next(_numbers)}"
        yield lambda: _KnativeBus(shared, run)

    return broker
