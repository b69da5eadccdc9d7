"""`Agent`: a room's table of contents. Decorators only collect; the runtime (kernel.runtime) makes it live."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from agent_store.kernel.event import Event
from agent_store.kernel.tool import Tool

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from agent_store.kernel.context import Context, DatabaseKind

E = TypeVar("E", bound=Event)
T = TypeVar("T", bound=Tool[Any])
R = TypeVar("R")

Handler = Callable[[Any, "Context"], Awaitable[Any]]

TICK_ATTEMPTS = 8
TICK_TOPIC = "schedule"
"""The topic of the events that run schedules."""
TICK_BACKOFF = timedelta(seconds=1)


def _caller() -> Path:
    """The file of the module that is making an agent."""
    frame = inspect.currentframe()
    maker = frame.f_back.f_back if frame and frame.f_back else None
    return Path(maker.f_code.co_filename) if maker else Path()


@dataclass(frozen=True, slots=True)
class Subscription:
    """One handler of one event type.

    `ordered`: an early `sequence` of the same subject is parked until the earlier ones are in, at most
    `order_wait`; then it goes on without them. `attempts` counts the first try. `aside`: its events do not stand in the
    lane of their partition but in one of their own, so they neither wait for the partition's others nor keep them waiting.
    """

    event: type[Event]
    handler: Handler
    kind: Literal["on", "process"]
    timeout: timedelta
    attempts: int
    ordered: bool
    order_wait: timedelta
    backoff: timedelta
    aside: bool = False


@dataclass(frozen=True, slots=True)
class ToolBinding:
    """`mode`: "read" runs outside any transaction; "write" in one of its own; "steps" as a journaled process."""

    contract: type[Tool[Any]]
    handler: Handler
    mode: Literal["read", "write", "steps"]
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Schedule:
    """`period` between planned times, which are multiples of it since the Unix epoch (so every replica agrees)."""

    name: str
    period: timedelta
    handler: Callable[[Context], Awaitable[None]]
    timeout: timedelta


class Agent:
    """What an agent listens to, the tools it offers, what it runs on a schedule.

    `tables` is the MetaData of its own tables, every one prefixed `<name>_`; `ddl` holds, by kind of database,
    further idempotent statements that SQLAlchemy has no word for (text search and its triggers). `migrations` is the
    folder of the tables' revisions: `migrations` beside the module that makes the agent, unless another is named. An
    agent without that folder has its tables created as they are now, and never changed.
    """

    def __init__(
        self,
        name: str,
        *,
        tables: MetaData | None = None,
        ddl: Mapping[DatabaseKind, Sequence[str]] | None = None,
        migrations: Path | None = None,
    ) -> None:
        self.name = name
        self.tables = tables
        self.migrations = migrations or _caller().parent / "migrations"
        self.ddl: Mapping[DatabaseKind, Sequence[str]] = ddl or {}
        self.subscriptions: dict[str, Subscription] = {}
        self.tools: dict[str, ToolBinding] = {}
        self.schedules: dict[str, Schedule] = {}
        self.ticks: dict[str, Subscription] = {}
        """What runs a schedule when its tick comes, by the tick's event type."""

    def on(
        self,
        event: type[E],
        *,
        timeout: timedelta = timedelta(seconds=5),
        attempts: int = 8,
        ordered: bool = False,
        order_wait: timedelta = timedelta(seconds=5),
        backoff: timedelta = timedelta(milliseconds=200),
        aside: bool = False,
    ) -> Callable[[Callable[[E, Context], Awaitable[None]]], Callable[[E, Context], Awaitable[None]]]:
        """Database only: runs in a savepoint of a group commit, with its inbox row and what it emits."""
        return self._subscribe(event, "on", timeout, attempts, ordered, order_wait, backoff, aside)

    def process(
        self,
        event: type[E],
        *,
        timeout: timedelta = timedelta(seconds=60),
        attempts: int = 8,
        ordered: bool = False,
        order_wait: timedelta = timedelta(seconds=5),
        backoff: timedelta = timedelta(milliseconds=500),
        aside: bool = False,
    ) -> Callable[[Callable[[E, Context], Awaitable[None]]], Callable[[E, Context], Awaitable[None]]]:
        """Takes time or touches the world: journaled steps (`ctx.step`, `ctx.call`, `ctx.write`), resumed after a crash."""
        return self._subscribe(event, "process", timeout, attempts, ordered, order_wait, backoff, aside)

    def _subscribe(
        self,
        event: type[Event],
        kind: Literal["on", "process"],
        timeout: timedelta,
        attempts: int,
        ordered: bool,
        order_wait: timedelta,
        backoff: timedelta,
        aside: bool,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            if event.event_type in self.subscriptions:
                raise TypeError(f"{self.name} handles {event.event_type} already: one handler an event type")
            self.subscriptions[event.event_type] = Subscription(
                event, handler, kind, timeout, attempts, ordered, order_wait, backoff, aside
            )
            return handler

        return register

    def tool(
        self, contract: type[T], *, steps: bool = False, timeout: timedelta = timedelta(seconds=10)
    ) -> Callable[[Callable[[T, Context], Awaitable[R]]], Callable[[T, Context], Awaitable[R]]]:
        """Offer a tool. A contract with `writes=True` runs in its own transaction; with `steps=True` as a chain of
        steps (it may then call other tools, and writes through `ctx.write`)."""

        def register(handler: Callable[[T, Context], Awaitable[R]]) -> Callable[[T, Context], Awaitable[R]]:
            name = contract.tool_name
            if not name.startswith(f"{self.name}."):
                raise TypeError(f"{self.name} cannot offer {name}: a tool's name begins with its agent's")
            if name in self.tools:
                raise TypeError(f"{self.name} offers {name} already")
            mode = "steps" if steps else "write" if contract.writes else "read"
            self.tools[name] = ToolBinding(contract, handler, mode, timeout)
            return handler

        return register

    def tick_type(self, schedule: Schedule) -> str:
        """The type of the event that is emitted at every planned time."""
        return f"store.schedule.{self.name}.{schedule.name}"

    def every(
        self, period: timedelta, *, name: str | None = None, timeout: timedelta = timedelta(seconds=30)
    ) -> Callable[[Callable[[Context], Awaitable[None]]], Callable[[Context], Awaitable[None]]]:
        """Run `handler(ctx)` like an `@on` handler at every multiple of `period`; a missed time is run once, late."""

        def register(handler: Callable[[Context], Awaitable[None]]) -> Callable[[Context], Awaitable[None]]:
            title = name or getattr(handler, "__name__", "tick")
            if title in self.schedules:
                raise TypeError(f"{self.name} has a schedule {title} already")
            schedule = self.schedules[title] = Schedule(title, period, handler, timeout)

            async def tick(event: Event, ctx: Context) -> None:
                await handler(ctx)

            self.ticks[self.tick_type(schedule)] = Subscription(
                Event, tick, "on", timeout, TICK_ATTEMPTS, ordered=False, order_wait=timedelta(0), backoff=TICK_BACKOFF
            )
            return handler

        return register
