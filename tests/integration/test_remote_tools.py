"""Tools of another process behave as local ones, over links that break and agents that hang."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from agent_store.adapters.http import problems
from agent_store.adapters.http.breaker import BreakerLimits
from agent_store.adapters.http.contracts_server import contracts_router
from agent_store.adapters.http.edge import Gate
from agent_store.adapters.http.tokens import Tokens
from agent_store.adapters.http.tools_client import CallLimits, RemoteToolbox
from agent_store.adapters.http.tools_server import tools_route
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.context import Context
from agent_store.kernel.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    KeyReused,
    NotFound,
    PermanentError,
    StaleSpeaker,
    StoreError,
    TemporaryError,
)
from agent_store.kernel.event import Envelope
from agent_store.kernel.metrics import NoMetrics
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.toolbox import LocalToolbox, Toolbox
from tests.support.kernel import Count, Job, Note, Pong, metadata, note, texts, until
from tests.support.remote import Link, MovedTime, canned, serving
from tests.support.store import TestStore

KEYS = (("k1", b"the-secret-of-this-test-store"),)
ANA = Principal(customer_id="c1", conversation_id="v1", brand="fashion", channel="whatsapp", lease_token=7)
PATIENT = BreakerLimits(in_a_row=1000, window=1000)
CAUSE = Envelope(
    id="e1",
    source="/agent-store/seller/fashion",
    type="store.chat.message.new",
    time=datetime(2026, 1, 5, 12, 0, tzinfo=UTC),
    correlationid="root",
    brand="fashion",
    channel="whatsapp",
    traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
    tracestate="vendor=x",
)


class WhoAmI(Tool[dict[str, Any]], name="kt.who"):
    """On whose behalf, and why."""


class Fail(Tool[int], name="kt.fail"):
    """Raise the error of this name."""

    name: str


class Slow(Tool[int], name="kt.slow"):
    """Wait for the gate."""


class Rich(Tool[tuple[Money, ...]], name="kt.rich"):
    """Types that JSON has no word for."""

    at: datetime
    prices: tuple[Money, ...]


class Place(Tool[str], name="kt.place", writes=True):
    """A chain of steps."""

    text: str


class Secret(Tool[int], name="kt.secret", staff_only=True):
    """For staff."""


class Relay(Tool[int], name="rc.relay"):
    """Ask the other agent."""

    text: str


class OddError(PermanentError):
    code = "odd"
    status = 418


class OutOfShape(Conflict):
    code = "out-of-shape"


ERRORS: dict[str, StoreError] = {
    "permanent": PermanentError("never", sku="A1", code="own-code"),
    "temporary": TemporaryError("later", retry_after=timedelta(seconds=2.5), place="here"),
    "plain-temporary": TemporaryError("later"),
    "input": InvalidInput("no", field="sku"),
    "missing": NotFound("gone"),
    "conflict": Conflict("sold out", missing=[{"sku": "A1", "left": 0}], alternatives=("A2",)),
    "forbidden": Forbidden("no"),
    "stale": StaleSpeaker("too late", token=1, seen=2),
    "own": OddError("odd", at=datetime(2026, 1, 5, tzinfo=UTC)),
    "derived": OutOfShape("bent"),
}


@dataclass
class Log:
    calls: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    cancelled: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)


def offering(log: Log) -> Agent:
    agent = Agent("kt", tables=metadata)

    @agent.tool(Count)
    async def count(args: Count, ctx: Context) -> int:
        log.calls.append("count")
        return len(args.text)

    @agent.tool(Note)
    async def write(args: Note, ctx: Context) -> int:
        log.calls.append("note")
        log.keys.append(ctx.key)
        await note(ctx, args.text)
        ctx.emit(Pong(id=args.text))
        return len(log.calls)

    @agent.tool(WhoAmI)
    async def who(args: WhoAmI, ctx: Context) -> dict[str, Any]:
        event = ctx.event
        names = ("id", "source", "type", "correlationid", "brand", "channel", "traceparent", "tracestate")
        return {**asdict(ctx.principal), "event": {name: getattr(event, name) for name in names}}

    @agent.tool(Fail)
    async def fail(args: Fail, ctx: Context) -> int:
        log.calls.append("fail")
        if args.name == "bug":
            raise ZeroDivisionError("a bug")
        raise ERRORS[args.name]

    @agent.tool(Slow)
    async def slow(args: Slow, ctx: Context) -> int:
        log.calls.append("slow")
        try:
            await log.gate.wait()
        except asyncio.CancelledError:
            log.cancelled += 1
            raise
        return 1

    @agent.tool(Rich)
    async def rich(args: Rich, ctx: Context) -> tuple[Money, ...]:
        assert args.at.tzinfo is not None
        return tuple(reversed(args.prices))

    @agent.tool(Place, steps=True)
    async def place(args: Place, ctx: Context) -> str:
        log.calls.append("place")
        await ctx.write("write", lambda tx: note(tx, args.text))
        return f"placed {args.text}"

    @agent.tool(Secret)
    async def secret(args: Secret, ctx: Context) -> int:
        return 42

    @agent.on(Job)
    async def job(event: Job, ctx: Context) -> None:
        pass

    return agent


class Numbers(NoMetrics):
    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.counted: Counter[tuple[str, ...]] = Counter()

    def tool_called(self, tool: str, outcome: str, seconds: float) -> None:
        self.outcomes[tool, outcome] += 1

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        self.counted[(name, *labels.values())] += amount


class Site:
    """An agent in a process of its own, a link to it, and the toolbox of a caller at the other end."""

    def __init__(self, **limits: Any) -> None:
        self.log = Log()
        self.clock = ManualClock()
        self.callers_clock = ManualClock()
        self.time = MovedTime(time.monotonic)
        self.numbers = Numbers()
        self.ready = True
        self.addresses: dict[str, str] = {}
        self.limits = replace(CallLimits(pause=timedelta(milliseconds=2)), **limits)

    def url_of_agent(self, name: str) -> str | None:
        return self.addresses.get(name)

    async def __aenter__(self) -> Site:
        self._stack = contextlib.AsyncExitStack()
        enter = self._stack.enter_async_context
        self.store = await enter(TestStore([offering(self.log)], clock=self.clock))
        runtime = self.store.runtime
        tokens = Tokens("kt-service", KEYS, clock=self.clock)
        app = FastAPI()
        problems.install(app)
        app.router.routes.append(tools_route(runtime.toolbox, tokens, clock=self.clock, ready=lambda: self.ready))
        app.include_router(
            contracts_router(runtime.toolbox, lambda: self.store.consumers, authorize=Gate("contracts", tokens=tokens))
        )
        self.direct = await enter(serving(app))
        self.link = await enter(Link(self.direct))
        self.addresses["kt"] = self.link.url
        self.local = LocalToolbox(self.numbers)
        self.tokens = Tokens("seller-service", KEYS, clock=self.callers_clock)
        self.tools = RemoteToolbox(
            self.local, self, self.tokens, metrics=self.numbers, limits=self.limits, now=self.time
        )
        self._stack.callback(self.tools.close)
        self.http = await enter(httpx.AsyncClient(base_url=self.direct, trust_env=False))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.log.gate.set()
        await self._stack.aclose()

    async def post(self, name: str, body: Any, token: str | None, **headers: str) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return await self.http.post(f"/tools/{name}", content=raw, headers=sent)


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    async with Site() as one:
        yield one


@pytest.fixture(params=["local", "remote"])
async def place(request: pytest.FixtureRequest) -> AsyncGenerator[tuple[Site, Toolbox]]:
    """The same agent, called in its own process and from another one."""
    async with Site() as one:
        yield one, one.tools if request.param == "remote" else one.store.runtime.toolbox


async def refused(toolbox: Toolbox, tool: Tool[Any], principal: Principal = ANA, key: str | None = None) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await toolbox.call(tool, principal, key=key)
    return caught.value


def code(error: StoreError) -> tuple[str, str]:
    return type(error).__name__, error.code


# --- no difference ---------------------------------------------------------------------------------------------------


async def test_results_come_back_as_what_they_are(place: tuple[Site, Toolbox]) -> None:
    _, tools = place
    prices = (Money(minor=1990, currency="BRL"), Money(minor=5, currency="BRL"))
    assert await tools.call(Count(text="four"), ANA) == 4
    assert await tools.call(Rich(at=datetime(2026, 1, 5, tzinfo=UTC), prices=prices), ANA) == tuple(reversed(prices))
    assert await tools.call(Place(text="é 🙂"), ANA, key="k") == "placed é 🙂"


@pytest.mark.parametrize("name", sorted(ERRORS))
async def test_errors_come_back_as_what_they_are(place: tuple[Site, Toolbox], name: str) -> None:
    site, tools = place
    error, wanted = await refused(tools, Fail(name=name)), ERRORS[name]
    known = {"own": PermanentError, "derived": Conflict}.get(name, type(wanted))
    assert isinstance(error, known)
    assert (error.message, error.code, error.status) == (wanted.message, wanted.code, wanted.status)
    assert json.loads(json.dumps(error.details, default=str)).keys() == wanted.details.keys()
    if isinstance(wanted, TemporaryError):
        assert isinstance(error, TemporaryError)
        assert error.retry_after == wanted.retry_after
    assert site.log.calls == ["fail"]  # what a tool says is final: it is not asked again
    assert site.tools.state_of("kt") == "closed"


async def test_the_tool_sees_the_principal_and_the_cause(place: tuple[Site, Toolbox]) -> None:
    _, tools = place
    seen = await tools.call(WhoAmI(), ANA, cause=CAUSE)
    event = seen.pop("event")
    assert Principal(**seen) == ANA
    trace = event.pop("traceparent")
    assert trace[:36] == f"00-{'a' * 32}-"
    assert event == {
        "id": "e1", "source": "/agent-store/seller/fashion", "type": "store.chat.message.new", "correlationid": "root",
        "brand": "fashion", "channel": "whatsapp", "tracestate": "vendor=x",
    }  # fmt: skip


async def test_what_it_emits_belongs_to_the_callers_conversation_and_trace(place: tuple[Site, Toolbox]) -> None:
    site, tools = place
    await tools.call(Note(text="x"), ANA, key="k", cause=CAUSE)
    (event,) = (one for one in site.store.envelopes if one.type == Pong.event_type)
    assert (event.correlationid, event.causationid, event.brand) == ("root", "e1", "fashion")
    assert event.traceparent is not None
    assert event.traceparent[3:35] == "a" * 32
    assert event.traceparent[36:52] != "b" * 16


async def test_the_same_key_gives_the_first_result_and_other_arguments_are_refused(place: tuple[Site, Toolbox]) -> None:
    site, tools = place
    pairs: list[tuple[Tool[Any], Tool[Any]]] = [
        (Note(text="x"), Note(text="y")),
        (Place(text="x"), Place(text="y")),
    ]
    for tool, other in pairs:
        first = await tools.call(tool, ANA, key="é/#1 \n")
        assert await tools.call(tool, ANA, key="é/#1 \n") == first
        assert isinstance(await refused(tools, other, key="é/#1 \n"), KeyReused)
    assert site.log.calls == ["note", "place"]
    assert await texts(site.store) == ["x", "x"]


async def test_one_customers_key_does_not_give_anothers_result(place: tuple[Site, Toolbox]) -> None:
    site, tools = place
    await tools.call(Note(text="x"), ANA, key="k")
    await tools.call(Note(text="x"), Principal(customer_id="c2"), key="k")
    assert await texts(site.store) == ["x", "x"]


async def test_staffs_tools_are_for_staff(place: tuple[Site, Toolbox]) -> None:
    _, tools = place
    assert isinstance(await refused(tools, Secret()), Forbidden)
    assert await tools.call(Secret(), Principal(staff="Rita")) == 42


async def test_a_tool_that_nobody_runs_is_not_found(site: Site) -> None:
    site.addresses.clear()
    assert code(await refused(site.tools, Count())) == ("NotFound", "not-found")


async def test_a_tool_of_this_process_is_called_without_the_network(site: Site) -> None:
    log = Log()
    async with TestStore([offering(log)]) as own:
        tools = RemoteToolbox(own.runtime.toolbox, site, site.tokens, metrics=site.numbers)
        assert await tools.call(Count(text="x"), ANA) == 1
    assert (log.calls, site.link.requests) == (["count"], [])


async def test_an_agent_calls_on_through_its_context(site: Site) -> None:
    """A handler's `ctx.call` finds the other process, and its bound in time goes with the call."""
    caller = Agent("rc", tables=None)

    @caller.tool(Relay)
    async def relay(args: Relay, ctx: Context) -> int:
        return await ctx.call(Count(text=args.text)) if args.text else await ctx.call(Slow())

    async with TestStore([caller]) as own:
        tools = RemoteToolbox(own.runtime.toolbox, site, site.tokens, metrics=site.numbers)
        own.runtime.world.toolbox = tools
        assert await tools.call(Relay(text="abc"), ANA) == 3
        tools.close()


