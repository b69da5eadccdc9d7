"""Media at the Graph API: the two-step download, and uploads. Failures are turned into ours once, here.

Source: WhatsApp Business Cloud API, "Media" (business-phone-numbers/media) and "Media download API": a URL is good for five
minutes, a 404 asks for a fresh one; ids of webhooks are good for seven days, ids of uploads for 30.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, Self, cast

import httpx

from agent_store.adapters.http.outward import Encoded, Fetched, Outward, Resolve, TooLarge, UnsafeAddress, resolve
from agent_store.agents.whatsapp.ports import MediaRefused, WhatsAppSettings
from agent_store.kernel.errors import PermanentError, TemporaryError

HOSTS = ("lookaside.fbsbx.com", "*.fbcdn.net", "*.whatsapp.net")
"""Where the platform keeps media."""
_TOKEN_CODES = frozenset({0, 190})
_TOKEN_WAIT = timedelta(minutes=5)
_BUSY_CODES = frozenset({1, 2, 4, 80007, 130429, 131016, 131057})
_GONE_CODES = frozenset({33, 100, 131052})
"""There is no such object (any more), or the platform itself cannot have the medium."""
_MEDIA_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_ANSWER = 64 * 1024


@dataclass(frozen=True)
class _Place:
    url: str
    sha256: str | None
    size: int | None


class GraphMedia:
    """`MediaApi`. The token goes to the Graph API and to the media hosts, and nowhere else."""

    def __init__(
        self,
        settings: WhatsAppSettings,
        *,
        hosts: Sequence[str] = HOSTS,
        timeout: timedelta = timedelta(seconds=60),
        resolve: Resolve = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout`: of one download or upload, from first to last byte."""
        self._base = f"{settings.graph_url.rstrip('/')}/{settings.api_version.strip('/')}"
        self._authorization = {"Authorization": f"Bearer {settings.access_token}"}
        connect = settings.connect_timeout
        self._total = timeout.total_seconds()
        self._outward = Outward(
            hosts=hosts, trusted=settings.graph_url, timeout=timeout, connect_timeout=connect, resolve=resolve,
            transport=transport,
        )  # fmt: skip
        self._answer = settings.send_timeout.total_seconds()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(self._answer, connect=connect.total_seconds(), pool=self._total, write=self._total),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=5, keepalive_expiry=20.0),
            transport=transport,
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()
        await self._outward.close()

    async def download(self, media_id: str, limit: int) -> bytes:
        for last in (False, True):
            place = await self._place(media_id)
            if place.size is not None and place.size > limit:
                raise MediaRefused("too_large", f"it has {place.size} bytes, and at most {limit} are taken")
            answer = await self._fetch(place.url, limit)
            # A URL may have grown old between the two requests; a fresh one that leads nowhere is the end.
            if answer.status not in (404, 410) or last:
                return self._checked(answer, place)
        raise AssertionError("the second time is the last")

    async def _place(self, media_id: str) -> _Place:
        """Where the content is. The shop's number is not named: media of customers are not that number's uploads, and
        the platform refuses some of them then."""
        if not _MEDIA_ID.fullmatch(media_id):
            raise MediaRefused("gone", "this is no id of a medium")
        answer = await self._call("GET", media_id)
        body = _json(answer)
        if not answer.is_success:
            _fail(answer, body, gone=True)
        url = body.get("url")
        if not isinstance(url, str) or not url:
            raise TemporaryError("the Graph API named no address for a medium")
        size = body.get("file_size")
        found = int(size) if isinstance(size, str | int) and str(size).isdecimal() and len(str(size)) < 16 else None
        return _Place(url, _hex(body.get("sha256")), found)

    async def _fetch(self, url: str, limit: int) -> Fetched:
        try:
            return await self._outward.get(url, limit=limit, headers=self._authorization)
        except UnsafeAddress as error:
            raise MediaRefused("unsafe", error.message) from error
        except TooLarge as error:
            raise MediaRefused("too_large", error.message) from error
        except Encoded as error:
            raise MediaRefused("unreadable", error.message) from error

    def _checked(self, answer: Fetched, place: _Place) -> bytes:
        status = answer.status
        if status in (404, 410):
            raise MediaRefused("gone", "the platform does not have it any more")
        if status in (401, 403):
            raise _token("the media host refuses the access token")
        if status in (408, 429) or status >= 500:
            raise TemporaryError(f"the media host answered {status}", code="unavailable")
        if not 200 <= status < 300:
            raise PermanentError(f"the media host answered {status}")
        if place.sha256 is not None:
            fits = hashlib.sha256(answer.body).hexdigest() == place.sha256
        else:
            fits = place.size is None or place.size == len(answer.body)
        if not fits:
            raise TemporaryError("what came is not what was told", problem="unreadable")
        return answer.body

    async def upload(self, phone_number_id: str, content: bytes, mime_type: str, filename: str) -> str:
        answer = await self._call(
            "POST",
            f"{phone_number_id}/media",
            data={"messaging_product": "whatsapp", "type": mime_type},
            files={"file": (filename, content, mime_type)},
        )
        body = _json(answer)
        media_id = body.get("id")
        if not answer.is_success:
            _fail(answer, body, gone=False)
        if not isinstance(media_id, str) or not media_id:
            raise TemporaryError("the Graph API took an upload and named no id")
        return media_id

    async def _call(self, method: str, path: str, **body: Any) -> httpx.Response:
        total = self._total if body else self._answer
        try:
            async with asyncio.timeout(total):
                return await self._client.request(method, f"{self._base}/{path}", headers=self._authorization, **body)
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise TemporaryError(
                f"the Graph API cannot be reached ({type(error).__name__})", code="unreachable"
            ) from error


