"""People take over: escalations, claims, replies, hand-back."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from agent_store.contracts.common import Language, Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.tool import Tool

Reason = Literal["asked", "sentiment", "not_understood", "complex", "value", "policy", "failed"]


class SalesEscalate(
    Event, type="store.sales.escalate", topic="chat", subject="conversation_id", partition="customer_id"
):
    """The bot wants a person. From now on it is silent; `conversations` tells the customer."""

    conversation_id: ConversationId
    customer_id: CustomerId
    lease_token: int
    reason: Reason
    summary: str
    priority: Literal["normal", "high"] = "normal"
    brand: str = ""
    language: Language = "pt"


class EscalationAccepted(
    Event, type="store.sales.escalation.accepted", topic="chat", subject="conversation_id", partition="customer_id"
):
    """A person has claimed it; `conversations` grants them the lease."""

    escalation_id: str
    conversation_id: ConversationId
    customer_id: CustomerId
    person: str


class LeaseGranted(
    Event, type="store.chat.lease.granted", topic="chat", subject="conversation_id", partition="customer_id"
):
    """`conversations` → `assistant`: a person may speak, with this token."""

    conversation_id: ConversationId
    customer_id: CustomerId
    person: str
    lease_token: int


class SalesHandoff(Event, type="store.sales.handoff", topic="chat", subject="conversation_id", partition="customer_id"):
    """Who answers from now on."""

    conversation_id: ConversationId
    customer_id: CustomerId
    to: Literal["bot", "person"]
    person: str = ""
    lease_token: int | None = None
    note: str = ""


class EscalationResolved(
    Event, type="store.sales.escalation.resolved", topic="chat", subject="conversation_id", partition="customer_id"
):
    escalation_id: str
    conversation_id: ConversationId
    customer_id: CustomerId
    person: str
    outcome: str


class EscalationView(Shape):
    id: str
    conversation_id: ConversationId
    customer_id: CustomerId
    brand: str
    language: Language
    reason: Reason
    summary: str
    priority: Literal["normal", "high"]
    state: Literal["waiting", "claimed", "resolved"]
    person: str | None = None
    can_reply: bool = False
    """True once the person holds the lease (moments after the claim)."""
    unread: int = 0
    """Messages of the customer since a person last wrote."""
    opened_at: datetime
    claimed_at: datetime | None = None
    resolved_at: datetime | None = None


class ListEscalations(Tool[tuple[EscalationView, ...]], name="assistant.escalations", staff_only=True):
    """The queue: high priority first, then the longest waiting."""

    state: Literal["waiting", "claimed", "resolved", "open"] = "open"
    """"open" is waiting and claimed."""
    limit: int = Field(default=50, ge=1, le=200)


class ClaimEscalation(Tool[EscalationView], name="assistant.claim", writes=True, staff_only=True):
    """Take an escalation. Refused (conflict) when another person has it."""

    escalation_id: str


class ReplyAsPerson(Tool[EscalationView], name="assistant.reply", writes=True, staff_only=True):
    """Write to the customer as the person who has the conversation."""

    escalation_id: str
    text: str = Field(min_length=1, max_length=4000)


class HandBack(Tool[EscalationView], name="assistant.hand_back", writes=True, staff_only=True):
    """Give the conversation back to the bot."""

    escalation_id: str
    outcome: str = Field(default="", max_length=400)
