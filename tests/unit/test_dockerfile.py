"""What the image promises, read from the files that make it: locked, small, without root, the same on both processors."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Commands

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LOCK = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
VERSION = PROJECT["project"]["version"]


def instructions(text: str = DOCKERFILE) -> list[tuple[str, str]]:
    """(instruction, rest) without comments, continued lines joined."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(at for at, (word, _) in enumerate(found) if word == "FROM") :]


def test_it_runs_as_a_user_with_a_number_that_is_not_root() -> None:
    users = [rest for word, rest in last_stage() if word == "USER"]
    assert users == ["65532:65532"]


def test_the_last_stage_installs_nothing_and_holds_no_build_tool() -> None:
    for word, rest in last_stage():
        assert not (word == "RUN" and re.search(r"\b(apt|apt-get|pip|uv|curl|wget|gcc)\b", rest)), rest
        assert not (word == "COPY" and "--from" not in rest), "the sources stay in the build stage"
        assert not (word == "COPY" and "from=uv" in rest)


def test_libraries_come_from_the_lock_with_hashes_and_as_wheels() -> None:
    runs = " ".join(rest for word, rest in instructions() if word == "RUN")
    assert "uv export --quiet --locked --offline --no-dev" in runs
    assert "uv pip sync --require-hashes --only-binary :all:" in runs
    assert "--build-constraints build-requirements.txt --require-hashes" in runs


