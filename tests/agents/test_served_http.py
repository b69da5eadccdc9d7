"""What a process serves over HTTP beside events, and what it does not load before somebody asks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from agent_store.entrypoints.served import ServedProcess, StewardProcess
from agent_store.entrypoints.settings import Settings, load
from tests.support.directory import brand, directory_text, put


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A Broker that never answers: these tests send nothing."""
    monkeypatch.setenv("K_SINK", "http://127.0.0.1:9/")
    path = put(tmp_path / "directory.yaml", directory_text(brand("fashion", "1001")))
    return {
        "AGENT_STORE_DATA": str(tmp_path / "data"), "AGENT_STORE_BUS": "knative", "AGENT_STORE_DIRECTORY": str(path),
        "AGENT_STORE_STAFF_TOKEN": "staff-token-of-the-tests",
    }  # fmt: skip


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return load(environment)


@contextlib.asynccontextmanager
async def asking(process: ServedProcess | StewardProcess) -> AsyncGenerator[httpx.AsyncClient]:
    await process.start()
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(process.door()), base_url="http://store") as http:
            yield http
    finally:
        await process.stop()


def serving(kind: str, settings: Settings) -> ServedProcess | StewardProcess:
    return StewardProcess(settings) if kind == "steward" else ServedProcess(settings, [kind])


@pytest.mark.parametrize("kind", ["seller/fashion", "orders", "whatsapp", "steward"])
async def test_health_and_figures_are_told_and_other_methods_are_refused(kind: str, settings: Settings) -> None:
    async with asking(serving(kind, settings)) as http:
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        assert (await http.get("/readyz")).json() == {"status": "ready"}
        assert "agent_store_" in (await http.get("/metrics")).text
        for path in ("/healthz", "/readyz", "/metrics"):
            refused = await http.post(path)
            assert (refused.status_code, refused.json()["type"]) == (405, "urn:agent-store:problem:method-not-allowed")
        unknown = await http.get("/nothing")
        assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:agent-store:problem:not-found")


async def test_tools_and_contracts_ask_for_a_token(settings: Settings) -> None:
    async with asking(ServedProcess(settings, ["orders"])) as http:
        refused = await http.post("/tools/orders.get", json={})
        assert (refused.status_code, refused.json()["type"]) == (401, "urn:agent-store:problem:token-missing")
        assert (await http.get("/tools/orders.get")).status_code == 405
        assert (await http.get("/contracts")).status_code == 401
        staff = {"Authorization": "Bearer staff-token-of-the-tests"}
        told = (await http.get("/contracts", headers=staff)).json()
        assert "orders.get" in {tool["name"] for tool in told["tools"]}


async def test_dead_letters_are_the_stewards(settings: Settings) -> None:
    async with asking(StewardProcess(settings)) as http:
        assert (await http.get("/api/dead")).status_code == 401


_PROBE = """
import asyncio, sys
import httpx
from agent_store.entrypoints.served import ServedProcess
from agent_store.entrypoints.settings import load

HEAVY = ("fastapi", "jwt", "cryptography", "nicegui", "mcp", "ollama", "openai", "kopf", "lightkube", "jinja2", "redis")

async def main():
    process = ServedProcess(load(), ["seller/fashion"])
    await process.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(process.door()), base_url="http://store") as http:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await http.get(path)).status_code == 200
        assert (await http.post("/tools/cart.add", json={})).status_code == 401
        assert (await http.post("/", json={})).status_code == 415
        print([name for name in HEAVY if name in sys.modules])
        assert (await http.get("/contracts")).status_code == 401
        print([name for name in HEAVY if name in sys.modules])
    await process.stop()

asyncio.run(main())
"""


def test_a_seller_that_hears_events_only_loads_no_web_framework(environment: dict[str, str]) -> None:
    """Its pod starts while a customer waits."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == ["[]", "['fastapi']"]
