"""An operator at work: from the lease in hand until it is lost or given back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import structlog

from agent_store.kube.api import Api, ApiError, NotLeading, Unreachable
from agent_store.kube.around import Options
from agent_store.kube.claims import claims_by
from agent_store.kube.cluster import Cluster
from agent_store.kube.derived import Object
from agent_store.kube.handlers import Watches
from agent_store.kube.kinds import DEFINITION, WATCHED, Kind
from agent_store.kube.metrics import OperatorMetrics
from agent_store.kube.reconcile import Reconciler, all_keys
from agent_store.kube.work import WorkQueue

_log = structlog.get_logger(__name__)

_QUIET = 1.0
"""Seconds after the last object of a listing by which it is taken to be over."""
_LONGEST_PAUSE = 30.0
_LEISURE = 10.0
"""Seconds that passes have to end when the operator does."""


class Operator:
    """`run` once. What it knows and does is the API server's: it may be stopped at any moment."""

    def __init__(self, api: Api, options: Options, metrics: OperatorMetrics, *, workers: int = 8) -> None:
        """`workers`: passes at a time."""
        self._api, self._options, self._metrics = api, options, metrics
        self._workers = workers
        self.queue = WorkQueue()
        self.cluster = Cluster(self.queue, claims_by(options))
        self.reconciler = Reconciler(api, self.cluster, self.queue, options, metrics)
        self._stale: dict[Kind, float] = {}
        """Kinds that a watch has listed anew -> when, by the loop's clock: what went in the meantime it did not say."""
        self._freshen = asyncio.Event()
        self._kinds_changed = asyncio.Event()
        self._watches: Watches | None = None
        self.loaded = asyncio.Event()

    async def run(self, until: asyncio.Event) -> None:
        """Works until the event is set. Raises NotLeading when a write was stopped because the lease is gone."""
        stopping = asyncio.create_task(until.wait(), name="stop")
        tasks: list[asyncio.Task[None]] = []
        try:
            loading = asyncio.create_task(self._load(), name="load")
            tasks.append(loading)
            await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not loading.done():
                return
            loading.result()
            self.loaded.set()
            parts: list[tuple[str, Coroutine[Any, Any, None]]] = [
                ("watches", self._watch()), ("freshen", self._keep_fresh()), ("resync", self._resync()),
                ("kinds", self._follow_kinds()),
            ]  # fmt: skip
            parts += [(f"worker {number}", self.reconciler.work()) for number in range(self._workers)]
            tasks = [asyncio.create_task(part, name=name) for name, part in parts]
            ended, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in ended - {stopping}:
                task.result()
        finally:
            stopping.cancel()
            self.queue.close()
            await self._end(tasks)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Passes end (their next write is stopped, when the lease is lost), the rest is cut off."""
        working = {task for task in tasks if task.get_name().startswith("worker") and not task.done()}
        for task in set(tasks) - working:
            task.cancel()
        if working:
            _, late = await asyncio.wait(working, timeout=_LEISURE)
            for task in late:
                task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, NotLeading):
                await task
        if self._watches is not None:
            await self._watches.stop()

    # --- knowing what is live ------------------------------------------------------------------------------------

    async def _load(self) -> None:
        """All that is live, before anything is done about it."""
        pause = 0.2
        while True:
            try:
                await self.cluster.discover(self._api)
                for kind in WATCHED:
                    await self.cluster.refresh(self._api, kind, self._options.namespaces)
                break
            except (ApiError, Unreachable) as error:
                _log.warning("what is live could not be read", error=str(error), again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        self.reconciler.directory.expect(self.cluster.all_agents())
        self._queue_all()

    def _queue_all(self) -> None:
        for key in all_keys(self.cluster):
            self.queue.add(key)

    def heard(self, kind: Kind, change: str | None, body: Object) -> None:
        """A watch's news."""
        self._metrics.events.labels(kind.name).inc()
        if kind is DEFINITION:
            self._kinds_changed.set()
            return
        if change is None:
            self._stale[kind] = asyncio.get_running_loop().time()
            self._freshen.set()
        self.cluster.observe(kind, body, deleted=change == "DELETED")

    async def _watch(self) -> None:
        """Watches end when the API server says what they do not understand; then all is read again."""
        pause = 0.5
        while True:
            self._watches = Watches(self.heard, self._options.namespaces)
            self._watches.start()
            began = asyncio.get_running_loop().time()
            await self._watches.ended.wait()
            if self._watches.error is None or asyncio.get_running_loop().time() - began > _LONGEST_PAUSE:
                pause = 0.5  # they were told to end, or have gone well for long
            self._metrics.watches.inc()
            _log.info("watches begin again", error=str(self._watches.error or ""), again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            for kind in WATCHED:
                self._stale[kind] = asyncio.get_running_loop().time()
            self._freshen.set()

    async def _keep_fresh(self) -> None:
        """After a watch has listed its kind anew, what it does not list is gone."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._stale:
                self._freshen.clear()
                await self._freshen.wait()
            await asyncio.sleep(_QUIET)
            for kind in [kind for kind, at in self._stale.items() if loop.time() - at >= _QUIET]:
                at = self._stale.pop(kind)
                try:
                    await self.cluster.refresh(self._api, kind, self._options.namespaces)
                except (ApiError, Unreachable) as error:
                    _log.warning("a kind could not be read anew", kind=kind.name, error=str(error))
                    self._stale.setdefault(kind, max(at, loop.time()))

    async def _follow_kinds(self) -> None:
        """Knative or the PodMonitor has come or gone. A definition is served a moment after it is told of."""
        unread: set[Kind] = set()
        while True:
            await self._kinds_changed.wait()
            self._kinds_changed.clear()
            for pause in (0.0, 0.5, 2.0):
                await asyncio.sleep(pause)
                try:
                    unread |= await self.cluster.discover(self._api)
                    for kind in sorted(unread):
                        await self.cluster.refresh(self._api, kind, self._options.namespaces)
                except (ApiError, Unreachable) as error:  # a new kind's storage is not ready at once
                    _log.info("the cluster's kinds could not be read yet", error=str(error))
                    self._kinds_changed.set()
                    continue
                if unread:
                    await self._take_up(unread)
                    unread = set()

    async def _take_up(self, kinds: set[Kind]) -> None:
        _log.info("kinds have come or gone", kinds=sorted(f"{kind.name}.{kind.group}" for kind in kinds))
        self._queue_all()
        if any(self.cluster.serves(kind) for kind in kinds) and self._watches is not None:
            await self._watches.stop()  # the next ones watch the new kinds, whatever these have seen of them

    async def _resync(self) -> None:
        """Whatever the watches have missed is found here at the latest."""
        while True:
            await asyncio.sleep(self._options.resync)
            try:
                changed = await self.cluster.discover(self._api)
                if changed:
                    await self._take_up(changed)
                for kind in WATCHED:
                    await self.cluster.refresh(self._api, kind, self._options.namespaces)
            except (ApiError, Unreachable) as error:
                _log.warning("the resync has to wait", error=str(error))
                continue
            self._queue_all()
