"""The watch of one ConfigMap, on a real API server that restarts, stands still, forgets and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent_store.adapters.kubernetes import ConfigMapWatch, Gone, ServiceAccount, WatchFailed, WatchTimes
from agent_store.kernel.errors import InvalidInput
from tests.support.events_http import CountedMetrics
from tests.support.kube import KubeApi
from tests.support.pods import NAME, Pod, config_map, role

QUICK = WatchTimes(connect=10.0, silent=60.0, watch=60.0, first=0.05, longest=0.4)


@pytest.fixture
def pod(kube_api: KubeApi, tmp_path: Path) -> Pod:
    return Pod(kube_api, tmp_path / "account")


class Told:
    """What the watch tells, in order; it refuses a text that is `bad`, and has no disk while `full`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.away: list[float] = []
        self.full = False

    async def take(self, text: str) -> None:
        if self.full:
            raise OSError("no space left on device")
        if text == "bad":
            raise InvalidInput("bad is bad")
        self.texts.append(text)

    async def is_away(self, since: float) -> None:
        self.away.append(since)


class Watching:
    def __init__(self, pod: Pod, times: WatchTimes = QUICK) -> None:
        self.task: asyncio.Task[None]
        self.told = Told()
        self.metrics = CountedMetrics()
        self.watch = ConfigMapWatch(
            pod.account, NAME, "directory.yaml", take=self.told.take, away=self.told.is_away, metrics=self.metrics,
            times=times,
        )  # fmt: skip

    async def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                assert not self.task.done(), self.task.result()
                await asyncio.sleep(0.01)

    async def until_told(self, text: str) -> None:
        await self.until(lambda: self.told.texts[-1:] == [text])

    def failed(self, reason: str) -> int:
        return self.metrics.counted.get(f"directory_watch_failed reason={reason}", 0)


@contextlib.asynccontextmanager
async def watching(pod: Pod, times: WatchTimes = QUICK) -> AsyncGenerator[Watching]:
    found = Watching(pod, times)
    found.task = asyncio.create_task(found.watch.run())
    try:
        yield found
    finally:
        found.task.cancel()
        await asyncio.gather(found.task, return_exceptions=True)


async def test_what_is_there_is_told_and_then_each_change_once(pod: Pod) -> None:
    pod.put("one")
    async with watching(pod) as seen:
        await seen.until_told("one")
        for text in ("two", "three"):
            pod.put(text)
            await seen.until_told(text)
        pod.api.kubectl("label", "configmap", NAME, "-n", pod.namespace, "touched=yes")  # nothing that matters
        pod.put("four")
        await seen.until_told("four")
        assert seen.told.texts == ["one", "two", "three", "four"]
        assert seen.watch.connected
        assert seen.metrics.counted == {}


async def test_a_namespace_without_it_waits_for_it_and_one_that_goes_changes_nothing(pod: Pod) -> None:
    async with watching(pod) as seen:
        await seen.until(lambda: seen.failed("absent") == 1)
        pod.put("one")
        await seen.until_told("one")
        pod.api.kubectl("delete", "configmap", NAME, "-n", pod.namespace)
        await seen.until(lambda: seen.failed("absent") == 2)
        assert seen.told.texts == ["one"]
        pod.put("two")
        await seen.until_told("two")


async def test_broken_content_is_counted_and_the_next_good_one_is_taken(pod: Pod) -> None:
    pod.put("bad")
    async with watching(pod) as seen:
        await seen.until(lambda: seen.metrics.counted.get("directory_file_bad") == 1)
        pod.api.apply(config_map({"another.yaml": "x"}), namespace=pod.namespace)
        await seen.until(lambda: seen.metrics.counted.get("directory_file_bad") == 2)
        pod.put("good")
        await seen.until_told("good")
        assert seen.told.texts == ["good"]


async def test_what_cannot_be_kept_is_told_again(pod: Pod) -> None:
    pod.put("one")
    async with watching(pod) as seen:
        seen.told.full = True
        await seen.until(lambda: seen.failed("disk"))
        seen.told.full = False
        await seen.until_told("one")


