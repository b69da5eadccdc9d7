"""Facts of orders and payments, told to the customer: each once, in their language, where they ordered, never backward.

A fact that arrives while the bot is answering waits for its answer, so that "here is your link" does not stand above the order
that it is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agent_store.agents.conversations import door
from agent_store.agents.conversations.model import Conversation, OrderNotice, why_not_tell
from agent_store.agents.conversations.repository import Conversations, Notices
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.speech import Saying, decide, dump, tell
from agent_store.agents.conversations.texts import clock, day, say
from agent_store.agents.conversations.wishes import PERSON_PAYLOAD
from agent_store.contracts import templates
from agent_store.contracts.chat import ButtonsBlock, ImageBlock, LinkBlock, ReplyBlock, ReplyChoice, TextBlock
from agent_store.contracts.common import Language
from agent_store.contracts.orders import (
    Delivery,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderFact,
    OrderPicked,
    OrderRejected,
    OrderShipped,
    OrderView,
)
from agent_store.contracts.payments import (
    PaymentFailed,
    PaymentLinkCreated,
    PaymentRefunded,
    PaymentSurplusRefunded,
)
from agent_store.contracts.whatsapp import OutTemplate, Purpose
from agent_store.kernel.context import Context
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId

_LINES_TOLD = 10
"""An order of more lines is told by its first ones."""


async def _where(ctx: Context, customer_id: CustomerId, conversation_id: ConversationId | None) -> Conversation | None:
    found = ctx.get(Conversations)
    if conversation_id is not None:
        conversation = await found.for_update(conversation_id)
        if conversation is not None and conversation.customer_id == customer_id:
            return conversation
    return await found.latest(customer_id, lock=True)


async def _tell(
    ctx: Context,
    *,
    kind: OrderNotice,
    key: str,
    version: int,
    order_id: OrderId,
    customer_id: CustomerId,
    conversation: Conversation | None,
    blocks: Sequence[ReplyBlock],
    template: OutTemplate | None = None,
    expires_at: datetime | None = None,
) -> None:
    """`template` goes out instead when the customer has not written for 24 hours; its purpose is the notice's."""
    if conversation is None:
        # An order that came by another way than a chat (a kiosk's command): there is nowhere to tell it.
        ctx.log.info("notice.nowhere", customer=customer_id, order=order_id, kind=kind)
        return
    notices = ctx.get(Notices)
    reason = why_not_tell(kind, key, version, await notices.told(order_id))
    if reason is not None:
        await decide(ctx, conversation, "notice.skipped", order=order_id, kind=kind, version=version, reason=reason)
        return
    purpose: Purpose = "service" if template is None else templates.TEMPLATES[template.name].purpose
    saying = Saying(
        contents=tuple(door.render(blocks, conversation.language)),
        purpose=purpose,
        template=template,
        expires_at=expires_at,
    )
    hold = conversation.turn_open
    if hold:
        conversation.held += 1
    await notices.add(
        key=key,
        order_id=order_id,
        kind=kind,
        version=version,
        conversation_id=conversation.id,
        at=ctx.now(),
        position=conversation.held if hold else None,
        contents=dump(saying) if hold else None,
    )
    if not hold:
        await tell(ctx, conversation, saying)
    await ctx.get(Conversations).save(conversation)


async def _order_fact(
    ctx: Context,
    event: OrderFact,
    kind: OrderNotice,
    text: str,
    conversation: Conversation | None,
    template: OutTemplate,
) -> None:
    await _tell(
        ctx,
        kind=kind,
        key=f"order:{event.order_id}:{kind}:{event.version}",
        version=event.version,
        order_id=event.order_id,
        customer_id=event.customer_id,
        conversation=conversation,
        blocks=[TextBlock(text=text)],
        template=template,
    )


def _language(conversation: Conversation | None, otherwise: Language) -> Language:
    return otherwise if conversation is None else conversation.language


# --- orders


def confirmed_text(order: OrderView, language: Language) -> str:
    lines = [f"• {line.quantity} × {line.title}: {line.total}" for line in order.lines[:_LINES_TOLD]]
    if len(order.lines) > _LINES_TOLD:
        lines.append("…")
    if order.delivery.method == "delivery":
        price = order.delivery.price
        lines.append(say("freight", language, price=price) if price.minor else say("freight_free", language))
    return say(
        "confirmed",
        language,
        number=order.number,
        lines="\n".join(lines),
        total=order.total,
        promise=_promise(order.delivery, language),
    )


def _promise(delivery: Delivery, language: Language) -> str:
    if delivery.method == "pickup":
        return say("promise_pickup", language, place=delivery.location_name or say("the_store", language))
    if delivery.latest is None:
        return say("promise_delivery", language)
    latest = day(delivery.latest, language)
    if delivery.earliest is None or delivery.earliest == delivery.latest:
        return say("promise_on", language, latest=latest)
    return say("promise_between", language, earliest=day(delivery.earliest, language), latest=latest)


