"""A whisper.cpp server in the house that listens: `POST /inference`.

Source: whisper.cpp, examples/server (start it with `--convert`: voice notes are Ogg, and it reads WAV only by itself).
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, cast

import httpx

from agent_store.adapters.perception import asking
from agent_store.kernel.errors import PermanentError, TemporaryError


class WhisperServer:
    """`agents.whatsapp.ports.Transcriber`. `url` like "http://localhost:8178"."""

    def __init__(self, *, url: str, timeout: timedelta = timedelta(seconds=30)) -> None:
        self._url = f"{url.rstrip('/')}/inference"
        self._timeout = timeout.total_seconds()
        self._client = httpx.AsyncClient(timeout=self._timeout, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def transcribe(self, content: bytes, mime_type: str, language: str | None) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._client.post(
                    self._url,
                    files={"file": (asking.sound_name(mime_type), content, mime_type)},
                    data={"response_format": "json", "language": language or "auto", "temperature": "0"},
                )
        except TimeoutError as error:
            raise TemporaryError(f"whisper: no answer in {self._timeout:g} s", code="timeout") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            code = "timeout" if isinstance(error, httpx.TimeoutException) else "unavailable"
            raise TemporaryError(f"whisper: {type(error).__name__}", code=code) from error
        if not answer.is_success:
            raise PermanentError(f"whisper: status {answer.status_code}", code="refused")
        try:
            body: Any = json.loads(answer.content)
        except (ValueError, RecursionError):
            body = None
        said = cast("dict[str, Any]", body).get("text") if isinstance(body, dict) else None
        return asking.text_of(said, "whisper")
