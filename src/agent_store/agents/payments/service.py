"""Use cases of payments: ask for money, take it once, give it back once."""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Any

from agent_store.agents.payments.model import Payment, Via, suggestions
from agent_store.agents.payments.ports import ChargeOutcome, PaymentProvider, RefundOutcome
from agent_store.agents.payments.repository import Payments
from agent_store.agents.payments.settings import PaymentsSettings
from agent_store.contracts.brands import Directory
from agent_store.contracts.payments import (
    TEST_CARDS,
    CancelPayment,
    CardSubmitted,
    GetPaymentPage,
    PaymentExpired,
    PaymentExpiryDue,
    PaymentFact,
    PaymentFailed,
    PaymentLinkCreated,
    PaymentPage,
    PaymentRefund,
    PaymentRefunded,
    PaymentRequest,
    PaymentSucceeded,
    PaymentView,
    SubmitOnPage,
    SubmitTestCard,
)
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from agent_store.kernel.ids import CustomerId

_NEUTRAL = "#444444"
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


async def request(ctx: Context, event: PaymentRequest) -> None:
    """Make the order's payment and its link, once."""
    payments, now = ctx.get(Payments), ctx.now()
    if not await payments.close_question(event.order_id, now):
        return  # made before, or cancelled before it was asked for
    payment_id, secret = ctx.new_id(), secrets.token_urlsafe(24)
    payment = Payment(
        id=payment_id,
        order_id=event.order_id,
        order_number=event.order_number,
        customer_id=event.customer_id,
        conversation_id=event.conversation_id,
        brand=event.brand,
        channel=ctx.event.channel,
        language=event.language,
        amount=event.amount,
        secret=secret,
        link=f"{ctx.use(PaymentsSettings).public_url}/pay/{payment_id}?t={secret}",
        expires_at=event.expires_at,
        created_at=now,
        updated_at=now,
    )
    if not await payments.add(payment):
        return
    _emit(ctx, payment, PaymentLinkCreated, link=payment.link, expires_at=payment.expires_at)
    ctx.emit(
        PaymentExpiryDue(payment_id=payment.id, customer_id=payment.customer_id),
        at=payment.expires_at,
        brand=payment.brand,
        channel=payment.channel,
    )


async def expire(ctx: Context, payment_id: str) -> None:
    """The link's time is over. While a charge is in flight, its outcome decides."""
    payments = ctx.get(Payments)
    payment = _known(await payments.for_update(payment_id))
    if payment.expire(ctx.now()):
        _emit(ctx, payment, PaymentExpired)
    await payments.save(payment)


async def cancel(ctx: Context, event: CancelPayment) -> None:
    """The order is gone: nobody pays for it any more. A charge in flight ends first; orders refunds what it takes."""
    payments = ctx.get(Payments)
    payment = await payments.of_order_for_update(event.order_id)
    if payment is None:
        await payments.close_question(event.order_id, ctx.now())
        return
    payment.cancel(ctx.now())
    await payments.save(payment)


async def pending(ctx: Context) -> PaymentView | None:
    payment = await ctx.get(Payments).pending(_customer(ctx))
    return None if payment is None else _view(payment)


async def submit_in_chat(ctx: Context, call: SubmitTestCard) -> PaymentView:
    """Raises InvalidInput for anything but a test code; Conflict with code "nothing-to-pay", "payment-processing",
    "payment-expired" or "too-many-attempts"."""
    customer_id = _customer(ctx)
    if ctx.principal.conversation_id is not None:
        await ctx.fence(ctx.principal.conversation_id, ctx.principal.lease_token)
    _check_code(call.code)
    payments = ctx.get(Payments)
    payment = await payments.pending_for_update(customer_id)
    if payment is None:
        raise Conflict("the customer has no open payment", code="nothing-to-pay")
    await _submit(ctx, payment, call.code, "chat")
    return _view(payment)


async def page(ctx: Context, call: GetPaymentPage) -> PaymentPage:
    """Raises NotFound for an unknown payment and for a wrong token alike."""
    return _page(ctx, _of_link(await ctx.get(Payments).find(call.payment_id), call.token))


async def submit_on_page(ctx: Context, call: SubmitOnPage) -> PaymentPage:
    """As `submit_in_chat`, for whoever has the link; Conflict "attempt-over" for a page that is out of date."""
    payment = _of_link(await ctx.get(Payments).for_update(call.payment_id), call.token)
    _check_code(call.code)
    if payment.state == "open" and call.attempt != payment.attempts + 1:
        raise Conflict("another attempt came first: look at the page again", code="attempt-over")
    await _submit(ctx, payment, call.code, "page")
    return _page(ctx, payment)


async def _submit(ctx: Context, payment: Payment, code: str, via: Via) -> None:
    payments, now = ctx.get(Payments), ctx.now()
    attempt = payment.submit(via, now, ctx.use(PaymentsSettings).max_attempts)
    await payments.save(payment)
    await payments.begin_attempt(payment.id, attempt, via, now)
    ctx.emit(
        CardSubmitted(payment_id=payment.id, customer_id=payment.customer_id, attempt=attempt, token=code, via=via),
        brand=payment.brand,
        channel=payment.channel,
    )


