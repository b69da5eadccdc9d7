"""Conversations: who the customer is, whose turn it is, and the one door out to them."""

from __future__ import annotations

from agent_store.agents.conversations import (
    answering,
    asking,
    consents,
    contacts,
    hearing,
    news,
    notices,
    people,
    unsaid,
)
from agent_store.agents.conversations.tables import metadata
from agent_store.contracts.chat import (
    ChatMediumOverdue,
    ChatResponse,
    ChatTurnDue,
    ChatTurnExpired,
    Consent,
    ConversationSummary,
    CustomerContact,
    CustomerContactDue,
    Decision,
    GetConsent,
    GetDecisions,
    GetHistory,
    GetProfile,
    GetTranscript,
    HistoryLine,
    ListConversations,
    Profile,
    Remember,
    SetConsent,
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
from agent_store.contracts.payments import (
    PaymentFailed,
    PaymentLinkCreated,
    PaymentRefunded,
    PaymentSurplusRefunded,
)
from agent_store.contracts.people import EscalationAccepted, SalesEscalate, SalesHandoff
from agent_store.contracts.whatsapp import (
    WhatsAppIdentityChanged,
    WhatsAppMarketingChosen,
    WhatsAppMediaReceived,
    WhatsAppMessageDeleted,
    WhatsAppMessageEdited,
    WhatsAppMessageReceived,
    WhatsAppStatus,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

conversations = Agent("conversations", tables=metadata)


# --- what a customer writes, and turns


@conversations.on(WhatsAppMessageReceived)
async def receive(event: WhatsAppMessageReceived, ctx: Context) -> None:
    await hearing.receive(event, ctx)


@conversations.on(WhatsAppMediaReceived)
async def medium(event: WhatsAppMediaReceived, ctx: Context) -> None:
    await news.medium(event, ctx)


@conversations.on(ChatMediumOverdue)
async def medium_overdue(event: ChatMediumOverdue, ctx: Context) -> None:
    await news.overdue(event, ctx)


@conversations.on(WhatsAppMessageEdited)
async def edited(event: WhatsAppMessageEdited, ctx: Context) -> None:
    await news.edited(event, ctx)


@conversations.on(WhatsAppMessageDeleted)
async def deleted(event: WhatsAppMessageDeleted, ctx: Context) -> None:
    await news.deleted(event, ctx)


@conversations.on(WhatsAppIdentityChanged)
async def identity_changed(event: WhatsAppIdentityChanged, ctx: Context) -> None:
    await news.identity_changed(event, ctx)


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
    await consents.refused_by_platform(event, ctx)
    await unsaid.kept_back(event, ctx)


# --- what customers agreed to, and what the store says of its own accord


@conversations.on(WhatsAppMarketingChosen)
async def marketing_chosen(event: WhatsAppMarketingChosen, ctx: Context) -> None:
    await consents.chosen_in_whatsapp(event, ctx)


@conversations.on(CustomerContact)
async def contact(event: CustomerContact, ctx: Context) -> None:
    await contacts.asked(event, ctx)


@conversations.on(CustomerContactDue)
async def contact_due(event: CustomerContactDue, ctx: Context) -> None:
    await contacts.due(event, ctx)


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


@conversations.on(PaymentSurplusRefunded)
async def payment_surplus(event: PaymentSurplusRefunded, ctx: Context) -> None:
    await notices.surplus_refunded(ctx, event)


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


@conversations.tool(GetConsent)
async def consent(call: GetConsent, ctx: Context) -> Consent:
    return await consents.get(ctx)


@conversations.tool(SetConsent)
async def set_consent(call: SetConsent, ctx: Context) -> Consent:
    return await consents.put(call, ctx)


@conversations.tool(ListConversations)
async def list_conversations(call: ListConversations, ctx: Context) -> tuple[ConversationSummary, ...]:
    return await asking.list_conversations(call, ctx)


@conversations.tool(GetTranscript)
async def transcript(call: GetTranscript, ctx: Context) -> Transcript:
    return await asking.transcript(call, ctx)


@conversations.tool(GetDecisions)
async def decisions(call: GetDecisions, ctx: Context) -> tuple[Decision, ...]:
    return await asking.list_decisions(call, ctx)
