"""What becomes of every kind of message: a turn, a polite word, silence; what a seller is given and what staff see."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.agents.conversations.tables import messages
from agent_store.agents.conversations.texts import say
from agent_store.contracts.chat import (
    ButtonsBlock,
    ChatLine,
    ChatSentimentChanged,
    GetHistory,
    GetTranscript,
    MediaRef,
    Place,
    ReplyChoice,
    Transcript,
)
from agent_store.contracts.common import Item
from agent_store.contracts.people import SalesEscalate
from agent_store.contracts.whatsapp import (
    InboundContent,
    InboundMedia,
    InboundOrder,
    InboundOrderItem,
    InboundPlace,
    InboundReferral,
    WhatsAppMediaReceived,
    WhatsAppMessageReceived,
    WhatsAppStatus,
)
from agent_store.kernel.ids import Sku
from agent_store.kernel.tool import Principal
from tests.support.chat import BRANDS, FASHION, SHARED, ChatStore, FixedDirectory

WINDOW = timedelta(milliseconds=700)
BURSTS: dict[str, Any] = {"burst_window": WINDOW, "burst_max": timedelta(seconds=3)}
LIMIT = timedelta(seconds=90)
STAFF = Principal(staff="Rui")
NUMBER = "5511999990000"


class Phone:
    """A customer's phone: sends any kind of message, and tells what became of its media."""

    def __init__(self, store: ChatStore, to: str = FASHION) -> None:
        self.store, self.to = store, to
        self._ids = count(1)

    async def send(self, kind: Any, *, settle: bool = True, **fields: Any) -> str:
        wamid = f"wamid.K{next(self._ids)}"
        content = fields.pop("content", None) or InboundContent(
            **{name: fields.pop(name) for name in list(fields) if name in InboundContent.model_fields}
        )
        event = WhatsAppMessageReceived(
            wamid=wamid,
            phone_number_id=self.to,
            sender=NUMBER,
            wa_id=NUMBER,
            profile_name="Ana",
            kind=kind,
            content=content,
            sent_at=self.store.clock.now(),
            **fields,
        )
        await self.store.publish(event, channel="whatsapp")
        if settle:
            await self.store.settle()
        return wamid

    async def speak(self, **fields: Any) -> str:
        """A voice note that the gateway fetches."""
        fields.setdefault("fetching", True)
        return await self.send("audio", media=InboundMedia(id="1", voice=True), **fields)

    async def show(self, text: str = "", **fields: Any) -> str:
        """A picture that the gateway fetches."""
        fields.setdefault("fetching", True)
        return await self.send("image", text=text, media=InboundMedia(id="2"), **fields)

    async def medium(self, wamid: str, kind: Any = "audio", **fields: Any) -> None:
        if fields.get("problem") is None:
            fields = {"key": f"k/{wamid}", "mime_type": "audio/ogg", **fields}
        await self.store.publish(
            WhatsAppMediaReceived(wamid=wamid, phone_number_id=self.to, sender=NUMBER, kind=kind, **fields)
        )
        await self.store.settle()


def line(store: ChatStore) -> ChatLine:
    """The one message of the last turn."""
    (found,) = store.turns[-1].messages
    return found


async def transcript(store: ChatStore) -> Transcript:
    rows = await store.rows(select(messages.c.conversation_id).limit(1))
    return await store.call(GetTranscript(conversation_id=rows[0]["conversation_id"]), STAFF)


# --- kinds that are answered as they come


async def test_a_cart_of_the_channel_s_catalogue_is_a_turn_with_its_items() -> None:
    order = InboundOrder(
        catalog_id="77",
        items=(InboundOrderItem(retailer_id="VES-P", quantity=2), InboundOrderItem(retailer_id=" CIN-U ", quantity=1)),
    )
    async with ChatStore() as store:
        await Phone(store).send("order", text="pode ser hoje?", order=order)
        told = line(store)
        assert (told.kind, told.text) == ("order", "pode ser hoje?")
        assert told.items == (Item(sku=Sku("VES-P"), quantity=2), Item(sku=Sku("CIN-U"), quantity=1))
        (shown,) = (await transcript(store)).lines
        assert shown.text == "pode ser hoje?\n• 2 × VES-P\n• 1 × CIN-U"


