"""The chart lints, renders what kustomize renders, is held to the project's version, and refuses wrong values with sentences."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import runpy
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_store.agents.catalog.files import parse
from agent_store.entrypoints.settings import Settings, variable
from agent_store.kube.model import LambdaAgentSpec
from tests.support.components import missing
from tests.support.helm import CHART, KIND_VALUES, KUBE_VERSION, helm, refused, template
from tests.support.manifests import ROOT, Object, objects, of, pod_specs, program

STORE, SYSTEM = "agent-store-multibrands", "agent-store-system"
KIND = ("--values", str(KIND_VALUES))
Key = tuple[str, str, str]


# --- the same objects as kustomize ---------------------------------------------------------------------------------------
#
# What the chart has otherwise, all of it:
# - Namespaces: Helm users say `--namespace … --create-namespace`, and a chart that made its own would be in its way.
# - Helm's own labels, hooks and `helm test`: they have no counterpart.
# - The notes that tell kube-score why it is overruled: kustomize's output is what it is run on.

HELMS_LABELS = {
    "helm.sh/chart",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
}
LINTERS = ("kube-score/", "agent-store.dev/kube-score-")
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}

RENDERED = {
    "operator": (SYSTEM, ("--include-crds", "--set", "store.enabled=false")),
    "kind": (STORE, (*KIND, "--set", "operator.enabled=false")),
    "studio": (STORE, ("--set", "operator.enabled=false")),
}


@pytest.mark.parametrize("name", RENDERED)
def test_the_chart_renders_what_kustomize_renders(name: str) -> None:
    namespace, arguments = RENDERED[name]
    ours = by_key(template(*arguments, namespace=namespace), namespace)
    theirs = by_key((one for one in objects(name) if one["kind"] != "Namespace"), namespace)
    assert sorted(ours) == sorted(theirs)
    assert [line for key in ours for line in differences(ours[key], theirs[key], " ".join(key))] == []


@pytest.mark.parametrize("overlay", ["kind", "studio"])
def test_one_release_with_operator_and_store_has_all_of_both_in_its_namespace(overlay: str) -> None:
    arguments = KIND if overlay == "kind" else ()
    both = by_key(template(*arguments), STORE)
    store = by_key(template(*arguments, "--set", "operator.enabled=false"), STORE)
    operator = by_key(template("--set", "store.enabled=false"), STORE)
    assert both == {**operator, **store}
    assert operator.keys() & store.keys() == {("NetworkPolicy", STORE, "default-deny")}


def by_key(found: Iterable[Object], namespace: str) -> dict[Key, Object]:
    """Objects without what is Helm's own, by kind, namespace and name."""
    ordered: dict[Key, Object] = {}
    for one in found:
        if hook(one):
            continue
        one = normal(one)
        space = "" if one["kind"] in CLUSTER_WIDE else one["metadata"].setdefault("namespace", namespace)
        key = (one["kind"], space, one["metadata"]["name"])
        assert key not in ordered, f"{key} is rendered twice"
        ordered[key] = one
    return ordered


def hook(one: Mapping[str, Any]) -> str:
    found: str = (one["metadata"].get("annotations") or {}).get("helm.sh/hook", "")
    return found


def normal(node: Any) -> Any:
    """Lists of named things by name, Secrets in clear, and no labels and notes of tools."""
    if isinstance(node, list):
        items = [normal(one) for one in node]
        return sorted(items, key=lambda one: str(one["name"])) if all(_is_named(one) for one in items) else items
    if not isinstance(node, dict):
        return node
    found = {key: normal(value) for key, value in node.items()}
    if found.get("kind") == "Secret":
        found["data"] = {key: _decoded(value) for key, value in found["data"].items()}
    if isinstance(metadata := found.get("metadata"), dict):
        kept = {"labels": _without(metadata, "labels"), "annotations": _without(metadata, "annotations")}
        found["metadata"] = {**metadata, **kept}
        for part, entries in kept.items():
            if not entries:
                found["metadata"].pop(part)
    return found


def _is_named(one: Any) -> bool:
    return isinstance(one, dict) and "name" in one


