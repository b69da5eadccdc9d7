"""The settings of payments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PaymentsSettings:
    """`public_url` is where customers reach the store, as `https://shop.example` (the payment page is below it);
    after `max_attempts` charges a payment takes no more cards. Put in by the entrypoint."""

    public_url: str
    max_attempts: int = 20

    def __post_init__(self) -> None:
        if not self.public_url.startswith(("http://", "https://")) or self.public_url.endswith("/"):
            raise ValueError("PaymentsSettings.public_url: like https://shop.example, without a slash at the end")
        if self.max_attempts < 1:
            raise ValueError("PaymentsSettings.max_attempts: at least 1")
