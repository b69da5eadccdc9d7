"""Contenders of the bus bench: each carries an event from one consumer to another, in a process of its own with uvloop.

`python -m tests.bench.hops <settings as JSON>` runs some of them in turns, round by round, and prints the figures as JSON.
Two loads: chains (so many events are under way at once, each arrival sends the next), and singles at a steady pace.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.common import percentile

TEXT = "Oi, quero um vestido vermelho até 300 reais" * 4
"""About what a message, an order or a product's change takes as JSON."""
PREFETCH = 256
"""As `AGENT_STORE_BUS_PREFETCH`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`together`: events under way. `rate`: singles a second. Times in seconds. `programs`: pids by name of what serves all
    contenders, whose CPU is told too."""

    contenders: tuple[str, ...]
    database: str = ""
    rabbitmq: str = ""
    ingress: str = ""
    ports: tuple[int, ...] = ()
    folder: str = ""
    together: int = 100
    rate: int = 50
    rounds: int = 3
    warm: float = 0.4
    seconds: float = 1.2
    pace: float = 1.2
    programs: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class Score:
    """Of one contender, over all rounds. `rates`: events a second by round, `cpu` and `others`: CPU µs an event, of this
    process and of each program. `busy` and `calm`: seconds from commit to commit (or from publish to arrival)."""

    rates: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    others: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    busy: list[float] = field(default_factory=list[float])
    calm: list[float] = field(default_factory=list[float])


class Contender:
    """Counts arrivals, and how long each took. Subclasses carry `name` and `left` to the other side and call `arrived`."""

    def __init__(self) -> None:
        self.hops = 0
        self.took: list[float] = []
        self.stopping = False
        self._ended: set[str] = set()
        self._begun: set[str] = set()
        self._quiet = asyncio.Event()

    async def send(self, name: str, *, chain: bool) -> None:
        """From the first side to the second."""
        raise NotImplementedError

    def arrived(self, seconds: float) -> None:
        self.hops += 1
        self.took.append(seconds)

    def goes_on(self, name: str) -> bool:
        """Whether what has arrived sends the next of its chain."""
        if not self.stopping:
            return True
        self._ended.add(name)
        if self._ended == self._begun:
            self._quiet.set()
        return False

    async def begin(self, together: int) -> None:
        self.stopping = False
        self._ended.clear()
        self._quiet.clear()
        self._begun = {f"c{number}" for number in range(together)}
        await asyncio.gather(*(self.send(name, chain=True) for name in self._begun))

    async def end(self) -> None:
        self.stopping = True
        async with asyncio.timeout(30):
            await self._quiet.wait()

    async def singles(self, rate: int, seconds: float) -> None:
        """At a steady pace, whether or not the one before has arrived; returns when all have."""
        self.took.clear()
        started, count = time.perf_counter(), int(rate * seconds)
        sending: list[asyncio.Task[None]] = []
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            sending.append(asyncio.create_task(self.send(f"s{number % 50}", chain=False)))
        await asyncio.gather(*sending)
        async with asyncio.timeout(30):
            while len(self.took) < count:
                await asyncio.sleep(0.002)


