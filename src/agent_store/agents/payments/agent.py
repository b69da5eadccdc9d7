"""Payments: links, attempts, test cards, Pix, refunds."""

from __future__ import annotations

from agent_store.agents.payments import service
from agent_store.agents.payments.tables import metadata
from agent_store.contracts.payments import (
    CancelPayment,
    CardSubmitted,
    GetPaymentPage,
    GetPendingPayment,
    GetPixCode,
    PaymentExpiryDue,
    PaymentPage,
    PaymentRefund,
    PaymentRequest,
    PaymentSurplus,
    PaymentView,
    PixCode,
    SubmitOnPage,
    SubmitTestCard,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

payments = Agent("payments", tables=metadata)


@payments.process(PaymentRequest)
async def request(event: PaymentRequest, ctx: Context) -> None:
    await service.request(ctx, event)


@payments.on(PaymentExpiryDue)
async def expire(event: PaymentExpiryDue, ctx: Context) -> None:
    await service.expire(ctx, event.payment_id)


@payments.on(CancelPayment)
async def cancel(event: CancelPayment, ctx: Context) -> None:
    await service.cancel(ctx, event)


@payments.process(CardSubmitted)
async def charge(event: CardSubmitted, ctx: Context) -> None:
    await service.charge(ctx, event)


@payments.process(PaymentRefund)
async def refund(event: PaymentRefund, ctx: Context) -> None:
    await service.refund(ctx, event)


@payments.process(PaymentSurplus)
async def give_back(event: PaymentSurplus, ctx: Context) -> None:
    await service.give_back(ctx, event)


@payments.tool(GetPendingPayment)
async def pending(_: GetPendingPayment, ctx: Context) -> PaymentView | None:
    return await service.pending(ctx)


@payments.tool(SubmitTestCard)
async def submit_test_card(call: SubmitTestCard, ctx: Context) -> PaymentView:
    return await service.submit_in_chat(ctx, call)


@payments.tool(GetPaymentPage)
async def page(call: GetPaymentPage, ctx: Context) -> PaymentPage:
    return await service.page(ctx, call)


@payments.tool(GetPixCode)
async def pix_code(call: GetPixCode, ctx: Context) -> PixCode:
    return await service.pix_code(ctx, call)


@payments.tool(SubmitOnPage)
async def submit_on_page(call: SubmitOnPage, ctx: Context) -> PaymentPage:
    return await service.submit_on_page(ctx, call)
