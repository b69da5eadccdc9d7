"""A server for the browser test of `/escalations`: a real store, three customers in the queue. Run as a module; the port
is its argument. `POST /write?text=…&wa_id=…` is a customer's phone, `POST /send-media?wa_id=…` sends a photo, a voice note
and a document from it."""

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
from agent_store.adapters.http.kept_media import kept_media_router
from agent_store.console.escalations import register_escalations_page
from agent_store.contracts.whatsapp import GetMedium, InboundContent, InboundMedia, KeptMedium, WhatsAppMediaReceived
from agent_store.contracts.whatsapp import WhatsAppMessageReceived as Received
from agent_store.kernel.clock import ManualClock
from tests.browser.simulator_server import tone
from tests.support import media
from tests.support.chat import FASHION, SHARED, TECH, ChatStore

TOKEN = "browser-test"
FILES = {
    "photo": ("image", "image/png", media.png(320, 240), None),
    "voice": ("audio", "audio/wav", tone(30.0), None),
    "receipt": ("document", "application/pdf", media.PDF, "nota fiscal.pdf"),
}
"""By key: kind of message, type, content, name."""


class Gateway:
    """What the route to kept media asks the store."""

    def __init__(self, store: ChatStore) -> None:
        self.clock = store.clock

    async def call(self, tool: GetMedium, principal: Any) -> KeptMedium:
        _, mime_type, _, filename = FILES[tool.key]
        expires_at = self.clock.now() + timedelta(days=1)
        return KeptMedium(key=tool.key, mime_type=mime_type, filename=filename, expires_at=expires_at)

    async def open(self, key: str) -> bytes:
        return FILES[key][2]


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

    @app.post("/send-media")
    async def send_media(wa_id: str) -> None:
        for key, (kind, mime_type, _, filename) in FILES.items():
            common: Any = {"wamid": f"wamid.{key}", "phone_number_id": FASHION, "sender": wa_id, "kind": kind}
            content = InboundContent(media=InboundMedia(id=key, voice=kind == "audio", filename=filename))
            now = clock.now()
            await store.publish(
                Received(**common, wa_id=wa_id, content=content, fetching=True, sent_at=now), channel="whatsapp"
            )
            await store.settle()
            await store.publish(
                WhatsAppMediaReceived(
                    **common, key=key, mime_type=mime_type, expires_at=datetime.now(UTC) + timedelta(days=1)
                )
            )

    class Calls:
        async def call(self, tool: Any, principal: Any = None, key: str | None = None) -> Any:
            return await store.call(tool, principal, key)

    auth = StaffAuth(TOKEN)

    def authorize(request: Request) -> None:
        auth(request)

    gateway: Any = Gateway(store)
    app.include_router(kept_media_router(gateway, gateway, authorize=authorize))
    register_escalations_page(Calls(), authorize)
    ui.run_with(app)
    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
