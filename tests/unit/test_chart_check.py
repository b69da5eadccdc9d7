"""`helm test`'s script against the real webhook, behind a server of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml

from agent_store.agents.whatsapp.api import webhook
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import WhatsAppSettings
from agent_store.entrypoints.programs import free_port
from agent_store.kernel.errors import TemporaryError
from tests.support.manifests import ROOT

SCRIPT = ROOT / "charts" / "agent-store" / "files" / "scripts" / "check.py"
DIRECTORY = {
    "services": {"whatsapp-gateway": {"url": "http://gateway", "consumers": ["whatsapp"]}},
    "brands": [{"id": "fashion"}],
}


class Gateway:
    """Takes deliveries; in trouble, it says so. `asleep`: how many questions for its health find it unwell."""

    def __init__(self) -> None:
        self.taken: list[Delivery] = []
        self.trouble = False
        self.asleep = 0
        self.port = free_port()
        settings = WhatsAppSettings("the-secret", "verify", "token", "http://graph", "http://store")
        self._webhook = webhook(self, settings)

    async def accept(self, delivery: Delivery) -> None:
        if self.trouble:
            raise TemporaryError("the database is away")
        self.taken.append(delivery)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/webhooks/whatsapp":
            await self._webhook(scope, receive, send)
            return
        self.asleep -= 1
        await send({"type": "http.response.start", "status": 200 if self.asleep < 0 else 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    found = Gateway()
    config = uvicorn.Config(found, port=found.port, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:
                await asyncio.sleep(0.01)
        yield found
    finally:
        server.should_exit = True
        await running


async def check(gateway: Gateway, folder: Path, directory: Any = DIRECTORY, **changes: str) -> tuple[int | None, str]:
    """Exit code and output."""
    path = folder / "directory.yaml"
    if directory is not None:
        path.write_text(yaml.safe_dump(directory), "utf-8")
    environment = {
        "CHECK_GATEWAY": f"http://127.0.0.1:{gateway.port}", "CHECK_DIRECTORY": str(path), "CHECK_SECONDS": "0",
        "CHECK_SERVICES": "whatsapp-gateway", "CHECK_BRANDS": "fashion", "NO_PROXY": "*",
        "AGENT_STORE_WHATSAPP_APP_SECRET": "the-secret",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), env={**os.environ, **environment, **changes},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_store_that_works_passes_with_a_line_a_check(gateway: Gateway, tmp_path: Path) -> None:
    code, said = await check(gateway, tmp_path)
    assert code == 0, said
    assert [line.split()[0] for line in said.splitlines()] == ["ok"] * 4
    (delivery,) = gateway.taken
    assert (delivery.messages, len(delivery.statuses), delivery.oddities) == ([], 1, 0)


@pytest.mark.parametrize(
    ("directory", "sentence"),
    [
        (None, "does the operator run, and see this namespace?"),
        ({"services": {}, "brands": []}, "the directory lacks whatsapp-gateway: see kubectl get lambdaagents"),
        ({**DIRECTORY, "brands": []}, "the directory lacks the brands fashion: their Triggers are not Ready yet"),
    ],
)
async def test_what_the_directory_lacks_is_named(
    gateway: Gateway, tmp_path: Path, directory: Any, sentence: str
) -> None:
    code, said = await check(gateway, tmp_path, directory)
    assert code == 1
    assert sentence in said


async def test_a_gateway_that_is_not_well_is_told(gateway: Gateway, tmp_path: Path) -> None:
    gateway.asleep = 1
    code, said = await check(gateway, tmp_path)
    assert code == 1
    assert "/healthz answered 503" in said


async def test_a_gateway_that_cannot_commit_is_told(gateway: Gateway, tmp_path: Path) -> None:
    gateway.trouble = True
    code, said = await check(gateway, tmp_path)
    assert code == 1
    assert "a signed delivery was answered 503" in said


async def test_another_secret_than_the_gateways_is_told(gateway: Gateway, tmp_path: Path) -> None:
    code, said = await check(gateway, tmp_path, AGENT_STORE_WHATSAPP_APP_SECRET="another")
    assert code == 1
    assert "a signed delivery was answered 401" in said


async def test_it_waits_for_what_is_still_coming(gateway: Gateway, tmp_path: Path) -> None:
    gateway.asleep = 2
    code, said = await check(gateway, tmp_path, CHECK_SECONDS="60")
    assert code == 0, said
    assert gateway.asleep < 0