# --- links that break ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["refuse", "swallow", "half", canned(503), canned(502), canned(504), canned(429)])
@pytest.mark.parametrize("tool", [Count(text="four"), Note(text="x"), Place(text="x")], ids=lambda tool: tool.tool_name)
async def test_a_call_survives_a_link_that_breaks_and_has_one_effect(
    site: Site, tool: Tool[Any], fault: str | bytes
) -> None:
    site.link.faults.extend([fault, fault])
    first = await site.tools.call(tool, ANA, key="k")
    assert await site.tools.call(tool, ANA, key="k") == first
    assert await texts(site.store) == (["x"] if tool.writes else [])
    assert len(site.link.requests) == 4
    assert site.numbers.outcomes == {(tool.tool_name, "ok"): 2}
    assert sum(site.numbers.counted.values()) == 2


async def test_a_change_without_a_key_gets_one_for_its_way_so_that_it_too_happens_once(site: Site) -> None:
    site.link.faults.extend(["swallow", "swallow"])
    await site.tools.call(Note(text="x"), ANA)
    await site.tools.call(Note(text="x"), ANA)  # the caller's second call is a second change, as it is locally
    assert await texts(site.store) == ["x", "x"]
    assert len(site.log.keys) == len(set(site.log.keys)) == 2


async def test_it_gives_up_after_its_tries_and_says_what_was_wrong(site: Site) -> None:
    site.link.always = "refuse"
    assert code(await refused(site.tools, Count())) == ("TemporaryError", "unreachable")
    site.link.always = canned(503)
    error = await refused(site.tools, Count())
    assert code(error) == ("TemporaryError", "unavailable")
    assert site.numbers.outcomes == {("kt.count", "unreachable"): 1, ("kt.count", "unavailable"): 1}


