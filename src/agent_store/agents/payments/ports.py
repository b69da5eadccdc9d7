"""The `PaymentProvider` port: who takes the money."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from agent_store.contracts.common import Shape
from agent_store.contracts.payments import FailureCode
from agent_store.kernel.money import Money


class ChargeOutcome(Shape):
    """How a charge ended, for certain. `failure` is None when the money is captured; `reference` is the provider's
    name of the charge, `method` how it was paid ("test_card"), `at` when it ended (aware UTC)."""

    reference: str
    method: str
    at: datetime
    failure: FailureCode | None = None


class RefundOutcome(Shape):
    """Money given back: the provider's reference of the refund."""

    reference: str
    at: datetime


class PaymentProvider(Protocol):
    """Charges and refunds, each idempotent by its key: the same key and arguments give the first outcome again and
    move no money; other arguments raise KeyReused.

    An implementation raises TemporaryError whenever it doesn't know how a charge ended (timeout, 5xx, broken
    connection): it is asked again with the same key until it knows. A failure "network_error" is the provider's own
    word that the card's network could not be reached and nothing was captured.
    """

    async def charge(self, token: str, amount: Money, idempotency_key: str) -> ChargeOutcome:
        """Capture `amount` from the card behind `token` (a test code or the provider's token, never a number)."""
        ...

    async def refund(self, reference: str, amount: Money, idempotency_key: str) -> RefundOutcome:
        """Give back `amount` of the charge `reference`. Raises NotFound when there is no such captured charge."""
        ...
