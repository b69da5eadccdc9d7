"""What happens in the cluster, heard by kopf: its handlers only pass it on.

kopf keeps the watches (lists, bookmarks, 410 Gone, silent connections, kinds that come and go). It runs in a thread with
an event loop of its own, since it cancels whatever else runs in its loop when it ends. It writes nothing onto resources:
there are only handlers of plain events, which need no finalizers and no annotations.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import kopf
import structlog

from agent_store.kube.derived import Object
from agent_store.kube.kinds import DEFINITION, OPTIONAL, WATCHED, Kind

_log = structlog.get_logger(__name__)

Heard = Callable[[Kind, str | None, Object], None]
"""Kind; ADDED, MODIFIED, DELETED, or None for what a listing has; the object."""

_DEFINITIONS = frozenset(f"{kind.plural}.{kind.group}" for kind in OPTIONAL)


class _Endless(Iterable[float]):
    """Pauses between tries (seconds): a watch is tried for as long as the operator runs."""

    def __iter__(self) -> Generator[float]:
        yield from (0.1, 0.2, 0.5, 1.0, 2.0)
        while True:
            yield 5.0


class _NoMemory(kopf.DiffBaseStorage):
    """Nothing is kept on resources, and nothing is copied for it at each event."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> None:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        raise AssertionError("there is no handler that would need it")


class _NoProgress(kopf.ProgressStorage):
    def fetch(self, *, key: Any, body: Any) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        raise AssertionError("there is no handler that would need it")

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        return None

    def touch(self, *, body: Any, patch: Any, value: str | None) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


def settings() -> kopf.OperatorSettings:
    """kopf's, for watches only. Durations in seconds."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.scanning.disabled = True  # `Operator` follows the kinds that come and go, and begins the watches again
    found.peering.standalone = True
    found.process.ultimate_exiting_timeout = None
    found.persistence.diffbase_storage = _NoMemory()
    found.persistence.progress_storage = _NoProgress()
    found.watching.server_timeout = 290
    found.watching.client_timeout = 300
    found.watching.connect_timeout = 10
    found.watching.inactivity_timeout = 70  # a bookmark comes every minute
    found.watching.reconnect_backoff = 0.1
    found.watching.chunk_size = 500
    found.networking.request_timeout = 60
    found.networking.connect_timeout = 10
    found.networking.error_backoffs = _Endless()
    found.queueing.idle_timeout = 0.2
    found.queueing.worker_limit = 500
    found.queueing.exit_timeout = 0.5
    for kind in WATCHED:
        if kind.label_selector:
            found.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.label_selector
        if kind.field_selector:
            found.watching.field_selectors[kind.group, kind.version, kind.plural] = kind.field_selector
    return found


def registry(heard: Heard) -> kopf.OperatorRegistry:
    """The handlers. `heard` is called in kopf's thread."""
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    def login(**known: Any) -> kopf.ConnectionInfo | None:  # pyright: ignore[reportUnusedFunction]
        return kopf.login_with_service_account(**known) or kopf.login_with_kubeconfig(**known)

    for kind in WATCHED:
        _listen(found, kind, heard)

    @kopf.on.event(DEFINITION.group, DEFINITION.version, DEFINITION.plural, registry=found)
    async def definition(event: Mapping[str, Any], **_: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if event["object"]["metadata"]["name"] in _DEFINITIONS:
            heard(DEFINITION, event["type"], {"metadata": {"name": event["object"]["metadata"]["name"]}})

    return found


def _listen(found: kopf.OperatorRegistry, kind: Kind, heard: Heard) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=found, id=f"{kind.group}/{kind.plural}")
    async def changed(event: Mapping[str, Any], **_: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        heard(kind, event["type"], {**event["object"], "apiVersion": kind.api_version, "kind": kind.name})


class Watches:
    """kopf in its thread. One run; `ended` is set (in the loop that made this) when it is over, wanted or not."""

    def __init__(self, heard: Heard, namespaces: tuple[str, ...] = ()) -> None:
        """`heard` is called in the loop that makes this. Empty `namespaces`: all."""
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._namespaces = namespaces
        self._stop = threading.Event()
        self.ended = asyncio.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self, patience: float = 5.0) -> None:
        """Asks it to end, and waits at most `patience` seconds: it does not write, so nothing is lost by leaving it."""
        self._stop.set()
        try:
            async with asyncio.timeout(patience):
                await self.ended.wait()
        except TimeoutError:
            _log.warning("the watches have not ended in time")

    def _pass_on(self, kind: Kind, change: str | None, body: Object) -> None:
        if not self._stop.is_set():
            self._loop.call_soon_threadsafe(self._heard, kind, change, body)

    async def _operate(self) -> None:
        where: dict[str, Any] = {"namespaces": self._namespaces} if self._namespaces else {"clusterwide": True}
        try:
            await kopf.operator(
                registry=registry(self._pass_on), settings=settings(), standalone=True, stop_flag=self._stop, **where
            )
        finally:
            # kopf waits for the flag in a thread of the loop's executor, and the loop ends only when its threads have:
            # without this, watches that broke would never be known to have ended.
            self._stop.set()

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except Exception as error:  # noqa: BLE001  # told to whoever waits for the end, in the other thread
            self.error = error
        finally:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self.ended.set)
