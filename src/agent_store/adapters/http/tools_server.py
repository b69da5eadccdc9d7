"""What a process offers to the others of its store: its tools to services, its contracts to who may read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response

from agent_store.adapters.http import problems, wire
from agent_store.adapters.http.edge import BadToken, Caller, bearer, cause_of, trace_of
from agent_store.kernel import budget, schemas
from agent_store.kernel.clock import Clock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import InvalidInput, NotFound, StoreError, TemporaryError
from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.event import registry as events
from agent_store.kernel.tool import registry as tools
from agent_store.kernel.toolbox import LocalToolbox, parse_call

if TYPE_CHECKING:
    from agent_store.adapters.http.tokens import Tokens


def _always() -> bool:
    return True


def tools_router(
    toolbox: LocalToolbox, tokens: Tokens, *, clock: Clock, ready: Callable[[], bool] = _always
) -> APIRouter:
    """`POST /tools/{name}`: the tools of this process for services of the store.

    Arguments are the JSON body, the answer is the result's JSON or a problem document (see `adapters.http.wire`). The
    principal comes from the token and from nowhere else. A writing tool needs `Idempotency-Key` (percent-encoded).
    While not `ready` (starting, draining) calls are answered 503, which sends the caller to another replica.
    """
    router = APIRouter(include_in_schema=False)

    async def call(request: Request) -> Response:
        name = str(request.path_params["name"])
        try:
            token = bearer(request)
            body = await _body(request)
            key = _key(request)
            caller = tokens.check_call(token, tool=name, key=key, body=body)
        except (BadToken, InvalidInput) as error:
            return problems.of_error(error)
        if not ready():
            # A kept connection ends at this replica: its caller should find another.
            return problems.problem(503, "not-ready", "this replica takes no calls now", {"Connection": "close"})
        if not toolbox.offers(name):
            return problems.problem(404, "not-offered", f"no agent of this process offers {name}")
        try:
            result = await _run(toolbox, clock, request, caller, name, key, body)
        except StoreError as error:
            return wire.of_tool(error)
        return Response(result, media_type="application/json")

    # Not by a decorator: FastAPI's own parsing costs more than the whole call.
    router.add_route("/tools/{name}", call, methods=["POST"], include_in_schema=False)
    return router


async def _run(
    toolbox: LocalToolbox, clock: Clock, request: Request, caller: Caller, name: str, key: str | None, body: bytes
) -> bytes:
    tool = parse_call(name, wire.arguments(name, body))
    if tool.writes and key is None:
        raise InvalidInput(f"{name} changes something: send an Idempotency-Key", field="idempotency-key")
    cause = _cause(request, caller, name, clock)
    seconds = _seconds_left(request)
    try:
        with budget.within(seconds):
            # A change is bounded by its own agent; ended from here it would only be done again.
            async with asyncio.timeout(None if tool.writes else seconds):
                result = await toolbox.call(tool, caller.principal, key=key, cause=cause)
    except TimeoutError as error:
        raise TemporaryError(f"{name} took longer than its caller waits", code="timeout") from error
    return type(tool).result_adapter.dump_json(result)


def _cause(request: Request, caller: Caller, name: str, clock: Clock) -> Envelope:
    trace, state = trace_of(request.headers.get(wire.TRACE)), request.headers.get(wire.STATE)
    if caller.cause is None:
        return cause_of(name, caller.principal, clock.now(), service=caller.service, trace=trace, state=state)
    return replace(caller.cause, traceparent=trace, tracestate=state) if trace is not None else caller.cause


def _key(request: Request) -> str | None:
    said = request.headers.get(wire.KEY)
    if said is None:
        return None
    try:
        key = unquote(said, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidInput("idempotency-key: is no percent-encoded UTF-8", field="idempotency-key") from error
    if not 0 < len(key) <= wire.LONGEST_KEY:
        raise InvalidInput(f"idempotency-key: 1 to {wire.LONGEST_KEY} characters", field="idempotency-key")
    return key


def _seconds_left(request: Request) -> float:
    """What the caller still waits, an hour at most: a wait that isn't said ends with the tool's own bound."""
    said = request.headers.get(wire.TIME_LEFT, "")
    return min(int(said) / 1000, 3600.0) if said.isdecimal() and len(said) < 12 else 3600.0


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > wire.LARGEST:
                raise InvalidInput(f"the arguments are over {wire.LARGEST} bytes")
            parts.append(part)
    except ClientDisconnect as error:
        raise InvalidInput("the request ended before its body did") from error
    return b"".join(parts)


def contracts_router(
    toolbox: LocalToolbox,
    consumers: Callable[[], Iterable[Consumer]],
    *,
    authorize: Callable[[HTTPConnection], None] | None,
) -> APIRouter:
    """`GET /contracts`: what the agents of this process offer and hear; the same documents as in `docs/contracts/`.

    `authorize` raises for who may not read them (`Gate("contracts", …)`, `StaffAuth`); None makes them public. They
    name every internal command and staff's own tools, which helps nobody who may not call them: public is for a store
    that publishes its contracts on purpose.
    """
    router = APIRouter(
        prefix="/contracts", tags=["contracts"], dependencies=[] if authorize is None else [Depends(authorize)]
    )

    def heard() -> dict[str, type[Event]]:
        names = {name for consumer in consumers() for name in consumer.agent.subscriptions}
        return {name: events[name] for name in sorted(names & events.keys())}

    @router.get("")
    async def index() -> dict[str, Any]:
        """Names, meanings and where the whole document is."""
        return {
            "tools": [
                {
                    "name": name,
                    "description": tools[name].description(),
                    "writes": tools[name].writes,
                    "staff_only": tools[name].staff_only,
                    "href": f"/contracts/tools/{name}",
                }
                for name in toolbox.names
            ],
            "events": [
                {
                    "type": name,
                    "topic": kind.topic,
                    "description": " ".join((kind.__doc__ or kind.__name__).split()),
                    "href": f"/contracts/events/{name}",
                }
                for name, kind in heard().items()
            ],
            "asyncapi": "/contracts/asyncapi.json",
        }

    @router.get("/asyncapi.json")
    async def asyncapi() -> dict[str, Any]:
        """The events that are heard here, as an AsyncAPI document."""
        return schemas.asyncapi(heard().values())

    @router.get("/tools")
    async def of_agent(request: Request, agent: str = "") -> Response:
        """The whole contracts, of one agent's tools or of all. `If-None-Match` is answered 304 while they are the same."""
        names = [name for name in toolbox.names if not agent or name.partition(".")[0] == agent]
        body = json.dumps({"tools": [schemas.tool_contract(tools[name]) for name in names]}).encode()
        tag = wire.tag_of(body)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        return Response(body, media_type="application/json", headers={"etag": tag})

    @router.get("/tools/{name}")
    async def tool(name: str) -> dict[str, Any]:
        if not toolbox.offers(name):
            raise NotFound(f"no agent of this process offers {name}; /contracts lists what there is")
        return schemas.tool_contract(tools[name])

    @router.get("/events/{type}")
    async def event(type: str) -> dict[str, Any]:
        kind = heard().get(type)
        if kind is None:
            raise NotFound(f"no agent of this process hears {type}; /contracts lists what there is")
        return schemas.event_schema(kind)

    return router
