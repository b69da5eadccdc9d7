"""Pictures: products, drawn by the catalogue's own code as SVG, served as PNG (what WhatsApp takes) or SVG; and a payment's Pix
code as a QR code."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Response

from agent_store.contracts.brands import Directory
from agent_store.contracts.catalog import GetProducts, ProductView
from agent_store.contracts.payments import GetPixCode
from agent_store.kernel.errors import NotFound
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal

Draw = Callable[[ProductView, str], str]
_KEPT = 256
_HEADERS: Mapping[str, str] = {"Cache-Control": "public, max-age=86400"}
_PRIVATE: Mapping[str, str] = {
    "Cache-Control": "private, max-age=3600, immutable",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}
"""A payment's code never changes, and is nobody else's."""


def media_router(runtime: Runtime, directory: Directory, draw: Draw) -> APIRouter:
    """`draw(product, theme colour)` gives the SVG. The last pictures are kept in memory (about 40 kB each)."""
    router = APIRouter(prefix="/media", include_in_schema=False)
    kept: OrderedDict[str, bytes] = OrderedDict()

    async def svg_of(product_id: str) -> str:
        found = await runtime.call(GetProducts(ids=(product_id,)), Principal())
        if not found:
            raise NotFound(f"there is no product {product_id!r}")
        brand = directory.brand(found[0].brand)
        return draw(found[0], brand.color if brand else "#777777")

    @router.get("/products/{product_id}.svg")
    async def svg(product_id: str) -> Response:
        return Response(await svg_of(product_id), media_type="image/svg+xml", headers=dict(_HEADERS))

    @router.get("/products/{product_id}.png")
    async def png(product_id: str) -> Response:
        image = kept.get(product_id)
        if image is None:
            source = await svg_of(product_id)
            image = await asyncio.to_thread(_render, source)
            kept[product_id] = image
            if len(kept) > _KEPT:
                kept.popitem(last=False)
        else:
            kept.move_to_end(product_id)
        return Response(image, media_type="image/png", headers=dict(_HEADERS))

    codes: OrderedDict[str, bytes] = OrderedDict()

    @router.get("/pix/{payment_id}.png")
    async def pix(payment_id: str, key: Annotated[str, Query(alias="t", max_length=128)] = "") -> Response:
        """The QR code of a payment, for who has its address: `t` is a secret of its own."""
        code = (await runtime.call(GetPixCode(payment_id=payment_id, key=key), Principal())).copy_paste
        image = codes.get(code)
        if image is None:
            image = codes[code] = await asyncio.to_thread(qr_png, code)
            if len(codes) > _KEPT:
                codes.popitem(last=False)
        else:
            codes.move_to_end(code)
        return Response(image, media_type="image/png", headers=dict(_PRIVATE))

    return router


def _render(svg: str) -> bytes:
    import resvg_py  # a 5 MB library that only the process that serves pictures loads

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=640))


def qr_png(text: str) -> bytes:
    """A QR code with its quiet zone, about 500 pixels wide. By way of SVG, since WhatsApp takes 8-bit RGB or RGBA and a QR
    library writes one bit a pixel."""
    import resvg_py
    import segno

    code = segno.make(text, error="m", micro=False)
    modules = int(code.symbol_size(border=4)[0])
    scale = max(4, 500 // modules)
    svg = io.BytesIO()
    code.save(svg, kind="svg", scale=scale, border=4, dark="#000", light="#fff", xmldecl=False)
    return bytes(resvg_py.svg_to_bytes(svg_string=svg.getvalue().decode(), width=modules * scale))
