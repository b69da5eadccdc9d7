"""Rows of the fault matrix that are about one process: events twice and in any order, poison and hanging handlers, a full
disk, a model that fails. The rows of several processes, and what other tests show of each, are in `test_fault_matrix.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from agent_store.adapters.bus.rabbitmq import RabbitMqBus
from agent_store.adapters.db.postgres import ROUNDS, PostgresStore
from agent_store.adapters.directory import FileDirectory
from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.agents.whatsapp import intake as gateway
from agent_store.agents.whatsapp.ports import WhatsAppApi, WhatsAppSettings
from agent_store.agents.whatsapp.reading import parse
from agent_store.contracts.brands import Directory
from agent_store.entrypoints.drill.load import SCRIPT
from agent_store.entrypoints.drill.report import percentile
from agent_store.entrypoints.programs import Postgres, RabbitMQ
from agent_store.entrypoints.rooms import AGENTS, Rooms, consumers_of
from agent_store.entrypoints.settings import load
from agent_store.kernel.agent import Agent
from agent_store.kernel.bus import Until
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.event import Event
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.signing import Signer
from tests.support.backends import Backend, local, sqlite
from tests.support.buses import MemoryBroker
from tests.support.embedded import RunningStore
from tests.support.faults import TURNS
from tests.support.graph import message_delivery, signed
from tests.support.models import Move, model_server
from tests.support.process import SECRET, StoreProcess
from tests.support.shop import fill, sample_products
from tests.support.store import TestStore

ROOT = Path(__file__).parents[2]
FASHION = "100000000000001"


# --- each event delivered twice, all deliveries shuffled -----------------------------------------------------------------


class Phone:
    """The Graph API: what is sent, in the order of arrival."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        self.sent.append(payload)
        return f"wamid.OUT{len(self.sent)}"

    async def show_seen(self, phone_number_id: str, payload: Mapping[str, Any]) -> None:
        pass


class Shop:
    """All agents as one process on a bus of the test's choice, and one customer."""

    def __init__(self, folder: Path, broker: MemoryBroker | None) -> None:
        folder.mkdir()
        settings = load({}, data=folder, burst_window=timedelta(0))
        clock, directory = ManualClock(), FileDirectory(ROOT / "data", ROOT / "prompts", folder / "brands")
        whatsapp = WhatsAppSettings(
            app_secret="s",
            verify_token="v",
            access_token="t",
            graph_url="http://graph.test",
            public_url="http://shop.test",
        )
        metrics = PrometheusMetrics()
        self._rooms = Rooms(
            settings, clock, directory, ROOT / "data", whatsapp, lambda: self.store.runtime.store,
            public_url="http://shop.test", own_url="http://shop.test", payment_secret="s" * 24, metrics=metrics,
        )  # fmt: skip
        self.phone = Phone()
        ports = {**self._rooms.ports(AGENTS), WhatsAppApi: self.phone, Directory: directory}

        @contextlib.asynccontextmanager
        async def brokers() -> AsyncGenerator[Any]:
            yield broker.bus if broker is not None else None

        backend = Backend(sqlite, brokers if broker is not None else local)
        self.store = TestStore(consumers_of(["all"], directory), ports=ports, clock=clock, backend=backend)

    async def __aenter__(self) -> Shop:
        await self.store.__aenter__()
        await fill(self.store, sample_products("fashion"))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.store.__aexit__(*exc)
        await self._rooms.close()

    async def buy(self) -> None:
        for number, step in enumerate(SCRIPT):
            message: dict[str, Any] = {"id": f"wamid.IN{number}", "type": "text", "text": {"body": step}}
            if step.startswith("/"):
                reply = {"type": "button_reply", "button_reply": {"id": step[1:], "title": "tap"}}
                message = {"id": f"wamid.IN{number}", "type": "interactive", "interactive": reply}
            delivery = parse(json.dumps(message_delivery(FASHION, "5511999990000", message)).encode())
            await self.store.runtime.transact("whatsapp", lambda ctx, delivery=delivery: gateway.record(ctx, delivery))
            await self.store.settle()
            await self.store.move(timedelta(seconds=6))  # what waits for a predecessor or a retry has its turn

    async def state(self) -> dict[str, Any]:
        """All that a purchase leaves, without the ids that are different each time."""

        async def rows(sql: str) -> list[tuple[Any, ...]]:
            return sorted(tuple(row.values()) for row in await self.store.rows(text(sql)))

        orders = await rows("SELECT state, stock, captured, units, total_minor, lines FROM orders_orders")
        return {
            "orders": [(*order[:-1], [(line["sku"], line["quantity"]) for line in json.loads(order[-1])]) for order in orders],
            "levels": await rows("SELECT sku, location, on_hand, reserved FROM inventory_levels"),
            "reservations": await rows("SELECT attempt, state FROM inventory_reservations"),
            "payments": await rows("SELECT state, attempts, amount_minor FROM payments_payments"),
            "charges": await rows("SELECT kind, subject, amount_minor, failure FROM payments_provider_movements"),
            "heard": await rows("SELECT external_id, turn, text, payload FROM conversations_messages WHERE direction = 'in'"),
            "said": Counter(_plain(row[0]) for row in await rows(
                "SELECT text FROM conversations_messages WHERE direction = 'out'")),
            "sends": Counter(row[0] for row in await rows("SELECT state FROM whatsapp_sends")),
            "reached": Counter(payload["type"] for payload in self.phone.sent),
            "open": await rows("SELECT consumer, type, state FROM kernel_inbox WHERE state <> 'done'"),
            "dead": await rows("SELECT consumer, type, error FROM kernel_dead"),
        }  # fmt: skip


