"""The 24-hour window: what stands for a message outside of it, by what the message is for; and the ticks that customers see."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from sqlalchemy import select

from agent_store.agents.conversations.speech import Saying, dump, load
from agent_store.agents.conversations.tables import decisions
from agent_store.agents.conversations.texts import say
from agent_store.contracts.chat import ChatResponse, GetTranscript, TextBlock
from agent_store.contracts.inventory import Missing
from agent_store.contracts.orders import (
    Delivery,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderPicked,
    OrderRejected,
    OrderShipped,
)
from agent_store.contracts.payments import FailureCode, PaymentRefunded
from agent_store.contracts.people import ClaimEscalation, ListEscalations, ReplyAsPerson
from agent_store.contracts.whatsapp import OutText, WhatsAppMessageSend, WhatsAppSeen, WhatsAppStatus
from agent_store.kernel.event import Event
from agent_store.kernel.ids import Sku
from agent_store.kernel.tool import Principal
from tests.agents.test_conversations_notices import LINK, a_failure, a_link, fact, payment, with_customer
from tests.support.chat import FASHION, SHARED, ChatStore

RUI = Principal(staff="Rui")
HOUR = timedelta(hours=1)
LANGUAGES = {
    "Oi, quero um vestido vermelho": ("pt", "pt_BR"),
    "hi, do you have dresses?": ("en", "en_US"),
    "hola, busco un vestido rojo": ("es", "es"),
}
EVERY_LANGUAGE = pytest.mark.parametrize("first", LANGUAGES)
PICKUP: dict[str, Any] = {"delivery": Delivery(method="pickup", location_name="Loja Paulista", price={"minor": 0})}  # type: ignore[arg-type]


async def sent_for(store: ChatStore, *events: Event) -> list[WhatsAppMessageSend]:
    before = len(store.sent)
    for event in events:
        await store.publish(event)
    await store.settle()
    assert await store.dead() == []
    return store.sent[before:]


# --- orders and payments


def every_fact(store: ChatStore, language: Any) -> list[tuple[Event, str, str, tuple[str, ...]]]:
    """A fact, the purpose and the template of its notice, and what stands in the template."""
    number = "AS-7K3F9Q"
    missing = {"missing": (Missing(sku=Sku("VEST-1"), wanted=2, available=0),), "refunded": True}
    return [
        (a_link(store), "payment", "payment_due", (number, "R$ 319,70", LINK)),
        (a_failure(store), "payment", "payment_failed", (number, say("reason_insufficient_funds", language))),
        (fact(store, OrderConfirmed, 1), "order", "order_confirmed", (number, "R$ 319,70")),
        (fact(store, OrderPicked, 2), "shipping", "order_picked", (number,)),
        (fact(store, OrderShipped, 3), "shipping", "order_shipped", (number,)),
        (fact(store, OrderDelivered, 4), "shipping", "order_delivered", (number,)),
        (fact(store, OrderCancelled, 5), "order", "order_cancelled", (number,)),
        (
            fact(store, OrderRejected, 6, extra=missing),
            "order",
            "order_rejected",
            (number, say("rejected_refunded", language)),
        ),
        (payment(store, PaymentRefunded, reason="cancelled"), "payment", "payment_refunded", ("R$ 319,70", number)),
    ]


@EVERY_LANGUAGE
async def test_a_notice_carries_its_purpose_and_its_template_in_the_customers_language(first: str) -> None:
    language, code = LANGUAGES[first]
    async with with_customer(first) as store:
        for event, purpose, name, values in every_fact(store, language):
            (sent,) = await sent_for(store, event)
            assert sent.template is not None
            assert (sent.purpose, sent.template.name, sent.template.language) == (purpose, name, code)
            assert sent.template.values[: len(values)] == values
            assert sent.content.kind != "template"
            assert await sent_for(store, event) == [], "once each"


async def test_a_notice_is_not_held_by_quiet_hours_or_a_no_to_reminders() -> None:
    async with with_customer() as store:
        await store.write("SAIR")
        await store.move(14 * HOUR)
        assert len(await sent_for(store, fact(store, OrderShipped, 1))) == 1


async def test_what_is_fetched_in_a_store_has_its_place_in_the_template() -> None:
    async with with_customer() as store:
        (sent,) = await sent_for(store, fact(store, OrderShipped, 1, **PICKUP))
        assert sent.template is not None
        assert (sent.template.name, sent.template.values) == ("order_ready", ("AS-7K3F9Q", "Loja Paulista"))
        (sent,) = await sent_for(store, fact(store, OrderDelivered, 2, **PICKUP))
        assert sent.template is not None
        assert sent.template.name == "order_delivered"


@pytest.mark.parametrize(
    ("tracking", "latest", "details"),
    [
        ("BR1", True, "Rastreio: BR1. Chega até 12/01."),
        ("BR1", False, "Rastreio: BR1."),
        (None, True, "Chega até 12/01."),
        (None, False, "Avisamos aqui quando chegar."),
    ],
)
async def test_what_is_known_of_a_parcel_is_in_the_template(tracking: str | None, latest: bool, details: str) -> None:
    async with with_customer() as store:
        changes: dict[str, Any] = {"tracking": tracking}
        if not latest:
            changes["delivery"] = Delivery(method="delivery", price={"minor": 1990})  # type: ignore[arg-type]
        (sent,) = await sent_for(store, fact(store, OrderShipped, 1, **changes))
        assert sent.template is not None
        assert sent.template.values[1] == details


@pytest.mark.parametrize("failure", get_args(FailureCode))
@EVERY_LANGUAGE
async def test_every_failure_has_its_reason_in_the_template(failure: Any, first: str) -> None:
    async with with_customer(first) as store:
        (sent,) = await sent_for(store, a_failure(store, failure=failure, suggestions=()))
        assert sent.template is not None
        assert sent.template.values[1] == say(f"reason_{failure}", LANGUAGES[first][0])  # type: ignore[arg-type]


async def test_a_payment_link_is_not_sent_when_it_has_run_out() -> None:
    async with with_customer() as store:
        link = a_link(store)
        (sent,) = await sent_for(store, link)
        assert sent.expires_at == link.expires_at


async def test_what_waited_for_the_end_of_a_turn_still_has_purpose_and_template() -> None:
    async with with_customer() as store:
        await store.write("e azul?")
        link = a_link(store)
        assert await sent_for(store, link) == []
        await store.answer("Tem!")
        answer, sent = store.sent[-2:]
        assert (answer.purpose, answer.template) == ("reply", None)
        assert sent.template is not None
        assert (sent.purpose, sent.template.name, sent.expires_at) == ("payment", "payment_due", link.expires_at)


def test_what_an_earlier_release_left_waiting_is_read() -> None:
    held = [{"kind": "text", "text": "oi"}]
    assert load(held) == Saying(contents=(OutText(text="oi"),), purpose="service")
    assert load(dump(load(held))) == load(held)


# --- answers


async def a_late_answer(store: ChatStore, after: timedelta, *texts: str) -> list[WhatsAppMessageSend]:
    """The bot's turn is answered so much later."""
    await store.write("e azul?")
    turn = store.turns[-1]
    await store.move(after)
    before = len(store.sent)
    await store.publish(
        ChatResponse(
            conversation_id=turn.conversation_id,
            customer_id=turn.customer_id,
            lease_token=turn.lease_token,
            turn=turn.number,
            blocks=tuple(TextBlock(text=text) for text in texts),
        )
    )
    await store.settle()
    return store.sent[before:]


