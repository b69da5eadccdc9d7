"""Where in Brazil a CEP is, as near as its number tells: state and a point, to say which of several places is nearest.

Sources: Correios, "Faixas de CEP" (ranges by state) and "Estrutura do CEP" (leading digits: region, subregion, sector);
IBGE, geographic coordinates of the state capitals, rounded to a tenth of a degree.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from math import asin, cos, radians, sin, sqrt

_RANGES: tuple[tuple[int, str], ...] = (
    (1_000, "SP"), (20_000, "RJ"), (29_000, "ES"), (30_000, "MG"), (40_000, "BA"), (49_000, "SE"), (50_000, "PE"),
    (57_000, "AL"), (58_000, "PB"), (59_000, "RN"), (60_000, "CE"), (64_000, "PI"), (65_000, "MA"), (66_000, "PA"),
    (68_900, "AP"), (69_000, "AM"), (69_300, "RR"), (69_400, "AM"), (69_900, "AC"), (70_000, "DF"), (72_800, "GO"),
    (73_000, "DF"), (73_700, "GO"), (76_800, "RO"), (77_000, "TO"), (78_000, "MT"), (79_000, "MS"), (80_000, "PR"),
    (88_000, "SC"), (90_000, "RS"),
)  # fmt: skip
"""First five digits from which on a CEP belongs to a state, ascending; 00000–00999 is not given out."""

_STARTS = tuple(start for start, _ in _RANGES)

CAPITALS: dict[str, tuple[float, float]] = {
    "AC": (-10.0, -67.8), "AL": (-9.7, -35.7), "AM": (-3.1, -60.0), "AP": (0.0, -51.1), "BA": (-13.0, -38.5),
    "CE": (-3.7, -38.5), "DF": (-15.8, -47.9), "ES": (-20.3, -40.3), "GO": (-16.7, -49.3), "MA": (-2.5, -44.3),
    "MG": (-19.9, -43.9), "MS": (-20.4, -54.6), "MT": (-15.6, -56.1), "PA": (-1.5, -48.5), "PB": (-7.1, -34.9),
    "PE": (-8.1, -34.9), "PI": (-5.1, -42.8), "PR": (-25.4, -49.3), "RJ": (-22.9, -43.2), "RN": (-5.8, -35.2),
    "RO": (-8.8, -63.9), "RR": (2.8, -60.7), "RS": (-30.0, -51.2), "SC": (-27.6, -48.5), "SE": (-10.9, -37.1),
    "SP": (-23.5, -46.6), "TO": (-10.2, -48.3),
}  # fmt: skip
"""Latitude and longitude, degrees, of each state's capital."""

_EARTH_KM = 6371.0


def cep_digits(cep: str) -> str:
    """The eight digits. Raises ValueError for anything else."""
    digits = re.sub(r"\D", "", cep)
    if len(digits) != 8:
        raise ValueError(f"{cep!r} is no CEP: it has eight digits, like 01310-100")
    return digits


def state_of(cep: str) -> str | None:
    """The state's two letters; None for a number that is not given out. Raises ValueError for what is no CEP."""
    index = bisect_right(_STARTS, int(cep_digits(cep)[:5])) - 1
    return _RANGES[index][1] if index >= 0 else None


def distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance of two (latitude, longitude) points in degrees."""
    lat_a, lat_b = radians(a[0]), radians(b[0])
    half = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(radians(b[1] - a[1]) / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(half))


def nearness(cep: str, place_cep: str, lat: float = 0.0, lon: float = 0.0) -> tuple[int, float, int]:
    """A key to sort places by, nearest to `cep` first.

    Places that share at least its subregion (two leading digits) come first, the more digits the nearer; then by
    distance from the capital of the CEP's state; then by how far the numbers are apart. A place at exactly (0, 0),
    which is in the Atlantic, has no coordinates: its own state's capital stands for it.
    """
    here, there = cep_digits(cep), cep_digits(place_cep)
    shared = next((index for index in range(8) if here[index] != there[index]), 8)
    state, place_state = state_of(cep), state_of(place_cep)
    point = (lat, lon) if (lat, lon) != (0.0, 0.0) else CAPITALS.get(place_state or "")
    away = distance_km(CAPITALS[state], point) if state and point else _EARTH_KM
    return (-shared if shared >= 2 else 0, away, abs(int(here) - int(there)))
