"""Real programs of the store's own on loopback: RabbitMQ, PostgreSQL and Redis.

For the fault drill, the tests and the benches. Each listens on a free port, keeps its files in a folder of its own, can
be killed, paused and started again on the same files, and is gone with its folder when it is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from agent_store.kernel.errors import NotFound, TemporaryError


class Absent(NotFound):
    """A program is not on this machine; the message says how to get it."""

    code = "program-absent"


_FIRST_PORT, _PORTS = 12_000, 18_000
_steps = itertools.count()


def free_port() -> int:
    """A loopback port that nobody listens on, below the range from which the system takes ports by itself (so that a
    program that is down for a while finds its port free again), and another one at each call."""
    while True:
        port = _FIRST_PORT + (os.getpid() * 97 + next(_steps)) % _PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def find(*paths: str, how: str) -> str:
    """The first of these programs that is there: a name on the PATH, or an absolute path in which `*` stands for any
    version (the latest is taken). Raises Absent that says how to get it."""
    for path in paths:
        if not path.startswith("/"):
            found = shutil.which(path)
        else:
            found = max((str(match) for match in Path("/").glob(path[1:])), default=None)
        if found:
            return found
    raise Absent(f"{paths[0]} is absent: {how}")


class Program:
    """One process with a folder and a port. Subclasses say how it is prepared, begun and known to be ready."""

    name = "program"
    user: str | None = None
    """Whose process it is when this one is root's."""
    patience = 60.0
    """Seconds that a start may take."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"agent-store-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0 and self.user is not None:
            shutil.chown(self.folder, self.user)

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return {}

    def inherited(self) -> Mapping[str, str]:
        """What it gets of this process's own variables."""
        return os.environ

    async def prepare(self) -> None:
        """Before the first start."""

    async def ready(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        identity = None
        if os.geteuid() == 0 and self.user is not None:
            identity = pwd.getpwnam(self.user)
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # a program found above, with arguments of our own
                list(command), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**self.inherited(), "HOME": str(self.folder), **self.environment()},
                user=identity.pw_uid if identity else None, group=identity.pw_gid if identity else None,
                extra_groups=[] if identity else None,
            )  # fmt: skip

    async def start(self) -> None:
        """Start it, or start it again on the same files and port; returns when it answers."""
        if self._process is None:
            await self.prepare()
        self._process = self._spawn(self.command())
        deadline = time.monotonic() + self.patience
        while not await self.ready():
            if self._process.poll() is not None:
                raise TemporaryError(f"{self.name} ended at its start:\n{self.log[-2000:]}", code="program")
            if time.monotonic() > deadline:
                raise TemporaryError(f"{self.name} is not ready after {self.patience:g} s:\n{self.log[-2000:]}")
            await asyncio.sleep(0.05)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """As a power cut: SIGKILL, at once, to all of its processes."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def terminate(self, seconds: float = 20.0) -> int:
        """As Kubernetes does: SIGTERM and a grace period, then SIGKILL. Returns the exit status."""
        if self._process is None:
            return 0
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
            await asyncio.sleep(0.02)
        return self._process.returncode

    def clean(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.clean()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.clean()


class RabbitMQ(Program):
    """A node of its own without clustering; `url` is its AMQP address (guest, vhost /)."""

    name = "rabbitmq"
    patience = 90.0

    def __init__(self) -> None:
        self.program = find(
            "/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server", how="apt-get install rabbitmq-server"
        )
        super().__init__()
        self._dist, self._epmd = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    async def prepare(self) -> None:
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nloopback_users = none\nlog.console = false\n"
            "cluster_partition_handling = ignore\n"
        )

    def environment(self) -> Mapping[str, str]:
        folder = str(self.folder)
        return {
            "RABBITMQ_NODENAME": f"store{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def command(self) -> Sequence[str]:
        return [self.program]

    async def ready(self) -> bool:
        """Answers with the protocol's first frame (the port is open a moment before)."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"AMQP\x00\x00\x09\x01")
            async with asyncio.timeout(2):
                return (await reader.read(1)) == b"\x01"
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    def clean(self) -> None:
        super().clean()
        # epmd leaves the process group: it is known by the port that only this node uses.
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if "epmd" in (entry / "cmdline").read_text() and f"ERL_EPMD_PORT={self._epmd}" in (
                    entry / "environ"
                ).read_text("utf-8", "replace"):
                    os.kill(int(entry.name), signal.SIGKILL)


class Postgres(Program):
    """A cluster of its own; `url` is its superuser's address of the database `store`."""

    name = "postgres"
    user = "postgres"

    def __init__(self, *, fsync: bool = False) -> None:
        """`fsync=False` loses what was committed when the machine loses power, not when the program is killed."""
        how = "apt-get install postgresql"
        self._bin = Path(find("/usr/lib/postgresql/*/bin/postgres", "postgres", how=how)).parent
        super().__init__()
        self._fsync = fsync

    @property
    def url(self) -> str:
        return self.url_of("store")

    def url_of(self, database: str, user: str = "postgres", password: str = "") -> str:
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    async def prepare(self) -> None:
        data = self.folder / "data"
        await self._finish([str(self._bin / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                            "--locale=C.UTF-8", "--no-sync"])  # fmt: skip
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n"
                f"max_connections = 300\nfsync = {'on' if self._fsync else 'off'}\n"
                "log_min_messages = warning\nlog_min_error_statement = panic\n"
            )
        self._process = self._spawn(self.command())
        while not await self.ready():  # noqa: ASYNC110  # nor does one that is ready
            await asyncio.sleep(0.05)
        await self._finish(
            [str(self._bin / "createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "store"]
        )
        await self.terminate()

    async def _finish(self, command: Sequence[str]) -> None:
        process = self._spawn(command)
        try:
            while process.poll() is None:  # noqa: ASYNC110  # a process that ends sets no event
                await asyncio.sleep(0.02)
        finally:
            if process.poll() is None:  # cancelled; it has children of its own
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            raise TemporaryError(f"{command[0]} failed:\n{self.log[-2000:]}", code="program")

    def command(self) -> Sequence[str]:
        return [str(self._bin / "postgres"), "-D", str(self.folder / "data")]

    async def ready(self) -> bool:
        process = await asyncio.create_subprocess_exec(
            str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)
        )
        return await process.wait() == 0

    def tool(self, name: str) -> str:
        """The path of `psql`, `pg_dump`, `pg_restore` of the same version."""
        return str(self._bin / name)

    async def terminate(self, seconds: float = 20.0) -> int:
        """A fast shutdown: open transactions are rolled back and clients sent away."""
        self._signal_first(signal.SIGINT)
        return await super().terminate(seconds)

    def _signal(self, number: int) -> None:
        """Each of its sessions is a process group of its own: they are known by their parent. A shutdown is told to the
        parent alone, which sends them away."""
        children: list[int] = []
        if number != signal.SIGTERM and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError):
                found = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
                children = [int(child) for child in found.split()]
        super()._signal(number)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    def _signal_first(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


class Redis(Program):
    """A server without persistence; `url` is its address."""

    name = "redis"

    def __init__(self) -> None:
        self.program = find("redis-server", how="apt-get install redis-server")
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        return [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--dir", str(self.folder)]  # fmt: skip
