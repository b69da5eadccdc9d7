"""A fake Graph API on a real port: keeps what is sent, answers with wamids, fails when told to, reports statuses."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


@dataclass
class Sent:
    """One message that reached the Graph API. `to` is the recipient, `payload` the whole body."""

    wamid: str
    number: str
    to: str
    payload: dict[str, Any]

    @property
    def send_id(self) -> str:
        return str(self.payload.get("biz_opaque_callback_data", ""))

    @property
    def text(self) -> str:
        """What a customer reads: body text, caption, or the text of an interactive message with the page its button opens."""
        kind = self.payload["type"]
        if kind == "text":
            return self.payload["text"]["body"]
        if kind == "image":
            return self.payload["image"].get("caption", "")
        interactive = self.payload["interactive"]
        said = interactive["body"]["text"]
        if interactive["type"] == "cta_url":
            button = interactive["action"]["parameters"]
            said += f"\n[{button['display_text']}] {button['url']}"
        return said

    @property
    def choices(self) -> dict[str, str]:
        """id → title of everything that can be tapped."""
        action = self.payload.get("interactive", {}).get("action", {})
        rows = [row for section in action.get("sections", []) for row in section["rows"]]
        return {one["id"]: one["title"] for one in [*(b["reply"] for b in action.get("buttons", [])), *rows]}

    @property
    def is_list(self) -> bool:
        return self.payload.get("interactive", {}).get("type") == "list"


@dataclass
class FakeGraph:
    """`statuses`: report sent, delivered and read to `webhook_url`, signed with `secret`. `fail` holds answers to give
    instead, one a call: an HTTP status, or "drop" to close the connection after the message was taken."""

    webhook_url: str = ""
    secret: str = ""
    statuses: bool = False
    sent: list[Sent] = field(default_factory=list)
    fail: list[int | str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list[str])
    """Messages of customers that were shown as read."""
    delay: float = 0.0
    port: int = 0

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._reports: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, listener: Any) -> None:
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app, log_config=None, access_log=False, lifespan="off", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        for report in list(self._reports):
            report.cancel()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET":  # the store asks whether anybody answers
            return JSONResponse({"id": request.url.path.rpartition("/")[2]})
        if request.url.path.endswith("/media"):  # an upload: any picture is good
            return JSONResponse({"id": f"{time.time_ns() % 10**15:015d}"})
        body = await request.json()
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return JSONResponse({"error": {"message": "no token", "code": 190}}, 401)
        if body.get("status") == "read":
            self.seen.append(body["message_id"])
            return JSONResponse({"success": True})
        if self.delay:
            await asyncio.sleep(self.delay)
        planned = self.fail.pop(0) if self.fail else None
        if isinstance(planned, int):
            return JSONResponse({"error": {"message": "planned failure", "type": "Test", "code": 131000}}, planned)
        wamid = f"wamid.OUT{next(self._numbers):06d}"
        to = body.get("to") or body.get("recipient")
        message = Sent(wamid, request.url.path.split("/")[2], to, body)
        self.sent.append(message)
        self._changed.set()
        if self.statuses:
            task = asyncio.create_task(self._report(message))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)
        if planned == "drop":
            raise ConnectionResetError("planned: the answer is lost")
        return JSONResponse(
            {"messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": to}], "messages": [{"id": wamid}]}
        )

    async def _report(self, message: Sent) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            for status in ("sent", "delivered", "read"):
                body = json.dumps(status_delivery(message, status)).encode()
                await client.post(self.webhook_url, content=body, headers=signed(self.secret, body))

    def to(self, recipient: str) -> list[Sent]:
        return [message for message in self.sent if message.to == recipient]


def signed(secret: str, body: bytes) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}


def status_delivery(message: Sent, status: str) -> dict[str, Any]:
    return envelope(
        message.number,
        statuses=[
            {
                "id": message.wamid, "status": status, "timestamp": "1767614460", "recipient_id": message.to,
                "biz_opaque_callback_data": message.send_id,
            }
        ],
    )  # fmt: skip


def envelope(number: str, **value: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": "551155500000", "phone_number_id": number}
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "200000000000001", "changes": [change]}]}


def message_delivery(number: str, wa_id: str, message: dict[str, Any], name: str = "Ana") -> dict[str, Any]:
    """Written now: what a customer wrote long ago, a store may not answer freely any more."""
    return envelope(
        number,
        contacts=[{"profile": {"name": name}, "wa_id": wa_id}],
        messages=[{"from": wa_id, "timestamp": str(int(time.time())), **message}],
    )
