"""What a process tells of its contracts: the tools that it offers and the events that it hears."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from agent_store.adapters.http import wire
from agent_store.kernel import schemas
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import NotFound
from agent_store.kernel.event import Event
from agent_store.kernel.event import registry as events
from agent_store.kernel.tool import registry as tools
from agent_store.kernel.toolbox import LocalToolbox


def contracts_router(
    toolbox: LocalToolbox,
    consumers: Callable[[], Iterable[Consumer]],
    *,
    authorize: Callable[[HTTPConnection], None] | None,
) -> APIRouter:
    """`GET /contracts`: what the agents of this process offer and hear; the same documents as in `docs/contracts/`.

    `authorize` raises for who may not read them (`Gate("contracts", …)`, `StaffAuth`); None makes them public. They
    name every internal command and staff's own tools, which helps nobody who may not call them: public is for a store
    that publishes its contracts on purpose.
    """
    router = APIRouter(
        prefix="/contracts", tags=["contracts"], dependencies=[] if authorize is None else [Depends(authorize)]
    )

    def heard() -> dict[str, type[Event]]:
        names = {name for consumer in consumers() for name in consumer.agent.subscriptions}
        return {name: events[name] for name in sorted(names & events.keys())}

    @router.get("")
    async def index() -> dict[str, Any]:
        """Names, meanings and where the whole document is."""
        return {
            "tools": [
                {
                    "name": name,
                    "description": tools[name].description(),
                    "writes": tools[name].writes,
                    "staff_only": tools[name].staff_only,
                    "href": f"/contracts/tools/{name}",
                }
                for name in toolbox.names
            ],
            "events": [
                {
                    "type": name,
                    "topic": kind.topic,
                    "description": " ".join((kind.__doc__ or kind.__name__).split()),
                    "href": f"/contracts/events/{name}",
                }
                for name, kind in heard().items()
            ],
            "asyncapi": "/contracts/asyncapi.json",
        }

    @router.get("/asyncapi.json")
    async def asyncapi() -> dict[str, Any]:
        """The events that are heard here, as an AsyncAPI document."""
        return schemas.asyncapi(heard().values())

    @router.get("/tools")
    async def of_agent(request: Request, agent: str = "") -> Response:
        """The whole contracts, of one agent's tools or of all. `If-None-Match` is answered 304 while they are the same."""
        names = [name for name in toolbox.names if not agent or name.partition(".")[0] == agent]
        body = json.dumps({"tools": [schemas.tool_contract(tools[name]) for name in names]}).encode()
        tag = wire.tag_of(body)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        return Response(body, media_type="application/json", headers={"etag": tag})

    @router.get("/tools/{name}")
    async def tool(name: str) -> dict[str, Any]:
        if not toolbox.offers(name):
            raise NotFound(f"no agent of this process offers {name}; /contracts lists what there is")
        return schemas.tool_contract(tools[name])

    @router.get("/events/{type}")
    async def event(type: str) -> dict[str, Any]:
        kind = heard().get(type)
        if kind is None:
            raise NotFound(f"no agent of this process hears {type}; /contracts lists what there is")
        return schemas.event_schema(kind)

    return router
