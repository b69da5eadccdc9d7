"""Writes `docs/contracts/`: a JSON Schema an event, a JSON contract a tool, one AsyncAPI document of all events."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

from agent_store import contracts
from agent_store.kernel.event import registry as events
from agent_store.kernel.schemas import asyncapi, event_schema, tool_contract
from agent_store.kernel.tool import registry as tools


def load_all() -> None:
    """Import every contract module, so that the registries are complete."""
    for module in pkgutil.iter_modules(contracts.__path__):
        importlib.import_module(f"{contracts.__name__}.{module.name}")


def render() -> dict[str, str]:
    """Path below `docs/contracts/` to content."""
    load_all()
    files = {f"events/{name}.schema.json": event_schema(kind) for name, kind in events.items()}
    files |= {f"tools/{name}.json": tool_contract(kind) for name, kind in tools.items()}
    files["asyncapi.json"] = asyncapi(events.values())
    return {
        path: json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
        for path, value in sorted(files.items())
    }


def stale(folder: Path) -> list[str]:
    """What differs from the contracts in the code: missing, changed and left-over files."""
    wanted = render()
    found = {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*.json")}
    return sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))


def write(folder: Path) -> int:
    """Write all files and remove left-over ones; returns how many there are."""
    wanted = render()
    for path in folder.rglob("*.json") if folder.is_dir() else ():
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for path, text in wanted.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    return len(wanted)
