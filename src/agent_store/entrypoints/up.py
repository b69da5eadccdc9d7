"""`agent-store up`: the whole store in this process, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from pathlib import Path

import uvicorn
import uvloop

from agent_store.adapters.directory import write_durably
from agent_store.adapters.telemetry import logs
from agent_store.console.pages import mount_pages
from agent_store.entrypoints.embedded import DataLock, EmbeddedStore, FrontDoor
from agent_store.entrypoints.listen import HttpServer, bind
from agent_store.entrypoints.settings import Settings, with_port


def banner(store: EmbeddedStore) -> str:
    url, token = store.url, store.staff_token
    lines = [
        "",
        f"  Agent Store is ready on {url}",
        "",
    ]
    if store.simulator is not None:
        lines += [
            f"  WhatsApp simulator   {url}/login?token={token}&to=/simulator",
            f"  Human sellers' queue {url}/login?token={token}&to=/escalations",
        ]
    lines += [
        f"  API docs             {url}/docs",
        f"  Metrics              {url}/metrics",
        f"  Staff token          {token}",
        "",
    ]
    if store.simulator is not None:
        lines += [
            '  First words: open the simulator, pick a brand and write "Oi, quero um vestido vermelho até 300 reais",',
            "  or in another terminal: .venv/bin/agent-store chat    (a walk through it all: agent-store demo)",
        ]
    return "\n".join([*lines, "  Stop with Ctrl-C; the next start goes on where this one was.", ""])


async def serve(settings: Settings) -> None:
    lock = DataLock(settings.data)
    listener = bind(settings.host, settings.port)
    settings = with_port(settings, listener.getsockname()[1])
    store = EmbeddedStore(settings)
    mount_pages(
        store.app, store.runtime, store.directory, store.simulator,
        authorize=store.auth, storage_secret=store.secrets.page_secret, news=store.shared.news,
    )  # fmt: skip
    gc.freeze()
    gc.enable()
    config = uvicorn.Config(
        FrontDoor(store), interface="asgi3", log_config=None, access_log=False, timeout_graceful_shutdown=5
    )
    server = HttpServer(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    run_file = settings.data / "run.json"
    try:
        await store.start()
        # What is there now stays for good: the collector need not walk it again.
        gc.collect()
        gc.freeze()
        write_durably(
            run_file, json.dumps({"pid": os.getpid(), "url": store.url, "token": store.staff_token}), mode=0o600
        )
        sys.stdout.write(banner(store) + "\n")
        sys.stdout.flush()
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
    finally:
        with contextlib.suppress(FileNotFoundError):
            run_file.unlink()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        await store.stop()
        listener.close()
        lock.release()


def run(settings: Settings) -> None:
    logs.configure(settings.log_level, settings.log_format)
    uvloop.run(serve(settings))
    sys.stdout.write("Stopped; nothing is lost.\n")


__all__ = ["Path", "banner", "bind", "run", "serve"]