def shipped_text(order: OrderView, language: Language) -> str:
    if order.delivery.method == "pickup":
        place = order.delivery.location_name or say("the_store", language)
        return say("ready", language, number=order.number, place=place)
    text = say("shipped", language, number=order.number)
    if order.tracking:
        text += "\n" + say("tracking", language, tracking=order.tracking)
    if order.delivery.latest is not None:
        text += "\n" + say("promise_on", language, latest=day(order.delivery.latest, language))
    return text


def shipped_template(order: OrderView, language: Language) -> OutTemplate:
    if order.delivery.method == "pickup":
        place = order.delivery.location_name or say("the_store", language)
        return templates.out("order_ready", language, {"number": order.number, "place": place})
    details: list[str] = []
    if order.tracking:
        details.append(say("tracking", language, tracking=order.tracking) + ".")
    if order.delivery.latest is not None:
        details.append(say("promise_on", language, latest=day(order.delivery.latest, language)))
    told = " ".join(details) or say("tell_arrival", language)
    return templates.out("order_shipped", language, {"number": order.number, "details": told})


def cancelled_text(order: OrderView, language: Language) -> str:
    key = f"cancelled_{order.reason}"
    return say(
        key if key in ("cancelled_payment_expired", "cancelled_customer", "cancelled_staff") else "cancelled",
        language,
        number=order.number,
    )


def rejected_blocks(event: OrderRejected, language: Language) -> list[ReplyBlock]:
    """What was missing, what becomes of the money, and buttons to what could take its place."""
    titles = {line.sku: line.title for line in event.order.lines}
    lines = [say("rejected", language, number=event.order.number)]
    for missing in event.missing[:_LINES_TOLD]:
        title = titles.get(missing.sku, missing.sku)
        if missing.available > 0:
            lines.append(
                "• " + say("rejected_left", language, title=title, available=missing.available, wanted=missing.wanted)
            )
        else:
            lines.append("• " + say("rejected_gone", language, title=title))
    lines.append(say("rejected_refunded" if event.refunded else "rejected_uncharged", language))
    if not event.alternatives:
        return [TextBlock(text="\n".join(lines))]
    lines += ["", say("rejected_alternatives", language)]
    return [
        ButtonsBlock(
            text="\n".join(lines),
            choices=tuple(
                ReplyChoice(id=f"product:{product_id}"[:200], title=say("alternative", language, n=n))
                for n, product_id in enumerate(event.alternatives[:3], start=1)
            ),
        )
    ]


async def confirmed(ctx: Context, event: OrderConfirmed) -> None:
    conversation = await _where(ctx, event.customer_id, event.order.conversation_id)
    language = _language(conversation, event.order.language)
    promise = _promise(event.order.delivery, language)
    values = {"number": event.order.number, "total": str(event.order.total), "promise": promise}
    template = templates.out("order_confirmed", language, values)
    await _order_fact(ctx, event, "confirmed", confirmed_text(event.order, language), conversation, template)


async def picked(ctx: Context, event: OrderPicked) -> None:
    conversation = await _where(ctx, event.customer_id, event.order.conversation_id)
    language = _language(conversation, event.order.language)
    text = say("picked", language, number=event.order.number)
    template = templates.out("order_picked", language, {"number": event.order.number})
    await _order_fact(ctx, event, "picked", text, conversation, template)


async def shipped(ctx: Context, event: OrderShipped) -> None:
    conversation = await _where(ctx, event.customer_id, event.order.conversation_id)
    language = _language(conversation, event.order.language)
    text, template = shipped_text(event.order, language), shipped_template(event.order, language)
    await _order_fact(ctx, event, "shipped", text, conversation, template)


async def delivered(ctx: Context, event: OrderDelivered) -> None:
    conversation = await _where(ctx, event.customer_id, event.order.conversation_id)
    key = "fetched" if event.order.delivery.method == "pickup" else "delivered"
    language = _language(conversation, event.order.language)
    text = say(key, language, number=event.order.number)
    template = templates.out("order_delivered", language, {"number": event.order.number})
    await _order_fact(ctx, event, "delivered", text, conversation, template)


async def cancelled(ctx: Context, event: OrderCancelled) -> None:
    conversation = await _where(ctx, event.customer_id, event.order.conversation_id)
    language = _language(conversation, event.order.language)
    template = templates.out("order_cancelled", language, {"number": event.order.number})
    await _order_fact(ctx, event, "cancelled", cancelled_text(event.order, language), conversation, template)


async def rejected(ctx: Context, event: OrderRejected) -> None:
    conversation = await _where(ctx, event.customer_id, event.order.conversation_id)
    language = _language(conversation, event.order.language)
    money = say("rejected_refunded" if event.refunded else "rejected_uncharged", language)
    await _tell(
        ctx,
        kind="rejected",
        key=f"order:{event.order_id}:rejected:{event.version}",
        version=event.version,
        order_id=event.order_id,
        customer_id=event.customer_id,
        conversation=conversation,
        blocks=rejected_blocks(event, language),
        template=templates.out("order_rejected", language, {"number": event.order.number, "money": money}),
    )


# --- payments


