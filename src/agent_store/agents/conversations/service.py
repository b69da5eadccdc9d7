"""Use cases: a message comes in, a turn begins and ends, a person takes over and hands back, somebody asks what was said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agent_store.agents.conversations import door, sentiment
from agent_store.agents.conversations.language import listen
from agent_store.agents.conversations.model import (
    CAPTIONED_KINDS,
    NEVER,
    SILENT_KINDS,
    TURN_KINDS,
    Conversation,
    Customer,
    Line,
    refusal,
)
from agent_store.agents.conversations.repository import Conversations, Customers, Decisions, IdentityKind, Messages
from agent_store.agents.conversations.routing import BRAND_PAYLOAD, answer_to_choice, route
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.speech import decide, deliver, flush_held
from agent_store.agents.conversations.texts import say
from agent_store.agents.conversations.wishes import BOT_PAYLOAD, wants_bot, wants_person
from agent_store.contracts.brands import Brand, Directory
from agent_store.contracts.chat import (
    ButtonsBlock,
    ChatLine,
    ChatMessageNew,
    ChatResponse,
    ChatSentimentChanged,
    ChatTurnDue,
    ChatTurnExpired,
    ConversationSummary,
    CustomerNew,
    CustomerUpdated,
    Decision,
    GetDecisions,
    GetHistory,
    GetTranscript,
    HistoryLine,
    ListBlock,
    ListConversations,
    Profile,
    Remember,
    ReplyBlock,
    ReplyChoice,
    SessionStarted,
    TextBlock,
    Transcript,
)
from agent_store.contracts.people import EscalationAccepted, LeaseGranted, Reason, SalesEscalate, SalesHandoff
from agent_store.contracts.whatsapp import WhatsAppMessageReceived, WhatsAppStatus
from agent_store.kernel.context import Context, Row
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound, StaleSpeaker
from agent_store.kernel.ids import ConversationId, CustomerId, derived_id
from agent_store.kernel.privacy import redact_cards

_SENTIMENT_STEP = 20
"""Hundredths by which the mood must change to be told."""
_SUMMARY = 300
_LONG_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


# --- who writes, and where


async def _identify(event: WhatsAppMessageReceived, ctx: Context) -> Customer:
    """The customer of a WhatsApp id, a business-scoped user id, or both; made when nobody goes by either."""
    people = ctx.get(Customers)
    values: list[tuple[IdentityKind, str]] = []
    if event.wa_id:
        values.append(("wa_id", event.wa_id))
    if event.user_id:
        values.append(("user_id", event.user_id))
    if not values:
        raise InvalidInput("a message needs the sender's wa_id or user_id", field="wa_id")
    known = await people.known_as(values)
    # A number is the older tie: when the two were two customers so far, the user id joins the number's from now on.
    customer = known.get("wa_id") or known.get("user_id")
    now = ctx.now()
    if customer is None:
        language, heard = listen(event.content.text) if event.kind == "text" else ("pt", False)
        customer = Customer(CustomerId(ctx.new_id()), language, profile_name=event.profile_name, language_heard=heard)
        await people.add(customer, now)
        ctx.emit(CustomerNew(customer_id=customer.id, language=language, channel="whatsapp"), channel="whatsapp")
    elif event.profile_name and event.profile_name != customer.profile_name:
        customer.profile_name = event.profile_name
        await people.set_profile_name(customer.id, event.profile_name, now)
    for kind, value in values:
        linked = known.get(kind)
        if linked is None or linked.id != customer.id:
            await people.link(customer.id, kind, value, now)
            if linked is not None:
                ctx.log.warning("identity.moved", kind=kind, customer=customer.id, before=linked.id)
    return customer


async def _conversation(event: WhatsAppMessageReceived, customer: Customer, ctx: Context) -> tuple[Conversation, bool]:
    """The conversation at this number, and whether it is new. The way back is the one the customer used last."""
    address, kind = (event.wa_id, "phone") if event.wa_id else (event.user_id or "", "user")
    found = await ctx.get(Conversations).at_number(customer.id, "whatsapp", event.phone_number_id)
    if found is not None:
        found.address, found.address_kind = address, kind
        return found, False
    now = ctx.now()
    brand = ctx.use(Directory).by_number(event.phone_number_id)  # pyright: ignore[reportAbstractUsage]
    conversation = Conversation(
        id=ConversationId(ctx.new_id()),
        customer_id=customer.id,
        channel="whatsapp",
        number=event.phone_number_id,
        address=address,
        address_kind=kind,
        brand=None if brand is None else brand.id,
        language=customer.language,
        language_heard=customer.language_heard,
        created_at=now,
        last_at=now,
        heard_at=now,
    )
    ctx.emit(
        SessionStarted(
            conversation_id=conversation.id,
            customer_id=customer.id,
            channel="whatsapp",
            brand=conversation.brand or "",
        )
    )
    return conversation, True


async def receive(event: WhatsAppMessageReceived, ctx: Context) -> None:
    """A message of a customer: written down, understood as far as that is this agent's matter, and passed on."""
    customer = await _identify(event, ctx)
    conversation, is_new = await _conversation(event, customer, ctx)
    directory = ctx.use(Directory)  # pyright: ignore[reportAbstractUsage]
    fixed = directory.by_number(conversation.number)
    if fixed is not None:
        conversation.brand = fixed.id
    text = redact_cards(event.content.text)
    line = Line(
        seq=conversation.next_seq(),
        external_id=event.wamid,
        kind=event.kind,
        text=text,
        payload=event.content.payload,
        at=event.sent_at,
    )
    conversation.heard_at = ctx.now()
    if event.kind not in SILENT_KINDS:
        conversation.last_text, conversation.last_at = text[:200] or f"[{event.kind}]", ctx.now()
    # A tapped title is our own sentence: it says nothing about the customer's language.
    if event.kind == "text" and line.payload is None:
        language, heard = listen(text, conversation.language if conversation.language_heard else None)
        conversation.language_heard |= heard
        if language != conversation.language:
            conversation.language = customer.language = language
            await ctx.get(Customers).set_language(customer.id, language, ctx.now())
    if is_new:
        # Rows that are written on the way point to it.
        await ctx.get(Conversations).add(conversation)
    await _hear(ctx, conversation, customer, line, hasty=event.hasty)
    await ctx.get(Messages).hear(conversation, line, customer.called or "")
    await ctx.get(Conversations).save(conversation)


