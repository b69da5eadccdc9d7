"""The faults that a drill injects, one function each: it does its harm, and leaves the world as it found it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from agent_store.entrypoints.drill.fleet import GRACE, LINKS, STEWARD, Fleet
from agent_store.entrypoints.programs import Program

Fault = Callable[[Fleet, random.Random, float], Awaitable[None]]
"""(fleet, dice, seconds): for about so many seconds. Raises Breach when it sees a promise broken by itself."""


class Breach(Exception):
    """A promise is broken, in a sentence."""


_LEASE = 8.0
"""Seconds after which others take over what a process has left (`kernel.worker.LEASE_SECONDS`)."""


async def kill(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """SIGKILL to one process after the other, at random moments; each is started again."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while True:
        for name in dice.sample(sorted(fleet.processes), len(fleet.processes)):
            process = fleet.any_of(name)
            process.kill()
            await asyncio.sleep(dice.random() * 0.5)
            await process.until_ready()
        if loop.time() > ends:
            return


async def terminate(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """SIGTERM in the middle of work: each process drains, ends by itself within its grace period, and is started again."""
    for name in sorted(fleet.processes):
        process = fleet.any_of(name)
        await process.until_ready()
        kills = process.kills
        status = await process.terminate(GRACE.total_seconds() + 10)
        if status != 0 and process.kills == kills:  # else another fault has ended it
            raise Breach(f"{name} did not end in good order: exit status {status}: {process.last_words()}")
        await process.until_ready()
        await asyncio.sleep(dice.random() * seconds / 8)


async def pause(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Processes stand still for longer than their lease and go on as if nothing had been: others have taken over."""
    for name in dice.sample(sorted(fleet.processes), min(3, len(fleet.processes))):
        process = fleet.any_of(name)
        process.pause()
        try:
            await asyncio.sleep(max(_LEASE + 2, seconds / 3))
        finally:
            process.resume()


async def lost(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """A replica of every process is killed and stays away: what it has committed and not published, the steward publishes."""
    gone = [fleet.any_of(name) for name in sorted(set(fleet.processes) - {STEWARD})]
    try:
        for process in gone:
            process.take_away()
            await asyncio.sleep(seconds / len(gone))
    finally:
        for process in gone:
            process.bring_back()
    await fleet.until_ready()


async def _away(program: Program, seconds: float, after: float) -> None:
    program.kill()
    try:
        await asyncio.sleep(seconds)
    finally:
        await program.start()
    await asyncio.sleep(after)


async def postgres(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """The database is killed, stays away for a moment, and comes back on the same files."""
    if fleet.postgres is not None:
        await _away(fleet.postgres, min(4.0, seconds / 3), seconds / 3)


async def rabbitmq(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """The broker's RabbitMQ is killed, stays away for a moment, and comes back on the same files."""
    if fleet.broker is not None:
        await fleet.broker.settled()
    if fleet.rabbitmq is not None:
        await _away(fleet.rabbitmq, min(5.0, seconds / 3), seconds / 3)


async def redis(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Redis is killed and away for a while: limits and live screens go on without it."""
    if fleet.redis is not None:
        await _away(fleet.redis, seconds / 2, 0)


async def links(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Each link (database, broker, tools, Graph API) is cut, then slow, then lets nothing through, one after the other."""
    names = sorted({name.partition(" ")[0] for name in fleet.proxies})
    for name in names:
        proxies = [proxy for link, proxy in fleet.proxies.items() if link.partition(" ")[0] == name]
        try:
            for proxy in proxies:
                await proxy.cut()
            await asyncio.sleep(seconds / 6)
            for proxy in proxies:
                await proxy.heal()
                proxy.slow(0.05)
            await asyncio.sleep(seconds / 6)
            for proxy in proxies:
                await proxy.heal()
                proxy.black_hole()
            await asyncio.sleep(seconds / 6)
        finally:
            for proxy in proxies:
                await proxy.heal()
        await asyncio.sleep(seconds / 6)


async def ingress(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """The Broker's ingress is killed and away for a while."""
    if fleet.broker is not None:
        await _away(fleet.broker.ingress, min(5.0, seconds / 2), seconds / 4)


async def dispatcher(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Each Trigger's dispatcher is killed and away for a moment."""
    if fleet.broker is not None:
        parts = list(fleet.broker.dispatchers.values())
        for part in parts:
            await _away(part, min(2.0, seconds / len(parts)), 0)


FAULTS: Mapping[str, Fault] = {
    "kill": kill,
    "terminate": terminate,
    "pause": pause,
    "lost": lost,
    "postgres": postgres,
    "rabbitmq": rabbitmq,
    "redis": redis,
    "links": links,
    "ingress": ingress,
    "dispatcher": dispatcher,
}
_EVERYWHERE = ("kill", "terminate", "pause", "links")
_SEVERAL = ("lost", "postgres", "rabbitmq", "redis")
FOR: Mapping[str, tuple[str, ...]] = {
    "embedded": _EVERYWHERE,
    "rabbitmq": (*_EVERYWHERE, *_SEVERAL),
    "knative": (*_EVERYWHERE, *_SEVERAL, "ingress", "dispatcher"),
}
"""Which faults there are for each kind of store."""

__all__ = ["FAULTS", "FOR", "LINKS", "Fault"]


def says(fault: str) -> str:
    """What it does, in a sentence."""
    return (FAULTS[fault].__doc__ or "").strip().partition("\n")[0]
