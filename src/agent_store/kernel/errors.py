"""Errors with a stable `code`, a sentence that says what to do, and a word on whether trying again can help.

Handlers raise them; the dispatcher acts on them (retry or dead letter); the HTTP edge turns them into RFC 9457
problem details.
"""

from __future__ import annotations

from datetime import datetime, timedelta


class StoreError(Exception):
    """Root of all errors that the store raises on purpose.

    `code` is stable and machine-readable (kebab-case); the message says what happened and what to do.
    `status` is the HTTP status at the edge. `details` holds JSON-able facts a program can act on.
    """

    code: str = "error"
    status: int = 500

    def __init__(self, message: str, *, code: str | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.details: dict[str, object] = details


class PermanentError(StoreError):
    """Will never work, however often it is tried: the event becomes a dead letter at once."""

    code = "permanent"
    status = 422


AWAY = frozenset(
    {"busy", "circuit-open", "database", "draining", "refused", "shutting-down", "unavailable", "unreachable"}
)
"""Codes of failures that say nothing about what was asked: what it takes is away, or has no room now."""


class TemporaryError(StoreError):
    """May work later. `retry_after` is the other side's hint; without one, exponential backoff with jitter."""

    code = "temporary"
    status = 503

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, code: str | None = None, **details: object
    ) -> None:
        super().__init__(message, code=code, **details)
        self.retry_after = retry_after

    @property
    def away(self) -> bool:
        return self.code in AWAY


class Later(TemporaryError):
    """Nothing has failed, only it is not the time yet: a limit, an order to wait. Tried again after `retry_after`, and no
    attempt is used up. From `until` on it is a failure like any other, so that nothing waits for ever unseen."""

    code = "later"

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        until: datetime | None = None,
        code: str | None = None,
        **details: object,
    ) -> None:
        super().__init__(message, retry_after=retry_after, code=code, **details)
        self.until = until

    def counts(self, now: datetime) -> bool:
        return self.until is not None and now >= self.until


class InvalidInput(PermanentError):
    """The caller's data is wrong; the message names the field and what is expected."""

    code = "invalid-input"
    status = 422


class NotFound(PermanentError):
    code = "not-found"
    status = 404


class Conflict(PermanentError):
    """The state of the thing does not allow this (any more): reload and decide anew."""

    code = "conflict"
    status = 409


class Forbidden(PermanentError):
    code = "forbidden"
    status = 403


class StaleSpeaker(PermanentError):
    """A lease token below the highest one seen: somebody else speaks for this conversation now."""

    code = "stale-speaker"
    status = 409


class KeyReused(PermanentError):
    """An idempotency key came again with other arguments: a bug of the caller, so nothing is done."""

    code = "idempotency-key-reused"
    status = 422


class BadEvent(PermanentError):
    """A CloudEvent that breaks the specification or its contract; the message names the attribute."""

    code = "bad-event"
    status = 400
