"""The queries of consents and of contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import bindparam, select, update

from agent_store.agents.conversations.permission import Reason, Said
from agent_store.agents.conversations.tables import consents, contacts, conversations, customers, messages, notices
from agent_store.contracts.chat import Consent, ConsentWay
from agent_store.contracts.common import Channel
from agent_store.contracts.whatsapp import MARKETING, OutContent
from agent_store.kernel.context import Repository
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.sql import insert

# --- consents

_CONSENT = select(consents).where(consents.c.customer_id == bindparam("p_customer"))
_ADD_CONSENT = insert(consents)
_PUT_CONSENT = _ADD_CONSENT.on_conflict_do_update(
    index_elements=["customer_id"],
    set_={name: getattr(_ADD_CONSENT.excluded, name) for name in ("granted", "words", "way", "channel", "at")},
)
_CUSTOMER = select(customers.c.id).where(customers.c.id == bindparam("p_customer")).with_for_update()
_TOUCH = update(customers).where(customers.c.id == bindparam("p_customer")).values(updated_at=bindparam("p_at"))


class Consents(Repository):
    async def of(self, customer_id: CustomerId) -> Consent:
        """A customer's last word; "unsaid" when there is none."""
        row = await self.db.first(_CONSENT, {"p_customer": customer_id})
        if row is None:
            return Consent(customer_id=customer_id, marketing="unsaid")
        said: Said = "yes" if row["granted"] else "no"
        return Consent(customer_id=customer_id, marketing=said, words=row["words"], way=row["way"], at=row["at"])

    async def put(
        self, customer_id: CustomerId, *, granted: bool, words: str, way: ConsentWay, channel: Channel, at: datetime
    ) -> None:
        await self.db.run(
            _PUT_CONSENT,
            {
                "customer_id": customer_id,
                "granted": granted,
                "words": words,
                "way": way,
                "channel": channel,
                "at": at,
            },
        )

    async def has_customer(self, customer_id: CustomerId) -> bool:
        """Locked until the transaction ends: a customer's consent and contacts are decided one after the other."""
        return await self.db.first(_CUSTOMER, {"p_customer": customer_id}) is not None


# --- what was sent

_SENT_MESSAGE = select(
    messages.c.conversation_id, messages.c.seq, messages.c.role, messages.c.author, messages.c.kind, messages.c.content
).where(messages.c.send_id == bindparam("p_send"))
_REWORD = (
    update(messages)
    .where(messages.c.conversation_id == bindparam("p_conversation"), messages.c.seq == bindparam("p_seq"))
    .values(kind="template", text=bindparam("p_text"))
)
_KEPT = select(notices.c.key).where(notices.c.key == bindparam("p_key"))
_CONTENT: TypeAdapter[OutContent] = TypeAdapter(OutContent)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of ours; `template` is what its template says, "" without one."""

    conversation_id: ConversationId
    seq: int
    role: str
    author: str
    kind: str
    content: OutContent
    template: str


class Outgoing(Repository):
    async def find(self, send_id: str) -> Sent | None:
        row = await self.db.first(_SENT_MESSAGE, {"p_send": send_id})
        if row is None or row["content"] is None:
            return None
        return Sent(
            conversation_id=ConversationId(row["conversation_id"]),
            seq=row["seq"],
            role=row["role"],
            author=row["author"],
            kind=row["kind"],
            content=_CONTENT.validate_python(row["content"]),
            template=row["content"].get("template", ""),
        )

    async def became_template(self, sent: Sent) -> None:
        """The customer read the template: so does who reads the transcript, and the seller."""
        if sent.template:
            await self.db.run(
                _REWORD, {"p_conversation": sent.conversation_id, "p_seq": sent.seq, "p_text": sent.template}
            )

    async def is_kept(self, key: str) -> bool:
        return await self.db.first(_KEPT, {"p_key": key}) is not None


# --- contacts

State = Literal["held", "sent", "skipped", "expired"]

_CONTACT = select(contacts).where(contacts.c.contact_id == bindparam("p_contact"))
_CONTACT_LOCK = _CONTACT.with_for_update()
_ADD_CONTACT = insert(contacts)
_SAVE_CONTACT = (
    update(contacts)
    .where(contacts.c.contact_id == bindparam("p_contact"))
    .values(
        {
            name: bindparam(f"p_{name}")
            for name in ("conversation_id", "purpose", "state", "reason", "due_at", "sent_at")
        }
    )
)
_OF_CUSTOMER = contacts.c.customer_id == bindparam("p_customer")
_SENT = select(contacts.c.sent_at).where(
    _OF_CUSTOMER, contacts.c.sent_at > bindparam("p_since"), contacts.c.purpose.in_(sorted(MARKETING))
)
_LAST_OF = (
    select(contacts.c.contact_id)
    .where(_OF_CUSTOMER, contacts.c.sent_at.is_not(None), contacts.c.purpose == bindparam("p_purpose"))
    .order_by(contacts.c.sent_at.desc())
    .limit(1)
)
_WHERE = (
    select(conversations.c.id, conversations.c.number, conversations.c.brand)
    .where(conversations.c.customer_id == bindparam("p_customer"), conversations.c.channel == "whatsapp")
    .order_by(conversations.c.heard_at.desc(), conversations.c.id.desc())
    .limit(20)
)


@dataclass(slots=True)
class Contact:
    contact_id: str
    customer_id: CustomerId
    purpose: str
    command: dict[str, Any]
    created_at: datetime
    state: State = "held"
    reason: Reason = ""
    conversation_id: ConversationId | None = None
    due_at: datetime | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation of the customer's in which something could be said."""

    id: ConversationId
    number: str
    brand: str | None


