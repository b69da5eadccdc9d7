"""`agent-store serve` and `agent-store steward`: one process until SIGTERM, then a drain within the grace period."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn
import uvloop

from agent_store.adapters.directory import write_durably
from agent_store.adapters.telemetry import logs
from agent_store.entrypoints.listen import HttpServer, bind
from agent_store.entrypoints.served import ServedProcess, StewardProcess
from agent_store.entrypoints.settings import Settings, with_port

Make = Callable[[Settings], ServedProcess | StewardProcess]


async def _serve(settings: Settings, make: Make) -> None:
    listener = bind(settings.host, settings.port)
    process = make(with_port(settings, listener.getsockname()[1]))
    pages = isinstance(process, ServedProcess) and process.api
    gc.freeze()
    gc.enable()
    config = uvicorn.Config(
        process.door(), interface="asgi3", log_config=None, access_log=False,
        lifespan="auto" if pages else "off", ws="auto" if pages else "none",
        timeout_graceful_shutdown=max(1, int(settings.grace.total_seconds())),
    )  # fmt: skip
    server = HttpServer(config)
    stop = asyncio.Event()
    run_file = settings.data / "run.json"
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    stopping = asyncio.create_task(stop.wait())
    try:
        starting = asyncio.create_task(process.start())
        await asyncio.wait({starting, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            gc.collect()
            gc.freeze()
            sys.stdout.write(f"{process.service} is ready on {process.url}\n")
            sys.stdout.flush()
            if isinstance(process, ServedProcess) and pages:
                _write_run_file(run_file, process)
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
    finally:
        stopping.cancel()
        with contextlib.suppress(FileNotFoundError, ValueError):
            if json.loads(run_file.read_text("utf-8"))["pid"] == os.getpid():
                run_file.unlink()
        # What is being handled ends while requests are still answered; new ones are sent away (not ready).
        await process.stop()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


def _write_run_file(path: Path, process: ServedProcess) -> None:
    """Where the command line finds the store's API."""
    value = {"pid": os.getpid(), "url": process.url, "token": process.staff_token}
    write_durably(path, json.dumps(value), mode=0o600)


def run(settings: Settings, make: Make) -> None:
    logs.configure(settings.log_level, settings.log_format)
    uvloop.run(_serve(settings, make))
