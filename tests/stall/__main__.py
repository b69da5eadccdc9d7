"""Tests on a machine that stutters: `python -m tests.stall [options] -- <arguments of pytest>`.

Processes of the run, tests and servers alike, are stopped for moments and go on, as on a busy host. With `--late-pages` what
a page is told comes late, with `--disorder` what Knative delivers comes in another order. A test that fails then, and not
without it, has taken for granted what nothing promises; or it has found a race of the store's.

    python -m tests.stall --seed 3 -- -n 2 --dist loadgroup tests/integration
    python -m tests.stall --stop 0 --late-pages 0.6 -- tests/browser
    python -m tests.stall --stop 0 --disorder 0.15 -- tests/integration -k knative

Linux only (it reads `/proc`). Ends with pytest's exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

MARK = "AGENT_STORE_TEST_STALL"
LONGEST = 1.2
"""Seconds of one stop: the bounds that users rely on begin above it."""


def processes(root: int, mark: str) -> list[int]:
    """Those of the run that are not stopped already (tests pause some on purpose): what descends from `root`, and what
    has left its family and bears the mark."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            if state in "TZ":
                continue
            parents[int(entry.name)] = int(parent)
        except OSError:
            continue  # it has ended
    return [pid for pid in parents if pid != os.getpid() and (_descends(pid, root, parents) or _bears(pid, mark))]


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == root:
            return True
    return False


def _bears(pid: int, mark: str) -> bool:
    try:
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def is_python(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith(("pytest", "python"))
    except OSError:
        return False


def stutter(run: subprocess.Popen[bytes], mark: str, *, stop: float, gap: float, choice: random.Random) -> int:
    """Until the run ends: one process at a time, every other time one of Python. Returns how many stops there were."""
    stops = 0
    while run.poll() is None:
        found = processes(run.pid, mark)
        ours = [pid for pid in found if is_python(pid)]
        if found:
            pid = choice.choice(ours if ours and choice.random() < 0.5 else found)
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(pid, signal.SIGSTOP)
                try:
                    time.sleep(min(choice.expovariate(1 / stop), LONGEST))
                finally:
                    os.kill(pid, signal.SIGCONT)
                stops += 1
        time.sleep(choice.expovariate(1 / gap))
    return stops


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.stall", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop", type=float, default=0.2, help="mean seconds of a stop; 0: none (default %(default)s)")
    parser.add_argument("--gap", type=float, default=0.3, help="mean seconds between two (default %(default)s)")
    parser.add_argument("--late-pages", type=float, default=0.0, metavar="SECONDS", help="at most, a message")
    parser.add_argument("--disorder", type=float, default=0.0, metavar="SECONDS", help="at most, an event of Knative")
    parser.add_argument("pytest", nargs="*", help="arguments of pytest, after --")
    asked = parser.parse_args()
    mark = str(os.getpid())
    path = [str(Path(__file__).parent / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        MARK: mark,
        "PYTHONPATH": os.pathsep.join(path),
        "AGENT_STORE_TEST_LATE_PAGES": str(asked.late_pages),
        "AGENT_STORE_TEST_DISORDER": str(asked.disorder),
    }
    run = subprocess.Popen([sys.executable, "-m", "pytest", *asked.pytest], env=environment)
    try:
        if asked.stop > 0:
            stops = stutter(run, mark, stop=asked.stop, gap=asked.gap, choice=random.Random(asked.seed))
            print(f"{stops} stops of {asked.stop} s on average (seed {asked.seed})")
        return run.wait()
    except KeyboardInterrupt:
        return run.wait()


if __name__ == "__main__":
    raise SystemExit(main())