async def test_a_watch_that_its_server_ends_goes_on_where_it_was(pod: Pod) -> None:
    pod.put("one")
    async with watching(pod, WatchTimes(**{**_fields(QUICK), "watch": 1.0})) as seen:
        await seen.until_told("one")
        began = asyncio.get_running_loop().time()
        number = 0
        while asyncio.get_running_loop().time() - began < 4:  # three of them end meanwhile
            number += 1
            pod.put(f"text {number}")
            await seen.until_told(f"text {number}")
        assert seen.told.texts == ["one", *(f"text {one}" for one in range(1, number + 1))]
        assert seen.metrics.counted == {}, "an end in good order is no failure"


async def test_a_restart_of_the_api_server_is_survived_and_what_changed_meanwhile_is_told(pod: Pod) -> None:
    pod.put("one")
    async with watching(pod) as seen:
        await seen.until_told("one")
        pod.api.kill()
        try:
            await seen.until(lambda: seen.failed("unreachable") >= 3 and not seen.watch.connected)
            assert seen.told.away, "whoever keeps the text is told that nobody tells of changes"
        finally:
            await pod.api.start()
        await seen.until(lambda: seen.watch.connected)
        pod.put("two")
        await seen.until_told("two")
        await pod.api.restart()
        pod.put("three")
        await seen.until_told("three")
        assert seen.told.texts == ["one", "two", "three"]


async def test_a_version_that_the_api_server_has_forgotten_is_gone(pod: Pod) -> None:
    """After a restart its cache begins at the last change of any ConfigMap."""
    pod.put("one")
    version = pod.version()
    pod.put("two")
    await pod.api.restart()
    watch = ConfigMapWatch(pod.account, NAME, "directory.yaml", take=Told().take, away=Told().is_away, times=QUICK)
    with pytest.raises(Gone, match="too old resource version"):
        await watch.watch_once(pod.path(version), version)