async def test_a_cart_without_anything_in_it_gets_a_polite_word() -> None:
    async with ChatStore() as store:
        await Phone(store).send("order", order=InboundOrder())
        assert (store.turns, store.said) == ([], [say("cannot_read", "pt")])


async def test_a_cart_on_the_shared_number_goes_to_the_brand_of_its_catalogue() -> None:
    brands = [
        brand.model_copy(update={"whatsapp_catalog_id": "77"}) if brand.id == "home" else brand for brand in BRANDS
    ]
    order = InboundOrder(catalog_id="77", items=(InboundOrderItem(retailer_id="LAMP", quantity=1),))
    async with ChatStore(directory=FixedDirectory(brands)) as store:
        await Phone(store, SHARED).send("order", order=order)
        assert store.turns[0].brand == "home"


async def test_a_location_is_a_turn_with_its_place_and_no_words() -> None:
    place = InboundPlace(latitude=-23.561, longitude=-46.656, name="MASP", address="Av. Paulista, 1578")
    async with ChatStore() as store:
        await Phone(store).send("location", place=place)
        told = line(store)
        assert told.text == ""
        assert told.place == Place(latitude=-23.561, longitude=-46.656, name="MASP", address="Av. Paulista, 1578")
        assert (await transcript(store)).lines[0].text == "📍 MASP, Av. Paulista, 1578 (-23.56100, -46.65600)"


async def test_an_opened_chat_is_a_turn_without_words() -> None:
    async with ChatStore() as store:
        await Phone(store).send("request_welcome")
        assert (line(store).kind, line(store).text, store.said) == ("request_welcome", "", [])


async def test_an_opened_chat_on_the_shared_number_is_asked_which_shop() -> None:
    async with ChatStore() as store:
        await Phone(store, SHARED).send("request_welcome")
        assert (store.turns, store.said) == ([], [say("which_brand", "pt")])


async def test_a_place_s_name_is_no_wish_of_the_customer() -> None:
    place = InboundPlace(latitude=1, longitude=1, name="quero falar com um atendente")
    async with ChatStore() as store:
        await Phone(store).send("location", place=place)
        assert store.events(SalesEscalate) == []
        assert len(store.turns) == 1


async def test_the_product_that_is_asked_about_is_told_along() -> None:
    async with ChatStore() as store:
        await Phone(store).send("text", text="tem em azul?", about="VES-P")
        assert (line(store).text, line(store).about) == ("tem em azul?", "VES-P")


async def test_a_form_s_answers_are_a_readable_list() -> None:
    form = {
        "nome_completo": "Ana Souza",
        "cores": ["azul", "verde"],
        "presente": True,
        "flow_token": "x",
        "lugar": {"andar": 3},
    }
    async with ChatStore() as store:
        await Phone(store).send("interactive", text="Rua A, 1", form=form)
        assert line(store).text == "Rua A, 1\nnome completo: Ana Souza\ncores: azul, verde\npresente: ✓\nandar: 3"
        assert line(store).payload == "form"


async def test_a_form_s_answers_are_not_heard_as_wishes() -> None:
    async with ChatStore() as store:
        await Phone(store).send("interactive", form={"pedido": "quero falar com um atendente, isso é um absurdo!!!"})
        assert store.events(SalesEscalate) == []
        assert store.events(ChatSentimentChanged) == []


@pytest.mark.parametrize("removed", [False, True])
async def test_a_reaction_is_kept_and_nothing_is_said(removed: bool) -> None:
    async with ChatStore() as store:
        await store.write("oi")
        await store.answer("olá")
        await Phone(store).send("reaction", text="" if removed else "❤️", removed=removed, context_wamid="wamid.x")
        assert len(store.turns) == 1
        assert store.said == ["olá"]
        (row,) = await store.rows(select(messages).where(messages.c.kind == "reaction"))
        assert (row["quotes"], (row["content"] or {}).get("removed", False)) == ("wamid.x", removed)


