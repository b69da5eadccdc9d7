"""A store of several processes in the worst of conditions, for the fault matrix: the drill's fleet, its customers, and
processes that die or stand still where they are told to (`tests.support.served_child`)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent_store.entrypoints.drill.fleet import LINKS, Fleet, Mode
from agent_store.entrypoints.drill.invariants import Verdict, check
from agent_store.entrypoints.drill.load import Answer, Customers, Load, taken
from agent_store.entrypoints.drill.platform import Platform
from agent_store.entrypoints.drill.processes import StoreProcess
from agent_store.entrypoints.drill.report import percentile
from agent_store.entrypoints.programs import Absent
from tests.support.components import missing
from tests.support.served_child import VARIABLE

ROOT = Path(__file__).parents[2]
PATIENCE = 150.0
"""Seconds that a customer waits: longer than a turn's time, for one that died with its process is granted anew after it."""
SETTLING = 240.0


@dataclass(frozen=True)
class Deed:
    """`service` dies (or stands still) at its `passing`-th passing of a boundary."""

    service: str
    boundary: str
    passing: int = 1
    deed: str = "die"


class Ordeal:
    """`async with ordeal(mode, folder) as store:`; its `load` and verdict count everything since the start."""

    def __init__(self, fleet: Fleet, platform: Platform, fuses: Path) -> None:
        self.fleet, self.platform, self.fuses = fleet, platform, fuses
        self.customers = Customers(platform, fleet.number, patience=PATIENCE, quiet=0.15)
        self._strangers = itertools.count(1)

    @property
    def load(self) -> Load:
        return self.customers.load

    # --- load ----------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def shoppers(self, together: int = 2, *, passers_by: float = 0) -> AsyncGenerator[None]:
        """Customers buy, one purchase after the other, and others say one thing each, so many a second, until the block
        ends; then those under way finish."""
        stop = asyncio.Event()
        crowd = [asyncio.create_task(self.customers.run(together, stop))] if together else []
        if passers_by:
            crowd.append(asyncio.create_task(self.customers.knock(passers_by, stop)))
        try:
            yield
            stop.set()
            async with asyncio.timeout(SETTLING):
                await asyncio.gather(*crowd)
        finally:
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)

    async def purchases(self, count: int) -> None:
        """So many customers at the same time, one purchase each."""
        await asyncio.gather(*(self.customers.buy() for _ in range(count)))

    # --- harm ----------------------------------------------------------------------------------------------------------

    def plan(self, deeds: Sequence[Deed]) -> None:
        """What is to happen, each service's deeds one after the other: a process that starts takes the next. Begins now."""
        by_service: dict[str, list[str]] = {}
        for deed in deeds:
            by_service.setdefault(deed.service, []).append(f"{deed.deed}|{deed.boundary}|{deed.passing}\n")
        for service, lines in by_service.items():
            (self.fuses / f"{service}.plan").write_text("".join(lines))
            self.fleet.processes[service][0].signal(signal.SIGUSR1)

    def left(self) -> list[str]:
        """Deeds that no process has taken."""
        return [
            f"{path.stem}: {line}"
            for path in sorted(self.fuses.glob("*.plan"))
            for line in path.read_text().splitlines()
        ]

    def grave(self) -> list[Deed]:
        """What has happened."""
        path = self.fuses / "grave"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Deed(service, boundary, deed=deed) for service, deed, boundary in (line.split("|") for line in lines)]

    def forget_deeds(self) -> None:
        for path in self.fuses.glob("*"):
            if path.name != "clock":
                path.unlink()

    def set_clocks(self, seconds: float) -> None:
        """All processes of the machine are wrong by so many seconds from now on."""
        (self.fuses / "clock").write_text(f"{seconds}")
        for process in self.fleet.all:
            process.signal(signal.SIGUSR2)

    def pids(self) -> dict[str, list[int | None]]:
        return {name: [process.pid for process in replicas] for name, replicas in self.fleet.processes.items()}

    def starts(self) -> int:
        return sum(process.starts for process in self.fleet.all)

    # --- what came of it -------------------------------------------------------------------------------------------------

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        return await self.fleet.state.rows(sql)

    async def verdict(self) -> Verdict:
        """When it is at rest, with every process up."""
        await self.fleet.until_ready()
        quiet = await self.fleet.until_quiet(SETTLING)
        assert quiet, f"not at rest: {await self.fleet.busy_with()}\n{self.fleet.logs()[-6000:]}"
        return await check(self.fleet.state, self.load, self.platform.reached)

    async def holds(self, *, dead: int = 0) -> None:
        """Everything that a drill's verdict asks for, and no more dead letters than expected; and nothing crashed."""
        assert self.crashed() == []
        verdict = await self.verdict()
        broken = {name: sentences[:8] for name, sentences in verdict.broken.items() if sentences}
        assert broken == {}, f"{broken}\n{verdict.counts}\n{verdict.dead}"
        assert len(verdict.dead) <= dead, verdict.dead
        # A send whose outcome nobody knows is not made again: its customer may have heard nothing.
        assert len(self.load.unanswered) <= len(verdict.uncertain), self.load.unanswered
        assert [sentence for sentence in self.fleet.ended if "(-9)" not in sentence] == [], (
            "only those that were to die"
        )

    def crashed(self) -> list[str]:
        """Processes that ended and were not to die."""
        return [sentence for sentence in self.fleet.ended if "(-9)" not in sentence]

    def answers(self, since: float, until: float | None = None) -> list[Answer]:
        return self.load.between(since, time.monotonic() if until is None else until)


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float, what: str) -> float:
    """Wait for it; returns the seconds that it took."""
    began = time.monotonic()
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.05)


def p99(answers: Sequence[Answer]) -> float:
    """Of those that were 200, in seconds."""
    return percentile(taken(answers), 0.99)


def standing(fleet: Fleet) -> list[StoreProcess]:
    return [process for process in fleet.all if process.stands]


@contextlib.asynccontextmanager
async def ordeal(
    mode: Mode,
    folder: Path,
    *,
    replicas: int = 1,
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[Ordeal]:
    """Skips where a program is absent (fails where it is required)."""
    data, fuses = folder / "data", folder / "fuses"
    fuses.mkdir(parents=True)
    fleet = Fleet(
        mode, data, replicas=replicas, proxied=LINKS[mode], backoff=timedelta(milliseconds=50), main=(sys.executable, "-m", "tests.support.served_child"),
        environment={
            VARIABLE: str(fuses),
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "AGENT_STORE_BURST_WINDOW": "0.05",
            "AGENT_STORE_WHATSAPP_TIMEOUT": "3",
            "AGENT_STORE_WHATSAPP_DOUBT": "3",
            "AGENT_STORE_BUS_TIMEOUT": "3",
            "AGENT_STORE_DATABASE_STATEMENT_TIMEOUT": "4",
            "AGENT_STORE_DATABASE_POOL": "4",
            **(environment or {}),
        },
    )  # fmt: skip
    try:
        async with fleet, Platform(fleet.webhook, fleet.secrets.app_secret) as platform:
            await fleet.start(platform.url)
            yield Ordeal(fleet, platform, fuses)
    except Absent as error:
        missing("knative" if "ingress" in error.message else error.message.split()[0], error.message)
