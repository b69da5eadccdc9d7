"""A process of a store that is several: some agents, a bus, a database, HTTP.

`ServedProcess` runs agents; `StewardProcess` looks after what all of them leave (`kernel.steward`, `kernel.reconciler`,
`kernel.graveyard`). Each is one ASGI application that is live while it starts, and ready when it can do its work.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from agent_store.adapters.http.auth import StaffAuth, login_router
from agent_store.adapters.http.edge import Gate
from agent_store.adapters.http.mcp import McpDoor
from agent_store.adapters.http.tokens import Tokens
from agent_store.adapters.http.tools_client import RemoteToolbox
from agent_store.adapters.http.tools_server import tools_route
from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.adapters.telemetry.observed import ObservedBus, TracedHttp
from agent_store.adapters.telemetry.state import StateMetrics
from agent_store.adapters.telemetry.tracing import make_tracing
from agent_store.contracts.brands import Directory
from agent_store.entrypoints import assets
from agent_store.entrypoints.buses import CALLS, NoServices, keys_of, make_bus, payment_secret_of
from agent_store.entrypoints.datafolder import Secrets
from agent_store.entrypoints.directories import Directories
from agent_store.entrypoints.rooms import (
    A_BRAND_EACH,
    Rooms,
    agent_named,
    all_agents,
    all_consumers,
    all_names,
    consumers_of,
)
from agent_store.entrypoints.settings import Settings
from agent_store.entrypoints.sharing import Shared, send_rates, webhook_rates
from agent_store.kernel.agent import Agent
from agent_store.kernel.bus import Bus, DeadDelivery
from agent_store.kernel.clock import Clock, SystemClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import Conflict, InvalidInput, TemporaryError
from agent_store.kernel.graveyard import Graveyard
from agent_store.kernel.reconciler import Reconciler
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.signing import Signer
from agent_store.kernel.store import Store
from agent_store.kernel.toolbox import LocalToolbox, Toolbox

if TYPE_CHECKING:
    from fastapi import FastAPI

    from agent_store.adapters.kubernetes import ServiceAccount
    from agent_store.agents.whatsapp.ports import WhatsAppSettings

_log = structlog.get_logger("agent_store.served")
VERSION = version("agent-store")
_LISTENING_SECONDS = 10.0

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Any, Any], Awaitable[None]]


def make_store(settings: Settings, *, service: str, agents: Iterable[str]) -> Store:
    """`agents`: whose tables this process uses."""
    if not settings.database_url:
        from agent_store.adapters.db.sqlite import SqliteStore

        return SqliteStore(settings.database)
    from agent_store.adapters.db.postgres import PostgresStore

    return PostgresStore(
        settings.database_url,
        agents=agents,
        writers=(settings.database_pool + 1) // 2,
        readers=max(1, settings.database_pool // 2),
        statement_timeout=settings.database_statement_timeout,
        lock_timeout=settings.database_lock_timeout,
        roles=settings.database_roles,
        create=False,  # `agent-store migrate` does that
        application=service,
    )


async def check_schema(settings: Settings, agents: Iterable[Agent]) -> None:
    """Raises Conflict when the database is not at this program's revisions; a SQLite file is brought there."""
    from agent_store.adapters.db import schema

    found = list({agent.name: agent for agent in agents}.values())
    if settings.database_url:
        import asyncpg

        try:
            connection = await asyncpg.connect(settings.database_url, timeout=10)
            try:
                await schema.check_postgres(connection, found)
            finally:
                await connection.close(timeout=5)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise TemporaryError(f"PostgreSQL does not answer: {error}", code="database") from error
    else:
        await asyncio.to_thread(schema.prepare_sqlite, settings.database, found)


