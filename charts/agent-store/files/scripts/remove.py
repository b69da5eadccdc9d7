"""Before `helm uninstall`: takes the release's agents away while the operator still runs, waits for their Triggers, and
takes the Broker away while its RabbitMQ still runs. All have finalizers that need what the release would otherwise delete
first.

REMOVE_NAMESPACE, REMOVE_RELEASE  whose
REMOVE_BROKER                     its Broker; empty: it stays
REMOVE_SECONDS                    how long to wait for each
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from lightkube import ApiError, Client
from lightkube.generic_resource import create_namespaced_resource

Agents = create_namespaced_resource("agent-store.dev", "v1alpha1", "LambdaAgent", "lambdaagents")
Triggers = create_namespaced_resource("eventing.knative.dev", "v1", "Trigger", "triggers")
Brokers = create_namespaced_resource("eventing.knative.dev", "v1", "Broker", "brokers")


def listed(client: Client, kind: type, namespace: str, labels: dict[str, Any]) -> list[str]:
    try:
        found = list(client.list(kind, namespace=namespace, labels=labels))
    except ApiError as error:
        if error.status.code == 404:
            return []  # the definition of the kind is gone, and all of the kind with it
        raise
    return [one.metadata.name for one in found if one.metadata and one.metadata.name]


def existing(client: Client, kind: type, namespace: str, name: str) -> list[str]:
    try:
        client.get(kind, name, namespace=namespace)
    except ApiError as error:
        if error.status.code == 404:
            return []
        raise
    return [name]


def delete(client: Client, kind: type, namespace: str, names: list[str]) -> None:
    for name in names:
        try:
            client.delete(kind, name, namespace=namespace)
        except ApiError as error:
            if error.status.code != 404:
                raise


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
    client = Client(namespace=namespace)
    ours = {"app.kubernetes.io/instance": release}
    agents = listed(client, Agents, namespace, ours)
    delete(client, Agents, namespace, agents)
    if not gone("agents", lambda: listed(client, Agents, namespace, ours), seconds):
        return 1
    theirs = {"agent-store.dev/lambdaagent": agents}
    if agents and not gone("triggers", lambda: listed(client, Triggers, namespace, theirs), seconds):
        return 1
    if not broker:
        return 0
    delete(client, Brokers, namespace, existing(client, Brokers, namespace, broker))
    return 0 if gone("broker", lambda: existing(client, Brokers, namespace, broker), seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