def tree_cpu(root: int) -> float:
    """Seconds of CPU that a process and those below it have used."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                used[int(entry.name)] = int(fields[11]) + int(fields[12])
    below, found = {root}, {root}
    while below:
        below = {pid for pid, parent in parents.items() if parent in below} - found
        found |= below
    return sum(used.get(pid, 0) for pid in found) / os.sysconf("SC_CLK_TCK")


async def measure(contenders: Mapping[str, Contender], settings: Settings) -> dict[str, Score]:
    """All contenders in each round, so that what else the machine does hits all of them. The singles first: after a load
    the disk is busy for some seconds."""
    scores = {name: Score() for name in contenders}
    for name, contender in contenders.items():  # connections, prepared statements, compiled code
        await contender.begin(settings.together)
        await asyncio.sleep(settings.warm)
        await contender.end()
        assert contender.hops, name
    gc.collect()
    gc.freeze()  # as `agent-store serve` does
    await asyncio.sleep(2 * settings.warm)
    for _ in range(settings.rounds):
        for name, contender in contenders.items():
            await contender.singles(settings.rate, settings.pace)
            scores[name].calm.extend(contender.took)
    for _ in range(settings.rounds):
        for name, contender in contenders.items():
            score = scores[name]
            await contender.begin(settings.together)
            await asyncio.sleep(settings.warm)
            contender.took.clear()
            programs = {program: tree_cpu(pid) for program, pid in settings.programs.items()}
            hops, cpu, wall = contender.hops, time.process_time(), time.perf_counter()
            await asyncio.sleep(settings.seconds)
            hops, cpu, wall = contender.hops - hops, time.process_time() - cpu, time.perf_counter() - wall
            for program, pid in settings.programs.items():
                score.others.setdefault(program, []).append((tree_cpu(pid) - programs[program]) / max(hops, 1) * 1e6)
            score.busy.extend(contender.took)
            score.rates.append(hops / wall)
            score.cpu.append(cpu / max(hops, 1) * 1e6)
            await contender.end()
    return scores


# --- the store's own -------------------------------------------------------------------------------------------------


class Hop(Contender):
    """Two consumers that send to each other: inbox, one UPDATE, outbox, in one commit a hop. From commit to commit."""

    def __init__(self) -> None:
        from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, update

        from agent_store.kernel.agent import Agent
        from agent_store.kernel.context import Context
        from agent_store.kernel.event import Event

        super().__init__()
        self._sent: dict[str, float] = {}

        class There(Event, type="store.bench.there", topic="bench", subject="name"):
            name: str
            text: str
            chain: bool

        class Back(Event, type="store.bench.back", topic="bench", subject="name"):
            name: str
            text: str
            chain: bool

        self.agents: list[Agent] = []
        self._tables: list[Table] = []
        self._there = There
        for own, heard, said in (("near", Back, There), ("far", There, Back)):
            metadata = MetaData()
            table = Table(f"{own}_counter", metadata, Column("id", String, primary_key=True), Column("n", Integer))
            add = update(table).where(table.c.id == bindparam("p_id")).values(n=table.c.n + 1)
            agent = Agent(own, tables=metadata)

            async def handle(event: Any, ctx: Context, add: Any = add, said: Any = said) -> None:
                await ctx.db.run(add, {"p_id": event.name})
                if event.chain and self.goes_on(event.name):
                    ctx.emit(said(name=event.name, text=event.text, chain=True))

            agent.on(heard)(handle)
            self.agents.append(agent)
            self._tables.append(table)
        self._add = update(self._tables[0]).where(self._tables[0].c.id == bindparam("p_id")).values(
            n=self._tables[0].c.n + 1
        )  # fmt: skip
        self._near: Any = None

    def committed(self, events: Sequence[Any]) -> None:
        """A tap on commits: from here on an event is durable."""
        now = time.perf_counter()
        for event in events:
            self._sent[event.id] = now

    def done(self, id: str) -> None:
        """A tap on commits: the event's handling is durable. A second delivery is none."""
        sent = self._sent.pop(id, None)
        if sent is not None:
            self.arrived(time.perf_counter() - sent)

    async def begin_with(self, near: Any, far: Any) -> None:
        """The runtimes that run them; one may be both."""
        from agent_store.kernel.context import Context
        from agent_store.kernel.sql import insert

        self._near = near
        rows = [{"id": f"{kind}{number}", "n": 0} for kind in "cs" for number in range(200)]
        for runtime, agent, table in zip((near, far), ("near", "far"), self._tables, strict=True):

            async def fill(ctx: Context, table: Any = table) -> None:
                await ctx.db.many(insert(table).on_conflict_do_nothing(), rows)

            await runtime.transact(agent, fill)
        for runtime in {id(runtime): runtime for runtime in (near, far)}.values():
            runtime.listeners.append(self.committed)

    async def send(self, name: str, *, chain: bool) -> None:
        async def change(ctx: Any) -> None:
            await ctx.db.run(self._add, {"p_id": name})
            ctx.emit(self._there(name=name, text=TEXT, chain=chain))

        await self._near.transact("near", change)


