"""Components that a test needs and a machine may lack: absent, the test skips with one line that says how to get it.

`AGENT_STORE_TEST_REQUIRE=all` (or a comma-separated list of names) makes an absent one a failure.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

_HOW = {"chromium": ("chromium", "chromium-browser", "google-chrome")}
_PACKAGE = {"chromium": "chromium"}


def need(name: str) -> str:
    """The path of a component's program."""
    for program in _HOW[name]:
        if path := shutil.which(program):
            return path
    missing(name, f"{name} is absent: apt-get install {_PACKAGE[name]} (or your system's package of it)")


def missing(name: str, sentence: str) -> NoReturn:
    """Skip, or fail where the component is required; `sentence` says how to get it."""
    required = {part.strip() for part in os.environ.get("AGENT_STORE_TEST_REQUIRE", "").split(",")}
    if required & {"all", name}:
        pytest.fail(f"AGENT_STORE_TEST_REQUIRE: {sentence}")
    pytest.skip(sentence)
