"""The shared number: found out by keywords, by name, by what is talked about, else by asking."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from agent_store.agents.conversations.tables import decisions
from agent_store.contracts.people import SalesEscalate
from agent_store.contracts.whatsapp import OutButtons, OutList
from tests.support.chat import BRANDS, SHARED, ChatStore, FixedDirectory


async def test_a_keyword_finds_the_shop() -> None:
    async with ChatStore() as store:
        await store.write("Oi, vocês têm vestidos?", to=SHARED)
        assert [turn.brand for turn in store.turns] == ["fashion"]
        assert store.said == []


async def test_without_a_clue_the_customer_is_asked_and_the_request_is_served_after_the_answer() -> None:
    async with ChatStore() as store:
        await store.write("Oi, quero um presente para minha mãe até 200 reais", to=SHARED)
        assert store.turns == []
        (ask,) = store.sent
        assert isinstance(ask.content, OutList)
        assert [row.id for row in ask.content.choices] == [f"brand:{brand.id}" for brand in BRANDS]
        await store.write("Bella", to=SHARED, payload="brand:beauty")
        (turn,) = store.turns
        assert turn.brand == "beauty"
        assert [line.text for line in turn.messages] == ["Oi, quero um presente para minha mãe até 200 reais"]


async def test_the_choice_may_be_written_by_name_or_by_its_place() -> None:
    for answer, brand in (
        ("Bella por favor", "beauty"),
        ("2", "tech"),
        ("opção 5", "gaming"),
        ("quero a Sofia", "home"),
    ):
        async with ChatStore() as store:
            await store.write("oi", to=SHARED)
            await store.write(answer, to=SHARED)
            assert [turn.brand for turn in store.turns] == [brand], answer
            assert [line.text for line in store.turns[0].messages] == ["oi"]


async def test_an_answer_that_says_more_is_part_of_the_turn() -> None:
    async with ChatStore() as store:
        await store.write("oi", to=SHARED)
        await store.write("quero um notebook", to=SHARED)
        (turn,) = store.turns
        assert turn.brand == "tech"
        assert [line.text for line in turn.messages] == ["oi", "quero um notebook"]


async def test_an_unclear_answer_is_asked_again_in_other_words() -> None:
    async with ChatStore() as store:
        await store.write("hello there", to=SHARED)
        await store.write("hmm, something nice", to=SHARED)
        assert store.turns == []
        first, second = store.said
        assert first != second
        assert "shop" in first
        await store.write("TechZone", to=SHARED, payload="brand:tech")
        assert [line.text for line in store.turns[0].messages] == ["hello there", "hmm, something nice"]


async def test_a_burst_is_routed_as_a_whole() -> None:
    async with ChatStore(burst_window=timedelta(milliseconds=700)) as store:
        await store.write("oi", to=SHARED)
        await store.write("tudo bem?", to=SHARED)
        await store.write("procuro um sofá", to=SHARED)
        await store.move(timedelta(seconds=1))
        assert [turn.brand for turn in store.turns] == ["home"]
        assert store.said == []


async def test_the_shop_stays_until_another_is_clearly_meant() -> None:
    async with ChatStore() as store:
        brands: list[str] = []
        for text in (
            "quero um vestido",
            "tem em azul?",  # about nothing in particular
            "um vestido com bolsa de notebook",  # names the current shop's goods too
            "agora quero um fone de ouvido",
            "quanto custa?",
            "quero falar com a Luna",  # by name
        ):
            await store.write(text, to=SHARED)
            brands.append(store.turns[-1].brand)
            await store.answer()
        assert brands == ["fashion", "fashion", "fashion", "tech", "tech", "fashion"]
        why = await store.rows(select(decisions).where(decisions.c.what == "brand.routed").order_by(decisions.c.id))
        assert [row["details"]["brand"] for row in why] == ["fashion", "tech", "fashion"]


async def test_a_tap_on_an_offer_stays_with_the_shop_that_made_it() -> None:
    async with ChatStore() as store:
        await store.write("quero um vestido", to=SHARED)
        await store.answer()
        await store.write("Notebook", to=SHARED, payload="add:SKU-1")
        assert store.turns[-1].brand == "fashion"


async def test_a_shop_may_be_chosen_anew_at_any_time() -> None:
    async with ChatStore() as store:
        await store.write("quero um vestido", to=SHARED)
        await store.answer()
        await store.write("Pixel Games", to=SHARED, payload="brand:gaming")
        assert store.turns[-1].brand == "gaming"
        assert store.turns[-1].messages[0].payload == "brand:gaming"


async def test_a_choice_during_a_turn_counts_from_the_next_one() -> None:
    async with ChatStore() as store:
        await store.write("quero um vestido", to=SHARED)
        await store.write("Pixel Games", to=SHARED, payload="brand:gaming")
        assert [turn.brand for turn in store.turns] == ["fashion"]
        await store.answer()
        assert [turn.brand for turn in store.turns] == ["fashion", "gaming"]


async def test_three_shops_or_fewer_are_asked_with_buttons_and_one_alone_is_not_asked_for() -> None:
    async with ChatStore(directory=FixedDirectory(BRANDS[:3])) as store:
        await store.write("oi", to=SHARED)
        assert isinstance(store.sent[0].content, OutButtons)
    async with ChatStore(directory=FixedDirectory(BRANDS[:1])) as store:
        await store.write("oi", to=SHARED)
        assert store.turns[0].brand == "fashion"


async def test_a_shop_that_came_later_is_known_and_one_that_left_is_asked_about() -> None:
    async with ChatStore(directory=FixedDirectory(BRANDS[:2])) as store:
        await store.write("quero um sofá", to=SHARED)
        assert store.turns == []
        store.directory.all.append(BRANDS[2])
        await store.write("um sofá!", to=SHARED)
        assert store.turns[-1].brand == "home"
        await store.answer()
        store.directory.all.remove(BRANDS[2])
        await store.write("azul", to=SHARED)
        assert len(store.turns) == 1
        assert len(store.sent) == 3


async def test_without_any_shop_the_customer_is_told_once_and_served_later() -> None:
    async with ChatStore(directory=FixedDirectory(())) as store:
        await store.write("quero um vestido", to=SHARED)
        await store.write("alguém?", to=SHARED)
        assert len(store.said) == 1
        store.directory.all.extend(BRANDS)
        await store.write("oi", to=SHARED)
        assert [line.text for line in store.turns[0].messages] == ["quero um vestido", "alguém?", "oi"]


async def test_a_wish_for_a_person_needs_no_shop() -> None:
    async with ChatStore() as store:
        await store.write("quero falar com um atendente", to=SHARED)
        (escalation,) = store.events(SalesEscalate)
        assert (escalation.brand, escalation.reason) == ("", "asked")
