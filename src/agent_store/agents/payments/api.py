"""The payment page: what a customer's link opens. The link's token is the credential, so nothing here knows a customer.

No card number can be typed in: the page offers the test codes and nothing else. And the webhook of a provider, which tells here
of money that came in by Pix; it is answered 200 only after that is committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader

from agent_store.agents.payments import service
from agent_store.agents.payments.ports import Callbacks, PixPayer
from agent_store.agents.payments.texts import CARDS, TEXTS
from agent_store.contracts.common import Language
from agent_store.contracts.payments import GetPaymentPage, PaymentPage, SubmitOnPage
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, InvalidInput, KeyReused, NotFound, PermanentError
from agent_store.kernel.ids import derived_id
from agent_store.kernel.tool import Principal, Tool

R = TypeVar("R")

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


class ToolCaller(Protocol):
    """What the page and the webhook need of the store. `kernel.runtime.Runtime` is one."""

    async def call(self, tool: Tool[R], principal: Principal | None = None, *, key: str | None = None) -> R: ...

    async def transact(self, consumer_name: str, change: Callable[[Context], Awaitable[R]]) -> R: ...


LONGEST_CALLBACK = 65_536


class _TooLarge(PermanentError):
    code = "too-large"
    status = 413


def router(calls: ToolCaller, *, callbacks: Callbacks | None = None, payer: PixPayer | None = None) -> APIRouter:
    """`GET` and `POST /pay/{payment_id}`, `GET /pay/{payment_id}/status`; `POST /webhooks/payments/{provider}` with
    `callbacks`; with a `payer`, where no money moves, `POST /pay/{payment_id}/pix`."""
    routes = APIRouter(tags=["payment page"])
    if callbacks is not None:
        _add_webhook(routes, calls, callbacks)
    if payer is not None:
        _add_simulated_pix(routes, calls, payer)

    @routes.get("/pay/{payment_id}", response_class=HTMLResponse)
    async def show(
        payment_id: str,
        request: Request,
        token: Annotated[str, Query(alias="t", max_length=128)] = "",
        note: Annotated[str, Query(alias="n", max_length=16)] = "",
    ) -> Response:
        """The page of one payment, in its customer's language."""
        try:
            page = await calls.call(GetPaymentPage(payment_id=payment_id, token=token))
        except NotFound:
            return _html("unknown.html", 404, _language_of(request), {})
        return _html(
            "pay.html",
            200,
            page.language,
            {"page": page, "token": token, "note": note, "simulated": payer is not None, **_shown(page)},
        )

    @routes.post("/pay/{payment_id}", response_class=RedirectResponse, status_code=303)
    async def pay(
        payment_id: str,
        request: Request,
        token: Annotated[str, Form(alias="t", max_length=128)],
        code: Annotated[str, Form(max_length=32)],
        attempt: Annotated[int, Form(ge=1, le=1_000_000)],
    ) -> Response:
        """Begin an attempt with a test code, then show the page again, which says how it goes."""
        note = ""
        if len(code) != 4 or not code.isascii() or not code.isdigit():
            note = "code"
        else:
            call = SubmitOnPage(payment_id=payment_id, token=token, code=code, attempt=attempt)
            try:
                # One offered attempt is one charge, however often the button is pressed or the form sent again.
                await calls.call(call, key=derived_id("page", payment_id, token, attempt))
            except InvalidInput:
                note = "code"
            except Conflict as error:
                # Paid, expired or being processed by now: then the page itself says so.
                note = "many" if error.code == "too-many-attempts" else "late"
            except KeyReused:
                note = "late"
            except NotFound:
                return _html("unknown.html", 404, _language_of(request), {})
        # Relative, so that it also holds behind a proxy that serves the store below a path of its own.
        query = {"t": token, "n": note} if note else {"t": token}
        return RedirectResponse(f"?{urlencode(query)}", status_code=303, headers=_headers(None))

    @routes.get("/pay/{payment_id}/status")
    async def status(payment_id: str, token: Annotated[str, Query(alias="t", max_length=128)] = "") -> Response:
        """What the page watches to know when to show itself anew."""
        try:
            page = await calls.call(GetPaymentPage(payment_id=payment_id, token=token))
        except NotFound as error:
            body: dict[str, Any] = {"code": error.code, "detail": error.message}
            return JSONResponse(body, status_code=404, headers=_headers(None))
        body = {
            "state": _shown(page)["state"],
            "attempts": page.attempts,
            "last_failure": page.last_failure,
            "expires_at": page.expires_at.isoformat(),
        }
        return JSONResponse(body, headers=_headers(None))

    return routes


