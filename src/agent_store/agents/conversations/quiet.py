"""When it is night where a customer is. Pure: by the phone number, without time zone data.

A country with several zones or with summer time has a first and a last offset from UTC: it is day for a customer there
when it is day at both. In Brazil the area code (DDD) tells the zone. Who goes by a business-scoped user id has its
country in front ("US.…"). What tells nothing is in Brasília.

Sources: Anatel, "Plano Geral de Códigos Nacionais" (the 67 DDDs); Lei 11.662/2008 and Lei 12.876/2013 (Brazil's zones) and
Decreto 9.772/2019 (no summer time); ITU-T E.164, list of assigned country codes; IANA time zone database, offsets in force
in 2026; WhatsApp Cloud API, "Business-scoped user IDs".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Zone:
    """The least and the greatest offset from UTC that the clocks of a place may show."""

    first: timedelta
    last: timedelta

    @property
    def middle(self) -> Zone:
        offset = (self.first + self.last) / 2
        return Zone(offset, offset)


def _zone(first: float, last: float | None = None) -> Zone:
    return Zone(timedelta(hours=first), timedelta(hours=first if last is None else last))


BRASILIA = _zone(-3)

_DDD = {
    -5: "68",
    -4: "65 66 67 69 92 95",
    -3: "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 53 54 55 61 62 63 64 "
    "71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 93 94 96 98 99",
}
DDDS: dict[str, Zone] = {ddd: _zone(offset) for offset, listed in _DDD.items() for ddd in listed.split()} | {
    "97": _zone(-5, -4)  # the west of Amazonas, a part of which has Acre's time
}
"""Fernando de Noronha, an hour ahead, shares 81 with Recife: its 3,000 people have Recife's day."""

_PLACES: tuple[tuple[float, float, str], ...] = (
    (-11, -11, "1684AS"),
    (-10, -10, "1808"),
    (-10, -8, "1907"),
    (-10, -4, "US"),
    (-8, -2.5, "CA"),
    (-8, -3, "1"),
    (-8, -5, "52MX"),
    (-6, -6, "501BZ 506CR 503SV 502GT 504HN 505NI"),
    (-6, -5, "593EC"),
    (-6, -3, "56CL"),
    (-5, -5, "57CO 51PE 507PA 1876JM 1658JM 1345KY"),
    (-5, -4, "53CU 509HT 1242BS 1649TC"),
    (-4, -4, "591BO 592GY 58VE 590GP 596MQ 1809DO 1829DO 1849DO 1787PR 1939PR 1868TT 1246BB"),
    (-4, -2.5, "1709"),
    (-4, 0, "299GL"),
    (-3, -3, "54AR 594GF 595PY 597SR 598UY 500FK"),
    (-3, -2, "508PM"),
    (-1, -1, "238CV"),
    (-1, 1, "351PT"),
    (0, 0, "354IS 233GH 225CI 221SN 223ML 226BF 228TG 220GM 224GN 245GW 231LR 232SL 222MR 239ST"),
    (0, 1, "44GB 353IE 212MA"),
    (0, 2, "34ES"),
    (1, 1, "213DZ 216TN 234NG 227NE 229BJ 240GQ 241GA 237CM 235TD 236CF 242CG 244AO"),
    (1, 2, "33FR 39IT 41CH 43AT 49DE 31NL 32BE 352LU 45DK 46SE 47NO 48PL 420CZ 421SK 36HU 381RS 385HR 386SI 387BA 382ME "
     "389MK 355AL 356MT 376AD 377MC 350GI 243CD"),
    (2, 2, "218LY 249SD 250RW 257BI 258MZ 260ZM 263ZW 265MW 266LS 267BW 268SZ 264NA 27ZA"),
    (2, 3, "358FI 40RO 359BG 30GR 380UA 373MD 370LT 371LV 372EE 357CY 972IL 970PS 961LB 20EG"),
    (2, 12, "7RU"),
    (3, 3, "90TR 375BY 962JO 963SY 964IQ 965KW 966SA 967YE 973BH 974QA 251ET 254KE 255TZ 256UG 252SO 253DJ 291ER 261MG "
     "269KM"),
    (3.5, 3.5, "98IR"),
    (4, 4, "995GE 374AM 994AZ 968OM 971AE 230MU 262RE 248SC"),
    (4.5, 4.5, "93AF"),
    (5, 5, "92PK 960MV 998UZ 992TJ 993TM 76KZ 77KZ"),
    (5.5, 5.5, "91IN 94LK"),
    (5.75, 5.75, "977NP"),
    (6, 6, "880BD 975BT 996KG"),
    (6, 8, "86CN"),
    (6.5, 6.5, "95MM"),
    (7, 7, "66TH 84VN 855KH 856LA"),
    (7, 8, "976MN"),
    (7, 9, "62ID"),
    (8, 8, "60MY 65SG 63PH 673BN 852HK 853MO 886TW"),
    (8, 11, "61AU"),
    (9, 9, "670TL 82KR 81JP"),
    (10, 10, "1671GU 1670MP"),
    (10, 11, "675PG"),
    (12, 12, "679FJ"),
    (12, 13.75, "64NZ"),
)  # fmt: skip
"""Offsets in hours; a calling code (with an area code where +1 and +7 are shared), ISO 3166 letters, or both."""

_PLACE = re.compile(r"(\d*)([A-Z]*)")
CODES: dict[str, Zone] = {}
"""By calling code."""
COUNTRIES: dict[str, Zone] = {"BR": BRASILIA}
"""By ISO 3166 letters."""
for _first, _last, _listed in _PLACES:
    for _code, _country in _PLACE.findall(_listed):
        if _code:
            CODES[_code] = _zone(_first, _last)
        if _country:
            COUNTRIES[_country] = _zone(_first, _last)
_LONGEST = max(map(len, CODES))


def zone_of(address: str, kind: Literal["phone", "user"] = "phone") -> Zone:
    """Where the customer of this wa_id, phone number or business-scoped user id is; Brasília when it doesn't tell."""
    if kind == "user":
        return COUNTRIES.get(address[:2].upper(), BRASILIA) if address[2:3] == "." else BRASILIA
    digits = re.sub(r"\D", "", address)
    if digits.startswith("55"):
        return DDDS.get(digits[2:4], BRASILIA)
    for length in range(_LONGEST, 0, -1):
        if digits[:length] in CODES:
            return CODES[digits[:length]]
    return BRASILIA


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` by the customer's clock, mostly over midnight; none when the two are the same."""

    start: time = time(21)
    end: time = time(8)

    def open_from(self, now: datetime, zone: Zone) -> datetime:
        """The first moment from `now` on that is not in the quiet hours: `now` itself by day.

        Where the zones of a country are further apart than its day is long, the middle of them counts.
        """
        length = _of_day(self.start) - _of_day(self.end)
        if not length:
            return now
        if length < timedelta():
            length += _DAY
        if zone.last - zone.first >= length:
            zone = zone.middle
        today = now.astimezone(UTC).date()
        for days in range(-2, 4):
            midnight = datetime.combine(today + timedelta(days=days), time(), UTC)
            begins, ends = midnight + _of_day(self.end) - zone.first, midnight + _of_day(self.end) + length - zone.last
            if now < ends:
                return max(now, begins)
        raise AssertionError("every day has an hour that is not quiet")


def _of_day(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
