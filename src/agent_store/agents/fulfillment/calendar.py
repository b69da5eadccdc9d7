"""Business days in Brazil. No I/O.

Sources: Lei 662/1949 with Lei 10.607/2002 (1 January, 21 April, 1 May, 7 September, 2 and 15 November, 25 December),
Lei 6.802/1980 (12 October), Lei 14.759/2023 (20 November, from 2024 on). Good Friday is kept nationwide by Lei 9.093/1995;
Carnival's Monday and Tuesday and Corpus Christi are no public holidays by federal law, but banks and parcel services
rest (FEBRABAN's calendar), so a promise that counts them would be broken.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import lru_cache

BRASILIA = timezone(timedelta(hours=-3), "BRT")
"""São Paulo's time. A fixed offset: Brazil has had no daylight saving time since Decreto 9.772/2019, and a bare
container has no time zone database."""

_FIXED = ((1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25))


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Anonymous Gregorian algorithm; Meeus, "Astronomical Algorithms")."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=32)
def holidays(year: int) -> frozenset[date]:
    """Days of the year on which no parcel moves, Sundays and Saturdays aside."""
    sunday = easter(year)
    moving = {
        sunday + timedelta(days=shift) for shift in (-48, -47, -2, 60)
    }  # Carnival twice, Good Friday, Corpus Christi
    fixed = {date(year, month, day) for month, day in _FIXED}
    if year >= 2024:
        fixed.add(date(year, 11, 20))
    return frozenset(fixed | moving)


def is_business_day(day: date) -> bool:
    return day.weekday() < 5 and day not in holidays(day.year)


def next_business_day(day: date) -> date:
    """The day itself when it is one."""
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


def add_business_days(day: date, count: int) -> date:
    """The business day that many business days after `day`; 0 gives the first one from `day` on."""
    day = next_business_day(day)
    for _ in range(count):
        day = next_business_day(day + timedelta(days=1))
    return day


def dispatch_day(now: datetime, cutoff_hour: int) -> date:
    """The business day on which an order of this moment is handed to the carrier: today before the hour (São Paulo
    time), else the next. Raises ValueError for a naive time."""
    if now.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    local = now.astimezone(BRASILIA)
    day = local.date()
    if is_business_day(day) and local.hour >= cutoff_hour:
        day += timedelta(days=1)
    return next_business_day(day)
