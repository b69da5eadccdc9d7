"""Requests of one caller of the API: more are refused with problem details and a Retry-After."""

from __future__ import annotations

import hashlib

from starlette.requests import HTTPConnection

from agent_store.adapters.http.auth import StaffAuth
from agent_store.kernel.limits import Rate, RateLimiter, TooMany, allowed


class ApiLimit:
    """A FastAPI dependency: `include_router(…, dependencies=[Depends(ApiLimit(…))])`.

    A caller is an address; staff and everybody else at one address are counted apart, so that the public cannot use up
    what staff need. Behind a proxy the server must be told to believe its X-Forwarded-For.
    """

    def __init__(self, limiter: RateLimiter, rate: Rate, auth: StaffAuth) -> None:
        self._limiter = limiter
        self._rate = rate
        self._auth = auth

    async def __call__(self, connection: HTTPConnection) -> None:
        if not self._rate.limit:
            return
        kind = "staff" if self._auth.allows(connection) else "public"
        address = connection.client.host if connection.client is not None else ""
        verdict = await allowed(self._limiter, f"api:{kind}:{self._hidden(address)}", self._rate)
        if not verdict.allowed:
            raise TooMany(
                f"at most {self._rate.limit} requests in {self._rate.per.total_seconds():g} seconds: "
                "come again after the seconds in Retry-After",
                verdict.retry_after,
            )

    def _hidden(self, address: str) -> str:
        """An address is personal data: the limiter gets a keyed hash of it."""
        key = self._auth.cookie_value.encode()
        return hashlib.blake2b(address.encode(), digest_size=12, key=key).hexdigest()