async def test_an_address_where_nobody_listens_is_unreachable(site: Site) -> None:
    site.addresses["kt"] = "http://127.0.0.1:1"
    assert code(await refused(site.tools, Note(text="x"))) == ("TemporaryError", "unreachable")


async def test_a_short_retry_after_is_kept_to_and_a_long_one_is_handed_on(site: Site) -> None:
    site.link.faults.append(canned(503, "Retry-After: 0"))
    assert await site.tools.call(Count(text="x"), ANA) == 1
    site.link.faults.append(canned(429, "Retry-After: 60"))
    error = await refused(site.tools, Count())
    assert isinstance(error, TemporaryError)
    assert error.retry_after == timedelta(seconds=60)
    assert len(site.link.requests) == 3


async def test_an_agent_that_is_not_ready_sends_the_caller_to_another_try(site: Site) -> None:
    site.ready = False
    error = await refused(site.tools, Note(text="x"), key="k")
    assert code(error) == ("TemporaryError", "unavailable")
    assert await texts(site.store) == []


@pytest.mark.parametrize(
    "answer",
    [
        canned(200, body=b"<html>"),
        canned(200, body=b'"no number"'),
        canned(200, body=b""),
        canned(301, "Location: http://example.com/"),
        canned(418, body=b"\xff\xfe"),
        canned(400, body=b'{"class": 5, "details": []}'),
        canned(422, body=b'{"detail": "x", "retry_after": -1, "class": "KeyReused"}'),
    ],
)
async def test_rubbish_is_a_temporary_error_and_no_result(site: Site, answer: bytes) -> None:
    site.link.always = answer
    assert code(await refused(site.tools, Count())) == ("TemporaryError", "bad-answer")
    assert len(site.link.requests) == 1


