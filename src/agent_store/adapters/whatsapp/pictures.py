"""The pictures that go out: the store's own by its public address, others from the public internet only; drawn anew as PNG."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta

import httpx

from agent_store.adapters.http.outward import Encoded, Outward, Resolve, TooLarge, UnsafeAddress, resolve
from agent_store.agents.whatsapp.ports import MediaRefused
from agent_store.kernel.errors import NotFound, TemporaryError


class WebPictures:
    """`agents.whatsapp.ports.Pictures`."""

    def __init__(
        self,
        public_url: str,
        *,
        timeout: timedelta = timedelta(seconds=10),
        resolve: Resolve = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._drawing = asyncio.Lock()
        """One at a time: the pixels of a large picture are a hundred megabytes."""
        self._outward = Outward(hosts=None, trusted=public_url, timeout=timeout, resolve=resolve, transport=transport)

    async def close(self) -> None:
        await self._outward.close()

    async def fetch(self, link: str, limit: int) -> bytes:
        try:
            answer = await self._outward.get(link, limit=limit)
        except UnsafeAddress as error:
            raise MediaRefused("unsafe", error.message) from error
        except TooLarge as error:
            raise MediaRefused("too_large", error.message) from error
        except Encoded as error:
            raise MediaRefused("unreadable", error.message) from error
        if answer.status in (408, 429) or answer.status >= 500:
            raise TemporaryError(f"the picture's server answered {answer.status}", code="unavailable")
        if not 200 <= answer.status < 300:
            raise NotFound(f"there is no picture at its address (status {answer.status})")
        return answer.body

    async def as_png(self, content: bytes, mime_type: str, width: int, height: int) -> bytes:
        try:
            async with self._drawing:
                return await asyncio.to_thread(_draw, content, mime_type, width, height)
        except ValueError as error:
            raise MediaRefused("unreadable", "this picture cannot be drawn") from error


def _draw(content: bytes, mime_type: str, width: int, height: int) -> bytes:
    """The renderer of product pictures reads JPEG, PNG, GIF and WebP, when a drawing holds them."""
    import resvg_py  # a 5 MB library that is loaded when the first picture is drawn

    held = base64.b64encode(content).decode()
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
            f'<image width="{width}" height="{height}" preserveAspectRatio="none" href="data:{mime_type};base64,{held}"/>'
            "</svg>",
            skip_system_fonts=True,
        )
    )
