"""The Graph API over httpx: one POST a message, failures turned into ours once.

Source: WhatsApp Business Cloud API, "Messages", "Mark messages as read" and "Error codes".
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, Self, cast

import httpx

from agent_store.agents.whatsapp.codes import rule_of
from agent_store.agents.whatsapp.ports import SendInDoubt, WhatsAppSettings
from agent_store.kernel.errors import PermanentError, TemporaryError

_LONGEST_WAIT = timedelta(hours=1)
_ASKED_AGAIN = 5.0
"""Seconds between two questions whether the Graph API answers again."""
_POOL = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=20.0)


class GraphClient:
    """`WhatsAppApi` against a real (or simulated) Graph API. Never tries again by itself; never logs the token."""

    def __init__(
        self,
        settings: WhatsAppSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = f"{settings.graph_url.rstrip('/')}/{settings.api_version.strip('/')}"
        self._token = settings.access_token
        answer = settings.send_timeout.total_seconds()
        self._connect = connect = settings.connect_timeout.total_seconds()
        # httpx counts every read for itself; an answer that trickles is ended by the total.
        self._total = answer + connect
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(answer, connect=connect, pool=connect),
            limits=_POOL,
            transport=transport,
            follow_redirects=False,
        )
        self._monotonic = monotonic
        self._silent = False
        """A send was not answered, and nothing has been since."""
        self._asked_at = -_ASKED_AGAIN
        self._asking = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        await self._see_that_it_answers(phone_number_id)
        answer = await self._post(phone_number_id, payload)
        if answer.status_code == 504:
            # A gateway's timeout says nothing of what the server behind it did.
            self._silent = True
            raise SendInDoubt("the Graph API's gateway timed out")
        return _wamid(answer)

    async def show_seen(self, phone_number_id: str, payload: Mapping[str, Any]) -> None:
        if self._silent:
            raise TemporaryError("the Graph API does not answer", code="unreachable")
        answer = await self._post(phone_number_id, payload)
        if not answer.is_success:
            _refuse(answer)

    async def _post(self, phone_number_id: str, payload: Mapping[str, Any]) -> httpx.Response:
        try:
            async with asyncio.timeout(self._total):
                return await self._client.post(
                    f"{self._base}/{phone_number_id}/messages", json=dict(payload), headers=self._headers()
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise TemporaryError(f"the Graph API cannot be reached ({type(error).__name__})") from error
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            self._silent = True
            raise SendInDoubt(f"the Graph API did not answer a send ({type(error).__name__})") from error

    async def _see_that_it_answers(self, phone_number_id: str) -> None:
        """After a send that was not answered, no other message is risked before a question that harms nothing is: else
        an outage that swallows requests would leave every message of its time in doubt.

        Raises TemporaryError while it does not answer; nothing has been sent then.
        """
        if not self._silent:
            return
        async with self._asking:
            if not self._silent:
                return
            now = self._monotonic()
            silence = TemporaryError("the Graph API does not answer", code="unreachable")
            if now < self._asked_at + _ASKED_AGAIN:
                raise silence
            self._asked_at = now
            try:
                async with asyncio.timeout(self._connect):
                    answer = await self._client.get(
                        f"{self._base}/{phone_number_id}", params={"fields": "id"}, headers=self._headers()
                    )
            except (httpx.HTTPError, TimeoutError) as error:
                raise silence from error
            if answer.is_server_error:
                raise silence
            self._silent = False

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


def _wamid(answer: httpx.Response) -> str:
    if not answer.is_success:
        _refuse(answer)
    messages = _json(answer).get("messages")
    first: Any = cast("list[Any]", messages)[0] if isinstance(messages, list) and messages else None
    wamid: Any = cast("dict[str, Any]", first).get("id") if isinstance(first, dict) else None
    if isinstance(wamid, str) and wamid:
        return wamid
    raise SendInDoubt(f"the Graph API answered {answer.status_code} without a message id")


def _refuse(answer: httpx.Response) -> NoReturn:
    """What it means is in `codes.RULES`; here it is only told apart whether it may pass."""
    status, error = answer.status_code, _json(answer).get("error")
    fault = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    number = fault.get("code")
    code = number if isinstance(number, int) and not isinstance(number, bool) else None
    if code is None and status == 401:
        code = 190
    said = _said(fault) or f"HTTP {status}"
    if answer.is_redirect:
        raise TemporaryError(
            "the Graph API answers with a redirect: check AGENT_STORE_WHATSAPP_GRAPH_URL",
            retry_after=timedelta(minutes=1),
        )
    passing = status in (408, 429) or status >= 500 or fault.get("is_transient") is True
    rule = rule_of(code, passing=passing)
    if rule.action == "hold":
        raise TemporaryError(
            f"the Graph API refuses our credentials ({rule.title}): put an access token that is good and has the "
            f"permission for this number into AGENT_STORE_WHATSAPP_ACCESS_TOKEN. It said: {said}",
            retry_after=_hint(answer),
            platform_code=code,
        )
    if rule.action == "again":
        raise TemporaryError(
            f"WhatsApp does not take the message now: {said}", retry_after=_hint(answer), platform_code=code
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


def _hint(answer: httpx.Response) -> timedelta | None:
    """When the platform says that it will take messages again: `Retry-After`, or the minutes in the usage header of a
    business account that is over its limit.

    Source: Graph API, "Rate limits", headers. Whole seconds only: the header's date form is not used by this API.
    """
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdigit() and len(value) < 10:
        return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
    try:
        usage: Any = json.loads(answer.headers.get("x-business-use-case-usage", ""))
    except (ValueError, RecursionError):
        return None
    uses = cast("dict[str, Any]", usage).values() if isinstance(usage, dict) else ()
    minutes = [
        wait
        for use in uses
        for one in (cast("list[Any]", use) if isinstance(use, list) else [])
        if isinstance(one, dict)
        and isinstance(wait := cast("dict[str, Any]", one).get("estimated_time_to_regain_access"), int)
    ]
    longest = max(minutes, default=0)
    return min(timedelta(minutes=min(longest, 60)), _LONGEST_WAIT) if longest > 0 else None
