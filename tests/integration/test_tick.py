"""`agent-store tick` as a CronJob runs it: over RabbitMQ, and to a Knative Broker's address."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.entrypoints.programs import RabbitMQ
from agent_store.kernel.signing import ATTRIBUTE, Signer
from agent_store.kernel.steward import tick_of
from tests.support.remote import serving


async def command(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_STORE_")}
    kept |= {"AGENT_STORE_DATA": str(tmp_path), "AGENT_STORE_KEYS": "one:a-secret-of-the-tests", **environment}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("agent-store"), "tick", *arguments, env=kept,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_broker_behind_an_address_gets_the_signed_tick_of_the_planned_time(tmp_path: Path) -> None:
    taken: list[dict[str, str]] = []

    async def broker(scope: Any, receive: Any, send: Any) -> None:
        taken.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(broker) as url:
        runs = [
            await command(tmp_path, "whatsapp.tidy_strays", AGENT_STORE_BUS="knative", K_SINK=url) for _ in range(2)
        ]
    schedule = whatsapp.schedules["tidy_strays"]
    signer = Signer([("one", b"a-secret-of-the-tests")])
    for (code, said), headers in zip(runs, taken, strict=True):
        assert code == 0, said
        tick = tick_of(whatsapp, schedule, datetime.fromisoformat(said.split(" of ")[1].strip()))
        assert (headers["ce-id"], headers["ce-source"], headers["ce-type"]) == (tick.id, tick.source, tick.type)
        assert headers["ce-topic"] == "schedule"
        assert headers[f"ce-{ATTRIBUTE}"] == signer.signature(tick)


async def test_over_rabbitmq_all_schedules_are_posted(tmp_path: Path, rabbitmq: RabbitMQ) -> None:
    code, said = await command(tmp_path, "--bus", rabbitmq.url, "--wait", "60")
    assert code == 0, said
    assert "store.schedule.whatsapp.tidy_strays of " in said
