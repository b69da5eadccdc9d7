"""Live screens: a commit is told to whoever looks on, in this process and in the others.

What is told is no more than where to look (`Notice`): a screen reads the state itself. Nothing hangs on it: a notice
that is lost costs a screen some seconds, because a listener is told to look as well whenever some may have been missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from agent_store.kernel.event import Envelope
from agent_store.kernel.ids import new_id

CHANNEL = "news"
MANY = 500
"""Notices of one message at most: with more, everybody is told to look."""


class FanOut(Protocol):
    """Messages to all processes that listen now; at most once, and nothing is kept."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Never raises and takes some tens of milliseconds at most: what cannot be sent is lost, and counted."""
        ...

    def subscribe(self, channel: str) -> AsyncGenerator[bytes | None]:
        """Messages as they come. None whenever some may have been missed: at the beginning, after a connection was
        away, and every few seconds while it is. Ends when it is closed (`aclose`, or its task cancelled)."""
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """Something of this kind was committed. `subject` is the id of what it is about, None where that could tell who a
    person is (an id of WhatsApp's holds a phone number)."""

    type: str
    topic: str | None
    brand: str | None
    subject: str | None

    @classmethod
    def of(cls, event: Envelope) -> Notice:
        return cls(event.type, event.topic, event.brand, None if event.topic == "whatsapp" else event.subject)


Listener = Callable[[frozenset[Notice] | None], None]
"""None: some may have been missed, so look yourself."""


class News:
    """Tells this process's listeners of every process's commits.

    Call `tell` with each committed batch of events (`Runtime.listeners`); `start` and `stop` once.
    """

    def __init__(self, fanout: FanOut) -> None:
        self._fanout = fanout
        self._me = new_id()
        self._listeners: list[Listener] = []
        self._waiting: set[Notice] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._publish(), name="news out"),
                asyncio.create_task(self._hear(), name="news in"),
            ]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, events: Sequence[Envelope]) -> None:
        """A commit of this process: its listeners hear of it at once, the others as soon as it can be sent."""
        notices = frozenset(Notice.of(event) for event in events)
        if not notices:
            return
        self._announce(notices)
        if self._tasks:
            # What waits is one set, however slow the network is: it never grows beyond what one message may hold.
            if len(self._waiting) <= MANY:
                self._waiting |= notices
            self._wake.set()

    @contextlib.contextmanager
    def listening(self, listener: Listener) -> Generator[None]:
        """Call `listener` in the loop at every piece of news while the block runs; it must take microseconds."""
        stop = self.listen(listener)
        try:
            yield
        finally:
            stop()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """The same until what is returned is called."""
        self._listeners.append(listener)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    @property
    def watched(self) -> bool:
        """Is anybody listening?"""
        return bool(self._listeners)

    def _announce(self, notices: frozenset[Notice] | None) -> None:
        for listener in tuple(self._listeners):
            listener(notices)

    async def _publish(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            notices, self._waiting = self._waiting, set()
            await self._fanout.publish(CHANNEL, _pack(self._me, notices if len(notices) <= MANY else None))

    async def _hear(self) -> None:
        async with contextlib.aclosing(self._fanout.subscribe(CHANNEL)) as messages:
            async for message in messages:
                if message is None:
                    self._announce(None)
                    continue
                sender, notices = _unpack(message)
                if sender != self._me:
                    self._announce(notices)


def _pack(sender: str, notices: Iterable[Notice] | None) -> bytes:
    rows = None if notices is None else [[one.type, one.topic, one.brand, one.subject] for one in notices]
    return json.dumps({"from": sender, "news": rows}, separators=(",", ":")).encode()


def _unpack(message: bytes) -> tuple[str | None, frozenset[Notice] | None]:
    """Whatever another version of the store says and this one does not understand means: look yourself."""
    try:
        data = cast("dict[str, Any]", json.loads(message))
        rows = cast("list[list[str | None]] | None", data["news"])
        if rows is None:
            return data["from"], None
        return data["from"], frozenset(Notice(str(type), topic, brand, subject) for type, topic, brand, subject in rows)
    except (ValueError, TypeError, KeyError):
        return None, None


__all__ = ["CHANNEL", "MANY", "FanOut", "Listener", "News", "Notice"]
