"""Ollama as a brain, by its official client: `POST /api/chat` with native tool calling.

Source of the wire form: Ollama's API reference, "Generate a chat completion" (messages of role tool carry `tool_name`;
calls have no ids; `prompt_eval_count` and `eval_count` are the tokens in and out).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agent_store.adapters.brains import wire
from agent_store.kernel.brain import BrainAnswer, BrainFailed, BrainRequest, Usage

if TYPE_CHECKING:
    from ollama import ChatResponse


class OllamaBrain:
    """`host` like "http://localhost:11434"; `timeout` bounds one answer from first to last byte.

    `context` is the model's window in tokens: Ollama's own default is so small that it would cut off our prompt
    silently. `stream=True` takes the answer in pieces (nothing is shown earlier, but a proxy sees a living connection).
    `think` switches a reasoning model's thinking on or off; None leaves it as the model has it.
    """

    def __init__(
        self,
        *,
        model: str,
        host: str,
        timeout: timedelta = timedelta(seconds=30),
        temperature: float = 0.3,
        max_tokens: int = 1024,
        context: int = 16_384,
        keep_alive: str = "10m",
        stream: bool = False,
        think: bool | None = None,
    ) -> None:
        import httpx  # heavy, and only for those who think with Ollama
        import ollama

        self._model = model
        self._timeout = timeout.total_seconds()
        self._options = {"temperature": temperature, "num_predict": max_tokens, "num_ctx": context}
        self._keep_alive = keep_alive
        self._stream = stream
        self._think = think
        self._client: Any = ollama.AsyncClient(host=host, timeout=self._timeout)
        self._refused = ollama.ResponseError
        # What the client lets through: transport errors, and what a body that is no chat answer breaks in it.
        self._broken = (
            httpx.HTTPError,
            httpx.InvalidURL,
            ConnectionError,
            ValidationError,
            ValueError,
            TypeError,
            AttributeError,
        )

    @property
    def name(self) -> str:
        return f"ollama:{self._model}"

    @property
    def wants_history(self) -> bool:
        return True

    async def think(self, request: BrainRequest) -> BrainAnswer:
        arguments: dict[str, Any] = {
            "model": self._model,
            "messages": [_message(said) for said in wire.messages(request)],
            "tools": wire.functions(request),
            "options": self._options,
            "keep_alive": self._keep_alive,
            "think": self._think,
        }
        try:
            async with asyncio.timeout(self._timeout):
                response: ChatResponse = await (
                    self._gather(arguments) if self._stream else self._client.chat(**arguments)
                )
                message = wire.WireMessage.model_validate(response.message.model_dump())
        except TimeoutError as error:
            raise BrainFailed(f"{self.name}: no answer in {self._timeout:g} s") from error
        except self._refused as error:
            raise BrainFailed(f"{self.name}: status {error.status_code}: {str(error.error)[:200]}") from error
        except self._broken as error:
            raise BrainFailed(f"{self.name}: {type(error).__name__}: {str(error)[:200]}") from error
        usage = Usage(input_tokens=response.prompt_eval_count or 0, output_tokens=response.eval_count or 0)
        return wire.answer(request, message, brain=self.name, usage=usage, finish=response.done_reason)

    async def _gather(self, arguments: dict[str, Any]) -> ChatResponse:
        """The pieces of a stream as one answer; tool calls may stand in any of them."""
        from ollama import Message

        text: list[str] = []
        calls: list[Message.ToolCall] = []
        last: ChatResponse | None = None
        pieces: AsyncIterator[ChatResponse] = await self._client.chat(**arguments, stream=True)
        async for piece in pieces:
            text.append(piece.message.content or "")
            calls += piece.message.tool_calls or ()
            last = piece
        if last is None or not last.done:
            raise ValueError("the stream ended before the answer did")
        message = Message(role="assistant", content="".join(text), tool_calls=calls or None)
        return last.model_copy(update={"message": message})

    async def close(self) -> None:
        await self._client.close()


def _message(said: wire.Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": said.role, "content": said.text}
    if said.call is not None:
        message["tool_name"] = wire.wire_name(said.call.name)
    if said.calls:
        message["tool_calls"] = [
            {"function": {"name": wire.wire_name(call.name), "arguments": dict(call.arguments)}} for call in said.calls
        ]
    return message