async def _hear(ctx: Context, conversation: Conversation, customer: Customer, line: Line, *, hasty: bool) -> None:
    """Decide what becomes of a message: a turn now or later, a person, a polite word, nothing."""
    if line.kind in SILENT_KINDS:
        line.turn = NEVER
        return
    if conversation.speaker != "bot":
        if conversation.speaker == "waiting" and wants_bot(line.text, line.payload):
            line.turn = NEVER
            await _back_to_bot(ctx, conversation, why="customer")
            return
        await _to_person(ctx, conversation, customer, [line])
        return
    if line.payload == BOT_PAYLOAD:
        # A late tap on "back to the assistant": the assistant is here already.
        line.turn = NEVER
        return
    if line.kind not in TURN_KINDS:
        worded = line.kind in CAPTIONED_KINDS and bool(line.text.strip())
        if not (worded and line.kind == "referral"):
            await _cannot_read(ctx, conversation)
        if not worded:
            line.turn = NEVER
            return
        # A picture with words under it: the picture is owned up to, the words are answered.
    if wants_person(line.text, line.payload):
        await _escalate(ctx, conversation, customer, line, "asked")
        return
    if line.payload is None and await _feel(ctx, conversation, line.text):
        await _escalate(ctx, conversation, customer, line, "sentiment")
        return
    chosen = await _choose_brand(ctx, conversation, line)
    conversation.pending += line.turn is None
    settings = ctx.use(ConversationsSettings)
    if hasty and not conversation.held_back(ctx.now()):
        await _slow_down(ctx, conversation, settings)
    if conversation.turn_open or conversation.held_back(ctx.now()):
        return
    if chosen or not settings.burst_window:
        await _begin_turn(ctx, conversation, customer, line)
        return
    due = conversation.open_burst(ctx.now(), settings.burst_window, settings.burst_max)
    if due is not None:
        _set_burst_timer(ctx, conversation, due)


