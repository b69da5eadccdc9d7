"""A server for the browser test of `/simulator`: the page on a phone in memory.

Run as a module; argument: port. `POST /put` (JSON: kind, text and the other fields of a bubble) makes the store write,
`POST /change/<wamid>` changes a message, `POST /typing`, `GET /told` says what the phone was asked to do.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import wave
from collections.abc import Sequence
from typing import Any, get_type_hints

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse
from nicegui import ui
from pydantic import TypeAdapter

from agent_store.adapters.http.auth import COOKIE, StaffAuth
from agent_store.agents.whatsapp.phone import Bubble
from agent_store.console.simulator import register_simulator_page
from agent_store.contracts.brands import Brand, SharedNumber
from tests.browser.fake_phone import FakePhone

TOKEN = "browser-test"
_FIELDS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in get_type_hints(Bubble).items()}


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


SQUARE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="#d98ca8"/>'
    '<path d="M3.5 1h2l.4 2L7 8H2l1.1-5z" fill="#a52752"/></svg>'
)


def tone(seconds: float = 3.2, rate: int = 8000) -> bytes:
    """A sound that swells and fades, as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        loud = (abs(math.sin(at / rate * 5.1)) * math.sin(at / rate * 2400) for at in range(int(seconds * rate)))
        out.writeframes(b"".join(struct.pack("<h", int(one * 20000)) for one in loud))
    return file.getvalue()


def serve(port: int) -> None:
    phone = FakePhone()
    auth = StaffAuth(TOKEN)
    app = FastAPI()
    sound = tone()

    def read(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: _FIELDS[name].validate_python(value) if name in _FIELDS else value for name, value in values.items()
        }

    @app.post("/put")
    async def put(values: dict[str, Any]) -> str:
        return phone.put(**read(values)).wamid

    @app.post("/change/{wamid}")
    async def change(wamid: str, values: dict[str, Any]) -> None:
        phone.change(wamid, **read(values))

    @app.post("/reset")
    async def reset() -> None:
        phone.reset()

    @app.post("/typing")
    async def typing(on: bool) -> None:
        (phone.typing.add if on else phone.typing.discard)(("ana", "1"))

    @app.get("/told")
    async def told() -> dict[str, Any]:
        return {"trouble": phone.trouble, "news": phone.news, "again": phone.again}

    @app.get("/media/products/a.svg")
    async def picture() -> Response:
        return Response(SQUARE, media_type="image/svg+xml")

    @app.get("/simulator/media/tone")
    async def hum() -> Response:
        return Response(sound, media_type="audio/wav")

    @app.get("/simulator/media/{name}")
    async def file(name: str) -> Response:
        mime_type, content = phone.files[name]
        return Response(content, media_type=mime_type)

    @app.get("/login")
    async def login(token: str, to: str) -> Response:
        redirect = RedirectResponse(to, 303)
        if auth.is_token(token):
            redirect.set_cookie(COOKIE, auth.cookie_value)
        return redirect

    register_simulator_page(phone, Brands(), authorize=auth)
    ui.run_with(app)
    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
