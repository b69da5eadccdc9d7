"""What a message holds: read from the channel's content, stored, read back the same; news of it taken in any order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.conversations import reading, texts
from agent_store.agents.conversations.model import AWAITED, Conversation, Line
from agent_store.contracts.whatsapp import (
    InboundContent,
    InboundMedia,
    InboundOrder,
    InboundOrderItem,
    InboundPlace,
    InboundReferral,
    WhatsAppMediaReceived,
    WhatsAppMessageDeleted,
    WhatsAppMessageEdited,
    WhatsAppMessageReceived,
)
from agent_store.kernel.ids import ConversationId, CustomerId

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
KINDS = [
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts", "reaction", "interactive", "button",
    "order", "referral", "system", "unsupported",
]  # fmt: skip
CARD = "4111 1111 1111 1111"

words = st.one_of(st.text(max_size=40), st.sampled_from(["", f"cartão {CARD}", "x" * 3000]))
ids = st.one_of(st.text(max_size=20), st.just("x" * 300)).filter(lambda id: CARD not in id)
"""What the platform fills in: long numbers in them are ids, not cards."""
contents = st.builds(
    InboundContent,
    text=words,
    payload=st.one_of(st.none(), ids),
    media=st.one_of(st.none(), st.builds(InboundMedia, id=st.just("1"), filename=st.one_of(st.none(), words))),
    place=st.one_of(
        st.none(),
        st.builds(InboundPlace, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), name=words, address=words),
    ),
    people=st.lists(words, max_size=3).map(tuple),
    order=st.one_of(
        st.none(),
        st.builds(
            InboundOrder,
            catalog_id=ids,
            items=st.lists(
                st.builds(InboundOrderItem, retailer_id=ids, quantity=st.integers(1, 999)), max_size=3
            ).map(tuple),
        ),
    ),
    form=st.one_of(
        st.none(),
        st.dictionaries(
            ids,
            st.recursive(
                st.one_of(words, st.integers(), st.floats(), st.booleans(), st.none()),
                lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ids, inner, max_size=3)),
                max_leaves=6,
            ),
            max_size=4,
        ),
    ),
    removed=st.booleans(),
    about=st.one_of(st.none(), ids),
    referral=st.one_of(
        st.none(), st.builds(InboundReferral, headline=words, body=words, url=ids, source_id=ids, click_id=ids)
    ),
    forwarded=st.booleans(),
)  # fmt: skip


def message(kind: Any = "text", content: InboundContent | None = None, **fields: Any) -> WhatsAppMessageReceived:
    return WhatsAppMessageReceived(
        wamid="w1", phone_number_id="1", sender="551", kind=kind, content=content or InboundContent(), sent_at=NOW, **fields
    )  # fmt: skip


def row_of(line: Line) -> dict[str, Any]:
    """The line as a table holds it, JSON columns as text in between."""
    return {
        "seq": line.seq, "external_id": line.external_id, "kind": line.kind, "text": line.text, "payload": line.payload,
        "at": line.at, "turn": line.turn, "content": json.loads(json.dumps(reading.content_of(line))),
        "media": json.loads(json.dumps(reading.media_of(line))), "quotes": line.quotes, "edited_at": line.edited_at,
        "deleted_at": line.deleted_at,
    }  # fmt: skip


@given(st.sampled_from(KINDS), contents, st.one_of(st.none(), st.text(max_size=300)))
def test_every_message_is_read_stored_and_read_back_the_same(kind: str, content: InboundContent, quotes: str) -> None:
    line = reading.line_of(message(kind, content, context_wamid=quotes), 7)
    again = reading.stored_line(row_of(line))
    again.stored = line.stored
    assert again == line
    assert CARD not in json.dumps(row_of(line), default=str)
    assert len(line.quotes or "") <= 160
    assert isinstance(line.readable, bool)
    if line.unread is not None:
        assert line.unread in texts.TEXTS
    assert "\n\n" not in reading.shown_line(line).strip("\n") or line.text


@given(contents)
def test_nothing_of_a_message_stays_after_it_was_taken_back(content: InboundContent) -> None:
    line = reading.line_of(message("text", content), 7)
    assert reading.take_deletion(line, deletion())
    assert (reading.content_of(line), reading.media_of(line), reading.shown_line(line)) == (None, None, "")
    assert not reading.take_deletion(line, deletion())
    assert not reading.take_edit(line, change("novo", 9))


def deletion() -> WhatsAppMessageDeleted:
    return WhatsAppMessageDeleted(wamid="w1", phone_number_id="1", sender="551", at=NOW)


def change(text: str, second: int) -> WhatsAppMessageEdited:
    return WhatsAppMessageEdited(
        wamid="w1", edit_wamid=f"e{second}", phone_number_id="1", sender="551", content=InboundContent(text=text),
        at=NOW + timedelta(seconds=second),
    )  # fmt: skip


@given(st.permutations([1, 2, 3, 4]))
def test_the_last_change_counts_whatever_the_order(order: list[int]) -> None:
    line = reading.line_of(message("text", InboundContent(text="0")), 1)
    for second in order:
        reading.take_edit(line, change(str(second), second))
    assert line.text == "4"


def test_news_is_kept_and_read_back_the_same() -> None:
    medium = WhatsAppMediaReceived(
        wamid="w1", phone_number_id="1", sender="551", kind="audio", key="k", words="oi", expires_at=NOW
    )
    for news in (medium, deletion(), change("x", 1)):
        body = json.loads(json.dumps(reading.body_of(news)))
        assert reading.news_of(news.event_type, body) == news


def test_words_of_a_picture_s_medium_are_none_of_the_customer() -> None:
    line = reading.line_of(message("image"), 1)
    reading.take_medium(
        line,
        WhatsAppMediaReceived(
            wamid="w1", phone_number_id="1", sender="551", kind="image", key="k", words="sim", seen=" "
        ),
    )
    assert (line.text, line.seen, line.readable) == ("", None, False)


@pytest.mark.parametrize(
    ("retailer_id", "sku"), [("A-1", "A-1"), (" A-1 ", "A-1"), ("", None), ("  ", None), ("x" * 300, None)]
)
def test_a_product_s_id_is_our_sku_as_the_catalogue_has_it(retailer_id: str, sku: str | None) -> None:
    assert reading.line_of(message("text", InboundContent(about=retailer_id)), 1).about == sku


# --- what waits for a medium


def conversation() -> Conversation:
    return Conversation(
        id=ConversationId("k"), customer_id=CustomerId("c"), channel="whatsapp", number="1", address="2",
        address_kind="phone", brand="fashion", language="pt", created_at=NOW, last_at=NOW, heard_at=NOW,
    )  # fmt: skip


def test_what_is_awaited_holds_turns_back_for_a_while() -> None:
    talk, patience = conversation(), timedelta(seconds=20)
    assert talk.await_medium(NOW, patience) == NOW + patience
    assert talk.await_medium(NOW + timedelta(seconds=5), patience) is None  # a timer runs already
    assert talk.burst_end == NOW + timedelta(seconds=25)
    assert talk.held_back(NOW + timedelta(seconds=24))
    assert not talk.paused(NOW)
    assert not talk.held_back(NOW + timedelta(seconds=25))
    talk.close_burst()
    assert (talk.awaiting_until, talk.burst_end) == (None, None)


def test_a_pause_for_who_writes_too_fast_is_kept_beside_what_is_awaited() -> None:
    talk = conversation()
    talk.await_medium(NOW, timedelta(seconds=20))
    assert talk.hold_back(NOW, timedelta(minutes=1)) is None  # the timer of before sees to it
    assert talk.burst_end == NOW + timedelta(minutes=1)
    assert talk.paused(NOW + timedelta(seconds=30))


def test_a_message_that_is_heard_late_is_not_missed() -> None:
    talk = conversation()
    talk.seq = talk.given = 9
    talk.pending = 1
    talk.take_back(4)
    assert (talk.pending, talk.given) == (0, 3)
    talk.return_to(6)
    assert talk.given == 3


def test_an_awaited_message_is_in_no_turn() -> None:
    assert AWAITED < 0
