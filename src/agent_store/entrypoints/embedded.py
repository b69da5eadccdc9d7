"""The embedded store: every agent, the bus, the state, the pages and a WhatsApp simulator in one process."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
import yaml
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.adapters.directory import FileDirectory, parse_yaml, read_yaml, write_durably
from agent_store.adapters.http import problems
from agent_store.adapters.http.api import closed_intake, public_api, staff_api
from agent_store.adapters.http.auth import COOKIE, StaffAuth, Unauthorized
from agent_store.adapters.http.media import media_router
from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.adapters.whatsapp.graph import GraphClient
from agent_store.adapters.whatsapp.simulator import Simulator, numbers_of, simulator_router
from agent_store.agents.assistant.agent import assistant
from agent_store.agents.cart.agent import cart
from agent_store.agents.cart.settings import CartSettings
from agent_store.agents.catalog.agent import catalog
from agent_store.agents.catalog.pictures import draw
from agent_store.agents.conversations.agent import conversations
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.fulfillment.agent import fulfillment
from agent_store.agents.fulfillment.model import ShippingTable
from agent_store.agents.fulfillment.service import FulfillmentSettings
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.service import InventorySettings
from agent_store.agents.orders.agent import orders
from agent_store.agents.orders.settings import OrdersSettings
from agent_store.agents.payments.agent import payments
from agent_store.agents.payments.api import router as payments_router
from agent_store.agents.payments.ports import PaymentProvider
from agent_store.agents.payments.settings import PaymentsSettings
from agent_store.agents.pricing.agent import pricing
from agent_store.agents.seller.agent import seller
from agent_store.agents.seller.service import SellerBrains
from agent_store.agents.seller.settings import SellerSettings
from agent_store.agents.whatsapp import service as gateway
from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.agents.whatsapp.api import webhook
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import WhatsAppApi, WhatsAppSettings
from agent_store.contracts.brands import Brand, Directory
from agent_store.contracts.catalog import ImportReport, ProductView
from agent_store.entrypoints import assets, catalogue
from agent_store.entrypoints.brains import make_brain
from agent_store.entrypoints.settings import Settings
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import Conflict, StoreError
from agent_store.kernel.runtime import Runtime

_log = structlog.get_logger("agent_store.embedded")

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the embedded store makes up once and keeps in `<data>/secrets.json` (mode 0600)."""

    staff_token: str
    app_secret: str
    verify_token: str
    access_token: str
    simulator_secret: str
    page_secret: str

    @classmethod
    def load(cls, folder: Path) -> Secrets:
        path = folder / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        values = {name: known.get(name) or secrets.token_urlsafe(24) for name in cls.__slots__}
        if values != known:
            write_durably(path, json.dumps(values, indent=2), mode=0o600)
        return cls(**values)


