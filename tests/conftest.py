"""For all tests: plain, quiet logs, Hypothesis without a clock, and failures told as they come.

structlog's default draws tracebacks with all locals, seconds a failure. Hypothesis's deadline judges the machine, not the
code; in CI its examples are the same in every run, elsewhere it explores. A run that is ended before its summary has
still named what failed.
"""

from __future__ import annotations

import logging
import os
import time

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


class FailuresAsTheyCome:
    """A line a failure, at once, with the minutes since the run began."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._began = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        said = str(crash.message if crash else report.longrepr).strip().partition("\n")[0]
        minutes = (time.monotonic() - self._began) / 60
        self._reporter.write_line("")
        self._reporter.write_line(
            f"{minutes:.1f} min: {report.when} of {report.nodeid} ({report.duration:.1f} s): {said[:300]}"
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that share a fleet or an API server run in one process. Grouping that does not work says nothing itself."""
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
            raise pytest.UsageError(
                f"--dist loadgroup does not group {item.nodeid}: see the bound of pytest in pyproject.toml"
            )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, pytest.TerminalReporter):  # none in the workers of a parallel run
        config.pluginmanager.register(FailuresAsTheyCome(reporter))


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
