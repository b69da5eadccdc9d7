"""A server for the browser test of `/simulator`: the real simulator, and a small store behind it that answers by rote.

Run as a module; arguments: port, data folder. `POST /speak?text=…` makes the store write to the first customer.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from nicegui import ui

from agent_store.adapters.http.auth import COOKIE, StaffAuth
from agent_store.adapters.whatsapp.simulator import Simulator, simulator_router
from agent_store.agents.whatsapp.model import Inbound, parse
from agent_store.agents.whatsapp.phone import ShopNumber
from agent_store.console.simulator import register_simulator_page
from agent_store.contracts.brands import Brand, SharedNumber

TOKEN = "browser-test"


class Brands:
    """Two brands; the second has no ideas of its own on the page, so they come from its keywords."""

    shared = SharedNumber()

    def brands(self) -> Sequence[Brand]:
        return (
            Brand(id="fashion", name="Moda", seller="Luna"),
            Brand(id="books", name="Livros", seller="Iara", keywords={"pt": ("romances", "gibis")}),
        )

    def brand(self, brand_id: str) -> Brand | None:
        return next((brand for brand in self.brands() if brand.id == brand_id), None)

    def by_number(self, phone_number_id: str) -> Brand | None:
        return None

    def is_known(self, phone_number_id: str) -> bool:
        return True

    def house_prompt(self) -> str:
        return ""


NUMBERS = (
    ShopNumber("1", "Moda", "Luna", "+55 11 3000-0001", "fashion", "👗", "#c2185b"),
    ShopNumber("2", "Livros", "Iara", "+55 11 3000-0002", "books", "📚", "#ffd54f"),
)
SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="#36c"/></svg>'


def replies(message: Inbound) -> list[dict[str, Any]]:
    if message.content.payload == "sizes":
        rows = [{"id": "size-m", "title": "Tamanho M", "description": "Últimas 2"}]
        action = {"button": "Ver tamanhos", "sections": [{"rows": rows}]}
        return [{"type": "interactive", "interactive": {"type": "list", "body": {"text": "Qual?"}, "action": action}}]
    if message.content.payload:
        return [{"type": "text", "text": {"body": f"Anotei *{message.content.text}* <script>alert(1)</script>"}}]
    buttons = [{"type": "reply", "reply": {"id": "sizes", "title": "Tamanhos"}}]
    return [
        {"type": "image", "image": {"link": "http://shop.example/media/products/a.svg", "caption": "Vestido Aurora"}},
        {
            "type": "interactive",
            "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": buttons}},
        },
    ]


def serve(port: int, folder: Path) -> None:
    simulator = Simulator(
        folder / "phones.sqlite3",
        webhook_url=f"http://127.0.0.1:{port}/webhooks/whatsapp",
        numbers=lambda: NUMBERS,
        app_secret="secret",
        access_token="token",
    )
    auth = StaffAuth(TOKEN)
    tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        await simulator.start()
        yield
        await simulator.stop()

    app = FastAPI(lifespan=life)

    async def answer(message: Inbound) -> None:
        to = {"to": message.wa_id} if message.wa_id else {"recipient": message.user_id}
        for reply in replies(message):
            await simulator.graph_send(message.phone_number_id, {"messaging_product": "whatsapp", **to, **reply})

    @app.post("/webhooks/whatsapp")
    async def hook(request: Request) -> None:
        for message in parse(await request.body()).messages:
            task = asyncio.create_task(answer(message))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    @app.post("/speak")
    async def speak(text: str) -> None:
        body = {"messaging_product": "whatsapp", "to": "5511900000001", "type": "text", "text": {"body": text}}
        await simulator.graph_send("2", body)

    @app.get("/media/products/a.svg")
    async def picture() -> Response:
        return Response(SQUARE, media_type="image/svg+xml")

    @app.get("/login")
    async def login(token: str, to: str) -> Response:
        redirect = RedirectResponse(to, 303)
        if auth.is_token(token):
            redirect.set_cookie(COOKIE, auth.cookie_value)
        return redirect

    app.include_router(simulator_router(simulator, authorize=auth))
    register_simulator_page(simulator, Brands(), authorize=auth)
    ui.run_with(app)
    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
