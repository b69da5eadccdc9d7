"""Webhook to durable 200, beside a bare uvicorn app that checks the HMAC."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import statistics
import tempfile
import time

from tests.bench.common import Figure, HttpClient, child, cpu_of, free_port, percentile, until_open

MESSAGES = 3000
CONNECTIONS = 16


def delivery(number: int) -> bytes:
    """One text message, in the shape of the Cloud API's webhook."""
    return json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "200000000000001",
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": {
                                    "display_phone_number": "551155500001",
                                    "phone_number_id": "100000000000001",
                                },
                                "contacts": [{"profile": {"name": "Ana"}, "wa_id": f"55119{number % 500:08d}"}],
                                "messages": [
                                    {
                                        "from": f"55119{number % 500:08d}",
                                        "id": f"wamid.BENCH{number:08d}",
                                        "timestamp": str(int(time.time())),
                                        "type": "text",
                                        "text": {"body": "Oi, quero um vestido vermelho até 300 reais"},
                                    }
                                ],
                            },
                        }
                    ],
                }
            ],
        }
    ).encode()


def headers(body: bytes) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": "sha256=" + hmac.new(b"bench", body, hashlib.sha256).hexdigest(),
    }


async def _load(port: int, pid: int, first: int) -> tuple[float, float, list[float]]:
    """Send MESSAGES over CONNECTIONS; (CPU µs a message, messages a second, seconds of each)."""
    bodies = [delivery(first + number) for number in range(MESSAGES)]
    signed = [(body, headers(body)) for body in bodies]
    took: list[float] = []

    async def worker(share: list[tuple[bytes, dict[str, str]]]) -> None:
        client = await HttpClient.open(port)
        for body, head in share:
            started = time.perf_counter()
            status = await client.post("/webhooks/whatsapp", body, head)
            took.append(time.perf_counter() - started)
            if status != 200:
                raise RuntimeError(f"the server said {status}")
        client.close()

    cpu, wall = cpu_of(pid), time.perf_counter()
    await asyncio.gather(*(worker(signed[index::CONNECTIONS]) for index in range(CONNECTIONS)))
    seconds = time.perf_counter() - wall
    return (cpu_of(pid) - cpu) / MESSAGES * 1e6, MESSAGES / seconds, took


async def measure() -> list[Figure]:
    bare_port, our_port = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        child("-m", "tests.bench.bare_hmac", str(bare_port)) as bare,
        child("-m", "tests.bench.gateway", str(our_port), folder) as ours,
    ):
        await until_open(bare_port, bare)
        await until_open(our_port, ours)
        await _load(bare_port, bare.pid, 10_000_000)
        await _load(our_port, ours.pid, 10_000_000)
        ratios: list[float] = []
        bare_cpu: list[float] = []
        our_cpu: list[float] = []
        rates: list[float] = []
        took: list[float] = []
        bare_rates: list[float] = []
        for round_number in range(3):
            reference = await _load(bare_port, bare.pid, round_number * MESSAGES)
            measured = await _load(our_port, ours.pid, round_number * MESSAGES)
            bare_cpu.append(reference[0])
            our_cpu.append(measured[0])
            ratios.append(measured[0] / reference[0])
            rates.append(measured[1])
            bare_rates.append(reference[1])
            took.extend(measured[2])
    ratio = statistics.median(ratios)
    return [
        Figure(
            "webhook → durable 200, CPU", f"{statistics.median(our_cpu):.0f} µs", f"{statistics.median(bare_cpu):.0f} µs bare uvicorn + HMAC",
            f"{ratio:.2f} ×", "≤ 2.5 × bare", ratio <= 2.5,
        ),
        Figure("webhook → durable 200, rate", f"{statistics.median(rates):.0f}/s", f"{statistics.median(bare_rates):.0f}/s"),
        Figure(
            f"webhook → durable 200, {CONNECTIONS} connections", f"p50 {percentile(took, 0.5) * 1e3:.1f} ms, p99 {percentile(took, 0.99) * 1e3:.1f} ms"
        ),
    ]  # fmt: skip


def run() -> list[Figure]:
    return asyncio.run(measure())
