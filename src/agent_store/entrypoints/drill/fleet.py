"""The processes of a drill: one embedded store, or a store of several with RabbitMQ, PostgreSQL and Redis of its own.

Every process of the store may have replicas; callers reach them through a balancer, as through a Kubernetes Service.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml

from agent_store.adapters.directory import FileDirectory
from agent_store.entrypoints import assets
from agent_store.entrypoints.datafolder import Secrets
from agent_store.entrypoints.drill.state import PostgresState, SqliteState, State
from agent_store.entrypoints.programs import Absent, Postgres, Program, RabbitMQ, Redis, free_port
from agent_store.entrypoints.proxy import FaultProxy
from agent_store.entrypoints.rooms import AGENTS, consumers_of, filters_of
from agent_store.kernel.errors import TemporaryError

Mode = Literal["embedded", "rabbitmq", "knative"]

GROUPS: Mapping[str, Sequence[str]] = {
    "whatsapp-gateway": ("whatsapp",),
    "session-sync": ("conversations", "assistant"),
    "product-catalog": ("catalog", "inventory", "pricing"),
    "order-processor": ("cart", "orders", "payments", "fulfillment"),
    "ai-seller-fashion": ("seller/fashion",),
}
BRAND = "fashion"


class StoreProcess(Program):
    """One process of the store. `name` is its service's."""

    patience = 60.0

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        super().__init__()
        self._arguments = arguments
        self.settings = environment

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        main = "from agent_store.entrypoints.cli import main; main()"
        return [sys.executable, "-c", main, *self._arguments, "--port", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        return self.settings

    async def ready(self) -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Balancer:
    """Connections to one port go to replicas in turn, to the next one where a replica does not take it."""

    def __init__(self, replicas: Sequence[StoreProcess]) -> None:
        self.port = free_port()
        self._replicas = list(replicas)
        self._turn = itertools.count()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            first = next(self._turn)
            for step in range(len(self._replicas)):
                replica = self._replicas[(first + step) % len(self._replicas)]
                try:
                    onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", replica.port)
                except OSError:
                    continue
                await asyncio.gather(_pipe(reader, onward_writer), _pipe(onward_reader, writer))
                return
        finally:
            self._open.discard(writer)
            writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side closes: then the other one is closed too."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class Fleet:
    """`replicas` of each process of the store. `proxied`: what the processes reach only through a `FaultProxy`
    (`postgres`, `rabbitmq`)."""

    def __init__(
        self,
        mode: Mode,
        data: Path,
        *,
        replicas: int = 1,
        proxied: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.mode, self.data = mode, data
        self.secrets = Secrets.load(data)
        self._replicas = replicas
        self._extra = dict(environment or {})
        self._proxied = proxied
        self._stack = contextlib.AsyncExitStack()
        self.processes: dict[str, list[StoreProcess]] = {}
        self.balancers: dict[str, Balancer] = {}
        self.proxies: dict[str, FaultProxy] = {}
        self.rabbitmq: RabbitMQ | None = None
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None
        self.broker: Any = None
        self._http = httpx.AsyncClient(trust_env=False, timeout=60)
        self.number = self._directory().brand(BRAND).phone_number_ids[0]  # type: ignore[union-attr]  # a brand of the samples

    def _directory(self) -> FileDirectory:
        return FileDirectory(assets.folder("data"), assets.folder("prompts"), self.data / "brands")

    # --- life --------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for replicas in self.processes.values():
            for process in replicas:
                process.resume()
                process.clean()
        for balancer in self.balancers.values():
            await balancer.stop()
        await self._http.aclose()
        await self._stack.aclose()

    @property
    def webhook(self) -> str:
        name = "store" if self.mode == "embedded" else "whatsapp-gateway"
        return f"{self.balancers[name].url}/webhooks/whatsapp"

    @property
    def api(self) -> str:
        return self.balancers["store" if self.mode == "embedded" else "session-sync"].url

    @property
    def state(self) -> State:
        if self.postgres is None:
            return SqliteState(self.data / "store.sqlite3")
        return PostgresState(self.postgres.url, ["kernel", *AGENTS])

    def plan(self) -> None:
        """Say where everything will be, before anything runs."""
        names = ["store"] if self.mode == "embedded" else [*GROUPS, "steward"]
        for name in names:
            # One embedded store a data folder; of the others as many as wanted.
            count = 1 if self.mode == "embedded" else self._replicas
            self.processes[name] = [StoreProcess(name, self._arguments(name), {}) for _ in range(count)]
            self.balancers[name] = Balancer(self.processes[name])

    def _arguments(self, name: str) -> Sequence[str]:
        if name == "store":
            return ["up"]
        if name == "steward":
            return ["steward"]
        return ["serve", *GROUPS[name], "--service", name]

    async def start(self, graph_url: str) -> None:
        """Programs, schema, processes, sample catalogue; returns when the store answers."""
        for balancer in self.balancers.values():
            await balancer.start()
        environment = {
            "AGENT_STORE_DATA": str(self.data),
            "AGENT_STORE_WHATSAPP_GRAPH_URL": graph_url,
            "AGENT_STORE_LOG_FORMAT": "json",
            "AGENT_STORE_BURST_WINDOW": "0.2",
            "AGENT_STORE_SAMPLE_DATA": "no",
            "AGENT_STORE_PUBLIC_URL": self.api,
            **self._extra,
        }
        if self.mode != "embedded":
            environment |= await self._start_programs()
        for replicas in self.processes.values():
            for process in replicas:
                process.settings = environment
        await self.revive()
        await self._furnish()

    async def _start_programs(self) -> dict[str, str]:
        self.postgres = await self._stack.enter_async_context(Postgres())
        self.rabbitmq = await self._stack.enter_async_context(RabbitMQ())
        found = {
            "AGENT_STORE_DATABASE_URL": await self._through("postgres", self.postgres.url, self.postgres.port),
            "AGENT_STORE_BUS": await self._through("rabbitmq", self.rabbitmq.url, self.rabbitmq.port),
            "AGENT_STORE_SERVICES": str(self._write_services()),
        }
        with contextlib.suppress(Absent):
            self.redis = await self._stack.enter_async_context(Redis())
            found["AGENT_STORE_REDIS_URL"] = self.redis.url
        await self._migrate()
        if self.mode == "knative":
            found |= await self._start_broker()
        return found

    async def _through(self, name: str, url: str, port: int) -> str:
        if name not in self._proxied:
            return url
        proxy = self.proxies[name] = await self._stack.enter_async_context(FaultProxy("127.0.0.1", port))
        return url.replace(f":{port}/", f":{proxy.port}/")

    def _write_services(self) -> Path:
        services = {
            name: {"url": self.balancers[name].url, "consumers": list(consumers)} for name, consumers in GROUPS.items()
        }
        path = self.data / "services.yaml"
        path.write_text(yaml.safe_dump({"services": services}), "utf-8")
        return path

    async def _migrate(self) -> None:
        if self.postgres is None:
            raise TemporaryError("no database runs")
        main = "from agent_store.entrypoints.cli import main; main()"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", main, "migrate", "--database", self.postgres.url,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={**os.environ},
        )  # fmt: skip
        _, said = await process.communicate()
        if process.returncode:
            raise TemporaryError(f"the migration failed: {said.decode()[-2000:]}")

    async def _start_broker(self) -> dict[str, str]:
        from agent_store.entrypoints.programs_knative import KnativeBroker, programs_folder

        if self.rabbitmq is None:
            raise TemporaryError("no RabbitMQ runs")
        sink = f"{self.balancers['steward'].url}/dead-letters"
        self.broker = await self._stack.enter_async_context(
            KnativeBroker(self.rabbitmq.url, programs_folder(), dead_letter_sink=sink)
        )
        for name, consumers in GROUPS.items():
            for position, wanted in enumerate(filters_of(consumers_of(consumers, self._directory()))):
                await self.broker.add_trigger(
                    f"{name}-{position}",
                    wanted,
                    self.balancers[name].url,
                    parallelism=20,
                    timeout=timedelta(seconds=100),
                )
        return {"AGENT_STORE_BUS": "knative", "K_SINK": self.broker.ingress_url}

    async def _furnish(self) -> None:
        """Locations and the brand's sample catalogue, until its prices and stock are in."""
        headers = {"Authorization": f"Bearer {self.secrets.staff_token}"}
        locations = yaml.safe_load((assets.folder("data") / "locations.yaml").read_text("utf-8"))["locations"]
        answer = await self._http.post(
            f"{self.api}/api/tools/inventory.import_locations", json={"locations": locations}, headers=headers
        )
        if answer.status_code != 200:
            raise TemporaryError(f"the locations are not taken: {answer.status_code} {answer.text[:500]}")
        products = (assets.folder("data") / f"{BRAND}.yaml").read_bytes()
        answer = await self._http.post(f"{self.api}/api/catalog/import?form=yaml", content=products, headers=headers)
        if answer.status_code != 200:
            raise TemporaryError(f"the catalogue is not taken: {answer.status_code} {answer.text[:500]}")
        await self.until_quiet(180)

    async def until_quiet(self, seconds: float) -> bool:
        """Until nothing is open, unpublished or due, as the database shows it, twice in a row. False when it is not."""
        deadline = time.monotonic() + seconds
        quiet = 0
        while time.monotonic() < deadline:
            quiet = quiet + 1 if await self._quiet() else 0
            if quiet == 3:
                return True
            await asyncio.sleep(0.3)
        return False

    async def _quiet(self) -> bool:
        soon = "EXTRACT(EPOCH FROM due_at)" if self.postgres is not None else "due_at / 1000000.0"
        queries = (
            "SELECT COUNT(*) AS n FROM kernel_inbox WHERE state NOT IN ('done', 'dead')",
            "SELECT COUNT(*) AS n FROM kernel_outbox WHERE NOT published",
            f"SELECT COUNT(*) AS n FROM kernel_timers WHERE {soon} < {time.time() + 5}",  # noqa: S608  # numbers of our own
            "SELECT COUNT(*) AS n FROM whatsapp_sends WHERE state IN ('queued', 'attempting', 'doubtful')",
            "SELECT COUNT(*) AS n FROM conversations_conversations WHERE answered < turn AND speaker = 'bot'",
        )
        for query in queries:
            rows = await self.state.rows(query)
            if rows[0]["n"]:
                return False
        return True

    # --- faults ------------------------------------------------------------------------------------------------

    def any_of(self, name: str) -> StoreProcess:
        """The first replica of a service that lives, else the first."""
        replicas = self.processes[name]
        return next((process for process in replicas if process.lives), replicas[0])

    async def revive(self) -> None:
        """Start what is dead, as Kubernetes would."""
        dead = [process for replicas in self.processes.values() for process in replicas if not process.lives]
        await asyncio.gather(*(process.start() for process in dead))

    def logs(self) -> str:
        return "\n".join(
            json.dumps({"service": name, "log": process.log[-3000:]})
            for name, all_ in self.processes.items()
            for process in all_
        )
