"""Pure reading of what the platform says of the account, its numbers and its templates. No I/O.

Source: WhatsApp Business Cloud API, "Webhooks", one reference page a field: account_update, account_alerts,
account_review_update, phone_number_quality_update, phone_number_name_update, message_template_status_update,
message_template_quality_update, template_category_update, business_capability_update, security.

Of each subject the last word is kept a kind of news, so what says nothing of whether messages go out ("other") must not
stand in the place of what does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from agent_store.agents.whatsapp.loose import Json, ident, instant, mapping, sequence, text
from agent_store.agents.whatsapp.model import AccountNews, NewsKind, Severity
from agent_store.kernel.privacy import redact_cards

_STATE, _SUBJECT, _REASON = 64, 600, 500


@dataclass(frozen=True, slots=True)
class _Word:
    """One piece of news, before it is known of which account. Without a subject it is about the account itself."""

    what: NewsKind
    state: str
    severity: Severity = "info"
    reason: str = ""
    subject: str = ""
    is_number: bool = False


def read_news(name: str, entry: Json, value: Json) -> AccountNews | None:
    """The news in a change of one of `FIELDS`; None when it doesn't say what is new."""
    word = _READERS[name](value)
    if word is None or not word.state:
        return None
    account = ident(entry.get("id")) or ""
    return AccountNews(
        account_id=account,
        subject_id=(word.subject or account or "account")[:_SUBJECT],
        is_number=word.is_number and bool(word.subject),
        what=word.what,
        state=redact_cards(word.state[:_STATE]),
        severity=word.severity,
        reason=redact_cards(word.reason[:_REASON]),
        at=_time_of(entry.get("time")),
    )


def _time_of(value: object) -> datetime | None:
    """Seconds since 1970; of thirteen digits, milliseconds."""
    digits = ident(value)
    return instant(digits[:-3] if digits is not None and len(digits) == 13 else digits)


def _joined(*parts: str | None) -> str:
    return "; ".join(part for part in parts if part and part != "NONE")


def _number_of(value: Json) -> str:
    """A display number: "+55 11 5550-0001" and "551155500001" are one."""
    shown = value.get("display_phone_number")
    return "".join(char for char in ident(shown) or "" if char in "0123456789")


_ACCOUNT: dict[str, Severity] = {
    "ACCOUNT_DELETED": "alert",
    "ACCOUNT_OFFBOARDED": "alert",
    "ACCOUNT_RECONNECTED": "info",
    "ACCOUNT_RESTRICTION": "alert",
    "ACCOUNT_VIOLATION": "warning",
    "DISABLED_UPDATE": "alert",
    "PARTNER_APP_UNINSTALLED": "alert",
    "PARTNER_REMOVED": "alert",
}
"""Events after which messages may not go out any more, or go out again. The others (prices, partners) are "other"."""
_STOPS_MESSAGES = frozenset({"RESTRICTED_BIZ_INITIATED_MESSAGING", "RESTRICTED_CUSTOMER_INITIATED_MESSAGING"})


def _account_update(value: Json) -> _Word | None:
    event = text(value.get("event"))
    if event not in _ACCOUNT:
        return _Word("other", event)
    severity = _ACCOUNT[event]
    ban, gone = mapping(value.get("ban_info")), mapping(value.get("disconnection_info"))
    state = text(ban.get("waba_ban_state")) if event == "DISABLED_UPDATE" else ""
    if state == "REINSTATE":
        severity = "info"
    restrictions = [text(mapping(one).get("restriction_type")) for one in sequence(value.get("restriction_info"))]
    if restrictions and not _STOPS_MESSAGES.intersection(restrictions):
        severity = "warning"
    violation = text(mapping(value.get("violation_info")).get("violation_type"))
    reason = _joined(", ".join(filter(None, restrictions)), violation, text(ban.get("waba_ban_date")),
                     text(gone.get("reason")))  # fmt: skip
    return _Word("account", state or event, severity, reason)


_DECISIONS: dict[str, Severity] = {
    "REJECTED": "alert",
    "DECLINED": "alert",
    "PENDING": "warning",
    "DEFERRED": "warning",
}


def _account_review(value: Json) -> _Word:
    decision = text(value.get("decision"))
    return _Word("account", decision, _DECISIONS.get(decision, "info"))


