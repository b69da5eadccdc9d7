"""A store that is killed and started again, seen from outside: HTTP in, the Graph API out, and its files on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from agent_store.entrypoints.programs import free_port
from agent_store.entrypoints.up import bind
from tests.support.graph import FakeGraph, Sent, message_delivery, signed, status_delivery

ROOT = Path(__file__).parents[2]
SECRET = "app-secret-of-the-crash-tests"
NUMBER = "100000000000001"


class PatientGraph(FakeGraph):
    """Reports what becomes of a message as the real one does: again and again, until somebody says 200."""

    asked: int = 0
    """How many requests have come in, answered or not."""
    reporter: httpx.AsyncClient

    async def start(self, listener: Any) -> None:
        self.reporter = httpx.AsyncClient(trust_env=False)
        await super().start(listener)

    async def stop(self) -> None:
        await super().stop()
        await self.reporter.aclose()

    async def _answer(self, request: Request) -> Response:
        await request.body()
        self.asked += 1
        return await super()._answer(request)

    @property
    def reporting(self) -> bool:
        """Whether nobody has said 200 to a report yet."""
        return bool(self._reports)

    async def _report(self, message: Sent) -> None:
        body = json.dumps(status_delivery(message, "sent")).encode()
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await self.reporter.post(self.webhook_url, content=body, headers=signed(self.secret, body))
                if answer.status_code == 200:
                    return
            await asyncio.sleep(0.05)


class Zygote:
    """The process that has imported everything and forks a store whenever one is needed."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Zygote:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.crash_child", cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await self._answer()
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())

    async def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await self._answer()


