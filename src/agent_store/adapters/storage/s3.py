"""A bucket as a store of media, at Amazon S3 or whatever speaks its API (MinIO, Ceph, R2 …), addressed by path.

Source: Amazon S3 API reference, PutObject, GetObject, DeleteObject.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, field
from datetime import timedelta

import httpx

from agent_store.adapters.storage import sigv4
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import InvalidInput, NotFound, PermanentError, TemporaryError

_KEY = re.compile(r"[a-z0-9]{8,128}")


@dataclass(frozen=True)
class Bucket:
    endpoint: str
    """`https://s3.eu-west-1.amazonaws.com`, `http://minio:9000`."""
    name: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    prefix: str = "whatsapp/"
    """What the names of objects begin with."""


class S3Store:
    """`agents.whatsapp.ports.MediaStore`."""

    def __init__(
        self,
        bucket: Bucket,
        clock: Clock,
        *,
        timeout: timedelta = timedelta(seconds=30),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`clock`: requests are signed for the time that it shows, and refused when that is 15 minutes off."""
        self._bucket = bucket
        self._clock = clock
        self._total = timeout.total_seconds()
        self._host = httpx.URL(bucket.endpoint).netloc.decode()
        self._client = httpx.AsyncClient(timeout=self._total, transport=transport, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def put(self, key: str, content: bytes, mime_type: str) -> None:
        _refuse(await self._ask("PUT", key, content, {"content-type": mime_type}))

    async def open(self, key: str) -> bytes:
        answer = await self._ask("GET", key)
        if answer.status_code == 404:
            raise NotFound("there is nothing under this key")
        _refuse(answer)
        return answer.content

    async def delete(self, key: str) -> None:
        answer = await self._ask("DELETE", key)
        if answer.status_code != 404:
            _refuse(answer)

    async def _ask(
        self, method: str, key: str, content: bytes = b"", more: dict[str, str] | None = None
    ) -> httpx.Response:
        if not _KEY.fullmatch(key):
            raise InvalidInput("a key is made of lower-case letters and digits")
        bucket = self._bucket
        path = f"/{bucket.name}/{bucket.prefix}{key}"
        at = self._clock.now()
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        headers = {"host": self._host, "x-amz-content-sha256": digest, "x-amz-date": sigv4.stamp(at), **(more or {})}
        headers["authorization"] = sigv4.authorization(
            method=method, path=path, query={}, headers=headers, payload_sha256=digest, at=at, region=bucket.region,
            access_key=bucket.access_key, secret_key=bucket.secret_key,
        )  # fmt: skip
        url = f"{bucket.endpoint.rstrip('/')}{sigv4.encoded(path)}"
        try:
            async with asyncio.timeout(self._total):
                return await self._client.request(method, url, content=content or None, headers=headers)
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise TemporaryError(
                f"the bucket {bucket.name} cannot be reached ({type(error).__name__})", code="unreachable"
            ) from error


def _refuse(answer: httpx.Response) -> None:
    """Raises unless it was done. What the operator can put right (keys, the bucket) is tried again."""
    status = answer.status_code
    if answer.is_success:
        return
    code = re.search(rb"<Code>(\w{1,60})</Code>", answer.content[:4096])
    said = f"status {status}" + (f", {code[1].decode()}" if code else "")
    if status in (401, 403, 404) or answer.is_redirect:
        raise TemporaryError(
            f"the bucket refuses ({said}): check the AGENT_STORE_MEDIA_S3_… settings and the clock",
            code="unavailable",
            retry_after=timedelta(seconds=30),
        )
    if status in (408, 409, 429) or status >= 500:
        raise TemporaryError(f"the bucket is busy ({said})", code="unavailable")
    raise PermanentError(f"the bucket refuses ({said})")