def _set_burst_timer(ctx: Context, conversation: Conversation, due: datetime) -> None:
    ctx.emit(
        ChatTurnDue(conversation_id=conversation.id, customer_id=conversation.customer_id, window=conversation.burst),
        at=due,
    )


async def _slow_down(ctx: Context, conversation: Conversation, settings: ConversationsSettings) -> None:
    """Answer no faster than once a pause, and say so once."""
    due = conversation.hold_back(ctx.now(), settings.hasty_pause)
    if due is not None:
        _set_burst_timer(ctx, conversation, due)
    await decide(ctx, conversation, "customer.hasty", waiting=conversation.pending)
    await _notice(ctx, conversation, TextBlock(text=say("hasty", conversation.language)))


async def _cannot_read(ctx: Context, conversation: Conversation) -> None:
    """Say once a burst that only text and buttons are understood."""
    now, pause = ctx.now(), ctx.use(ConversationsSettings).polite_pause
    last, conversation.polite_at = conversation.polite_at, now
    if last is None or now - last > pause:
        await _notice(ctx, conversation, TextBlock(text=say("cannot_read", conversation.language)))


async def _notice(ctx: Context, conversation: Conversation, *blocks: ReplyBlock) -> None:
    await deliver(ctx, conversation, door.render(blocks, conversation.language), role="notice")


async def _feel(ctx: Context, conversation: Conversation, text: str) -> bool:
    """Is the customer so angry that a person should come? A clear change of mood is told."""
    score = sentiment.score(text)
    before, now = conversation.sentiment, round(score * 100)
    if abs(now - before) >= _SENTIMENT_STEP:
        ctx.emit(
            ChatSentimentChanged(
                conversation_id=conversation.id,
                customer_id=conversation.customer_id,
                score=score,
                before=before / 100,
                brand=conversation.brand or "",
            )
        )
        conversation.sentiment = now
    return score < sentiment.ANGRY


async def _choose_brand(ctx: Context, conversation: Conversation, line: Line) -> bool:
    """Take the answer to "which shop?". True when it picked one; an answer that says nothing else starts no turn of its
    own when something waits for its shop."""
    directory = ctx.use(Directory)  # pyright: ignore[reportAbstractUsage]
    if directory.by_number(conversation.number) is not None:
        return False
    tapped = line.payload is not None and line.payload.startswith(BRAND_PAYLOAD)
    if not tapped and not conversation.asked:
        return False
    chosen, bare = answer_to_choice(line.text, line.payload, directory.brands())
    if chosen is None:
        return False
    if chosen != conversation.brand:
        await decide(ctx, conversation, "brand.chosen", brand=chosen, before=conversation.brand)
    conversation.brand, conversation.asked = chosen, 0
    if bare and conversation.pending:
        line.turn = NEVER
    return True


# --- turns


async def turn_due(event: ChatTurnDue, ctx: Context) -> None:
    """The burst window has passed: the burst is a turn, unless more came meanwhile."""
    conversation = await ctx.get(Conversations).for_update(event.conversation_id)
    if conversation is None or conversation.burst != event.window or conversation.burst_due is None:
        return
    if ctx.now() < conversation.burst_due:
        _set_burst_timer(ctx, conversation, conversation.burst_due)
        return
    if conversation.speaker == "bot" and not conversation.turn_open:
        await _begin_turn(ctx, conversation, await _customer(ctx, conversation), None)
        await ctx.get(Conversations).save(conversation)


async def _customer(ctx: Context, conversation: Conversation) -> Customer:
    profile = await ctx.get(Customers).profile(conversation.customer_id)
    if profile is None:
        raise NotFound(f"conversation {conversation.id} has no customer")
    return Customer(profile.customer_id, profile.language, profile.name)


async def _waiting(ctx: Context, conversation: Conversation, fresh: Line | None) -> list[Line]:
    """The customer's messages that wait, oldest first; `fresh` is the one being handled, not written down yet."""
    own = [fresh] if fresh is not None and fresh.turn is None else []
    earlier = await ctx.get(Messages).waiting(conversation) if conversation.pending > len(own) else []
    return [*earlier, *own]


