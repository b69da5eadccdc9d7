"""Structured logs: one JSON object a line with UTC time, level, event, trace id; coloured lines on a terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from agent_store.kernel.tracing import current


class Lossy:
    """A stream for log lines: what cannot be written (a full disk, a reader that has gone) is dropped, since the work that
    it tells of is worth more than the line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def add_trace(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`trace_id` and `span_id` of the span that the task is in, unless the line says whose it is."""
    span = current()
    if span is not None and "trace_id" not in line:
        line["trace_id"], line["span_id"] = span[3:35], span[36:52]
    return line


def configure(level: str = "info", form: str = "auto") -> None:
    """Set up structlog and hand the standard library's loggers (uvicorn, httpx) to it. `form`: json, console, auto."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    stream = cast("TextIO", Lossy(sys.stderr))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_trace,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if console
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[
        structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer,
    ]))  # fmt: skip
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
