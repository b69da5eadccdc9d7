"""Payments: links, intents, test cards, Pix, refunds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from agent_store.contracts.common import Language, Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool

FailureCode = Literal["insufficient_funds", "expired_card", "network_error", "invalid_card", "link_expired"]
TEST_CARDS: dict[str, FailureCode | None] = {
    "4242": None,
    "1111": "insufficient_funds",
    "2222": "expired_card",
    "3333": "network_error",
}
"""The seed's four test codes and how each ends; None succeeds."""


class PaymentRequest(Event, type="store.payment.request", topic="order", subject="order_id", partition="customer_id"):
    """Command: collect this amount. `expires_at` is before the stock reservation's, so that no link outlives it."""

    order_id: OrderId
    order_number: str
    customer_id: CustomerId
    conversation_id: ConversationId | None = None
    brand: str
    language: Language = "pt"
    amount: Money
    expires_at: datetime


class PaymentFact(Event):
    order_id: OrderId
    order_number: str
    customer_id: CustomerId
    conversation_id: ConversationId | None = None
    payment_id: str
    brand: str
    language: Language = "pt"
    amount: Money


class PixCode(Shape):
    """A dynamic Pix charge of exactly this payment."""

    copy_paste: str = Field(max_length=512)
    """The BR Code (EMV QRCPS-MPM text with its CRC) that a bank's app takes as it is."""
    image: str
    """The same as a QR code, PNG: a path of the store's own (`/media/pix/…`)."""
    txid: str
    """The provider's name of the charge (Pix API), which the code itself doesn't hold."""


class PaymentLinkCreated(
    PaymentFact, type="store.payment.link.created", topic="order", subject="order_id", partition="customer_id"
):
    link: str
    """Absolute URL of the payment page."""
    expires_at: datetime
    pix: PixCode | None = None
    """Where Pix can be paid: amounts in BRL, and a provider that has it."""


class PaymentSucceeded(
    PaymentFact, type="store.payment.succeeded", topic="order", subject="order_id", partition="customer_id"
):
    """The money is captured. `late`: after the link had expired."""

    method: str
    captured_at: datetime
    late: bool = False


class PaymentFailed(
    PaymentFact, type="store.payment.failed", topic="order", subject="order_id", partition="customer_id"
):
    """An attempt failed; the payment stays open until it expires. `suggestions` are stable ids of ways out
    ("try_other_card", "check_limit", "check_expiry", "try_again", "pay_on_page", "reserve_in_store", "talk_to_person")."""

    failure: FailureCode
    suggestions: tuple[str, ...]
    via: Literal["chat", "page"]
    attempt: int
    link: str | None = None


class PaymentExpired(
    PaymentFact, type="store.payment.expired", topic="order", subject="order_id", partition="customer_id"
):
    """Nobody paid in time; as a timer of `payments` it arrives at its own agent first."""


class PaymentExpiryDue(
    Event, type="store.payment.expiry.due", topic="order", subject="payment_id", partition="customer_id"
):
    """Timer of `payments`."""

    payment_id: str
    customer_id: CustomerId


class PaymentRefund(Event, type="store.payment.refund", topic="order", subject="order_id", partition="customer_id"):
    """Command: give the money back. Once an order, whatever the number of commands."""

    order_id: OrderId
    customer_id: CustomerId
    reason: str


class PaymentRefunded(
    PaymentFact, type="store.payment.refunded", topic="order", subject="order_id", partition="customer_id"
):
    reason: str


SurplusReason = Literal["paid_twice", "wrong_amount"]


class PaymentSurplus(Event, type="store.payment.surplus", topic="order", subject="payment_id", partition="customer_id"):
    """Command of `payments` to itself: money came that the payment has no place for (a card and a Pix at once, another
    amount), so give it back. `reference` is the provider's name of it."""

    payment_id: str
    customer_id: CustomerId
    reference: str
    amount: Money
    reason: SurplusReason


class PaymentSurplusRefunded(
    PaymentFact, type="store.payment.surplus.refunded", topic="order", subject="order_id", partition="customer_id"
):
    """Such money went back; the order stands as it stood. `amount` is what went back."""

    reason: SurplusReason


class CardSubmitted(
    Event, type="store.payment.card.submitted", topic="order", subject="payment_id", partition="customer_id"
):
    """Command of `payments` to itself: charge. Carries a test code or a provider's token, never a card number."""

    payment_id: str
    customer_id: CustomerId
    attempt: int
    token: str = Field(max_length=64)
    via: Literal["chat", "page"]


class PaymentView(Shape):
    payment_id: str
    order_id: OrderId
    order_number: str
    amount: Money
    state: Literal["open", "processing", "paid", "expired", "cancelled", "refunded"]
    link: str
    expires_at: datetime
    attempts: int = 0
    last_failure: FailureCode | None = None
    pix: PixCode | None = None


class GetPendingPayment(Tool[PaymentView | None], name="payments.pending"):
    """The customer's newest payment that is still open or processing; null when there is none.

    `pix.copy_paste`, where it is there, is a code for a bank's app: repeat it letter by letter, or not at all."""


class SubmitTestCard(Tool[PaymentView], name="payments.submit_test_card", writes=True):
    """Pay the open payment with one of the four test codes (4242, 1111, 2222, 3333). The outcome arrives as a message
    of its own. Refused (conflict) when nothing is open; invalid-input for any other code."""

    code: str = Field(pattern=r"^\d{4}$")


class CancelPayment(Event, type="store.payment.cancel", topic="order", subject="order_id", partition="customer_id"):
    """Command: the order is gone, let nobody pay for it any more."""

    order_id: OrderId
    customer_id: CustomerId


class PaymentPage(PaymentView):
    """What the payment page shows. `brand_name` and `color` (CSS hex) are the brand's; `suggestions` as in
    `PaymentFailed`, for the last failed attempt. `now` is the store's time, for the countdown."""

    brand: str
    brand_name: str
    color: str
    language: Language = "pt"
    suggestions: tuple[str, ...] = ()
    now: datetime


class GetPaymentPage(Tool[PaymentPage], name="payments.page"):
    """A payment as its page shows it. The link's token is the credential: not-found when it is not the payment's."""

    payment_id: str
    token: str = Field(max_length=128)


class GetPixCode(Tool[PixCode], name="payments.pix_code"):
    """A payment's Pix code, for who shows it as a picture. `key` is the picture's own secret (it opens no payment page):
    not-found when it is not the payment's, or there is no Pix for it."""

    payment_id: str
    key: str = Field(max_length=128)


class SubmitOnPage(Tool[PaymentPage], name="payments.submit_on_page", writes=True):
    """Pay on the page with one of the four test codes. `attempt` is the number of the attempt that the page offered:
    refused (conflict) when another one came first."""

    payment_id: str
    token: str = Field(max_length=128)
    code: str = Field(pattern=r"^\d{4}$")
    attempt: int = Field(ge=1)