def _tapped(store: type[Any], hop: Hop) -> Callable[..., Any]:
    """The store, telling `hop` of each handling that is committed with its inbox row."""

    class Tapped(store):  # type: ignore[misc]
        async def run(self, work: Any, *, claim: Any = None, **more: Any) -> Any:
            result = await super().run(work, claim=claim, **more)
            if claim is not None:
                hop.done(claim["id"])
            return result

    return Tapped


@contextlib.asynccontextmanager
async def local(settings: Settings) -> AsyncGenerator[Contender]:
    """Both consumers in one process on SQLite: the outbox is the bus."""
    from agent_store.adapters.db.sqlite import SqliteStore
    from agent_store.adapters.telemetry.metrics import PrometheusMetrics
    from agent_store.kernel.consumer import Consumer
    from agent_store.kernel.runtime import Runtime

    hop = Hop()
    store = _tapped(SqliteStore, hop)(Path(settings.folder) / "bus.sqlite3")
    runtime = Runtime(store, [Consumer(agent) for agent in hop.agents], metrics=PrometheusMetrics())
    await runtime.start()
    await hop.begin_with(runtime, runtime)
    yield hop
    await runtime.stop()


@contextlib.asynccontextmanager
async def _network(
    settings: Settings, system: str, bus: Callable[[str, Any], Any], ready: Callable[[], Awaitable[None]]
) -> AsyncGenerator[Contender]:
    """A runtime each, on PostgreSQL, with what `agent-store serve` puts around them."""
    from agent_store.adapters.db.postgres import PostgresStore
    from agent_store.adapters.telemetry.metrics import PrometheusMetrics
    from agent_store.adapters.telemetry.observed import ObservedBus
    from agent_store.kernel.consumer import Consumer
    from agent_store.kernel.runtime import Runtime
    from agent_store.kernel.tracing import OFF

    hop = Hop()
    runtimes: list[Runtime] = []
    for agent in hop.agents:
        metrics = PrometheusMetrics()
        store = _tapped(PostgresStore, hop)(settings.database, agents=[agent.name])
        carrier = ObservedBus(bus(agent.name, metrics), OFF, metrics, system=system)
        runtimes.append(Runtime(store, [Consumer(agent)], metrics=metrics, bus=carrier))
    for runtime in runtimes:
        await runtime.start()
    await ready()
    await hop.begin_with(*runtimes)
    yield hop
    for runtime in runtimes:
        await runtime.stop()


def _signer() -> Any:
    from agent_store.kernel.signing import Signer

    return Signer([("bench", b"a key of thirty-two bytes or more")])


@contextlib.asynccontextmanager
async def rabbitmq(settings: Settings) -> AsyncGenerator[Contender]:
    from agent_store.adapters.bus.rabbitmq import RabbitMqBus

    buses: list[RabbitMqBus] = []

    def make(name: str, metrics: Any) -> RabbitMqBus:
        buses.append(
            RabbitMqBus(
                settings.rabbitmq, signer=_signer(), prefix="bench", prefetch=PREFETCH, name=name, metrics=metrics
            )
        )
        return buses[-1]

    async def ready() -> None:
        async with asyncio.timeout(30):
            while not all(bus.ready for bus in buses):
                await asyncio.sleep(0.02)

    async with _network(settings, "rabbitmq", make, ready) as hop:
        yield hop


class _Nowhere:
    def url_of_consumer(self, name: str) -> str | None:
        return None


