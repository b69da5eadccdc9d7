"""Customers in a drill: each writes, taps and pays by a script, one message after the other, until it is through."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent_store.entrypoints.drill.platform import Platform, envelope

SCRIPT = (
    "Oi, quero um vestido vermelho até 300 reais",
    "/product:vestido-curto-pimenta",
    "/add:FAS-VPIMENTA-VM-P",
    "/checkout",
    "/method:delivery",
    "Ana Souza, 01310-100, Av Paulista 1000 ap 12",
    "/ship:economico",
    "/confirm_order",
    "1111",
    "4242",
)
"""A purchase with a card that fails first; "/…" is a tap. All customers want the same dress, so its stock runs out; who
finds it gone takes another size or colour of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one webhook request: when it was asked (monotonic), how many seconds it took, and its status; 0 when
    the connection failed or nothing came in time."""

    at: float
    seconds: float
    status: int


@dataclass(slots=True)
class Load:
    """`acknowledged`: ids of messages that a webhook answered 200 for. `reply_seconds`: from that answer to the store's
    first message back. `unanswered`: messages to which nothing came within the patience."""

    acknowledged: set[str] = field(default_factory=set[str])
    webhook: list[Answer] = field(default_factory=list[Answer])
    reply_seconds: list[float] = field(default_factory=list[float])
    unanswered: list[str] = field(default_factory=list[str])
    customers: int = 0
    bought: int = 0
    """Customers that came to the end of the script."""
    twice: int = 0

    def between(self, began: float, ended: float) -> list[Answer]:
        return [answer for answer in self.webhook if began <= answer.at < ended]


def taken(answers: Iterable[Answer]) -> list[float]:
    """The seconds of those that were 200."""
    return [answer.seconds for answer in answers if answer.status == 200]


class Customers:
    def __init__(
        self, platform: Platform, number: str, *, patience: float, quiet: float = 0.4, repeat_every: int = 3
    ) -> None:
        """`number`: the phone number id that they write to. `patience` is how long they wait for an answer, and after
        `quiet` without another message it is over, in seconds. Every `repeat_every`-th message is delivered twice, as the
        platform does when it is in doubt."""
        self._platform = platform
        self._number = number
        self._patience = patience
        self._quiet = quiet
        self._repeat = repeat_every
        self._messages = itertools.count(1)
        self._people = itertools.count(1)
        self.load = Load()

    async def run(self, together: int, stop: asyncio.Event) -> None:
        """`together` customers at a time, new ones until `stop`; those under way finish their purchase."""

        async def one_after_another() -> None:
            while not stop.is_set():
                await self.buy()

        await asyncio.gather(*(one_after_another() for _ in range(together)))

    async def knock(self, a_second: float, stop: asyncio.Event) -> None:
        """New customers who say one thing each and wait for nobody, so many a second, until `stop`: what the webhook does
        is seen however long the answers take. Returns when all has been acknowledged."""
        loop = asyncio.get_running_loop()
        begun: list[asyncio.Task[str]] = []
        began = loop.time()
        while not stop.is_set():
            self.load.customers += 1
            begun.append(asyncio.create_task(self._tell(self._stranger(), SCRIPT[0])))
            await asyncio.sleep(max(0.0, began + len(begun) / a_second - loop.time()))
        await asyncio.gather(*begun)

    async def buy(self) -> None:
        """One purchase. Who is not offered the next tap in time taps it all the same, as people do on old buttons; when
        that led nowhere either, the customer leaves."""
        who = self._stranger()
        self.load.customers += 1
        missed = 0
        for step in SCRIPT:
            said = step
            if step.startswith("/"):
                offered = await self._offered(who, step[1:])
                if offered is None:
                    missed += 1
                    if missed > 1:
                        return
                else:
                    said = f"/{offered}"
            await self.say(who, said)
        self.load.bought += 1

    def _stranger(self) -> str:
        return f"55119{next(self._people):08d}"

    async def say(self, who: str, step: str) -> None:
        """Say or tap it, and wait for the answer."""
        before = self._heard(who)
        wamid = await self._tell(who, step)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._heard(who) == before:
            if loop.time() > began + self._patience:
                self.load.unanswered.append(wamid)
                return
            await asyncio.sleep(0.05)
        self.load.reply_seconds.append(loop.time() - began)
        await self._listen(who)

    async def _tell(self, who: str, step: str) -> str:
        """Until the store says that it has it."""
        number = next(self._messages)
        wamid = f"wamid.IN{who[-8:]}{number:08d}"
        message: dict[str, Any]
        if step.startswith("/"):
            reply = {"type": "button_reply", "button_reply": {"id": step[1:], "title": "tap"}}
            message = {"id": wamid, "type": "interactive", "interactive": reply}
        else:
            message = {"id": wamid, "type": "text", "text": {"body": step}}
        payload = envelope(
            self._number,
            contacts=[{"profile": {"name": "Ana"}, "wa_id": who}],
            messages=[{"from": who, "timestamp": str(int(time.time())), **message}],
        )
        async for answer in self._platform.deliver(payload):
            self.load.webhook.append(Answer(*answer))
        self.load.acknowledged.add(wamid)
        if number % self._repeat == 0:
            self.load.twice += 1
            async for answer in self._platform.deliver(payload):
                self.load.webhook.append(Answer(*answer))
        return wamid

    async def _listen(self, who: str) -> None:
        """An answer may be several messages: until nothing more comes for a moment."""
        heard, since = self._heard(who), time.monotonic()
        while time.monotonic() - since < self._quiet:
            await asyncio.sleep(0.05)
            if self._heard(who) != heard:
                heard, since = self._heard(who), time.monotonic()

    async def _offered(self, who: str, choice: str) -> str | None:
        """What can be tapped: the choice, or, of a dress that is sold out, another of its variants; None when neither is
        offered in time."""
        deadline = time.monotonic() + self._patience / 3
        while time.monotonic() < deadline:
            offered = self._platform.choices.get(who, set())
            if choice in offered:
                return choice
            others = sorted(other for other in offered if other.startswith("add:"))
            if others and choice.startswith("add:"):
                await self._listen(who)  # it may be among the next of several messages
                return choice if choice in offered else others[0]
            await asyncio.sleep(0.05)
        return None

    def _heard(self, who: str) -> int:
        return self._platform.heard.get(who, 0)
