"""A payment as a pure state machine, and what a customer can do about each failure.

    open ⇄ processing → paid → refunded
     └──────────┴─────→ expired, cancelled → paid, by a Pix that came late

A card and a Pix may be paid at the same time: the first that is captured pays, whatever comes after it is a surplus and
goes back. A Pix can come in until the end and later: nothing but its code holds it up, so money is taken as paid in any state
that is not paid, and orders decide what becomes of it.

While a charge is in flight nobody knows whether the money moves, so neither the end of the link nor a cancelled order
ends the payment then: it is kept in `closing`, and the charge's outcome decides. Money that comes in after that is a
late capture; a charge that fails then ends the payment.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from agent_store.contracts.common import Language
from agent_store.contracts.payments import FailureCode, SurplusReason
from agent_store.kernel.errors import Conflict
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId
from agent_store.kernel.money import Money

State = Literal["open", "processing", "paid", "expired", "cancelled", "refunded"]
Closing = Literal["expired", "cancelled"]
Via = Literal["chat", "page"]

_SUGGESTIONS: dict[FailureCode, tuple[str, ...]] = {
    "insufficient_funds": ("try_other_card", "check_limit", "reserve_in_store", "talk_to_person"),
    "expired_card": ("check_expiry", "try_other_card", "talk_to_person"),
    "network_error": ("try_again", "try_other_card", "talk_to_person"),
    "invalid_card": ("try_other_card", "talk_to_person"),
    "link_expired": ("reserve_in_store", "talk_to_person"),
}


def suggestions(failure: FailureCode, via: Via) -> tuple[str, ...]:
    """Stable ids of ways out, the most useful first. In a chat the page is one; on the page it isn't."""
    ways = _SUGGESTIONS[failure]
    if via == "chat" and failure != "link_expired":
        return (*ways[:-1], "pay_on_page", ways[-1])
    return ways


def txid_of(payment_id: str) -> str:
    """The name of a payment's Pix charge with the provider: 32 letters and digits, the same however often it is asked for."""
    return UUID(payment_id).hex


def picture_key(secret: str) -> str:
    """The secret of the QR picture's address. It travels to whoever fetches pictures, so it must not open the page."""
    return hmac.digest(secret.encode(), b"pix.png", "sha256").hex()[:32]


@dataclass(slots=True)
class Payment:
    """`secret` is the link's token; `asked`: the provider was asked for the current attempt (or is about to be), so
    that money may move; `reference` is the provider's name of the captured charge. `txid` names the Pix charge, where there
    may be one, and `pix` is its code once the provider has made it."""

    id: str
    order_id: OrderId
    order_number: str
    customer_id: CustomerId
    conversation_id: ConversationId | None
    brand: str
    channel: str | None
    language: Language
    amount: Money
    secret: str
    link: str
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    state: State = "open"
    closing: Closing | None = None
    attempts: int = 0
    asked: bool = False
    via: Via | None = None
    last_failure: FailureCode | None = None
    reference: str | None = None
    txid: str | None = None
    pix: str | None = None

    def submit(self, via: Via, at: datetime, max_attempts: int) -> int:
        """Begin an attempt; returns its number, from 1. Raises Conflict that says why there is none to begin."""
        if self.state == "processing":
            raise Conflict(
                "a charge is being processed: wait for its outcome before trying again", code="payment-processing"
            )
        if self.state in ("paid", "refunded"):
            raise Conflict(f"order {self.order_number} is paid already", code="already-paid")
        if self.state == "expired" or (self.state == "open" and at >= self.expires_at):
            raise Conflict("the payment link has expired: order again", code="payment-expired")
        if self.state == "cancelled":
            raise Conflict(
                f"order {self.order_number} was cancelled: there is nothing to pay", code="payment-cancelled"
            )
        if self.attempts >= max_attempts:
            raise Conflict(
                "too many attempts for one payment: ask a person of the staff for help", code="too-many-attempts"
            )
        self.state, self.via = "processing", via
        self.attempts += 1
        self.asked = False
        self.updated_at = at
        return self.attempts

    def may_charge(self, attempt: int, at: datetime) -> bool:
        """Just before the provider is asked: is this attempt still wanted? If not, and it is the current one, it ends
        here, and the payment with it. Once asked it is asked again: only the provider knows how it ended."""
        if self.state != "processing" or attempt != self.attempts:
            return False
        if self.asked or (self.closing is None and at < self.expires_at):
            self.asked = True
            return True
        self._end(self.closing or "expired", at)
        return False

    def captured(self, attempt: int, reference: str, at: datetime) -> bool:
        """The money is in. False when that was known."""
        if self.state != "processing" or attempt != self.attempts:
            return False
        self.state, self.closing, self.reference, self.last_failure = "paid", None, reference, None
        self.updated_at = at
        return True

    def failed(self, attempt: int, failure: FailureCode, at: datetime) -> bool:
        """The attempt failed: open again, unless the payment was to end meanwhile. False when that was known."""
        if self.state != "processing" or attempt != self.attempts:
            return False
        self.last_failure = failure
        if self.closing is not None:
            self._end(self.closing, at)
        else:
            self.state = "open"
            self.updated_at = at
        return True

    def surplus(self, reference: str) -> bool:
        """The payment is paid by other money than this."""
        return self.state in ("paid", "refunded") and reference != self.reference

    def pix_received(self, reference: str, amount: Money, at: datetime) -> SurplusReason | None:
        """Money came in by Pix: it pays, also after the end and while a card is being charged; or it is a surplus."""
        if amount != self.amount:
            return "wrong_amount"
        if self.state in ("paid", "refunded"):
            return "paid_twice"
        self.state, self.closing, self.reference, self.last_failure = "paid", None, reference, None
        self.updated_at = at
        return None

    def expire(self, at: datetime) -> bool:
        """The link's time is over. True when the payment ends by it now."""
        return at >= self.expires_at and self._close("expired", at)

    def cancel(self, at: datetime) -> bool:
        """The order is gone. True when the payment ends by it now."""
        return self._close("cancelled", at)

    def refund(self, at: datetime) -> bool:
        """The money went back. False when that was known."""
        if self.state != "paid":
            return False
        self.state = "refunded"
        self.updated_at = at
        return True

    def _close(self, how: Closing, at: datetime) -> bool:
        if self.state == "open":
            self._end(how, at)
            return True
        if self.state == "processing" and self.closing != "cancelled":
            self.closing = how
            self.updated_at = at
        return False

    def _end(self, how: Closing, at: datetime) -> None:
        self.state, self.closing = how, None
        self.updated_at = at
