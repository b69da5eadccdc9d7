"""The rules of what the store may say of its own accord, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.conversations.permission import (
    DAY,
    SEND,
    TOO_LATE,
    WEEK,
    Caps,
    Verdict,
    Wish,
    decide,
    effective_purpose,
    is_busy,
)
from agent_store.agents.conversations.quiet import BRASILIA, QuietHours
from agent_store.contracts.templates import TEMPLATES
from agent_store.contracts.whatsapp import MARKETING
from tests.unit.test_conversation_model import a_conversation

NOON = datetime(2026, 1, 5, 15, tzinfo=UTC)
"""In Brasília."""
PAUSE = timedelta(minutes=5)
HOUR = timedelta(hours=1)

MOMENTS = st.integers(0, 3 * 365 * 86_400).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s))


def a_wish(**changes: object) -> Wish:
    wish = Wish(
        purpose="cart_reminder", asked_at=NOON, expires_at=NOON + 2 * DAY, said="unsaid", zone=BRASILIA, busy=False
    )
    return replace(wish, **changes)  # type: ignore[arg-type]


def verdict(wish: Wish, now: datetime = NOON, caps: Caps | None = None) -> Verdict:
    return decide(wish, now, QuietHours(), caps or Caps(), PAUSE)


@pytest.mark.parametrize(
    ("purpose", "said", "reason"),
    [
        ("marketing", "yes", ""), ("marketing", "unsaid", "no_consent"), ("marketing", "no", "opted_out"),
        ("cart_reminder", "yes", ""), ("cart_reminder", "unsaid", ""), ("cart_reminder", "no", "opted_out"),
        ("survey", "yes", ""), ("survey", "unsaid", ""), ("survey", "no", "opted_out"),
        ("service", "yes", ""), ("service", "unsaid", ""), ("service", "no", ""),
    ],
)  # fmt: skip
def test_an_offer_needs_a_yes_a_reminder_and_a_survey_no_no_and_service_neither(
    purpose: str, said: str, reason: str
) -> None:
    found = verdict(a_wish(purpose=purpose, said=said))
    assert found == (Verdict("skipped", reason) if reason else SEND)  # type: ignore[arg-type]


def test_what_can_be_opted_out_of_is_not_called_service() -> None:
    assert effective_purpose("service", TEMPLATES["cart_reminder"]) == "cart_reminder"
    assert effective_purpose("service", TEMPLATES["conversation_news"]) == "service"
    assert effective_purpose("marketing", TEMPLATES["conversation_news"]) == "marketing"
    assert effective_purpose("survey", TEMPLATES["cart_reminder"]) == "survey"


def test_quiet_hours_hold_until_morning_and_service_is_not_held() -> None:
    night = NOON + timedelta(hours=10)
    assert verdict(a_wish(), night) == Verdict("held", until=NOON + timedelta(hours=20))
    assert verdict(a_wish(purpose="service"), night) == SEND


def test_what_is_void_before_morning_has_expired() -> None:
    night = NOON + timedelta(hours=10)
    assert verdict(a_wish(expires_at=NOON + timedelta(hours=20)), night) == TOO_LATE
    assert verdict(a_wish(expires_at=NOON)) == TOO_LATE


def test_one_a_day_and_three_a_week() -> None:
    assert verdict(a_wish(sent=[NOON - HOUR])) == Verdict("held", until=NOON - HOUR + DAY)
    assert verdict(a_wish(sent=[NOON - DAY])) == SEND
    two = [NOON - 2 * DAY, NOON - 4 * DAY]
    assert verdict(a_wish(sent=two)) == SEND
    assert verdict(a_wish(sent=[*two, NOON - 6 * DAY])) == Verdict("held", until=NOON + DAY)
    assert verdict(a_wish(sent=[*two, NOON - WEEK])) == SEND
    assert verdict(a_wish(purpose="service", sent=[NOON - HOUR] * 5)) == SEND


def test_what_a_cap_frees_at_night_waits_for_the_morning() -> None:
    evening = NOON + timedelta(hours=8, minutes=30)
    sent = evening - timedelta(hours=23)  # free again at half past nine in the evening
    assert verdict(a_wish(sent=[sent]), evening) == Verdict("held", until=NOON + timedelta(hours=20))


def test_what_is_void_before_its_cap_is_free_came_too_often() -> None:
    assert verdict(a_wish(sent=[NOON - HOUR], expires_at=NOON + 20 * HOUR)) == Verdict("skipped", "too_often")
    assert verdict(a_wish(), caps=Caps(a_day=0)) == Verdict("skipped", "too_often")
    assert verdict(a_wish(), caps=Caps(a_week=0)) == Verdict("skipped", "too_often")
    assert verdict(a_wish(purpose="service"), caps=Caps(a_day=0)) == SEND


def test_nobody_is_talked_over_and_the_longer_it_waits_the_more_seldom_it_looks() -> None:
    assert verdict(a_wish(busy=True)) == Verdict("held", until=NOON + PAUSE)
    assert verdict(a_wish(busy=True), NOON + 20 * timedelta(minutes=1)).until == NOON + timedelta(minutes=40)
    assert verdict(a_wish(busy=True), NOON + 5 * HOUR).until == NOON + 6 * HOUR
    assert verdict(a_wish(busy=True, purpose="service")).outcome == "held"
    assert verdict(a_wish(busy=True, expires_at=NOON + timedelta(minutes=2))).until == NOON + timedelta(minutes=2)


def test_busy_is_who_is_being_answered_or_about_to_be() -> None:
    conversation = a_conversation()
    assert not is_busy(conversation)
    conversation.open_burst(NOON, timedelta(seconds=1), timedelta(seconds=3))
    assert is_busy(conversation)
    conversation.close_burst()
    conversation.wait()
    assert is_busy(conversation)
    conversation.hand_to("Rita")
    assert is_busy(conversation)
    conversation.back_to_bot()
    assert not is_busy(conversation)


@given(
    start=MOMENTS,
    gaps=st.lists(st.integers(0, 60 * 30), max_size=60),
    a_day=st.integers(1, 3),
    a_week=st.integers(1, 6),
    purposes=st.data(),
)
def test_whatever_is_asked_for_no_day_and_no_week_has_more_than_its_cap(
    start: datetime, gaps: list[int], a_day: int, a_week: int, purposes: st.DataObject
) -> None:
    sent: list[datetime] = []
    now, caps = start, Caps(a_day, a_week)
    for gap in gaps:
        now += timedelta(minutes=gap)
        purpose = purposes.draw(st.sampled_from(sorted(MARKETING)))
        wish = a_wish(purpose=purpose, said="yes", asked_at=now, expires_at=now + 30 * DAY, sent=list(sent))
        found = verdict(wish, now, caps)
        if found.until is not None:
            assert found.until > now
            wish = replace(wish, sent=[at for at in sent if at > found.until - WEEK])
            assert verdict(wish, found.until, caps) == SEND, "what was held goes out when it is looked at again"
        else:
            assert found == SEND
            sent.append(now)
    for end in sent:
        assert sum(end - DAY < at <= end for at in sent) <= a_day
        assert sum(end - WEEK < at <= end for at in sent) <= a_week