def _add_webhook(routes: APIRouter, calls: ToolCaller, callbacks: Callbacks) -> None:
    @routes.post("/webhooks/payments/{provider}")
    async def told(provider: str, request: Request) -> JSONResponse:
        """A provider tells of Pix that came in. Each is one transaction and counts once, so that a delivery that failed in
        the middle may come again as it is."""
        if provider != callbacks.name:
            raise NotFound(f"no payment provider {provider!r} is set")
        received = callbacks.read(request.headers, await _body(request))
        outcomes = [
            await calls.transact("payments", lambda ctx, one=one: service.pix_received(ctx, one)) for one in received
        ]
        return JSONResponse({"received": outcomes}, headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_CALLBACK:
            raise _TooLarge(f"a callback has at most {LONGEST_CALLBACK} bytes")
    return bytes(body)


def _add_simulated_pix(routes: APIRouter, calls: ToolCaller, payer: PixPayer) -> None:
    @routes.post("/pay/{payment_id}/pix", response_class=RedirectResponse, status_code=303)
    async def pay_pix(
        payment_id: str, request: Request, token: Annotated[str, Form(alias="t", max_length=128)]
    ) -> Response:
        """As if the customer's bank paid. The page hears of it as it would of any: when the provider calls back."""
        note = "pix"
        try:
            page = await calls.call(GetPaymentPage(payment_id=payment_id, token=token))
            if page.pix is None or _shown(page)["state"] not in ("open", "processing"):
                note = "late"
            else:
                await payer.pay(page.pix.txid)
        except Conflict:
            note = "late"
        except NotFound:
            return _html("unknown.html", 404, _language_of(request), {})
        # Relative: the page stands one step above this address.
        query = urlencode({"t": token, "n": note})
        return RedirectResponse(f"../{quote(payment_id, safe='')}?{query}", status_code=303, headers=_headers(None))


def _shown(page: PaymentPage) -> dict[str, Any]:
    """An open link whose time is over is shown as expired, also in the moment before its timer has said so."""
    late = page.state == "open" and page.now >= page.expires_at
    return {
        "state": "expired" if late else page.state,
        "seconds_left": max(0, int((page.expires_at - page.now).total_seconds())),
        "cards": CARDS,
    }


def _html(template: str, status: int, language: Language, values: Mapping[str, Any]) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    html = _pages.get_template(template).render(**values, text=TEXTS[language], language=language, nonce=nonce)
    return HTMLResponse(html, status_code=status, headers=_headers(nonce))


def _headers(nonce: str | None) -> dict[str, str]:
    """Nothing is cached, framed, sniffed or told to others; only what carries this answer's nonce is style or script."""
    own = (
        f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src 'self'; form-action 'self'; "
        if nonce
        else ""
    )
    return {
        "Content-Security-Policy": f"default-src 'none'; {own}base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex",
    }


def _language_of(request: Request) -> Language:
    """Of a page without a payment: what the browser likes best of ours, else Portuguese."""
    for part in request.headers.get("accept-language", "").split(","):
        match part.strip()[:2].lower():
            case "en":
                return "en"
            case "es":
                return "es"
            case "pt":
                return "pt"
            case _:
                continue
    return "pt"
