"""The tools as an MCP server: an outside client lists and calls them, with the SDK's own client."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Any

import httpx
import httpx2
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from agent_store.adapters.http import mcp_server
from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.http.edge import Gate
from agent_store.adapters.http.mcp import McpDoor
from agent_store.adapters.http.tokens import Tokens
from agent_store.contracts.cart import AddToCart, GetCart
from agent_store.entrypoints import contracts_export
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict
from agent_store.kernel.event import Envelope
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.tool import registry as contracts
from tests.support.embedded import RunningStore
from tests.support.kernel import Count, Note, metadata, note, texts
from tests.support.remote import serving
from tests.support.store import TestStore

STAFF = "the-staff-token"
KEYS = (("k1", b"the-secret-of-this-test-store"),)
ANA = Principal(customer_id="c1", brand="fashion", lease_token=7)


class WhoIs(Tool[dict[str, Any]], name="kt.who_is"):
    """On whose behalf."""


class Hidden(Tool[int], name="kt.hidden", staff_only=True):
    """For staff."""


class Refuse(Tool[int], name="kt.refuse", writes=True):
    """Say no."""


def offering(seen: list[Envelope]) -> Agent:
    agent = Agent("kt", tables=metadata)

    @agent.tool(Count)
    async def count(args: Count, ctx: Context) -> int:
        return len(args.text)

    @agent.tool(Note)
    async def write(args: Note, ctx: Context) -> int:
        await note(ctx, args.text)
        return 1

    @agent.tool(WhoIs)
    async def who(args: WhoIs, ctx: Context) -> dict[str, Any]:
        seen.append(ctx.event)
        return asdict(ctx.principal)

    @agent.tool(Hidden)
    async def hidden(args: Hidden, ctx: Context) -> int:
        return 42

    @agent.tool(Refuse)
    async def refuse(args: Refuse, ctx: Context) -> int:
        raise Conflict("sold out: take another", sku="A1")

    return agent


class Service(httpx2.Auth):
    """A service of the store: a token of its own for every request."""

    def __init__(self, tokens: Tokens, principal: Principal) -> None:
        self._tokens, self._principal = tokens, principal

    def auth_flow(self, request: Any) -> Any:
        request.headers["authorization"] = f"Bearer {self._tokens.for_access('mcp', self._principal)}"
        yield request


@contextlib.asynccontextmanager
async def client_of(url: str, mode: str = "auto", **options: Any) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(trust_env=False, **options) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def staff(**headers: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {STAFF}", "x-staff-name": "Rita", **headers}}


class Site:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tokens = Tokens("seller-service", KEYS, clock=self.clock)
        self.seen: list[Envelope] = []

    async def __aenter__(self) -> Site:
        self._stack = contextlib.AsyncExitStack()
        self.store = await self._stack.enter_async_context(TestStore([offering(self.seen)], clock=self.clock))
        self.door = McpDoor(
            self.store.runtime.toolbox,
            Gate("mcp", staff=StaffAuth(STAFF), tokens=Tokens("kt-service", KEYS, clock=self.clock)),
            clock=self.clock,
            name="kt-service",
            version="1.2.3",
            urls=("https://shop.example.com",),
        )
        self._stack.push_async_callback(self.door.close)
        self.url = await self._stack.enter_async_context(serving(self.door))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    async with Site() as one:
        yield one


@pytest.fixture(params=["legacy", "2026-07-28"])
def mode(request: pytest.FixtureRequest) -> str:
    """Both ways a client may speak: with the handshake, and each request for itself."""
    return request.param


async def test_a_client_lists_the_tools_with_schemas_and_hints(site: Site, mode: str) -> None:
    async with client_of(site.url, mode, **staff()) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert sorted(tools) == site.store.runtime.toolbox.names
    count, write = tools["kt.count"], tools["kt.note"]
    assert count.description == "How many notes there are with this text."
    assert count.input_schema["properties"]["text"]["type"] == "string"
    assert count.annotations is not None
    assert (count.annotations.read_only_hint, count.annotations.idempotent_hint) == (True, True)
    assert write.annotations is not None
    assert (write.annotations.read_only_hint, write.annotations.idempotent_hint) == (False, False)
    assert write.input_schema["required"] == ["text"]


async def test_a_call_runs_the_tool_on_behalf_of_who_staff_name(site: Site, mode: str) -> None:
    async with client_of(site.url, mode, **staff(**{"x-customer-id": "c9", "x-brand": "tech"})) as client:
        result = await client.call_tool("kt.who_is", {})
        assert not result.is_error
        assert Principal(**result.structured_content) == Principal(staff="Rita", customer_id="c9", brand="tech")
        assert (await client.call_tool("kt.count", {"text": "four"})).structured_content == {"result": 4}
        assert (await client.call_tool("kt_count", {"text": "four"})).structured_content == {"result": 4}
        assert (await client.call_tool("kt.hidden", {})).structured_content == {"result": 42}


async def test_a_services_principal_is_in_its_token_and_staffs_tools_are_not_for_it(site: Site, mode: str) -> None:
    headers = {"x-customer-id": "c9", "x-staff-name": "Rita"}
    async with client_of(site.url, mode, auth=Service(site.tokens, ANA), headers=headers) as client:
        assert "kt.hidden" not in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("kt.who_is", {})
        assert Principal(**result.structured_content) == ANA
        refused = await client.call_tool("kt.hidden", {})
        assert (refused.is_error, refused.content[0].text) == (True, "kt.hidden is for staff")  # type: ignore[union-attr]
    assert site.seen[-1].source == "/agent-store/call/seller-service"


async def test_errors_are_told_to_the_model_in_their_words(site: Site, mode: str) -> None:
    async with client_of(site.url, mode, **staff()) as client:
        refused = await client.call_tool("kt.refuse", {})
        assert (refused.is_error, refused.content[0].text) == (True, "sold out: take another")  # type: ignore[union-attr]
        assert refused.meta is not None
        assert refused.meta["agent-store/code"] == "conflict"
        assert refused.meta["agent-store/details"] == {"sku": "A1"}
        wrong = await client.call_tool("kt.note", {"texts": "x"})
        assert wrong.is_error
        assert "kt.note: text" in wrong.content[0].text  # type: ignore[union-attr]
        with pytest.raises(MCPError, match=r"no tool 'kt\.nothing'"):
            await client.call_tool("kt.nothing", {})


async def test_a_change_with_an_idempotency_key_is_done_once(site: Site, mode: str) -> None:
    async with client_of(site.url, mode, **staff()) as client:
        for _ in range(2):
            await client.call_tool("kt.note", {"text": "once"}, meta={"agent-store/idempotency-key": "k"})
        again = await client.call_tool("kt.note", {"text": "other"}, meta={"agent-store/idempotency-key": "k"})
        assert again.meta is not None
        assert again.meta["agent-store/code"] == "idempotency-key-reused"
        with pytest.raises(MCPError, match="1 to 1024 characters"):
            await client.call_tool("kt.note", {"text": "x"}, meta={"agent-store/idempotency-key": ""})
    assert await texts(site.store) == ["once"]


async def test_a_call_goes_on_in_its_clients_trace(site: Site) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    async with client_of(site.url, "legacy", **staff(traceparent=trace)) as client:
        await client.call_tool("kt.who_is", {})
    assert site.seen[-1].traceparent == trace


async def test_who_has_no_token_is_refused_before_anything(site: Site) -> None:
    other = Tokens("x", (("k1", b"another-secret-of-others"),), clock=site.clock)
    async with httpx.AsyncClient(trust_env=False) as http:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": f"Bearer {other.for_access('mcp', ANA)}"},
            {"authorization": f"Bearer {site.tokens.for_call('kt.count', None, b'{}', ANA, None)}"},
            {"cookie": f"agent_store_staff={StaffAuth(STAFF).cookie_value}"},
        ):
            for method in ("GET", "POST", "DELETE"):
                answer = await http.request(method, f"{site.url}/mcp", headers=headers)
                assert answer.status_code in (401, 403), (method, headers, answer.text)
    assert site.door._serving is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "evil.example.com"}, 421),
        ({"host": "shop.example.com"}, 200),
        ({"host": "shop.example.com:443"}, 200),
        ({"origin": "https://evil.example.com"}, 403),
        ({"origin": "https://shop.example.com"}, 200),
        ({"origin": "http://localhost:3000"}, 200),
    ],
)
async def test_a_web_page_cannot_reach_it_by_a_name_that_points_here(
    site: Site, headers: dict[str, str], status: int
) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    sent = {"accept": "application/json, text/event-stream", **staff()["headers"], **headers}
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.post(f"{site.url}/mcp", json=call, headers=sent)).status_code == status


async def test_any_replica_can_answer_any_request(site: Site) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "kt.count", "arguments": {}}}
    sent = {"accept": "application/json, text/event-stream", **staff()["headers"]}
    async with Site() as other, httpx.AsyncClient(trust_env=False) as http:
        for url in (site.url, other.url):
            answer = await http.post(f"{url}/mcp", json=call, headers=sent)
            assert answer.json()["result"]["structuredContent"] == {"result": 0}
            assert "mcp-session-id" not in answer.headers


async def test_a_door_that_is_closed_says_so(site: Site) -> None:
    await site.door.close()
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{site.url}/mcp", **staff())
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:agent-store:problem:not-ready")


def test_a_process_that_nobody_asks_does_not_import_the_sdk() -> None:
    code = (
        "import sys, agent_store.entrypoints.embedded; "
        "print([name for name in sys.modules if name in ('mcp', 'mcp_types', 'jwt', 'cryptography')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_tool_of_the_store_has_schemas_that_hold_and_a_result_that_is_an_object() -> None:
    contracts_export.load_all()
    assert len(contracts) > 30
    for contract in contracts.values():
        schema, wrapped = mcp_server._output_schema(contract)
        for one in (schema, contract.model_json_schema()):
            assert one["type"] == "object", contract.tool_name
            Draft202012Validator.check_schema(one)
            references = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(one)))
            assert references <= one.get("$defs", {}).keys(), contract.tool_name
        assert not wrapped or schema["required"] == ["result"]


async def test_an_outside_client_shops_in_the_embedded_store() -> None:
    async with RunningStore() as running:
        headers = {**running.staff, "x-customer-id": "c-mcp", "x-brand": "fashion"}
        async with client_of(running.store.url, headers=headers) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert {"catalog.search", AddToCart.tool_name, GetCart.tool_name, "orders.place"} <= tools
            found = await client.call_tool("catalog.search", {"text": "vestido", "brand": "fashion"})
            sku = found.structured_content["hits"][0]["product"]["variants"][0]["sku"]
            added = await client.call_tool(AddToCart.tool_name, {"sku": sku, "quantity": 1})
            assert not added.is_error, added.content
            assert (await client.call_tool(GetCart.tool_name, {})).structured_content["lines"][0]["sku"] == sku
        cart = await running.store.runtime.call(GetCart(), Principal(customer_id="c-mcp", brand="fashion"))
        assert [line.sku for line in cart.lines] == [sku]
        index = await running.api("GET", "/contracts")
        assert {tool["name"] for tool in index["tools"]} == tools
        contract = await running.api("GET", "/contracts/events/store.order.confirmed")
        assert contract["x-cloudevent"]["type"] == "store.order.confirmed"
        assert (await running.http.get("/contracts")).status_code == 401
        assert (await running.http.post("/mcp")).status_code == 401
