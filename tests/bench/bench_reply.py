"""Message to durable reply with the rules brain, beside a bare aio-pika echo of as many hops."""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent_store.entrypoints.programs import Absent
from tests.bench.bench_event import measure_echo
from tests.bench.common import Figure, percentile, result_of

HOPS = 4
"""received → turn → response → send: the events between a message and its durable reply."""
CUSTOMERS = 40
ROUNDS = 6
TEXTS = (
    "Oi, quero um vestido vermelho até 300 reais",
    "tem em azul?",
    "quanto fica o frete pra 01310-100",
    "mostra mais barato",
    "quais são as categorias?",
    "tem vestido de festa longo?",
)


async def measure(folder: Path) -> dict[str, Any]:
    from agent_store.adapters.telemetry import logs
    from agent_store.agents.whatsapp.reading import parse
    from agent_store.contracts.whatsapp import WhatsAppMessageReceived, WhatsAppMessageSend
    from agent_store.entrypoints.embedded import EmbeddedStore
    from agent_store.entrypoints.settings import load
    from agent_store.kernel.event import Envelope
    from tests.bench.bench_webhook import delivery

    logs.configure("error")
    settings = load({}, data=folder, port=1, burst_window=timedelta(0), whatsapp_graph_url="http://127.0.0.1:1")
    store = EmbeddedStore(settings)
    steps: dict[str, list[float]] = defaultdict(list)
    plain = store.metrics.handled

    def handled(consumer: str, type: str, outcome: str, seconds: float) -> None:
        steps[f"{consumer.partition('/')[0]}: {type.removeprefix('store.')}"].append(seconds)
        plain(consumer, type, outcome, seconds)

    store.metrics.handled = handled  # type: ignore[method-assign]  # a tap on the way
    await store.start()
    # The reply is durable when its send is in the outbox; what Meta does with it is not the store's CPU.
    store.runtime.dispatcher._routes.pop(WhatsAppMessageSend.event_type)
    started: dict[str, float] = {}
    ended: dict[str, float] = {}

    def tap(events: Sequence[Envelope]) -> None:
        now = time.perf_counter()
        for event in events:
            if event.type == WhatsAppMessageReceived.event_type:
                started[event.correlationid or event.id] = now
            elif event.type == WhatsAppMessageSend.event_type and event.correlationid in started:
                ended.setdefault(event.correlationid, now)

    store.runtime.listeners.append(tap)
    number = 0

    async def say(customer: int, text: str) -> float:
        """From the parsed body to the first durable message back, in seconds."""
        nonlocal number
        number += 1
        body = json.loads(delivery(number))
        message = body["entry"][0]["changes"][0]["value"]
        message["contacts"][0]["wa_id"] = message["messages"][0]["from"] = f"55119{customer:08d}"
        message["messages"][0]["text"]["body"] = text
        before = time.perf_counter()
        await store.accept(parse(json.dumps(body).encode()))
        return before

    async def dialogue(customer: int, rounds: int) -> None:
        for index in range(rounds):
            await say(customer, TEXTS[index % len(TEXTS)])
            await store.runtime.settle()

    await dialogue(1, len(TEXTS))
    gc.collect()
    gc.freeze()  # as `agent-store up` does
    started.clear()
    ended.clear()
    steps.clear()
    # One at a time: what one message costs, and where.
    singles = 60
    cpu = time.process_time()
    for index in range(singles):
        await say(100 + index // len(TEXTS), TEXTS[index % len(TEXTS)])
        await store.runtime.settle()
    alone = (time.process_time() - cpu) / singles
    latency_alone = [ended[id] - started[id] for id in ended]
    way = {name: sum(values) / singles * 1e6 for name, values in steps.items()}
    started.clear()
    ended.clear()
    # Many customers at once.
    cpu, wall = time.process_time(), time.perf_counter()
    for index in range(ROUNDS):
        await asyncio.gather(*(say(1000 + customer, TEXTS[index]) for customer in range(CUSTOMERS)))
        await store.runtime.settle()
    total = CUSTOMERS * ROUNDS
    seconds = time.perf_counter() - wall
    used = (time.process_time() - cpu) / total
    latency = [ended[id] - started[id] for id in ended]
    rate = total / seconds
    await store.stop()
    return {
        "alone_us": alone * 1e6, "used_us": used * 1e6, "rate": rate, "way": way, "answered": len(latency), "total": total,
        "p50_alone": percentile(latency_alone, 0.5), "p99_alone": percentile(latency_alone, 0.99),
        "p50": percentile(latency, 0.5), "p99": percentile(latency, 0.99),
    }  # fmt: skip


def _child() -> dict[str, Any]:
    code = """
import asyncio, json, tempfile
from pathlib import Path
from tests.bench.bench_reply import measure
with tempfile.TemporaryDirectory() as folder:
    print("RESULT", json.dumps(asyncio.run(measure(Path(folder)))))
"""
    return result_of(("-c", code))


def run() -> list[Figure]:
    runs = [_child() for _ in range(3)]
    best = sorted(runs, key=lambda result: result["used_us"])[1]
    figures = [
        Figure(
            f"message → reply, {CUSTOMERS} customers at once", f"{best['rate']:.0f}/s, p50 {best['p50'] * 1e3:.0f} ms, p99 {best['p99'] * 1e3:.0f} ms",
            f"{best['answered']} of {best['total']} answered",
        ),
        Figure("message → reply, one at a time", f"p50 {best['p50_alone'] * 1e3:.1f} ms, p99 {best['p99_alone'] * 1e3:.1f} ms", f"CPU {best['alone_us'] / 1e3:.1f} ms a message"),
    ]  # fmt: skip
    for name, microseconds in sorted(best["way"].items(), key=lambda item: -item[1])[:12]:
        figures.append(Figure(f"  of the way: {name}", f"{microseconds / 1e3:.2f} ms a message"))
    cpu = statistics.median(result["used_us"] for result in runs)
    try:
        hop = asyncio.run(measure_echo())
    except Absent as error:
        return [
            *figures,
            Figure("message → reply, CPU", f"{cpu / 1e3:.2f} ms", f"nothing to compare with: {error.message}"),
        ]
    ratio = cpu / (hop * HOPS)
    figures.append(
        Figure(
            "message → durable reply, CPU", f"{cpu / 1e3:.2f} ms", f"{hop * HOPS / 1e3:.2f} ms aio-pika echo, {HOPS} hops",
            f"{ratio:.2f} ×", "≤ 2 × the echo", ratio <= 2,
        )
    )  # fmt: skip
    return figures


__all__ = ["measure", "run", "tempfile"]