def _plain(said: str) -> str:
    """Without order numbers and links, which are made up."""
    said = re.sub(r"000201.*?6304[0-9A-F]{4}", "PIX", said)
    return re.sub(r"http://\S+", "LINK", re.sub(r"AS-[A-Z0-9]{6}", "AS-NUMBER", said))


@pytest.mark.parametrize("until", ["recorded", "handled"])
async def test_every_event_twice_and_in_any_order_ends_as_once_and_in_order(tmp_path: Path, until: Until) -> None:
    async with Shop(tmp_path / "in order", None) as shop:
        await shop.buy()
        expected = await shop.state()
    assert [order[:4] for order in expected["orders"]] == [("confirmed", "committed", 1, 1)]
    assert (expected["open"], expected["dead"]) == ([], [])
    for seed in range(3):
        broker = MemoryBroker(twice=True, rng=random.Random(seed), until=until)
        async with Shop(tmp_path / f"shuffled {seed}", broker) as shop:
            await shop.buy()
            assert len(broker.brought) >= 2 * len(set(broker.brought))
            found = await shop.state()
        for part, value in expected.items():
            assert found[part] == value, f"{part}, seed {seed}"


# --- poison event; a handler that hangs ----------------------------------------------------------------------------------


class Ping(Event, type="store.matrix.ping", topic="matrix", subject="number"):
    number: int


class Poison(Event, type="store.matrix.poison", topic="matrix", subject="number"):
    number: int


class Hang(Event, type="store.matrix.hang", topic="matrix", subject="number"):
    number: int


