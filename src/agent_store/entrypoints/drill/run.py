"""`agent-store drill`: starts a store of its own, loads it, harms it, and tells what held."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent_store.entrypoints.drill.faults import FAULTS, FOR, Breach, says
from agent_store.entrypoints.drill.fleet import LINKS, Fleet, Mode
from agent_store.entrypoints.drill.invariants import Verdict, check
from agent_store.entrypoints.drill.load import Answer, Customers, Load
from agent_store.entrypoints.drill.platform import Platform
from agent_store.kernel.errors import InvalidInput, TemporaryError

Say = Callable[[str], None]
_FAULT_LIMIT = 240.0
"""Seconds beyond its own length after which a fault has hung."""


def parse(faults: str, mode: Mode) -> tuple[tuple[str, ...], ...]:
    """`kill,postgres+links`: one after the other, those with a + at the same time; `all`, `none`. Raises InvalidInput."""
    if faults == "none":
        return ()
    if faults == "all":
        return tuple((name,) for name in FOR[mode])
    groups = tuple(tuple(name.strip() for name in group.split("+")) for group in faults.split(","))
    for name in (name for group in groups for name in group):
        if name not in FOR[mode]:
            raise InvalidInput(f"there is no fault {name!r} for {mode}: {', '.join(FOR[mode])}, all, none")
    return groups


@dataclass(frozen=True, slots=True)
class Plan:
    """`faults`: groups, one after the other; the faults of a group at the same time. `customers` buy at a time, and
    `passers_by` a second say one thing and wait for nobody. `seconds` a fault lasts about; `rest` is between two. `patience`: how long a customer waits for an answer, and `settling` how long the store has to
    finish everything afterwards; all in seconds."""

    mode: Mode = "embedded"
    faults: tuple[tuple[str, ...], ...] = ()
    customers: int = 4
    passers_by: float = 2.0
    seconds: float = 12.0
    rest: float = 3.0
    patience: float = 30.0
    settling: float = 180.0
    replicas: int = 1
    seed: int = 1
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if self.customers < 1 or self.replicas < 1:
            raise InvalidInput("a drill needs a customer and a replica, or more")
        if not 1 <= self.seconds <= 600:
            raise InvalidInput("a fault lasts from 1 to 600 seconds")

    @property
    def names(self) -> str:
        return ", ".join("+".join(group) for group in self.faults) or "no faults"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the drill: what went on, and how the webhook answered meanwhile."""

    name: str
    seconds: float
    answers: list[Answer]


@dataclass(slots=True)
class Outcome:
    plan: Plan
    verdict: Verdict
    load: Load
    seconds: float
    stretches: list[Stretch]
    ended: list[str]
    """Processes that ended and nobody had asked them to."""
    unfinished: str = ""
    """What the store was still at when the time to finish was over."""

    @property
    def holds(self) -> bool:
        return self.verdict.holds and not self.unfinished


async def drill(plan: Plan, data: Path, *, say: Say = lambda line: None) -> Outcome:
    """Run it. Raises Absent when a program that the mode needs is not on this machine, TemporaryError when the store did
    not come up or a fault could not be injected."""
    began = time.monotonic()
    proxied = LINKS[plan.mode] if any("links" in group for group in plan.faults) else ()
    async with contextlib.AsyncExitStack() as stack:
        fleet = Fleet(
            plan.mode, data, replicas=plan.replicas, proxied=proxied, environment=plan.environment, say=say
        )  # fmt: skip
        await stack.enter_async_context(fleet)
        platform = await stack.enter_async_context(Platform(fleet.webhook, fleet.secrets.app_secret))
        try:
            await fleet.start(platform.url)
            say(f"ready after {time.monotonic() - began:.0f} s")
            customers = Customers(platform, fleet.number, patience=plan.patience)
            seen: list[str] = []
            stretches = await _harm(plan, fleet, customers, say, seen)
            say("no more customers; the store finishes what it is at")
            await fleet.until_ready()
            unfinished = "" if await fleet.until_quiet(plan.settling) else await fleet.busy_with()
            verdict = await check(fleet.state, customers.load, platform.reached)
            verdict.broken["seen by a fault"] = seen
        except TimeoutError as error:
            _keep_logs(fleet, say)
            raise TemporaryError(str(error) or "the drill took too long") from error
        outcome = Outcome(
            plan, verdict, customers.load, time.monotonic() - began, stretches, fleet.ended, unfinished
        )  # fmt: skip
        if not outcome.holds:
            _keep_logs(fleet, say)
    return outcome


