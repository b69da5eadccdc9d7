"""An escalation: waiting → claimed → resolved. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent_store.contracts.common import Language
from agent_store.contracts.people import EscalationView, Reason
from agent_store.kernel.errors import Conflict
from agent_store.kernel.ids import ConversationId, CustomerId


@dataclass(slots=True)
class Escalation:
    id: str
    conversation_id: ConversationId
    customer_id: CustomerId
    brand: str
    language: Language
    reason: Reason
    summary: str
    urgency: int
    opened_at: datetime
    state: Literal["waiting", "claimed", "resolved"] = "waiting"
    person: str | None = None
    lease_token: int | None = None
    unread: int = 0
    outcome: str = ""
    claimed_at: datetime | None = None
    resolved_at: datetime | None = None

    def claim(self, person: str, at: datetime) -> bool:
        """False when this person has it already. Raises Conflict when it is another's, or over."""
        if self.state == "resolved":
            raise Conflict("this escalation is resolved already", code="escalation-resolved", outcome=self.outcome)
        if self.state == "claimed":
            if self.person == person:
                return False
            raise Conflict(
                f"{self.person} has this conversation already", code="escalation-claimed", person=self.person
            )
        self.state, self.person, self.claimed_at = "claimed", person, at
        return True

    def token_of(self, person: str) -> int:
        """The token with which this person speaks. Raises Conflict when they may not (yet)."""
        if self.state == "resolved":
            raise Conflict("this escalation is resolved already", code="escalation-resolved", outcome=self.outcome)
        if self.state != "claimed" or self.person != person:
            whose = f"{self.person} has this conversation" if self.person else "nobody has claimed this conversation"
            raise Conflict(f"{whose}: claim it before you write", code="escalation-not-yours", person=self.person)
        if self.lease_token is None:
            raise Conflict("the conversation is being handed to you: try again in a moment", code="lease-pending")
        return self.lease_token

    def resolve(self, outcome: str, at: datetime) -> None:
        self.state, self.outcome, self.resolved_at = "resolved", outcome, at
        self.unread = 0

    def view(self) -> EscalationView:
        return EscalationView(
            id=self.id,
            conversation_id=self.conversation_id,
            customer_id=self.customer_id,
            brand=self.brand,
            language=self.language,
            reason=self.reason,
            summary=self.summary,
            priority="high" if self.urgency else "normal",
            state=self.state,
            person=self.person,
            can_reply=self.state == "claimed" and self.lease_token is not None,
            unread=self.unread,
            opened_at=self.opened_at,
            claimed_at=self.claimed_at,
            resolved_at=self.resolved_at,
        )
