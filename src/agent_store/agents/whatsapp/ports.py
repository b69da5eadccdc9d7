"""What the gateway needs from outside: its settings and the Graph API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from agent_store.kernel.errors import StoreError
from agent_store.kernel.limits import UNLIMITED, Rate

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a webhook body; Meta documents that a payload may be as large as 3 MB."""


@dataclass(frozen=True)
class WhatsAppSettings:
    """Secrets have no default: an empty one stops the start."""

    app_secret: str = field(repr=False)
    """Signs every webhook (HMAC-SHA256 of the raw body)."""
    verify_token: str = field(repr=False)
    """What Meta repeats to us when the webhook is subscribed."""
    access_token: str = field(repr=False)
    """Bearer token of the Graph API."""
    graph_url: str
    """Base URL of the Graph API, without version: `https://graph.facebook.com`."""
    public_url: str
    """Where the platform can fetch the store's pictures: put before paths like `/media/…`."""
    api_version: str = "v23.0"
    connect_timeout: timedelta = timedelta(seconds=3)
    send_timeout: timedelta = timedelta(seconds=10)
    """For the whole answer of one send."""
    doubt_wait: timedelta = timedelta(seconds=20)
    """How long the status of a send whose outcome is unknown is waited for, before it counts as uncertain."""
    max_body: int = MAX_BODY
    """Bytes of a webhook body; more is refused."""
    source_rate: Rate = UNLIMITED
    """Requests of one address. Behind a proxy that does not say whom it speaks for, all have one address."""
    number_rate: Rate = UNLIMITED
    """Deliveries for one of the shop's numbers. What is refused (429) is not taken: the platform delivers it again."""
    customer_rate: Rate = UNLIMITED
    """Messages of one customer. What is over is taken, and marked as hasty."""

    def __post_init__(self) -> None:
        for value, variable, purpose in (
            (self.app_secret, "AGENT_STORE_WHATSAPP_APP_SECRET", "the app secret that signs webhooks"),
            (self.verify_token, "AGENT_STORE_WHATSAPP_VERIFY_TOKEN", "the token of the webhook's verification"),
            (self.access_token, "AGENT_STORE_WHATSAPP_ACCESS_TOKEN", "the Graph API's access token"),
        ):
            if not value.strip():
                raise ValueError(f"set {variable} ({purpose}): the WhatsApp gateway does not start without it")
        for value, variable in (
            (self.graph_url, "AGENT_STORE_WHATSAPP_GRAPH_URL"),
            (self.public_url, "AGENT_STORE_PUBLIC_URL"),
        ):
            if not value.startswith(("https://", "http://")):
                raise ValueError(f"{variable} must be an http(s) URL, not {value!r}")


@dataclass(frozen=True)
class TrustedApp:
    """A second signer, trusted for its own numbers only: the built-in simulator, which must never speak for a real one."""

    secret: str = field(repr=False)
    serves: Callable[[str], bool]
    """Is this phone number id one of its own?"""

    def __post_init__(self) -> None:
        if not self.secret.strip():
            raise ValueError("a trusted app needs a secret of its own")


class WhatsAppApi(Protocol):
    """Sends through the Graph API, once a call, without trying again by itself."""

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        """Post one message; returns its wamid.

        Raises TemporaryError (with `retry_after` when the platform gave a hint) when the platform did not take it and
        may take it later, PermanentError with the platform's sentence and `details["platform_code"]` when it never
        will, and SendInDoubt when the request went out and no readable answer came back.
        """
        ...


class SendInDoubt(StoreError):
    """The request was written and its outcome is unknown: sending again could reach the customer twice."""

    code = "send-in-doubt"
    status = 502