async def test_rubbish_that_is_no_http_is_tried_again_and_then_unreachable(site: Site) -> None:
    site.link.always = b"\x00\x01\x02 no HTTP\r\n\r\n"
    assert code(await refused(site.tools, Count())) == ("TemporaryError", "unreachable")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"class": "Exception", "temporary": True, "detail": "x", "code": "c"}, TemporaryError),
        ({"class": "timedelta", "detail": "x"}, PermanentError),
        ({"class": "Conflict", "detail": "x", "details": {"message": 1, "code": 2, "self": 3}}, Conflict),
    ],
)
async def test_an_error_of_another_version_is_still_an_error_of_ours(
    site: Site, body: Mapping[str, Any], wanted: type[StoreError]
) -> None:
    site.link.always = canned(409, body=json.dumps(body).encode())
    error = await refused(site.tools, Count())
    assert type(error) is wanted
    assert error.message == "x"
    assert error.details == body.get("details", {})


async def test_a_bug_of_the_other_agent_is_a_temporary_error_here(site: Site) -> None:
    assert code(await refused(site.tools, Fail(name="bug"))) == ("TemporaryError", "broken")
    assert site.log.calls == ["fail"]


# --- agents that hang ------------------------------------------------------------------------------------------------


async def runs_out(site: Site, tool: Tool[Any]) -> None:
    """A call whose time runs out: on a busy machine perhaps before it has got as far as the tool."""
    began = time.monotonic()
    assert code(await refused(site.tools, tool)) == ("TemporaryError", "timeout")
    assert time.monotonic() - began < 5