def _keep_logs(fleet: Fleet, say: Say) -> None:
    """What a drill that found something leaves behind: outside of its folders, which go."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="agent-store-drill-", suffix=".log", delete=False
    ) as file:
        file.write(fleet.logs())
    say(f"what the processes said last is in {file.name}")


async def _harm(plan: Plan, fleet: Fleet, customers: Customers, say: Say, seen: list[str]) -> list[Stretch]:
    """Customers buy; meanwhile fault after fault. What a fault sees by itself is added to `seen`."""
    dice = random.Random(plan.seed)
    stop = asyncio.Event()
    stretches: list[Stretch] = []
    say(f"{plan.customers} customers at a time, and {plan.passers_by:g} passers-by a second")

    async def shop() -> None:
        async with asyncio.TaskGroup() as crowd:
            crowd.create_task(customers.run(plan.customers, stop))
            if plan.passers_by:
                crowd.create_task(customers.knock(plan.passers_by, stop))

    shopping = asyncio.create_task(shop())

    async def stretch(name: str, what: asyncio.Task[None] | None, seconds: float) -> None:
        began = time.monotonic()
        if what is None:
            await asyncio.wait({shopping}, timeout=seconds)
        else:
            await asyncio.wait({shopping, what}, return_when=asyncio.FIRST_COMPLETED)
        if shopping.done():
            if what is not None:
                what.cancel()
                await asyncio.gather(what, return_exceptions=True)
            shopping.result()  # customers end only when they fail
        if what is not None:
            what.result()
        ended = time.monotonic()
        stretches.append(Stretch(name, ended - began, customers.load.between(began, ended)))

    async def one(name: str) -> None:
        try:
            await FAULTS[name](fleet, dice, plan.seconds)
        except Breach as breach:
            seen.append(f"{name}: {breach}")

    async def inject(group: tuple[str, ...]) -> None:
        async with asyncio.timeout(plan.seconds + _FAULT_LIMIT), asyncio.TaskGroup() as together:
            for name in group:
                together.create_task(one(name))

    try:
        await stretch("calm", None, max(plan.rest, plan.seconds / 2 if not plan.faults else 0))
        for group in plan.faults:
            for name in group:
                say(f"{name}: {says(name)}")
            await stretch("+".join(group), asyncio.create_task(inject(group)), 0)
            await stretch(f"after {'+'.join(group)}", None, plan.rest)
        stop.set()
        with contextlib.suppress(TimeoutError):  # who is not through by then is among the unanswered
            async with asyncio.timeout(plan.settling):
                await shopping
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
    finally:
        shopping.cancel()
        await asyncio.gather(shopping, return_exceptions=True)
    return stretches


def run(plan: Plan, data: Path | None, say: Say) -> Outcome:
    """With a temporary data folder unless one is given. Ctrl-C, SIGTERM and SIGHUP end it and all that it has started;
    then KeyboardInterrupt is raised."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        if any(data.iterdir()):
            raise InvalidInput(f"{data} is not empty: a drill begins with nothing")
        return asyncio.run(_interruptible(plan, data, say))
    with tempfile.TemporaryDirectory(prefix="agent-store-drill-") as folder:
        return asyncio.run(_interruptible(plan, Path(folder), say))


async def _interruptible(plan: Plan, data: Path, say: Say) -> Outcome:
    task = asyncio.ensure_future(drill(plan, data, say=say))
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            say("interrupted: everything is taken down")
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
