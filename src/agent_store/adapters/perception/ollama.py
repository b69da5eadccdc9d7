"""A multimodal model of an Ollama server that looks, by its official client.

Source: Ollama's API reference, "Generate a chat completion" (`images` of a message, in base64).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from agent_store.adapters.perception import asking
from agent_store.kernel.errors import PermanentError, TemporaryError


class OllamaVision:
    """`agents.whatsapp.ports.Vision`. `timeout` bounds one answer from first to last byte."""

    def __init__(self, *, host: str, model: str, timeout: timedelta = timedelta(seconds=30)) -> None:
        import httpx  # heavy, and only for those who see with Ollama
        import ollama

        self._model = model
        self._timeout = timeout.total_seconds()
        self._client: Any = ollama.AsyncClient(host=host, timeout=self._timeout)
        self._refused = ollama.ResponseError
        self._broken = (httpx.HTTPError, httpx.InvalidURL, ConnectionError)
        self._unreadable = (ValidationError, ValueError, TypeError, AttributeError)

    async def close(self) -> None:
        await self._client.close()

    async def describe(self, content: bytes, mime_type: str, language: str) -> str:
        message = {"role": "user", "content": asking.question(language), "images": [content]}
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._client.chat(
                    model=self._model, messages=[message], options={"num_predict": asking.MOST_TOKENS}
                )
            said: Any = answer.message.content
        except TimeoutError as error:
            raise TemporaryError(f"{self._model}: no answer in {self._timeout:g} s", code="timeout") from error
        except self._refused as error:
            raise PermanentError(f"{self._model}: status {error.status_code}", code="refused") from error
        except self._broken as error:
            raise TemporaryError(f"{self._model}: {type(error).__name__}", code="unavailable") from error
        except self._unreadable as error:
            raise PermanentError(f"{self._model} answered without a text", code="no-text") from error
        return asking.text_of(said, self._model)
