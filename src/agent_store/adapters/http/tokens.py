"""Short-lived signed tokens (JWT, HS256): which service calls, and on whose behalf.

A *call* token is good for one call: it names the tool, the idempotency key and a hash of the arguments, and carries
the principal and the event that caused the call. Whoever steals one can only ask the same thing again, and the key
makes that the same answer. An *access* token opens one other door (the MCP server, the contracts) for as long.

Only the store makes these tokens, so only the header that it writes is taken, to the byte: nothing is read before the
signature is known to be good. A library would do it too, with 100 ms of imports for the algorithms that are refused here,
at each start of a seller from no pod.

Source: RFC 7519 (JSON Web Token), RFC 7515 appendix A.1 (HS256), RFC 8725 (best current practices: fixed algorithm,
audience, short life).
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from agent_store.adapters.http.edge import BadToken, Caller, MisusedToken
from agent_store.kernel import cloudevents
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import BadEvent
from agent_store.kernel.event import Envelope
from agent_store.kernel.signing import LEAST_KEY
from agent_store.kernel.tool import Principal

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
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREADABLE = "this token's claims cannot be read: is its maker of another version?"
_objects = TypeAdapter(dict[str, Any])
_texts = TypeAdapter(str)
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
        self._keys = {_head(key_id): hmac.digest(secret, _PURPOSE, "sha256") for key_id, secret in keys}
        """By the first part of a token, which says its key."""
        self._first = _head(keys[0][0])

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
        signed = f"{self._first}.{_part(whole)}"
        return f"{signed}.{_signature(self._keys[self._first], signed)}"

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
        signed, _, signature = token.rpartition(".")
        head, _, payload = signed.partition(".")
        key = self._keys.get(head)
        if key is None:
            raise BadToken("this is no token of the store, or is signed with a key that is not known here")
        if not hmac.compare_digest(_signature(key, signed).encode(), signature.encode()):
            raise BadToken("this is no token of the store: its signature is not good")
        claims = _read(payload)
        if claims.get("aud") != audience:
            raise MisusedToken("this token was made for another door", claim="aud")
        made, ends = claims.get("iat"), claims.get("exp")
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
            return Caller(_texts.validate_python(claims.get("iss")), principal, cause)
        except (ValidationError, BadEvent) as error:
            raise BadToken(_UNREADABLE) from error


def _cause(about: Any) -> Envelope:
    if not isinstance(about, dict) or "time" not in about:
        raise BadEvent("the cause of a call is a CloudEvent's attributes, time among them")
    attributes = {**cast("dict[str, Any]", about), "specversion": "1.0"}
    return cloudevents.from_attributes(attributes, b"", now=_EPOCH)


def _head(key_id: str) -> str:
    return _part({"alg": "HS256", "kid": key_id, "typ": "JWT"})


def _signature(key: bytes, signed: str) -> str:
    return _encoded(hmac.digest(key, signed.encode(), "sha256"))


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _read(payload: str) -> dict[str, Any]:
    """The claims of a token that the store has signed."""
    try:
        return _objects.validate_json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError as error:
        raise BadToken(_UNREADABLE) from error


def _audience(tool: str) -> str:
    return f"tools/{tool.partition('.')[0]}"


def _hash(body: bytes) -> str:
    return _encoded(sha256(body).digest())


def _said_of(principal: Principal) -> dict[str, Any]:
    """What differs from the defaults."""
    return {
        field.name: value
        for field in fields(Principal)
        if (value := getattr(principal, field.name)) != getattr(_DEFAULTS, field.name)
    }