class Contacts(Repository):
    async def find(self, contact_id: str) -> Contact | None:
        """Locked until the transaction ends."""
        row = await self.db.first(_CONTACT_LOCK, {"p_contact": contact_id})
        if row is None:
            return None
        return Contact(
            contact_id=row["contact_id"],
            customer_id=CustomerId(row["customer_id"]),
            purpose=row["purpose"],
            command=row["command"],
            created_at=row["created_at"],
            state=row["state"],
            reason=row["reason"],
            conversation_id=None if row["conversation_id"] is None else ConversationId(row["conversation_id"]),
            due_at=row["due_at"],
            sent_at=row["sent_at"],
        )

    async def add(self, contact: Contact) -> None:
        await self.db.run(
            _ADD_CONTACT,
            {
                name: getattr(contact, name)
                for name in (
                    "contact_id", "customer_id", "conversation_id", "purpose", "state", "reason", "command", "due_at",
                    "sent_at", "created_at",
                )
            },
        )  # fmt: skip

    async def save(self, contact: Contact) -> None:
        await self.db.run(
            _SAVE_CONTACT,
            {
                "p_contact": contact.contact_id,
                "p_conversation_id": contact.conversation_id,
                "p_purpose": contact.purpose,
                "p_state": contact.state,
                "p_reason": contact.reason,
                "p_due_at": contact.due_at,
                "p_sent_at": contact.sent_at,
            },
        )

    async def sent_since(self, customer_id: CustomerId, since: datetime) -> Sequence[datetime]:
        """When this customer got reminders, surveys and offers."""
        rows = await self.db.all(_SENT, {"p_customer": customer_id, "p_since": since})
        return [row["sent_at"] for row in rows]

    async def counted(self, customer_id: CustomerId, at: datetime) -> None:
        """One more was sent: whoever counts for this customer at the same moment has to count again."""
        await self.db.run(_TOUCH, {"p_customer": customer_id, "p_at": at})

    async def last_of(self, customer_id: CustomerId, purpose: str) -> str | None:
        row = await self.db.first(_LAST_OF, {"p_customer": customer_id, "p_purpose": purpose})
        return None if row is None else row["contact_id"]

    async def places(self, customer_id: CustomerId) -> Sequence[Place]:
        """Where the customer could be written to, the place where they wrote last first."""
        rows = await self.db.all(_WHERE, {"p_customer": customer_id})
        return [Place(ConversationId(row["id"]), row["number"], row["brand"]) for row in rows]
