"""Found by every Python of a stalled run (it stands on PYTHONPATH): makes two modules late when they are imported."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def seconds(variable: str) -> float:
    return float(os.environ.get(variable) or 0)


def late_pages(module: Any) -> None:
    """What a server tells a page of NiceGUI."""
    most, emit = seconds("AGENT_STORE_TEST_LATE_PAGES"), module.Outbox._emit

    async def late(self: object, message: object) -> None:
        await asyncio.sleep(random.uniform(most / 5, most))
        await emit(self, message)

    module.Outbox._emit = late


def disorder(module: Any) -> None:
    """What comes from Knative, which waits for the handling; other buses keep an order."""
    most, receive = seconds("AGENT_STORE_TEST_DISORDER"), module.Dispatcher.receive

    async def late(self: object, event: object, *, until: str = "recorded", **more: object) -> None:
        if until == "handled" and random.random() < 0.6:
            await asyncio.sleep(random.uniform(0, most))
        await receive(self, event, until=until, **more)

    module.Dispatcher.receive = late


class Changed(MetaPathFinder):
    """Imports `name` as it is, then changes it."""

    def __init__(self, name: str, change: Callable[[Any], None]) -> None:
        self._name, self._change = name, change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self._change(module)

        spec.loader.exec_module = execute_and_change
        return spec


if seconds("AGENT_STORE_TEST_LATE_PAGES"):
    sys.meta_path.insert(0, Changed("nicegui.outbox", late_pages))
if seconds("AGENT_STORE_TEST_DISORDER"):
    sys.meta_path.insert(0, Changed("agent_store.kernel.dispatcher", disorder))
