"""Any OpenAI-compatible server as a brain, by the official client: `POST /chat/completions` with native tool calling.

Source of the wire form: OpenAI API reference, "Create chat completion". Compatible servers differ in details (arguments
as an object, calls without ids, content as parts), so the answer's body is read leniently and not by the client's types.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, Literal

from agent_store.adapters.brains import wire
from agent_store.kernel.brain import BrainAnswer, BrainFailed, BrainRequest, Usage


class OpenAIBrain:
    """`base_url` like "https://api.openai.com/v1"; `timeout` bounds one answer from first to last byte.

    `token_field`: what the server calls its limit of tokens to write; OpenAI's reasoning models take only
    "max_completion_tokens", most compatible servers only "max_tokens". `temperature=None` leaves it to the server.
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str,
        api_key: str,
        timeout: timedelta = timedelta(seconds=30),
        temperature: float | None = 0.3,
        max_tokens: int = 1024,
        token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",  # noqa: S107  # a field's name
    ) -> None:
        import openai  # heavy, and only for those who think with it

        self._model = model
        self._timeout = timeout.total_seconds()
        self._options: dict[str, Any] = {token_field: max_tokens}
        if temperature is not None:
            self._options["temperature"] = temperature
        # No retries in the client: the seller has a time limit, and another brain.
        self._client: Any = openai.AsyncOpenAI(base_url=base_url, api_key=api_key, timeout=self._timeout, max_retries=0)
        self._status_error = openai.APIStatusError
        self._failure = openai.OpenAIError

    @property
    def name(self) -> str:
        return f"openai:{self._model}"

    @property
    def wants_history(self) -> bool:
        return True

    async def think(self, request: BrainRequest) -> BrainAnswer:
        arguments: dict[str, Any] = {
            "model": self._model,
            "messages": [_message(said) for said in wire.messages(request)],
            **self._options,
        }
        if request.tools:
            arguments["tools"] = wire.functions(request)
        try:
            async with asyncio.timeout(self._timeout):
                response: Any = await self._client.chat.completions.with_raw_response.create(**arguments)
        except TimeoutError as error:
            raise BrainFailed(f"{self.name}: no answer in {self._timeout:g} s") from error
        except self._status_error as error:
            raise BrainFailed(f"{self.name}: status {error.status_code}: {error.message[:200]}") from error
        except self._failure as error:
            raise BrainFailed(f"{self.name}: {type(error).__name__}: {str(error)[:200]}") from error
        completion = wire.read_completion(response.text, self.name)
        usage = completion.usage or wire.WireUsage()
        choice = completion.choices[0]
        return wire.answer(
            request,
            choice.message,
            brain=self.name,
            usage=Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens),
            finish=choice.finish_reason,
        )

    async def close(self) -> None:
        await self._client.close()


def _message(said: wire.Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": said.role, "content": said.text}
    if said.call is not None:
        message["tool_call_id"] = said.call.id
    if said.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": wire.wire_name(call.name), "arguments": json.dumps(dict(call.arguments))},
            }
            for call in said.calls
        ]
        message["content"] = said.text or None
    return message
