"""The REST API: products for everybody; carts, orders, conversations, the queue, events and every tool for staff."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, TypeVar

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.http.dead import dead_api
from agent_store.contracts import cart, catalog, chat, orders, people
from agent_store.contracts.brands import Brand, Directory
from agent_store.contracts.chat import ConversationSummary, Transcript
from agent_store.contracts.orders import OrderState, OrderView
from agent_store.contracts.people import EscalationView
from agent_store.kernel import cloudevents, journal
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound
from agent_store.kernel.news import News
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.tool import registry as tool_contracts
from agent_store.kernel.toolbox import parse_call
from agent_store.kernel.trail import trail

R = TypeVar("R")


class Admin(Protocol):
    """What the entrypoint can do that is no agent's business."""

    async def add_brand(self, text: str) -> Brand: ...

    async def import_catalog(self, text: str, form: str) -> catalog.ImportReport: ...


class BrandEntry(BaseModel):
    """`name` is the brand's stable name (fashion, tech, …; `shared` for the shared number), `title` the shop's."""

    name: str
    title: str
    seller: str = ""
    emoji: str = ""
    display_phone: str = ""
    phone_number_ids: tuple[str, ...]
    whatsapp_catalog_id: str = ""

    @classmethod
    def of(cls, brand: Brand) -> BrandEntry:
        return cls(
            name=brand.id, title=brand.name, seller=brand.seller, emoji=brand.emoji,
            display_phone=brand.display_phone, phone_number_ids=brand.phone_number_ids,
            whatsapp_catalog_id=brand.whatsapp_catalog_id,
        )  # fmt: skip


class ShipBody(BaseModel):
    carrier: str = Field(default="", max_length=60)
    tracking: str = Field(default="", max_length=60)


class ReplyBody(BaseModel):
    text: str = Field(min_length=1, max_length=4000)


class HandBackBody(BaseModel):
    outcome: str = Field(default="", max_length=400)


def public_api(runtime: Runtime, directory: Directory) -> APIRouter:
    api = APIRouter(prefix="/api", tags=["shop"])

    @api.get("/brands")
    async def brands() -> list[BrandEntry]:
        """Each brand's name and WhatsApp numbers; the shared number under the name `shared`."""
        shared = directory.shared
        return [
            *(BrandEntry.of(brand) for brand in directory.brands()),
            BrandEntry(
                name="shared", title=shared.name, display_phone=shared.display_phone,
                phone_number_ids=shared.phone_number_ids,
            ),
        ]  # fmt: skip

    @api.get("/products")
    async def products(
        q: Annotated[str, Query(max_length=200)] = "",
        brand: str = "*",
        category: str | None = None,
        color: str | None = None,
        size: str | None = None,
        max_price: Annotated[str | None, Query(description="like 299.90")] = None,
        limit: Annotated[int, Query(ge=1, le=50)] = 20,
        offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    ) -> catalog.SearchResult:
        arguments: dict[str, Any] = {
            "text": q, "brand": brand, "category": category, "color": color, "size": size,
            "max_price": max_price, "limit": limit, "offset": offset,
        }  # fmt: skip
        tool = parse_call("catalog.search", {name: value for name, value in arguments.items() if value is not None})
        return await runtime.call(tool, Principal())

    @api.get("/products/{product_id}")
    async def product(product_id: str) -> catalog.ProductView:
        """By product id or SKU."""
        found = await runtime.call(catalog.GetProducts(ids=(product_id,)), Principal())
        if not found:
            raise NotFound(f"there is no product {product_id!r}")
        return found[0]

    return api


