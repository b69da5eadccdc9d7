"""One hop on each bus: an event emitted in one consumer's commit, until it is handled and committed at another one.

Beside a bare aio-pika echo with equal guarantees, FastStream's, and the bare Knative chain of ingress, dispatcher and a
subscriber that does nothing; in turns in one process, so that what else the machine does hits all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from typing import Any

from agent_store.entrypoints.programs import Absent, Postgres, RabbitMQ
from agent_store.entrypoints.programs_knative import KnativeBroker, programs_folder
from tests.bench.common import Figure, free_port, result_of
from tests.bench.hops import Settings, arguments

PARALLELISM = 50
"""Requests that a dispatcher has open at the same time, to both subscribers alike."""


async def measure() -> dict[str, Any]:
    """Summaries by contender, without those whose programs are absent."""
    found: dict[str, Any] = {}

    async def run(settings: Settings) -> None:
        found.update(await asyncio.to_thread(result_of, arguments(settings)))

    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        await run(Settings(("local",), folder=folder, rounds=2))
        try:
            # With fsync, as RabbitMQ's quorum queues have.
            postgres = await stack.enter_async_context(Postgres(fsync=True))
            rabbitmq = await stack.enter_async_context(RabbitMQ())
        except Absent as error:
            found["absent"] = error.message
            return found
        programs = {"PostgreSQL": postgres.pid or 0, "RabbitMQ": rabbitmq.pid or 0}
        await run(Settings(
            ("rabbitmq", "aio-pika", "faststream"), database=postgres.url, rabbitmq=rabbitmq.url, programs=programs,
        ))  # fmt: skip
        try:
            programs_at = programs_folder()
        except Absent as error:
            found["no knative"] = error.message
            return found
        broker = await stack.enter_async_context(KnativeBroker(rabbitmq.url, programs_at))
        ports = tuple(free_port() for _ in range(4))
        # The consumer "near" hears what comes back, "far" what goes there; so do the two sides of the bare chain.
        types = ("store.bench.back", "store.bench.there", "bench.bare0", "bench.bare1")
        for type, port in zip(types, ports, strict=True):
            name, url = type.replace(".", "-"), f"http://127.0.0.1:{port}"
            dispatcher = await broker.add_trigger(name, {"type": type}, url, parallelism=PARALLELISM)
            programs[name] = dispatcher.pid or 0
        programs["ingress"] = broker.ingress.pid or 0
        await run(Settings(
            ("knative", "chain"), database=postgres.url, ingress=broker.ingress_url, ports=ports, programs=programs,
        ))  # fmt: skip
    return found


def _busy(score: dict[str, Any]) -> str:
    return f"{score['rate']:,.0f}/s, CPU {score['cpu_us']:.0f} µs an event"


def _calm(score: dict[str, Any]) -> str:
    return f"p50 {score['calm'][0] * 1e3:.1f} ms, p99 {score['calm'][1] * 1e3:.1f} ms"


def _others(score: dict[str, Any]) -> str:
    programs = [(name.partition("-")[0], cpu) for name, cpu in score["others"].items()]
    merged = {"dispatchers" if name in ("store", "bench") else name: 0.0 for name, _ in programs}
    for name, cpu in programs:
        merged["dispatchers" if name in ("store", "bench") else name] += cpu
    return ", ".join(f"{name} {cpu:.0f}" for name, cpu in merged.items() if cpu >= 1)


def run() -> list[Figure]:
    found = asyncio.run(measure())
    settings = Settings(())
    many, few = f"{settings.together} under way", f"{settings.rate} events a second"
    local = found["local"]
    figures = [
        Figure(f"hop, local bus on SQLite, {many}", _busy(local)),
        Figure(f"hop, local bus on SQLite, {few}", _calm(local)),
    ]
    if "absent" in found:
        return [*figures, Figure("hop, RabbitMQ and Knative", f"not measured: {found['absent']}")]
    ours, echo, stream = found["rabbitmq"], found["aio-pika"], found["faststream"]
    faster = ours["rate"] / echo["rate"]
    figures += [
        Figure(
            f"hop, RabbitMQ and PostgreSQL, {many}", _busy(ours), f"{_busy(echo)}: aio-pika echo", f"{faster:.2f} ×",
            "≥ 0.5 × the echo's rate", faster >= 0.5,
        ),
        Figure("  the same beside FastStream's echo", _busy(ours), _busy(stream), f"{ours['rate'] / stream['rate']:.2f} ×"),
        Figure("  the same, from commit to commit", _spread(ours["busy"]), f"{_spread(echo['busy'])}: aio-pika echo"),
        Figure("  CPU µs an event of the programs", _others(ours), _others(echo)),
        Figure(
            f"hop, RabbitMQ and PostgreSQL, {few}", _calm(ours), f"{_calm(echo)}: aio-pika echo",
            f"{ours['calm'][0] / echo['calm'][0]:.2f} ×",
        ),
        Figure("  the same beside FastStream's echo", _calm(ours), _calm(stream)),
    ]  # fmt: skip
    if "no knative" in found:
        return [*figures, Figure("hop, Knative", f"not measured: {found['no knative']}")]
    ours, bare = found["knative"], found["chain"]
    faster, slower = bare["rate"] / ours["rate"], ours["calm"][0] / bare["calm"][0]
    figures += [
        Figure(
            f"hop, Knative and PostgreSQL, {many}", _busy(ours), f"{_busy(bare)}: bare chain", f"{faster:.2f} ×",
            "bare ≤ 1.3 × our rate", faster <= 1.3,
        ),
        Figure("  the same, from commit to commit", _spread(ours["busy"]), f"{_spread(bare['busy'])}: bare chain"),
        Figure("  CPU µs an event of the programs", _others(ours), _others(bare)),
        Figure(
            f"hop, Knative and PostgreSQL, {few}", _calm(ours), f"{_calm(bare)}: bare chain", f"{slower:.2f} ×",
            "p50 ≤ 1.3 × the bare chain", slower <= 1.3,
        ),
    ]  # fmt: skip
    return figures


def _spread(seconds: list[float]) -> str:
    return f"p50 {seconds[0] * 1e3:.0f} ms, p99 {seconds[1] * 1e3:.0f} ms"