async def test_after_what_is_gone_it_is_listed_anew(kube_api: KubeApi, tmp_path: Path) -> None:
    """The answers are a real API server's; it gives each to one request."""
    gone = {
        "kind": "Status",
        "status": "Failure",
        "message": "too old resource version: 202 (205)",
        "reason": "Expired",
        "code": 410,
    }
    bookmark = {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": "203"}}}
    answers = [
        _listed("one", "202"), _event(bookmark), _event({"type": "ERROR", "object": gone}),
        _listed("two \x85 lines", "206"), _answer(json.dumps(gone), "410 Gone"), _listed("three", "207"),
    ]  # fmt: skip
    async with standing_in(kube_api, *answers) as (port, asked):
        async with watching(Pod(kube_api, tmp_path / "account", port=port)) as seen:
            await seen.until_told("three")
            assert seen.told.texts == ["one", "two \x85 lines", "three"]
            assert seen.failed("gone") == 2
        versions = [line.partition("resourceVersion=")[2].partition("&")[0] for line in asked]
        assert versions[:6] == ["", "202", "203", "", "206", ""], "a bookmark moves the watch on"


async def test_a_watch_on_which_nothing_comes_is_given_up(pod: Pod) -> None:
    pod.put("one")
    async with watching(pod, WatchTimes(**{**_fields(QUICK), "silent": 1.0})) as seen:
        await seen.until_told("one")
        pod.put("two")
        await seen.until_told("two")  # by the watch: so it stands
        pod.api.pause()
        try:
            await seen.until(lambda: seen.failed("silent") >= 1)
        finally:
            pod.api.resume()
        pod.put("three")
        await seen.until_told("three")


async def test_a_token_that_rotates_is_read_anew(pod: Pod) -> None:
    pod.put("one")
    async with watching(pod) as seen:
        await seen.until_told("one")
        pod.rotate("not a token")
        await pod.api.restart()
        await seen.until(lambda: seen.failed("refused") >= 1)
        pod.rotate()
        await seen.until(lambda: seen.watch.connected)
        pod.put("two")
        await seen.until_told("two")


async def test_without_the_right_to_read_it_everything_stays_as_it_is(kube_api: KubeApi, tmp_path: Path) -> None:
    pod = Pod(kube_api, tmp_path / "account", rights=())
    pod.put("one")
    async with watching(pod) as seen:
        await seen.until(lambda: seen.failed("refused") >= 2)
        assert not seen.watch.connected
        assert seen.told.texts == []
        kube_api.apply(*role("get", "list", "watch"), namespace=pod.namespace)
        await seen.until_told("one")


async def test_the_right_to_this_one_name_is_enough_and_gives_no_other(pod: Pod) -> None:
    pod.api.apply(
        {**config_map({"directory.yaml": "secret"}), "metadata": {"name": "another"}}, namespace=pod.namespace
    )
    with pytest.raises(WatchFailed, match="forbidden"):
        await ConfigMapWatch(pod.account, "another", "directory.yaml", take=Told().take, away=Told().is_away)._follow()


async def test_another_authority_is_not_believed(pod: Pod, tmp_path: Path) -> None:
    pod.put("one")
    (pod.folder / "ca.crt").write_bytes(_stranger(tmp_path))
    async with watching(pod) as seen:
        await seen.until(lambda: seen.failed("unreachable") >= 2)
        assert seen.told.texts == []


async def test_where_there_is_no_cluster_it_is_said_and_waited(tmp_path: Path) -> None:
    def outside() -> ServiceAccount:
        return ServiceAccount.of_this_pod({})

    told, metrics = Told(), CountedMetrics()
    watch = ConfigMapWatch(
        outside, NAME, "directory.yaml", take=told.take, away=told.is_away, metrics=metrics, times=QUICK
    )
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(10):
        while metrics.counted.get("directory_watch_failed reason=outside", 0) < 2:
            await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    account = ServiceAccount.of_this_pod({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path / "nowhere")
    with pytest.raises(WatchFailed, match="no namespace"):
        assert account.namespace


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[1]", "answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nnever", "answer"),
        (b"nonsense\r\n\r\n", "answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{", "unreachable"),
        (b"", "unreachable"),
        (b"HTTP/1.1 429 Slow\r\ncontent-length: 2\r\n\r\n{}", "answer"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops", "answer"),
    ],
)
async def test_whatever_answers_it_is_a_failure_with_a_word(
    kube_api: KubeApi, tmp_path: Path, answer: bytes, reason: str
) -> None:
    """Something else stands where the API server was, with its certificate."""
    async with (
        standing_in(kube_api, answer, again=True) as (port, _),
        watching(Pod(kube_api, tmp_path / "account", port=port)) as seen,
    ):
        await seen.until(lambda: seen.failed(reason) >= 2)


async def test_a_long_object_comes_in_many_parts(pod: Pod) -> None:
    pod.put("one")
    text = "".join(f"line {number} of a directory with \u2028 and 🛍️\n" for number in range(9_000))
    assert 400_000 < len(text.encode()) < 700_000
    async with watching(pod) as seen:
        await seen.until_told("one")
        pod.put(text)
        await seen.until_told(text)


@contextlib.asynccontextmanager
async def standing_in(api: KubeApi, *answers: bytes, again: bool = False) -> AsyncGenerator[tuple[int, list[str]]]:
    """Something where an API server should be, with its certificate: its port, and what it was asked."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(api.server.folder / "server.crt", api.server.folder / "server.key")
    left, asked = list(answers), list[str]()

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")[0])
        if left:
            writer.write(left[0] if again else left.pop(0))
            writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


def _answer(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body.encode())}\r\n\r\n{body}".encode()


def _event(event: dict[str, Any]) -> bytes:
    return _answer(json.dumps(event) + "\n")


def _listed(text: str, version: str) -> bytes:
    items = [{**config_map({"directory.yaml": text}), "kind": None}]
    listed = {"kind": "ConfigMapList", "metadata": {"resourceVersion": version}, "items": items}
    return _answer(json.dumps(listed, ensure_ascii=False))


def _fields(times: WatchTimes) -> dict[str, float]:
    return {name: getattr(times, name) for name in WatchTimes.__slots__}


def _stranger(folder: Path) -> bytes:
    from tests.support.kube import _certificates

    folder.mkdir(exist_ok=True)
    _certificates(folder)
    return (folder / "ca.crt").read_bytes()
