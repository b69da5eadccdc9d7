"""Staff authentication: one bearer token; on pages it is given once as `?token=` and kept in an HttpOnly cookie."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from agent_store.kernel.errors import PermanentError
from agent_store.kernel.tool import Principal

if TYPE_CHECKING:
    from fastapi import APIRouter

COOKIE = "agent_store_staff"


class Unauthorized(PermanentError):
    code = "unauthorized"
    status = 401


class StaffAuth:
    """Checks in constant time. The cookie holds a digest of the token, never the token itself."""

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("a staff token is needed")
        self._token = token
        self.cookie_value = hashlib.sha256(b"agent-store-staff:" + token.encode()).hexdigest()

    def is_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def allows(self, connection: HTTPConnection) -> bool:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(token.strip()):
            return True
        cookie = connection.cookies.get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(), self.cookie_value.encode())

    def allows_header(self, connection: HTTPConnection) -> bool:
        """Only the header: for what changes something, so that a foreign page cannot ride on the cookie."""
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())

    def __call__(self, connection: HTTPConnection) -> None:
        """Raise Unauthorized unless the request carries the token (header), or for GET the cookie."""
        safe = connection.scope.get("method", "GET") in ("GET", "HEAD")
        if not (self.allows(connection) if safe else self.allows_header(connection)):
            raise Unauthorized(
                "this is for staff: send `Authorization: Bearer <token>`; `agent-store up` prints the token"
            )

    def principal(self, connection: HTTPConnection) -> Principal:
        """The person at work: the name in `X-Staff-Name` (percent-encoded), else "staff"."""
        self(connection)
        name = unquote(connection.headers.get("x-staff-name", "")).strip()[:80]
        return Principal(staff=name or "staff")


def login_router(auth: StaffAuth) -> APIRouter:
    """`GET /login?token=…&to=/page`: turns the token in a printed address into a cookie, so that it does not stay in the
    address bar."""
    from fastapi import APIRouter

    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    async def login(token: str, to: str = "/") -> Response:
        if not auth.is_token(token):
            raise Unauthorized("this token is not the staff token; `agent-store up` prints the right one")
        target = to if re.fullmatch(r"/[\w./-]*", to) and not to.startswith("//") else "/"
        answer = RedirectResponse(target, 303)
        answer.set_cookie(COOKIE, auth.cookie_value, httponly=True, samesite="lax", max_age=30 * 86400)
        return answer

    return router
