"""What a pod has of its cluster: a service account's folder, and the directory's ConfigMap in its namespace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent_store.adapters.kubernetes import ServiceAccount
from tests.support.kube import KubeApi

NAME = "agent-store-directory"
ACCOUNT = "an-agent"


def role(*verbs: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The right to the directory's ConfigMap and no other, as the operator grants it, and the binding."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": list(verbs)}]
    group = "rbac.authorization.k8s.io"
    return (
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": ACCOUNT}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT}],
        },
    )


def config_map(data: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": dict(data)}


class Pod:
    """In a namespace of its own. `account()` is how its process comes in at the API server."""

    def __init__(
        self, api: KubeApi, folder: Path, *, rights: Sequence[str] = ("get", "list", "watch"), port: int | None = None
    ) -> None:
        self.api = api
        self.folder = folder
        self.namespace = api.namespace()
        self._port = port or api.server.port
        folder.mkdir(parents=True)
        shutil.copy(api.ca, folder / "ca.crt")
        (folder / "namespace").write_text(self.namespace)
        self.rotate()
        if rights:
            objects = role(*rights)
            objects[1]["subjects"][0]["namespace"] = self.namespace
            api.apply(*objects, namespace=self.namespace)

    def account(self) -> ServiceAccount:
        return ServiceAccount("127.0.0.1", self._port, self.folder)

    def rotate(self, token: str | None = None) -> None:
        """A new token, put in as the kubelet does."""
        fresh = self.folder / "..token"
        fresh.write_text(token or self.api.token_of(ACCOUNT, namespace=self.namespace))
        os.replace(fresh, self.folder / "token")

    def put(self, text: str) -> None:
        self.api.apply(config_map({"directory.yaml": text}), namespace=self.namespace)

    def version(self) -> str:
        found: str = self.api.get("configmap", NAME, namespace=self.namespace)["metadata"]["resourceVersion"]
        return found

    def path(self, version: str) -> str:
        """Of a watch from this version, which ends after two seconds."""
        field = f"fieldSelector=metadata.name%3D{NAME}"
        return (
            f"/api/v1/namespaces/{self.namespace}/configmaps?watch=1&{field}&resourceVersion={version}&timeoutSeconds=2"
        )
