"""`sig`: an event that crosses a network proves itself. Brokers drop auth headers and let anyone on them publish.

`sig` is `<key id>.<base64url HMAC-SHA256>` over the attributes that we set and the data. Not signed: trace context and
attributes that we don't know, which a broker on the way may add or change.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from agent_store.kernel.errors import PermanentError
from agent_store.kernel.event import Envelope

ATTRIBUTE = "sig"
"""The CloudEvents extension attribute that holds the signature."""

LEAST_KEY = 16
"""A key has at least so many bytes."""

_KEY_ID = re.compile(r"[A-Za-z0-9_\-]{1,32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadSignature(PermanentError):
    """The event does not come from this store, was changed on its way, or was signed with a key that is gone."""

    code = "bad-signature"
    status = 403


def _canonical(event: Envelope) -> bytes:
    """What is signed: the lengths of all parts (`-` when absent), then the parts. So no two events read the same."""
    delta = event.time - _EPOCH
    parts = (
        event.id,
        event.source,
        event.type,
        f"{(delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds}",
        event.subject,
        event.dataschema,
        event.datacontenttype,
        event.topic,
        event.brand,
        event.channel,
        event.partitionkey,
        None if event.sequence is None else str(event.sequence),
        event.correlationid,
        event.causationid,
    )
    lengths = ",".join(["-" if part is None else str(len(part)) for part in parts])
    text = "".join([part for part in parts if part is not None])
    head = f"agent-store event 1\n{lengths},{len(event.data)}\n{text}"
    return head.encode("utf-8", "surrogatepass") + event.data


class Signer:
    """Signs with the first key and believes all of them.

    A key is changed in three rounds through all processes: add the new one at the end, move it to the front, and take
    the old one away when no event that it signed is left on a broker.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        """`keys`: (key id, secret), the signing one first. Raises ValueError for none, twins, or a weak one."""
        if not keys:
            raise ValueError("events on a network are signed: give at least one key")
        for key_id, secret in keys:
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError(f"key id {key_id!r}: 1 to 32 letters, digits, - or _")
            if len(secret) < LEAST_KEY:
                raise ValueError(f"key {key_id}: a secret has at least {LEAST_KEY} bytes")
        self._keys = dict(keys)
        if len(self._keys) != len(keys):
            raise ValueError("two keys have the same id")
        self._first, self._secret = keys[0]

    def signature(self, event: Envelope) -> str:
        """The value of `sig` for this event."""
        return f"{self._first}.{_mac(self._secret, event)}"

    def sign(self, event: Envelope) -> Envelope:
        """The event with `sig` (in place of an older one). `time` must be aware."""
        return replace(event, extensions={**event.extensions, ATTRIBUTE: self.signature(event)})

    def check(self, event: Envelope) -> None:
        """Raises BadSignature that says whether it is missing, of an unknown key, or does not fit."""
        value = event.extensions.get(ATTRIBUTE)
        if value is None:
            raise BadSignature(f"event {event.id}: is not signed", attribute=ATTRIBUTE)
        key_id, _, mac = value.rpartition(".")
        secret = self._keys.get(key_id)
        if secret is None:
            raise BadSignature(f"event {event.id}: is signed with a key that is not known here", attribute=ATTRIBUTE)
        if not hmac.compare_digest(mac.encode("utf-8", "surrogatepass"), _mac(secret, event).encode()):
            raise BadSignature(f"event {event.id}: its signature does not fit it", attribute=ATTRIBUTE)


def _mac(secret: bytes, event: Envelope) -> str:
    return urlsafe_b64encode(hmac.digest(secret, _canonical(event), "sha256")).decode().rstrip("=")
