"""Tools of another process that this one was not built with: their contracts are read, kept, doubted, and called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import pytest

from agent_store.adapters.http.contracts_client import ContractLimits, RemoteContracts
from agent_store.adapters.http.tools_client import RemoteToolbox
from agent_store.kernel.added import AddedTool, ToolContract, made_of
from agent_store.kernel.errors import Forbidden, InvalidInput, KeyReused, TemporaryError
from agent_store.kernel.schemas import tool_contract
from agent_store.kernel.tool import registry
from tests.integration.test_remote_tools import ANA, Site, canned
from tests.support.kernel import texts, until

FRESH = timedelta(minutes=5)


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    async with Site() as one:
        one.tools.close()
        limits = ContractLimits(first=timedelta(seconds=30), timeout=timedelta(seconds=30))
        one.tools = RemoteToolbox(
            one.local, one, one.tokens, metrics=one.numbers, limits=one.limits, contracts=limits, now=one.time
        )
        yield one
        one.tools.close()


async def called(site: Site, name: str) -> Callable[[dict[str, Any]], AddedTool]:
    (contract,) = await site.tools.contracts((name,))
    return made_of(contract).called_with


def asked(site: Site) -> list[bytes]:
    return [request for request in site.link.requests if request.startswith(b"GET ")]


async def test_the_contracts_of_an_agent_are_read_from_its_service_and_called_like_any_other_tool(site: Site) -> None:
    names = [one.name for one in await site.tools.contracts(("kt.*",))]
    assert names == sorted(names)
    assert {"kt.count", "kt.note", "kt.secret"} <= set(names)
    count = await called(site, "kt.count")
    assert await site.tools.call(count({"text": "four"}), ANA) == 4
    assert len(asked(site)) == 1, "read once for all"


async def test_a_name_or_all_of_an_agent_can_be_asked_for_and_nothing_beside(site: Site) -> None:
    assert [one.name for one in await site.tools.contracts(("kt.note",))] == ["kt.note"]
    assert await site.tools.contracts(("kt.no", "nowhere.*", "k.*")) == ()


async def test_arguments_are_checked_here_before_anything_is_sent(site: Site) -> None:
    count = await called(site, "kt.count")
    sent = len(site.link.requests)
    for wrong in ({"text": 4}, {"text": "x", "more": 1}, {"text": "x", "_fields_set": []}):
        with pytest.raises(InvalidInput):
            count(wrong)
    assert len(site.link.requests) == sent


async def test_a_change_happens_once_for_one_key_whatever_becomes_of_the_answers(site: Site) -> None:
    note = await called(site, "kt.note")
    site.link.faults.extend(["swallow", "half"])
    assert await site.tools.call(note({"text": "a"}), ANA, key="k") == 1
    assert await site.tools.call(note({"text": "a"}), ANA, key="k") == 1
    with pytest.raises(KeyReused):
        await site.tools.call(note({"text": "b"}), ANA, key="k")
    assert await texts(site.store) == ["a"]


async def test_a_tool_for_staff_stays_one(site: Site) -> None:
    secret = await called(site, "kt.secret")
    with pytest.raises(Forbidden):
        await site.tools.call(secret({}), ANA)


async def test_a_result_that_is_not_as_its_contract_says_is_no_result_and_casts_doubt_on_the_contract(
    site: Site,
) -> None:
    count = await called(site, "kt.count")
    site.link.faults.append(canned(200, "content-type: application/json", body=b'"four"'))
    with pytest.raises(TemporaryError) as caught:
        await site.tools.call(count({"text": "four"}), ANA)
    assert caught.value.code == "bad-answer"
    before = len(asked(site))
    await site.tools.contracts(("kt.*",))
    await until(lambda: len(asked(site)) == before + 1)


async def test_known_contracts_are_given_at_once_and_asked_about_again_behind_it(site: Site) -> None:
    first = await site.tools.contracts(("kt.*",))
    site.time.ahead += FRESH.total_seconds()
    site.link.always = "hang"
    async with asyncio.timeout(5):  # an answer would be waited for much longer
        assert await site.tools.contracts(("kt.*",)) == first
    site.link.always = None
    site.time.ahead += FRESH.total_seconds()
    await until(lambda: b"if-none-match" in asked(site)[-1])
    assert await site.tools.contracts(("kt.*",)) == first


async def test_an_answer_that_nothing_has_changed_has_no_body(site: Site) -> None:
    token = site.tokens.for_access("contracts", ANA)
    sent = {"authorization": f"Bearer {token}"}
    first = await site.http.get("/contracts/tools", params={"agent": "kt"}, headers=sent)
    again = await site.http.get(
        "/contracts/tools", params={"agent": "kt"}, headers={**sent, "if-none-match": first.headers["etag"]}
    )
    other = await site.http.get("/contracts/tools", params={"agent": "rc"}, headers=sent)
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert other.json() == {"tools": []}
    assert (await site.http.get("/contracts/tools")).status_code == 401


@pytest.mark.parametrize("fault", ["refuse", "half", canned(503), canned(200, body=b"<html>"), canned(401)])
async def test_an_agent_that_cannot_be_asked_costs_no_turn_and_is_asked_again_later(
    site: Site, fault: str | bytes
) -> None:
    site.link.always = fault
    assert await site.tools.contracts(("kt.*",)) == ()
    tried = len(site.link.requests)
    assert await site.tools.contracts(("kt.*",)) == ()
    assert len(site.link.requests) == tried, "not at once"
    assert site.numbers.counted["tool_contracts_unread", "kt"] == 1
    site.link.always = None
    site.time.ahead += 6
    assert await site.tools.contracts(("kt.count",)) == (), "nobody waits for it again"
    async with asyncio.timeout(5):
        while not await site.tools.contracts(("kt.count",)):
            await asyncio.sleep(0.01)


async def test_an_agent_that_went_away_keeps_its_contracts_and_one_out_of_the_directory_has_none(site: Site) -> None:
    first = await site.tools.contracts(("kt.*",))
    site.link.always = "refuse"
    site.time.ahead += FRESH.total_seconds()
    assert await site.tools.contracts(("kt.*",)) == first
    await until(lambda: bool(site.numbers.counted["tool_contracts_unread", "kt"]))
    assert await site.tools.contracts(("kt.*",)) == first
    site.addresses.clear()
    assert await site.tools.contracts(("kt.*",)) == ()


async def test_a_slow_agent_is_waited_for_a_short_time_and_is_there_for_the_next_turn(site: Site) -> None:
    site.tools.close()
    limits = ContractLimits(first=timedelta(milliseconds=50))
    site.tools = RemoteToolbox(
        site.local, site, site.tokens, metrics=site.numbers, limits=site.limits, contracts=limits, now=site.time
    )
    held, go = asyncio.Event(), asyncio.Event()
    ask = site.link._ask

    async def later(request: bytes) -> bytes:
        held.set()
        await go.wait()
        return await ask(request)

    site.link._ask = later  # type: ignore[method-assign]
    assert await site.tools.contracts(("kt.count",)) == ()
    async with asyncio.timeout(5):
        await held.wait()
    go.set()
    async with asyncio.timeout(5):
        while not await site.tools.contracts(("kt.count",)):
            await asyncio.sleep(0.01)


async def test_contracts_of_this_process_come_from_it_and_its_tools_are_called_here(site: Site) -> None:
    tools = site.store.runtime.toolbox
    (contract,) = await tools.contracts(("kt.rich",))
    prices = [{"minor": 5, "currency": "BRL"}]
    call = made_of(contract).called_with({"at": "2026-01-05T00:00:00Z", "prices": prices})
    assert await tools.call(call, ANA) == prices, "JSON, as from another process"
    assert asked(site) == []


# --- documents that are not what they should be ---------------------------------------------------------------------


def document(**changes: Any) -> dict[str, Any]:
    return {**tool_contract(registry["kt.count"]), **changes}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "cart.add"}, "cart.add is no tool of kt"),
        ({"name": "kt"}, "name"),
        ({"arguments": {"type": "of course"}}, "no JSON Schema"),
        ({"result": {"minimum": "small"}}, "no JSON Schema"),
        ({"writes": "perhaps"}, "writes"),
    ],
)
async def test_contracts_of_somebody_else_and_what_is_no_contract_are_not_taken(
    site: Site, changes: dict[str, Any], why: str
) -> None:
    body = json.dumps({"tools": [document(), document(**changes)]}).encode()
    site.link.faults.append(canned(200, body=body))
    assert await site.tools.contracts(("kt.*", "cart.*")) == ()
    known = site.tools._contracts._agents["kt"]
    assert why in known.bad


async def test_a_schema_that_points_elsewhere_is_never_fetched() -> None:
    read = ToolContract.model_validate(document(arguments={"$ref": "http://127.0.0.1:1/schema.json"}))
    with pytest.raises(InvalidInput, match="refers to what is not in it"):
        made_of(read).called_with({"text": "x"})


async def test_closing_ends_what_is_being_asked(site: Site) -> None:
    asked_for = asyncio.Event()

    async def never(target: Any, head: bytes, seconds: float) -> Any:
        asked_for.set()
        await asyncio.Event().wait()

    contracts = RemoteContracts(site.tokens, never, metrics=site.numbers, limits=ContractLimits(first=timedelta(0)))
    assert await contracts.of_agent("kt", site.link.url) == ()
    await asked_for.wait()
    task = contracts._agents["kt"].asking
    contracts.close()
    assert task is not None
    await asyncio.wait({task})
    assert task.cancelled()