class Mortal:
    """One store on one folder, its deaths, and a customer who writes to it."""

    def __init__(self, zygote: Zygote, data: Path, *, brain: str, doubt: float = 0.6) -> None:
        self._zygote, self.data, self._brain, self._doubt = zygote, data, brain, doubt
        self.graph = PatientGraph(statuses=True, secret=SECRET)
        self.deaths = 0
        self.acknowledged: set[str] = set()
        self.sent_twice: set[str] = set()
        self._pid: int | None = None
        self._numbers = itertools.count(1)
        self.port = 0

    async def __aenter__(self) -> Mortal:
        await self.graph.start(bind("127.0.0.1", 0))
        self.port = free_port()
        self.graph.webhook_url = f"http://127.0.0.1:{self.port}/webhooks/whatsapp"
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._pid is not None:
            self.kill()
            await self._bury()
        await self.http.aclose()
        await self.graph.stop()

    # --- life and death ------------------------------------------------------------------------------------------------

    async def start(self, *, fuse: int = 0) -> None:
        """Start, and wait until it is ready. With a `fuse` it may die before that: then it is started again without."""
        while True:
            order = {"data": str(self.data), "port": self.port, "graph": self.graph.url, "secret": SECRET,
                     "brain": self._brain, "doubt": self._doubt, "fuse": fuse}  # fmt: skip
            self._pid = (await self._zygote.ask(do="start", **order))["pid"]
            while self._lives():
                with contextlib.suppress(httpx.TransportError):
                    if (await self.http.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.02)
            await self._bury()
            fuse = 0

    def _lives(self) -> bool:
        """A child that is dead and not yet waited for is a zombie: it stands in the table of processes still."""
        try:
            state = Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return False
        return state != "Z"

    def kill(self) -> None:
        assert self._pid is not None
        os.kill(self._pid, signal.SIGKILL)

    async def _bury(self) -> None:
        status = (await self._zygote.ask(do="wait", pid=self._pid))["status"]
        assert status == -signal.SIGKILL, f"the store ended by itself ({status}): {self.log()[-3000:]}"
        self.deaths += 1
        self._pid = None

    async def revive(self, *, fuse: int = 0) -> None:
        await self._bury()
        await self.start(fuse=fuse)

    def log(self) -> str:
        return (self.data / "log").read_text("utf-8", "replace")

    def grave(self) -> list[str]:
        """At which boundaries it has died."""
        path = self.data / "grave"
        return path.read_text().splitlines() if path.exists() else []

    # --- the customer ----------------------------------------------------------------------------------------------------

    def message(self, step: str) -> dict[str, Any]:
        """ "/payload" is a tap, anything else a text."""
        wamid = f"wamid.CRASH{next(self._numbers):04d}"
        if step.startswith("/"):
            reply = {"type": "button_reply", "button_reply": {"id": step[1:], "title": "tap"}}
            return {"id": wamid, "type": "interactive", "interactive": reply}
        return {"id": wamid, "type": "text", "text": {"body": step}}

    async def deliver(self, message: dict[str, Any], wa_id: str) -> bool:
        """Post it once. True when it was acknowledged."""
        body = json.dumps(message_delivery(NUMBER, wa_id, message)).encode()
        try:
            answer = await self.http.post("/webhooks/whatsapp", content=body, headers=signed(SECRET, body))
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        self.acknowledged.add(message["id"])
        return True

    async def settled(self) -> bool:
        """Wait until there is nothing left to do. False when it died meanwhile."""
        try:
            return (await self.http.post("/_test/settle")).status_code == 200
        except httpx.TransportError:
            return False

    async def fuse(self, length: int, only: str = "") -> None:
        """Set it; 0 takes it out. What is late (a status, the steward) may have burnt the one before to its end."""
        while True:
            try:
                await self.http.post("/_test/fuse", params={"length": length, "only": only})
            except httpx.TransportError:
                await self.revive()
            else:
                return

    async def say(self, step: str, wa_id: str, *, fuse: int = 0, only: str = "", again: int = 0) -> None:
        """Say it, and die at the `fuse`th boundary (of the kind `only`); started again, die at the `again`th. Delivered
        anew until it is acknowledged, as WhatsApp does."""
        message = self.message(step)
        if fuse:
            await self.fuse(fuse, only)
        acknowledged = await self.deliver(message, wa_id)
        while not (await self.settled() and acknowledged):
            if not self._lives():
                await self.revive(fuse=again)
                again = 0
            if not acknowledged:
                acknowledged = await self.deliver(message, wa_id)
        await self.fuse(0)

    async def at_rest(self) -> None:
        """Until no send is in doubt any more: its status has come, or the wait for it is over and there was none."""
        async with asyncio.timeout(20):
            while self.rows("SELECT 1 FROM whatsapp_sends WHERE state IN ('queued', 'attempting', 'doubtful')"):
                await asyncio.sleep(0.02)
            while self.graph.reporting:
                await asyncio.sleep(0.02)
            while not await self.settled():
                await self.revive()

    # --- the files ---------------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *params: Any) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(self.data / "store.sqlite3", timeout=10)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, params)]

    def check(self, *, orders: int) -> None:
        """What must hold whatever died when."""
        _check_messages(self)
        _check_replies(self)
        _check_sends(self)
        _check_orders(self, orders)
        assert self.rows("SELECT * FROM kernel_dead") == []
        assert self.rows("SELECT * FROM kernel_inbox WHERE state NOT IN ('done')") == []


def _check_messages(store: Mortal) -> None:
    """Nothing that was acknowledged is lost, nothing is there twice."""
    heard = [row["external_id"] for row in store.rows(
        "SELECT external_id FROM conversations_messages WHERE direction = 'in' ORDER BY seq"
    )]  # fmt: skip
    assert sorted(heard) == sorted(store.acknowledged)
    received = store.rows("SELECT wamid FROM whatsapp_messages")
    assert sorted(row["wamid"] for row in received) == sorted(store.acknowledged)