@pytest.mark.parametrize("kind", ["contacts", "sticker", "video", "document", "unsupported"])
async def test_what_nobody_reads_gets_a_polite_word_at_once(kind: str) -> None:
    async with ChatStore() as store:
        await Phone(store).send(kind, people=("Bia",), fetching=True)
        assert (store.turns, store.said) == ([], [say("cannot_read", "pt")])


async def test_names_on_contact_cards_are_shown_to_staff() -> None:
    async with ChatStore() as store:
        await Phone(store).send("contacts", people=("Bia Lima", "Caio"))
        assert (await transcript(store)).lines[0].text == "👤 Bia Lima, Caio"


# --- quotes


async def test_a_message_of_ours_that_is_quoted_is_told_along() -> None:
    async with ChatStore() as store:
        await store.write("tem vestido?")
        card = ButtonsBlock(
            text="*Vestido Aurora*\nR$ 199,90", choices=(ReplyChoice(id="add:VES-P", title="Quero este"),)
        )
        await store.answer(blocks=(card,))
        (send,) = store.sent
        await store.publish(
            WhatsAppStatus(
                send_id=send.send_id, customer_id=send.customer_id, conversation_id=send.conversation_id,
                wamid="wamid.ours", status="sent", at=store.clock.now(),
            )
        )  # fmt: skip
        await store.settle()
        await Phone(store).send("text", text="esse tem em M?", context_wamid="wamid.ours")
        assert line(store).quoted == "*Vestido Aurora* R$ 199,90 [Quero este]"


async def test_a_message_of_the_customer_s_own_that_is_quoted_is_told_along_shortened() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        first = await phone.send("text", text="quero um vestido " + "vermelho " * 60)
        await store.answer()
        await phone.send("text", text="ainda espero", context_wamid=first)
        assert line(store).quoted.startswith("quero um vestido vermelho")
        assert len(line(store).quoted) <= 300


async def test_a_quote_of_what_nobody_knows_says_nothing() -> None:
    async with ChatStore() as store:
        await Phone(store).send("text", text="esse", context_wamid="wamid.unknown" + "x" * 300)
        assert line(store).quoted == ""


async def test_a_turn_that_is_granted_anew_says_the_same() -> None:
    order = InboundOrder(items=(InboundOrderItem(retailer_id="VES-P", quantity=2),))
    place = InboundPlace(latitude=1, longitude=2, name="Praça")
    async with ChatStore(turn_limit=LIMIT) as store:
        phone = Phone(store)
        first = await phone.send("text", text="oi", about="CIN-U")
        await phone.send("order", order=order, context_wamid=first)
        await phone.send("location", place=place)
        picture = await phone.show("e este?")
        await phone.medium(picture, "image", seen="um vestido", expires_at=store.clock.now())
        await store.answer("um")
        second = store.turns[-1]
        await store.kill_and_restart()
        await store.move(LIMIT)
        assert store.turns[-1].number == second.number + 1
        assert store.turns[-1].messages == second.messages
        assert [told.kind for told in second.messages] == ["order", "location", "image"]
        assert second.messages[2].media is not None


async def test_history_tells_what_came_along_apart_from_the_words() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.show("tem esse?"), "image", seen="um vestido por R$ 9,90")
        await store.answer("Tenho!")
        await phone.send("text", text="quanto?")
        me = store.turns[-1]
        principal = Principal(customer_id=me.customer_id, conversation_id=me.conversation_id)
        first, second = await store.call(GetHistory(), principal)
        assert (first.text, first.beside) == ("tem esse?", "[🖼️ um vestido por R$ 9,90]")
        assert (second.text, second.beside) == ("Tenho!", "")


# --- advertisements


