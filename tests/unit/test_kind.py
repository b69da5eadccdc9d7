"""`hack/kind`: what it calls, in which order, and what it says when something is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.support.commands import Commands

ROOT = Path(__file__).parents[2]
VERSIONS = dict(re.findall(r"^([A-Z_]+)=(\S+)$", (ROOT / "hack/versions.env").read_text("utf-8"), re.MULTILINE))

KUBECTL = r"""
case "$*" in
*"get lambdaagent whatsapp-gateway"*) echo http://whatsapp-gateway.example.test ;;
*"get lambdaagent ai-seller-fashion"*) echo 100000000000001 ;;
*"get secret"*STAFF_TOKEN*) echo staff-token ;;
*"get secret"*APP_SECRET*) echo app-secret ;;
*"get jobs"*) echo job.batch/catalog ;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Commands:
    """A machine with docker, kind, kubectl and python3, and no cluster yet."""
    files = [Path("hack/kind"), Path("hack/versions.env"), Path("kind-config.yaml")]
    commands = Commands(tmp_path, *files)
    commands.add("docker")
    commands.add("kubectl", KUBECTL)
    commands.add("kind", f'[ "$*" != "get clusters" ] || cat "{tmp_path}/clusters"')
    commands.add("python3", f'echo "python3 with APP_SECRET=$APP_SECRET STAFF_TOKEN=$STAFF_TOKEN" >>"{commands.log}"')
    (tmp_path / "clusters").touch()
    image = commands.project / "hack/image"
    image.write_text(f'#!/usr/bin/env bash\necho "image $*" >>"{commands.log}"\n', "utf-8")
    image.chmod(0o755)
    return commands


def in_order(calls: Sequence[str], *patterns: str) -> None:
    """Each pattern is found after the one before it."""
    at = 0
    for pattern in patterns:
        found = next((n for n, call in enumerate(calls[at:], at) if re.search(pattern, call)), None)
        assert found is not None, f"{pattern} does not follow {calls[max(0, at - 1)]}\n" + "\n".join(calls)
        at = found + 1


def test_up_goes_from_no_cluster_to_the_first_message(cluster: Commands) -> None:
    done = cluster.run("hack/kind", "up")
    assert done.returncode == 0, done.stderr
    in_order(
        cluster.calls(),
        r"^kind create cluster --name agent-store --config kind-config.yaml",
        r"apply .*serving-crds.yaml$",
        r"wait .*crd/services.serving.knative.dev",
        r"apply .*serving-core.yaml$",
        r"apply .*kourier.yaml$",
        r"wait --namespace knative-serving .*Available",
        r"patch configmap config-network .*kourier.ingress.networking.knative.dev",
        r"apply .*eventing-crds.yaml$",
        r"apply .*eventing-core.yaml$",
        r"apply .*cert-manager.yaml$",
        r"wait --namespace cert-manager .*Available",
        r"apply .*cluster-operator.yml$",
        r"apply .*messaging-topology-operator-with-certmanager.yaml$",
        r"wait --namespace rabbitmq-system .*Available",
        r"apply .*rabbitmq-broker.yaml$",
        r"wait --namespace knative-eventing .*Available",
        r"apply .*-f -$",
        r"patch configmap config-domain .*127.0.0.1.sslip.io",
        r"patch configmap config-deployment .*ghcr.io",
        r"^image --archive",
        r"^kind load image-archive .*image.tar --name agent-store",
        r"apply -k k8s/kustomize/operator$",
        r"wait .*crd/lambdaagents.agent-store.dev",
        r"wait --namespace agent-store-system .*Available",
        r"apply -k k8s/kustomize/kind$",
        r"wait --namespace agent-store-multibrands --for=condition=Ready lambdaagents --all",
        r"wait .*--for=condition=Complete jobs",
        r"^python3 hack/first_message.py --url http://whatsapp-gateway.example.test --number 100000000000001 "
        r"--connect 127.0.0.1:8080",
    )
    assert "make kind-down" in done.stdout


