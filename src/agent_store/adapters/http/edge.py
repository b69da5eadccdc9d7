"""Who is at the door: staff with their token, or a service of the store with one that it has signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from agent_store.adapters.http.auth import StaffAuth, Unauthorized
from agent_store.kernel import tracing
from agent_store.kernel.contexts import new_trace
from agent_store.kernel.errors import PermanentError
from agent_store.kernel.event import Envelope
from agent_store.kernel.ids import new_id
from agent_store.kernel.tool import Principal

if TYPE_CHECKING:  # a store that is one process has no services, and need not import what signs their tokens
    from agent_store.adapters.http.tokens import Tokens


class BadToken(PermanentError):
    """Nobody gets in with this. `code`: token-missing, token-invalid, token-expired, token-misused."""

    code = "token-invalid"
    status = 401


class MisusedToken(BadToken):
    """The signature is good, but the token was made for something else."""

    code = "token-misused"
    status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """`service` is who signed; `cause` the event that led to the call (without its data), if one did."""

    service: str
    principal: Principal
    cause: Envelope | None = None


def bearer(connection: HTTPConnection) -> str:
    """The bearer token of a request. Raises BadToken when it has none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise BadToken("this is for services of the store: send `Authorization: Bearer <token>`", code="token-missing")
    return token


class Gate:
    """Lets in staff (their bearer token, never a cookie: a foreign page could ride on that) and services (an access
    token for `door`). Either may be absent, both may not."""

    def __init__(self, door: str, *, staff: StaffAuth | None = None, tokens: Tokens | None = None) -> None:
        if staff is None and tokens is None:
            raise ValueError("a gate that lets nobody in is a wall")
        self._door = door
        self._staff = staff
        self._tokens = tokens

    def __call__(self, connection: HTTPConnection) -> None:
        """Raises Unauthorized or BadToken."""
        self.caller(connection)

    def caller(self, connection: HTTPConnection) -> Caller:
        """Staff act on behalf of the customer that `X-Customer-Id` names and for the brand in `X-Brand`; a service's
        principal is in its token, and headers say nothing. Raises Unauthorized or BadToken."""
        if self._staff is not None and self._staff.allows_header(connection):
            person = self._staff.principal(connection)
            headers = connection.headers
            return Caller(
                "staff",
                Principal(staff=person.staff, customer_id=headers.get("x-customer-id"), brand=headers.get("x-brand")),
            )
        if self._tokens is None or "authorization" not in connection.headers:
            raise Unauthorized("this needs a token: send `Authorization: Bearer <token>`")
        return self._tokens.check_access(bearer(connection), self._door)


def trace_of(sent: str | None) -> str | None:
    """The trace that a call which came in goes on in: below this request's own span, else below what the caller sent."""
    here, sent = tracing.current(), sent if well_formed(sent) else None
    return here if here is not None and (sent is None or here[3:35] == sent[3:35]) else sent


def cause_of(
    what: str, principal: Principal, now: datetime, *, service: str, trace: str | None = None, state: str | None = None
) -> Envelope:
    """The envelope of a call that no event has caused: it begins a correlation, and a trace without one (`trace_of`)."""
    return Envelope(
        id=new_id(),
        source=f"/agent-store/call/{service}",
        type=f"call.{what}",
        time=now,
        brand=principal.brand,
        channel=principal.channel,
        traceparent=trace or new_trace(),
        tracestate=state if trace else None,
    )


def well_formed(traceparent: str | None) -> bool:
    """Whether it is a W3C traceparent (version, trace, span, flags)."""
    if traceparent is None or len(traceparent) != 55:
        return False
    parts = traceparent.split("-")
    return [len(part) for part in parts] == [2, 32, 16, 2] and all(_is_hex(part) for part in parts)


def _is_hex(text: str) -> bool:
    return not set(text) - set("0123456789abcdef")