def _without(metadata: Mapping[str, Any], part: str) -> dict[str, str]:
    return {
        key: value
        for key, value in (metadata.get(part) or {}).items()
        if key not in HELMS_LABELS and not key.startswith(LINTERS)
    }


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise AssertionError(f"{value!r} is not base64 of a text") from None


def differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}, key=str):
            where = f"{path}.{key}"
            if key not in ours:
                yield f"{where}: only kustomize has it: {json.dumps(theirs[key])[:300]}"
            elif key not in theirs:
                yield f"{where}: only the chart has it: {json.dumps(ours[key])[:300]}"
            else:
                yield from differences(ours[key], theirs[key], where)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif ours != theirs:
        yield f"{path}: {json.dumps(ours)[:300]} in the chart, {json.dumps(theirs)[:300]} in kustomize"


# --- the chart itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), KIND], ids=["default values", "values-kind.yaml"])
def test_helm_lint_finds_nothing(arguments: tuple[str, ...]) -> None:
    done = helm("lint", "--strict", "--kube-version", KUBE_VERSION, str(CHART), *arguments)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout
    assert "[INFO]" not in done.stdout


def test_the_chart_is_of_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    (image,) = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert chart["appVersion"] == version
    assert image["image"] == f"ghcr.io/agent-store/agent-store:{version}"


def test_artifact_hub_is_shown_a_resource_that_the_operator_takes() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    for example in yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"]):
        LambdaAgentSpec.model_validate(example["spec"])
    icon = chart["icon"].rpartition("/charts/agent-store/")[2]
    assert (CHART / icon).is_file()


def test_definition_rights_prompts_and_catalogues_are_the_projects_own_files_and_no_copies() -> None:
    assert (CHART / "crds" / "lambdaagents.yaml").resolve() == ROOT / "k8s" / "crds" / "lambdaagents.yaml"
    assert (CHART / "files" / "prompts").resolve() == ROOT / "prompts"
    assert (CHART / "files" / "catalogs").resolve() == ROOT / "data"
    assert (CHART / "files" / "rbac.yaml").resolve() == ROOT / "k8s" / "kustomize" / "operator" / "rbac.yaml"


def test_a_packed_chart_brings_what_it_refers_to(tmp_path: Path) -> None:
    done = helm("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("*.tgz")
    assert template(chart=package) == template()
    # A release is kept in a Secret, which holds 1 MiB; the chart is in it, packed and in base64.
    assert package.stat().st_size < 400_000


def test_the_schema_of_the_values_is_that_of_the_resource() -> None:
    tool = runpy.run_path(str(CHART / "hack" / "values_schema.py"))
    text = (CHART / "values.schema.json").read_text("utf-8")
    assert tool["schema_file"](text) == text, "run: python charts/agent-store/hack/values_schema.py"


EXCUSED = {
    "ImagePullPolicy is not set to Always": "a release's tag never changes, and a node that has it needs no registry",
    "The NetworkPolicys selector doesn't match any pods": "the Broker's and RabbitMQ's pods are made by their operators",
    "The container is running with a low user ID": "the official images' own user",
    "The container running with a low group ID": "the official images' own group",
    "Deployment few replicas": "one is enough for trying",
}
"""What kube-score says of the chart, and why it is so. The same is excused in the kustomizations, object by object."""


@pytest.mark.parametrize("arguments", [(), KIND], ids=["default values", "values-kind.yaml"])
def test_kube_score_finds_nothing_that_is_not_excused(arguments: tuple[str, ...]) -> None:
    linter = program("kube-score")
    if linter is None:
        missing("kube-score", "kube-score is absent: go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0")
    command = [linter, "score", "-", "--kubernetes-version=v1.34", "--output-format=ci", "--ignore-container-cpu-limit"]
    text = yaml.safe_dump_all(template(*arguments))
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert "[OK]" in done.stdout, done.stderr
    bad = [line for line in done.stdout.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))]
    assert [line for line in bad if not any(excused in line for excused in EXCUSED)] == []


# --- values ----------------------------------------------------------------------------------------------------------------

