"""Dead letters as staff sees to them: over HTTP and by `agent-store dead`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from agent_store.adapters.http import problems
from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.http.dead import dead_api, masked
from agent_store.kernel.agent import Agent
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context
from agent_store.kernel.dead import Filter, replay_all
from agent_store.kernel.errors import Conflict, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.reconciler import bury
from tests.support.backends import Backend, Buses
from tests.support.buses import MemoryBroker, MemoryBus
from tests.support.embedded import RunningStore
from tests.support.kernel import Job, Ping, put
from tests.support.store import TestStore

TOKEN = "staff-token-of-the-tests"
COMMAND = str(Path(sys.executable).with_name("agent-store"))


@dataclass
class Faults:
    """What the agents below choke on, as long as the test wants."""

    broken: bool = True
    handled: list[str] = field(default_factory=list)


@dataclass
class Desk:
    store: TestStore
    faults: Faults
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str = "", body: Any = None, status: int = 200, **params: Any) -> Any:
        answer = await self.http.request(method, f"/api/dead{path}", json=body, params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def waiting(self) -> list[str]:
        """Ids of the events whose letters wait, newest first."""
        return [row["id"] for row in await self.ask("GET", state="waiting")]

    async def bury(self, *events: Ping | Job) -> None:
        for event in events:
            await self.store.publish(event)
            await self.store.settle()


@pytest.fixture
async def desk() -> AsyncGenerator[Desk]:
    faults = Faults()
    orders, pricing = Agent("orders"), Agent("pricing")

    @orders.on(Ping)
    async def on_ping(event: Ping, ctx: Context) -> None:
        if faults.broken:
            raise Conflict(f"{event.text} of +55 11 97777-6666 does not fit")
        faults.handled.append(event.id)

    @pricing.on(Job, attempts=1)
    async def on_job(event: Job, ctx: Context) -> None:
        if faults.broken:
            raise TemporaryError("the table is away")
        faults.handled.append(event.id)

    auth = StaffAuth(TOKEN)
    async with TestStore([orders, pricing]) as store:
        app = FastAPI()
        problems.install(app)
        app.include_router(dead_api(store.runtime, auth))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://desk",
            headers={"Authorization": f"Bearer {TOKEN}", "X-Staff-Name": "Rita"},
        ) as http:
            yield Desk(store, faults, http)


async def test_a_dead_letter_tells_what_died_why_and_how_often(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"), Job(id="j1"))
    job, ping = await desk.ask("GET")
    assert (ping["consumer"], ping["type"], ping["reason"], ping["attempts"]) == (
        "orders", "store.kt.ping", "permanent", 1,
    )  # fmt: skip
    assert ping["error"] == "conflict:  of … does not fit"
    assert (job["consumer"], job["reason"], job["state"], job["auto"]) == ("pricing", "exhausted", "waiting", False)
    assert "body" not in ping
    assert datetime.fromisoformat(ping["at"]).tzinfo is not None


async def test_it_is_shown_with_its_event_and_without_what_it_says_of_people(desk: Desk) -> None:
    await desk.bury(Ping(id="p1", text="Zoraide Quintanilha"))
    (row,) = await desk.ask("GET")
    shown = await desk.ask("GET", f"/{row['seq']}")
    assert shown["masked"] is True
    assert shown["body"]["type"] == "store.kt.ping"
    assert shown["body"]["data"] == {"id": "p1", "text": "‹19 characters›"}
    revealed = await desk.ask("GET", f"/{row['seq']}", reveal=True)
    assert revealed["masked"] is False
    assert revealed["body"]["data"]["text"] == "Zoraide Quintanilha"


async def test_an_attribute_that_repeats_a_masked_text_is_masked(desk: Desk) -> None:
    letter = Envelope(
        id="e1", source="/agent-store/edge", type="store.kt.ping", time=datetime(2026, 1, 1, tzinfo=UTC),
        subject="wamid.X", partitionkey="5511977776666", data=b'{"sender": "5511977776666", "wamid": "wamid.X"}',
    )  # fmt: skip
    await put(desk.store, letter)
    await desk.store.settle()
    (row,) = await desk.ask("GET")
    body = (await desk.ask("GET", f"/{row['seq']}"))["body"]
    assert "5511977776666" not in json.dumps(body)
    assert "wamid.X" not in json.dumps(body)
    assert body["id"] == "e1"


async def test_they_are_found_by_consumer_type_reason_and_state(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"), Job(id="j1"), Ping(id="p2"))
    rows = await desk.ask("GET")
    assert [row["consumer"] for row in rows] == ["orders", "pricing", "orders"]
    assert len(await desk.ask("GET", consumer="orders")) == 2
    assert len(await desk.ask("GET", type="store.kt.job")) == 1
    assert len(await desk.ask("GET", type="store.kt.*")) == 3
    assert len(await desk.ask("GET", type="store.k_.*")) == 0
    assert len(await desk.ask("GET", reason="exhausted")) == 1
    assert len(await desk.ask("GET", reason="exhausted", consumer="orders")) == 0
    await desk.ask("POST", f"/{rows[0]['seq']}/drop")
    assert len(await desk.ask("GET", state="waiting")) == 2
    assert [row["seq"] for row in await desk.ask("GET", state="dropped")] == [rows[0]["seq"]]
    assert [row["seq"] for row in await desk.ask("GET", limit=1, before=rows[0]["seq"])] == [rows[1]["seq"]]


async def test_a_replayed_one_is_handled_and_says_by_whom(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"))
    (row,) = await desk.ask("GET")
    desk.faults.broken = False
    await desk.ask("POST", f"/{row['seq']}/replay", status=202)
    await desk.store.settle()
    assert desk.faults.handled == ["p1"]
    shown = await desk.ask("GET", f"/{row['seq']}")
    assert (shown["state"], shown["by"], shown["dropped_at"]) == ("replayed", "Rita", None)
    assert shown["replayed_at"] is not None


async def test_a_dropped_one_stays_on_record_and_is_waited_for_no_longer(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"), Ping(id="p2"))
    second, first = await desk.ask("GET")
    await desk.ask("POST", f"/{first['seq']}/drop")
    await desk.ask("DELETE", f"/{second['seq']}")
    assert await desk.waiting() == []
    shown = await desk.ask("GET", f"/{first['seq']}")
    assert (shown["state"], shown["by"]) == ("dropped", "Rita")
    again = await desk.ask("POST", f"/{first['seq']}/drop", status=409)
    assert "before" in again["detail"]


async def test_many_are_replayed_by_filter_oldest_first(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"), Job(id="j1"), Ping(id="p2"), Ping(id="p3"))
    desk.faults.broken = False
    part = await desk.ask("POST", "/replay", {"consumer": "orders", "limit": 2})
    assert (len(part["done"]), part["failed"], part["left"]) == (2, {}, 1)
    await desk.store.settle()
    assert desk.faults.handled == ["p1", "p2"]
    rest = await desk.ask("POST", "/replay", {})
    assert (len(rest["done"]), rest["left"]) == (2, 0)
    await desk.store.settle()
    assert sorted(desk.faults.handled) == ["j1", "p1", "p2", "p3"]
    assert await desk.waiting() == []


async def test_one_that_cannot_be_replayed_does_not_keep_the_others(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"), Job(id="j1"))
    await desk.store.runtime.remove("orders")
    desk.faults.broken = False
    result = await desk.ask("POST", "/replay", {})
    assert len(result["done"]) == 1
    (why,) = result["failed"].values()
    assert "orders" in why
    await desk.store.settle()
    assert desk.faults.handled == ["j1"]


class Counted(MemoryBus):
    """Counts how often a consumer was asked directly."""

    asked = 0

    async def redeliver(self, consumer: str, event: Envelope) -> bool:
        self.asked += 1
        return await super().redeliver(consumer, event)


async def test_a_consumer_that_cannot_be_reached_is_asked_once_for_all_of_its_letters() -> None:
    memory = MemoryBroker()
    memory.unreachable.add("orders")
    bus = Counted(memory)
    memory.buses.append(bus)

    @contextlib.asynccontextmanager
    async def broker() -> AsyncGenerator[Buses]:
        yield lambda: bus

    async with TestStore([Agent("pricing")], backend=Backend(broker=broker, bus="memory")) as store:
        runtime = store.runtime
        for number in range(3):
            event = Envelope(id=f"e{number}", source="/s", type="store.kt.ping", time=store.clock.now(), data=b"{}")
            await bury(runtime.world, "orders", event, reason="undelivered", attempts=0, error="no answer", auto=True)
        result = await replay_all(runtime, Filter(consumer="orders"), by="Rita")
        assert (result.done, len(result.failed), result.left) == ([], 3, 0)
        assert all("cannot be reached" in why for why in result.failed.values())
        assert bus.asked == 1
        memory.unreachable.clear()
        memory.declare(Consumer(Agent("orders")))
        result = await replay_all(runtime, Filter(reason="undelivered"), by="Rita")
        assert (len(result.done), result.failed) == (3, {})
        rows = await Filter(state="replayed").find(runtime.store.reader, limit=10)
        assert [row["by"] for row in rows] == ["Rita"] * 3


async def test_many_are_dropped_only_by_a_filter(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"), Job(id="j1"))
    refused = await desk.ask("POST", "/drop", {}, status=422)
    assert "say which" in refused["detail"]
    result = await desk.ask("POST", "/drop", {"type": "store.kt.ping"})
    assert (len(result["done"]), result["left"]) == (1, 0)
    assert len(await desk.waiting()) == 1


@pytest.mark.parametrize("path", ["/7", "/7/replay", "/7/drop"])
async def test_one_that_is_not_there_is_not_found(desk: Desk, path: str) -> None:
    answer = await desk.ask("GET" if path == "/7" else "POST", path, status=404)
    assert answer["detail"] == "there is no dead letter 7"


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999", "x"])
async def test_a_number_that_is_none_is_refused(desk: Desk, number: str) -> None:
    await desk.ask("GET", f"/{number}", status=422)


async def test_only_staff_sees_and_touches_them(desk: Desk) -> None:
    await desk.bury(Ping(id="p1"))
    for method, path in (
        ("GET", ""), ("GET", "/1"), ("POST", "/1/replay"), ("POST", "/1/drop"), ("DELETE", "/1"), ("POST", "/replay"),
        ("POST", "/drop"),
    ):  # fmt: skip
        answer = await desk.http.request(method, f"/api/dead{path}", headers={"Authorization": "Bearer no"}, json={})
        assert answer.status_code == 401


def test_what_says_nothing_of_people_stays_readable() -> None:
    data = {
        "order_id": "o1", "customer_id": "c1", "state": "paid", "total": {"amount": 1990, "currency": "BRL"},
        "lines": [{"sku": "V1", "title": "Vestido", "quantity": 2}], "wa_id": "5511", "wamid": "wamid.x",
        "address": {"street": "Rua A", "number": "12", "cep": "01310-100"}, "at": "2026-01-01T00:00:00Z", "gift": True,
        "note": None, "empty": "",
    }  # fmt: skip
    assert masked(data) == {
        "order_id": "o1", "customer_id": "c1", "state": "paid", "total": {"amount": 1990, "currency": "BRL"},
        "lines": [{"sku": "V1", "title": "‹7 characters›", "quantity": 2}], "wa_id": "‹4 characters›",
        "wamid": "‹7 characters›", "address": {"street": "‹5 characters›", "number": "12", "cep": "‹9 characters›"},
        "at": "2026-01-01T00:00:00Z", "gift": True, "note": None, "empty": "",
    }  # fmt: skip


# --- the command line ------------------------------------------------------------------------------------------------


async def run(store: RunningStore, *arguments: str, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_STORE_")}
    process = await asyncio.create_subprocess_exec(
        COMMAND, "dead", *arguments, "--url", store.store.url,
        env={**environment, "AGENT_STORE_STAFF_TOKEN": store.store.staff_token, "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    assert process.returncode == code, printed.decode()
    return printed.decode()


async def bury_unreadable(store: RunningStore, id: str, text: str) -> None:
    """An event that no version of its contract has: its handler can never read it."""
    runtime = store.store.runtime

    async def work(unit: Any) -> None:
        unit.events.append(
            Envelope(
                id=id, source="/agent-store/test", type="store.order.confirmed", time=runtime.clock.now(), subject=id,
                topic="order", data=json.dumps({"note": text}).encode(),
            )
        )  # fmt: skip

    await runtime.store.run(work)
    await store.settle()


async def test_the_command_line_lists_shows_replays_and_drops() -> None:
    async with RunningStore(sample_data=False) as store:
        assert await run(store, "list") == "No dead letters.\n"
        await bury_unreadable(store, "o1", "Zoraide")
        letters = await store.api("GET", "/api/dead")
        assert letters
        first = letters[-1]

        listed = await run(store, "list", "--consumer", first["consumer"], "--type", "store.order.*")
        assert f"{first['seq']:>5}  " in listed
        assert "permanent" in listed
        assert json.loads((await run(store, "list", "--json")).splitlines()[-1])["seq"] == first["seq"]
        assert await run(store, "list", "--reason", "timeout") == "No dead letters.\n"

        shown = await run(store, "show", str(first["seq"]))
        assert "store.order.confirmed o1" in shown
        assert "Zoraide" not in shown
        assert "--reveal" in shown
        assert "Zoraide" in await run(store, "show", str(first["seq"]), "--reveal")

        assert f"{first['seq']} is being tried again." in await run(store, "replay", str(first["seq"]), "--as", "Rita")
        await store.settle()
        assert "replayed by Rita" in await run(store, "list", "--state", "replayed")
        again = (await store.api("GET", "/api/dead", state="waiting", consumer=first["consumer"]))[0]
        assert again["seq"] > first["seq"]  # it died again, as a letter of its own

        assert "is given up" in await run(store, "drop", str(again["seq"]), "--yes", "--as", "Rita")
        assert "dropped by Rita" in await run(store, "list", "--state", "any")
        assert "before" in await run(store, "drop", str(again["seq"]), "--yes", code=1)
        await run(store, "drop", "--all", "--type", "store.order.*", "--yes")
        assert await run(store, "list") == "No dead letters.\n"
        assert await run(store, "replay", "--all") == "No dead letters.\n"


async def test_the_command_line_says_what_it_needs() -> None:
    async with RunningStore(sample_data=False) as store:
        assert "give numbers, or --all" in await run(store, "replay", code=2)
        assert "filters go with --all" in await run(store, "replay", "1", "--consumer", "orders", code=2)
        assert "there is no dead letter 9" in await run(store, "show", "9", code=1)
        assert "say which" in await run(store, "drop", "--all", "--yes", code=1)
        assert "Aborted" in await run(store, "drop", "1", code=1)
