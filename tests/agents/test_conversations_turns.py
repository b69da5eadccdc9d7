"""Turns: who writes, which turn it becomes, and that only the one speaker of the moment is heard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.conversations.tables import conversations, customers, decisions, identities, messages
from agent_store.contracts.chat import (
    ButtonsBlock,
    ChatMessageNew,
    ChatResponse,
    ChatTurnDue,
    ChatTurnExpired,
    CustomerNew,
    CustomerUpdated,
    GetDecisions,
    GetHistory,
    GetProfile,
    GetTranscript,
    ListConversations,
    Remember,
    ReplyChoice,
    SessionStarted,
    TextBlock,
)
from agent_store.contracts.common import Address
from agent_store.contracts.people import SalesEscalate
from agent_store.contracts.whatsapp import WhatsAppStatus
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound, StaleSpeaker
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.tool import Principal
from tests.support.chat import FASHION, SHARED, TECH, ChatStore

WINDOW = timedelta(milliseconds=700)
BURSTS: dict[str, Any] = {"burst_window": WINDOW, "burst_max": timedelta(seconds=3)}
LIMIT = timedelta(seconds=90)
STAFF = Principal(staff="Rui")


async def test_a_first_message_makes_customer_conversation_and_turn() -> None:
    async with ChatStore() as store:
        await store.write("Oi, quero um vestido vermelho")
        (turn,) = store.turns
        assert (turn.number, turn.lease_token, turn.brand, turn.language) == (1, 1, "fashion", "pt")
        assert [line.text for line in turn.messages] == ["Oi, quero um vestido vermelho"]
        assert turn.lease_until == store.clock.now() + LIMIT
        assert turn.customer_name == "Ana"
        (new,) = store.events(CustomerNew)
        assert (new.customer_id, new.language) == (turn.customer_id, "pt")
        (session,) = store.events(SessionStarted)
        assert (session.conversation_id, session.brand) == (turn.conversation_id, "fashion")


async def test_each_message_is_a_turn_at_once_when_there_is_no_burst_window() -> None:
    async with ChatStore() as store:
        for number in (1, 2, 3):
            await store.write(f"mensagem {number}")
            assert [turn.number for turn in store.turns] == list(range(1, number + 1))
            await store.answer(f"resposta {number}")
        assert store.said == ["resposta 1", "resposta 2", "resposta 3"]
        assert [send.number for send in store.sent] == [1, 2, 3]
        tokens = [turn.lease_token for turn in store.turns]
        assert tokens == sorted(set(tokens))


async def test_a_burst_is_one_turn() -> None:
    async with ChatStore(**BURSTS) as store:
        await store.write("oi")
        await store.move(timedelta(milliseconds=400))
        await store.write("quero um vestido")
        await store.move(timedelta(milliseconds=400))
        assert store.turns == []  # the window began anew with the second message
        await store.write("vermelho")
        await store.move(WINDOW)
        (turn,) = store.turns
        assert [line.text for line in turn.messages] == ["oi", "quero um vestido", "vermelho"]
        await store.move(timedelta(seconds=5))
        assert len(store.turns) == 1


async def test_the_likely_seller_is_woken_once_a_burst_before_its_turn() -> None:
    async with ChatStore(**BURSTS) as store:
        await store.write("oi")
        assert (store.woken, store.turns) == (["fashion"], [])
        await store.write("quero um vestido")
        await store.move(WINDOW)
        assert (store.woken, len(store.turns)) == (["fashion"], 1)
        await store.answer("Temos três!")
        await store.write("o vermelho")
        assert store.woken == ["fashion", "fashion"]


async def test_on_the_shared_number_the_seller_of_the_turn_before_is_woken() -> None:
    async with ChatStore(**BURSTS) as store:
        await store.write("quero um notebook", to=SHARED)
        assert store.woken == []
        await store.move(WINDOW)
        assert [turn.brand for turn in store.turns] == ["tech"]
        await store.answer()
        await store.write("o mais leve", to=SHARED)
        assert store.woken == ["tech"]


async def test_no_seller_is_woken_for_a_turn_at_once_or_for_a_person() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        assert (store.woken, len(store.turns)) == ([], 1)
    async with ChatStore(**BURSTS) as store:
        await store.write("quero falar com uma pessoa")
        await store.write("alguém aí?")
        assert (store.woken, store.turns) == ([], [])


async def test_a_burst_that_never_falls_silent_is_a_turn_after_burst_max() -> None:
    async with ChatStore(**BURSTS) as store:
        for number in range(8):
            await store.write(f"parte {number}")
            await store.move(timedelta(milliseconds=500))
        assert len(store.turns) == 1
        assert len(store.turns[0].messages) == 6  # those within three seconds
        await store.answer()
        assert [line.text for line in store.turns[1].messages] == ["parte 6", "parte 7"]


async def test_what_is_written_during_a_turn_is_the_next_turn_right_after_the_answer() -> None:
    async with ChatStore(**BURSTS) as store:
        await store.write("tem vestido?")
        await store.move(WINDOW)
        await store.write("vermelho")
        await store.write("tamanho M")
        await store.move(timedelta(seconds=10))
        assert len(store.turns) == 1
        await store.answer("Tenho!")
        first, second = store.turns
        assert [line.text for line in second.messages] == ["vermelho", "tamanho M"]
        assert (second.number, second.lease_token) == (2, first.lease_token + 1)


async def test_an_answer_with_an_old_token_is_refused_and_noted() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        stale = store.turns[0]
        await store.move(LIMIT)
        assert len(store.turns) == 2
        await store.answer("tarde demais", turn=stale)
        assert store.said == []
        await store.answer("a tempo")
        assert store.said == ["a tempo"]
        noted = await store.rows(select(decisions).where(decisions.c.what == "speaker.refused"))
        assert [row["details"]["why"] for row in noted] == ["stale token"]
        assert await store.dead() == []


async def test_a_second_answer_to_the_same_turn_is_refused() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        await store.answer("um")
        await store.answer("dois")
        assert store.said == ["um"]


async def test_an_answer_for_another_customer_is_refused() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        await store.answer("olá", customer_id="someone-else")
        assert store.said == []


async def test_an_answer_for_an_unknown_conversation_is_a_dead_letter() -> None:
    async with ChatStore() as store:
        await store.publish(ChatResponse(conversation_id="none", customer_id="c", lease_token=1))  # type: ignore[arg-type]
        await store.settle()
        assert [row.type for row in await store.dead()] == [ChatResponse.event_type]


async def test_an_expired_turn_is_granted_anew_with_a_new_token_and_all_that_waits() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        await store.write("tem vestido?")
        await store.move(LIMIT)
        first, second = store.turns
        assert second.number == first.number + 1
        assert second.lease_token == first.lease_token + 1
        assert [line.text for line in second.messages] == ["oi", "tem vestido?"]
        await store.answer("Tenho sim!")
        await store.move(LIMIT * 2)
        assert len(store.turns) == 2
        assert store.events(SalesEscalate) == []


async def test_a_turn_that_expires_twice_brings_an_apology_and_a_person() -> None:
    async with ChatStore() as store:
        await store.write("oi, tem vestido?")
        await store.move(LIMIT)
        await store.move(LIMIT)
        assert len(store.turns) == 2
        (escalation,) = store.events(SalesEscalate)
        assert (escalation.reason, escalation.summary) == ("failed", "oi, tem vestido?")
        assert len(store.said) == 1
        assert "Desculpe" in store.said[0]
        numbers = [turn.number for turn in store.events(ChatMessageNew)]
        assert numbers == [1, 2, 3]  # the third is the person's


async def test_turns_survive_a_kill_between_burst_and_answer() -> None:
    async with ChatStore(**BURSTS) as store:
        await store.write("oi")
        await store.kill_and_restart()
        await store.move(WINDOW)
        assert len(store.turns) == 1
        await store.write("e um sapato")
        await store.kill_and_restart()
        await store.answer("Olá!")
        assert [line.text for line in store.turns[1].messages] == ["e um sapato"]
        assert store.said == ["Olá!"]


# --- what can't be read


@pytest.mark.parametrize("kind", ["image", "audio", "sticker", "location", "contacts", "order", "unsupported"])
async def test_what_cannot_be_read_gets_a_polite_word_and_no_turn(kind: str) -> None:
    async with ChatStore() as store:
        await store.write("", kind=kind)
        assert store.turns == []
        assert len(store.said) == 1
        await store.write("", kind=kind)
        assert len(store.said) == 1  # once a burst
        await store.move(timedelta(minutes=1))
        await store.write("", kind=kind)
        assert len(store.said) == 2


async def test_words_under_a_picture_are_answered() -> None:
    async with ChatStore() as store:
        await store.write("tem igual a esse?", kind="image")
        assert [line.text for line in store.turns[0].messages] == ["tem igual a esse?"]
        assert len(store.said) == 1


@pytest.mark.parametrize("kind", ["reaction", "system"])
async def test_reactions_start_nothing(kind: str) -> None:
    async with ChatStore() as store:
        await store.write("👍", kind=kind)
        assert store.turns == []
        assert store.said == []


# --- language


async def test_a_conversation_keeps_its_language_over_short_messages_and_changes_it_for_clear_ones() -> None:
    async with ChatStore() as store:
        languages: list[str] = []
        for text in ("4242", "hi", "ok", "do you have red dresses?", "sim", "quero um vestido vermelho, por favor"):
            await store.write(text)
            languages.append(store.turns[-1].language)
            await store.answer()
        assert languages == ["pt", "en", "en", "en", "en", "pt"]


async def test_a_tapped_button_does_not_change_the_language() -> None:
    async with ChatStore() as store:
        await store.write("do you have red dresses?")
        await store.answer()
        await store.write("Quero este, por favor, agora", payload="add:SKU-1")
        assert store.turns[-1].language == "en"


# --- who


async def test_one_customer_at_two_numbers_has_two_conversations() -> None:
    async with ChatStore() as store:
        await store.write("oi", to=FASHION)
        await store.write("oi", to=TECH)
        first, second = store.turns
        assert first.customer_id == second.customer_id
        assert first.conversation_id != second.conversation_id
        assert (first.brand, second.brand) == ("fashion", "tech")
        assert len(store.events(CustomerNew)) == 1


async def test_a_customer_without_a_phone_number_is_answered_by_user_id() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=None, user_id="BR.abc")
        await store.answer("Olá")
        (send,) = store.sent
        assert (send.to, send.to_kind) == ("BR.abc", "user")


async def test_number_and_user_id_of_one_sender_are_one_customer() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id="551100", user_id="BR.abc")
        await store.answer()
        await store.write("oi", wa_id=None, user_id="BR.abc")
        await store.answer()
        await store.write("oi", wa_id="551100")
        assert len({turn.customer_id for turn in store.turns}) == 1
        assert len(await store.rows(select(identities))) == 2


async def test_two_customers_that_turn_out_to_be_one_go_on_as_the_number_s() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=None, user_id="BR.abc")
        await store.write("oi", wa_id="551100")
        await store.answer()
        await store.write("sou eu", wa_id="551100", user_id="BR.abc")
        by_number = store.turns[1].customer_id
        assert store.turns[2].customer_id == by_number
        rows = await store.rows(select(identities.c.customer_id))
        assert {row["customer_id"] for row in rows} == {by_number}


async def test_a_sender_without_any_id_is_a_dead_letter() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=None, user_id=None)
        assert len(await store.dead()) == 1


# --- the door


async def test_sends_have_deterministic_ids_and_numbers_without_gaps() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        blocks = (
            TextBlock(text="um"),
            ButtonsBlock(text="dois", choices=(ReplyChoice(id="a", title="A"),)),
            TextBlock(text=" "),
            TextBlock(text="três"),
        )
        await store.answer(blocks=blocks)
        assert [send.number for send in store.sent] == [1, 2, 3]
        assert len({send.send_id for send in store.sent}) == 3
        rows = await store.rows(select(messages.c.send_id, messages.c.status).order_by(messages.c.seq))
        assert [row["send_id"] for row in rows if row["send_id"]] == [send.send_id for send in store.sent]
        assert {row["status"] for row in rows if row["send_id"]} == {"queued"}


async def test_a_status_only_moves_forward() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        await store.answer()
        (send,) = store.sent

        async def status(value: str) -> str:
            await store.publish(
                WhatsAppStatus(
                    send_id=send.send_id,
                    customer_id=send.customer_id,
                    conversation_id=send.conversation_id,
                    status=value,  # type: ignore[arg-type]
                    at=store.clock.now(),
                )
            )
            await store.settle()
            (row,) = await store.rows(select(messages.c.status).where(messages.c.send_id == send.send_id))
            return row["status"]

        assert await status("uncertain") == "uncertain"
        assert await status("delivered") == "delivered"
        assert await status("sent") == "delivered"
        assert await status("failed") == "delivered"
        assert await status("read") == "read"
        assert await status("delivered") == "read"


async def test_staff_sees_what_was_decided_and_why() -> None:
    async with ChatStore() as store:
        await store.write("quero um vestido", to=SHARED)
        turn = store.turns[0]
        await store.answer("", turn=turn)
        await store.answer("de novo", turn=turn)
        routed, refused = await store.call(GetDecisions(conversation_id=turn.conversation_id), STAFF)
        assert (routed.what, routed.details["brand"]) == ("brand.routed", "fashion")
        assert (refused.what, refused.details["why"]) == ("speaker.refused", "no turn is open")
        assert routed.cause in {envelope.id for envelope in store.envelopes}
        (newest,) = await store.call(GetDecisions(conversation_id=turn.conversation_id, limit=1), STAFF)
        assert newest == refused


async def test_a_send_that_failed_is_noted() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        await store.answer()
        (send,) = store.sent
        await store.publish(
            WhatsAppStatus(
                send_id=send.send_id,
                customer_id=send.customer_id,
                conversation_id=send.conversation_id,
                status="failed",
                error_code=131047,
                at=store.clock.now(),
            )
        )
        await store.settle()
        noted = await store.rows(select(decisions).where(decisions.c.what == "send.failed"))
        assert [row["details"]["error_code"] for row in noted] == [131047]


async def test_a_new_profile_name_is_taken_over() -> None:
    async with ChatStore() as store:
        await store.write("oi", name="Ana")
        await store.answer()
        await store.write("oi", name="Ana Clara")
        assert store.turns[-1].customer_name == "Ana Clara"


async def test_nobody_s_profile_is_not_found() -> None:
    async with ChatStore() as store:
        for tool in (GetProfile(), Remember(name="Ana")):
            with pytest.raises(NotFound):
                await store.call(tool, Principal(customer_id="nobody"))


async def test_timers_of_an_unknown_conversation_do_nothing() -> None:
    async with ChatStore() as store:
        for timer in (
            ChatTurnDue(conversation_id=ConversationId("x"), customer_id=CustomerId("y"), window=1),
            ChatTurnExpired(conversation_id=ConversationId("x"), customer_id=CustomerId("y"), lease_token=1),
        ):
            await store.publish(timer)
        await store.settle()
        assert await store.dead() == []


async def test_a_card_number_is_never_stored() -> None:
    async with ChatStore() as store:
        await store.write("meu cartão é 4111 1111 1111 1111 validade 12/30")
        stored = await store.rows(select(messages.c.text))
        assert "4111" not in stored[0]["text"]
        assert "4111" not in store.turns[0].messages[0].text
        (row,) = await store.rows(select(conversations.c.last_text))
        assert "4111" not in row["last_text"]


# --- tools


async def _principal(store: ChatStore, **changes: object) -> Principal:
    turn = store.turns[-1]
    values: dict[str, object] = {
        "customer_id": turn.customer_id,
        "conversation_id": turn.conversation_id,
        "lease_token": turn.lease_token,
        **changes,
    }
    return Principal(**values)  # type: ignore[arg-type]


async def test_history_ends_before_the_turn_being_answered() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        await store.answer("Olá! Sou a Luna.")
        await store.write("👍", kind="reaction")
        await store.write("quero um vestido")
        await store.write("vermelho")
        me = await _principal(store)
        assert [(line.role, line.text) for line in await store.call(GetHistory(), me)] == [
            ("customer", "oi"),
            ("seller", "Olá! Sou a Luna."),
        ]
        assert await store.call(GetHistory(before_turn=1), me) == ()
        assert [line.text for line in await store.call(GetHistory(limit=1), me)] == ["Olá! Sou a Luna."]
        anywhere = await store.call(GetHistory(), Principal(customer_id=me.customer_id))
        assert len(anywhere) == 2


async def test_history_of_another_customer_is_not_found() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        me = await _principal(store, customer_id="somebody")
        with pytest.raises(NotFound):
            await store.call(GetHistory(), me)
        with pytest.raises(Forbidden):
            await store.call(GetHistory(), Principal())


async def test_what_a_customer_said_of_themselves_is_remembered() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        me = await _principal(store)
        assert (await store.call(GetProfile(), me)).name is None  # a profile's name is no name for a parcel
        await store.call(Remember(name="  Ana   Souza "), me)
        address = Address(cep="01310100", street="Av. Paulista, 1000")
        await store.call(Remember(address=address, delivery="delivery"), me)
        known = await store.call(GetProfile(), me)
        assert (known.name, known.address, known.delivery) == ("Ana Souza", address, "delivery")
        await store.call(Remember(name="Ana Souza"), me)
        await store.settle()
        changed = [event.changed for event in store.events(CustomerUpdated)]
        assert changed == [("name",), ("address", "delivery")]
        with pytest.raises(InvalidInput):
            await store.call(Remember(name="   "), me)
        await store.answer()
        await store.write("e agora?")
        assert store.turns[-1].customer_name == "Ana Souza"


async def test_a_speaker_whose_time_is_over_remembers_nothing() -> None:
    async with ChatStore() as store:
        await store.write("oi")
        old = await _principal(store)
        await store.move(LIMIT)
        with pytest.raises(StaleSpeaker):
            await store.call(Remember(name="Bia"), old)
        (row,) = await store.rows(select(customers.c.name))
        assert row["name"] is None


async def test_staff_sees_conversations_and_transcripts() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id="551101", name="Ana")
        await store.answer("Olá, Ana")
        await store.move(timedelta(minutes=1))
        await store.write("hello there, how are you?", wa_id="551102", name="Bob")
        newest, oldest = await store.call(ListConversations(), STAFF)
        assert (newest.customer_name, newest.language) == ("Bob", "en")
        assert (oldest.customer_name, oldest.last_text, oldest.speaker) == ("Ana", "Olá, Ana", "bot")
        assert await store.call(ListConversations(before=newest.last_at), STAFF) == (oldest,)
        assert await store.call(ListConversations(speaker="person"), STAFF) == ()
        transcript = await store.call(GetTranscript(conversation_id=oldest.conversation_id), STAFF)
        assert [(line.direction, line.role, line.text, line.status) for line in transcript.lines] == [
            ("in", "customer", "oi", None),
            ("out", "seller", "Olá, Ana", "queued"),
        ]
        with pytest.raises(Forbidden):
            await store.call(ListConversations(), Principal(customer_id="c"))
        with pytest.raises(NotFound):
            await store.call(GetTranscript(conversation_id="none"), STAFF)  # type: ignore[arg-type]
