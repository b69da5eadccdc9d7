"""What a process offers to the others of its store: its tools. `contracts_server` tells what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agent_store.adapters.http import problems, wire
from agent_store.adapters.http.edge import BadToken, Caller, bearer, cause_of, trace_of
from agent_store.kernel import budget
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import InvalidInput, StoreError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.toolbox import LocalToolbox, parse_call

if TYPE_CHECKING:
    from agent_store.adapters.http.tokens import Tokens


def _always() -> bool:
    return True


def tools_route(toolbox: LocalToolbox, tokens: Tokens, *, clock: Clock, ready: Callable[[], bool] = _always) -> Route:
    """`POST /tools/{name}`: the tools of this process for services of the store.

    Arguments are the JSON body, the answer is the result's JSON or a problem document (see `adapters.http.wire`). The
    principal comes from the token and from nowhere else. A writing tool needs `Idempotency-Key` (percent-encoded).
    While not `ready` (starting, draining) calls are answered 503, which sends the caller to another replica.
    """

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

    # FastAPI's own parsing would cost more than the whole call.
    return Route("/tools/{name}", call, methods=["POST"], include_in_schema=False)


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
