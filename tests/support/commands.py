"""Programs that a script calls, as stubs on a PATH that holds nothing else but a bare system's commands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_BARE = (
    "bash", "cat", "cp", "date", "dirname", "env", "git", "grep", "head", "mkdir", "mktemp", "rm", "sed", "sleep",
)  # fmt: skip


class Commands:
    """A folder with a copy of the project's scripts, and stubs that write down how they were called."""

    def __init__(self, folder: Path, *files: Path) -> None:
        """`files`: of this project, copied to the same place below `project`."""
        self.bin, self.log, self.project = folder / "bin", folder / "log", folder / "project"
        self.bin.mkdir()
        self.log.touch()
        root = Path(__file__).parents[2]
        for name in _BARE:
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        for file in files:
            (self.project / file.parent).mkdir(parents=True, exist_ok=True)
            shutil.copy(root / file, self.project / file)

    def add(self, name: str, body: str = "") -> None:
        """A stub. `body` is bash: what it prints and how it ends, by its arguments `$*`."""
        stub = self.bin / name
        stub.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >>"{self.log}"\n{body}\n', "utf-8")
        stub.chmod(0o755)

    def run(self, script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / "bash", str(self.project / script), *words],
            env={"PATH": str(self.bin), "HOME": str(self.project), **environment},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def calls(self, starting: str = "") -> list[str]:
        return [line for line in self.log.read_text("utf-8").splitlines() if line.startswith(starting)]
