"""`agent-store drill`: starts a store of its own, loads it, harms it, and tells what held."""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent_store.entrypoints.drill.faults import FAULTS, FOR
from agent_store.entrypoints.drill.fleet import Fleet, Mode
from agent_store.entrypoints.drill.invariants import Verdict, check
from agent_store.entrypoints.drill.load import Customers, Load
from agent_store.entrypoints.drill.platform import Platform
from agent_store.kernel.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` a fault lasts about; `rest` is between two. `patience`: how long a customer waits for an answer, and
    `settling` how long the store has to finish everything afterwards; all in seconds."""

    mode: Mode = "embedded"
    faults: tuple[str, ...] = ()
    customers: int = 4
    seconds: float = 12.0
    rest: float = 3.0
    patience: float = 30.0
    settling: float = 120.0
    replicas: int = 1
    seed: int = 1
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for fault in self.faults:
            if fault not in FOR[self.mode]:
                raise InvalidInput(f"there is no fault {fault!r} for {self.mode}: {', '.join(FOR[self.mode])}")


@dataclass(slots=True)
class Outcome:
    plan: Plan
    verdict: Verdict
    load: Load
    seconds: float
    settled: bool
    calm: list[float] = field(default_factory=list[float])
    """Seconds of the webhook's answers before the first fault."""

    @property
    def holds(self) -> bool:
        return self.settled and self.verdict.holds


async def drill(plan: Plan, data: Path, *, say: Callable[[str], None] = lambda line: None) -> Outcome:
    """Run it. Raises Absent when a program that the mode needs is not on this machine."""
    began = time.monotonic()
    dice = random.Random(plan.seed)
    proxied = ("postgres", "rabbitmq") if "links" in plan.faults else ()
    fleet = Fleet(plan.mode, data, replicas=plan.replicas, proxied=proxied, environment=plan.environment)
    fleet.plan()
    async with Platform(fleet.webhook, fleet.secrets.app_secret) as platform, fleet:
        say(f"starting a store: {plan.mode}")
        await fleet.start(platform.url)
        say(f"ready after {time.monotonic() - began:.0f} s; {plan.customers} customers at a time")
        customers = Customers(platform, fleet.number, patience=plan.patience)
        stop = asyncio.Event()
        shopping = asyncio.create_task(customers.run(plan.customers, stop))
        try:
            await asyncio.sleep(plan.rest)
            calm = list(customers.load.webhook_seconds)
            for name in plan.faults:
                say(f"{name}: {(FAULTS[name].__doc__ or '').strip().splitlines()[0]}")
                await FAULTS[name](fleet, dice, plan.seconds)
                await asyncio.sleep(plan.rest)
            stop.set()
            with contextlib.suppress(TimeoutError):  # who is not through by then is among the unanswered
                async with asyncio.timeout(plan.settling):
                    await shopping
        finally:
            shopping.cancel()
            await asyncio.gather(shopping, return_exceptions=True)
        await fleet.revive()
        say("no more customers; the store finishes what it is at")
        settled = await fleet.until_quiet(plan.settling)
        verdict = await check(fleet.state, data, customers.load, platform.reached)
        if not (settled and verdict.holds):
            (data / "processes.log").write_text(fleet.logs(), "utf-8")
    return Outcome(plan, verdict, customers.load, time.monotonic() - began, settled, calm)


def report(outcome: Outcome) -> str:
    """What a person reads."""
    verdict, load = outcome.verdict, outcome.load
    lines = ["", f"Fault drill, {outcome.plan.mode}: {', '.join(outcome.plan.faults) or 'no faults'}; "
                 f"{outcome.seconds:.0f} s, seed {outcome.plan.seed}", ""]  # fmt: skip
    lines += [f"  {count:>7}  {name}" for name, count in verdict.counts.items()]
    lines += ["", "  must be 0:"]
    lines += [f"  {len(broken):>7}  {name}" for name, broken in verdict.broken.items()]
    lines += [f"  {0 if outcome.settled else 1:>7}  not at rest {outcome.plan.settling:g} s after the last customer"]
    for name, broken in verdict.broken.items():
        lines += [f"          {name}: {sentence}" for sentence in broken[:20]]
    lines += ["", f"  {len(verdict.dead):>7}  dead letters", *(f"          {letter}" for letter in verdict.dead[:20])]
    lines += [
        f"  {len(verdict.uncertain):>7}  uncertain sends",
        *(f"          {send}" for send in verdict.uncertain[:20]),
    ]
    if load.webhook_seconds:
        during = _spread(load.webhook_seconds)
        before = f"; before the faults {_spread(outcome.calm)}" if outcome.calm else ""
        lines += ["", f"  webhook answered in {during}{before}"]
    if load.reply_seconds:
        lines += [f"  reply reached the platform after {_spread(load.reply_seconds)}"]
    return "\n".join([*lines, "", f"  {'HOLDS' if outcome.holds else 'BROKEN'}", ""])


def _spread(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"


def run(plan: Plan, data: Path | None) -> bool:
    """With a temporary data folder unless one is given. Returns whether everything held."""

    def say(line: str) -> None:
        sys.stdout.write(f"  {line}\n")
        sys.stdout.flush()

    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(drill(plan, data, say=say))
    else:
        with tempfile.TemporaryDirectory(prefix="agent-store-drill-") as folder:
            outcome = asyncio.run(drill(plan, Path(folder), say=say))
    sys.stdout.write(report(outcome))
    return outcome.holds
