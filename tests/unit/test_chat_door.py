"""What goes out keeps WhatsApp's limits, loses no word, and exists in three languages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from string import Formatter
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.conversations.door import (
    BUTTON_TITLE,
    BUTTONS_BODY,
    CAPTION,
    ROW_DESCRIPTION,
    ROW_TITLE,
    TEXT_LIMIT,
    plain,
    render,
    shorten,
    split_text,
)
from agent_store.agents.conversations.texts import TEXTS, clock, say
from agent_store.contracts.chat import (
    ButtonsBlock,
    ImageBlock,
    LinkBlock,
    ListBlock,
    PlaceRequestBlock,
    ProductCard,
    ProductsBlock,
    ReplyChoice,
    TextBlock,
)
from agent_store.contracts.common import Language
from agent_store.contracts.whatsapp import (
    OutButtons,
    OutContent,
    OutImage,
    OutLink,
    OutList,
    OutPlaceRequest,
    OutProducts,
    OutReaction,
    OutTemplate,
    OutText,
)
from agent_store.kernel.money import Money

LANGUAGES: tuple[Language, ...] = get_args(Language)


def squashed(text: str) -> str:
    return re.sub(r"\s+", "", text)


# --- splitting


@given(st.text(max_size=600), st.integers(min_value=1, max_value=80))
def test_parts_keep_the_limit_and_lose_nothing_but_white_space(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert squashed("".join(parts)) == squashed(text)


@given(st.lists(st.text(alphabet="abc .!?\n", min_size=1, max_size=1500), max_size=12))
def test_long_texts_of_paragraphs_too(paragraphs: list[str]) -> None:
    text = "\n\n".join(paragraphs)
    parts = split_text(text)
    assert all(0 < len(part) <= TEXT_LIMIT for part in parts)
    assert squashed("".join(parts)) == squashed(text)


def test_a_text_is_cut_at_a_paragraph_else_a_sentence_else_a_word() -> None:
    assert split_text("aaaa bbbb\n\ncccc dddd", 12) == ["aaaa bbbb", "cccc dddd"]
    assert split_text("Um dois. Tres quatro.", 14) == ["Um dois.", "Tres quatro."]
    assert split_text("umapalavra outrapalavra", 15) == ["umapalavra", "outrapalavra"]
    assert split_text("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert split_text("  \n ") == []


@given(st.text(max_size=200), st.integers(min_value=2, max_value=80))
def test_a_shortened_title_fits(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit


def test_a_title_is_shortened_after_a_word() -> None:
    assert shorten("Vestido Midi Aurora vermelho", 20) == "Vestido Midi Aurora…"
    assert shorten("Curto", 20) == "Curto"
    assert shorten("Anticonstitucionalissimamente", 20) == "Anticonstitucionali…"


# --- blocks

texts = st.text(max_size=5000)
choices = st.builds(
    ReplyChoice,
    id=st.text(alphabet="abc:1", max_size=6),
    title=st.text(max_size=24),
    description=st.none() | st.text(max_size=72),
)
cards = st.builds(
    ProductCard,
    product_id=st.text(alphabet="abc", min_size=1, max_size=3),
    sku=st.none() | st.text(alphabet="ABC", min_size=1, max_size=3),
    title=st.text(max_size=200),
    price=st.builds(Money, minor=st.integers(min_value=1, max_value=10_000_000)),
    list_price=st.none() | st.builds(Money, minor=st.integers(min_value=1, max_value=10_000_000)),
    image=st.sampled_from(["", "/media/products/x.png"]),
    note=st.text(max_size=1200),
)
blocks = st.one_of(
    st.builds(TextBlock, text=texts),
    st.builds(ProductsBlock, text=texts, cards=st.lists(cards, min_size=1, max_size=10).map(tuple)),
    st.builds(ButtonsBlock, text=texts, choices=st.lists(choices, min_size=1, max_size=3).map(tuple)),
    st.builds(
        ListBlock,
        text=texts,
        button=st.text(max_size=40),
        choices=st.lists(choices, min_size=1, max_size=10).map(tuple),
    ),
    st.builds(LinkBlock, text=texts, button=st.text(max_size=20), url=st.just("https://shop.example/x")),
    st.builds(ImageBlock, link=st.just("/media/x.png"), text=texts),
    st.builds(PlaceRequestBlock, text=texts),
)


def check(content: OutContent) -> None:
    match content:
        case OutText():
            assert 0 < len(content.text) <= TEXT_LIMIT
        case OutImage():
            assert content.link
            assert len(content.caption) <= CAPTION
        case OutLink():
            assert 0 < len(content.text) <= BUTTONS_BODY
            assert 0 < len(content.button) <= BUTTON_TITLE
        case OutPlaceRequest():
            assert 0 < len(content.text) <= BUTTONS_BODY
        case OutProducts():
            assert 0 < len(content.text) <= BUTTONS_BODY
            (section,) = content.sections
            assert len(set(section.retailer_ids)) == len(section.retailer_ids) <= 30
            assert len(section.retailer_ids) == 1 or 0 < len(content.header) <= 60
        case OutReaction() | OutTemplate():
            raise AssertionError("no block becomes this")
        case OutButtons():
            assert 0 < len(content.text) <= BUTTONS_BODY
            assert 1 <= len(content.choices) <= 3
            assert all(0 < len(choice.title) <= BUTTON_TITLE for choice in content.choices)
        case OutList():
            assert 0 < len(content.text) <= TEXT_LIMIT
            assert 0 < len(content.button) <= 20
            assert 1 <= len(content.choices) <= 10
            assert all(0 < len(row.title) <= ROW_TITLE for row in content.choices)
            assert all(len(row.description or "") <= ROW_DESCRIPTION for row in content.choices)
    if isinstance(content, OutButtons | OutList):
        assert len({choice.id for choice in content.choices}) == len(content.choices)
        assert len({choice.title.casefold() for choice in content.choices}) == len(content.choices)
        assert all(choice.id for choice in content.choices)


@given(st.lists(blocks, max_size=4), st.sampled_from(LANGUAGES), st.sampled_from(["", "1234"]))
def test_any_reply_keeps_every_limit(reply: list[Any], language: Language, catalog_id: str) -> None:
    for content in render(reply, language, catalog_id=catalog_id):
        check(content)
        assert isinstance(plain(content), str)


def card(n: int, **changes: Any) -> ProductCard:
    values: dict[str, Any] = {
        "product_id": f"p{n}",
        "title": f"Vestido Midi Aurora número {n}",
        "price": Money(minor=19990),
        "image": f"/media/products/p{n}.png",
        **changes,
    }
    return ProductCard(**values)


def test_up_to_three_products_are_cards_with_picture_price_and_a_button() -> None:
    block = ProductsBlock(
        text="Olha estes:", cards=(card(1, sku="SKU-1", list_price=Money(minor=24990)), card(2, note="Última!"))
    )
    intro, first, second = render([block], "pt")
    assert isinstance(intro, OutText)
    assert isinstance(first, OutButtons)
    assert isinstance(second, OutButtons)
    assert first.image == "/media/products/p1.png"
    assert first.text == "*Vestido Midi Aurora número 1*\n*R$ 199,90* (~de R$ 249,90~)"
    assert [(choice.id, choice.title) for choice in first.choices] == [("add:SKU-1", "Quero este")]
    assert second.choices[0].id == "product:p2"
    assert second.text.endswith("Última!")


def test_with_a_catalogue_products_are_shown_out_of_it() -> None:
    block = ProductsBlock(text="Olha estes:", cards=(card(1, sku="SKU-1"), card(2, sku="SKU-2")))
    (found,) = render([block], "pt", catalog_id="1234")
    assert isinstance(found, OutProducts)
    assert (found.catalog_id, found.text) == ("1234", "Olha estes:")
    assert [section.retailer_ids for section in found.sections] == [("SKU-1", "SKU-2")]
    assert plain(found).endswith("Olha estes:\n[2 × 🛍️]")


def test_a_product_whose_variant_is_not_known_is_no_item_of_a_catalogue() -> None:
    found = render([ProductsBlock(cards=(card(1, sku="SKU-1"), card(2)))], "pt", catalog_id="1234")
    assert [type(one) for one in found] == [OutButtons, OutButtons]


def test_more_products_are_a_list_with_whole_titles_in_the_descriptions() -> None:
    (found,) = render([ProductsBlock(cards=tuple(card(n) for n in range(1, 6)))], "en")
    assert isinstance(found, OutList)
    assert found.text.startswith("I picked these for you:\n\n1. *Vestido Midi Aurora número 1*: *R$ 199,90*\n2. ")
    assert len(found.choices) == 5
    assert found.choices[0].id == "product:p1"
    assert "R$ 199,90" in (found.choices[0].description or "")
    assert len({row.title for row in found.choices}) == 5


def test_a_long_text_of_buttons_goes_ahead_of_them() -> None:
    text = "Primeira frase. " * 400
    *ahead, last = render([ButtonsBlock(text=text, choices=(ReplyChoice(id="a", title="Sim"),))], "pt")
    assert all(isinstance(content, OutText) for content in ahead)
    assert isinstance(last, OutButtons)
    assert squashed("".join(getattr(content, "text", "") for content in (*ahead, last))) == squashed(text)


# --- texts


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_every_text_exists_in_three_languages_with_the_same_values(key: str) -> None:
    values: set[frozenset[str]] = set()
    for language in LANGUAGES:
        text = TEXTS[key][language]
        assert text.strip() == text
        assert text
        assert len(text) < 500
        values.add(frozenset(name for _, name, _, _ in Formatter().parse(text) if name))
    assert len(values) == 1, "a value is missing in one of the languages"
    assert set(TEXTS[key]) == set(LANGUAGES)


@pytest.mark.parametrize(
    "key", [key for key in TEXTS if key.startswith("way_") or key in ("want_it", "waiting_back", "alternative")]
)
def test_button_titles_fit(key: str) -> None:
    for language in LANGUAGES:
        assert len(say(key, language, n=3) if key == "alternative" else TEXTS[key][language]) <= BUTTON_TITLE


def test_a_time_is_told_in_brasilia_with_the_day_when_it_is_not_today() -> None:
    now = datetime(2026, 1, 5, 23, 0, tzinfo=UTC)
    assert clock(now + timedelta(minutes=25), now, "pt") == "20h25"
    assert clock(now + timedelta(hours=5), now, "en") == "Jan 6 1:00"
    assert clock(now + timedelta(hours=5), now, "es") == "06/01 1:00"
