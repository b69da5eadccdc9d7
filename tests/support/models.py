"""Fake model servers that speak the real protocols over real HTTP: Ollama's `/api/chat`, OpenAI's `/v1/chat/completions`.

A script is a list of moves, one a request; after the last one it is repeated. `requests` keeps what the client sent.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

Protocol = Literal["ollama", "openai"]


@dataclass(frozen=True)
class Move:
    """What the server does with one request.

    `text` and `calls` (name on the wire, arguments) make a proper answer; `status` and `body` anything else;
    `hang` never answers (until the server is closed); `wait` answers once that event is set; `cut` ends a stream early.
    """

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    status: int = 200
    body: bytes | None = None
    content_type: str = "application/json"
    finish: str = "stop"
    hang: bool = False
    wait: asyncio.Event | None = None
    cut: bool = False
    ids: bool = True
    raw_arguments: bool = False
    """OpenAI: arguments as an object instead of JSON text, as some compatible servers send them."""


@dataclass
class ModelServer:
    url: str
    protocol: Protocol
    moves: list[Move]
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first request."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def next(self) -> Move:
        return self.moves[min(len(self.requests), len(self.moves)) - 1]


def _ollama(move: Move, request: dict[str, Any]) -> Response:
    calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in move.calls]
    message: dict[str, Any] = {"role": "assistant", "content": move.text}
    ending: dict[str, Any] = {
        "model": request["model"], "created_at": "2026-01-05T12:00:00Z", "done": True, "done_reason": move.finish,
        "prompt_eval_count": 120, "eval_count": 30, "total_duration": 5_000_000, "eval_duration": 4_000_000,
    }  # fmt: skip
    if not request.get("stream"):
        if calls:
            message["tool_calls"] = calls
        return Response(json.dumps({**ending, "message": message}), media_type="application/json")
    half = len(move.text) // 2
    pieces: list[dict[str, Any]] = [
        {"model": request["model"], "done": False, "message": {"role": "assistant", "content": move.text[:half]}},
        {"model": request["model"], "done": False, "message": {"role": "assistant", "content": move.text[half:]}},
    ]
    if calls:
        pieces.append(
            {
                "model": request["model"],
                "done": False,
                "message": {"role": "assistant", "content": "", "tool_calls": calls},
            }
        )
    if not move.cut:
        pieces.append({**ending, "message": {"role": "assistant", "content": ""}})

    async def lines() -> AsyncIterator[str]:
        for piece in pieces:
            yield json.dumps(piece) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _openai(move: Move, request: dict[str, Any], number: int) -> Response:
    calls: list[dict[str, Any]] = []
    for position, (name, arguments) in enumerate(move.calls):
        plain = arguments if move.raw_arguments or isinstance(arguments, str) else json.dumps(arguments)
        call: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": plain}}
        if move.ids:
            call["id"] = f"call_{number}_{position}"
        calls.append(call)
    message: dict[str, Any] = {"role": "assistant", "content": move.text or None}
    if calls:
        message["tool_calls"] = calls
    finish = "tool_calls" if calls and move.finish == "stop" else move.finish
    body = {
        "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1_767_614_400, "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150},
    }  # fmt: skip
    return Response(json.dumps(body), media_type="application/json")


@asynccontextmanager
async def model_server(protocol: Protocol, *moves: Move) -> AsyncGenerator[ModelServer]:
    """Serves on a free port of this machine, in this event loop, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    fake = ModelServer(f"http://127.0.0.1:{listener.getsockname()[1]}", protocol, list(moves))

    async def chat(request: Request) -> Response:
        body = json.loads(await request.body())
        fake.requests.append(body)
        fake.arrived.set()
        move = fake.next()
        if move.hang:
            await fake.closing.wait()
            return Response(status_code=503)
        if move.wait is not None:
            await move.wait.wait()
        if move.body is not None or move.status != 200:
            return Response(
                move.body or b'{"error": "out of order"}', status_code=move.status, media_type=move.content_type
            )
        return _ollama(move, body) if protocol == "ollama" else _openai(move, body, len(fake.requests))

    path = "/api/chat" if protocol == "ollama" else "/v1/chat/completions"
    app = Starlette(routes=[Route(path, chat, methods=["POST"])])
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield fake
    finally:
        fake.closing.set()
        server.should_exit = True
        await serving
        listener.close()


def calls_of(request: dict[str, Any]) -> Sequence[str]:
    """The names of the tools that a request offered."""
    return [tool["function"]["name"] for tool in request.get("tools", ())]