def _token(said: str) -> TemporaryError:
    return TemporaryError(
        f"{said}: put a fresh one into AGENT_STORE_WHATSAPP_ACCESS_TOKEN", retry_after=_TOKEN_WAIT, code="refused"
    )


def _fail(answer: httpx.Response, body: dict[str, Any], *, gone: bool) -> NoReturn:
    """`gone`: an object that is not there is the medium, and not something that we have sent."""
    status = answer.status_code
    fault: Any = body.get("error")
    error = cast("dict[str, Any]", fault) if isinstance(fault, dict) else {}
    code = error.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    said = str(error.get("message") or f"HTTP {status}")[:300]
    if code in _TOKEN_CODES or (status == 401 and code is None):
        raise _token("the Graph API refuses the access token (expired or revoked)")
    if code in _BUSY_CODES or status in (408, 429) or status >= 500 or error.get("is_transient") is True:
        raise TemporaryError(f"the Graph API is busy: {said}", retry_after=_retry_after(answer), code="unavailable")
    if answer.is_redirect:
        raise TemporaryError(
            "the Graph API answers with a redirect: check AGENT_STORE_WHATSAPP_GRAPH_URL", code="unavailable"
        )
    if gone and (status in (404, 410) or code in _GONE_CODES):
        raise MediaRefused("gone", said)
    raise PermanentError(f"WhatsApp refused: {said}", platform_code=code)


def _json(answer: httpx.Response) -> dict[str, Any]:
    if len(answer.content) > _ANSWER:
        return {}
    try:
        body: Any = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def _hex(told: object) -> str | None:
    """A SHA-256 as hexadecimal digits, as this API tells it, or in base64, as webhooks do; None when it is neither."""
    if not isinstance(told, str):
        return None
    if re.fullmatch(r"[0-9a-fA-F]{64}", told):
        return told.lower()
    try:
        raw = base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == 32 else None


def _retry_after(answer: httpx.Response) -> timedelta | None:
    value = answer.headers.get("retry-after", "")
    return timedelta(seconds=min(int(value), 3600)) if value.isascii() and value.isdigit() and len(value) < 9 else None