def test_up_names_its_own_cluster_with_every_command(cluster: Commands) -> None:
    assert cluster.run("hack/kind", "up", CONTEXT="production").returncode == 0
    assert all(call.startswith("kubectl --context kind-agent-store ") for call in cluster.calls("kubectl"))


def test_up_again_keeps_the_cluster(cluster: Commands) -> None:
    (cluster.project.parent / "clusters").write_text("other\nagent-store\n", "utf-8")
    done = cluster.run("hack/kind", "up")
    assert done.returncode == 0, done.stderr
    assert cluster.calls("kind create") == []
    assert "the cluster agent-store is there" in done.stdout


def test_everything_installed_is_of_a_pinned_version(cluster: Commands) -> None:
    assert cluster.run("hack/kind", "install").returncode == 0
    urls = [word for call in cluster.calls("kubectl") for word in call.split() if word.startswith("https://")]
    assert len(urls) == 9
    assert all(re.search(r"/releases/download/(knative-)?v\d+\.\d+\.\d+/[a-z-]+\.ya?ml$", url) for url in urls)
    used = {re.sub(r".*/download/(?:knative-)?(v[0-9.]+)/.*", r"\1", url) for url in urls}
    assert used == {version for name, version in VERSIONS.items() if name != "KIND_VERSION"}


@pytest.mark.parametrize("step", ["install", "apply", "first-message"])
def test_a_step_works_on_any_cluster(cluster: Commands, step: str) -> None:
    (cluster.bin / "kind").unlink()
    (cluster.bin / "docker").unlink()
    assert cluster.run("hack/kind", step).returncode == 0
    calls = cluster.calls("kubectl")
    assert calls
    assert not any("--context" in call for call in calls)
    assert not any(word in call for call in calls for word in ("config-domain", "config-deployment", "NodePort"))


def test_the_message_is_signed_with_the_secret_of_the_cluster_and_no_argument_holds_it(cluster: Commands) -> None:
    assert cluster.run("hack/kind", "first-message").returncode == 0
    assert "python3 with APP_SECRET=app-secret STAFF_TOKEN=staff-token" in cluster.calls()
    assert not any("app-secret" in call for call in cluster.calls("python3 hack/"))


