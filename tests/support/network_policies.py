"""Would these NetworkPolicies let that packet through? The rules of networking.k8s.io/v1, for pods only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Policy = Mapping[str, Any]


class Pod(NamedTuple):
    """`namespace` is empty for what is no pod: an address outside, which only rules without peers let through."""

    namespace: str
    labels: Mapping[str, str]


OUTSIDE = Pod("", {})


def allows(policies: Iterable[Policy], source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
    """Both ends must agree: the source's egress and the target's ingress. A pod that no policy selects is open."""
    policies = list(policies)
    return _open(policies, source, target, port, protocol, "Egress") and _open(
        policies, target, source, port, protocol, "Ingress"
    )


def _open(policies: Iterable[Policy], own: Pod, other: Pod, port: int, protocol: str, direction: str) -> bool:
    if not own.namespace:
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == own.namespace
        and direction in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], own.labels)
    ]
    peers = "to" if direction == "Egress" else "from"
    return not selecting or any(
        _port(rule.get("ports"), port, protocol) and _peer(rule.get(peers), own.namespace, other)
        for spec in selecting
        for rule in spec.get(direction.lower(), ())
    )


def _port(ports: Iterable[Mapping[str, Any]] | None, port: int, protocol: str) -> bool:
    return not ports or any(one["port"] == port and one.get("protocol", "TCP") == protocol for one in ports)


def _peer(peers: Iterable[Mapping[str, Any]] | None, namespace: str, other: Pod) -> bool:
    if not peers:
        return True
    if not other.namespace:
        return False
    return any(
        _selects(one["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
        if "namespaceSelector" in one
        else other.namespace == namespace
        for one in peers
        if _selects(one.get("podSelector", {}), other.labels)
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", ()):
        holds = {
            "In": labels.get(rule["key"]) in rule.get("values", ()),
            "NotIn": labels.get(rule["key"]) not in rule.get("values", ()),
            "Exists": rule["key"] in labels,
            "DoesNotExist": rule["key"] not in labels,
        }
        if not holds[rule["operator"]]:
            return False
    return True
