"""A Knative Broker without Kubernetes: the real `ingress` and `dispatcher` programs of eventing-rabbitmq, on loopback.

For the fault drill, the tests and the benches. The Broker's controller is stood in for: exchanges, queues and bindings
are declared, and the programs are set, as it does; and a program that ends is started again, as Kubernetes does.
Left out: the policies that dead-letter what RabbitMQ itself gives up (the dispatcher acks and publishes by itself).

Source: eventing-rabbitmq 1.21, `pkg/reconciler`, `pkg/rabbit` and `pkg/rabbitmqnaming`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError

from agent_store.entrypoints.programs import Absent, Program
from agent_store.kernel.errors import TemporaryError

BIN = "KNATIVE_RABBITMQ_BIN"
"""The variable that names the folder with the two programs."""

_HOW = f"build cmd/ingress and cmd/dispatcher of knative.dev/eventing-rabbitmq, and set {BIN} to their folder"
_NAMESPACE, _BROKER = "store", "default"
_FIRST_RESTART, _LONGEST_RESTART, _STEADY = 0.5, 8.0, 10.0
"""Seconds before a restart: doubled each time, from the first again when it ran for long enough. Kubernetes: 10 s up."""

_log = structlog.get_logger("agent_store.programs")


def programs_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the programs are. Raises Absent that says how to get them."""
    folder = environment.get(BIN, "")
    if not folder:
        raise Absent(f"ingress and dispatcher are absent: {_HOW}")
    for name in ("ingress", "dispatcher"):
        if not os.access(Path(folder) / name, os.X_OK):
            raise Absent(f"there is no program {name} in {folder}: {_HOW}")
    return Path(folder)


class Part(Program):
    """One of a broker's programs. `kill`, `terminate`: it stays away until `start`; `crash`: it is started again."""

    patience = 30.0

    def __init__(self, program: Path, environment: Mapping[str, str]) -> None:
        self._command = [str(program.resolve())]
        super().__init__()
        self._environment = environment
        self._starting = asyncio.Lock()
        self.wanted = False
        self.restarts = 0
        """How often supervision has started it again."""

    def command(self) -> Sequence[str]:
        return self._command

    def environment(self) -> Mapping[str, str]:
        return self._environment

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        self.wanted = True
        async with self._starting:
            if not self.running:
                await super().start()

    def kill(self) -> None:
        self.wanted = False
        super().kill()

    def crash(self) -> None:
        """SIGKILL; supervision starts it again."""
        super().kill()

    async def terminate(self, seconds: float = 60.0) -> int:
        """SIGTERM. The ingress drains for 45 s before it ends."""
        self.wanted = False
        return await super().terminate(seconds)

    async def supervise(self) -> None:
        """Start it again when it has ended and is wanted."""
        delay, since = _FIRST_RESTART, time.monotonic()
        while True:
            await asyncio.sleep(0.1)
            if self.running or not self.wanted or self._starting.locked():
                continue
            if time.monotonic() - since > _STEADY:
                delay = _FIRST_RESTART
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_RESTART)
            if not self.wanted or self.running:
                continue
            self.restarts += 1
            since = time.monotonic()
            try:
                await self.start()
            except TemporaryError as error:
                _log.info("program.not_back", program=self.name, reason=error.message[-300:])


class Ingress(Part):
    """Takes events at `url` and puts them into the broker's exchange."""

    name = "ingress"

    def __init__(self, folder: Path, rabbit_url: str, exchange: str) -> None:
        super().__init__(folder / "ingress", {
            "SYSTEM_NAMESPACE": "knative-eventing", "BROKER_URL": rabbit_url, "EXCHANGE_NAME": exchange,
            "CONTAINER_NAME": "ingress", "POD_NAME": f"{_BROKER}-broker-ingress", "BROKER_NAME": _BROKER,
            "BROKER_NAMESPACE": _NAMESPACE, "RABBITMQ_VHOST": "",
        })  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "PORT": str(self.port)}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


class Dispatcher(Part):
    """Brings what is in one queue to one subscriber. Ready when RabbitMQ has it as a consumer."""

    name = "dispatcher"

    def __init__(self, folder: Path, rabbit_url: str, queue: str, environment: Mapping[str, str]) -> None:
        super().__init__(folder / "dispatcher", {
            "SYSTEM_NAMESPACE": "knative-eventing", "RABBIT_URL": rabbit_url, "QUEUE_NAME": queue,
            "NAMESPACE": _NAMESPACE, "CONTAINER_NAME": "dispatcher", "POD_NAME": "dispatcher", **environment,
        })  # fmt: skip
        self._rabbit_url, self.queue = rabbit_url, queue

    async def ready(self) -> bool:
        address = urlsplit(self._rabbit_url)
        try:
            _, probe = await asyncio.open_connection(address.hostname, address.port or 5672)
            probe.close()  # the AMQP client below logs an error where nobody listens
            async with _channel(self._rabbit_url) as channel:
                queue = await channel.declare_queue(self.queue, passive=True)
                return bool(queue.declaration_result.consumer_count)
        except (OSError, AMQPError, TimeoutError):
            return False


@contextlib.asynccontextmanager
async def _channel(url: str) -> AsyncGenerator[AbstractChannel]:
    connection = await aio_pika.connect(url, timeout=10)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