async def test_poison_and_hanging_handlers_are_dead_letters_and_their_neighbours_do_not_wait(
    rabbitmq: RabbitMQ, postgres: Postgres, postgres_url: str
) -> None:
    began: dict[int, float] = {}
    seconds: dict[int, float] = {}
    tried: Counter[str] = Counter()
    neighbour = Agent("neighbour")

    @neighbour.on(Ping)
    async def ping(event: Ping, ctx: Context) -> None:
        seconds[event.number] = time.monotonic() - began[event.number]

    @neighbour.on(Poison, attempts=3, backoff=timedelta(milliseconds=50))
    async def poison(event: Poison, ctx: Context) -> None:
        tried[f"poison {event.number}"] += 1
        raise RuntimeError("this one never works")

    @neighbour.process(Hang, attempts=2, timeout=timedelta(seconds=1), backoff=timedelta(milliseconds=50))
    async def hang(event: Hang, ctx: Context) -> None:
        tried[f"hang {event.number}"] += 1
        await asyncio.Event().wait()

    store = PostgresStore(postgres_url, agents=["neighbour"])
    bus = RabbitMqBus(
        rabbitmq.url, signer=Signer([("test", b"a key of sixteen bytes or more")]), prefix=f"matrix{os.getpid()}"
    )
    runtime = Runtime(store, [Consumer(neighbour)], bus=bus, keeper=True)
    await runtime.start()
    try:
        async with asyncio.timeout(30):
            while not bus.listening:
                await asyncio.sleep(0.01)

        async def pings(first: int, count: int) -> float:
            """The 99th percentile of their seconds, at a hundred a second."""
            start = time.monotonic()
            for number in range(first, first + count):
                began[number] = time.monotonic()
                await runtime.publish(Ping(number=number))
                await asyncio.sleep(max(0.0, start + (number - first + 1) / 100 - time.monotonic()))
            async with asyncio.timeout(30):
                while len(seconds) < first + count:
                    await asyncio.sleep(0.01)
            return percentile([seconds[number] for number in range(first, first + count)], 0.99)

        await pings(0, 50)
        turn = 0
        while True:
            calm = await pings(50 + 500 * turn, 250)
            for number in range(8 * turn, 8 * turn + 8):
                await runtime.publish(Poison(number=number))
                await runtime.publish(Hang(number=number))
            harmed = await pings(300 + 500 * turn, 250)
            bad = 8 * turn + 8
            async with asyncio.timeout(30):
                while len(dead := await runtime.dead()) < 2 * bad:
                    await asyncio.sleep(0.05)
            if harmed <= 2 * calm + 0.1:
                break
            turn += 1
            assert turn < TURNS, f"{calm:.3f} s before, {harmed:.3f} s beside them"
        await runtime.settle()
        assert {name: times for name, times in tried.items() if "hang" in name} == {f"hang {n}": 2 for n in range(bad)}
        # A group of which a work failed is run again, ROUNDS times at most, and then each alone: no further attempts.
        poisoned = {name: times for name, times in tried.items() if "poison" in name}
        assert poisoned.keys() == {f"poison {n}" for n in range(bad)}
        assert all(3 <= times <= 3 * (ROUNDS + 1) for times in poisoned.values()), poisoned
        told = Counter((row["type"], row["reason"], row["attempts"]) for row in dead)
        assert told == {("store.matrix.poison", "exhausted", 3): bad, ("store.matrix.hang", "timeout", 2): bad}
    finally:
        await runtime.stop(grace=2)


