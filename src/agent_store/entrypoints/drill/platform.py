"""The platform's side in a drill: takes the store's sends as the Graph API does, and reports what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from agent_store.agents.whatsapp.api import sign
from agent_store.entrypoints.listen import HttpServer, bind

_PATIENCE = 0.1
"""Seconds between two tries to deliver: until somebody says 200, as the real platform does for days."""
_GIVES_UP = 10.0
"""Seconds after which a try to deliver is given up."""


@dataclass(frozen=True, slots=True)
class Reached:
    """One message that reached the platform, in the order of arrival."""

    send_id: str
    to: str
    wamid: str
    body: dict[str, Any]

    @property
    def choices(self) -> list[str]:
        """Ids of what can be tapped."""
        action: dict[str, Any] = self.body.get("interactive", {}).get("action", {})
        rows = [row["id"] for section in action.get("sections", []) for row in section["rows"]]
        return [button["reply"]["id"] for button in action.get("buttons", [])] + rows


class Platform:
    """`webhook`: where statuses go. `secret`: the app secret that signs them."""

    def __init__(self, webhook: str, secret: str) -> None:
        self.webhook, self._secret = webhook, secret
        self.reached: list[Reached] = []
        self.heard: dict[str, int] = {}
        """Messages by recipient."""
        self.choices: dict[str, set[str]] = {}
        """All that a recipient has ever been offered to tap."""
        self._numbers = itertools.count(1)
        self._reports: set[asyncio.Task[None]] = set()
        self._listener = bind("127.0.0.1", 0)
        self._server = HttpServer(
            uvicorn.Config(self._app, log_config=None, access_log=False, lifespan="off", interface="asgi3")
        )
        self._task: asyncio.Task[None] | None = None
        self._http = httpx.AsyncClient(
            trust_env=False, timeout=_GIVES_UP, limits=httpx.Limits(max_connections=None, max_keepalive_connections=20)
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def __aenter__(self) -> Platform:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        return self

    async def __aexit__(self, *exc: object) -> None:
        for report in list(self._reports):
            report.cancel()
        await asyncio.gather(*self._reports, return_exceptions=True)
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        await self._http.aclose()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return  # the store's process died in the middle of its request
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET":  # whether anybody answers
            return JSONResponse({"id": request.url.path.rpartition("/")[2]})
        body = await request.json()
        if "to" not in body and "recipient" not in body:  # read receipts and typing indicators
            return JSONResponse({"success": True})
        to = str(body.get("to") or body.get("recipient"))
        message = Reached(
            str(body.get("biz_opaque_callback_data", "")), to, f"wamid.DRILL{next(self._numbers):08d}", body
        )
        self.reached.append(message)
        self.heard[to] = self.heard.get(to, 0) + 1
        self.choices.setdefault(to, set()).update(message.choices)
        number = request.url.path.split("/")[2]
        task = asyncio.create_task(self._report(number, message))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)
        return JSONResponse(
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": to, "wa_id": to}],
                "messages": [{"id": message.wamid}],
            }
        )

    async def _report(self, number: str, message: Reached) -> None:
        status = {
            "id": message.wamid, "status": "delivered", "timestamp": "1767614460", "recipient_id": message.to,
            "biz_opaque_callback_data": message.send_id,
        }  # fmt: skip
        async for _ in self.deliver(envelope(number, statuses=[status])):
            pass

    async def deliver(self, payload: dict[str, Any]) -> AsyncGenerator[tuple[float, float, int]]:
        """Post a webhook until it is acknowledged. Gives for each try when it began (monotonic), its seconds and status
        (0: no answer)."""
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(self._secret, body)}
        status = 0
        while status != 200:
            began, status = time.monotonic(), 0
            with contextlib.suppress(httpx.TransportError):
                status = (await self._http.post(self.webhook, content=body, headers=headers)).status_code
            yield began, time.monotonic() - began, status
            if status != 200:
                await asyncio.sleep(_PATIENCE)


def envelope(number: str, **value: Any) -> dict[str, Any]:
    """A webhook's body with one change of one number. Source: WhatsApp Cloud API, "Webhooks"."""
    metadata = {"display_phone_number": "551155500000", "phone_number_id": number}
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "100000000000000", "changes": [change]}]}
