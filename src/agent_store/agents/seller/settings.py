"""The seller's settings, and the circuit that spares a model that is down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from agent_store.kernel.limits import UNLIMITED, Rate


@dataclass(frozen=True)
class SellerSettings:
    """Limits of a turn and how long a fact may be repeated; put in by the entrypoint.

    A turn asks the model at most `max_steps` times, for at most `max_calls` tool calls a time, for `max_tokens` tokens
    (in and out) and `turn_time` altogether, `think_time` a time; past a limit the rules brain answers. An answer with
    an unsupported fact is asked for anew `rewrites` times. A price, stock count, delivery promise or order fact may be
    stated for `…_ttl` after the tool gave it. After `misses` turns in a row that went wrong a person is asked
    for. After `circuit_failures` failures in a row the model is not asked for `circuit_pause`. A card says how few are
    left from `low_stock` units on downward. A model is given the last `history` messages (0 to 100). `intents`: tell of
    what a customer came for, as events. `brand_tokens` and `customer_tokens`: model tokens in and out of a brand and
    of a customer; when they are used up the rules brain answers until some have come back.
    """

    max_steps: int = 8
    max_calls: int = 6
    max_tokens: int = 60_000
    turn_time: timedelta = timedelta(seconds=40)
    think_time: timedelta = timedelta(seconds=20)
    rewrites: int = 1
    history: int = 20
    intents: bool = True
    findings: int = 40
    price_ttl: timedelta = timedelta(minutes=30)
    stock_ttl: timedelta = timedelta(minutes=10)
    delivery_ttl: timedelta = timedelta(minutes=30)
    order_ttl: timedelta = timedelta(hours=24)
    misses: int = 2
    low_stock: int = 3
    circuit_failures: int = 3
    circuit_pause: timedelta = timedelta(seconds=60)
    brand_tokens: Rate = UNLIMITED
    customer_tokens: Rate = UNLIMITED

    def __post_init__(self) -> None:
        for name in ("max_steps", "max_calls", "max_tokens", "misses", "circuit_failures", "findings"):
            if getattr(self, name) < 1:
                raise ValueError(f"SellerSettings.{name}: at least 1")
        if self.rewrites < 0 or self.low_stock < 0 or not 0 <= self.history <= 100:
            raise ValueError("SellerSettings.rewrites, low_stock: not below 0; history: 0 to 100")
        for name in ("turn_time", "think_time", "price_ttl", "stock_ttl", "delivery_ttl", "order_ttl", "circuit_pause"):
            if getattr(self, name) <= timedelta(0):
                raise ValueError(f"SellerSettings.{name}: longer than nothing")


class Circuit:
    """Counts a brain's failures in a row, in this process only. After a pause one turn tries the brain again."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until: datetime | None = None

    def closed(self, now: datetime) -> bool:
        """May the brain be asked now?"""
        return self._open_until is None or now >= self._open_until

    def succeeded(self) -> None:
        self._failures = 0
        self._open_until = None

    def failed(self, now: datetime, settings: SellerSettings) -> None:
        self._failures += 1
        if self._failures >= settings.circuit_failures:
            self._open_until = now + settings.circuit_pause
