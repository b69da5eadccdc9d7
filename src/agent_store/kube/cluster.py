"""What is known to be live: kept by the watches and by the answers to our own writes, read without asking anybody.

Children are kept as compact JSON, of Secrets and foreign ConfigMaps only the names of keys and a hash of the whole.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from agent_store.kube.api import Api, version_of
from agent_store.kube.derived import DIRECTORY, LABEL, Object
from agent_store.kube.kinds import (
    BROKER,
    CHILDREN,
    CONFIG_MAP,
    LAMBDA_AGENT,
    OPTIONAL,
    ROLE,
    SECRET,
    WATCHED,
    Kind,
    part,
)
from agent_store.kube.work import Key, WorkQueue, agent_key, directory_key

_TOMBSTONES = 10_000


class Ref(NamedTuple):
    """An object that agents name: a ConfigMap, a Secret or a Broker."""

    kind: Kind
    namespace: str
    name: str


def _is_the_directorys(kind: Kind, name: str) -> bool:
    """The ConfigMap, and the Role that lets pods read it."""
    return kind in (CONFIG_MAP, ROLE) and name == DIRECTORY


class _Source(NamedTuple):
    """A ConfigMap or a Secret."""

    version: int
    keys: frozenset[str]
    hash: str


class _Kept(NamedTuple):
    version: int
    uid: str
    packed: bytes

    def body(self) -> Object:
        return json.loads(self.packed)


def _hash_of(held: Mapping[str, Any]) -> str:
    found = hashlib.sha256()
    for key in sorted(held):
        for text in (key, str(held[key])):
            content = text.encode()
            found.update(len(content).to_bytes(8, "big"))
            found.update(content)
    return found.hexdigest()[:10]


class Cluster:
    """`claims` gives what at most one LambdaAgent of a namespace may have (a brand, a phone number, a consumer)."""

    def __init__(self, queue: WorkQueue, claims: Callable[[Mapping[str, Any]], frozenset[str]]) -> None:
        self._queue = queue
        self._claims = claims
        self._kept: dict[Kind, dict[tuple[str, str], _Kept]] = {kind: {} for kind in WATCHED}
        self._children: defaultdict[tuple[str, str], set[tuple[Kind, str]]] = defaultdict(set)
        self._sources: dict[Ref, _Source] = {}
        self._interest: dict[Key, frozenset[Ref]] = {}
        self._interested: defaultdict[Ref, set[Key]] = defaultdict(set)
        self._claimed: dict[tuple[str, str], frozenset[str]] = {}
        self._claimants: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._namespaces: defaultdict[str, set[str]] = defaultdict(set)
        self._tombstones: OrderedDict[str, int] = OrderedDict()
        self._served: dict[Kind, bool] = {}

    # --- reading -------------------------------------------------------------------------------------------------

    def serves(self, kind: Kind) -> bool:
        return self._served.get(kind, False) if kind in OPTIONAL else True

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        found = self._kept[kind].get((namespace, name))
        return found.body() if found is not None else None

    def agents(self, namespace: str) -> Iterator[str]:
        """Names of the LambdaAgents of a namespace."""
        return iter(sorted(self._namespaces.get(namespace, ())))

    def all_agents(self) -> Collection[tuple[str, str]]:
        """(namespace, name)"""
        return self._kept[LAMBDA_AGENT].keys()

    def namespaces(self) -> set[str]:
        """Those with LambdaAgents, or with a directory that is left over."""
        found = {namespace for namespace, names in self._namespaces.items() if names}
        return found | {
            namespace for kind in (CONFIG_MAP, ROLE) for namespace, name in self._kept[kind] if name == DIRECTORY
        }

    def children(self, namespace: str, agent: str) -> list[tuple[Kind, Object]]:
        """All that is labelled as this agent's, also what others own."""
        found: list[tuple[Kind, Object]] = []
        for kind, name in sorted(self._children.get((namespace, agent), ()), key=lambda one: (one[0].name, one[1])):
            if (body := self.get(kind, namespace, name)) is not None:
                found.append((kind, body))
        return found

    def keys(self, ref: Ref) -> frozenset[str] | None:
        """The keys of a ConfigMap or a Secret; None when it is not there."""
        found = self._sources.get(ref)
        return found.keys if found is not None else None

    def version(self, ref: Ref) -> int:
        return self._sources[ref].version

    def content(self, ref: Ref) -> str:
        """A hash of what a ConfigMap or a Secret holds; empty when it is not there. Ten digits: one that is found by
        guessing at a Secret fits many guesses."""
        found = self._sources.get(ref)
        return found.hash if found is not None else ""

    def rivals(self, namespace: str, name: str) -> dict[str, str]:
        """Claims of this agent that an older one has, and that one's name."""
        found: dict[str, str] = {}
        for claim in sorted(self._claimed.get((namespace, name), ())):
            first = min(self._claimants[namespace, claim], key=lambda one: self._age(namespace, one))
            if first != name:
                found[claim] = first
        return found

    def _age(self, namespace: str, name: str) -> tuple[str, str]:
        body = self.get(LAMBDA_AGENT, namespace, name)
        return (str(body["metadata"].get("creationTimestamp", "")) if body else "", name)

    # --- what is heard -------------------------------------------------------------------------------------------

    def observe(self, kind: Kind, body: Mapping[str, Any], *, deleted: bool = False, own: bool = False) -> bool:
        """Takes in what a watch, a list or an answer said; older news than what is known change nothing. Queues whom it
        concerns, but not for the answer to an `own` write. Says whether it was news."""
        metadata = body["metadata"]
        namespace, name, uid = metadata.get("namespace", ""), metadata["name"], str(metadata.get("uid", ""))
        keep = self._is_kept(kind, metadata)
        if kind in (CONFIG_MAP, SECRET):
            self._observe_source(kind, body, deleted, own)
        known = self._kept[kind].get((namespace, name))
        if not keep and known is None:
            return False
        if deleted:
            self._bury(uid, version_of(body))
            if known is None or known.uid != uid:
                return False
            self._forget(kind, namespace, name, known)
        else:
            version = version_of(body)
            if self._tombstones.get(uid, -1) >= version:
                return False
            if known is not None and known.uid == uid and known.version >= version:
                return False
            if keep:
                self._keep(kind, namespace, name, body)
            elif known is not None:  # its label was taken away
                self._forget(kind, namespace, name, known)
        if not own:
            self._concerns(kind, namespace, name, known, body)
        return True

    def drop(self, kind: Kind) -> None:
        """The kind is not served any more: none of it is live."""
        for (namespace, name), known in list(self._kept[kind].items()):
            self._forget(kind, namespace, name, known)

    def _is_kept(self, kind: Kind, metadata: Mapping[str, Any]) -> bool:
        if kind in (LAMBDA_AGENT, BROKER):
            return True
        if kind is SECRET:
            return False
        return LABEL in metadata.get("labels", {}) or _is_the_directorys(kind, metadata["name"])

    def _keep(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        metadata = {field: value for field, value in body["metadata"].items() if field != "managedFields"}
        slim = {**body, "metadata": metadata}
        packed = json.dumps(slim, ensure_ascii=False, separators=(",", ":")).encode()
        previous = self._kept[kind].get((namespace, name))
        self._kept[kind][namespace, name] = _Kept(version_of(body), str(metadata.get("uid", "")), packed)
        if kind is LAMBDA_AGENT:
            self._namespaces[namespace].add(name)
            self._claim(namespace, name, self._claims(body))
        elif kind in CHILDREN:
            if previous is not None:
                self._unlink(kind, namespace, name, previous)
            if (agent := metadata.get("labels", {}).get(LABEL)) is not None:
                self._children[namespace, agent].add((kind, name))

    def _forget(self, kind: Kind, namespace: str, name: str, known: _Kept) -> None:
        del self._kept[kind][namespace, name]
        if kind is LAMBDA_AGENT:
            self._namespaces[namespace].discard(name)
            self._claim(namespace, name, frozenset())
        elif kind in CHILDREN:
            self._unlink(kind, namespace, name, known)

    def _unlink(self, kind: Kind, namespace: str, name: str, known: _Kept) -> None:
        agent = known.body()["metadata"].get("labels", {}).get(LABEL, "")
        mine = self._children.get((namespace, agent))
        if mine is not None:
            mine.discard((kind, name))
            if not mine:
                del self._children[namespace, agent]

    def _observe_source(self, kind: Kind, body: Mapping[str, Any], deleted: bool, own: bool) -> None:
        metadata = body["metadata"]
        ref = Ref(kind, metadata.get("namespace", ""), metadata["name"])
        known = self._sources.get(ref)
        if deleted:
            if known is None:
                return
            del self._sources[ref]
        else:
            version = version_of(body)
            if known is not None and known.version >= version:
                return
            held = part(body, "data") | part(body, "binaryData")
            self._sources[ref] = _Source(version, frozenset(held), _hash_of(held))
        if not own:
            self._wake(ref)

    def _wake(self, ref: Ref) -> None:
        for key in self._interested.get(ref, ()):
            self._queue.add(key)

    def _concerns(self, kind: Kind, namespace: str, name: str, known: _Kept | None, body: Mapping[str, Any]) -> None:
        if kind is LAMBDA_AGENT:
            self._queue.add(agent_key(namespace, name))
        elif kind is BROKER:
            self._wake(Ref(BROKER, namespace, name))
        elif _is_the_directorys(kind, name):
            self._queue.add(directory_key(namespace))
        else:
            agents = {body["metadata"].get("labels", {}).get(LABEL)}
            if known is not None:
                agents.add(known.body()["metadata"].get("labels", {}).get(LABEL))
            for agent in agents:
                if agent is not None and (namespace, agent) in self._kept[LAMBDA_AGENT]:
                    self._queue.add(agent_key(namespace, agent))

    def _bury(self, uid: str, version: int) -> None:
        """The answer to a write may come after the news that the object is gone: it is not live for that. (Newer ones
        tell that it is there after all: it had only lost the label that it is watched by.)"""
        self._tombstones[uid] = version
        while len(self._tombstones) > _TOMBSTONES:
            self._tombstones.popitem(last=False)

    # --- who is concerned ----------------------------------------------------------------------------------------

    def interest(self, key: Key, refs: Iterable[Ref]) -> None:
        """From now on this agent is looked at when one of these changes. Instead of what it said before."""
        now = frozenset(refs)
        before = self._interest.get(key, frozenset[Ref]())
        for ref in before - now:
            self._interested[ref].discard(key)
            if not self._interested[ref]:
                del self._interested[ref]
        for ref in now - before:
            self._interested[ref].add(key)
        if now:
            self._interest[key] = now
        else:
            self._interest.pop(key, None)

    def _claim(self, namespace: str, name: str, claims: frozenset[str]) -> None:
        before = self._claimed.get((namespace, name), frozenset[str]())
        if claims == before:
            return
        for claim in before - claims:
            self._claimants[namespace, claim].discard(name)
        for claim in claims - before:
            self._claimants[namespace, claim].add(name)
        for claim in before ^ claims:
            for other in self._claimants[namespace, claim] - {name}:
                self._queue.add(agent_key(namespace, other))
            if not self._claimants[namespace, claim]:
                del self._claimants[namespace, claim]
        if claims:
            self._claimed[namespace, name] = claims
        else:
            self._claimed.pop((namespace, name), None)

    # --- from the source -----------------------------------------------------------------------------------------

    async def refresh(self, api: Api, kind: Kind, namespaces: Collection[str] = ()) -> None:
        """Reads all of a kind anew: what a watch may have missed is known then, also deletions. Empty `namespaces`: all.

        Raises ApiError and Unreachable.
        """
        for namespace in namespaces or ("",):
            listed = await api.list(kind, namespace)
            if listed is None:
                self.drop(kind)
                return
            bodies, version = listed
            seen: set[tuple[str, str]] = set()
            for body in bodies:
                seen.add((body["metadata"].get("namespace", ""), body["metadata"]["name"]))
                self.observe(kind, body)
            for (there, name), known in list(self._kept[kind].items()):
                if (not namespace or there == namespace) and (there, name) not in seen and known.version <= version:
                    self.observe(kind, known.body(), deleted=True)
            for ref, source in list(self._sources.items()):
                if (
                    ref.kind is kind and (not namespace or ref.namespace == namespace)
                    and (ref.namespace, ref.name) not in seen and source.version <= version
                ):  # fmt: skip
                    del self._sources[ref]
                    self._wake(ref)

    async def discover(self, api: Api) -> set[Kind]:
        """Asks which of the kinds that need not be there are there. Returns those of which that has changed."""
        now = {kind: await api.serves(kind) for kind in sorted(OPTIONAL)}
        changed = {kind for kind, served in now.items() if self._served.get(kind) != served}
        self._served.update(now)
        for kind in changed:
            if not now[kind]:
                self.drop(kind)
        return changed