async def _begin_turn(ctx: Context, conversation: Conversation, customer: Customer, fresh: Line | None) -> None:
    """Give what waits to the seller of the right brand, with a new lease. Asks which shop when that is not clear."""
    conversation.close_burst()
    lines = await _waiting(ctx, conversation, fresh)
    if not lines or not await _has_brand(ctx, conversation, lines):
        return
    settings = ctx.use(ConversationsSettings)
    until = conversation.grant(lines, ctx.now(), settings.turn_limit)
    await ctx.get(Messages).give(conversation, lines)
    _emit_turn(ctx, conversation, customer, lines, "bot", until)
    ctx.emit(
        ChatTurnExpired(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            lease_token=conversation.lease_token,
        ),
        at=until,
        id=derived_id("turn-expired", conversation.id, conversation.lease_token),
    )


def _emit_turn(
    ctx: Context, conversation: Conversation, customer: Customer, lines: list[Line], addressee: Any, until: datetime
) -> None:
    ctx.emit(
        ChatMessageNew(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            number=conversation.turn,
            lease_token=conversation.lease_token,
            lease_until=until,
            addressee=addressee,
            messages=tuple(
                ChatLine(message_id=line.external_id, kind=line.kind, text=line.text, payload=line.payload, at=line.at)
                for line in lines
            ),
            brand=conversation.brand or "",
            channel=conversation.channel,
            language=conversation.language,
            customer_name=customer.called,
        )
    )
    ctx.log.info(
        "turn.granted", conversation=conversation.id, turn=conversation.turn, addressee=addressee, lines=len(lines)
    )


async def _has_brand(ctx: Context, conversation: Conversation, lines: list[Line]) -> bool:
    """On a brand's number: yes. On the shared one: find it out from what waits, or ask and let it wait on."""
    directory = ctx.use(Directory)  # pyright: ignore[reportAbstractUsage]
    if directory.by_number(conversation.number) is not None:
        return True
    brands = directory.brands()
    if not brands:
        if not conversation.asked:
            conversation.asked = conversation.seq
            await _notice(ctx, conversation, TextBlock(text=say("no_shop_open", conversation.language)))
        ctx.log.error("directory.empty", conversation=conversation.id)
        return False
    said = [line for line in lines if line.payload is None]
    current = conversation.brand
    if current is not None and not said and directory.brand(current) is not None:
        return True  # only taps on what this brand's seller offered
    new = [line for line in said if line.seq > conversation.asked]
    choice = route("\n".join(line.text for line in new), brands, current)
    if choice.brand is None and len(new) < len(said):
        choice = route("\n".join(line.text for line in said), brands, current)
    if choice.brand is not None:
        if choice.brand != current:
            await decide(ctx, conversation, "brand.routed", brand=choice.brand, before=current, why=choice.why)
        conversation.brand, conversation.asked = choice.brand, 0
        return True
    conversation.brand = None
    await _ask_brand(ctx, conversation, brands)
    return False


async def _ask_brand(ctx: Context, conversation: Conversation, brands: Any) -> None:
    language = conversation.language
    key = "which_brand_again" if conversation.asked else "which_brand"
    shown: list[Brand] = list(brands)[:10]
    await decide(ctx, conversation, "brand.asked", again=bool(conversation.asked))
    block: ReplyBlock
    if len(shown) <= 3:
        block = ButtonsBlock(
            text=say(key, language),
            choices=tuple(
                ReplyChoice(id=f"{BRAND_PAYLOAD}{brand.id}", title=door.shorten(brand.name, 20)) for brand in shown
            ),
        )
    else:
        block = ListBlock(
            text=say(key, language),
            button=say("which_brand_button", language),
            choices=tuple(
                ReplyChoice(
                    id=f"{BRAND_PAYLOAD}{brand.id}",
                    title=door.shorten(f"{brand.emoji} {brand.name}", 24),
                    description=door.shorten(brand.focus, 72) or None,
                )
                for brand in shown
            ),
        )
    await _notice(ctx, conversation, block)
    conversation.asked = conversation.seq