def _link_template(event: PaymentLinkCreated, language: Language, now: datetime) -> OutTemplate:
    values = {
        "number": event.order_number,
        "total": str(event.amount),
        "link": event.link,
        "until": clock(event.expires_at, now, language),
    }
    return templates.out("payment_due", language, values)


def pix_blocks(event: PaymentLinkCreated, language: Language) -> list[ReplyBlock]:
    """The code alone in a message, since a tap copies all of one; then its picture, for who reads it with another phone."""
    if event.pix is None:
        return []
    caption = say("pix_caption", language, number=event.order_number, total=event.amount)
    return [TextBlock(text=event.pix.copy_paste), ImageBlock(link=event.pix.image, text=caption)]


async def link(ctx: Context, event: PaymentLinkCreated) -> None:
    conversation = await _where(ctx, event.customer_id, event.conversation_id)
    language = _language(conversation, event.language)
    text = say(
        "pay_link",
        language,
        number=event.order_number,
        total=event.amount,
        until=clock(event.expires_at, ctx.now(), language),
    )
    if ctx.use(ConversationsSettings).test_mode:
        text += "\n\n" + say("pay_test_codes", language)
    if event.pix is not None:
        text += "\n\n" + say("pay_pix", language)
    await _tell(
        ctx,
        kind="link",
        key=f"payment:{event.payment_id}:link",
        version=0,
        order_id=event.order_id,
        customer_id=event.customer_id,
        conversation=conversation,
        blocks=[LinkBlock(text=text, button=say("pay_button", language), url=event.link), *pix_blocks(event, language)],
        template=_link_template(event, language, ctx.now()),
        expires_at=event.expires_at,
    )


_BUTTONS = {
    "try_again": "pay_link",
    "try_other_card": "pay_link",
    "reserve_in_store": "pickup_info",
    "talk_to_person": PERSON_PAYLOAD,
}
"""Ways out that a tap can take, and the payload that the seller (or this agent, for a person) knows."""
_HINTS = (*_BUTTONS, "check_limit", "check_expiry")


def failed_block(event: PaymentFailed, language: Language) -> ReplyBlock:
    """Why it failed, each way out as a sentence, and those that a tap can take as buttons."""
    lines = [say(f"failed_{event.failure}", language, number=event.order_number)]
    hints: list[str] = []
    for way in event.suggestions:
        if way == "pay_on_page":
            hints.append(
                say("hint_pay_on_page", language, link=event.link)
                if event.link
                else say("hint_pay_on_page_again", language)
            )
        elif way in _HINTS:
            hints.append(say(f"hint_{way}", language))
    if hints:
        lines += ["", *(f"• {hint}" for hint in hints)]
    buttons: dict[str, str] = {}
    for way in event.suggestions:
        if way in _BUTTONS:
            buttons.setdefault(_BUTTONS[way], say(f"way_{way}", language))
    if not buttons:
        return TextBlock(text="\n".join(lines))
    choices = [ReplyChoice(id=payload, title=title) for payload, title in buttons.items()]
    return ButtonsBlock(text="\n".join(lines), choices=tuple(choices[:3]))


async def failed(ctx: Context, event: PaymentFailed) -> None:
    conversation = await _where(ctx, event.customer_id, event.conversation_id)
    language = _language(conversation, event.language)
    reason = say(f"reason_{event.failure}", language)
    await _tell(
        ctx,
        kind="failed",
        key=f"payment:{event.payment_id}:failed:{event.attempt}",
        version=event.attempt,
        order_id=event.order_id,
        customer_id=event.customer_id,
        conversation=conversation,
        blocks=[failed_block(event, language)],
        template=templates.out("payment_failed", language, {"number": event.order_number, "reason": reason}),
    )


async def surplus_refunded(ctx: Context, event: PaymentSurplusRefunded) -> None:
    conversation = await _where(ctx, event.customer_id, event.conversation_id)
    language = _language(conversation, event.language)
    text = say(f"surplus_{event.reason}", language, amount=event.amount, number=event.order_number)
    await _tell(
        ctx,
        kind="surplus",
        key=f"payment:{event.payment_id}:surplus:{ctx.event.id}",
        version=0,
        order_id=event.order_id,
        customer_id=event.customer_id,
        conversation=conversation,
        blocks=[TextBlock(text=text)],
        template=templates.out(
            "payment_refunded", language, {"amount": str(event.amount), "number": event.order_number}
        ),
    )


async def refunded(ctx: Context, event: PaymentRefunded) -> None:
    conversation = await _where(ctx, event.customer_id, event.conversation_id)
    language = _language(conversation, event.language)
    text = say("refunded", language, amount=event.amount, number=event.order_number)
    template = templates.out("payment_refunded", language, {"amount": str(event.amount), "number": event.order_number})
    await _tell(
        ctx,
        kind="refunded",
        key=f"payment:{event.payment_id}:refunded",
        version=0,
        order_id=event.order_id,
        customer_id=event.customer_id,
        conversation=conversation,
        blocks=[TextBlock(text=text)],
        template=template,
    )
