"""The ConfigMap that says which brands and services a namespace has: processes read it live. And the Role that lets them."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

import yaml

from agent_store.kube.api import Api
from agent_store.kube.cluster import Cluster
from agent_store.kube.compare import settled, stamped
from agent_store.kube.derived import DIRECTORY, MANAGER, Facts, Object
from agent_store.kube.kinds import CONFIG_MAP, LAMBDA_AGENT, ROLE, Kind, part
from agent_store.kube.listing import Entry, directory
from agent_store.kube.model import LambdaAgent
from agent_store.kube.work import WorkQueue, agent_key, directory_key

KEY = "directory.yaml"
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREATHS = 5
"""A long directory (hundreds of brands) is not written again before this many times as long as writing it took."""


class Listed(NamedTuple):
    """Who is in the live directory."""

    services: frozenset[str] = frozenset()
    brands: frozenset[str] = frozenset()


class DirectoryKeeper:
    """Puts together what the agents of a namespace say of themselves.

    A directory is not written before every LambdaAgent that was there when the operator started has been looked at, or
    those that have not would leave it for a moment.
    """

    def __init__(self, api: Api, cluster: Cluster, queue: WorkQueue, known: Mapping[str, Facts]) -> None:
        self._api, self._cluster, self._queue, self._known = api, cluster, queue, known
        self._entries: dict[str, dict[str, Object]] = {}
        self._read: dict[str, tuple[str, Object]] = {}
        self._not_before: dict[str, float] = {}
        self._expected: dict[str, set[str]] = {}
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def expect(self, agents: Iterable[tuple[str, str]]) -> None:
        """(namespace, name) of those that are there at the start."""
        for namespace, name in agents:
            self._expected.setdefault(namespace, set()).add(name)

    def enter(self, agent: LambdaAgent, *, listening: bool) -> None:
        """As the directory is to show it from now on."""
        self._note(agent.meta.namespace, agent.meta.name, directory([Entry(agent, listening)], self._known))

    def keep(self, namespace: str, name: str, brand: str) -> None:
        """As it was: the resource can't be read any more. After a start: as the directory shows it."""
        if name in self._entries.get(namespace, {}):
            return
        now = self._now(namespace)
        service = cast("Object", now.get("services") or {}).get(name)
        brands = [one for one in cast("list[Object]", now.get("brands") or []) if one.get("id") == brand]
        self._note(namespace, name, {"services": {name: service} if service else {}, "brands": brands})

    def leave(self, namespace: str, name: str) -> None:
        """Not, or not yet, in it."""
        self._note(namespace, name, {"services": {}, "brands": []})

    def forget(self, namespace: str, name: str) -> None:
        entries = self._entries.get(namespace)
        if entries is not None and entries.pop(name, None) is not None and not entries:
            del self._entries[namespace]
        self._looked_at(namespace, name)
        self._queue.add(directory_key(namespace))

    def listed(self, namespace: str) -> Listed:
        now = self._now(namespace)
        return Listed(
            frozenset(cast("Object", now.get("services") or {})),
            frozenset(str(one.get("id")) for one in cast("list[Object]", now.get("brands") or [])),
        )

    def _note(self, namespace: str, name: str, entry: Object) -> None:
        entries = self._entries.setdefault(namespace, {})
        was_last = self._looked_at(namespace, name)
        if was_last or entries.get(name) != entry:
            entries[name] = entry
            self._queue.add(directory_key(namespace))

    def _looked_at(self, namespace: str, name: str) -> bool:
        """Was it the last one that was expected?"""
        expected = self._expected.get(namespace)
        if expected is None:
            return False
        expected.discard(name)
        if not expected:
            del self._expected[namespace]
        return not expected

    def _now(self, namespace: str) -> Object:
        live = self._cluster.get(CONFIG_MAP, namespace, DIRECTORY)
        text = str(part(live, "data").get(KEY) or "")
        kept = self._read.get(namespace)
        if kept is None or kept[0] != text:
            try:
                found: Any = yaml.load(text, Loader=_Loader) if text else {}  # noqa: S506  # it is a safe loader
            except yaml.YAMLError:
                found = {}  # somebody has put something else there: it is written anew
            kept = (text, cast("Object", found) if isinstance(found, dict) else {})
            if text:
                self._read[namespace] = kept
            else:
                self._read.pop(namespace, None)
        return kept[1]

    async def open(self, namespace: str) -> bool:
        """The Role that every agent's pods are bound to: one a namespace, so that no agent waits for the API server to
        have taken in a Role of its own. Whether it wrote. Raises ApiError, Unreachable and NotLeading."""
        wanted = _role(namespace)
        async with self._opening[namespace]:
            live = self._cluster.get(ROLE, namespace, DIRECTORY)
            if live is None:
                live = await self._api.get(ROLE, namespace, DIRECTORY)
            if live is not None and settled(wanted, live):
                self._cluster.observe(ROLE, live, own=True)
                return False
            version = str(live["metadata"]["resourceVersion"]) if live is not None else ""
            self._cluster.observe(ROLE, await self._api.apply(ROLE, wanted, version=version), own=True)
            return True

    async def reconcile(self, namespace: str) -> tuple[bool, float]:
        """Whether it wrote, and after how many seconds to come again (0: when something changes).

        Raises ApiError, Unreachable and NotLeading.
        """
        began = time.monotonic()
        if (pause := self._not_before.get(namespace, 0.0) - began) > 0:
            return False, pause
        staying: list[str] = []
        leaving: list[str] = []
        for name in self._cluster.agents(namespace):
            body = self._cluster.get(LAMBDA_AGENT, namespace, name)
            if body is not None:
                (leaving if "deletionTimestamp" in body["metadata"] else staying).append(name)
        entries = self._entries.get(namespace, {})
        if self._expected.get(namespace):
            return False, 0.0  # the last one of them says so
        live = self._cluster.get(CONFIG_MAP, namespace, DIRECTORY)
        wrote = False
        if not staying:
            self._not_before.pop(namespace, None)
            for kind in (CONFIG_MAP, ROLE):
                left = self._cluster.get(kind, namespace, DIRECTORY)
                if left is not None and "deletionTimestamp" not in left["metadata"] and _ours(left):
                    await self._api.delete(kind, left)
                    self._cluster.observe(kind, left, deleted=True, own=True)
                    wrote = True
            if not leaving:
                self._opening.pop(namespace, None)
        else:
            wrote = await self.open(namespace)
            wanted = self._wanted(namespace, [entries[name] for name in staying if name in entries])
            if live is None or not settled(wanted, live):
                version = str(live["metadata"]["resourceVersion"]) if live is not None else ""
                self._cluster.observe(CONFIG_MAP, await self._api.apply(CONFIG_MAP, wanted, version=version), own=True)
                wrote = True
            self._not_before[namespace] = time.monotonic() + _BREATHS * (time.monotonic() - began)
        if wrote:
            for name in leaving:
                self._queue.add(agent_key(namespace, name))
        return wrote, 0.0

    def _wanted(self, namespace: str, entries: list[Object]) -> Object:
        whole: Object = {"services": {}, "brands": []}
        for entry in entries:
            whole["services"].update(entry["services"])
            whole["brands"] += entry["brands"]
            if "shared" in entry:
                whole["shared"] = entry["shared"]
        text = yaml.dump(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000)
        return _object(CONFIG_MAP, namespace, data={KEY: text})


def _role(namespace: str) -> Object:
    what = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [DIRECTORY]}
    return _object(ROLE, namespace, rules=[{**what, "verbs": ["get", "list", "watch"]}])


def _object(kind: Kind, namespace: str, **body: Any) -> Object:
    labels = {
        "app.kubernetes.io/name": "agent-store",
        "app.kubernetes.io/component": "directory",
        "app.kubernetes.io/part-of": "agent-store",
        "app.kubernetes.io/managed-by": MANAGER,
    }
    metadata = {"name": DIRECTORY, "namespace": namespace, "labels": labels}
    return stamped({"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **body})


def _ours(live: Mapping[str, Any]) -> bool:
    return live["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == MANAGER
