"""Message to reply through a store of several processes: from the webhook's POST to the send that reaches the Graph API.

The processes are the drill's (`agent-store serve …`, with PostgreSQL and Redis of their own), without faults. What posts and
what stands for the Graph API costs the machine little, because it runs on the same cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent_store.entrypoints.drill.fleet import Fleet
from agent_store.entrypoints.programs import Absent, free_port
from tests.bench.bench_reply import HOPS, TEXTS
from tests.bench.common import Figure, HttpClient, percentile, result_of
from tests.bench.hops import LeanServer, Settings, arguments, tree_cpu

Mode = Literal["rabbitmq", "knative"]
CUSTOMERS = 40
ROUNDS = 3
SINGLES = 18
QUIET = 0.4
"""Seconds without a send after which an answer of several messages is over."""
PATIENCE = 60.0
"""Seconds that an answer may take before the bench gives up."""


class Graph:
    """The platform's API: takes a send, notes when."""

    def __init__(self) -> None:
        self.port = free_port()
        self.first: dict[str, float] = {}
        """When the first message since `clear` reached whom."""
        self.last = 0.0
        self._numbers = itertools.count()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Graph:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: LeanServer(self._taken), "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()

    def _taken(self, body: bytes) -> bytes:
        value = json.loads(body)
        if "to" not in value:  # a read receipt, a typing indicator
            return b'{"success":true}'
        self.last = time.perf_counter()
        self.first.setdefault(value["to"], self.last)
        answer = {
            "messaging_product": "whatsapp", "contacts": [{"input": value["to"], "wa_id": value["to"]}],
            "messages": [{"id": f"wamid.BENCH{next(self._numbers):08d}"}],
        }  # fmt: skip
        return json.dumps(answer).encode()


@dataclass(slots=True)
class _Customers:
    """`number`: the phone number id that they write to; `port`: the webhook's."""

    graph: Graph
    number: str
    port: int
    secret: str
    messages: Any = field(default_factory=itertools.count)

    async def say(self, who: str, text: str) -> float:
        """Returns when the webhook's POST began."""
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "551155500000", "phone_number_id": self.number},
            "contacts": [{"profile": {"name": "Ana"}, "wa_id": who}],
            "messages": [{
                "from": who, "id": f"wamid.IN{next(self.messages):08d}", "timestamp": str(int(time.time())), "type": "text",
                "text": {"body": text},
            }],
        }  # fmt: skip
        changes = [{"field": "messages", "value": value}]
        body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}).encode()
        signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        client = await HttpClient.open(self.port)
        began = time.perf_counter()
        status = await client.post("/webhooks/whatsapp", body, headers)
        client.close()
        if status != 200:
            raise RuntimeError(f"the webhook says {status}")
        return began

    async def round(self, customers: list[str], text: str) -> tuple[list[float], float]:
        """All say this at once. Seconds to the first message back of each, and until the last message of all."""
        self.graph.first.clear()
        started = time.perf_counter()
        begun = dict(zip(customers, await asyncio.gather(*(self.say(who, text) for who in customers)), strict=True))
        deadline = started + PATIENCE
        while len(self.graph.first) < len(customers) or time.perf_counter() - self.graph.last < QUIET:
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{len(self.graph.first)} of {len(customers)} were answered in {PATIENCE:g} s")
            await asyncio.sleep(0.005)
        return [self.graph.first[who] - begun[who] for who in customers], self.graph.last - started


async def measure(mode: Mode) -> dict[str, Any]:
    """Raises Absent when a program is not there."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        graph = await stack.enter_async_context(Graph())
        fleet = await stack.enter_async_context(
            Fleet(mode, folder, environment={"AGENT_STORE_BURST_WINDOW": "0", "AGENT_STORE_LOG_LEVEL": "error"})
        )
        await fleet.start(f"http://127.0.0.1:{graph.port}")
        # Without the balancer: there is one replica of each.
        port = fleet.any_of("whatsapp-gateway").port
        customers = _Customers(graph, fleet.number, port, fleet.secrets.app_secret)

        def cpu() -> dict[str, float]:
            return {process.name: tree_cpu(process.pid) for process in fleet.all if process.pid}

        for text in TEXTS:
            await customers.round(["5511900000001"], text)
        calm: list[float] = []
        for index in range(SINGLES):
            calm += (await customers.round([f"55118{index // len(TEXTS):08d}"], TEXTS[index % len(TEXTS)]))[0]
        busy: list[float] = []
        seconds = 0.0
        many = [f"55119{number:08d}" for number in range(CUSTOMERS)]
        used = cpu()
        for index in range(ROUNDS):
            took, whole = await customers.round(many, TEXTS[index])
            busy += took
            seconds += whole
        spent = {name: (seconds - used[name]) / len(busy) for name, seconds in cpu().items()}
        if fleet.rabbitmq is None:
            raise RuntimeError("no RabbitMQ runs")
        settings = Settings(("aio-pika",), rabbitmq=fleet.rabbitmq.url, rounds=2)
        if mode == "knative" and fleet.broker is not None:
            ports = tuple(free_port() for _ in range(4))
            for side, taken in enumerate(ports[2:]):
                await fleet.broker.add_trigger(
                    f"bare-{side}", {"type": f"bench.bare{side}"}, f"http://127.0.0.1:{taken}", parallelism=20
                )
            settings = Settings(("chain",), ingress=fleet.broker.ingress_url, ports=ports, rounds=2)
        (bare,) = (await asyncio.to_thread(result_of, arguments(settings))).values()
    return {
        "rate": len(busy) / seconds, "cpu": spent, "bare": bare, "calm": statistics.median(calm),
        "calm99": percentile(calm, 0.99), "busy": statistics.median(busy), "busy99": percentile(busy, 0.99),
    }  # fmt: skip


def _served(mode: Mode) -> list[Figure]:
    """A store of six processes, webhook to Graph API."""
    found = asyncio.run(measure(mode))
    bare = found["bare"]
    echo = "aio-pika echo" if mode == "rabbitmq" else "bare chain"
    return [
        Figure(
            f"message → reply on {mode}, {CUSTOMERS} at once",
            f"{found['rate']:.0f}/s, p50 {found['busy'] * 1e3:.0f} ms, p99 {found['busy99'] * 1e3:.0f} ms",
            f"{bare['rate'] / HOPS:.0f}/s: {echo}, {HOPS} hops", f"{found['rate'] / bare['rate'] * HOPS:.2f} ×",
        ),
        Figure(
            f"message → reply on {mode}, one at a time", f"p50 {found['calm'] * 1e3:.0f} ms, p99 {found['calm99'] * 1e3:.0f} ms",
            f"p50 {bare['calm'][0] * HOPS * 1e3:.1f} ms: {echo}, {HOPS} hops", f"{found['calm'] / bare['calm'][0] / HOPS:.1f} ×",
        ),
        Figure(
            f"message → reply on {mode}, CPU of the processes", f"{sum(found['cpu'].values()) * 1e3:.1f} ms",
            f"{bare['cpu_us'] * HOPS / 1e3:.2f} ms: {echo}, {HOPS} hops",
        ),
        *(Figure(f"  of it {name}", f"{seconds * 1e3:.1f} ms") for name, seconds in found["cpu"].items()),
    ]  # fmt: skip


def run() -> list[Figure]:
    figures: list[Figure] = []
    modes: tuple[Mode, ...] = ("rabbitmq", "knative")
    for mode in modes:
        try:
            figures += _served(mode)
        except Absent as error:
            figures.append(Figure(f"message → reply on {mode}", f"not measured: {error.message}"))
    return figures