def staff_api(
    runtime: Runtime, directory: Directory, auth: StaffAuth, admin: Admin, news: News | None = None
) -> APIRouter:
    """With `news` `/api/events` hears of what other processes commit as well."""
    api = APIRouter(prefix="/api", tags=["staff"], dependencies=[Depends(auth)])

    def who(request: Request) -> Principal:
        return auth.principal(request)

    async def call(tool: Tool[R], principal: Principal, request: Request | None = None) -> R:
        key = request.headers.get("idempotency-key") if request is not None else None
        return await runtime.call(tool, principal, key=key)

    @api.get("/carts/{customer_id}")
    async def cart_of(customer_id: str, staff: Principal = Depends(who)) -> cart.CartView:
        return await call(cart.GetCartOf.model_validate({"customer_id": customer_id}), staff)

    @api.get("/orders")
    async def list_orders(
        state: OrderState | None = None,
        customer_id: str | None = None,
        before: datetime | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        staff: Principal = Depends(who),
    ) -> tuple[OrderView, ...]:
        tool = orders.ListOrders.model_validate(
            {"state": state, "customer_id": customer_id, "before": before, "limit": limit}
        )
        return await call(tool, staff)

    @api.get("/orders/{number}")
    async def order(number: str, staff: Principal = Depends(who)) -> OrderView:
        return await call(orders.GetOrder(number=number), staff)

    @api.post("/orders/{number}/pick")
    async def pick(number: str, request: Request, staff: Principal = Depends(who)) -> OrderView:
        """The goods are off the shelf and packed."""
        return await call(orders.PickOrder(number=number), staff, request)

    @api.post("/orders/{number}/ship")
    async def ship(
        number: str, request: Request, body: ShipBody | None = None, staff: Principal = Depends(who)
    ) -> OrderView:
        """The parcel is with the carrier; for a pickup, ready at the counter. The customer hears of it once."""
        body = body or ShipBody()
        return await call(orders.ShipOrder(number=number, carrier=body.carrier, tracking=body.tracking), staff, request)

    @api.post("/orders/{number}/deliver")
    async def deliver(number: str, request: Request, staff: Principal = Depends(who)) -> OrderView:
        return await call(orders.DeliverOrder(number=number), staff, request)

    @api.get("/conversations")
    async def conversations(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: datetime | None = None,
        staff: Principal = Depends(who),
    ) -> tuple[ConversationSummary, ...]:
        return await call(chat.ListConversations(limit=limit, before=before), staff)

    @api.get("/conversations/{conversation_id}")
    async def conversation(
        conversation_id: str,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        staff: Principal = Depends(who),
    ) -> Transcript:
        return await call(
            chat.GetTranscript.model_validate({"conversation_id": conversation_id, "limit": limit}), staff
        )

    @api.get("/conversations/{conversation_id}/trail")
    async def conversation_trail(conversation_id: str, staff: Principal = Depends(who)) -> list[dict[str, Any]]:
        """Every event, tool call and decision, as a tree of causes."""
        nodes = await trail(runtime.store.reader, conversation_id)
        if not nodes:
            raise NotFound(f"there is no conversation {conversation_id!r}, or its events are past their retention")
        tool = chat.GetDecisions.model_validate({"conversation_id": conversation_id})
        decisions: dict[str, list[dict[str, Any]]] = {}
        for decision in await call(tool, staff):
            decisions.setdefault(decision.cause, []).append(decision.model_dump(mode="json"))
        return [_with_decisions(node.to_json(), decisions) for node in nodes]

    @api.get("/escalations")
    async def escalations(
        state: Literal["waiting", "claimed", "resolved", "open"] = "open", staff: Principal = Depends(who)
    ) -> tuple[EscalationView, ...]:
        return await call(people.ListEscalations(state=state), staff)

    @api.post("/escalations/{escalation_id}/claim")
    async def claim(escalation_id: str, request: Request, staff: Principal = Depends(who)) -> EscalationView:
        return await call(people.ClaimEscalation(escalation_id=escalation_id), staff, request)

    @api.post("/escalations/{escalation_id}/reply")
    async def reply(
        escalation_id: str, body: ReplyBody, request: Request, staff: Principal = Depends(who)
    ) -> EscalationView:
        return await call(people.ReplyAsPerson(escalation_id=escalation_id, text=body.text), staff, request)

    @api.post("/escalations/{escalation_id}/hand-back")
    async def hand_back(
        escalation_id: str, request: Request, body: HandBackBody | None = None, staff: Principal = Depends(who)
    ) -> EscalationView:
        outcome = body.outcome if body else ""
        return await call(people.HandBack(escalation_id=escalation_id, outcome=outcome), staff, request)

    @api.get("/tools")
    async def tools() -> list[dict[str, Any]]:
        """Every tool that runs here, with the JSON Schema of its arguments."""
        return [
            {
                "name": name,
                "description": tool_contracts[name].description(),
                "writes": tool_contracts[name].writes,
                "staff_only": tool_contracts[name].staff_only,
                "parameters": tool_contracts[name].model_json_schema(),
            }
            for name in runtime.toolbox.names
        ]

    @api.post("/tools/{name}")
    async def tool_call(
        name: str,
        request: Request,
        arguments: Annotated[dict[str, Any], Body()],
        staff: Principal = Depends(who),
    ) -> Any:
        """Call any tool as staff. `X-Customer-Id` names the customer on whose behalf; `Idempotency-Key` makes a
        writing call safe to repeat."""
        customer = request.headers.get("x-customer-id")
        principal = Principal(customer_id=customer, staff=staff.staff, brand=request.headers.get("x-brand"))
        tool = parse_call(name, arguments)
        result = await call(tool, principal, request)
        return Response(type(tool).result_adapter.dump_json(result), media_type="application/json")

    @api.get("/events")
    async def events(
        after: Annotated[int | None, Query(description="sequence number; without it, from now on")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        wait: Annotated[float, Query(ge=0, le=30, description="seconds to wait for the first event")] = 0,
    ) -> dict[str, Any]:
        """Events as they were emitted, as CloudEvents; `next` is what to pass as `after` the next time."""
        reader = runtime.store.reader
        if after is None:
            row = await reader.first(journal.LAST_SEQ)
            after = (row["seq"] if row else None) or 0
        more = asyncio.Event()

        def notice(_: object) -> None:
            more.set()

        asked = {"after": after, "most": limit}
        with news.listening(notice) if news is not None else _listening(runtime, notice):
            rows = await reader.all(journal.EVENTS_AFTER, asked)
            clock = asyncio.get_running_loop().time
            until = clock() + wait
            while not rows and clock() < until:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await more.wait()
                more.clear()
                rows = await reader.all(journal.EVENTS_AFTER, asked)
        return {
            "events": [cloudevents.to_json(journal.envelope_of(row)) for row in rows],
            "next": rows[-1]["seq"] if rows else after,
        }

    @api.post("/brands", status_code=201)
    async def add_brand(request: Request) -> BrandEntry:
        """A brand more, from its YAML: it answers at once."""
        return BrandEntry.of(await admin.add_brand(await _text(request)))

    @api.post("/catalog/import")
    async def import_catalog(
        request: Request, form: Annotated[str, Query(pattern="^(csv|json|yaml)$")]
    ) -> catalog.ImportReport:
        """Products from a CSV, JSON or YAML file: all of them, or none and a list of errors by row."""
        return await admin.import_catalog(await _text(request), form)

    api.include_router(dead_api(runtime, auth, prefix="/dead"))
    return api


@contextlib.contextmanager
def _listening(runtime: Runtime, listener: Callable[[object], None]) -> Generator[None]:
    """To the commits of this process."""
    runtime.listeners.append(listener)
    try:
        yield
    finally:
        runtime.listeners.remove(listener)


async def _text(request: Request) -> str:
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the file is not UTF-8 (byte {error.start}): save it as UTF-8 and send it again") from error


def _with_decisions(node: dict[str, Any], decisions: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The tree with what `conversations` decided beside the event that it decided on."""
    node["decisions"] = decisions.get(node["id"], [])
    for effect in node["effects"]:
        _with_decisions(effect, decisions)
    return node


def closed_intake() -> APIRouter:
    """An embedded store takes no events from outside: nobody forges one."""
    router = APIRouter(include_in_schema=False)

    @router.post("/events")
    @router.post("/")
    async def refuse() -> None:
        raise Forbidden("an embedded store takes no CloudEvents from outside; write to a webhook or call a tool")

    return router
