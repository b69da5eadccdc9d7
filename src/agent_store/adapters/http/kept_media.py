"""Customers' photos, voice notes and files, for staff: `GET /media/whatsapp/<key>`."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response

from agent_store.adapters.http.ranges import whole_or_part
from agent_store.agents.whatsapp.ports import MediaStore
from agent_store.contracts.whatsapp import GetMedium
from agent_store.kernel.errors import NotFound
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal

LONGEST_KEY = 128
_SHOWN = ("image/", "audio/", "video/")
"""What a browser may show by itself; everything else it is told to save."""


def kept_media_router(runtime: Runtime, store: MediaStore, *, authorize: Callable[..., object]) -> APIRouter:
    """The gateway, here or in another process, says what is under a key; `store` has the content."""
    router = APIRouter(prefix="/media/whatsapp", include_in_schema=False, dependencies=[Depends(authorize)])

    @router.get("/{key}")
    async def medium(key: str, request: Request) -> Response:
        if len(key) > LONGEST_KEY:
            raise NotFound("there is nothing under this key")
        found = await runtime.call(GetMedium(key=key), Principal(staff="staff"))
        content = await store.open(found.key)
        seconds = min(3600, max(0, int((found.expires_at - runtime.clock.now()).total_seconds())))
        return whole_or_part(
            request,
            content,
            media_type=found.mime_type,
            headers={
                "Cache-Control": f"private, max-age={seconds}",
                "Content-Disposition": _disposition(found.mime_type, found.filename),
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cross-Origin-Resource-Policy": "same-origin",
                "X-Content-Type-Options": "nosniff",
            },
        )

    return router


def _disposition(mime_type: str, filename: str | None) -> str:
    """The name is the customer's word: it goes encoded, with nothing that a header or a path could trip over."""
    kind = "inline" if mime_type.startswith(_SHOWN) else "attachment"
    name = "".join(char for char in filename or "" if char.isprintable() and char not in '/\\:*?"<>|')[:120].strip(". ")
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}" if name else kind
