"""The whole embedded store on a real port with a fake Graph API, driven as WhatsApp would drive it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn

from agent_store.entrypoints.embedded import EmbeddedStore, FrontDoor
from agent_store.entrypoints.settings import Settings, load
from agent_store.entrypoints.up import bind
from agent_store.kernel import journal
from agent_store.kernel.clock import SystemClock
from agent_store.kernel.event import Event
from tests.support.graph import FakeGraph, Sent, message_delivery, signed

E = TypeVar("E", bound=Event)
NUMBERS = {"fashion": "100000000000001", "tech": "100000000000002", "home": "100000000000003",
           "beauty": "100000000000004", "gaming": "100000000000005", "shared": "100000000000000"}  # fmt: skip


class MovedClock(SystemClock):
    """The machine's time, moved on by hand."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


class RunningStore:
    """`async with RunningStore() as store:`; `settings` are passed to `load` (no burst window by default)."""

    def __init__(
        self,
        *,
        data: Path | None = None,
        graph: FakeGraph | None = None,
        ports: Any = None,
        tracing: Any = None,
        **settings: Any,
    ) -> None:
        self._folder = None if data else tempfile.TemporaryDirectory(prefix="agent-store-e2e-")
        self.data = data or Path(self._folder.name)  # type: ignore[union-attr]
        self._options = {"burst_window": timedelta(0), "staff_token": "staff-token-of-the-tests", **settings}
        self._ports = ports
        self._tracing = tracing
        self.graph = graph or FakeGraph()
        self._wamids = itertools.count(1)
        self.store: EmbeddedStore
        self.http: httpx.AsyncClient

    async def __aenter__(self) -> RunningStore:
        graph_socket = bind("127.0.0.1", 0)
        await self.graph.start(graph_socket)
        listener = bind("127.0.0.1", 0)
        # A test's customers answer faster than people, so the platform's limit of messages to one of them is away.
        options = {"whatsapp_pair_burst": 0, **self._options}
        self.settings: Settings = load(
            {}, data=self.data, port=listener.getsockname()[1], whatsapp_graph_url=self.graph.url, **options
        )
        self.store = EmbeddedStore(self.settings, ports=self._ports, tracing=self._tracing)
        self.graph.webhook_url = f"{self.store.url}/webhooks/whatsapp"
        self.graph.secret = self.store.whatsapp_settings.app_secret
        self._server = uvicorn.Server(
            uvicorn.Config(FrontDoor(self.store), interface="asgi3", log_config=None, access_log=False, lifespan="off")
        )
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self.store.start()
        while not self._server.started:
            await asyncio.sleep(0.005)
        self.http = httpx.AsyncClient(base_url=self.store.url, trust_env=False, timeout=30)
        self.staff = {"Authorization": f"Bearer {self.store.staff_token}", "X-Staff-Name": "Rita"}
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.http.aclose()
        self._server.should_exit = True
        await self._serving
        await self.store.stop()
        await self.graph.stop()
        if self._folder is not None:
            self._folder.cleanup()

    async def deliver(self, body: dict[str, Any]) -> int:
        """Post a signed webhook; returns the status code."""
        raw = json.dumps(body).encode()
        answer = await self.http.post("/webhooks/whatsapp", content=raw, headers=signed(self.graph.secret, raw))
        return answer.status_code

    async def settle(self) -> None:
        async with asyncio.timeout(60):
            await self.store.runtime.settle()

    async def events(self, contract: type[E]) -> list[E]:
        rows = await self.store.runtime.store.reader.all(journal.EVENTS_AFTER, {"after": 0, "most": 1_000_000})
        return [journal.envelope_of(row).read(contract) for row in rows if row["type"] == contract.event_type]

    def shopper(self, wa_id: str, brand: str = "fashion", name: str = "Ana") -> Shopper:
        return Shopper(self, wa_id, NUMBERS[brand], name)

    async def api(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        answer = await self.http.request(method, path, json=body, params=params, headers=self.staff)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


class Shopper:
    """A customer at a phone: writes, taps, reads."""

    def __init__(self, store: RunningStore, wa_id: str, number: str, name: str) -> None:
        self._store, self.wa_id, self.number, self.name = store, wa_id, number, name
        self._seen = 0

    async def _deliver(self, message: dict[str, Any]) -> list[Sent]:
        message = {"id": f"wamid.IN{self.wa_id}{next(self._store._wamids):06d}", **message}
        assert await self._store.deliver(message_delivery(self.number, self.wa_id, message, self.name)) == 200
        return await self.read()

    async def read(self) -> list[Sent]:
        """What has come since the last look, once the store has nothing left to do."""
        await self._store.settle()
        mine = self._store.graph.to(self.wa_id)
        fresh, self._seen = mine[self._seen :], len(mine)
        return fresh

    async def say(self, text: str) -> list[Sent]:
        return await self._deliver({"type": "text", "text": {"body": text}})

    async def tap(self, message: Sent, choice: str) -> list[Sent]:
        """Tap the choice with this id (or a regular expression that finds it)."""
        found = next((id for id in message.choices if id == choice or re.fullmatch(choice, id)), None)
        assert found is not None, f"{choice} is not among {message.choices}"
        kind = "list_reply" if message.is_list else "button_reply"
        reply = {"type": kind, kind: {"id": found, "title": message.choices[found]}}
        return await self._deliver({"type": "interactive", "context": {"id": message.wamid}, "interactive": reply})

    async def tap_any(self, messages: list[Sent], *patterns: str) -> list[Sent]:
        """Tap the first choice of these messages that one of the patterns finds, in the patterns' order."""
        for pattern in patterns:
            for message in messages:
                for id in message.choices:
                    if re.fullmatch(pattern, id):
                        return await self.tap(message, id)
        raise AssertionError(f"none of {patterns} in {[message.choices for message in messages]}: {texts(messages)}")


def texts(messages: list[Sent]) -> str:
    return "\n".join(message.text for message in messages)
