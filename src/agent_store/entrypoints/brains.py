"""Which brain the sellers think with, by the settings. Heavy SDKs are imported only when they are chosen."""

from __future__ import annotations

from agent_store.entrypoints.settings import Settings
from agent_store.kernel.brain import Brain


def make_brain(settings: Settings) -> Brain:
    if settings.brain == "ollama":
        from agent_store.adapters.brains.ollama import OllamaBrain

        return OllamaBrain(
            host=settings.ollama_url,
            model=settings.model or "llama3.1",
            timeout=settings.model_timeout,
            max_tokens=settings.model_max_tokens,
            temperature=settings.model_temperature,
        )
    if settings.brain == "openai":
        from agent_store.adapters.brains.openai import OpenAIBrain

        return OpenAIBrain(
            base_url=settings.openai_url,
            api_key=settings.openai_api_key or "none",
            model=settings.model or "gpt-4o-mini",
            timeout=settings.model_timeout,
            max_tokens=settings.model_max_tokens,
            temperature=settings.model_temperature,
        )
    from agent_store.adapters.brains.rules import RulesBrain

    return RulesBrain()
