"""The ports of payments: who takes the money, and how it is heard of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from pydantic import Field

from agent_store.contracts.common import Shape
from agent_store.contracts.payments import FailureCode
from agent_store.kernel.errors import PermanentError
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


class PixCharge(Shape):
    """A dynamic Pix charge that waits for its payer. `copy_paste` is its BR Code."""

    txid: str
    copy_paste: str = Field(max_length=512)


class PixReceived(Shape):
    """Money that came in by Pix. `reference` is its end-to-end id (Pix API: `endToEndId`), which no other money has."""

    txid: str = Field(max_length=40)
    reference: str = Field(min_length=1, max_length=64)
    amount: Money
    paid_at: datetime


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

    async def pix(self, txid: str, amount: Money, expires_at: datetime) -> PixCharge | None:
        """Make a dynamic charge of exactly `amount`; None from a provider that has no Pix. `txid` is the key as well.

        The link to pay waits for this, so an answer takes seconds at most; after any StoreError the payment goes on
        without Pix. Money is told of by a callback (`Callbacks`), never here.
        """
        ...

    async def refund(self, reference: str, amount: Money, idempotency_key: str) -> RefundOutcome:
        """Give back `amount` of the charge `reference`, or of the Pix with this end-to-end id. Raises NotFound when there is
        no such captured money."""
        ...


class BadSignature(PermanentError):
    """A callback that is not from the provider, or is too old to be believed."""

    code = "bad-signature"
    status = 401


class Callbacks(Protocol):
    """Reads what a provider posts to `/webhooks/payments/<name>`."""

    @property
    def name(self) -> str: ...

    def read(self, headers: Mapping[str, str], body: bytes) -> tuple[PixReceived, ...]:
        """The money that it tells of; header names are in lower case. Raises BadSignature before the body is looked into, and
        InvalidInput when it is not as the provider writes it."""
        ...


class PixPayer(Protocol):
    """A customer's bank that is none: only where no money moves."""

    async def pay(self, txid: str) -> None:
        """Pay a charge as its code says. Raises Conflict when it is paid or its time is over."""
        ...