class DataLock:
    """One store a data folder: a second one is refused with a sentence."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise Conflict(f"another store runs on {folder}: stop it, or give this one another --data") from None

    def release(self) -> None:
        self._file.close()


class EmbeddedStore:
    """Builds the parts, starts and stops them. `app` is the ASGI application."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, ports: dict[type[Any], object] | None = None
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
        )
        self.graph = GraphClient(self.whatsapp_settings)
        self.simulator = self._make_simulator()
        self.brains = self._make_brains()
        self._provider = MockPaymentProvider(self.clock, settings.data / "payments.sqlite3")
        self.store = SqliteStore(settings.database)
        self.runtime = Runtime(
            self.store,
            self._consumers(),
            clock=self.clock,
            ports={**self._ports(), **(ports or {})},
            metrics=self.metrics,
            retention=settings.retention,
        )
        self.app = self._make_app()

    # --- parts -------------------------------------------------------------------------------------------------

    def _consumers(self) -> list[Consumer]:
        agents = [whatsapp, conversations, assistant, catalog, inventory, pricing, cart, orders, payments, fulfillment]
        return [
            *(Consumer(agent) for agent in agents),
            *(Consumer(seller, brand.id) for brand in self.directory.brands()),
        ]

    def _make_brains(self) -> SellerBrains:
        from agent_store.adapters.brains.rules import RulesBrain

        rules = RulesBrain()
        return SellerBrains(main=rules if self.settings.brain == "rules" else make_brain(self.settings), rules=rules)

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
        )

    def _ports(self) -> dict[type[Any], object]:
        settings = self.settings
        shipping = dict(read_yaml(self.data / "shipping.yaml"))
        return {
            Directory: self.directory,
            WhatsAppSettings: self.whatsapp_settings,
            WhatsAppApi: self.graph,
            ConversationsSettings: ConversationsSettings(
                burst_window=settings.burst_window,
                burst_max=max(settings.burst_max, settings.burst_window),
                turn_limit=settings.turn_limit + timedelta(seconds=30),
                test_mode=settings.payment_test_mode,
            ),
            SellerBrains: self.brains,
            SellerSettings: SellerSettings(
                max_steps=settings.turn_steps,
                max_tokens=settings.turn_tokens,
                turn_time=settings.turn_limit,
                think_time=settings.model_timeout,
            ),
            CartSettings: CartSettings(),
            OrdersSettings: OrdersSettings(payment_window=settings.payment_window),
            PaymentsSettings: PaymentsSettings(public_url=self.public_url),
            PaymentProvider: self._provider,
            ShippingTable: ShippingTable.from_dict(shipping),
            FulfillmentSettings: FulfillmentSettings(),
            InventorySettings: InventorySettings(),
        }

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> int:
        """Recover, put in what a first start needs; ready afterwards. Returns what was taken up."""
        taken = await self.runtime.start()
        await catalogue.import_locations(self.runtime, self.data)
        if self.settings.sample_data:
            brands = [brand.id for brand in self.directory.brands()]
            if count := await catalogue.import_samples(self.runtime, self.data, brands):
                _log.info("sample_data.imported", products=count)
        if self.simulator is not None:
            await self.simulator.start()
        self.metrics.gauge("deliveries_active", "Deliveries being handled", lambda: self.runtime.dispatcher.active)
        self.ready = True
        return taken

    async def stop(self) -> None:
        """Take nothing new, let what runs finish, close the files."""
        self.ready = False
        if self.simulator is not None:
            await self.simulator.stop()
        await self.runtime.stop()
        await self.graph.close()
        await self.brains.main.close()
        await self.brains.rules.close()
        self._provider.close()

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
            version="0.1.0",
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
            body, kind = self.metrics.page()
            return Response(body, media_type=kind)

        @app.get("/", include_in_schema=False)
        async def home(request: Request) -> Response:
            return RedirectResponse("/simulator" if self.simulator is not None else "/docs")

        @app.get("/login", include_in_schema=False)
        async def login(request: Request, token: str, to: str = "/") -> Response:
            """Turns the token in a printed address into a cookie, so that it does not stay in the address bar."""
            if not self.auth.is_token(token):
                raise Unauthorized("this token is not the staff token; `agent-store up` prints the right one")
            target = to if re.fullmatch(r"/[\w./-]*", to) and not to.startswith("//") else "/"
            answer = RedirectResponse(target, 303)
            answer.set_cookie(COOKIE, self.auth.cookie_value, httponly=True, samesite="lax", max_age=30 * 86400)
            return answer

        app.include_router(public_api(self.runtime, self.directory))
        app.include_router(staff_api(self.runtime, self.directory, self.auth, self))
        app.include_router(payments_router(self.runtime))
        app.include_router(media_router(self.runtime, self.directory, _draw))
        app.include_router(closed_intake())
        if self.simulator is not None:
            app.include_router(simulator_router(self.simulator, authorize=self.auth))
        return app


def _draw(product: ProductView, theme: str) -> str:
    return draw(
        shape=product.picture.get("shape", ""),
        color=product.picture.get("color", theme),
        name=product.name,
        seed=product.id,
        theme=theme,
    )


class FrontDoor:
    """The ASGI application of the process: the webhook's hot path first, everything else through FastAPI."""

    def __init__(self, store: EmbeddedStore) -> None:
        simulator = store.simulator.trusted if store.simulator is not None else None
        self._webhook: AsgiApp = webhook(store, store.whatsapp_settings, simulator=simulator)
        self._app: AsgiApp = store.app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/webhooks/whatsapp":
            await self._webhook(scope, receive, send)
        else:
            await self._app(scope, receive, send)


__all__ = ["DataLock", "EmbeddedStore", "FrontDoor", "Secrets", "StoreError", "asyncio"]