class KnativeBroker:
    """A Broker on a RabbitMQ that runs, with any number of Triggers."""

    def __init__(self, rabbit_url: str, bin_folder: Path, *, dead_letter_sink: str | None = None) -> None:
        """`rabbit_url` as the programs shall use it; `bin_folder`: see `programs_folder`. `dead_letter_sink`: the
        Broker's, for Triggers without their own."""
        self._uid = str(uuid4())
        self._rabbit_url, self._folder = rabbit_url, bin_folder
        self._sink = dead_letter_sink
        self._tasks: list[asyncio.Task[None]] = []
        self._queues: list[str] = []
        self._exchanges: list[str] = []
        self._declared = 0.0
        self.exchange = f"b.{_NAMESPACE}.{_BROKER}.{self._uid}"
        self.ingress = Ingress(bin_folder, rabbit_url, self.exchange)
        self.dispatchers: dict[str, Dispatcher] = {}
        """By Trigger; the one of its dead-letter queue as `<trigger>-dlx`, the Broker's as `dlx`."""

    @property
    def ingress_url(self) -> str:
        """K_SINK."""
        return self.ingress.url

    async def __aenter__(self) -> Self:
        try:
            async with _channel(self._rabbit_url) as channel:
                await self._declare_exchange(channel, self.exchange)
            if self._sink is not None:
                dlx, dlq = f"b.{_NAMESPACE}.{_BROKER}.dlx.{self._uid}", f"b.{_NAMESPACE}.{_BROKER}.dlq.{self._uid}"
                await self._declare_dead(dlx, dlq, {"x-knative-dlq": _BROKER})
                await self._run("dlx", dlq, self._settings(self._sink, 10, timedelta(milliseconds=200), None) | {
                    "DLX": "true", "PARALLELISM": "1",
                })  # fmt: skip
            await self._begin(self.ingress)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in (*self.dispatchers.values(), self.ingress):
            part.clean()
        with contextlib.suppress(OSError, AMQPError, TimeoutError):  # away: what is in it goes with it
            async with _channel(self._rabbit_url) as channel:
                for queue in self._queues:
                    await channel.queue_delete(queue)
                for exchange in self._exchanges:
                    await channel.exchange_delete(exchange)

    async def add_trigger(
        self,
        name: str,
        filter: Mapping[str, str],
        subscriber: str,
        *,
        parallelism: int = 10,
        retry: int = 10,
        backoff: timedelta = timedelta(milliseconds=200),
        timeout: timedelta | None = timedelta(seconds=60),  # noqa: ASYNC109  # a setting of the dispatcher
        dead_letter_sink: str | None = None,
    ) -> Dispatcher:
        """Ready when it returns. `filter`: attributes that are all equal. `retry`: tries after the first, with
        exponential `backoff`. `dead_letter_sink`: its own, in place of the Broker's."""
        queue = f"{_NAMESPACE}.{name}.{self._uid}"
        dlx = f"b.{_NAMESPACE}.{_BROKER}.dlx.{self._uid}" if self._sink is not None else ""
        if dead_letter_sink is not None:
            trigger_uid = str(uuid4())
            dlx, dlq = f"t.{_NAMESPACE}.{name}.dlx.{trigger_uid}", f"t.{_NAMESPACE}.{name}.dlq.{trigger_uid}"
            await self._declare_dead(dlx, dlq, {})
            settings = self._settings(dead_letter_sink, retry, backoff, timeout)
            await self._run(f"{name}-dlx", dlq, settings | {"DLX": "true", "PARALLELISM": str(parallelism)})
        async with _channel(self._rabbit_url) as channel:
            await self._declare_queue(channel, queue, self.exchange, {**filter, "x-knative-trigger": name})
        settings = self._settings(subscriber, retry, backoff, timeout) | {"PARALLELISM": str(parallelism)}
        return await self._run(name, queue, settings | ({"DLX_NAME": dlx} if dlx else {}))

    async def settled(self) -> None:
        """Wait until RabbitMQ may be killed: it writes half a second late that a quorum queue is its own, and a node that
        dies before that never opens the queue again (seen on 3.10: "running pre init for 0 registered servers")."""
        await asyncio.sleep(max(0.0, self._declared + 1.5 - time.monotonic()))

    async def waiting(self, trigger: str) -> int:
        """Messages in a Trigger's queue that no dispatcher holds."""
        async with _channel(self._rabbit_url) as channel:
            queue = await channel.declare_queue(self.dispatchers[trigger].queue, passive=True)
            return queue.declaration_result.message_count or 0

    def _settings(self, subscriber: str, retry: int, backoff: timedelta, timeout: timedelta | None) -> dict[str, str]:
        found = {
            "SUBSCRIBER": subscriber,
            "BROKER_INGRESS_URL": self.ingress_url,
            "RETRY": str(retry),
            "BACKOFF_POLICY": "exponential",
            "BACKOFF_DELAY": f"{backoff.total_seconds() * 1000:.0f}ms",
        }
        if timeout is not None:
            found["TIMEOUT"] = f"{timeout.total_seconds() * 1000:.0f}ms"
        return found

    async def _run(self, name: str, queue: str, settings: Mapping[str, str]) -> Dispatcher:
        part = self.dispatchers[name] = Dispatcher(self._folder, self._rabbit_url, queue, settings)
        await self._begin(part)
        return part

    async def _begin(self, part: Part) -> None:
        await part.start()
        self._tasks.append(asyncio.create_task(part.supervise(), name=f"supervise {part.name}"))

    async def _declare_exchange(self, channel: AbstractChannel, name: str) -> None:
        self._exchanges.append(name)
        await channel.declare_exchange(name, aio_pika.ExchangeType.HEADERS, durable=True)

    async def _declare_dead(self, exchange: str, queue: str, arguments: Mapping[str, str]) -> None:
        async with _channel(self._rabbit_url) as channel:
            await self._declare_exchange(channel, exchange)
            await self._declare_queue(channel, queue, exchange, arguments)

    async def _declare_queue(
        self, channel: AbstractChannel, name: str, exchange: str, arguments: Mapping[str, str]
    ) -> None:
        self._queues.append(name)
        queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(exchange, "", arguments={"x-match": "all", **arguments})
        self._declared = time.monotonic()
