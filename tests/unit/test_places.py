from __future__ import annotations

import pytest

from agent_store.contracts.places import CAPITALS, cep_digits, distance_km, nearness, state_of


@pytest.mark.parametrize(
    ("cep", "state"),
    [
        ("01310-100", "SP"), ("20040020", "RJ"), ("29010-000", "ES"), ("30130-151", "MG"), ("40010-000", "BA"),
        ("49000-000", "SE"), ("57010-000", "AL"), ("64000-000", "PI"), ("68900-000", "AP"), ("69305-000", "RR"),
        ("69900-000", "AC"), ("70040-010", "DF"), ("72800-000", "GO"), ("73100-000", "DF"), ("76801-000", "RO"),
        ("77000-000", "TO"), ("88010-000", "SC"), ("99999-999", "RS"), ("00999-999", None),
    ],
)  # fmt: skip
def test_a_cep_tells_its_state(cep: str, state: str | None) -> None:
    assert state_of(cep) == state


def test_what_is_no_cep_is_refused() -> None:
    with pytest.raises(ValueError, match="eight digits"):
        cep_digits("1234")


def test_distance_is_about_right() -> None:
    assert 340 < distance_km(CAPITALS["SP"], CAPITALS["RJ"]) < 380
    assert distance_km(CAPITALS["SP"], CAPITALS["SP"]) == 0


def _order(cep: str) -> list[str]:
    places = {
        "cajamar": ("07750-000", -23.34, -46.85), "paulista": ("01310-100", -23.56, -46.65),
        "rio": ("22640-100", -23.0, -43.32), "bh": ("30130-151", -19.94, -43.93), "curitiba": ("80420-090", 0.0, 0.0),
    }  # fmt: skip
    return sorted(places, key=lambda name: nearness(cep, *places[name]))


def test_the_nearest_place_comes_first() -> None:
    assert _order("01311-000")[0] == "paulista"
    assert _order("22041-011")[0] == "rio"
    assert _order("88010-000")[0] == "curitiba", "without coordinates its state's capital stands for it"
    assert _order("70040-010")[:2] == ["bh", "cajamar"]
    assert _order("00100-000")[0] in ("paulista", "cajamar"), "a number that is not given out still has an order"
