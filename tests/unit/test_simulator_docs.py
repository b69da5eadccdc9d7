"""docs/simulator.md names every route of the REST API and every field of the behaviour, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI

from agent_store.adapters.whatsapp.simulator import Behaviour, Simulator
from agent_store.adapters.whatsapp.simulator_http import simulator_router

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


async def test_the_page_names_every_route_and_no_other(tmp_path: Path) -> None:
    app = FastAPI()
    simulator = Simulator(
        tmp_path / "x.sqlite3", webhook_url="http://bot/hook", numbers=lambda: (), app_secret="a", access_token="b"
    )
    app.include_router(simulator_router(simulator, authorize=lambda _: None))
    routes = {path.removeprefix("/simulator/api") for path in app.openapi()["paths"]}
    await simulator.stop()
    page = PAGE.read_text("utf-8")
    shape = re.compile(r"\$SIM(/[\w/$.-]*)|(?:GET|POST|PUT|PATCH|DELETE) (/[\w/{}-]*)")
    named = {(found[1] or found[2]).rstrip("/") for found in shape.finditer(page)}

    def fits(name: str, route: str) -> bool:
        pattern = re.sub(r"\{\w+\}", r"(\\{\\w+\\}|\\$?[\\w.-]+)", route)
        return re.fullmatch(pattern, name) is not None

    assert [route for route in routes if not any(fits(name, route) for name in named)] == []
    own = {
        name
        for name in named
        if name and not re.match(r"/(\{(number|media|account|template|catalog)\}|debug_token|webhook$)", name)
    }
    assert [name for name in own if not any(fits(name, route) for route in routes)] == []


def test_the_page_names_every_field_of_the_behaviour() -> None:
    page = PAGE.read_text("utf-8")
    assert [name for name in Behaviour.model_fields if f"`{name}`" not in page] == []


async def test_the_schema_has_examples_of_what_is_sent(tmp_path: Path) -> None:
    app = FastAPI()
    simulator = Simulator(
        tmp_path / "x.sqlite3", webhook_url="http://bot/hook", numbers=lambda: (), app_secret="a", access_token="b"
    )
    app.include_router(simulator_router(simulator, authorize=lambda _: None))
    schema = app.openapi()
    await simulator.stop()
    behaviour = schema["paths"]["/simulator/api/behaviour"]["put"]["requestBody"]["content"]["application/json"]
    for example in behaviour["examples"].values():
        Behaviour.model_validate(example["value"])
    assert schema["components"]["schemas"]["NewMessage"]["examples"]
