"""A person takes over and hands back: the bot is silent, the customer is told, two never answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.conversations.tables import decisions
from agent_store.contracts.chat import ChatSentimentChanged, GetTranscript
from agent_store.contracts.people import (
    ClaimEscalation,
    EscalationAccepted,
    EscalationResolved,
    EscalationView,
    HandBack,
    LeaseGranted,
    ListEscalations,
    ReplyAsPerson,
    SalesEscalate,
    SalesHandoff,
)
from agent_store.contracts.whatsapp import OutButtons
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from agent_store.kernel.tool import Principal
from tests.support.chat import SHARED, TECH, ChatStore

RUI = Principal(staff="Rui")
EVA = Principal(staff="Eva")


async def queue(store: ChatStore, **wanted: Any) -> tuple[EscalationView, ...]:
    return await store.call(ListEscalations(**wanted), RUI)


async def claimed(store: ChatStore, by: Principal = RUI) -> EscalationView:
    (waiting,) = await queue(store)
    view = await store.call(ClaimEscalation(escalation_id=waiting.id), by)
    await store.settle()
    return view


async def test_asking_for_a_person_puts_the_conversation_into_the_queue_before_the_bot_gets_a_turn() -> None:
    async with ChatStore() as store:
        await store.write("Quero falar com uma pessoa")
        assert store.turns == []
        (waiting,) = await queue(store)
        assert (waiting.reason, waiting.state, waiting.brand) == ("asked", "waiting", "fashion")
        assert waiting.summary == "Quero falar com uma pessoa"
        assert waiting.unread == 1
        (told,) = store.sent
        assert isinstance(told.content, OutButtons)
        assert [choice.id for choice in told.content.choices] == ["bot"]


async def test_anger_brings_a_person_at_once_and_with_priority() -> None:
    async with ChatStore() as store:
        await store.write("Oi, tem vestido?")
        await store.answer("Tenho!")
        await store.write("vocês são uns ladrões, quero meu dinheiro de volta agora!!!")
        (waiting,) = await queue(store)
        assert (waiting.reason, waiting.priority) == ("sentiment", "high")
        (mood,) = store.events(ChatSentimentChanged)
        assert mood.score < 0.3 <= mood.before
        assert len(store.turns) == 1


async def test_an_urgent_one_comes_first_in_the_queue_then_the_longest_waiting() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente", wa_id="551")
        await store.write("quero um atendente", wa_id="552")
        await store.write("que merda de atendimento, vocês são uns incompetentes", wa_id="553")
        assert [one.reason for one in await queue(store)] == ["sentiment", "asked", "asked"]
        assert len(await queue(store, limit=1)) == 1


async def test_a_person_claims_writes_and_hands_back() -> None:
    async with ChatStore() as store:
        await store.write("I want to talk to a human please")
        escalation = await claimed(store)
        (granted,) = store.events(LeaseGranted)
        assert granted.person == "Rui"
        assert store.said[-1] == "Rui is with you now 👋"
        assert (await queue(store))[0].can_reply

        await store.call(ReplyAsPerson(escalation_id=escalation.id, text="Hi, Rui here!"), RUI)
        await store.settle()
        assert store.said[-1] == "Hi, Rui here!"

        await store.write("where is my order?")
        assert store.turns == []  # the bot is silent
        assert store.for_people[-1].messages[0].text == "where is my order?"
        assert store.for_people[-1].lease_token == granted.lease_token
        assert (await queue(store))[0].unread == 1

        await store.call(HandBack(escalation_id=escalation.id, outcome="answered"), RUI)
        await store.settle()
        assert store.said[-1] == "It's Luna again! How can I help?"
        assert await queue(store) == ()
        (resolved,) = store.events(EscalationResolved)
        assert (resolved.person, resolved.outcome) == ("Rui", "answered")
        assert [one.state for one in await queue(store, state="resolved")] == ["resolved"]

        await store.write("show me dresses please")
        assert store.turns[-1].lease_token > granted.lease_token
        await store.answer("Sure!")
        assert store.said[-1] == "Sure!"

        transcript = await store.call(GetTranscript(conversation_id=granted.conversation_id), RUI)
        assert [line.role for line in transcript.lines] == [
            "customer", "notice", "notice", "person", "customer", "notice", "customer", "seller",
        ]  # fmt: skip
        assert [turn.number for turn in store.for_people + store.turns] == [1, 2, 3]
        assert await store.dead() == []


async def test_the_bot_s_late_answer_is_refused_once_a_person_is_wanted_or_speaks() -> None:
    async with ChatStore() as store:
        await store.write("tem vestido?")
        turn = store.turns[0]
        await store.write("esquece, quero falar com uma pessoa")
        await store.answer("Tenho vários!", turn=turn)
        assert "Tenho vários!" not in store.said
        await claimed(store)
        await store.answer("Tenho vários!", turn=turn)
        assert "Tenho vários!" not in store.said
        refused = await store.rows(select(decisions).where(decisions.c.what == "speaker.refused"))
        assert len(refused) == 2


async def test_a_person_s_word_after_the_hand_back_is_refused() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        escalation = await claimed(store)
        token = store.events(LeaseGranted)[0].lease_token
        await store.call(HandBack(escalation_id=escalation.id), RUI)
        await store.settle()
        before = len(store.said)
        await store.write("oi de novo")
        await store.answer("ainda eu", author="person", lease_token=token, turn=store.turns[-1])
        assert len(store.said) == before
        with pytest.raises(Conflict):
            await store.call(ReplyAsPerson(escalation_id=escalation.id, text="ainda eu"), RUI)


async def test_what_another_has_cannot_be_claimed_written_or_handed_back() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        (waiting,) = await queue(store)
        with pytest.raises(Conflict, match="nobody has claimed"):
            await store.call(ReplyAsPerson(escalation_id=waiting.id, text="oi"), RUI)
        escalation = await claimed(store)
        again = await store.call(ClaimEscalation(escalation_id=escalation.id), RUI)
        assert again.person == "Rui"
        for tool in (
            ClaimEscalation(escalation_id=escalation.id),
            ReplyAsPerson(escalation_id=escalation.id, text="oi"),
            HandBack(escalation_id=escalation.id),
        ):
            with pytest.raises(Conflict, match="Rui has this conversation"):
                await store.call(tool, EVA)
        await store.settle()
        assert len(store.events(EscalationAccepted)) == 1


async def test_nobody_writes_before_the_lease_is_granted() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        (waiting,) = await queue(store)
        await store.runtime.remove("conversations")  # who grants it
        await store.call(ClaimEscalation(escalation_id=waiting.id), RUI)
        reply = store.call(ReplyAsPerson(escalation_id=waiting.id, text="oi"), RUI)
        back = store.call(HandBack(escalation_id=waiting.id), RUI)
        for refused in await asyncio.gather(reply, back, return_exceptions=True):
            assert isinstance(refused, Conflict)
            assert "moment" in refused.message


async def test_the_queue_s_tools_say_what_is_wrong() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        escalation = await claimed(store)
        with pytest.raises(InvalidInput, match="blank"):
            await store.call(ReplyAsPerson(escalation_id=escalation.id, text="  "), RUI)
        with pytest.raises(Forbidden):
            await store.call(ClaimEscalation(escalation_id=escalation.id), Principal(staff=" "))
        with pytest.raises(Forbidden):
            await store.call(ListEscalations(), Principal(customer_id="c"))
        with pytest.raises(NotFound):
            await store.call(ClaimEscalation(escalation_id="none"), RUI)


async def test_a_reply_with_the_same_key_is_said_once() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        escalation = await claimed(store)
        for _ in range(2):
            await store.call(ReplyAsPerson(escalation_id=escalation.id, text="Olá!"), RUI, key="k1")
            await store.settle()
        assert store.said.count("Olá!") == 1


@pytest.mark.parametrize("way", ["voltar", "Cancelar", "continue with the assistant"])
async def test_who_is_tired_of_waiting_goes_back_to_the_assistant(way: str) -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        await store.write(way)
        assert "de volta" in store.said[-1] or "again" in store.said[-1]
        assert await queue(store) == ()
        (resolved,) = await queue(store, state="resolved")
        with pytest.raises(Conflict, match="resolved"):
            await store.call(ClaimEscalation(escalation_id=resolved.id), RUI)
        await store.write("quero um vestido")
        assert len(store.turns) == 1


async def test_the_button_takes_back_to_the_assistant() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        await store.write("Voltar ao assistente", payload="bot")
        assert await queue(store) == ()
        await store.write("Voltar ao assistente", payload="bot")  # tapped again: the assistant is here already
        assert store.turns == []


async def test_while_nobody_has_come_the_bot_is_silent_and_what_is_written_is_kept() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        told = len(store.said)
        await store.write("alô?")
        await store.write("tem alguém?")
        assert len(store.said) == told
        assert store.turns == []
        assert (await queue(store))[0].unread == 3


async def test_a_claim_that_crosses_the_way_back_still_gives_the_person_the_lease() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        (waiting,) = await queue(store)
        await store.call(ClaimEscalation(escalation_id=waiting.id), RUI)  # on its way to conversations
        await store.write("voltar")
        (view,) = await queue(store)
        assert (view.state, view.can_reply) == ("claimed", True)
        await store.call(ReplyAsPerson(escalation_id=waiting.id, text="Cheguei!"), RUI)
        await store.settle()
        assert store.said[-1] == "Cheguei!"


async def test_the_seller_brings_a_person_and_the_customer_is_told_once() -> None:
    async with ChatStore() as store:
        await store.write("preciso de 300 camisas para minha empresa")
        turn = store.turns[0]
        wish = SalesEscalate(
            conversation_id=turn.conversation_id,
            customer_id=turn.customer_id,
            lease_token=turn.lease_token,
            reason="value",
            summary="300 shirts for a company",
            brand="fashion",
        )
        await store.publish(wish)
        await store.publish(wish)
        await store.answer("", turn=turn)
        assert len(store.said) == 1
        (waiting,) = await queue(store)
        assert (waiting.reason, waiting.summary) == ("value", "300 shirts for a company")
        await store.write("é urgente")
        assert len(store.turns) == 1


async def test_the_seller_brings_a_person_though_the_next_turn_has_begun() -> None:
    async with ChatStore() as store:
        await store.write("preciso de nota fiscal especial")
        turn = store.turns[0]
        await store.write("para minha empresa")
        await store.answer("", turn=turn)  # its end, and the wish for a person right behind it
        assert len(store.turns) == 2
        await store.publish(
            SalesEscalate(
                conversation_id=turn.conversation_id,
                customer_id=turn.customer_id,
                lease_token=turn.lease_token,
                reason="policy",
                summary="a special invoice",
            )
        )
        await store.settle()
        assert [one.reason for one in await queue(store)] == ["policy"]
        await store.answer("Claro!")
        assert "Claro!" not in store.said


async def test_a_wish_of_a_turn_that_expired_is_refused() -> None:
    async with ChatStore() as store:
        await store.write("oi, tudo bem?")
        turn = store.turns[0]
        await store.move(timedelta(seconds=90))
        await store.publish(
            SalesEscalate(
                conversation_id=turn.conversation_id,
                customer_id=turn.customer_id,
                lease_token=turn.lease_token,
                reason="complex",
                summary="late",
            )
        )
        await store.settle()
        await store.answer("Tudo!")
        assert store.said == ["Tudo!"]
        assert await queue(store) == ()


async def test_a_seller_whose_turn_is_over_brings_nobody() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        escalation = await claimed(store)
        await store.call(HandBack(escalation_id=escalation.id), RUI)
        await store.settle()
        await store.write("quero um vestido")
        turn = store.turns[0]
        await store.publish(
            SalesEscalate(
                conversation_id=turn.conversation_id,
                customer_id=turn.customer_id,
                lease_token=1,
                reason="complex",
                summary="old",
            )
        )
        await store.settle()
        assert await queue(store) == ()
        await store.answer("Claro!")
        assert store.said[-1] == "Claro!"


async def test_a_second_wish_makes_it_urgent_and_no_second_one() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        turn = store.for_people[0]
        await store.publish(
            SalesEscalate(
                conversation_id=turn.conversation_id,
                customer_id=turn.customer_id,
                lease_token=turn.lease_token,
                reason="sentiment",
                summary="angry",
                priority="high",
            )
        )
        await store.settle()
        (waiting,) = await queue(store)
        assert (waiting.priority, waiting.reason) == ("high", "asked")


async def test_a_hand_back_with_an_old_token_is_refused() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        await claimed(store)
        granted = store.events(LeaseGranted)[0]
        await store.publish(
            SalesHandoff(
                conversation_id=granted.conversation_id,
                customer_id=granted.customer_id,
                to="bot",
                person="Eva",
                lease_token=granted.lease_token - 1,
            )
        )
        await store.settle()
        assert (await queue(store))[0].state == "claimed"
        await store.write("oi")
        assert store.turns == []


async def test_one_conversation_with_a_person_leaves_the_others_to_the_bot() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        await store.write("quero um notebook", to=TECH)
        assert [turn.brand for turn in store.turns] == ["tech"]


async def test_what_waited_for_an_answer_goes_to_the_person() -> None:
    async with ChatStore() as store:
        await store.write("tem vestido?")
        await store.write("vermelho")
        await store.write("atendente por favor")
        assert [line.text for line in store.for_people[0].messages] == ["vermelho", "atendente por favor"]


async def test_what_waits_for_its_shop_goes_to_the_person_who_claims() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente", to=SHARED)
        (waiting,) = await queue(store)
        await store.call(ClaimEscalation(escalation_id=waiting.id), RUI)
        await store.write("voltar", to=SHARED)
        assert (await queue(store))[0].can_reply  # the claim counts
        await store.call(HandBack(escalation_id=waiting.id), RUI)
        await store.settle()
        assert store.said[-1] == "Estou de volta com você! Em que posso ajudar?"  # no shop, so no seller's name


async def test_a_claim_that_is_told_twice_is_told_to_the_customer_once() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        await claimed(store)
        await store.publish(store.events(EscalationAccepted)[0])
        await store.settle()
        assert store.said.count("Rui está com você agora 👋") == 1
        assert len(store.events(LeaseGranted)) == 1


async def test_the_word_that_a_person_speaks_changes_nothing_by_itself() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        turn = store.for_people[0]
        await store.publish(
            SalesHandoff(conversation_id=turn.conversation_id, customer_id=turn.customer_id, to="person", person="Rui")
        )
        await store.settle()
        assert [one.state for one in await queue(store)] == ["waiting"]


async def test_a_lease_that_nobody_claimed_gives_nobody_a_voice() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        turn = store.for_people[0]
        await store.publish(
            LeaseGranted(
                conversation_id=turn.conversation_id, customer_id=turn.customer_id, person="Eva", lease_token=99
            )
        )
        await store.settle()
        assert [one.can_reply for one in await queue(store)] == [False]


async def test_an_escalation_that_crosses_a_new_message_gives_it_to_the_person() -> None:
    async with ChatStore() as store:
        await store.write("preciso de ajuda com uma nota fiscal")
        turn = store.turns[0]
        await store.write("é urgente")
        await store.publish(
            SalesEscalate(
                conversation_id=turn.conversation_id,
                customer_id=turn.customer_id,
                lease_token=turn.lease_token,
                reason="complex",
                summary="an invoice",
            )
        )
        await store.settle()
        assert [line.text for line in store.for_people[0].messages] == ["é urgente"]


async def test_the_hand_over_survives_a_kill() -> None:
    async with ChatStore() as store:
        await store.write("quero um atendente")
        await store.kill_and_restart()
        escalation = await claimed(store)
        await store.kill_and_restart()
        await store.call(ReplyAsPerson(escalation_id=escalation.id, text="Olá!"), RUI)
        await store.settle()
        assert store.said[-1] == "Olá!"
