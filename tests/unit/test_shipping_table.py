from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.fulfillment.model import ShippingTable
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.money import Money

SAMPLE = Path(__file__).parents[2] / "data" / "shipping.yaml"


def zone(**more: Any) -> dict[str, Any]:
    return {
        "name": "Z", "cep_from": "01000-000", "cep_to": "09999-999", "days_min": 2, "days_max": 4,
        "base": "9.90", "per_kg": "1.10", "free_above": "199.00", **more,
    }  # fmt: skip


def table(*zones: dict[str, Any], service: str = "economico") -> dict[str, Any]:
    return {"carriers": [{"id": "c", "name": "C", "services": [{"id": service, "name": "S", "zones": list(zones)}]}]}


def test_the_sample_table_serves_every_cep() -> None:
    shipping = ShippingTable.from_dict(yaml.safe_load(SAMPLE.read_text(encoding="utf-8")))
    for first in range(1, 100):
        assert {rate.service for rate in shipping.rates(f"{first:02d}500-000")} == {"economico", "expresso"}
    assert shipping.rates("00500-000") == ()


@pytest.mark.parametrize(
    ("grams", "goods", "price"),
    [(0, 1_000, 1_100), (1_000, 1_000, 1_100), (1_001, 1_000, 1_210), (5_000, 19_899, 1_540), (5_000, 19_900, 0)],
)
def test_a_price_is_base_and_begun_kilograms_and_free_from_a_value_on(grams: int, goods: int, price: int) -> None:
    (rate,) = ShippingTable.from_dict(table(zone())).rates("05500-000")
    assert rate.price(grams, Money(minor=goods)) == Money(minor=price)


def test_without_a_limit_nothing_is_free() -> None:
    (rate,) = ShippingTable.from_dict(table(zone(free_above=None))).rates("05500-000")
    assert rate.price(1, Money(minor=10**9)).minor == 1_100


@given(light=st.integers(0, 100_000), more=st.integers(0, 100_000))
def test_a_heavier_parcel_is_never_cheaper(light: int, more: int) -> None:
    (rate,) = ShippingTable.from_dict(table(zone())).rates("05500-000")
    goods = Money(minor=100)
    assert rate.price(light, goods) <= rate.price(light + more, goods)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (table(zone(cep_from="10000-000")), "cep_from is after"),
        (table(zone(days_min=5)), "days_min is more"),
        (table(zone(), zone(name="Y", cep_from="09999-999", cep_to="19999-999")), "overlap"),
        (table(zone(base="9,90")), "299.90"),
        (table(zone(base=9.9)), "base"),
        (table(zone(base="-1.00")), "negative"),
        (table(zone(per_kg={"minor": 1, "currency": "USD"})), "one currency"),
        (table(zone(cep_to="123")), "eight digits"),
        (table(zone(extra=1)), "extra"),
        (table(zone(), service="Ruim!"), "id"),
        (table(), "zones"),
        ({"carriers": table(zone())["carriers"] * 2}, "twice"),
        ({}, "carriers"),
    ],
)
def test_a_faulty_table_is_refused_with_what_is_wrong(data: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match="shipping table") as refused:
        ShippingTable.from_dict(data)
    assert what in refused.value.message
