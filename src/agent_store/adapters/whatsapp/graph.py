"""The Graph API over httpx: one POST a message, failures turned into ours once.

Source: WhatsApp Business Cloud API, "Messages" and "Error codes".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, Self, cast

import httpx

from agent_store.agents.whatsapp.ports import SendInDoubt, WhatsAppSettings
from agent_store.kernel.errors import PermanentError, TemporaryError

_LATER: dict[int, timedelta] = {
    2: timedelta(seconds=5),  # API service down or overloaded
    4: timedelta(minutes=1),  # the app's call limit
    80007: timedelta(minutes=1),  # the business account's call limit
    130429: timedelta(seconds=2),  # throughput of the number
    131016: timedelta(seconds=5),  # service unavailable
    131048: timedelta(minutes=5),  # spam rate limit of the number
    131056: timedelta(seconds=6),  # too many messages to this one customer: one every six seconds
    131057: timedelta(minutes=1),  # account in maintenance
}
"""Codes that mean "not now", and how long "later" is when the answer doesn't say."""

_TOKEN_CODES = frozenset({0, 190})
_TOKEN_WAIT = timedelta(minutes=5)
_LONGEST_WAIT = timedelta(hours=1)
_POOL = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=20.0)


class GraphClient:
    """`WhatsAppApi` against a real (or simulated) Graph API. Never tries again by itself; never logs the token."""

    def __init__(self, settings: WhatsAppSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._base = f"{settings.graph_url.rstrip('/')}/{settings.api_version.strip('/')}"
        self._token = settings.access_token
        answer = settings.send_timeout.total_seconds()
        connect = settings.connect_timeout.total_seconds()
        # httpx counts every read for itself; an answer that trickles is ended by the total.
        self._total = answer + connect
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(answer, connect=connect, pool=connect),
            limits=_POOL,
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

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        try:
            async with asyncio.timeout(self._total):
                answer = await self._client.post(
                    f"{self._base}/{phone_number_id}/messages",
                    json=dict(payload),
                    headers={"Authorization": f"Bearer {self._token}"},
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise TemporaryError(f"the Graph API cannot be reached ({type(error).__name__})") from error
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise SendInDoubt(f"the Graph API did not answer a send ({type(error).__name__})") from error
        return _wamid(answer)


def _wamid(answer: httpx.Response) -> str:
    body = _json(answer)
    if answer.is_success:
        messages = body.get("messages")
        first: Any = cast("list[Any]", messages)[0] if isinstance(messages, list) and messages else None
        wamid: Any = cast("dict[str, Any]", first).get("id") if isinstance(first, dict) else None
        if isinstance(wamid, str) and wamid:
            return wamid
        raise SendInDoubt(f"the Graph API answered {answer.status_code} without a message id")
    error: Any = body.get("error")
    fault = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    _refuse(answer, fault)


def _refuse(answer: httpx.Response, fault: dict[str, Any]) -> NoReturn:
    status = answer.status_code
    number = fault.get("code")
    code = number if isinstance(number, int) and not isinstance(number, bool) else None
    said = _said(fault) or f"HTTP {status}"
    # A gateway's timeout says nothing of what the server behind it did.
    if status == 504:
        raise SendInDoubt("the Graph API's gateway timed out")
    if code in _TOKEN_CODES or (status == 401 and code is None):
        raise TemporaryError(
            "the Graph API refuses the access token (expired or revoked): put a fresh one into "
            f"AGENT_STORE_WHATSAPP_ACCESS_TOKEN. It said: {said}",
            retry_after=_TOKEN_WAIT,
            platform_code=code,
        )
    if code in _LATER or status in (408, 429) or status >= 500 or fault.get("is_transient") is True:
        wait = _retry_after(answer) or (_LATER.get(code) if code is not None else None)
        if wait is None and status == 429:
            wait = timedelta(seconds=5)
        raise TemporaryError(f"WhatsApp is busy or limits us: {said}", retry_after=wait, platform_code=code)
    if answer.is_redirect:
        raise TemporaryError(
            "the Graph API answers with a redirect: check AGENT_STORE_WHATSAPP_GRAPH_URL",
            retry_after=timedelta(minutes=1),
        )
    raise PermanentError(f"WhatsApp refused the message: {said}", platform_code=code)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body: Any = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def _said(fault: dict[str, Any]) -> str:
    message = fault.get("message")
    data: Any = fault.get("error_data")
    details: Any = cast("dict[str, Any]", data).get("details") if isinstance(data, dict) else None
    parts = [part for part in (message, details) if isinstance(part, str) and part]
    return ": ".join(dict.fromkeys(parts))[:500]


def _retry_after(answer: httpx.Response) -> timedelta | None:
    """Whole seconds only; the header's date form is not used by this API."""
    value = answer.headers.get("retry-after", "")
    if len(value) > 9 or not value.isascii() or not value.isdigit():
        return None
    return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
