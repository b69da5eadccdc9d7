"""What the gateway needs from outside: its settings and the Graph API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from agent_store.contracts.whatsapp import MediaProblem
from agent_store.kernel.errors import PermanentError, StoreError
from agent_store.kernel.limits import UNLIMITED, Rate

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a webhook body; Meta documents that a payload may be as large as 3 MB."""


MEGABYTE = 1024 * 1024
MEDIA_LIMITS: Mapping[str, int] = {
    "image": 5 * MEGABYTE,
    "audio": 16 * MEGABYTE,
    "video": 16 * MEGABYTE,
    "sticker": 500 * 1024,
    "document": 100 * MEGABYTE,
}
"""Bytes, by kind of message. Source: WhatsApp Business Cloud API, "Media", supported media types."""


@dataclass(frozen=True)
class MediaSettings:
    max_bytes: int = 25 * MEGABYTE
    """Our own limit, for every kind: a medium is held in memory while it is looked at."""
    limits: Mapping[str, int] = field(default_factory=lambda: MEDIA_LIMITS)
    """The platform's, by kind of message."""
    keep: timedelta = timedelta(days=30)
    """How long the content of a customer's message is kept."""
    uploads: bool = False
    """Pictures go out as ids of uploads; else as links that the platform fetches."""
    every_link: bool = False
    """Pictures of other sites are uploaded too, not only the store's own."""

    def limit(self, kind: str) -> int:
        return min(self.limits.get(kind, 0), self.max_bytes)


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
    send_rate: Rate = UNLIMITED
    """Messages that one of the shop's numbers sends. What is over waits."""
    marketing_share: float = 0.5
    """How much of that reminders, surveys and offers may take: answers to customers go before."""
    pair_rate: Rate = UNLIMITED
    """Messages of one of the shop's numbers to one customer. What is over waits."""

    media: MediaSettings = field(default_factory=MediaSettings)

    def __post_init__(self) -> None:
        for value, variable, purpose in (
            (self.app_secret, "AGENT_STORE_WHATSAPP_APP_SECRET", "the app secret that signs webhooks"),
            (self.verify_token, "AGENT_STORE_WHATSAPP_VERIFY_TOKEN", "the token of the webhook's verification"),
            (self.access_token, "AGENT_STORE_WHATSAPP_ACCESS_TOKEN", "the Graph API's access token"),
        ):
            if not value.strip():
                raise ValueError(f"set {variable} ({purpose}): the WhatsApp gateway does not start without it")
        if not 0 < self.marketing_share <= 1:
            raise ValueError("AGENT_STORE_WHATSAPP_MARKETING_SHARE is between 1 and 100 percent")
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
    """Is this phone number id (or, for what is said of the account, the account's id) one of its own?"""

    def __post_init__(self) -> None:
        if not self.secret.strip():
            raise ValueError("a trusted app needs a secret of its own")


class WhatsAppApi(Protocol):
    """Sends through the Graph API, once a call, without trying again by itself."""

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        """Post one message; returns its wamid.

        Raises TemporaryError (with `retry_after` when the platform gave a hint) when the platform did not take it and
        may take it later, PermanentError with the platform's sentence when it never will, both with the platform's code
        in `details["platform_code"]` (`codes.RULES` says which is which), and SendInDoubt when the request went out and
        no readable answer came back.
        """
        ...

    async def show_seen(self, phone_number_id: str, payload: Mapping[str, Any]) -> None:
        """Post a read receipt, with or without a typing indicator. Raises StoreError when it was not taken."""
        ...


class SendInDoubt(StoreError):
    """The request was written and its outcome is unknown: sending again could reach the customer twice."""

    code = "send-in-doubt"
    status = 502


# --- media -----------------------------------------------------------------------------------------------------------


class MediaSlots(asyncio.Semaphore):
    """As many media as a process holds in memory at the same time."""


class MediaRefused(PermanentError):
    """A medium that the store will never have; `problem` says why."""

    code = "media-refused"

    def __init__(self, problem: MediaProblem, message: str) -> None:
        super().__init__(message, problem=problem)
        self.problem: MediaProblem = problem


class MediaApi(Protocol):
    """Media at the platform. Nothing is tried again by itself."""

    async def download(self, media_id: str, limit: int) -> bytes:
        """The content of a customer's medium, whole and with the hash that the platform tells.

        Raises MediaRefused ("gone": the platform does not have it any more; "too_large": over `limit` bytes; "unsafe":
        its address is none that may be called; "unreadable": what came is no file), and TemporaryError when it may come
        later: one that is `away` says nothing of the medium, one with "unreadable" as `details["problem"]` that what came
        is not what was told.
        """
        ...

    async def upload(self, phone_number_id: str, content: bytes, mime_type: str, filename: str) -> str:
        """Hand a file to the platform for messages of this number; returns the media id, which is good for 30 days.

        Raises TemporaryError, or PermanentError with the platform's sentence.
        """
        ...


class MediaStore(Protocol):
    """Where the content of media is kept. A key is made of lower-case letters and digits."""

    async def put(self, key: str, content: bytes, mime_type: str) -> None:
        """Keep it; whole or not at all. A key that is there is written anew."""
        ...

    async def open(self, key: str) -> bytes:
        """Raises NotFound when there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Does nothing when there is none."""
        ...


class Transcriber(Protocol):
    """Writes down what is said. `language` is a hint: "pt"."""

    async def transcribe(self, content: bytes, mime_type: str, language: str | None) -> str:
        """Raises TemporaryError or PermanentError when it cannot; takes no longer than it was told to."""
        ...


class Vision(Protocol):
    """Says in a sentence or two, in `language`, what a picture shows."""

    async def describe(self, content: bytes, mime_type: str, language: str) -> str:
        """Raises TemporaryError or PermanentError when it cannot; takes no longer than it was told to."""
        ...


@dataclass(frozen=True)
class Senses:
    """Who listens and who looks. None: nobody."""

    transcriber: Transcriber | None = None
    vision: Vision | None = None


class Pictures(Protocol):
    """The pictures that go out."""

    async def fetch(self, link: str, limit: int) -> bytes:
        """Raises NotFound when there is none at this address, MediaRefused when it is over `limit` bytes or the address
        is none that may be called, TemporaryError when it cannot be had now."""
        ...

    async def as_png(self, content: bytes, mime_type: str, width: int, height: int) -> bytes:
        """The picture as a PNG of this size. Raises MediaRefused ("unreadable") when it cannot be drawn."""
        ...
