"""What the platform's error codes mean for a send: the one table of them. Pure.

Source: WhatsApp Business Platform, "Error codes", "Throughput" and "Pair rate limits"; Graph API, "Handling errors" and
"Rate limits". Codes that only other calls bring (registration, templates, flows) are here as far as a send can meet them.
`docs/whatsapp-sending.md` shows this table to people.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from agent_store.contracts.whatsapp import OutTemplate

Action = Literal["again", "hold", "template", "fail"]
"""again: the platform did not take it and may take it later. hold: nothing goes out from this number until somebody has
mended its credentials; it waits. template: the customer's window is closed. fail: it never will."""
Reach = Literal["message", "number", "account"]
"""Whom a pause holds: this message (and those behind it to the same customer), all of the number's, all of the account's."""

REENGAGEMENT = 131047
"""The customer has not written for 24 hours: only a template reaches them."""
HEALTHY_ECOSYSTEM = 131049
"""The platform thinks that this customer has had enough marketing for now: not before 24 hours."""
STOPPED_MARKETING = 131050
"""The customer has told WhatsApp to bring no more marketing of this business."""

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LONGEST = 2 * MINUTE
"""The longest of growing pauses: so long after an outage is over, the last message has gone out."""


@dataclass(frozen=True, slots=True)
class News:
    """What staff are told, and of whom: of the template when one went out, else of the number."""

    subject: Literal["number", "template"]
    what: Literal["token", "account", "template", "other"]
    state: str
    severity: Literal["warning", "alert"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`pause` is the first of growing ones, each `growth` times the one before, at most `longest`; the platform's own hint
    goes before it. After `tries` tries it has failed: None tries as long as it makes sense to say it."""

    title: str
    """As the platform calls it."""
    action: Action
    pause: timedelta = SECOND
    growth: int = 2
    longest: timedelta = LONGEST
    tries: int | None = None
    reach: Reach = "message"
    news: News | None = None


def _account(state: str) -> News:
    return News("number", "account", state, "alert")


def _template(state: str, severity: Literal["warning", "alert"] = "alert") -> News:
    return News("template", "template", state, severity)


_EXPIRED = News("number", "token", "EXPIRED", "alert")
_FORBIDDEN = News("number", "token", "FORBIDDEN", "alert")
_MISTAKE = News("number", "other", "BAD_REQUEST", "warning")
_COUNTRY = News("number", "other", "COUNTRY_RESTRICTED", "warning")
_TEST = News("number", "other", "TEST_NUMBER", "warning")

RULES: dict[int, Rule] = {
    # Credentials: nothing is wrong with the message, and a fresh token or a granted permission lets it go out.
    0: Rule("AuthException", "hold", 30 * SECOND, news=_EXPIRED),
    190: Rule("Access token has expired", "hold", 30 * SECOND, news=_EXPIRED),
    3: Rule("API Method", "hold", 30 * SECOND, news=_FORBIDDEN),
    10: Rule("Permission denied", "hold", 30 * SECOND, news=_FORBIDDEN),
    131005: Rule("Access denied", "hold", 30 * SECOND, news=_FORBIDDEN),
    # The platform has no room, or is not well. 1 and 131000 may also be this message's own fault, so their tries end.
    1: Rule("API Unknown", "again", 5 * SECOND, tries=20),
    2: Rule("API Service", "again", 5 * SECOND),
    131000: Rule("Something went wrong", "again", 5 * SECOND, tries=20),
    131016: Rule("Service unavailable", "again", 5 * SECOND),
    133004: Rule("Server temporarily unavailable", "again", 5 * SECOND),
    # Limits.
    4: Rule("API Too Many Calls", "again", MINUTE, longest=5 * MINUTE, reach="account"),
    17: Rule("API User Too Many Calls", "again", MINUTE, longest=5 * MINUTE, reach="account"),
    80007: Rule("Rate limit issues", "again", MINUTE, longest=5 * MINUTE, reach="account"),
    130429: Rule("Rate limit hit", "again", 2 * SECOND, longest=MINUTE, reach="number"),
    131048: Rule("Spam rate limit hit", "again", 5 * MINUTE, longest=60 * MINUTE, tries=12, news=_account("SPAM_LIMIT")),
    131056: Rule("Pair rate limit hit", "again", SECOND, growth=4, longest=5 * MINUTE),
    131057: Rule("Account in maintenance mode", "again", MINUTE, longest=5 * MINUTE, reach="number"),
    133015: Rule("Phone number was recently deleted", "again", 5 * MINUTE, tries=3, reach="number",
                 news=_account("NOT_REGISTERED")),
    134101: Rule("Template is still syncing", "again", MINUTE, tries=15),
    # The window.
    REENGAGEMENT: Rule("Re-engagement message", "template"),
    # This message, or this customer: nobody has to do anything about the channel.
    130472: Rule("User's number is part of an experiment", "fail"),
    131021: Rule("Recipient cannot be sender", "fail"),
    131026: Rule("Message undeliverable", "fail"),
    HEALTHY_ECOSYSTEM: Rule("Not delivered to maintain healthy ecosystem engagement", "fail"),
    STOPPED_MARKETING: Rule("User has stopped marketing messages", "fail"),
    131051: Rule("Unsupported message type", "fail"),
    131052: Rule("Media download error", "fail"),
    131053: Rule("Media upload error", "fail"),
    # Somebody has to do something.
    33: Rule("Parameter value is not valid: the number was deleted", "fail", news=_account("DELETED")),
    100: Rule("Invalid parameter", "fail", news=_MISTAKE),
    131008: Rule("Required parameter is missing", "fail", news=_MISTAKE),
    131009: Rule("Parameter value is not valid", "fail", news=_MISTAKE),
    135000: Rule("Generic user error", "fail", news=_MISTAKE),
    368: Rule("Temporarily blocked for policies violations", "fail", news=_account("BLOCKED")),
    130497: Rule("Restricted from messaging users in this country", "fail", news=_COUNTRY),
    131030: Rule("Recipient not in allowed list", "fail", news=_TEST),
    131031: Rule("Account has been locked", "fail", news=_account("LOCKED")),
    131037: Rule("Display name needs approval", "fail", news=_account("DISPLAY_NAME")),
    131042: Rule("Business eligibility payment issue", "fail", news=_account("PAYMENT")),
    131045: Rule("Incorrect certificate", "fail", news=_account("NOT_REGISTERED")),
    133000: Rule("Incomplete deregistration", "fail", news=_account("NOT_REGISTERED")),
    133010: Rule("Phone number not registered", "fail", news=_account("NOT_REGISTERED")),
    132000: Rule("Template parameter count mismatch", "fail", news=_template("PARAMETERS")),
    132001: Rule("Template does not exist", "fail", news=_template("MISSING")),
    132005: Rule("Template text too long", "fail", news=_template("TOO_LONG", "warning")),
    132007: Rule("Template format character policy violated", "fail", news=_template("POLICY", "warning")),
    132012: Rule("Template parameter format mismatch", "fail", news=_template("PARAMETERS")),
    132015: Rule("Template is paused", "fail", news=_template("PAUSED")),
    132016: Rule("Template is disabled", "fail", news=_template("DISABLED")),
}  # fmt: skip

OUTAGE = Rule("no code", "again", SECOND)
"""No connection, 408, 429, 5xx, a redirect, or an error that calls itself transient."""
REFUSED = Rule("not in the table", "fail")

OURS = frozenset(
    rule.news.state for rule in RULES.values() if rule.news is not None and rule.news.what in ("token", "account")
)
"""States of a number that a send has found, so that a send that is taken ends them."""


def rule_of(code: int | None, *, passing: bool) -> Rule:
    """`passing`: by its HTTP status or its own word the failure may pass."""
    if code is not None:
        if code in RULES:
            return RULES[code]
        if 200 <= code <= 299:
            return RULES[10]
        if 133000 <= code <= 133999:
            return RULES[133010]
        if 132000 <= code <= 132999:
            return Rule("Template problem", "fail", news=_template("REFUSED"))
    return OUTAGE if passing else REFUSED


def pause(rule: Rule, tries: int, hint: timedelta | None) -> timedelta:
    """How long to wait after so many tries: as the platform hints (no less than the rule's first pause), else growing, and
    at random in the upper half, so that customers who wait for the same do not come at once."""
    if hint is not None:
        return max(hint, rule.pause)
    grown = min(rule.pause * rule.growth ** min(max(tries, 1) - 1, 20), max(rule.longest, rule.pause))
    return grown * (0.5 + random.random() / 2)


def subject_of(news: News, phone_number_id: str, template: OutTemplate | None) -> str:
    """As `WhatsAppAccountUpdated.subject_id`."""
    if news.subject == "template" and template is not None:
        return f"{template.name}/{template.language}"
    return phone_number_id


__all__ = [
    "HEALTHY_ECOSYSTEM",
    "LONGEST",
    "OURS",
    "OUTAGE",
    "REENGAGEMENT",
    "REFUSED",
    "RULES",
    "STOPPED_MARKETING",
    "News",
    "Rule",
    "pause",
    "rule_of",
    "subject_of",
]
