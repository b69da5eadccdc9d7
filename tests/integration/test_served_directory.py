"""A process follows the directory while it runs: brands come, go and change their number, and nothing is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_store.agents.seller.settings import SellerSettings
from agent_store.contracts.brands import Directory
from agent_store.entrypoints.served import ServedProcess, StewardProcess
from agent_store.entrypoints.settings import Settings, load
from agent_store.kernel.errors import InvalidInput
from tests.support.directory import brand, directory_text, put
from tests.support.kube import KubeApi
from tests.support.pods import NAME, Pod

FASHION, PETS = brand("fashion", "1001"), brand("pets", "1009")
Process = ServedProcess | StewardProcess


@pytest.fixture(autouse=True)
def sink(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Broker that never answers: these tests send nothing."""
    monkeypatch.setenv("K_SINK", "http://127.0.0.1:9/")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return put(tmp_path / "mounted" / "directory.yaml", directory_text(FASHION))


def settings(path: Path, **more: str) -> Settings:
    environment = {
        "AGENT_STORE_DATA": str(path.parent.parent / "data"), "AGENT_STORE_BUS": "knative",
        "AGENT_STORE_DIRECTORY": str(path), **{f"AGENT_STORE_{name}": value for name, value in more.items()},
    }  # fmt: skip
    return load(environment)


@contextlib.asynccontextmanager
async def running(process: Process) -> AsyncGenerator[Process]:
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def names(process: ServedProcess) -> set[str]:
    return {consumer.name for consumer in process.consumers}


async def test_routing_numbers_and_addresses_follow(path: Path) -> None:
    process = ServedProcess(settings(path), ["whatsapp", "conversations"], api=False)
    async with running(process):
        directory: Directory = process.runtime.world.ports[Directory]  # type: ignore[assignment]
        assert process.simulator is not None
        assert directory.by_number("1009") is None
        put(path, directory_text(FASHION, PETS))
        found = directory.by_number("1009")
        assert found is not None
        assert found.id == "pets"
        assert "1009" in {number.phone_number_id for number in process.simulator.numbers()}
        assert process.services is not None
        assert process.services.url_of_consumer("seller/pets") == "http://ai-seller-pets.test"
        put(path, directory_text(FASHION))
        assert not directory.is_known("1009")
        assert process.services.url_of_consumer("seller/pets") is None


async def test_a_brands_seller_starts_before_the_brand_is_listed(path: Path, tmp_path: Path) -> None:
    prompt, canary = (
        put(tmp_path / "stable.md", "You are Rex.\n"),
        put(tmp_path / "canary.md", "You are Rex, and brief."),
    )
    own = {**PETS, "seller": "Rex 🐾", "tools": ["gift-wrapping.*"]}
    chosen = settings(
        path, BRAND=json.dumps(own), PROMPT=str(prompt), PROMPT_CANARY=str(canary), CANARY_PERCENT="25",
        CONTEXT_MESSAGES="7", EMIT_INTENTS="no",
    )  # fmt: skip
    process = ServedProcess(chosen, ["seller/pets"])
    async with running(process):
        assert names(process) == {"seller/pets"}
        found = process.directory.brand("pets")
        assert found is not None
        assert (found.seller, found.prompt, found.canary_prompt) == (
            "Rex 🐾",
            "You are Rex.",
            "You are Rex, and brief.",
        )
        assert (found.canary_percent, found.tools) == (25, ("gift-wrapping.*",))
        assert [one.id for one in process.directory.brands()] == ["fashion"], "it is not open because its seller runs"
        turn: SellerSettings = process.runtime.world.ports[SellerSettings]  # type: ignore[assignment]
        assert (turn.history, turn.intents) == (7, False)


