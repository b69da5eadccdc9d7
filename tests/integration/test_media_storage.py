"""The stores of media: the same behaviour on disk and in a bucket whose server checks every signature."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from agent_store.adapters.storage.disk import DiskStore
from agent_store.adapters.storage.s3 import Bucket, S3Store
from agent_store.agents.whatsapp.ports import MediaStore
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.errors import InvalidInput, NotFound, PermanentError, TemporaryError
from tests.support.plain_http import Answer, Heard, PlainServer, answers, hang_up, plain_server, silence

KEY = "0f" * 32
OTHER = "a1" * 32
BUCKET = Bucket(endpoint="", name="media", region="sa-east-1", access_key="AKIATEST", secret_key="s3cr3t/key+")


@dataclass
class FakeS3:
    """Keeps objects, and refuses what is not signed by Signature Version 4, read from the request as it came."""

    bucket: Bucket = BUCKET
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict[str, tuple[bytes, str]])

    def refusal(self, heard: Heard) -> str | None:
        scheme, _, rest = heard.headers.get("authorization", "").partition(" ")
        given = dict(part.split("=", 1) for part in rest.split(",")) if rest else {}
        if (
            scheme != "AWS4-HMAC-SHA256"
            or hashlib.sha256(heard.body).hexdigest() != heard.headers["x-amz-content-sha256"]
        ):
            return "XAmzContentSHA256Mismatch"
        access, day, region, service, end = given["Credential"].split("/")
        if (access, region, service, end) != (self.bucket.access_key, self.bucket.region, "s3", "aws4_request"):
            return "InvalidAccessKeyId"
        names = given["SignedHeaders"].split(";")
        if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names) or not heard.headers[
            "x-amz-date"
        ].startswith(day):
            return "AccessDenied"
        path, _, query = heard.target.partition("?")
        lines = [f"{name}:{heard.headers[name]}" for name in names]
        request = "\n".join(
            [heard.method, path, query, *lines, "", given["SignedHeaders"], heard.headers["x-amz-content-sha256"]]
        )
        scope = given["Credential"].split("/", 1)[1]
        text = f"{scheme}\n{heard.headers['x-amz-date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = b"AWS4" + self.bucket.secret_key.encode()
        for part in (day, region, "s3", "aws4_request", text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return None if key.hex() == given["Signature"] else "SignatureDoesNotMatch"

    async def __call__(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        await self._answer(heard)(heard, writer)

    def _answer(self, heard: Heard) -> Answer:
        if (code := self.refusal(heard)) is not None:
            return answers(f"<Error><Code>{code}</Code></Error>".encode(), 403)
        if heard.method == "PUT":
            self.objects[heard.target] = (heard.body, heard.headers["content-type"])
            return answers()
        if heard.method == "DELETE":
            self.objects.pop(heard.target, None)
            return answers(status=204, content_length="")
        if heard.target not in self.objects:
            return answers(b"<Error><Code>NoSuchKey</Code></Error>", 404)
        return answers(self.objects[heard.target][0])


@asynccontextmanager
async def bucket(
    fake: Answer, patience: timedelta = timedelta(seconds=30), /, **changes: str
) -> AsyncGenerator[tuple[S3Store, PlainServer]]:
    async with plain_server(media=fake) as server:
        store = S3Store(replace(BUCKET, endpoint=server.url, **changes), ManualClock(), timeout=patience)
        try:
            yield store, server
        finally:
            await store.close()


@pytest.fixture(params=["disk", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[MediaStore]:
    kind: Literal["disk", "s3"] = request.param
    if kind == "disk":
        yield DiskStore(tmp_path / "media")
        return
    async with bucket(FakeS3()) as (found, _):
        yield found


async def test_what_is_put_is_there_until_it_is_deleted(store: MediaStore) -> None:
    content = os.urandom(300_000)
    await store.put(KEY, content, "audio/ogg")
    await store.put(OTHER, b"another", "image/png")
    assert await store.open(KEY) == content
    await store.delete(KEY)
    with pytest.raises(NotFound):
        await store.open(KEY)
    assert await store.open(OTHER) == b"another"


async def test_putting_and_deleting_twice_is_as_once(store: MediaStore) -> None:
    await store.put(KEY, b"old", "text/plain")
    await store.put(KEY, b"new", "text/plain")
    assert await store.open(KEY) == b"new"
    await store.delete(KEY)
    await store.delete(KEY)


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "a/b", "..", ".new-1", "A" * 64, "a" * 200, "a" * 20 + "\n", "%2e%2e" * 3]
)
async def test_a_key_is_no_path(store: MediaStore, key: str) -> None:
    for attempt in (store.put(key, b"x", "text/plain"), store.open(key), store.delete(key)):
        with pytest.raises(InvalidInput):
            await attempt


async def test_files_on_disk_are_the_owners_only_and_none_is_left_unfinished(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "media")
    await asyncio.gather(*(store.put(KEY, bytes([n]) * 10_000, "image/png") for n in range(20)))
    files = [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [KEY]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert len(set(await store.open(KEY))) == 1  # one of them, whole


async def test_a_folder_that_does_not_work_is_away(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    store = DiskStore(tmp_path / "media")
    with pytest.raises(TemporaryError) as failure:
        await store.put(KEY, b"x", "text/plain")
    assert failure.value.away


async def test_objects_have_their_type_and_lie_under_the_bucket() -> None:
    fake = FakeS3()
    async with bucket(fake) as (store, _):
        await store.put(KEY, b"x", "audio/ogg")
    assert fake.objects == {f"/media/whatsapp/{KEY}": (b"x", "audio/ogg")}


@pytest.mark.parametrize("changes", [{"secret_key": "another"}, {"access_key": "another"}, {"region": "eu-west-1"}])
async def test_a_wrong_key_is_for_the_operator_to_put_right(changes: dict[str, str]) -> None:
    async with bucket(FakeS3(), **changes) as (store, _):
        for attempt in (store.put(KEY, b"x", "text/plain"), store.open(KEY), store.delete(KEY)):
            with pytest.raises(TemporaryError, match="AGENT_STORE_MEDIA_S3_") as failure:
                await attempt
            assert failure.value.away
            assert "another" not in str(failure.value)


@pytest.mark.parametrize("answer", [answers(status=503), answers(status=429), hang_up, silence])
async def test_a_bucket_that_is_away_is_asked_again_later(answer: Answer) -> None:
    async with bucket(answer, timedelta(milliseconds=700)) as (store, _):
        for attempt in (store.put(KEY, b"x", "text/plain"), store.open(KEY), store.delete(KEY)):
            with pytest.raises(TemporaryError) as failure:
                await attempt
            assert failure.value.away


async def test_what_a_bucket_will_never_take_is_said() -> None:
    async with bucket(answers(b"<Error><Code>EntityTooLarge</Code></Error>", 400)) as (store, _):
        with pytest.raises(PermanentError, match="EntityTooLarge"):
            await store.put(KEY, b"x", "text/plain")
