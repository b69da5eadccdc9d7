"""`docs/metrics.md` lists every figure there is; what the scrape shows is what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent_store.adapters.telemetry.metrics import PrometheusMetrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
_NAMED = re.compile(
    r"(?:\.(?:count|gauge)\(\s*|^(?:UNAVAILABLE|EXPORTED|DROPPED)(?:, DROPPED)? = )\"([a-z]\w+)\"", re.MULTILINE
)


def names_in_the_source() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "src" / "agent_store").rglob("*.py"):
        found.update(_NAMED.findall(path.read_text("utf-8")))
    return found


def test_every_figure_is_on_the_page() -> None:
    names = names_in_the_source()
    assert {"uncertain_send", "spans_exported", "rate_limiter_unavailable", "deliveries_active"} <= names
    absent = {name for name in names if f"agent_store_{name}" not in PAGE}
    assert not absent, f"docs/metrics.md does not tell of {sorted(absent)}"


def test_handlings_are_counted_by_consumer_type_and_outcome() -> None:
    metrics = PrometheusMetrics()
    metrics.received("orders", "store.payment.succeeded")
    metrics.handled("orders", "store.payment.succeeded", "retried", 0.002)
    metrics.handled("orders", "store.payment.succeeded", "done", 0.5)
    metrics.tool_called("cart.add", "ok", 0.001)
    metrics.published("rabbitmq", 3, 1, 0.02)
    page = metrics.page()[0].decode()
    where = 'consumer="orders",outcome="{}",type="store.payment.succeeded"'
    assert 'agent_store_events_received_total{consumer="orders",type="store.payment.succeeded"} 1.0' in page
    for outcome in ("retried", "done"):
        assert f"agent_store_handling_seconds_count{{{where.format(outcome)}}} 1.0" in page
    assert (
        'agent_store_handling_seconds_bucket{consumer="orders",le="0.0025",outcome="retried",type="store.payment.succeeded"} 1.0'
        in page
    )
    assert 'agent_store_tool_seconds_count{outcome="ok",tool="cart.add"} 1.0' in page
    assert 'agent_store_bus_events_published_total{bus="rabbitmq",outcome="confirmed"} 3.0' in page
    assert 'agent_store_bus_events_published_total{bus="rabbitmq",outcome="unconfirmed"} 1.0' in page


def test_rare_things_are_counted_by_name() -> None:
    metrics = PrometheusMetrics()
    metrics.count("uncertain_send")
    metrics.count("model_tokens", 7, brain="rules", kind="input")
    metrics.gauge("deliveries_active", "Deliveries", lambda: 4)
    page = metrics.page()[0].decode()
    assert "agent_store_uncertain_send_total 1.0" in page
    assert 'agent_store_model_tokens_total{brain="rules",kind="input"} 7.0' in page
    assert "agent_store_deliveries_active 4.0" in page


@pytest.mark.parametrize("name", re.findall(r"`agent_store_(\w+)`", PAGE))
def test_names_follow_prometheus_conventions(name: str) -> None:
    assert name == name.lower()
    assert not name.endswith(("_count", "_milliseconds", "_ms"))
