"""What the operator gives a pod is what a process takes: its variables, its brand, the directory."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.entrypoints.directories import Directories
from agent_store.entrypoints.settings import Settings, load
from agent_store.kube.derived import DIRECTORY, PROMPT_KEY, Around, Prompt
from agent_store.kube.listing import Entry, directory
from agent_store.kube.render import render
from tests.support.directory import put
from tests.unit.test_kube_render import AROUND, BRAND, KNOWN, agent, environment

FULL = {
    "brand": {
        **BRAND, "emoji": "🐾", "focus": "ração e brinquedos", "displayPhone": "+55 11 4000-0006",
        "keywords": {"pt": ["ração", "coleira"], "en": ["leash"]}, "greeting": {"pt": "Oi! Sou o Teo."},
        "tools": ["gift-wrapping.*"],
    },
    "behavior": {"maxContextMessages": 0, "emitEvents": False, "systemPrompt": "You are Teo."},
    "rollout": {"canaryPercent": 30},
    "observability": {"logLevel": "debug", "tracing": {"endpoint": "http://collector:4318"}},
}  # fmt: skip


def taken(tmp_path: Path, around: Around = AROUND, **spec: Any) -> Settings:
    """The settings of the pod's process, with the files that it mounts put elsewhere."""
    found = {
        name: value for name, value in environment(render(agent(**spec), around)).items() if isinstance(value, str)
    }
    for name, file in (("PROMPT", "stable"), ("PROMPT_CANARY", "canary")):
        if f"AGENT_STORE_{name}" in found:
            assert found[f"AGENT_STORE_{name}"] == f"/etc/agent-store/prompt/{file}/{PROMPT_KEY}"
            found[f"AGENT_STORE_{name}"] = str(put(tmp_path / file / PROMPT_KEY, f"{file} prompt"))
    entries = [
        Entry(agent("ai-seller-cats", brand={**BRAND, "id": "cats", "phoneNumberIds": ["100000000000007"]}), True)
    ]
    entries.append(Entry(agent(), listening=False))
    entries.append(
        Entry(agent("session-sync", run=["conversations"], sharedNumber={"phoneNumberIds": ["100000000000000"]}), True)
    )
    text = yaml.safe_dump(directory(entries, KNOWN), allow_unicode=True)
    found["AGENT_STORE_DIRECTORY"] = str(put(tmp_path / "mounted" / Path(found["AGENT_STORE_DIRECTORY"]).name, text))
    found["AGENT_STORE_DATA"] = str(tmp_path / "data")
    (tmp_path / "data").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a variable that there is not
        return load(found)


def test_a_sellers_pod_knows_its_brand_before_the_directory_lists_it(tmp_path: Path) -> None:
    settings = taken(tmp_path, replace(AROUND, canary=Prompt("You are Teo, and brief.")), **FULL)
    assert settings.directory_configmap == DIRECTORY
    assert (settings.context_messages, settings.emit_intents, settings.log_level) == (0, False, "debug")
    directories = Directories(settings, PrometheusMetrics(), ["seller/pets"])
    found = directories.directory.brand("pets")
    assert found is not None
    assert (found.name, found.emoji, found.tools) == ("Patas & Cia", "🐾", ("gift-wrapping.*",))
    assert found.keywords == {"pt": ("ração", "coleira"), "en": ("leash",)}
    assert found.greeting == {"pt": "Oi! Sou o Teo."}
    assert (found.prompt, found.canary_prompt, found.canary_percent) == ("stable prompt", "canary prompt", 30)
    assert [one.id for one in directories.directory.brands()] == ["cats"]


def test_every_pod_finds_the_others_and_the_open_brands(tmp_path: Path) -> None:
    directories = Directories(taken(tmp_path, run=["orders"]), PrometheusMetrics(), ["orders"])
    assert directories.services is not None
    assert directories.services.url_of_consumer("seller/pets") == "http://ai-seller-pets.shop.svc.cluster.local"
    assert directories.services.url_of_agent("conversations") == "http://session-sync.shop.svc.cluster.local"
    cats = directories.directory.by_number("100000000000007")
    assert cats is not None
    assert cats.id == "cats"
    assert directories.directory.is_known("100000000000000")
    assert not directories.directory.is_known("100000000000006"), "its Triggers are not ready"
