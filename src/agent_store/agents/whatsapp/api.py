"""`GET|POST /webhooks/whatsapp`: the platform's handshake and its deliveries, as a plain ASGI app.

The hot path of the store: no framework, no thread, one transaction a delivery.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from pydantic_core import to_json

from agent_store.agents.whatsapp.limits import Limits
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import TrustedApp, WhatsAppSettings
from agent_store.agents.whatsapp.reading import parse
from agent_store.kernel.errors import Forbidden, PermanentError, StoreError, TemporaryError
from agent_store.kernel.limits import NoLimits, RateLimiter

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Intake(Protocol):
    async def accept(self, delivery: Delivery) -> None:
        """Commit a delivery (`service.record` in a transaction); returns only when it is durable.

        Raises TemporaryError or TimeoutError when it is not: the platform is told to come again.
        """
        ...


class _BadSignature(PermanentError):
    code = "bad-signature"
    status = 401


class _TooLarge(PermanentError):
    code = "too-large"
    status = 413


class _WrongMethod(PermanentError):
    code = "method-not-allowed"
    status = 405


_OK: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")],
}
_OK_BODY: Message = {"type": "http.response.body", "body": b"OK"}


def webhook(
    gateway: Intake,
    settings: WhatsAppSettings,
    *,
    simulator: TrustedApp | None = None,
    limiter: RateLimiter | None = None,
) -> Webhook:
    """The endpoint. `simulator` may sign with its own secret, for its own numbers and no others; `limiter` counts what
    the settings limit.

    Serve it as `starlette.routing.Route("/webhooks/whatsapp", webhook(…))`, or call it before any router looks.
    """
    return Webhook(gateway, settings, simulator, NoLimits() if limiter is None else limiter)


class Webhook:
    """An ASGI app; an object and not a function, so that a `Route` takes it as it is."""

    def __init__(
        self, gateway: Intake, settings: WhatsAppSettings, simulator: TrustedApp | None, limiter: RateLimiter
    ) -> None:
        self._gateway = gateway
        self._limits = Limits(limiter, settings)
        self._simulator = simulator
        self._secret = settings.app_secret.encode()
        self._second = None if simulator is None else simulator.secret.encode()
        self._token = settings.verify_token.encode()
        self._limit = settings.max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the webhook serves HTTP, not {scope['type']}")
        try:
            method = scope["method"]
            if method == "POST":
                await self._limits.source(scope)
                body = await _body(scope, receive, self._limit)
                if body is None:
                    return  # the caller is gone: nobody to answer
                trusted_for_all = self._verify(scope, body)
                delivery = parse(body)
                if not trusted_for_all:
                    self._keep_to_its_numbers(delivery)
                await self._limits.numbers(delivery)
                await self._limits.customers(delivery)
                await self._gateway.accept(delivery)
            elif method in ("GET", "HEAD"):
                await _text(send, _handshake(scope, self._token))
                return
            else:
                raise _WrongMethod("the webhook takes GET and POST")
        except StoreError as error:
            await _problem(send, error)
            return
        except (TimeoutError, ConnectionError):
            await _problem(send, TemporaryError("the store could not commit this delivery in time: deliver it again"))
            return
        await send(_OK)
        await send(_OK_BODY)

    def _verify(self, scope: Scope, body: bytes) -> bool:
        """True for the settings' app, False for the simulator's. Every comparison takes the same time."""
        given = b""
        for name, value in scope["headers"]:
            if name == b"x-hub-signature-256":
                given = value
                break
        if hmac.compare_digest(given, _signature(self._secret, body)):
            return True
        if self._second is not None and hmac.compare_digest(given, _signature(self._second, body)):
            return False
        raise _BadSignature("X-Hub-Signature-256 is missing or does not fit the body and the app secret")

    def _keep_to_its_numbers(self, delivery: Delivery) -> None:
        assert self._simulator is not None  # noqa: S101 (only its signature leads here)
        ids = delivery.numbers() | {news.account_id for news in delivery.news}
        if not all(self._simulator.serves(each) for each in ids):
            raise Forbidden("the simulator speaks for its own numbers and account only")


def sign(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256`: what whoever delivers puts there."""
    return _signature(secret.encode(), body).decode()


def _signature(secret: bytes, body: bytes) -> bytes:
    return b"sha256=" + hmac.digest(secret, body, "sha256").hex().encode()


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The raw body; None when the caller went away before its end."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > 12 or int(value) > limit):
            raise _TooLarge(f"a webhook body has at most {limit} bytes")
    message = await receive()
    if message["type"] != "http.request":
        return None
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        size = len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] != "http.request":
                return None
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _TooLarge(f"a webhook body has at most {limit} bytes")
            parts.append(part)
        body = b"".join(parts)
    if len(body) > limit:
        raise _TooLarge(f"a webhook body has at most {limit} bytes")
    return body


def _handshake(scope: Scope, token: bytes) -> bytes:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True, errors="replace")
    given = query.get("hub.verify_token", [""])[0].encode()
    fits = hmac.compare_digest(given, token)
    if not fits or query.get("hub.mode", [""])[0] != "subscribe":
        raise Forbidden("hub.mode must be subscribe and hub.verify_token the one that is set here")
    return query.get("hub.challenge", [""])[0].encode()


async def _text(send: Send, body: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _problem(send: Send, error: StoreError) -> None:
    """RFC 9457. Whatever isn't the caller's fault is a 503: the platform delivers again."""
    status = error.status if 400 <= error.status < 500 else 503
    body = to_json({"type": "about:blank", "title": error.code, "status": status, "detail": error.message,
                    "code": error.code})  # fmt: skip
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if status == 405:
        headers.append((b"allow", b"GET, HEAD, POST"))
    if isinstance(error, TemporaryError):
        wait = 5 if error.retry_after is None else max(1, round(error.retry_after.total_seconds()))
        headers.append((b"retry-after", str(wait).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
