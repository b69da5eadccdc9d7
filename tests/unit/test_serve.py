"""What `agent-store serve` does around its process."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from agent_store.entrypoints import serve
from agent_store.entrypoints.settings import Settings


class Broken:
    """A process that fails as it starts."""

    service = "broken"

    def __init__(self) -> None:
        self.collected: bool | None = None

    def door(self) -> Any:
        async def door(scope: Any, receive: Any, send: Any) -> None:
            raise NotImplementedError

        return door

    async def start(self) -> None:
        self.collected = gc.isenabled()
        raise RuntimeError("broken")

    async def stop(self) -> None:
        return None


def test_the_collector_rests_until_the_process_is_put_together_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve.logs, "configure", lambda *_: None)  # type: ignore[attr-defined]
    gc.disable()  # as the command does before its imports
    try:
        process = Broken()
        made: list[bool] = []

        def make(_: Settings) -> Any:
            made.append(gc.isenabled())
            return process

        with pytest.raises(RuntimeError, match="broken"):
            serve.run(Settings(data=tmp_path, port=0), make)
        assert (made, process.collected) == ([False], True)
    finally:
        gc.enable()
        gc.unfreeze()
