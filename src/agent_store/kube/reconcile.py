"""Brings what is live to what a LambdaAgent asks for, one pass at a time. A pass over what is settled writes nothing.

A pass begins from what is known to be live, never from what an earlier pass did: it may be stopped anywhere and begun
again, by another process too. What only this process remembers (since when something drains) costs a restart some
seconds of waiting, no more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from pydantic import ValidationError

from agent_store.kube.api import Api, ApiError, NotLeading, Unreachable
from agent_store.kube.around import Options, Surroundings, Texts, catalog_missing, look_around, refs_of
from agent_store.kube.cluster import Cluster
from agent_store.kube.derived import (
    DIRECTORY,
    LABEL,
    Object,
    Workload,
    subscriptions_of,
    trigger_name,
    url_of,
    workload_of,
)
from agent_store.kube.directory import DirectoryKeeper
from agent_store.kube.kinds import (
    AUTOSCALER,
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    KNATIVE_SERVICE,
    LAMBDA_AGENT,
    NETWORK_POLICY,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    TRIGGER,
    Kind,
    items,
    kind_of,
    part,
)
from agent_store.kube.metrics import OperatorMetrics
from agent_store.kube.model import ConditionType, LambdaAgent
from agent_store.kube.render import catalog_job_name, render
from agent_store.kube.status import (
    Finding,
    Seen,
    condition_of,
    fine,
    knative_ready,
    pending,
    workload_ready,
    wrong,
)
from agent_store.kube.telling import Teller
from agent_store.kube.work import Key, WorkQueue, agent_key, directory_key
from agent_store.kube.writing import WROTE, Outcome, Writer, being_replaced, belongs_to, refused

_log = structlog.get_logger(__name__)

FINALIZER = "agent-store.dev/directory"
"""On LambdaAgents with a brand: it leaves the directory before its Triggers go."""

Result = Literal["settled", "changed", "waiting", "retried", "failed"]

_BASE = frozenset({SERVICE_ACCOUNT, ROLE, ROLE_BINDING, NETWORK_POLICY, CONFIG_MAP})
"""Made also while something is missing."""
_DEPLOYED = frozenset({DEPLOYMENT, SERVICE, AUTOSCALER, BUDGET})
_SOON = 0.05
_LOOK = 1.0


@dataclass
class Pass:
    """What one pass has done, and when to come again."""

    result: Result = "settled"
    again: float = 0.0
    """Seconds; 0: when something changes."""
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    def later(self, seconds: float) -> None:
        self.again = min(self.again, seconds) if self.again else seconds


class Reconciler:
    def __init__(
        self,
        api: Api,
        cluster: Cluster,
        queue: WorkQueue,
        options: Options,
        metrics: OperatorMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api, self._cluster, self._queue, self._options, self._metrics = api, cluster, queue, options, metrics
        self._clock = clock
        self._teller = Teller(api, cluster, metrics, now)
        self._texts = Texts(api, cluster)
        self._writer = Writer(api, cluster)
        self.directory = DirectoryKeeper(api, cluster, queue, options.known)
        self._looked: set[Key] = set()
        self._was_ready: dict[Key, set[str]] = {}
        """uids of Triggers that have been Ready: their queue takes events, also while a dispatcher restarts."""
        self._superseded: dict[str, float] = {}
        """uid of an old Trigger -> since when the new ones have all been Ready."""
        self._left: dict[str, float] = {}
        """uid of a LambdaAgent that goes -> since when it is not in the directory."""

    async def work(self) -> None:
        """One worker: until the queue is closed. Raises NotLeading when the lease is lost."""
        while (key := await self._queue.take()) is not None:
            began = self._clock()
            try:
                done = await self._pass(key)
            finally:
                self._queue.done(key)
                self._metrics.waiting.set(len(self._queue))
            self._metrics.reconciles.labels(key.what, done.result).inc()
            self._metrics.seconds.labels(key.what).observe(self._clock() - began)

    async def _pass(self, key: Key) -> Pass:
        try:
            done = await (self._agent(key) if key.what == "agent" else self._directory(key))
        except Unreachable as error:
            pause = self._queue.failed(key)
            _log.warning("no answer of the API server", key=str(key), error=str(error), again_in=round(pause, 1))
            return Pass("retried")
        except NotLeading:
            raise
        except ApiError as error:
            pause = self._queue.failed(key, at_least=_SOON if error.status == 409 else error.retry_after)
            level = _log.info if error.status == 409 or error.passing else _log.error
            level("refused", key=str(key), status=error.status, error=error.message, again_in=round(pause, 1))
            return Pass("retried" if error.status == 409 or error.passing else "failed")
        except Exception:  # noqa: BLE001  # a mistake that one resource brings out must not stop all the others
            pause = self._queue.failed(key)
            _log.exception("a mistake of this program", key=str(key), again_in=round(pause, 1))
            return Pass("failed")
        bad = [one for one in done.outcomes if one.done in ("conflict", "refused")]
        if bad:
            done.result = "retried" if all(one.done == "conflict" or one.passing for one in bad) else "failed"
            pause = self._queue.failed(key, at_least=max(one.retry_after for one in bad))
            for one in bad:
                level = _log.info if one.done == "conflict" or one.passing else _log.error
                level("not written", key=str(key), kind=one.kind.name, name=one.name, error=one.why)
            return done
        self._queue.succeeded(key)
        if done.again:
            self._queue.add_later(key, done.again)
            if done.result == "settled":
                done.result = "waiting"
        return done

    async def _directory(self, key: Key) -> Pass:
        wrote, again = await self.directory.reconcile(key.namespace)
        return Pass("changed" if wrote else "settled", again)

    # --- one agent -----------------------------------------------------------------------------------------------

    async def _agent(self, key: Key) -> Pass:
        body = self._cluster.get(LAMBDA_AGENT, key.namespace, key.name)
        if body is None:
            self._gone(key)
            return Pass()
        if "deletionTimestamp" in body["metadata"]:
            return await self._leave(key, body)
        try:
            agent = LambdaAgent.read(body)
        except ValidationError as error:
            self.directory.keep(key.namespace, key.name, str(part(body, "spec", "brand").get("id") or ""))
            found = wrong("InvalidSpec", _sentence(error))
            return await self._only_told(key, body, found)
        if rivals := self._cluster.rivals(key.namespace, key.name):
            self._cluster.interest(key, ())
            self.directory.leave(key.namespace, key.name)
            claim, other = next(iter(rivals.items()))
            found = wrong(
                "Duplicate",
                f"{claim} is LambdaAgent {other}'s already, which is older: change or delete one of the two",
            )
            return await self._only_told(key, body, found)
        return await self._keep_up(key, body, agent)

    async def _keep_up(self, key: Key, body: Object, agent: LambdaAgent) -> Pass:
        done = Pass()
        if key not in self._looked:
            self._looked.add(key)
            self._remember_triggers(key, agent)
        self._enter(key, agent)
        self._cluster.interest(key, refs_of(agent))
        seen = await look_around(agent, self._cluster, self._texts, self._options)
        objects = render(agent, seen.around)
        workload = workload_of(agent, seen.around)
        wanted = objects if seen.held is None else [one for one in objects if kind_of(one) in _BASE]
        if seen.held is None:
            wanted = await self._turn_over(agent, workload, objects, done)
        await _together(self._finalizer(agent, body), self._apply(agent, wanted, done))
        if seen.held is None and not _failed(done):
            await self._prune(key, agent, objects, workload, done)
        findings = self._findings(key, agent, seen, workload, done)
        self._enter(key, agent)
        told = await self._teller.tell(key, body, self._seen(agent, seen, workload, findings))
        if told or any(one.done in WROTE for one in done.outcomes):
            done.result = "changed"
        for one in done.outcomes:
            if one.done == "repaired":
                _log.info(
                    "repaired",
                    agent=key.name,
                    namespace=key.namespace,
                    kind=one.kind.name,
                    name=one.name,
                    field=one.why,
                )
                await self._teller.announce(body, "Normal", "Repaired", f"{one.kind.name} {one.name} was changed ({one.why}): it is as wanted again")  # fmt: skip
            if one.done in ("waiting", "deleted"):
                done.later(_LOOK)
            if one.done == "taken":
                done.later(30.0)
        return done

    async def _only_told(self, key: Key, body: Object, found: Finding) -> Pass:
        return Pass("changed" if await self._teller.tell_only(key, body, found) else "settled")

    def _gone(self, key: Key) -> None:
        self._cluster.interest(key, ())
        self._looked.discard(key)
        self._was_ready.pop(key, None)
        self._teller.count(key, None)
        self.directory.forget(key.namespace, key.name)

    async def _finalizer(self, agent: LambdaAgent, body: Object) -> None:
        finalizers: list[str] = body["metadata"].get("finalizers") or []
        if agent.spec.brand is not None and FINALIZER not in finalizers:
            await self._set_finalizers(body, [*finalizers, FINALIZER])

    async def _set_finalizers(self, body: Object, finalizers: Sequence[str]) -> None:
        metadata = body["metadata"]
        answer = await self._teller.patch(body, {"finalizers": list(finalizers)}, {})
        if answer.get("kind") == LAMBDA_AGENT.name:
            gone = "deletionTimestamp" in answer["metadata"] and not answer["metadata"].get("finalizers")
            if not gone:
                self._cluster.observe(LAMBDA_AGENT, answer, own=True)
                metadata["resourceVersion"] = answer["metadata"]["resourceVersion"]
                metadata["finalizers"] = list(finalizers)

    # --- writing what is wanted ----------------------------------------------------------------------------------

    async def _apply(self, agent: LambdaAgent, objects: Sequence[Object], done: Pass) -> None:
        """All at once, but for RoleBindings, which are refused while their Role is not there."""

        async def ensure(*these: Object) -> None:
            for one in these:
                done.outcomes.append(await self._writer.ensure(agent, one))

        async def bind(these: Sequence[Object]) -> None:
            try:
                await self.directory.open(agent.meta.namespace)
            except ApiError as error:
                done.outcomes.append(refused(ROLE, DIRECTORY, error))
            else:
                await ensure(*these)

        rights = [one for one in objects if kind_of(one) in (ROLE, ROLE_BINDING)]
        await _together(bind(rights), *(ensure(one) for one in objects if one not in rights))

    async def _turn_over(
        self, agent: LambdaAgent, workload: Workload, objects: list[Object], done: Pass
    ) -> list[Object]:
        """From a Deployment to a Knative Service or back: both want a Service of the same name. What can be applied now."""
        namespace, name = agent.meta.namespace, agent.meta.name
        if workload == "knative":
            old = self._cluster.get(SERVICE, namespace, name)
            if old is not None and belongs_to(old, agent) and "deletionTimestamp" not in old["metadata"]:
                done.outcomes.append(await self._writer.remove(SERVICE, old))
            return objects
        waits = self._cluster.get(KNATIVE_SERVICE, namespace, name) is not None
        if not waits and self._cluster.get(SERVICE, namespace, name) is None:
            live = await self._api.get(SERVICE, namespace, name)
            waits = live is not None and being_replaced(live)
        if not waits:
            return objects
        done.later(_LOOK)
        return [one for one in objects if kind_of(one) is not SERVICE]

    async def _prune(
        self, key: Key, agent: LambdaAgent, objects: Sequence[Object], workload: Workload, done: Pass
    ) -> None:
        """Removes what is live, ours and no longer wanted, as soon as nothing depends on it."""
        wanted = {(kind_of(one), str(one["metadata"]["name"])) for one in objects}
        live = self._cluster.children(agent.meta.namespace, agent.meta.name)
        extra = [
            (kind, one)
            for kind, one in live
            if (kind, one["metadata"]["name"]) not in wanted
            and belongs_to(one, agent)
            and "deletionTimestamp" not in one["metadata"]
        ]
        if not extra:
            return
        ready = self._workload(agent, workload).truth == "True"
        new_triggers = [one for kind, one in live if kind is TRIGGER and (kind, one["metadata"]["name"]) in wanted]
        listens = all(knative_ready(one).truth == "True" for one in new_triggers) and len(new_triggers) == sum(
            kind is TRIGGER for kind, _ in wanted
        )
        for kind, one in extra:
            if kind is TRIGGER:
                may, again = self._drained(one, listens)
            elif kind is CONFIG_MAP:
                may, again = ready and not _mounted(one, live), 0.0
            elif kind in _DEPLOYED or kind is KNATIVE_SERVICE:
                other = kind is KNATIVE_SERVICE if workload == "deployment" else kind in _DEPLOYED
                may, again = (ready or not other), 0.0
            else:
                may, again = True, 0.0
            if may:
                done.outcomes.append(await self._writer.remove(kind, one))
                self._superseded.pop(str(one["metadata"]["uid"]), None)
            elif again:
                done.later(again)

    def _drained(self, trigger: Object, listens: bool) -> tuple[bool, float]:
        """An old Trigger goes when the new ones have been Ready for long enough: its queue goes with it."""
        uid = str(trigger["metadata"]["uid"])
        if not listens:
            self._superseded.pop(uid, None)
            return False, 0.0
        since = self._superseded.setdefault(uid, self._clock())
        left = since + self._options.drain - self._clock()
        return left <= 0, max(left, 0.01)

    # --- going ---------------------------------------------------------------------------------------------------

    async def _leave(self, key: Key, body: Object) -> Pass:
        """Out of the directory, a short wait, and the garbage collector does the rest."""
        self._cluster.interest(key, ())
        metadata = body["metadata"]
        self.directory.forget(key.namespace, key.name)
        finalizers: list[str] = metadata.get("finalizers") or []
        if FINALIZER not in finalizers:
            return Pass()
        brand = str(part(body, "spec", "brand").get("id") or "")
        uid = str(metadata["uid"])
        if brand in self.directory.listed(key.namespace).brands and not self._is_of_another(key, brand):
            self._queue.add(directory_key(key.namespace))
            return Pass("waiting", _LOOK)
        left = self._left.setdefault(uid, self._clock()) + self._options.leave - self._clock()
        if left > 0:
            return Pass("waiting", left)
        await self._set_finalizers(body, [one for one in finalizers if one != FINALIZER])
        self._left.pop(uid, None)
        return Pass("changed")

    def _is_of_another(self, key: Key, brand: str) -> bool:
        """A younger LambdaAgent has the same brand, and is in the directory with it."""
        for name in self._cluster.agents(key.namespace):
            other = self._cluster.get(LAMBDA_AGENT, key.namespace, name)
            if other is None or name == key.name or "deletionTimestamp" in other["metadata"]:
                continue
            if part(other, "spec", "brand").get("id") == brand and not self._cluster.rivals(key.namespace, name):
                return True
        return False

    # --- how it stands -------------------------------------------------------------------------------------------

    def _wanted_triggers(self, agent: LambdaAgent) -> list[str]:
        broker = agent.spec.eventing.broker
        return [
            trigger_name(agent.meta.name, attributes, broker)
            for attributes in subscriptions_of(agent, self._options.known)
        ]

    def _triggers(self, agent: LambdaAgent) -> dict[str, Object]:
        return {
            str(one["metadata"]["name"]): one
            for kind, one in self._cluster.children(agent.meta.namespace, agent.meta.name)
            if kind is TRIGGER and belongs_to(one, agent) and "deletionTimestamp" not in one["metadata"]
        }

    def _remember_triggers(self, key: Key, agent: LambdaAgent) -> None:
        """What an operator before this one let into the directory was Ready."""
        brand = agent.spec.brand
        if brand is not None and brand.id in self.directory.listed(key.namespace).brands:
            self._was_ready[key] = {str(one["metadata"]["uid"]) for one in self._triggers(agent).values()}

    def _enter(self, key: Key, agent: LambdaAgent) -> None:
        """Its entry in the directory, as things stand."""
        namespace, name = key.namespace, key.name
        live = [self._cluster.get(kind, namespace, name) for kind in (KNATIVE_SERVICE, DEPLOYMENT)]
        if not any(one is not None and belongs_to(one, agent) for one in live):
            self.directory.leave(namespace, name)
            return
        self.directory.enter(agent, listening=self._listening(key, agent))

    def _listening(self, key: Key, agent: LambdaAgent) -> bool:
        """Do events of its brand have somewhere to go? A queue that was made stays, also while its dispatcher is away;
        and the old Trigger's stands until the new one's does."""
        triggers = self._triggers(agent)
        been = self._was_ready.setdefault(key, set())
        been &= {str(one["metadata"]["uid"]) for one in triggers.values()}
        been |= {str(one["metadata"]["uid"]) for one in triggers.values() if knative_ready(one).truth == "True"}
        wanted = self._wanted_triggers(agent)
        if all(name in triggers and str(triggers[name]["metadata"]["uid"]) in been for name in wanted):
            return True
        brand = agent.spec.brand
        old = [one for name, one in triggers.items() if name not in wanted and str(one["metadata"]["uid"]) in been]
        return bool(old) and brand is not None and brand.id in self.directory.listed(key.namespace).brands

    def _workload(self, agent: LambdaAgent, workload: Workload) -> Finding:
        kind = KNATIVE_SERVICE if workload == "knative" else DEPLOYMENT
        live = self._cluster.get(kind, agent.meta.namespace, agent.meta.name)
        if live is None or "deletionTimestamp" in live["metadata"]:
            return pending("Progressing", f"{kind.name} {agent.meta.name} is not there yet")
        return workload_ready(kind, live)

    def _findings(
        self, key: Key, agent: LambdaAgent, seen: Surroundings, workload: Workload, done: Pass
    ) -> dict[ConditionType, Finding]:
        found = dict(seen.findings)
        bad = [one for one in done.outcomes if one.done in ("refused", "taken")]
        if seen.held is not None:
            found["WorkloadReady"] = seen.held
        elif bad:
            reason = "NameTaken" if bad[0].done == "taken" else "Refused"
            found["WorkloadReady"] = wrong(reason, "; ".join(one.why for one in bad))
        else:
            found["WorkloadReady"] = self._workload(agent, workload)
        if found["WorkloadReady"].truth == "True" and (lacks := self._catalog(agent, seen)) is not None:
            found["WorkloadReady"] = lacks
        if "SubscriptionsReady" not in found:
            found["SubscriptionsReady"] = self._subscriptions(agent)
        return found

    def _catalog(self, agent: LambdaAgent, seen: Surroundings) -> Finding | None:
        if (missing := catalog_missing(agent, self._cluster)) is not None:
            return missing
        if not seen.around.catalog:
            return None
        name = catalog_job_name(agent, seen.around.catalog)
        job = self._cluster.get(JOB, agent.meta.namespace, name) or {}
        if (condition_of(job, "Failed") or {}).get("status") == "True":
            return wrong(
                "CatalogFailed",
                f"the catalogue was not imported: see the log of Job {name}; delete the Job to try again",
            )
        if (condition_of(job, "Complete") or {}).get("status") != "True":
            return pending("CatalogImporting", f"Job {name} brings the catalogue in")
        return None

    def _subscriptions(self, agent: LambdaAgent) -> Finding:
        wanted, live = self._wanted_triggers(agent), self._triggers(agent)
        if not wanted:
            return fine("NotNeeded", "it listens to nothing")
        for name in wanted:
            if name not in live:
                return pending("Progressing", f"Trigger {name} is not there yet")
            ready = knative_ready(live[name])
            if ready.truth != "True":
                return ready
        return fine("Ready")

    def _seen(
        self, agent: LambdaAgent, seen: Surroundings, workload: Workload, findings: Mapping[ConditionType, Finding]
    ) -> Seen:
        children = self._cluster.children(agent.meta.namespace, agent.meta.name)
        replicas = sum(int(part(one, "status").get("replicas") or 0) for kind, one in children if kind is DEPLOYMENT)
        url = url_of(agent)
        if workload == "knative" and agent.spec.visibility == "Public":
            live = self._cluster.get(KNATIVE_SERVICE, agent.meta.namespace, agent.meta.name)
            url = str(part(live, "status").get("url") or "")
        around = seen.around
        return Seen(
            findings=findings,
            url=url if seen.held is None else agent.status.url,
            replicas=replicas,
            selector=f"{LABEL}={agent.meta.name}",
            stable=around.stable.hash if around.stable is not None else "",
            canary=around.canary.hash if around.canary is not None else "",
            triggers=sorted(self._triggers(agent)),
            workload=workload,
        )


def all_keys(cluster: Cluster) -> list[Key]:
    """Everything there is to look at."""
    agents = [agent_key(namespace, name) for namespace, name in cluster.all_agents()]
    return agents + [directory_key(namespace) for namespace in sorted(cluster.namespaces())]


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """All are carried through, then the first failure counts: none goes on after the pass."""
    for answer in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


def _failed(done: Pass) -> bool:
    return any(one.done in ("refused", "taken") for one in done.outcomes)


def _mounted(config_map: Object, live: Sequence[tuple[Kind, Object]]) -> bool:
    """Does a Deployment that has pods, or is to have some, name it? (A Knative Revision's is labelled as ours too.)"""
    name = config_map["metadata"]["name"]
    for kind, one in live:
        if kind is not DEPLOYMENT:
            continue
        has = int(one["spec"].get("replicas", 1)) or int(part(one, "status").get("replicas") or 0)
        volumes = items(one, "spec", "template", "spec", "volumes")
        if has and any(part(volume, "configMap").get("name") == name for volume in volumes):
            return True
    return False


def _sentence(error: ValidationError) -> str:
    told = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return f"spec: {'; '.join(told)}: correct it (kubectl explain lambdaagent.spec)"
