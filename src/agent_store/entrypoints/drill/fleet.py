"""A drill's store: one embedded process, or several with RabbitMQ, PostgreSQL and Redis of their own.

Every process of the store may have replicas; callers reach them through a balancer, as through a Kubernetes Service.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import httpx
import yaml

from agent_store.adapters.directory import FileDirectory
from agent_store.entrypoints import assets
from agent_store.entrypoints.datafolder import Secrets
from agent_store.entrypoints.drill.processes import MAIN, Balancer, StoreProcess, own_environment
from agent_store.entrypoints.drill.state import PostgresState, SqliteState, State
from agent_store.entrypoints.programs import Absent, Postgres, Program, RabbitMQ, Redis
from agent_store.entrypoints.proxy import FaultProxy
from agent_store.entrypoints.rooms import AGENTS, consumers_of, heard_by
from agent_store.kernel.agent import TICK_TOPIC
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import InvalidInput, TemporaryError
from agent_store.kube.derived import filters_of

if TYPE_CHECKING:
    from agent_store.entrypoints.programs_knative import KnativeBroker

P = TypeVar("P", bound=Program)
Mode = Literal["embedded", "rabbitmq", "knative"]
Link = Literal["postgres", "rabbitmq", "tools", "graph", "ingress", "triggers"]
LINKS: Mapping[Mode, tuple[Link, ...]] = {
    "embedded": ("graph",),
    "rabbitmq": ("postgres", "rabbitmq", "tools", "graph"),
    "knative": ("postgres", "tools", "graph", "ingress", "triggers"),
}
"""What a store's processes reach over a network: the database, the broker, each other's tools, the platform's Graph API;
with Knative the Broker's ingress, and its dispatchers reach the store."""

GROUPS: Mapping[str, Sequence[str]] = {
    "whatsapp-gateway": ("whatsapp",),
    "session-sync": ("conversations", "assistant"),
    "product-catalog": ("catalog", "inventory", "pricing"),
    "order-processor": ("cart", "orders", "payments", "fulfillment"),
    "ai-seller-fashion": ("seller/fashion",),
}
BRAND = "fashion"
STEWARD = "steward"
GRACE = timedelta(seconds=15)
"""That a process of a drill has to finish its work after SIGTERM."""


def _triggers(consumers: Iterable[Consumer]) -> list[dict[str, str]]:
    """What a deployment of these consumers must be sent, as the operator would have it."""
    heard: dict[tuple[str, str], set[str]] = {}
    for consumer in consumers:
        brand = consumer.brand or ""
        for topic, types in heard_by(consumer.agent).items():
            if not (brand and topic == TICK_TOPIC):
                heard.setdefault((topic, brand), set()).update(types)
    return filters_of(heard)