async def test_a_sellers_late_answer_carries_news_of_the_shop_and_a_quick_one_does_not() -> None:
    async with with_customer(turn_limit=timedelta(days=3)) as store:
        (quick,) = await a_late_answer(store, timedelta(minutes=1), "Tem!")
        assert (quick.purpose, quick.template) == ("reply", None)
        (late,) = await a_late_answer(store, 25 * HOUR, "Tem!")
        assert late.template is not None
        assert (late.purpose, late.template.name, late.template.values) == (
            "reply",
            "conversation_news",
            ("Moda Viva",),
        )
        assert late.content == OutText(text="Tem!")


async def test_what_may_go_out_late_carries_it_with_its_first_part_only() -> None:
    async with with_customer(turn_limit=timedelta(days=3)) as store:
        first, second = await a_late_answer(store, 23 * HOUR, "Tem!", "E em verde também.")
        assert first.template is not None
        assert second.template is None


async def test_outside_the_window_a_template_is_sent_once_and_not_its_second_part() -> None:
    async with with_customer(turn_limit=timedelta(days=3)) as store:
        (sent,) = await a_late_answer(store, 25 * HOUR, "Tem!", "E em verde também.")
        assert sent.template is not None
        (noted,) = await store.rows(select(decisions.c.details).where(decisions.c.what == "window.closed"))
        assert noted["details"] == {"template": "conversation_news", "unsaid": 1}


