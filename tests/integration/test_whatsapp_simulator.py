"""The simulator and the real gateway talk to each other over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from sqlalchemy import select
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent_store.adapters.whatsapp.graph import GraphClient
from agent_store.adapters.whatsapp.management import GraphManagement
from agent_store.adapters.whatsapp.simulator import Behaviour, Pace, Simulator
from agent_store.adapters.whatsapp.simulator_http import simulator_router
from agent_store.agents.whatsapp import intake, tables
from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.agents.whatsapp.api import webhook
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.phone import Bubble, ShopNumber
from agent_store.agents.whatsapp.ports import MediaSettings, WhatsAppApi, WhatsAppSettings
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import (
    OutButtons,
    OutChoice,
    OutContent,
    OutImage,
    OutList,
    OutText,
    WhatsAppAccountUpdated,
    WhatsAppMessageReceived,
    WhatsAppMessageSend,
    WhatsAppStatus,
)
from agent_store.kernel.clock import SystemClock
from agent_store.kernel.errors import Conflict, Forbidden, StoreError
from agent_store.kernel.ids import ConversationId, CustomerId
from tests.agents.test_whatsapp import FASHION, Brands
from tests.support.store import TestStore

NUMBERS = (ShopNumber(FASHION, "Moda", "Luna", "+55 11 3000-0001", "fashion"),)
STAFF = {"Authorization": "Bearer staff"}
NOW = Behaviour(pace=Pace(sent=0, delivered=0, read=0), window="open")


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


def authorize(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer staff":
        raise Forbidden("staff only")


def host() -> FastAPI:
    app = FastAPI()

    @app.exception_handler(StoreError)
    async def problem(_: Request, error: StoreError) -> JSONResponse:
        return JSONResponse({"code": error.code}, error.status)

    return app


def make(path: Path, url: str, **more: Any) -> Simulator:
    options: dict[str, Any] = {
        "numbers": lambda: NUMBERS,
        "app_secret": "simulator-secret",
        "access_token": "sim-token",
        "behaviour": NOW,
    }
    return Simulator(path / "phones.sqlite3", webhook_url=f"{url}/webhooks/whatsapp", **(options | more))


@dataclass
class World:
    store: TestStore
    simulator: Simulator
    http: httpx.AsyncClient

    async def send(self, content: OutContent, number: int = 1, **more: Any) -> None:
        values: dict[str, Any] = {
            "send_id": f"send-{number}",
            "conversation_id": ConversationId("conversation-1"),
            "customer_id": CustomerId("customer-1"),
            "number": number,
            "phone_number_id": FASHION,
            "to": "5511900000001",
            "content": content,
        }
        await self.store.publish(WhatsAppMessageSend(**(values | more)))
        await self.quiet()

    async def quiet(self) -> None:
        await self.store.settle()
        await self.simulator.idle()
        await self.store.settle()

    async def opened(self) -> None:
        """The first customer has written: the store may answer freely."""
        await self.simulator.say(self.simulator.people()[0].id, FASHION, "oi")
        await self.quiet()

    def chat(self, person: int = 0) -> list[Bubble]:
        return list(self.simulator.bubbles(self.simulator.people()[person].id, FASHION))


@asynccontextmanager
async def world(path: Path) -> AsyncGenerator[World]:
    app = host()
    async with serving(app) as url:
        settings = WhatsAppSettings(
            app_secret="real-secret",
            verify_token="v",
            access_token="sim-token",
            graph_url=f"{url}/simulator/graph",
            public_url=url,
        )
        simulator = make(path, url)
        async with GraphClient(settings) as api:
            ports = {Directory: Brands(), WhatsAppApi: api, WhatsAppSettings: settings, MediaSettings: MediaSettings()}
            async with TestStore([whatsapp], ports=ports, clock=SystemClock()) as store:  # type: ignore[arg-type]

                class Intake:
                    async def accept(self, delivery: Delivery) -> None:
                        await store.runtime.transact("whatsapp", lambda tx: intake.record(tx, delivery))

                app.router.routes.append(
                    Route("/webhooks/whatsapp", webhook(Intake(), settings, simulator=simulator.trusted))
                )
                app.include_router(simulator_router(simulator, authorize=authorize))
                await simulator.start()
                try:
                    async with httpx.AsyncClient(base_url=url, headers=STAFF) as http:
                        yield World(store, simulator, http)
                finally:
                    await simulator.stop()


async def test_what_a_phone_writes_arrives_as_one_message_and_gets_its_ticks(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        ana = it.simulator.people()[0]
        bubble = await it.simulator.say(ana.id, FASHION, "oi", copies=5)
        assert bubble.status == "sent"
        await it.quiet()
        (message,) = it.store.events(WhatsAppMessageReceived)
        assert (message.content.text, message.wa_id, message.profile_name) == ("oi", "5511900000001", "Ana Souza")
        assert [bubble.status for bubble in it.chat()] == ["delivered"]
        await it.send(OutText(text="Olá, Ana!"))
        assert [(b.mine, b.text, b.status) for b in it.chat()] == [(True, "oi", "read"), (False, "Olá, Ana!", "read")]


async def test_a_send_is_followed_by_its_statuses(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.opened()
        await it.send(OutText(text="Olá!"))
        statuses = [status.status for status in it.store.events(WhatsAppStatus)]
        assert statuses[-1] == "read"
        assert statuses == sorted(statuses, key=["sent", "delivered", "read"].index)
        (row,) = await it.store.rows(select(tables.sends))
        assert row["wamid"] == it.chat()[1].wamid


async def test_every_kind_of_content_is_shown_and_can_be_tapped(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.opened()
        choices = (OutChoice(id="a", title="Azul"), OutChoice(id="b", title="Bege", description="claro"))
        await it.send(OutImage(link="/media/products/aurora.png", caption="Aurora"), 1)
        await it.send(OutButtons(text="Cor?", choices=choices, image="/media/products/aurora.png"), 2)
        await it.send(OutList(text="Cores", button="Ver", choices=choices), 3)
        _, image, buttons, rows = it.chat()
        assert (image.kind, image.text) == ("image", "Aurora")
        assert image.image is not None
        assert image.image.endswith("/media/products/aurora.png")
        assert (buttons.kind, [option.title for option in buttons.options]) == ("buttons", ["Azul", "Bege"])
        assert (rows.kind, rows.button, rows.options[1].description) == ("list", "Ver", "claro")
        await it.simulator.tap(buttons.wamid, "a")
        await it.simulator.tap(rows.wamid, "b")
        await it.quiet()
        _, *taps = it.store.events(WhatsAppMessageReceived)
        assert [(tap.kind, tap.content.payload, tap.context_wamid) for tap in taps] == [
            ("interactive", "a", buttons.wamid),
            ("interactive", "b", rows.wamid),
        ]


async def test_a_customer_without_a_number_writes_and_is_answered(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        nina = it.simulator.people()[3]
        await it.simulator.say(nina.id, FASHION, "boa noite")
        await it.quiet()
        (message,) = it.store.events(WhatsAppMessageReceived)
        assert (message.wa_id, message.sender) == (None, nina.user_id)
        await it.send(OutText(text="Boa noite!"), to=nina.user_id, to_kind="user")
        assert [bubble.text for bubble in it.chat(3)] == ["boa noite", "Boa noite!"]


async def test_a_kind_that_nobody_knows_arrives_as_unsupported(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        ana = it.simulator.people()[0]
        body = {"customer": ana.id, "phone_number_id": FASHION, "message": {"type": "hologram", "hologram": {}}}
        assert (await it.http.post("/simulator/api/messages", json=body)).status_code == 201
        await it.quiet()
        assert [message.kind for message in it.store.events(WhatsAppMessageReceived)] == ["unsupported"]


async def test_the_api_does_what_the_page_does(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        api = "/simulator/api"
        assert [n["name"] for n in (await it.http.get(f"{api}/numbers")).json()] == ["Moda"]
        zoe = (await it.http.post(f"{api}/customers", json={"name": "Zoe", "wa_id": "5511955550000"})).json()
        assert zoe["wa_id"] == "5511955550000"
        again = await it.http.post(f"{api}/customers", json={"name": "Zoe", "wa_id": "5511955550000"})
        assert again.status_code == 409
        said = {"customer": zoe["id"], "phone_number_id": FASHION, "text": "oi"}
        first = (await it.http.post(f"{api}/messages", json=said)).json()
        await it.quiet()
        chat = f"{api}/customers/{zoe['id']}/chats/{FASHION}/messages"
        waiting = asyncio.create_task(it.http.get(chat, params={"after": first["seq"], "wait": 10}))
        await it.send(OutButtons(text="Leva?", choices=(OutChoice(id="y", title="Sim"),)), to="5511955550000")
        (answer,) = (await waiting).json()
        assert answer["text"] == "Leva?"
        tapped = await it.http.post(f"{api}/messages/{answer['wamid']}/tap", json={"id": "y"})
        assert tapped.json()["reply_to"] == answer["wamid"]
        assert (await it.http.post(f"{api}/messages/{answer['wamid']}/tap", json={"id": "n"})).status_code == 404
        await it.http.post(f"{api}/messages/{first['wamid']}/deliver-again", json={"copies": 3})
        await it.quiet()
        assert [m.content.text for m in it.store.events(WhatsAppMessageReceived)] == ["oi", "Sim"]
        assert (await it.http.get(f"{api}/messages/{first['wamid']}")).json()["status"] == "read"
        assert list((await it.http.get(f"{api}/customers/{zoe['id']}/chats")).json()) == [FASHION]


async def test_only_staff_may_write_as_a_customer(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        for method, path in (("GET", "customers"), ("POST", "messages"), ("GET", "numbers")):
            answer = await it.http.request(
                method, f"/simulator/api/{path}", headers={"Authorization": "Bearer x"}, json={}
            )
            assert answer.status_code == 403


async def test_news_of_the_account_reaches_the_gateway(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.simulator.set_quality(FASHION, quality="RED")
        it.simulator.set_template("survey", "PAUSED", language="pt_BR")
        it.simulator.set_account("ACCOUNT_RESTRICTION")
        await it.quiet()
        news = [(one.what, one.state, one.severity) for one in it.store.events(WhatsAppAccountUpdated)]
        assert news == [
            ("quality", "FLAGGED", "warning"),
            ("template", "PAUSED", "alert"),
            ("account", "ACCOUNT_RESTRICTION", "alert"),
        ]


async def test_a_store_that_is_away_gets_its_webhooks_when_it_is_back(tmp_path: Path) -> None:
    app, answers, bodies = host(), [503, 500, 401, 200], list[bytes]()

    @app.post("/webhooks/whatsapp")
    async def hook(request: Request) -> PlainTextResponse:
        bodies.append(await request.body())
        return PlainTextResponse("", answers[len(bodies) - 1])

    async with serving(app) as url:
        simulator = make(tmp_path, url)
        await simulator.start()
        ana = simulator.people()[0]
        await simulator.say(ana.id, FASHION, "oi")
        async with asyncio.timeout(10):
            await simulator.idle()
        assert len(bodies) == 4
        assert len(set(bodies)) == 1
        assert simulator.bubbles(ana.id, FASHION)[0].status == "delivered"
        await simulator.stop()


async def test_chats_and_undelivered_webhooks_survive_a_restart(tmp_path: Path) -> None:
    first = make(tmp_path, "http://127.0.0.1:9")
    await first.start()
    ana = first.people()[0]
    await first.say(ana.id, FASHION, "oi")
    await first.stop()
    app, got = host(), asyncio.Event()

    @app.post("/webhooks/whatsapp")
    async def hook() -> None:
        got.set()

    async with serving(app) as url:
        second = make(tmp_path, url)
        assert [bubble.text for bubble in second.bubbles(ana.id, FASHION)] == ["oi"]
        await second.start()
        async with asyncio.timeout(5):
            await got.wait()
            await second.idle()
        assert second.bubbles(ana.id, FASHION)[0].status == "delivered"
        await second.stop()


async def test_with_a_real_graph_url_the_simulator_is_off(tmp_path: Path) -> None:
    simulator = make(tmp_path, "http://store", elsewhere="https://graph.facebook.com")
    assert not simulator.serves(FASHION)
    with pytest.raises(Conflict, match="AGENT_STORE_WHATSAPP_GRAPH_URL"):
        await simulator.say(simulator.people()[0].id, FASHION, "oi")
    with pytest.raises(Conflict):
        await simulator.graph_send(FASHION, {})
    await simulator.stop()


def text(**more: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": "5511900000001", "type": "text", "text": {"body": "oi"}} | more


def interactive(value: dict[str, Any]) -> dict[str, Any]:
    return text(type="interactive", interactive={"body": {"text": "?"}} | value)


def buttons(*replies: dict[str, Any]) -> dict[str, Any]:
    return interactive(
        {"type": "button", "action": {"buttons": [{"type": "reply", "reply": reply} for reply in replies]}}
    )


def rows(count: int, title: str = "x", **more: Any) -> dict[str, Any]:
    found = [{"id": str(n), "title": title} | more for n in range(count)]
    return interactive({"type": "list", "action": {"button": "Ver", "sections": [{"rows": found}]}})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (text(messaging_product="x"), 100),
        (text(to=None), 100),
        (text(to="abc"), 100),
        (text(to=None, recipient="BR.unknown"), 131026),
        (text(text={}), 131008),
        (text(text={"body": "a" * 4097}), 131009),
        (text(type="image", image={"link": "/media/a.png"}), 131009),
        (text(type="hologram"), 100),
        (text(biz_opaque_callback_data="a" * 513), 131009),
        (buttons(), 131009),
        (buttons(*({"id": str(n), "title": str(n)} for n in range(4))), 131009),
        (buttons({"id": "a", "title": "x" * 21}), 131009),
        (buttons({"id": "a", "title": "x"}, {"id": "a", "title": "y"}), 131009),
        (rows(11), 131009),
        (rows(1, "x" * 25), 131009),
        (rows(1, description="x" * 73), 131009),
        (interactive({"type": "carousel"}), 131009),
        ([], 100),
    ],
)
async def test_the_graph_side_refuses_what_the_platform_refuses(tmp_path: Path, body: Any, code: int) -> None:
    async with graph_side(tmp_path) as post:
        answer = await post(FASHION, body, "sim-token")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


async def test_the_graph_side_wants_its_token_and_a_number_of_its_own(tmp_path: Path) -> None:
    async with graph_side(tmp_path) as post:
        wrong = await post(FASHION, text(), "other")
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, 190)
        foreign = await post("999", text(), "sim-token")
        assert (foreign.status_code, foreign.json()["error"]["code"]) == (400, 100)
        receipt = await post(
            FASHION, {"messaging_product": "whatsapp", "status": "read", "message_id": "w"}, "sim-token"
        )
        assert receipt.json() == {"success": True}
        assert (await post(FASHION, text(to="+44 7700 900123"), "sim-token")).status_code == 200


@asynccontextmanager
async def graph_side(path: Path) -> AsyncGenerator[Callable[[str, Any, str], Any]]:
    app = host()
    simulator = make(path, "http://nowhere")
    app.include_router(simulator_router(simulator, authorize=authorize))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://store") as http:

        def post(number: str, body: Any, token: str) -> Any:
            return http.post(
                f"/simulator/graph/v23.0/{number}/messages", json=body, headers={"Authorization": f"Bearer {token}"}
            )

        yield post
    await simulator.stop()


async def test_a_link_is_fetched_when_asked_as_the_platform_does(tmp_path: Path) -> None:
    app, got = host(), list[Any]()

    @app.post("/webhooks/whatsapp")
    async def hook(request: Request) -> None:
        got.append((await request.json())["entry"][0]["changes"][0]["value"]["statuses"][0])

    @app.get("/picture.{form}")
    async def picture(form: str) -> Response:
        return Response(b"x", media_type=f"image/{form}")

    async with serving(app) as url:
        behaviour = Behaviour(pace=Pace(sent=0, delivered=None), window="open", fetch_links=True)
        simulator = make(tmp_path, url, behaviour=behaviour)
        await simulator.start()
        for name in ("picture.png", "picture.svg", "gone.png"):
            await simulator.graph_send(FASHION, text(type="image", image={"link": f"{url}/{name}"}))
            await simulator.idle()
        assert [(one["status"], one.get("errors", [{}])[0].get("code")) for one in got] == [
            ("sent", None), ("failed", 131053), ("failed", 131053),
        ]  # fmt: skip
        await simulator.stop()


async def test_the_commands_that_manage_an_account_work_against_it(tmp_path: Path) -> None:
    app = host()
    simulator = make(tmp_path, "http://nowhere")
    app.include_router(simulator_router(simulator, authorize=authorize))
    body = {
        "name": "cake_ready", "language": "pt_BR", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Seu bolo está pronto."}],
    }  # fmt: skip
    item = {
        "title": "Bolo", "description": "de milho", "availability": "in stock", "condition": "new", "price": "9.50 BRL",
        "link": "https://p.example/1", "image_link": "https://p.example/1.png",
    }  # fmt: skip

    def manage(url: str) -> None:
        with GraphManagement(f"{url}/simulator/graph", "v23.0", "sim-token") as graph:
            made = graph.create_template("1", body)
            assert made["status"] == "PENDING"
            assert "cake_ready" in {one["name"] for one in graph.templates("1")}
            graph.edit_template(made["id"], body)
            requests = [{"method": "UPDATE", "data": {"id": f"SKU-{n:03}", **item}} for n in range(120)]
            handle = graph.send_items("700", requests)
            assert graph.batch_errors("700", handle, seconds=5) == []
            assert len(graph.retailer_ids("700")) == 120
            graph.set_profile(FASHION, {"about": "Moda"})
            assert graph.profile(FASHION)["about"] == "Moda"
            assert graph.number(FASHION)["quality_rating"] == "GREEN"
            graph.subscribe("1")
            assert graph.subscribed_apps("1")
            graph.register(FASHION, "123456")

    async with serving(app) as url:
        await asyncio.to_thread(manage, url)
    await simulator.stop()
