"""Screenshots, for who wants to look: `AGENT_STORE_TEST_PICTURES` names their folder."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

FOLDER = os.environ.get("AGENT_STORE_TEST_PICTURES")


def shot(page: Page, name: str) -> None:
    if FOLDER:
        page.screenshot(path=Path(FOLDER) / f"{name}.png")
