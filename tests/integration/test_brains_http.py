"""Both model brains against servers that speak the real protocols, through the official clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from agent_store.adapters.brains import wire
from agent_store.adapters.brains.ollama import OllamaBrain
from agent_store.adapters.brains.openai import OpenAIBrain
from agent_store.agents.seller import policy
from agent_store.kernel.brain import (
    Block,
    Brain,
    BrainAnswer,
    BrainFailed,
    BrainRequest,
    Line,
    Step,
    ToolCall,
    ToolResult,
    Usage,
)
from tests.support.models import ModelServer, Move, calls_of, model_server

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
Kind = Literal["ollama", "ollama-stream", "openai"]
KINDS: tuple[Kind, ...] = ("ollama", "ollama-stream", "openai")


BASE: dict[str, Any] = {
    "brand": "fashion",
    "seller": "Luna",
    "language": "pt",
    "system": "Use catalog.search, then cart.add.",
    "lines": (
        Line(role="customer", text="quero um vestido"),
        Line(role="customer", text="vermelho", payload="color:red"),
    ),
    "history": (
        Line(role="customer", text="oi"),
        Line(role="seller", text="Oi!"),
        Line(role="person", text="Aqui é a Ana."),
        Line(role="notice", text="Pedido enviado."),
    ),
    "tools": policy.specs(),
    "now": NOW,
}


def asked(**fields: Any) -> BrainRequest:
    return BrainRequest(**{**BASE, **fields})


@asynccontextmanager
async def thinking(kind: Kind, *moves: Move, patience: float = 5.0) -> AsyncGenerator[tuple[Brain, ModelServer]]:
    async with model_server("openai" if kind == "openai" else "ollama", *moves) as server:
        limit = timedelta(seconds=patience)
        brain: Brain
        if kind == "openai":
            brain = OpenAIBrain(model="m", base_url=f"{server.url}/v1", api_key="test", timeout=limit)
        else:
            brain = OllamaBrain(model="m", host=server.url, timeout=limit, stream=kind == "ollama-stream")
        try:
            yield brain, server
        finally:
            await brain.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_words_come_back_with_their_tokens(kind: Kind) -> None:
    async with thinking(kind, Move(text="Oi! Para qual ocasião?")) as (brain, _):
        answer = await brain.think(asked())
    assert answer == BrainAnswer(
        blocks=(Block(kind="text", text="Oi! Para qual ocasião?"),),
        usage=Usage(input_tokens=120, output_tokens=30),
        brain=brain.name,
    )
    assert brain.wants_history


@pytest.mark.parametrize("kind", KINDS)
async def test_tool_calls_come_back_under_the_stores_names(kind: Kind) -> None:
    calls = (("catalog_search", {"text": "vestido", "max_price": 300}), ("show_products", {"ids": ["a"]}))
    async with thinking(kind, Move(calls=calls)) as (brain, _):
        answer = await brain.think(asked())
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [
        ("catalog.search", {"text": "vestido", "max_price": 300}),
        ("show_products", {"ids": ["a"]}),
    ]
    assert len({call.id for call in answer.tool_calls}) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_the_request_carries_prompt_history_burst_tools_and_limits(kind: Kind) -> None:
    async with thinking(kind, Move(text="Oi!")) as (brain, server):
        await brain.think(asked())
    sent = server.requests[0]
    messages = sent["messages"]
    assert messages[0]["role"] == "system"
    assert messages[0]["content"].startswith("Use catalog_search, then cart_add.")
    assert "2026-01-05 09:00" in messages[0]["content"]
    assert [(one["role"], one["content"]) for one in messages[1:]] == [
        ("user", "oi"),
        ("assistant", "Oi!"),
        ("assistant", "[a colleague wrote] Aqui é a Ana."),
        ("assistant", "[message of the store] Pedido enviado."),
        ("user", "quero um vestido\nvermelho (tapped: color:red)"),
    ]
    offered = calls_of(sent)
    assert "orders_place" in offered
    assert all("." not in name for name in offered)
    if kind == "openai":
        assert (sent["max_tokens"], sent["temperature"]) == (1024, 0.3)
    else:
        assert sent["options"] == {"temperature": 0.3, "num_predict": 1024, "num_ctx": 16384}
        assert sent["stream"] is (kind == "ollama-stream")


@pytest.mark.parametrize("kind", KINDS)
async def test_the_rounds_of_the_turn_are_told_in_the_protocols_form(kind: Kind) -> None:
    call = ToolCall(id="call_1", name="cart.view", arguments={})
    money = {"subtotal": {"minor": 19990, "currency": "BRL"}, "lines": [], "score": 0.5}
    steps = (
        Step(answer=BrainAnswer(tool_calls=(call,)), results=(ToolResult(call=call, data=money),)),
        Step(
            answer=BrainAnswer(tool_calls=(call,)),
            results=(ToolResult(call=call, error="refused", code="conflict", data={"n": 1}),),
        ),
        Step(answer=BrainAnswer(blocks=(Block(kind="text", text="R$ 1!"),)), feedback="not in a result"),
    )
    async with thinking(kind, Move(text="Pronto.")) as (brain, server):
        await brain.think(asked(steps=steps, history=()))
    rounds = server.requests[0]["messages"][2:]
    assert [one["role"] for one in rounds] == ["assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert rounds[0]["tool_calls"][0]["function"]["name"] == "cart_view"
    assert rounds[1]["content"] == '{"subtotal":"R$ 199,90"}'
    assert rounds[3]["content"] == '{"error":"refused","code":"conflict","details":{"n":1}}'
    assert rounds[4]["content"] == "R$ 1!"
    assert "not in a result" in rounds[5]["content"]
    if kind == "openai":
        assert rounds[0]["tool_calls"][0] == {
            "id": "call_1",
            "type": "function",
            "function": {"name": "cart_view", "arguments": "{}"},
        }
        assert rounds[1]["tool_call_id"] == "call_1"
    else:
        assert rounds[0]["tool_calls"][0]["function"]["arguments"] == {}
        assert rounds[1]["tool_name"] == "cart_view"


FAILURES = {
    "an error of the server": Move(status=500),
    "too many requests": Move(status=429),
    "an unknown model": Move(status=404, body=b'{"error": "model not found"}'),
    "no JSON": Move(body=b"<html>oops</html>", content_type="text/html"),
    "broken JSON": Move(body=b'{"message": {"role": '),
    "JSON of another kind": Move(body=b"[1, 2, 3]"),
    "an empty object": Move(body=b"{}"),
    "nothing": Move(body=b" "),
    "an answer cut off": Move(text="Olá, eu", finish="length"),
    "data instead of words": Move(text='{"reply": "Oi"}'),
}


@pytest.mark.parametrize("what", FAILURES)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_failure_is_a_brain_that_failed(kind: Kind, what: str) -> None:
    async with thinking(kind, FAILURES[what]) as (brain, _):
        with pytest.raises(BrainFailed, match=brain.name):
            await brain.think(asked())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_hangs_is_given_up_in_time(kind: Kind) -> None:
    async with thinking(kind, Move(hang=True), patience=0.1) as (brain, _):
        with pytest.raises(BrainFailed):
            await brain.think(asked())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_slow_server_is_waited_for(kind: Kind) -> None:
    ready = asyncio.Event()
    async with thinking(kind, Move(text="Oi!", wait=ready)) as (brain, server):
        thought = asyncio.create_task(brain.think(asked()))
        await server.arrived.wait()
        assert not thought.done()
        ready.set()
        assert (await thought).blocks[0].text == "Oi!"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_is_not_there_is_a_brain_that_failed(kind: Kind) -> None:
    absent: Brain = (
        OpenAIBrain(model="m", base_url="http://127.0.0.1:9/v1", api_key="x")
        if kind == "openai"
        else OllamaBrain(model="m", host="http://127.0.0.1:9", stream=kind == "ollama-stream")
    )
    with pytest.raises(BrainFailed):
        await absent.think(asked())
    await absent.close()


async def test_a_stream_that_breaks_off_is_a_brain_that_failed() -> None:
    async with thinking("ollama-stream", Move(text="Olá, eu", cut=True)) as (brain, _):
        with pytest.raises(BrainFailed):
            await brain.think(asked())


@pytest.mark.parametrize(
    ("move", "arguments"),
    [
        (Move(calls=(("cart_add", {"sku": "A"}),), raw_arguments=True), {"sku": "A"}),
        (Move(calls=(("cart_add", {"sku": "A"}),), ids=False), {"sku": "A"}),
        (Move(calls=(("cart_add", ""),)), {}),
        (Move(calls=(("cart_add", None),)), {}),
    ],
)
async def test_compatible_servers_differ_and_are_understood(move: Move, arguments: dict[str, Any]) -> None:
    async with thinking("openai", move) as (brain, _):
        (call,) = (await brain.think(asked())).tool_calls
    assert (call.name, call.arguments) == ("cart.add", arguments)
    assert call.id


@pytest.mark.parametrize("arguments", ["{not json", "[1]", '"text"'])
async def test_arguments_that_are_no_object_fail(arguments: str) -> None:
    async with thinking("openai", Move(calls=(("cart_add", arguments),))) as (brain, _):
        with pytest.raises(BrainFailed, match="cart_add"):
            await brain.think(asked())


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "catalog_search", "arguments": {"text": "vestido"}}',
        '```json\n{"name": "catalog.search", "parameters": {"text": "vestido"}}\n```',
        '<think>let me look</think>\n<tool_call>\n{"name": "catalog_search", "arguments": {"text": "vestido"}}\n</tool_call>',
        '[{"name": "catalog_search", "arguments": {"text": "vestido"}}]',
    ],
)
async def test_a_call_written_as_text_is_taken_for_one(text: str) -> None:
    async with thinking("ollama", Move(text=text)) as (brain, _):
        (call,) = (await brain.think(asked())).tool_calls
    assert (call.name, call.arguments) == ("catalog.search", {"text": "vestido"})


async def test_thoughts_are_not_spoken() -> None:
    async with thinking("ollama", Move(text="<think>the customer is rich</think>Oi!")) as (brain, _):
        assert (await brain.think(asked())).blocks[0].text == "Oi!"


async def test_an_unknown_tool_keeps_its_name() -> None:
    async with thinking("openai", Move(calls=(("shell_run", {"command": "ls"}),))) as (brain, _):
        assert (await brain.think(asked())).tool_calls[0].name == "shell_run"


async def test_the_limit_of_tokens_can_go_by_its_newer_name() -> None:
    async with model_server("openai", Move(text="Oi!")) as server:
        brain = OpenAIBrain(
            model="m", base_url=f"{server.url}/v1", api_key="x", temperature=None, token_field="max_completion_tokens"
        )
        await brain.think(asked(tools=()))
        await brain.close()
    sent = server.requests[0]
    assert sent["max_completion_tokens"] == 1024
    assert not {"max_tokens", "temperature", "tools"} & sent.keys()


def test_long_results_are_cut_for_a_model() -> None:
    call = ToolCall(id="c", name="catalog.search")
    step = Step(answer=BrainAnswer(tool_calls=(call,)), results=(ToolResult(call=call, data=["x" * 9000]),))
    said = wire.messages(asked(steps=(step,)))[-1]
    assert len(said.text) < wire.LONGEST_RESULT + 100
    assert "ask for less" in said.text
