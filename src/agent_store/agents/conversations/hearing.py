"""A message comes in: whose it is, where, and what becomes of it."""

from __future__ import annotations

from agent_store.agents.conversations import consents, contacts, sentiment
from agent_store.agents.conversations.door import shorten
from agent_store.agents.conversations.language import listen
from agent_store.agents.conversations.model import (
    AWAITED,
    AWAITED_KINDS,
    NEVER,
    SILENT_KINDS,
    Conversation,
    Customer,
    Line,
)
from agent_store.agents.conversations.people import back_to_bot, escalate, to_person
from agent_store.agents.conversations.ports import Sellers
from agent_store.agents.conversations.reading import (
    QUOTED,
    line_of,
    shown_line,
    take_deletion,
    take_edit,
    take_medium,
)
from agent_store.agents.conversations.repository import Conversations, Customers, Early, IdentityKind, Messages
from agent_store.agents.conversations.routing import BRAND_PAYLOAD, answer_to_choice
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.speech import decide
from agent_store.agents.conversations.texts import say
from agent_store.agents.conversations.turns import begin_turn, notice, set_burst_timer
from agent_store.agents.conversations.wishes import BOT_PAYLOAD, wants_bot, wants_person
from agent_store.contracts.brands import Directory
from agent_store.contracts.chat import (
    ChatMediumOverdue,
    ChatSentimentChanged,
    CustomerIdentityLinked,
    CustomerNew,
    SessionStarted,
    TextBlock,
)
from agent_store.contracts.whatsapp import WhatsAppMediaReceived, WhatsAppMessageEdited, WhatsAppMessageReceived
from agent_store.kernel.context import Context
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.ids import ConversationId, CustomerId, derived_id

_SENTIMENT_STEP = 20
"""Hundredths by which the mood must change to be told."""


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
    now, is_new = ctx.now(), customer is None
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
            if not is_new:
                ctx.emit(CustomerIdentityLinked(customer_id=customer.id, kind=kind))
            if linked is not None:
                ctx.log.warning("identity.moved", kind=kind, customer=customer.id, before=linked.id)
                await consents.follow(ctx, linked.id, customer.id)
    return customer


async def _conversation(event: WhatsAppMessageReceived, customer: Customer, ctx: Context) -> tuple[Conversation, bool]:
    """The conversation at this number, and whether it is new. The way back is the one the customer used last; what the
    platform itself says of them (a number given up) is no way back."""
    address, kind = (event.wa_id, "phone") if event.wa_id else (event.user_id or "", "user")
    found = await ctx.get(Conversations).at_number(customer.id, "whatsapp", event.phone_number_id)
    if found is not None:
        if event.kind != "system":
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
    line = line_of(event, conversation.next_seq())
    news = await ctx.get(Early).take(event.wamid)
    for one in news:
        if isinstance(one, WhatsAppMediaReceived):
            take_medium(line, one)
        elif isinstance(one, WhatsAppMessageEdited):
            take_edit(line, one)
        else:
            take_deletion(line, one)
    conversation.heard_at = ctx.now()
    if line.quotes is not None and not is_new and line.kind not in SILENT_KINDS:
        line.quoted = shorten(await ctx.get(Messages).named(conversation.id, line.quotes), QUOTED)
    if event.kind not in SILENT_KINDS:
        conversation.last_text, conversation.last_at = shown_line(line)[:200] or f"[{event.kind}]", ctx.now()
    await _listen(ctx, conversation, customer, line)
    if is_new:
        # Rows that are written on the way point to it.
        await ctx.get(Conversations).add(conversation)
    if line.deleted_at is not None:
        line.turn = NEVER
    elif (
        event.fetching
        and line.kind in AWAITED_KINDS
        and conversation.speaker == "bot"
        and not any(isinstance(one, WhatsAppMediaReceived) for one in news)
    ):
        await _await_medium(ctx, conversation, line, hasty=event.hasty)
    else:
        await _hear(ctx, conversation, customer, line, hasty=event.hasty)
    await ctx.get(Messages).hear(conversation, line, customer.called or "")
    await ctx.get(Conversations).save(conversation)


async def _listen(ctx: Context, conversation: Conversation, customer: Customer, line: Line) -> None:
    """The language of the customer's own words. (A tapped title is our sentence, a document's caption may be its name.)"""
    if not line.said or line.kind == "document":
        return
    language, heard = listen(line.text, conversation.language if conversation.language_heard else None)
    conversation.language_heard |= heard
    if language != conversation.language:
        conversation.language = customer.language = language
        await ctx.get(Customers).set_language(customer.id, language, ctx.now())


