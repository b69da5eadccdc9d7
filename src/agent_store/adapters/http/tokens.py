"""Short-lived signed tokens (JWT, HS256): which service calls, and on whose behalf.

A *call* token is good for one call: it names the tool, the idempotency key and a hash of the arguments, and carries
the principal and the event that caused the call. Whoever steals one can only ask the same thing again, and the key
makes that the same answer. An *access* token opens one other door (the MCP server, the contracts) for as long.

Source: RFC 7519 (JSON Web Token), RFC 8725 (best current practices: fixed algorithm, audience, short life).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast

import jwt
from pydantic import TypeAdapter, ValidationError

from agent_store.adapters.http.edge import BadToken, Caller, MisusedToken
from agent_store.kernel import cloudevents
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import BadEvent
from agent_store.kernel.event import Envelope
from agent_store.kernel.signing import LEAST_KEY
from agent_store.kernel.tool import Principal

ALGORITHM = "HS256"
LIFETIME = timedelta(seconds=30)
LEEWAY = timedelta(seconds=30)
"""How far two clocks may be apart: a token is taken so long before it was made and after it has run out."""
LONGEST = timedelta(seconds=60)
"""A token that claims a longer life is refused, whoever signed it."""

_PURPOSE = b"agent-store tool token 1"
_CAUSE = (
    "id", "source", "type", "time", "subject", "topic", "brand", "channel", "partitionkey", "sequence",
    "correlationid", "causationid",
)  # fmt: skip
_OPTIONS: Any = {
    "require": ["iss", "aud", "iat", "exp"],
    # The times are checked below, against the Clock port and with a word on what to do.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "strict_aud": True,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_principals = TypeAdapter(Principal)
_DEFAULTS = Principal()


class Tokens:
    """Signs with the first key and believes all of them. Rotation is as with `kernel.signing.Signer`, and the same keys
    may be given: a key of another purpose is derived from each."""

    def __init__(
        self,
        service: str,
        keys: Sequence[tuple[str, bytes]],
        *,
        clock: Clock,
        lifetime: timedelta = LIFETIME,
        leeway: timedelta = LEEWAY,
    ) -> None:
        """`service`: this process's name, the issuer. Raises ValueError for no key, twins, a weak one, a long life."""
        if not keys:
            raise ValueError("calls between processes are signed: give at least one key")
        if len({key_id for key_id, _ in keys}) != len(keys):
            raise ValueError("two keys have the same id")
        for key_id, secret in keys:
            if not key_id or len(secret) < LEAST_KEY:
                raise ValueError(f"key {key_id!r}: an id and a secret of at least {LEAST_KEY} bytes are needed")
        if not timedelta(0) < lifetime <= LONGEST:
            raise ValueError(f"a token lives {LONGEST.total_seconds():g} seconds at most")
        self.service = service
        self._clock = clock
        self._lifetime, self._leeway = lifetime.total_seconds(), leeway.total_seconds()
        self._keys = {key_id: hmac.digest(secret, _PURPOSE, "sha256") for key_id, secret in keys}
        self._first = keys[0][0]

    # --- making ------------------------------------------------------------------------------------------------

    def for_call(self, tool: str, key: str | None, body: bytes, principal: Principal, cause: Envelope | None) -> str:
        """A token for this one call of `tool` with exactly these arguments."""
        claims: dict[str, Any] = {"tool": tool, "key": key, "body": _hash(body)}
        if cause is not None:
            attributes = cloudevents.attributes_of(cause)
            claims["cause"] = {name: attributes[name] for name in _CAUSE if name in attributes}
        return self._sign(_audience(tool), principal, claims)

    def for_access(self, door: str, principal: Principal) -> str:
        """A token for another door than a tool's: `mcp` or `contracts`. The caller makes a new one for each request."""
        return self._sign(door, principal, {})

    def _sign(self, audience: str, principal: Principal, claims: Mapping[str, Any]) -> str:
        now = int(self._clock.now().timestamp())
        whole = {
            "iss": self.service,
            "aud": audience,
            "iat": now,
            "exp": now + int(self._lifetime),
            "who": _said_of(principal),
            **claims,
        }
        return jwt.encode(whole, self._keys[self._first], ALGORITHM, {"kid": self._first})

    # --- checking ----------------------------------------------------------------------------------------------

    def check_call(self, token: str, *, tool: str, key: str | None, body: bytes) -> Caller:
        """Raises BadToken: not ours, run out, or made for another tool, key or arguments."""
        claims = self._claims(token, _audience(tool))
        for name, seen in (("tool", tool), ("key", key), ("body", _hash(body))):
            if claims.get(name) != seen:
                raise MisusedToken(f"this token was made for another call (its {name} differs)", claim=name)
        return self._caller(claims)

    def check_access(self, token: str, door: str) -> Caller:
        """Raises BadToken."""
        return self._caller(self._claims(token, door))

    def _claims(self, token: str, audience: str) -> dict[str, Any]:
        try:
            # Which key, is the only thing that is believed before the signature is checked.
            key = self._keys.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise BadToken("this token is signed with a key that is not known here")
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, options=_OPTIONS)
        except jwt.InvalidAudienceError as error:
            raise MisusedToken("this token was made for another door", claim="aud") from error
        except jwt.InvalidTokenError as error:
            raise BadToken(f"this is no token of the store: {error}") from error
        made, ends = claims["iat"], claims["exp"]
        if type(made) is not int or type(ends) is not int or not 0 < ends - made <= LONGEST.total_seconds():
            raise BadToken(f"a token lives {LONGEST.total_seconds():g} seconds at most")
        now = self._clock.now().timestamp()
        if not made - self._leeway <= now < ends + self._leeway:
            late = now - ends
            how = f"ran out {late:.0f} s ago" if late > 0 else f"was made {made - now:.0f} s in the future"
            raise BadToken(f"this token {how}: make a new one, and compare the clocks", code="token-expired")
        return claims

    @staticmethod
    def _caller(claims: Mapping[str, Any]) -> Caller:
        try:
            principal = _principals.validate_python(claims.get("who"))
            about = claims.get("cause")
            cause = _cause(about) if about is not None else None
        except (ValidationError, BadEvent) as error:
            raise BadToken("this token's claims cannot be read: is its maker of another version?") from error
        return Caller(str(claims["iss"]), principal, cause)


def _cause(about: Any) -> Envelope:
    if not isinstance(about, dict) or "time" not in about:
        raise BadEvent("the cause of a call is a CloudEvent's attributes, time among them")
    attributes = {**cast("dict[str, Any]", about), "specversion": "1.0"}
    return cloudevents.from_attributes(attributes, b"", now=_EPOCH)


def _audience(tool: str) -> str:
    return f"tools/{tool.partition('.')[0]}"


def _hash(body: bytes) -> str:
    return urlsafe_b64encode(sha256(body).digest()).decode().rstrip("=")


def _said_of(principal: Principal) -> dict[str, Any]:
    """What differs from the defaults."""
    return {
        field.name: value
        for field in fields(Principal)
        if (value := getattr(principal, field.name)) != getattr(_DEFAULTS, field.name)
    }
