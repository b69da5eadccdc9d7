"""Product pictures: drawn by the catalogue's own code as SVG, served as PNG (what WhatsApp takes) or SVG."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping

from fastapi import APIRouter, Response

from agent_store.contracts.brands import Directory
from agent_store.contracts.catalog import GetProducts, ProductView
from agent_store.kernel.errors import NotFound
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal

Draw = Callable[[ProductView, str], str]
_KEPT = 256
_HEADERS: Mapping[str, str] = {"Cache-Control": "public, max-age=86400"}


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

    return router


def _render(svg: str) -> bytes:
    import resvg_py  # a 5 MB library that only the process that serves pictures loads

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=640))
