"""A bot of somebody else's before the simulator: it records what is delivered and calls the Graph side, over ASGI."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from agent_store.adapters.whatsapp.simulator import Behaviour, Pace, Simulator
from agent_store.adapters.whatsapp.simulator_http import simulator_router
from agent_store.agents.whatsapp.phone import Person, ShopNumber
from agent_store.kernel.errors import Forbidden, StoreError

Json = dict[str, Any]
NUMBER = "1001"
CATALOG = "700100"
NUMBERS = (
    ShopNumber(NUMBER, "Padaria", display_phone="+55 11 3000-1001", catalog_id=CATALOG),
    ShopNumber("1002", "Livraria", display_phone="+55 11 3000-1002"),
)
SECRET = "bot-secret"
TOKEN = "bot-token"
AT_ONCE = Behaviour(pace=Pace(sent=0, delivered=0, read=0))


@dataclass
class Bot:
    """`http` calls the REST API as staff; `graph` calls the Graph side with the token."""

    simulator: Simulator
    http: httpx.AsyncClient
    deliveries: list[Json] = field(default_factory=list[Json])
    answers: list[int] = field(default_factory=list[int])
    """HTTP statuses of the next deliveries; 200 afterwards."""
    bad_signatures: int = 0

    @property
    def ana(self) -> Person:
        return self.simulator.people()[0]

    async def quiet(self) -> None:
        async with asyncio.timeout(10):
            await self.simulator.idle()

    async def opened(self) -> None:
        await self.simulator.say(self.ana.id, NUMBER, "oi")
        await self.quiet()
        self.deliveries.clear()

    async def graph(self, method: str, path: str, body: Json | None = None, **more: Any) -> httpx.Response:
        return await self.http.request(
            method, f"/simulator/graph/v23.0{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, **more
        )

    async def send(self, **message: Any) -> httpx.Response:
        whole: Json = {"messaging_product": "whatsapp", "to": self.ana.wa_id, **message}
        return await self.graph("POST", f"/{NUMBER}/messages", whole)

    async def api(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.http.request(method, f"/simulator/api{path}", json=body, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def behave(self, **behaviour: Any) -> None:
        await self.api("PUT", "/behaviour", {"pace": {"sent": 0, "delivered": 0, "read": 0}, **behaviour})

    def values(self, field: str = "messages") -> list[Json]:
        """The values of the changes of one field that were delivered."""
        changes = [change for one in self.deliveries for entry in one["entry"] for change in entry["changes"]]
        return [change["value"] for change in changes if change["field"] == field]

    def messages(self) -> list[Json]:
        return [message for value in self.values() for message in value.get("messages", [])]

    def statuses(self) -> list[Json]:
        return [status for value in self.values() for status in value.get("statuses", [])]

    def take(self, body: bytes, signature: str) -> Response:
        if signature != "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex():
            self.bad_signatures += 1
            return Response(status_code=401)
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.deliveries.append(json.loads(body))
        return Response(status_code=status)


def text(body: str = "oi") -> Json:
    return {"type": "text", "text": {"body": body}}


def authorize(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer staff":
        raise Forbidden("staff only")


def problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StoreError)
    return JSONResponse({"code": error.code, "detail": error.message}, error.status)


@asynccontextmanager
async def bot(path: Path, behaviour: Behaviour = AT_ONCE, **more: Any) -> AsyncGenerator[Bot]:
    its = FastAPI()
    simulator = Simulator(
        path / "phones.sqlite3", webhook_url="http://bot/hook", numbers=lambda: NUMBERS, app_secret=SECRET,
        access_token=TOKEN, behaviour=behaviour, transport=httpx.ASGITransport(its), **more,
    )  # fmt: skip
    app = FastAPI()
    app.add_exception_handler(StoreError, problem)
    app.include_router(simulator_router(simulator, authorize=authorize))
    headers = {"Authorization": "Bearer staff"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://simulator", headers=headers
    ) as http:
        made = Bot(simulator, http)

        @its.post("/hook")
        async def hook(request: Request) -> Response:
            return made.take(await request.body(), request.headers.get("x-hub-signature-256", ""))

        @its.get("/hook")
        async def handshake(request: Request) -> PlainTextResponse:
            fits = request.query_params.get("hub.verify_token") == "open sesame"
            return PlainTextResponse(request.query_params["hub.challenge"] if fits else "no", 200 if fits else 403)

        await simulator.start()
        try:
            yield made
        finally:
            await simulator.stop()
