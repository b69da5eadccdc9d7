"""The `Metrics` port: what the kernel counts. `adapters.telemetry` gives it to Prometheus."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Every method is called on hot paths and must take microseconds."""

    def received(self, consumer: str, type: str) -> None: ...

    def handled(self, consumer: str, type: str, outcome: str, seconds: float) -> None:
        """`outcome`: done, duplicate, retried, later, parked, dead."""
        ...

    def tool_called(self, tool: str, outcome: str, seconds: float) -> None:
        """`outcome`: ok, or the error's code."""
        ...

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Rare things by name: stale_speaker, uncertain_send, brain_fallback …"""
        ...


class NoMetrics:
    """Counts nothing: the default where nobody looks."""

    def received(self, consumer: str, type: str) -> None:
        pass

    def handled(self, consumer: str, type: str, outcome: str, seconds: float) -> None:
        pass

    def tool_called(self, tool: str, outcome: str, seconds: float) -> None:
        pass

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        pass
