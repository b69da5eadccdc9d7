"""May the store say something of its own accord, now, later or not at all? Pure; `contacts` asks with what it has loaded.

Source: decision 0014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from agent_store.agents.conversations.model import Conversation
from agent_store.agents.conversations.quiet import QuietHours, Zone
from agent_store.contracts.templates import Template
from agent_store.contracts.whatsapp import MARKETING, Purpose

Said = Literal["yes", "no", "unsaid"]
"""A customer's last word on reminders, surveys and offers."""
Reason = Literal["", "opted_out", "no_consent", "too_often", "nowhere", "unknown_template", "too_late"]

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
_LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Caps:
    """How many reminders, surveys and offers in all a customer gets at most, in any 24 hours and in any seven days."""

    a_day: int = 1
    a_week: int = 3

    def free_from(self, sent: Sequence[datetime], now: datetime) -> datetime | None:
        """When the next one may go; None when none ever may. `sent`: those of the last seven days."""
        free = now
        for limit, span in ((self.a_day, DAY), (self.a_week, WEEK)):
            if limit < 1:
                return None
            recent = sorted(at for at in sent if at > now - span)
            if len(recent) >= limit:
                free = max(free, recent[-limit] + span)
        return free


@dataclass(frozen=True, slots=True)
class Verdict:
    """`until` is set when it has to wait, `reason` when it will not go out."""

    outcome: Literal["sent", "held", "skipped", "expired"]
    reason: Reason = ""
    until: datetime | None = None


SEND = Verdict("sent")
TOO_LATE = Verdict("expired", "too_late")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the store wants to say, to whom it is said, and what is known of them."""

    purpose: Purpose
    asked_at: datetime
    expires_at: datetime
    said: Said
    zone: Zone
    busy: bool
    """Somebody is answering the customer."""
    sent: Sequence[datetime] = field(default=())
    """When they got their last reminders, surveys and offers."""


def effective_purpose(purpose: Purpose, template: Template) -> Purpose:
    """What can be opted out of stays so, whatever the one who asks calls it."""
    return template.purpose if purpose not in MARKETING and template.purpose in MARKETING else purpose


def is_busy(conversation: Conversation) -> bool:
    """The bot is answering (or about to), a person speaks or is being waited for."""
    return conversation.speaker != "bot" or conversation.turn_open or conversation.burst_since is not None


def refused(purpose: Purpose, said: Said) -> Reason:
    """An offer needs the customer's yes; a reminder of their own cart or a survey of their own order only no no."""
    if purpose not in MARKETING:
        return ""
    if said == "no":
        return "opted_out"
    return "no_consent" if purpose == "marketing" and said != "yes" else ""


def decide(wish: Wish, now: datetime, quiet: QuietHours, caps: Caps, pause: timedelta) -> Verdict:
    """All rules at once, asked anew each time that a wish is looked at.

    `pause`: after how long it is looked at again while somebody is answering; the longer it waits, the more seldom.
    """
    if now >= wish.expires_at:
        return TOO_LATE
    if reason := refused(wish.purpose, wish.said):
        return Verdict("skipped", reason)
    free = now
    if wish.purpose in MARKETING:
        allowed = caps.free_from(wish.sent, now)
        if allowed is None or allowed >= wish.expires_at:
            return Verdict("skipped", "too_often")
        free = quiet.open_from(allowed, wish.zone)
        if free >= wish.expires_at:
            return Verdict("skipped", "too_often") if allowed > now else TOO_LATE
    if wish.busy and free == now:
        waited = min(max(now - wish.asked_at, pause), _LONGEST_PAUSE)
        free = min(now + waited, wish.expires_at)
    return SEND if free <= now else Verdict("held", until=free)
