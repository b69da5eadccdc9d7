"""Reading what the platform says of the account, its numbers and its templates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent_store.agents.whatsapp.account import FIELDS
from agent_store.agents.whatsapp.model import AccountNews, Delivery
from agent_store.agents.whatsapp.reading import parse

FIXTURES = Path(__file__).parent.parent / "fixtures" / "whatsapp" / "account"
ACCOUNT, NUMBER, TEMPLATE = "301550000000777", "551130000001", "pedido_confirmado/pt_BR"


def read(name: str) -> AccountNews:
    (news,) = parse((FIXTURES / f"{name}.json").read_bytes()).news
    return news


def change(field: str, value: Any, **entry: Any) -> Delivery:
    return parse(
        json.dumps({"entry": [{"id": ACCOUNT, **entry, "changes": [{"field": field, "value": value}]}]}).encode()
    )


@pytest.mark.parametrize(
    ("name", "what", "subject", "state", "severity"),
    [
        ("restricted", "account", ACCOUNT, "ACCOUNT_RESTRICTION", "alert"),
        ("restricted_numbers", "account", ACCOUNT, "ACCOUNT_RESTRICTION", "warning"),
        ("violation", "account", ACCOUNT, "ACCOUNT_VIOLATION", "warning"),
        ("disabled", "account", ACCOUNT, "DISABLE", "alert"),
        ("disabling", "account", ACCOUNT, "SCHEDULE_FOR_DISABLE", "alert"),
        ("reinstated", "account", ACCOUNT, "REINSTATE", "info"),
        ("deleted", "account", ACCOUNT, "ACCOUNT_DELETED", "alert"),
        ("reconnected", "account", ACCOUNT, "ACCOUNT_RECONNECTED", "info"),
        ("partner_removed", "account", ACCOUNT, "PARTNER_REMOVED", "alert"),
        ("price_tier", "other", ACCOUNT, "VOLUME_BASED_PRICING_TIER_UPDATE", "info"),
        ("review_approved", "account", ACCOUNT, "APPROVED", "info"),
        ("review_rejected", "account", ACCOUNT, "REJECTED", "alert"),
        ("alert_limit_needs_more", "other", "440000000000001", "INCREASED_CAPABILITIES_ELIGIBILITY_NEED_MORE_INFO", "warning"),
        ("alert_official_rejected", "other", "219870000000001", "OBA_REJECTED", "alert"),
        ("quality_flagged", "quality", NUMBER, "FLAGGED", "warning"),
        ("quality_unflagged", "quality", NUMBER, "UNFLAGGED", "info"),
        ("limit_upgrade", "limit", NUMBER, "TIER_10K", "info"),
        ("limit_downgrade", "limit", NUMBER, "TIER_1K", "warning"),
        ("capability", "limit", ACCOUNT, "TIER_2K", "info"),
        ("capability_number", "limit", ACCOUNT, "1000", "info"),
        ("name_approved", "name", NUMBER, "APPROVED", "info"),
        ("name_rejected", "name", NUMBER, "REJECTED", "warning"),
        ("security_pin_reset_request", "security", NUMBER, "PIN_RESET_REQUEST", "warning"),
        ("template_approved", "template", TEMPLATE, "APPROVED", "info"),
        ("template_pending", "template", TEMPLATE, "PENDING", "info"),
        ("template_flagged", "template", TEMPLATE, "FLAGGED", "warning"),
        ("template_rejected", "template", TEMPLATE, "REJECTED", "alert"),
        ("template_paused", "template", TEMPLATE, "PAUSED", "alert"),
        ("template_disabled", "template", TEMPLATE, "DISABLED", "alert"),
        ("template_quality_green", "quality", TEMPLATE, "GREEN", "info"),
        ("template_quality_red", "quality", TEMPLATE, "RED", "warning"),
        ("template_category", "other", TEMPLATE, "MARKETING", "warning"),
    ],
)  # fmt: skip
def test_news_says_of_what_it_is_and_how_bad(name: str, what: str, subject: str, state: str, severity: str) -> None:
    news = read(name)
    assert (news.what, news.subject_id, news.state, news.severity) == (what, subject, state, severity)
    assert news.is_number == (subject == NUMBER)
    assert news.at == datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_a_reason_is_told_in_the_platforms_words() -> None:
    assert read("restricted").reason == "RESTRICTED_BIZ_INITIATED_MESSAGING, RESTRICTED_ADD_PHONE_NUMBER_ACTION"
    assert read("violation").reason == "SPAM"
    assert read("partner_removed").reason == "PRIMARY_INACTIVITY"
    assert read("template_rejected").reason.startswith("INVALID_FORMAT; The body ends with a variable.")
    assert read("template_paused").reason == "FIRST_PAUSE; Customers complained about it."
    assert read("template_approved").reason == ""
    assert read("limit_downgrade").reason == "DOWNGRADE; before: TIER_10K"
    assert read("name_rejected").reason == "NAME_NOT_CONSISTENT; Moda da Marina"


def test_every_field_has_a_recorded_payload() -> None:
    recorded = {json.loads(path.read_bytes())["entry"][0]["changes"][0]["field"] for path in FIXTURES.glob("*.json")}
    assert recorded == FIELDS


def test_an_alert_that_is_over_is_none_any_more() -> None:
    value = {"entity_id": 7, "alert_severity": "CRITICAL", "alert_status": "RESOLVED", "alert_type": "OBA_REJECTED"}
    (news,) = change("account_alerts", value).news
    assert (news.subject_id, news.state, news.severity) == ("7", "OBA_REJECTED", "info")


@pytest.mark.parametrize("field", sorted(FIELDS))
@pytest.mark.parametrize("value", [{}, {"event": 7, "decision": [], "alert_info": "x"}, [], None, "APPROVED"])
def test_news_that_says_nothing_is_counted_as_odd(field: str, value: Any) -> None:
    delivery = change(field, value)
    assert (delivery.news, delivery.oddities) == ([], 1)


@pytest.mark.parametrize(
    ("time", "at"),
    [
        (1767614400, datetime(2026, 1, 5, 12, 0, tzinfo=UTC)),
        ("1767614400", datetime(2026, 1, 5, 12, 0, tzinfo=UTC)),
        (1767614400123, datetime(2026, 1, 5, 12, 0, tzinfo=UTC)),
        (None, None),
        ("ontem", None),
        (True, None),
    ],
)
def test_the_time_is_that_of_the_entry(time: Any, at: datetime | None) -> None:
    (news,) = change("account_update", {"event": "ACCOUNT_DELETED"}, time=time).news
    assert news.at == at


def test_what_is_too_long_is_cut_to_what_is_kept() -> None:
    value = {
        "event": "E" * 900,
        "reason": "r" * 9000,
        "message_template_name": "n" * 900,
        "message_template_language": "pt-BR",
    }
    (news,) = change("message_template_status_update", value).news
    assert (len(news.state), len(news.reason), len(news.subject_id)) == (64, 500, 600)


def test_a_subject_is_the_account_when_it_has_no_name() -> None:
    (news,) = change("security", {"event": "PIN_CHANGED"}).news
    assert (news.subject_id, news.is_number) == (ACCOUNT, False)
    (nobody,) = parse(b'{"entry":[{"changes":[{"field":"account_update","value":{"event":"X"}}]}]}').news
    assert nobody.subject_id == "account"