async def turn_expired(event: ChatTurnExpired, ctx: Context) -> None:
    """The lease ran out: without an answer the turn is granted anew with a new token, in the end to a person."""
    conversation = await ctx.get(Conversations).for_update(event.conversation_id)
    if conversation is None or not conversation.turn_open or conversation.lease_token != event.lease_token:
        return
    tries = conversation.tries
    await decide(ctx, conversation, "turn.expired", turn=conversation.turn, token=event.lease_token, tries=tries)
    customer = await _customer(ctx, conversation)
    conversation.reopen(await ctx.get(Messages).release(conversation))
    await flush_held(ctx, conversation)
    if tries < ctx.use(ConversationsSettings).turn_tries:
        await _begin_turn(ctx, conversation, customer, None)
    else:
        await _escalate(ctx, conversation, customer, None, "failed")
    await ctx.get(Conversations).save(conversation)


async def respond(event: ChatResponse, ctx: Context) -> None:
    """What the speaker answers goes through the door, unless somebody else speaks by now."""
    conversation = await _must(ctx, event.conversation_id)
    why = refusal(conversation, author=event.author, token=event.lease_token, customer_id=event.customer_id)
    if why is not None:
        await decide(
            ctx,
            conversation,
            "speaker.refused",
            author=event.author,
            token=event.lease_token,
            current=conversation.lease_token,
            why=why,
        )
        return
    contents = door.render(event.blocks, conversation.language)
    if event.author == "person":
        author = event.author_name or conversation.person or ""
        await deliver(ctx, conversation, contents, role="person", author=author)
        await ctx.get(Conversations).save(conversation)
        return
    conversation.end_turn()
    await deliver(ctx, conversation, contents, role="seller", author=event.author_name)
    await flush_held(ctx, conversation)
    if conversation.pending and not conversation.held_back(ctx.now()):
        await _begin_turn(ctx, conversation, await _customer(ctx, conversation), None)
    await ctx.get(Conversations).save(conversation)


async def _must(ctx: Context, conversation_id: ConversationId) -> Conversation:
    conversation = await ctx.get(Conversations).for_update(conversation_id)
    if conversation is None:
        raise NotFound(f"there is no conversation {conversation_id}")
    return conversation


# --- people


async def _to_person(ctx: Context, conversation: Conversation, customer: Customer, lines: list[Line]) -> None:
    """A person (or the queue) reads along at once: no burst, no lease."""
    conversation.give_to_person(lines)
    await ctx.get(Messages).give(conversation, lines)
    until = ctx.now() + ctx.use(ConversationsSettings).person_limit
    _emit_turn(ctx, conversation, customer, lines, "person", until)


async def _escalate(
    ctx: Context, conversation: Conversation, customer: Customer, fresh: Line | None, reason: Reason
) -> None:
    """This agent itself wants a person: into the queue, the bot silent, the customer told."""
    if fresh is not None:
        conversation.pending += 1
    lines = await _waiting(ctx, conversation, fresh)
    if not conversation.wait():
        return
    words = " / ".join(line.text for line in lines if line.text) or conversation.last_text
    await decide(ctx, conversation, "escalated", reason=reason, token=conversation.lease_token)
    ctx.emit(
        SalesEscalate(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            lease_token=conversation.lease_token,
            reason=reason,
            summary=door.shorten(words, _SUMMARY),
            priority="high" if reason == "sentiment" else "normal",
            brand=conversation.brand or "",
            language=conversation.language,
        )
    )
    if lines:
        await _to_person(ctx, conversation, customer, lines)
    await _say_waiting(ctx, conversation, reason)


async def _say_waiting(ctx: Context, conversation: Conversation, reason: Reason) -> None:
    key = {"asked": "waiting_asked", "sentiment": "waiting_sentiment", "failed": "waiting_failed",
           "not_understood": "waiting_failed"}.get(reason, "waiting_other")  # fmt: skip
    language = conversation.language
    await _notice(
        ctx,
        conversation,
        ButtonsBlock(
            text=say(key, language), choices=(ReplyChoice(id=BOT_PAYLOAD, title=say("waiting_back", language)),)
        ),
    )
    await flush_held(ctx, conversation)


