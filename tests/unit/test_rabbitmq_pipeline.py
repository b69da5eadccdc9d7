"""Messages encoded by ourselves are what the driver's own codec reads."""

from __future__ import annotations

from typing import Any

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from agent_store.adapters.bus.rabbitmq_pipeline import Outgoing, properties
from agent_store.adapters.bus.rabbitmq_topology import Topology, binding_key, routing_key

words = st.text(st.characters(codec="utf-8"), max_size=30)


def read(data: bytes) -> list[Any]:
    frames: list[Any] = []
    while data:
        used, channel, frame = pamqp.frame.unmarshal(data)
        assert channel == 7
        frames.append(frame)
        data = data[used:]
    return frames


@given(
    headers=st.dictionaries(words.filter(lambda word: len(word.encode()) < 100), words, max_size=8),
    content_type=st.none() | words.filter(bool),
    encoding=st.none() | st.just("utf-8"),
    message_id=st.none() | words.filter(bool),
    key=words,
    body=st.binary(max_size=100),
)
def test_a_message_is_read_as_it_was_written(
    headers: dict[str, str],
    content_type: str | None,
    encoding: str | None,
    message_id: str | None,
    key: str,
    body: bytes,
) -> None:
    encoded = properties(headers, content_type=content_type, content_encoding=encoding, message_id=message_id)
    frames = read(b"".join(Outgoing("the.exchange", key, encoded, body).frames(7, 32)))
    publish, header, *parts = frames
    assert isinstance(publish, commands.Basic.Publish)
    assert (publish.exchange, publish.routing_key, publish.mandatory) == ("the.exchange", key, False)
    assert isinstance(header, ContentHeader)
    assert header.body_size == len(body)
    said = header.properties
    assert (said.headers, said.content_type, said.content_encoding) == (headers, content_type, encoding)
    assert (said.message_id, said.delivery_mode) == (message_id, 2)
    assert all(isinstance(part, ContentBody) for part in parts)
    assert b"".join(part.value for part in parts) == body


@pytest.mark.parametrize(
    "bad",
    [
        {"headers": {"x": "\ud800"}},
        {"headers": {"x" * 300: "x"}},
        {"content_type": "x" * 256},
        {"message_id": "é" * 128},
    ],
)
def test_what_has_no_room_is_refused(bad: dict[str, Any]) -> None:
    said: dict[str, Any] = {"headers": {}, "content_type": None, "content_encoding": None, "message_id": None}
    with pytest.raises(ValueError, match=r"."):
        properties(**{**said, **bad})


def test_a_routing_key_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        Outgoing("exchange", "x" * 256, b"\x00\x00", b"")


@given(words, words)
def test_a_brand_is_one_word_of_its_own(one: str, other: str) -> None:
    key = routing_key("store.x", one or None)
    brand, _, rest = key.partition(".")
    assert rest == "store.x"
    assert not set(brand) & set("*#.")
    if one:
        assert binding_key("store.x", one) == key
    if (one or None) != (other or None):
        assert routing_key("store.x", other or None) != key


def test_a_consumer_for_all_brands_binds_any_word() -> None:
    assert binding_key("store.x", None) == "*.store.x"


@given(words.filter(bool))
def test_a_queue_tells_its_consumer(consumer: str) -> None:
    topology = Topology("shop")
    queue = topology.queue(consumer)
    commands.Queue.Declare(queue=queue[:256])  # the driver takes the name
    assert topology.consumer(queue) == (consumer if queue != topology.dead else None)


@pytest.mark.parametrize("queue", ["other.orders", "shop.dead", "orders", ""])
def test_a_foreign_queue_is_nobodys(queue: str) -> None:
    assert Topology("shop").consumer(queue) is None


@pytest.mark.parametrize("prefix", ["", "a b", "a+b", "x" * 61])
def test_a_prefix_that_is_no_name_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Topology(prefix)