PETS = """
brands:
  pets:
    name: Patas & Cia
    seller: Teo
    phoneNumberIds: ["100000000000006"]
    keywords: {pt: [ração, gato]}
    prompt: |
      You are **Teo**.
    catalog:
      brand: pets
      products: []
    scaling: {minReplicas: 1}
"""


def _file(text: str, folder: Path) -> str:
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.yaml"  # what Helm made of a file is kept by its name
    path.write_text(text, "utf-8")
    return str(path)


def test_a_brand_is_one_block(tmp_path: Path) -> None:
    found = template("--values", _file(PETS, tmp_path))
    agent = of(found, "LambdaAgent", "ai-seller-pets")["spec"]
    spec = LambdaAgentSpec.model_validate(agent)
    assert spec.brand is not None
    assert (spec.run, spec.brand.id, spec.brand.name) == (("seller",), "pets", "Patas & Cia")
    assert spec.behavior.system_prompt_from is not None
    assert spec.behavior.system_prompt_from.config_map.name == "prompt-pets"
    assert of(found, "ConfigMap", "prompt-pets")["data"] == {"system.md": "You are **Teo**.\n"}
    catalog = of(found, "ConfigMap", "catalog-pets")["data"]["pets.yaml"]
    assert yaml.safe_load(catalog) == {"brand": "pets", "products": []}
    before = {one["metadata"]["name"] for one in template() if one["kind"] == "LambdaAgent"}
    assert {one["metadata"]["name"] for one in found if one["kind"] == "LambdaAgent"} == before | {"ai-seller-pets"}


def test_a_brands_own_word_wins_over_what_all_sellers_share(tmp_path: Path) -> None:
    agent = of(template("--values", _file(PETS, tmp_path)), "LambdaAgent", "ai-seller-pets")["spec"]
    assert agent["scaling"] == {"minReplicas": 1, "maxReplicas": 10, "target": 5}
    assert agent["ai"]["provider"] == "ollama"
    awake = of(template("--set", "brands.fashion.scaling.minReplicas=1,sellers.scaling.minReplicas=2"),
               "LambdaAgent", "ai-seller-fashion")  # fmt: skip
    assert awake["spec"]["scaling"]["minReplicas"] == 1


def test_null_takes_a_brand_and_an_agent_away_with_all_that_belongs_to_them() -> None:
    found = template("--set", "brands.gaming=null,agents.sales-assistant=null")
    names = {one["metadata"]["name"] for one in found}
    assert not names & {"ai-seller-gaming", "prompt-gaming", "catalog-gaming", "sales-assistant"}
    assert {"ai-seller-fashion", "whatsapp-gateway"} <= names


