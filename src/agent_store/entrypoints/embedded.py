"""The embedded store: every agent, the bus, the state, the pages and a WhatsApp simulator in one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from importlib.metadata import version
from typing import Any

import structlog
import yaml
from fastapi import FastAPI
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from agent_store.adapters.db import schema
from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.adapters.directory import FileDirectory, parse_yaml
from agent_store.adapters.http import problems
from agent_store.adapters.http.api import closed_intake, public_api, staff_api
from agent_store.adapters.http.auth import StaffAuth, login_router
from agent_store.adapters.http.contracts_server import contracts_router
from agent_store.adapters.http.edge import Gate
from agent_store.adapters.http.kept_media import kept_media_router
from agent_store.adapters.http.mcp import McpDoor
from agent_store.adapters.http.media import media_router
from agent_store.adapters.payments.bank import bank_router
from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.adapters.telemetry.observed import TracedHttp
from agent_store.adapters.telemetry.state import StateMetrics
from agent_store.adapters.telemetry.tracing import make_tracing
from agent_store.adapters.whatsapp.simulator import Simulator, numbers_of
from agent_store.adapters.whatsapp.simulator_http import simulator_router
from agent_store.agents.payments.api import router as payments_router
from agent_store.agents.seller.agent import seller
from agent_store.agents.whatsapp import intake as gateway
from agent_store.agents.whatsapp.api import webhook
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import WhatsAppSettings
from agent_store.contracts.brands import Brand
from agent_store.contracts.catalog import ImportReport
from agent_store.entrypoints import assets, catalogue
from agent_store.entrypoints.admin import draw_product
from agent_store.entrypoints.datafolder import DataLock, Secrets
from agent_store.entrypoints.media import media_settings
from agent_store.entrypoints.rooms import Rooms, all_consumers, all_names
from agent_store.entrypoints.settings import Settings
from agent_store.entrypoints.sharing import Shared, send_rates, webhook_rates
from agent_store.entrypoints.shelf import StoreShelf
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import StoreError
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tracing import Tracing

_log = structlog.get_logger("agent_store.embedded")
VERSION = version("agent-store")

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Any, Any], Awaitable[None]]


class EmbeddedStore:
    """Builds the parts, starts and stops them. `app` is the ASGI application."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        ports: dict[type[Any], object] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        settings.data.mkdir(parents=True, exist_ok=True)
        self.secrets = Secrets.load(settings.data)
        self.data = assets.folder("data")
        self.directory = FileDirectory(self.data, assets.folder("prompts"), settings.data / "brands")
        self.staff_token = settings.staff_token or self.secrets.staff_token
        self.auth = StaffAuth(self.staff_token)
        self.url = f"http://{settings.host}:{settings.port}"
        self.public_url = settings.public_url or self.url
        self.metrics = PrometheusMetrics()
        self.tracing = tracing or make_tracing(service="agent-store", version=VERSION, metrics=self.metrics)
        self.ready = False
        self.whatsapp_settings = WhatsAppSettings(
            app_secret=settings.whatsapp_app_secret or self.secrets.app_secret,
            verify_token=settings.whatsapp_verify_token or self.secrets.verify_token,
            access_token=settings.whatsapp_access_token or self.secrets.access_token,
            graph_url=settings.whatsapp_graph_url or f"{self.url}/simulator/graph",
            public_url=self.public_url,
            api_version=settings.whatsapp_api_version,
            send_timeout=settings.whatsapp_timeout,
            doubt_wait=settings.whatsapp_doubt,
            media=media_settings(settings, self.public_url),
            **webhook_rates(settings),
            **send_rates(settings),
        )
        self.shared = Shared(settings, self.metrics)
        self.simulator = self._make_simulator()
        self._rooms = Rooms(
            settings, self.clock, self.directory, self.data, self.whatsapp_settings, lambda: self.store,
            public_url=self.public_url, own_url=self.url,
            payment_secret=settings.payment_webhook_secret or self.secrets.payment_secret,
            metrics=self.metrics, tracing=self.tracing,
        )  # fmt: skip
        self.store = SqliteStore(settings.database)
        self.runtime = Runtime(
            self.store,
            all_consumers(self.directory),
            clock=self.clock,
            ports={**self.shared.ports(), **self._rooms.ports(all_names()), **(ports or {})},
            metrics=self.metrics,
            tracing=self.tracing,
            retention=settings.retention,
        )
        self._state = StateMetrics(lambda: self.store.reader, self.clock, self.metrics.registry)
        self.mcp = McpDoor(
            self.runtime.toolbox,
            Gate("mcp", staff=self.auth),
            clock=self.clock,
            name="agent-store",
            version=VERSION,
            urls=(self.url, self.public_url),
        )
        self.app = self._make_app()

    # --- parts -------------------------------------------------------------------------------------------------

    def _make_simulator(self) -> Simulator | None:
        """None when a real Graph API is set: then nothing else may speak for the numbers."""
        if self.settings.whatsapp_graph_url:
            return None
        return Simulator(
            self.settings.data / "simulator.sqlite3",
            webhook_url=f"{self.url}/webhooks/whatsapp",
            numbers=lambda: numbers_of(self.directory),
            app_secret=self.secrets.simulator_secret,
            access_token=self.whatsapp_settings.access_token,
            shelf=StoreShelf(lambda: self.runtime),
        )

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> int:
        """Recover, put in what a first start needs; ready afterwards. Returns what was taken up."""
        agents = {consumer.agent.name: consumer.agent for consumer in all_consumers(self.directory)}
        await asyncio.to_thread(
            schema.prepare_sqlite,
            self.settings.database,
            agents.values(),
            say=lambda line: _log.info("schema.migrated", what=line),
        )
        taken = await self.runtime.start()
        await self.shared.start(self.runtime)
        await catalogue.import_locations(self.runtime, self.data)
        if self.settings.sample_data:
            brands = [brand.id for brand in self.directory.brands()]
            if count := await catalogue.import_samples(self.runtime, self.data, brands):
                _log.info("sample_data.imported", products=count)
        if self.simulator is not None:
            await self.simulator.start()
        await self._rooms.start()
        self.metrics.gauge("deliveries_active", "Deliveries being handled", lambda: self.runtime.dispatcher.active)
        self.ready = True
        return taken

    async def stop(self) -> None:
        """Take nothing new, let what runs finish, close the files."""
        self.ready = False
        await self.mcp.close()
        if self.simulator is not None:
            await self.simulator.stop()
        await self.runtime.stop()
        await self.shared.close()
        await self._rooms.close()
        await self.tracing.close()

    async def accept(self, delivery: Delivery) -> None:
        await self.runtime.transact("whatsapp", lambda ctx: gateway.record(ctx, delivery))

    # --- Admin -------------------------------------------------------------------------------------------------

    async def add_brand(self, text: str) -> Brand:
        """See `adapters.http.api.Admin`: directory, seller and catalogue of a brand more, live."""
        value = parse_yaml(text, "the brand file")
        products = None
        if value.get("products"):
            from agent_store.agents.catalog.files import parse

            about: dict[str, Any] = value.get("brand") or {}
            listed: dict[str, Any] = {"brand": about.get("id"), "products": value["products"]}
            products = parse(yaml.safe_dump(listed, allow_unicode=True), "yaml")
        brand = self.directory.add(text)
        await self.runtime.add(Consumer(seller, brand.id))
        if products is not None:
            await catalogue.import_products(self.runtime, products)
        return brand

    async def import_catalog(self, text: str, form: str) -> ImportReport:
        return await catalogue.import_text(self.runtime, text, form)

    # --- HTTP --------------------------------------------------------------------------------------------------

    def _make_app(self) -> FastAPI:
        @contextlib.asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
            yield

        app = FastAPI(
            title="Agent Store",
            summary="A multi-brand shop whose sellers are AI agents.",
            version=VERSION,
            docs_url="/docs",
            redoc_url=None,
            lifespan=lifespan,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        problems.install(app)

        @app.get("/healthz", include_in_schema=False)
        async def healthz() -> dict[str, str]:
            return {"status": "alive"}

        @app.get("/readyz", include_in_schema=False)
        async def readyz() -> Response:
            fit = self.ready and self.runtime.healthy
            return JSONResponse({"status": "ready" if fit else "not ready"}, 200 if fit else 503)

        @app.get("/metrics", include_in_schema=False)
        async def metrics() -> Response:
            await self._state.refresh()
            body, kind = self.metrics.page()
            return Response(body, media_type=kind)

        @app.get("/", include_in_schema=False)
        async def home(request: Request) -> Response:
            return RedirectResponse("/simulator" if self.simulator is not None else "/docs")

        app.include_router(login_router(self.auth))
        limit = self.shared.api_limit(self.auth)
        app.include_router(public_api(self.runtime, self.directory), dependencies=limit)
        app.include_router(
            staff_api(self.runtime, self.directory, self.auth, self, self.shared.news), dependencies=limit
        )
        app.include_router(payments_router(self.runtime, callbacks=self._rooms.callbacks, payer=self._rooms.bank))
        if self._rooms.bank is not None:
            app.include_router(bank_router(self._rooms.bank, authorize=self.auth))
        app.include_router(media_router(self.runtime, self.directory, draw_product))
        app.include_router(kept_media_router(self.runtime, self._rooms.media_store(), authorize=self.auth))
        app.include_router(
            contracts_router(self.runtime.toolbox, lambda: all_consumers(self.directory), authorize=self.auth)
        )
        app.include_router(closed_intake())
        if self.simulator is not None:
            app.include_router(simulator_router(self.simulator, authorize=self.auth))
        return app


class FrontDoor:
    """The ASGI application of the process: the webhook's hot path first, everything else through FastAPI."""

    def __init__(self, store: EmbeddedStore) -> None:
        simulator = store.simulator.trusted if store.simulator is not None else None
        self._webhook: AsgiApp = webhook(
            store, store.whatsapp_settings, simulator=simulator, limiter=store.shared.limiter
        )
        self._app: AsgiApp = store.app
        self._mcp: AsgiApp = store.mcp
        tracing = store.tracing
        # Only staff goes on in a trace of their own making.
        self._door: AsgiApp = (
            TracedHttp(self._route, tracing, inherits=lambda scope: store.auth.allows_header(HTTPConnection(scope)))
            if tracing.on
            else self._route
        )

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self._door(scope, receive, send)

    async def _route(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/webhooks/whatsapp":
            await self._webhook(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/mcp":
            await self._mcp(scope, receive, send)
        else:
            await self._app(scope, receive, send)


__all__ = ["DataLock", "EmbeddedStore", "FrontDoor", "Secrets", "StoreError", "asyncio"]
