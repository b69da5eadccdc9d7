"""The gateway under load: 1,000 messages a delivery, 20 deliveries a second, beside a bare ASGI app that checks the HMAC.

Deliveries leave on time whether or not those before them are answered, and a delivery's time counts from the moment at
which it was due: a server that falls behind is seen to.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass

from tests.bench.bench_webhook import delivery, headers
from tests.bench.common import Figure, HttpClient, child, cpu_of, free_port, percentile, until_open

MESSAGES = int(os.environ.get("BENCH_LOAD_MESSAGES", "1000"))
"""Messages of a delivery."""
RATE = float(os.environ.get("BENCH_LOAD_RATE", "20"))
"""Deliveries a second."""
SECONDS = float(os.environ.get("BENCH_LOAD_SECONDS", "30"))
CONNECTIONS = min(64, max(4, round(RATE * 3)))  # each is used again before a server ends it as idle
WARM_UP = 5
"""Deliveries before the clock runs."""


@dataclass(frozen=True, slots=True)
class Run:
    cpu: float
    """µs a message."""
    took: list[float]
    """Seconds from when a delivery was due to its answer."""
    rate: float
    """Messages a second, until the last was answered."""
    behind: float
    """Seconds after the end of the run at which the last was answered."""
    refused: int
    """Deliveries that were to come again later (503): a platform repeats them, this bench does not."""


def large(number: int) -> bytes:
    """A delivery of MESSAGES texts of as many customers."""
    root = json.loads(delivery(0))
    value = root["entry"][0]["changes"][0]["value"]
    (contact,), (message,) = value["contacts"], value["messages"]
    who = [f"55119{index:08d}" for index in range(MESSAGES)]
    value["contacts"] = [{**contact, "wa_id": wa_id} for wa_id in who]
    value["messages"] = [
        {**message, "from": wa_id, "id": f"wamid.LOAD{number:06d}.{index:04d}"} for index, wa_id in enumerate(who)
    ]
    return json.dumps(root).encode()


async def _offer(port: int, pid: int, first: int, count: int, rate: float) -> Run:
    """`count` deliveries at `rate` a second."""
    signed = [(body, headers(body)) for body in (large(first + number) for number in range(count))]
    free: asyncio.Queue[HttpClient] = asyncio.Queue()
    clients = [await HttpClient.open(port) for _ in range(min(CONNECTIONS, count))]
    for client in clients:
        free.put_nowait(client)
    took: list[float] = []
    refused = 0
    cpu, started = cpu_of(pid), time.perf_counter()

    async def one(number: int) -> None:
        nonlocal refused
        due = started + number / rate
        await asyncio.sleep(due - time.perf_counter())
        client = await free.get()
        status = await client.post("/webhooks/whatsapp", *signed[number])
        took.append(time.perf_counter() - due)
        free.put_nowait(client)
        if status == 503:
            refused += 1
        elif status != 200:
            raise RuntimeError(f"the server said {status}")

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
    seconds = time.perf_counter() - started
    for client in clients:
        client.close()
    taken = (count - refused) * MESSAGES
    return Run(
        (cpu_of(pid) - cpu) / max(taken, 1) * 1e6, took, taken / seconds, max(0.0, seconds - count / rate), refused
    )


async def measure() -> list[Figure]:
    bare_port, our_port = free_port(), free_port()
    count = max(2, math.ceil(RATE * SECONDS))
    with (
        tempfile.TemporaryDirectory() as folder,
        child("-m", "tests.bench.bare_hmac", str(bare_port)) as bare,
        child("-m", "tests.bench.gateway", str(our_port), folder) as ours,
    ):
        await until_open(bare_port, bare)
        await until_open(our_port, ours)
        await _offer(bare_port, bare.pid, 100_000, WARM_UP, RATE)
        await _offer(our_port, ours.pid, 100_000, WARM_UP, RATE)
        reference = await _offer(bare_port, bare.pid, 0, count, RATE)
        measured = await _offer(our_port, ours.pid, 0, count, RATE)
    offered = MESSAGES * RATE
    load = f"load of {MESSAGES} × {RATE:g}/s"
    kept = measured.behind < 1.0 and not measured.refused
    refusals = f", {measured.refused} refused" if measured.refused else ""
    return [
        Figure(
            f"{load}, CPU a message", f"{measured.cpu:.1f} µs", f"{reference.cpu:.2f} µs bare uvicorn + HMAC",
            f"{measured.cpu / max(reference.cpu, 0.01):.0f} ×",
        ),
        Figure(
            f"{load}, committed", f"{measured.rate:.0f} messages/s, {measured.behind:.1f} s behind at the end{refusals}",
            f"{reference.rate:.0f} messages/s", aim=f"{offered:.0f}/s, under 1 s behind", met=kept,
        ),
        Figure(
            f"{load}, to the answer", _times(measured.took), _times(reference.took),
        ),
    ]  # fmt: skip


def _times(took: list[float]) -> str:
    return (
        f"p50 {statistics.median(took) * 1e3:.0f} ms, p99 {percentile(took, 0.99) * 1e3:.0f} ms, "
        f"longest {max(took) * 1e3:.0f} ms"
    )


def run() -> list[Figure]:
    return asyncio.run(measure())
