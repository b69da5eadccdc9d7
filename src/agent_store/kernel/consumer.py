"""A consumer is a deployment of an agent: `orders`, or `seller/fashion`, which sees one brand's events only."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent_store.kernel.agent import Agent, Subscription
from agent_store.kernel.event import Envelope


@dataclass(frozen=True, slots=True)
class Consumer:
    """`name` is the inbox key, the queue's name and part of the event source; `brand` limits what it hears."""

    agent: Agent
    brand: str | None = None
    name: str = field(init=False, compare=False)
    source: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Asked for many times an event.
        object.__setattr__(self, "name", f"{self.agent.name}/{self.brand}" if self.brand else self.agent.name)
        object.__setattr__(self, "source", f"/agent-store/{self.name}")

    def subscription(self, event: Envelope) -> Subscription | None:
        """What handles this event here, or None when it is not for this consumer."""
        subscription = self.agent.subscriptions.get(event.type) or self.agent.ticks.get(event.type)
        if subscription is None or (self.brand is not None and event.brand != self.brand):
            return None
        return subscription
