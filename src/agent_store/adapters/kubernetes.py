"""Kubernetes as a pod sees it: its service account, and a ConfigMap that is watched through the API server.

The kubelet brings a changed ConfigMap into a mounted file a minute late; a watch brings it at once. One GET that never
ends, with what the store has loaded anyway (asyncio and httptools): a general client costs a fifth of a second of
import and ten megabytes in each pod.

Source: Kubernetes API concepts, "Efficient detection of changes", "410 Gone responses" and "Watch bookmarks".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httptools
import structlog

from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.metrics import Metrics, NoMetrics

_log = structlog.get_logger("agent_store.kubernetes")

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token, the API server's authority and the namespace."""
_LARGEST = 8 << 20
"""Bytes of one object as JSON: a ConfigMap is at most 1 MiB, its managed fields and escapes come on top."""
_GONE = 410


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """How a pod comes in at the API server. The files are read for each connection: the kubelet changes them."""

    host: str
    port: int
    folder: Path = ACCOUNT

    @classmethod
    def of_this_pod(cls, environment: Mapping[str, str] = os.environ, folder: Path = ACCOUNT) -> ServiceAccount:
        """Raises WatchFailed where there is no API server to be asked."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not port.isdigit():
            raise WatchFailed("outside", "KUBERNETES_SERVICE_HOST is not set: this process is in no cluster")
        return cls(host, int(port), folder)

    @property
    def namespace(self) -> str:
        return self._read("namespace")

    @property
    def token(self) -> str:
        return self._read("token")

    @property
    def trust(self) -> ssl.SSLContext:
        """The API server's authority, and no other."""
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cafile=str(self.folder / "ca.crt"))
        except (OSError, ssl.SSLError) as error:
            raise WatchFailed("no-account", f"{self.folder / 'ca.crt'}: {error}") from error
        return context

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WatchFailed("no-account", f"the pod's service account has no {name}: {error}") from error


