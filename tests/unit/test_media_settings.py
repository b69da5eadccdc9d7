"""Settings of media: what is wrong is said with the variable's name, and what is absent is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent_store.adapters.perception.ollama import OllamaVision
from agent_store.adapters.perception.openai import OpenAISenses
from agent_store.adapters.perception.whisper import WhisperServer
from agent_store.adapters.storage.disk import DiskStore
from agent_store.adapters.storage.s3 import S3Store
from agent_store.agents.whatsapp.ports import MEGABYTE
from agent_store.entrypoints.media import Closers, make_media_store, make_senses, media_settings
from agent_store.entrypoints.settings import Settings, load
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.errors import InvalidInput

S3 = {
    "AGENT_STORE_MEDIA_S3_ENDPOINT": "http://minio:9000",
    "AGENT_STORE_MEDIA_S3_BUCKET": "media",
    "AGENT_STORE_MEDIA_S3_ACCESS_KEY": "a",
    "AGENT_STORE_MEDIA_S3_SECRET_KEY": "s",
}


@pytest.mark.parametrize(
    ("mode", "graph", "public", "uploads", "every_link"),
    [
        ("auto", "", "http://127.0.0.1:8080", False, False),  # the simulator fetches from the same machine
        ("auto", "http://127.0.0.1:9000", "http://127.0.0.1:8080", False, False),
        ("auto", "https://graph.facebook.com", "http://127.0.0.1:8080", True, False),
        ("auto", "https://graph.facebook.com", "https://shop.example", False, False),
        ("link", "https://graph.facebook.com", "http://127.0.0.1:8080", False, False),
        ("upload", "", "https://shop.example", True, True),
    ],
)
def test_pictures_are_uploaded_where_meta_cannot_fetch_them_or_where_it_is_said(
    mode: str, graph: str, public: str, uploads: bool, every_link: bool
) -> None:
    settings = replace(Settings(), whatsapp_media=mode, whatsapp_graph_url=graph)
    found = media_settings(settings, public)
    assert (found.uploads, found.every_link) == (uploads, every_link)


def test_days_and_size_are_taken_over_and_metas_limits_stay() -> None:
    found = media_settings(
        load({"AGENT_STORE_WHATSAPP_MEDIA_DAYS": "7", "AGENT_STORE_WHATSAPP_MEDIA_MAX": str(200 * MEGABYTE)}),
        "http://shop",
    )
    assert found.keep == timedelta(days=7)
    assert found.limit("document") == 100 * MEGABYTE
    assert found.limit("image") == 5 * MEGABYTE
    assert found.limit("text") == 0


async def test_nobody_listens_or_looks_unless_it_is_said() -> None:
    closers: Closers = []
    senses = make_senses(Settings(), closers)
    assert senses.transcriber is senses.vision is None
    assert closers == []
    settings = load({"AGENT_STORE_TRANSCRIBER": "whisper", "AGENT_STORE_TRANSCRIBER_URL": "http://localhost:8178",
                     "AGENT_STORE_VISION": "ollama"})  # fmt: skip
    senses = make_senses(settings, closers)
    assert isinstance(senses.transcriber, WhisperServer)
    assert isinstance(senses.vision, OllamaVision)
    settings = load(
        {"AGENT_STORE_TRANSCRIBER": "openai", "AGENT_STORE_VISION": "openai", "AGENT_STORE_OPENAI_API_KEY": "k"}
    )
    senses = make_senses(settings, closers)
    assert isinstance(senses.transcriber, OpenAISenses)
    assert isinstance(senses.vision, OpenAISenses)
    for close in closers:
        await close()


async def test_media_are_kept_in_the_data_folder_or_in_a_bucket(tmp_path: Path) -> None:
    closers: Closers = []
    assert isinstance(make_media_store(Settings(data=tmp_path), ManualClock(), closers), DiskStore)
    assert closers == []
    assert isinstance(make_media_store(load(S3), ManualClock(), closers), S3Store)
    for close in closers:
        await close()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"AGENT_STORE_WHATSAPP_MEDIA": "never"}, "AGENT_STORE_WHATSAPP_MEDIA"),
        ({"AGENT_STORE_WHATSAPP_MEDIA_DAYS": "0"}, "AGENT_STORE_WHATSAPP_MEDIA_DAYS"),
        ({"AGENT_STORE_WHATSAPP_MEDIA_HOSTS": "*"}, "AGENT_STORE_WHATSAPP_MEDIA_HOSTS"),
        ({"AGENT_STORE_WHATSAPP_MEDIA_HOSTS": "https://x.example"}, "AGENT_STORE_WHATSAPP_MEDIA_HOSTS"),
        ({"AGENT_STORE_TRANSCRIBER": "whisper"}, "AGENT_STORE_TRANSCRIBER_URL"),
        ({"AGENT_STORE_TRANSCRIBER": "openai"}, "AGENT_STORE_TRANSCRIBER_API_KEY"),
        ({"AGENT_STORE_VISION": "openai"}, "AGENT_STORE_VISION_API_KEY"),
        ({"AGENT_STORE_VISION": "eyes"}, "AGENT_STORE_VISION"),
        *(({key: value for key, value in S3.items() if key != absent}, absent) for absent in list(S3)[1:]),
    ],
)
def test_what_is_wrong_or_missing_stops_the_start(environment: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        load(environment)


def test_keys_are_never_shown() -> None:
    shown = repr(load({**S3, "AGENT_STORE_MEDIA_S3_SECRET_KEY": "hidden-1", "AGENT_STORE_VISION_API_KEY": "hidden-2",
                       "AGENT_STORE_TRANSCRIBER_API_KEY": "hidden-3"}))  # fmt: skip
    assert "hidden" not in shown