async def escalated(event: SalesEscalate, ctx: Context) -> None:
    """The seller wants a person. (What this agent escalated itself comes by here too: the bot is silent by then.)"""
    conversation = await _must(ctx, event.conversation_id)
    if conversation.speaker != "bot":
        return
    if not conversation.may_escalate(event.lease_token):
        await decide(
            ctx,
            conversation,
            "escalation.refused",
            token=event.lease_token,
            current=conversation.lease_token,
            why="stale token",
        )
        _tell_bot_speaks(ctx, conversation, "the turn that wanted a person was over")
        return
    lines = await _waiting(ctx, conversation, None)
    conversation.wait()
    await decide(ctx, conversation, "escalated", reason=event.reason, token=conversation.lease_token)
    if lines:
        await _to_person(ctx, conversation, await _customer(ctx, conversation), lines)
    await _say_waiting(ctx, conversation, event.reason)
    await ctx.get(Conversations).save(conversation)


async def accepted(event: EscalationAccepted, ctx: Context) -> None:
    """A person has claimed it: they get the lease, and the customer hears who is there. A claim always counts, also
    when the customer went back to the assistant meanwhile: the person sees that and can hand back."""
    conversation = await _must(ctx, event.conversation_id)
    if conversation.speaker == "person" and conversation.person == event.person:
        return
    lines = await _waiting(ctx, conversation, None)
    token = conversation.hand_to(event.person)
    await decide(ctx, conversation, "person.speaks", token=token)
    if lines:
        await _to_person(ctx, conversation, await _customer(ctx, conversation), lines)
    ctx.emit(
        LeaseGranted(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            person=event.person,
            lease_token=token,
        ),
        brand=conversation.brand,
    )
    await _notice(ctx, conversation, TextBlock(text=say("person_here", conversation.language, person=event.person)))
    await flush_held(ctx, conversation)
    await ctx.get(Conversations).save(conversation)


async def handed_off(event: SalesHandoff, ctx: Context) -> None:
    """A person gives the conversation back to the bot. (This agent's own word of it finds the bot speaking.)"""
    if event.to != "bot":
        return
    conversation = await _must(ctx, event.conversation_id)
    if conversation.speaker == "bot":
        return
    if event.lease_token is not None and event.lease_token < conversation.lease_token:
        await decide(
            ctx,
            conversation,
            "handoff.refused",
            token=event.lease_token,
            current=conversation.lease_token,
            why="stale token",
        )
        return
    await _back_to_bot(ctx, conversation, why="person")
    await ctx.get(Conversations).save(conversation)


def _tell_bot_speaks(ctx: Context, conversation: Conversation, note: str) -> None:
    """So that nobody waits in the queue for a conversation that the bot has."""
    ctx.emit(
        SalesHandoff(
            conversation_id=conversation.id,
            customer_id=conversation.customer_id,
            to="bot",
            lease_token=conversation.lease_token,
            note=note,
        ),
        brand=conversation.brand,
    )


async def _back_to_bot(ctx: Context, conversation: Conversation, *, why: str) -> None:
    conversation.back_to_bot()
    await decide(ctx, conversation, "bot.speaks", token=conversation.lease_token, why=why)
    if why == "customer":
        _tell_bot_speaks(ctx, conversation, "the customer went on with the assistant")
    brand = None
    if conversation.brand is not None:
        brand = ctx.use(Directory).brand(conversation.brand)  # pyright: ignore[reportAbstractUsage]
    text = (
        say("bot_again", conversation.language)
        if brand is None
        else say("bot_again_seller", conversation.language, seller=brand.seller)
    )
    await _notice(ctx, conversation, TextBlock(text=text))


# --- what became of a sent message


async def status(event: WhatsAppStatus, ctx: Context) -> None:
    moved = await ctx.get(Messages).advance(event.send_id, event.status)
    if moved and event.status == "failed":
        conversation = await ctx.get(Conversations).find(event.conversation_id)
        if conversation is not None:
            await decide(ctx, conversation, "send.failed", send_id=event.send_id, error_code=event.error_code)