class Fleet:
    """`replicas` of each process of the store. `proxied`: the links that go through a `FaultProxy` (see `LINKS`).

    `main`: the command that is the store's command line. `environment`: further variables for each process. `backoff`: what
    the Broker's retries begin with (each waits twice as long as the one before it)."""

    def __init__(
        self,
        mode: Mode,
        data: Path,
        *,
        replicas: int = 1,
        proxied: Sequence[Link] = (),
        environment: Mapping[str, str] | None = None,
        main: Sequence[str] = MAIN,
        backoff: timedelta = timedelta(milliseconds=200),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.mode, self.data = mode, data.resolve()
        self.secrets = Secrets.load(self.data)
        self._replicas = replicas
        self._extra = dict(environment or {})
        self._proxied = proxied
        self._main = main
        self._backoff = backoff
        self._say = say
        self._stack = contextlib.AsyncExitStack()
        self.processes: dict[str, list[StoreProcess]] = {}
        self.balancers: dict[str, Balancer] = {}
        self.proxies: dict[str, FaultProxy] = {}
        """By link; those between processes as `tools <service>` and `triggers <service>`."""
        self._subscribers: dict[str, str] = {}
        """Where the Broker delivers to each service."""
        self.rabbitmq: RabbitMQ | None = None
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None
        self.broker: KnativeBroker | None = None
        self._http = httpx.AsyncClient(trust_env=False, timeout=60)
        brand = self._directory().brand(BRAND)
        if brand is None:
            raise InvalidInput(f"there is no brand {BRAND} in the sample data")
        self.number = brand.phone_number_ids[0]

    def _directory(self) -> FileDirectory:
        return FileDirectory(assets.folder("data"), assets.folder("prompts"), self.data / "brands")

    # --- life --------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Fleet:
        """Say where everything will be, before anything runs."""
        names = ["store"] if self.mode == "embedded" else [*GROUPS, STEWARD]
        for name in names:
            # One embedded store a data folder; of the others as many as wanted.
            count = 1 if self.mode == "embedded" else self._replicas
            command = [*self._main, *self._arguments(name)]
            self.processes[name] = [StoreProcess(name, command) for _ in range(count)]
            self.balancers[name] = Balancer(self.processes[name])
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*(process.close() for process in self.all))
        for balancer in self.balancers.values():
            await balancer.stop()
        await self._http.aclose()
        for program in (self.postgres, self.rabbitmq, self.redis):
            if program is not None:
                program.resume()
        await self._stack.aclose()

    @property
    def all(self) -> list[StoreProcess]:
        return [process for replicas in self.processes.values() for process in replicas]

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

    def _arguments(self, name: str) -> Sequence[str]:
        if name == "store":
            return ["up"]
        if name == STEWARD:
            return ["steward"]
        return ["serve", *GROUPS[name], "--service", name]

    async def start(self, graph_url: str) -> None:
        """Programs, schema, processes, sample catalogue; returns when the store answers and has nothing to do."""
        for balancer in self.balancers.values():
            await balancer.start()
        environment = {
            "AGENT_STORE_DATA": str(self.data),
            "AGENT_STORE_WHATSAPP_GRAPH_URL": await self._through("graph", graph_url),
            "AGENT_STORE_LOG_FORMAT": "json",
            "AGENT_STORE_BURST_WINDOW": "0.2",
            "AGENT_STORE_SAMPLE_DATA": "no",
            "AGENT_STORE_PUBLIC_URL": self.api,
            "AGENT_STORE_GRACE": f"{GRACE.total_seconds():g}",
            # All customers of a drill write from one address.
            "AGENT_STORE_WEBHOOK_SOURCE_LIMIT": "0",
            "AGENT_STORE_WEBHOOK_NUMBER_LIMIT": "0",
            # What is not taken is delivered again ten times a second, and would count as a customer in haste.
            "AGENT_STORE_CUSTOMER_MESSAGES_LIMIT": "0",
            # A drill's platform has no limits, and its customers answer faster than people.
            "AGENT_STORE_WHATSAPP_RATE": "0",
            "AGENT_STORE_WHATSAPP_PAIR_BURST": "0",
        }
        if self.mode != "embedded":
            environment |= await self._start_programs()
        self._say(f"{len(self.all)} processes of the store")
        for process in self.all:
            process.settings = environment | self._extra
            process.keep()
        await self.until_ready()
        self._say("the catalogue")
        await self._furnish()

    async def _start_programs(self) -> dict[str, str]:
        if self.mode == "knative":  # what is absent is told before anything is started
            from agent_store.entrypoints.programs_knative import programs_folder

            programs_folder()
        self.rabbitmq = self._kept(RabbitMQ())
        self.postgres = self._kept(Postgres())
        self._say("RabbitMQ and PostgreSQL")
        try:
            async with asyncio.TaskGroup() as starting:
                starting.create_task(self.rabbitmq.start())
                starting.create_task(self.postgres.start())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        found = {
            "AGENT_STORE_DATABASE_URL": await self._through("postgres", self.postgres.url),
            "AGENT_STORE_BUS": await self._through("rabbitmq", self.rabbitmq.url),
            "AGENT_STORE_SERVICES": str(await self._write_services()),
        }
        try:
            self.redis = self._kept(Redis())
        except Absent as error:
            self._say(f"without Redis: {error.message}")
        else:
            await self.redis.start()
            found["AGENT_STORE_REDIS_URL"] = self.redis.url
        await self._migrate()
        if self.mode == "knative":
            found |= await self._start_broker()
        return found

    def _kept(self, program: P) -> P:
        """It ends with the fleet, whatever happens."""
        self._stack.callback(program.clean)
        return program

    async def _through(self, name: str, url: str, *, link: Link | None = None) -> str:
        """The address at which this is reached, by the link's name (`name` itself where it has none of its own)."""
        if (link or name) not in self._proxied:
            return url
        address = httpx.URL(url.replace("amqp://", "http://").replace("postgresql://", "http://"))
        host, port = address.host, address.port
        if port is None:
            raise InvalidInput(f"{url} has no port")
        proxy = self.proxies[name] = await self._stack.enter_async_context(FaultProxy(host, port))
        return url.replace(f":{port}", f":{proxy.port}", 1)

    async def _write_services(self) -> Path:
        for name in GROUPS:
            self._subscribers[name] = await self._through(f"triggers {name}", self.balancers[name].url, link="triggers")
        services = {
            name: {
                "url": await self._through(f"tools {name}", self.balancers[name].url, link="tools"),
                "events": self._subscribers[name],
                "consumers": list(consumers),
            }
            for name, consumers in GROUPS.items()
        }
        path = self.data / "services.yaml"
        path.write_text(yaml.safe_dump({"services": services}), "utf-8")
        return path

    async def _migrate(self) -> None:
        if self.postgres is None:
            raise TemporaryError("no database runs")
        process = await asyncio.create_subprocess_exec(
            *MAIN, "migrate", "--database", self.postgres.url, cwd=self.data, env=own_environment(),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise TemporaryError(f"the migration failed: {said.decode()[-2000:]}")

    async def _start_broker(self) -> dict[str, str]:
        from agent_store.entrypoints.programs_knative import KnativeBroker, programs_folder

        if self.rabbitmq is None:
            raise TemporaryError("no RabbitMQ runs")
        self._say("the Broker's ingress and dispatchers")
        sink = f"{self.balancers[STEWARD].url}/dead-letters"
        self.broker = await self._stack.enter_async_context(
            KnativeBroker(self.rabbitmq.url, programs_folder(), dead_letter_sink=sink)
        )
        for name, consumers in GROUPS.items():
            for position, wanted in enumerate(_triggers(consumers_of(consumers, self._directory()))):
                await self.broker.add_trigger(
                    f"{name}-{position}",
                    wanted,
                    self._subscribers[name],
                    parallelism=20,
                    backoff=self._backoff,
                    timeout=timedelta(seconds=100),
                )
        sink = await self._through("ingress", self.broker.ingress_url)
        return {"AGENT_STORE_BUS": "knative", "K_SINK": sink}

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
        if not await self.until_quiet(180):
            raise TemporaryError("the store is not through with its catalogue after 180 s")

    async def until_ready(self) -> None:
        """Every process that is wanted. Raises TimeoutError that says which is not, and what it said last."""
        await asyncio.gather(*(process.until_ready() for process in self.all if process.wanted))

    async def until_quiet(self, seconds: float) -> bool:
        """Until nothing is open, unpublished, undelivered or due, as the database shows it, thrice in a row. False when it
        is not."""
        deadline = time.monotonic() + seconds
        quiet = 0
        while time.monotonic() < deadline:
            quiet = quiet + 1 if not await self.busy_with() else 0
            if quiet == 3:
                return True
            await asyncio.sleep(0.2)
        return False

    async def busy_with(self) -> str:
        """What the database shows to be unfinished; "" when nothing is."""
        soon = "EXTRACT(EPOCH FROM due_at)" if self.postgres is not None else "due_at / 1000000.0"
        parts = {
            "inbox": "kernel_inbox WHERE state NOT IN ('done', 'dead')",
            "outbox": "kernel_outbox WHERE NOT published",
            # The end of a turn's time is waited for by nobody once the turn is answered.
            "timers": f"kernel_timers WHERE {soon} < {time.time() + 5} AND body NOT LIKE '%store.chat.turn.expired%'",
            "sends": "whatsapp_sends WHERE state IN ('queued', 'attempting', 'doubtful')",
            "bursts": "conversations_conversations WHERE pending > 0 AND speaker = 'bot'",
            "turns": "conversations_conversations WHERE answered < turn AND speaker = 'bot'",
        }
        if self.mode != "embedded":
            parts["undelivered"] = self._undelivered()
        counts = " UNION ALL ".join(
            f"SELECT '{name}' AS part, COUNT(*) AS n FROM {part}"  # noqa: S608  # ours
            for name, part in parts.items()
        )
        rows = await self.state.rows(counts)
        return ", ".join(f"{row['n']} {row['part']}" for row in rows if row["n"])

    def _undelivered(self) -> str:
        """Events that the broker has and a consumer that listens has not: neither of them shows that in a table. A dead
        letter of the broker's is told in the verdict, and not waited for."""
        wanted = ", ".join(
            f"('{consumer.name}', '{type_}', '{consumer.brand or ''}')"
            for names in GROUPS.values()
            for consumer in consumers_of(names, self._directory())
            for type_ in consumer.agent.subscriptions
        )
        return (
            f"kernel_outbox o JOIN (VALUES {wanted}) AS wanted (consumer, type, brand) ON wanted.type = o.type"  # noqa: S608  # ours
            " AND (wanted.brand = '' OR wanted.brand = o.brand) WHERE o.published AND NOT EXISTS (SELECT 1 FROM"
            " kernel_inbox i WHERE i.consumer = wanted.consumer AND i.source = o.source AND i.id = o.id) AND NOT EXISTS"
            " (SELECT 1 FROM kernel_dead d WHERE d.consumer = wanted.consumer AND d.source = o.source AND d.id = o.id)"
        )

    # --- for faults --------------------------------------------------------------------------------------------

    def any_of(self, name: str) -> StoreProcess:
        """The first replica of a service that lives, else the first."""
        replicas = self.processes[name]
        return next((process for process in replicas if process.lives), replicas[0])

    @property
    def ended(self) -> list[str]:
        """Processes that ended and nobody had asked them to."""
        return [sentence for process in self.all for sentence in process.ended]

    def logs(self) -> str:
        """One JSON line a process, with the end of what it said."""
        return "\n".join(
            json.dumps({"service": process.name, "port": process.port, "log": process.last_words(20_000)})
            for process in self.all
        )