async def test_a_call_has_its_bound_whatever_the_other_side_does() -> None:
    async with Site(timeout=timedelta(seconds=0.2), breaker=PATIENT) as site:
        site.link.always = "hang"
        await runs_out(site, Slow())
        site.link.always = None
        while not site.log.calls:
            await runs_out(site, Slow())
        await until(lambda: site.log.cancelled == len(site.log.calls))  # nobody waits for it, so it does not work on


async def test_a_tool_that_needs_longer_gets_its_own_bound() -> None:
    async with Site(timeout=timedelta(seconds=0.05), timeouts={"kt.slow": timedelta(seconds=5)}) as site:
        call = asyncio.create_task(site.tools.call(Slow(), ANA))
        await until(lambda: site.log.calls == ["slow"])
        site.time.ahead += 1
        site.log.gate.set()
        assert await call == 1


async def test_who_has_less_time_left_waits_less() -> None:
    from agent_store.kernel import budget

    async with Site(breaker=PATIENT) as site:
        tries = 0
        while not site.log.calls:
            tries += 1
            with budget.within(0.1):
                await runs_out(site, Slow())
        with budget.within(0):
            await runs_out(site, Count())
        assert set(site.log.calls) == {"slow"}
        assert len(site.log.calls) <= tries


async def test_the_breaker_opens_on_a_broken_link_and_closes_when_it_is_whole() -> None:
    site = Site()
    site.time = MovedTime(lambda: 0.0)
    async with site:
        site.link.always = "refuse"
        while site.tools.state_of("kt") == "closed":
            await refused(site.tools, Count())
        seen = len(site.link.requests)
        assert code(await refused(site.tools, Note(text="x"))) == ("TemporaryError", "circuit-open")
        assert len(site.link.requests) == seen
        site.time.ahead += 2
        assert code(await refused(site.tools, Count())) == ("TemporaryError", "unreachable")
        assert site.tools.state_of("kt") == "open"
        site.link.always = None
        site.time.ahead += 4
        assert await site.tools.call(Count(text="x"), ANA) == 1
        assert site.tools.state_of("kt") == "closed"
        told = {key[1:]: number for key, number in site.numbers.counted.items() if key[0] == "circuit_breaker"}
        assert told == {("kt", "open"): 2, ("kt", "half-open"): 2, ("kt", "closed"): 1}


