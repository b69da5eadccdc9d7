"""Makes one object as it is wanted: nothing is written when it is so already."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

from agent_store.kube.api import Api, ApiError
from agent_store.kube.cluster import Cluster
from agent_store.kube.compare import RENDERED, difference, stamped
from agent_store.kube.derived import LABEL, Object
from agent_store.kube.kinds import CONFIG_MAP, JOB, TRIGGER, Kind, kind_of
from agent_store.kube.model import KIND, LambdaAgent

Done = Literal["settled", "created", "changed", "repaired", "deleted", "waiting", "conflict", "taken", "refused"]
WROTE: frozenset[Done] = frozenset({"created", "changed", "repaired", "deleted"})

_MINUTE = 60.0
_REPAIRS = 5
"""Repairs of one object a minute."""
_NAMED_BY_HASH = frozenset({TRIGGER, JOB, CONFIG_MAP})
"""Nobody else makes objects of such names: they are not looked for before they are made."""


class Outcome(NamedTuple):
    kind: Kind
    name: str
    done: Done
    why: str = ""
    passing: bool = False
    retry_after: float = 0.0


def refused(kind: Kind, name: str, error: ApiError) -> Outcome:
    """What came of it, when the API server refused to write it."""
    if error.status == 409:
        return Outcome(kind, name, "conflict", error.message)
    return Outcome(kind, name, "refused", f"{kind.name} {name}: {error.message}", error.passing, error.retry_after)


def owner_of(live: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner that controls it."""
    owners = cast("list[Mapping[str, Any]]", live["metadata"].get("ownerReferences") or [])
    return next((one for one in owners if one.get("controller")), None)


def belongs_to(live: Mapping[str, Any], agent: LambdaAgent) -> bool:
    """Is it ours to change? Also when somebody has taken the owner reference off."""
    owner = owner_of(live)
    if owner is not None:
        return owner.get("uid") == agent.meta.uid
    metadata = live["metadata"]
    return metadata.get("labels", {}).get(LABEL) == agent.meta.name and RENDERED in metadata.get("annotations", {})


def _left_over(live: Mapping[str, Any], agent: LambdaAgent) -> bool:
    """Of an earlier LambdaAgent of this name, which the garbage collector has not got to yet."""
    owner = owner_of(live)
    return (
        owner is not None
        and owner.get("kind") == KIND
        and owner.get("name") == agent.meta.name
        and owner.get("uid") != agent.meta.uid
    )


class Writer:
    """All failures that are the API server's answer to one object come back as an `Outcome`; the others can go on."""

    def __init__(self, api: Api, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._cluster, self._clock = api, cluster, clock
        self._repairs: dict[tuple[Kind, str, str], list[float]] = {}

    async def ensure(self, agent: LambdaAgent, rendered: Object) -> Outcome:
        """Raises Unreachable and NotLeading."""
        kind = kind_of(rendered)
        name = str(rendered["metadata"]["name"])
        wanted = stamped(rendered)
        try:
            done, why = await self._ensure(agent, kind, name, wanted)
        except ApiError as error:
            if error.status == 409:
                await self._look_again(kind, agent.meta.namespace, name)
            return refused(kind, name, error)
        return Outcome(kind, name, done, why)

    async def remove(self, kind: Kind, live: Object) -> Outcome:
        """Raises Unreachable and NotLeading."""
        name = str(live["metadata"]["name"])
        try:
            await self._delete(kind, live)
        except ApiError as error:
            if error.status == 409:
                await self._look_again(kind, str(live["metadata"]["namespace"]), name)
            return refused(kind, name, error)
        return Outcome(kind, name, "deleted")

    async def _ensure(self, agent: LambdaAgent, kind: Kind, name: str, wanted: Object) -> tuple[Done, str]:
        namespace = agent.meta.namespace
        live = self._cluster.get(kind, namespace, name)
        if live is None and kind not in _NAMED_BY_HASH:
            live = await self._api.get(kind, namespace, name)
            if live is not None:
                self._cluster.observe(kind, live, own=True)
        if live is None:
            self._cluster.observe(kind, await self._api.apply(kind, wanted), own=True)
            return "created", ""
        if "deletionTimestamp" in live["metadata"]:
            return "waiting", f"{kind.name} {name} is being deleted"
        if _left_over(live, agent):
            await self._delete(kind, live)
            return "deleted", ""
        if not belongs_to(live, agent):
            return "taken", _whose(kind, name, live)
        where = difference(wanted, live)
        if where is None or kind is JOB:  # a Job's template can't change; another content is another Job
            return "settled", ""
        if (kind is CONFIG_MAP and where.startswith((".data", ".immutable"))) or where.startswith(".roleRef"):
            await self._delete(kind, live)  # can't be changed: made anew once it is gone
            return "deleted", where
        as_before = live["metadata"].get("annotations", {}).get(RENDERED) == wanted["metadata"]["annotations"][RENDERED]
        if as_before and not self._may_repair(kind, namespace, name):
            return "refused", f"somebody changes {where} of {kind.name} {name} again and again"
        version = str(live["metadata"]["resourceVersion"])
        self._cluster.observe(kind, await self._api.apply(kind, wanted, version=version), own=True)
        return ("repaired" if as_before else "changed"), where

    def _may_repair(self, kind: Kind, namespace: str, name: str) -> bool:
        """Against another program that wants something else, a few times a minute is enough."""
        now = self._clock()
        recent = [at for at in self._repairs.pop((kind, namespace, name), []) if now - at < _MINUTE]
        may = len(recent) < _REPAIRS
        if may:
            recent.append(now)
        self._repairs[kind, namespace, name] = recent
        for key in [key for key, times in self._repairs.items() if now - times[-1] >= _MINUTE]:
            del self._repairs[key]
        return may

    async def _delete(self, kind: Kind, live: Object) -> None:
        left = await self._api.delete(kind, live)
        if left is None:
            self._cluster.observe(kind, live, deleted=True, own=True)
        else:
            self._cluster.observe(kind, {**left, "apiVersion": kind.api_version, "kind": kind.name}, own=True)

    async def _look_again(self, kind: Kind, namespace: str, name: str) -> None:
        """Somebody wrote in between, and the watch has not said so yet."""
        try:
            live = await self._api.get(kind, namespace, name)
        except ApiError as error:
            if not error.passing:
                raise
            return
        if live is not None:
            self._cluster.observe(kind, live, own=True)
        elif (known := self._cluster.get(kind, namespace, name)) is not None:
            self._cluster.observe(kind, known, deleted=True, own=True)


def _whose(kind: Kind, name: str, live: Mapping[str, Any]) -> str:
    owner = owner_of(live)
    by = f" ({owner.get('kind')} {owner.get('name')} owns it)" if owner is not None else ""
    return f"{kind.name} {name} is there already and is not this LambdaAgent's{by}: delete it, or rename this one"


def being_replaced(live: Mapping[str, Any]) -> bool:
    """A Service that Knative made for its own of this name: it goes soon after that."""
    owner = owner_of(live)
    return owner is not None and str(owner.get("apiVersion", "")).startswith("serving.knative.dev/")