class _Process(ABC):
    """What both kinds share."""

    def __init__(
        self,
        settings: Settings,
        service: str,
        agents: Sequence[str],
        names: Sequence[str],
        clock: Clock | None,
        account: Callable[[], ServiceAccount] | None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.service = settings.service or service
        settings.data.mkdir(parents=True, exist_ok=True)
        self.secrets = Secrets.load(settings.data)
        self.data = assets.folder("data")
        self.metrics = PrometheusMetrics()
        self.directories = Directories(settings, self.metrics, names, account=account)
        self.directory: Directory = self.directories.directory
        self.services = self.directories.services
        self.tracing = make_tracing(service=self.service, version=VERSION, metrics=self.metrics)
        keys = keys_of(settings, self.secrets)
        self.signer = Signer(keys)
        self.tokens = Tokens(self.service, keys, clock=self.clock)
        self.staff_token = settings.staff_token or self.secrets.staff_token
        self.auth = StaffAuth(self.staff_token)
        self.url = f"http://{settings.host}:{settings.port}"
        self.public_url = settings.public_url or self.url
        self.store = make_store(settings, service=self.service, agents=agents)
        self._state = StateMetrics(lambda: self.store.reader, self.clock, self.metrics.registry)
        self.shared = Shared(settings, self.metrics)
        self._reconciler: Reconciler | None = None
        self._followed = 0
        """The version of the directory that this process has taken up."""
        self._following = asyncio.Lock()
        self._begun = False
        self.ready = False
        self.bus: Bus
        self.runtime: Runtime
        self._graveyard: Graveyard
        self._asgi: dict[str, AsgiApp] = {}
        """Applications of hot paths, served before any router looks."""
        self._routes = [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._page_of_metrics),
        ]
        """What every process serves, without FastAPI."""

    @property
    def _healthy(self) -> bool:
        return self.runtime.healthy and self.directories.healthy

    def _all_consumers(self) -> Sequence[Consumer]:
        """Of the whole store, at this moment."""
        return all_consumers(self.directory, self.services.consumers() if self.services is not None else ())

    def _expected(self) -> set[str]:
        """Consumers that are deployed: those of the services file, else those that some living process serves."""
        if self.services is not None:
            return set(self.services.consumers())
        return self.runtime.network.worker.served if self.runtime.network is not None else set()

    @cached_property
    def app(self) -> FastAPI:
        """All that is served besides `_asgi`, made when it is first asked for: most processes only ever hear events,
        and FastAPI's imports are a fifth of a seller's start from no pod."""
        app = self._bare_app()
        self._mount(app)
        return app

    @abstractmethod
    def _mount(self, app: FastAPI) -> None:
        """Add this process's routers."""

    def _bare_app(self) -> FastAPI:
        from fastapi import FastAPI

        from agent_store.adapters.http import problems

        @contextlib.asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
            yield

        app = FastAPI(title=f"Agent Store: {self.service}", version=VERSION, redoc_url=None, docs_url=None,
                      openapi_url=None, lifespan=lifespan)  # fmt: skip
        problems.install(app)
        app.router.routes.extend(self._routes)  # for those who ask with another method
        return app

    async def _healthz(self, _: Request) -> Response:
        """Not about the database or the broker: a restart of this process mends neither."""
        fit = not self.ready or self._healthy
        return JSONResponse({"status": "alive" if fit else "broken"}, 200 if fit else 503)

    async def _readyz(self, _: Request) -> Response:
        fit = self.ready and self._healthy
        return JSONResponse({"status": "ready" if fit else "not ready"}, 200 if fit else 503)

    async def _page_of_metrics(self, _: Request) -> Response:
        await self._state.refresh()
        body, kind = self.metrics.page()
        return Response(body, media_type=kind)

    def _observed(self, bus: Bus) -> Bus:
        """The bus with a span for each event that it takes, and with its figures."""
        if self.settings.bus == "knative":
            return ObservedBus(bus, self.tracing, self.metrics, system="knative")
        from agent_store.adapters.bus.rabbitmq import RabbitMqBus

        if isinstance(bus, RabbitMqBus):
            self.metrics.gauge("bus_connected", "1 while there is a connection to publish on", lambda: bus.connected)
        return ObservedBus(bus, self.tracing, self.metrics, system="rabbitmq")

    def door(self) -> AsgiApp:
        """What the server serves."""
        if not self.tracing.on:
            return self._route
        return TracedHttp(
            self._route, self.tracing, inherits=lambda scope: self.auth.allows_header(HTTPConnection(scope))
        )

    async def _route(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            app = self._asgi.get(path)
            if app is not None and (scope["method"] == "POST" or path not in ("/", "/events")):
                await app(scope, receive, send)
                return
            for route in self._routes:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await self.app(scope, receive, send)

    async def _keep(self, dead: DeadDelivery) -> None:
        await self._graveyard.keep(dead)

    async def _begin(self, agents: Iterable[Agent]) -> int:
        """Wait for the directory and the database (behind a Knative Broker for its tables too) for as long as it takes,
        alive and not ready; then take up what is there."""
        await self.directories.there()
        if self.directories.live:
            self.metrics.gauge("directory_brands", "Brands that are open", lambda: len(self.directory.brands()))
            self.runtime.steward.duties.append(self._follow)
        if self.settings.directory_configmap:
            self.metrics.gauge(
                "directory_watched", "1 while the API server tells of changes", lambda: self.directories.watched
            )
        pause = 0.2
        while True:
            try:
                await check_schema(self.settings, agents)
                self._begun = True
                return await self.runtime.start()
            except (TemporaryError, Conflict) as error:
                # In a cluster all is applied at once, and the migration is a Job that takes its time.
                if isinstance(error, Conflict) and not (
                    error.code == "schema-behind" and self.settings.bus == "knative"
                ):
                    raise
                _log.warning("start.delayed", service=self.service, error=error.message, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def _follow(self) -> None:
        """Take up what is new in the directory. Whoever looks a brand up asks the directory itself; this is for what
        stands in memory."""
        async with self._following:
            version = self.directories.version
            if version == self._followed:
                return
            if self._reconciler is not None:
                # Those that are no longer deployed stay known here, and are passed over: they are not expected.
                for consumer in self._all_consumers():
                    self._reconciler.consumers.setdefault(consumer.name, consumer)
            await self._follow_brands()
            self._followed = version

    @abstractmethod
    async def _follow_brands(self) -> None:
        """Take up brands that came and leave those that went, in a process that serves every brand."""

    async def _listening(self) -> None:
        """Until its queues stand, but not for long: without a broker it serves its webhooks and tools all the same."""
        try:
            async with asyncio.timeout(_LISTENING_SECONDS):
                while not self.bus.listening:  # noqa: ASYNC110  # a broker's answers to many questions
                    await asyncio.sleep(0.05)
        except TimeoutError:
            _log.warning("bus.not_listening", service=self.service, seconds=_LISTENING_SECONDS)

    def _take_duties(self) -> None:
        """The steward's, beside timers, schedules and retention."""
        network = self.runtime.network
        if network is None:
            raise InvalidInput("a steward needs a bus")
        consumers = self._all_consumers()
        for consumer in consumers:
            self.runtime.steward.add(consumer)
        self._reconciler = Reconciler(self.runtime.world, network, consumers, self.metrics, expected=self._expected)
        self.runtime.steward.duties.append(self._reconciler.tick)
        if self.settings.bus == "knative":
            from agent_store.adapters.bus.knative import DEAD_PATH, DeadLetterSink, KnativeBus

            if isinstance(self.bus, KnativeBus):
                sink: AsgiApp = DeadLetterSink(self.bus, self.services or _NoSubscribers())
                self._asgi[DEAD_PATH] = sink

    async def stop(self) -> None:
        """Take nothing new, finish what runs, hand back the rest."""
        self.ready = False
        if self._reconciler is not None:
            await self._reconciler.stop()
        await self.directories.close()
        if self._begun:
            await self.runtime.stop(grace=self.settings.grace.total_seconds())
        else:  # it has waited for the directory or the database until now
            await self.store.close()
        await self.shared.close()
        await self.tracing.close()


class ServedProcess(_Process):
    """Agents by name (`orders`, `seller/fashion`, `seller` for every brand).

    `api`: the public and the staff API and the pages as well (by default where `assistant` runs). The WhatsApp simulator
    runs with the `whatsapp` agent when no Graph API is set.
    """

    def __init__(
        self,
        settings: Settings,
        names: Sequence[str],
        *,
        api: bool | None = None,
        steward: bool = False,
        clock: Clock | None = None,
        account: Callable[[], ServiceAccount] | None = None,
    ) -> None:
        """`steward`: this process does the steward's duties too (for a store that is one process on a bus). `account`: how
        it comes in at Kubernetes' API server; by default as its pod."""
        if not names:
            raise InvalidInput("name the agents to serve, like `agent-store serve orders payments`")
        agents = list(dict.fromkeys(name.partition("/")[0] for name in (all_names() if "all" in names else names)))
        super().__init__(settings, names[0].replace("/", "-"), agents, names, clock, account)
        self._agents = [agent_named(name) for name in agents]
        self._every_brand = [agent for agent in A_BRAND_EACH if agent in names or "all" in names]
        self._named = frozenset(names)
        self.consumers = consumers_of(names, self.directory, live=self.directories.live)
        self.api = "assistant" in agents if api is None else api
        self.whatsapp_settings = self._whatsapp() if "whatsapp" in agents else None
        self._rooms = Rooms(
            settings, self.clock, self.directory, self.data, self.whatsapp_settings, lambda: self.store,
            public_url=self.public_url, own_url=self.url,
            payment_secret=payment_secret_of(settings, self.secrets),
            metrics=self.metrics, tracing=self.tracing, services=self.services,
        )  # fmt: skip
        self.bus = make_bus(settings, self.signer, self.services, self.metrics, service=self.service,
                            dead=self._keep, takes_dead=steward, clock=self.clock)  # fmt: skip
        self._remote: RemoteToolbox | None = None
        self.runtime = Runtime(
            self.store, self.consumers, clock=self.clock, ports={**self.shared.ports(), **self._rooms.ports(agents)}, metrics=self.metrics,
            tracing=self.tracing,
            retention=settings.retention, bus=self._observed(self.bus), toolbox=self._tools, keeper=steward,
        )  # fmt: skip
        self._graveyard = Graveyard(self.runtime.world, self._all_consumers, self._expected)
        self.simulator = self._simulator() if "whatsapp" in agents and not settings.whatsapp_graph_url else None
        self._routes.append(tools_route(self.runtime.toolbox, self.tokens, clock=self.clock, ready=lambda: self.ready))
        self.mcp = McpDoor(
            self.runtime.toolbox, Gate("mcp", staff=self.auth, tokens=self.tokens), clock=self.clock,
            name=self.service, version=VERSION, urls=(self.url, self.public_url),
        )  # fmt: skip
        self._asgi["/mcp"] = self.mcp
        self._take_hot_paths()
        if self.api:  # people wait for its pages, and the server tells them when it starts and ends
            _ = self.app
        if steward:
            self._take_duties()

    def _tools(self, local: LocalToolbox) -> Toolbox:
        self._remote = RemoteToolbox(
            local, self.services or NoServices(), self.tokens, metrics=self.metrics, tracing=self.tracing,
            limits=CALLS,
        )  # fmt: skip
        return self._remote

    def _whatsapp(self) -> WhatsAppSettings:
        from agent_store.agents.whatsapp.ports import WhatsAppSettings
        from agent_store.entrypoints.media import media_settings

        settings = self.settings
        return WhatsAppSettings(
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

    def _simulator(self) -> Any:
        from agent_store.adapters.whatsapp.simulator import Simulator, numbers_of
        from agent_store.entrypoints.shelf import StoreShelf

        return Simulator(
            self.settings.data / "simulator.sqlite3",
            webhook_url=f"{self.url}/webhooks/whatsapp",
            numbers=lambda: numbers_of(self.directory),
            app_secret=self.secrets.simulator_secret,
            access_token=self.secrets.access_token,
            shelf=StoreShelf(lambda: self.runtime),
        )

    # --- HTTP --------------------------------------------------------------------------------------------------

    def _take_hot_paths(self) -> None:
        if self.settings.bus == "knative":
            from agent_store.adapters.bus.knative import KnativeBus, KnativeIntake

            assert isinstance(self.bus, KnativeBus)  # noqa: S101  # the setting says so
            intake: AsgiApp = KnativeIntake(self.bus)
            self._asgi["/"] = self._asgi["/events"] = intake
        if self.whatsapp_settings is not None:
            from agent_store.agents.whatsapp.api import webhook

            trusted = self.simulator.trusted if self.simulator is not None else None
            hook: AsgiApp = webhook(self, self.whatsapp_settings, simulator=trusted, limiter=self.shared.limiter)
            self._asgi["/webhooks/whatsapp"] = hook

    def _mount(self, app: FastAPI) -> None:
        from agent_store.adapters.http.contracts_server import contracts_router

        gate = Gate("contracts", staff=self.auth, tokens=self.tokens)
        app.include_router(contracts_router(self.runtime.toolbox, lambda: self.consumers, authorize=gate))
        if self.settings.bus != "knative":
            from agent_store.adapters.http.api import closed_intake

            app.include_router(closed_intake())
        if self.simulator is not None:
            from agent_store.adapters.whatsapp.simulator_http import simulator_router

            app.include_router(simulator_router(self.simulator, authorize=self.auth))
        served = {agent.name for agent in self._agents}
        if "payments" in served:
            from agent_store.agents.payments.api import router as payments_router

            bank = self._rooms.bank
            app.include_router(payments_router(self.runtime, callbacks=self._rooms.callbacks, payer=bank))
            if bank is not None:
                from agent_store.adapters.payments.bank import bank_router

                app.include_router(bank_router(bank, authorize=self.auth))
        if "whatsapp" in served or self.api:
            from agent_store.adapters.http.kept_media import kept_media_router

            app.include_router(kept_media_router(self.runtime, self._rooms.media_store(), authorize=self.auth))
        if self.api:
            self._mount_api(app)

    def _mount_api(self, app: FastAPI) -> None:
        from agent_store.adapters.http.api import public_api, staff_api
        from agent_store.adapters.http.media import media_router
        from agent_store.console.pages import mount_pages
        from agent_store.entrypoints.admin import RemoteAdmin, draw_product

        app.include_router(login_router(self.auth))
        admin = RemoteAdmin(self.runtime, self.directory)
        limit = self.shared.api_limit(self.auth)
        app.include_router(public_api(self.runtime, self.directory), dependencies=limit)
        app.include_router(
            staff_api(self.runtime, self.directory, self.auth, admin, self.shared.news), dependencies=limit
        )
        app.include_router(media_router(self.runtime, self.directory, draw_product))
        mount_pages(
            app, self.runtime, self.directory, self.simulator,
            authorize=self.auth, storage_secret=self.secrets.page_secret, news=self.shared.news,
        )  # fmt: skip

    async def accept(self, delivery: Any) -> None:
        """A webhook's delivery, committed."""
        from agent_store.agents.whatsapp import intake as gateway

        await self.runtime.transact("whatsapp", lambda ctx: gateway.record(ctx, delivery))

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> int:
        taken = await self._begin(self._agents)
        await self._follow()
        await self.shared.start(self.runtime)
        await self._listening()
        if self.simulator is not None:
            await self.simulator.start()
        await self._rooms.start()
        self.metrics.gauge("deliveries_active", "Deliveries being handled", lambda: self.runtime.dispatcher.active)
        self.ready = True
        self.directories.watch()
        _log.info("served", service=self.service, consumers=[consumer.name for consumer in self.consumers], taken=taken)
        return taken

    async def _follow_brands(self) -> None:
        """One that has gone is served for as long as some service is said to run its consumer: events may be on their
        way to it."""
        if not self._every_brand:
            return
        open_now = {consumer.name: consumer for consumer in consumers_of(self._every_brand, self.directory)}
        stay = self._named | set(self.services.consumers() if self.services is not None else ())
        for consumer in list(self.consumers):
            if consumer.brand is not None and consumer.name not in open_now and consumer.name not in stay:
                await self.runtime.remove(consumer.name)
                self.consumers.remove(consumer)
                _log.info("brand.left", service=self.service, consumer=consumer.name)
        known = {consumer.name for consumer in self.consumers}
        for name, consumer in open_now.items():
            if name not in known:
                await self.runtime.add(consumer)
                self.consumers.append(consumer)
                _log.info("brand.came", service=self.service, consumer=name)

    async def stop(self) -> None:
        self.ready = False
        if self.simulator is not None:
            await self.simulator.stop()
        await self.mcp.close()
        await super().stop()
        if self._remote is not None:
            self._remote.close()
        await self._rooms.close()


class StewardProcess(_Process):
    """The small process that is always on: timers, schedules, retention, what others left unpublished or lost, the
    broker's dead letters."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, account: Callable[[], ServiceAccount] | None = None
    ) -> None:
        super().__init__(settings, "steward", all_names(), (), clock, account)
        self.bus = make_bus(settings, self.signer, self.services, self.metrics, service=self.service,
                            dead=self._keep, takes_dead=True, clock=self.clock)  # fmt: skip
        self.runtime = Runtime(
            self.store, [], clock=self.clock, metrics=self.metrics, tracing=self.tracing,
            retention=settings.retention, bus=self._observed(self.bus), keeper=True,
        )  # fmt: skip
        self._graveyard = Graveyard(self.runtime.world, self._all_consumers, self._expected)
        self._take_duties()

    def _mount(self, app: FastAPI) -> None:
        from agent_store.adapters.http.dead import dead_api

        app.include_router(dead_api(self.runtime, self.auth))

    async def _follow_brands(self) -> None:
        """It serves none."""

    async def start(self) -> int:
        taken = await self._begin(all_agents())
        self.ready = True
        self.directories.watch()
        return taken


class _NoSubscribers:
    def at(self, url: str) -> None:
        return None
