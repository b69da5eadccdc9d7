"""The MCP server behind `adapters.http.mcp`, on the official SDK. Imported by that door only, when it opens.

Source: Model Context Protocol, revisions 2025-11-25 and 2026-07-28, "Tools" and "Transports"; mcp 2.x.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError

from agent_store.adapters.http import wire
from agent_store.adapters.http.edge import Caller, cause_of, trace_of
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import StoreError
from agent_store.kernel.tool import Tool
from agent_store.kernel.tool import registry as contracts
from agent_store.kernel.toolbox import LocalToolbox, parse_call

CALLER = "agent_store.caller"
"""Where the door leaves who calls, in the request's ASGI scope."""
META = "agent-store/"
"""Prefix of our own `_meta` names: `agent-store/idempotency-key` in a call, `agent-store/code` and `…/details` in an
error."""

_Context = ServerRequestContext[Any, Any]


class Serving:
    """Serves until `stop`. The SDK wants its tasks in one task's hands, so that task is kept here."""

    def __init__(
        self,
        toolbox: LocalToolbox,
        *,
        clock: Clock,
        name: str,
        version: str,
        hosts: Sequence[str],
        origins: Sequence[str],
    ) -> None:
        self._toolbox = toolbox
        self._clock = clock
        self._specs: dict[str, types.Tool] = {}
        self._server: Server[Any] = Server(
            name,
            version=version,
            title="Agent Store",
            instructions="Tools of a shop's agents. Prices, stock and dates in results are facts; amounts are integer "
            "minor units with a currency.",
            on_list_tools=self._list,
            on_call_tool=self._call,
            get_tool_input_schema=self._input_schema,
        )
        self._manager = StreamableHTTPSessionManager(
            self._server,
            json_response=True,
            stateless=True,
            security_settings=TransportSecuritySettings(
                enable_dns_rebinding_protection=True, allowed_hosts=list(hosts), allowed_origins=list(origins)
            ),
            max_request_body_size=wire.LARGEST,
        )
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        ready = asyncio.Event()

        async def run() -> None:
            async with self._manager.run():
                ready.set()
                await self._stop.wait()

        self._task = asyncio.create_task(run(), name="mcp")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            await self._task  # it can only have failed

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task

    async def handle(self, caller: Caller, scope: Any, receive: Any, send: Any) -> None:
        await self._manager.handle_request({**scope, CALLER: caller}, receive, send)

    # --- tools -------------------------------------------------------------------------------------------------

    async def _list(self, ctx: _Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        staff = _caller(ctx).principal.staff is not None
        return types.ListToolsResult(
            tools=[self._spec(name) for name in self._toolbox.names if staff or not contracts[name].staff_only]
        )

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        found = self._name(name)
        return self._spec(found).input_schema if found is not None else None

    def _spec(self, name: str) -> types.Tool:
        spec = self._specs.get(name)
        if spec is None:
            contract = contracts[name]
            spec = self._specs[name] = types.Tool(
                name=name,
                description=contract.description(),
                input_schema=contract.model_json_schema(),
                output_schema=_output_schema(contract)[0],
                annotations=types.ToolAnnotations(
                    read_only_hint=not contract.writes,
                    # A change done twice is two changes, unless the call carries an idempotency key.
                    idempotent_hint=not contract.writes,
                    open_world_hint=False,
                ),
            )
        return spec

    def _name(self, name: str) -> str | None:
        """`cart.add`; also as `cart_add`, since some models' APIs take no dots in names and clients rewrite them."""
        if self._toolbox.offers(name):
            return name
        return next((known for known in self._toolbox.names if known.replace(".", "_") == name), None)

    async def _call(self, ctx: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        name = self._name(params.name)
        if name is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name!r} here")
        caller = _caller(ctx)
        principal = caller.principal
        meta = cast("dict[str, Any]", ctx.meta or {})
        key = meta.get(f"{META}idempotency-key")
        if key is not None and (not isinstance(key, str) or not 0 < len(key) <= wire.LONGEST_KEY):
            raise MCPError(
                types.INVALID_PARAMS, f"_meta: {META}idempotency-key is a text of 1 to {wire.LONGEST_KEY} characters"
            )
        sent = meta.get(wire.TRACE) or (ctx.request.headers.get(wire.TRACE) if ctx.request is not None else None)
        trace = trace_of(sent if isinstance(sent, str) else None)
        cause = cause_of(name, principal, self._clock.now(), service=caller.service, trace=trace)
        try:
            # Once more through JSON that is strict: half a surrogate pair would break much further in.
            tool = parse_call(name, wire.arguments(name, json.dumps(params.arguments or {}).encode()))
            result = await self._toolbox.call(tool, principal, key=key, cause=cause)
        except StoreError as error:
            return _failure(error)
        return _success(tool, result)


def _caller(ctx: _Context) -> Caller:
    return ctx.request.scope[CALLER]  # type: ignore[union-attr]  # every request comes through the door


def _success(tool: Tool[Any], result: Any) -> types.CallToolResult:
    value = type(tool).result_adapter.dump_python(result, mode="json")
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if _output_schema(type(tool))[1]:
        value = {"result": value}
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=value)


def _failure(error: StoreError) -> types.CallToolResult:
    """The message, for the model to act on; the code and the facts, for a program."""
    meta: dict[str, Any] = {f"{META}code": error.code}
    if error.details:
        meta[f"{META}details"] = wire.details_of(error)
    return types.CallToolResult(content=[types.TextContent(text=error.message)], is_error=True, _meta=meta)


@cache
def _output_schema(contract: type[Tool[Any]]) -> tuple[dict[str, Any], bool]:
    """The schema of a result as MCP has it, an object; and whether the result is put into one (`result`) for that."""
    schema = contract.result_adapter.json_schema(mode="serialization")
    if schema.get("type") == "object":
        return schema, False
    definitions = schema.pop("$defs", None)
    wrapped: dict[str, Any] = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return (wrapped if definitions is None else {**wrapped, "$defs": definitions}), True
