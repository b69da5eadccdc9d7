"""A customer's yes and no to reminders, surveys and offers: heard, kept for good, told, answered once. The last word counts.

It ends no sale: whoever answers the customer goes on answering.
"""

from __future__ import annotations

from datetime import timedelta

from agent_store.agents.conversations.model import NEVER, Conversation, Line
from agent_store.agents.conversations.records import Consents
from agent_store.agents.conversations.repository import Conversations, Customers, IdentityKind
from agent_store.agents.conversations.speech import decide
from agent_store.agents.conversations.texts import say
from agent_store.agents.conversations.turns import notice
from agent_store.agents.conversations.wishes import wants_contact
from agent_store.contracts.chat import (
    Consent,
    ConsentWay,
    CustomerOptedIn,
    CustomerOptedOut,
    SetConsent,
    TextBlock,
)
from agent_store.contracts.common import Channel
from agent_store.contracts.whatsapp import MARKETING, WhatsAppMarketingChosen, WhatsAppOptOut, WhatsAppStatus
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Forbidden, NotFound
from agent_store.kernel.ids import CustomerId
from agent_store.kernel.privacy import redact_cards

STOPPED_IN_WHATSAPP = 131050
"""The customer has stopped this business's marketing messages in WhatsApp itself (Cloud API, "Error codes")."""
_WORDS = 200
_SAY_AGAIN = timedelta(days=1)
_TYPED = frozenset({"text"})


async def heard(ctx: Context, conversation: Conversation, line: Line) -> bool:
    """Is this message a yes or a no to being contacted, and nothing else? Then it is dealt with here."""
    typed = line.kind in _TYPED
    if not typed and line.payload is None:
        return False
    people = ctx.get(Consents)
    granted = wants_contact(line.text if typed else "", line.payload)
    if granted is None and typed and wants_contact(line.text, line.payload, opted_out=True):
        # A word that says yes to those who had said no, and something else to others.
        granted = True if (await people.of(conversation.customer_id)).marketing == "no" else None
    if granted is None:
        return False
    line.turn = NEVER
    before = await people.of(conversation.customer_id)
    changed = await _change(
        ctx,
        before,
        granted=granted,
        words=line.text,
        way="words" if line.payload is None else "button",
        channel=conversation.channel,
    )
    await decide(ctx, conversation, "consent.yes" if granted else "consent.no", changed=changed)
    if changed or before.at is None or ctx.now() - before.at > _SAY_AGAIN:
        text = say("opted_in" if granted else "opted_out", conversation.language)
        await notice(ctx, conversation, TextBlock(text=text))
    return True


async def _change(
    ctx: Context, before: Consent, *, granted: bool, words: str, way: ConsentWay, channel: Channel
) -> bool:
    """Write a customer's word down. False when they had said the same."""
    customer_id, words, now = before.customer_id, redact_cards(words)[:_WORDS], ctx.now()
    await ctx.get(Consents).put(customer_id, granted=granted, words=words, way=way, channel=channel, at=now)
    if before.marketing == ("yes" if granted else "no"):
        return False
    told = CustomerOptedIn if granted else CustomerOptedOut
    ctx.emit(told(customer_id=customer_id, words=words, way=way, channel=channel, at=now))
    ctx.emit(WhatsAppOptOut(customer_id=customer_id, stopped=not granted, at=now))
    ctx.log.info("consent.changed", customer=customer_id, granted=granted, way=way)
    return True


async def refused_by_platform(event: WhatsAppStatus, ctx: Context) -> None:
    """A reminder, survey or offer was refused because the customer stopped them in WhatsApp: that is a no to the store too."""
    if event.status != "failed" or event.error_code != STOPPED_IN_WHATSAPP or event.purpose not in MARKETING:
        return
    people = ctx.get(Consents)
    if not await people.has_customer(event.customer_id):
        return
    before = await people.of(event.customer_id)
    if before.at is not None and before.at > event.at:
        return  # they have said something since
    if await _change(ctx, before, granted=False, words="", way="button", channel="whatsapp"):
        conversation = await ctx.get(Conversations).find(event.conversation_id)
        if conversation is not None:
            await decide(ctx, conversation, "consent.no", changed=True, error_code=event.error_code)


async def chosen_in_whatsapp(event: WhatsAppMarketingChosen, ctx: Context) -> None:
    """What a customer set in WhatsApp counts like a word to the store. Who never wrote here is nobody's customer yet."""
    values: list[tuple[IdentityKind, str]] = []
    if event.wa_id:
        values.append(("wa_id", event.wa_id))
    if event.user_id:
        values.append(("user_id", event.user_id))
    known = await ctx.get(Customers).known_as(values) if values else {}
    customer = known.get("wa_id") or known.get("user_id")
    if customer is None:
        ctx.log.info("consent.nobody", wanted=event.wanted)
        return
    people = ctx.get(Consents)
    before = await people.of(customer.id)
    if before.at is None or before.at <= event.at:
        await _change(ctx, before, granted=event.wanted, words="", way="button", channel="whatsapp")


async def follow(ctx: Context, before: CustomerId, now: CustomerId) -> None:
    """An identity of one customer is another's from now on: a no goes with it, a yes does not.

    Most often the two are one person; and who has asked to be left alone must not be written to for having two ids.
    """
    people = ctx.get(Consents)
    theirs = await people.of(before)
    if theirs.marketing != "no" or theirs.at is None:
        return
    own = await people.of(now)
    if own.at is None or own.at < theirs.at:
        way, channel = theirs.way or "words", "whatsapp"
        await _change(ctx, own, granted=False, words=theirs.words, way=way, channel=channel)


async def get(ctx: Context) -> Consent:
    if ctx.principal.customer_id is None:
        raise Forbidden("this needs a customer: none came with the call")
    return await ctx.get(Consents).of(CustomerId(ctx.principal.customer_id))


async def put(call: SetConsent, ctx: Context) -> Consent:
    """What a customer told a person."""
    people = ctx.get(Consents)
    if not await people.has_customer(call.customer_id):
        raise NotFound(f"there is no customer {call.customer_id}")
    latest = await ctx.get(Conversations).latest(call.customer_id)
    channel: Channel = "whatsapp" if latest is None else latest.channel
    before = await people.of(call.customer_id)
    await _change(ctx, before, granted=call.marketing, words=call.words, way="staff", channel=channel)
    return await people.of(call.customer_id)
