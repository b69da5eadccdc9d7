"""A customer's yes and no to reminders, surveys and offers: kept, told, answered once, and no end of the sale."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.conversations.tables import consents, decisions
from agent_store.agents.conversations.texts import say
from agent_store.contracts.chat import CustomerOptedIn, CustomerOptedOut, GetConsent, SetConsent
from agent_store.contracts.people import ClaimEscalation, ListEscalations
from agent_store.contracts.whatsapp import WhatsAppMarketingChosen, WhatsAppStatus
from agent_store.kernel.errors import Forbidden, NotFound
from agent_store.kernel.ids import CustomerId
from agent_store.kernel.tool import Principal
from tests.support.chat import FASHION, TECH, ChatStore

STAFF = Principal(staff="Rui")


async def consent(store: ChatStore) -> Any:
    return await store.call(GetConsent(), Principal(customer_id=store.turns[0].customer_id))


async def test_a_no_is_kept_told_and_answered_once_and_the_seller_goes_on_answering() -> None:
    async with ChatStore() as store:
        await store.write("Oi, quero um vestido")
        await store.answer("Olá!")
        await store.write("SAIR")
        assert store.said == ["Olá!", say("opted_out", "pt")]
        (told,) = store.events(CustomerOptedOut)
        assert (told.customer_id, told.words, told.way, told.channel) == (
            store.turns[0].customer_id, "SAIR", "words", "whatsapp",
        )  # fmt: skip
        assert (await consent(store)).marketing == "no"
        assert len(store.turns) == 1, "nothing for the seller to answer"
        await store.write("e em azul, tem?")
        assert [line.text for line in store.turns[-1].messages] == ["e em azul, tem?"]
        await store.answer("Tem sim!")
        assert store.said[-1] == "Tem sim!"


async def test_a_no_said_twice_is_answered_once_and_the_next_day_again() -> None:
    async with ChatStore() as store:
        await store.write("Oi, quero um vestido")
        await store.answer("Olá!")
        for _ in range(3):
            await store.write("sair")
        assert store.said == ["Olá!", say("opted_out", "pt")]
        assert len(store.events(CustomerOptedOut)) == 1
        await store.move(timedelta(days=2))
        await store.write("sair")
        assert store.said[2:] == [say("opted_out", "pt")]
        assert len(store.events(CustomerOptedOut)) == 1


@pytest.mark.parametrize(
    ("first", "no", "yes", "language"),
    [
        ("Oi, quero um vestido", "PARAR", "Voltar a receber", "pt"),
        ("hi, do you have a red dress?", "STOP", "opt in", "en"),
        ("hola, busco un vestido rojo", "BAJA", "Volver a recibir", "es"),
    ],
)
async def test_the_answer_is_in_the_customers_language_and_its_way_back_works(
    first: str, no: str, yes: str, language: Any
) -> None:
    async with ChatStore() as store:
        await store.write(first)
        await store.answer("ok!")
        await store.write(no)
        assert yes.casefold() in store.said[-1].casefold()
        await store.write(yes)
        assert store.said[1:] == [say("opted_out", language), say("opted_in", language)]
        assert (await consent(store)).marketing == "yes"
        assert [event.words for event in store.events(CustomerOptedIn)] == [yes]


async def test_the_last_word_counts_however_often_it_changes() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.answer()
        for text, granted in (("quero receber ofertas", "yes"), ("sair", "no"), ("start", "yes"), ("parar", "no")):
            await store.write(text)
            assert (await consent(store)).marketing == granted
        assert len(store.said) == 5
        rows = await store.rows(select(consents))
        assert [(row["granted"], row["words"]) for row in rows] == [(False, "parar")]


@pytest.mark.parametrize("text", ["quero receber", "start", "cancelar", "quero sair com esse vestido", "para"])
async def test_what_only_looks_like_it_is_the_sellers(text: str) -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.answer()
        await store.write(text)
        assert [line.text for line in store.turns[-1].messages] == [text]
        assert (await consent(store)).marketing == "unsaid"


@pytest.mark.parametrize("kind", ["button", "interactive"])
async def test_a_tap_on_a_templates_button_is_a_no_too(kind: str) -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.answer()
        await store.write("Não receber mais", payload="opt_out", kind=kind)
        (told,) = store.events(CustomerOptedOut)
        assert (told.words, told.way) == ("Não receber mais", "button")
        await store.write("Quero de novo", payload="opt_in", kind=kind)
        assert (await consent(store)).marketing == "yes"


async def test_it_works_for_the_first_message_and_on_every_number_of_the_store() -> None:
    async with ChatStore() as store:
        await store.write("SAIR", to=TECH)
        (told,) = store.events(CustomerOptedOut)
        assert store.said == [say("opted_out", "pt")]
        await store.write("Oi, quero um vestido", to=FASHION)
        assert store.turns[0].customer_id == told.customer_id
        assert (await consent(store)).marketing == "no"


async def test_it_works_while_somebody_is_waited_for_and_while_a_person_speaks() -> None:
    async with ChatStore() as store:
        await store.write("quero falar com um atendente")
        await store.write("SAIR")
        assert store.said[-1] == say("opted_out", "pt")
        (view,) = await store.call(ListEscalations(), STAFF)
        await store.call(ClaimEscalation(escalation_id=view.id), STAFF)
        await store.settle()
        await store.write("voltar a receber")
        assert store.said[-1] == say("opted_in", "pt")
        await store.write("e o meu pedido?")
        assert [line.text for line in store.for_people[-1].messages] == ["e o meu pedido?"]


async def test_a_no_in_the_middle_of_a_turn_leaves_the_turn_as_it_is() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.write("sair")
        await store.answer("Olá!")
        assert store.said == [say("opted_out", "pt"), "Olá!"]
        assert len(store.turns) == 1


async def test_a_picture_and_a_sticker_say_neither() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.answer()
        await store.write("sair", kind="document")
        assert (await consent(store)).marketing == "unsaid"


# --- people, and the platform


async def test_a_person_writes_down_what_they_were_told() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        customer_id = store.turns[0].customer_id
        call = SetConsent(customer_id=customer_id, marketing=True, words="ao telefone, cartão 4111 1111 1111 1111")
        found = await store.call(call, STAFF)
        assert (found.marketing, found.way) == ("yes", "staff")
        assert "4111" not in found.words
        (told,) = store.events(CustomerOptedIn)
        assert told.way == "staff"
        with pytest.raises(NotFound):
            await store.call(SetConsent(customer_id=CustomerId("nobody"), marketing=True), STAFF)
        with pytest.raises(Forbidden):
            await store.call(call, Principal(customer_id=customer_id))
        with pytest.raises(Forbidden):
            await store.call(GetConsent(), STAFF)


def refused(store: ChatStore, **changes: Any) -> WhatsAppStatus:
    turn = store.turns[0]
    values: dict[str, Any] = {
        "send_id": "a-send",
        "customer_id": turn.customer_id,
        "conversation_id": turn.conversation_id,
        "status": "failed",
        "error_code": 131050,
        "purpose": "cart_reminder",
        "as_template": True,
        "at": store.clock.now(),
        **changes,
    }
    return WhatsAppStatus(**values)


async def test_who_stops_marketing_in_whatsapp_itself_has_said_no_to_the_store() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.answer()
        for _ in range(2):
            await store.publish(refused(store))
        await store.settle()
        (told,) = store.events(CustomerOptedOut)
        assert told.way == "button"
        assert (await consent(store)).marketing == "no"
        assert store.said == ["ok!"], "nobody is written to for having asked not to be"
        noted = await store.rows(select(decisions.c.what).where(decisions.c.what == "consent.no"))
        assert len(noted) == 1


@pytest.mark.parametrize(
    "changes", [{"purpose": "order"}, {"error_code": 131026}, {"status": "sent", "error_code": None}]
)
async def test_other_failures_say_nothing_of_consent(changes: dict[str, Any]) -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.publish(refused(store, **changes))
        await store.settle()
        assert (await consent(store)).marketing == "unsaid"
        assert await store.dead() == []


async def test_a_refusal_that_is_older_than_the_customers_yes_changes_nothing() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        late = refused(store, at=store.clock.now() - timedelta(minutes=1))
        await store.write("voltar a receber")
        await store.publish(late)
        await store.settle()
        assert (await consent(store)).marketing == "yes"


def chosen(store: ChatStore, wanted: bool, **changes: Any) -> WhatsAppMarketingChosen:
    values: dict[str, Any] = {
        "sender": "5511999990000",
        "phone_number_id": FASHION,
        "wa_id": "5511999990000",
        "wanted": wanted,
        "at": store.clock.now(),
        **changes,
    }
    return WhatsAppMarketingChosen(**values)


async def test_what_a_customer_sets_in_whatsapp_counts_like_a_word() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido")
        await store.answer()
        for wanted, marketing in ((False, "no"), (True, "yes"), (False, "no")):
            await store.move(timedelta(hours=1))
            await store.publish(chosen(store, wanted))
            await store.settle()
            assert (await consent(store)).marketing == marketing
        await store.publish(chosen(store, True, at=store.clock.now() - timedelta(minutes=1)))
        await store.settle()
        assert (await consent(store)).marketing == "no", "the last word counts, not the last to arrive"
        assert (len(store.events(CustomerOptedOut)), len(store.events(CustomerOptedIn))) == (2, 1)
        assert store.said == ["ok!"]


async def test_what_somebody_sets_in_whatsapp_who_never_wrote_here_is_nothing() -> None:
    async with ChatStore() as store:
        await store.publish(chosen(store, False))
        await store.publish(chosen(store, False, sender="", wa_id=None))
        await store.settle()
        assert store.events(CustomerOptedOut) == []
        assert await store.dead() == []


async def test_a_no_goes_with_an_identity_to_the_customer_it_is_found_to_be() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido", wa_id="5511999990000")
        await store.write("SAIR", wa_id=None, user_id="BR.1234567")
        (first,) = store.events(CustomerOptedOut)
        assert first.customer_id != store.turns[0].customer_id
        await store.write("e azul?", wa_id="5511999990000", user_id="BR.1234567")
        assert (await consent(store)).marketing == "no"
        assert [event.customer_id for event in store.events(CustomerOptedOut)] == [
            first.customer_id, store.turns[0].customer_id,
        ]  # fmt: skip


async def test_a_yes_and_an_older_no_do_not_go_with_it() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido", wa_id="5511999990000")
        await store.write("voltar a receber", wa_id=None, user_id="BR.1234567")
        await store.write("e azul?", wa_id="5511999990000", user_id="BR.1234567")
        assert (await consent(store)).marketing == "unsaid"
        await store.write("sair", wa_id=None, user_id="BR.7654321")
        await store.move(timedelta(minutes=1))
        await store.write("voltar a receber", wa_id="5511999990000")
        await store.write("e verde?", wa_id="5511999990000", user_id="BR.7654321")
        assert (await consent(store)).marketing == "yes"


async def test_a_user_id_is_enough_and_an_unknown_customer_is_nobodys() -> None:
    async with ChatStore() as store:
        await store.write("oi, quero um vestido", wa_id=None, user_id="BR.1234567")
        await store.publish(chosen(store, False, sender="BR.1234567", wa_id=None, user_id="BR.1234567"))
        await store.publish(refused(store, customer_id=CustomerId("nobody")))
        await store.settle()
        assert [event.customer_id for event in store.events(CustomerOptedOut)] == [store.turns[0].customer_id]
        assert await store.dead() == []