class WatchFailed(Exception):
    """For now. `reason` is a word for the metric: outside, no-account, unreachable, silent, refused, answer, disk."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Gone(Exception):
    """The API server no longer knows the resourceVersion that the watch goes on from."""


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """In seconds. `connect`: to have a connection. `silent`: a watch on which nothing comes for so long, not even a
    bookmark (one a minute), is dead. `watch`: after that the API server ends it. `first`, `longest`: between tries."""

    connect: float = 5.0
    silent: float = 100.0
    watch: float = 300.0
    first: float = 0.5
    longest: float = 30.0


class ConfigMapWatch:
    """Tells what one key of one ConfigMap says, now and whenever it changes, until `run` is cancelled.

    What is in force stays in force while the API server is away, or says no, or the ConfigMap is gone.
    """

    def __init__(
        self,
        account: Callable[[], ServiceAccount],
        name: str,
        key: str,
        *,
        take: Callable[[str], Awaitable[None]],
        away: Callable[[float], Awaitable[None]],
        metrics: Metrics | None = None,
        times: WatchTimes | None = None,
    ) -> None:
        """`take(text)` may raise InvalidInput (the text is broken: it waits for another) and OSError (it will be told
        again). `away(since)`, at each failed try: when the API server was last heard, in seconds of the wall clock."""
        self._account = account
        self._name = name
        self._key = key
        self._take = take
        self._away = away
        self._metrics = metrics or NoMetrics()
        self._times = times or WatchTimes()
        self._failures = 0
        self._said = ""
        self._heard = time.time()
        self._text: str | None = None
        self.connected = False
        """The API server has answered, and the watch has not broken since."""

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except Gone as gone:
                self._metrics.count("directory_watch_failed", reason="gone")
                _log.info("directory.watch_begins_anew", config_map=self._name, reason=str(gone))
                await asyncio.sleep(random.uniform(0, self._times.first))
            except WatchFailed as error:
                await self._failed(error)

    async def _failed(self, error: WatchFailed) -> None:
        self.connected = False
        self._failures += 1
        self._metrics.count("directory_watch_failed", reason=error.reason)
        if self._said != error.reason:
            self._said = error.reason
            _log.warning("directory.watch_failed", config_map=self._name, reason=error.reason, error=error.message)
        try:
            await self._away(self._heard)
        except OSError as failure:
            _log.error("directory.not_kept", error=str(failure))
        pause = min(self._times.longest, self._times.first * 2.0 ** min(self._failures - 1, 16))
        await asyncio.sleep(pause * random.uniform(0.5, 1))

    def _hear(self) -> None:
        self._heard = time.time()
        self.connected = True

    def _well(self) -> None:
        """A watch stands: what comes next is a failure of its own."""
        if self._said:
            _log.info("directory.watch_back", config_map=self._name, failures=self._failures)
        self._failures, self._said = 0, ""

    async def _follow(self) -> None:
        """List, then watch from there, one watch after the other. Ends by an exception only."""
        account = self._account()
        path = f"/api/v1/namespaces/{quote(account.namespace)}/configmaps"
        field = quote(f"metadata.name={self._name}")
        async with _get(account, f"{path}?fieldSelector={field}", self._times) as answer:
            listed = _object(b"".join([part async for part in answer.body()]))
            _check(answer.status, listed)
        self._hear()
        items: list[Any] = listed.get("items") or []
        for item in items:
            await self._see(item)
        if not items:
            self._metrics.count("directory_watch_failed", reason="absent")
            _log.warning("directory.absent", config_map=self._name, namespace=account.namespace)
        version = _version(listed)
        while True:
            seconds = max(1, round(self._times.watch * random.uniform(0.8, 1.2)))
            version = await self.watch_once(
                f"{path}?watch=1&allowWatchBookmarks=true&fieldSelector={field}"
                f"&resourceVersion={quote(version)}&timeoutSeconds={seconds}",
                version,
            )

    async def watch_once(self, path: str, version: str) -> str:
        """One watch until the API server ends it. Returns the resourceVersion to go on from."""
        began = time.monotonic()
        events = 0
        async with _get(self._account(), path, self._times) as answer:
            if answer.status != 200:
                _check(answer.status, _object(b"".join([part async for part in answer.body()])))
            async for line in _lines(answer.body()):
                self._hear()
                self._well()
                events += 1
                version = await self._event(_object(line)) or version
        if not events and time.monotonic() - began < 1.0:
            raise WatchFailed("answer", "the API server ends the watch as soon as it begins")
        self._hear()
        self._well()
        return version

    async def _event(self, event: Mapping[str, Any]) -> str:
        kind, seen = event.get("type"), event.get("object")
        if not isinstance(seen, dict):
            raise WatchFailed("answer", f"a watch event without an object: {kind}")
        found = cast("dict[str, Any]", seen)
        if kind == "ERROR":
            _check(int(found.get("code") or 500), found)
        elif kind in ("ADDED", "MODIFIED"):
            await self._see(found)
        elif kind == "DELETED":
            self._text = None
            self._metrics.count("directory_watch_failed", reason="absent")
            _log.warning("directory.deleted", config_map=self._name)
        return _version(found)

    async def _see(self, config_map: Mapping[str, Any]) -> None:
        data: dict[str, object] = config_map.get("data") or {}
        text = data.get(self._key)
        if text == self._text:
            return
        if not isinstance(text, str):
            self._metrics.count("directory_file_bad")
            _log.error("directory.key_absent", config_map=self._name, key=self._key)
            return
        try:
            await self._take(text)
        except InvalidInput as error:
            self._metrics.count("directory_file_bad")
            _log.error("directory.bad", config_map=self._name, reason=error.message)
        except OSError as error:
            raise WatchFailed("disk", f"what the ConfigMap says cannot be kept: {error}") from error
        self._text = text


def _object(text: bytes) -> dict[str, Any]:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise WatchFailed("answer", f"the API server's answer is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise WatchFailed("answer", "the API server's answer is no object")
    return cast("dict[str, Any]", value)


def _version(found: Mapping[str, Any]) -> str:
    about: dict[str, object] = found.get("metadata") or {}
    return str(about.get("resourceVersion") or "")


def _check(status: int, said: Mapping[str, Any]) -> None:
    """Raises what a status other than 200 means."""
    if status == 200:
        return
    message = str(said.get("message") or said.get("reason") or "no reason is given")
    if status == _GONE:
        raise Gone(message)
    raise WatchFailed("refused" if status in (401, 403) else "answer", f"the API server says {status}: {message}")


# --- a GET whose answer may never end ------------------------------------------------------------------------------------


class _Answer:
    def __init__(self, reader: asyncio.StreamReader, silent: float) -> None:
        self._reader = reader
        self._silent = silent
        self._parts: deque[bytes] = deque()
        self._parser = httptools.HttpResponseParser(self)
        self._ended = False
        self._headed = False

    @property
    def status(self) -> int:
        status: int = self._parser.get_status_code()
        return status

    async def head(self) -> None:
        while not self._headed:
            await self._more()

    async def body(self) -> AsyncIterator[bytes]:
        while True:
            while self._parts:
                yield self._parts.popleft()
            if self._ended:
                return
            await self._more()

    async def _more(self) -> None:
        try:
            async with asyncio.timeout(self._silent):
                data = await self._reader.read(1 << 16)
        except TimeoutError as error:
            raise WatchFailed("silent", f"the API server has said nothing for {self._silent:g} s") from error
        if not data:
            raise WatchFailed("unreachable", "the API server has closed the connection")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise WatchFailed("answer", f"the API server's answer is no HTTP: {error}") from error

    # --- what httptools calls

    def on_headers_complete(self) -> None:
        self._headed = True

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._ended = True


@contextlib.asynccontextmanager
async def _get(account: ServiceAccount, path: str, times: WatchTimes) -> AsyncGenerator[_Answer]:
    """An answer whose head is there; its body comes as it comes. The connection is cut at the end. Raises WatchFailed."""
    token, trust = account.token, account.trust
    authority = f"[{account.host}]" if ":" in account.host else account.host
    request = (
        f"GET {path} HTTP/1.1\r\nhost: {authority}:{account.port}\r\nauthorization: Bearer {token}\r\n"
        "accept: application/json\r\nuser-agent: agent-store\r\nconnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(times.connect):
            reader, writer = await asyncio.open_connection(account.host, account.port, ssl=trust)
    except OSError as error:  # a timeout is one as well
        raise WatchFailed("unreachable", f"the API server cannot be reached: {str(error) or 'timeout'}") from error
    try:
        writer.write(request.encode())
        answer = _Answer(reader, times.silent)
        await answer.head()
        yield answer
    except OSError as error:
        raise WatchFailed("unreachable", f"the connection to the API server has broken: {error}") from error
    finally:
        writer.transport.abort()  # a farewell is not waited for: the other side may be paused


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Each ends with a newline, and may come in many parts. (What else Unicode takes for the end of a line may stand in
    the JSON.)"""
    held = bytearray()
    async for part in parts:
        held += part
        if b"\n" in part:
            *whole, rest = held.split(b"\n")
            held = bytearray(rest)
            for line in whole:
                if line:
                    yield bytes(line)
        if len(held) > _LARGEST:
            raise WatchFailed("answer", f"a watch event is over {_LARGEST} bytes")
