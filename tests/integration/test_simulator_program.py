"""`agent-store simulator` as a program of its own, before a bot that knows nothing of this store."""

from __future__ import annotations

import asyncio
import hmac
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from agent_store.entrypoints.simulator import Options, SimulatorProcess, number_of
from agent_store.kernel.errors import InvalidInput
from tests.integration.test_whatsapp_simulator import serving

COMMAND = str(Path(sys.executable).with_name("agent-store"))
SECRET, VERIFY, STAFF = "bot-secret", "open sesame", "staff-token"


class Echo:
    """Answers every text with the same words, over the Graph URL that it was given."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.graph = ""
        self.verified = 0
        self.app.get("/hook")(self.handshake)
        self.app.post("/hook")(self.deliver)

    async def handshake(self, request: Request) -> Response:
        if request.query_params["hub.verify_token"] != VERIFY:
            return Response(status_code=403)
        self.verified += 1
        return PlainTextResponse(request.query_params["hub.challenge"])

    async def deliver(self, request: Request) -> Response:
        body = await request.body()
        signed = "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex()
        if request.headers["x-hub-signature-256"] != signed:
            return Response(status_code=401)
        for entry in (await request.json())["entry"]:
            for message in entry["changes"][0]["value"].get("messages", []):
                answer = {
                    "messaging_product": "whatsapp", "to": message["from"], "type": "text",
                    "text": {"body": f"você disse: {message['text']['body']}"},
                }  # fmt: skip
                async with httpx.AsyncClient() as http:
                    url = f"{self.graph}/v23.0/1001/messages"
                    sent = await http.post(url, json=answer, headers={"Authorization": "Bearer bot-token"})
                    assert sent.status_code == 200, sent.text
        return Response()


@asynccontextmanager
async def program(hook: str, data: Path) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "simulator", "--webhook", hook, "--app-secret", SECRET,
        "--verify-token", VERIFY, "--access-token", "bot-token", "--token", STAFF, "--port", "0", "--data", str(data),
        "--number", "1001:Padaria:+55 11 3000-1001", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url = ""
        async with asyncio.timeout(30):
            while not url:
                line = (await process.stdout.readline()).decode()
                assert line, "the simulator ended before it said where it is"
                found = re.search(r"simulator on (http://\S+),", line)
                url = found[1] if found else ""
        yield url
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode == 0


async def test_a_foreign_bot_is_verified_written_to_and_answers(tmp_path: Path) -> None:
    bot = Echo()
    async with serving(bot.app) as home, program(f"{home}/hook", tmp_path / "var") as url:
        bot.graph = f"{url}/simulator/graph"
        headers = {"Authorization": f"Bearer {STAFF}"}
        async with httpx.AsyncClient(base_url=f"{url}/simulator/api", headers=headers, timeout=40) as api:
            zoe: Any = (await api.post("/customers", json={"name": "Zoe"})).json()
            said: Any = (
                await api.post("/messages", json={"customer": zoe["id"], "phone_number_id": "1001", "text": "tem pão?"})
            ).json()
            chat = f"/customers/{zoe['id']}/chats/1001/messages"
            (answer,) = (await api.get(chat, params={"after": said["seq"], "wait": 30, "of": "store"})).json()
            assert answer["text"] == "você disse: tem pão?"
            assert bot.verified == 1
            schema = (await api.get(f"{url}/openapi.json")).json()
            assert "/simulator/api/behaviour" in schema["paths"]
            page = await api.get(f"{url}/simulator", follow_redirects=True)
            assert page.status_code == 200


def options(path: Path, **more: Any) -> Options:
    values: dict[str, Any] = {
        "webhook": "http://bot.example/hook", "app_secret": "a", "verify_token": "b", "access_token": "c", "data": path,
    }  # fmt: skip
    return Options(**(values | more))


@pytest.mark.parametrize("wrong", [{"app_secret": " "}, {"verify_token": ""}, {"webhook": "bot.example"}])
def test_an_option_that_cannot_work_stops_the_start(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="--"):
        SimulatorProcess(options(tmp_path, **wrong), page=False)


def test_a_number_is_read_from_its_parts() -> None:
    number = number_of("1001:Padaria:+55 11 3000-1001:700100")
    assert (number.phone_number_id, number.name, number.catalog_id) == ("1001", "Padaria", "700100")
    assert number_of("77").name == "Number 77"
    with pytest.raises(InvalidInput):
        number_of("padaria")
