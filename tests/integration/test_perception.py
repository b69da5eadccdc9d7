"""Who listens and who looks, against real local servers of each kind that answer well, badly, late or not at all."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from agent_store.adapters.perception.ollama import OllamaVision
from agent_store.adapters.perception.openai import OpenAISenses
from agent_store.adapters.perception.whisper import WhisperServer
from agent_store.kernel.errors import PermanentError, StoreError, TemporaryError
from tests.support import media as made
from tests.support.plain_http import Answer, PlainServer, answers, hang_up, plain_server, silence, trickle

WAIT = timedelta(seconds=20)
SHORT = timedelta(milliseconds=600)
TRANSCRIBED = {"text": " Quero duas canecas. "}
CHAT = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": " Uma caneca azul. "}}],
}  # fmt: skip
OLLAMA = {
    "model": "m",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": " Uma caneca azul. "},
    "done": True,
}


class Asked:
    """One sense at one server: `ask()` is what the gateway would ask."""

    def __init__(self, kind: str, server: PlainServer, timeout: timedelta = WAIT) -> None:
        self.kind = kind
        if kind == "ollama":
            self.sense: Any = OllamaVision(host=server.url, model="m", timeout=timeout)
        elif kind == "whisper":
            self.sense = WhisperServer(url=server.url, timeout=timeout)
        else:
            self.sense = OpenAISenses(base_url=f"{server.url}/v1", api_key="k", model="m", timeout=timeout)

    async def ask(self) -> str:
        if self.kind in ("openai", "whisper"):
            return await self.sense.transcribe(made.OPUS, "audio/ogg", "pt")
        return await self.sense.describe(made.png(), "image/png", "pt")


KINDS = {"openai": TRANSCRIBED, "whisper": TRANSCRIBED, "openai vision": CHAT, "ollama": OLLAMA}


@asynccontextmanager
async def asked(kind: str, answer: Answer, timeout: timedelta = WAIT) -> AsyncGenerator[tuple[Asked, PlainServer]]:
    async with plain_server(v1=answer, inference=answer, api=answer) as server:
        one = Asked(kind, server, timeout)
        try:
            yield one, server
        finally:
            await one.sense.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_said_or_seen_comes_back_as_text(kind: str) -> None:
    async with asked(kind, answers(KINDS[kind], content_type="application/json")) as (one, _):
        assert await one.ask() in ("Quero duas canecas.", "Uma caneca azul.")


async def test_a_voice_note_goes_to_an_openai_server_as_a_file_with_the_language_as_a_hint() -> None:
    async with asked("openai", answers(TRANSCRIBED)) as (one, server):
        await one.ask()
        await one.sense.transcribe(made.MP3, "audio/mpeg", None)
    first, second = server.heard
    assert (first.method, first.target) == ("POST", "/v1/audio/transcriptions")
    assert first.headers["authorization"] == "Bearer k"
    assert b'filename="voice.ogg"' in first.body
    assert made.OPUS in first.body
    assert b'name="language"' in first.body
    assert b'filename="voice.mp3"' in second.body
    assert b'name="language"' not in second.body


async def test_a_voice_note_goes_to_a_whisper_server_which_finds_out_the_language_if_nobody_knows_it() -> None:
    async with asked("whisper", answers(TRANSCRIBED)) as (one, server):
        await one.sense.transcribe(made.OPUS, "audio/ogg", None)
    (heard,) = server.heard
    assert (heard.method, heard.target) == ("POST", "/inference")
    assert b'name="language"\r\n\r\nauto' in heard.body
    assert b'name="response_format"\r\n\r\njson' in heard.body


async def test_a_picture_goes_to_an_openai_server_as_a_data_url() -> None:
    async with asked("openai vision", answers(CHAT)) as (one, server):
        await one.ask()
    (heard,) = server.heard
    question, picture = json.loads(heard.body)["messages"][0]["content"]
    assert "Brazilian Portuguese" in question["text"]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(made.png()).decode()}"


async def test_a_picture_goes_to_ollama_in_base64() -> None:
    async with asked("ollama", answers(OLLAMA)) as (one, server):
        await one.ask()
    (heard,) = server.heard
    assert heard.target == "/api/chat"
    assert json.loads(heard.body)["messages"][0]["images"] == [base64.b64encode(made.png()).decode()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", [silence, trickle], ids=["silence", "trickle"])
async def test_nobody_takes_longer_than_they_were_given(kind: str, answer: Answer) -> None:
    async with asked(kind, answer, SHORT) as (one, server):
        started = time.perf_counter()
        with pytest.raises(StoreError):
            await one.ask()
        assert time.perf_counter() - started < 15, "silence lasts a minute, and a trickle twenty seconds"
        assert len(server.heard) <= 1, "asked once"


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_away_may_be_there_later(kind: str) -> None:
    async with asked(kind, hang_up) as (one, _):
        with pytest.raises(TemporaryError):
            await one.ask()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [answers({"error": "no"}, 400), answers(b"<html>"), answers({}), answers([]), answers({"text": 5, "choices": []}), answers({"choices": [{"message": None}], "message": None})],
    ids=["refused", "html", "nothing", "list", "number", "none"],
)  # fmt: skip
async def test_an_answer_without_a_text_is_a_failure(kind: str, answer: Answer) -> None:
    async with asked(kind, answer) as (one, _):
        with pytest.raises((PermanentError, TemporaryError)):
            await one.ask()