def _check_replies(store: Mortal) -> None:
    """Each message is in one turn, each turn has one answer, and each answer is said once."""
    turns = store.rows(
        "SELECT subject, json_extract(data, '$.number') AS turn, COUNT(*) AS n,"
        " SUM(json_array_length(data, '$.messages')) AS lines FROM kernel_outbox"
        " WHERE type = 'store.chat.message.new' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    answers = store.rows(
        "SELECT subject, json_extract(data, '$.turn') AS turn, COUNT(*) AS n FROM kernel_outbox"
        " WHERE type = 'store.chat.response' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert all(row["n"] == row["lines"] == 1 for row in turns), turns
    assert len(turns) == len(store.acknowledged)
    assert [(row["subject"], row["turn"], 1) for row in turns] == [tuple(row.values()) for row in answers]
    commands = store.rows(
        "SELECT COUNT(*) AS n, COUNT(DISTINCT json_extract(data, '$.send_id')) AS ids FROM kernel_outbox"
        " WHERE type = 'store.whatsapp.message.send'"
    )
    out = store.rows(
        "SELECT COUNT(*) AS n, SUM(role = 'seller') AS said FROM conversations_messages WHERE direction = 'out'"
    )
    assert out[0]["said"] >= len(turns)
    assert commands[0]["n"] == commands[0]["ids"] == out[0]["n"]


def _check_sends(store: Mortal) -> None:
    """What was sent reached the platform once. What nobody can know is counted as uncertain, never sent again."""
    reached: dict[str, int] = {}
    for message in store.graph.sent:
        reached[message.send_id] = reached.get(message.send_id, 0) + 1
    rows = store.rows("SELECT send_id, state FROM whatsapp_sends")
    commands = store.rows("SELECT COUNT(*) AS n FROM kernel_outbox WHERE type = 'store.whatsapp.message.send'")
    assert len(rows) == commands[0]["n"]
    for row in rows:
        times = reached.pop(row["send_id"], 0)
        # A status always comes here for what reached the platform: so what stays uncertain did not.
        expected = {"uncertain": 0, "sent": 1, "delivered": 1, "read": 1}
        assert times == expected[row["state"]], f"{row}: reached the platform {times} times"
    assert reached == {}


def _check_orders(store: Mortal, expected: int) -> None:
    """As many orders as were confirmed, each charged once; stock is what it was, less what was sold; nothing is held."""
    orders = store.rows("SELECT * FROM orders_orders")
    assert [order["state"] for order in orders] == ["confirmed"] * expected
    charges = store.rows("SELECT * FROM payments_provider_movements WHERE kind = 'charge' AND failure IS NULL")
    assert sorted(row["amount_minor"] for row in charges) == sorted(order["total_minor"] for order in orders)
    assert store.rows("SELECT * FROM payments_provider_movements WHERE kind = 'refund'") == []
    facts = store.rows("SELECT subject FROM kernel_outbox WHERE type = 'store.order.confirmed'")
    assert sorted(row["subject"] for row in facts) == sorted(order["id"] for order in orders)
    sold: dict[str, int] = {}
    for order in orders:
        lines = json.loads(order["lines"])
        assert sum(line["total"]["minor"] for line in lines) == order["subtotal_minor"]
        assert all(line["unit"]["minor"] * line["quantity"] == line["total"]["minor"] for line in lines)
        for line in lines:
            sold[line["sku"]] = sold.get(line["sku"], 0) + line["quantity"]
    assert store.rows("SELECT * FROM inventory_levels WHERE reserved <> 0 OR on_hand < 0") == []
    moved = store.rows(
        "SELECT sku, -SUM(on_hand_change) AS gone, SUM(reserved_change) AS held FROM inventory_movements"
        " WHERE cause <> 'import' GROUP BY sku"
    )
    assert {row["sku"]: row["gone"] for row in moved if row["gone"]} == sold
    assert all(row["held"] == 0 for row in moved)
    drift = store.rows(
        "SELECT l.sku FROM inventory_levels l JOIN (SELECT sku, location, SUM(on_hand_change) AS on_hand,"
        " SUM(reserved_change) AS reserved FROM inventory_movements GROUP BY 1, 2) m"
        " ON m.sku = l.sku AND m.location = l.location WHERE m.on_hand <> l.on_hand OR m.reserved <> l.reserved"
    )
    assert drift == [], "the movements add up to the levels"


async def furnished(zygote: Zygote, folder: Path) -> Path:
    """A data folder with the sample catalogues in it, to be copied for each test."""
    folder.mkdir(parents=True, exist_ok=True)
    async with Mortal(zygote, folder, brain="rules") as store:
        await store.start()
        assert await store.settled()
    for name in ("grave", "log", "lock"):
        (folder / name).unlink(missing_ok=True)
    return folder


@contextlib.asynccontextmanager
async def mortal(
    zygote: Zygote, furnished: Path, folder: Path, *, brain: str, doubt: float = 0.6
) -> AsyncGenerator[Mortal]:
    shutil.copytree(furnished, folder)
    async with Mortal(zygote, folder, brain=brain, doubt=doubt) as store:
        await store.start()
        yield store
