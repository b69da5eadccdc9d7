"""Conversations: who the customer is, whose turn it is, and the one door out to them."""

from __future__ import annotations

from agent_store.agents.conversations import answering, asking, hearing, notices, people
from agent_store.agents.conversations.tables import metadata
from agent_store.contracts.chat import (
    ChatResponse,
    ChatTurnDue,
    ChatTurnExpired,
    ConversationSummary,
    Decision,
    GetDecisions,
    GetHistory,
    GetProfile,
    GetTranscript,
    HistoryLine,
    ListConversations,
    Profile,
    Remember,
    Transcript,
)
from agent_store.contracts.orders import (
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderPicked,
    OrderRejected,
    OrderShipped,
)
from agent_store.contracts.payments import PaymentFailed, PaymentLinkCreated, PaymentRefunded
from agent_store.contracts.people import EscalationAccepted, SalesEscalate, SalesHandoff
from agent_store.contracts.whatsapp import WhatsAppMessageReceived, WhatsAppStatus
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

conversations = Agent("conversations", tables=metadata)


# --- what a customer writes, and turns


@conversations.on(WhatsAppMessageReceived)
async def receive(event: WhatsAppMessageReceived, ctx: Context) -> None:
    await hearing.receive(event, ctx)


@conversations.on(ChatTurnDue)
async def turn_due(event: ChatTurnDue, ctx: Context) -> None:
    await answering.turn_due(event, ctx)


@conversations.on(ChatTurnExpired)
async def turn_expired(event: ChatTurnExpired, ctx: Context) -> None:
    await answering.turn_expired(event, ctx)


@conversations.on(ChatResponse)
async def respond(event: ChatResponse, ctx: Context) -> None:
    await answering.respond(event, ctx)


@conversations.on(WhatsAppStatus)
async def status(event: WhatsAppStatus, ctx: Context) -> None:
    await answering.status(event, ctx)


# --- people


@conversations.on(SalesEscalate)
async def escalated(event: SalesEscalate, ctx: Context) -> None:
    await people.escalated(event, ctx)


@conversations.on(EscalationAccepted)
async def accepted(event: EscalationAccepted, ctx: Context) -> None:
    await people.accepted(event, ctx)


@conversations.on(SalesHandoff)
async def handed_off(event: SalesHandoff, ctx: Context) -> None:
    await people.handed_off(event, ctx)


# --- what the customer is told of orders and payments


@conversations.on(PaymentLinkCreated)
async def payment_link(event: PaymentLinkCreated, ctx: Context) -> None:
    await notices.link(ctx, event)


@conversations.on(PaymentFailed)
async def payment_failed(event: PaymentFailed, ctx: Context) -> None:
    await notices.failed(ctx, event)


@conversations.on(PaymentRefunded)
async def payment_refunded(event: PaymentRefunded, ctx: Context) -> None:
    await notices.refunded(ctx, event)


@conversations.on(OrderConfirmed)
async def order_confirmed(event: OrderConfirmed, ctx: Context) -> None:
    await notices.confirmed(ctx, event)


@conversations.on(OrderRejected)
async def order_rejected(event: OrderRejected, ctx: Context) -> None:
    await notices.rejected(ctx, event)


@conversations.on(OrderPicked)
async def order_picked(event: OrderPicked, ctx: Context) -> None:
    await notices.picked(ctx, event)


@conversations.on(OrderShipped)
async def order_shipped(event: OrderShipped, ctx: Context) -> None:
    await notices.shipped(ctx, event)


@conversations.on(OrderDelivered)
async def order_delivered(event: OrderDelivered, ctx: Context) -> None:
    await notices.delivered(ctx, event)


@conversations.on(OrderCancelled)
async def order_cancelled(event: OrderCancelled, ctx: Context) -> None:
    await notices.cancelled(ctx, event)


# --- tools


@conversations.tool(GetHistory)
async def history(call: GetHistory, ctx: Context) -> tuple[HistoryLine, ...]:
    return await asking.history(call, ctx)


@conversations.tool(GetProfile)
async def profile(call: GetProfile, ctx: Context) -> Profile:
    return await asking.profile(ctx)


@conversations.tool(Remember)
async def remember(call: Remember, ctx: Context) -> Profile:
    return await asking.remember(call, ctx)


@conversations.tool(ListConversations)
async def list_conversations(call: ListConversations, ctx: Context) -> tuple[ConversationSummary, ...]:
    return await asking.list_conversations(call, ctx)


@conversations.tool(GetTranscript)
async def transcript(call: GetTranscript, ctx: Context) -> Transcript:
    return await asking.transcript(call, ctx)


@conversations.tool(GetDecisions)
async def decisions(call: GetDecisions, ctx: Context) -> tuple[Decision, ...]:
    return await asking.list_decisions(call, ctx)
