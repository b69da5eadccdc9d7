"""What the operator may do, and no more. The manifests are made from this."""

from __future__ import annotations

from typing import Any

from agent_store.kube import kinds
from agent_store.kube.kinds import Kind

Rule = dict[str, Any]

_LOOK = ["get", "list", "watch"]
_OWN = ["get", "list", "watch", "create", "patch", "delete"]


def cluster_role_rules() -> list[Rule]:
    """For a ClusterRole (or for a Role in each namespace that the operator is limited to).

    It creates Roles for the agents' pods, so it holds itself what these grant: reading ConfigMaps. What
    `spec.permissions` grants beyond that must be given to the operator too: the API server lets nobody grant what he
    does not have.
    """
    return [
        _rule([kinds.LAMBDA_AGENT], [*_LOOK, "patch"]),
        {"apiGroups": [kinds.LAMBDA_AGENT.group], "resources": ["lambdaagents/status"], "verbs": ["patch"]},
        {"apiGroups": [kinds.LAMBDA_AGENT.group], "resources": ["lambdaagents/finalizers"], "verbs": ["update"]},
        _rule([kinds.CONFIG_MAP, kinds.SERVICE_ACCOUNT, kinds.SERVICE], _OWN),
        _rule([kinds.SECRET], ["list", "watch"]),
        _rule([kinds.EVENT], ["create"]),
        _rule([kinds.DEPLOYMENT], _OWN),
        _rule([kinds.AUTOSCALER], _OWN),
        _rule([kinds.BUDGET], _OWN),
        _rule([kinds.NETWORK_POLICY], _OWN),
        _rule([kinds.JOB], _OWN),
        _rule([kinds.ROLE, kinds.ROLE_BINDING], _OWN),
        _rule([kinds.KNATIVE_SERVICE], _OWN),
        _rule([kinds.TRIGGER], _OWN),
        _rule([kinds.BROKER], _LOOK),
        _rule([kinds.POD_MONITOR], _OWN),
        _rule([kinds.DEFINITION], ["list", "watch"]),
    ]


def lease_role_rules() -> list[Rule]:
    """For a Role in the operator's own namespace."""
    return [_rule([kinds.LEASE], ["get", "create", "update"])]


def _rule(of: list[Kind], verbs: list[str]) -> Rule:
    (group,) = {kind.group for kind in of}
    return {"apiGroups": [group], "resources": [kind.plural for kind in of], "verbs": list(verbs)}
