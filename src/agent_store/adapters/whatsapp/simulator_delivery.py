"""The webhook side of the simulator: signed deliveries in lanes, tried again for a week, harmed on purpose when asked."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import urlencode

import httpx
import structlog

from agent_store.adapters.whatsapp.cloud import Json
from agent_store.adapters.whatsapp.simulator_behaviour import Behaviour, Chance
from agent_store.adapters.whatsapp.simulator_store import SimulatorStore
from agent_store.agents.whatsapp.api import sign
from agent_store.agents.whatsapp.phone import BubbleStatus
from agent_store.kernel.errors import PermanentError, TemporaryError

_log = structlog.get_logger("agent_store.simulator")

_KEEP = timedelta(days=7)
"""How long a webhook is tried before it is given up, as the platform does."""
_AT_ONCE = 32
_LONGEST_NAP = 60.0


@dataclass(frozen=True, slots=True)
class Underway:
    """A webhook that the store has not taken yet."""

    seq: int
    wamid: str
    attempts: int
    due: datetime
    said: str
    """How the last try ended."""
    body: Json


class Deliveries:
    """One lane is delivered in order; what a delivery reports is shown once the store has taken it."""

    def __init__(
        self,
        store: SimulatorStore,
        url: str,
        secret: str,
        *,
        became: Callable[[str, BubbleStatus, str | None, int | None], None],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url
        self._secret = secret
        self._store = store
        self._became = became
        self._behaviour = Behaviour()
        self._chance = Chance(self._behaviour)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running = False
        self._http = httpx.AsyncClient(timeout=15, transport=transport, trust_env=False)

    def behave(self, behaviour: Behaviour, chance: Chance) -> None:
        self._behaviour, self._chance = behaviour, chance

    def start(self) -> None:
        self._running = True
        for row in self._store.db.execute("SELECT DISTINCT lane FROM deliveries").fetchall():
            self._open(row["lane"])

    async def stop(self) -> None:
        self._running = False
        tasks = list(self._lanes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    async def drop(self) -> None:
        """Forget what is under way."""
        tasks = list(self._lanes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._store.db.execute("DELETE FROM deliveries")

    async def idle(self) -> None:
        """Wait until every webhook has been taken."""
        while self._lanes:
            await asyncio.wait(list(self._lanes.values()))

    def underway(self, limit: int = 100) -> Sequence[Underway]:
        rows = self._store.db.execute("SELECT * FROM deliveries ORDER BY seq LIMIT ?", (limit,))
        return [
            Underway(
                row["seq"], row["wamid"], row["attempts"], datetime.fromtimestamp(row["due"], UTC), row["said"],
                json.loads(row["body"]),
            )
            for row in rows
        ]  # fmt: skip

    def post(self, lane: str, wamid: str, becomes: str, body: str, after: float = 0.0) -> None:
        """Queue a webhook, with what the behaviour does to it."""
        how, chance = self._behaviour.webhooks, self._chance
        after += how.delay + chance.upto(how.jitter)
        lose = int(chance.hits(how.lost))
        if chance.hits(how.overtaken):
            lane, after = f"late:{secrets.token_hex(8)}", after + how.overtaken_by
        self._insert(lane, wamid, becomes, body, after, lose)
        if chance.hits(how.duplicated):
            self._insert(f"again:{secrets.token_hex(8)}", wamid, becomes, body, after, 0)

    def again(self, wamid: str, becomes: str, body: str, copies: int) -> None:
        """Beside the lane, at once."""
        for _ in range(copies):
            self._insert(f"again:{secrets.token_hex(8)}", wamid, becomes, body, 0.0, 0)

    def _insert(self, lane: str, wamid: str, becomes: str, body: str, after: float, lose: int) -> None:
        now = datetime.now(UTC).timestamp()
        self._store.db.execute(
            "INSERT INTO deliveries (lane, wamid, becomes, body, due, attempts, since, lose)"
            " VALUES (?, ?, ?, ?, ?, 0, ?, ?)",
            (lane, wamid, becomes, body, now + after, now, lose),
        )
        self._open(lane)

    def _open(self, lane: str) -> None:
        if self._running and lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._run(lane), name=f"simulator {lane}")

    async def _run(self, lane: str) -> None:
        try:
            while True:
                row = self._store.db.execute(
                    "SELECT * FROM deliveries WHERE lane = ? ORDER BY seq LIMIT 1", (lane,)
                ).fetchone()
                if row is None:
                    return
                wait = row["due"] - datetime.now(UTC).timestamp()
                if wait > 0:
                    await asyncio.sleep(min(wait, _LONGEST_NAP))
                    continue
                await self._deliver(row)
        finally:
            self._lanes.pop(lane, None)

    async def _deliver(self, row: sqlite3.Row) -> None:
        """One try; what isn't answered 200 is tried again with growing pauses, for a week."""
        said = "lost on purpose" if row["lose"] > row["attempts"] else await self._try(cast(str, row["body"]))
        now = datetime.now(UTC).timestamp()
        if not said:
            self._store.db.execute("DELETE FROM deliveries WHERE seq = ?", (row["seq"],))
            self._tell(row)
            return
        attempts = cast(int, row["attempts"]) + 1
        if now - row["since"] > _KEEP.total_seconds():
            _log.error("simulator.webhook.given_up", wamid=row["wamid"], reason=said)
            self._store.db.execute("DELETE FROM deliveries WHERE seq = ?", (row["seq"],))
            self._became(row["wamid"], "failed", said, None)
            return
        how = self._behaviour.webhooks
        pause = min(how.first_wait * 2 ** min(attempts - 1, 20), how.longest_wait)
        _log.info("simulator.webhook.again", wamid=row["wamid"], reason=said, attempt=attempts, seconds=pause)
        self._store.db.execute(
            "UPDATE deliveries SET attempts = ?, due = ?, said = ? WHERE seq = ?",
            (attempts, now + pause, said, row["seq"]),
        )

    async def _try(self, text: str) -> str:
        body = text.encode()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(self._secret, body)}
        try:
            async with self._slots:
                answer = await self._http.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return type(error).__name__
        return "" if answer.status_code == 200 else f"HTTP {answer.status_code}"

    def _tell(self, row: sqlite3.Row) -> None:
        becomes = cast(str, row["becomes"])
        if not becomes:
            return
        status, _, rest = becomes.partition(":")
        code, _, error = rest.partition(":")
        self._became(row["wamid"], cast(BubbleStatus, status), error or None, int(code) if code else None)

    async def verify(self, token: str) -> None:
        """The handshake that subscribes a webhook. Raises TemporaryError when nobody answers, PermanentError when the
        answer is not the challenge."""
        challenge = str(secrets.randbelow(10**10))
        query = urlencode({"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token})
        joint = "&" if "?" in self.url else "?"
        try:
            answer = await self._http.get(f"{self.url}{joint}{query}")
        except httpx.HTTPError as error:
            raise TemporaryError(f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status_code != 200 or answer.text.strip() != challenge:
            raise PermanentError(
                f"{self.url} answered {answer.status_code} and not the value of hub.challenge: compare the verify token"
            )
