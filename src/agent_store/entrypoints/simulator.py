"""`agent-store simulator`: the simulated WhatsApp Cloud API for a bot of somebody else's, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.responses import RedirectResponse

from agent_store.adapters.http import problems
from agent_store.adapters.http.auth import StaffAuth, login_router
from agent_store.adapters.telemetry import logs
from agent_store.adapters.whatsapp.simulator import Simulator
from agent_store.adapters.whatsapp.simulator_http import simulator_router
from agent_store.agents.whatsapp.phone import ShopNumber
from agent_store.contracts.brands import Brand, SharedNumber
from agent_store.entrypoints.datafolder import DataLock
from agent_store.entrypoints.listen import HttpServer, bind
from agent_store.kernel.errors import InvalidInput, PermanentError, TemporaryError

_log = structlog.get_logger("agent_store.simulator")
_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True)
class Options:
    webhook: str
    """The bot's webhook, which takes GET (handshake) and POST."""
    app_secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    access_token: str = field(repr=False)
    """With which the bot calls the Graph side."""
    staff_token: str = field(default="", repr=False)
    """For the REST API and the page; made up when empty."""
    numbers: Sequence[ShopNumber] = ()
    host: str = "127.0.0.1"
    port: int = 8090
    data: Path = Path("var-simulator")


def number_of(text: str) -> ShopNumber:
    """`ID`, `ID:NAME` or `ID:NAME:PHONE[:CATALOG]`."""
    id, _, rest = text.partition(":")
    name, _, rest = rest.partition(":")
    phone, _, catalog = rest.partition(":")
    if not id.isdecimal():
        raise InvalidInput(f"a number is ID:NAME:PHONE with a phone number id of digits, not {text[:60]!r}")
    return ShopNumber(id, name or f"Number {id}", display_phone=phone, catalog_id=catalog)


class NoBrands:
    """The page's directory: numbers of a bot belong to no brand."""

    shared = SharedNumber()

    def brands(self) -> Sequence[Brand]:
        return ()

    def brand(self, brand_id: str) -> Brand | None:
        return None

    def by_number(self, phone_number_id: str) -> Brand | None:
        return None

    def is_known(self, phone_number_id: str) -> bool:
        return False

    def house_prompt(self) -> str:
        return ""


class SimulatorProcess:
    """REST, Graph side and page on one application. `start` verifies the bot's webhook, as often as it takes."""

    def __init__(self, options: Options, *, page: bool = True) -> None:
        for value, name in (
            (options.app_secret, "--app-secret"),
            (options.verify_token, "--verify-token"),
            (options.access_token, "--access-token"),
        ):
            if not value.strip():
                raise InvalidInput(f"{name} is empty")
        if not options.webhook.startswith(("http://", "https://")):
            raise InvalidInput(f"--webhook is an http(s) URL, not {options.webhook[:60]!r}")
        options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._options = options
        self.staff_token = options.staff_token or secrets.token_urlsafe(24)
        self.simulator = Simulator(
            options.data / "simulator.sqlite3",
            webhook_url=options.webhook,
            numbers=lambda: options.numbers,
            app_secret=options.app_secret,
            access_token=options.access_token,
            own_templates=False,
        )
        self.app = self._make_app(page)

    def _make_app(self, page: bool) -> FastAPI:
        auth = StaffAuth(self.staff_token)

        @contextlib.asynccontextmanager
        async def life(_: FastAPI) -> AsyncGenerator[None]:
            verifying = asyncio.create_task(self.run(), name="simulator handshake")
            try:
                yield
            finally:
                verifying.cancel()
                await asyncio.gather(verifying, return_exceptions=True)
                await self.simulator.stop()

        app = FastAPI(
            title="WhatsApp Cloud API simulator",
            summary="Phones over REST, and the Graph API that your bot calls.",
            docs_url="/docs",
            redoc_url=None,
            lifespan=life,
        )
        problems.install(app)

        @app.get("/", include_in_schema=False)
        async def home() -> RedirectResponse:
            return RedirectResponse("/simulator" if page else "/docs")

        app.include_router(login_router(auth))
        app.include_router(simulator_router(self.simulator, authorize=auth))
        if page:
            from nicegui import ui

            from agent_store.console.simulator import register_simulator_page

            register_simulator_page(self.simulator, NoBrands(), authorize=auth)
            cast("Any", ui).run_with(
                app, title="WhatsApp simulator", storage_secret=self.staff_token, show_welcome_message=False
            )
        return app

    async def run(self) -> None:
        """Verify, then deliver. An answer that is not the challenge is the bot's fault and told, and tried again."""
        pause = _PAUSE
        while True:
            try:
                await self.simulator.hub.deliveries.verify(self._options.verify_token)
            except TemporaryError as error:
                _log.warning("simulator.webhook.unverified", reason=error.message, again_in=pause)
            except PermanentError as error:
                _log.error("simulator.webhook.refused", reason=error.message, again_in=pause)
            else:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        _log.info("simulator.webhook.verified", url=self._options.webhook)
        await self.simulator.start()


def banner(process: SimulatorProcess, options: Options, url: str) -> str:
    numbers = ", ".join(f"{one.phone_number_id} ({one.name})" for one in options.numbers)
    return "\n".join([
        "",
        f"  WhatsApp simulator on {url}, for the bot at {options.webhook}",
        "",
        f"  Phones               {url}/login?token={process.staff_token}&to=/simulator",
        f"  REST API             {url}/docs    (Authorization: Bearer {process.staff_token})",
        f"  Graph URL of the bot {url}/simulator/graph    (instead of https://graph.facebook.com)",
        f"  Numbers              {numbers}",
        "",
        "  Stop with Ctrl-C; chats and undelivered webhooks are kept.",
        "",
    ])  # fmt: skip


class _Server(HttpServer):
    """Says where it is once it answers."""

    banner = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(self.banner + "\n")
            sys.stdout.flush()


async def serve(options: Options) -> None:
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = DataLock(options.data)
    try:
        listener = bind(options.host, options.port)
        process = SimulatorProcess(options)
        server = _Server(uvicorn.Config(process.app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
        loop = asyncio.get_running_loop()

        def stop() -> None:
            server.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        host = f"[{options.host}]" if ":" in options.host else options.host
        server.banner = banner(process, options, f"http://{host}:{listener.getsockname()[1]}")
        await server.serve(sockets=[listener])
        listener.close()
    finally:
        lock.release()


def run(options: Options, level: str = "info", form: str = "auto") -> None:
    logs.configure(level, form)
    asyncio.run(serve(options))