# --- disk full -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], check=True, capture_output=True)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"a small file system cannot be mounted here (that takes root): {error}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill_up(folder: Path) -> Path:
    """To the last byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return ballast


@pytest.mark.slow
async def test_on_a_full_disk_a_webhook_is_503_and_all_goes_on_when_there_is_room_again(small_disk: Path) -> None:
    data = small_disk / "data"
    async with StoreProcess(data) as store:
        await store.start()
        for step in SCRIPT[:3]:
            await store.say("5511900000001", step)
        ballast = fill_up(small_disk)
        statuses: list[int] = []
        bodies = [
            json.dumps(message_delivery(FASHION, f"55118{n:08d}", {
                "id": f"wamid.FULL{n}", "type": "text", "text": {"body": "Oi, tem vestido?" + " por favor" * 200},
            })).encode() for n in range(40)
        ]  # fmt: skip
        for body in bodies:
            answer = await store.http.post("/webhooks/whatsapp", content=body, headers=signed(SECRET, body))
            statuses.append(answer.status_code)
        assert set(statuses) <= {200, 503}
        assert statuses[-5:] == [503] * 5, "there is no room for a message"
        assert (await store.http.get("/healthz")).status_code == 200, "a restart would mend nothing"
        ballast.unlink()
        async with asyncio.timeout(20):
            for position, body in enumerate(bodies):
                while statuses[position] != 200:
                    answer = await store.http.post("/webhooks/whatsapp", content=body, headers=signed(SECRET, body))
                    statuses[position] = answer.status_code
                    await asyncio.sleep(0.05)
        for step in SCRIPT[3:]:
            await store.say("5511900000001", step)
        async with asyncio.timeout(60):
            while len({sent.to for sent in store.graph.sent}) < 41:
                await asyncio.sleep(0.05)
        assert await store.end(15) == 0  # type: ignore[arg-type]  # SIGTERM
    with contextlib.closing(sqlite3.connect(data / "store.sqlite3")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = {row[0] for row in db.execute("SELECT external_id FROM conversations_messages WHERE direction = 'in'")}
        assert kept >= {f"wamid.FULL{n}" for n in range(40)}
        assert len(kept) == db.execute(
            "SELECT COUNT(*) FROM conversations_messages WHERE direction = 'in'"
        ).fetchone()[0]  # fmt: skip
        assert db.execute("SELECT COUNT(*) FROM kernel_dead").fetchone() == (0,)
        assert db.execute("SELECT state FROM orders_orders").fetchall() == [("confirmed",)]


# --- the model -----------------------------------------------------------------------------------------------------------

NEVER = asyncio.Event()
MODELS = {
    "slow": Move(wait=NEVER),
    "hanging": Move(hang=True),
    "500": Move(status=500),
    "garbage": Move(body=b"\xff\xfe<html>503</html>"),
    "half an answer": Move(body=b'{"choices": [{"message": {"content": "Temos o Vestido Fan'),
    "unknown tools": Move(
        calls=(("shell_run", {"command": "rm -rf /"}), ("pricing_set", {"sku": "X", "price": "0.01"}))
    ),
    "invented products": Move(
        text="Temos o Vestido Fantasma por R$ 1,00, o sku FAS-FANTASMA-1. Já coloquei no carrinho!"
    ),
    "an invented product into the cart": Move(calls=(("cart_add", {"sku": "FAS-FANTASMA-1", "quantity": 3}),)),
}
_STATE = (
    "SELECT * FROM cart_carts", "SELECT * FROM orders_orders", "SELECT * FROM inventory_levels ORDER BY sku, location",
    "SELECT * FROM pricing_prices ORDER BY sku", "SELECT * FROM payments_payments",
)  # fmt: skip


async def test_whatever_the_model_does_the_webhook_answers_and_the_customer_too() -> None:
    async with model_server("openai", Move(text="Oi! Como posso ajudar?")) as model, RunningStore(
        brain="openai", openai_url=f"{model.url}/v1", openai_api_key="none", model_timeout=timedelta(seconds=1),
    ) as store:  # fmt: skip
        people = iter(range(1, 1_000))

        async def ask(count: int) -> float:
            """So many customers write at once and are answered; the 99th percentile of the webhook's seconds."""
            seconds: list[float] = []

            async def one() -> None:
                who = f"55119{next(people):08d}"
                message = {"id": f"wamid.{who}", "type": "text", "text": {"body": "quero um vestido vermelho"}}
                began = time.monotonic()
                assert await store.deliver(message_delivery(FASHION, who, message)) == 200
                seconds.append(time.monotonic() - began)
                async with asyncio.timeout(30):
                    while not store.graph.to(who):
                        await asyncio.sleep(0.01)
                said = " ".join(sent.text for sent in store.graph.to(who))
                assert "Fantasma" not in said
                assert "R$ 1,00" not in said

            await asyncio.gather(*(one() for _ in range(count)))
            await store.settle()
            return percentile(seconds, 0.99)

        async def state() -> list[Any]:
            return [list(map(dict, await store.store.runtime.store.reader.all(text(sql)))) for sql in _STATE]

        await ask(10)
        calm, before = await ask(10), await state()
        for what, move in MODELS.items():
            model.moves[:] = [move]
            model.requests.clear()
            turn = 0
            while True:
                harmed = await ask(10)
                assert await state() == before, what
                if harmed <= 3 * calm + 0.1:
                    break
                turn += 1
                assert turn < TURNS, f"{what}: {calm:.3f} s before, {harmed:.3f} s with it"
        NEVER.set()
