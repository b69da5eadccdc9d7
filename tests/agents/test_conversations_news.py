"""News of messages: other words, taken back, another number; in any order, while the bot or a person speaks."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.conversations.tables import conversations, customers, decisions, early, identities, messages
from agent_store.contracts.chat import CustomerIdentityLinked, CustomerOptedOut, GetConsent, GetTranscript
from agent_store.contracts.people import SalesEscalate
from agent_store.contracts.whatsapp import (
    InboundContent,
    WhatsAppIdentityChanged,
    WhatsAppMessageDeleted,
    WhatsAppMessageEdited,
)
from agent_store.kernel.tool import Principal
from tests.agents.test_conversations_kinds import BURSTS, LIMIT, NUMBER, WINDOW, Phone, transcript
from tests.support.chat import FASHION, TECH, ChatStore

STAFF = Principal(staff="Rui")
NEW = "5511888880000"


async def edit(store: ChatStore, wamid: str, text: str, *, later: int = 0) -> None:
    await store.publish(
        WhatsAppMessageEdited(
            wamid=wamid,
            edit_wamid=f"{wamid}.e{later}",
            phone_number_id=FASHION,
            sender=NUMBER,
            wa_id=NUMBER,
            content=InboundContent(text=text),
            at=store.clock.now() + timedelta(seconds=later),
        )
    )
    await store.settle()


async def take_back(store: ChatStore, wamid: str) -> None:
    await store.publish(
        WhatsAppMessageDeleted(wamid=wamid, phone_number_id=FASHION, sender=NUMBER, wa_id=NUMBER, at=store.clock.now())
    )
    await store.settle()


def said(store: ChatStore) -> list[str]:
    return [line.text for line in store.turns[-1].messages]


# --- other words


async def test_a_message_that_waits_is_given_with_its_new_words() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        first = await phone.send("text", text="quero um vestdio")
        await phone.send("text", text="para sábado")
        await edit(store, first, "quero um vestido")
        await store.move(WINDOW)
        assert said(store) == ["quero um vestido", "para sábado"]


async def test_a_turn_that_is_being_thought_about_is_granted_anew_with_the_new_words() -> None:
    async with ChatStore() as store:
        first = await Phone(store).send("text", text="sim, fecha o pedido")
        before = store.turns[-1]
        await edit(store, first, "não, espera")
        assert (len(store.turns), said(store)) == (2, ["não, espera"])
        assert store.turns[-1].lease_token == before.lease_token + 1
        await store.answer("Fechado!", turn=before)
        assert store.said == []
        await store.answer("Claro, sem pressa.")
        assert store.said == ["Claro, sem pressa."]


async def test_a_turn_that_is_granted_anew_for_new_words_has_its_time_again() -> None:
    async with ChatStore(turn_limit=LIMIT, turn_tries=2) as store:
        first = await Phone(store).send("text", text="oi")
        await edit(store, first, "oi, tudo bem?")
        await store.move(LIMIT)
        assert len(store.turns) == 3
        assert store.events(SalesEscalate) == []


async def test_what_was_answered_is_not_answered_anew_and_staff_see_the_change() -> None:
    async with ChatStore() as store:
        first = await Phone(store).send("text", text="quero um vestido")
        await store.answer("Tenho!")
        await edit(store, first, "quero um sapato")
        assert len(store.turns) == 1
        (line, _) = (await transcript(store)).lines
        assert (line.text, line.edited_at) == ("quero um sapato", store.clock.now())
        noted = await store.rows(select(decisions.c.what))
        assert [row["what"] for row in noted] == ["message.edited_late"]


async def test_a_person_sees_the_change_and_no_bot_is_asked() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.send("text", text="quero falar com um atendente")
        second = await phone.send("text", text="meu pedido não chegou")
        given = len(store.for_people)
        await edit(store, second, "meu pedido chegou quebrado")
        assert (store.turns, len(store.for_people)) == ([], given)
        assert (await transcript(store)).lines[-1].text == "meu pedido chegou quebrado"


async def test_new_words_may_ask_for_a_person() -> None:
    async with ChatStore(**BURSTS) as store:
        first = await Phone(store).send("text", text="quero falar")
        await edit(store, first, "quero falar com um atendente")
        assert len(store.events(SalesEscalate)) == 1
        assert [line.text for line in store.for_people[-1].messages] == ["quero falar com um atendente"]


async def test_a_change_may_come_before_its_message() -> None:
    async with ChatStore() as store:
        await edit(store, "wamid.K1", "quero um vestido")
        assert await store.dead() == []
        await Phone(store).send("text", text="quero um vestdio")
        assert said(store) == ["quero um vestido"]
        assert await store.rows(select(early)) == []


async def test_the_last_of_several_changes_counts_in_whatever_order_they_come() -> None:
    async with ChatStore(**BURSTS) as store:
        first = await Phone(store).send("text", text="um")
        await edit(store, first, "três", later=2)
        await edit(store, first, "dois", later=1)
        await store.move(WINDOW)
        assert said(store) == ["três"]


async def test_a_picture_s_words_may_change_while_it_is_waited_for() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        picture = await phone.show("tem esse?")
        await edit(store, picture, "tem esse em azul?")
        await phone.medium(picture, "image", seen="um vestido")
        assert said(store) == ["tem esse em azul?"]


async def test_a_card_number_in_new_words_is_never_stored() -> None:
    async with ChatStore() as store:
        first = await Phone(store).send("text", text="oi")
        await edit(store, first, "meu cartão: 4111 1111 1111 1111")
        assert "4111" not in said(store)[0]
        assert "4111" not in (await transcript(store)).lines[0].text


# --- taken back


async def test_a_message_that_waits_and_is_taken_back_is_not_answered() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        first = await phone.send("text", text="me esquece")
        await phone.send("text", text="tem vestido?")
        await take_back(store, first)
        await store.move(WINDOW)
        assert said(store) == ["tem vestido?"]


async def test_the_only_message_that_waits_is_taken_back_and_nothing_happens() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        first = await phone.send("text", text="me esquece")
        await take_back(store, first)
        await store.move(timedelta(seconds=5))
        assert (store.turns, store.said) == ([], [])
        await phone.send("text", text="oi")
        await store.move(WINDOW)
        assert said(store) == ["oi"]


async def test_nothing_of_a_message_that_was_taken_back_stays() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        first = await phone.send("text", text="minha senha é girassol", about="VES-P")
        await store.answer()
        await phone.send("text", text="ops", context_wamid=first)
        await take_back(store, first)
        for row in await store.rows(select(messages)):
            assert "girassol" not in f"{row['text']} {row['content']}"
        line = (await transcript(store)).lines[0]
        assert (line.text, line.deleted_at) == ("", store.clock.now())
        (row,) = await store.rows(select(conversations.c.last_text))
        assert "girassol" not in row["last_text"]


async def test_a_turn_that_is_granted_anew_is_without_what_was_taken_back() -> None:
    async with ChatStore(turn_limit=LIMIT, **BURSTS) as store:
        phone = Phone(store)
        first = await phone.send("text", text="me esquece")
        await phone.send("text", text="tem vestido?")
        await store.move(WINDOW)
        await take_back(store, first)
        await store.move(LIMIT)
        assert (len(store.turns), said(store)) == (2, ["tem vestido?"])


async def test_a_turn_of_which_all_was_taken_back_is_not_granted_anew() -> None:
    async with ChatStore(turn_limit=LIMIT) as store:
        phone = Phone(store)
        first = await phone.send("text", text="me esquece")
        await take_back(store, first)
        await store.move(LIMIT * 3)
        assert (len(store.turns), store.events(SalesEscalate)) == (1, [])
        await phone.send("text", text="oi")
        assert said(store) == ["oi"]


async def test_a_voice_note_that_is_taken_back_is_not_waited_for() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        note = await phone.speak()
        await phone.send("text", text="tem vestido?")
        await take_back(store, note)
        await store.move(WINDOW)
        assert said(store) == ["tem vestido?"]
        await phone.medium(note, words="um segredo")
        assert all("segredo" not in line.text for line in (await transcript(store)).lines)
        assert all(line.media is None for line in (await transcript(store)).lines)
        await store.move(timedelta(minutes=3))
        assert store.said == []


async def test_it_may_be_taken_back_before_it_comes() -> None:
    async with ChatStore() as store:
        await take_back(store, "wamid.K1")
        await Phone(store).send("text", text="me esquece")
        assert (store.turns, store.said) == ([], [])
        (line,) = (await transcript(store)).lines
        assert (line.text, line.deleted_at is not None) == ("", True)


async def test_what_was_taken_back_is_not_changed_any_more() -> None:
    async with ChatStore() as store:
        first = await Phone(store).send("text", text="me esquece")
        await take_back(store, first)
        await edit(store, first, "segredo", later=5)
        assert (await transcript(store)).lines[0].text == ""


async def test_a_person_sees_that_something_was_taken_back() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.send("text", text="quero falar com um atendente")
        second = await phone.send("text", text="me esquece")
        await take_back(store, second)
        line = (await transcript(store)).lines[-1]
        assert (line.text, line.deleted_at is not None) == ("", True)


async def test_news_of_a_message_that_never_comes_is_kept_for_a_week() -> None:
    async with ChatStore() as store:
        await edit(store, "wamid.elsewhere", "oi")
        await store.move(timedelta(days=8))
        await take_back(store, "wamid.other")
        assert [row["external_id"] for row in await store.rows(select(early.c.external_id))] == ["wamid.other"]
        assert await store.dead() == []


# --- another number


async def renumber(store: ChatStore, **fields: Any) -> None:
    fields.setdefault("sender", NUMBER)
    await store.publish(WhatsAppIdentityChanged(phone_number_id=FASHION, at=store.clock.now(), **fields))
    await store.settle()


async def test_a_customer_with_a_new_number_is_the_same_customer_and_is_answered_there() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        await store.answer("olá")
        assert [send.to for send in store.sent] == [NEW]
        await store.write("cheguei", wa_id=NEW)
        first, second = store.turns
        assert (second.customer_id, second.conversation_id) == (first.customer_id, first.conversation_id)
        await store.answer()
        await store.write("ainda o velho", wa_id=NUMBER)
        assert store.turns[-1].customer_id == first.customer_id
        (linked,) = store.events(CustomerIdentityLinked)
        assert (linked.customer_id, linked.kind) == (first.customer_id, "wa_id")


async def test_the_platform_s_word_of_a_change_is_no_way_back_to_the_old_number() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        await store.write("Ana mudou de número", wa_id=NUMBER, kind="system")
        await store.answer("olá")
        assert [send.to for send in store.sent] == [NEW]


async def test_every_conversation_of_theirs_moves_and_no_other() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        await store.write("oi", wa_id=NUMBER, to=TECH)
        await store.write("oi", wa_id="5511777770000")
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        rows = await store.rows(select(conversations.c.address).order_by(conversations.c.address))
        assert sorted(row["address"] for row in rows) == ["5511777770000", NEW, NEW]


async def test_a_customer_who_is_known_by_user_id_only_gets_a_new_one() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=None, user_id="BR.old")
        await renumber(store, sender="BR.old", user_id="BR.new", before_user_id="BR.old")
        await store.answer("olá")
        assert [(send.to, send.to_kind) for send in store.sent] == [("BR.new", "user")]


async def test_the_sender_alone_tells_who_it_was() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        await renumber(store, wa_id=NEW)
        await store.write("oi", wa_id=NEW)
        assert len(await store.rows(select(customers))) == 1


async def test_a_new_number_that_was_another_customer_s_is_this_one_s_from_now_on_and_that_is_noted() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        await store.write("oi", wa_id=NEW)
        mine, other = store.turns
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        await store.write("sou eu", wa_id=NEW)
        rows = await store.rows(select(identities.c.customer_id))
        assert {row["customer_id"] for row in rows} == {mine.customer_id}
        noted = await store.rows(select(decisions).where(decisions.c.what == "identity.moved"))
        assert {row["conversation_id"] for row in noted} == {mine.conversation_id, other.conversation_id}
        assert all(NEW not in f"{row['details']}" for row in noted)


async def test_a_no_to_reminders_goes_along_with_a_number_that_moves() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        mine = store.turns[-1].customer_id
        await store.write("sair", wa_id=NEW)
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        found = await store.call(GetConsent(), Principal(customer_id=mine))
        assert found.marketing == "no"


async def test_new_words_may_say_no_to_reminders() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        first = await phone.send("text", text="sai")
        await edit(store, first, "sair")
        await store.move(WINDOW)
        assert store.turns == []
        assert len(store.events(CustomerOptedOut)) == 1


async def test_the_change_of_somebody_unknown_does_nothing() -> None:
    async with ChatStore() as store:
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        assert await store.dead() == []
        assert await store.rows(select(identities)) == []


async def test_the_same_change_twice_links_once() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        for _ in range(2):
            await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        assert len(store.events(CustomerIdentityLinked)) == 1


async def test_a_person_goes_on_with_a_customer_who_has_a_new_number() -> None:
    async with ChatStore() as store:
        await store.write("quero falar com um atendente", wa_id=NUMBER)
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        await store.write("continuo aqui", wa_id=NEW)
        assert [line.text for line in store.for_people[-1].messages] == ["continuo aqui"]


@pytest.mark.parametrize("first", ["wa_id", "user_id"])
async def test_a_second_identity_that_comes_with_a_message_is_told(first: str) -> None:
    ids = {"wa_id": NUMBER, "user_id": "BR.abc"}
    async with ChatStore() as store:
        await store.write("oi", **{"wa_id": None, "user_id": None, first: ids[first]})  # type: ignore[arg-type]
        assert store.events(CustomerIdentityLinked) == []
        await store.write("oi", **ids)  # type: ignore[arg-type]
        (linked,) = store.events(CustomerIdentityLinked)
        assert linked.kind == ("user_id" if first == "wa_id" else "wa_id")


async def test_staff_see_transcripts_of_before_and_after_in_one() -> None:
    async with ChatStore() as store:
        await store.write("oi", wa_id=NUMBER)
        await renumber(store, wa_id=NEW, before_wa_id=NUMBER)
        await store.write("de novo", wa_id=NEW)
        found = await store.call(GetTranscript(conversation_id=store.turns[0].conversation_id), STAFF)
        assert [line.text for line in found.lines] == ["oi", "de novo"]


# --- everything at once


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_in_whatever_order_nothing_is_lost_and_nothing_is_answered_twice(seed: int) -> None:
    """Random customers: words, voice notes, pictures, edits, deletions, answers and time, all mixed."""
    chance = random.Random(seed)
    async with ChatStore(turn_limit=timedelta(days=1), **BURSTS) as store:
        phone = Phone(store)
        ahead: list[tuple[str, Any]] = []
        """Media that are still to come."""
        sent: list[str] = []
        answered = 0

        async def answer() -> None:
            nonlocal answered
            if store.turns and store.turns[-1].number > answered:
                answered = store.turns[-1].number
                await store.answer(f"resposta {answered}")

        for step in range(25):
            match chance.choice(
                ["text", "voice", "picture", "medium", "medium", "edit", "delete", "answer", "time", "time"]
            ):
                case "text":
                    sent.append(await phone.send("text", text=f"palavra {step}"))
                case "voice":
                    sent.append(await phone.speak())
                    ahead.append((sent[-1], "audio"))
                case "picture":
                    sent.append(await phone.show(chance.choice(["", f"legenda {step}"])))
                    ahead.append((sent[-1], "image"))
                case "medium" if ahead:
                    wamid, kind = ahead.pop(chance.randrange(len(ahead)))
                    fields = chance.choice([{}, {"problem": "gone"}, {"words": "dito", "seen": "visto"}])
                    await phone.medium(wamid, kind, **fields)
                case "edit" if sent:
                    await edit(store, chance.choice(sent), f"mudado {step}", later=step)
                case "delete" if sent and chance.random() < 0.5:
                    await take_back(store, chance.choice(sent))
                case "answer":
                    await answer()
                case "time":
                    await store.move(timedelta(seconds=chance.choice([0.3, 1, 5, 21])))
                case _:
                    pass
            for row in await store.rows(select(conversations)):
                waits = await store.rows(
                    select(messages.c.seq).where(messages.c.direction == "in", messages.c.turn.is_(None))
                )
                assert row["pending"] == len(waits)
                assert all(waiting["seq"] > row["given"] for waiting in waits)
        await store.move(timedelta(minutes=3))
        for _ in range(40):
            await answer()
            await store.move(timedelta(seconds=5))
        rows = await store.rows(select(messages).where(messages.c.direction == "in").order_by(messages.c.seq))
        assert [row["external_id"] for row in rows] == sent
        assert all(row["turn"] is not None and row["turn"] >= 0 for row in rows)
        given = {line.message_id: turn.number for turn in store.turns for line in turn.messages}
        for row in rows:
            if row["turn"]:  # the last turn that it was granted in is the one that is written down
                assert given[row["external_id"]] == row["turn"]
            elif row["deleted_at"] is None:
                assert row["kind"] in ("audio", "image")  # owned up to, or a caption that came too late
        assert await store.dead() == []
        for turn in store.turns:
            assert [line.message_id for line in turn.messages] == sorted(
                (line.message_id for line in turn.messages), key=sent.index
            )
