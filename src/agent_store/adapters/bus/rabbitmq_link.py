"""A connection to RabbitMQ that is made again for as long as it takes, and what runs on it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import quote, urlsplit

import aio_pika
import structlog
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel

from agent_store.kernel.errors import TemporaryError

_log = structlog.get_logger("agent_store.rabbitmq")

TROUBLE = (AMQPError, OSError, ChannelInvalidStateError)
"""What a broker or the way to it may do to us (time-outs are OSErrors)."""

HEARTBEAT = 10
"""Seconds, unless the URL says otherwise (`?heartbeat=`): a peer that is silent for about three of them is given up."""

CLOSING = 2.0
"""Seconds that a good-bye may take."""

_LOGGED = 10  # every so many failures to connect

STABLE = 5.0
"""A run that lasted so many seconds was a good one: the next attempt comes soon again."""


def backoff(failures: int, *, first: float = 0.1, most: float = 10.0) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, bounded, between half and all of it."""
    return random.uniform(0.5, 1.0) * min(most, first * 2 ** min(failures, 16))


def checked(url: str) -> str:
    """The address with our heartbeat. Raises ValueError when it is none of a RabbitMQ."""
    parts = urlsplit(url)
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise ValueError("the bus's address is like amqp://user:password@host:5672/vhost or amqps://…")
    if "heartbeat=" in parts.query:
        return url
    return f"{url}{'&' if parts.query else '?'}heartbeat={HEARTBEAT}"


async def ours(work: Awaitable[None]) -> None:
    """The driver cancels what waits on a connection that it loses: seen from here that is an error of the connection.
    And it forgets that it was cancelled itself when the channel closes in the same moment. So what counts is whether this
    task has been told to end meanwhile: CancelledError is raised then, and only then."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0

    def told() -> bool:
        return task is not None and task.cancelling() > before

    try:
        await work
    except asyncio.CancelledError as error:
        if told():
            raise
        raise ConnectionError("the connection was lost in the middle of it") from error
    except (*TROUBLE, TemporaryError) as error:
        if told():
            raise asyncio.CancelledError from error
        raise
    if told():
        raise asyncio.CancelledError


async def open_channel(connection: AbstractConnection, *, confirms: bool = False, returns: bool = True) -> Channel:
    """A channel of its own. `confirms`: what is published is confirmed; `returns`: what goes nowhere raises."""
    try:
        channel = await connection.channel(publisher_confirms=confirms, on_return_raises=returns)
    except RuntimeError as error:  # the driver's word for a connection that is closed
        raise ConnectionError("the connection is closed") from error
    return cast("Channel", channel)


def closing(what: AbstractChannel | AbstractConnection) -> asyncio.Future[Any]:
    """Done when it is closed. Wait for it (`asyncio.wait`), and do not await it: it may say that you are cancelled."""
    return cast("asyncio.Future[Any]", what.closing)  # pyright: ignore[reportUnknownMemberType]


def reason(channel: AbstractChannel) -> str:
    """Why it is closed; "" while it is open."""
    future = closing(channel)
    error = future.exception() if future.done() else None
    return (str(error) or type(error).__name__) if error is not None else ""


async def close(channel: AbstractChannel) -> None:
    """Give a channel back, without waiting long for a peer that does not answer."""
    with contextlib.suppress(*TROUBLE):
        async with asyncio.timeout(CLOSING):
            await ours(channel.close())


class Link:
    """`serve` runs a piece of work on each connection anew. The connection is closed when it has been silent."""

    def __init__(self, url: str, *, name: str, context: ssl.SSLContext | None, patience: float) -> None:
        """`patience`: seconds that connecting may take."""
        joined = f"{checked(url)}&name={quote(name)}"
        self._url = joined
        self._name = name
        self._context = context
        self._patience = patience
        self._connection: aio_pika.abc.AbstractConnection | None = None
        self._driver: AbstractConnection | None = None
        self._up = asyncio.Event()
        self.tried = asyncio.Event()
        """Set when the first attempt to connect has ended, whichever way."""
        self.healthy = True
        """False when a piece of work has ended by an error that is no TROUBLE: a mistake of ours; restart the process."""
        self._task: asyncio.Task[None] | None = None
        self._works: set[asyncio.Task[None]] = set()
        self._reset = asyncio.Event()

    @property
    def up(self) -> bool:
        return self._up.is_set()

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"rabbitmq {self._name}")

    def reset(self, reason: str) -> None:
        """Give this connection up: the next one is made at once."""
        if self.up:
            _log.warning("bus.reset", link=self._name, reason=reason)
            self._reset.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await ours(self._once())
                _log.warning("bus.lost", link=self._name)
            except TROUBLE as error:
                if failures % _LOGGED == 0:
                    _log.warning("bus.unreachable", link=self._name, error=str(error) or type(error).__name__)
            finally:
                await self._hang_up()
            self.tried.set()
            failures = 0 if loop.time() - began > STABLE else failures + 1
            await asyncio.sleep(backoff(failures))

    async def _once(self) -> None:
        async with asyncio.timeout(self._patience):
            try:
                self._connection = await aio_pika.connect(self._url, ssl_context=self._context)
            except (RuntimeError, StopAsyncIteration) as error:  # the driver's words for a peer that hangs up
                raise ConnectionError("the connection was closed while it was made") from error
        transport = self._connection.transport
        if transport is None:
            raise ConnectionError("the connection was lost at once")
        self._driver = transport.connection
        self._reset.clear()
        self._up.set()
        self.tried.set()
        _log.info("bus.connected", link=self._name)
        reset = asyncio.create_task(self._reset.wait())
        try:
            await asyncio.wait([closing(self._driver), reset], return_when=asyncio.FIRST_COMPLETED)
        finally:
            reset.cancel()

    async def _hang_up(self) -> None:
        self._up.clear()
        self._driver = None
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*TROUBLE):
                async with asyncio.timeout(CLOSING):
                    await ours(connection.close())

    async def driver(self) -> AbstractConnection:
        """The connection, when there is one."""
        while self._driver is None:
            await self._up.wait()
        return self._driver

    def serve(self, name: str, work: Callable[[AbstractConnection], Awaitable[None]]) -> asyncio.Task[None]:
        """Run `work` on the connection, and again with back-off when it ends by TROUBLE; until it is cancelled."""
        task = asyncio.create_task(self._serve(name, work), name=f"rabbitmq {name}")
        self._works.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._works.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.healthy = False
            _log.error("bus.broken", work=task.get_name(), exc_info=error)

    async def _serve(self, name: str, work: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            driver = await self.driver()
            began = loop.time()
            try:
                await ours(work(driver))
                return
            except (*TROUBLE, TemporaryError) as error:
                failures = 0 if loop.time() - began > STABLE else failures + 1
                if self.up:
                    _log.warning("bus.channel_lost", work=name, error=str(error) or type(error).__name__)
            await asyncio.sleep(backoff(failures))

    async def stop(self) -> None:
        tasks = [*self._works, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None
        await self._hang_up()
