"""The kernel's `Metrics` port on prometheus-client. `docs/metrics.md` lists every figure with the alerts that it is for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class PrometheusMetrics:
    """A registry of its own, so that two stores in one process (tests) do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._received = Counter(
            "agent_store_events_received",
            "Events that reached a consumer",
            ["consumer", "type"],
            registry=self.registry,
        )
        self._handled = Histogram(
            "agent_store_handling_seconds", "Handlings of events by outcome", ["consumer", "type", "outcome"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._tools = Histogram(
            "agent_store_tool_seconds",
            "Tool calls by outcome",
            ["tool", "outcome"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._published = Histogram(
            "agent_store_bus_publish_seconds",
            "Publishings to the broker, a batch each, until its confirm",
            ["bus"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._sent = Counter(
            "agent_store_bus_events_published",
            "Events given to the broker, by whether it has confirmed them",
            ["bus", "outcome"],
            registry=self.registry,
        )
        self._counters: dict[str, Counter] = {}
        # `labels()` takes a lock and formats every label: some 5 µs that a handled event should not pay three times.
        self._received_of = cache(self._received.labels)
        self._handled_of = cache(self._handled.labels)
        self._tools_of = cache(self._tools.labels)

    def received(self, consumer: str, type: str) -> None:
        self._received_of(consumer, type).inc()

    def handled(self, consumer: str, type: str, outcome: str, seconds: float) -> None:
        self._handled_of(consumer, type, outcome).observe(seconds)

    def tool_called(self, tool: str, outcome: str, seconds: float) -> None:
        self._tools_of(tool, outcome).observe(seconds)

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        counter = self._counters.get(name)
        if counter is None:
            counter = self._counters[name] = Counter(
                f"agent_store_{name}", name.replace("_", " "), sorted(labels), registry=self.registry
            )
        (counter.labels(**labels) if labels else counter).inc(amount)

    def published(self, bus: str, confirmed: int, unconfirmed: int, seconds: float) -> None:
        """One publishing to a broker (rabbitmq, knative); what is unconfirmed is sent again."""
        self._published.labels(bus).observe(seconds)
        self._sent.labels(bus, "confirmed").inc(confirmed)
        self._sent.labels(bus, "unconfirmed").inc(unconfirmed)

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A figure that is read when somebody looks."""
        Gauge(f"agent_store_{name}", help, registry=self.registry).set_function(read)

    def page(self) -> tuple[bytes, str]:
        """The scrape's body and content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