async def test_a_person_who_writes_the_next_day_brings_one_template_until_the_customer_writes() -> None:
    async with with_customer() as store:
        await store.write("quero falar com um atendente")
        (view,) = await store.call(ListEscalations(), RUI)
        await store.call(ClaimEscalation(escalation_id=view.id), RUI)
        await store.settle()
        await store.move(30 * HOUR)
        before = len(store.sent)
        for text in ("Bom dia!", "Achei o seu vestido.", "Quer ver?"):
            await store.call(ReplyAsPerson(escalation_id=view.id, text=text), RUI)
            await store.settle()
        names = [send.template and send.template.name for send in store.sent[before:]]
        assert names == ["conversation_news", None, None]
        await store.write("quero!")
        await store.call(ReplyAsPerson(escalation_id=view.id, text="Aqui:"), RUI)
        await store.settle()
        assert store.sent[-1].template is None
        await store.move(30 * HOUR)
        await store.call(ReplyAsPerson(escalation_id=view.id, text="E aí?"), RUI)
        await store.settle()
        assert store.sent[-1].template is not None


async def test_where_no_brand_is_known_the_shared_numbers_name_stands_in_it() -> None:
    async with ChatStore() as store:
        await store.write("quero falar com um atendente", to=SHARED)
        (view,) = await store.call(ListEscalations(), RUI)
        await store.call(ClaimEscalation(escalation_id=view.id), RUI)
        await store.settle()
        await store.move(30 * HOUR)
        await store.call(ReplyAsPerson(escalation_id=view.id, text="Bom dia!"), RUI)
        await store.settle()
        template = store.sent[-1].template
        assert template is not None
        assert template.values == ("Agent Store",)


# --- ticks


async def test_the_bots_turn_shows_as_read_and_typing_once_for_a_burst() -> None:
    bursts: dict[str, Any] = {"burst_window": timedelta(milliseconds=700), "burst_max": timedelta(seconds=3)}
    async with ChatStore(**bursts) as store:
        for text in ("oi", "quero um vestido", "vermelho"):
            await store.write(text)
        assert store.events(WhatsAppSeen) == []
        await store.move(timedelta(seconds=1))
        (seen,) = store.events(WhatsAppSeen)
        assert seen.wamid == store.turns[0].messages[-1].message_id
        assert seen.phone_number_id == FASHION
        assert (seen.typing, seen.until) == (True, store.clock.now() + timedelta(seconds=25))


async def test_a_persons_turn_shows_as_read_and_nobody_typing() -> None:
    async with ChatStore() as store:
        await store.write("quero falar com um atendente")
        await store.write("oi?")
        assert [seen.typing for seen in store.events(WhatsAppSeen)] == [False, False]
        assert store.turns == []


async def test_what_starts_no_turn_shows_nothing() -> None:
    async with ChatStore() as store:
        await store.write("👍", kind="reaction")
        await store.write("SAIR")
        assert store.events(WhatsAppSeen) == []


# --- what the closed window kept back


def status_of(sent: WhatsAppMessageSend, at: datetime, **changes: Any) -> WhatsAppStatus:
    values: dict[str, Any] = {
        "send_id": sent.send_id,
        "customer_id": sent.customer_id,
        "conversation_id": sent.conversation_id,
        "wamid": f"wamid.out.{sent.number}",
        "status": "sent",
        "purpose": sent.purpose,
        "at": at,
        **changes,
    }
    return WhatsAppStatus(**values)