# --- tools


def _customer_of(ctx: Context) -> CustomerId:
    if ctx.principal.customer_id is None:
        raise Forbidden("this needs a customer: none came with the call")
    return CustomerId(ctx.principal.customer_id)


async def history(call: GetHistory, ctx: Context) -> tuple[HistoryLine, ...]:
    customer_id, conversations = _customer_of(ctx), ctx.get(Conversations)
    if ctx.principal.conversation_id is None:
        conversation = await conversations.latest(customer_id)
    else:
        conversation = await conversations.find(ConversationId(ctx.principal.conversation_id))
    if conversation is None or conversation.customer_id != customer_id:
        raise NotFound("this customer has no such conversation")
    before: int | None = conversation.turn_from if conversation.turn_open else None
    if call.before_turn is not None and not (conversation.turn_open and call.before_turn == conversation.turn):
        before = await ctx.get(Messages).began(conversation.id, call.before_turn)
    return await ctx.get(Messages).history(
        conversation.id, before=conversation.seq + 1 if before is None else before, limit=call.limit
    )


async def profile(ctx: Context) -> Profile:
    found = await ctx.get(Customers).profile(_customer_of(ctx))
    if found is None:
        raise NotFound("there is no such customer")
    return found


async def remember(call: Remember, ctx: Context) -> Profile:
    """Only the given fields change; nothing is told when nothing changed."""
    customer_id = _customer_of(ctx)
    people, principal = ctx.get(Customers), ctx.principal
    known = await people.profile(customer_id, lock=True)
    if known is None:
        raise NotFound("there is no such customer")
    if principal.conversation_id is not None and principal.lease_token is not None:
        await ctx.fence(principal.conversation_id, principal.lease_token)
        # The fence knows the tokens that came by here; the conversation knows the one that counts.
        conversation = await ctx.get(Conversations).for_update(ConversationId(principal.conversation_id))
        if conversation is not None and principal.lease_token < conversation.lease_token:
            raise StaleSpeaker(
                "somebody else speaks for this conversation now: this turn's time is over",
                token=principal.lease_token,
                seen=conversation.lease_token,
            )
    given: dict[str, Any] = {
        name: getattr(call, name) for name in call.model_fields_set if getattr(call, name) is not None
    }
    if call.name is not None:
        given["name"] = " ".join(redact_cards(call.name).split())
        if not given["name"]:
            raise InvalidInput("a name must not be blank", field="name")
    changed = tuple(sorted(name for name, value in given.items() if getattr(known, name) != value))
    if not changed:
        return known
    updated = known.model_copy(update=given)
    await people.remember(updated, ctx.now())
    ctx.emit(CustomerUpdated(customer_id=customer_id, changed=changed))
    return updated


def _summary(row: Row) -> ConversationSummary:
    return ConversationSummary(
        conversation_id=row["id"],
        customer_id=row["customer_id"],
        customer_name=row["customer_name"],
        brand=row["brand"],
        channel=row["channel"],
        language=row["language"],
        speaker=row["speaker"],
        person=row["person"],
        last_text=row["last_text"],
        last_at=row["last_at"],
    )


async def list_conversations(call: ListConversations, ctx: Context) -> tuple[ConversationSummary, ...]:
    rows = await ctx.get(Conversations).active(
        before=call.before or _LONG_FUTURE, speaker=call.speaker, limit=call.limit
    )
    return tuple(_summary(row) for row in rows)


async def transcript(call: GetTranscript, ctx: Context) -> Transcript:
    row = await ctx.get(Conversations).overview(call.conversation_id)
    if row is None:
        raise NotFound(f"there is no conversation {call.conversation_id}")
    lines = await ctx.get(Messages).transcript(call.conversation_id, limit=call.limit)
    return Transcript(conversation=_summary(row), lines=lines)


async def list_decisions(call: GetDecisions, ctx: Context) -> tuple[Decision, ...]:
    return await ctx.get(Decisions).of(call.conversation_id, call.limit)