async def test_an_agent_that_hangs_opens_the_breaker_also_when_callers_give_up_first() -> None:
    async with Site(breaker=BreakerLimits(in_a_row=2)) as site:
        for number in (1, 2):
            call = asyncio.create_task(site.tools.call(Slow(), ANA))
            await until(lambda number=number: len(site.log.calls) == number)
            site.time.ahead += 3
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        assert site.tools.state_of("kt") == "open"


async def test_nobody_queues_for_an_agent_that_is_known_to_hang() -> None:
    async with Site(concurrency=1, queue=5, breaker=BreakerLimits(in_a_row=1)) as site:
        first = asyncio.create_task(site.tools.call(Slow(), ANA))
        await until(lambda: site.log.calls == ["slow"])
        line = site.tools._lines["kt"]
        line.breaker.failed(line.breaker.enter())
        assert code(await refused(site.tools, Count())) == ("TemporaryError", "circuit-open")
        site.log.gate.set()
        assert await first == 1


async def test_a_slow_agent_fills_its_own_bulkhead_and_no_other() -> None:
    async with Site(concurrency=1, queue=1) as site:
        site.addresses["rc"] = "http://127.0.0.1:1"
        first = asyncio.create_task(site.tools.call(Slow(), ANA))
        await until(lambda: site.log.calls == ["slow"])
        second = asyncio.create_task(site.tools.call(Count(text="x"), ANA))
        await until(lambda: site.tools._lines["kt"].bulkhead.waiting == 1)
        assert code(await refused(site.tools, Count())) == ("TemporaryError", "busy")
        assert code(await refused(site.tools, Relay(text="x"))) == ("TemporaryError", "unreachable")
        site.log.gate.set()
        assert (await first, await second) == (1, 1)


# --- who may ---------------------------------------------------------------------------------------------------------


async def test_who_has_no_token_is_refused(site: Site) -> None:
    answer = await site.post("kt.note", {"text": "x"}, None, idempotency_key="k")
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:agent-store:problem:token-missing")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for token in (
        "rubbish",
        Tokens("x", (("k1", b"another-secret-of-others"),), clock=site.clock).for_access("mcp", ANA),
    ):
        assert (await site.post("kt.note", {"text": "x"}, token, idempotency_key="k")).status_code == 401
    assert (await site.http.get("/contracts")).status_code == 401
    assert await texts(site.store) == []


async def test_a_token_cannot_be_used_for_another_call(site: Site) -> None:
    body = json.dumps({"text": "x"}).encode()
    token = site.tokens.for_call("kt.note", "k", body, ANA, None)
    for name, sent, key in (
        ("kt.place", body, "k"),
        ("kt.note", b'{"text": "y"}', "k"),
        ("kt.note", body, "k2"),
    ):
        answer = await site.post(name, sent, token, idempotency_key=key)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:agent-store:problem:token-misused")
    assert (
        await site.post("kt.note", body, site.tokens.for_access("mcp", ANA), idempotency_key="k")
    ).status_code == 403
    assert await texts(site.store) == []


async def test_a_stolen_token_does_nothing_twice(site: Site) -> None:
    body = json.dumps({"text": "x"}).encode()
    token = site.tokens.for_call("kt.note", "k", body, ANA, None)
    answers = [await site.post("kt.note", body, token, idempotency_key="k") for _ in range(3)]
    assert {answer.text for answer in answers} == {"1"}
    without = site.tokens.for_call("kt.note", None, body, ANA, None)
    assert (await site.post("kt.note", body, without)).status_code == 422
    assert await texts(site.store) == ["x"]


async def test_the_principal_comes_from_the_token_and_from_nowhere_else(site: Site) -> None:
    token = site.tokens.for_call("kt.who", None, b"{}", ANA, None)
    headers = {"x_customer_id": "c2", "x_staff_name": "Rita", "x_brand": "tech", "ce_id": "forged"}
    seen = (await site.post("kt.who", b"{}", token, **headers)).json()
    event = seen.pop("event")
    assert Principal(**seen) == ANA
    assert (event["type"], event["source"]) == ("call.kt.who", "/agent-store/call/seller-service")
    smuggled = b'{"customer_id": "c2"}'
    token = site.tokens.for_call("kt.who", None, smuggled, ANA, None)
    answer = await site.post("kt.who", smuggled, token)
    assert (answer.status_code, answer.json()["class"]) == (422, "InvalidInput")