@pytest.mark.parametrize(
    ("more", "served", "sentence"),
    [
        ({"BRAND": '{"id": "pets"}'}, "seller/pets", "AGENT_STORE_BRAND: brand: name"),
        ({"PROMPT": "/nowhere"}, "seller/pets", "/nowhere: cannot be read"),
        ({"PROMPT": "/dev/null"}, "seller/pets", "AGENT_STORE_PROMPT: /dev/null is empty"),
        ({"PROMPT": "/dev/null"}, "seller", "AGENT_STORE_PROMPT: it is one brand's prompt"),
        ({"CANARY_PERCENT": "20"}, "seller/pets", "AGENT_STORE_PROMPT_CANARY"),
        ({"SERVICES": "services.yaml"}, "seller/pets", "AGENT_STORE_SERVICES"),
        ({}, "seller/Pets", "is no brand of seller"),
    ],
)
def test_what_does_not_fit_together_stops_the_start(
    path: Path, more: dict[str, str], served: str, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        ServedProcess(settings(path, **more), [served])


async def test_a_process_of_every_brand_takes_up_those_that_come_and_leaves_those_that_are_gone(path: Path) -> None:
    process = ServedProcess(settings(path), ["seller"])
    async with running(process):
        assert names(process) == {"seller/fashion"}
        put(path, directory_text(FASHION, PETS))
        await until(lambda: names(process) == {"seller/fashion", "seller/pets"})
        assert process.runtime.dispatcher.consumer("seller/pets") is not None
        assert process.runtime.network is not None
        assert "seller/pets" in process.runtime.network.worker.consumers
        services = {"all": {"url": "http://all.test", "consumers": ["seller/fashion", "seller/pets"]}}
        version = process.directories.version
        put(path, directory_text(FASHION, services=services))
        await until(lambda: process._followed > version)
        assert "seller/pets" in names(process), "what was sent to it before is still on its way"
        put(path, directory_text(FASHION))
        await until(lambda: names(process) == {"seller/fashion"})
        assert process.runtime.dispatcher.consumer("seller/pets") is None


@pytest.mark.parametrize("steward", [True, False])
async def test_whoever_looks_after_all_looks_after_a_brand_that_comes(path: Path, steward: bool) -> None:
    process = StewardProcess(settings(path)) if steward else ServedProcess(settings(path), ["orders"], steward=True)
    async with running(process):
        assert process._reconciler is not None
        assert "seller/pets" not in process._reconciler.consumers
        put(path, directory_text(FASHION, PETS))
        await until(lambda: "seller/pets" in process._reconciler.consumers)  # type: ignore[union-attr]
        assert "seller/pets" in process._expected()
        services = {"ai-seller-books": {"url": "http://books.test", "consumers": ["seller/books", "unknown/agent"]}}
        put(path, directory_text(FASHION, services=services))
        await until(lambda: "seller/books" in process._reconciler.consumers)  # type: ignore[union-attr]
        assert process._expected() == {"seller/books", "unknown/agent"}
        await process.runtime.steward.tick()
        assert process.runtime.healthy


async def test_a_broken_directory_leaves_the_last_good_one(path: Path) -> None:
    process = ServedProcess(settings(path), ["seller"])
    async with running(process):
        put(path, "brands: {")
        assert [one.id for one in process.directory.brands()] == ["fashion"]
        path.unlink()
        await process.runtime.steward.tick()
        assert names(process) == {"seller/fashion"}
        page = (await _get(process, "/metrics")).text
        assert "agent_store_directory_file_bad_total 2.0" in page
        assert "agent_store_directory_brands 1.0" in page


async def _get(process: Process, url: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(process.door()), base_url="http://store") as http:
        return await http.get(url)


async def test_one_that_still_waits_for_a_directory_ends_in_good_order(tmp_path: Path) -> None:
    chosen = settings(tmp_path / "mounted" / "directory.yaml", DIRECTORY_CONFIGMAP=NAME)
    process = ServedProcess(chosen, ["orders"])
    starting = asyncio.create_task(process.start())
    await until(lambda: b'directory_watch_failed_total{reason="outside"}' in process.metrics.page()[0])
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await process.stop()


# --- in a cluster ----------------------------------------------------------------------------------------------------


async def test_without_a_directory_it_is_alive_and_not_ready_until_there_is_one(
    kube_api: KubeApi, tmp_path: Path
) -> None:
    pod = Pod(kube_api, tmp_path / "account")
    chosen = settings(tmp_path / "mounted" / "directory.yaml", DIRECTORY_CONFIGMAP=NAME)
    process = ServedProcess(chosen, ["conversations", "seller"], api=False, account=pod.account)
    starting = asyncio.create_task(process.start())
    try:
        await until(lambda: process.metrics.page()[0].count(b'directory_watch_failed_total{reason="absent"} 1.0'))
        assert (await _get(process, "/healthz")).status_code == 200
        assert (await _get(process, "/readyz")).status_code == 503
        assert not starting.done()
        pod.put(directory_text(FASHION))
        await starting
        assert (await _get(process, "/readyz")).status_code == 200
        assert names(process) == {"conversations", "seller/fashion"}
    finally:
        await process.stop()


async def test_a_pod_learns_of_a_brand_from_the_api_server_and_remembers_it(
    kube_api: KubeApi, path: Path, tmp_path: Path
) -> None:
    pod = Pod(kube_api, tmp_path / "account")
    pod.put(directory_text(FASHION))
    chosen = settings(path, DIRECTORY_CONFIGMAP=NAME)
    process = ServedProcess(chosen, ["conversations", "seller"], api=False, account=pod.account)
    try:
        async with running(process):
            assert [one.id for one in process.directory.brands()] == ["fashion"], "from what is mounted"
            await until(lambda: process.directories.watched)
            pod.put(directory_text(FASHION, PETS))
            await until(lambda: "seller/pets" in names(process))
            assert process.directory.by_number("1009") is not None
            pod.put("brands: {")
            await until(lambda: b"agent_store_directory_file_bad_total 1.0" in process.metrics.page()[0])
            kube_api.kill()
            await until(lambda: not process.directories.watched)
            assert names(process) == {"conversations", "seller/fashion", "seller/pets"}
            assert (await _get(process, "/readyz")).status_code == 200, "the API server is no part of the store"
        async with running(ServedProcess(chosen, ["conversations"], api=False, account=pod.account)) as again:
            assert again.directory.brand("pets") is not None, "the folder of data has it"
    finally:
        await kube_api.start()
