"""Assistant: the people who help out: their queue, their claim, their word, their hand-back."""

from __future__ import annotations

from agent_store.agents.assistant import service
from agent_store.agents.assistant.tables import metadata
from agent_store.contracts.chat import ChatMessageNew
from agent_store.contracts.people import (
    ClaimEscalation,
    EscalationView,
    HandBack,
    LeaseGranted,
    ListEscalations,
    ReplyAsPerson,
    SalesEscalate,
    SalesHandoff,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

assistant = Agent("assistant", tables=metadata)


@assistant.on(SalesEscalate)
async def escalate(event: SalesEscalate, ctx: Context) -> None:
    await service.escalate(event, ctx)


@assistant.on(LeaseGranted)
async def granted(event: LeaseGranted, ctx: Context) -> None:
    await service.granted(event, ctx)


@assistant.on(ChatMessageNew)
async def heard(event: ChatMessageNew, ctx: Context) -> None:
    await service.heard(event, ctx)


@assistant.on(SalesHandoff)
async def handed_off(event: SalesHandoff, ctx: Context) -> None:
    await service.handed_off(event, ctx)


@assistant.tool(ListEscalations)
async def escalations(call: ListEscalations, ctx: Context) -> tuple[EscalationView, ...]:
    return await service.list_escalations(call, ctx)


@assistant.tool(ClaimEscalation)
async def claim(call: ClaimEscalation, ctx: Context) -> EscalationView:
    return await service.claim(call, ctx)


@assistant.tool(ReplyAsPerson)
async def reply(call: ReplyAsPerson, ctx: Context) -> EscalationView:
    return await service.reply(call, ctx)


@assistant.tool(HandBack)
async def hand_back(call: HandBack, ctx: Context) -> EscalationView:
    return await service.hand_back(call, ctx)
