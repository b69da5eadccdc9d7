"""The bus that the settings name, and what events and calls between services are signed with and bound by."""

from __future__ import annotations

import hmac
import os
from datetime import timedelta

from agent_store.adapters.http.tools_client import CallLimits
from agent_store.adapters.services import Services
from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.contracts.catalog import ImportCatalog
from agent_store.entrypoints.datafolder import Secrets
from agent_store.entrypoints.settings import Settings
from agent_store.kernel.bus import Bus, KeepDead
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.signing import Signer

CALLS = CallLimits(timeouts={ImportCatalog.tool_name: timedelta(minutes=15)})


class NoServices:
    """Addresses where no services file is set: everything runs in this process, or is nowhere."""

    def url_of_agent(self, name: str, /) -> str | None:
        return None

    def url_of_consumer(self, name: str) -> str | None:
        return None


def keys_of(settings: Settings, secrets: Secrets) -> list[tuple[str, bytes]]:
    """What events and calls are signed with: the setting, else what the data folder's processes share."""
    if not settings.keys:
        return [("local", secrets.service_key.encode())]
    pairs = (part.strip().partition(":") for part in settings.keys.split(","))
    return [(name, secret.encode()) for name, _, secret in pairs]


def payment_secret_of(settings: Settings, secrets: Secrets) -> str:
    """What a payment provider's callbacks are signed with: the setting, else what all processes that share keys have in
    common."""
    if settings.payment_webhook_secret or not settings.keys:
        return settings.payment_webhook_secret or secrets.payment_secret
    (_, key), *_ = keys_of(settings, secrets)
    return hmac.digest(key, b"payment callbacks", "sha256").hex()


def make_bus(settings: Settings, signer: Signer, services: Services | None, metrics: PrometheusMetrics, *,
             service: str, dead: KeepDead, takes_dead: bool, clock: Clock) -> Bus:  # fmt: skip
    """`takes_dead`: this process empties the broker's dead-letter queue."""
    if not settings.bus:
        raise InvalidInput("AGENT_STORE_BUS: agents in several processes need one: amqp://… or knative")
    if settings.bus == "knative":
        from agent_store.adapters.bus.knative import KnativeBus, read_overrides, read_trust

        sink = os.environ.get("K_SINK", "")
        if not sink:
            raise InvalidInput("K_SINK: the address of the Broker's ingress is expected when the bus is knative")
        return KnativeBus(
            sink, signer=signer, addresses=services or NoServices(), dead=dead, answer_within=settings.answer_within,
            publish_timeout=settings.bus_timeout, overrides=read_overrides(os.environ.get("K_CE_OVERRIDES")),
            tls=read_trust(os.environ.get("K_CA_CERTS")), clock=clock, metrics=metrics,
        )  # fmt: skip
    from agent_store.adapters.bus.rabbitmq import RabbitMqBus

    return RabbitMqBus(
        settings.bus, signer=signer, prefix=settings.bus_prefix, prefetch=settings.bus_prefetch,
        confirm_timeout=settings.bus_timeout, name=service, dead=dead if takes_dead else None, clock=clock,
        metrics=metrics,
    )  # fmt: skip