def test_texts_may_be_in_config_maps_that_are_there_already() -> None:
    own = "promptFrom={name: texts, key: fashion.md},catalogFrom={name: goods, key: all.yaml}"
    arguments = [f"brands.fashion.{part}" for part in own.replace(",catalog", "\ncatalog").splitlines()]
    values = {name: yaml.safe_load(value) for name, _, value in (one.partition("=") for one in arguments)}
    found = template(
        *[part for name, value in values.items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
    )
    spec = LambdaAgentSpec.model_validate(of(found, "LambdaAgent", "ai-seller-fashion")["spec"])
    assert spec.behavior.system_prompt_from is not None
    assert spec.behavior.system_prompt_from.config_map.name == "texts"
    assert spec.brand is not None
    assert spec.brand.catalog is not None
    assert spec.brand.catalog.config_map.key == "all.yaml"
    assert not {"prompt-fashion", "catalog-fashion"} & {one["metadata"]["name"] for one in found}


def test_a_setting_is_the_text_that_was_written() -> None:
    values = "settings.AGENT_STORE_BURST_WINDOW=0.7,settings.AGENT_STORE_WEBHOOK_NUMBER_LIMIT=1000000,settings.A=true"
    data = of(template("--set", values), "ConfigMap", "agent-store-settings")["data"]
    assert (data["AGENT_STORE_BURST_WINDOW"], data["AGENT_STORE_WEBHOOK_NUMBER_LIMIT"]) == ("0.7", "1000000")
    assert data["A"] == "true"


def test_another_image_is_the_image_of_everything() -> None:
    digest = f"sha256:{'0' * 64}"
    found = template(
        "--set", f"image.repository=registry.example/store,image.digest={digest},image.pullSecrets={{pull}}"
    )
    for whose, spec in pod_specs(found).items():
        assert [one["image"] for one in spec["containers"]] == [f"registry.example/store@{digest}"], whose
    for one in found:
        if one["kind"] == "ServiceAccount":
            assert one["imagePullSecrets"] == [{"name": "pull"}]
        if one["kind"] == "LambdaAgent":
            image = LambdaAgentSpec.model_validate(one["spec"]).image
            assert (image.repository, image.digest, image.pull_secrets) == ("registry.example/store", digest, ("pull",))


@pytest.mark.parametrize("arguments", [(), KIND], ids=["default values", "values-kind.yaml"])
def test_addresses_are_those_of_the_releases_namespace(arguments: tuple[str, ...]) -> None:
    found = template(*arguments, namespace="another")
    text = "".join(_decoded(value) for one in found if one["kind"] == "Secret" for value in one["data"].values())
    assert STORE not in yaml.safe_dump_all(found) + text
    assert {one["metadata"].get("namespace", "another") for one in found} == {"another"}


def test_the_secret_may_come_from_a_vault() -> None:
    ours = of(template("--set", "secrets.external.enabled=true"), "ExternalSecret")
    (theirs,) = objects("studio/examples/external-secrets")
    assert differences_of(ours, theirs) == []


def differences_of(ours: Object, theirs: Object) -> list[str]:
    one, other = normal(ours), normal(theirs)
    other["metadata"].pop("namespace", None)
    one["metadata"].pop("labels")
    other["spec"]["data"].sort(key=lambda entry: entry["secretKey"])
    return list(differences(one, other, theirs["kind"]))


# --- hooks ------------------------------------------------------------------------------------------------------------------


def test_tables_come_first_in_an_upgrade_and_with_the_rest_in_an_install() -> None:
    name = f"agent-store-migrate-{yaml.safe_load((CHART / 'Chart.yaml').read_text('utf-8'))['appVersion'].replace('.', '-')}"
    assert hook(of(template(*KIND), "Job", name)) == ""
    later = of(template(*KIND, "--is-upgrade"), "Job", name)
    assert hook(later) == "pre-upgrade"
    assert later["spec"]["template"] == of(template(*KIND), "Job", name)["spec"]["template"]


@pytest.mark.parametrize("kind", ["test", "pre-delete"])
def test_pods_of_hooks_meet_the_restricted_standard_and_find_what_they_refer_to(kind: str) -> None:
    found = [one for one in template() if hook(one) == kind]
    specs = {
        **pod_specs(found),
        **{f"Pod/{one['metadata']['name']}": one["spec"] for one in found if one["kind"] == "Pod"},
    }
    assert len(specs) == 1
    ((_, spec),) = specs.items()
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert spec["serviceAccountName"] == of(found, "ServiceAccount")["metadata"]["name"]
    script = container["command"][1].removeprefix("/scripts/")
    assert of(found, "ConfigMap")["data"][script] == (CHART / "files" / "scripts" / script).read_text("utf-8")
    selector = of(found, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    (pod,) = (one for one in found if one["kind"] in ("Pod", "Job"))
    labels = pod["metadata"]["labels"] if pod["kind"] == "Pod" else pod["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()


def test_helm_test_expects_the_agents_and_brands_of_the_release() -> None:
    for arguments in ((), KIND):
        found = template(*arguments)
        environment = {one["name"]: one.get("value") for one in of(found, "Pod")["spec"]["containers"][0]["env"]}
        agents = [one for one in found if one["kind"] == "LambdaAgent"]
        assert sorted(environment["CHECK_SERVICES"].split()) == sorted(one["metadata"]["name"] for one in agents)
        assert environment["CHECK_BRANDS"].split() == sorted(
            one["spec"]["brand"]["id"] for one in agents if "brand" in one["spec"]
        )
        assert environment["CHECK_GATEWAY"] == f"http://whatsapp-gateway.{STORE}.svc.cluster.local"


def test_no_right_of_a_hook_is_a_wildcard() -> None:
    for one in template():
        if one["kind"] == "Role":
            assert all("*" not in "".join(rule[part]) for rule in one["rules"] for part in rule)


# --- wrong values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("brands.pets.name=Patas", "at '/brands/pets': missing property 'seller'"),
        ("brands.fashion.color=red", "at '/brands/fashion/color': 'red' does not match pattern"),
        ("brands.fashion.ai.provider=magic", "value must be one of 'rules', 'ollama', 'openai'"),
        ("brands.Pets.name=Patas", "additional properties 'Pets' not allowed"),
        ("agents.session-sync.scaling.maxReplica=3", "additional properties 'maxReplica' not allowed"),
        ("brandz.pets.name=Patas", "additional properties 'brandz' not allowed"),
        ("operator.replicas=many", "at '/operator/replicas': got string, want integer"),
        ("broker.delivery.retry=3", "at '/broker/delivery/retry': minimum: got 3, want 10"),
        ("image.digest=1234", "at '/image/digest'"),
        ("operator.enabled=false,store.enabled=false", "nothing is left to install"),
        ("secrets.create=true", "secrets.values.AGENT_STORE_KEYS: there is no default secret"),
        ("secrets.values.AGENT_STORE_KEYS=first:x", "secrets.create is false: the Secret agent-store-secrets would not have them"),
        ("secrets.create=true,secrets.external.enabled=true", "either create or external.enabled, not both"),
        ("postgresql.enabled=true", "postgresql.password: give one"),
        ("redis.enabled=true", "redis.password: give one"),
        ("rabbitmq.enabled=true", "broker.rabbitmqClusterReference.namespace is rabbitmq, but rabbitmq.enabled puts the cluster into"),
        ("agents.more.run={cart}", "agents: cart runs in more and in order-processor"),
        ("agents.more.run={seller}", "agents.more.run: a seller belongs to a brand"),
        ("agents.more.component=more", "agents.more.run: name the agents that run in it"),
        ("agents.session-sync.scaling.minReplicas=9", "agents.session-sync.scaling: minReplicas must not be above maxReplicas"),
        ("sellers.ai.model=", "brands.beauty.ai.model: name the model"),
        ("sellers.ai.endpoint=", "brands.beauty.ai.endpoint: give the address of the Ollama server"),
        ("brands.fashion.prompt=x,brands.fashion.behavior.systemPrompt=y", "brands.fashion: say its prompt once"),
        ("brands.fashion.catalog=x,brands.fashion.catalogFrom.name=y,brands.fashion.catalogFrom.key=z", "say its catalogue once"),
        ("brands.fashion.promptFile=files/prompts/none.md", "brands.fashion.promptFile: the chart has no file files/prompts/none.md"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_with_a_sentence(values: str, sentence: str) -> None:
    assert sentence in refused("--set", values)


@pytest.mark.parametrize("name", [variable(one.name) for one in fields(Settings) if not one.repr])
def test_no_secret_is_put_into_a_config_map(name: str) -> None:
    assert f"settings.{name}: a secret has no place in a ConfigMap" in refused("--set", f"settings.{name}=x")


def test_two_brands_have_no_number_in_common() -> None:
    assert "100000000000001 is the number of brands.fashion as well" in refused(
        "--set-json", 'brands.tech.phoneNumberIds=["100000000000001"]'
    )


# --- what is told ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["docs/helm.md", "charts/agent-store/README.md"])
def test_values_in_the_documentation_are_taken(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        found = template("--values", _file(block, tmp_path))
        for name, brand in yaml.safe_load(block)["brands"].items():
            if brand is None:
                continue
            LambdaAgentSpec.model_validate(of(found, "LambdaAgent", f"ai-seller-{name}")["spec"])
            if "catalog" in brand:
                text = of(found, "ConfigMap", f"catalog-{name}")["data"][f"{name}.yaml"]
                assert [one.brand for one in parse(text, "yaml", brand=name)] == [name]