@pytest.mark.parametrize(
    ("missing", "step", "said"),
    [
        ("kind", "up", "kind is missing: https://kind.sigs.k8s.io/"),
        ("docker", "up", "docker or podman is missing"),
        ("kubectl", "up", "kubectl is missing: https://kubernetes.io/docs/tasks/tools/"),
        ("kubectl", "install", "kubectl is missing"),
        ("python3", "first-message", "python3 is missing"),
        ("kind", "down", "kind is missing"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_done(cluster: Commands, missing: str, step: str, said: str) -> None:
    (cluster.bin / missing).unlink()
    done = cluster.run("hack/kind", step)
    assert done.returncode == 1
    assert said in done.stderr
    assert not any("apply" in call or "create" in call for call in cluster.calls())


def test_docker_that_does_not_answer_is_told_from_no_docker(cluster: Commands) -> None:
    cluster.add("docker", "exit 1")
    done = cluster.run("hack/kind", "up")
    assert done.returncode == 1
    assert "docker is installed and does not answer" in done.stderr


def test_podman_does_where_docker_is_not(cluster: Commands) -> None:
    (cluster.bin / "docker").unlink()
    cluster.add("podman")
    cluster.add("kind", f'echo "provider $KIND_EXPERIMENTAL_PROVIDER" >>"{cluster.log}"')
    assert cluster.run("hack/kind", "create").returncode == 0
    assert "provider podman" in cluster.calls()


def test_a_webhook_that_is_not_up_yet_is_waited_for(cluster: Commands) -> None:
    once = cluster.project / "once"
    cluster.add(
        "kubectl",
        f'case "$*" in *cert-manager.yaml) [ -e "{once}" ] || {{ touch() {{ : >"$1"; }}; touch "{once}"; '
        'echo "failed calling webhook: connection refused" >&2; exit 1; }; esac',
    )
    done = cluster.run("hack/kind", "install", PAUSE="0")
    assert done.returncode == 0, done.stderr
    assert len([call for call in cluster.calls() if call.endswith("cert-manager.yaml")]) == 2


def test_what_does_not_pass_is_shown_at_once(cluster: Commands) -> None:
    cluster.add("kubectl", 'echo "error: unable to read URL, server reported 404 Not Found" >&2; exit 1')
    done = cluster.run("hack/kind", "install")
    assert done.returncode == 1
    assert "404 Not Found" in done.stderr
    assert len(cluster.calls("kubectl")) == 1


def test_what_stays_wrong_is_shown_when_the_time_is_over(cluster: Commands) -> None:
    cluster.add("kubectl", 'echo "failed calling webhook: connection refused" >&2; exit 1')
    done = cluster.run("hack/kind", "install", TIMEOUT="0", PAUSE="0")
    assert done.returncode == 1
    assert "failed calling webhook" in done.stderr


def test_an_agent_that_does_not_become_ready_is_named_with_its_reason(cluster: Commands) -> None:
    cluster.add(
        "kubectl",
        'case "$*" in *"condition=Ready lambdaagents"*) exit 1 ;; '
        '*"get lambdaagents"*go-template*) echo "ai-seller-tech: PromptResolved: no ConfigMap of that name" ;; esac',
    )
    done = cluster.run("hack/kind", "apply")
    assert done.returncode == 1
    assert "ai-seller-tech: PromptResolved: no ConfigMap of that name" in done.stderr
    assert "not every LambdaAgent is Ready" in done.stderr


def test_a_store_without_an_app_secret_is_told_so(cluster: Commands) -> None:
    cluster.add("kubectl", KUBECTL.replace("echo app-secret", ":"))
    done = cluster.run("hack/kind", "first-message")
    assert done.returncode == 1
    assert "has no AGENT_STORE_WHATSAPP_APP_SECRET" in done.stderr


def test_down_deletes_the_cluster_and_is_content_without_one(cluster: Commands) -> None:
    assert "there is no cluster agent-store" in cluster.run("hack/kind", "down").stdout
    assert cluster.calls("kind delete") == []
    (cluster.project.parent / "clusters").write_text("agent-store\n", "utf-8")
    assert cluster.run("hack/kind", "down").returncode == 0
    assert cluster.calls("kind delete") == ["kind delete cluster --name agent-store"]


def test_an_unknown_word_shows_how_it_is_used(cluster: Commands) -> None:
    done = cluster.run("hack/kind", "upp")
    assert done.returncode == 2
    assert "hack/kind up" in done.stdout
    assert cluster.calls() == []


def test_the_port_of_kourier_is_the_port_of_this_machine() -> None:
    config = yaml.safe_load((ROOT / "kind-config.yaml").read_text("utf-8"))
    (node,) = config["nodes"]
    (mapping,) = node["extraPortMappings"]
    script = (ROOT / "hack/kind").read_text("utf-8")
    assert f"nodePort: {mapping['containerPort']}" in script
    assert f"INGRESS={mapping['listenAddress']}:{mapping['hostPort']}" in script
    settings = (ROOT / "k8s/kustomize/kind/settings.yaml").read_text("utf-8")
    assert f"127.0.0.1.sslip.io:{mapping['hostPort']}" in settings
    assert re.fullmatch(r"kindest/node:v\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", node["image"])


def test_the_page_lists_the_versions_that_are_installed() -> None:
    page = (ROOT / "docs/kind.md").read_text("utf-8")
    for version in VERSIONS.values():
        assert version.removeprefix("v") in page
