"""The `Bus` port: what carries events between processes. The local bus needs none: there the outbox is the bus.

A network bus is at least once and without order. What makes that right is the kernel's: outbox, inbox, parking.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent_store.kernel.consumer import Consumer
from agent_store.kernel.event import Envelope

Until = Literal["recorded", "handled"]


class Intake(Protocol):
    """What a bus hands events to: the runtime."""

    async def receive(self, event: Envelope, *, consumer: str | None = None, until: Until = "recorded") -> None:
        """Hand an event to one consumer of this process by its name, or (None) to all that hear it.

        Returns when its inbox has it for good (`recorded`: whatever happens now, it is handled once and without the
        broker), or when there is nothing to do for it now (`handled`: it is done, a dead letter, or waits for its turn or
        its next try). An event that nobody here hears is taken and forgotten. Handing the same event in again while it is being handled joins that handling.

        Raises TemporaryError when the inbox cannot take it now, or this process drains: the broker keeps it.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """An event that a broker could not deliver, or that this store could not read.

    `event` is None when it can't be read; then `body` and `headers` (the event's own, no others) are all there is.
    `consumers`: who should have had it, as far as that is known. `code`: the last HTTP status of its subscriber, -1 for
    none. `service`: the deployment that failed.
    """

    event: Envelope | None
    reason: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    service: str | None = None
    consumers: tuple[str, ...] = ()
    code: int | None = None


KeepDead = Callable[[DeadDelivery], Awaitable[None]]
"""Keeps it for good before it returns. Raises TemporaryError when it can't now: then the broker keeps it."""


class Bus(Protocol):
    """At least once between processes. Every method but `stop` may raise TemporaryError."""

    async def start(self, intake: Intake, consumers: Sequence[Consumer]) -> None:
        """Connect (in the background, for as long as it takes), declare what these consumers need, begin to take in.

        Does not wait for a broker that is away: the process serves its webhooks and tools without it."""
        ...

    @property
    def listening(self) -> bool:
        """Whether what its consumers need stands at the broker now: an event that is published before that is not theirs
        until the steward finds it missing."""
        ...

    @property
    def healthy(self) -> bool:
        """False when a mistake of the program has ended a part of it, which only a restart brings back. A broker that is
        away is no such thing."""
        ...

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        """Send them, as many at a time as the broker takes. One answer an event: True when the broker has confirmed
        that it is durable there. Never raises for a broker that is away or slow (bounded by the bus's own timeout)."""
        ...

    async def redeliver(self, consumer: str, event: Envelope) -> bool:
        """Hand an event to one consumer directly, past the routing that has lost it. True when it has been taken."""
        ...

    async def add(self, consumer: Consumer) -> None:
        """A consumer more, live."""
        ...

    async def remove(self, name: str) -> None: ...

    async def drain(self) -> None:
        """Take in nothing more; what has been handed in is still answered."""
        ...

    async def stop(self) -> None: ...