async def test_an_advertisement_tells_the_brand_of_the_first_message() -> None:
    referral = InboundReferral(headline="Sofás e tapetes", body="Sua sala nova")
    async with ChatStore() as store:
        await Phone(store, SHARED).send("text", text="Olá! Posso saber mais?", referral=referral)
        assert store.turns[0].brand == "home"
        assert line(store).text == "Olá! Posso saber mais?"


async def test_the_customer_s_own_words_come_before_the_advertisement_s() -> None:
    async with ChatStore() as store:
        await Phone(store, SHARED).send(
            "text", text="tem vestido?", referral=InboundReferral(headline="Sofás e tapetes")
        )
        assert store.turns[0].brand == "fashion"


async def test_an_advertisement_s_own_words_are_never_answered() -> None:
    async with ChatStore() as store:
        await Phone(store).send("referral", text="Quero falar com um atendente: vestidos leves!")
        assert store.turns == []
        assert store.events(SalesEscalate) == []
        assert store.said == [say("cannot_read", "pt")]
        (row,) = await store.rows(select(messages.c.content).where(messages.c.direction == "in"))
        assert row["content"]["referral"]["body"].endswith("vestidos leves!")


# --- voice notes


async def test_a_voice_note_is_heard_like_a_text() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        note = await phone.speak()
        assert (store.turns, store.said) == ([], [])
        await phone.medium(note, words="do you have red dresses, please?")
        assert (line(store).kind, line(store).text) == ("audio", "do you have red dresses, please?")
        assert line(store).media == MediaRef(key=f"k/{note}", mime_type="audio/ogg")
        assert store.turns[0].language == "en"
        assert store.said == []
        (shown,) = (await transcript(store)).lines
        assert (shown.text, shown.media) == ("do you have red dresses, please?", line(store).media)


async def test_the_medium_may_come_before_its_message() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium("wamid.K1", words="quero um vestido")
        assert await store.dead() == []
        await phone.speak()
        assert line(store).text == "quero um vestido"
        await store.move(timedelta(minutes=5))
        assert (len(store.turns), store.said) == (2, [])  # the second is the expired first, nothing was owned up to


async def test_a_spoken_wish_for_a_person_brings_one() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.speak(), words="quero falar com um atendente")
        assert [event.reason for event in store.events(SalesEscalate)] == ["asked"]
        assert [told.text for told in store.for_people[-1].messages] == ["quero falar com um atendente"]


async def test_spoken_anger_brings_a_person() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.speak(), words="Isso é um absurdo, péssimo atendimento, vou no Procon!")
        assert [event.reason for event in store.events(SalesEscalate)] == ["sentiment"]


async def test_spoken_words_find_the_shop_on_the_shared_number() -> None:
    async with ChatStore() as store:
        phone = Phone(store, SHARED)
        await phone.medium(await phone.speak(), words="vocês têm notebook?")
        assert store.turns[0].brand == "tech"


async def test_a_card_number_that_was_spoken_is_never_stored() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.speak(), words="meu cartão é 4111 1111 1111 1111")
        assert "4111" not in line(store).text
        (row,) = await store.rows(select(messages.c.text))
        assert "4111" not in row["text"]


async def test_what_is_written_after_a_voice_note_waits_for_it_and_is_answered_with_it_in_order() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        note = await phone.speak()
        await store.move(timedelta(seconds=1))
        await phone.send("text", text="é para sábado")
        await store.move(timedelta(seconds=4))
        assert store.turns == []
        await phone.medium(note, words="procuro um vestido")
        await store.move(WINDOW)
        assert [told.text for told in store.turns[0].messages] == ["procuro um vestido", "é para sábado"]


async def test_a_voice_note_that_takes_long_holds_nobody_up_and_is_not_lost() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        note = await phone.speak()
        await phone.send("text", text="tem vestido azul?")
        await store.move(timedelta(seconds=20))
        assert [told.text for told in store.turns[0].messages] == ["tem vestido azul?"]
        await phone.medium(note, words="e sapato")
        await store.answer("Tenho!")
        assert [told.text for told in store.turns[1].messages] == ["e sapato"]
        await store.answer("Também!")
        me = store.turns[1]
        principal = Principal(customer_id=me.customer_id, conversation_id=me.conversation_id)
        history = await store.call(GetHistory(before_turn=2), principal)
        assert [told.text for told in history] == ["tem vestido azul?", "Tenho!"]


