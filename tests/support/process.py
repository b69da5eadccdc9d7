"""`agent-store up` as a user starts it: a process of its own, with the fake Graph API for a platform."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

from agent_store.entrypoints.programs import free_port
from agent_store.entrypoints.up import bind
from tests.support.embedded import NUMBERS
from tests.support.graph import FakeGraph, Sent, message_delivery, signed

COMMAND = Path(sys.executable).with_name("agent-store")
SECRET, TOKEN = "app-secret-of-the-tests", "staff-token-of-the-tests"


class StoreProcess:
    """Start, kill, interrupt, and write to it. What it prints is in `printed()`."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self._output = data.with_name(f"{data.name}.out")
        self._environment = environment
        self.graph = FakeGraph(secret=SECRET)
        self._wamids = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def __aenter__(self) -> StoreProcess:
        await self.graph.start(bind("127.0.0.1", 0))
        self.port = free_port()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.end(signal.SIGKILL)
        await self.http.aclose()
        await self.graph.stop()

    async def start(self, *, ready: bool = True) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AGENT_STORE_")},
            "AGENT_STORE_PORT": str(self.port),
            "AGENT_STORE_DATA": str(self.data),
            "AGENT_STORE_WHATSAPP_GRAPH_URL": self.graph.url,
            "AGENT_STORE_WHATSAPP_APP_SECRET": SECRET,
            "AGENT_STORE_STAFF_TOKEN": TOKEN,
            "AGENT_STORE_BURST_WINDOW": "0",
            "AGENT_STORE_WHATSAPP_PAIR_BURST": "0",
            "AGENT_STORE_LOG_LEVEL": "debug",
            **self._environment,
        }
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                COMMAND, "up", env=environment, stdout=output, stderr=output
            )
        if ready:
            async with asyncio.timeout(60):
                while not await self._is_ready():
                    assert self._process.returncode is None, self.printed()
                    await asyncio.sleep(0.05)

    async def _is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await self.http.get("/readyz")).status_code == 200
        return False

    async def end(self, number: signal.Signals) -> int:
        """Send the signal, wait; returns the exit code (negative: of the signal)."""
        assert self._process is not None
        self._process.send_signal(number)
        return await self._process.wait()

    async def ended(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    def printed(self) -> str:
        return self._output.read_text("utf-8", "replace")

    async def say(self, wa_id: str, step: str, *, until: str = "", brand: str = "fashion") -> list[Sent]:
        """A text, or with "/" a tap; waits for an answer that the regular expression `until` finds (any)."""
        if step.startswith("/"):
            reply = {"type": "button_reply", "button_reply": {"id": step[1:], "title": "tap"}}
            message: dict[str, Any] = {"type": "interactive", "interactive": reply}
        else:
            message = {"type": "text", "text": {"body": step}}
        return await self.deliver(wa_id, message, until=until, brand=brand)

    async def deliver(
        self, wa_id: str, message: dict[str, Any], *, until: str = "", brand: str = "fashion"
    ) -> list[Sent]:
        before = len(self.graph.to(wa_id))
        message = {"id": f"wamid.UP{next(self._wamids):05d}", **message}
        body = json.dumps(message_delivery(NUMBERS[brand], wa_id, message)).encode()
        answer = await self.http.post("/webhooks/whatsapp", content=body, headers=signed(SECRET, body))
        assert answer.status_code == 200, answer.text
        try:
            async with asyncio.timeout(30):
                while not any(re.search(until, one.text) for one in self.graph.to(wa_id)[before:]):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            said = [one.text for one in self.graph.to(wa_id)[before:]]
            raise AssertionError(f"no answer like {until!r} to {message}, but {said}") from None
        return self.graph.to(wa_id)[before:]
