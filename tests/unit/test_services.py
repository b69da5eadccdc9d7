"""The services directory: who runs what, where; read anew when the file changes, and never worse than before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_store.adapters.services import Services
from agent_store.kernel.errors import InvalidInput
from tests.support.events_http import CountedMetrics

GOOD = """
services:
  order-processor: {url: "http://order-processor.store.svc.cluster.local", consumers: [cart, orders, payments]}
  ai-seller-fashion: {url: "http://ai-seller-fashion.store.svc:8080/", consumers: [seller/fashion]}
  ai-seller-tech: {url: "https://ai-seller-tech.store.svc", consumers: [seller/tech]}
  idle: {url: "http://idle"}
"""


def put(path: Path, text: str) -> None:
    """As an operator does: a new file under the old name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, "utf-8")
    os.replace(fresh, path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    put(tmp_path / "services.yaml", GOOD)
    return tmp_path / "services.yaml"


def test_consumers_and_agents_have_addresses(path: Path) -> None:
    services = Services(path)
    assert services.url_of_consumer("orders") == "http://order-processor.store.svc.cluster.local"
    assert services.url_of_consumer("seller/tech") == "https://ai-seller-tech.store.svc"
    assert services.url_of_consumer("seller") is None
    assert services.url_of_agent("cart") == "http://order-processor.store.svc.cluster.local"
    assert services.url_of_agent("seller") == "http://ai-seller-fashion.store.svc:8080"
    assert services.url_of_agent("catalog") is None
    assert services.consumers() == ("cart", "orders", "payments", "seller/fashion", "seller/tech")


def test_an_address_tells_its_service(path: Path) -> None:
    services = Services(path)
    for url in (
        "http://order-processor.store.svc.cluster.local",
        "http://order-processor.store.svc.cluster.local:80/events?consumer=orders",
        "http://order-processor.store.svc.cluster.local./",
    ):
        service = services.at(url)
        assert service is not None
        assert (service.name, service.consumers) == ("order-processor", ("cart", "orders", "payments"))
    tech = services.at("https://ai-seller-tech.store.svc:443/")
    assert tech is not None
    assert tech.name == "ai-seller-tech"
    for url in (
        "https://order-processor.store.svc.cluster.local",
        "http://nobody",
        "http://idle:99999",
        "http://[",
        "rubbish",
        "",
    ):
        assert services.at(url) is None


def test_a_service_may_hear_its_events_elsewhere(path: Path) -> None:
    put(path, "services: {shop: {url: 'http://shop', events: 'http://proxy:81/', consumers: [orders]}}")
    services = Services(path)
    assert services.url_of_consumer("orders") == "http://shop"
    service = services.at("http://proxy:81/events")
    assert service is not None
    assert service.name == "shop"
    assert services.at("http://shop") is None


def test_a_changed_file_is_read_anew(path: Path) -> None:
    services = Services(path)
    put(path, "services: {shop: {url: 'http://shop', consumers: [orders, catalog]}}")
    assert services.url_of_consumer("orders") == "http://shop"
    assert services.consumers() == ("orders", "catalog")
    assert services.at("http://ai-seller-tech.store.svc") is None


def test_a_change_that_is_broken_keeps_the_last_good_one(path: Path) -> None:
    metrics = CountedMetrics()
    services = Services(path, metrics=metrics)
    put(path, "services: {shop: {url: nowhere}}")
    for _ in range(3):
        assert services.url_of_consumer("orders") == "http://order-processor.store.svc.cluster.local"
    path.unlink()
    for _ in range(3):
        assert services.url_of_agent("cart") == "http://order-processor.store.svc.cluster.local"
    assert metrics.counted == {"services_file_bad": 2}
    put(path, "services: {shop: {url: 'http://shop', consumers: [orders]}}")
    assert services.consumers() == ("orders",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a mapping is expected"),
        ("[]", "a mapping is expected"),
        ("services: [", "is no YAML"),
        ("service: {}", "service: Extra inputs"),
        ("services: {shop: {url: 'ftp://shop'}}", r"services\.shop\.url: .*an address like"),
        ("services: {shop: {url: 'http://shop?x=1'}}", r"services\.shop\.url: .*an address like"),
        ("services: {shop: {url: 'http://shop:99999'}}", r"services\.shop\.url: .*Port out of range"),
        ("services: {shop: {url: 'http://shop:0'}}", r"services\.shop\.url: .*port 0"),
        ("services: {shop: {consumers: [a]}}", r"services\.shop\.url: Field required"),
        ("services: {shop: {url: 'http://shop', consumers: a}}", r"services\.shop\.consumers: "),
        ("services: {a: {url: 'http://a', consumers: [x]}, b: {url: 'http://b', consumers: [x]}}",
         "x is run by a and by b: one service each"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_stops_the_start(tmp_path: Path, text: str, sentence: str) -> None:
    put(tmp_path / "services.yaml", text)
    with pytest.raises(InvalidInput, match=sentence):
        Services(tmp_path / "services.yaml")


def test_an_absent_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        Services(tmp_path / "services.yaml")
    (tmp_path / "latin").write_bytes(b"services: \xff")
    with pytest.raises(InvalidInput, match="cannot be read"):
        Services(tmp_path / "latin")
