"""A real browser, and pages served by processes of their own (NiceGUI's routes are global to a process)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.bench.common import free_port
from tests.support.components import need

ARGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
]  # fmt: skip

# These tests ask what is shown, never how soon; a busy machine may take its time.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = need("chromium")
    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=path, args=ARGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., str]]:
    """`serve("tests.browser.some_server", *arguments)` runs it with a free port first; gives its address once it answers."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> str:
        port = free_port()
        process = subprocess.Popen([sys.executable, "-m", module, str(port), *arguments], cwd=Path(__file__).parents[2])
        processes.append(process)
        address = f"http://127.0.0.1:{port}"
        while True:
            assert process.poll() is None, "the server ended"
            try:
                httpx.get(f"{address}/openapi.json")
                return address
            except httpx.TransportError:
                time.sleep(0.1)  # it starts in a process of its own: nothing else tells

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)
