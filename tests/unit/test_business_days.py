from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.fulfillment.calendar import (
    add_business_days,
    dispatch_day,
    easter,
    holidays,
    is_business_day,
    next_business_day,
)


@pytest.mark.parametrize(
    "sunday", [date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2027, 3, 28), date(2038, 4, 25)]
)
def test_easter_is_on_the_sundays_of_the_church_calendar(sunday: date) -> None:
    assert easter(sunday.year) == sunday


def test_the_holidays_of_2026() -> None:
    assert sorted(holidays(2026)) == [
        date(2026, 1, 1),
        date(2026, 2, 16),
        date(2026, 2, 17),
        date(2026, 4, 3),
        date(2026, 4, 21),
        date(2026, 5, 1),
        date(2026, 6, 4),
        date(2026, 9, 7),
        date(2026, 10, 12),
        date(2026, 11, 2),
        date(2026, 11, 15),
        date(2026, 11, 20),
        date(2026, 12, 25),
    ]


def test_black_consciousness_day_is_a_holiday_since_2024() -> None:
    assert is_business_day(date(2023, 11, 20))
    assert not is_business_day(date(2024, 11, 20))


def test_business_days_skip_weekends_and_carnival() -> None:
    friday = date(2026, 2, 13)
    assert add_business_days(friday, 0) == friday
    assert add_business_days(friday, 1) == date(2026, 2, 18)
    assert add_business_days(date(2026, 2, 14), 0) == date(2026, 2, 18)


def test_business_days_go_over_the_new_year() -> None:
    assert add_business_days(date(2026, 12, 30), 3) == date(2027, 1, 5)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 1, 5, 16, 59, tzinfo=UTC), date(2026, 1, 5)),  # 13:59 in São Paulo
        (datetime(2026, 1, 5, 17, 0, tzinfo=UTC), date(2026, 1, 6)),
        (datetime(2026, 1, 10, 2, 0, tzinfo=UTC), date(2026, 1, 12)),  # still Friday evening there
        (datetime(2026, 1, 10, 20, 0, tzinfo=UTC), date(2026, 1, 12)),
    ],
)
def test_an_order_leaves_the_same_day_before_the_cutoff_hour(moment: datetime, day: date) -> None:
    assert dispatch_day(moment, 14) == day


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        dispatch_day(datetime(2026, 1, 5, 12, 0), 14)  # noqa: DTZ001


@given(day=st.dates(date(2000, 1, 1), date(2090, 1, 1)), count=st.integers(0, 40))
def test_between_two_business_days_lie_as_many_as_were_added(day: date, count: int) -> None:
    end = add_business_days(day, count)
    first = next_business_day(day)
    between = [first + timedelta(days=n) for n in range((end - first).days + 1)]
    assert is_business_day(end)
    assert sum(is_business_day(one) for one in between) == count + 1
