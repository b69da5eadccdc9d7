"""`hack/first_message.py`, which `make kind-up` ends with, against a store on the WhatsApp simulator and on a Graph API."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from agent_store.entrypoints.up import bind
from tests.support.process import SECRET, TOKEN, StoreProcess

PROGRAM = Path(__file__).parents[2] / "hack/first_message.py"
FASHION = "100000000000001"


async def first_message(*words: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, what it printed, what it complained of. Only Python and the environment that is given."""
    given = {"PATH": os.environ["PATH"], "APP_SECRET": SECRET, "STAFF_TOKEN": TOKEN, "PYTHONUTF8": "1", **environment}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(PROGRAM), *words, env=given,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def at(store: StoreProcess) -> list[str]:
    """The gateway by a name that does not resolve, at the ingress's address."""
    return [
        "--url",
        "http://whatsapp-gateway.example.test",
        "--connect",
        f"127.0.0.1:{store.port}",
        "--number",
        FASHION,
    ]


@pytest.fixture
async def simulated(tmp_path: Path) -> AsyncIterator[StoreProcess]:
    async with StoreProcess(tmp_path / "data", AGENT_STORE_WHATSAPP_GRAPH_URL="") as store:
        await store.start()
        yield store


async def test_the_sellers_answer_is_printed(simulated: StoreProcess) -> None:
    code, out, err = await first_message(*at(simulated), "--timeout", "60")
    assert (code, err) == (0, "")
    assert "Ana Souza: Oi! Quero um vestido" in out
    assert "seller: " in out
    assert "answered after" in out


async def test_a_second_message_gets_its_own_answer(simulated: StoreProcess) -> None:
    await first_message(*at(simulated), "--timeout", "60")
    code, out, _ = await first_message(*at(simulated), "--timeout", "60", "--text", "quanto custa a entrega?")
    assert code == 0
    assert "Eu sou a Luna" not in out


async def test_a_wrong_secret_and_a_wrong_token_are_told_apart(simulated: StoreProcess) -> None:
    code, _, err = await first_message(*at(simulated), APP_SECRET="of-another-app")
    assert code == 1
    assert "APP_SECRET is not the secret that it has" in err
    code, _, err = await first_message(*at(simulated), STAFF_TOKEN="of-somebody-else")
    assert code == 1
    assert "HTTP 401" in err


async def test_a_store_on_metas_api_takes_the_message_and_answers_there(tmp_path: Path) -> None:
    async with StoreProcess(tmp_path / "data") as store:
        await store.start()
        code, out, err = await first_message(*at(store), "--timeout", "60")
        assert (code, err) == (0, "")
        assert "the answer goes to the telephone" in out


async def test_a_gateway_that_never_comes_is_told_with_its_address() -> None:
    with closing(bind("127.0.0.1", 0)) as held:  # nobody listens there, and nobody else can
        words = [
            "--url",
            "http://gone.example.test",
            "--connect",
            f"127.0.0.1:{held.getsockname()[1]}",
            "--number",
            FASHION,
            "--timeout",
            "0",
        ]
        code, _, err = await first_message(*words)
    assert code == 1
    assert "the gateway at gone.example.test (127.0.0.1) did not take" in err
