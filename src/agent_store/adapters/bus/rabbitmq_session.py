"""The deliveries of one channel: each is taken in a task of its own and answered once, acks in bulk where that is safe."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Literal

import structlog
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from agent_store.adapters.bus.rabbitmq_link import CLOSING, TROUBLE, backoff, close, closing, ours
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.metrics import Metrics

_log = structlog.get_logger("agent_store.rabbitmq")

Verdict = Literal["ack", "reject"]
"""`reject`: to the dead-letter queue (or, on that queue, away)."""

Take = Callable[[DeliveredMessage], Awaitable[Verdict]]
"""Raises TemporaryError when the message is to come again."""

LONGEST_HOLD = 15.0
"""Seconds that a message is held at most before it goes back to its queue."""


def deliveries(message: DeliveredMessage) -> int:
    """How often it has come before: a quorum queue counts."""
    count = (message.header.properties.headers or {}).get("x-delivery-count")
    return count if isinstance(count, int) else 0


class Session:
    """Lives as long as its channel. What is still being taken when the channel is lost goes on; its answer is not sent,
    and the message comes again."""

    def __init__(
        self, channel: Channel, name: str, take: Take, tasks: set[asyncio.Task[None]], metrics: Metrics,
        *, breakages: int,
    ) -> None:  # fmt: skip
        """`tasks`: what is being taken, of this session and those before it. `breakages`: deliveries after which a
        message that breaks its taking, by a mistake in our program, is refused."""
        self._channel = channel
        self._name = name
        self._take = take
        self._metrics = metrics
        self._tasks = tasks
        self._breakages = breakages
        self._tag = ""
        self._leaving = asyncio.Event()
        self._cancelled = asyncio.Event()
        self._low = 1  # the lowest delivery tag that is not answered
        self._answered: set[int] = set()  # above `_low`
        self._acks: list[int] = []
        self._backs: list[tuple[int, bool]] = []  # (tag, back to the queue) of what is not acked
        self._wake = asyncio.Event()
        self._sending = asyncio.Lock()
        self._sender: asyncio.Task[None] | None = None

    async def begin(self, queue: str, prefetch: int) -> None:
        await self._channel.basic_qos(prefetch_count=prefetch)
        self._channel.on_consumer_cancel_callbacks.add(lambda _: self._cancelled.set())
        self._sender = asyncio.create_task(self._send(), name=f"acks {self._name}")
        self._tag = (await self._channel.basic_consume(queue, self._arrived)).consumer_tag or ""

    async def run(self) -> None:
        """Until the channel is lost, the broker has cancelled the consumer (its queue is gone), or `leave` has ended."""
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait([closing(self._channel), cancelled], return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()

    async def end(self) -> None:
        """Close the channel: what is not answered goes back to the queue."""
        self._leaving.set()
        if self._sender is not None:
            self._sender.cancel()
        await close(self._channel)

    async def leave(self) -> None:
        """Take no more; answer what has been taken. What arrives meanwhile goes back when the channel is closed."""
        self._leaving.set()
        with contextlib.suppress(*TROUBLE):
            async with asyncio.timeout(CLOSING):
                await ours(self._cancel())
        while self._tasks:
            await asyncio.wait(self._tasks)
        with contextlib.suppress(*TROUBLE):
            async with asyncio.timeout(CLOSING):
                await ours(self._flush(wait=True))

    async def _cancel(self) -> None:
        if self._tag:
            await self._channel.basic_cancel(self._tag)

    # --- in --------------------------------------------------------------------------------------------------------

    async def _arrived(self, message: DeliveredMessage) -> None:
        # A task of ours: the driver's own, in which this runs, is cancelled when the channel is lost.
        if not self._leaving.is_set():
            self._spawn(self._handle(message)).add_done_callback(partial(self._ended, message))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _handle(self, message: DeliveredMessage) -> None:
        tag = message.delivery_tag or 0
        try:
            verdict = await self._take(message)
        except TemporaryError as error:
            self._metrics.count("bus_given_back", consumer=self._name, code=error.code)
            await self._give_back(message, error.retry_after)
            return
        if verdict == "ack":
            self._acks.append(tag)
        else:
            self._backs.append((tag, False))
        self._wake.set()

    def _ended(self, message: DeliveredMessage, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        times = deliveries(message)
        _log.error("bus.take_broken", consumer=self._name, deliveries=times, exc_info=error)
        self._metrics.count("bus_given_back", consumer=self._name, code="broken")
        if times < self._breakages:
            self._spawn(self._give_back(message, None))
        else:
            self._backs.append((message.delivery_tag or 0, False))
            self._wake.set()

    async def _give_back(self, message: DeliveredMessage, hint: timedelta | None) -> None:
        """Keep it unanswered for a while: it counts to the prefetch, so what cannot be taken now does not spin."""
        seconds = backoff(deliveries(message), first=0.25, most=LONGEST_HOLD)
        if hint is not None:
            seconds = min(LONGEST_HOLD, max(seconds, hint.total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        self._backs.append((message.delivery_tag or 0, True))
        self._wake.set()

    # --- answers ---------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await ours(self._flush(wait=False))
            except TROUBLE:
                return  # the channel is lost, and `run` sees it

    async def _flush(self, *, wait: bool) -> None:
        async with self._sending:
            await self._answer(wait=wait)

    async def _answer(self, *, wait: bool) -> None:
        """What goes back first: an ack of everything up to a tag must not take it with it."""
        backs, self._backs = self._backs, []
        for tag, requeue in backs:
            await self._channel.basic_nack(tag, requeue=requeue, wait=wait)
        acks, self._acks = self._acks, []
        gone = self._answered
        gone.update(acks)
        gone.update([tag for tag, _ in backs])
        low, acked = self._low, set(acks)
        last, count = 0, 0
        while low in gone:
            gone.discard(low)
            if low in acked:
                last, count = low, count + 1
            low += 1
        self._low = low
        if count:
            await self._channel.basic_ack(last, multiple=count > 1, wait=wait)
        for tag in acks:
            if tag >= low:
                await self._channel.basic_ack(tag, wait=wait)
