"""Customers in a drill: each writes, taps and pays by a script, one message after the other, until it is through."""

from __future__ import annotations

import asyncio
import itertools
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
"""A purchase with a card that fails first; "/…" is a tap. All customers want the same dress, so its stock runs out."""


_QUIET = 0.4
"""Seconds."""


@dataclass(slots=True)
class Load:
    """`acknowledged`: ids of messages that a webhook answered 200 for. `webhook_seconds`: of those answers. `unanswered`:
    messages to which nothing came within the patience."""

    acknowledged: set[str] = field(default_factory=set[str])
    webhook_seconds: list[float] = field(default_factory=list[float])
    reply_seconds: list[float] = field(default_factory=list[float])
    unanswered: list[str] = field(default_factory=list[str])
    customers: int = 0
    twice: int = 0


class Customers:
    def __init__(self, platform: Platform, number: str, *, patience: float, repeat_every: int = 3) -> None:
        """`number`: the phone number id that they write to. `patience` in seconds. Every `repeat_every`-th message is
        delivered twice, as the platform does when it is in doubt."""
        self._platform = platform
        self._number = number
        self._patience = patience
        self._repeat = repeat_every
        self._messages = itertools.count(1)
        self._people = itertools.count(1)
        self.load = Load()
        self._waiting: dict[str, asyncio.Event] = {}

    async def run(self, together: int, stop: asyncio.Event) -> None:
        """`together` customers at a time, new ones until `stop`; those under way finish their purchase."""

        async def one_after_another() -> None:
            while not stop.is_set():
                await self.buy()

        await asyncio.gather(*(one_after_another() for _ in range(together)))

    async def buy(self) -> None:
        who = f"55119{next(self._people):08d}"
        self.load.customers += 1
        for step in SCRIPT:
            await self._say(who, step)

    async def _say(self, who: str, step: str) -> None:
        number = next(self._messages)
        wamid = f"wamid.IN{number:08d}"
        message: dict[str, Any]
        if step.startswith("/"):
            await self._offered(who, step[1:])
            reply = {"type": "button_reply", "button_reply": {"id": step[1:], "title": "tap"}}
            message = {"id": wamid, "type": "interactive", "interactive": reply}
        else:
            message = {"id": wamid, "type": "text", "text": {"body": step}}
        payload = envelope(
            self._number,
            contacts=[{"profile": {"name": "Ana"}, "wa_id": who}],
            messages=[{"from": who, "timestamp": "1767614400", **message}],
        )
        before = self._heard(who)
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.load.webhook_seconds.append(await self._platform.deliver(payload))
        self.load.acknowledged.add(wamid)
        if number % self._repeat == 0:
            self.load.twice += 1
            await self._platform.deliver(payload)
        deadline = loop.time() + self._patience
        while self._heard(who) == before:
            if loop.time() > deadline:
                self.load.unanswered.append(wamid)
                return
            await asyncio.sleep(0.05)
        self.load.reply_seconds.append(loop.time() - began)
        await self._listen(who)

    async def _listen(self, who: str) -> None:
        """An answer may be several messages: until nothing more comes for a moment."""
        loop = asyncio.get_running_loop()
        heard, since = self._heard(who), loop.time()
        while loop.time() - since < _QUIET:
            await asyncio.sleep(0.05)
            if self._heard(who) != heard:
                heard, since = self._heard(who), loop.time()

    async def _offered(self, who: str, choice: str) -> None:
        """Until it can be tapped. What is not offered in time is tapped all the same, as people do on old buttons."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience / 3
        while choice not in self._platform.choices.get(who, ()) and loop.time() < deadline:
            await asyncio.sleep(0.05)

    def _heard(self, who: str) -> int:
        return self._platform.heard.get(who, 0)
