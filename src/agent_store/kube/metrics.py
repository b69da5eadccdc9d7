"""What the operator counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class OperatorMetrics:
    """A registry of its own, so that two operators in one process (tests) do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "agent_store_operator_reconciles", "Reconciles by result: settled, changed, waiting, retried, failed",
            ["what", "result"], registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "agent_store_operator_reconcile_seconds", "Time of one reconcile", ["what"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.writes = Counter(
            "agent_store_operator_writes", "Writes to the API server by verb and kind", ["verb", "kind"],
            registry=self.registry,
        )  # fmt: skip
        self.refused = Counter(
            "agent_store_operator_requests_refused", "Answers of the API server that are errors, by status",
            ["status"], registry=self.registry,
        )  # fmt: skip
        self.leader = Gauge("agent_store_operator_leader", "1 while this process acts", registry=self.registry)
        self.waiting = Gauge(
            "agent_store_operator_queue", "Resources that wait for a reconcile", registry=self.registry
        )
        self.agents = Gauge(
            "agent_store_operator_lambdaagents", "LambdaAgents by readiness", ["ready"], registry=self.registry
        )
        self.watches = Counter(
            "agent_store_operator_watch_restarts", "Watches that had to be begun again", registry=self.registry
        )
        self.events = Counter(
            "agent_store_operator_watch_events", "Changes heard, by kind", ["kind"], registry=self.registry
        )
        self.leader.set(0)
        for ready in ("True", "False", "Unknown"):
            self.agents.labels(ready).set(0)

    def written(self) -> int:
        """Writes so far, without those of the lease."""
        return int(
            sum(
                sample.value
                for metric in self.writes.collect()
                for sample in metric.samples
                if sample.name.endswith("_total") and sample.labels["kind"] != "Lease"
            )
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)
