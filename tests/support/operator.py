"""The operator as a process on a real API server, and doubles of the controllers of Knative that it depends on."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from agent_store.entrypoints.programs import Program
from agent_store.kube import kinds
from agent_store.kube.kinds import Kind
from agent_store.kube.rbac import cluster_role_rules, lease_role_rules
from tests.support.kube import KubeApi

T = TypeVar("T")
Object = dict[str, Any]
COMMAND = Path(sys.executable).with_name("agent-store")


def loose_definition(kind: Kind) -> Object:
    """A CustomResourceDefinition that takes whatever it is given."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"kind": kind.name, "plural": kind.plural, "listKind": f"{kind.name}List"},
            "versions": [
                {
                    "name": kind.version, "served": True, "storage": True, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
                }
            ],
        },
    }  # fmt: skip


SERVING = (loose_definition(kinds.KNATIVE_SERVICE),)
EVENTING = (loose_definition(kinds.TRIGGER), loose_definition(kinds.BROKER))
BROKER = {
    "apiVersion": "eventing.knative.dev/v1",
    "kind": "Broker",
    "metadata": {"name": "default"},
    "spec": {"delivery": {"deadLetterSink": {"uri": "http://steward/dead-letters"}}},
}


class Client:
    """Plain JSON to the API server, as an administrator."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self.http = httpx.AsyncClient(
            base_url=api.url, verify=str(api.ca), trust_env=False, timeout=20,
            headers={"Authorization": f"Bearer {api.token}"},
        )  # fmt: skip

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """As kubectl does it: "too many requests" (a kind that was just installed says it too) means a moment later."""
        while True:
            answer = await self.http.request(method, path, **more)
            if answer.status_code != 429:
                return answer
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))

    async def list(self, kind: Kind, namespace: str = "", **query: str) -> list[Object]:
        answer = await self._ask("GET", kind.path(namespace), params=query)
        return [] if answer.status_code == 404 else answer.raise_for_status().json()["items"]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        answer = await self._ask("GET", kind.path(namespace, name))
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    async def apply(self, *bodies: Mapping[str, Any], namespace: str) -> None:
        for body in bodies:
            kind = kinds.kind_of(body)
            answer = await self._ask(
                "PATCH", kind.path(namespace, body["metadata"]["name"]), params={"fieldManager": "user", "force": "true"},
                content=json.dumps(body), headers={"Content-Type": "application/apply-patch+yaml"},
            )  # fmt: skip
            assert answer.is_success, answer.text

    async def patch(
        self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any], part: str = ""
    ) -> httpx.Response:
        return await self._ask(
            "PATCH", kind.path(namespace, name, part), content=json.dumps(body), params={"fieldManager": "someone"},
            headers={"Content-Type": "application/merge-patch+json"},
        )  # fmt: skip

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        answer = await self._ask("DELETE", kind.path(namespace, name), params={"propagationPolicy": "Background"})
        assert answer.is_success or answer.status_code == 404, answer.text

    async def close(self) -> None:
        await self.http.aclose()


class Knative:
    """Says of Knative Services, Triggers and Brokers that they are ready, as their controllers would. It looks all the
    time, in one namespace."""

    def __init__(self, client: Client, namespace: str, *, every: float = 0.05) -> None:
        self._client, self._namespace, self._every = client, namespace, every
        self.idle: set[Kind] = set()
        """Kinds of which it says nothing now."""

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Knative]:
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                for kind in (kinds.BROKER, kinds.KNATIVE_SERVICE, kinds.TRIGGER):
                    for one in await self._client.list(kind, self._namespace):
                        if kind not in self.idle:  # asked after the list: what is made once it is idle gets no word
                            await self._tell(kind, one)
            except httpx.HTTPError:
                pass  # the API server is being restarted
            await asyncio.sleep(self._every)

    async def _tell(self, kind: Kind, one: Object) -> None:
        name, generation = one["metadata"]["name"], one["metadata"]["generation"]
        wanted: Object = {"observedGeneration": generation, "conditions": [{"type": "Ready", "status": "True"}]}
        address = {"address": {"url": f"http://{name}.{self._namespace}.svc.cluster.local"}}
        if kind is kinds.BROKER:
            wanted |= address
            sink = one.get("spec", {}).get("delivery", {}).get("deadLetterSink")
            if sink:
                wanted["deadLetterSinkUri"] = sink["uri"]
        elif kind is kinds.KNATIVE_SERVICE:
            wanted |= address | {"url": f"https://{name}.example.com"}
        if one.get("status") != wanted:
            await self._client.patch(kind, self._namespace, name, {"status": wanted}, "status")


class OperatorProcess(Program):
    """`agent-store operator` with the rights of its own ClusterRole and no others."""

    name = "operator"
    patience = 60.0

    def __init__(self, api: KubeApi, namespace: str, account: str = "agent-store-operator", **environment: str) -> None:
        """`namespace` has its Lease and is the only one it looks after; `account` is its service account there."""
        super().__init__()
        self._namespace = namespace
        self._kubeconfig = api.kubeconfig_of(api.token_of(account, namespace=namespace), name=f"{namespace}-{account}")
        grant(api, namespace, account)
        self._more = environment
        self.everywhere = False

    def command(self) -> list[str]:
        only = [] if self.everywhere else ["--namespace", self._namespace]
        return [str(COMMAND), "operator", "--port", str(self.port), *only]

    def environment(self) -> Mapping[str, str]:
        return {
            "KUBECONFIG": str(self._kubeconfig),
            "POD_NAMESPACE": self._namespace,
            "AGENT_STORE_OPERATOR_LEAVE_SECONDS": "0.5",
            "AGENT_STORE_OPERATOR_DRAIN_SECONDS": "0.5",
            **self._more,
        }

    def inherited(self) -> Mapping[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith(("AGENT_STORE_", "KUBE"))}

    async def ready(self) -> bool:
        """It has read what there is (or it waits for the lease, which is as good)."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
                return (await http.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False

    async def figures(self, name: str) -> dict[str, float]:
        """A metric by its labels, as they are printed."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            text = (await http.get(f"http://127.0.0.1:{self.port}/metrics")).text
        found: dict[str, float] = {}
        for line in text.splitlines():
            if line.startswith((f"{name} ", f"{name}{{")):
                labels, value = line.removeprefix(name).rsplit(" ", 1)
                found[labels] = float(value)
        return found

    async def figure(self, name: str, **labels: str) -> float:
        """Sum of a metric over the labels that are not given."""
        every = await self.figures(name)
        return sum(
            value for told, value in every.items() if all(f'{key}="{wanted}"' in told for key, wanted in labels.items())
        )

    async def writes(self) -> float:
        """So far, without the lease's."""
        every = await self.figures("agent_store_operator_writes_total")
        return sum(value for told, value in every.items() if 'kind="Lease"' not in told)

    async def leads(self) -> bool:
        return await self.figure("agent_store_operator_leader") == 1

    def ended(self) -> int | None:
        """Its exit code, when it has ended."""
        return self._process.poll() if self._process is not None else None

    def memory(self) -> float:
        """MiB of its own."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("it does not run")


def grant(api: KubeApi, namespace: str, account: str) -> None:
    """What the manifests give to the operator."""
    who = [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]
    rbac = "rbac.authorization.k8s.io"
    api.apply(
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "agent-store-operator"},
         "rules": cluster_role_rules()},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": f"{namespace}-{account}"},
         "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "agent-store-operator"}, "subjects": who},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "agent-store-operator"},
         "rules": lease_role_rules()},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": account},
         "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "agent-store-operator"}, "subjects": who},
        namespace=namespace,
    )  # fmt: skip


def brand_of(id: str, **more: Any) -> Object:
    return {"id": id, "name": id.title(), "seller": "Luna", **more}


def agent_of(name: str = "ai-seller-pets", **spec: Any) -> Object:
    """A LambdaAgent: a seller unless `run` says otherwise."""
    if "run" not in spec and "brand" not in spec:
        spec["brand"] = brand_of(name.removeprefix("ai-seller-"))
    return {
        "apiVersion": kinds.LAMBDA_AGENT.api_version, "kind": kinds.LAMBDA_AGENT.name, "metadata": {"name": name},
        "spec": spec,
    }  # fmt: skip


class Shop:
    """A namespace with a Broker, and what a test asks about it."""

    def __init__(self, api: KubeApi, client: Client, namespace: str, knative: Knative) -> None:
        self.api, self.client, self.namespace, self.knative = api, client, namespace, knative

    async def apply(self, *bodies: Mapping[str, Any]) -> None:
        await self.client.apply(*bodies, namespace=self.namespace)

    async def config_map(self, name: str, **data: str) -> None:
        await self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})

    async def secret(self, name: str, **data: str) -> None:
        await self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})

    async def get(self, kind: Kind, name: str) -> Object | None:
        return await self.client.get(kind, self.namespace, name)

    async def names(self, kind: Kind) -> list[str]:
        return sorted(one["metadata"]["name"] for one in await self.client.list(kind, self.namespace))

    async def end_job(self, name: str, how: str = "Complete") -> None:
        """As the Job controller says it of one whose pod has ended. (It runs, and may have told of an active pod before.)"""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        early = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[how]
        told = [
            {"type": one, "status": "True", "reason": "Test", "message": "", "lastTransitionTime": now}
            for one in (early, how)
        ]
        live = await self.get(kinds.JOB, name)
        began = (live or {}).get("status", {}).get("startTime", now)  # once told, it may not be changed
        status: dict[str, Any] = {"startTime": began, "conditions": told, "uncountedTerminatedPods": {}}
        status |= {"active": None, "ready": None, "terminating": None}
        status |= {"succeeded": 1, "completionTime": now} if how == "Complete" else {"failed": 1}
        answer = await self.client.patch(kinds.JOB, self.namespace, name, {"status": status}, "status")
        assert answer.is_success, answer.text

    async def delete(self, kind: Kind, name: str) -> None:
        await self.client.delete(kind, self.namespace, name)

    async def edit(self, name: str, spec: Mapping[str, Any]) -> None:
        """A merge patch of a LambdaAgent's spec."""
        answer = await self.client.patch(kinds.LAMBDA_AGENT, self.namespace, name, {"spec": spec})
        assert answer.is_success, answer.text

    async def condition(self, name: str, which: str = "Ready") -> Object:
        body = await self.get(kinds.LAMBDA_AGENT, name)
        assert body is not None
        found = [one for one in body.get("status", {}).get("conditions", []) if one["type"] == which]
        return found[0] if found and body["status"]["observedGeneration"] == body["metadata"]["generation"] else {}

    async def is_ready(self, name: str) -> bool:
        return (await self.condition(name)).get("status") == "True"

    async def reason(self, name: str, which: str = "Ready") -> str:
        return str((await self.condition(name, which)).get("reason"))

    async def directory(self) -> Object:
        live = await self.get(kinds.CONFIG_MAP, "agent-store-directory")
        return yaml.safe_load(live["data"]["directory.yaml"]) if live is not None else {}

    async def brands(self) -> list[str]:
        return [one["id"] for one in (await self.directory()).get("brands", [])]

    async def pod(self, name: str) -> Object:
        """The container that its Knative Service has."""
        live = await self.get(kinds.KNATIVE_SERVICE, name)
        assert live is not None
        return live["spec"]["template"]["spec"]["containers"][0]


async def until(what: Callable[[], Awaitable[T]], seconds: float = 30.0) -> T:
    """Waits for it to be true, and gives what it said."""
    value: Any = None
    try:
        async with asyncio.timeout(seconds):
            while not (value := await what()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s; the last was {value!r}") from None
    return value
