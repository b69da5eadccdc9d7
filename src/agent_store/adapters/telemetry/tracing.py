"""The kernel's `Tracing` port on OpenTelemetry: which process traces, and where to.

The SDK (`adapters.telemetry.otel`) is imported only when an endpoint is set: some 150 ms and 15 MB.

The standard variables hold where they exist: OTEL_EXPORTER_OTLP_[TRACES_]{ENDPOINT,HEADERS,TIMEOUT,COMPRESSION,CERTIFICATE},
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER[_ARG], OTEL_BSP_…, OTEL_TRACES_EXPORTER=none, OTEL_SDK_DISABLED.
Source: OpenTelemetry specification, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from agent_store.kernel.metrics import Metrics, NoMetrics
from agent_store.kernel.tracing import OFF, Tracing


def wanted(endpoint: str = "", environment: Mapping[str, str] | None = None) -> bool:
    """Whether spans are to be sent: an endpoint is set, here or by a standard variable, and nothing forbids it."""
    environment = os.environ if environment is None else environment
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return bool(
        endpoint
        or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )


def make_tracing(
    *,
    service: str,
    version: str,
    metrics: Metrics | None = None,
    endpoint: str = "",
    ratio: float = 1.0,
    brand: str | None = None,
    instance: str | None = None,
) -> Tracing:
    """The process's tracing; `kernel.tracing.OFF` when no endpoint is set.

    `service` is the deployment's name (`order-processor`), `endpoint` the collector's base URL
    (`http://collector:4318`, to which `/v1/traces` is added). `ratio` of the traces that begin here are kept, 0 to 1; a
    trace that came with an event or a request is kept or not as its beginner has decided.
    """
    if not wanted(endpoint):
        return OFF
    from agent_store.adapters.telemetry.otel import OpenTelemetryTracing

    return OpenTelemetryTracing(
        service=service,
        version=version,
        metrics=metrics or NoMetrics(),
        endpoint=endpoint,
        ratio=ratio,
        brand=brand,
        instance=instance,
    )