@contextlib.asynccontextmanager
async def knative(settings: Settings) -> AsyncGenerator[Contender]:
    import uvicorn

    from agent_store.adapters.bus.knative import KnativeBus, KnativeIntake
    from agent_store.entrypoints.listen import bind

    buses: list[KnativeBus] = []

    async def keep(dead: Any) -> None:
        raise RuntimeError(f"nothing may die here: {dead.reason}")

    def make(name: str, metrics: Any) -> KnativeBus:
        buses.append(KnativeBus(settings.ingress, signer=_signer(), addresses=_Nowhere(), dead=keep, metrics=metrics))
        return buses[-1]

    servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def ready() -> None:
        for bus, port in zip(buses, settings.ports, strict=False):
            config = uvicorn.Config(
                KnativeIntake(bus), interface="asgi3", log_config=None, access_log=False, lifespan="off"
            )
            server = uvicorn.Server(config)
            servers.append((server, asyncio.create_task(server.serve(sockets=[bind("127.0.0.1", port)]))))
        while not all(server.started for server, _ in servers):
            await asyncio.sleep(0.01)

    async with _network(settings, "knative", make, ready) as hop:
        yield hop
    for server, serving in servers:
        server.should_exit = True
        await serving


# --- the references --------------------------------------------------------------------------------------------------


def _body(name: str, *, chain: bool) -> bytes:
    return json.dumps({"name": name, "text": TEXT, "chain": chain, "sent": time.perf_counter()}).encode()


class _Echo(Contender):
    """What arrives at one side is sent to the other. From publish to arrival."""

    def __init__(self, publish: Callable[[int, bytes], Awaitable[object]]) -> None:
        super().__init__()
        self._publish = publish

    async def send(self, name: str, *, chain: bool) -> None:
        await self._publish(1, _body(name, chain=chain))

    async def take(self, side: int, body: bytes) -> None:
        """At one side: as a service does, the next is safe with the broker before this one is acknowledged."""
        value = json.loads(body)
        self.arrived(time.perf_counter() - value["sent"])
        if value["chain"] and self.goes_on(value["name"]):
            await self._publish(1 - side, _body(value["name"], chain=True))


@contextlib.asynccontextmanager
async def aio_pika(settings: Settings) -> AsyncGenerator[Contender]:
    """A bare echo with equal guarantees: quorum queues, persistent, a confirm before the ack, acks by hand, prefetch."""
    import aio_pika as driver

    connections = [await driver.connect(settings.rabbitmq) for _ in range(2)]
    channels = [await connection.channel(publisher_confirms=True) for connection in connections]
    names = ("bench-echo-near", "bench-echo-far")

    async def publish(side: int, body: bytes) -> object:
        message = driver.Message(body, delivery_mode=driver.DeliveryMode.PERSISTENT, headers={"type": "bench"})
        return await channels[1 - side].default_exchange.publish(message, names[side])

    echo = _Echo(publish)
    for side, channel in enumerate(channels):
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.declare_queue(names[side], durable=True, arguments={"x-queue-type": "quorum"})

        async def taken(message: driver.abc.AbstractIncomingMessage, side: int = side) -> None:
            await echo.take(side, message.body)
            await message.ack()

        await queue.consume(taken)
    yield echo
    for connection in connections:
        await connection.close()


@contextlib.asynccontextmanager
async def faststream(settings: Settings) -> AsyncGenerator[Contender]:
    """Its own echo with the same guarantees: quorum queues, persistent, confirms, the ack after the handler."""
    from faststream import AckPolicy
    from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

    names = ("bench-stream-near", "bench-stream-far")
    queues = [RabbitQueue(name, queue_type=QueueType.QUORUM, durable=True) for name in names]
    brokers = [
        RabbitBroker(
            settings.rabbitmq, default_channel=Channel(prefetch_count=PREFETCH, publisher_confirms=True), logger=None
        )
        for _ in names
    ]

    async def publish(side: int, body: bytes) -> object:
        return await brokers[1 - side].publish(
            body, names[side], persist=True, headers={"type": "bench"}, content_type="application/json"
        )

    echo = _Echo(publish)
    for side, broker in enumerate(brokers):

        async def handle(value: dict[str, Any], side: int = side) -> None:
            # It has parsed the message already.
            echo.arrived(time.perf_counter() - value["sent"])
            if value["chain"] and echo.goes_on(value["name"]):
                await publish(1 - side, _body(value["name"], chain=True))

        async def near(value: dict[str, Any]) -> None:
            await handle(value, 0)

        async def far(value: dict[str, Any]) -> None:
            await handle(value, 1)

        broker.subscriber(queues[side], ack_policy=AckPolicy.REJECT_ON_ERROR)((near, far)[side])
        await broker.start()
    yield echo
    for broker in brokers:
        await broker.stop()


