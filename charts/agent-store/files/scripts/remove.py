"""Before `helm uninstall`: takes the release's agents away while the operator still runs, waits for their Triggers, and
takes the Broker away while its RabbitMQ still runs. All have finalizers that need what the release would otherwise delete
first.

REMOVE_NAMESPACE, REMOVE_RELEASE  whose
REMOVE_BROKER                     its Broker; empty: it stays
REMOVE_SECONDS                    how long to wait for each

An API server that is starting, overloaded or away for a moment is asked again for as long.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
from lightkube import Client
from lightkube.generic_resource import create_namespaced_resource

Agents = create_namespaced_resource("agent-store.dev", "v1alpha1", "LambdaAgent", "lambdaagents")
Triggers = create_namespaced_resource("eventing.knative.dev", "v1", "Trigger", "triggers")
Brokers = create_namespaced_resource("eventing.knative.dev", "v1", "Broker", "brokers")


T = TypeVar("T")
PAUSE = 1.0


def answered(ask: Callable[[], T], seconds: float, absent: T) -> T:
    """`absent`: the answer when there is no such thing, or no such kind (its definition, and all of it, is gone)."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except httpx2.HTTPStatusError as error:  # lightkube's ApiError is one
            status = error.response.status_code
            if status == 404:
                return absent
            if (status != 429 and status < 500) or time.monotonic() > deadline:
                raise
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


class Cluster:
    def __init__(self, namespace: str, seconds: float) -> None:
        self.client, self.namespace, self.seconds = Client(namespace=namespace), namespace, seconds

    def listed(self, kind: type, labels: dict[str, Any]) -> list[str]:
        def ask() -> list[str]:
            found = self.client.list(kind, namespace=self.namespace, labels=labels)
            return [one.metadata.name for one in found if one.metadata and one.metadata.name]

        return answered(ask, self.seconds, [])

    def existing(self, kind: type, name: str) -> list[str]:
        def ask() -> list[str]:
            self.client.get(kind, name, namespace=self.namespace)
            return [name]

        return answered(ask, self.seconds, [])

    def delete(self, kind: type, names: list[str]) -> None:
        for name in names:
            answered(functools.partial(self.client.delete, kind, name, namespace=self.namespace), self.seconds, None)


def gone(what: str, remaining: Callable[[], list[str]], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while left := remaining():
        if time.monotonic() > deadline:
            print(f"{what} still there after {seconds:g} s: {', '.join(left)}", flush=True)
            return False
        time.sleep(1)
    print(f"{what} gone", flush=True)
    return True


def main() -> int:
    namespace, seconds = os.environ["REMOVE_NAMESPACE"], float(os.environ["REMOVE_SECONDS"])
    release, broker = os.environ["REMOVE_RELEASE"], os.environ["REMOVE_BROKER"]
    cluster = Cluster(namespace, seconds)
    ours = {"app.kubernetes.io/instance": release}
    agents = cluster.listed(Agents, ours)
    cluster.delete(Agents, agents)
    if not gone("agents", lambda: cluster.listed(Agents, ours), seconds):
        return 1
    theirs = {"agent-store.dev/lambdaagent": agents}
    if agents and not gone("triggers", lambda: cluster.listed(Triggers, theirs), seconds):
        return 1
    if not broker:
        return 0
    cluster.delete(Brokers, cluster.existing(Brokers, broker))
    return 0 if gone("broker", lambda: cluster.existing(Brokers, broker), seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
