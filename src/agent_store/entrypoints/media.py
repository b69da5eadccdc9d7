"""Customers' media by the settings: where they are kept, who listens and looks. SDKs are imported only when they are chosen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent_store.agents.whatsapp.ports import MediaSettings, MediaStore, Senses, Transcriber, Vision
from agent_store.entrypoints.settings import Settings
from agent_store.kernel.clock import Clock

Closers = list[Callable[[], Awaitable[None]]]
"""What is to be closed at the end is put here."""


def media_settings(settings: Settings, public_url: str) -> MediaSettings:
    """Pictures are uploaded where Meta could not fetch them. A Graph API without https is no Meta, but a simulator nearby:
    it can."""
    auto = settings.whatsapp_graph_url.startswith("https://") and not public_url.startswith("https://")
    return MediaSettings(
        max_bytes=settings.whatsapp_media_max,
        keep=settings.whatsapp_media_days,
        uploads=settings.whatsapp_media == "upload" or (settings.whatsapp_media == "auto" and auto),
        every_link=settings.whatsapp_media == "upload",
    )


def make_media_store(settings: Settings, clock: Clock, closers: Closers) -> MediaStore:
    if not settings.media_s3_endpoint:
        from agent_store.adapters.storage.disk import DiskStore

        return DiskStore(settings.data / "media")
    from agent_store.adapters.storage.s3 import Bucket, S3Store

    bucket = Bucket(
        endpoint=settings.media_s3_endpoint,
        name=settings.media_s3_bucket,
        region=settings.media_s3_region,
        access_key=settings.media_s3_access_key,
        secret_key=settings.media_s3_secret_key,
    )
    store = S3Store(bucket, clock)
    closers.append(store.close)
    return store


def make_senses(settings: Settings, closers: Closers) -> Senses:
    return Senses(transcriber=_transcriber(settings, closers), vision=_vision(settings, closers))


def _transcriber(settings: Settings, closers: Closers) -> Transcriber | None:
    if settings.transcriber == "openai":
        from agent_store.adapters.perception.openai import OpenAISenses

        senses = OpenAISenses(
            base_url=settings.transcriber_url or settings.openai_url,
            api_key=settings.transcriber_api_key or settings.openai_api_key or "none",
            model=settings.transcriber_model,
            timeout=settings.transcriber_timeout,
        )
        closers.append(senses.close)
        return senses
    if settings.transcriber == "whisper":
        from agent_store.adapters.perception.whisper import WhisperServer

        whisper = WhisperServer(url=settings.transcriber_url, timeout=settings.transcriber_timeout)
        closers.append(whisper.close)
        return whisper
    return None


def _vision(settings: Settings, closers: Closers) -> Vision | None:
    if settings.vision == "openai":
        from agent_store.adapters.perception.openai import OpenAISenses

        senses = OpenAISenses(
            base_url=settings.vision_url or settings.openai_url,
            api_key=settings.vision_api_key or settings.openai_api_key or "none",
            model=settings.vision_model or "gpt-4o-mini",
            timeout=settings.vision_timeout,
        )
        closers.append(senses.close)
        return senses
    if settings.vision == "ollama":
        from agent_store.adapters.perception.ollama import OllamaVision

        vision = OllamaVision(
            host=settings.vision_url or settings.ollama_url,
            model=settings.vision_model or "llama3.2-vision",
            timeout=settings.vision_timeout,
        )
        closers.append(vision.close)
        return vision
    return None
