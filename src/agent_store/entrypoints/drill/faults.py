"""The faults that a drill injects, one function each: it does its harm, and leaves the world as it found it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from agent_store.entrypoints.drill.fleet import Fleet

Fault = Callable[[Fleet, random.Random, float], Awaitable[None]]
"""(fleet, dice, seconds): for about so many seconds."""


async def kill(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """SIGKILL to one process after the other, at random moments; each is started again at once."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while loop.time() < ends:
        for name in dice.sample(sorted(fleet.processes), len(fleet.processes)):
            await asyncio.sleep(dice.random() * 0.5)
            fleet.any_of(name).kill()
            await fleet.revive()
            if loop.time() > ends:
                return


async def terminate(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """SIGTERM in the middle of work: each process drains, ends by itself, and is started again."""
    for name in sorted(fleet.processes):
        process = fleet.any_of(name)
        status = await process.terminate(30)
        if status != 0:
            raise AssertionError(
                f"{name} did not end in good order after SIGTERM: exit status {status}\n{process.log[-2000:]}"
            )
        await fleet.revive()
        await asyncio.sleep(dice.random() * seconds / 8)


async def pause(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Processes stand still longer than their lease and go on as if nothing had been: others have taken over."""
    for name in dice.sample(sorted(fleet.processes), min(3, len(fleet.processes))):
        process = fleet.any_of(name)
        process.pause()
        await asyncio.sleep(max(10.0, seconds / 3))
        process.resume()


async def lost(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """A process is killed and stays away: what it has committed and not published, the steward publishes."""
    for name in sorted(set(fleet.processes) - {"steward"}):
        fleet.any_of(name).kill()
        await asyncio.sleep(seconds / 6)
    await fleet.revive()


async def postgres(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """The database is killed, stays away for a moment, and comes back on the same files."""
    if fleet.postgres is not None:
        fleet.postgres.kill()
        await asyncio.sleep(min(4.0, seconds / 4))
        await fleet.postgres.start()
        await asyncio.sleep(seconds / 4)


async def rabbitmq(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """The broker's RabbitMQ is killed, stays away for a moment, and comes back on the same files."""
    if fleet.rabbitmq is not None:
        fleet.rabbitmq.kill()
        await asyncio.sleep(min(5.0, seconds / 4))
        await fleet.rabbitmq.start()
        await asyncio.sleep(seconds / 4)


async def redis(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Redis is gone for a while."""
    if fleet.redis is not None:
        fleet.redis.kill()
        await asyncio.sleep(seconds / 2)
        await fleet.redis.start()


async def links(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Each link to the database and the broker is cut, slowed and black-holed in turn."""
    for proxy in fleet.proxies.values():
        await proxy.cut()
        await asyncio.sleep(seconds / 8)
        await proxy.heal()
        proxy.slow(0.05)
        await asyncio.sleep(seconds / 8)
        await proxy.heal()
        proxy.black_hole()
        await asyncio.sleep(seconds / 8)
        await proxy.heal()
        await asyncio.sleep(seconds / 8)


async def ingress(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """The Broker's ingress is killed and away for a while."""
    if fleet.broker is not None:
        fleet.broker.ingress.kill()
        await asyncio.sleep(min(5.0, seconds / 3))
        await fleet.broker.ingress.start()


async def dispatcher(fleet: Fleet, dice: random.Random, seconds: float) -> None:
    """Each Trigger's dispatcher is killed and away for a moment."""
    if fleet.broker is not None:
        for part in fleet.broker.dispatchers.values():
            part.kill()
            await asyncio.sleep(min(2.0, seconds / 10))
            await part.start()


FAULTS: dict[str, Fault] = {
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
_EVERYWHERE = ("kill", "terminate", "pause")
_SEVERAL = ("lost", "postgres", "rabbitmq", "redis", "links")
FOR: dict[str, tuple[str, ...]] = {
    "embedded": _EVERYWHERE,
    "rabbitmq": (*_EVERYWHERE, *_SEVERAL),
    "knative": (*_EVERYWHERE, *_SEVERAL, "ingress", "dispatcher"),
}
"""Which faults there are for each kind of store."""