def _account_alert(value: Json) -> _Word:
    # The reference has the alert in an object of its own; the app dashboard's test button puts it beside the entity.
    alert = mapping(value.get("alert_info")) or value
    severity: Severity = "info"
    if text(alert.get("alert_status")) != "RESOLVED":
        said = text(alert.get("alert_severity"))
        severity = "alert" if said == "CRITICAL" else "warning" if said == "WARNING" else "info"
    return _Word(
        "other", text(alert.get("alert_type")), severity, text(alert.get("alert_description")),
        subject=ident(value.get("entity_id")) or "",
    )  # fmt: skip


def _number_quality(value: Json) -> _Word | None:
    """A flag on a number's quality, or another limit of it: `current_limit` is what the limit's newer field was before."""
    event = text(value.get("event"))
    ours = _number_of(value)
    if event in ("FLAGGED", "UNFLAGGED"):
        return _Word("quality", event, "warning" if event == "FLAGGED" else "info", subject=ours, is_number=True)
    limit = text(value.get("max_daily_conversations_per_business")) or text(value.get("current_limit"))
    before = text(value.get("old_limit"))
    return _Word(
        "limit", limit or event, "warning" if event == "DOWNGRADE" else "info",
        _joined(event if limit else "", f"before: {before}" if before else ""), subject=ours, is_number=True,
    )  # fmt: skip


def _number_name(value: Json) -> _Word:
    decision, name = text(value.get("decision")), text(value.get("requested_verified_name"))
    reason = _joined(text(value.get("rejection_reason")), name)
    severity: Severity = "warning" if decision in _DECISIONS else "info"
    return _Word("name", decision, severity, reason, subject=_number_of(value), is_number=True)


_TEMPLATE_STATES: dict[str, Severity] = {
    "FLAGGED": "warning", "LOCKED": "warning", "LIMIT_EXCEEDED": "warning",
    "REJECTED": "alert", "PAUSED": "alert", "DISABLED": "alert", "DELETED": "alert", "PENDING_DELETION": "alert",
    "ARCHIVED": "alert",
}  # fmt: skip
"""The rest (approved, pending, reinstated, in appeal …) keeps nothing from going out that did before."""


def _template(value: Json) -> str:
    """Name and language, the latter as the platform's own calls have it (pt_BR)."""
    name, language = text(value.get("message_template_name")), text(value.get("message_template_language"))
    return f"{name}/{language.replace('-', '_')}" if name and language else name


def _template_status(value: Json) -> _Word:
    event = text(value.get("event"))
    other, rejected = mapping(value.get("other_info")), mapping(value.get("rejection_info"))
    reason = _joined(
        text(value.get("reason")), text(rejected.get("reason")), text(rejected.get("recommendation")),
        text(other.get("title")), text(other.get("description")),
    )  # fmt: skip
    return _Word("template", event, _TEMPLATE_STATES.get(event, "info"), reason, subject=_template(value))


def _template_quality(value: Json) -> _Word:
    score, before = text(value.get("new_quality_score")), text(value.get("previous_quality_score"))
    severity: Severity = "warning" if score in ("YELLOW", "RED") else "info"
    return _Word("quality", score, severity, f"before: {before}" if before else "", subject=_template(value))


def _template_category(value: Json) -> _Word:
    """A category decides the price, and marketing does not reach everybody."""
    category, before = text(value.get("new_category")), text(value.get("previous_category"))
    coming = text(value.get("correct_category"))
    severity: Severity = "warning" if "MARKETING" in (category, coming) else "info"
    reason = _joined(f"before: {before}" if before else "", f"from a later day on: {coming}" if coming else "")
    return _Word("other", category or coming, severity, reason, subject=_template(value))


def _capability(value: Json) -> _Word:
    """How many customers a day the shop may write to of its own accord."""
    per_number = value.get("max_daily_conversation_per_phone")
    limit = value.get("max_daily_conversations_per_business") or per_number
    numbers = ident(value.get("max_phone_numbers_per_business"))
    return _Word("limit", ident(limit) or "", reason=f"phone numbers: {numbers}" if numbers else "")


def _security(value: Json) -> _Word:
    return _Word("security", text(value.get("event")), "warning", subject=_number_of(value), is_number=True)


_READERS: dict[str, Callable[[Json], _Word | None]] = {
    "account_update": _account_update,
    "account_alerts": _account_alert,
    "account_review_update": _account_review,
    "phone_number_quality_update": _number_quality,
    "phone_number_name_update": _number_name,
    "message_template_status_update": _template_status,
    "message_template_quality_update": _template_quality,
    "template_category_update": _template_category,
    "business_capability_update": _capability,
    "security": _security,
}
FIELDS = frozenset(_READERS)
