"""Fixtures: a Knative Broker of the test's own, the real programs on the tests' RabbitMQ; and a subscriber's server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Self

import pytest
import uvicorn

from agent_store.entrypoints.listen import bind
from agent_store.entrypoints.programs import Absent, RabbitMQ, free_port
from agent_store.entrypoints.programs_knative import KnativeBroker, programs_folder
from tests.support.components import missing


@pytest.fixture(scope="session")
def knative_bin() -> Path:
    """The folder of `ingress` and `dispatcher`."""
    try:
        return programs_folder()
    except Absent as error:
        missing("knative", error.message)


@pytest.fixture
async def knative(rabbitmq: RabbitMQ, knative_bin: Path) -> AsyncGenerator[KnativeBroker]:
    """A broker whose dead letters go nowhere, without Triggers."""
    async with KnativeBroker(rabbitmq.url, knative_bin) as broker:
        yield broker


class Subscriber:
    """An ASGI application on a port that stays its own while it is away."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.port = free_port()
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        listener = bind("127.0.0.1", self.port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app, interface="asgi3", log_config=None, access_log=False, lifespan="off", proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await eventually(lambda: self._server is not None and self._server.started)

    async def stop(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = self._serving = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()


async def eventually(condition: Callable[[], bool], seconds: float = 40) -> None:
    """Wait for something that other programs bring about."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
