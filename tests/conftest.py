"""For all tests: plain, quiet logs, and Hypothesis without a clock.

structlog's default draws tracebacks with all locals, seconds a failure. Hypothesis's deadline judges the machine, not the
code; in CI its examples are the same in every run, elsewhere it explores.
"""

from __future__ import annotations

import logging
import os

import hypothesis
import pytest
import structlog

from tests.support.kube import kube_api as kube_api
from tests.support.programs import postgres as postgres
from tests.support.programs import postgres_url as postgres_url
from tests.support.programs import rabbitmq as rabbitmq
from tests.support.programs import redis as redis
from tests.support.programs_knative import knative as knative
from tests.support.programs_knative import knative_bin as knative_bin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=("sqlite", "postgresql", "all"), default="all", help="database of tests/agents")


hypothesis.settings.register_profile(
    "store",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("store")

structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    cache_logger_on_first_use=False,
)
