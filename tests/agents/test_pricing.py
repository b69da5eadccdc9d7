from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from agent_store.agents.pricing.agent import pricing
from agent_store.agents.pricing.model import Price
from agent_store.agents.pricing.tables import history
from agent_store.contracts.catalog import ImportVariant, ProductImported
from agent_store.contracts.common import Item
from agent_store.contracts.pricing import GetPrices, GetQuote, PriceChanged, SetPrice
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from agent_store.kernel.ids import ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.support.store import TestStore

STAFF = Principal(staff="Ana")
P, M, NOPE = Sku("DRESS-P"), Sku("DRESS-M"), Sku("NOPE")


def brl(minor: int) -> Money:
    return Money(minor=minor)


def imported(*variants: ImportVariant, revision: int = 1) -> ProductImported:
    return ProductImported(
        product_id=ProductId("dress"), brand="fashion", name="Dress", variants=variants, revision=revision
    )


def variant(sku: str = "DRESS-P", price: int = 29_990, **more: object) -> ImportVariant:
    return ImportVariant.model_validate({"sku": sku, "price": brl(price), **more})


async def test_an_imported_price_is_told_once_and_answered() -> None:
    async with TestStore([pricing]) as store:
        event = imported(variant(list_price=brl(39_990)), variant("DRESS-M", 31_000))
        await store.publish(event)
        await store.publish(event)  # the same facts under another event id
        await store.settle()
        changes = store.events(PriceChanged)
        assert [(c.sku, c.version, c.before) for c in changes] == [("DRESS-P", 1, None), ("DRESS-M", 1, None)]
        found = await store.call(GetPrices(skus=(M, NOPE, P)))
        assert [(p.sku, p.price.minor, p.list_price) for p in found] == [
            ("DRESS-M", 31_000, None),
            ("DRESS-P", 29_990, brl(39_990)),
        ]


async def test_an_older_import_that_arrives_late_changes_nothing() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=20_000), revision=5))
        await store.publish(imported(variant(price=10_000), revision=4))
        await store.settle()
        assert (await store.call(GetPrices(skus=(P,))))[0].price == brl(20_000)


async def test_a_new_import_changes_the_price_and_counts_its_version() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=20_000), revision=1))
        await store.publish(imported(variant(price=18_000, list_price=brl(20_000)), revision=2))
        await store.settle()
        last = store.events(PriceChanged)[-1]
        assert (last.version, last.before, last.price, last.list_price) == (2, brl(20_000), brl(18_000), brl(20_000))


async def test_a_quote_adds_up_and_refuses_what_has_no_price() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=1_999), variant("DRESS-M", 2_001)))
        await store.settle()
        quote = await store.call(GetQuote(lines=(Item(sku=P, quantity=3), Item(sku=M, quantity=1))))
        assert [line.total.minor for line in quote.lines] == [5_997, 2_001]
        assert quote.subtotal == brl(7_998)
        with pytest.raises(NotFound, match="NOPE"):
            await store.call(GetQuote(lines=(Item(sku=NOPE, quantity=1),)))


async def test_a_person_sets_a_price_down_to_the_floor_and_not_below() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=20_000, floor=brl(15_000))))
        await store.settle()
        wish = SetPrice(sku=P, price=brl(15_000), list_price=brl(20_000), reason="last season")
        view = await store.call(wish, STAFF)
        assert view.price == brl(15_000)
        with pytest.raises(Conflict, match="floor") as refused:
            await store.call(SetPrice(sku=P, price=brl(14_999), reason="a friend asked"), STAFF)
        assert refused.value.code == "below-floor"
        assert (await store.call(GetPrices(skus=(P,))))[0].price == brl(15_000)
        rows = await store.rows(select(history).order_by(history.c.version))
        assert [(row["version"], row["price_minor"], row["staff"], row["reason"]) for row in rows] == [
            (1, 20_000, None, "import"),
            (2, 15_000, "Ana", "last season"),
        ]


async def test_setting_a_price_needs_a_person_a_known_sku_and_sense() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=20_000, floor=brl(100))))
        await store.settle()
        with pytest.raises(Forbidden):
            await store.call(SetPrice(sku=P, price=brl(19_000), reason="because"), Principal(customer_id="c"))
        with pytest.raises(NotFound):
            await store.call(SetPrice(sku=NOPE, price=brl(19_000), reason="because"), STAFF)
        with pytest.raises(InvalidInput, match="list price"):
            await store.call(SetPrice(sku=P, price=brl(9_000), list_price=brl(8_000), reason="x"), STAFF)
        usd = Money(minor=9_000, currency="USD")
        with pytest.raises(InvalidInput, match="BRL"):
            await store.call(SetPrice(sku=P, price=usd, reason="x"), STAFF)
        same = await store.call(SetPrice(sku=P, price=brl(20_000), reason="no change"), STAFF)
        assert same.price == brl(20_000)
        await store.settle()
        assert len(store.events(PriceChanged)) == 1


async def test_a_file_with_a_price_below_its_floor_becomes_a_dead_letter() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=100, floor=brl(200))))
        await store.settle()
        assert store.events(PriceChanged) == []
        assert "below its floor" in (await store.dead())[0].error


async def test_the_same_import_again_writes_nothing_and_a_negative_floor_is_refused() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=100), revision=1))
        await store.publish(imported(variant(price=100), revision=1))
        await store.publish(imported(variant("DRESS-M", 100, floor=brl(-1)), revision=2))
        await store.settle()
        assert len(await store.rows(select(history))) == 1
        assert "negative" in (await store.dead())[0].error


async def test_a_sku_keeps_its_currency() -> None:
    async with TestStore([pricing]) as store:
        await store.publish(imported(variant(price=20_000), revision=1))
        dollars = ImportVariant(sku=P, price=Money(minor=100, currency="USD"))
        await store.publish(imported(dollars, revision=2))
        await store.settle()
        assert "keeps its currency" in (await store.dead())[0].error


@given(floor=st.integers(0, 10**6), over=st.integers(0, 10**6), wish=st.integers(0, 3 * 10**6))
def test_no_price_set_by_hand_is_ever_below_its_floor(floor: int, over: int, wish: int) -> None:
    price = Price(sku=P, product_id="x", price=brl(floor + over), list_price=None, floor=brl(floor))
    try:
        after = price.set_by_hand(brl(wish), None)
    except Conflict:
        assert wish < floor
    else:
        assert after.price >= price.floor
        assert after.version == price.version + 1
