"""The gateway alone, as it is deployed: webhook, inbox, outbox. Run: python -m tests.bench.gateway PORT FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
import uvloop

from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.adapters.directory import FileDirectory
from agent_store.agents.whatsapp import intake
from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.agents.whatsapp.api import webhook
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import WhatsAppSettings
from agent_store.contracts.brands import Directory
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.runtime import Runtime
from tests.bench.common import ROOT


async def main(port: int, folder: Path) -> None:
    settings = WhatsAppSettings(
        app_secret="bench",
        verify_token="bench",
        access_token="bench",
        graph_url="http://127.0.0.1:9",
        public_url="http://127.0.0.1:8080",
    )
    directory = FileDirectory(ROOT / "data", ROOT / "prompts")
    runtime = Runtime(
        SqliteStore(folder / "gateway.sqlite3"),
        [Consumer(whatsapp)],
        ports={Directory: directory, WhatsAppSettings: settings},
    )
    await runtime.start()

    class Intake:
        async def accept(self, delivery: Delivery) -> None:
            await runtime.transact("whatsapp", lambda ctx: intake.record(ctx, delivery))

    config = uvicorn.Config(
        webhook(Intake(), settings), host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off"
    )
    await uvicorn.Server(config).serve()
    await runtime.stop()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2])))