@asynccontextmanager
async def a_person_wrote_too_late(*texts: str) -> AsyncGenerator[ChatStore]:
    """Rui wrote a day after the customer: the first went out as a template, what followed not at all."""
    async with with_customer() as store:
        await store.write("quero falar com um atendente")
        (view,) = await store.call(ListEscalations(), RUI)
        await store.call(ClaimEscalation(escalation_id=view.id), RUI)
        await store.settle()
        await store.move(30 * HOUR)
        before = len(store.sent)
        for text in texts:
            await store.call(ReplyAsPerson(escalation_id=view.id, text=text), RUI)
            await store.settle()
        first, *rest = store.sent[before:]
        now = store.clock.now()
        for word in ("sent", "delivered", "read"):
            await store.publish(status_of(first, now, status=word, as_template=True))
        for sent in rest:
            await store.publish(status_of(sent, now, status="failed", error_code=131047, wamid=None))
        await store.settle()
        yield store


async def transcript(store: ChatStore) -> list[tuple[str, str]]:
    found = await store.call(GetTranscript(conversation_id=store.turns[0].conversation_id), RUI)
    return [(line.role, line.text) for line in found.lines]


async def test_what_a_person_said_to_a_closed_window_is_said_when_the_customer_writes() -> None:
    async with a_person_wrote_too_late("Bom dia!", "Achei o seu vestido.") as store:
        before = len(store.sent)
        await store.move(2 * HOUR)
        assert len(store.sent) == before
        await store.write("oi")
        again = store.sent[before:]
        assert [getattr(sent.content, "text", "") for sent in again] == ["Bom dia!", "Achei o seu vestido."]
        assert {(sent.purpose, sent.template) for sent in again} == {("reply", None)}
        assert [line.text for line in store.for_people[-1].messages] == ["oi"]
        await store.write("que bom")
        assert len(store.sent) == before + 2, "once"
        assert await store.dead() == []


async def test_the_transcript_shows_what_the_customer_read() -> None:
    async with a_person_wrote_too_late("Bom dia!") as store:
        template = store.sent[-1].template
        assert template is not None
        assert (await transcript(store))[-1] == ("person", template.text)
        await store.write("oi")
        assert (await transcript(store))[-2:] == [("customer", "oi"), ("person", "Bom dia!")]


async def test_news_of_a_closed_window_that_comes_after_the_customers_word_is_made_up_for_at_once() -> None:
    async with with_customer() as store:
        await store.write("quero falar com um atendente")
        (view,) = await store.call(ListEscalations(), RUI)
        await store.call(ClaimEscalation(escalation_id=view.id), RUI)
        await store.settle()
        await store.move(30 * HOUR)
        await store.call(ReplyAsPerson(escalation_id=view.id, text="Bom dia!"), RUI)
        await store.settle()
        sent, at = store.sent[-1], store.clock.now()
        await store.move(timedelta(minutes=1))
        await store.write("oi")
        await store.publish(status_of(sent, at, as_template=True))
        await store.settle()
        assert store.said[-1] == "Bom dia!"


async def test_a_sellers_words_are_not_said_again_since_their_facts_may_be_old() -> None:
    async with with_customer(turn_limit=timedelta(days=3)) as store:
        (late,) = await a_late_answer(store, 25 * HOUR, "Tem, por R$ 10,00!")
        assert late.template is not None
        await store.publish(status_of(late, store.clock.now(), as_template=True))
        await store.settle()
        assert (await transcript(store))[-1] == ("seller", late.template.text)
        before = len(store.sent)
        await store.write("oi")
        assert len(store.sent) == before
        assert [line.text for line in store.turns[-1].messages] == ["oi"]


async def test_a_notice_that_went_as_a_template_is_shown_so_and_not_said_again() -> None:
    async with with_customer() as store:
        (sent,) = await sent_for(store, fact(store, OrderShipped, 1))
        await store.publish(status_of(sent, store.clock.now(), as_template=True))
        await store.settle()
        assert sent.template is not None
        assert (await transcript(store))[-1] == ("notice", sent.template.text)
        before = len(store.sent)
        await store.write("oi")
        assert len(store.sent) == before
