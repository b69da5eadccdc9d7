"""What a delivery holds, and the forward-only life of a send. No I/O.

Source of the shapes: WhatsApp Business Cloud API, "Webhooks" (messages, statuses, account fields) and "Business-scoped
user IDs".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from agent_store.agents.whatsapp.loose import Json
from agent_store.contracts.whatsapp import InboundContent, MessageKind, Pricing
from agent_store.kernel.errors import PermanentError
from agent_store.kernel.privacy import redact_cards

SendState = Literal["queued", "attempting", "doubtful", "uncertain", "sent", "delivered", "read", "failed"]
StatusWord = Literal["sent", "delivered", "read", "failed"]
NewsKind = Literal["quality", "limit", "template", "account", "name", "security", "other"]
Severity = Literal["info", "warning", "alert"]


class BadDelivery(PermanentError):
    """The body is not a JSON object, so nothing of it can be kept."""

    code = "bad-delivery"
    status = 400


@dataclass(slots=True)  # not frozen: that makes eleven fields cost as much as reading them
class Inbound:
    """One message of a customer. `sender` is "" when the delivery does not say who wrote, `sent_at` None when not when.

    `raw` is the message's JSON as it came, with card numbers taken out.
    """

    wamid: str
    phone_number_id: str
    sender: str
    wa_id: str | None
    user_id: str | None
    profile_name: str | None
    kind: MessageKind
    content: InboundContent
    context_wamid: str | None
    sent_at: datetime | None
    raw: str
    hasty: bool = False
    """Over the limit of messages a customer."""
    identity: IdentityChange | None = None
    """What a system message says of whom the customer is."""


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """A customer's number or user id became another; of before and after, at least one each is there."""

    phone_number_id: str
    wa_id: str | None
    user_id: str | None
    before_wa_id: str | None
    before_user_id: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class MarketingChoice:
    """A customer stopped (or wants again) this business's marketing messages in WhatsApp itself."""

    phone_number_id: str
    wa_id: str | None
    user_id: str | None
    wanted: bool
    at: datetime | None


@dataclass(slots=True)
class Revision:
    """A customer changed (`content`) or took back (None) a message of theirs."""

    wamid: str
    """The message that it is about."""
    revision_wamid: str
    phone_number_id: str
    sender: str
    wa_id: str | None
    user_id: str | None
    content: InboundContent | None
    at: datetime | None
    raw: str
    """As `Inbound.raw`."""


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """How far a send got. `send_id` is our `biz_opaque_callback_data`; at least one of it and `wamid` is there."""

    phone_number_id: str
    wamid: str | None
    send_id: str | None
    status: StatusWord
    at: datetime | None
    error_code: int | None = None
    error: str | None = None
    pricing: Pricing | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error that the platform reports about the account or a number, not about one send."""

    phone_number_id: str
    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class AccountNews:
    """What the platform says of the account, a number or a template."""

    account_id: str
    subject_id: str
    """The account's id, a template's name and language, or a number as customers dial it when `is_number`."""
    is_number: bool
    what: NewsKind
    state: str
    severity: Severity
    reason: str
    at: datetime | None


@dataclass(slots=True)  # (its lists are made by lambdas: calling `list[…]` takes ten times as long)
class Delivery:
    """All that one webhook call brought. `other_fields`: names of changes that this store has no use for.

    `oddities` counts the parts that had an unexpected shape and carried no message.
    """

    messages: list[Inbound] = field(default_factory=lambda: [])
    revisions: list[Revision] = field(default_factory=lambda: [])
    identities: list[IdentityChange] = field(default_factory=lambda: [])
    choices: list[MarketingChoice] = field(default_factory=lambda: [])
    statuses: list[StatusUpdate] = field(default_factory=lambda: [])
    complaints: list[Complaint] = field(default_factory=lambda: [])
    news: list[AccountNews] = field(default_factory=lambda: [])
    other_fields: list[str] = field(default_factory=lambda: [])
    oddities: int = 0

    def numbers(self) -> set[str]:
        """Every phone number id that it speaks of."""
        parts = (self.messages, self.revisions, self.identities, self.choices, self.statuses, self.complaints)
        return {part.phone_number_id for some in parts for part in some}


_PLATFORM_IDS = frozenset({
    "id", "from", "from_user_id", "wa_id", "user_id", "parent_user_id", "timestamp", "message_id", "sha256",
    "phone_number_id", "catalog_id", "source_id", "ctwa_clid", "original_message_id", "previous_user_id",
    "previous_parent_user_id", "from_parent_user_id", "product_retailer_id",
})  # fmt: skip
"""Fields that the platform fills: long numbers in them are ids, not cards."""


def without_cards(value: Any) -> Any:
    """A JSON value without what looks like a card number, whatever depth it hides in; the platform's own ids stay."""
    # What a JSON parser makes has exactly these types; a short string holds no card number.
    kind = cast(object, type(value))
    if kind is str:
        return redact_cards(value) if len(value) > 12 else value
    if kind is dict:
        return {
            name: part if type(part) is str and (len(part) < 13 or name in _PLATFORM_IDS) else without_cards(part)
            for name, part in cast(Json, value).items()
        }
    if kind is list:
        return [without_cards(part) for part in cast("list[Any]", value)]
    if (kind is int or kind is float) and abs(value) >= 1e12:
        written = repr(value) if kind is int else f"{value:.0f}"
        return value if redact_cards(written) == written else redact_cards(written)
    return value


# --- the life of a send ----------------------------------------------------------------------------------------------

_RANK: dict[SendState, int] = {
    "queued": 0, "attempting": 0, "doubtful": 0, "uncertain": 1, "sent": 2, "delivered": 3, "read": 4,
}  # fmt: skip


def advances(state: SendState, to: Literal["sent", "delivered", "read", "failed", "uncertain"]) -> bool:
    """Does news take a send forward? Statuses arrive in any order and several times; "failed" is the end of a send,
    and a send that was delivered cannot fail any more."""
    if state == "failed":
        return False
    if to == "failed":
        return state not in ("delivered", "read")
    return _RANK[to] > _RANK[state]
