"""`agent-store drill` as a user runs it: a process of its own, with a temporary folder of its own to look into afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from agent_store.entrypoints.drill.faults import FAULTS, FOR, says
from agent_store.entrypoints.drill.main import run
from agent_store.entrypoints.drill.run import Plan, parse
from agent_store.kernel.errors import InvalidInput
from tests.support.components import missing

COMMAND = Path(sys.executable).with_name("agent-store")
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("fleet")]


class Running:
    """A drill under way. `lines` is what it has printed on either stream."""

    def __init__(self, process: asyncio.subprocess.Process, temporary: Path) -> None:
        self.process, self.temporary = process, temporary
        self.out, self.err = "", ""
        self._readers = [asyncio.create_task(self._read("out")), asyncio.create_task(self._read("err"))]

    async def _read(self, name: str) -> None:
        stream = self.process.stdout if name == "out" else self.process.stderr
        assert stream is not None
        while line := await stream.readline():
            setattr(self, name, getattr(self, name) + line.decode())

    async def said(self, words: str, seconds: float = 240) -> None:
        async with asyncio.timeout(seconds):
            while words not in self.out + self.err:
                assert self.process.returncode is None, self.out + self.err
                await asyncio.sleep(0.05)

    async def ended(self, seconds: float = 240) -> int:
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        return code

    async def leftovers(self) -> list[str]:
        """What there still is a while after its end: to be killed takes a process a moment."""
        for _ in range(100):
            if not self._left():
                break
            await asyncio.sleep(0.1)
        return self._left()

    def _left(self) -> list[str]:
        """Files in its temporary folder, and processes that were started with it."""
        left = [str(path) for path in self.temporary.iterdir()]
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"TMPDIR={self.temporary}\0".encode() in (entry / "environ").read_bytes():
                    left.append((entry / "cmdline").read_text().replace("\0", " "))
        return left


@contextlib.asynccontextmanager
async def drill(folder: Path, *options: str, **environment: str) -> AsyncGenerator[Running]:
    temporary = Path(tempfile.mkdtemp(prefix="agent-store-test-"))
    temporary.chmod(0o777)  # PostgreSQL is not root's, and reaches no folder of this test's own
    process = await asyncio.create_subprocess_exec(
        COMMAND, "drill", *options, cwd=folder, env={**os.environ, "TMPDIR": str(temporary), **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    running = Running(process, temporary)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await running.ended()
        shutil.rmtree(temporary)


async def test_a_drill_of_the_embedded_store_holds_and_tells_it_as_json(tmp_path: Path) -> None:
    options = ("--faults", "kill+links", "--seconds", "3", "--customers", "2", "--json", "--seed", "7")
    # The caller's own store is not to be seen by a drill.
    strange = {"AGENT_STORE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "AGENT_STORE_BRAIN": "ollama"}
    async with drill(tmp_path, *options, **strange) as running:
        code = await running.ended()
        assert code == 0, running.out + running.err
        report: dict[str, Any] = json.loads(running.out)
        assert report["holds"]
        assert (report["mode"], report["faults"], report["seed"]) == ("embedded", [["kill", "links"]], 7)
        assert report["broken"] == {name: [] for name in report["broken"]}
        assert report["counts"]["messages acknowledged"] > 0
        assert [stretch["during"] for stretch in report["webhook"]] == ["calm", "kill+links", "after kill+links"]
        assert "ready after" in running.err
        assert "Traceback" not in running.err
        assert await running.leftovers() == []


async def test_ctrl_c_takes_everything_down(tmp_path: Path) -> None:
    async with drill(tmp_path, "--faults", "pause") as running:
        await running.said("customers at a time")
        running.process.send_signal(signal.SIGINT)
        assert await running.ended(30) != 0
        assert "interrupted" in running.out
        assert "Traceback" not in running.err
        assert await running.leftovers() == []


@pytest.mark.parametrize("moment", ["RabbitMQ and PostgreSQL", "processes of the store"])
async def test_a_drill_that_is_sent_away_at_its_start_leaves_no_program_behind(tmp_path: Path, moment: str) -> None:
    if shutil.which("rabbitmq-server") is None and not Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists():
        missing("rabbitmq", "rabbitmq-server is absent: apt-get install rabbitmq-server")
    async with drill(tmp_path, "--mode", "rabbitmq") as running:
        await running.said(moment)
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended(30) != 0
        assert await running.leftovers() == []


async def test_a_program_that_is_absent_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    async with drill(tmp_path, "--mode", "knative", KNATIVE_RABBITMQ_BIN=str(tmp_path)) as running:
        assert await running.ended() == 1
        assert "there is no program ingress" in running.err
        assert await running.leftovers() == []


def test_faults_are_read_from_the_command_line() -> None:
    assert parse("all", "embedded") == (("kill",), ("terminate",), ("pause",), ("links",))
    assert parse("none", "rabbitmq") == ()
    assert parse("kill, postgres+links", "rabbitmq") == (("kill",), ("postgres", "links"))
    with pytest.raises(InvalidInput, match="no fault 'postgres' for embedded: kill, terminate"):
        parse("postgres", "embedded")


def test_every_fault_says_what_it_does() -> None:
    assert {name for names in FOR.values() for name in names} == set(FAULTS)
    assert all(says(name).endswith(".") for name in FAULTS)


@pytest.mark.parametrize("wrong", [{"customers": 0}, {"replicas": 0}, {"seconds": 0}, {"seconds": 10_000}])
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Plan(**wrong)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("mine")
    with pytest.raises(InvalidInput, match="is not empty"):
        run("embedded", "none", 1, 1.0, 1, 1, tmp_path, as_json=False)
