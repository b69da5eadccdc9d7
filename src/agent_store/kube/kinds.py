"""The kinds of objects that the operator reads and writes, and by which part of the API each is reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from agent_store.kube.derived import LABEL, MANAGER
from agent_store.kube.model import GROUP, KIND, PLURAL, VERSION


class Kind(NamedTuple):
    """A kind of the Kubernetes API. All of ours live in namespaces, except definitions of kinds."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool = True
    label_selector: str = ""
    """Only these are watched."""
    field_selector: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """`/api/v1`, `/apis/batch/v1`"""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", part: str = "") -> str:
        """Of all of the kind, of a namespace's, of one, or of a part of one (`status`)."""
        parts = [self.root]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [one for one in (name, part) if one]
        return "/".join(parts)


def _child(group: str, version: str, name: str, plural: str) -> Kind:
    return Kind(group, version, name, plural, label_selector=LABEL)


LAMBDA_AGENT = Kind(GROUP, VERSION, KIND, PLURAL)
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
SECRET = Kind("", "v1", "Secret", "secrets", field_selector="type!=helm.sh/release.v1")
BROKER = Kind("eventing.knative.dev", "v1", "Broker", "brokers")
TRIGGER = _child("eventing.knative.dev", "v1", "Trigger", "triggers")
KNATIVE_SERVICE = _child("serving.knative.dev", "v1", "Service", "services")
DEPLOYMENT = _child("apps", "v1", "Deployment", "deployments")
SERVICE = _child("", "v1", "Service", "services")
JOB = _child("batch", "v1", "Job", "jobs")
POD_MONITOR = _child("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors")
AUTOSCALER = _child("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
BUDGET = _child("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = _child("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
SERVICE_ACCOUNT = _child("", "v1", "ServiceAccount", "serviceaccounts")
ROLE = Kind(
    "rbac.authorization.k8s.io", "v1", "Role", "roles", label_selector=f"app.kubernetes.io/managed-by={MANAGER}"
)  # the directory's too, which is no agent's
ROLE_BINDING = _child("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
EVENT = Kind("", "v1", "Event", "events")
DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)

CHILDREN = (
    SERVICE_ACCOUNT, ROLE, ROLE_BINDING, NETWORK_POLICY, CONFIG_MAP, KNATIVE_SERVICE, DEPLOYMENT, SERVICE, AUTOSCALER,
    BUDGET, TRIGGER, JOB, POD_MONITOR,
)  # fmt: skip
"""What a LambdaAgent can be made of."""
WATCHED = (*CHILDREN, SECRET, BROKER, LAMBDA_AGENT)
"""Known before anything is done: LambdaAgents last, so that what they need is known when they are."""
OPTIONAL = frozenset({KNATIVE_SERVICE, TRIGGER, BROKER, POD_MONITOR, LAMBDA_AGENT})
"""Kinds that a cluster need not have, or not yet: the operator may be quicker than its own definition."""

_BY_NAME = {(kind.api_version, kind.name): kind for kind in (*WATCHED, LEASE, EVENT, DEFINITION)}


def part(body: Mapping[str, Any] | None, *path: str) -> dict[str, Any]:
    """A mapping inside of an object; empty when it, or something on the way, is not there."""
    found: Any = body
    for name in path:
        found = cast("Mapping[str, Any]", found).get(name) if isinstance(found, Mapping) else None
    return cast("dict[str, Any]", found) if isinstance(found, Mapping) else {}


def items(body: Mapping[str, Any] | None, *path: str) -> list[dict[str, Any]]:
    """A list of mappings inside of an object; empty when it is not there."""
    found = part(body, *path[:-1]).get(path[-1])
    return cast("list[dict[str, Any]]", found) if isinstance(found, list) else []


def kind_of(body: Mapping[str, Any]) -> Kind:
    """Raises KeyError for a kind that the operator has nothing to do with."""
    return _BY_NAME[body["apiVersion"], body["kind"]]
