"""The MCP door: the tools of this process for MCP clients, at `/mcp` (streamable HTTP).

The SDK costs a second of CPU and some tens of megabytes, so it is imported when the first client that may come in
comes in, in a thread, and never in a process that nobody asks. Who it is, is decided here, before the SDK sees anything.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from starlette.requests import Request

from agent_store.adapters.http import problems
from agent_store.adapters.http.edge import Gate
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import StoreError
from agent_store.kernel.toolbox import LocalToolbox

if TYPE_CHECKING:
    from agent_store.adapters.http.mcp_server import Serving

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class McpDoor:
    """The ASGI application of the path `/mcp`.

    Stateless: each request stands for itself, so several replicas can serve one client.
    """

    def __init__(
        self, toolbox: LocalToolbox, gate: Gate, *, clock: Clock, name: str, version: str, urls: Sequence[str] = ()
    ) -> None:
        """`name`: what clients see as the server's name. `urls`: the addresses under which this process is reached
        (`http://sales.example.com`); requests for other hosts, and from pages of other origins, are refused, so that no
        web page can reach it by a name that points here (DNS rebinding). Loopback is always among them."""
        self._toolbox = toolbox
        self._gate = gate
        self._clock = clock
        self._name, self._version = name, version
        self._hosts, self._origins = _known(urls)
        self._serving: Serving | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the MCP door speaks HTTP, not {scope['type']}")
        try:
            caller = self._gate.caller(Request(scope))
        except StoreError as error:
            await problems.of_error(error)(scope, receive, send)
            return
        serving = self._serving or await self._open()
        if serving is None:
            await problems.problem(503, "not-ready", "this replica is stopping")(scope, receive, send)
            return
        await serving.handle(caller, scope, receive, send)

    async def _open(self) -> Serving | None:
        async with self._opening:
            if self._serving is None and not self._closed:
                module = cast("Any", await asyncio.to_thread(importlib.import_module, f"{__package__}.mcp_server"))
                serving: Serving = module.Serving(
                    self._toolbox,
                    clock=self._clock,
                    name=self._name,
                    version=self._version,
                    hosts=self._hosts,
                    origins=self._origins,
                )
                await serving.start()
                self._serving = serving
            return self._serving

    async def close(self) -> None:
        """Ends what is under way."""
        async with self._opening:
            self._closed = True
            serving, self._serving = self._serving, None
            if serving is not None:
                await serving.stop()


def _known(urls: Sequence[str]) -> tuple[list[str], list[str]]:
    """Host headers and origins that are ours, as the SDK wants them: `host:*` is any port, and does not mean none."""
    hosts = [form for host in LOOPBACK for form in (host, f"{host}:*")]
    origins = [f"http://{host}" for host in hosts]
    for url in urls:
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError(f"{url!r} is no address like https://sales.example.com")
        hosts += [parts.netloc, *([f"{parts.netloc}:*"] if parts.port is None else [])]
        origins.append(f"{parts.scheme}://{parts.netloc}")
    return hosts, origins
