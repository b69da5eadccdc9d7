"""A network's bus in memory: a broker that several processes share, which loses, doubles and shuffles as it is told to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from agent_store.kernel import cloudevents
from agent_store.kernel.bus import Intake, Until
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.event import Envelope

PREFETCH = 200
_HOLD = 0.005
"""Seconds after which a message that was refused comes again."""


@dataclass(eq=False)
class _Message:
    body: bytes
    holder: MemoryBus | None = None


@dataclass(eq=False)
class _Queue:
    """What waits for one consumer, and what its processes hold unanswered. It stays when they go."""

    consumer: Consumer
    waiting: list[_Message] = field(default_factory=list[_Message])
    held: list[_Message] = field(default_factory=list[_Message])


class MemoryBroker:
    """At least once and, with `rng`, without order. Every event is a copy, as over a wire.

    `twice`: each message is brought twice, to whoever takes it. `until` is what the processes answer at: "recorded" as
    on RabbitMQ, "handled" as behind Knative's dispatcher. `away`: it takes and brings nothing.
    """

    def __init__(
        self,
        *,
        twice: bool = False,
        rng: random.Random | None = None,
        until: Until = "recorded",
        prefetch: int = PREFETCH,
        clock: Clock | None = None,
    ) -> None:
        self.twice = twice
        self.rng = rng
        self.until: Until = until
        self.prefetch = prefetch
        self.clock = clock or SystemClock()
        self.queues: dict[str, _Queue] = {}
        self.buses: list[MemoryBus] = []
        self.away = False
        self.holding = False
        self.unconfirmed = 0
        """So many events that come in from now on are kept, and not confirmed."""
        self.loses: Callable[[Envelope, str], bool] = lambda event, consumer: False
        """Which events are confirmed and never brought to this consumer."""
        self.unreachable: set[str] = set()
        """Consumers to which nothing can be redelivered."""
        self.redelivered: list[tuple[str, str]] = []
        self.published: list[str] = []
        self.brought: list[tuple[str, str]] = []

    def bus(self) -> MemoryBus:
        """A process's own connection."""
        bus = MemoryBus(self)
        self.buses.append(bus)
        return bus

    # --- faults ------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Bring nothing until `release`: then it is all there to be shuffled."""
        self.holding = True

    def release(self) -> None:
        self.holding = False
        self.bring()

    def go_away(self) -> None:
        self.away = True
        self.drop()

    def come_back(self) -> None:
        self.away = False
        self.bring()

    def drop(self) -> None:
        """All connections break and come again: what was unanswered is brought once more."""
        for queue in self.queues.values():
            for message in list(queue.held):
                self.give_back(queue, message)
        self.bring()

    # --- what it does -------------------------------------------------------------------------------------------

    def pending(self, buses: Collection[MemoryBus]) -> bool:
        """Whether something waits that one of these buses takes now, or is unanswered by one of them."""
        if self.until == "recorded" and any(
            message.holder in buses for queue in self.queues.values() for message in queue.held
        ):
            return True
        if self.away or self.holding:
            return False
        return any(
            queue.waiting and any(bus in buses and bus.holds(queue) < self.prefetch for bus in self._takers(name))
            for name, queue in self.queues.items()
        )

    def declare(self, consumer: Consumer) -> None:
        queue = self.queues.get(consumer.name)
        if queue is None:
            self.queues[consumer.name] = _Queue(consumer)
        else:
            queue.consumer = consumer

    def accept(self, event: Envelope) -> bool:
        if self.away:
            return False
        self.published.append(event.id)
        for name, queue in self.queues.items():
            if queue.consumer.subscription(event) is not None and not self.loses(event, name):
                self.put(queue, event)
        self.bring()
        if self.unconfirmed:
            self.unconfirmed -= 1
            return False
        return True

    def put(self, queue: _Queue, event: Envelope) -> None:
        body = cloudevents.to_structured(event)
        queue.waiting.extend(_Message(body) for _ in range(2 if self.twice else 1))

    def give_back(self, queue: _Queue, message: _Message) -> None:
        if message in queue.held:
            queue.held.remove(message)
            queue.waiting.append(_Message(message.body))

    def _takers(self, name: str) -> list[MemoryBus]:
        return [bus for bus in self.buses if bus.serves(name)]

    def bring(self) -> None:
        """Give what waits to whoever takes it."""
        if self.away or self.holding:
            return
        for name, queue in self.queues.items():
            while queue.waiting:
                takers = [bus for bus in self._takers(name) if bus.holds(queue) < self.prefetch]
                if not takers:
                    break
                index = self.rng.randrange(len(queue.waiting)) if self.rng else 0
                bus = self.rng.choice(takers) if self.rng else min(takers, key=lambda bus: bus.holds(queue))
                message = queue.waiting.pop(index)
                message.holder = bus
                queue.held.append(message)
                bus.take(queue, message)


class MemoryBus:
    """One process's connection to a `MemoryBroker`. Implements `kernel.bus.Bus`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self._intake: Intake | None = None
        self._names: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut = False

    def serves(self, name: str) -> bool:
        return name in self._names

    @property
    def healthy(self) -> bool:
        return True

    @property
    def listening(self) -> bool:
        return True  # a queue stands as soon as its consumer has been added

    def holds(self, queue: _Queue) -> int:
        return sum(message.holder is self for message in queue.held)

    async def start(self, intake: Intake, consumers: Sequence[Consumer]) -> None:
        self._intake = intake
        for consumer in consumers:
            await self.add(consumer)

    async def publish(self, events: Sequence[Envelope]) -> list[bool]:
        await asyncio.sleep(0)
        return [not self._cut and self.broker.accept(event) for event in events]

    async def redeliver(self, consumer: str, event: Envelope) -> bool:
        await asyncio.sleep(0)
        broker, queue = self.broker, self.broker.queues.get(consumer)
        if self._cut or broker.away or queue is None or consumer in broker.unreachable:
            return False
        broker.redelivered.append((consumer, event.id))
        broker.put(queue, event)
        broker.bring()
        return True

    async def add(self, consumer: Consumer) -> None:
        self.broker.declare(consumer)
        self._names.add(consumer.name)
        self.broker.bring()

    async def remove(self, name: str) -> None:
        self._names.discard(name)

    def take(self, queue: _Queue, message: _Message) -> None:
        task = asyncio.get_running_loop().create_task(self._take(queue, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, queue: _Queue, message: _Message) -> None:
        assert self._intake is not None
        broker = self.broker
        if broker.rng is not None:
            for _ in range(broker.rng.randrange(8)):
                await asyncio.sleep(0)
        name = queue.consumer.name
        event = cloudevents.from_structured(message.body, now=broker.clock.now())
        broker.brought.append((name, event.id))
        try:
            await self._intake.receive(event, consumer=name, until=broker.until)
        except TemporaryError:
            await asyncio.sleep(_HOLD)
            broker.give_back(queue, message)
        else:
            if not self._cut and message in queue.held:
                queue.held.remove(message)
        broker.bring()

    async def drain(self) -> None:
        self._names.clear()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """The connection breaks for good, as when its process is killed: what was unanswered goes back."""
        self._cut = True
        self._names.clear()
        for queue in self.broker.queues.values():
            for message in [message for message in queue.held if message.holder is self]:
                self.broker.give_back(queue, message)
        for task in self._tasks:
            task.cancel()
        if self in self.broker.buses:
            self.broker.buses.remove(self)
        self.broker.bring()

    async def stop(self) -> None:
        tasks = list(self._tasks)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)
