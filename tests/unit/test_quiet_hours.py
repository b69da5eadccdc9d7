"""Where a customer is, by their number, and when it is night there."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.conversations.quiet import (
    BRASILIA,
    CODES,
    COUNTRIES,
    DDDS,
    QuietHours,
    Zone,
    zone_of,
)

STATES = {
    "Rio_Branco": "68",
    "Manaus": "92", "Porto_Velho": "69", "Boa_Vista": "95", "Cuiaba": "65 66", "Campo_Grande": "67",
    "Sao_Paulo": "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 53 54 55 61 62 64",
    "Araguaina": "63", "Bahia": "71 73 74 75 77", "Maceio": "79 82", "Recife": "81 87", "Fortaleza": "83 84 85 86 88 89 98 99",
    "Belem": "91 94 96", "Santarem": "93",
}  # fmt: skip
"""DDDs by a zone of the time zone database in which they are; 97 has two."""
ELSEWHERE = {
    "54911": ["America/Argentina/Buenos_Aires"], "595": ["America/Asuncion"], "598": ["America/Montevideo"],
    "591": ["America/La_Paz"], "51": ["America/Lima"], "56": ["America/Santiago", "Pacific/Easter"],
    "57": ["America/Bogota"], "58": ["America/Caracas"], "593": ["America/Guayaquil", "Pacific/Galapagos"],
    "52": ["America/Tijuana", "America/Mexico_City", "America/Cancun"],
    "1212": ["America/New_York", "America/Los_Angeles", "America/Chicago", "America/Halifax"], "1808": ["Pacific/Honolulu"],
    "1809": ["America/Santo_Domingo"], "1907": ["America/Anchorage", "America/Adak"], "1709": ["America/St_Johns", "America/Goose_Bay"],
    "351": ["Europe/Lisbon", "Atlantic/Azores", "Atlantic/Madeira"], "34": ["Europe/Madrid", "Atlantic/Canary"],
    "33": ["Europe/Paris"], "39": ["Europe/Rome"], "49": ["Europe/Berlin"], "44": ["Europe/London"], "41": ["Europe/Zurich"],
    "31": ["Europe/Amsterdam"], "353": ["Europe/Dublin"], "48": ["Europe/Warsaw"], "30": ["Europe/Athens"],
    "380": ["Europe/Kyiv"], "7": ["Europe/Kaliningrad", "Asia/Kamchatka"], "77": ["Asia/Almaty"], "90": ["Europe/Istanbul"],
    "972": ["Asia/Jerusalem"], "971": ["Asia/Dubai"], "966": ["Asia/Riyadh"], "91": ["Asia/Kolkata"], "92": ["Asia/Karachi"],
    "86": ["Asia/Shanghai", "Asia/Urumqi"], "81": ["Asia/Tokyo"], "82": ["Asia/Seoul"], "62": ["Asia/Jakarta", "Asia/Jayapura"],
    "61": ["Australia/Sydney", "Australia/Perth"], "64": ["Pacific/Auckland", "Pacific/Chatham"], "27": ["Africa/Johannesburg"],
    "234": ["Africa/Lagos"], "244": ["Africa/Luanda"], "258": ["Africa/Maputo"], "238": ["Atlantic/Cape_Verde"],
    "254": ["Africa/Nairobi"], "20": ["Africa/Cairo"], "212": ["Africa/Casablanca"],
}  # fmt: skip
NIGHT = QuietHours()

MOMENTS = st.integers(0, 3 * 365 * 86_400).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s))


def offsets(*zones: str) -> tuple[timedelta, timedelta]:
    days = [datetime(2026, month, 15, 12, tzinfo=UTC) for month in range(1, 13)]
    found = [day.astimezone(ZoneInfo(zone)).utcoffset() or timedelta() for zone in zones for day in days]
    return min(found), max(found)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- where


def test_there_are_67_ddds() -> None:
    assert len(DDDS) == 67
    assert {ddd for listed in STATES.values() for ddd in listed.split()} | {"97"} == set(DDDS)


@pytest.mark.parametrize(("zone", "ddd"), [(zone, ddd) for zone, listed in STATES.items() for ddd in listed.split()])
def test_a_ddd_has_the_time_of_its_state(zone: str, ddd: str) -> None:
    found = zone_of(f"55{ddd}987654321")
    assert (found.first, found.last) == offsets(f"America/{zone}")


def test_the_west_of_amazonas_has_two_zones() -> None:
    found = zone_of("5597987654321")
    assert (found.first, found.last) == offsets("America/Eirunepe", "America/Manaus")


@pytest.mark.parametrize(("number", "zones"), ELSEWHERE.items(), ids=ELSEWHERE)
def test_a_country_has_the_least_and_the_greatest_offset_of_its_zones(number: str, zones: list[str]) -> None:
    found, (first, last) = zone_of(number + "55501234"), offsets(*zones)
    assert found.first <= first
    assert found.last >= last
    if len(zones) == 1:
        assert (found.first, found.last) == (first, last)


@pytest.mark.parametrize(
    ("address", "kind", "zone"),
    [
        ("US.13491208655302741918", "user", COUNTRIES["US"]),
        ("PT.8123", "user", COUNTRIES["PT"]),
        ("BR.8123", "user", BRASILIA),
        ("XX.8123", "user", BRASILIA),
        ("8123", "user", BRASILIA),
        ("+55 (68) 98765-4321", "phone", DDDS["68"]),
        ("5500", "phone", BRASILIA),
        ("55", "phone", BRASILIA),
        ("", "phone", BRASILIA),
        ("999123", "phone", BRASILIA),
        ("18095550100", "phone", CODES["1809"]),
        ("77015550100", "phone", CODES["77"]),
    ],
)
def test_what_does_not_tell_is_in_brasilia(address: str, kind: str, zone: Zone) -> None:
    assert zone_of(address, kind) == zone  # type: ignore[arg-type]


# --- when


@pytest.mark.parametrize(
    ("number", "now", "free"),
    [
        ("5511", "2026-03-10 12:00", "2026-03-10 12:00"),  # nine in São Paulo
        ("5511", "2026-03-10 10:59", "2026-03-10 11:00"),  # a minute before eight
        ("5511", "2026-03-10 11:00", "2026-03-10 11:00"),
        ("5511", "2026-03-10 23:59", "2026-03-10 23:59"),  # a minute before nine in the evening
        ("5511", "2026-03-11 00:00", "2026-03-11 11:00"),  # nine in the evening
        ("5511", "2026-03-11 02:59", "2026-03-11 11:00"),  # a minute before midnight there
        ("5511", "2026-03-11 03:00", "2026-03-11 11:00"),  # midnight there
        ("5568", "2026-03-10 12:59", "2026-03-10 13:00"),  # Acre, two hours later
        ("5568", "2026-03-11 01:59", "2026-03-11 01:59"),
        ("5568", "2026-03-11 02:00", "2026-03-11 13:00"),
        ("5597", "2026-03-10 12:30", "2026-03-10 13:00"),  # day in one half of the DDD only
        ("5597", "2026-03-11 01:30", "2026-03-11 13:00"),
        ("351", "2026-07-10 07:30", "2026-07-10 09:00"),  # the Azores are the last to wake up
        ("351", "2026-07-10 20:00", "2026-07-11 09:00"),  # and Lisbon's summer the first to sleep
        ("81", "2026-03-10 22:59", "2026-03-10 23:00"),  # eight in Tokyo, on the next day
        ("81", "2026-03-10 23:00", "2026-03-10 23:00"),
        ("81", "2026-03-10 12:00", "2026-03-10 23:00"),
        ("64", "2026-01-10 09:00", "2026-01-10 20:00"),  # beyond the date line
        ("91", "2026-03-10 02:29", "2026-03-10 02:30"),  # half hours
    ],
)
def test_quiet_hours_end_at_eight_and_begin_at_nine_where_the_customer_is(number: str, now: str, free: str) -> None:
    assert NIGHT.open_from(at(now), zone_of(number)) == at(free)


def test_quiet_hours_within_a_day_and_none_at_all() -> None:
    siesta = QuietHours(time(13), time(15, 30))
    assert siesta.open_from(at("2026-03-10 16:00"), BRASILIA) == at("2026-03-10 18:30")
    assert siesta.open_from(at("2026-03-10 15:59"), BRASILIA) == at("2026-03-10 15:59")
    assert siesta.open_from(at("2026-03-11 03:00"), BRASILIA) == at("2026-03-11 03:00")
    never = QuietHours(time(9), time(9))
    assert never.open_from(at("2026-03-11 05:00"), BRASILIA) == at("2026-03-11 05:00")


def test_where_no_hour_is_day_for_all_the_middle_of_the_country_counts() -> None:
    short = QuietHours(time(12), time(8))  # four hours of day, and Russia has eleven zones
    russia = zone_of("7495")
    assert short.open_from(at("2026-03-10 00:00"), russia) == at("2026-03-10 01:00")
    assert short.open_from(at("2026-03-10 05:00"), russia) == at("2026-03-11 01:00")


@given(
    now=MOMENTS,
    zone=st.sampled_from([*CODES.values(), *DDDS.values(), *COUNTRIES.values()]),
    start=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    end=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_the_moment_found_is_never_in_the_quiet_hours_and_is_within_two_days(
    now: datetime, zone: Zone, start: time, end: time
) -> None:
    quiet = QuietHours(start, end)
    free = quiet.open_from(now, zone)
    assert now <= free <= now + timedelta(days=2)
    assert quiet.open_from(free, zone) == free
    length = timedelta(hours=start.hour - end.hour, minutes=start.minute - end.minute) % timedelta(days=1)
    if start == end:
        assert free == now
        return
    clocks = [zone.first, zone.last] if zone.last - zone.first < length else [zone.middle.first]
    for offset in clocks:
        local = (free + offset).time()
        asleep = start <= local or local < end if start > end else start <= local < end
        assert not asleep