class LeanServer(asyncio.Protocol):
    """An HTTP server that costs next to nothing. `taken` gets a request's body and gives the answer's; without one it is
    202, else 200 with JSON."""

    def __init__(self, taken: Callable[[bytes], bytes | None]) -> None:
        import httptools

        self._taken = taken
        self._body: list[bytes] = []
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        answer = self._taken(body)
        if answer is None:
            self._transport.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
        else:
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
            self._transport.write(head.encode() + answer)


@contextlib.asynccontextmanager
async def chain(settings: Settings) -> AsyncGenerator[Contender]:
    """Bare ingress → dispatcher → a subscriber that does nothing but say 202 (and, in a chain, posts the next)."""
    from agent_store.adapters.bus.posting import Poster, Target

    poster, target = Poster(concurrency=32), Target.of(settings.ingress)
    ids = itertools.count()
    tasks: set[asyncio.Task[None]] = set()

    async def publish(side: int, body: bytes) -> None:
        head = (
            f"ce-specversion: 1.0\r\nce-id: {next(ids)}\r\nce-source: /bench\r\nce-type: bench.bare{side}\r\n"
            "content-type: application/json\r\n"
        )
        answer = await poster.post(target, head.encode(), body)
        if answer.status != 202:
            raise RuntimeError(f"the ingress says {answer.status}")

    echo = _Echo(publish)

    def taken(side: int) -> Callable[[bytes], None]:
        def begin(body: bytes) -> None:
            task = asyncio.create_task(echo.take(side, body))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        return begin

    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda side=side: LeanServer(taken(side)), "127.0.0.1", port)
        for side, port in enumerate(settings.ports[2:])
    ]
    yield echo
    poster.close()
    for server in servers:
        server.close()


CONTENDERS: Mapping[str, Callable[[Settings], AbstractAsyncContextManager[Contender]]] = {
    "local": local,
    "rabbitmq": rabbitmq,
    "aio-pika": aio_pika,
    "faststream": faststream,
    "knative": knative,
    "chain": chain,
}


async def _run(settings: Settings) -> dict[str, Score]:
    from agent_store.adapters.telemetry import logs

    logs.configure("error")
    async with contextlib.AsyncExitStack() as stack:
        contenders = {name: await stack.enter_async_context(CONTENDERS[name](settings)) for name in settings.contenders}
        return await measure(contenders, settings)


def summary(score: Score) -> dict[str, Any]:
    """What the report needs: medians over the rounds, percentiles over all events."""
    return {
        "rates": score.rates,
        "cpu": score.cpu,
        "rate": statistics.median(score.rates),
        "cpu_us": statistics.median(score.cpu),
        "others": {name: statistics.median(values) for name, values in score.others.items()},
        "busy": [percentile(score.busy, 0.5), percentile(score.busy, 0.99)],
        "calm": [percentile(score.calm, 0.5), percentile(score.calm, 0.99)],
    }


def arguments(settings: Settings) -> Sequence[str]:
    """Of a Python process that measures."""
    return "-m", "tests.bench.hops", json.dumps(asdict(settings))


if __name__ == "__main__":
    import uvloop

    read: dict[str, Any] = json.loads(sys.argv[1])
    read |= {name: tuple(read[name]) for name in ("contenders", "ports")}
    wanted = Settings(**read)
    found = uvloop.run(_run(wanted))
    print("RESULT", json.dumps({name: summary(score) for name, score in found.items()}))