async def test_a_voice_note_that_is_heard_after_the_answer_is_the_next_turn() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        note = await phone.speak()
        await phone.send("text", text="tem vestido azul?")
        await store.move(timedelta(seconds=20))
        await store.answer("Tenho!")
        await phone.medium(note, words="e sapato")
        assert [told.text for told in store.turns[1].messages] == ["e sapato"]


async def test_two_voice_notes_are_answered_in_the_order_in_which_they_were_spoken() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        first, second = await phone.speak(), await phone.speak()
        await phone.medium(second, words="tamanho M")
        await store.move(timedelta(seconds=2))
        assert store.turns == []
        await phone.medium(first, words="um vestido")
        await store.move(WINDOW)
        assert [told.text for told in store.turns[0].messages] == ["um vestido", "tamanho M"]


async def test_a_voice_note_during_a_turn_is_the_next_one() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        await phone.send("text", text="oi")
        await store.move(WINDOW)
        note = await phone.speak()
        await store.answer("olá")
        assert len(store.turns) == 1
        await phone.medium(note, words="tem vestido?")
        await store.move(WINDOW)
        assert [told.text for told in store.turns[1].messages] == ["tem vestido?"]


async def test_what_waits_for_a_voice_note_survives_a_kill() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        note = await phone.speak()
        await phone.send("text", text="é para sábado")
        await store.kill_and_restart()
        await phone.medium(note, words="procuro um vestido")
        await store.kill_and_restart()
        await store.move(WINDOW)
        assert [told.text for told in store.turns[0].messages] == ["procuro um vestido", "é para sábado"]


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, "cannot_listen"),
        ({"words": ""}, "cannot_listen"),
        ({"problem": "too_large"}, "file_too_large"),
        ({"problem": "forbidden_type"}, "file_refused"),
        ({"problem": "unsafe"}, "file_refused"),
        ({"problem": "unreadable"}, "file_refused"),
        ({"problem": "gone"}, "file_failed"),
        ({"problem": "failed"}, "file_failed"),
    ],
)
async def test_a_voice_note_that_nobody_hears_is_owned_up_to(fields: dict[str, Any], key: str) -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.speak(), **fields)
        assert (store.turns, store.said) == ([], [say(key, "pt")])
        assert (await transcript(store)).lines[0].media_problem == fields.get("problem")


async def test_it_is_owned_up_to_once_a_burst_and_in_the_customer_s_language() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        await phone.send("text", text="do you have red dresses?")
        await store.move(WINDOW)
        await store.answer("yes")
        for note in [await phone.speak(), await phone.speak()]:
            await phone.medium(note)
        assert store.said == ["yes", say("cannot_listen", "en")]


async def test_a_voice_note_that_is_not_fetched_is_owned_up_to_at_once() -> None:
    async with ChatStore() as store:
        await Phone(store).speak(fetching=False)
        assert store.said == [say("cannot_listen", "pt")]


async def test_what_was_written_beside_a_note_that_nobody_hears_is_answered() -> None:
    async with ChatStore(**BURSTS) as store:
        phone = Phone(store)
        note = await phone.speak()
        await phone.send("text", text="tem vestido?")
        await phone.medium(note)
        await store.move(WINDOW)
        assert [told.text for told in store.turns[0].messages] == ["tem vestido?"]
        assert store.said == [say("cannot_listen", "pt")]


async def test_a_medium_that_never_comes_ends_the_same_way() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        note = await phone.speak()
        await store.kill_and_restart()
        await store.move(timedelta(minutes=2))
        assert store.said == [say("cannot_listen", "pt")]
        await phone.medium(note, words="quero um vestido")
        assert store.turns == []
        assert (await transcript(store)).lines[0].text == "quero um vestido"  # staff can read it all the same


