"""The store's command line in a process that is made to die, to stand still, or to be wrong about the time:
`python -m tests.support.served_child serve …`, driven by `tests.support.ordeal`.

Nothing of the store knows of it: the boundaries are wrapped around its ports from here. The folder that
AGENT_STORE_TEST_FUSES names holds what is to happen: `<service>.plan`, a line each "deed|boundary|passing", of which each
process takes the first when it starts, or at SIGUSR1; `grave`, where the deeds are written down; and `clock`, the seconds by
which its clock is wrong, read at the start and at SIGUSR2.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from agent_store.adapters.bus.knative import KnativeBus
from agent_store.adapters.bus.rabbitmq import RabbitMqBus
from agent_store.adapters.db.postgres import PostgresStore
from agent_store.adapters.http.tools_client import RemoteToolbox
from agent_store.agents.payments.ports import PaymentProvider
from agent_store.agents.seller.service import SellerBrains
from agent_store.agents.whatsapp.ports import WhatsAppApi
from agent_store.entrypoints import served
from agent_store.kernel.clock import SystemClock
from agent_store.kernel.dispatcher import Dispatcher
from agent_store.kernel.runtime import Runtime

VARIABLE = "AGENT_STORE_TEST_FUSES"
DIE, STAND = "die", "stand"
LEASE = 4.0
"""Seconds after which others take over what a process has left: half of the usual time, so that nobody waits for long."""

NETWORK = (
    "after intake, before inbox", "after inbox, before ack", "before commit", "after commit, before publish",
    "after publish, before mark",
)  # fmt: skip
"""Boundaries that every process with consumers passes."""


class Fuse:
    """Burns at each passing of its boundary; at the end of it the process is gone, or stands still until it is woken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.service = ""
        self._deed, self._boundary, self._left = "", "", 0

    def take(self) -> None:
        """The next deed of this service's plan, if there is one."""
        path = self._folder / f"{self.service}.plan"
        if not path.exists():
            return
        with path.open("r+") as plan:
            fcntl.flock(plan, fcntl.LOCK_EX)
            lines = plan.read().splitlines()
            if not lines:
                return
            plan.seek(0)
            plan.truncate()
            plan.write("".join(f"{line}\n" for line in lines[1:]))
        self._deed, self._boundary, passing = lines[0].split("|")
        self._left = int(passing)

    def burn(self, boundary: str) -> None:
        if not self._left or boundary != self._boundary:
            return
        self._left -= 1
        if self._left:
            return
        with (self._folder / "grave").open("a") as grave:
            grave.write(f"{self.service}|{self._deed}|{boundary}\n")
        os.kill(os.getpid(), signal.SIGKILL if self._deed == DIE else signal.SIGSTOP)


class WrongClock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._wrong = 0.0
        self.read()

    def read(self) -> None:
        if self._path.exists():
            self._wrong = float(self._path.read_text())

    def time(self) -> float:
        return time.time() + self._wrong


def _around(owner: Any, method: str, fuse: Fuse, before: str, after: str) -> None:
    """A boundary before and after a method of a class or an object."""
    call: Callable[..., Any] = getattr(owner, method)

    async def fused(*args: Any, **kwargs: Any) -> Any:
        fuse.burn(before)
        result = await call(*args, **kwargs)
        fuse.burn(after)
        return result

    setattr(owner, method, fused)


def _around_commits(fuse: Fuse) -> None:
    """Those that change an agent's state or send something; a worker's beat and the marks are none."""
    of_agent: ContextVar[bool] = ContextVar("of_agent", default=False)
    transact, fill, execute = PostgresStore._transact, PostgresStore._fill, asyncpg.Connection.execute

    async def transacted(self: Any, agent: Any, group: Any) -> None:
        of_agent.set(agent is not None)
        await transact(self, agent, group)

    async def filled(self: Any, connection: Any, group: Any) -> None:
        await fill(self, connection, group)
        if any(job.events for job in group):
            of_agent.set(True)

    async def executed(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        if query != "COMMIT" or not of_agent.get():
            return await execute(self, query, *args, **kwargs)
        fuse.burn("before commit")
        said = await execute(self, query, *args, **kwargs)
        fuse.burn("after commit, before publish")
        return said

    PostgresStore._transact, PostgresStore._fill = transacted, filled  # type: ignore[method-assign]
    asyncpg.Connection.execute = executed  # type: ignore[method-assign]


def main() -> None:
    folder = Path(os.environ[VARIABLE])
    fuse, clock = Fuse(folder), WrongClock(folder / "clock")
    _around_commits(fuse)
    for bus in (RabbitMqBus, KnativeBus):
        _around(bus, "publish", fuse, "before publish", "after publish, before mark")
    _around(Dispatcher, "receive", fuse, "after intake, before inbox", "after inbox, before ack")
    _around(RemoteToolbox, "call", fuse, "before tool call", "after tool call")
    served.SystemClock = lambda: SystemClock(clock.time)  # type: ignore[assignment,misc]
    served.Runtime = partial(Runtime, lease=LEASE)  # type: ignore[assignment,misc]

    class Served(served.ServedProcess):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            ports = self.runtime.world.ports
            _around(self, "accept", fuse, "after receive", "before the webhook's answer")
            if WhatsAppApi in ports:
                _around(ports[WhatsAppApi], "send", fuse, "before Graph request", "after Graph request")
            if PaymentProvider in ports:
                _around(ports[PaymentProvider], "charge", fuse, "before charge", "after charge")
            brains: Any = ports.get(SellerBrains)
            if brains is not None:
                _around(brains.main, "think", fuse, "before thought", "after thought")
            _begin(self)

    class Steward(served.StewardProcess):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            _begin(self)

    def _begin(process: Any) -> None:
        fuse.service = process.service
        fuse.take()
        signal.signal(signal.SIGUSR1, lambda *_: fuse.take())
        signal.signal(signal.SIGUSR2, lambda *_: clock.read())

    served.ServedProcess, served.StewardProcess = Served, Steward  # type: ignore[misc]
    from agent_store.entrypoints import cli

    cli.main()


if __name__ == "__main__":
    sys.argv[0] = "agent-store"
    main()
