"""For all tests: plain, quiet logs. (structlog's default draws tracebacks with all locals, seconds a failure.)"""

from __future__ import annotations

import logging

import structlog

structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    cache_logger_on_first_use=False,
)
