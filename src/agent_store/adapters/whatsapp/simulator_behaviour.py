"""What the simulated platform does on purpose: delays, losses, failures, limits. One typed object, set over REST."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_store.adapters.whatsapp.cloud import GraphFault, fault, status_error

Share = float


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pace(_Part):
    """Seconds after the store's send at which each status is reported."""

    sent: float = Field(default=0.0, ge=0, le=3600)
    delivered: float | None = Field(default=0.15, ge=0, le=3600, description="null: the phone is off")
    read: float | None = Field(default=0.6, ge=0, le=3600, description="null: nobody looks, or receipts are off")


class Webhooks(_Part):
    """How webhooks travel. Shares are from 0 (never) to 1 (always)."""

    delay: float = Field(default=0.0, ge=0, le=600, description="seconds before each one")
    jitter: float = Field(default=0.0, ge=0, le=600, description="up to so many seconds more")
    lost: Share = Field(default=0.0, ge=0, le=1, description="share whose first try never arrives: they come again")
    duplicated: Share = Field(default=0.0, ge=0, le=1, description="share that is delivered twice")
    overtaken: Share = Field(
        default=0.0, ge=0, le=1, description="share that is held back, so that later ones overtake"
    )
    overtaken_by: float = Field(default=1.0, ge=0, le=600, description="seconds for which those are held back")
    first_wait: float = Field(default=0.5, gt=0, le=600, description="seconds before the first retry; they double")
    longest_wait: float = Field(default=60.0, gt=0, le=3600)


class Failure(_Part):
    """Sends that fail. The first one in the list that fits a send counts."""

    code: int = Field(description="of Meta's table: 131026, 131049, 130429 …", examples=[131026])
    where: Literal["answer", "status"] = Field(
        default="status", description="refused at once, or taken and reported as a failed status"
    )
    details: str = Field(default="", max_length=300)
    http_status: int | None = Field(
        default=None, ge=400, le=599, description="of the answer; default as the table says"
    )
    retry_after: int | None = Field(default=None, ge=0, le=86400, description="seconds, as the answer's header")
    share: Share = Field(default=1.0, gt=0, le=1)
    times: int | None = Field(default=None, ge=1, description="then it is over; null: until it is taken away")
    to: str | None = Field(default=None, description="only sends to this phone number (digits) or user id")
    type: str | None = Field(default=None, description="only sends of this type: text, template, image …")


class Limits(_Part):
    """Limits that are kept when they are set. Meta's own: 80 a second and a number; one in 6 s and a customer after 45."""

    per_second: int | None = Field(default=None, ge=1, le=10_000, description="sends of a number a second, else 130429")
    pair_seconds: float | None = Field(
        default=None, gt=0, le=600, description="seconds between sends to one customer, else 131056"
    )
    pair_burst: int = Field(default=1, ge=1, le=1000, description="sends that a customer may get at once nevertheless")


class Review(_Part):
    """What becomes of a template that is submitted."""

    seconds: float = Field(default=1.0, ge=0, le=3600)
    verdict: Literal["APPROVED", "REJECTED", "PAUSED", "PENDING"] = Field(
        default="APPROVED", description="PENDING: it never ends"
    )
    reason: str = Field(default="", max_length=100, examples=["INVALID_FORMAT"])


class Behaviour(_Part):
    """Everything that the simulated platform does on purpose; what is left out is as by default, harmless."""

    seed: int = Field(default=1, description="the same seed and the same calls: the same chances")
    pace: Pace = Pace()
    webhooks: Webhooks = Webhooks()
    failures: tuple[Failure, ...] = Field(default=(), max_length=50)
    limits: Limits = Limits()
    window: Literal["status", "answer", "open"] = Field(
        default="status",
        description="free-form outside of 24 hours: a failed status 131047, a refused call, or no such rule",
    )
    access: Literal["valid", "expired", "revoked"] = Field(
        default="valid", description="the access token; unless valid, every Graph call answers 190"
    )
    outage: Literal["none", "busy", "lost", "garbage"] = Field(
        default="none",
        description="sends: busy answers 503; lost takes the message and answers 504; garbage takes it and answers no JSON",
    )
    answer_delay: float = Field(default=0.0, ge=0, le=120, description="seconds before each Graph answer")
    review: Review = Review()
    fetch_links: bool = Field(
        default=False,
        description="media sent as links are fetched, as Meta does: what cannot be had, is too large or of a wrong type fails (131053)",
    )
    wrong_order_prices: bool = Field(
        default=False, description="catalogue orders name prices that are not the catalogue's"
    )


class Chance:
    """Draws by the behaviour's seed, and counts what has an end."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._random = random.Random(behaviour.seed)
        self._left = {index: one.times for index, one in enumerate(behaviour.failures)}
        self._behaviour = behaviour

    def hits(self, share: Share) -> bool:
        return share > 0 and (share >= 1 or self._random.random() < share)

    def upto(self, seconds: float) -> float:
        return self._random.uniform(0, seconds) if seconds > 0 else 0.0

    def failure(self, to: Collection[str | None], type: str) -> Failure | None:
        """The failure that this send meets, counted."""
        for index, one in enumerate(self._behaviour.failures):
            left = self._left[index]
            if (
                left == 0
                or (one.to is not None and one.to not in to)
                or one.type not in (None, type)
                or not self.hits(one.share)
            ):
                continue
            if left is not None:
                self._left[index] = left - 1
            return one
        return None


def refusal(failure: Failure) -> GraphFault:
    return fault(failure.code, failure.details, status=failure.http_status, retry_after=failure.retry_after)


def failed(failure: Failure) -> dict[str, object]:
    return status_error(failure.code, failure.details)


class Gauge:
    """Counts sends against limits, by real time."""

    def __init__(self) -> None:
        self._second: dict[str, tuple[int, int]] = {}
        self._pairs: dict[tuple[str, str], float] = {}

    def check(self, limits: Limits, number: str, to: str, now: float) -> None:
        """Raises GraphFault when a send would be over; what is refused does not count."""
        if limits.pair_seconds is not None:
            # A bucket as the time at which it will be empty again.
            empty = max(self._pairs.get((number, to), now), now)
            if empty - now > limits.pair_seconds * (limits.pair_burst - 1) + 1e-9:
                raise fault(131056, "too many messages to this phone number in a short time: wait before the next")
        if limits.per_second is not None:
            second, count = self._second.get(number, (0, 0))
            if second == int(now) and count >= limits.per_second:
                raise fault(130429, "the throughput of this phone number has been reached")
            self._second[number] = (int(now), count + 1 if second == int(now) else 1)
        if limits.pair_seconds is not None:
            self._pairs[(number, to)] = max(self._pairs.get((number, to), now), now) + limits.pair_seconds
