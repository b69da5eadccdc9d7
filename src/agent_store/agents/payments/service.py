"""Use cases of payments: ask for money, take it once, give it back once."""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Any

from agent_store.agents.payments import pix
from agent_store.agents.payments.model import Payment, Via, picture_key, suggestions, txid_of
from agent_store.agents.payments.ports import ChargeOutcome, PaymentProvider, PixCharge, PixReceived, RefundOutcome
from agent_store.agents.payments.repository import Payments
from agent_store.agents.payments.settings import PaymentsSettings
from agent_store.contracts.brands import Directory
from agent_store.contracts.common import Shape
from agent_store.contracts.payments import (
    TEST_CARDS,
    CancelPayment,
    CardSubmitted,
    GetPaymentPage,
    GetPixCode,
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
    PaymentSurplus,
    PaymentSurplusRefunded,
    PaymentView,
    PixCode,
    SubmitOnPage,
    SubmitTestCard,
    SurplusReason,
)
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, KeyReused, NotFound, StoreError
from agent_store.kernel.ids import CustomerId, derived_id
from agent_store.kernel.money import Money

_NEUTRAL = "#444444"
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class _Offer(Shape):
    """What the provider has made for Pix; None: cards only."""

    charge: PixCharge | None = None


async def request(ctx: Context, event: PaymentRequest) -> None:
    """Make the order's payment, once; have its Pix charge made; then tell of the link."""

    async def begin(tx: Context) -> str:
        return await make(tx, event)

    payment_id = await ctx.write("make", begin, str)
    if not payment_id:
        return  # made before, or cancelled before it was asked for
    payment = _known(await ctx.get(Payments).find(payment_id))
    offer = await ctx.step("pix", lambda: _offer(ctx, payment), _Offer) if payment.txid else _Offer()

    async def tell(tx: Context) -> None:
        payments = tx.get(Payments)
        made = _known(await payments.for_update(payment_id))
        made.pix = offer.charge.copy_paste if offer.charge else None
        await payments.save(made)
        if made.state in ("open", "processing"):  # else the order is gone, or its time is over, and that has been told
            _emit(tx, made, PaymentLinkCreated, link=made.link, expires_at=made.expires_at, pix=_pix(made))

    await ctx.write("tell", tell)


async def make(ctx: Context, event: PaymentRequest) -> str:
    """Within a transaction. The new payment's id; "" when there is none to make."""
    payments, now = ctx.get(Payments), ctx.now()
    if not await payments.close_question(event.order_id, now):
        return ""
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
        txid=txid_of(payment_id) if event.amount.currency == "BRL" else None,
    )
    if not await payments.add(payment):
        return ""
    ctx.emit(
        PaymentExpiryDue(payment_id=payment.id, customer_id=payment.customer_id),
        at=payment.expires_at,
        brand=payment.brand,
        channel=payment.channel,
    )
    return payment_id


async def _offer(ctx: Context, payment: Payment) -> _Offer:
    """A provider that has no Pix, or none at the moment, takes nothing from the link: it is paid by card then."""
    try:
        charge = await ctx.use(PaymentProvider).pix(payment.txid or "", payment.amount, payment.expires_at)
        if charge is not None and pix.read(charge.copy_paste).amount not in (None, payment.amount):
            raise InvalidInput(f"the code is not for {payment.amount}")
    except StoreError as error:
        ctx.log.warning("pix.not_offered", payment_id=payment.id, code=error.code, why=error.message)
        return _Offer()
    return _Offer(charge=charge)