async def charge(ctx: Context, event: CardSubmitted) -> None:
    """One attempt: look whether it is still wanted, ask the provider, write down what came of it.

    The provider's key is payment and attempt, so that a charge that is asked for again after a crash is the same one.
    """

    async def begin(tx: Context) -> bool:
        payments = tx.get(Payments)
        payment = _known(await payments.for_update(event.payment_id))
        before = payment.state
        wanted = payment.may_charge(event.attempt, tx.now())
        await payments.save(payment)
        if payment.state != before:
            await payments.end_attempt(payment.id, event.attempt, "not_charged", None, tx.now())
            if payment.state == "expired":
                _emit(tx, payment, PaymentExpired)
        return wanted

    if not await ctx.write("begin", begin, bool):
        return
    amount = _known(await ctx.get(Payments).find(event.payment_id)).amount  # never changes: the same after a crash
    provider = ctx.use(PaymentProvider)
    key = f"{event.payment_id}:{event.attempt}"
    outcome = await ctx.step("charge", lambda: provider.charge(event.token, amount, key), ChargeOutcome)

    async def settle(tx: Context) -> None:
        await _settle(tx, event, outcome)

    await ctx.write("settle", settle)


async def _settle(tx: Context, event: CardSubmitted, outcome: ChargeOutcome) -> None:
    payments, now = tx.get(Payments), tx.now()
    payment = _known(await payments.for_update(event.payment_id))
    late = payment.closing == "expired" or outcome.at >= payment.expires_at
    if outcome.failure is None:
        if not payment.captured(event.attempt, outcome.reference, now):
            return
        _emit(tx, payment, PaymentSucceeded, method=outcome.method, captured_at=outcome.at, late=late)
    else:
        if not payment.failed(event.attempt, outcome.failure, now):
            return
        if payment.state == "open":
            _emit(
                tx,
                payment,
                PaymentFailed,
                failure=outcome.failure,
                suggestions=suggestions(outcome.failure, event.via),
                via=event.via,
                attempt=event.attempt,
                link=payment.link,
            )
        elif payment.state == "expired":
            _emit(tx, payment, PaymentExpired)
    await payments.end_attempt(payment.id, event.attempt, outcome.failure or "captured", outcome.reference, now)
    await payments.save(payment)
    tx.log.info("payment.settled", payment_id=payment.id, attempt=event.attempt, outcome=outcome.failure, late=late)


async def refund(ctx: Context, event: PaymentRefund) -> None:
    """Give an order's money back, once: the provider's key is the payment, and only the first outcome is told.

    Raises NotFound for an order without payment, Conflict when nothing was captured.
    """
    payment = _known(await ctx.get(Payments).of_order(event.order_id))
    reference = payment.reference
    if reference is None:
        raise Conflict(f"order {payment.order_number} was never paid: there is nothing to give back", code="not-paid")
    provider = ctx.use(PaymentProvider)
    key = f"{payment.id}:refund"
    outcome = await ctx.step("refund", lambda: provider.refund(reference, payment.amount, key), RefundOutcome)

    async def settle(tx: Context) -> None:
        payments = tx.get(Payments)
        paid = _known(await payments.for_update(payment.id))
        if paid.refund(tx.now()):
            await payments.save(paid)
            _emit(tx, paid, PaymentRefunded, reason=event.reason)
            tx.log.info("payment.refunded", payment_id=paid.id, reference=outcome.reference)

    await ctx.write("settle", settle)


# --- the pieces ---------------------------------------------------------------------------------------------------


def _emit(ctx: Context, payment: Payment, kind: type[PaymentFact], **more: Any) -> None:
    """A fact of this payment; the payment's own brand and channel, since a timer or a page has none."""
    ctx.emit(
        kind(
            order_id=payment.order_id,
            order_number=payment.order_number,
            customer_id=payment.customer_id,
            conversation_id=payment.conversation_id,
            payment_id=payment.id,
            brand=payment.brand,
            language=payment.language,
            amount=payment.amount,
            **more,
        ),
        brand=payment.brand,
        channel=payment.channel,
    )


def _customer(ctx: Context) -> CustomerId:
    if ctx.principal.customer_id is None:
        raise Forbidden("a payment belongs to a customer: call this on behalf of one")
    return CustomerId(ctx.principal.customer_id)


def _check_code(code: str) -> None:
    if code not in TEST_CARDS:
        raise InvalidInput(f"code: one of {', '.join(TEST_CARDS)}", field="code", codes=list(TEST_CARDS))


def _known(payment: Payment | None) -> Payment:
    if payment is None:
        raise NotFound("there is no such payment")
    return payment


def _of_link(payment: Payment | None, token: str) -> Payment:
    """In constant time, and the same answer for a wrong id and a wrong token: nothing can be found out by trying."""
    expected = payment.secret if payment else "-"
    if not hmac.compare_digest(expected.encode(), token.encode()) or payment is None:
        raise NotFound("this payment link is not valid: open it as it was sent")
    return payment


def _view(payment: Payment) -> PaymentView:
    return PaymentView(
        payment_id=payment.id,
        order_id=payment.order_id,
        order_number=payment.order_number,
        amount=payment.amount,
        state=payment.state,
        link=payment.link,
        expires_at=payment.expires_at,
        attempts=payment.attempts,
        last_failure=payment.last_failure,
    )


def _page(ctx: Context, payment: Payment) -> PaymentPage:
    brand = ctx.use(Directory).brand(payment.brand)
    failure = payment.last_failure
    return PaymentPage(
        **_view(payment).model_dump(),
        brand=payment.brand,
        brand_name=brand.name if brand else payment.brand,
        color=brand.color if brand and _COLOR.fullmatch(brand.color) else _NEUTRAL,  # it goes into a style sheet
        language=payment.language,
        suggestions=suggestions(failure, "page") if failure else (),
        now=ctx.now(),
    )
