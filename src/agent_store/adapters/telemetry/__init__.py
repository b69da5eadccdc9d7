"""Logs (structlog, JSON with trace ids) and metrics (Prometheus)."""
