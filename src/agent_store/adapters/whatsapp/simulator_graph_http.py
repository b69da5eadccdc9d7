"""The simulator's Graph side over HTTP: `/graph/<version>/…` as `https://graph.facebook.com`, and `/files/…` where its media
addresses lead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from agent_store.adapters.whatsapp.cloud import GraphFault, Json, fault
from agent_store.adapters.whatsapp.simulator import Simulator


@dataclass(frozen=True, slots=True)
class _Call:
    id: str
    query: Mapping[str, str]
    body: Json
    base_url: str
    file: tuple[bytes, str, str] | None = None
    """Bytes, type and name of an uploaded file."""

    @property
    def fields(self) -> str:
        return self.query.get("fields", "")


_Handler = Callable[[_Call], Awaitable[Json] | Json]


def graph_routes(router: APIRouter, simulator: Simulator) -> None:
    graph = simulator.graph

    def route(method: str, path: str, handle: _Handler, *, sends: bool = False) -> None:
        async def answer(request: Request, version: str, id: str = "") -> Response:
            try:
                if simulator.hub.behaviour.answer_delay:
                    await asyncio.sleep(simulator.hub.behaviour.answer_delay)
                simulator.hub.refuse_elsewhere()
                graph.check_token(_token(request))
                made = handle(await _call(request, id))
                found = made if isinstance(made, dict) else await made
            except GraphFault as refusal:
                headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
                return JSONResponse(refusal.body, refusal.status, headers)
            outage = simulator.hub.behaviour.outage if sends else "none"
            if outage == "lost":
                return Response("upstream request timeout", 504, media_type="text/plain")
            if outage == "garbage":
                return Response("<html>", 200, media_type="text/html")
            return JSONResponse(found)

        # The version is part of the path and of no consequence here.
        router.add_api_route(f"/graph/{{version}}{path}", answer, methods=[method], include_in_schema=False)

    route("POST", "/{id}/messages", lambda call: graph.messages(call.id, call.body), sends=True)
    route("POST", "/{id}/media", lambda call: _upload(simulator, call))
    route("GET", "/{id}/message_templates", lambda call: graph.templates(call.query))
    route("POST", "/{id}/message_templates", lambda call: graph.create_template(call.body))
    route(
        "DELETE",
        "/{id}/message_templates",
        lambda call: graph.delete_template(call.query.get("name", ""), call.query.get("hsm_id", "")),
    )
    route("GET", "/{id}/phone_numbers", lambda call: graph.numbers(call.query))
    route("GET", "/{id}/subscribed_apps", lambda call: graph.apps())
    route("POST", "/{id}/subscribed_apps", lambda call: graph.apps(subscribed=True))
    route("DELETE", "/{id}/subscribed_apps", lambda call: graph.apps(subscribed=False))
    route("GET", "/{id}/whatsapp_business_profile", lambda call: graph.profile(call.id, call.fields))
    route("POST", "/{id}/whatsapp_business_profile", lambda call: graph.set_profile(call.id, call.body))
    route("POST", "/{id}/register", lambda call: _register(simulator, call))
    route("POST", "/{id}/deregister", lambda call: _register(simulator, call, pin=False))
    route("POST", "/{id}/items_batch", lambda call: graph.items_batch(call.id, call.body))
    route(
        "GET",
        "/{id}/check_batch_request_status",
        lambda call: graph.batch_status(call.id, call.query.get("handle", "")),
    )
    route("GET", "/{id}/products", lambda call: graph.catalog_products(call.id, call.query))
    route("GET", "/debug_token", lambda call: graph.debug_token(call.query.get("input_token", "")))
    route("GET", "/{id}", lambda call: graph.node(call.id, call.fields, call.base_url))
    route("POST", "/{id}", lambda call: graph.edit_template(call.id, call.body))
    route("DELETE", "/{id}", lambda call: graph.delete_medium(call.id))

    async def file(request: Request, id: str, ext: str = "", hash: Annotated[str, Query()] = "") -> Response:
        try:
            graph.check_token(_token(request))
            content, mime_type = await asyncio.to_thread(graph.file, id, ext, hash)
        except GraphFault as refusal:
            return JSONResponse(refusal.body, refusal.status)
        return Response(content, media_type=mime_type)

    router.add_api_route("/files/{id}", file, methods=["GET"], include_in_schema=False)


def _token(request: Request) -> str:
    """The header, or the query's `access_token`, which the Graph API takes too."""
    asked = request.query_params.get("access_token")
    return request.headers.get("authorization", "") or (f"Bearer {asked}" if asked else "")


async def _call(request: Request, id: str) -> _Call:
    query, base = dict(request.query_params), str(request.base_url)
    if request.method in ("GET", "DELETE"):
        return _Call(id, query, {}, base)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        async with request.form() as form:
            fields: Json = {name: value for name, value in form.items() if isinstance(value, str)}
            sent = form.get("file")
            file = None
            if isinstance(sent, UploadFile):
                file = await sent.read(), sent.content_type or "", sent.filename or ""
        return _Call(id, query, fields, base, file)
    raw = await request.body()
    if not raw:
        return _Call(id, query, {}, base)
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise fault(100, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise fault(100, "the body is not an object")
    return _Call(id, query, cast(Json, body), base)


def _upload(simulator: Simulator, call: _Call) -> Json:
    if call.file is None:
        raise fault(100, "the parameter file is required")
    content, mime_type, name = call.file
    product = str(call.body.get("messaging_product", ""))
    return simulator.graph.upload(call.id, content, str(call.body.get("type") or mime_type), name, product)


def _register(simulator: Simulator, call: _Call, *, pin: bool = True) -> Json:
    simulator.graph.number(call.id)
    if pin and not (len(str(call.body.get("pin", ""))) == 6 and str(call.body["pin"]).isdigit()):
        raise fault(100, "pin has six digits")
    return {"success": True}