def test_the_build_tool_is_pinned_with_hashes() -> None:
    text = (ROOT / "hack/build-requirements.txt").read_text("utf-8")
    pinned = re.findall(r"^([a-z0-9-]+)==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert set(PROJECT["build-system"]["requires"]) <= set(pinned)


def test_bytecode_is_valid_whatever_the_time_of_the_files() -> None:
    compiled = re.findall(r"compileall[^&]*", " && ".join(rest for word, rest in instructions() if word == "RUN"))
    assert len(compiled) == 3, "the standard library, the libraries, the program"
    assert all("--invalidation-mode unchecked-hash" in one for one in compiled)


def test_it_starts_the_program_and_writes_only_into_its_data_folder() -> None:
    last = dict(last_stage())
    assert last["ENTRYPOINT"] == '["agent-store"]'
    assert last["WORKDIR"] == "/var/lib/agent-store"
    environment = " ".join(rest for word, rest in last_stage() if word == "ENV")
    for setting in ("AGENT_STORE_DATA=/var/lib/agent-store", "HOME=/var/lib/agent-store", "PYTHONDONTWRITEBYTECODE=1"):
        assert setting in environment


@pytest.mark.parametrize("name", ["source", "version", "licenses", "revision", "title"])
def test_it_is_labelled(name: str) -> None:
    labels = " ".join(rest for word, rest in last_stage() if word == "LABEL")
    assert f"org.opencontainers.image.{name}=" in labels


def test_nothing_in_it_depends_on_the_processor() -> None:
    assert not re.search(
        r"amd64|arm64|x86_64|aarch64|TARGETARCH|TARGETPLATFORM", " ".join(r for _, r in instructions())
    )


def test_no_secret_and_no_address_of_an_index_is_an_argument_or_a_variable() -> None:
    for word, rest in instructions():
        if word in ("ARG", "ENV"):
            assert not re.search(r"(?i)index|password|secret|token|https?://", rest), rest


def _served(wheel: str, processor: str) -> bool:
    tags = wheel.removesuffix(".whl").split("-")[-3:]
    python, abi, platform = tags
    fits = "py3" in python.split(".") or "cp311" in python or (abi == "abi3" and re.fullmatch(r"cp3(\d|1[01])", python))
    if not fits:
        return False
    if platform == "any":
        return True
    # Debian 12 has glibc 2.36.
    newest = [(int(a), int(b)) for a, b in re.findall(r"manylinux_(\d+)_(\d+)_" + processor, platform)]
    return f"manylinux2014_{processor}" in platform or any(version <= (2, 36) for version in newest)


def _packages_of_the_image() -> list[dict[str, Any]]:
    """The closure of the project's own dependencies, without what another system or Python needs."""
    packages = {package["name"]: package for package in LOCK["package"]}
    elsewhere = re.compile(r"sys_platform == '(win32|emscripten|darwin)'|python_full_version >= '3\.1[2-9]'")
    wanted, seen = ["agent-store"], set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        package = packages[name]
        asked = list(package.get("dependencies", []))
        asked += [one for extra in package.get("optional-dependencies", {}).values() for one in extra]
        wanted += [one["name"] for one in asked if not elsewhere.search(one.get("marker", ""))]
    return [packages[name] for name in sorted(seen - {"agent-store"})]


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_every_library_has_a_wheel_for_both_processors(processor: str) -> None:
    lacking = [
        package["name"]
        for package in _packages_of_the_image()
        if not any(_served(wheel["url"].rsplit("/", 1)[1], processor) for wheel in package.get("wheels", []))
    ]
    assert lacking == []


def test_the_context_is_what_the_build_copies_and_no_more() -> None:
    taken = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied: set[str] = set()
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            copied |= set(rest.split()[:-1])
    assert taken == copied
    assert all((ROOT / name).exists() for name in copied)


def test_manifests_name_the_image_of_this_version() -> None:
    named = {
        image
        for file in sorted((ROOT / "k8s/kustomize").rglob("*.yaml"))
        for image in re.findall(r"image: (ghcr\.io/agent-store/agent-store\S*)", file.read_text("utf-8"))
    }
    assert named == {f"ghcr.io/agent-store/agent-store:{VERSION}"}


# --- hack/image --------------------------------------------------------------------------------------------------------


@pytest.fixture
def engines(tmp_path: Path) -> Commands:
    return Commands(tmp_path, Path("hack/image"), Path("pyproject.toml"))


def test_docker_is_taken_when_it_answers(engines: Commands) -> None:
    engines.add("docker", '[ "$1" != create ] || echo container')
    engines.add("podman")
    done = engines.run("hack/image")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"ghcr.io/agent-store/agent-store:{VERSION}"
    (build,) = engines.calls("docker buildx build")
    assert f"--build-arg VERSION={VERSION}" in build
    assert build.endswith(f"--load --tag ghcr.io/agent-store/agent-store:{VERSION} .")
    assert engines.calls("podman") == []


def test_podman_is_taken_when_docker_does_not_answer(engines: Commands) -> None:
    engines.add("docker", "exit 1")
    engines.add("podman", '[ "$1" != create ] || echo container')
    done = engines.run("hack/image", "--archive", "image.tar", IMAGE="registry.example/store", VERSION="7")
    assert done.returncode == 0, done.stderr
    assert engines.calls("podman push") == [
        "podman push registry.example/store:7 docker-archive:image.tar:registry.example/store:7"
    ]


def test_a_mirror_and_its_certificate_come_in_as_secrets(engines: Commands) -> None:
    engines.add("podman", '[ "$1" != create ] || echo container')
    assert engines.run("hack/image", UV_CONFIG_FILE="/x/uv.toml", SSL_CERT_FILE="/x/ca.pem").returncode == 0
    (build,) = engines.calls("podman build")
    assert "--secret id=uv-config,src=/x/uv.toml --secret id=ca-bundle,src=/x/ca.pem" in build


def test_two_platforms_are_pushed(engines: Commands) -> None:
    engines.add("docker")
    refused = engines.run("hack/image", PLATFORM="linux/amd64,linux/arm64")
    assert refused.returncode == 1
    assert "set PUSH=1" in refused.stderr
    assert engines.run("hack/image", PLATFORM="linux/amd64,linux/arm64", PUSH="1").returncode == 0
    (build,) = engines.calls("docker buildx build")
    assert "--platform linux/amd64,linux/arm64 --sbom=true --provenance=true --push" in build


def test_without_an_engine_it_says_what_is_needed(engines: Commands) -> None:
    done = engines.run("hack/image")
    assert done.returncode == 1
    assert "docker (running), podman or buildah is needed" in done.stderr