async def _await_medium(ctx: Context, conversation: Conversation, line: Line, *, hasty: bool) -> None:
    """A voice note or a picture is understood in a moment: what is written beside it waits for it, for a while."""
    settings, now = ctx.use(ConversationsSettings), ctx.now()
    line.turn = AWAITED
    if hasty and not conversation.paused(now):
        await _slow_down(ctx, conversation, settings)
    due = conversation.await_medium(now, settings.media_patience)
    if due is not None:
        set_burst_timer(ctx, conversation, due)
        _wake_seller(ctx, conversation)
    ctx.emit(
        ChatMediumOverdue(
            conversation_id=conversation.id, customer_id=conversation.customer_id, message_id=line.external_id
        ),
        at=now + settings.media_wait,
        id=derived_id("medium-overdue", conversation.id, line.external_id),
    )


async def hear_late(ctx: Context, conversation: Conversation, customer: Customer, line: Line) -> None:
    """A stored message that no turn has (any more) is heard now, in its place among the others. The caller writes it
    down."""
    line.turn = None
    conversation.return_to(line.seq)
    await end_wait(ctx, conversation, line)
    await _listen(ctx, conversation, customer, line)
    await _hear(ctx, conversation, customer, line, hasty=False)
    if line.turn is not None:
        await go_on(ctx, conversation, customer)


async def end_wait(ctx: Context, conversation: Conversation, line: Line) -> None:
    """This message is not waited for any more: unless others are, what was written beside it need not wait either."""
    if conversation.awaiting_until is None or await ctx.get(Messages).awaited(conversation, line):
        return
    conversation.awaiting_until = None
    if not conversation.paused(ctx.now()):
        conversation.close_burst()


async def go_on(ctx: Context, conversation: Conversation, customer: Customer) -> None:
    """What waits is a turn soon, if nothing else sees to that."""
    if conversation.speaker == "bot" and conversation.pending:
        await _burst(ctx, conversation, customer, None)


async def _burst(
    ctx: Context, conversation: Conversation, customer: Customer, fresh: Line | None, *, at_once: bool = False
) -> None:
    if conversation.turn_open or conversation.held_back(ctx.now()):
        return
    settings = ctx.use(ConversationsSettings)
    if at_once or not settings.burst_window:
        await begin_turn(ctx, conversation, customer, fresh)
        return
    due = conversation.open_burst(ctx.now(), settings.burst_window, settings.burst_max)
    if due is not None:
        set_burst_timer(ctx, conversation, due)
        _wake_seller(ctx, conversation)


def _wake_seller(ctx: Context, conversation: Conversation) -> None:
    """The customer may write on; a seller that sleeps starts meanwhile. The turn decides the brand, here it is likely."""
    directory = ctx.use(Directory)  # pyright: ignore[reportAbstractUsage]
    own = directory.by_number(conversation.number)
    brand = own.id if own is not None else conversation.brand
    if brand is not None:
        ctx.use(Sellers).wake(brand)


async def _hear(ctx: Context, conversation: Conversation, customer: Customer, line: Line, *, hasty: bool) -> None:
    """Decide what becomes of a message: a turn now or later, a person, a polite word, nothing."""
    if line.kind in SILENT_KINDS:
        line.turn = NEVER
        return
    if await contacts.heard(ctx, conversation, line):
        return
    if conversation.speaker != "bot":
        if conversation.speaker == "waiting" and wants_bot(line.text, line.payload):
            line.turn = NEVER
            await back_to_bot(ctx, conversation, why="customer")
            return
        await to_person(ctx, conversation, customer, [line])
        return
    if line.payload == BOT_PAYLOAD:
        # A late tap on "back to the assistant": the assistant is here already.
        line.turn = NEVER
        return
    if line.unread is not None and line.edited_at is None:
        await _own_up(ctx, conversation, line.unread)
    if not line.readable:
        line.turn = NEVER
        return
    # A picture with words under it that nobody can see: that is owned up to, the words are answered.
    if wants_person(line.text, line.payload):
        await escalate(ctx, conversation, customer, line, "asked")
        return
    if line.said and await _feel(ctx, conversation, line.text):
        await escalate(ctx, conversation, customer, line, "sentiment")
        return
    chosen = await _choose_brand(ctx, conversation, line)
    conversation.pending += line.turn is None
    if hasty and not conversation.paused(ctx.now()):
        await _slow_down(ctx, conversation, ctx.use(ConversationsSettings))
    await _burst(ctx, conversation, customer, line, at_once=chosen)


async def _slow_down(ctx: Context, conversation: Conversation, settings: ConversationsSettings) -> None:
    """Answer no faster than once a pause, and say so once."""
    due = conversation.hold_back(ctx.now(), settings.hasty_pause)
    if due is not None:
        set_burst_timer(ctx, conversation, due)
    await decide(ctx, conversation, "customer.hasty", waiting=conversation.pending)
    await notice(ctx, conversation, TextBlock(text=say("hasty", conversation.language)))


async def _own_up(ctx: Context, conversation: Conversation, key: str) -> None:
    """Say once a burst what cannot be heard, seen or read here."""
    now, pause = ctx.now(), ctx.use(ConversationsSettings).polite_pause
    last, conversation.polite_at = conversation.polite_at, now
    if last is None or now - last > pause:
        await notice(ctx, conversation, TextBlock(text=say(key, conversation.language)))


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