async def test_a_customer_who_writes_too_fast_by_voice_is_answered_once_a_pause() -> None:
    async with ChatStore(hasty_pause=timedelta(minutes=1), **BURSTS) as store:
        phone = Phone(store)
        for number in range(3):
            await phone.medium(await phone.speak(hasty=True), words=f"nota {number}")
            await store.move(timedelta(seconds=2))
        assert (store.turns, store.said) == ([], [say("hasty", "pt")])
        await store.move(timedelta(minutes=1))
        assert [told.text for told in store.turns[0].messages] == ["nota 0", "nota 1", "nota 2"]


async def test_a_person_gets_a_voice_note_at_once_and_reads_its_words_later() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.send("text", text="quero falar com um atendente")
        said = len(store.said)
        note = await phone.speak()
        assert [told.kind for told in store.for_people[-1].messages] == ["audio"]
        await phone.medium(note, words="cadê meu pedido?")
        assert len(store.said) == said
        shown = (await transcript(store)).lines[-1]
        assert (shown.text, shown.media is not None) == ("cadê meu pedido?", True)


async def test_a_note_that_is_heard_once_a_person_is_wanted_goes_to_the_person() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        note = await phone.speak()
        await phone.send("text", text="quero falar com um atendente")
        await phone.medium(note, words="cadê meu pedido?")
        assert [told.text for turn in store.for_people for told in turn.messages] == [
            "quero falar com um atendente",
            "cadê meu pedido?",
        ]
        assert store.turns == []


# --- pictures


async def test_a_picture_is_a_turn_once_it_is_seen() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        picture = await phone.show()
        assert store.turns == []
        await phone.medium(picture, "image", seen="Um vestido vermelho midi")
        assert (line(store).text, line(store).seen) == ("", "Um vestido vermelho midi")
        assert store.said == []


async def test_a_picture_with_words_is_one_turn_with_both() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.show("tem igual a esse?"), "image", seen="um vestido vermelho")
        assert (line(store).text, line(store).seen) == ("tem igual a esse?", "um vestido vermelho")


async def test_a_picture_s_words_are_answered_although_nobody_sees_it() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.show("tem igual a esse?"), "image")
        assert (line(store).text, line(store).seen) == ("tem igual a esse?", None)
        assert store.said == [say("cannot_see", "pt")]


async def test_what_a_picture_shows_is_no_wish_and_no_mood_of_the_customer() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        seen = "Um cartaz: QUERO FALAR COM UM ATENDENTE, isso é um absurdo!!!"
        await phone.medium(await phone.show(), "image", seen=seen)
        assert store.events(SalesEscalate) == []
        assert store.events(ChatSentimentChanged) == []
        assert len(store.turns) == 1


async def test_what_a_picture_shows_finds_the_shop_on_the_shared_number() -> None:
    async with ChatStore() as store:
        phone = Phone(store, SHARED)
        await phone.medium(await phone.show(), "image", seen="um sofá cinza de três lugares")
        assert store.turns[0].brand == "home"


async def test_a_picture_that_is_too_large_is_owned_up_to() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        await phone.medium(await phone.show(), "image", problem="too_large")
        assert (store.turns, store.said) == ([], [say("file_too_large", "pt")])


async def test_a_document_is_kept_for_staff_with_its_name() -> None:
    async with ChatStore() as store:
        phone = Phone(store)
        media = InboundMedia(id="3", filename="nota fiscal.pdf")
        sent = await phone.send("document", media=media, fetching=True)
        await phone.medium(sent, "document", mime_type="application/pdf")
        assert len(store.said) == 1
        shown = (await transcript(store)).lines[0]
        assert shown.media == MediaRef(key=f"k/{sent}", mime_type="application/pdf", filename="nota fiscal.pdf")


def test_a_patience_longer_than_the_wait_is_refused() -> None:
    with pytest.raises(ValueError, match="media_patience"):
        ConversationsSettings(media_patience=timedelta(minutes=3))
