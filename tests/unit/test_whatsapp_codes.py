"""The table of the platform's error codes: every one of them by name."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.whatsapp.codes import OURS, RULES, Rule, pause, rule_of, subject_of
from agent_store.contracts.whatsapp import OutTemplate

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("auth exception", 0), ("access token has expired", 190), ("api method", 3), ("permission denied", 10),
        ("api permission, first", 200), ("api permission, last", 299), ("access denied", 131005),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_credentials_holds_the_number_and_tells_staff(name: str, code: int) -> None:
    rule = rule_of(code, passing=False)
    assert (rule.action, rule.tries) == ("hold", None)
    assert rule.news is not None
    assert (rule.news.what, rule.news.severity) == ("token", "alert")
    assert rule.news.state in OURS


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("api unknown", 1), ("api service", 2), ("something went wrong", 131000), ("service unavailable", 131016),
        ("server temporarily unavailable", 133004), ("template still syncing", 134101),
        ("spam rate limit hit", 131048), ("pair rate limit hit", 131056),
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again_and_holds_nobody_else(name: str, code: int) -> None:
    rule = rule_of(code, passing=False)
    assert (rule.action, rule.reach) == ("again", "message")


@pytest.mark.parametrize(
    ("name", "code"), [("api too many calls", 4), ("api user too many calls", 17), ("rate limit issues", 80007)]
)
def test_a_limit_of_the_account_holds_all_of_its_numbers(name: str, code: int) -> None:
    rule = rule_of(code, passing=False)
    assert (rule.action, rule.reach, rule.tries) == ("again", "account", None)


@pytest.mark.parametrize(
    ("name", "code"),
    [("rate limit hit", 130429), ("account in maintenance mode", 131057), ("number recently deleted", 133015)],
)
def test_a_limit_of_the_number_holds_the_number(name: str, code: int) -> None:
    rule = rule_of(code, passing=False)
    assert (rule.action, rule.reach) == ("again", "number")


@pytest.mark.parametrize("code", [1, 131000])
def test_what_may_be_the_messages_own_fault_is_given_up_after_a_while(code: int) -> None:
    assert rule_of(code, passing=True).tries is not None


def test_pair_limit_pauses_grow_by_four_as_the_platform_asks() -> None:
    rule = rule_of(131056, passing=False)
    for tries, seconds in ((1, 1), (2, 4), (3, 16), (4, 64), (5, 256), (6, 300)):
        assert timedelta(seconds=seconds / 2) <= pause(rule, tries, None) <= timedelta(seconds=seconds)


def test_re_engagement_is_answered_with_the_template() -> None:
    assert rule_of(131047, passing=False).action == "template"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("user in an experiment", 130472), ("recipient cannot be sender", 131021), ("undeliverable", 131026),
        ("healthy ecosystem", 131049), ("stopped marketing", 131050), ("unsupported type", 131051),
        ("media download", 131052), ("media upload", 131053),
    ],
)  # fmt: skip
def test_what_never_reaches_this_customer_is_given_up_and_alarms_nobody(name: str, code: int) -> None:
    rule = rule_of(code, passing=False)
    assert (rule.action, rule.news) == ("fail", None)


@pytest.mark.parametrize(
    ("name", "code", "state", "severity"),
    [
        ("number deleted", 33, "DELETED", "alert"), ("invalid parameter", 100, "BAD_REQUEST", "warning"),
        ("parameter missing", 131008, "BAD_REQUEST", "warning"), ("value not valid", 131009, "BAD_REQUEST", "warning"),
        ("generic user error", 135000, "BAD_REQUEST", "warning"), ("blocked for policies", 368, "BLOCKED", "alert"),
        ("country", 130497, "COUNTRY_RESTRICTED", "warning"), ("not in allowed list", 131030, "TEST_NUMBER", "warning"),
        ("locked", 131031, "LOCKED", "alert"), ("display name", 131037, "DISPLAY_NAME", "alert"),
        ("payment", 131042, "PAYMENT", "alert"), ("certificate", 131045, "NOT_REGISTERED", "alert"),
        ("incomplete deregistration", 133000, "NOT_REGISTERED", "alert"),
        ("not registered", 133010, "NOT_REGISTERED", "alert"), ("any other of 133xxx", 133099, "NOT_REGISTERED", "alert"),
    ],
)  # fmt: skip
def test_what_somebody_has_to_mend_fails_and_tells_staff(name: str, code: int, state: str, severity: str) -> None:
    rule = rule_of(code, passing=False)
    assert rule.action == "fail"
    assert rule.news is not None
    assert (rule.news.subject, rule.news.state, rule.news.severity) == ("number", state, severity)


@pytest.mark.parametrize(
    ("name", "code", "state"),
    [
        ("parameter count", 132000, "PARAMETERS"), ("does not exist", 132001, "MISSING"), ("too long", 132005, "TOO_LONG"),
        ("character policy", 132007, "POLICY"), ("parameter format", 132012, "PARAMETERS"), ("paused", 132015, "PAUSED"),
        ("disabled", 132016, "DISABLED"), ("any other of 132xxx", 132099, "REFUSED"),
    ],
)  # fmt: skip
def test_a_template_that_is_refused_is_told_by_its_name(name: str, code: int, state: str) -> None:
    rule = rule_of(code, passing=False)
    assert rule.action == "fail"
    assert rule.news is not None
    assert (rule.news.what, rule.news.state) == ("template", state)
    template = OutTemplate(name="order_shipped", language="pt_BR")
    assert subject_of(rule.news, "219", template) == "order_shipped/pt_BR"
    assert subject_of(rule.news, "219", None) == "219"


def test_a_code_that_is_not_in_the_table_goes_by_its_http_status() -> None:
    assert rule_of(987654, passing=True).action == "again"
    assert rule_of(987654, passing=False).action == "fail"
    assert rule_of(None, passing=True).tries is None


@given(st.sampled_from([*RULES.values(), rule_of(None, passing=True)]), st.integers(0, 5000))
def test_pauses_grow_and_end_at_the_rules_longest(rule: Rule, tries: int) -> None:
    longest = max(rule.longest, rule.pause)
    assert rule.pause / 2 <= pause(rule, tries, None) <= longest


def test_the_docs_show_the_whole_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "whatsapp-sending.md").read_text("utf-8")
    shown = dict(re.findall(r"^\| (\d+)(?:, [^|]*)? \| ([^|]*) \|", page, re.MULTILINE))
    assert shown == {str(code): rule.title for code, rule in RULES.items()}
    for rule in RULES.values():
        assert rule.news is None or f"{rule.news.severity}: {rule.news.what} {rule.news.state}" in page


def test_the_platforms_hint_goes_before_our_own_pauses() -> None:
    rule = rule_of(131016, passing=True)
    assert pause(rule, 1, 17 * MINUTE) == 17 * MINUTE
    assert pause(rule, 30, timedelta(seconds=7)) == timedelta(seconds=7)
    assert pause(rule, 30, timedelta(0)) == rule.pause
