"""`agent-store operator`: one of its replicas holds the lease and acts, the others wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
import uvicorn
import uvloop

from agent_store.adapters.telemetry import logs
from agent_store.entrypoints.listen import HttpServer, bind
from agent_store.entrypoints.rooms import A_BRAND_EACH, AGENTS, agent_named, heard_by
from agent_store.kernel.errors import InvalidInput
from agent_store.kube.api import Api, NotLeading, connection
from agent_store.kube.around import Options
from agent_store.kube.derived import MANAGER, Facts
from agent_store.kube.lease import Lease, Terms
from agent_store.kube.metrics import CONTENT_TYPE, OperatorMetrics
from agent_store.kube.operate import Operator

_log = structlog.get_logger(__name__)

_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PREFIX = "AGENT_STORE_OPERATOR_"
LOST_LEASE = 3
"""Exit code: another replica acts now, or will; this one begins again by being restarted."""


@dataclass(frozen=True)
class OperatorSettings:
    """Read once from the environment. Durations in seconds."""

    namespace: str
    """Where the Lease is: the operator's own."""
    lease: str
    identity: str
    terms: Terms
    workers: int
    leave: float
    drain: float
    resync: float
    log_level: str
    log_format: str

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> OperatorSettings:
        """Raises InvalidInput that names the variable."""

        def number(name: str, default: float, least: float) -> float:
            text = environment.get(f"{_PREFIX}{name}", "").strip()
            try:
                found = float(text) if text else default
            except ValueError:
                raise InvalidInput(f"{_PREFIX}{name}: a number is expected, not {text!r}") from None
            if not least <= found <= 86_400:
                raise InvalidInput(f"{_PREFIX}{name}: a number from {least:g} to 86400 is expected, not {text}")
            return found

        duration = number("LEASE_SECONDS", 15.0, 3.0)
        namespace = environment.get("POD_NAMESPACE", "").strip()
        if not namespace and _ACCOUNT_NAMESPACE.is_file():
            namespace = _ACCOUNT_NAMESPACE.read_text("utf-8").strip()
        return cls(
            namespace=namespace or "default",
            lease=environment.get(f"{_PREFIX}LEASE", "").strip() or MANAGER,
            identity=f"{environment.get('POD_NAME') or socket.gethostname()}-{uuid4().hex[:8]}",
            terms=Terms(duration=duration, renew_within=duration * 2 / 3, every=duration / 7.5),
            workers=int(number("WORKERS", 8, 1)),
            leave=number("LEAVE_SECONDS", 5.0, 0.0),
            drain=number("DRAIN_SECONDS", 30.0, 0.0),
            resync=number("RESYNC_SECONDS", 600.0, 1.0),
            log_level=environment.get("AGENT_STORE_LOG_LEVEL", "").strip() or "info",
            log_format=environment.get("AGENT_STORE_LOG_FORMAT", "").strip() or "auto",
        )


def known_agents() -> dict[str, Facts]:
    """What this program's own agents listen to."""
    found: dict[str, Facts] = {}
    for name in AGENTS:
        heard = heard_by(agent_named(name))
        only = {topic: min(types) for topic, types in heard.items() if len(types) == 1 and "" not in types}
        found[name] = Facts(frozenset(heard), a_brand_each=name in A_BRAND_EACH, only=only)
    return found


class _Health:
    """`/healthz`, `/readyz` and `/metrics`. A replica that waits for the lease is ready: it does what it is for."""

    def __init__(self, metrics: OperatorMetrics) -> None:
        self._metrics = metrics
        self.ready = False

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = 200, "text/plain; charset=utf-8", b"ok\n"
        if scope["path"] == "/metrics":
            kind, body = CONTENT_TYPE, self._metrics.text()
        elif scope["path"] == "/readyz" and not self.ready:
            status, body = 503, b"it is reading what the cluster has\n"
        elif scope["path"] not in ("/healthz", "/readyz"):
            status, body = 404, b"there are /healthz, /readyz and /metrics\n"
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def operate(
    settings: OperatorSettings, namespaces: tuple[str, ...], listener: socket.socket, stop: asyncio.Event
) -> int:
    """Until `stop`, or until the lease is lost. The process's exit code."""
    options = Options(
        version=version("agent-store"), known=known_agents(), namespaces=namespaces, leave=settings.leave,
        drain=settings.drain, resync=settings.resync,
    )  # fmt: skip
    metrics = OperatorMetrics()
    health = _Health(metrics)
    server = HttpServer(uvicorn.Config(health, interface="asgi3", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    quick = max(1.0, settings.terms.renew_within / 3)
    for_lease = Api(connection(timeout=quick), metrics)
    lease = Lease(for_lease, settings.namespace, settings.lease, settings.identity, settings.terms)
    api = Api(connection(), metrics, may_write=lease.held)
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        acquiring = asyncio.create_task(lease.acquire(), name="acquire")
        health.ready = True
        _log.info("waiting for the lease", lease=f"{settings.namespace}/{settings.lease}", identity=settings.identity)
        await asyncio.wait({acquiring, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not acquiring.done():
            acquiring.cancel()
            return 0 if stopping.done() else 1
        return await _lead(settings, options, lease, api, metrics, health, stopping)
    finally:
        metrics.leader.set(0)
        stopping.cancel()
        await lease.release()
        server.should_exit = True
        await asyncio.gather(serving, stopping, return_exceptions=True)
        await api.close()
        await for_lease.close()


async def _lead(
    settings: OperatorSettings,
    options: Options,
    lease: Lease,
    api: Api,
    metrics: OperatorMetrics,
    health: _Health,
    stopping: asyncio.Task[Any],
) -> int:
    _log.info("this replica acts", identity=settings.identity)
    metrics.leader.set(1)
    operator = Operator(api, options, metrics, workers=settings.workers)
    health.ready = False
    until = asyncio.Event()
    keeping = asyncio.create_task(lease.keep(), name="lease")
    working = asyncio.create_task(operator.run(until), name="operator")
    loaded = asyncio.create_task(operator.loaded.wait(), name="loaded")
    loaded.add_done_callback(lambda _: setattr(health, "ready", True))
    try:
        await asyncio.wait({keeping, working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        until.set()
        with contextlib.suppress(NotLeading):
            await working
        if stopping.done():
            return 0
        _log.error("the lease is lost: another replica acts now", identity=settings.identity)
        return LOST_LEASE
    finally:
        for task in (keeping, loaded):
            task.cancel()
        await asyncio.gather(keeping, loaded, return_exceptions=True)


async def _main(settings: OperatorSettings, namespaces: tuple[str, ...], host: str, port: int) -> int:
    listener = bind(host, port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    sys.stdout.write(f"operator listens on http://{host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    try:
        return await operate(settings, namespaces, listener, stop)
    finally:
        listener.close()


def run(*, namespaces: tuple[str, ...] = (), host: str = "127.0.0.1", port: int = 8080) -> None:
    """Ends the process with exit code 0 when it was asked to end, and `LOST_LEASE` when another replica acts.

    Raises InvalidInput for settings that make no sense and when there is no cluster.
    """
    settings = OperatorSettings.read()
    logs.configure(settings.log_level, settings.log_format)
    code = uvloop.run(_main(settings, tuple(dict.fromkeys(namespaces)), host, port))
    if code:
        sys.exit(code)