async def pix_received(ctx: Context, received: PixReceived) -> str:
    """Money that a provider tells of, once an end-to-end id: "paid"; "known" when it was told before; the reason when it goes
    back; "unknown" when it is for no payment of ours.

    Raises KeyReused when the same money is told of as another amount or for another payment.
    """
    payments, now = ctx.get(Payments), ctx.now()
    payment = await payments.of_txid_for_update(received.txid)
    before = await payments.receipt(received.reference)
    if before is not None:
        if payment is None or before != (payment.id, received.amount.minor):
            raise KeyReused(f"Pix {received.reference} was told of before with other data: look into it by hand")
        return "known"
    if payment is None:
        ctx.log.warning("pix.unknown", txid=received.txid, reference=received.reference)
        return "unknown"
    late = payment.state == "expired" or payment.closing == "expired" or received.paid_at >= payment.expires_at
    surplus = payment.pix_received(received.reference, received.amount, now)
    outcome = surplus or "paid"
    await payments.add_receipt(received.reference, payment.id, received.amount, outcome, received.paid_at, now)
    if surplus is None:
        await payments.save(payment)
        _emit(ctx, payment, PaymentSucceeded, method="pix", captured_at=received.paid_at, late=late)
    else:
        _give_back(ctx, payment, received.reference, received.amount, surplus)
    ctx.log.info("pix.received", payment_id=payment.id, outcome=outcome, late=late)
    return outcome


def _give_back(ctx: Context, payment: Payment, reference: str, amount: Money, reason: SurplusReason) -> None:
    ctx.emit(
        PaymentSurplus(
            payment_id=payment.id,
            customer_id=payment.customer_id,
            reference=reference,
            amount=amount,
            reason=reason,
        ),
        brand=payment.brand,
        channel=payment.channel,
        id=derived_id("surplus", payment.id, reference),
    )


async def give_back(ctx: Context, event: PaymentSurplus) -> None:
    """Return money that the payment has no place for; what the order was paid with stays."""
    payment = _known(await ctx.get(Payments).find(event.payment_id))
    provider = ctx.use(PaymentProvider)
    key = f"{payment.id}:surplus:{event.reference}"
    outcome = await ctx.step("refund", lambda: provider.refund(event.reference, event.amount, key), RefundOutcome)

    async def tell(tx: Context) -> None:
        _emit(tx, payment, PaymentSurplusRefunded, amount=event.amount, reason=event.reason)
        tx.log.info("payment.surplus_refunded", payment_id=payment.id, reference=outcome.reference, why=event.reason)

    await ctx.write("tell", tell)


async def pix_code(ctx: Context, call: GetPixCode) -> PixCode:
    """Raises NotFound for an unknown payment, a wrong key and a payment without Pix alike."""
    payment = await ctx.get(Payments).find(call.payment_id)
    expected = picture_key(payment.secret if payment else "-")
    if not hmac.compare_digest(expected.encode(), call.key.encode()) or payment is None:
        raise NotFound("there is no such picture")
    code = _pix(payment)
    if code is None:
        raise NotFound("there is no such picture")
    return code


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
        if not wanted:  # its time is over, or a Pix has come in; an attempt that has ended stays as it ended
            await payments.end_attempt(payment.id, event.attempt, "not_charged", None, tx.now())
        if payment.state == "expired" and before != "expired":
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
    end = outcome.failure or "captured"
    if outcome.failure is None and payment.surplus(outcome.reference):
        end = "surplus"
        _give_back(tx, payment, outcome.reference, payment.amount, "paid_twice")
    elif payment.state in ("paid", "refunded"):
        pass  # paid by Pix meanwhile, and the card took nothing; or this was written down before
    elif outcome.failure is None:
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
    await payments.end_attempt(payment.id, event.attempt, end, outcome.reference, now)
    await payments.save(payment)
    tx.log.info("payment.settled", payment_id=payment.id, attempt=event.attempt, outcome=end, late=late)


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
            **{"amount": payment.amount, **more},
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


def _pix(payment: Payment) -> PixCode | None:
    if payment.pix is None or payment.txid is None:
        return None
    image = f"/media/pix/{payment.id}.png?t={picture_key(payment.secret)}"
    return PixCode(copy_paste=payment.pix, image=image, txid=payment.txid)


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
        pix=_pix(payment),
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
