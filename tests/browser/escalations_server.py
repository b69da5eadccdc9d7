"""A server for the browser test of `/escalations`: a real store, three customers in the queue. Run as a module; the port
is its argument. `POST /write?text=…&wa_id=…` is a customer's phone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from nicegui import ui

from agent_store.adapters.http.auth import StaffAuth
from agent_store.console.escalations import register_escalations_page
from agent_store.kernel.clock import ManualClock
from tests.support.chat import SHARED, TECH, ChatStore

TOKEN = "browser-test"


def serve(port: int) -> None:
    store = ChatStore()
    clock = store.clock = ManualClock(datetime.now(UTC) - timedelta(minutes=50))

    async def keep_going() -> None:
        while True:
            await store.settle()
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        async with store:
            await store.write("oi, tem vestido?", wa_id="551", name="Ana")
            await store.answer("Tenho sim!")
            await store.write(
                "vocês são uns incompetentes, quero meu dinheiro de volta agora!", wa_id="551", name="Ana"
            )
            clock.move(timedelta(minutes=30))
            await store.write("I want to talk to a human please", wa_id="552", to=TECH, name="Bob")
            await store.write("quiero hablar con un asesor", wa_id="553", to=SHARED, name="Carmen")
            await store.write("<b>hola</b> <script>alert(1)</script>", wa_id="553", to=SHARED, name="Carmen")
            clock.move(timedelta(minutes=20))
            task = asyncio.create_task(keep_going())
            yield
            task.cancel()

    app = FastAPI(lifespan=life)

    @app.post("/write")
    async def write(text: str, wa_id: str) -> None:
        await store.write(text, wa_id=wa_id, name=None)

    class Calls:
        async def call(self, tool: Any, principal: Any = None, key: str | None = None) -> Any:
            return await store.call(tool, principal, key)

    auth = StaffAuth(TOKEN)

    def authorize(request: Request) -> None:
        auth(request)

    register_escalations_page(Calls(), authorize)
    ui.run_with(app)
    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
