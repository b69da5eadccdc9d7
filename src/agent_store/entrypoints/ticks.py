"""Posts the ticks of schedules: for a platform that keeps the time itself (a CronJob), beside a steward or in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.entrypoints.buses import keys_of, make_bus
from agent_store.entrypoints.datafolder import Secrets
from agent_store.entrypoints.rooms import all_agents
from agent_store.entrypoints.settings import Settings
from agent_store.kernel.agent import Agent, Schedule
from agent_store.kernel.bus import Bus, DeadDelivery, Until
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.errors import InvalidInput, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.signing import Signer
from agent_store.kernel.steward import planned_time, tick_of

_AGAIN = 0.5


def schedules(names: Sequence[str] = ()) -> list[tuple[Agent, Schedule]]:
    """All, or those named (`whatsapp.sweep`, or `whatsapp` for all of an agent). Raises InvalidInput that names those
    there are."""
    known = {
        f"{agent.name}.{schedule.name}": (agent, schedule)
        for agent in all_agents()
        for schedule in agent.schedules.values()
    }
    for name in names:
        if not any(name in (full, agent.name) for full, (agent, _) in known.items()):
            raise InvalidInput(f"there is no schedule {name!r}: {', '.join(sorted(known))}")
    return [found for full, found in sorted(known.items()) if not names or {full, found[0].name} & set(names)]


async def post(bus: Bus, wanted: Sequence[tuple[Agent, Schedule]], clock: Clock, *, seconds: float) -> list[Envelope]:
    """The tick of the last planned time of each, until the broker has it for good: sent again and again for so many
    seconds. One that was sent before, by whomever, counts once. Raises TemporaryError."""
    now = clock.now()
    ticks = [tick_of(agent, schedule, planned_time(schedule, now)) for agent, schedule in wanted]
    left = list(ticks)
    try:
        async with asyncio.timeout(seconds):
            await bus.start(_Nobody(), [])
            while True:
                taken = await bus.publish(left)
                left = [tick for tick, sent in zip(left, taken, strict=True) if not sent]
                if not left:
                    return ticks
                await asyncio.sleep(_AGAIN)
    except TimeoutError:
        names = ", ".join(tick.type for tick in left)
        raise TemporaryError(f"the broker has not taken {names} in {seconds:g} s", code="broker") from None
    finally:
        await bus.stop()


def run(settings: Settings, names: Sequence[str], *, seconds: float, say: Callable[[str], None]) -> None:
    clock, wanted = SystemClock(), schedules(names)
    secrets = Secrets.load(settings.data)
    bus = make_bus(
        settings, Signer(keys_of(settings, secrets)), None, PrometheusMetrics(), service=settings.service or "tick",
        dead=_refuse, takes_dead=False, clock=clock,
    )  # fmt: skip
    for tick in asyncio.run(post(bus, wanted, clock, seconds=seconds)):
        say(f"{tick.type} of {tick.time:%Y-%m-%dT%H:%M:%SZ}")


class _Nobody:
    """Takes nothing in: this process only sends."""

    async def receive(self, event: Envelope, *, consumer: str | None = None, until: Until = "recorded") -> None:
        raise TemporaryError("this process takes no events")


async def _refuse(dead: DeadDelivery) -> None:
    raise TemporaryError("this process keeps no dead letters")
