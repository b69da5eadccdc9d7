"""An OpenAI-compatible server that listens and looks, by the official client.

Source: OpenAI API reference, "Create transcription" (`POST /audio/transcriptions`) and "Create chat completion" with a picture
as a data URL.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

from agent_store.adapters.perception import asking
from agent_store.kernel.errors import PermanentError, TemporaryError


class OpenAISenses:
    """`agents.whatsapp.ports.Transcriber` and `Vision`. `timeout` bounds one answer from first to last byte."""

    def __init__(self, *, base_url: str, api_key: str, model: str, timeout: timedelta = timedelta(seconds=30)) -> None:
        import openai  # heavy, and only for those who hear or see with it

        self._model = model
        self._timeout = timeout.total_seconds()
        self._client: Any = openai.AsyncOpenAI(base_url=base_url, api_key=api_key, timeout=self._timeout, max_retries=0)
        self._status_error = openai.APIStatusError
        self._failure = openai.OpenAIError

    async def close(self) -> None:
        await self._client.close()

    async def transcribe(self, content: bytes, mime_type: str, language: str | None) -> str:
        more = {} if language is None else {"language": language}
        file = (asking.sound_name(mime_type), content, mime_type)

        async def ask() -> Any:
            return await self._client.audio.transcriptions.with_raw_response.create(
                file=file, model=self._model, response_format="json", **more
            )

        return asking.text_of((await self._asked(ask)).get("text"), self._model)

    async def describe(self, content: bytes, mime_type: str, language: str) -> str:
        picture = f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
        parts = [
            {"type": "text", "text": asking.question(language)},
            {"type": "image_url", "image_url": {"url": picture}},
        ]

        async def ask() -> Any:
            return await self._client.chat.completions.with_raw_response.create(
                model=self._model, messages=[{"role": "user", "content": parts}], max_tokens=asking.MOST_TOKENS
            )

        answer = await self._asked(ask)
        try:
            said: Any = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            said = None
        return asking.text_of(said, self._model)

    async def _asked(self, ask: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout):
                answer: Any = json.loads((await ask()).text)
        except TimeoutError as error:
            raise TemporaryError(f"{self._model}: no answer in {self._timeout:g} s", code="timeout") from error
        except self._status_error as error:
            raise PermanentError(f"{self._model}: status {error.status_code}", code="refused") from error
        except self._failure as error:
            raise TemporaryError(f"{self._model}: {type(error).__name__}", code="unavailable") from error
        except (ValueError, RecursionError) as error:
            raise PermanentError(f"{self._model} answered without a text", code="no-text") from error
        return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
