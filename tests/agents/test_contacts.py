"""What the store says to customers of its own accord, when and if the channel's rules allow; each rule by its name."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.conversations.permission import Caps
from agent_store.agents.conversations.quiet import QuietHours
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.tables import contacts, decisions
from agent_store.agents.conversations.texts import say
from agent_store.contracts.chat import CustomerContact, CustomerContactDue, CustomerContacted, SetConsent
from agent_store.contracts.people import ClaimEscalation, HandBack, ListEscalations
from agent_store.contracts.whatsapp import OutButtons, OutText, WhatsAppMessageSend
from agent_store.kernel.ids import CustomerId
from agent_store.kernel.tool import Principal
from tests.support.chat import FASHION, SHARED, TECH, ChatStore

STAFF = Principal(staff="Rui")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@asynccontextmanager
async def with_customer(text: str = "Oi, quero um vestido", **writing: Any) -> AsyncGenerator[ChatStore]:
    """A customer whom the bot has answered, at nine in the morning in Brasília."""
    async with ChatStore() as store:
        assert store.clock.now().hour == 12
        await store.write(text, **writing)
        await store.answer("Olá!")
        yield store


def a_contact(store: ChatStore, id: str = "c-1", **changes: Any) -> CustomerContact:
    values: dict[str, Any] = {
        "contact_id": id,
        "customer_id": store.turns[0].customer_id,
        "purpose": "cart_reminder",
        "template": "cart_reminder",
        "values": {"shop": "Moda Viva", "items": "Vestido Aurora"},
        "brand": "fashion",
        "expires_at": store.clock.now() + 3 * DAY,
        **changes,
    }
    if values["template"] == "survey":
        values["values"] = {"number": "AS-1", "shop": "Moda Viva"}
    return CustomerContact(**values)


async def ask(store: ChatStore, id: str = "c-1", **changes: Any) -> list[WhatsAppMessageSend]:
    """What asking for a contact made the store send."""
    before = len(store.sent)
    await store.publish(a_contact(store, id, **changes))
    await store.settle()
    assert await store.dead() == []
    return store.sent[before:]


def outcomes(store: ChatStore) -> dict[str, tuple[str, str]]:
    told = store.events(CustomerContacted)
    assert len({event.contact_id for event in told}) == len(told), "each end is told once"
    return {event.contact_id: (event.outcome, event.reason) for event in told}


async def state(store: ChatStore, id: str = "c-1") -> Any:
    (row,) = await store.rows(select(contacts).where(contacts.c.contact_id == id))
    return row


# --- what goes out


async def test_a_cart_reminder_goes_as_words_with_buttons_and_as_a_template_for_when_the_window_is_closed() -> None:
    async with with_customer() as store:
        (sent,) = await ask(store)
        assert isinstance(sent.content, OutButtons)
        assert "Vestido Aurora" in sent.content.text
        assert "SAIR" in sent.content.text
        assert [(one.id, one.title) for one in sent.content.choices] == [
            ("show_cart", "Ver minha sacola"), ("opt_out", "Não receber mais"),
        ]  # fmt: skip
        assert sent.template is not None
        assert (sent.template.name, sent.template.language) == ("cart_reminder", "pt_BR")
        assert sent.template.values == ("Moda Viva", "Vestido Aurora")
        assert sent.template.buttons == ("show_cart", "opt_out")
        assert sent.template.text == sent.content.text
        assert (sent.purpose, sent.expires_at) == ("cart_reminder", store.clock.now() + 3 * DAY)
        assert outcomes(store) == {"c-1": ("sent", "")}


async def test_a_survey_and_the_thanks_for_its_answer() -> None:
    async with with_customer("hi, do you have a red dress?") as store:
        (sent,) = await ask(store, purpose="survey", template="survey")
        assert isinstance(sent.content, OutButtons)
        assert [one.id for one in sent.content.choices] == ["survey:good", "survey:bad", "opt_out"]
        assert (sent.purpose, sent.template and sent.template.language) == ("survey", "en_US")
        await store.write("Liked it", payload="survey:good", kind="button")
        assert store.said[-1] == say("survey_good", "en")
        await store.write("Could be better", payload="survey:bad", kind="button")
        last = store.sent[-1].content
        assert isinstance(last, OutButtons)
        assert (last.text, last.choices[0].id) == (say("survey_bad", "en"), "person")
        assert len(store.turns) == 1, "the seller has nothing to answer"
        noted = await store.rows(
            select(decisions.c.details).where(decisions.c.what == "survey.answered").order_by(decisions.c.at)
        )
        assert sorted(row["details"]["answer"] for row in noted) == ["bad", "good"]
        assert {row["details"]["contact"] for row in noted} == {"c-1"}


async def test_a_tap_on_see_my_bag_is_one_that_sellers_know() -> None:
    async with with_customer() as store:
        await ask(store)
        await store.write("Ver minha sacola", payload="show_cart", kind="button")
        assert [line.payload for line in store.turns[-1].messages] == ["view_cart"]


async def test_a_tap_on_no_more_ends_reminders() -> None:
    async with with_customer() as store:
        await ask(store)
        await store.write("Não receber mais", payload="opt_out", kind="button")
        await store.move(2 * DAY)
        assert await ask(store, "c-2") == []
        assert outcomes(store)["c-2"] == ("skipped", "opted_out")


async def test_the_same_contact_id_is_said_once() -> None:
    async with with_customer() as store:
        assert len(await ask(store)) == 1
        assert await ask(store) == []
        assert await ask(store, purpose="marketing") == []
        assert outcomes(store) == {"c-1": ("sent", "")}


async def test_numbers_and_order_go_on_with_what_else_is_said() -> None:
    async with with_customer() as store:
        await ask(store)
        await store.write("e azul?")
        await store.answer("Tem!")
        assert [send.number for send in store.sent] == [1, 2, 3]
        assert [send.purpose for send in store.sent] == ["reply", "cart_reminder", "reply"]


# --- consent


@pytest.mark.parametrize(
    ("purpose", "template", "granted", "outcome"),
    [
        ("marketing", "cart_reminder", None, ("skipped", "no_consent")),
        ("marketing", "cart_reminder", False, ("skipped", "opted_out")),
        ("marketing", "cart_reminder", True, ("sent", "")),
        ("cart_reminder", "cart_reminder", None, ("sent", "")),
        ("cart_reminder", "cart_reminder", False, ("skipped", "opted_out")),
        ("survey", "survey", None, ("sent", "")),
        ("survey", "survey", False, ("skipped", "opted_out")),
        ("service", "conversation_news", False, ("sent", "")),
        ("service", "cart_reminder", False, ("skipped", "opted_out")),
    ],
)
async def test_marketing_needs_a_yes_reminders_and_surveys_no_no(
    purpose: str, template: str, granted: bool | None, outcome: tuple[str, str]
) -> None:
    async with with_customer() as store:
        if granted is not None:
            await store.call(SetConsent(customer_id=store.turns[0].customer_id, marketing=granted), STAFF)
        sent = await ask(store, purpose=purpose, template=template)
        assert outcomes(store) == {"c-1": outcome}
        assert len(sent) == (outcome[0] == "sent")


async def test_a_no_that_comes_while_a_reminder_waits_is_heard() -> None:
    async with with_customer() as store:
        await store.move(11 * HOUR)  # eight in the evening
        await store.move(2 * HOUR)
        assert await ask(store) == []
        assert outcomes(store) == {}
        await store.write("SAIR")
        await store.move(12 * HOUR)
        assert outcomes(store) == {"c-1": ("skipped", "opted_out")}
        assert store.said[-1] == say("opted_out", "pt")


# --- quiet hours


async def test_quiet_hours_hold_a_reminder_until_eight_in_the_morning() -> None:
    async with with_customer() as store:
        await store.move(13 * HOUR)
        assert await ask(store) == []
        assert (await state(store))["due_at"] == store.clock.now().replace(hour=11)
        await store.move(9 * HOUR + timedelta(minutes=59))
        assert outcomes(store) == {}
        await store.move(timedelta(minutes=1))
        assert outcomes(store) == {"c-1": ("sent", "")}
        assert store.sent[-1].purpose == "cart_reminder"


@pytest.mark.parametrize(
    ("wa_id", "user_id", "sent"),
    [
        ("5511999990000", None, True),  # nine in São Paulo
        ("5568999990000", None, False),  # seven in Acre
        ("351912345678", None, True),  # noon in Lisbon, eleven in the Azores
        ("819012345678", None, False),  # nine in the evening in Tokyo
        (None, "JP.1234567", False),
        (None, "PT.1234567", True),
        (None, "1234567", True),
    ],
)
async def test_quiet_hours_are_those_of_where_the_customer_is(
    wa_id: str | None, user_id: str | None, sent: bool
) -> None:
    async with with_customer(wa_id=wa_id, user_id=user_id) as store:
        assert len(await ask(store)) == sent
        assert (outcomes(store) == {}) is not sent


async def test_quiet_hours_do_not_hold_what_the_customer_needs() -> None:
    async with with_customer() as store:
        await store.move(14 * HOUR)
        assert len(await ask(store, purpose="service", template="conversation_news")) == 1


async def test_what_would_be_void_in_the_morning_is_told_at_once() -> None:
    async with with_customer() as store:
        await store.move(13 * HOUR)
        await ask(store, expires_at=store.clock.now() + 3 * HOUR)
        assert outcomes(store) == {"c-1": ("expired", "too_late")}


async def test_a_deployment_may_have_other_quiet_hours_and_caps_or_none() -> None:
    midnight = datetime(2026, 1, 6, 3, tzinfo=UTC)
    none = QuietHours(midnight.time(), midnight.time())
    async with ChatStore(quiet=none, caps=Caps(a_day=9, a_week=9)) as store:
        await store.write("Oi, quero um vestido")
        await store.answer()
        await store.move(midnight - store.clock.now())
        for number in range(9):
            assert len(await ask(store, f"c-{number}")) == 1
        assert await ask(store, "c-9") == []


# --- frequency caps


async def test_one_a_day_and_three_a_week_over_all_brands() -> None:
    async with with_customer() as store:
        await store.write("quero um celular", to=TECH)
        await store.answer()
        assert len(await ask(store, "c-0", brand="tech")) == 1
        started, times = store.clock.now(), []
        for number in range(1, 5):
            await ask(store, f"c-{number}", expires_at=store.clock.now() + 20 * DAY)
        for _ in range(11 * 4):
            before = len(outcomes(store))
            await store.move(6 * HOUR)
            times += [store.clock.now() - started] * (len(outcomes(store)) - before)
        assert times == [DAY, 2 * DAY, 7 * DAY, 8 * DAY]
        assert set(outcomes(store).values()) == {("sent", "")}


async def test_what_would_be_void_before_its_turn_came_too_often() -> None:
    async with with_customer() as store:
        await ask(store, "c-1")
        await ask(store, "c-2", purpose="survey", template="survey", expires_at=store.clock.now() + 5 * HOUR)
        assert outcomes(store)["c-2"] == ("skipped", "too_often")


async def test_two_that_wait_for_the_same_morning_go_out_a_day_apart() -> None:
    async with with_customer() as store:
        await store.move(13 * HOUR)
        await ask(store, "c-1")
        await ask(store, "c-2", purpose="survey", template="survey")
        await store.move(10 * HOUR)
        assert len(outcomes(store)) == 1
        await store.move(DAY)
        assert outcomes(store) == {"c-1": ("sent", ""), "c-2": ("sent", "")}


async def test_caps_do_not_count_what_the_customer_needs() -> None:
    async with with_customer() as store:
        for number in range(3):
            await ask(store, f"s-{number}", purpose="service", template="conversation_news")
        assert len(await ask(store, "c-1")) == 1


# --- nobody is talked over


async def test_an_open_turn_is_waited_for() -> None:
    async with with_customer() as store:
        await store.write("e azul?")
        assert await ask(store, purpose="service", template="conversation_news") == []
        await store.answer("Tem!")
        assert store.said[-1] == "Tem!"
        await store.move(timedelta(minutes=5))
        assert outcomes(store) == {"c-1": ("sent", "")}
        assert isinstance(store.sent[-1].content, OutText)


async def test_a_person_is_not_talked_over_and_is_waited_for_until_it_is_too_late() -> None:
    async with with_customer() as store:
        await store.write("quero falar com um atendente")
        (view,) = await store.call(ListEscalations(), STAFF)
        await ask(store, "c-1", expires_at=store.clock.now() + 4 * HOUR)
        await ask(store, "c-2", purpose="survey", template="survey", expires_at=store.clock.now() + 40 * HOUR)
        await store.call(ClaimEscalation(escalation_id=view.id), STAFF)
        await store.move(3 * HOUR)
        assert outcomes(store) == {}
        await store.move(2 * HOUR)
        assert outcomes(store) == {"c-1": ("expired", "too_late")}
        await store.call(HandBack(escalation_id=view.id), STAFF)
        await store.settle()
        await store.move(HOUR)
        assert outcomes(store)["c-2"] == ("sent", "")


# --- where, and what with


async def test_it_is_said_where_the_customer_talks_with_that_brand() -> None:
    async with with_customer(to=FASHION) as store:
        await store.write("quero um celular", to=TECH)
        await store.answer()
        (sent,) = await ask(store)
        assert sent.phone_number_id == FASHION
        await store.move(DAY)
        (sent,) = await ask(store, "c-2", brand="home")
        assert sent.phone_number_id == TECH, "where they wrote last"


async def test_it_is_said_on_the_shared_number_to_who_only_wrote_there() -> None:
    async with with_customer("quero um vestido", to=SHARED) as store:
        (sent,) = await ask(store)
        assert sent.phone_number_id == SHARED


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"template": "no_such"}, ("skipped", "unknown_template")),
        ({"values": {"shop": "Moda Viva"}}, ("skipped", "unknown_template")),
        ({"customer_id": CustomerId("nobody")}, ("skipped", "nowhere")),
        ({"expires_at": datetime(2026, 1, 5, 11, 59, tzinfo=UTC)}, ("expired", "too_late")),
    ],
)
async def test_what_cannot_be_said_is_told_with_its_reason(changes: dict[str, Any], outcome: tuple[str, str]) -> None:
    async with with_customer() as store:
        assert await ask(store, **changes) == []
        assert outcomes(store) == {"c-1": outcome}


async def test_what_waits_survives_a_crash() -> None:
    async with with_customer() as store:
        await store.move(13 * HOUR)
        await ask(store)
        await store.kill_and_restart()
        await store.move(10 * HOUR)
        assert outcomes(store) == {"c-1": ("sent", "")}


async def test_an_older_timer_does_nothing() -> None:
    async with with_customer() as store:
        await store.move(13 * HOUR)
        await ask(store)
        due = CustomerContactDue(contact_id="c-1", customer_id=store.turns[0].customer_id)
        await store.publish(due)
        await store.publish(due.model_copy(update={"contact_id": "never asked"}))
        await store.settle()
        assert outcomes(store) == {}
        await store.move(10 * HOUR)
        await store.publish(due)
        await store.settle()
        assert outcomes(store) == {"c-1": ("sent", "")}


def test_a_pause_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="contact_pause must be positive"):
        ConversationsSettings(contact_pause=timedelta())
