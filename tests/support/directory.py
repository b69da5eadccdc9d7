"""Directory files as an operator writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

SHARED = "1000"


def brand(id: str, *numbers: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "name": id.capitalize(), "seller": f"Seller of {id}", "phone_number_ids": list(numbers), **more}


def directory_text(*brands: dict[str, Any], services: dict[str, Any] | None = None) -> str:
    """With a service for each brand's seller, unless others are given."""
    if services is None:
        services = {
            f"ai-seller-{one['id']}": {
                "url": f"http://ai-seller-{one['id']}.test",
                "consumers": [f"seller/{one['id']}"],
            }
            for one in brands
        }
    shared = {"name": "Agent Store", "phone_number_ids": [SHARED]}
    return yaml.safe_dump({"services": services, "brands": list(brands), "shared": shared}, allow_unicode=True)


def put(path: Path, text: str, *, at: float | None = None) -> Path:
    """A new file under the old name, changed at this time (seconds of the wall clock)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(text, "utf-8")
    if at is not None:
        os.utime(fresh, (at, at))
    os.replace(fresh, path)
    return path
