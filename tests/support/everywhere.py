"""Buses for the kernel's suite: in memory, RabbitMQ, and a Knative Broker's own `ingress` and `dispatcher`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.support.backends import Buses
from tests.support.buses import MemoryBroker


@contextlib.asynccontextmanager
async def memory() -> AsyncIterator[Buses]:
    yield MemoryBroker().bus
