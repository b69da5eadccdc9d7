"""What `kubectl kustomize` makes of the folders under `k8s/kustomize`, and its snapshots.

python -m tests.support.manifests        # writes the snapshots anew; read the difference before it is committed
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.components import missing

ROOT = Path(__file__).resolve().parents[2]
KUSTOMIZE = ROOT / "k8s" / "kustomize"
SNAPSHOTS = ROOT / "tests" / "fixtures" / "manifests"
ALL = ("operator", "base", "base/migrate", "base/brands", "kind", "studio", "studio/examples/external-secrets")
Object = dict[str, Any]


def program(name: str) -> str | None:
    """A program of the PATH, of the folder of `setup-envtest`, or of Go's."""
    places = [os.environ.get("KUBEBUILDER_ASSETS", ""), str(Path.home() / "go" / "bin")]
    return shutil.which(name) or next(
        (str(Path(p) / name) for p in places if p and os.access(f"{p}/{name}", os.X_OK)), None
    )


def _kustomize() -> list[str]:
    if kubectl := program("kubectl"):
        return [kubectl, "kustomize"]
    if kustomize := program("kustomize"):
        return [kustomize, "build"]
    missing("kubectl", "kubectl is absent: https://kubernetes.io/docs/tasks/tools/ says how to get it")


@functools.cache
def text(name: str) -> str:
    """The objects of `k8s/kustomize/<name>` as YAML."""
    done = subprocess.run([*_kustomize(), str(KUSTOMIZE / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(name: str) -> list[Object]:
    """The objects of `k8s/kustomize/<name>`. Skips the test when kubectl is absent."""
    return [one for one in yaml.safe_load_all(text(name)) if one]


def of(found: Iterable[Object], kind: str, name: str | None = None) -> Object:
    """The one object of this kind (and name)."""
    (only,) = (one for one in found if one["kind"] == kind and name in (None, one["metadata"]["name"]))
    return only


def pod_specs(found: Iterable[Object]) -> dict[str, Object]:
    """`kind/name` of what makes pods, with the specification of those pods."""
    specs: dict[str, Object] = {}
    for one in found:
        spec = one.get("spec", {})
        if one["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if one["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
            specs[f"{one['kind']}/{one['metadata']['name']}"] = spec["template"]["spec"]
    return specs


def snapshot(found: Iterable[Object]) -> str:
    """The objects in a fixed order. Long texts (catalogues, prompts) are told by their hash."""
    ordered = sorted(
        found, key=lambda one: (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
    )
    return yaml.safe_dump_all([_short(one) for one in ordered], sort_keys=True, allow_unicode=True, width=120)


def _short(one: Mapping[str, Any]) -> Object:
    if one["kind"] == "CustomResourceDefinition":
        return {**one, "spec": {"names": one["spec"]["names"]}}  # `agent-store crd export --check` looks after the rest
    if one["kind"] == "ConfigMap":
        data: Mapping[str, str] = one.get("data", {})
        return {
            **one,
            "data": {key: value if len(value) < 300 else f"sha256 {_hash(value)}" for key, value in data.items()},
        }
    return dict(one)


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def path_of(name: str) -> Path:
    return SNAPSHOTS / f"{name.replace('/', '-')}.yaml"


def main() -> None:
    SNAPSHOTS.mkdir(parents=True, exist_ok=True)
    for name in ALL:
        path_of(name).write_text(snapshot(objects(name)), "utf-8")


if __name__ == "__main__":
    main()
