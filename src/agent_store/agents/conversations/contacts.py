"""What the store says to customers of its own accord: once a command, when and if the channel's rules allow.

Each time that a contact is looked at, all rules are asked (`permission`); one that has to wait is looked at again by a
durable timer.
"""

from __future__ import annotations

from datetime import datetime

from agent_store.agents.conversations import consents, door, unsaid
from agent_store.agents.conversations.model import NEVER, Conversation, Line
from agent_store.agents.conversations.permission import (
    WEEK,
    Reason,
    Verdict,
    Wish,
    effective_purpose,
    is_busy,
)  # fmt: skip
from agent_store.agents.conversations.permission import (
    decide as decide_contact,
)
from agent_store.agents.conversations.quiet import zone_of
from agent_store.agents.conversations.records import Consents, Contact, Contacts
from agent_store.agents.conversations.repository import Conversations
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.speech import decide, deliver
from agent_store.agents.conversations.texts import say
from agent_store.agents.conversations.turns import notice
from agent_store.agents.conversations.wishes import PERSON_PAYLOAD
from agent_store.contracts import templates
from agent_store.contracts.brands import Directory
from agent_store.contracts.chat import (
    ButtonsBlock,
    CustomerContact,
    CustomerContactDue,
    CustomerContacted,
    ReplyBlock,
    ReplyChoice,
    TextBlock,
)
from agent_store.contracts.common import Language
from agent_store.contracts.templates import Template
from agent_store.contracts.whatsapp import OutTemplate
from agent_store.kernel.context import Context
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.ids import CustomerId, derived_id

_SURVEY = {"survey:good": "survey_good", "survey:bad": "survey_bad"}
"""What a tap on a survey's answer says, and how it is thanked for."""
_AS_THE_SELLER_KNOWS_IT = {"show_cart": "view_cart"}


async def asked(event: CustomerContact, ctx: Context) -> None:
    """An agent wants something said to a customer. The same `contact_id` again changes nothing."""
    contacts = ctx.get(Contacts)
    if await contacts.find(event.contact_id) is not None:
        return
    contact = Contact(
        contact_id=event.contact_id,
        customer_id=event.customer_id,
        purpose=event.purpose,
        command=event.model_dump(mode="json"),
        created_at=ctx.now(),
    )
    await _consider(ctx, contact, event)
    await contacts.add(contact)


async def due(event: CustomerContactDue, ctx: Context) -> None:
    """What had to wait is looked at again."""
    contacts = ctx.get(Contacts)
    contact = await contacts.find(event.contact_id)
    if contact is None or contact.state != "held" or contact.due_at is None or contact.due_at > ctx.now():
        return
    await _consider(ctx, contact, CustomerContact.model_validate(contact.command))
    await contacts.save(contact)


async def _consider(ctx: Context, contact: Contact, command: CustomerContact) -> None:
    """Decide on a contact and do what was decided; the caller writes `contact` down."""
    template = templates.TEMPLATES.get(command.template)
    if template is None or not _is_complete(ctx, command):
        _end(ctx, contact, command, Verdict("skipped", "unknown_template"))
        return
    contact.purpose = purpose = effective_purpose(command.purpose, template)
    people = ctx.get(Consents)
    # The lock: two contacts at once must not both be the first of the day.
    known = await people.has_customer(contact.customer_id)
    conversation = await _where(ctx, contact.customer_id, command.brand) if known else None
    if conversation is None:
        late = ctx.now() >= command.expires_at
        _end(ctx, contact, command, Verdict("expired", "too_late") if late else Verdict("skipped", "nowhere"))
        return
    contact.conversation_id = conversation.id
    settings, now = ctx.use(ConversationsSettings), ctx.now()
    wish = Wish(
        purpose=purpose,
        asked_at=contact.created_at,
        expires_at=command.expires_at,
        said=(await people.of(contact.customer_id)).marketing,
        zone=zone_of(conversation.address, conversation.address_kind),
        busy=is_busy(conversation),
        sent=await ctx.get(Contacts).sent_since(contact.customer_id, now - WEEK),
    )
    verdict = decide_contact(wish, now, settings.quiet, settings.caps, settings.contact_pause)
    if verdict.until is not None:
        _hold(ctx, contact, verdict.until)
    else:
        if verdict.outcome == "sent":
            await _say(ctx, conversation, contact, command, template)
        _end(ctx, contact, command, verdict)
    details = {"reason": verdict.reason} if verdict.reason else {}
    await decide(
        ctx, conversation, f"contact.{verdict.outcome}", contact=contact.contact_id, purpose=purpose, **details
    )