async def test_a_token_runs_out_and_clocks_may_differ_a_little(site: Site) -> None:
    site.callers_clock.move(timedelta(seconds=25))
    assert await site.tools.call(Count(text="x"), ANA) == 1
    site.callers_clock.move(-timedelta(seconds=75))
    assert await site.tools.call(Count(text="x"), ANA) == 1
    site.callers_clock.move(-timedelta(hours=1))
    error = await refused(site.tools, Note(text="x"), key="k")
    assert code(error) == ("TemporaryError", "refused")
    assert "compare the clocks" in error.message
    site.callers_clock.move(timedelta(hours=1))
    assert await site.tools.call(Note(text="x"), ANA, key="k") == 2 + 1
    assert site.tools.state_of("kt") == "closed"


async def test_a_caller_with_other_keys_is_refused_without_a_dead_letter(site: Site) -> None:
    stranger = Tokens("x", (("k9", b"the-secret-of-another-store"),), clock=site.clock)
    tools = RemoteToolbox(site.local, site, stranger, metrics=site.numbers)
    assert code(await refused(tools, Count())) == ("TemporaryError", "refused")
    tools.close()


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"not json", {}, 422, "no JSON"),
        (b"[]", {}, 422, "a JSON object"),
        (b"[" * 100_000, {}, 422, "no JSON"),
        (b'{"text": 5}', {}, 422, "kt.count: text"),
        (b'{"text": "\\ud800"}', {}, 422, "no JSON"),
        (b"{}", {"idempotency_key": "%ff"}, 422, "percent-encoded"),
        (b"{}", {"idempotency_key": "x" * 1025}, 422, "1 to 1024"),
        (b"{}", {"x_time_left_ms": "soon"}, 200, "0"),
        (b"{}", {"traceparent": "rubbish"}, 200, "0"),
        (b" " * (1 << 20) + b"{}", {}, 422, "over 1048576 bytes"),
    ],
)
async def test_wrong_requests_get_a_sentence(
    site: Site, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    from urllib.parse import unquote

    key = headers.get("idempotency_key")
    token = site.tokens.for_call("kt.count", unquote(key) if key else None, body, ANA, None)
    answer = await site.post("kt.count", body, token, **headers)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


async def test_arguments_that_are_too_large_are_not_sent(site: Site) -> None:
    assert code(await refused(site.tools, Count(text="x" * (1 << 20)))) == ("InvalidInput", "invalid-input")
    assert site.link.requests == []


async def test_an_address_that_does_not_have_the_tool_says_so(site: Site) -> None:
    site.addresses["rc"] = site.link.url
    assert code(await refused(site.tools, Relay(text="x"))) == ("TemporaryError", "not-offered")


# --- contracts -------------------------------------------------------------------------------------------------------


async def test_a_process_tells_what_it_offers_and_hears(site: Site) -> None:
    async def get(path: str) -> httpx.Response:
        token = site.tokens.for_access("contracts", Principal())
        return await site.http.get(path, headers={"authorization": f"Bearer {token}"})

    index = (await get("/contracts")).json()
    assert [tool["name"] for tool in index["tools"]] == site.store.runtime.toolbox.names
    assert [event["type"] for event in index["events"]] == ["store.kt.job"]
    for entry in (*index["tools"], *index["events"]):
        assert (await get(entry["href"])).status_code == 200
    contract = (await get("/contracts/tools/kt.note")).json()
    assert contract["writes"] is True
    assert contract["arguments"]["required"] == ["text"]
    assert contract["result"] == {"type": "integer"}
    assert (await get("/contracts/events/store.kt.job")).json()["x-cloudevent"]["subject"] == "data.id"
    assert list((await get(index["asyncapi"])).json()["channels"]) == ["kt"]
    assert (await get("/contracts/tools/rc.relay")).status_code == 404
    assert (await get("/contracts/events/store.kt.pong")).status_code == 404