def _is_complete(ctx: Context, command: CustomerContact) -> bool:
    try:
        templates.out(command.template, "pt", command.values)
    except InvalidInput as error:
        ctx.log.error("contact.refused", contact=command.contact_id, template=command.template, reason=error.message)
        return False
    return True


async def _where(ctx: Context, customer_id: CustomerId, brand: str) -> Conversation | None:
    """The customer's conversation with this brand, else the one they wrote in last."""
    places = await ctx.get(Contacts).places(customer_id)
    if not places:
        return None
    directory = ctx.use(Directory)  # pyright: ignore[reportAbstractUsage]
    own = [place for place in places if (found := directory.by_number(place.number)) is not None and found.id == brand]
    chosen = next(iter(own or [place for place in places if place.brand == brand] or places))
    return await ctx.get(Conversations).for_update(chosen.id)


def _hold(ctx: Context, contact: Contact, until: datetime) -> None:
    contact.due_at = until
    ctx.emit(
        CustomerContactDue(contact_id=contact.contact_id, customer_id=contact.customer_id),
        at=until,
        id=derived_id("contact-due", contact.contact_id, until.isoformat()),
    )


async def _say(
    ctx: Context, conversation: Conversation, contact: Contact, command: CustomerContact, template: Template
) -> None:
    """Inside the window the template's words with its buttons, outside of it the template: the gateway knows at the time."""
    out = templates.out(template.name, conversation.language, command.values)
    await deliver(
        ctx,
        conversation,
        door.render([words_of(template, out, conversation.language)], conversation.language),
        role="notice",
        purpose=effective_purpose(command.purpose, template),
        template=out,
        expires_at=command.expires_at,
    )
    contact.sent_at = ctx.now()
    await ctx.get(Conversations).save(conversation)
    await ctx.get(Contacts).counted(contact.customer_id, contact.sent_at)


def words_of(template: Template, out: OutTemplate, language: Language) -> ReplyBlock:
    """What a filled template says, as a message that needs no template."""
    titles = template.buttons.get(language, ())
    if not titles:
        return TextBlock(text=out.text)
    choices = [ReplyChoice(id=id, title=title[:24]) for id, title in zip(template.payloads, titles, strict=True)]
    return ButtonsBlock(text=out.text, choices=tuple(choices[:3]))


def _end(ctx: Context, contact: Contact, command: CustomerContact, verdict: Verdict) -> None:
    outcome = verdict.outcome
    if outcome == "held":
        raise ValueError("what waits has not ended")
    reason: Reason = verdict.reason
    contact.state, contact.reason, contact.due_at = outcome, reason, None
    ctx.emit(
        CustomerContacted(
            contact_id=contact.contact_id,
            customer_id=contact.customer_id,
            purpose=contact.purpose,
            outcome=outcome,
            reason=reason,
            brand=command.brand,
            at=ctx.now(),
        ),
        brand=command.brand,
    )


# --- what customers say to it


async def heard(ctx: Context, conversation: Conversation, line: Line) -> bool:
    """Is this message a customer's word on being contacted, or their answer to a survey? Then it is dealt with here.

    A tap that the seller knows by another name gets that name, and is the seller's.
    """
    await unsaid.say_now(ctx, conversation)
    if await consents.heard(ctx, conversation, line):
        return True
    if line.payload is None:
        return False
    line.payload = _AS_THE_SELLER_KNOWS_IT.get(line.payload, line.payload)
    thanks = _SURVEY.get(line.payload)
    if thanks is None:
        return False
    line.turn = NEVER
    contact_id = await ctx.get(Contacts).last_of(conversation.customer_id, "survey")
    await decide(ctx, conversation, "survey.answered", answer=line.payload.partition(":")[2], contact=contact_id)
    language = conversation.language
    block: ReplyBlock = TextBlock(text=say(thanks, language))
    if thanks == "survey_bad" and conversation.speaker == "bot":
        block = ButtonsBlock(
            text=block.text, choices=(ReplyChoice(id=PERSON_PAYLOAD, title=say("way_talk_to_person", language)),)
        )
    await notice(ctx, conversation, block)
    return True
